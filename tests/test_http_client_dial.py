"""How a connection to a vendor comes to be: addresses, certificates, proxies. On real sockets with certificates made for the run."""

from __future__ import annotations

import asyncio
import base64
import gc
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import uvloop

from aisa.config.schema import Vendor
from aisa.errors import UpstreamFailed
from aisa.http.address import Proxy, proxy_for, read_origin
from aisa.http.exchange import ARRIVAL_BYTES_MAX
from aisa.http.names import Names
from aisa.http.pool import HttpUpstream
from aisa.http.pool_connection import PoolConnection
from aisa.providers.port import UpstreamRequest
from aisa.testing.clock import run_virtual
from http_client_rig import OK, Connection, FakeVendor, Run, answering, both_loops, call, until
from ports import free_port

EMPTY = "<HttpUpstream local 0 idle 0 in use>"
ONE_IDLE = "<HttpUpstream local 1 idle 0 in use>"
LARGE = bytes(range(256)) * 16_384  # 4 MiB


def certificate(folder: Path, names: str) -> Path:
    """Make a self-signed certificate for these names, with its key in the same PEM file."""
    made = folder / "made.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test -keyout -"
    pem = subprocess.run([*command.split(), "-addext", f"subjectAltName={names}"], check=True, capture_output=True).stdout
    made.write_bytes(pem)
    return made


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for where the tests' vendors are."""
    return certificate(tmp_path_factory.mktemp("ours"), "IP:127.0.0.1,DNS:localhost,DNS:vendor.test")


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for somebody else."""
    return certificate(tmp_path_factory.mktemp("foreign"), "DNS:else.test")


def server_tls(pem: Path) -> ssl.SSLContext:
    """Return the vendor's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@both_loops
def test_a_vendor_with_a_certificate_we_trust_is_asked_over_tls(run: Run, ours: Path) -> None:
    """ca_file is trusted, http/1.1 is agreed on, large bodies pass both ways, and the connection is kept."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            tls = connection.writer.get_extra_info("ssl_object")
            agreed.append(tls.selected_alpn_protocol())
            while True:
                _, body = await connection.request()
                connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

        agreed: list[str | None] = []
        async with FakeVendor(script).serving(server_tls(ours)) as fake:
            upstream = HttpUpstream("local", Vendor(base_url=f"https://127.0.0.1:{fake.port}", ca_file=str(ours)), {})
            for _ in range(2):
                status, body = await call(upstream, LARGE)
                assert (status, body == LARGE) == (200, True)
            assert (agreed, len(fake.connections), repr(upstream)) == (["http/1.1"], 1, ONE_IDLE)
            (connection,) = upstream._connections
            assert connection._transport.get_read_buffer_limits()[1] == ARRIVAL_BYTES_MAX  # ciphertext that nobody reads is bounded too
            await upstream.close()
            await until(lambda: fake.connections[0].lost)

    run(scenario())


@both_loops
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_a_vendors_connection_that_is_gone_is_let_go(run: Run, ours: Path, *, secured: bool) -> None:
    """It and the transport of TLS knew each other: it held up to a megabyte of buffers until garbage was looked for."""

    async def scenario() -> None:
        async with FakeVendor(answering(OK)).serving(server_tls(ours) if secured else None) as fake:
            scheme = "https" if secured else "http"
            upstream = HttpUpstream("local", Vendor(base_url=f"{scheme}://127.0.0.1:{fake.port}", ca_file=str(ours)), {})
            assert await asyncio.gather(*(call(upstream) for _ in range(3))) == [(200, b"ok")] * 3
            await upstream.close()
            assert len(fake.connections) == 3
            await until(lambda: all(each.lost for each in fake.connections))
            for _ in range(9):  # turns, in which the loop lets go what it still has to call
                await asyncio.sleep(0)
            assert sum(isinstance(each, PoolConnection) for each in gc.get_objects()) <= 1  # whose answer was the last, until the next

    gc.collect()
    gc.disable()
    try:
        run(scenario())
    finally:
        gc.enable()


@both_loops
def test_a_certificate_that_does_not_fit_means_the_vendor_could_not_be_reached(run: Run, ours: Path, foreign: Path) -> None:
    """Untrusted or for another host: nothing is asked, the log says why; with verify_tls off both are taken."""

    async def scenario() -> None:
        for pem, ca_file in ((ours, None), (foreign, foreign)):
            async with FakeVendor(answering(OK)).serving(server_tls(pem)) as fake:
                settings = Vendor(base_url=f"https://127.0.0.1:{fake.port}", ca_file=ca_file and str(ca_file))
                upstream = HttpUpstream("local", settings, {})
                with pytest.raises(UpstreamFailed) as failure:
                    await call(upstream)
                assert failure.value.error.message == "The vendor 'local' could not be reached."
                assert "certificate verification failed" in failure.value.detail
                assert repr(upstream) == EMPTY
                lenient = HttpUpstream("local", Vendor(base_url=settings.base_url, verify_tls=False), {})
                assert await call(lenient) == (200, b"ok")
                await lenient.close()

    run(scenario())


def test_a_vendor_that_never_finishes_the_handshake_fails_at_the_connect_timeout() -> None:
    """The timeout bounds TLS too."""

    async def scenario() -> None:
        async with FakeVendor(Connection.gone).serving() as fake:
            upstream = HttpUpstream("local", Vendor(base_url=f"https://127.0.0.1:{fake.port}", connect_timeout_seconds=3), {})
            with pytest.raises(UpstreamFailed) as failure:
                await call(upstream)
            assert (failure.value.error.code, asyncio.get_running_loop().time()) == ("upstream_unavailable", pytest.approx(3, abs=0.1))
            assert "within 3" in failure.value.detail
            assert repr(upstream) == EMPTY
            await until(lambda: fake.open == 0)

    run_virtual(scenario())


HALF_AN_ANSWER = b"HTTP/1.1 200 OK\r\n"


class FakeProxy:
    """A real HTTP proxy that leads everything to one port of this machine and keeps the requests made to it."""

    def __init__(self, port: int = 0, refusal: bytes = b"") -> None:
        self.port = port
        self.refusal = refusal
        self.heads: list[bytes] = []

    async def __call__(self, connection: Connection) -> None:
        """Tunnel a CONNECT, answer anything else itself."""
        head, _ = await connection.request()
        self.heads.append(head)
        if self.refusal:
            connection.send(self.refusal)
            if self.refusal != HALF_AN_ANSWER:
                await connection.gone()
        elif not head.startswith(b"CONNECT "):
            connection.send(OK)
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            for byte in b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n":
                connection.send(bytes([byte]))
                await asyncio.sleep(0)
            await asyncio.gather(self.copy(connection.reader, writer), self.copy(reader, connection.writer))

    async def copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes one way until they end."""
        try:
            while data := await reader.read(65_536):
                writer.write(data)
        finally:
            writer.transport.abort()


