"""Pictures that are read from their addresses for vendors that take bytes: from where, how much, and what is said when it does not work."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aisa.config.schema import Vendor
from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.http.names import system_addresses
from aisa.http.pictures import (
    LOOK_UPS_MAX,
    PICTURE_BYTES_MAX,
    READ_SECONDS_MAX,
    REDIRECTS_MAX,
    REQUEST_BYTES_MAX,
    REQUESTS_MAX,
    PictureReader,
)
from aisa.http.pool import HttpUpstream
from aisa.http.public_addresses import is_public
from aisa.providers import openai
from aisa.providers.fetched import FETCHES_MAX, Fetches
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.wire.chat import parse_chat
from http_client_rig import OK, Connection, FakeVendor
from test_http_client_dial import certificate, server_tls

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 100
KINDS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0" + b"j" * 50,
    "image/gif": b"GIF89a" + b"g" * 50,
    "image/webp": b"RIFF\x00\x00\x00\x00WEBPVP8 " + b"w" * 50,
    "image/heic": b"\x00\x00\x00\x18ftypheic" + b"h" * 50,
    "application/pdf": b"%PDF-1.7" + b"f" * 50,
}


def answer(body: bytes, status: str = "200 OK", headers: str = "content-type: image/png\r\n") -> bytes:
    """A whole answer."""
    return f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the names of the tests."""
    return certificate(tmp_path_factory.mktemp("pictures"), "DNS:pictures.test,DNS:other.test,IP:127.0.0.1")


