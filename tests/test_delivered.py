"""What is billed, whatever client, vendor and clock do, against what arrived, counted on the client's side. Asks no database.

Rows in brackets are those of the fault catalogue: here is what it wants of the ledger. What clients see is in `test_faults_*`.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import termios
from collections.abc import Callable
from typing import Any

import pytest

from aisa.background_reads import BackgroundReads
from aisa.config.schema import Prices
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.audit import differences_of
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from aisa.usage import COUNTED, REPORTED
from faults_rig import (
    CANCELLED_SECONDS_MAX,
    LAST,
    PROMPT,
    SSE,
    Caller,
    Gateway,
    OneKey,
    VendorConnection,
    body,
    broken,
    connect,
    failure,
    framed,
    gateway,
    hang,
    hang_up,
    in_turn,
    on_uvloop,
    plain,
    post,
    queued,
    reset,
    says,
    stream_of,
    text,
    until,
    whole,
)
from http_server_rig import kernel_time
from rig import DONE, HEAD, chunk, content_of, document, event, usage

PRICES = Prices(input=1, output=2)
IN, OUT = 1_000, 2_000  # nano-dollars a token
INPUT = -(-len(PROMPT) // 4)  # tokens that are estimated where no vendor has reported
SEED = 20_260_101
STREAMS = 200
CHUNKS = 4_000  # some 800 KB: far more than both kernels hold together
TOKENS_READ_MAX = 1_500
SEGMENT_TOKENS = 80  # of one segment that was not acknowledged: 16 KiB
ACKNOWLEDGED_SECONDS = 0.3  # Linux delays an acknowledgement for 0.2 s at most
RECEIVE_BYTES = 8_192  # of the client's kernel
TOKEN = re.compile(rb'"content":"w\d+ "[^\n]*\n\n')


async def flood(line: VendorConnection) -> None:
    """Send a long stream as fast as it is taken."""
    await line.send(SSE + framed(text()[0]))
    for start in range(0, CHUNKS, 100):
        await line.send(framed(*[chunk({"content": f"w{number} "}) for number in range(start, start + 100)]))
    await line.lost.wait()


async def read_tokens(caller: Caller, count: int) -> None:
    """Read on until so many events with a token have come, and no further than a little."""
    found = seen_bytes = 0
    while found < count:
        await caller.read(512)
        for match in TOKEN.finditer(caller.received, seen_bytes):
            found, seen_bytes = found + 1, match.end()


async def settled(caller: Caller) -> bytes:
    """Wait until nothing more comes to a client that does not read, and its kernel has acknowledged it all; return what waits there."""
    before = -1
    while before != (now := queued(caller.sock, termios.FIONREAD)):
        before = now
        await asyncio.sleep(ACKNOWLEDGED_SECONDS)  # real time: it is the kernels that we wait for
    return caller.sock.recv(1 << 20, socket.MSG_PEEK)


async def abandon(home: Gateway, count: int, how: str) -> tuple[int, int, int]:
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
        async with gateway(flood, prices=PRICES) as home:
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


# The ledger's half of the catalogue: clients


async def only_row(home: Gateway) -> CallRow:
    """Wait for the one row, and check that the ledger has nothing open, nothing held, and no quarrel with it."""
    await until(lambda: len(home.rows) == 1)
    assert home.ledger.calls == {}
    assert {wallet.held for wallet in home.ledger.wallets.values()} == {0}
    assert list(differences_of(home.rows[0])) == []
    return home.rows[0]


def bill(row: CallRow) -> tuple[str, int, int]:
    """Return how a call ended, the output tokens it is billed for, and what it costs."""
    return row.outcome, row.billed.output_tokens, row.cost


def cut_bill(outcome: str, tokens: int) -> tuple[str, int, int]:
    """Return the bill of a stream whose vendor had reported nothing when it ended."""
    return outcome, tokens, (INPUT * IN + tokens * OUT if tokens else 0)


leaving = pytest.mark.parametrize("leave", [Caller.leave, Caller.reset, Caller.half_close_and_leave], ids=["fin", "rst", "half-close"])


@leaving
@pytest.mark.parametrize("part", [9, -10], ids=["head", "body"])
def test_half_a_request_leaves_no_row(leave: Callable[[Caller], None], part: int) -> None:
    """[C1] Who leaves before the request is whole has made no call."""

    async def main() -> None:
        async with gateway(says(hang), prices=PRICES) as home:
            leave(await home.client(post()[:part]))
            await until(lambda: home.server.connections_count == 0)
            assert (home.rows, home.ledger.calls) == ([], {})

    on_uvloop(main())


@leaving
@pytest.mark.parametrize("opening", [b"", SSE + framed(text()[0])], ids=["C2", "C3"])
@pytest.mark.parametrize("turns", [0, 3], ids=["at once", "asked"])
def test_who_leaves_before_the_first_token_pays_nothing(leave: Callable[[Caller], None], opening: bytes, turns: int) -> None:
    """[C2] [C3] [P18] Not for the input either, also if the call's task had no turn yet; what was held is given back within a second."""

    async def main() -> None:
        async with gateway(says(opening, hang), prices=PRICES) as home:
            home.ledger.wallets["default"] = wallet = Wallet("default", 10**9)
            caller = await home.client(post())
            if turns:
                await until(lambda: len(home.vendor.asked) == 1)
                assert wallet.held > 0
            leave(caller)
            async with asyncio.timeout(CANCELLED_SECONDS_MAX):
                await home.quiet()
                await until(lambda: wallet.held == 0 and home.ledger.calls == {})
            assert len(home.vendor.asked) <= len(home.rows) <= 1
            assert {bill(row) for row in home.rows} <= {("client_gone", 0, 0)}
            assert wallet.balance == 10**9

    on_uvloop(main())


