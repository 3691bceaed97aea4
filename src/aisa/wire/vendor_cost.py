"""What a vendor itself says that an answer costs us, in its report of usage, as OpenRouter and xAI do. It is never our bill."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, DecimalException

from aisa.money import NANOS_PER_DOLLAR, Nanos
from aisa.wire.trees import Tree, as_tree, is_tree

#: Where xAI says it -> how many of its unit a dollar has; the first that is there counts.
UNITS = {"cost_in_usd_ticks": Decimal(10**10), "cost_in_nano_usd": Decimal(NANOS_PER_DOLLAR)}
#: Where other vendors say it, in US dollars, the one that counts first. Perplexity's `cost` is an object with a sum in it.
DOLLARS = ("cost", "estimated_cost")
SUM = "total_cost"
COSTS = frozenset((*UNITS, *DOLLARS))
DOLLARS_MAX = 1_000_000  # of one call: what is above is no cost, and a sum of many must fit 64 bits


def vendor_cost(fields: Tree | None) -> Nanos | None:
    """Return what a report says that the vendor charges, to the nearest nano-dollar; None if it does not say, or not in a number."""
    if fields is None or COSTS.isdisjoint(fields):
        return None
    for name, per_dollar in UNITS.items():
        cost = amount(fields.get(name), per_dollar)
        if cost is not None:
            return cost
    for name in DOLLARS:
        said = fields.get(name)
        cost = amount(said.get(SUM) if is_tree(said) else said, Decimal(1))
        if cost is not None:
            return cost
    return None


def has_cost_of(fields: Tree, kind: str) -> bool:
    """Say whether a report names a cost of its own, above zero, for a kind of token: in an object of costs."""
    return bool(amount(as_tree(fields.get("cost")).get(f"{kind}_cost"), Decimal(1)))


def amount(value: object, per_dollar: Decimal) -> Nanos | None:
    """Return a number, which may be written as text, in nano-dollars, halves up."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        dollars = Decimal(str(value)[:40]) / per_dollar
        return int((dollars * NANOS_PER_DOLLAR).to_integral_value(ROUND_HALF_UP)) if 0 <= dollars <= DOLLARS_MAX else None
    except DecimalException:
        return None