class Host:
    """A server of pictures on this machine, and a reader that may read from it. `asked` are the heads that came, `looked_up` the names."""

    def __init__(self, fake: FakeVendor, pem: Path, says: Callable[[str], bytes]) -> None:
        self.fake, self.pem, self.says = fake, pem, says
        self.asked: list[str] = []
        self.looked_up: list[str] = []
        self.addresses: dict[str, Sequence[str]] = {"pictures.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}

    async def serve(self, connection: Connection) -> None:
        """Answer by the path that is asked."""
        while True:
            head, _ = await connection.request()
            self.asked.append(head.decode())
            connection.send(self.says(head.decode().split(" ")[1]))

    async def resolve(self, host: str) -> Sequence[str]:
        """Look a name up."""
        self.looked_up.append(host)
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return self.addresses[host]

    async def resolve_or_ask(self, host: str) -> Sequence[str]:
        """Look a name up, of which nothing is known here with the system's own resolver."""
        return self.addresses[host] if host in self.addresses else await system_addresses(host)

    def reader(self, public: Callable[[str], bool] = lambda address: address == "127.0.0.1") -> PictureReader:
        """Return a reader that takes this machine for the internet."""
        return PictureReader(resolve=self.resolve, public=public, ports=frozenset({self.fake.port}), ca_file=str(self.pem))

    def url(self, path: str = "/a.png", host: str = "pictures.test") -> str:
        """Return an address there."""
        return f"https://{host}:{self.fake.port}{path}"

    async def read(self, *urls: str, reader: PictureReader | None = None) -> list[str]:
        """Have addresses read into a request; what came into its body."""
        fetches = Fetches(wanted=True)
        marks = [fetches.add_data_url(url) for url in urls]
        body = b"[" + b",".join(bytes(mark) for mark in marks) + b"]"
        request = await (reader or self.reader()).filled(UpstreamRequest("/x", (), body, fetches=fetches.urls))
        assert request.fetches == ()
        found: list[str] = json.loads(request.body)
        return found

    async def refused(self, *urls: str, reader: PictureReader | None = None) -> UpstreamFailed:
        """The failure of addresses that must not be read."""
        with pytest.raises(UpstreamFailed) as caught:
            await self.read(*urls, reader=reader)
        assert (caught.value.blame, caught.value.error.status, caught.value.may_fall_back) == (CALLER, 400, True)
        return caught.value


@asynccontextmanager
async def host(pem: Path, says: Callable[[str], bytes] = lambda _: answer(PNG)) -> AsyncIterator[Host]:
    """Run a server of pictures."""
    made: Host

    async def script(connection: Connection) -> None:
        await made.serve(connection)

    fake = FakeVendor(script)
    made = Host(fake, pem, says)
    async with fake.serving(server_tls(pem)):
        yield made


def run(scenario: Callable[[Host], Coroutine[Any, Any, None]], pem: Path, says: Callable[[str], bytes] = lambda _: answer(PNG)) -> None:
    """Run a scenario with a server of pictures, in virtual time."""

    async def main() -> None:
        async with host(pem, says) as made:
            await scenario(made)

    run_virtual(main())


PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"]
PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.0.1", "100.64.0.1"),
    *("192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1"),
    *("2001:db8::1", "2001::1", "2002:808:808::1", "64:ff9b::808:808", "64:ff9b:1::1", "3fff::1", "192.88.99.1"),
    *("", "localhost", "8.8.8.8/32", "2606:4700::1%1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    """Of both families, also written as one of the other."""
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_every_other_address_is_not(address: str) -> None:
    """This machine, its networks, the cloud's metadata, documentation, multicast, transition mechanisms, and what is no address."""
    assert not is_public(address)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_at_an_address_comes_into_the_request(kind: str, pem: Path) -> None:
    """With the type that its bytes have, whatever its server calls it."""

    async def scenario(made: Host) -> None:
        assert await made.read(made.url()) == [f"data:{kind};base64,{base64.b64encode(KINDS[kind]).decode()}"]

    run(scenario, pem, lambda _: answer(KINDS[kind], headers="content-type: text/plain\r\n"))


def test_a_picture_that_is_named_twice_is_read_once(pem: Path) -> None:
    """And each name leads to one connection, with nothing of ours or of the caller's in the request."""

    async def scenario(made: Host) -> None:
        one, two, again = await made.read(made.url("/1"), made.url("/2"), made.url("/1"))
        assert (one == again, one == two) == (True, True)
        assert [head.split(" ")[1] for head in made.asked] == ["/1", "/2"]
        sent = {line.split(":")[0].lower() for head in made.asked for line in head.split("\r\n")[1:] if line}
        assert sent <= {"host", "user-agent", "accept", "accept-encoding", "content-length"}

    run(scenario, pem)


@pytest.mark.parametrize(
    ("given", "asked"),
    [("/a b.png", "/a%20b.png"), ("/ä.png", "/%C3%A4.png"), ("/a%20b?x=1&y=%2F", "/a%20b?x=1&y=%2F"), ("", "/"), ("/a#part", "/a")],
)
def test_an_address_is_written_as_a_request_line_wants_it(given: str, asked: str, pem: Path) -> None:
    """Escapes stay, what needs one gets one, the fragment stays here."""

    async def scenario(made: Host) -> None:
        await made.read(made.url(given))
        assert made.asked[0].startswith(f"GET {asked} HTTP/1.1\r\n")

    run(scenario, pem)


ELSEWHERE = ["http://{}", "ftp://{}", "https://user@{}", "https://user:pw@{}", "https:///a.png", "{}", "file:///etc/hostname", "data:,x"]


@pytest.mark.parametrize("form", ELSEWHERE)
def test_only_https_without_credentials_is_read(form: str, pem: Path) -> None:
    """No name is even looked up."""

    async def scenario(made: Host) -> None:
        failure = await made.refused(form.format(f"pictures.test:{made.fake.port}/a.png"))
        assert "it reads https://host/path" in failure.error.message
        assert (made.looked_up, made.asked) == ([], [])

    run(scenario, pem)


def test_no_other_port_is_read(pem: Path) -> None:
    """Neither the usual one, if another is set, nor 0 or what is none."""

    async def scenario(made: Host) -> None:
        for port in ("", ":22", ":0", ":x", ":65536"):
            await made.refused(f"https://pictures.test{port}/a.png")
        assert made.looked_up == []

    run(scenario, pem)


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["::1"], [], ["169.254.0.1"]])
def test_a_name_that_leads_anywhere_else_is_not_read(addresses: list[str], pem: Path) -> None:
    """All of its addresses must be public: which one would be taken is not the caller's to choose. Nobody is connected to."""

    async def scenario(made: Host) -> None:
        made.addresses["pictures.test"] = addresses
        failure = await made.refused(made.url())
        assert "could not be read by this server" in failure.error.message
        assert (len(made.fake.connections), made.asked) == (0, [])

    run(scenario, pem)


def test_by_default_this_machine_is_not_read(pem: Path) -> None:
    """By name and by either family's address."""

    async def scenario(made: Host) -> None:
        reader = PictureReader(ports=frozenset({made.fake.port}), ca_file=str(pem))
        for name in ("localhost", "127.0.0.1", "[::1]"):
            await made.refused(f"https://{name}:{made.fake.port}/a.png", reader=reader)
        assert made.fake.connections == []

    run(scenario, pem)


