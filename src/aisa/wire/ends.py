"""How an answer ended: its id and why its choices did. Reads it of a document that is one already; judges no vendor's word."""

from __future__ import annotations

import msgspec

#: An answer's id, empty if it has none, and why each choice ended, in order: a verdict of `finish`, an empty text of one that has not.
Ends = tuple[str, tuple[str, ...]]
NO_ENDS: Ends = "", ()


class EndedChoice(msgspec.Struct):
    """Of a choice its finish."""

    finish_reason: str | None = None


class EndedAnswer(msgspec.Struct):
    """Of a `chat.completion` what it is asked for here."""

    id: str = ""
    choices: list[EndedChoice] = []


decode_ended = msgspec.json.Decoder(EndedAnswer).decode


def ends_in(body: bytes) -> Ends:
    """Return how a `chat.completion` ended; nothing of a body that is none."""
    try:
        answer = decode_ended(body)
    except msgspec.MsgspecError:
        return NO_ENDS
    return answer.id, tuple([choice.finish_reason or "" for choice in answer.choices])
