"""Server-sent events as they arrived, and the chunks in them. Repairs nothing, so that a rule can be broken."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import msgspec

from aisa.checks.client import Response
from aisa.checks.subject import Broken

Json = dict[str, Any]
DONE = "[DONE]"
#: The words of the played vendor's streams: every way of counting, by pieces, by size or by a tokenizer, makes one token of each.
WORDS = (b" word", b" Word")


class Event(NamedTuple):
    """One event: its name, its data, the JSON object in it (None if there is none), and when its last byte came. A comment has no data."""

    name: str
    data: str
    value: Json | None
    at: float
    comment: str = ""


def events_of(response: Response) -> list[Event]:
    """Return the events of a body; what stands behind the last blank line is one too. A line that no reader knows is Broken."""
    events: list[Event] = []
    waiting = b""
    for at, piece in response.pieces:
        waiting += piece.replace(b"\r\n", b"\n")
        *blocks, waiting = waiting.split(b"\n\n")
        events += [_event(block, at) for block in blocks if block.strip()]
    if waiting.strip():
        events.append(_event(waiting, response.ended_at))
    return events


def _event(block: bytes, at: float) -> Event:
    name, data, comment = "", list[str](), ""
    for line in block.decode("utf-8", "replace").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "":
            comment = value or comment
        elif field not in ("id", "retry"):
            raise Broken(f"a line that is no event: {line[:80]!r}")
    text = "\n".join(data)
    return Event(name, text, _object_in(text), at, comment)


def _object_in(text: str) -> Json | None:
    try:
        value = msgspec.json.decode(text.encode()) if text else None
    except msgspec.DecodeError:
        return None
    return cast("Json", value) if isinstance(value, dict) else None


def chunks_of(response: Response) -> list[Json]:
    """Return the JSON of the events, without errors and `[DONE]`."""
    return [event.value for event in events_of(response) if event.value is not None and "error" not in event.value]


def choices_of(response: Response) -> list[Json]:
    """Return the entries of `choices` of all chunks, in order."""
    return [choice for chunk in chunks_of(response) for choice in chunk.get("choices") or () if isinstance(choice, dict)]


def deltas_of(response: Response, index: int = 0) -> list[Json]:
    """Return the deltas of one choice."""
    return [choice.get("delta") or {} for choice in choices_of(response) if choice.get("index") == index]


def text_of(response: Response) -> str:
    """Return the text of choice 0."""
    return "".join(delta.get("content") or "" for delta in deltas_of(response))


def finishes_of(response: Response) -> list[str]:
    """Return the finish reasons, in order."""
    return [choice["finish_reason"] for choice in choices_of(response) if choice.get("finish_reason")]


def errors_of(response: Response) -> list[Event]:
    """Return the events that report a failure."""
    return [event for event in events_of(response) if event.value is not None and event.value.get("error")]


def words_of(data: bytes) -> int:
    """Return how many words of the played vendor's are in some bytes, however they are put into events."""
    return sum(data.count(word) for word in WORDS)


def is_done(response: Response) -> bool:
    """Say whether the stream said `[DONE]`."""
    return any(event.data == DONE for event in events_of(response))