#: This machine, a machine of a private network or of a cloud's own, as no list of addresses has it.
DISGUISED = [
    *(
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7F000001",
        "0177.0.0.1",
        "0x7f.1",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "00000177.0.0.0x1",
    ),
    *("0", "0.0.0.0", "0x0", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "3232235777", "0xc0a80101", "10.1", "0xa000001"),
    *(
        "\uff11\uff12\uff17.0.0.1",
        "\u2460\u2461\u2466.0.0.1",
        "127\u30020.0.1",
        "loc\u24d0lhost",
        "LOCALHOST",
        "%6cocalhost",
        "127.0.0.1%00",
    ),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:ffff:a9fe:a9fe]", "[::ffff:0:127.0.0.1]", "[::]", "[::1%25lo]"),
    *("[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001::5ef5:79fb]"),
    *("user@127.0.0.1", "pictures.test@127.0.0.1", "pictures.test:443@127.0.0.1", "127.0.0.1@pictures.test", "pictures.test\\@127.0.0.1"),
    *("127.0.0.1\t", "127.0.0.1#", "127.0.0.1?", "[127.0.0.1]", "127.0.0.1,pictures.test", "pictures.test 127.0.0.1", "127.0.0.1\n"),
]


@pytest.mark.parametrize("host", DISGUISED)
def test_no_way_to_write_a_private_address_reaches_it(host: str, pem: Path) -> None:
    """The system's own resolver takes decimal, octal, hexadecimal and short numbers; what it makes of them is judged, and nobody is asked.

    As an address of the request and as one that a public picture is moved to. This machine's server would answer.
    """

    async def scenario(made: Host) -> None:
        where = f"https://{host}:{made.fake.port}/a.png"
        await made.refused(where, reader=PictureReader(ports=frozenset({made.fake.port}), ca_file=str(pem)))
        assert made.fake.connections == []
        made.says = lambda _: answer(b"", "302 Found", f"location: {where}\r\n".encode("ascii", "ignore").decode())
        first = PictureReader(
            resolve=made.resolve_or_ask,
            public=lambda address: address == "127.0.0.1" if len(made.asked) < 1 else is_public(address),
            ports=frozenset({made.fake.port}),
            ca_file=str(pem),
        )
        await made.refused(made.url(), reader=first)
        assert len(made.asked) == 1

    run(scenario, pem)


@pytest.mark.parametrize("dots", ["127.0.0.1.", "2130706433.", "0x7f.1.", "localhost.", "localhost..", "."])
def test_a_name_that_ends_in_dots_is_judged_by_what_it_leads_to(dots: str, pem: Path) -> None:
    """What a resolver may make of it; and no name is asked for that is none."""

    async def scenario(made: Host) -> None:
        for name in (dots, dots.rstrip(".")):
            made.addresses[name] = ["127.0.0.1"]
        await made.refused(f"https://{dots}:{made.fake.port}/a.png", reader=made.reader(is_public))
        assert made.fake.connections == []

    run(scenario, pem)


def test_what_the_caller_is_told_does_not_tell_names_apart(pem: Path) -> None:
    """That a name of the inside exists is nobody's to find out: the same words for all; the operator hears the reason."""

    async def scenario(made: Host) -> None:
        made.addresses["inside.test"] = ["10.0.0.1"]
        told = [await made.refused(made.url(host=name)) for name in ("inside.test", "nowhere.test")]
        made.says = lambda _: answer(b"", "404 Not Found")
        told.append(await made.refused(made.url()))
        assert len({failure.error.message for failure in told}) == 1
        assert ["10.0.0.1" in told[0].detail, "not found" in told[1].detail, "status 404" in told[2].detail] == [True] * 3

    run(scenario, pem)


def test_the_connection_goes_to_the_address_that_was_judged(pem: Path) -> None:
    """A name that means something else a moment later is not looked up again: once for each request that is sent."""

    async def scenario(made: Host) -> None:
        answers = iter([["127.0.0.1"], ["10.0.0.1"], ["10.0.0.1"]])

        async def resolve(host: str) -> Sequence[str]:
            made.looked_up.append(host)
            return next(answers)

        reader = PictureReader(
            resolve=resolve, public=lambda address: address == "127.0.0.1", ports=frozenset({made.fake.port}), ca_file=str(pem)
        )
        assert len(await made.read(made.url(), reader=reader)) == 1
        assert made.looked_up == ["pictures.test"]
        await made.refused(made.url(), reader=reader)
        assert len(made.asked) == 1

    run(scenario, pem)


