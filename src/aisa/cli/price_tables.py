"""What `aisa prices` prints: every model's price, or where one comes from and what it amounts to. Decides no price."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import msgspec

from aisa.cli.overview import targets
from aisa.cli.problems import Misuse, Stop, counted
from aisa.cli.terminal import paint, say, table
from aisa.config.load import ConfigErrors, Loaded, load
from aisa.config.schema import Config
from aisa.edge.models import price_document
from aisa.errors import ApiError
from aisa.money import dollars_text
from aisa.prices.rules import BEGINNING, LookUp, PriceList, Term, may_be_listed, unlisted
from aisa.pricing import UnitPrices, cost_of
from aisa.routing import NAME_CHARACTERS_MAX, Entry, Routes
from aisa.usage import Usage

ROWS = ("input", "cached_input", "cache_write", "input_audio", "output", "reasoning", "output_audio")
EXAMPLE = Usage(input_tokens=1_000, output_tokens=500)


def show_all(path: str | None, moment: float, *, as_json: bool) -> None:
    """Print the price of every listed model at a moment in UNIX seconds. Raises Misuse."""
    loaded = configuration(path)
    routes = Routes(loaded.config, look_up_for(loaded.config))
    entries = [routes.find(name) for name in routes.names()]
    if as_json:
        say_json([summary(entry, moment) for entry in entries])
        return
    say(table(("MODEL", "INPUT", "CACHED", "OUTPUT", "SOURCE"), [row(entry, loaded, moment) for entry in entries]))
    say("\nUS dollars per million tokens. More of one: aisa prices MODEL, also as vendor/model.")


def explain(name: str, path: str | None, moment: float, *, as_json: bool) -> None:
    """Print what a model costs at a moment in UNIX seconds, and why. Raises Misuse, and Stop where there is no price."""
    loaded = configuration(path)
    try:
        entry = Routes(loaded.config, look_up_for(loaded.config)).find(name)
    except ApiError as error:
        remedy = "List the models: aisa prices"
        raise Stop("there is no such model", [(name[:NAME_CHARACTERS_MAX], error.message, remedy)]) from error
    if entry.price_list is None:
        raise no_price(entry)
    if as_json:
        say_json(document(entry, entry.price_list, loaded, moment=moment))
        return
    price = entry.price_list.at(moment)
    say(f"{paint(entry.name, bold=True)} is served by {targets(entry.settings)}.")
    say(f"Source of its price: {described(price.source, loaded)}\n")
    say(price_table(price.prices))
    if len(entry.price_list.terms) > 1:
        say(f"\nPrices by time, in UTC; the one above holds at {iso(moment)}:\n")
        say(term_table(entry.price_list, moment))
    say(f"\n{example(price.prices)}")


def configuration(path: str | None) -> Loaded:
    """Return the configuration. Raises Misuse."""
    try:
        return load(path, os.environ, {})
    except ConfigErrors as errors:
        raise Misuse(f"the configuration has {counted(len(errors.problems))}", errors.problems) from errors


def look_up_for(config: Config) -> LookUp:
    """Return the catalogue if a vendor may be in it; loading it takes 0.3 s."""
    if not any(may_be_listed(name, vendor.base_url) for name, vendor in config.vendors.items()):
        return unlisted
    from aisa.prices.catalogue import catalogue_price

    return catalogue_price


def no_price(entry: Entry) -> Stop:
    """Return how the command ends for a model without a price."""
    vendor, name = entry.steps[0][0][0].vendor, entry.name[:NAME_CHARACTERS_MAX]
    what = "Calls to it are refused." if entry.needs_price else f"Calls to it are free of charge, as `vendors.{vendor}` allows."
    remedy = f"Set `prices` in the model's entry under `models`, or under `vendors.{vendor}.prices`."
    if entry.needs_price:
        remedy += f" Or set `vendors.{vendor}.allow_unpriced: true`, to let it be used free of charge."
    return Stop(f"the model {name!r} has no price", [(name, what, remedy)])


def described(source: str, loaded: Loaded) -> str:
    """Say where a price comes from: a setting with its file and line, or as the source itself says."""
    origin = loaded.origins.get(source)
    return f"{source} ({origin})" if origin else source


def row(entry: Entry, loaded: Loaded, moment: float) -> list[str]:
    """Return a model's line of the list."""
    if entry.price_list is None:
        return [entry.name, "-", "-", "-", paint("no price: refused", "red") if entry.needs_price else "no price: free of charge"]
    price = entry.price_list.at(moment)
    shown = [dollars_text(amount) for amount in (price.prices.input, price.prices.cached_input, price.prices.output)]
    return [entry.name, *shown, paint(described(price.source, loaded), dim=True)]


