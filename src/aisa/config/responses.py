"""The settings on responses that are kept between calls of the Responses API. Keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from msgspec import Meta

from aisa.config.section import Bytes, Section

DAY_MINUTES = 1_440


class ResponsesSettings(Section, frozen=True, kw_only=True):
    """Whether, for how long and how much is kept."""

    keep_minutes: Annotated[int, Meta(ge=0, le=DAY_MINUTES)] = 0
    keep_bytes_max: Bytes = 67_108_864


RESPONSES_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "responses.keep_minutes": "How long the conversation of a response is kept in memory, so that `previous_response_id` and "
        "references to items lead on from it (`docs/responses.md`); 0: nothing is kept, and answers say `store: false`. Only with one "
        "worker.",
        "responses.keep_bytes_max": "What all kept conversations together may take; the oldest go first.",
    }
)