@both_loops
def test_https_goes_through_a_proxy_by_connect(run: Run, ours: Path) -> None:
    """The proxy sees host, port and its own credentials; the vendor's certificate is checked against the vendor's name."""

    async def scenario() -> None:
        async with FakeVendor(answering(OK)).serving(server_tls(ours)) as fake:
            proxy = FakeProxy(fake.port)
            async with FakeVendor(proxy).serving() as front:
                environment = {"https_proxy": f"http://us%40er:p%3Aw@127.0.0.1:{front.port}"}
                upstream = HttpUpstream("local", Vendor(base_url="https://vendor.test/v1", ca_file=str(ours)), environment)
                for _ in range(2):
                    assert await call(upstream) == (200, b"ok")
                credentials = base64.b64encode(b"us@er:p:w")
                assert proxy.heads == [
                    b"CONNECT vendor.test:443 HTTP/1.1\r\nhost: vendor.test:443\r\nproxy-authorization: Basic " + credentials + b"\r\n\r\n"
                ]
                assert repr(upstream) == ONE_IDLE
                (connection,) = upstream._connections
                tcp = connection._transport.get_extra_info("socket")
                assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * 16_384  # Linux tells what it reserves: fault S9
                await upstream.close()

    run(scenario())


@both_loops
def test_parameters_of_the_vendor_go_with_every_request(run: Run) -> None:
    """They are written as a query must be, and follow the one that a path has already."""

    async def scenario() -> None:
        heads: list[bytes] = []

        async def script(connection: Connection) -> None:
            while True:
                head, _ = await connection.request()
                heads.append(head.partition(b"\r\n")[0])
                connection.send(OK)

        async with FakeVendor(script).serving() as fake:
            query = {"api-version": "2024-10-21", "a b": "c&d=\xe9"}
            upstream = HttpUpstream("local", Vendor(base_url=f"http://127.0.0.1:{fake.port}/v1", query=query), {})
            for path, method in (("/chat/completions", "POST"), ("/x?alt=sse", "GET")):
                (await upstream.ask(UpstreamRequest(path, (), b"{}", method=method))).close()
            written = b"api-version=2024-10-21&a%20b=c%26d%3D%C3%A9"
            assert heads == [b"POST /v1/chat/completions?" + written + b" HTTP/1.1", b"GET /v1/x?alt=sse&" + written + b" HTTP/1.1"]
            await upstream.close()

    run(scenario())


