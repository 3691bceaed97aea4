"""What `aisa prices --diff FILE` prints: where the catalogue that comes with the server and a price list in LiteLLM's format differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from aisa.cli.fitting import fitted
from aisa.cli.problems import Misuse, Stop
from aisa.cli.terminal import say
from aisa.config.problem import Problem
from aisa.money import Nanos, dollars_text
from aisa.prices.catalogue import catalogue_price
from aisa.prices.listed_entry import NotCharged
from aisa.prices.listed_vendors import OTHERWISE
from aisa.prices.price_file import BadPriceFile, Entry, PriceFile, open_price_file
from aisa.prices.rules import PriceList
from aisa.pricing import FEES, PRICED, UnitPrices

#: A vendor's name in LiteLLM's list -> in our catalogue, where that is another.
OURS = {theirs: ours for ours, names in OTHERWISE.items() for theirs in names if ours not in ("vertex", "vertex_ai", "bedrock")}
VERTEX = "vertex_ai"  # with its makers behind a dash; our catalogue has all of them under Google
OF_VERTEX = "google"


class Difference(NamedTuple):
    """A price that the two lists have otherwise: in nano-dollars per million tokens, or each; None where one has none."""

    model: str
    kind: str
    ours: Nanos | None
    theirs: Nanos | None


class Comparison:
    """Two lists beside each other: the prices that differ, and how many models there were."""

    def __init__(self, listed: PriceFile, moment: float, wanted: str = "") -> None:
        self.lines: list[Difference] = []
        self.both = self.only_theirs = self.not_charged = 0
        for name in listed.entries:
            members = listed.members(name)
            vendor = members.get("litellm_provider") if members is not None else None
            if members is None or not isinstance(vendor, str):
                continue
            ours = our_name(vendor)
            model = name.removeprefix(f"{vendor}/").removeprefix(f"{VERTEX}/" if ours == OF_VERTEX else "")
            if wanted and wanted.lower() not in (f"{ours}/{model}".lower(), name.lower()):
                continue
            try:
                theirs = listed.price_list(Entry(name, members, ""))
            except NotCharged:
                self.not_charged += 1
                continue
            known = catalogue_price(ours, "", model)
            if known is None:
                self.only_theirs += 1
                continue
            self.both += 1
            self.lines += differences(f"{ours}/{model}", known, theirs, moment=moment)


def our_name(vendor: str) -> str:
    """Return our catalogue's name of a vendor of LiteLLM's list."""
    return OF_VERTEX if vendor.partition("-")[0] == VERTEX else OURS.get(vendor, vendor)


def differences(model: str, ours: PriceList, theirs: PriceList, *, moment: float) -> Iterator[Difference]:
    """Yield each kind of token, fee and service tier that two lists price otherwise at a moment, a call's input being small or large."""
    for tier in ("", *sorted({tier for each in (ours, theirs) for term in each.terms for tier in term.tiers})):
        if not (ours.has(tier) and theirs.has(tier)):
            for price_list, other in ((ours, theirs), (theirs, ours)):
                if price_list.has(tier):
                    price = price_list.at(moment, tier).prices.input
                    yield Difference(model, f"{tier} (input)", *((price, None) if other is theirs else (None, price)))
            continue
        left, right = ours.at(moment, tier).prices, theirs.at(moment, tier).prices
        for over in sorted({0, *[step.over_input_tokens for prices in (left, right) for step in prices.tiers]}):
            where = "".join([f" ({tier})" if tier else "", f" over {over:,}" if over else ""])
            for kind, one, another in unlike(left.for_input(over + 1), right.for_input(over + 1)):
                if where and kind in FEES:
                    continue  # they are the same everywhere
                yield Difference(model, f"{kind.replace('_', ' ')}{where}", one, another)


def unlike(left: UnitPrices, right: UnitPrices) -> Iterator[tuple[str, Nanos | None, Nanos | None]]:
    """Yield the kinds at which two sets of prices differ."""
    for kind in PRICED:
        one, another = getattr(left, kind), getattr(right, kind)
        if one != another:
            yield kind, one, another


def show(path: str, wanted: str, moment: float, *, as_json: bool) -> None:
    """Print what differs, of all models or of one. Raises Misuse where the file is no price list, Stop where neither has the model."""
    try:
        listed = open_price_file(path)
    except BadPriceFile as bad:
        remedy = "Name a list in the format of LiteLLM's model_prices_and_context_window.json."
        raise Misuse("there is nothing to compare with", [Problem(path, str(bad), remedy)]) from bad
    found = Comparison(listed, moment, wanted)
    if wanted and not found.both:
        what = "It has it, but not with a price that can be charged." if found.not_charged else "Not both lists have it."
        raise Stop("there is nothing to compare", [(wanted[:MODEL_CHARACTERS_SHOWN], what, "Write it as vendor/model.")])
    if as_json:
        lines = [{"model": each.model, "kind": each.kind, "ours": raw(each.ours), "theirs": raw(each.theirs)} for each in found.lines]
        say(msgspec.json.format(msgspec.json.encode(lines), indent=2).decode())
        return
    say(fitted(("MODEL", "KIND", "OURS", "THEIRS"), [[each.model, each.kind, text(each.ours), text(each.theirs)] for each in found.lines]))
    differing = len({each.model for each in found.lines})
    say(f"\nUS dollars per million tokens, fees each. Of {found.both:,} models in both lists {differing:,} differ.")
    more = f"{found.only_theirs:,} more are in {listed.name} alone, {found.not_charged:,} have no price there that can be charged."
    say(more)


MODEL_CHARACTERS_SHOWN = 200


def text(price: Nanos | None) -> str:
    """Return a price for people."""
    return "-" if price is None else dollars_text(price)


def raw(price: Nanos | None) -> msgspec.Raw | None:
    """Return a price as a JSON number of US dollars."""
    return None if price is None else msgspec.Raw(dollars_text(price).encode())
