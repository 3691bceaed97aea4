"""From a model's public name to the targets that serve it, in the order to try them. Pure in configuration and chance."""

from __future__ import annotations

from functools import cached_property, lru_cache, partial
from math import inf

import msgspec

from aisa.beside import kinds_shown
from aisa.clock import Chance
from aisa.config.route import LATENCY, LOAD, NO_ROUTE, PROMPT
from aisa.config.schema import Config, Model
from aisa.config.schema import Target as TargetSetting
from aisa.errors import ApiError
from aisa.fitness import fitting, may_be_too_long
from aisa.health import Health
from aisa.keys.rules import Key
from aisa.known_models import NOTHING_KNOWN, Known, KnownModels, ambiguous, folded, nearest, unknown_model
from aisa.model_limits import check_limits, has_limits
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.offer import ANSWER, Entry, Listed, Offer, Plan
from aisa.other_models import refuse_others
from aisa.priced_offers import priced, unusable
from aisa.prices.dear_input import may_be_dear
from aisa.prices.geographies import listed_address
from aisa.prices.lacking import NOTHING_LACKING, always_lacking, lacking
from aisa.prices.rules import BEGINNING, LookUp, Price, PriceList, Term, configured, is_local, times, unlisted
from aisa.pricing import unit_prices
from aisa.providers.counting import Counting
from aisa.providers.shape import Target
from aisa.ranking import Scene, ranked
from aisa.redaction import without_secrets
from aisa.traffic import Traffic
from aisa.vendor_targets import bounded_by_facts, settled, takes_of, vendor_target
from aisa.wire.door import Request
from aisa.wire.model_name import shown_name

EMBEDDED = "embedded"
TINY = "embedded/tiny"
TINY_CONTEXT_TOKENS = 131_072
OWN_PREFIX = "aisa/"
ALLOWED_SHOWN_MAX = 20  # names of an allow-list in an error
OFFERED_MAX = 2_000  # models of a vendor that are listed; the longest list has some 700
NAMES_KEPT_MAX = 1_000  # outside the configuration, with their prices; real ones are fewer, and made-up ones push each other out
FREE = PriceList((Term(Price(unit_prices({}), "the embedded model is free")),))


