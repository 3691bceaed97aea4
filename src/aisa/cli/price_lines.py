"""Lines of configuration to paste: a model's prices as the catalogue has them, with room for what it lacks. Reads no configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from aisa.money import dollars_text
from aisa.prices.rules import BEGINNING, Price, PriceList
from aisa.pricing import FEES, KINDS, PRICED, UnitPrices

WHAT_IS_MISSING = "# without a price: US dollars per million tokens, fees each"


def lines_with_room(vendor: str, model: str, price_list: PriceList, *, missing: Iterable[str]) -> str:
    """Return the entry that states a model's prices and, as comments, what has none; empty for one whose prices differ by time.

    What is written there stands in for all that the catalogue says of the model, so it is whole.
    """
    [*earlier, term] = price_list.terms
    if earlier or term.start != BEGINNING:
        return ""
    quoted = msgspec.json.encode(model).decode()
    lines = [*stated(term.price.prices), WHAT_IS_MISSING, *[f"# {kind}:" for kind in missing]]
    lines += [*steps(term.price.prices), *tiers(term.tiers)]
    return "\n".join([f"vendors:\n  {vendor}:\n    prices:\n      {quoted}:", *[f"        {line}" for line in lines]]) + "\n"


def stated(prices: UnitPrices, *, whole: bool = False) -> list[str]:
    """Return a line for each price that is one of its own, of a `whole` set for those too that follow from another."""
    found: list[str] = []
    for kind in PRICED:
        price = getattr(prices, kind)
        parent = KINDS.get(kind, kind)
        if price is not None and (whole or kind in ("input", "output") or price != getattr(prices, parent) or parent == kind):
            found.append(f"{kind}: {dollars_text(price)}")
    return found


def steps(prices: UnitPrices) -> list[str]:
    """Return the prices of calls with a large input."""
    if not prices.tiers:
        return []
    of = [", ".join(line for line in stated(step.prices) if line.partition(":")[0] not in FEES) for step in prices.tiers]
    return [
        "tiers:",
        *[f"  - {{over_input_tokens: {step.over_input_tokens}, {each}}}" for step, each in zip(prices.tiers, of, strict=True)],
    ]


def tiers(found: Mapping[str, Price]) -> Iterator[str]:
    """Yield the prices of service tiers."""
    if found:
        yield "service_tiers:"
    for name, price in found.items():
        yield f"  {name}:"
        yield from [f"    {line}" for line in (*stated(price.prices, whole=True), *steps(price.prices))]