@both_loops
@pytest.mark.parametrize(
    ("prefix", "asked"), [("/v2", "/v1/models"), ("/cohere/v2/", "/cohere/v1/models"), ("", "/v1/models"), ("/v2/v2", "/v2/v1/models")]
)
@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
def test_a_path_that_begins_above_is_beside_the_last_part_of_the_base_url(run: Run, prefix: str, asked: str, proxied: bool) -> None:
    """Directly and in the whole URL that a proxy gets; the host is never taken for a part."""

    async def scenario() -> None:
        proxy = FakeProxy()
        async with FakeVendor(proxy).serving() as front:
            here = f"http://127.0.0.1:{front.port}"
            settings = Vendor(base_url=f"http://vendor.test:81{prefix}", proxy=here) if proxied else Vendor(base_url=f"{here}{prefix}")
            upstream = HttpUpstream("local", settings, {})
            (await upstream.ask(UpstreamRequest("/../v1/models?a=/../b", (), b"", method="GET"))).close()
            where = "http://vendor.test:81" if proxied else ""
            assert proxy.heads[0].partition(b"\r\n")[0] == f"GET {where}{asked}?a=/../b HTTP/1.1".encode()
            await upstream.close()

    run(scenario())


@both_loops
def test_http_goes_through_a_proxy_in_absolute_form(run: Run) -> None:
    """The request line holds the whole URL, Host the vendor, and the credentials are for the proxy."""

    async def scenario() -> None:
        proxy = FakeProxy()
        async with FakeVendor(proxy).serving() as front:
            upstream = HttpUpstream("local", Vendor(base_url="http://vendor.test:81/v1", proxy=f"http://u:p@127.0.0.1:{front.port}"), {})
            assert await call(upstream) == (200, b"ok")
            assert proxy.heads[0].startswith(b"POST http://vendor.test:81/v1/chat/completions HTTP/1.1\r\nhost: vendor.test:81\r\n")
            assert b"\r\nproxy-authorization: Basic " + base64.b64encode(b"u:p") + b"\r\n" in proxy.heads[0]
            await upstream.close()

    run(scenario())


@both_loops
@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "the proxy refused: b'HTTP/1.1 407"),
        (b"SSH-2.0\r\n\r\n", "the proxy refused: b'SSH-2.0'"),
        (HALF_AN_ANSWER, "the proxy closed the connection"),
        (b"x" * 20_000, "the proxy sent more than 16384 bytes"),
    ],
)
def test_a_proxy_that_does_not_lead_there_means_the_vendor_could_not_be_reached(run: Run, refusal: bytes, said: str) -> None:
    """Refused, garbled, hung up or endless: the caller learns nothing of the proxy, and its password is not even in the log."""

    async def scenario() -> None:
        async with FakeVendor(FakeProxy(refusal=refusal)).serving() as front:
            upstream = HttpUpstream("local", Vendor(base_url="https://vendor.test", proxy=f"http://u:hidden@127.0.0.1:{front.port}"), {})
            with pytest.raises(UpstreamFailed) as failure:
                await call(upstream)
            assert failure.value.error.message == "The vendor 'local' could not be reached."
            assert said in failure.value.detail
            assert "hidden" not in failure.value.detail
            assert repr(upstream) == EMPTY
            await until(lambda: front.open == 0)

    run(scenario())


PROXY = Proxy("proxy.test", 3128, None)


