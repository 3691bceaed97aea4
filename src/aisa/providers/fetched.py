"""Places in a request's body for what is to be read from an address first: the type and the bytes of a picture. Fetches nothing.

A dialect that needs bytes writes marks that JSON cannot contain; whoever sends the request (`UpstreamRequest.fetches`) reads the
addresses and puts what is there in place of the marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

FETCHES_MAX = 16  # pictures by address in one request: what many vendors take at most
MARK = b"\xff"  # never in UTF-8, so no text of a caller's can be taken for a mark


class Fetched(NamedTuple):
    """What stood at an address: its type, as `image/png`, and its bytes as base64."""

    media_type: str
    data: bytes


class Fetches:
    """The addresses of one request, in order; each once. `wanted`: somebody will read them."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self.urls: tuple[str, ...] = ()

    def add(self, url: str) -> tuple[Raw, Raw]:
        """Return the marks for the type and for the data of what stands at an address."""
        if url not in self.urls:
            self.urls += (url,)
        place = self.urls.index(url)
        return Raw(mark(b"t", place)), Raw(mark(b"d", place))

    def add_format(self, url: str) -> tuple[Raw, Raw]:
        """Return the marks for the format, as `png` of `image/png`, and for the data of what stands at an address."""
        _, data = self.add(url)
        return Raw(mark(b"f", self.urls.index(url))), data

    def add_data_url(self, url: str) -> Raw:
        """Return the mark for what stands at an address, as a data URL."""
        self.add(url)
        return Raw(mark(b"u", self.urls.index(url)))


def mark(what: bytes, place: int) -> bytes:
    """Return the mark for the type (`t`), its last part alone (`f`), the data (`d`), or both as a data URL (`u`) of an address."""
    return MARK + what + str(place).encode() + MARK


def filled(body: bytes, found: Sequence[Fetched]) -> bytes:
    """Return a body with what stood at its addresses."""
    for place, each in enumerate(found):
        body = body.replace(mark(b"t", place), b'"%b"' % each.media_type.encode("ascii"))
        body = body.replace(mark(b"f", place), b'"%b"' % each.media_type.partition("/")[2].encode("ascii"))
        body = body.replace(mark(b"d", place), b'"%b"' % each.data)
        body = body.replace(mark(b"u", place), b'"data:%b;base64,%b"' % (each.media_type.encode("ascii"), each.data))
    return body
