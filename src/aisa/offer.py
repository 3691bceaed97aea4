"""What a model's name stands for: its targets with their prices, and what one call does with them. Pure; decides no order."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import msgspec

from aisa.config.schema import Model
from aisa.money import Nanos
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.prices.rules import CATALOGUE, Price, PriceList
from aisa.providers.shape import Target

ANSWER, ASKED = "answer", "asked"  # whose price the catalogue's is: the model that answered, or the one that was asked

#: Takes the name of a model that answered; returns what the catalogue lists for the model asked and for that one, None if it has not both.
Listed = Callable[[str], tuple[PriceList, PriceList] | None]


class Offer(msgspec.Struct, frozen=True):
    """A target and what its tokens cost the caller there. `name` is `vendor/model`, `tier` the service tier that is asked for, if another.

    Without a price list it is never asked if `needs_price`, else it is asked free of charge. `alias` is the name, `vendor/model`, under
    which the operator says that the catalogue has its price. The same holds for a tier's price. `price_by` says whose price the catalogue's
    is where another model answers: then `listed` has both; None where the catalogue has no price at all. For want of `flaw`, a kind of cost
    that every call makes, there is no price list.
    `step` is the place of its group among those that are tried one after the other, `weight` its share of the calls within the group, 0
    for a stand-by; `dear_input` is as `prices.dear_input` says. `takes` is what a request may show besides text, None if nobody has said;
    `shown` what callers are told of it. `further` are models that this call lets its vendor ask by itself, at the prices of their own.
    """

    target: Target
    name: str
    price_list: PriceList | None = None
    needs_price: bool = False
    alias: str = ""
    tier: str = ""
    price_by: str = ANSWER
    listed: Listed | None = None
    flaw: str = ""
    dear_input: bool = True
    step: int = 0
    weight: int = 1
    takes: frozenset[str] | None = None
    shown: str = ""
    further: tuple[str, ...] = ()

    def price_at(self, unix_seconds: float, tier: str | None = None) -> Price | None:
        """Return its price at a moment in a service tier, if none is named in that which is asked for; None if it has none."""
        return None if self.price_list is None else self.price_list.at(unix_seconds, self.tier if tier is None else tier)

    def answered_price(self, answered: str, unix_seconds: float) -> tuple[Price | None, Price | None]:
        """Return the price of a call that was answered by a model, empty for the one asked, and the catalogue's price of that model.

        The second is None unless the catalogue has it and it is another than that of the model asked. Prices that the operator has set, and
        those of a name that he has set, hold whoever answers.
        """
        price = self.price_at(unix_seconds)
        known = self.listed is not None and 0 < len(answered) <= MODEL_NAME_CHARACTERS_MAX and answered != self.target.model
        lists = self.listed(answered) if known and self.listed is not None else None
        if lists is None:
            return price, None
        asked, other = (each.at(unix_seconds, self.tier) for each in lists)
        if asked.prices == other.prices:
            return price, None
        follows = self.price_by == ANSWER and not self.alias and price is not None and price.source.startswith(CATALOGUE)
        return other if follows else price, other

    def lacks(self, tier: str) -> bool:
        """Say whether it is not to be asked for a service tier, because that needs a price and has none."""
        return self.needs_price and self.price_list is not None and not self.price_list.has(tier)


class Entry(msgspec.Struct, frozen=True):
    """One public model name. `offers` are its targets, in the order of the configuration; those of a later step are tried after an earlier.

    `unpriced` are those of them that are never asked, as they need a price and have none. `limited` says that its settings have limits;
    `lacking` are the kinds of cost that one of the others must not be asked for. `ranked`: calls may ask the targets in other orders than
    this; `watched`: by what becomes of other calls. `choosy`: some do not take everything that a request may show. `smallest_window` is
    the smallest that is known, in tokens, where windows differ; `patience_seconds` how long a stream waits for one of several targets.
    `capped`: a vendor of theirs limits us.
    """

    name: str
    offers: tuple[Offer, ...]
    settings: Model
    unpriced: tuple[Offer, ...] = ()
    limited: bool = True
    lacking: frozenset[str] = frozenset()
    ranked: bool = False
    watched: bool = False
    choosy: bool = False
    smallest_window: float = inf
    patience_seconds: float | None = None
    capped: bool = False

    def dearest(self, unix_seconds: float) -> Offer:
        """Return the offer whose output, then input, costs most at a moment; the first if none has a price."""

        def rates(offer: Offer) -> tuple[Nanos, Nanos]:
            price = offer.price_at(unix_seconds)
            return (-1, -1) if price is None else (price.prices.output, price.prices.input)

        return max(self.offers, key=rates)


class Plan(msgspec.Struct, frozen=True):
    """What a call will do: which entry it is billed as and which offers it tries, in order. `watched`: what becomes of it orders others."""

    entry: Entry
    offers: tuple[Offer, ...]
    watched: bool = False
