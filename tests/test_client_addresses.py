"""Where a client comes from: the connection, whom trusted proxies name in a header or by the PROXY protocol, and what is kept of it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.admission.memory import MemoryAdmission
from aisa.config.limits import AddressRates, Limits
from aisa.edge.addresses import FORWARDED_MAX, Addresses
from aisa.facts import CallEnded, Refused
from aisa.http.proxy_protocol import V1_BYTES_MAX, V2, BrokenHead, Head, NotProxied, read_head
from aisa.http.request import Request
from aisa.http.server import tls_context
from aisa.testing.clock import run_virtual
from faults_rig import body, gateway, post, until
from http_server_rig import Run, Served, both_loops, get, pem, serving, trusting
from test_edge import GOOD

__all__ = ["pem"]

LINE = b"PROXY TCP4 192.0.2.7 203.0.113.9 51000 443\r\n"


def binary(command: int, family: int, source: bytes, more: bytes = b"") -> bytes:
    """A head of version 2."""
    rest = source + bytes(len(source)) + b"\xc7\x38\x01\xbb" + more
    return V2 + bytes([command, family]) + len(rest).to_bytes(2) + rest


SIX = bytes.fromhex("20010db8000000000000000000000001")
HEADS = [
    (LINE, "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "2001:db8::1"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    (binary(0x21, 0x11, bytes([192, 0, 2, 7])), "192.0.2.7"),
    (binary(0x21, 0x21, SIX), "2001:db8::1"),
    (binary(0x21, 0x11, bytes([192, 0, 2, 7]), b"\x04\0\x03abc"), "192.0.2.7"),
    (V2 + b"\x20\0\0\0", None),
    (V2 + b"\x21\0\0\x02xy", None),
    (binary(0x21, 0x31, b"x" * 108), None),
]


@pytest.mark.parametrize(("head", "address"), HEADS)
def test_a_head_names_its_client_wherever_it_is_cut(head: bytes, address: str | None) -> None:
    """Until it is whole nobody is named, and what follows it is left alone. A proxy that speaks for itself names nobody."""
    for size in range(1, len(head)):
        assert read_head(head[:size]) is None
    assert read_head(head) == read_head(head + b"GET /") == Head(len(head), address)


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 192.0.2.8 1 2\r\n",
        b"PROXY TCP4 nowhere 192.0.2.8 1 2\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 nowhere 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 ::1 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 65536 2\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 1 -2\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 1 \r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 01 2\r\n",
        b"PROXY " + b"x" * V1_BYTES_MAX,
        V2 + b"\x31\x11\0\x0c" + bytes(12),
        V2 + b"\x22\x11\0\x0c" + bytes(12),
        V2 + b"\x21\x11\0\x0b" + bytes(11),
        V2 + b"\x21\x11\xff\xff",
    ],
)
def test_a_broken_head_is_none(data: bytes) -> None:
    """It says how it is broken; nobody is named by it."""
    with pytest.raises(BrokenHead):
        read_head(data)


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_a_head_or_are_not(data: bytes) -> None:
    """Nothing else happens, and what is no head from its beginning is said at once."""
    try:
        head = read_head(data)
    except (NotProxied, BrokenHead):
        return
    assert head is None or 0 < head.size <= len(data)


async def told(served: Served, *pieces: bytes, **more: Any) -> tuple[int, str]:
    """Send pieces one by one on a connection of their own; return the answer's status and the address that the app saw last."""
    client = await served.connect(**more)
    for piece in pieces:
        client.send(piece)
        await asyncio.sleep(0.01)
    answer = await client.answer()
    return answer.status, served.app.judged[-1].address if served.app.judged else ""


