"""What `aisa prices` prints: every model's price, or where one comes from and what it amounts to. Decides no price."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from aisa.cli.control import ask_server
from aisa.cli.data_folder import configuration
from aisa.cli.fitting import fitted
from aisa.cli.overview import targets
from aisa.cli.price_check import look_up_for, names_look_up_for, remedy, said
from aisa.cli.price_lines import lines_with_room
from aisa.cli.problems import Misuse, Stop, counted
from aisa.cli.terminal import paint, say, table
from aisa.config.load import ConfigErrors, Loaded
from aisa.edge.bill_view import ROWS, iso
from aisa.edge.model_view import ModelShown
from aisa.edge.models import price_document
from aisa.errors import ApiError
from aisa.known_models import Known
from aisa.model_lists import kept_lists
from aisa.money import Nanos, dollars_text
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.offer import Entry, Offer
from aisa.prices.lacking import IN_WORDS, lacking
from aisa.prices.rules import BEGINNING, BUILT_IN_SOURCE, CATALOGUE, WEEKDAYS, Price, PriceList, Term
from aisa.pricing import FEES, KINDS, UnitPrices, cost_of
from aisa.providers.shape import Target
from aisa.routing import Routes
from aisa.usage import Usage

EXAMPLE = Usage(input_tokens=1_000, output_tokens=500)


def show_all(path: str | None, data_dir: str | None, moment: float, *, as_json: bool) -> None:
    """Print the price of every model at a moment in UNIX seconds: the configured, then what else vendors have. Raises Misuse."""
    loaded = configuration(path, data_dir)
    routes = priced_routes(loaded)
    entries = [*[routes.find(name) for name in routes.names()], *routes.offered]
    if as_json:
        say_json([summary(entry, moment) for entry in entries])
        return
    rows = [line for entry in entries for line in lines_of(entry, loaded, moment)]
    say(fitted(("MODEL", "INPUT", "CACHED", "OUTPUT", "SOURCE"), rows, least=("CACHED",), prose=True))
    say("\nUS dollars per million tokens. More of one: aisa prices MODEL, also as vendor/model.")


def explain(name: str, path: str | None, data_dir: str | None, *, moment: float, as_json: bool) -> None:
    """Print what a model costs at a moment in UNIX seconds, and why. Raises Misuse, and Stop where there is no price."""
    loaded = configuration(path, data_dir)
    try:
        entry = priced_routes(loaded).find(name)
    except ApiError as error:
        if path is None:
            check_same(name, set(), loaded.config.server.data_dir)
        remedy = "List the models: aisa prices"
        raise Stop("there is no such model", [(name[:MODEL_NAME_CHARACTERS_MAX], error.message, remedy)]) from error
    if path is None:
        check_same(entry.name, {offer.name for offer in entry.offers}, loaded.config.server.data_dir)
    if all(offer.price_list is None for offer in entry.offers):
        raise no_price(entry, loaded)
    if as_json:
        say_json(document(entry, loaded, moment))
        return
    say(f"{paint(entry.name, bold=True)} is served by {targets(entry.settings)}.")
    groups = by_price(entry)
    for price_list, offers in groups:
        where = f" at {', '.join(offer.name for offer in offers)}" if len(groups) > 1 else ""
        if price_list is None:
            say(f"\nNo price{where}: {'it is never asked' if offers[0].needs_price else 'free of charge'}.")
        else:
            show(price_list, where, loaded, moment=moment, target=offers[0].target)


def check_same(name: str, here: set[str], folder: str) -> None:
    """Raise Stop if a server that runs sends a name elsewhere than this shell would: vendors may be in its environment alone."""
    try:
        there = ask_server(folder, f"/models/{quote(name[:MODEL_NAME_CHARACTERS_MAX], safe='')}", expect=ModelShown)
    except Stop:
        return  # nothing serves it there either
    if there is not None and {target.target for target in there.targets} != here:
        what = f"The running server sends it to {' or '.join(target.target for target in there.targets)}, which is not known in this shell."
        remedy = f"Set the variables here that the server was started with, or: aisa models {name}"
        raise Stop("its price cannot be told here", [(name, what, remedy)])


def show(price_list: PriceList, where: str, loaded: Loaded, *, moment: float, target: Target) -> None:
    """Print one price of a model, all of its kinds, and what comes before and after it."""
    price = price_list.at(moment)
    if where:
        say("")
    say(f"Source of its price{where}: {described(price.source, loaded)}")
    say(found_by(price_list, price, moment))
    say(price_table(price.prices))
    if kinds := [kind for kind in IN_WORDS if kind in lacking(price_list)]:
        said = ", ".join([f"{IN_WORDS[kind]} (`{kind}`)" for kind in kinds])
        say(f"\nRequests that ask for something of no price are refused, until it is written: {said}.")
        lines = lines_with_room(target.vendor, target.model, price_list, missing=kinds) if price.source.startswith(CATALOGUE) else ""
        if lines:
            say(f"Lines to write, with what you pay in the place of a comment; they count instead of the catalogue's:\n\n{lines}")
    if len(price_list.terms) > 1:
        say(f"\nPrices by time, in UTC; the one above holds at {iso(moment)}:\n")
        say(term_table(price_list, moment))
    say(f"\n{example(price.prices)}")


def found_by(price_list: PriceList, price: Price, moment: float) -> str:
    """Say by which rule a price was found in the catalogue and how old that is; nothing of a price that is not from there."""
    if not price.source.startswith(CATALOGUE):
        return ""
    if not price.source.startswith(BUILT_IN_SOURCE):
        return f"Found {price_list.found}.\n"
    from aisa.prices.matching import newest_check  # loaded by now, as the price was found

    checked = newest_check()
    age = "" if checked is None else f" The last check that this list notes: {checked}, {days_between(checked, moment)} days before."
    return f"Found {price_list.found}.{age}\n"


def days_between(day: date, moment: float) -> int:
    """Return how many days a moment is after a day."""
    return (datetime.fromtimestamp(moment, UTC).date() - day).days


def by_price(entry: Entry) -> list[tuple[PriceList | None, list[Offer]]]:
    """Return the prices that a model has, in the order in which its targets are tried, each with the targets that have it."""
    groups: list[tuple[PriceList | None, list[Offer]]] = []
    for offer in entry.offers:
        known = next((offers for price_list, offers in groups if (price_list, offers[0].needs_price) == key_of(offer)), None)
        if known is None:
            groups.append((offer.price_list, [offer]))
        else:
            known.append(offer)
    return groups


def key_of(offer: Offer) -> tuple[PriceList | None, bool]:
    """Return what offers of one price have in common."""
    return offer.price_list, offer.needs_price


def priced_routes(loaded: Loaded) -> Routes:
    """Return the models of a configuration, with their prices. Raises Misuse."""
    try:
        known = Known(names_look_up_for(loaded.config), kept_lists(Path(loaded.config.server.data_dir), loaded.config))
        return Routes(loaded.config, look_up_for(loaded.config), known=known)
    except ConfigErrors as errors:
        raise misuse(errors) from errors


def misuse(errors: ConfigErrors) -> Misuse:
    """Return how the command ends for a configuration that cannot be used."""
    return Misuse(f"the configuration has {counted(len(errors.problems))}", errors.problems)


def no_price(entry: Entry, loaded: Loaded) -> Stop:
    """Return how the command ends for a model without a price."""
    name = entry.name[:MODEL_NAME_CHARACTERS_MAX]
    refused = len(entry.unpriced) == len(entry.offers)
    offer = entry.unpriced[0] if refused else next(offer for offer in entry.offers if not offer.needs_price)
    known, lines = said(offer, loaded.config)
    what = "Calls to it are refused." if refused else f"Calls to it are free of charge, as `vendors.{offer.target.vendor}` allows."
    return Stop(f"the model {name!r} has no price", [(name, f"{known} {what}", remedy(offer, name))], lines)


def described(source: str, loaded: Loaded) -> str:
    """Say where a price comes from: a setting with its file and line, or as the source itself says."""
    origin = loaded.origins.get(source)
    return f"{source} ({origin})" if origin else source


def lines_of(entry: Entry, loaded: Loaded, moment: float) -> list[list[str]]:
    """Return a model's lines of the list: one, and where its targets cost differently one for each price, by its first target."""
    groups = by_price(entry)
    names = [entry.name, *(f"  or {offers[0].name}" for _, offers in groups[1:])]
    return [[name, *cells(offers[0], loaded, moment)] for name, (_, offers) in zip(names, groups, strict=True)]