@pytest.mark.parametrize(
    ("base_url", "explicit", "environment", "expected"),
    [
        ("https://api.test", None, {}, None),
        ("https://api.test", None, {"HTTPS_PROXY": "http://proxy.test:3128"}, PROXY),
        ("https://api.test", None, {"https_proxy": "proxy.test:3128", "HTTPS_PROXY": "http://other.test"}, PROXY),
        ("https://api.test", None, {"HTTP_PROXY": "http://proxy.test:3128"}, None),
        ("http://api.test", None, {"HTTP_PROXY": "http://proxy.test:3128"}, PROXY),
        ("http://api.test", None, {"HTTP_PROXY": ""}, None),
        ("http://api.test", "http://proxy.test:3128", {"NO_PROXY": "*"}, PROXY),
        ("http://api.test", "http://[::2]", {}, Proxy("::2", 80, None)),
        *[
            (f"http://{host}", None, {"HTTP_PROXY": "proxy.test:3128"}, None)
            for host in ("localhost:1", "a.localhost", "127.9.9.9", "[::1]:1")
        ],
        ("http://127.0.0.1", "http://proxy.test:3128", {}, PROXY),
        *[
            ("http://a.api.test:81", None, {"http_proxy": "proxy.test:3128", "no_proxy": rules}, expected)
            for rules, expected in [
                ("*", None),
                ("api.test", None),
                (".API.test", None),
                ("*.api.test", None),
                ("x, a.api.test:81", None),
                ("api.test:81 y", None),
                ("pi.test", PROXY),
                ("api.test:82", PROXY),
                ("b.api.test", PROXY),
                ("api.test.", None),
                ("a.api.test.:81", None),
                ("b\xfccher.test api.test", None),
                (".", PROXY),
                ("*.", PROXY),
                ("a.api.test:8", PROXY),
                ("*:82", PROXY),
                ("10.0.0.0/8", PROXY),
                ("[", PROXY),
                ("", PROXY),
                (",", PROXY),
            ]
        ],
        ("http://[::2]:81", None, {"http_proxy": "proxy.test:3128", "no_proxy": "::2"}, None),
        ("http://[::2]:81", None, {"http_proxy": "proxy.test:3128", "no_proxy": "[::2]:81"}, None),
        *[
            (base_url, None, {"ALL_PROXY": "proxy.test:3128", "NO_PROXY": rules}, expected)
            for base_url, rules, expected in [
                ("http://10.1.2.3", "10.1.2.3", None),
                ("http://10.1.2.3", "10.1.2.3:80", None),
                ("https://10.1.2.3", "10.1.2.3:443", None),
                ("http://10.1.2.3", "10.1.2.3:8080", PROXY),
                ("http://10.1.2.3", "10.0.0.0/8", None),
                ("http://10.1.2.3", "a.test, 10.9.9.9/8", None),
                ("http://10.1.2.3", "11.0.0.0/8", PROXY),
                ("http://10.1.2.3", "10.1.2.2/31", None),
                ("http://10.1.2.3", "10.1.2.0/31", PROXY),
                ("http://10.1.2.3", "0.0.0.0/0", None),
                ("http://10.1.2.3", "10.0.0.0/33 10.0.0.0/x /8", PROXY),
                ("http://10.1.2.3", "10.*", None),
                ("http://10.1.2.3", "10.1.2.*", None),
                ("http://10.1.2.3", "10.1.2.*:81", PROXY),
                ("http://10.1.2.3", "1.* 10.2.* 300.*", PROXY),
                ("http://10.1.2.3", "2.3", PROXY),
                ("http://10.1.2.3", "fd00::/8", PROXY),
                ("http://10.example.test", "10.*", PROXY),
                ("http://[fd00::1]:81", "fd00::/8", None),
                ("http://[fd00::1]:81", "[fd00::]/8", None),
                ("http://[fd00::1]:81", "[fd00:0::1]:81", None),
                ("http://[fd00::1]:81", "[fd00::1]:82", PROXY),
                ("http://[fd00::1]:81", "10.0.0.0/8", PROXY),
                ("http://[::ffff:10.1.2.3]", "10.0.0.0/8", None),
                ("http://b\xfccher.test", "b\xfccher.test", None),
                ("http://api.test.", "api.test", None),
            ]
        ],
        ("https://api.test", None, {"all_proxy": "proxy.test:3128"}, PROXY),
        ("https://api.test", None, {"ALL_PROXY": "other.test", "HTTPS_PROXY": "proxy.test:3128"}, PROXY),
        ("https://api.test", None, {"ALL_PROXY": "socks5://other.test", "https_proxy": "proxy.test:3128"}, PROXY),
        ("https://localhost", None, {"ALL_PROXY": "socks5://other.test"}, None),
    ],
)
def test_the_proxy_is_chosen_as_other_programs_choose_it(
    base_url: str, explicit: str | None, environment: dict[str, str], expected: Proxy | None
) -> None:
    """[fault S14] Setting, then environment, ALL_PROXY last; NO_PROXY by suffix, network and port; this machine only if set explicitly."""
    assert proxy_for(read_origin(base_url), explicit, environment) == expected


