"""The shape that most whole responses have: texts, calls and thinking, complete, with a report that needs no second look. Reads only that.

What is anything else, `responses_reader.py` reads.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from aisa.usage import REPORTED, Usage
from aisa.wire.plain import NOT_PLAIN, Count, Text, is_utf8
from aisa.wire.trees import Tree

Nothing = Annotated[list[Any], Meta(max_length=0)]


class TextPart(msgspec.Struct, tag_field="type", tag="output_text"):
    """A text of a message, which cites nothing and has no log-probabilities."""

    text: str
    annotations: Nothing = []
    logprobs: Nothing | None = None


class Message(msgspec.Struct, tag_field="type", tag="message"):
    """What the model says."""

    content: list[TextPart]
    status: Literal["completed"] = "completed"


class Call(msgspec.Struct, tag_field="type", tag="function_call"):
    """What it calls."""

    call_id: Text
    name: Text
    arguments: str
    status: Literal["completed"] = "completed"


class Cached(msgspec.Struct, forbid_unknown_fields=True):
    """The parts of the input. How long writes to caches last is asked for elsewhere."""

    cached_tokens: Count
    cache_write_tokens: Literal[0] = 0


class Thought(msgspec.Struct, forbid_unknown_fields=True):
    """How much of the output was thinking."""

    reasoning_tokens: Count


class Counts(msgspec.Struct, forbid_unknown_fields=True):
    """A report in which no count needs a second look, with all that clients take for granted."""

    input_tokens: Count
    output_tokens: Count
    total_tokens: Count
    input_tokens_details: Cached
    output_tokens_details: Thought

    def usage(self) -> Usage | None:
        """Return the tokens, None where a side is missing or the sums are not right."""
        cached, thought = self.input_tokens_details.cached_tokens, self.output_tokens_details.reasoning_tokens
        taken, made = self.input_tokens, self.output_tokens
        if not taken or not made or taken + made != self.total_tokens or cached > taken or thought > made:
            return None
        return Usage(taken, made, cached, 0, thought, REPORTED, REPORTED)


class PlainResponse(msgspec.Struct):
    """A whole response."""

    id: Text
    object: Literal["response"]
    model: Text
    status: Literal["completed"]
    output: list[Message | Call]
    usage: Counts
    service_tier: str | None = None
    store: bool | None = None
    error: None = None
    incomplete_details: None = None
    tool_usage: UnsetType | None = UNSET
    input_transformations: Nothing | None = None

    def texts(self) -> list[str]:
        """Return the texts of the output, in the pieces in which they stand: what was said, and calls with what they were given."""
        found: list[str] = []
        for item in self.output:
            found += [item.name, item.arguments] if isinstance(item, Call) else [part.text for part in item.content]
        return [text for text in found if text]


RESPONSE = msgspec.json.Decoder(PlainResponse)


def plain_usage(report: Tree) -> Usage | None:
    """Return what a report comes to that has this shape, None of any other."""
    try:
        return msgspec.convert(report, Counts).usage()
    except msgspec.ValidationError:
        return None


def plain_response(body: bytes) -> PlainResponse | None:
    """Return a response of this shape, None for any other."""
    try:
        response = RESPONSE.decode(body)
    except NOT_PLAIN:
        return None
    return response if response.output and is_utf8(body) else None
