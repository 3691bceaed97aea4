"""What is billed of a stream that its client abandons, against what the client's system had taken by then, counted on its own side."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import termios

import pytest

from aisa.config.schema import Prices
from faults_rig import SSE, Caller, House, Line, chunk, connect, framed, house, on_uvloop, post, queued, text, until

SEED = 20_260_101
STREAMS = 200
CHUNKS = 4_000  # some 800 KB: far more than both kernels hold together
TOKENS_READ_MAX = 1_500
SEGMENT_TOKENS = 80  # of one segment that was not acknowledged: 16 KiB
ACKNOWLEDGED_SECONDS = 0.3  # Linux delays an acknowledgement for 0.2 s at most
RECEIVE_BYTES = 8_192  # of the client's kernel
TOKEN = re.compile(rb'"content":"w\d+ "[^\n]*\n\n')


async def flood(line: Line) -> None:
    """Send a long stream as fast as it is taken."""
    await line.send(SSE + framed(text()[0]))
    for start in range(0, CHUNKS, 100):
        await line.send(framed(*[chunk({"content": f"w{number} "}) for number in range(start, start + 100)]))
    await line.lost.wait()


async def read_tokens(caller: Caller, count: int) -> None:
    """Read on until so many events with a token have come, and no further than a little."""
    while len(TOKEN.findall(caller.received)) < count:
        await caller.read(512)


async def settled(caller: Caller) -> bytes:
    """Wait until nothing more comes to a client that does not read, and its kernel has acknowledged it all; return what waits there."""
    before = -1
    while before != (now := queued(caller.sock, termios.FIONREAD)):
        before = now
        await asyncio.sleep(ACKNOWLEDGED_SECONDS)  # real time: it is the kernels that we wait for
    return caller.sock.recv(1 << 20, socket.MSG_PEEK)


async def abandon(home: House, count: int, how: str) -> tuple[int, int, int]:
    """Read some tokens of a stream, stop, and leave. Returns the tokens that the client's system had, and those billed and written."""
    caller = await connect(home.port, receive_bytes=RECEIVE_BYTES)
    await caller.send(post())
    await read_tokens(caller, count)
    waiting = await settled(caller)
    had = len(TOKEN.findall(bytes(caller.received) + waiting))
    if how == "reset":
        caller.reset()
    else:
        caller.half_close_and_leave()
    head = caller.received.partition(b"x-request-id: ")[2]
    call = bytes(head[: head.index(b"\r\n")]).decode()
    await until(lambda: any(row.id == call for row in home.rows))
    row = next(row for row in home.rows if row.id == call)
    return had, row.billed.output_tokens, row.generated.output_tokens


@pytest.mark.parametrize("how", ["reset", "close"])
def test_what_is_billed_is_what_the_clients_system_took(how: str) -> None:
    """[C4] [C5] Of a long fast stream, read for a random while and abandoned: never a token more, and hardly ever one less."""
    chance = random.Random(f"{SEED} {how}")
    results: list[tuple[int, int, int]] = []

    async def main() -> None:
        async with house(flood, prices=Prices(input=1, output=2)) as home:
            counts = [chance.randrange(TOKENS_READ_MAX) for _ in range(STREAMS // 2)]
            results.extend(await asyncio.gather(*[abandon(home, count, how) for count in counts]))

    on_uvloop(main())
    assert [result for result in results if result[1] > result[0]] == []
    exact = sum(had == billed for had, billed, _ in results)
    assert exact >= 0.95 * len(results), results
    assert all(had - billed <= SEGMENT_TOKENS for had, billed, _ in results), results
    extra = sum(written - had for had, _, written in results) / len(results)
    print(
        f"{how}: {len(results)} streams, {exact} billed exactly what the client's system had; read from the vendor: {extra:.0f} tokens more"
    )