@both_loops
def test_a_connection_says_for_whom_it_is(run: Run) -> None:
    """In one piece, byte by byte, or right before the request; with `accept` also not at all. All of its requests come from there."""

    async def scenario() -> None:
        for how in ("accept", "require"):
            async with serving(proxy_protocol=how, trusted_proxies=("127.0.0.0/8",)) as served:
                assert await told(served, LINE + get()) == (200, "192.0.2.7")
                assert await told(served, HEADS[5][0], get()) == (200, "2001:db8::1")
                assert await told(served, *[bytes([byte]) for byte in HEADS[4][0]], get()) == (200, "192.0.2.7")
                assert await told(served, b"PROXY UNKNOWN\r\n" + get()) == (200, "127.0.0.1")
                client = await served.connect()
                client.send(LINE + get() + get())
                assert [(await client.answer()).status for _ in range(2)] == [200, 200]
                assert [request.address for request in served.app.judged[-2:]] == ["192.0.2.7"] * 2
                assert await told(served, get()) == ((200, "127.0.0.1") if how == "accept" else (400, "192.0.2.7"))
                assert (await told(served, b"PROXY TCP4 \r\n" + get()))[0] == 400
                assert not served.complaints

    run(scenario())


@both_loops
def test_nobody_else_may_name_a_client(run: Run) -> None:
    """A head from an address that is not trusted is refused, and so is one where none is expected."""

    async def scenario() -> None:
        async with serving(proxy_protocol="accept", trusted_proxies=("192.0.2.0/24",)) as served:
            assert (await told(served, LINE + get()))[0] == 400
            assert await told(served, get()) == (200, "127.0.0.1")
        async with serving() as served:
            assert (await told(served, LINE + get()))[0] == 400
            assert (await told(served, HEADS[4][0] + get()))[0] == 400

    run(scenario())


@both_loops
def test_a_head_comes_before_tls(run: Run, pem: Path) -> None:
    """Plain, as proxies send it; a missing or broken one is told in plain HTTP."""

    async def scenario() -> None:
        async with serving(tls=tls_context(str(pem), str(pem)), proxy_protocol="require") as served:
            for pieces in ([LINE], [HEADS[4][0][:7], HEADS[4][0][7:]]):
                client = await served.connect()
                for piece in pieces:
                    client.send(piece)
                    await asyncio.sleep(0.01)
                context: ssl.SSLContext = trusting(pem)["ssl"]
                await client.writer.start_tls(context, server_hostname="localhost")
                client.send(get())
                assert (await client.answer()).status == 200
                assert served.app.judged[-1].address == "192.0.2.7"
            for broken in (get(), b"PROXY TCP4 \r\n"):
                client = await served.connect()
                client.send(broken)
                assert (await client.answer()).status == 400
            assert not served.complaints

    run(scenario())


@both_loops
def test_a_connection_without_its_head_is_given_up_in_time(run: Run) -> None:
    """As one whose request's headers do not come."""

    async def scenario() -> None:
        async with serving(proxy_protocol="require", header_timeout_seconds=0.2) as served:
            client = await served.connect()
            client.send(LINE[:20])
            assert (await client.answer()).status == 408

    run(scenario())


