"""The words for service tiers, which vendors charge differently for, in requests and in answers. Knows no price."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from aisa.wire.geographies import ASKED, placed
from aisa.wire.trees import is_tree

#: What vendors call the tier that a call has whose request names none.
USUAL = frozenset({"", "default", "standard", "standard_only", "on_demand"})
TIER_CHARACTERS_MAX = 40  # of a tier's name in a message
#: What leaves the choice to the vendor.
OPEN = frozenset({"auto"})
#: Where a report of usage names the tier, or the speed, which is charged for as one (Anthropic).
IN_USAGE = ("speed", "service_tier")


def tier_named(word: object) -> str | None:
    """Return the tier that a word in an answer means: nothing for the usual one. None if it names none."""
    if not isinstance(word, str):
        return None
    tier = word.strip().lower()
    return None if not tier or tier in OPEN else "" if tier in USUAL else tier


def tier_asked(service_tier: str | None, speed: Raw | None) -> tuple[str, str]:
    """Return the tier that these members of a request ask for, nothing for the usual one and for any, and the member that asks."""
    faster = "" if speed is None else tier_named(msgspec.json.decode(speed)) or ""
    tier = tier_named(service_tier) or ""
    if faster and tier and faster != tier:
        return f"{tier}+{faster}", "speed"  # nobody lists a price for both
    return (faster, "speed") if faster else (tier, "service_tier")


def first_known(said: str | None, in_usage: str | None) -> str | None:
    """Return the tier that counts of what an answer says at its top and in its usage: one that is not the usual one, if either is."""
    return said or (in_usage if in_usage is not None else said)


def tier_in(fields: object) -> str | None:
    """Return the tier that a report of usage names, None if it names none."""
    if not is_tree(fields):
        return None
    named = [tier for name in IN_USAGE if (tier := tier_named(fields.get(name))) is not None]
    return placed(next((tier for tier in named if tier), named[0] if named else None), fields.get(ASKED))
