"""Real nginx and HAProxy in front of a real server: with their files the checks pass, without them the output says what to change.

Skipped by name where a proxy is not installed. `make proxies` runs all of them, with the slow checks.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from aisa.checks.check import FAILED, Verdict
from aisa.checks.leaving import SWALLOWED_BYTES_MAX, unread
from aisa.checks.registry import CHECKS
from aisa.checks.remedies import product_of
from aisa.checks.running import look, run
from aisa.checks.subject import Subject, address_of
from aisa.cli.check_lines import changes
from aisa.testing.scenario import built_in
from aisa.testing.scripted_server import ScriptedServer
from ports import free_port
from proxy_rig import AS_IT_COMES, DEPLOYED_FILE, PRODUCTS, standing
from server import Server, serving

PLAYED = """\
vendors:
  played: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: k, allow_unpriced: true}}
models:
  check: {{to: [played/check], prices: {{input: 1.0, output: 2.0}}}}
"""
IN_CI = ("nginx", "HAProxy")
#: What a proxy costs with its file, too: it takes a FIN for leaving.
LOST = {"nginx": {"half-close"}, "HAProxy": {"half-close"}}
TOKEN = re.compile(rb'"content":" [wW]ord"')
OWN_SECONDS_MAX = 30.0
FOUND_SECONDS_MAX = 10.0  # at the default of 15 s for a comment nothing could be found in that time
LOOKS_MAX = 100  # for a line of the log
NOISE_TOKENS = 60  # a segment or two of a kernel's
LOOKS = 3  # of each kind


class Home(NamedTuple):
    """A server whose model `check` leads to a port where the vendor is played."""

    server: Server
    port: int

    @property
    def behind(self) -> int:
        """Where the server listens."""
        return int(self.server.url.rpartition(":")[2])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One server for all tests here."""
    port = free_port()
    with serving(tmp_path_factory.mktemp("proxied"), PLAYED.format(port=port)) as running:
        yield Home(running, port)


