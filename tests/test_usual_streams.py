"""What each vendor's streams are usually made of, hundreds of events of one form, is what a client of each door has of them.

The forms are those that are read by templates and by types of their own, so nothing of them may be lost on the short way. What the bench
measures is what is read here, and the doors' own clients judge.
"""

from __future__ import annotations

import pytest
from benchmarks.dialects import ARRIVAL_BYTES_MAX, INPUT, SPOKEN, WORDS

from door_readers import SPEAKERS
from sdk_readers import READERS, STOP, Read
from sequences import SPOKEN as CLIENTS
from sequences import sent

TEXT = "".join(WORDS)


@pytest.mark.parametrize("alone", [True, False], ids=["one by one", "many at a time"])
@pytest.mark.parametrize("dialect", SPOKEN)
@pytest.mark.parametrize("door", CLIENTS)
def test_every_word_of_a_usual_stream_arrives(door: str, dialect: str, alone: bool) -> None:
    """And the count of all of them, however they came."""
    usage = {"stream_options": {"include_usage": True}} if door in ("chat", "completions") else {}
    speaker = SPEAKERS[door]
    events = list(SPOKEN[dialect]())
    whole = b"".join(events)
    many = [whole[start : start + ARRIVAL_BYTES_MAX] for start in range(0, len(whole), ARRIVAL_BYTES_MAX)]
    client = sent(speaker.door, {**speaker.ask("text"), **usage}, dialect, events if alone else many)
    assert READERS[CLIENTS[door]](client.body) == Read(TEXT, end=STOP, tokens=(INPUT, len(WORDS)))
