"""Says of names in settings that look as if they stood for several that they do not. Decides nothing else of a name."""

from __future__ import annotations

from aisa.config.problem import SHOWN_CHARACTERS_MAX, Flaw

STAR = "*"


def pattern_in(name: str, remedy: str) -> Flaw | None:
    """Return what is wrong with a name that nobody has, as it was meant for others."""
    if STAR not in name:
        return None
    return Flaw(f"`{name[:SHOWN_CHARACTERS_MAX]}` would be one name, and matches no other: `*` stands for nothing here.", remedy)


def each_by_name(_name: str, value: object) -> Flaw | None:
    """The rule of a list's entries."""
    return pattern_in(str(value), "Write each by its name.")


def model_by_name(name: str, _value: object) -> Flaw | None:
    """The rule of what is set for one of a vendor's models."""
    return pattern_in(name, "Write each model by its name there; what counts for all of them stands one level higher.")
