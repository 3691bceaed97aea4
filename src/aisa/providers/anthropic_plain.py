"""The shapes that most of Anthropic's answers have: a further piece of text, and a message of texts and calls. Reads only those.

What is anything else, or more than that, `anthropic_events.py` reads.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from aisa.usage import REPORTED, Usage
from aisa.wire.plain import NOT_PLAIN, ChunkTemplate, Count, Text
from aisa.wire.vendor_tier import tier_named

SIGN = b'"text_delta"'  # what has it not is not tried
Word = Annotated[str, Meta(pattern=r"^[\w.:-]*\Z")]  # without braces, so that the end of what it stands in can be found


class PlainDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The piece. Its type, and an event's, are fields: what only may be one thing is taken without its tag, too."""

    type: Literal["text_delta"]
    text: str


class PlainText(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An event that says it of a block."""

    type: Literal["content_block_delta"]
    index: int
    delta: PlainDelta


class TextBlock(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text", gc=False):
    """A text of a message, which cites nothing."""

    text: Text
    citations: None = None


class CallBlock(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="tool_use"):
    """A call of a tool."""

    id: Text
    name: Text
    input: dict[str, Any]
    caller: dict[str, Any] | None = None
    toolset_name: str | None = None


class Writes(msgspec.Struct, forbid_unknown_fields=True):
    """What was written to caches: nothing. How long writes last is asked for elsewhere."""

    ephemeral_5m_input_tokens: Literal[0] = 0
    ephemeral_1h_input_tokens: Literal[0] = 0


class Thought(msgspec.Struct, forbid_unknown_fields=True):
    """How much of the output was thinking."""

    thinking_tokens: Count = 0


class Counts(msgspec.Struct, forbid_unknown_fields=True):
    """A report in which no count needs a second look. `input_tokens` are those that were not cached."""

    input_tokens: Count
    output_tokens: Count
    cache_read_input_tokens: Count | None = 0
    cache_creation_input_tokens: Literal[0] | None = 0
    cache_creation: Writes | None = None
    output_tokens_details: Thought | None = None
    server_tool_use: None = None
    service_tier: Word | None = None
    speed: Literal["standard"] | None = None
    inference_geo: Literal["global", "not_available"] | None = None

    def usage(self) -> Usage | None:
        """Return the tokens, None where a side is missing or a part is larger than its whole."""
        cached, made = self.cache_read_input_tokens or 0, self.output_tokens
        taken = self.input_tokens + cached
        thought = 0 if self.output_tokens_details is None else self.output_tokens_details.thinking_tokens
        if not taken or not made or thought > made:
            return None
        return Usage(taken, made, cached, 0, thought, REPORTED, REPORTED)

    def tier(self) -> str | None:
        """Return the service tier that it names, None if it names none."""
        tier = tier_named(self.service_tier)
        return "" if tier is None and self.speed is not None else tier


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A whole message."""

    id: Text
    type: Literal["message"]
    role: Literal["assistant"]
    model: Text
    content: list[TextBlock | CallBlock]
    stop_reason: Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]
    usage: Counts
    stop_sequence: str | None = None
    stop_details: None = None
    container: None = None

    def texts(self) -> list[str]:
        """Return the texts of the output: what was said, and what calls were given."""
        return [block.text if isinstance(block, TextBlock) else msgspec.json.encode(block.input).decode() for block in self.content]


FURTHER_PLACES = 32  # of blocks whose events have a template; a message has a few
BEFORE, AFTER = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":"', b'"}}'


def further_of(place: int) -> ChunkTemplate:
    """Return what events of further text in a block have around the text."""
    before = BEFORE % place
    return ChunkTemplate(before, AFTER, before, AFTER + b"\n\n", untouched=True)


EVENT = msgspec.json.Decoder(PlainText)
MESSAGE = msgspec.json.Decoder(PlainMessage)


def plain_text(data: bytes) -> PlainText | None:
    """Return an event of this shape, None for any other."""
    if SIGN not in data:
        return None
    try:
        return EVENT.decode(data)
    except NOT_PLAIN:
        return None


def plain_message(body: bytes | bytearray) -> PlainMessage | None:
    """Return a message of this shape, None for any other."""
    try:
        message = MESSAGE.decode(body)
    except NOT_PLAIN:
        return None
    told = message.stop_reason == ("end_turn" if any(isinstance(block, CallBlock) for block in message.content) else "tool_use")
    return None if told or not message.content else message  # a reason that its calls, or that it has none, contradict is looked at again
