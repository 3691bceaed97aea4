"""The shapes that need no mending, as types: what decodes to one of them is conformant as it is. Does not decide what passes.

Decoding into a type checks every member at C speed; a loose tree and rules in Python take ten times as long.
"""

from __future__ import annotations

import re
from itertools import accumulate
from operator import add
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from aisa.answer import Piece
from aisa.wire.shown import COUNT_MAX
from aisa.wire.token_meter import TokenMeter

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


class Silent(msgspec.Struct):
    """What tells of no failure and no search at its top, nor of the steps that were taken to it."""

    error: UnsetType | None = UNSET
    errors: UnsetType | None = UNSET
    base_resp: UnsetType | None = UNSET
    web_search: UnsetType | None = UNSET
    usage_breakdown: UnsetType | None = UNSET


class PlainChunk(Silent, kw_only=True):
    """The chunk that streams are made of. It passes if it carries on the stream as that began."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: tuple[PlainChoice]
    usage: UnsetType | None = UNSET
    service_tier: str | UnsetType | None = UNSET
    x_groq: UnsetType | None = UNSET


class PlainOpening(msgspec.Struct, forbid_unknown_fields=True):
    """A delta without anything generated: it opens a choice. Vendors differ in what they leave out of it."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: Literal[""] | UnsetType | None = UNSET
    refusal: UnsetType | None = UNSET


class PlainOpeningChoice(msgspec.Struct, forbid_unknown_fields=True):
    """A choice that begins."""

    delta: Raw
    index: int
    finish_reason: None
    logprobs: UnsetType | None = UNSET


class PlainOpeningChunk(Silent, kw_only=True):
    """The chunk that begins a stream."""

    id: Text
    object: Literal["chat.completion.chunk"]
    created: int
    model: Text
    choices: tuple[PlainOpeningChoice]
    usage: UnsetType | None = UNSET
    service_tier: str | UnsetType | None = UNSET
    x_groq: UnsetType | None = UNSET


class PlainFinishChoice(msgspec.Struct, forbid_unknown_fields=True):
    """A choice that ends, with a reason that says nothing of what came before."""

    delta: Raw
    index: int
    finish_reason: Literal["stop", "length"]
    logprobs: UnsetType | None = UNSET


class PlainFinishChunk(Silent, kw_only=True):
    """The chunk that ends a stream's one choice."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: tuple[PlainFinishChoice]
    usage: UnsetType | None = UNSET
    service_tier: str | UnsetType | None = UNSET
    x_groq: UnsetType | None = UNSET


ROLE_DELTA = b'{"role":"assistant","content":"","refusal":null}'


def with_delta(data: bytes, choice: PlainOpeningChoice | PlainFinishChoice, delta: bytes) -> bytes | None:
    """Return a chunk with another delta in its one choice, and `logprobs`; None when that cannot be done on the bytes."""
    given = bytes(choice.delta)
    if data.count(given) != 1:
        return None
    return data.replace(given, delta if choice.logprobs is None else delta + b',"logprobs":null')


#: The inside of JSON strings that need no look at their escapes; bytes beyond ASCII have to be UTF-8 besides.
SIMPLE_TEXT = re.compile(rb"[ !#-\[\]-~\x80-\xff]+").fullmatch
#: The same bytes: looking for others is quicker this way in many texts, and in one it is slower.
SIMPLE = bytes(byte for byte in range(0x20, 0x100) if byte not in b'"\\\x7f')


def are_simple(texts: list[bytes]) -> bool:
    """Tell whether each of these is the inside of a valid JSON string without escapes, and has something in it."""
    joined = b"".join(texts)
    return not joined.translate(None, SIMPLE) and all(texts) and (joined.isascii() or is_utf8(b"\n".join(texts)))


def is_utf8(data: bytes) -> bool:
    """Tell whether bytes that are to pass untouched are valid: decoders skip members that they do not know without looking."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class ChunkTemplate(msgspec.Struct, frozen=True):
    """What a stream's text chunks have in common: the bytes around the text, as the vendor sends them and as we send them.

    Chunks of one stream differ in their text alone. If one was found conformant, others with the same bytes around simple texts are
    so too, and need not be decoded: however many one read brings, they are cut at what lies between two texts, and scanned once.
    """

    before: bytes  # of a whole event, up to the text
    after: bytes
    opening: bytes  # the same as we send it
    closing: bytes  # ... with the blank line
    untouched: bool = False  # both are the same

    def match(self, events: bytes, meter: TokenMeter) -> Piece | None:
        """Return whole events that all fit (without the last blank line) as a piece, None if one does not. The meter counts them."""
        before, after = self.before, self.after
        text = events[len(before) : -len(after)]
        if before + text + after != events:
            return None
        if SIMPLE_TEXT(text) and (text.isascii() or is_utf8(text)):  # one event: what lies between two is no simple text
            return Piece(self.opening + text + self.closing, meter.add_bytes(text), carries=True)
        texts = self._several(events, text)
        if texts is None:
            return None
        around = len(self.opening) + len(self.closing)
        sizes = list(map(len, texts))
        ends = list(map(add, accumulate(sizes), range(around, around * len(texts) + 1, around)))
        counts = meter.add_all(texts, sizes)
        data = events + b"\n\n" if self.untouched else self.opening + (self.closing + self.opening).join(texts) + self.closing
        return Piece(data, counts[-1], ends, counts, carries=True)

    def texts(self, events: bytes) -> list[bytes] | None:
        """Return the texts of whole events (without the last blank line) that all fit, None if one does not."""
        if not (events.startswith(self.before) and events.endswith(self.after)):
            return None
        text = events[len(self.before) : -len(self.after)]
        return [text] if SIMPLE_TEXT(text) and is_utf8(text) else self._several(events, text)

    def _several(self, events: bytes, between: bytes) -> list[bytes] | None:
        # Not split at what lies between two texts: `split` prepares the search for a long separator anew for each piece.
        begin, end = len(self.before), -len(self.after)
        texts = [block[begin:end] for block in events.split(b"\n\n")]
        return texts if are_simple(texts) and (self.after + b"\n\n" + self.before).join(texts) == between else None

    def reach(self, events: bytes, begin: int) -> int:
        """Return the end of the last event that looks like one that fits, if so does the one that begins there; else `begin`."""
        if not events.startswith(self.before, begin):
            return begin
        if events.endswith(self.after):
            return len(events)
        last = events.rfind(self.after + b"\n\n", begin)
        return begin if last < 0 else last + len(self.after)