@pytest.fixture
def front(home: Home, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a proxy, named with its configuration; `direct` is the server itself."""
    name, configuration = request.param
    if name == "direct":
        yield home.server.url
        return
    product = PRODUCTS[name]
    if product.program() is None:
        pytest.skip(f"{name} is not installed")
    with standing(product, product.configurations()[configuration], tmp_path / "proxy", behind=home.behind) as url:
        yield url


def verdicts(home: Home, url: str, *names: str) -> tuple[str, list[Verdict]]:
    """Run checks, the quick ones unless they are named, and return what stands there and what came of them."""

    async def main() -> tuple[str, list[Verdict]]:
        async with played(home, url) as subject:
            await look(subject)
            wanted = [check for check in CHECKS if (check.name in names if names else check.quick)]
            return subject.server, await run(subject, wanted)

    return asyncio.run(main())


class played:  # noqa: N801 - used as a context alone
    """The vendor that is played, and the subject."""

    def __init__(self, home: Home, url: str) -> None:
        self.home, self.url = home, url
        self.vendor = ScriptedServer(built_in(), "hello")

    async def __aenter__(self) -> Subject:
        await self.vendor.listen("127.0.0.1", self.home.port)
        address, prefix = address_of(self.url, verify=True)
        return Subject(address, prefix, key=self.home.server.key, model="check", vendor=self.vendor)

    async def __aexit__(self, *_: object) -> None:
        await self.vendor.close()


def configured(*pairs: tuple[str, str]) -> pytest.MarkDecorator:
    """Run a test behind these proxies."""
    return pytest.mark.parametrize("front", pairs, ids=[f"{name} {how}".strip() for name, how in pairs], indirect=True)


@configured(*((name, DEPLOYED_FILE) for name in IN_CI))
def test_with_its_file_every_quick_check_passes_but_for_the_half_close(home: Home, front: str, request: pytest.FixtureRequest) -> None:
    """What docs/proxies.md promises of these files holds, on the program that is installed."""
    _, given = verdicts(home, front)
    name = request.node.callspec.id.split()[0]
    assert {verdict.check.name: verdict.seen for verdict in given if verdict.state == FAILED}.keys() == LOST[name]


@configured(("nginx", "buffering on"), ("HAProxy", AS_IT_COMES))
def test_without_it_the_output_alone_says_which_setting_to_change(home: Home, front: str) -> None:
    """Behind nginx that buffers, and HAProxy that corks, the failure names the setting; of nginx no other product's."""
    server, given = verdicts(home, front, "delay", "first-token")
    failed = [verdict for verdict in given if verdict.state == FAILED]
    assert failed, [verdict.seen for verdict in given]
    text = "\n".join(changes(failed, product_of(server)))
    if "nginx" in server:
        assert "in `location`: `proxy_buffering off;`" in text
        assert "http-no-delay" not in text
    else:
        assert "in `defaults`: `option http-no-delay`" in text


@pytest.mark.parametrize(("name", "how"), [("HAProxy", AS_IT_COMES), ("Apache", DEPLOYED_FILE)], ids=["HAProxy", "Apache"])
def test_frequent_comments_find_a_client_that_left_behind_a_proxy_that_passes_no_end_on(tmp_path: Path, name: str, how: str) -> None:
    """Nothing tells that it left but a write that fails, and it takes two: at the default of 15 s for a comment 27 s were seen."""
    product = PRODUCTS[name]
    if product.program() is None:
        pytest.skip(f"{name} is not installed")
    port = free_port()

    async def main(home: Home, url: str) -> None:
        async with played(home, url) as subject:
            mark = subject.mark()
            async with subject.line(subject.request(subject.chat("stalls", mark))) as line:
                await line.head()
            async with asyncio.timeout(FOUND_SECONDS_MAX):
                await (await subject.played(mark)).gone.wait()

    with serving(tmp_path, PLAYED.format(port=port) + "stream: {keep_alive_seconds: 0.5}\n") as running:
        home = Home(running, port)
        with standing(product, product.configurations()[how], tmp_path / "proxy", behind=home.behind) as url:
            asyncio.run(main(home, url))


@configured(("direct", ""), *((name, DEPLOYED_FILE) for name in (*IN_CI, "Apache", "Envoy")))
def test_the_swallow_figure_agrees_with_an_own_count(home: Home, front: str) -> None:
    """A client of the rig's that reads, stops and resets, and the server's log line of its call, give what the check gives, to 10 %.

    Each is taken several times: what lies in buffers differs from one connection to the next, and the spans of both must meet.
    """

    async def main() -> tuple[list[int], list[int], float]:
        async with played(home, front) as subject:
            figures, own, token_bytes = [], [], 0.0
            for _ in range(LOOKS):
                seen = await unread(subject)
                assert seen.billed is not None
                figures.append(seen.billed - seen.had)
                own.append(await asyncio.to_thread(own_count, home, front))
                token_bytes = max(token_bytes, seen.token_bytes)
            return figures, own, token_bytes

    figures, own, token_bytes = asyncio.run(main())
    assert max(*figures, *own) * token_bytes <= SWALLOWED_BYTES_MAX
    apart = max(min(figures) - max(own), min(own) - max(figures), 0)
    assert apart <= max(0.1 * min(max(figures), max(own)), NOISE_TOKENS), (figures, own)


def own_count(home: Home, url: str) -> int:
    """Make the call without any code of the checks, and return billed less had by the server's log."""
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps({"model": "check", "stream": True, "messages": [{"role": "user", "content": "scenario:burst#own"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {home.server.key}\r\nContent-Type: application/json\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(OWN_SECONDS_MAX)
        client.connect((host, int(port)))
        client.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        data = b""
        while len(TOKEN.findall(data)) < 20:
            data += client.recv(1024)
        threading.Event().wait(2.0)  # in which nobody reads
        had = len(TOKEN.findall(data + client.recv(1 << 20, socket.MSG_PEEK)))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request_id = re.findall(rb"(?i)x-request-id: (\S+)", data)[0].decode()
    return billed_by_log(home.server, request_id) - had


def billed_by_log(server: Server, request_id: str) -> int:
    """Return what the log line of a call says that was billed."""
    for _ in range(LOOKS_MAX):
        for line in server.log.splitlines():
            if request_id in line and (told := json.loads(line)).get("type") == "call":
                return int(told["billed_tokens"])
        threading.Event().wait(0.1)
    raise AssertionError(f"no line of {request_id}")
