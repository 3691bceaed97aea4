"""Which vendor has a model that the configuration does not list, by what the settings, the price catalogue and the vendors' own lists say.

Pure. What is asked of the vendors, and when, is in `model_lists.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from aisa.config.schema import Config, Model
from aisa.config.schema import Target as TargetSetting
from aisa.errors import ApiError
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.redaction import without_secrets

SUGGESTIONS_MAX = 3
COMPARED_MAX = 500  # names that an unknown one is compared with, those that begin alike first: some milliseconds
LIKE_CHARACTERS = 3  # of their beginnings
ANSWERS_KEPT_MAX = 1_000  # bare names and who has them; made-up ones push each other out


def nothing_listed(_vendor: str, _base_url: str) -> tuple[str, ...]:
    """Stand in for the catalogue where no vendor can be in it."""
    return ()


class Known(msgspec.Struct, frozen=True):
    """What is known of vendors' models. `catalogued` returns the names that the price catalogue has for a vendor at a base URL.

    `lists` are the vendors' own, by their names here; `awaited` are vendors that are being asked for theirs for the first time.
    """

    catalogued: Callable[[str, str], tuple[str, ...]] = nothing_listed
    lists: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    awaited: frozenset[str] = frozenset()


NOTHING_KNOWN = Known()


class Holder(NamedTuple):
    """A vendor and the name that it has for a model; `why` says how that is known."""

    vendor: str
    model: str
    why: str

    @property
    def target(self) -> str:
        """The model as `vendor/model`."""
        return f"{self.vendor}/{self.model}"


class KnownModels:
    """The models of a configuration's vendors.

    `priced` says whether the price catalogue has a model of a vendor, dated or not; `usable` whether it has a price or needs none there.
    """

    def __init__(self, config: Config, known: Known, priced: Callable[[str, str], bool], *, usable: Callable[[str, str], bool]) -> None:
        self._vendors = tuple(config.vendors)
        self._prefer = config.models_prefer
        self._priced = priced
        self._usable = usable
        self.awaited = known.awaited & config.vendors.keys()
        #: vendor -> name in small letters -> the vendor's spelling, and how it is known.
        self._spelled: dict[str, dict[str, tuple[str, str]]] = {}
        #: vendor -> what it is shown with: its own list, or what is known of it without one.
        self.shown: dict[str, tuple[str, ...]] = {}
        for name, vendor in config.vendors.items():
            settings = (*vendor.prices, *vendor.price_as, *_configured(config, name))
            catalogued, listed = known.catalogued(name, vendor.base_url), known.lists.get(name, ())
            spelled: dict[str, tuple[str, str]] = {}
            for names, why in ((catalogued, CATALOGUED), (listed, LISTED), (settings, SET)):  # the surer spelling last
                spelled |= {each.casefold(): (each, why) for each in names}
            self._spelled[name] = spelled
            self.shown[name] = tuple(dict.fromkeys((*settings, *(listed or catalogued))))
        self.holders = lru_cache(ANSWERS_KEPT_MAX)(self._holders)

    def _holders(self, name: str) -> tuple[Holder, ...]:
        """Return the vendors that have a model of a bare name, in any case of its letters, in the order of the configuration.

        Of several, those count at which it can be used.
        """
        if not name or len(name) > MODEL_NAME_CHARACTERS_MAX:
            return ()
        found: list[Holder] = []
        for vendor in self._vendors:
            spelled, why = self._spelled[vendor].get(name.casefold(), ("", ""))
            if not spelled and self._priced(vendor, name):
                spelled, why = name, CATALOGUED
            if spelled:
                found.append(Holder(vendor, spelled, why))
        if len(found) > 1:
            found = [holder for holder in found if self._usable(holder.vendor, holder.model)] or found
        return tuple(found)

    def spelling(self, vendor: str, model: str) -> str:
        """Return the name that a vendor is known to have for a model in any case of its letters, so that its price is the vendor's."""
        return model if model in self.shown[vendor] else self._spelled[vendor].get(model.casefold(), (model, ""))[0]

    def holder(self, name: str) -> Holder | None:
        """Return the one vendor that has a bare name, or the preferred one of several; None if that is nobody, or not said."""
        holders = self.holders(name)
        if len(holders) == 1:
            return holders[0]
        return next((holder for vendor in self._prefer for holder in holders if holder.vendor == vendor), None)

    def near(self, name: str, configured: Iterable[str]) -> list[str]:
        """Return the names most like an unknown one, each as it could be called: those of the configuration, and of vendors."""
        targets = [f"{vendor}/{model}" for vendor, models in self.shown.items() for model in models]
        found = [each for each in nearest(name, (*targets, *configured)) if self._is_usable(*each.partition("/")[::2])]
        return found if "/" in name else list(dict.fromkeys(self._shortest(each) for each in found))

    def _is_usable(self, vendor: str, model: str) -> bool:
        return vendor not in self._spelled or self._usable(vendor, model)

    def _shortest(self, target: str) -> str:
        vendor, _, model = target.partition("/")
        holder = self.holder(model) if vendor in self._spelled else None
        return target if holder is None or holder.target != target else model


def folded(names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return models' names by what they are without regard to case, and by their further names, which come after all names."""
    further = {alias.casefold(): name for name, aliases in names.items() for alias in aliases}
    return further | {name.casefold(): name for name in names}


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Return those of some names that are most like an unknown one, in any case of its letters; also by what stands behind a slash."""
    folded = name.casefold()[:MODEL_NAME_CHARACTERS_MAX]
    pool: dict[str, str] = {}
    for each in names:
        pool[each.casefold()] = each
        if "/" not in folded:
            pool.setdefault(each.casefold().partition("/")[2] or each.casefold(), each)
    alike = sorted(pool, key=lambda each: not each.startswith(folded[:LIKE_CHARACTERS]))[:COMPARED_MAX]
    found = difflib.get_close_matches(folded, alike, SUGGESTIONS_MAX)
    return list(dict.fromkeys(pool[each] for each in found))


def unknown_model(name: str, near: list[str]) -> ApiError:
    """Return the error for a name that nothing serves, with the nearest names."""
    name = without_secrets(name[:MODEL_NAME_CHARACTERS_MAX])
    hint = f" Did you mean {', '.join(repr(other) for other in near)}?" if near else " GET /v1/models lists the models of this server."
    return ApiError("unknown_model", f"The model {name!r} does not exist here.{hint}", param="model")


def ambiguous(name: str, targets: list[str]) -> ApiError:
    """Return the error for a bare name that several vendors have, none of them preferred."""
    said = f"Several vendors here have the model {name[:MODEL_NAME_CHARACTERS_MAX]!r}: ask for {' or '.join(map(repr, targets))}."
    return ApiError("unknown_model", f"{said} The server's operator can choose one with `models_prefer`.", param="model")


CATALOGUED, LISTED, SET = "the price catalogue lists it there", "it is in the vendor's own list", "the configuration names it there"


def _configured(config: Config, vendor: str) -> Iterator[str]:
    """Yield the names at a vendor that models of the configuration are served by."""
    for model in config.models.values():
        for entry in model.to if isinstance(model, Model) else model:
            name, _, there = (entry.target if isinstance(entry, TargetSetting) else entry).partition("/")
            if name == vendor:
                yield there
