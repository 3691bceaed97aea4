"""Vendors' answers as no vendor sends them, in every dialect, for every door: the corpus with values, names and events changed. No test.

`python tests/door_mutations.py COUNT [FIRST]` looks at so many, numbered from FIRST, and prints what is wrong with any of them.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import mutations
from aisa.config.schema import Prices
from aisa.facts import BugFound
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorStates
from aisa.testing.aws_frames import frames_of
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_answer, check_stream
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.trees import trees_in
from door_readers import SPEAKERS, Json, data_of
from rig import MemoryClient, Rig, Script, ScriptedUpstream

CORPUS = Path(__file__).parent / "corpus"
DIALECTS = ("openai", "responses", "anthropic", "gemini", "bedrock", "cohere", "mistral")
CASES = {name: [path for path in sorted((CORPUS / name).iterdir()) if not (path / "upstream.meta.json").exists()] for name in DIALECTS}
SSE, FRAMES, JSON = "text/event-stream", "application/vnd.amazon.eventstream", "application/json"
FRAMED = "upstream.frames.json"
MUTATIONS_MAX, SPLITS_MAX = 4, 4
STREAMED_OF_TEN = 7
#: What is put in place of a value besides what `mutations` has: where a number or a name is wanted above all.
VALUES = (
    *mutations.VALUES, b"-0", b"3.5", b"false", b'"\\u0000"', b"[[]]", b'{"type":"text","text":"x"}', b'"tool_use"', b'"end_turn"',
    b'"STOP"', b'"message_stop"', b'"function_call"', b'"fc_1"', b'"response.completed"',
)  # fmt: skip
PIECES = (
    *mutations.PIECES, b"data: {}\n\n", b"data: null\n\n", b"data: []\n\n", b'event: ping\ndata: {"type":"ping"}\n\n', b"id: 4\n",
    b"retry: 1\n", b'event: message_stop\ndata: {"type":"message_stop"}\n\n', b'data: {"type":"response.completed"}\n\n',
    b'data: {"candidates":[{"finishReason":"STOP"}]}\n\n', b'data: {"type":"content_block_stop","index":0}\n\n',
    b'data: {"type":"message-end","delta":{"finish_reason":"COMPLETE"}}\n\n',
    b'data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":-3}}\n\n',
)  # fmt: skip
NAME = re.compile(rb'"(\w+)"(?=\s*:)')


class Seen(NamedTuple):
    """What came of a mutant: where it is from, what the client has, and what the ledger and the log say."""

    case: Path
    door: str
    stream: bool
    client: MemoryClient
    rig: Rig


def replace_value(body: bytes, chance: random.Random) -> bytes:
    """Put another value in place of one."""
    places = list(mutations.VALUE.finditer(body))
    if not places:
        return body
    place = chance.choice(places)
    return body[: place.start()] + chance.choice(VALUES) + body[place.end() :]


def rename(body: bytes, chance: random.Random) -> bytes:
    """Give a member another one's name."""
    names = list(NAME.finditer(body))
    if not names:
        return body
    old, new = chance.choice(names), chance.choice(names)
    return body[: old.start(1)] + new[1] + body[old.end(1) :]


def insert(body: bytes, chance: random.Random) -> bytes:
    """Put something between two events, or somewhere."""
    ends = [match.end() for match in re.finditer(rb"\n\n", body)]
    at = chance.choice(ends) if ends and chance.random() < 0.7 else chance.randrange(len(body) + 1)
    return body[:at] + chance.choice(PIECES) + body[at:]


Mutation = Callable[[bytes, random.Random], bytes]
MUTATIONS: tuple[Mutation, ...] = (
    replace_value, replace_value, rename, insert, mutations.drop, mutations.cut_off, mutations.flip, mutations.shuffle,
)  # fmt: skip


def in_frames(case: Path, chance: random.Random) -> bytes:
    """What Bedrock might send: frames that are whole and say something else, or are not whole."""
    told = (case / FRAMED).read_bytes()
    for _ in range(chance.randint(1, MUTATIONS_MAX)):
        changed = chance.choice((replace_value, rename))(told, chance)
        if is_json(changed):
            told = changed
    frames = json.loads(told)
    if chance.random() < 0.3:
        frames.insert(chance.randrange(len(frames) + 1), frames.pop(chance.randrange(len(frames))))
    try:
        body = frames_of(frames)
    except (KeyError, TypeError, AttributeError):  # what was changed is the frame itself
        body = frames_of(json.loads((case / FRAMED).read_bytes()))
    return mutations.flip(body, chance) if chance.random() < 0.1 else body


def is_json(data: bytes) -> bool:
    """Tell whether it is."""
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def body_of(case: Path, chance: random.Random) -> tuple[bytes, str]:
    """What the vendor sends of a case, and of which type."""
    if (case / FRAMED).exists():
        return in_frames(case, chance), FRAMES
    kind = SSE if (case / "upstream.sse").exists() else JSON
    body = b"".join(path.read_bytes() for path in sorted(case.glob("upstream.[sj]s*[en]")))
    for _ in range(chance.randint(0, MUTATIONS_MAX)):
        body = chance.choice(MUTATIONS)(body, chance)
    return body, kind


