"""Vendors' own clients judge both sides: they read the sequences that our scripted vendors send, and what each door makes of them.

What a vendor's client has of its sequence, the client of each door must have of our answer. `make compat` asks the clients for JavaScript.
"""

from __future__ import annotations

import pytest
from mistralai.client.errors import ResponseValidationError

from aisa.wire.whole_calls import WholeCallsDoor
from door_readers import CITY as SCHEMA
from door_readers import SPEAKERS
from rig import chunk, text
from sdk_readers import CALLS, READERS
from sequences import ALL, CELLS, CITY, HELD, SPOKEN, answered, due, read_of, sent


@pytest.mark.parametrize(("protocol", "name"), [pytest.param(*each, id="-".join(each)) for each in ALL])
def test_the_vendors_own_client_reads_the_sequence(protocol: str, name: str) -> None:
    """It has the text, the thinking and the calls that are in it, why it ended, and what it used; a failure is told."""
    read, held = read_of(protocol, name), HELD[name]
    assert (read.text, read.thinking, read.calls, read.end) == (held.text, held.thinking, held.calls, held.end)
    assert held.failed in read.failed
    assert held.tokens in ((0, 0), read.tokens)


@pytest.mark.parametrize(("door", "protocol", "name"), [pytest.param(*cell, id="-".join(cell)) for cell in CELLS])
def test_the_doors_client_has_what_the_vendors_client_has(door: str, protocol: str, name: str) -> None:
    """Of our answer, as of the vendor's: the same text, thinking, calls, end and count of tokens, and a failure where it is told of one.

    A count that the vendor does not tell is ours.
    """
    theirs = due(door, protocol, name)
    client = answered(door, protocol, name)
    ours = READERS[SPOKEN[door]](client.body)
    if theirs.tokens == (0, 0):
        ours = ours._replace(tokens=theirs.tokens)
    if theirs.failed:
        assert (client.status, ours.text, ours.end, bool(ours.failed)) == (200, theirs.text, "", True)
    else:
        assert ours == theirs


def test_a_tool_of_a_namespace_is_called_in_it_by_a_vendor_that_knows_none() -> None:
    """The vendor of chat completions knows it by one flat name; the client of the Responses API has both parts again."""
    tool = {"type": "function", "name": "weather", "parameters": SCHEMA}
    asked = {**SPEAKERS["responses"].ask("text"), "tools": [{"type": "namespace", "name": "sky", "description": "d", "tools": [tool]}]}
    called = {"index": 0, "id": "c1", "type": "function", "function": {"name": "sky__weather", "arguments": CITY}}
    steps = [*text(), chunk({"tool_calls": [called]}), chunk({}, "tool_calls"), b"data: [DONE]\n\n"]
    ours = READERS["responses"](sent(SPEAKERS["responses"].door, asked, "openai", steps).body)
    assert (ours.calls, ours.end) == (HELD["a call in a namespace"].calls, CALLS)


def test_a_call_in_fragments_comes_whole_to_who_asks_for_that() -> None:
    """Mistral's client reads it then, as OpenAI's does; of fragments it says that they are no chunks."""
    called = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": CITY[:5]}}
    more = {"index": 0, "function": {"arguments": CITY[5:]}}
    steps = [*text(), chunk({"tool_calls": [called]}), chunk({"tool_calls": [more]}), chunk({}, "tool_calls"), b"data: [DONE]\n\n"]
    asked = SPEAKERS["chat"].ask("tools")
    whole, fragments = [sent(door, asked, "openai", steps).body for door in (WholeCallsDoor(), SPEAKERS["chat"].door)]
    held = HELD["a call in one fragment"]
    for protocol in ("mistral", "openai"):
        assert READERS[protocol](whole)._replace(tokens=(0, 0)) == held
    assert READERS["openai"](fragments)._replace(tokens=(0, 0)) == held
    with pytest.raises(ResponseValidationError):
        READERS["mistral"](fragments)