def cells(offer: Offer, loaded: Loaded, moment: float) -> list[str]:
    """Return what a line of the list says of a target."""
    price = offer.price_at(moment)
    if price is None:
        return ["-", "-", "-", paint("no price: refused", "red") if offer.needs_price else "no price: free of charge"]
    figures = [shown(price.prices, kind) for kind in ("input", "cached_input", "output")]
    return [*figures, paint(described(price.source, loaded), dim=True)]


def price_table(prices: UnitPrices) -> str:
    """Return a table of unit prices, a line per kind of token and a column per tier."""
    columns = [prices, *(tier.prices for tier in prices.tiers)]
    heads = ["TOKENS", "US DOLLARS PER MILLION", *(f"OVER {tier.over_input_tokens:,} INPUT TOKENS" for tier in prices.tiers)]
    rows = [kind for kind in ROWS if getattr(prices, kind) is not None]
    return table(heads, [[kind.replace("_", " "), *(shown(each, kind) for each in columns)] for kind in rows])


def shown(prices: UnitPrices, kind: str) -> str:
    """Return a kind's price, and where it has none of its own whose it is charged at."""
    price: Nanos | None = getattr(prices, kind)
    if price is None:
        return "-"
    parent = KINDS.get(kind, kind)
    borrowed = kind != parent and price and price == getattr(prices, parent)
    return f"{dollars_text(price)}{' each' if kind in FEES else ''}{f' (as {parent})' if borrowed else ''}"