def test_a_certificate_must_be_the_names(pem: Path) -> None:
    """The address that was judged must belong to who is asked."""

    async def scenario(made: Host) -> None:
        made.addresses["wrong.test"] = ["127.0.0.1"]
        failure = await made.refused(made.url(host="wrong.test"))
        assert "certificate" in failure.detail

    run(scenario, pem)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_within_the_internet(status: int, pem: Path) -> None:
    """Relative or whole; each address is judged anew."""

    async def scenario(made: Host) -> None:
        moved = {"/a.png": "/b.png", "/b.png": made.url("/c.png", "other.test")}
        made.says = lambda path: answer(b"", f"{status} Moved", f"location: {moved[path]}\r\n") if path in moved else answer(PNG)
        assert len(await made.read(made.url())) == 1
        assert made.looked_up == ["pictures.test", "pictures.test", "other.test"]

    run(scenario, pem)


@pytest.mark.parametrize(
    "to",
    ["http://pictures.test/x", "https://inside.test:{}/x", "https://127.0.0.2:{}/x", "https://[::1]:{}/x", "//inside.test:{}/x", "ftp://x"],
)
def test_a_redirect_into_private_space_is_not_followed(to: str, pem: Path) -> None:
    """Nor to anything but https."""

    async def scenario(made: Host) -> None:
        made.addresses["inside.test"] = ["192.168.0.1"]
        made.says = lambda _: answer(b"", "302 Found", f"location: {to.format(made.fake.port)}\r\n")
        await made.refused(made.url())
        assert len(made.asked) == 1

    run(scenario, pem)


def test_redirects_end(pem: Path) -> None:
    """After a few."""

    async def scenario(made: Host) -> None:
        failure = await made.refused(made.url())
        assert len(made.asked) == REDIRECTS_MAX + 1
        assert "redirects" in failure.detail

    run(scenario, pem, lambda path: answer(b"", "302 Found", f"location: {path}x\r\n"))


@pytest.mark.parametrize("headers", ["", "content-type: text/event-stream\r\n"])
def test_a_picture_that_is_too_large_is_not_read_to_its_end(headers: str, pem: Path) -> None:
    """Whatever size it says, and whatever its server calls it."""
    endless = f"HTTP/1.1 200 OK\r\n{headers}\r\n".encode() + PNG + b"x" * (PICTURE_BYTES_MAX + 1)

    async def scenario(made: Host) -> None:
        await made.refused(made.url())
        await made.read(made.url("/small"))

    run(scenario, pem, lambda path: answer(PNG) if path == "/small" else endless)


def test_all_pictures_of_a_request_together_have_a_bound(pem: Path) -> None:
    """Each of them may be large, all of them may not."""
    large = PNG + b"x" * (PICTURE_BYTES_MAX - len(PNG))

    async def scenario(made: Host) -> None:
        assert len(await made.read(made.url("/1"))) == 1
        assert 2 * PICTURE_BYTES_MAX > REQUEST_BYTES_MAX
        assert "Picture 2 of" in (await made.refused(made.url("/1"), made.url("/2"))).error.message

    run(scenario, pem, lambda _: answer(large))


@pytest.mark.parametrize("body", [b"", b"<html>", b"BM" + b"x" * 60, b"\x89PNX", b"RIFF....WAVE"])
def test_what_is_no_picture_is_refused(body: bytes, pem: Path) -> None:
    """By its bytes: a page that its server calls a picture goes to no vendor."""

    async def scenario(made: Host) -> None:
        assert "is no PNG, JPEG" in (await made.refused(made.url())).error.message

    run(scenario, pem, lambda _: answer(body))


def test_a_host_that_is_silent_ends_in_time(pem: Path) -> None:
    """However it is silent; the place is free again then."""

    async def scenario(made: Host) -> None:
        made.says = lambda _: b""
        reader = made.reader()
        began = asyncio.get_running_loop().time()
        failure = await made.refused(made.url(), reader=reader)
        assert asyncio.get_running_loop().time() - began == pytest.approx(READ_SECONDS_MAX, abs=1)
        assert "20 s" in failure.detail
        made.says = lambda _: answer(PNG)
        assert len(await made.read(made.url(), reader=reader)) == 1
        assert made.fake.open <= 1

    run(scenario, pem)