@leaving
@pytest.mark.parametrize("last", [[], [chunk({}, "stop")], [chunk({}, "stop"), usage(9, 4)]], ids=["token", "finish", "usage"])
def test_who_leaves_with_everything_but_the_end_pays_for_everything(leave: Callable[[Caller], None], last: list[bytes]) -> None:
    """[C6] Closing before [DONE], however late or early, is no way around the bill; a report of the vendor's counts if there was one."""

    async def main() -> None:
        async with gateway(says(SSE + framed(*text("aa", "bb"), *last), hang), prices=PRICES) as home:
            caller = await home.client(post())
            await caller.until(b'"bb"' if len(last) < 2 else b'"stop"')  # a finish alone is held back
            await until(lambda: home.ledger.calls != {} and next(iter(home.dependencies.live)).delivery.delivered() == 2)
            leave(caller)
            expected = ("client_gone", 4, 9 * IN + 4 * OUT) if len(last) == 2 else cut_bill("client_gone", 2)
            assert bill(await only_row(home)) == expected

    on_uvloop(main())


@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_that_only_stops_sending_pays_in_full(streamed: bool) -> None:
    """[C7] A half-closed connection is no disconnect."""

    async def main() -> None:
        async with gateway(says(0.1, stream_of("aa", "bb", "cc") if streamed else plain(document())), prices=PRICES) as home:
            caller = await home.client(post(body(stream=streamed)))
            caller.half_close()
            assert (await caller.reply()).status == 200
            assert bill(await only_row(home)) == ("completed", 3, 9 * IN + 3 * OUT)

    on_uvloop(main())


@pytest.mark.parametrize("leave", [Caller.reset, Caller.half_close_and_leave], ids=["rst", "half-close"])
@pytest.mark.parametrize("streamed", [True, False])
def test_the_log_tells_a_call_as_the_ledger_has_it_when_its_client_left_after_the_settlement(
    leave: Callable[[Caller], None], *, streamed: bool
) -> None:
    """The answer was settled as complete; what the client's system never took of it is taken off in the row and in its line."""

    async def main() -> None:
        words = [f"s{number} " for number in range(100)]
        answer = stream_of(*words) if streamed else plain(document("".join(words) * 100))
        async with gateway(says(answer), prices=PRICES) as home:
            caller = await home.client(post(body(stream=streamed)), receive_bytes=4_096)
            await settled(caller)
            leave(caller)
            row, line = await only_row(home), await home.ended()
            assert row.outcome == line.outcome == "client_gone"
            assert row.billed.output_tokens == line.billed_tokens < len(words)
            assert row.cost == line.cost_nanos < len(words) * OUT

    on_uvloop(main())