def term_table(price_list: PriceList, moment: float) -> str:
    """Return a table of all prices that a model has over time, in the order in which they are tried."""
    current = price_list.at(moment)
    rows = [
        [
            "→" if term.price is current else "",
            since(term) or "always",
            when(term),
            dollars_text(term.price.prices.input),
            dollars_text(term.price.prices.output),
            paint(term.price.source, dim=True),
        ]
        for term in price_list.terms
    ]
    return fitted(("", "FROM", "DAILY", "INPUT", "OUTPUT", "SOURCE"), rows, prose=True)


def since(term: Term) -> str | None:
    """Return the day from which a price holds, None if it always did."""
    return None if term.start == BEGINNING else datetime.fromtimestamp(term.start, term.zone).date().isoformat()


def when(term: Term) -> str:
    """Say at which hours and on which days of the week a price holds."""
    days = days_of(term)
    said = " to ".join(daily(term) or ["all day"]) + (f" on {', '.join(days)}" if days else "")
    return said if term.zone is UTC else f"{said} in {term.zone}"


def days_of(term: Term) -> list[str] | None:
    """Return the days of the week on which a price holds, None if it is every day."""
    return None if term.days is None else [WEEKDAYS[day] for day in term.days]


def daily(term: Term) -> list[str] | None:
    """Return the times of day between which a price holds, None if it is all day."""
    return None if term.window is None else [iso(second)[11:16] for second in term.window]


def example(prices: UnitPrices) -> str:
    """Work out what a small call costs."""
    rates = prices.for_input(EXAMPLE.input_tokens)
    given, made = f"{EXAMPLE.input_tokens:,}", f"{EXAMPLE.output_tokens:,}"
    sum_of = f"({given} × {dollars_text(rates.input)} + {made} × {dollars_text(rates.output)}) / 1,000,000"
    return f"{given} input and {made} output tokens cost {sum_of} = {dollars_text(cost_of(EXAMPLE, prices))} US dollars."


def summary(entry: Entry, moment: float) -> dict[str, object]:
    """Return a model's entry in the JSON list. Prices are US dollars per million tokens, null without any; its own the dearest target's."""
    dearest = offered(entry.dearest(moment), moment)
    refused = len(entry.unpriced) == len(entry.offers)
    return {
        "model": entry.name,
        "source": dearest["source"],
        "prices": dearest["prices"],
        "refused": refused,
        "targets": [offered(offer, moment) for offer in entry.offers],
    }


def offered(offer: Offer, moment: float) -> dict[str, object]:
    """Return what a target costs, as in the JSON list."""
    price = offer.price_at(moment)
    return {
        "target": offer.name,
        "source": price and price.source,
        "prices": price and price_document(price.prices),
        "refused": price is None and offer.needs_price,
    }


def document(entry: Entry, loaded: Loaded, moment: float) -> dict[str, object]:
    """Return everything about a model's price, the dearest target's; prices are US dollars per million tokens, the cost US dollars."""
    price_list = entry.dearest(moment).price_list
    assert price_list is not None, "the caller looked"
    price = price_list.at(moment)
    terms = [
        {
            "from": since(term),
            "daily": daily(term),
            "days": days_of(term),
            "time_zone": str(term.zone),
            "source": term.price.source,
            "prices": price_document(term.price.prices),
        }
        for term in price_list.terms
    ]
    cost = msgspec.Raw(dollars_text(cost_of(EXAMPLE, price.prices)).encode())
    return {
        "model": entry.name,
        "targets": [offered(offer, moment) for offer in entry.offers],
        "at": iso(moment),
        "source": price.source,
        "origin": loaded.origins.get(price.source),
        "found": price_list.found or None,
        "prices": price_document(price.prices),
        "terms": terms,
        "example": {"input_tokens": EXAMPLE.input_tokens, "output_tokens": EXAMPLE.output_tokens, "cost": cost},
    }


def say_json(value: object) -> None:
    """Print a value as indented JSON."""
    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode(), literal=True)
