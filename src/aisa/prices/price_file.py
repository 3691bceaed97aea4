"""Price lists in files, in LiteLLM's format: an object with a model's name and its prices for each entry. Asks nobody over the network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import msgspec

from aisa.prices.dated_names import with_dashes, without_date
from aisa.prices.listed_entry import NotCharged, prices_of
from aisa.prices.listed_vendors import names_in_lists
from aisa.prices.rules import CATALOGUE, LookUp, PriceList, configured

FILE_BYTES_MAX = 67_108_864  # LiteLLM's own has 3.5 MB
NAME_CHARACTERS_MAX = 200  # of a model that is searched for; the longest of LiteLLM's list has some 110
EXAMPLE = "sample_spec"  # the entry of LiteLLM's list that explains the others
#: Members of which an object is the price of a model, and not something else that happens to be JSON.
SIGNS = ("litellm_provider", "input_cost_per_token", "mode")
BUILT_IN = "built-in"  # how a ranking names the catalogue that comes with the server, as the configuration does


class BadPriceFile(Exception):
    """A file is no price list: its path as it was given, and why, as a sentence for people."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(what)
        self.path = path


class Entry(msgspec.Struct, frozen=True):
    """An entry that fits a name: its own name in the list, its members, and by which rule it was found, in words."""

    name: str
    members: dict[str, object]
    rule: str


class PriceFile:
    """A price list. `name` is its file's, without the folder; `day` the one on which it was last changed, in UTC.

    Entries are read when they are asked for: of thousands a server needs a few.
    """

    def __init__(self, name: str, day: date, entries: dict[str, msgspec.Raw]) -> None:
        self.name = name
        self.day = day
        self.entries = entries
        self._by_lower = {known.lower(): known for known in reversed(entries)}

    def __call__(self, vendor: str, base_url: str, model: str) -> PriceList | None:
        """Return what it lists for a model of a vendor, None for what it does not, or not with a price that can be charged."""
        found = self.find(vendor, base_url, model)
        if found is None:
            return None
        try:
            return self.price_list(found)
        except NotCharged:
            return None

    def price_list(self, entry: Entry) -> PriceList:
        """Return the prices of one of its entries. Raises NotCharged."""
        terms = configured(prices_of(entry.members), f"{CATALOGUE} {self.name}: {entry.name}")
        window = entry.members.get("max_input_tokens")
        fits = window if isinstance(window, int) and window > 0 else None
        return PriceList(terms, fits, f"{entry.rule} in {self.name}, a file of {self.day}")

    def find(self, vendor: str, base_url: str, model: str) -> Entry | None:
        """Return the entry for a model of a vendor: that of its name, else of its name without the date at its end."""
        if len(model) > NAME_CHARACTERS_MAX:
            return None
        vendors = names_in_lists(vendor, base_url)
        lower = model.lower()
        spellings = ((lower, "by its own name"), (with_dashes(lower), DATED), (without_date(lower), DATED))
        for spelling, rule in spellings:
            for candidate in () if spelling is None else (*[f"{name}/{spelling}" for name in vendors], spelling):
                known = self._by_lower.get(candidate)
                members = None if known is None else self.members(known)
                if known is not None and members is not None and members.get("litellm_provider") in vendors:
                    return Entry(known, members, rule)
        return None

    def members(self, name: str) -> dict[str, object] | None:
        """Return what an entry holds; None if that is nothing with names."""
        value = msgspec.json.decode(self.entries[name])
        return cast("dict[str, object]", value) if isinstance(value, dict) else None


DATED = "by its name without the date"


def open_price_file(path: str) -> PriceFile:
    """Read a price list. Raises BadPriceFile."""
    file = Path(path)
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise BadPriceFile(path, f"It has more than {FILE_BYTES_MAX:,} bytes, so it can be no price list.")
        data = file.read_bytes()
        day = datetime.fromtimestamp(file.stat().st_mtime, UTC).date()
    except OSError as error:
        raise BadPriceFile(path, f"It cannot be read: {error.strerror}.") from error
    try:
        entries = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise BadPriceFile(path, f"It is no JSON object of models: {error}.") from error
    entries.pop(EXAMPLE, None)
    listed = PriceFile(file.name, day, entries)
    known = [name for name in entries if any(sign in (listed.members(name) or {}) for sign in SIGNS)]
    if not known:
        raise BadPriceFile(path, "It has no entry with `litellm_provider`, `mode` and `input_cost_per_token`, as such lists have.")
    return listed


def price_sources(ranking: Sequence[str], built_in: LookUp) -> LookUp:
    """Return what asks the files of a ranking and the built-in catalogue, which comes first unless it is named. Raises BadPriceFile."""
    names = ranking if BUILT_IN in ranking else (BUILT_IN, *ranking)
    return ranked([built_in if name == BUILT_IN else open_price_file(name) for name in names])


def ranked(look_ups: Sequence[LookUp]) -> LookUp:
    """Return what asks several price lists, and takes the first that has a price for a model."""

    def look_up(vendor: str, base_url: str, model: str) -> PriceList | None:
        return next((found for each in look_ups if (found := each(vendor, base_url, model)) is not None), None)

    return look_ups[0] if len(look_ups) == 1 else look_up