def seen(peer: str, forwarded: str | None = None, *, trusted: tuple[str, ...] = ("10.0.0.0/8", "2001:db8:f::/48")) -> str:
    """Return the address of a request's client."""
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    return Addresses(trusted).of(Request("GET", "/", "", headers, b"", "1.1", address=peer))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),  # whoever comes directly may write what he likes
        ("10.1.1.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.1.1.1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8:f::9", "2001:db8::7", "2001:db8::7"),
        ("10.1.1.1", "203.0.113.5, 198.51.100.1", "198.51.100.1"),  # only what the trusted proxy has added counts
        ("10.1.1.1", "198.51.100.1, 10.2.2.2, 10.3.3.3", "198.51.100.1"),
        ("10.1.1.1", "10.2.2.2, 10.3.3.3", "10.2.2.2"),
        ("10.1.1.1", "198.51.100.1:5123, 10.2.2.2", "198.51.100.1"),
        ("10.1.1.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.1.1.1", "198.51.100.1, unknown, 10.2.2.2", "10.2.2.2"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", "nonsense", "10.1.1.1"),
        ("10.1.1.1", ", ".join(["198.51.100.1", *["10.2.2.2"] * FORWARDED_MAX]), "10.2.2.2"),
        ("", "198.51.100.1", ""),
        ("::ffff:192.0.2.1", None, "192.0.2.1"),  # as a socket of both kinds tells of one of IPv4
        ("fe80::1%eth0", None, "fe80::1"),
        ("10.1.1.1", "::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_header_counts_as_far_as_trusted_proxies_wrote_it(peer: str, forwarded: str | None, client: str) -> None:
    """From its end to the first address that is none of theirs."""
    assert seen(peer, forwarded) == client


@pytest.mark.parametrize("named", ["10.0.0.0/8", "::ffff:10.0.0.0/104", "::/0", "10.1.1.1"])
def test_a_network_of_ipv4_is_the_same_in_either_spelling(named: str) -> None:
    """Whoever names all of IPv6 names none of IPv4: an address of IPv4 is compared as one, however it or the network was written."""
    for peer in ("10.1.1.1", "::ffff:10.1.1.1", "::ffff:a01:101"):
        assert (seen(peer, "198.51.100.1", trusted=(named,)) == "198.51.100.1") is (named != "::/0"), peer
    assert seen("2001:db8::1", "198.51.100.1", trusted=(named,)) == ("198.51.100.1" if named == "::/0" else "2001:db8::1")


def test_without_trusted_proxies_nobody_is_believed() -> None:
    """A fresh install takes the connection's word alone."""
    assert seen("10.1.1.1", "198.51.100.1", trusted=()) == "10.1.1.1"


@pytest.mark.parametrize(
    ("how", "address", "kept"),
    [
        ("whole", "192.0.2.77", "192.0.2.77"),
        ("network", "192.0.2.77", "192.0.2.0/24"),
        ("network", "2001:db8:1:2::3", "2001:db8:1::/48"),
        ("network", "::ffff:192.0.2.77", "192.0.2.0/24"),
        ("network", "fe80::1%eth0", "fe80::/48"),
        ("network", "", None),
        ("none", "192.0.2.77", None),
    ],
)
def test_of_an_address_is_kept_what_the_operator_wants(how: str, address: str, kept: str | None) -> None:
    """A network says where trouble comes from, and not who."""
    assert Addresses(shown=how).shown(address) == kept


def test_log_row_and_limit_have_the_address() -> None:
    """[issue 13] Of calls and of refusals; a limit goes by the whole address, the log by what may be shown."""

    async def main() -> None:
        async with gateway(GOOD, GOOD) as home:
            home.dependencies.admission = MemoryAdmission(Limits(address=AddressRates(rpm=1)), {}, wall_clock=lambda: 0.0)
            home.edge.addresses = Addresses(("127.0.0.1",), "network")
            for address, status in (("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)):
                assert (await home.ask(post(body(), f"x-forwarded-for: {address}"))).status == status
            await home.ask(post(b"{", "x-forwarded-for: 192.0.2.1"))
            await home.ask(post(body(), "x-forwarded-for: 192.0.2.1", key="wrong"))
            await until(lambda: len([fact for fact in home.facts if isinstance(fact, CallEnded)]) == 3)
            heard = [fact.address for fact in home.facts if isinstance(fact, CallEnded | Refused)]
            assert heard == ["192.0.2.0/24"] * 5
            assert [row.address for row in home.rows] == ["192.0.2.0/24"] * 2

    run_virtual(main())


@pytest.mark.parametrize(
    ("shown", "peer", "named"), [("network", "127.0.0.0/24", "192.0.2.0/24"), ("whole", "127.0.0.1", "192.0.2.7"), ("none", None, None)]
)
def test_who_sends_what_is_no_request_has_an_address_in_the_log(shown: str, peer: str | None, named: str | None) -> None:
    """[issue 13] Of a head that cannot be read, is too large, or lacks the proxy's: by it a flood is found, or a proxy not set up."""
    large = b"GET /v1/models HTTP/1.1\r\nx-large: " + b"x" * 100_000

    async def main() -> None:
        async with gateway(GOOD, server={"proxy_protocol": "require", "trusted_proxies": ("127.0.0.1",)}) as home:
            home.edge.addresses = Addresses(("127.0.0.1",), shown)
            for sent, status, address in ((b"\x00\r\n\r\n", 400, peer), (LINE + b"\x00\r\n\r\n", 400, named), (LINE + large, 431, named)):
                assert (await home.ask(sent)).status == status
                refused = home.facts[-1]
                assert isinstance(refused, Refused)
                assert (refused.status, refused.address) == (status, address)

    run_virtual(main())
