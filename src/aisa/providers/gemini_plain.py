"""The one shape that Gemini's streams are made of: an event that says a piece of text, and the tokens by now. Reads only that.

Whatever has one member more is read by `gemini_reader.py`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from aisa.providers.gemini_usage import report_of
from aisa.providers.text_stream import template_around
from aisa.wire.numbered_events import reach_by
from aisa.wire.plain import NOT_PLAIN, ChunkTemplate
from aisa.wire.trees import Tree


class PlainPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A part that is text and nothing else."""

    text: str


class PlainContent(msgspec.Struct, forbid_unknown_fields=True):
    """One part."""

    parts: Annotated[list[PlainPart], Meta(min_length=1, max_length=1)]
    role: str = ""


class PlainCandidate(msgspec.Struct, forbid_unknown_fields=True):
    """The first candidate, which goes on."""

    content: PlainContent
    index: Literal[0] = 0


class PlainUsage(msgspec.Struct, forbid_unknown_fields=True, rename="camel", omit_defaults=True, gc=False):
    """The tokens by now. A count that is not there is -1."""

    prompt_token_count: int
    total_token_count: int = -1
    candidates_token_count: int = -1
    thoughts_token_count: int = -1
    cached_content_token_count: int = -1
    prompt_tokens_details: Raw | UnsetType = UNSET
    candidates_tokens_details: Raw | UnsetType = UNSET
    cache_tokens_details: Raw | UnsetType = UNSET
    traffic_type: str = ""

    def covers(self, earlier: PlainUsage) -> bool:
        """Tell whether this says all that an earlier report does, or more: no count is smaller, the rest the same."""
        return (
            self.candidates_token_count >= earlier.candidates_token_count
            and self.total_token_count >= earlier.total_token_count
            and self.prompt_token_count >= earlier.prompt_token_count
            and self.thoughts_token_count >= earlier.thoughts_token_count
            and self.cached_content_token_count >= earlier.cached_content_token_count
            and self.prompt_tokens_details == earlier.prompt_tokens_details
            and self.candidates_tokens_details == earlier.candidates_tokens_details
            and self.cache_tokens_details == earlier.cache_tokens_details
            and self.traffic_type == earlier.traffic_type
        )

    def grown(self, made: int, total: int) -> PlainUsage:
        """Return the same with these counts."""
        return msgspec.structs.replace(self, candidates_token_count=made, total_token_count=total)

    @property
    def tree(self) -> Tree:
        """The report as the vendor wrote it."""
        value: Tree = msgspec.json.decode(msgspec.json.encode(self))
        return value

    def report(self, _: Tree) -> Tree:
        """Return the report as `wire.usage_report` reads it, which gives what it has kept; nothing is needed of that."""
        return report_of(self.tree)


class PlainEvent(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """An event that says a piece of text."""

    candidates: Annotated[list[PlainCandidate], Meta(min_length=1, max_length=1)]
    usage_metadata: PlainUsage
    model_version: str
    response_id: str


EVENT = msgspec.json.Decoder(PlainEvent)
#: What of a stream's reports grows, as Google orders it. It is cut out of events, which are alike then but for their texts.
MADE = b'"candidatesTokenCount":'
CUT = b"\0"  # stands in its place: in no text, and in no JSON; a pattern that begins with one byte is found quickly
COUNTS = re.compile(rb'\0 ?(0|[1-9]\d{0,8}),\s*"totalTokenCount": ?(0|[1-9]\d{0,8})(?=[,}\s])')
NUMBERS = msgspec.json.Decoder(list[int])
FINISH = b'"finishReason"'


class Told(NamedTuple):
    """Further texts, as they stand in JSON, and how many tokens were made, and there are in all, by each of them."""

    texts: list[bytes]
    made: list[int]
    total: list[int]


class PlainTemplate:
    """What events of further text have in common: all but the text and what grows. It stands for those behind the event it is of."""

    __slots__ = ("_around", "_front")

    def __init__(self, around: ChunkTemplate) -> None:
        self._around = around
        self._front = around.before

    def reach(self, events: bytes, begin: int) -> int:
        """As `sse.Template` has it."""
        end = reach_by(self._front, events, begin)
        finish = events.find(FINISH, begin, end)
        return end if finish < 0 else max(begin, events.rfind(b"\n\n", begin, finish))

    def told(self, events: bytes) -> Told | None:
        """Return what whole events (without the last blank line) say, None if one of them does not fit."""
        pieces = cut(events)
        texts, made = self._around.texts(CUT.join(pieces[::3])), pieces[1::3]
        if texts is None or len(texts) != len(made) or CUT in events:
            return None
        return Told(texts, numbers(made), numbers(pieces[2::3]))


def cut(events: bytes) -> list[bytes]:
    """Return what is before, between and behind the counts of events, each time with the two counts behind it."""
    return COUNTS.split(CUT.join(events.split(MADE)))  # `replace` would search twice


def numbers(written: list[bytes]) -> list[int]:
    """Return whole numbers that are written in JSON."""
    return NUMBERS.decode(b"[%b]" % b",".join(written))


def plain_template(block: bytes) -> PlainTemplate | None:
    """Return the template of events behind one of the plain shape; None where that cannot be told from its bytes."""
    pieces = cut(block)
    around = template_around(CUT.join(pieces[::3])) if len(pieces) == 4 else None
    return None if around is None or CUT in around.before or CUT in block else PlainTemplate(around)


def plain_event(data: bytes) -> PlainEvent | None:
    """Return an event of this shape, None for any other."""
    try:
        return EVENT.decode(data)
    except NOT_PLAIN:
        return None
