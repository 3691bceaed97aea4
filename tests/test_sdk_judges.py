"""Vendors' own clients judge both sides: they read the sequences that our scripted vendors send, and what each door makes of them.

`sequences.json` has, by protocol, streams that are legal and as full as they come. No reader of ours says what is in one: what a vendor's
client has of its sequence, the client of each door must have of our answer.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from mistralai.client.errors import ResponseValidationError

from aisa.config.schema import Prices
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorStates
from aisa.testing.aws_frames import frames_of
from aisa.testing.clock import run_virtual
from aisa.wire.door import Door
from aisa.wire.whole_calls import WholeCallsDoor
from door_readers import CITY as SCHEMA
from door_readers import SPEAKERS
from rig import MemoryClient, Rig, Script, ScriptedUpstream, chunk, text
from sdk_readers import CALLS, FRAMES, LENGTH, READERS, REFUSED, SSE, STOP, Read

SEQUENCES: dict[str, dict[str, list[Any]]] = json.loads((Path(__file__).parent / "sequences.json").read_bytes())
ALL = [pytest.param(protocol, name, id=f"{protocol}-{name}") for protocol, named in SEQUENCES.items() for name in named]
NAMED = ("anthropic", "responses", "cohere")  # their events have names
DONE = ("openai", "mistral", "completions")  # their streams end in [DONE]
TEXT, PLAN, CITY = "It rains.", "The weather is meant.", '{"city":"Oslo"}'
#: What is in each, as its own client has it.
HELD = {
    "a text": Read(TEXT, end=STOP),
    "usage at the end": Read(TEXT, end=STOP, tokens=(71, 5)),
    "a refusal": Read("I will not.", end=REFUSED),
    "an end at the bound": Read(TEXT, end=LENGTH),
    "an end at the bound, with usage": Read(TEXT, end=LENGTH, tokens=(3, 1)),
    "a call alone": Read(calls=(("weather", CITY),), end=CALLS),
    "a call in one fragment": Read(calls=(("weather", CITY),), end=CALLS),
    "a call in a namespace": Read(calls=(("sky/weather", CITY),), end=CALLS),
    "thinking, a text and a call": Read("Let me see.", PLAN, (("weather", CITY),), CALLS),
    "thinking, a text and two calls": Read("Let me see.", PLAN, (("weather", CITY), ("now", "{}")), CALLS, (30, 24)),
    "thinking, a plan and a call": Read("", PLAN + "I ask what the weather is.", (("weather", CITY),), CALLS, (66, 20)),
    "a failure after text": Read(TEXT, failed="The vendor broke off."),
    "a failure after thinking": Read("", PLAN, failed="The vendor broke off."),
}


def stream_of(protocol: str, name: str) -> list[bytes]:
    """A sequence as its vendor sends it, in pieces of an event each."""
    events = SEQUENCES[protocol][name]
    if protocol == "bedrock":
        return [frames_of([event]) for event in events]
    kind = [f"event: {event['type']}\n" if protocol in NAMED else "" for event in events]
    written = [f"{first}data: {json.dumps(event)}\n\n".encode() for first, event in zip(kind, events, strict=True)]
    return [*written, b"data: [DONE]\n\n"] if protocol in DONE and "error" not in events[-1] else written


@cache
def read_of(protocol: str, name: str) -> Read:
    """What the vendor's own client has of a sequence."""
    return READERS[protocol](b"".join(stream_of(protocol, name)))


@pytest.mark.parametrize(("protocol", "name"), ALL)
def test_the_vendors_own_client_reads_the_sequence(protocol: str, name: str) -> None:
    """It has the text, the thinking and the calls that are in it, why it ended, and what it used; a failure is told."""
    read, held = read_of(protocol, name), HELD[name]
    assert (read.text, read.thinking, read.calls, read.end) == (held.text, held.thinking, held.calls, held.end)
    assert held.failed in read.failed
    assert held.tokens in ((0, 0), read.tokens)


#: Which protocol each door speaks, and so whose client comes to it.
SPOKEN = {"chat": "openai", "responses": "responses", "messages": "anthropic", "gemini": "gemini", "completions": "completions"}
CELLS = [
    pytest.param(door, protocol, name, id=f"{door}-{protocol}-{name}")
    for door in SPOKEN
    for protocol, named in SEQUENCES.items()
    for name in named
    if protocol != "completions" or door == "completions"  # no vendor answers anything else with one
]


def sent(door: Door, asked: dict[str, Any], protocol: str, steps: list[bytes]) -> MemoryClient:
    """What a client of a door gets when a vendor of this protocol sends these."""
    vendor = ScriptedUpstream(Script(steps, headers={"content-type": FRAMES if protocol == "bedrock" else SSE}))
    dialect = "openai" if protocol == "completions" else protocol
    rig = Rig(vendor, vendor={"dialect": dialect, "completions": protocol == "completions"}, prices=Prices(input=1, output=2))
    rig.dependencies.states = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0))
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=door))
    return client


def answered(door: str, protocol: str, name: str) -> MemoryClient:
    """What a client of a door gets when its vendor sends a sequence."""
    usage = {"stream_options": {"include_usage": True}} if door in ("chat", "completions") else {}
    speaker = SPEAKERS[door]
    return sent(speaker.door, {**speaker.ask("tools"), **usage}, protocol, stream_of(protocol, name))


@pytest.mark.parametrize(("door", "protocol", "name"), CELLS)
def test_the_doors_client_has_what_the_vendors_client_has(door: str, protocol: str, name: str) -> None:
    """Of our answer, as of the vendor's: the same text, thinking, calls, end and count of tokens, and a failure where it is told of one.

    A text completion has no words for thinking and for calls (`docs/completions.md`), and only the Responses API for the namespace of one.
    A count that the vendor does not tell is ours.
    """
    theirs = read_of(protocol, name)
    client = answered(door, protocol, name)
    ours = READERS[SPOKEN[door]](client.body)
    if door == "completions":
        theirs = theirs._replace(thinking="", calls=(), end=STOP if theirs.end == CALLS else theirs.end)
    elif door != "responses":
        theirs = theirs._replace(calls=tuple([(called.replace("/", "__"), given) for called, given in theirs.calls]))
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
