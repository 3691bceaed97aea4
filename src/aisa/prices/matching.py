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

from aisa.prices.dated_names import with_dashes, without_date

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


CHECKED = re.compile(r"(?:verified on|checked|last updated|as of) (20\d\d-\d\d-\d\d)", re.IGNORECASE)


def newest_check() -> date | None:
    """Return the last day on which, by its own notes, somebody has checked a price of the catalogue; it tells its own age nowhere else."""
    notes = (model.price_comments or "" for vendor in providers for model in vendor.models)
    days = [day for note in notes for day in CHECKED.findall(note)]
    return date.fromisoformat(max(days)) if days else None
