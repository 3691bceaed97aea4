"""Why a model has no price in the catalogue although its name is almost there, for whoever configures it. Gives no call a price."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from genai_prices.data import providers
from genai_prices.types import ModelInfo, ModelPrice, Provider

from aisa.prices.catalogue import CHARGED, MODEL_CHARACTERS_MAX, NOT_CHARGED, price_list, provider_of
from aisa.prices.dated_names import without_date
from aisa.prices.matching import Found, find

#: What vendors and proxies put before a model's own name: folders, and the names of those who made it.
PREFIX = re.compile(r"(?:[a-z0-9-]+/)*(?:models|deployments)/|[a-z0-9._-]+/")
SUFFIX = re.compile(r":[a-z0-9-]+$")
PREFIXES_MAX = 6  # that are dropped one by one; `accounts/fireworks/models/` are three
#: Endings that change what a model costs; any other may.
PRICED_OTHERWISE = {
    ":free": "is free there",
    ":online": "adds fees for searches",
    ":nitro": "takes dearer hosts",
    ":floor": "takes cheaper ones",
}
MAY_BE = "may cost otherwise"


class Clue(msgspec.Struct, frozen=True):
    """What the catalogue has of a name that has no price, in words, and the name there, `vendor/model`, whose price it may have."""

    said: str
    price_as: str = ""


def clue(vendor: str, base_url: str, model: str) -> Clue:
    """Return what is known of a name without a price. Takes some milliseconds."""
    provider = provider_of(vendor, base_url)
    if len(model) > MODEL_CHARACTERS_MAX:
        return Clue("No model of the price catalogue has a name that is so long.")
    found = None if provider is None else find(provider, model)
    if found is not None and found.rule.sure:
        return Clue(f"The price catalogue lists it as `{name_of(found)}`, but {flaw(found.model)}.")
    for shorter, dropped in spellings(model) if provider is not None else ():
        listed = priced(provider, shorter)
        if listed is not None:
            return Clue(said_of(listed, dropped), "" if dropped.startswith(":") else f"{listed.vendor.id}/{shorter.lower()}")
    if found is not None:
        what = f"The price catalogue would take it for `{name_of(found)}`, {found.rule.words}: no price for a bill"
        return Clue(f"{what}. If it is that model, say so.", name_of(found) if price_list(found.model, "") is not None else "")
    maker, _, rest = model.lower().partition("/")
    for other in providers:  # behind a proxy, names begin with their vendor's
        listed = priced(other, rest) if other.id == maker and rest else None
        if listed is not None:
            return Clue(f"`{listed.vendor.id}` lists it, which need not be what this vendor charges.", f"{listed.vendor.id}/{rest}")
    if provider is None and any(other.id == vendor.lower() for other in providers):
        where = f"The address of `{vendor}` is none of those in the price catalogue: a region, or somebody else, may charge otherwise."
        return Clue(f"{where} How many times the list price it charges can be said: `vendors.{vendor}.price_factor: 1.0`.")
    return Clue("The price catalogue does not know " + ("this vendor." if provider is None else f"this name at `{provider.id}`."))


def priced(vendor: Provider | None, model: str) -> Found | None:
    """Return a model that a vendor of the catalogue lists with a price that can be charged."""
    found = None if vendor is None else find(vendor, model)
    return found if found is not None and found.rule.sure and price_list(found.model, "") is not None else None


def spellings(model: str) -> Iterator[tuple[str, str]]:
    """Yield a name without what others may have put around it, and that, the shortest first."""
    suffix = SUFFIX.search(model.lower())
    stems = [(model, "")] + ([(model[: suffix.start()], suffix[0])] if suffix else [])
    for stem, end in stems:
        rest = stem
        for _ in range(PREFIXES_MAX):
            prefix = PREFIX.match(rest.lower())
            if rest != model:
                yield rest, model[: len(stem) - len(rest)] or end
            if prefix is None:
                break
            rest = rest[prefix.end() :]
    undated = without_date(model.lower())
    if undated is not None:
        yield undated, model[len(undated) :]


def said_of(listed: Found, dropped: str) -> str:
    """Say what a name is without a part of it."""
    doubt = f", but `{dropped}` {PRICED_OTHERWISE.get(dropped, MAY_BE)}: look up what it costs" if dropped.startswith(":") else ""
    return f"The price catalogue lists it as `{name_of(listed)}` without `{dropped}`{doubt}."


def name_of(found: Found) -> str:
    """Return a model's name in the catalogue, as `price_as` takes it."""
    return f"{found.vendor.id}/{found.model.id}"


def flaw(model: ModelInfo) -> str:
    """Say which part of a model's price cannot be charged, so that it has none here."""
    entries = [model.prices] if isinstance(model.prices, ModelPrice) else [entry.prices for entry in model.prices]
    given = {name for prices in entries for name, price in vars(prices).items() if price is not None}
    strange = sorted(given - CHARGED.keys() - NOT_CHARGED)
    if strange:
        return f"with prices that are not charged here: {', '.join(strange)}"
    if not given:
        return "without any price, as it does what is free and what nobody has looked up"
    return "without a price for its input" if "input_mtok" not in given else "with more steps by context length than are kept here"


def lines_to_write(vendor: str, model: str, price_as: str) -> str:
    """Return the configuration that gives a model of a vendor its price, as YAML to paste."""
    quoted = msgspec.json.encode(model).decode()
    if price_as:
        return f"vendors:\n  {vendor}:\n    price_as:\n      {quoted}: {msgspec.json.encode(price_as).decode()}\n"
    return f"vendors:\n  {vendor}:\n    prices:\n      {quoted}: {{input: 0.0, output: 0.0}} # US dollars per million tokens: write yours\n"
