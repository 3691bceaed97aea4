"""Where a vendor answered, for which some charge more: the words of requests and reports of usage. Knows no price."""

from __future__ import annotations

ASKED = "inference_geo"  # Anthropic's, in a request and in a report of usage
ANYWHERE = frozenset({"", "global", "not_available"})  # what costs no more


def place_in(word: object) -> str:
    """Return the place that a word means; nothing for any place."""
    place = word.strip().lower() if isinstance(word, str) else ""
    return "" if place in ANYWHERE else place


def placed(tier: str | None, word: object) -> str | None:
    """Return the tier of an answer that was made in some place, which is priced as one: `us`, `fast+us`."""
    place = place_in(word)
    return f"{tier}+{place}" if tier and place else place or tier
