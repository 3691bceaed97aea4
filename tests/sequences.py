"""The streams by which clients judge us, what each holds, and what each door makes of it. Not a test.

`sequences.json` has, by protocol, streams that are legal and as full as they come. No reader of ours says what is in one.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from aisa.config.schema import Prices
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorStates
from aisa.testing.aws_frames import frames_of
from aisa.testing.clock import run_virtual
from aisa.wire.door import Door
from door_readers import SPEAKERS
from rig import MemoryClient, Rig, Script, ScriptedUpstream
from sdk_readers import CALLS, FRAMES, LENGTH, READERS, REFUSED, SSE, STOP, Read

SEQUENCES: dict[str, dict[str, list[Any]]] = json.loads((Path(__file__).parent / "sequences.json").read_bytes())
ALL = [(protocol, name) for protocol, named in SEQUENCES.items() for name in named]
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


#: Which protocol each door speaks, and so whose client comes to it.
SPOKEN = {"chat": "openai", "responses": "responses", "messages": "anthropic", "gemini": "gemini", "completions": "completions"}
#: Of each door every sequence; no vendor answers anything but a text completion with one.
CELLS = [(door, protocol, name) for door in SPOKEN for protocol, name in ALL if protocol != "completions" or door == "completions"]


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


def due(door: str, protocol: str, name: str) -> Read:
    """What a door's client must have of a sequence: what its vendor's client has; no count is due where the vendor told none.

    A text completion has no words for thinking and for calls (`docs/completions.md`), and only the Responses API for the namespace of one.
    A failure is told without a reason for the end.
    """
    theirs = read_of(protocol, name)
    if door == "completions":
        return theirs._replace(thinking="", calls=(), end=STOP if theirs.end == CALLS else theirs.end)
    if door != "responses":
        return theirs._replace(calls=tuple([(called.replace("/", "__"), given) for called, given in theirs.calls]))
    return theirs
