"""A model's name for printed examples: one that a call would reach now, as far as is known without asking anybody."""

from __future__ import annotations

from aisa.errors import ApiError
from aisa.routing import EMBEDDED, TINY, Routes

#: Small models of the great vendors, the first that is there is taken.
PREFERRED = ("gpt-6-luna", "claude-haiku-4-5", "gemini-3.5-flash", "mistral-small-latest", "deepseek-v4-flash")
MANY_NAMES = "gpt-6.1-sol"  # what an example shows where every name is answered


def example_model(routes: Routes) -> str | None:
    """Return a name that can be called: of the configuration, a known one, a vendor's, or the built-in model's; None if there is none."""
    listed = [name for name in routes.names() if name != TINY]
    theirs = [f"{vendor}/{name}" for vendor, names in routes.models.shown.items() for name in names[:1]]
    preferred = () if listed else PREFERRED
    last = [*([] if routes.models.shown else [MANY_NAMES]), *(name for name in routes.names() if name == TINY)]
    return next((name for name in (*listed, *preferred, *theirs, *last) if can_be_called(routes, name)), None)


def can_be_called(routes: Routes, name: str) -> bool:
    """Say whether a name leads somewhere that has a price or needs none."""
    try:
        entry = routes.find(name)
    except ApiError:
        return False
    if name in PREFERRED and entry.offers[0].target.vendor != EMBEDDED and not routes.models.holders(name):
        return False  # the only vendor gets every name, but need not have this model
    return len(entry.unpriced) < len(entry.offers) and (name not in PREFERRED or entry.offers[0].target.vendor != EMBEDDED)
