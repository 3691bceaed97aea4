"""Reads pictures that a request gives by address, for vendors that take bytes only: from the public internet, and from nowhere else.

A name is resolved once, every address that it has must be public, and the connection goes to those addresses and no other; so is each
redirect looked at. What went wrong is told to the operator; the caller hears no more than he could find out himself.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from aisa.config.schema import Vendor
from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.http.address import bracketed, is_ip_literal
from aisa.http.names import ADDRESSES_MAX, Names, Resolve, system_addresses
from aisa.http.pool import HttpUpstream
from aisa.http.public_addresses import is_public
from aisa.providers.fetched import Fetched, filled
from aisa.providers.port import Answer, UpstreamRequest
from aisa.timers import Timers

PICTURE_BYTES_MAX = 10_485_760  # of one: vendors take 4 to 20 MiB
REQUEST_BYTES_MAX = 16_777_216  # of all pictures of a request: what vendors take in one is about 20 MiB, as base64
READ_SECONDS_MAX = 20.0  # for all pictures of a request, their names included
CONNECT_SECONDS_MAX = 5.0
REDIRECTS_MAX = 3  # a shortener, a storage service and a region are three
REQUESTS_MAX = 8  # that read pictures at once, for one vendor; with REQUEST_BYTES_MAX each and as base64 some 300 MiB
LOOK_UPS_MAX = 16  # at once: callers choose the names, and a look-up keeps its thread for as long as the system likes, whoever has left
URL_CHARACTERS_MAX = 8_192
PORTS = frozenset({443})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: How what vendors take begins -> its type.
TYPES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"%PDF-", "application/pdf"))
CONTAINERS = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif"}


class Unreadable(Exception):
    """A picture cannot be read. The text is for the operator; `told` completes the sentence `Picture 1 of ... ` for the caller."""

    def __init__(self, detail: str, told: str = "could not be read by this server") -> None:
        super().__init__(detail)
        self.told = told


class Place(NamedTuple):
    """An address taken apart. `path` has the query, and is fit for a request line."""

    origin: str
    host: str
    path: str


class PictureReader:
    """Puts the bytes of pictures into requests.

    `resolve` looks names up, `public` says which addresses may be read, at which `ports`; `ca_file` has more authorities: tests set these.
    """

    def __init__(
        self,
        timers: Timers | None = None,
        *,
        resolve: Resolve = system_addresses,
        public: Callable[[str], bool] = is_public,
        ports: frozenset[int] = PORTS,
        ca_file: str | None = None,
    ) -> None:
        self._timers = timers or Timers()
        self._resolve = resolve
        self._public = public
        self._ports = ports
        self._ca_file = ca_file
        self._requests = 0
        self._look_ups: set[asyncio.Future[Sequence[str]]] = set()

    async def filled(self, request: UpstreamRequest) -> UpstreamRequest:
        """Return a request with what stands at its addresses.

        Raises UpstreamFailed, by the caller's fault, for a picture that cannot be read; ApiError overloaded while too many are.
        """
        if self._requests >= REQUESTS_MAX:
            raise ApiError("overloaded", f"This server reads the pictures of {REQUESTS_MAX} requests already. Send them as data URLs.")
        self._requests += 1
        found: list[Fetched] = []
        left = REQUEST_BYTES_MAX
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                for url in request.fetches:
                    data = await self._read(url, min(left, PICTURE_BYTES_MAX))
                    left -= len(data)
                    found.append(Fetched(type_of(data), b64encode(data)))
        except TimeoutError:
            raise failed(len(found) + 1, Unreadable(f"not there within {READ_SECONDS_MAX:g} s")) from None
        except Unreadable as reason:
            raise failed(len(found) + 1, reason) from reason
        finally:
            self._requests -= 1
        return msgspec.structs.replace(request, body=filled(request.body, found), fetches=())

    async def _read(self, url: str, bytes_max: int) -> bytes:
        """Return what stands at an address, redirects followed. Raises Unreadable."""
        for _ in range(REDIRECTS_MAX + 1):
            place = place_of(url, self._ports)
            addresses = await self._addresses_of(place.host)
            found = await self._ask(place, addresses, bytes_max)
            if isinstance(found, bytes):
                return found
            try:
                url = urljoin(url, found)
            except ValueError as error:  # brackets around what is no address, say
                raise Unreadable(f"a redirect to what is no address: {error}") from error
        raise Unreadable(f"more than {REDIRECTS_MAX} redirects")

    async def _addresses_of(self, host: str) -> Sequence[str]:
        """Return the addresses of a host, all of them public. Raises Unreadable."""
        try:
            found = [host] if is_ip_literal(host) else await self._looked_up(host)
        except (OSError, UnicodeError) as failure:
            raise Unreadable(f"its name was not found: {failure}") from failure
        if not found or not all(self._public(address) for address in found):
            raise Unreadable(f"an address that is not public: {', '.join(found)}")
        return found[:ADDRESSES_MAX]

    async def _looked_up(self, host: str) -> Sequence[str]:
        """Look a name up; leaving early ends no look-up. Raises OSError, UnicodeError, and ApiError overloaded while too many are."""
        if len(self._look_ups) >= LOOK_UPS_MAX:
            raise ApiError("overloaded", f"This server looks up {LOOK_UPS_MAX} names of pictures already. Send them as data URLs.")
        flight = asyncio.ensure_future(self._resolve(host))
        self._look_ups.add(flight)
        flight.add_done_callback(self._note_end)
        return await asyncio.shield(flight)

    def _note_end(self, flight: asyncio.Future[Sequence[str]]) -> None:
        self._look_ups.discard(flight)
        if not flight.cancelled():
            flight.exception()  # nobody may have waited for it

    async def _ask(self, place: Place, addresses: Sequence[str], bytes_max: int) -> bytes | str:
        """Return what a host says, or where it redirects to. The connection goes to these addresses, whatever the name means by now."""

        async def pinned(_host: str) -> Sequence[str]:
            return addresses

        settings = Vendor(
            base_url=place.origin, ca_file=self._ca_file, answer_bytes_max=bytes_max, connect_timeout_seconds=CONNECT_SECONDS_MAX
        )
        upstream = HttpUpstream("picture", settings, {}, names=Names(pinned), timers=self._timers)
        try:
            answer = await upstream.ask(UpstreamRequest(place.path, (("accept", "image/*"),), b"", method="GET"))
            location = answer.headers.get("location")
            if answer.status in REDIRECTS and location:
                return location
            if answer.status != 200:
                raise Unreadable(f"status {answer.status}")
            return await body_of(answer, bytes_max)
        except UpstreamFailed as failure:
            raise Unreadable(failure.detail or failure.error.message) from failure
        finally:
            await upstream.close()


async def body_of(answer: Answer, bytes_max: int) -> bytes:
    """Return the body of an answer. Raises UpstreamFailed, Unreadable."""
    body = bytearray()
    while data := await answer.read():
        body += data
        if len(body) > bytes_max:  # of what its server calls a stream the client bounds only each event
            raise Unreadable(f"more than {bytes_max} bytes")
    return bytes(body)


def place_of(url: str, ports: frozenset[int]) -> Place:
    """Take an address apart. Raises Unreadable for one that is not read, whatever it leads to."""
    refused = "has an address that this server does not read: it reads https://host/path, at the usual port"
    if len(url) > URL_CHARACTERS_MAX:
        raise Unreadable("its address is too long", refused)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        if not is_ip_literal(host):
            host = host.encode("idna").decode("ascii")
    except ValueError as error:  # UnicodeError is one
        raise Unreadable(f"no address: {error}", refused) from error
    if parts.scheme != "https" or not host or port not in ports or "@" in parts.netloc:
        raise Unreadable(f"not https, or at another port: {parts.scheme} {port}", refused)
    path = quote(parts.path or "/", safe=PATH_CHARACTERS)
    query = f"?{quote(parts.query, safe=PATH_CHARACTERS + '?')}" if parts.query else ""
    return Place(f"https://{bracketed(host)}" + (f":{port}" if port != 443 else ""), host, path + query)


PATH_CHARACTERS = "/%:@!$&'()*+,;=~-._"  # that stand in a path as they are; `%` is taken to be an escape already


def type_of(data: bytes) -> str:
    """Return the type of a picture or a page by how it begins, whatever its server calls it. Raises Unreadable."""
    for beginning, media_type in TYPES:
        if data.startswith(beginning):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp" and data[8:12] in CONTAINERS:
        return CONTAINERS[data[8:12]]
    raise Unreadable(f"it is of no known type: {data[:12]!r}", "is no PNG, JPEG, GIF, WebP, HEIC, HEIF or PDF")


def failed(number: int, reason: Unreadable) -> UpstreamFailed:
    """Return the failure of a request whose picture cannot be read. Another target may take the address itself."""
    message = f"Picture {number} of those that the request gives by address {reason.told}. Send it as a data URL: data:image/png;base64,..."
    error = ApiError("invalid_request", message, param="messages")
    return UpstreamFailed(error, blame=CALLER, detail=f"picture {number}: {reason}")
