"""Two machines, as network namespaces, whose servers share limits in a store that is cut off and comes back empty.

`make machines` runs it, and cuts the store off for 20 s: in real time it takes a minute, and a machine for itself. Skipped by name where
this user may not make namespaces.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from server import PROCESS_SECONDS_MAX, Server, environment, read_banner
from valkey_rig import needs_server, store_server

WINDOW_SECONDS = 5.0
LIMIT = 60  # of an account, in each window
CLIENTS = 16  # on each machine
CUT_SECONDS = float(os.environ.get("AISA_CUT_SECONDS", "0"))
CONFIGURATION = f"""\
limits:
  window_seconds: {WINDOW_SECONDS}
  tiers: {{few: {{account: {{rpm: {LIMIT}}}}}}}
embedded: {{tokens_per_second: 0}}
"""
BODY = b'{"model": "embedded/tiny", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi."}]}'


class Machine(NamedTuple):
    """A namespace with two links to this one: over `stores` it reaches the store at `store`, over the other its clients reach it."""

    name: str
    address: str
    store: str
    stores: str


class Answered(NamedTuple):
    """A call that was let in: when it was sent and answered, in seconds."""

    began: float
    ended: float


def ip(*words: str) -> None:
    """Change something of the network."""
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@contextmanager
def machine(number: int) -> Iterator[Machine]:
    """Make one for a while."""
    name, net = f"aisa{os.getpid()}{number}", f"10.231.{(os.getpid() + number) % 250}"
    links = [(f"s{name}"[:15], 1), (f"c{name}"[:15], 5)]
    ip("netns", "add", name)
    try:
        for link, first in links:
            ip("link", "add", link, "type", "veth", "peer", "name", "far", "netns", name)
            ip("-n", name, "link", "set", "far", "name", f"far{first}")
            ip("addr", "add", f"{net}.{first}/30", "dev", link)
            ip("-n", name, "addr", "add", f"{net}.{first + 1}/30", "dev", f"far{first}")
            ip("link", "set", link, "up")
            ip("-n", name, "link", "set", f"far{first}", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield Machine(name, f"{net}.6", f"{net}.1", links[0][0])
    finally:
        ip("netns", "del", name)  # its links go with it


@contextmanager
def serving_on(place: Machine, folder: Path, port: int) -> Iterator[Server]:
    """Run a server on a machine."""
    folder.mkdir()
    (folder / "aisa.yaml").write_text(CONFIGURATION, encoding="utf-8")
    data = ("--config", "aisa.yaml", "--data-dir", str(folder / "data"))
    serve = (sys.executable, "-m", "aisa", "serve", "--host", place.address, "--port", str(port), "--log-format", "json", *data)
    variables = environment() | {"REDIS_URL": f"redis://{place.store}:6399"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["ip", "netns", "exec", place.name, *serve], cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        yield Server(folder, process, read_banner(process))
        process.terminate()
        assert process.wait(PROCESS_SECONDS_MAX) == 0, (folder / "log").read_text(encoding="utf-8")
    finally:
        process.kill()
        process.communicate()


def may_make_namespaces() -> bool:
    """Say whether this user may, and has the program for it."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        return False
    name = f"aisa{os.getpid()}try"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode == 0
    return made and subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True).returncode == 0


async def hammered(server: Server, key: str, stop: asyncio.Event) -> list[Answered]:
    """Let clients make calls until they are told to stop, and return those that were let in."""
    host, port = re.findall(r"//([\d.]+):(\d+)", server.url)[0]
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    request = head.encode() + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    good: list[Answered] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while not stop.is_set():
            began = time.monotonic()
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer)
            assert length is not None
            await reader.readexactly(int(length[1]))
            assert answer[9:12] in (b"200", b"429"), answer
            if answer[9:12] == b"200":
                good.append(Answered(began, time.monotonic()))
            else:
                await pause(0.2)
        writer.close()

    async def pause(seconds: float) -> None:
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            return

    await asyncio.gather(*[client() for _ in range(CLIENTS)])
    return good


def most_within(calls: list[Answered], seconds: float) -> int:
    """Return the most calls that certainly were let in within one window: begun and ended in it."""
    return max((sum(first.began <= call.began and call.ended < first.began + seconds for call in calls) for first in calls), default=0)


@needs_server
@pytest.mark.skipif(not CUT_SECONDS, reason="make machines runs it")
@pytest.mark.skipif(not may_make_namespaces(), reason="no network namespaces may be made here")
def test_machines_keep_a_limit_together_while_their_store_is_cut_off_and_comes_back_empty(tmp_path: Path) -> None:
    """[issue 13] Never more than the limit, but for the shares in the window in which the store goes; all are answered 200 or 429."""
    with ExitStack() as stack:
        places = [stack.enter_context(machine(number)) for number in range(2)]
        bound = [word for place in places for word in ("--bind" if place is places[0] else "", place.store) if word]
        store = stack.enter_context(store_server("--protected-mode", "no", *bound, "--port", "6399"))
        servers = [stack.enter_context(serving_on(place, tmp_path / str(at), 8700 + at)) for at, place in enumerate(places)]
        keys = []
        for server in servers:
            server.aisa("accounts", "create", "acme", "--tier", "few")
            keys.append(server.aisa("keys", "create", "hammered", "--account", "acme", "--quiet").strip())

        async def scene() -> tuple[list[Answered], list[float]]:
            stop, marks = asyncio.Event(), list[float]()
            load = [asyncio.create_task(hammered(server, key, stop)) for server, key in zip(servers, keys, strict=True)]

            async def last(seconds: float) -> None:
                marks.append(time.monotonic())
                await asyncio.wait(load, timeout=seconds)

            await last(2 * WINDOW_SECONDS)
            for place in places:
                ip("link", "set", place.stores, "down")
            await last(CUT_SECONDS)
            store.kill()
            store.start()
            for place in places:
                ip("link", "set", place.stores, "up")
            await last(3 * WINDOW_SECONDS)
            marks.append(time.monotonic())
            stop.set()
            return [call for calls in await asyncio.gather(*load) for call in calls], marks

        calls, (began, cut, back, ended) = asyncio.run(scene())
    calm = [call for call in calls if call.ended < cut]
    without = [call for call in calls if cut + WINDOW_SECONDS < call.began < back]
    after = [call for call in calls if call.began > back]
    assert most_within(calm, WINDOW_SECONDS) <= LIMIT
    assert len(calm) >= 0.99 * LIMIT * int((cut - began) / WINDOW_SECONDS)
    assert most_within(without, WINDOW_SECONDS) <= LIMIT, "each goes by its share"
    assert most_within(calls, WINDOW_SECONDS) <= LIMIT + LIMIT // 2, "one share comes on top in the window in which the store goes"
    assert most_within(after, WINDOW_SECONDS) <= LIMIT, "a store that is empty is told before it decides"
    assert len(after) >= 0.9 * LIMIT * int((ended - back) / WINDOW_SECONDS), "and limits do not stay halved"