def test_only_so_many_requests_read_pictures_at_once(pem: Path) -> None:
    """Each may hold some megabytes; one more is told to come back, and it is nobody's fault."""

    async def scenario(made: Host) -> None:
        made.says = lambda _: b""
        reader = made.reader()
        reading = [asyncio.ensure_future(made.read(made.url(f"/{number}"), reader=reader)) for number in range(REQUESTS_MAX)]
        await asyncio.sleep(1)
        with pytest.raises(ApiError) as caught:
            await made.read(made.url(), reader=reader)
        assert caught.value.status == 503
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        made.says = lambda _: answer(PNG)
        assert len(await made.read(made.url(), reader=reader)) == 1

    run(scenario, pem)


def test_look_ups_that_hang_are_few_though_whoever_asked_has_left(pem: Path) -> None:
    """[fault S4] Each keeps a thread of the process, and callers choose the names: threads would have run out, for vendors' names too."""

    async def scenario(made: Host) -> None:
        looked_up: list[str] = []
        answered = asyncio.Event()

        async def hang(name: str) -> Sequence[str]:
            looked_up.append(name)
            await answered.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no name server")

        reader = PictureReader(resolve=hang, public=lambda _: True, ports=frozenset({made.fake.port}))
        for number in range(LOOK_UPS_MAX):
            reading = asyncio.ensure_future(made.read(made.url(host=f"{number}.test"), reader=reader))
            await asyncio.sleep(0.1)
            reading.cancel()
        with pytest.raises(ApiError) as caught:
            await made.read(made.url(), reader=reader)
        assert (caught.value.status, len(looked_up)) == (503, LOOK_UPS_MAX)
        answered.set()
        await asyncio.sleep(0.1)
        assert "name was not found" in (await made.refused(made.url(), reader=reader)).detail

    run(scenario, pem)


def test_a_vendor_gets_the_bytes_and_not_the_address(pem: Path) -> None:
    """Through the client that asks vendors; requests without addresses are not touched."""

    async def scenario(made: Host) -> None:
        bodies: list[bytes] = []

        async def take(connection: Connection) -> None:
            while True:
                _, body = await connection.request()
                bodies.append(body)
                connection.send(OK)

        fake = FakeVendor(take)
        async with fake.serving():
            upstream = HttpUpstream("v", Vendor(base_url=f"http://127.0.0.1:{fake.port}"), {}, pictures=made.reader())
            message = {"role": "user", "content": [{"type": "image_url", "image_url": made.url()}]}
            for fetches in (True, False):
                chat = parse_chat(json.dumps({"model": "m", "messages": [message]}).encode())
                exchange = await upstream.ask(openai.to_upstream(chat, Target("v", "m", "openai", fetches=fetches)))
                while await exchange.read():
                    pass
                exchange.close()
            await upstream.close()
        urls = [json.loads(body)["messages"][0]["content"][0]["image_url"]["url"] for body in bodies]
        assert urls == [f"data:image/png;base64,{base64.b64encode(PNG).decode()}", made.url()]

    run(scenario, pem)


def test_the_openai_dialect_names_addresses_only_where_they_are_to_be_read() -> None:
    """Data and what is no picture stay; beyond FETCHES_MAX an address goes on as it is, and its vendor judges."""
    parts = [
        {"type": "image_url", "image_url": {"url": f"https://x.example/{number}.png", "detail": "low"}} for number in range(FETCHES_MAX + 2)
    ]
    parts += [{"type": "image_url", "image_url": "data:image/png;base64,AAAA"}, {"type": "text", "text": "https://x.example/t"}]
    chat = parse_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": parts}]}).encode())
    request = openai.to_upstream(chat, Target("v", "m", "openai", fetches=True))
    assert request.fetches == tuple(f"https://x.example/{number}.png" for number in range(FETCHES_MAX))
    assert request.body.count(b"https://x.example/") == 3
    assert request.body.count(b'"detail":"low"') == FETCHES_MAX + 2
    assert openai.to_upstream(chat, Target("v", "m", "openai")).fetches == ()