@pytest.mark.parametrize(
    ("base_url", "proxy"),
    [
        ("ftp://api.secret", None),
        ("api.secret/v1", None),
        ("http://", None),
        ("http://a b.secret", None),
        ("http://user:secret@api.test", None),
        ("http://api.secret:99999", None),
        ("http://api.test/?secret", None),
        ("http://api.test/#secret", None),
        ("http://api.test/secret path", None),
        ("http://api.test", "socks5://u:secret@proxy.test"),
        ("http://api.test", "https://secret.test"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_at_the_start_without_repeating_it(base_url: str, proxy: str | None) -> None:
    """An operator learns which vendor and what is right; a credential in the URL stays out of the message."""
    with pytest.raises(ValueError, match=r"^vendor `local`: .*(must look like|printable)") as refused:
        HttpUpstream("local", Vendor(base_url=base_url, proxy=proxy), {})
    assert "secret" not in str(refused.value)


def test_a_proxy_of_a_kind_that_we_cannot_use_is_refused_and_not_passed_by() -> None:
    """Going straight to the vendor would be a guess against an operator who wants a way out of his network to be used."""
    with pytest.raises(ValueError, match="ALL_PROXY must look like"):
        proxy_for(read_origin("https://api.test"), None, {"ALL_PROXY": "socks5://proxy.test:1080"})


def test_a_base_url_is_taken_apart() -> None:
    """Default ports, prefixes without their last slash, IPv6 literals and names of other alphabets."""
    assert read_origin("https://API.test/v1/") == (True, "api.test", 443, "api.test", "/v1")
    assert read_origin("http://[::2]:81") == (False, "::2", 81, "[::2]:81", "")
    assert read_origin("http://b\xfccher.test").authority == "xn--bcher-kva.test"


@both_loops
def test_a_vendor_that_is_not_there_could_not_be_reached(run: Run) -> None:
    """The caller reads the vendor's name, the log the address, and the place is free again."""

    async def scenario() -> None:
        port = free_port()
        upstream = HttpUpstream("local", Vendor(base_url=f"http://127.0.0.1:{port}", connections_max=1), {})
        for _ in range(2):
            with pytest.raises(UpstreamFailed) as failure:
                await call(upstream)
            assert failure.value.error.message == "The vendor 'local' could not be reached."
            assert (failure.value.error.code, failure.value.may_repeat) == ("upstream_unavailable", False)
            assert f"127.0.0.1:{port}" in failure.value.detail
            assert repr(upstream) == EMPTY

    run(scenario())


async def two_addresses(host: str) -> list[str]:
    """Know the addresses of one name; the first of them never answers in these tests."""
    assert host == "vendor.test"
    return ["127.0.0.2", "127.0.0.1"]


def test_a_silent_address_leaves_time_for_the_next_one() -> None:
    """Of a name's two addresses the first never answers; the second is reached within the connect timeout."""

    async def scenario() -> None:
        async with FakeVendor(answering(OK)).serving() as fake:
            with socket.create_server(("127.0.0.2", fake.port), backlog=0) as silent:
                fillers = [socket.socket() for _ in range(4)]  # a full backlog drops further SYNs
                for filler in fillers:
                    filler.setblocking(False)
                    filler.connect_ex(silent.getsockname())
                settings = Vendor(base_url=f"http://vendor.test:{fake.port}", connect_timeout_seconds=4)
                upstream = HttpUpstream("local", settings, {}, names=Names(two_addresses))
                assert await call(upstream) == (200, b"ok")
                assert asyncio.get_running_loop().time() == pytest.approx(2, abs=0.1)
                await upstream.close()
                for filler in fillers:
                    filler.close()

    run_virtual(scenario())


@pytest.mark.parametrize(("host", "named"), [("127.0.0.1", "localhost"), ("::1", "[::1]")])
def test_a_vendor_is_found_by_name_and_by_ipv6_literal(host: str, named: str) -> None:
    """A name is looked up and its addresses are tried in order; a literal is used as it stands."""

    async def scenario() -> None:
        async with FakeVendor(answering(OK)).serving(host=host) as fake:
            upstream = HttpUpstream("local", Vendor(base_url=f"http://{named}:{fake.port}"), {})
            assert await call(upstream) == (200, b"ok")
            await upstream.close()

    uvloop.run(scenario())