def template_of(data: bytes, emitted: bytes) -> ChunkTemplate | None:
    """Return the template of a conformant chunk and of what is sent for it; None if its text cannot be told from the bytes."""
    before, found, rest = data.partition(CONTENT)
    opening, shown, behind = emitted.partition(CONTENT)
    if not found or not shown or rest.find(CONTENT) >= 0 or behind.find(CONTENT) >= 0:
        return None
    start = len(before) + len(CONTENT)
    end = data.find(b'"', start)
    if not are_simple([data[start:end]]):
        return None
    return ChunkTemplate(
        b"data: " + data[:start], data[end:], b"data: " + opening + CONTENT, behind[end - start :] + b"\n\n", untouched=data == emitted
    )


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


class BareCall(msgspec.Struct, forbid_unknown_fields=True):
    """What an answer calls, and nothing beside it."""

    name: str
    arguments: str


class BareToolCall(msgspec.Struct, forbid_unknown_fields=True):
    """A tool call, and nothing beside it."""

    id: Text
    type: Literal["function"]
    function: BareCall


class BareMessage(msgspec.Struct, forbid_unknown_fields=True):
    """The message of an answer that may lack what OpenAI always writes. Written again it has it."""

    role: Literal["assistant"]
    content: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | UnsetType = UNSET
    tool_calls: Annotated[list[BareToolCall], Meta(min_length=1)] | UnsetType = UNSET
    function_call: BareCall | UnsetType = UNSET
    reasoning_content: Text | UnsetType = UNSET
    reasoning: Text | UnsetType = UNSET


class BareAnswerChoice(msgspec.Struct, forbid_unknown_fields=True):
    """A choice of such an answer."""

    index: int
    message: BareMessage
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
    logprobs: Raw | None = None


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
        given, made = self.prompt_tokens, self.completion_tokens
        if self.total_tokens != given + made or given <= 0 or made <= 0:
            return False
        if not (self.prompt_tokens_details or self.completion_tokens_details):
            return True
        cached, written, reasoning = self.parts()
        heard, spoken = self.audio()
        return cached + heard <= given and reasoning + spoken <= made and not written


class PlainUsageChunk(Silent, kw_only=True):
    """The chunk that carries usage and nothing else."""

    object: Literal["chat.completion.chunk"]
    choices: Annotated[list[Raw], Meta(max_length=0)]
    usage: PlainUsage
    x_groq: UnsetType | None = UNSET


class PlainGroq(msgspec.Struct):
    """What Groq says beside an answer: its id, and neither of a failure nor of steps."""

    error: UnsetType | None = UNSET
    usage_breakdown: UnsetType | None = UNSET


class PlainAnswer(Silent, kw_only=True):
    """An answer that may pass as it is, if its usage adds up."""

    id: Text
    object: Literal["chat.completion"]
    created: int
    model: Text
    choices: Annotated[list[PlainAnswerChoice], Meta(min_length=1)]
    usage: PlainUsage
    service_tier: str | UnsetType | None = UNSET
    x_groq: PlainGroq | UnsetType | None = UNSET


class BareAnswer(Silent, kw_only=True):
    """An answer that is right but for what its choices lack, if its usage adds up."""

    id: Text
    object: Literal["chat.completion"]
    created: int
    model: Text
    choices: Annotated[list[BareAnswerChoice], Meta(min_length=1)]
    usage: PlainUsage
    service_tier: str | UnsetType | None = UNSET
    x_groq: PlainGroq | UnsetType | None = UNSET


#: What these decoders may raise for a body that is something else.
NOT_PLAIN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
CHUNK = msgspec.json.Decoder(PlainChunk)
FINISH_CHUNK = msgspec.json.Decoder(PlainFinishChunk)
OPENING_CHUNK = msgspec.json.Decoder(PlainOpeningChunk)
OPENING = msgspec.json.Decoder(PlainOpening)
USAGE_CHUNK = msgspec.json.Decoder(PlainUsageChunk)
ANSWER = msgspec.json.Decoder(PlainAnswer)
BARE_ANSWER = msgspec.json.Decoder(BareAnswer)