def price_table(prices: UnitPrices) -> str:
    """Return a table of unit prices, a line per kind of token and a column per tier."""
    columns = [prices, *(tier.prices for tier in prices.tiers)]
    heads = ["TOKENS", "US DOLLARS PER MILLION", *(f"OVER {tier.over_input_tokens:,} INPUT TOKENS" for tier in prices.tiers)]
    return table(heads, [[kind.replace("_", " "), *(dollars_text(getattr(each, kind)) for each in columns)] for kind in ROWS])


def term_table(price_list: PriceList, moment: float) -> str:
    """Return a table of all prices that a model has over time, in the order in which they are tried."""
    current = price_list.at(moment)
    rows = [
        [
            "→" if term.price is current else "",
            since(term) or "always",
            " to ".join(daily(term) or ["all day"]),
            dollars_text(term.price.prices.input),
            dollars_text(term.price.prices.output),
            paint(term.price.source, dim=True),
        ]
        for term in price_list.terms
    ]
    return table(("", "FROM", "DAILY", "INPUT", "OUTPUT", "SOURCE"), rows)


def since(term: Term) -> str | None:
    """Return the day from which a price holds, None if it always did."""
    return None if term.start == BEGINNING else iso(term.start)[:10]


def daily(term: Term) -> list[str] | None:
    """Return the times of day between which a price holds, None if it is all day."""
    return None if term.window is None else [iso(second)[11:16] for second in term.window]


def iso(unix_seconds: float) -> str:
    """Write a moment as ISO 8601, in UTC."""
    return datetime.fromtimestamp(int(unix_seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def example(prices: UnitPrices) -> str:
    """Work out what a small call costs."""
    rates = prices.for_input(EXAMPLE.input_tokens)
    given, made = f"{EXAMPLE.input_tokens:,}", f"{EXAMPLE.output_tokens:,}"
    sum_of = f"({given} × {dollars_text(rates.input)} + {made} × {dollars_text(rates.output)}) / 1,000,000"
    return f"{given} input and {made} output tokens cost {sum_of} = {dollars_text(cost_of(EXAMPLE, prices))} US dollars."


def summary(entry: Entry, moment: float) -> dict[str, object]:
    """Return a model's entry in the JSON list. Prices are US dollars per million tokens, null without any."""
    price = None if entry.price_list is None else entry.price_list.at(moment)
    return {
        "model": entry.name,
        "source": price and price.source,
        "prices": price and price_document(price.prices),
        "refused": price is None and entry.needs_price,
    }


def document(entry: Entry, price_list: PriceList, loaded: Loaded, *, moment: float) -> dict[str, object]:
    """Return everything about a model's price. Prices are US dollars per million tokens, the cost US dollars."""
    price = price_list.at(moment)
    terms = [
        {"from": since(term), "daily": daily(term), "source": term.price.source, "prices": price_document(term.price.prices)}
        for term in price_list.terms
    ]
    cost = msgspec.Raw(dollars_text(cost_of(EXAMPLE, price.prices)).encode())
    return {
        "model": entry.name,
        "targets": [f"{target.vendor}/{target.model}" for step in entry.steps for target, _ in step],
        "at": iso(moment),
        "source": price.source,
        "origin": loaded.origins.get(price.source),
        "prices": price_document(price.prices),
        "terms": terms,
        "example": {"input_tokens": EXAMPLE.input_tokens, "output_tokens": EXAMPLE.output_tokens, "cost": cost},
    }


def say_json(value: object) -> None:
    """Print a value as indented JSON."""
    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
