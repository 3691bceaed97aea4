"""The settings on which of a model's targets is asked first, how long for, and how often again. Orders nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from msgspec import Meta

from aisa.config.section import Seconds, Section

ORDER, WEIGHTS, LATENCY, LOAD, COST = "order", "weights", "latency", "load", "cost"
NO_AFFINITY, PROMPT = "none", "prompt"

#: What a request may show besides text that not every target takes.
Shown = Literal["image", "audio", "file", "video", "tools"]


class Route(Section, frozen=True, kw_only=True):
    """Which of a model's targets is asked first, how long for, and how often again. All of it before the first piece of an answer."""

    by: Literal["order", "weights", "latency", "load", "cost"] | None = None
    affinity: Literal["none", "prompt"] = "none"
    first_token_seconds: Seconds | None = None
    retries: Annotated[int, Meta(ge=0, le=10)] = 0
    retry_seconds: Seconds = 15.0

    @property
    def groups(self) -> bool:
        """Whether all targets may change places, and not only neighbours that have weights."""
        return self.by is not None or self.affinity != NO_AFFINITY


NO_ROUTE = Route()

ROUTE_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "models.<name>.route.by": "Which target is asked first, the others being its fall-backs: as they stand (`order`); as their "
        "`weight` shares the calls out (`weights`); the one that lately was quickest to a stream's first token, or to a whole document "
        "(`latency`); the one with the fewest calls in flight for its `weight` (`load`); the cheapest for the request (`cost`). If "
        "absent, as they stand, and by weight among neighbours that have one. A `weight` of 0 comes last, and so does what failed lately.",
        "models.<name>.route.affinity": "With `prompt`, calls with the same `prompt_cache_key`, else with the same first messages up to "
        "the user's, go to the same target first while it is well, shared out by `weight`: it has their beginning in its cache. Then `by` "
        "orders only the others.",
        "models.<name>.route.first_token_seconds": "How long a stream waits for one target's first token before the next is asked; the "
        "last one has `idle_timeout_seconds`. A document, of which nothing can be seen while it is made, has "
        "`answer_timeout_seconds`.",
        "models.<name>.route.retries": "How many more times targets are asked when all have failed and a later try may do better: after "
        "a growing, random wait, and never before the time that a vendor named in `Retry-After`.",
        "models.<name>.route.retry_seconds": "How long after the call's first try another one may still begin.",
    }
)
