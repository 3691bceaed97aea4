"""The shapes that need no mending, as types: what decodes to one of them is conformant as it is. Does not decide what passes.

Decoding into a type checks every member at C speed; a loose tree and rules in Python take ten times as long.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from aisa.wire.usage_report import COUNT_MAX

Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]


class PlainDelta(msgspec.Struct, forbid_unknown_fields=True):
    """A delta of nothing but text."""

    content: Text


class PlainChoice(msgspec.Struct, forbid_unknown_fields=True):
    """A streamed choice of nothing but text; logprobs take the long way, because they tell how many tokens there are."""

    delta: PlainDelta
    index: int
    finish_reason: None = None
    logprobs: None = None


class PlainChunk(msgspec.Struct):
    """The chunk that streams are made of. It passes if it carries on the stream as that began."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: tuple[PlainChoice]
    usage: UnsetType | None = UNSET
    error: UnsetType | None = UNSET
    errors: UnsetType | None = UNSET
    base_resp: UnsetType | None = UNSET
    x_groq: UnsetType | None = UNSET


#: The inside of a JSON string that needs no look at its escapes or its encoding.
SIMPLE_TEXT = re.compile(rb"[ !#-\[\]-~]+").fullmatch


class Mould(msgspec.Struct, frozen=True):
    """What a stream's text chunks have in common: the bytes around the text, as the vendor sends them and as we send them.

    Chunks of one stream differ in their text alone. If one was found conformant, another with the same bytes around a simple text is
    so too, and need not be decoded: two comparisons and a scan of the text take a third of the time.
    """

    before: bytes
    after: bytes
    opening: bytes
    closing: bytes

    def cast(self, data: bytes) -> bytes | None:
        """Return the event to send for a chunk that fits, None for any other."""
        before, after = self.before, self.after
        if data.startswith(before) and data.endswith(after):
            text = data[len(before) : -len(after)]
            if SIMPLE_TEXT(text):
                return self.opening + text + self.closing
        return None

    def text(self, data: bytes) -> str:
        """Return the text of a chunk that fits."""
        return data[len(self.before) : -len(self.after)].decode("ascii")


def mould_of(data: bytes, emitted: bytes) -> Mould | None:
    """Return the mould of a conformant chunk and of the event made from it; None if its text cannot be told from the bytes."""
    start = data.find(CONTENT) + len(CONTENT)
    end = data.find(b'"', start)
    if data.count(CONTENT) != 1 or emitted.count(CONTENT) != 1 or not SIMPLE_TEXT(data[start:end]):
        return None
    opening, _, rest = emitted.partition(CONTENT)
    return Mould(data[:start], data[end:], b"data: " + opening + CONTENT, rest[end - start :] + b"\n\n")


CONTENT = b'"content":"'


class PlainCall(msgspec.Struct):
    """What an answer calls, with arguments as text."""

    name: str
    arguments: str


class PlainToolCall(msgspec.Struct):
    """A tool call of an answer."""

    id: Text
    type: Literal["function"]
    function: PlainCall


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True):
    """The message of an answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[Raw] | UnsetType = UNSET
    tool_calls: Annotated[list[PlainToolCall], Meta(min_length=1)] | UnsetType = UNSET
    function_call: PlainCall | UnsetType = UNSET
    reasoning_content: Text | UnsetType = UNSET
    reasoning: Text | UnsetType = UNSET


class PlainAnswerChoice(msgspec.Struct, forbid_unknown_fields=True):
    """A choice of an answer."""

    index: int
    message: PlainMessage
    logprobs: Raw | None
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class PlainInputDetails(msgspec.Struct, forbid_unknown_fields=True):
    """The parts of a prompt's tokens."""

    cached_tokens: Count | None = 0
    cache_write_tokens: Count | None = 0
    audio_tokens: Count | None = 0
    text_tokens: Count | None = 0


class PlainOutputDetails(msgspec.Struct, forbid_unknown_fields=True):
    """The parts of an answer's tokens."""

    reasoning_tokens: Count | None = 0
    audio_tokens: Count | None = 0
    text_tokens: Count | None = 0
    accepted_prediction_tokens: Count | None = 0
    rejected_prediction_tokens: Count | None = 0


class PlainUsage(msgspec.Struct, forbid_unknown_fields=True):
    """Usage as OpenAI writes it."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    prompt_tokens_details: PlainInputDetails | UnsetType | None = UNSET
    completion_tokens_details: PlainOutputDetails | UnsetType | None = UNSET

    def parts(self) -> tuple[int, int, int]:
        """Return (cached, cache write, reasoning) tokens."""
        given, made = self.prompt_tokens_details or PlainInputDetails(), self.completion_tokens_details or PlainOutputDetails()
        return given.cached_tokens or 0, given.cache_write_tokens or 0, made.reasoning_tokens or 0

    def audio(self) -> tuple[int, int]:
        """Return (input, output) tokens that are audio."""
        given, made = self.prompt_tokens_details, self.completion_tokens_details
        return (given.audio_tokens or 0) if given else 0, (made.audio_tokens or 0) if made else 0

    def adds_up(self) -> bool:
        """Tell whether both sides are there, the sums are right, and nothing is to be asked of the parts."""
        cached, written, reasoning = self.parts()
        heard, _ = self.audio()
        total = self.prompt_tokens + self.completion_tokens
        inside = cached + heard <= self.prompt_tokens and reasoning <= self.completion_tokens and not written
        return self.total_tokens == total and inside and self.prompt_tokens > 0 and self.completion_tokens > 0


class PlainAnswer(msgspec.Struct):
    """An answer that may pass as it is, if its usage adds up."""

    id: Text
    object: Literal["chat.completion"]
    created: int
    model: Text
    choices: Annotated[list[PlainAnswerChoice], Meta(min_length=1)]
    usage: PlainUsage
    error: UnsetType | None = UNSET
    errors: UnsetType | None = UNSET
    base_resp: UnsetType | None = UNSET


#: What these decoders may raise for a body that is something else.
NOT_PLAIN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
CHUNK = msgspec.json.Decoder(PlainChunk)
ANSWER = msgspec.json.Decoder(PlainAnswer)