def played(number: int) -> Seen:
    """Play a mutant through the path."""
    chance = random.Random(number)
    dialect, name, stream = chance.choice(DIALECTS), chance.choice(list(SPEAKERS)), chance.randrange(10) < STREAMED_OF_TEN
    case = chance.choice(CASES[dialect])
    body, kind = body_of(case, chance)
    asked, door = SPEAKERS[name].ask(chance.choice(("text", "tools"))), SPEAKERS[name].door
    if not stream:
        asked, door = asked_whole(asked), GeminiDoor("fast", stream=False) if name == "gemini" else door
    cuts = sorted(chance.randrange(len(body) + 1) for _ in range(chance.randint(0, SPLITS_MAX)))
    reads = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True) if start < end]
    vendor = ScriptedUpstream(*[Script(reads, headers={"content-type": kind})] * 2)
    return Seen(case, name, stream, *called(vendor, dialect, asked, door=door))


def asked_whole(asked: Json) -> Json:
    """The same for a document."""
    return {**asked, "stream": False} if "stream" in asked else asked


def called(vendor: ScriptedUpstream, dialect: str, asked: Json, *, door: Door) -> tuple[MemoryClient, Rig]:
    """Make one call. Raises whatever the path raises."""
    rig = Rig(vendor, vendor={"dialect": dialect, "completions": False}, prices=Prices(input=1, output=2))
    rig.dependencies.states = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0))
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=door))
    return client, rig


def wrong_with(number: int) -> list[str]:
    """Return what is wrong with what came of a mutant: with what the client got, or with what the ledger says of it."""
    seen = played(number)
    row = seen.rig.rows[-1]
    bugs = [repr(fact) for fact in seen.rig.facts if isinstance(fact, BugFound)]
    if seen.client.status != 200:
        fine = seen.client.status in (400, 404, 422, 429, 502, 503, 504, 529) and is_json(seen.client.body)
        ended = "refused" if seen.client.status in (400, 404, 422) else "failed"  # by its caller's fault
        return bugs + ([] if fine and (row.outcome, row.cost) == (ended, 0) else [f"{seen.client.status}, {row.outcome}, {row.cost}"])
    if not seen.stream:
        whole = json.loads(seen.client.body)
        wrong = check_answer(seen.client.body) if seen.door == "chat" else []
        return bugs + wrong + (["a failure as an answer"] if whole.get("error") or row.outcome != "completed" else [])
    last = data_of(seen.client.body)[-1]
    failed = bool(last.get("error")) or last.get("type") in ("error", "response.failed")
    told = [] if (row.outcome == "completed") is not failed else [f"the client was told {last}, and the row says {row.outcome}"]
    return bugs + CHECKS[seen.door](seen.client.body) + told


# What each protocol promises of a stream, whatever its vendor sent


def of_messages(stream: bytes) -> list[str]:
    """A message that is opened once, blocks that are stopped once, one reason, and nothing behind its end."""
    wrong: list[str] = []
    open_blocks: dict[int, bool] = {}
    told: list[str] = []
    for event in data_of(stream):
        kind = event["type"]
        begins = kind == "content_block_start"
        if kind.startswith("content_block") and (event["index"] in open_blocks) is begins:
            wrong.append(f"{kind} of {event['index']}")
        if begins:
            open_blocks[event["index"]] = True
        elif kind == "content_block_delta" and not open_blocks.get(event["index"]):
            wrong.append("a part of a block that is closed")
        elif kind == "content_block_stop":
            wrong += [] if open_blocks[event["index"]] else ["a block stops twice"]
            open_blocks[event["index"]] = False
        told.append(kind)
    places = [told.index(kind) for kind in ("message_start", "message_delta", "message_stop") if kind in told]
    once = all(told.count(kind) <= 1 for kind in ("message_start", "message_delta", "message_stop", "error"))
    ended = told[-1] == "error" or (told[-1] == "message_stop" and len(places) == 3 and not any(open_blocks.values()))
    first = next((kind for kind in told if kind.startswith(("message", "content"))), "message_start")
    return wrong + ([] if once and places == sorted(places) and ended and first == "message_start" else [f"in this order: {told}"])


def of_responses(stream: bytes) -> list[str]:
    """One end, which is the last; of vendors that speak it themselves the events between pass as they are."""
    ends = ("response.completed", "response.incomplete", "response.failed")
    told = [event.get("type") for event in data_of(stream)]
    return [] if [kind for kind in told if kind in ends] == told[-1:] else [f"in this order: {told}"]


def of_gemini(stream: bytes) -> list[str]:
    """A finish or an error, and nothing behind an error."""
    events = data_of(stream)
    finished = [event for event in events if any(each.get("finishReason") for each in trees_in(event.get("candidates")))]
    blocked = [event for event in events if "promptFeedback" in event]
    errors = ["error" in event for event in events]
    fine = errors.count(True) == 1 and errors[-1] and not finished if any(errors) else bool(finished or blocked)
    return [] if fine else [f"{len(finished)} finishes, {errors}"]


def of_completions(stream: bytes) -> list[str]:
    """Each choice finishes once, then `[DONE]`; or an error is the last."""
    finished: list[Any] = []
    events = data_of(stream)
    for event in events:
        finished += [choice["index"] for choice in event.get("choices", ()) if choice["finish_reason"]]
    if any("error" in event for event in events):
        return [] if "error" in events[-1] and not finished and b"data: [DONE]" not in stream else ["an error beside an end"]
    ended = stream.endswith(b"data: [DONE]\n\n") and finished
    return [] if ended and len(finished) == len(set(finished)) else [f"finished {finished}"]


CHECKS: dict[str, Callable[[bytes], list[str]]] = {
    "chat": lambda stream: check_stream(stream, include_usage=False),
    "messages": of_messages,
    "responses": of_responses,
    "gemini": of_gemini,
    "completions": of_completions,
}


if __name__ == "__main__":
    sys.exit(mutations.look_at_many(wrong_with) > 0)