SLOW_CLIENTS = 40
SLOW_WORDS = [f"s{number} " for number in range(1_000)]  # 200 KB: the vendor is far ahead of all of them


def test_slow_readers_are_billed_for_every_token_and_no_other() -> None:
    """[C8] [C10] [M18] Many at a time, each of which reads a little now and then until it has everything."""

    async def main() -> None:
        async with gateway(says(stream_of(*SLOW_WORDS)), prices=PRICES) as home:

            async def read_slowly() -> None:
                caller = await home.client(post(), receive_bytes=4_096)
                while not caller.received.endswith(LAST):
                    await caller.read(2_048)
                    await asyncio.sleep(0.002)  # real time: the kernels' buffers are to fill
                assert whole((await caller.reply()).body)

            await asyncio.gather(*[read_slowly() for _ in range(SLOW_CLIENTS)])
            await until(lambda: len(home.rows) == SLOW_CLIENTS)
            assert {bill(row) for row in home.rows} == {("completed", len(SLOW_WORDS), 9 * IN + len(SLOW_WORDS) * OUT)}

    on_uvloop(main())


def test_a_client_that_stalls_for_good_pays_for_what_its_system_took() -> None:
    """[C9] Whether or not it ever read it; the hold is given back when it is cut."""

    async def main() -> None:
        async with gateway(flood, prices=PRICES) as home:
            home.ledger.wallets["default"] = Wallet("default", 10**12)
            caller = await home.client(post(), receive_bytes=RECEIVE_BYTES)
            await read_tokens(caller, 10)
            await asyncio.sleep(200)
            await kernel_time()  # its kernel may take 40 ms of real time to acknowledge the last packet
            had = len(TOKEN.findall(bytes(caller.received) + caller.sock.recv(1 << 20, socket.MSG_PEEK)))
            await asyncio.sleep(130)
            row = await only_row(home)
            assert bill(row) == cut_bill("client_stalled", had)
            assert had < row.generated.output_tokens

    run_virtual(main())


def test_requests_behind_a_stream_have_rows_of_their_own() -> None:
    """[C16] Two calls on one connection, the second sent during the first, are billed each for itself."""

    async def main() -> None:
        async with gateway(in_turn(says(stream_of("aa", "bb")), says(plain(document()))), prices=PRICES) as home:
            caller = await home.client(post() + post(body()))
            ids = [(await caller.reply()).header("x-request-id") for _ in range(2)]
            await until(lambda: len(home.rows) == 2)
            assert [(row.id, *bill(row)) for row in home.rows] == [
                (ids[0], "completed", 2, 9 * IN + 2 * OUT),
                (ids[1], "completed", 3, 9 * IN + 3 * OUT),
            ]

    on_uvloop(main())


def test_a_hundred_clients_at_once_cannot_spend_what_is_there_for_one() -> None:
    """[C19] One is served and 99 are refused, before the vendor is asked; no balance below zero, and one row."""

    async def main() -> None:
        gate = asyncio.Event()
        async with gateway(says(SSE, gate, framed(*text("aa"), chunk({}, "stop"), usage(9, 1), DONE) + LAST), prices=PRICES) as home:
            home.ledger.wallets["default"] = wallet = Wallet("default", INPUT * IN + 256 * OUT)
            callers = [await home.client(post()) for _ in range(100)]
            await until(lambda: len(home.calls) == 99)
            gate.set()
            replies = [await caller.reply() for caller in callers]
            assert sorted(reply.status for reply in replies) == [200] + [402] * 99
            row = await only_row(home)
            assert wallet.balance == INPUT * IN + 256 * OUT - row.cost
            assert len(home.vendor.asked) == 1

    on_uvloop(main())


def test_a_wallet_that_runs_empty_in_a_stream_is_charged_for_what_was_delivered() -> None:
    """[C20] The stream ends with an error event at the step that cannot be paid, and the balance stays at zero or above."""

    async def main() -> None:
        async with gateway(says(SSE, framed(*text(*["xx"] * 2_000)), hang), prices=PRICES) as home:
            home.ledger.wallets["default"] = wallet = Wallet("default", 100 * IN + 700 * OUT)
            reply = await home.ask(post())
            broken(reply.body, "insufficient_wallet_balance")
            row = await only_row(home)
            assert bill(row) == cut_bill("cut", content_of(reply.body).count("xx"))
            assert wallet.balance == 100 * IN + 700 * OUT - row.cost >= 0

    on_uvloop(main())


