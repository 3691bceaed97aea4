"""The one shape that Gemini's streams are made of: an event that says a piece of text, and the tokens by now. Reads only that.

Whatever has one member more is read by `gemini_reader.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from aisa.providers.gemini_usage import report_of
from aisa.wire.shown import COUNT_MAX
from aisa.wire.sse import Event
from aisa.wire.trees import Tree

Count = Annotated[int, Meta(le=COUNT_MAX)]  # more is none, and replaces none


class PlainPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A part that is text and nothing else."""

    text: str


class PlainContent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One part."""

    parts: Annotated[list[PlainPart], Meta(min_length=1, max_length=1)]
    role: str = ""


class PlainCandidate(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The first candidate, which goes on."""

    content: PlainContent
    index: Literal[0] = 0


class PlainUsage(msgspec.Struct, forbid_unknown_fields=True, rename="camel", omit_defaults=True, gc=False):
    """The tokens by now. A count that is not there is -1."""

    prompt_token_count: Count
    total_token_count: Count = -1
    candidates_token_count: Count = -1
    thoughts_token_count: Count = -1
    cached_content_token_count: Count = -1
    prompt_tokens_details: Raw | UnsetType = UNSET
    candidates_tokens_details: Raw | UnsetType = UNSET
    cache_tokens_details: Raw | UnsetType = UNSET
    traffic_type: str = ""

    def covers(self, earlier: PlainUsage) -> bool:
        """Tell whether this, once read, says all that an earlier report does, or more: no count is smaller, the rest the same."""
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
            and (not self.thinks_inside or earlier.thinks_inside)
        )

    @property
    def thinks_inside(self) -> bool:
        """Whether the total says that thinking is inside the candidates: `gemini_usage.thinks_inside` of these members."""
        thought, made = self.thoughts_token_count, self.candidates_token_count
        return 0 < thought <= made and self.total_token_count == self.prompt_token_count + made

    @property
    def tree(self) -> Tree:
        """The report as the vendor wrote it."""
        value: Tree = msgspec.json.decode(msgspec.json.encode(self))
        return value

    def report(self, _: Tree) -> Tree:
        """Return the report as `wire.usage_report` reads it, which gives what it has kept; nothing is needed of that."""
        return report_of(self.tree)


class PlainEvent(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """An event that says a piece of text."""

    candidates: Annotated[list[PlainCandidate], Meta(min_length=1, max_length=1)]
    usage_metadata: PlainUsage
    model_version: str
    response_id: str


EVENT = msgspec.json.Decoder(PlainEvent)


def plain_events(events: Sequence[Event], at: int) -> list[PlainEvent]:
    """Return the events from a place on that are of this shape, up to any other."""
    plain: list[PlainEvent] = []
    try:
        for _, data in islice(events, at, None) if at else events:
            plain.append(EVENT.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # the other
    return plain
