"""Answers that came compressed although nobody asked for it: unpacked at every split, never beyond their bounds. Fault W11."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.errors import UpstreamFailed
from aisa.http.exchange import ARRIVAL_BYTES_MAX
from aisa.http.unpacked import PIECE_BYTES_MAX, RATIO_FREE_BYTES, RATIO_MAX, Unpacked
from aisa.testing.clock import run_virtual
from repeats import repeats

TEXT = b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n'


class Given:
    """An answer that gives these bytes, one read each."""

    status = 200

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.headers: Mapping[str, str] = {}
        self.parts = [part for part in parts if part]
        self.taken = 0

    async def read(self) -> bytes:
        """Return the next part."""
        self.taken += 1
        return self.parts.pop(0) if self.parts else b""

    def release(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def raw(data: bytes) -> bytes:
    """Deflate without a frame."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def flushed(*events: bytes) -> list[bytes]:
    """Pack a stream as servers do: each event can be unpacked when it arrives."""
    packer = zlib.compressobj(wbits=31)
    return [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events] + [packer.flush()]


def unpacked(parts: Iterable[bytes], coding: str = "gzip", bytes_max: int | None = None) -> list[bytes]:
    """Return the pieces that come of an answer. Raises UpstreamFailed."""

    async def main() -> list[bytes]:
        answer = Unpacked(Given(parts), "v", coding=coding, bytes_max=bytes_max)
        pieces = []
        while piece := await answer.read():
            assert len(piece) <= PIECE_BYTES_MAX
            pieces.append(piece)
        assert await answer.read() == b""
        return pieces

    return run_virtual(main())


async def read_into(pieces: list[bytes], answer: Unpacked) -> None:
    """Read an answer to its end. Raises UpstreamFailed."""
    while piece := await answer.read():
        pieces.append(piece)


FORMS = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "x-gzip": ("x-gzip", gzip.compress(TEXT)),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "deflate without a frame": ("deflate", raw(TEXT)),
    "deflate that is gzip": ("deflate", gzip.compress(TEXT)),
    "gzip that is deflate": ("gzip", zlib.compress(TEXT)),
    "two members": ("gzip", gzip.compress(TEXT[:20]) + gzip.compress(TEXT[20:])),
    "three members, one empty": ("gzip", gzip.compress(TEXT[:20]) + gzip.compress(b"") + gzip.compress(TEXT[20:])),
    "padding": ("gzip", gzip.compress(TEXT) + bytes(9)),
    "padding that begins as a member does": ("gzip", gzip.compress(TEXT) + b"\x1f"),
    "flushed": ("gzip", b"".join(flushed(TEXT[:9], TEXT[9:]))),
}


@pytest.mark.parametrize(("coding", "packed"), FORMS.values(), ids=FORMS)
def test_every_form_is_unpacked_whatever_the_split(coding: str, packed: bytes) -> None:
    """Whole, split at every byte, and byte by byte."""
    for at in range(len(packed)):
        assert b"".join(unpacked((packed[:at], packed[at:]), coding)) == TEXT
    assert b"".join(unpacked((packed[at : at + 1] for at in range(len(packed))), coding)) == TEXT


@settings(deadline=None, max_examples=repeats(60))
@given(st.binary(max_size=300_000), st.sampled_from(["gzip", "deflate", "raw"]), st.lists(st.integers(1, 50_000), max_size=8))
def test_any_bytes_come_out_as_they_went_in(data: bytes, form: str, sizes: list[int]) -> None:
    """Whatever they are, in whatever pieces they arrive."""
    packed = {"gzip": gzip.compress, "deflate": zlib.compress, "raw": raw}[form](data)
    parts = []
    for size in [*sizes, len(packed)]:
        parts.append(packed[:size])
        packed = packed[size:]
    assert b"".join(unpacked(parts, "gzip" if form == "gzip" else "deflate")) == data