class Revocable(OneKey):
    """Knows one key until it is revoked."""

    revoked = False

    def verify(self, secret: str | None) -> Key:
        """Return the key. Raises ApiError."""
        if self.revoked:
            raise ApiError("revoked_api_key", "It was revoked.")
        return super().verify(secret)


def test_a_key_that_is_revoked_in_a_stream_pays_for_the_stream() -> None:
    """[C21] What was begun is finished and billed in full; the next request is refused and leaves no row."""

    async def main() -> None:
        keys, gate = Revocable(), asyncio.Event()
        async with gateway(says(SSE, framed(*text("aa")), gate, framed(chunk({}, "stop"), usage(9, 1), DONE) + LAST), keys=keys) as home:
            caller = await home.client(post())
            await caller.until(b'"aa"')
            keys.revoked = True
            gate.set()
            whole((await caller.reply()).body)
            failure(await home.ask(post()), 401, "revoked_api_key")
            assert (await only_row(home)).billed.output_tokens == 1

    on_uvloop(main())


def test_every_attempt_of_a_client_that_retries_costs_nothing_until_one_succeeds() -> None:
    """[C22] Each has its own row: a vendor that fails twice and then answers is paid once."""

    async def main() -> None:
        busy = says(plain(b'{"error":{"message":"no"}}', status="503 Busy"))
        async with gateway(in_turn(busy, busy, says(stream_of("aa"))), prices=PRICES) as home:
            statuses = [(await home.ask(post())).status for _ in range(3)]
            await until(lambda: len(home.rows) == 3)
            assert [status == 200 for status in statuses] == [False, False, True]
            assert [bill(row) for row in home.rows] == [("failed", 0, 0), ("failed", 0, 0), ("completed", 1, 9 * IN + OUT)]

    run_virtual(main())


# Vendors

TWO = SSE + framed(*text("aa", "bb"))


async def drip(line: VendorConnection) -> None:
    """Send a line without end, a byte every 30 seconds."""
    while True:
        await line.send(b"1\r\nx\r\n")
        await asyncio.sleep(30)


CUTS: dict[str, tuple[Any, ...]] = {
    "M1 silence": (hang,),
    "M2 FIN": (hang_up,),
    "M2 RST": (0.1, reset),
    "M2 FIN in a chunk": (b"ff\r\ndata: {", hang_up),
    "M3 no finish": (LAST,),
    "M6 an error": (framed(event({"error": {"message": "no"}}), DONE) + LAST,),
    "M6 an error in a chunk": (framed(chunk({}, "error"), DONE) + LAST,),
    "M7 no JSON": (framed(b"data: {oops\n\n"), hang),
    "M13 a byte now and then": (framed(b"data: {"), drip),
}


