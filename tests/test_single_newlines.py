"""Vendors that end an event with one newline where two belong: they are heard, in each dialect of server-sent events."""

from __future__ import annotations

import pytest

from door_readers import SPEAKERS
from sdk_readers import READERS
from sequences import CELLS, SPOKEN, sent, stream_of


@pytest.mark.parametrize(
    ("door", "protocol", "name"), [cell for cell in CELLS if cell[0] in ("chat", "completions") and cell[1] != "bedrock"]
)
def test_events_that_no_blank_line_parts_are_read_one_by_one(door: str, protocol: str, name: str) -> None:
    """The client has what it has of the same stream as it should be."""
    asked = {**SPEAKERS[door].ask("tools"), "stream_options": {"include_usage": True}}
    whole = b"".join(stream_of(protocol, name))
    read = [
        READERS[SPOKEN[door]](sent(SPEAKERS[door].door, asked, protocol, [body]).body) for body in (whole, whole.replace(b"\n\n", b"\n"))
    ]
    assert read[0] == read[1]
