"""By which rule a name is one of the catalogue's models, and whether that is good enough for a bill. Knows no prices.

The catalogue's rules are made to recognize what a usage report names: many take any ending or look inside a name, and some vendors borrow
others' lists. `acme-o4-mini` is then taken for o4-mini. A bill takes a name only if the catalogue has it, as such or but for a date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from enum import IntEnum

import msgspec
from genai_prices.data import providers
from genai_prices.types import ClauseAnd, ClauseContains, ClauseEndsWith, ClauseEquals, ClauseOr, ClauseRegex, ClauseStartsWith, ModelInfo
from genai_prices.types import Provider as Vendor

MatchLogic = ClauseAnd | ClauseContains | ClauseEndsWith | ClauseEquals | ClauseOr | ClauseRegex | ClauseStartsWith


class Rule(IntEnum):
    """How a name was found, the surest first."""

    NAME = 0
    DATE = 1
    ENDING = 2
    INSIDE = 3
    OTHER_VENDOR = 4

    @property
    def sure(self) -> bool:
        """Say whether a price that was found so is one."""
        return self <= Rule.DATE

    @property
    def words(self) -> str:
        """Say it to a reader, after `found`."""
        return WORDS[self]


WORDS = {
    Rule.NAME: "by its own name",
    Rule.DATE: "by its name without the date",
    Rule.ENDING: "by its beginning, which would take any ending",
    Rule.INSIDE: "by a part of its name, which would take anything around it",
    Rule.OTHER_VENDOR: "in another vendor's list",
}

#: A date at the end of a model's name, in every order that vendors write: 2024-08-06, 20250929, 250615, 08-2024, 05-20, 0613, 2512.
DATE_AT_END = re.compile(
    r"[-@](?:(?P<y>20\d\d)-?(?P<m>\d\d)-?(?P<d>\d\d)|(?P<y6>\d\d)(?P<m6>\d\d)(?P<d6>\d\d)|(?P<m4>\d\d)-20\d\d|(?P<m2>\d\d)-(?P<d2>\d\d)"
    r"|(?P<a>\d\d)(?P<b>\d\d))$"
)
MODELS_SINCE = 20  # the year, of this century, before which no model was sold by the token; tells 2512 from a day in a month
MONTHS, DAYS = range(1, 13), range(1, 32)


class Found(msgspec.Struct, frozen=True):
    """A model of the catalogue that fits a name, the vendor whose list it is in, and the rule by which it fits."""

    vendor: Vendor
    model: ModelInfo
    rule: Rule


def find(vendor: Vendor, name: str) -> Found | None:
    """Return the model that fits a name best: the one that a surer rule finds, and among those the catalogue's first."""
    name = name.lower()
    best = nearest(vendor, name)
    if best is None or not best.rule.sure:
        dashed = with_dashes(name)
        again = None if dashed == name else nearest(vendor, dashed)
        if again is not None and again.rule.sure:
            return Found(vendor, again.model, Rule.DATE)
    if best is not None:
        return best
    for other in providers:
        if other.id in (vendor.fallback_model_providers or ()):
            borrowed = nearest(other, name)
            if borrowed is not None:
                return Found(other, borrowed.model, Rule.OTHER_VENDOR)
    return None


def nearest(vendor: Vendor, name: str) -> Found | None:
    """Return the model of a vendor's own list that fits a name in small letters best."""
    best: Found | None = None
    for model in vendor.models:
        rule = rule_of(model, name)
        if rule is not None and (best is None or rule < best.rule):
            best = Found(vendor, model, rule)
            if rule is Rule.NAME:
                break
    return best


def rule_of(model: ModelInfo, name: str) -> Rule | None:
    """Return how a name in small letters is this model's, None if it is not."""
    if name == model.id.lower():
        return Rule.NAME
    if not model.match.is_match(name):
        return None
    clauses = list(leaves(model.match))
    texts = {text_of(clause) for clause in clauses} | {model.id.lower()}
    if name in texts or any(isinstance(clause, ClauseRegex) and is_closed(clause.regex) and clause.is_match(name) for clause in clauses):
        return Rule.NAME
    undated = without_date(name)
    if undated is not None and undated in {text.rstrip("-@") for text in texts}:
        return Rule.DATE
    begins = any(isinstance(clause, ClauseStartsWith | ClauseRegex) and clause.is_match(name) for clause in clauses)
    return Rule.ENDING if begins else Rule.INSIDE


def leaves(clause: MatchLogic) -> Iterator[MatchLogic]:
    """Yield the clauses of a rule that are not made of others."""
    if isinstance(clause, ClauseOr):
        parts = clause.or_
    elif isinstance(clause, ClauseAnd):
        parts = clause.and_
    else:
        yield clause
        return
    for part in parts:
        yield from leaves(part)


def text_of(clause: MatchLogic) -> str:
    """Return the text that a clause looks for, in small letters; empty for one that has none."""
    if isinstance(clause, ClauseEquals):
        return clause.equals.lower()
    if isinstance(clause, ClauseStartsWith):
        return clause.starts_with.lower()
    if isinstance(clause, ClauseContains):
        return clause.contains.lower()
    return clause.ends_with.lower() if isinstance(clause, ClauseEndsWith) else ""


def is_closed(regex: str) -> bool:
    """Say whether a pattern fixes the whole of a name, so that only names that the catalogue means fit it."""
    return regex.startswith("^") and regex.endswith("$") and not re.search(r"\.[*+]|\][*+]|\\[wSD][*+]|\(\?[!=<]", regex)


def without_date(name: str) -> str | None:
    """Return a name without the date that ends it, None if it does not end in one."""
    found = DATE_AT_END.search(name)
    if found is None:
        return None
    part = {key: int(value) for key, value in found.groupdict().items() if value is not None}
    if "a" in part:  # 0613 is a day, 2512 a month
        right = (part["a"] in MONTHS and part["b"] in DAYS) or (part["a"] >= MODELS_SINCE and part["b"] in MONTHS)
    elif "y6" in part:
        right = part["y6"] >= MODELS_SINCE and part["m6"] in MONTHS and part["d6"] in DAYS
    else:
        months = [part[key] for key in ("m", "m4", "m2") if key in part]
        right = all(month in MONTHS for month in months) and all(part[key] in DAYS for key in ("d", "d2") if key in part)
    return name[: found.start()] if right else None


def with_dashes(name: str) -> str:
    """Write a date that is in one piece at a name's end as the catalogue does: -20251211 as -2025-12-11."""
    found = DATE_AT_END.search(name)
    if found is None or found["y"] is None or "-" in found[0][1:]:
        return name
    return f"{name[: found.start()]}-{found['y']}-{found['m']}-{found['d']}"


CHECKED = re.compile(r"(?:verified on|checked|last updated|as of) (20\d\d-\d\d-\d\d)", re.IGNORECASE)


def newest_check() -> date | None:
    """Return the last day on which, by its own notes, somebody has checked a price of the catalogue; it tells its own age nowhere else."""
    notes = (model.price_comments or "" for vendor in providers for model in vendor.models)
    days = [day for note in notes for day in CHECKED.findall(note)]
    return date.fromisoformat(max(days)) if days else None