@pytest.mark.parametrize("end", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("tokens", [2, 0])
def test_a_stream_that_its_vendor_ends_badly_costs_what_was_delivered(end: tuple[Any, ...], tokens: int) -> None:
    """[M1] [M2] [M3] [M6] [M7] [M13] Two tokens are two tokens, and none is nothing, input included, whatever went wrong."""

    async def main() -> None:
        async with gateway(says(TWO if tokens else SSE + framed(text()[0]), *end), prices=PRICES) as home:
            reply = await home.ask(post())
            code = (await home.ended()).error_code
            if reply.status == 200:
                broken(reply.body, code or "")
            else:  # a bare opening is held back: the failure has its true status
                assert (tokens, json.loads(reply.body)["error"]["code"]) == (0, code)
            row = await only_row(home)
            assert bill(row) == cut_bill("cut" if tokens else "failed", tokens)
            assert (row.delivered, row.generated.output_tokens, row.error_code) == (tokens, tokens, home.calls[0].error_code)

    run_virtual(main())


def counting(given: int, made: int) -> bytes:
    """A token in a chunk that says how many there have been so far."""
    counts = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
    return event({**HEAD, "choices": [{"index": 0, "delta": {"content": "aa"}, "logprobs": None, "finish_reason": None}], "usage": counts})


REPORTS = {
    "none": ([], (None, 2)),
    "zero": ([usage(0, 0)], (None, 2)),
    "fewer than deltas": ([usage(9, 1)], (9, 1)),
    "more than deltas": ([usage(9, 40)], (9, 40)),
    "grown": ([usage(9, 1), usage(9, 3)], (9, 3)),
    "fallen": ([usage(9, 40), usage(8, 3)], (9, 40)),
    "gone": ([usage(9, 40), usage(0, 0)], (9, 40)),
}


@pytest.mark.parametrize(("reports", "billed"), REPORTS.values(), ids=REPORTS)
def test_a_complete_stream_costs_what_its_vendor_reported_last(reports: list[bytes], billed: tuple[int | None, int]) -> None:
    """[M14] Fault M4. It is the vendor's best word that counts, and ours where there is none; zero of what is there is none."""

    async def main() -> None:
        async with gateway(says(TWO + framed(chunk({}, "stop"), *reports, DONE) + LAST), prices=PRICES) as home:
            whole((await home.ask(post())).body)
            row = await only_row(home)
            given, made = billed
            assert bill(row) == ("completed", made, (INPUT if given is None else given) * IN + made * OUT)
            assert row.billed.source == (COUNTED if given is None else REPORTED)

    run_virtual(main())


def test_a_running_count_of_the_vendors_is_billed_of_a_cut_stream() -> None:
    """[M14] [M15] Usage on every chunk: the last one that was delivered says how much, whatever the number of chunks."""

    async def main() -> None:
        async with gateway(says(SSE + framed(text()[0], counting(7, 3), counting(7, 8)), hang_up), prices=PRICES) as home:
            await home.ask(post())
            assert bill(await only_row(home)) == ("cut", 8, 7 * IN + 8 * OUT)

    run_virtual(main())


def test_only_deltas_that_carry_something_are_tokens() -> None:
    """[M15] Text, reasoning and the fragments of a tool call are; roles, empty texts and finish reasons are not."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "do", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": "{}"}}
    deltas: list[dict[str, Any]] = [
        {"reasoning_content": "rr"},
        {"content": "aa"},
        {"content": ""},
        {},
        {"tool_calls": [call]},
        {"tool_calls": [more]},
    ]

    async def main() -> None:
        async with gateway(says(SSE + framed(text()[0], *[chunk(delta) for delta in deltas]), hang_up), prices=PRICES) as home:
            await home.ask(post())
            assert bill(await only_row(home)) == cut_bill("cut", 4)

    run_virtual(main())


def test_what_follows_the_end_mark_is_not_billed() -> None:
    """[M16] A vendor that goes on after [DONE] has said its last word all the same."""

    async def main() -> None:
        late = framed(chunk({"content": "more"}), usage(9, 99), DONE)
        async with gateway(says(TWO + framed(chunk({}, "stop"), usage(9, 2), DONE) + late + LAST), prices=PRICES) as home:
            whole((await home.ask(post())).body)
            assert bill(await only_row(home)) == ("completed", 2, 9 * IN + 2 * OUT)

    run_virtual(main())


# Vendors that bill on


async def left_with_one(home: Gateway) -> None:
    """Have a client leave a stream with its first token."""
    caller = await home.client(post())
    await caller.until(b'"aa"')
    caller.reset()
    await until(lambda: not home.dependencies.live)


def test_what_a_vendor_makes_after_its_client_has_left_is_kept_beside_the_bill() -> None:
    """With `on_disconnect: drain` its stream is read to its end: the client pays for one token, and the row has the vendor's report."""

    async def main() -> None:
        async with gateway(
            says(TWO[: TWO.index(b'"bb"')], 30.0, TWO[TWO.index(b'"bb"') :], framed(usage(9, 70), DONE) + LAST), prices=PRICES
        ) as home:
            home.dependencies.background_reads = BackgroundReads(["a"], reads_max=1, seconds_max=120)
            await left_with_one(home)
            assert (home.rows, home.vendor.open) == ([], 1)
            await asyncio.sleep(31)
            row = await only_row(home)
            assert bill(row) == cut_bill("client_gone", 1)
            assert (row.delivered, row.generated.output_tokens, row.generated.source) == (1, 70, REPORTED)

    run_virtual(main())


def test_more_drains_than_allowed_are_cancelled() -> None:
    """The vendor's connection is cut at once, and the row says what had come until then; the one that is read on goes on."""

    async def main() -> None:
        async with gateway(says(SSE + framed(*text("aa")), hang), prices=PRICES) as home:
            home.dependencies.background_reads = BackgroundReads(["a"], reads_max=1, seconds_max=120)
            await left_with_one(home)
            await left_with_one(home)
            await until(lambda: len(home.rows) == 1 and home.vendor.open == 1)
            assert len(home.dependencies.background_reads) == 1
            assert bill(home.rows[0]) == cut_bill("client_gone", 1)
            await home.dependencies.background_reads.close()
            assert len(home.rows) == 2

    run_virtual(main())


@pytest.mark.parametrize("how", ["time", "stop"])
def test_a_drain_that_does_not_end_is_ended(how: str) -> None:
    """After `drain_seconds`, or with the server: what was read until then is what is known, and the bill was settled long before."""

    async def main() -> None:
        async with gateway(says(SSE + framed(*text("aa")), 10.0, framed(chunk({"content": "bb"})), hang), prices=PRICES) as home:
            home.dependencies.background_reads = BackgroundReads(["a"], reads_max=1, seconds_max=120)
            await left_with_one(home)
            await asyncio.sleep(115)
            assert home.rows == []
            await (asyncio.sleep(10) if how == "time" else home.dependencies.background_reads.close())
            row = await only_row(home)
            assert bill(row) == cut_bill("client_gone", 1)
            assert row.generated.output_tokens == 2
            await until(lambda: home.vendor.open == 0)

    run_virtual(main())


# Our own side


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_jumps_in_a_call_leaves_a_row_that_adds_up(hours: int) -> None:
    """[P14] The stream goes on, its durations are true, and it does not end before it began."""
    shift = 0.0

    async def main() -> None:
        nonlocal shift
        gate = asyncio.Event()
        async with gateway(says(TWO, gate, framed(chunk({}, "stop"), usage(9, 2), DONE) + LAST), prices=PRICES) as home:
            clock = home.ledger.wall_clock
            home.ledger.wall_clock = lambda: clock() + shift
            caller = await home.client(post())
            await caller.until(b'"bb"')
            shift = 3_600.0 * hours
            gate.set()
            whole((await caller.reply()).body)
            row = await only_row(home)
            assert bill(row) == ("completed", 2, 9 * IN + 2 * OUT)
            assert row.total_ms < 60_000

    on_uvloop(main())


def test_what_is_written_after_its_client_has_gone_counts_for_nothing() -> None:
    """[P17] A vendor's burst that was read before the loss was noticed is neither billed nor complained of."""

    async def main() -> None:
        async with gateway(says(SSE + framed(*text(*["xx"] * 5_000)), hang), prices=PRICES) as home:
            caller = await home.client(post(), receive_bytes=4_096)
            await caller.until(b'"xx"')
            had = len(re.findall(b'"content":"xx"[^\n]*\n\n', bytes(caller.received) + await settled(caller)))
            caller.reset()
            row = await only_row(home)
            assert row.billed.output_tokens <= had < row.generated.output_tokens
            assert home.complaints == []

    on_uvloop(main())


@pytest.mark.parametrize(("streamed", "expected"), [(True, ("client_gone", 2, 9 * IN + 2 * OUT)), (False, ("client_gone", 0, 0))])
def test_a_client_that_leaves_while_its_call_is_settled_is_billed_once(streamed: bool, expected: tuple[str, int, int]) -> None:
    """[P19] The settlement was made before anything was waited for; it is corrected to what arrived: a stream's tokens, no document."""

    async def main() -> None:
        syncs = 0
        async with gateway(says(stream_of("aa", "bb") if streamed else plain(document())), prices=PRICES) as home:

            async def sync() -> None:
                nonlocal syncs
                syncs += 1
                if syncs == 2:  # the first is of the opening
                    if streamed:
                        await caller.until(b'"bb"')
                    caller.reset()
                    await asyncio.Event().wait()

            home.ledger.sync = sync
            caller = await home.client(post(body(stream=streamed)))
            assert bill(await only_row(home)) == expected

    on_uvloop(main())