def test_each_event_of_a_stream_comes_as_soon_as_it_has_arrived() -> None:
    """A flushed event waits for no later byte."""
    events = [TEXT, b": keep-alive\n\n", TEXT]
    assert unpacked(flushed(*events)) == events


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_an_answer_that_ends_in_its_middle_is_a_failure(coding: str) -> None:
    """Wherever the compressed bytes end, checksum included: what is there is given, and the end is no proper one."""
    packed = gzip.compress(TEXT) if coding == "gzip" else zlib.compress(TEXT)
    for length in range(1, len(packed)):
        with pytest.raises(UpstreamFailed) as failure:
            unpacked((packed[:length],), coding)
        assert failure.value.error.code == "upstream_unavailable"


@pytest.mark.parametrize(
    ("coding", "data"),
    [("gzip", TEXT), ("gzip", raw(TEXT)), ("deflate", b"\xff" * 50), ("gzip", gzip.compress(TEXT, mtime=0)[:-8] + bytes(8))],
    ids=["text", "no frame", "rubbish", "a wrong checksum"],
)
def test_what_is_not_what_it_says_is_a_failure(coding: str, data: bytes) -> None:
    """Text under the name of gzip, rubbish, a wrong checksum."""
    with pytest.raises(UpstreamFailed) as failure:
        unpacked((data,), coding)
    assert failure.value.error.code == "gateway_error"


def test_an_empty_body_is_empty() -> None:
    """Nothing was packed, so nothing is missing."""
    assert unpacked(()) == []


def test_a_document_is_bounded_by_what_it_unpacks_to() -> None:
    """A bomb of 64 MiB is left when it passes the bound: no piece is large, and the rest is not unpacked."""
    bomb = gzip.compress(bytes(1 << 26))
    parts = [bomb[at : at + 1_000] for at in range(0, len(bomb), 1_000)]
    assert sum(map(len, unpacked(parts, bytes_max=1 << 26))) == 1 << 26

    async def main() -> None:
        source = Given(parts)
        answer = Unpacked(source, "v", coding="gzip", bytes_max=1_000_000)
        with pytest.raises(UpstreamFailed, match="unpacked") as failure:
            await read_into([], answer)
        assert failure.value.error.code == "gateway_error"
        assert source.taken <= 4

    run_virtual(main())


def test_a_packed_stream_is_given_out_in_no_larger_pieces_than_a_plain_one() -> None:
    """Each is worked off in one turn of the loop, and held while the client does not read."""
    pieces = unpacked([gzip.compress(b"".join([b": %d\n\n" % number for number in range(100_000)]))])
    assert max(map(len, pieces)) <= ARRIVAL_BYTES_MAX


def test_a_stream_may_pack_well_but_not_beyond_all_bounds() -> None:
    """A hundred thousand events that differ by a number pass; a bomb, which no stream of tokens is, is left within its free bytes."""
    events = b"".join(b'data: {"id":"chatcmpl-1","choices":[{"delta":{"content":"w%d"}}]}\n\n' % number for number in range(100_000))
    assert b"".join(unpacked((gzip.compress(events),))) == events
    bomb = gzip.compress(bytes(1 << 26))

    async def main() -> None:
        answer = Unpacked(Given((bomb[:16_384], bomb[16_384:])), "v", coding="gzip", bytes_max=None)
        pieces: list[bytes] = []
        with pytest.raises(UpstreamFailed, match="bytes became"):
            await read_into(pieces, answer)
        assert sum(map(len, pieces)) <= max(RATIO_FREE_BYTES, RATIO_MAX * 16_384) + PIECE_BYTES_MAX

    run_virtual(main())


def test_unpacking_lets_others_have_their_turn() -> None:
    """While megabytes come out of one packet another task runs between any two pieces."""

    async def main() -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        answer = Unpacked(Given((gzip.compress(bytes(1 << 22)),)), "v", coding="gzip", bytes_max=1 << 26)
        pieces = 0
        while await answer.read():
            pieces += 1
        assert turns >= pieces - 2
        task.cancel()

    run_virtual(main())