class Routes:
    """The models of one configuration.

    `look_up` asks the price catalogue about a model that the configuration has no price for. None is for tests of other things: then no
    model needs a price. `counting` says how the text of each target is counted, `known` which models the vendors have.
    """

    def __init__(
        self, config: Config, look_up: LookUp | None = None, counting: Counting | None = None, *, known: Known = NOTHING_KNOWN
    ) -> None:
        self._config = config
        self._vendors = config.vendors
        self._look_up = look_up or unlisted
        self._known = known
        self._prices_needed = look_up is not None
        self._listed = lru_cache(NAMES_KEPT_MAX)(self._both_listed)
        self._counting = counting or Counting()
        self._kept = lru_cache(NAMES_KEPT_MAX)(self._direct)
        self._targets = {name: vendor_target(name, config) for name in config.vendors}
        self.models = KnownModels(config, known, self._is_catalogued, usable=self._is_usable)
        if config.embedded.enabled != "never":
            self._targets[EMBEDDED] = Target(EMBEDDED, "", "openai")
        self._entries: dict[str, Entry] = {}
        for name, setting in config.models.items():
            self._entries[name] = self._entry(name, setting if isinstance(setting, Model) else Model(to=setting))
        self._fenced = config.models_only
        if EMBEDDED in self._targets and not self._fenced:
            self._entries.setdefault(TINY, self._entry(TINY, Model(to=(TINY,), context_window=TINY_CONTEXT_TOKENS)))
        #: Of each configured name with one target, the plan of every call that asks for no other service tier: it depends on nothing else.
        self._fixed = {
            name: Plan(entry, entry.offers) for name, entry in self._entries.items() if len(entry.offers) == 1 and not entry.choosy
        }
        self._folded = folded({name: entry.settings.aliases for name, entry in self._entries.items()})
        self._vendors_folded = {name.casefold(): name for name in self._targets}
        self.vendors = vendors = tuple(config.vendors)  # in the configuration's order
        # A bare name with nothing said about models: the one vendor there is, or the embedded model if there is none or if it always may.
        self._bare = vendors[0] if len(vendors) == 1 and not config.models and config.embedded.enabled != "always" else None
        self.any_name = config.embedded.enabled == "always" or (not vendors and EMBEDDED in self._targets)

    def knowing(self, known: Known) -> Routes:
        """Return the routes of the same configuration with something else known of its vendors; what was learned of answers stays."""
        known = msgspec.structs.replace(known, catalogued=self._known.catalogued)
        return Routes(self._config, self._look_up if self._prices_needed else None, self._counting, known=known)

    def names(self) -> list[str]:
        """Return the listed public names, in the configuration's order."""
        return list(self._entries)

    @property
    def free_vendors(self) -> tuple[str, ...]:
        """The vendors of which callers may ask any model by `vendor/model`, free of charge where it has no price."""
        return () if self._fenced else tuple([name for name in self.vendors if not self._needs_price(self._targets[name])])

    def find(self, name: str) -> Entry:
        """Return the entry of a name: as written, else in any case, without `aisa/`, a vendor's, or one that a vendor is known to have.

        Raises ApiError: unknown_model; overloaded while vendors that may have it are asked for their lists for the first time.
        """
        bare = name.removeprefix(OWN_PREFIX)
        for candidate in (name, bare):
            known = candidate if candidate in self._entries else self._folded.get(candidate.casefold())
            if known is not None:
                return self._entries[known]
            written, slash, model = candidate.partition("/")
            vendor = written if written in self._targets else self._vendors_folded.get(written.casefold())
            if slash and model and vendor is not None and not self._fenced:
                model = self.models.spelling(vendor, model) if vendor in self.models.shown else model
                return self._outside(f"{vendor}/{model}", vendor, model)
        if self._fenced:
            raise unknown_model(name, nearest(bare, self._entries))
        if (holder := self.models.holder(bare)) is not None:
            return self._outside(holder.model, holder.vendor, holder.model)
        if self._bare is not None:
            return self._outside(bare, self._bare, bare)
        if self.any_name:
            return self._outside(name, EMBEDDED, name)  # it answers in the name it was asked by, and says who it is beside it
        if holders := self.models.holders(bare):
            raise ambiguous(name, [each.target for each in holders])
        if self.models.awaited:
            told = without_secrets(name[:MODEL_NAME_CHARACTERS_MAX])
            raise ApiError("overloaded", f"Whether a vendor has the model {told!r} is being asked. Try again in a second.", param="model")
        raise unknown_model(name, self.models.near(bare, self._entries))

    @cached_property
    def offered(self) -> tuple[Entry, ...]:
        """What else may be called without a guess: the vendors' models that have a price or need none, in the vendors' order.

        Takes up to two milliseconds each, the first time: made apart from calls, and what is learned of answers is not in them.
        """
        found: dict[str, Entry] = {}
        for vendor, models in () if self._fenced else self.models.shown.items():
            for model in models[:OFFERED_MAX]:
                holder = self.models.holder(model)
                name = model if holder is not None and holder.vendor == vendor else f"{vendor}/{model}"
                if name.casefold() not in self._folded and name not in found:
                    entry = self._entry(name, self._setting(vendor, model), named_by_caller=True, counted=False)
                    if not entry.unpriced:
                        found[name] = entry
        return tuple(found.values())

    def plan(
        self, request: Request, key: Key, chance: Chance, *, health: Health | None = None, now: float = 0.0, unix_seconds: float = 0.0
    ) -> Plan:
        """Return what a call will do. `health` may order targets at a time, `now` in the event loop's seconds; prices are of a UNIX second.

        Raises ApiError: unknown_model, also for one without a price; model_not_allowed, max_tokens_exceeded, unsupported_parameter, in
        this order.
        """
        fixed = self._fixed.get(request.model)
        entry = self.find(request.model) if fixed is None else fixed.entry
        if entry.unpriced and len(entry.unpriced) == len(entry.offers):
            raise unusable(entry, self.models, self._entries)
        if key.models is not None:
            self.allow(key, entry)
            refuse_others(key.models, entry, request, find=self.find)
        if entry.limited:
            check_limits(request, entry.name, entry.settings)
        tier, member = request.tier()
        kinds = kinds_shown(request, entry.lacking, find=self.find, at=unix_seconds) if entry.lacking else []
        if fixed is not None and not tier and not kinds:
            return fixed
        offers = priced(entry, kinds, (tier, member)) if entry.unpriced or kinds or tier else list(entry.offers)
        if entry.choosy or may_be_too_long(entry, request):
            offers = fitting(entry, offers, request)
        if len(offers) > 1:
            if entry.ranked:
                traffic = Traffic() if health is None else health.traffic
                offers = ranked(entry, offers, request, scene=Scene(traffic, chance, now, unix_seconds))
            if health is not None:
                offers = [offers[position] for position in health.order([offer.name for offer in offers], now)]
        return Plan(entry, tuple(offers), entry.watched)

    def allow(self, key: Key, entry: Entry) -> None:
        """Raise ApiError model_not_allowed unless the key may use the model."""
        if key.models is not None and not self.is_allowed(key.models, entry):
            more = len(key.models) - ALLOWED_SHOWN_MAX
            listed = ", ".join(key.models[:ALLOWED_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
            name = without_secrets(entry.name)
            raise ApiError("model_not_allowed", f"This key may not use the model '{name}'. It may use: {listed}.", param="model")

    def is_allowed(self, models: tuple[str, ...], entry: Entry) -> bool:
        """Say whether an allow-list has a model: by its name or, where the configuration has none, by any that leads to the same target."""
        allowed = {name.casefold() for name in models}
        if entry.name.casefold() in allowed:
            return True
        offer = entry.offers[0]
        if entry.name in self._entries or offer.target.vendor == EMBEDDED:
            return False
        if offer.name.casefold() in allowed:
            return True
        bare, holder = offer.target.model, self.models.holder(offer.target.model)
        leads_there = self._bare == offer.target.vendor if holder is None else holder.vendor == offer.target.vendor
        return leads_there and bare.casefold() in allowed and bare.casefold() not in self._folded

    def _entry(self, name: str, model: Model, *, named_by_caller: bool = False, counted: bool = True) -> Entry:
        offers: list[Offer] = []
        grouped_before = False
        for item in model.to:
            weighted = isinstance(item, TargetSetting)
            setting = item if isinstance(item, TargetSetting) else TargetSetting(target=item)
            vendor, _, upstream_model = setting.target.partition("/")
            called = model.name_in_answers or ("vendor" if named_by_caller or name in (upstream_model, setting.target) else "own")
            target = msgspec.structs.replace(
                self._targets[vendor], model=upstream_model, public=name if called == "own" else "", named_by_caller=named_by_caller
            )
            alias = setting.price_as or self._alias(vendor, upstream_model)
            price_list = self._price_list(name, model, target, alias=alias)
            listed = None if price_list is None else price_list.context_window
            target = settled(target, setting, model, config=self._config, alias=alias, listed=listed)
            if vendor in self._vendors and counted:
                measure = self._counting.measure(setting.target, self._vendors[vendor], model)
                target = msgspec.structs.replace(target, measure=measure)
            needs, priced_by = self._needs_price(target), self._price_by(model, vendor)
            flaw = always_lacking(upstream_model, price_list) if needs else ""
            price_list, lacks = (None, NOTHING_LACKING) if flaw else (price_list, lacking(price_list) if needs else NOTHING_LACKING)
            grouped = weighted or (model.route is not None and model.route.groups)
            step = offers[-1].step + (not (grouped and grouped_before)) if offers else 0
            grouped_before = grouped
            offers.append(
                Offer(
                    msgspec.structs.replace(target, lacking=lacks),
                    setting.target,
                    price_list,
                    needs_price=needs,
                    alias=alias,
                    price_by=priced_by,
                    listed=self._listing(target, alias),
                    flaw=flaw,
                    dear_input=may_be_dear(price_list, target.dialect),
                    step=step,
                    weight=setting.weight,
                    takes=takes_of(setting, target, alone=len(model.to) == 1),
                    shown=TINY if vendor == EMBEDDED else vendor if shown_name(upstream_model, "") == "" else setting.target,
                )
            )
        capped = any(offer.target.vendor in self._config.limits.vendors for offer in offers)
        return entry_of(name, bounded_by_facts(model, [offer.target for offer in offers]), offers, capped=capped)

    def _outside(self, name: str, vendor: str, model: str) -> Entry:
        """Return the entry of a name that the configuration does not have. Callers choose it, so it is kept only if it could be real."""
        return (self._kept if len(name) <= MODEL_NAME_CHARACTERS_MAX else self._direct)(name, vendor, model)

    def _setting(self, vendor: str, model: str) -> Model:
        """Return the setting of a model that the configuration does not name."""
        known, to = self._vendors.get(vendor), (f"{vendor}/{model}",)
        return Model(to=to) if known is None else Model(to=to, idle_timeout_seconds=known.idle_timeout_seconds)

    def _direct(self, name: str, vendor: str, model: str) -> Entry:
        return self._entry(name, self._setting(vendor, model), named_by_caller=True)

    def _price_list(self, name: str, model: Model, target: Target, *, alias: str) -> PriceList | None:
        """Return what a model costs at a target: as the model's entry says, else as the vendor's does, else as the catalogue does.

        The catalogue is asked for `alias` or else for the vendor's own name.
        """
        vendor = self._vendors.get(target.vendor)
        terms = configured(model.prices, f"models.{name}.prices")
        if vendor is None:
            return PriceList(terms) if terms else FREE
        terms += configured(vendor.prices.get(target.model), f"vendors.{target.vendor}.prices.{target.model}")
        if all(term.start > BEGINNING for term in terms):
            listed = self._catalogue(target.vendor, target.model, alias)
            if listed is not None:
                found = f"as `price_as: {alias}` says, {listed.found}" if alias else listed.found
                return PriceList(terms + listed.terms, listed.context_window, found)
        return PriceList(terms) if terms else None

    def _is_catalogued(self, vendor: str, model: str) -> bool:
        return self._catalogue(vendor, model, self._alias(vendor, model)) is not None

    def _is_usable(self, vendor: str, model: str) -> bool:
        return not self._entry(model, Model(to=(f"{vendor}/{model}",)), counted=False).unpriced

    def _catalogue(self, name: str, model: str, alias: str) -> PriceList | None:
        """Return what the catalogue lists for a model of a vendor of the configuration, times the factor that is set there."""
        vendor = self._vendors[name]
        listed_vendor, _, listed_model = alias.partition("/") if alias else (name, "", model)
        listed = self._look_up(listed_vendor, "" if alias else listed_address(vendor), listed_model)
        if listed is None and vendor.price_factor is not None:
            listed = self._look_up(listed_vendor, "", listed_model)  # of a region of it, or of a reseller
        return None if listed is None else times(listed, vendor.price_factor or 1)

    def _listing(self, target: Target, alias: str) -> Listed | None:
        """Return what looks up who answers for a target; nothing where the catalogue cannot have it."""
        vendor = self._vendors.get(target.vendor)
        if vendor is None or self._look_up is unlisted:
            return None
        return partial(self._listed, (target.vendor, target.model, alias))

    def _both_listed(self, asked: tuple[str, str, str], answered: str) -> tuple[PriceList, PriceList] | None:
        """Return what the catalogue lists for two models; None if it does not have both, or has them as one.

        The first is given as a vendor of the configuration, its model and the name under which the catalogue has that.
        """
        vendor, _, alias = asked
        listed_vendor, slash, _ = alias.partition("/")
        first, second = self._catalogue(*asked), self._catalogue(vendor, answered, slash and f"{listed_vendor}/{answered}")
        return None if first is None or second is None or first.terms == second.terms else (first, second)

    def _price_by(self, model: Model, vendor: str) -> str:
        setting = self._vendors.get(vendor)
        return model.price_by or (ANSWER if setting is None else setting.price_by)

    def _alias(self, vendor: str, model: str) -> str:
        return self._vendors[vendor].price_as.get(model, "") if vendor in self._vendors else ""

    def _needs_price(self, target: Target) -> bool:
        vendor = self._vendors.get(target.vendor)
        if vendor is None or not self._prices_needed:
            return False
        return not (is_local(vendor.base_url) if vendor.allow_unpriced is None else vendor.allow_unpriced)


def entry_of(name: str, model: Model, offers: list[Offer], *, capped: bool) -> Entry:
    """Return the entry of a name with these offers."""
    route = model.route or NO_ROUTE
    windows = {offer.target.context_window for offer in offers}
    return Entry(
        name,
        tuple(offers),
        model,
        unpriced=tuple([offer for offer in offers if offer.needs_price and offer.price_list is None]),
        limited=has_limits(model),
        lacking=frozenset([kind for offer in offers for kind in offer.target.lacking]),
        ranked=offers[-1].step < len(offers) - 1 or route.affinity == PROMPT,
        watched=route.by in (LOAD, LATENCY) and len(offers) > 1,
        choosy=any(offer.takes is not None for offer in offers),
        smallest_window=min([window for window in windows if window is not None], default=inf) if len(windows) > 1 else inf,
        patience_seconds=route.first_token_seconds,
        capped=capped,
    )
