"""What is said of that which no spend cap and no wallet counts, and how it can be made to count. Finds nothing out."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.cli.figures import listed
from aisa.edge.free_models import ANY, free_models
from aisa.edge.model_view import TargetShown, models_shown
from aisa.money import dollars_text
from aisa.routing import TINY, Routes

ANY_OF = f"/{ANY}"


def open_vendors(names: Sequence[str]) -> list[str]:
    """Return the vendors, among names that are free, of which any model may be asked by its own name."""
    return [name.removesuffix(ANY_OF) for name in names if name.endswith(ANY_OF)]


def open_in_words(names: Sequence[str]) -> str:
    """Say what `vendor/*` means, among names that are free, and what to do about it; empty if there is none."""
    vendors = open_vendors(names)
    if not vendors:
        return ""
    what = listed([f"{vendor}{ANY_OF}" for vendor in vendors])
    verb = f"is whatever is asked of {vendors[0]}" if len(vendors) == 1 else "are whatever is asked of these vendors"
    where = f"`vendors.{vendors[0]}"
    return (
        f"{what} {verb} by its own name, as vendor/model: no cap counts it without a price of its own."
        f" To have it counted: {where}.prices`; "
        f"to have it refused: {where}.allow_unpriced: false`, `models_only: true`, or `--models` of keys."
    )


def undercut_in_words(name: str, target: TargetShown) -> str:
    """Say of a target that it costs something by a name, and nothing by its own."""
    price = f"{dollars_text(target.input or 0)} input, {dollars_text(target.output or 0)} output"
    return f"{target.target} is free by that name: its price, {price}, is that of the name {name} alone."


def free_rows(routes: Routes, moment: float) -> list[list[str]]:
    """Return what of a configuration costs its callers nothing at a UNIX time, as rows of a name and what there is to say of it."""
    rows = [[name, "no price, so no spend cap and no wallet counts it"] for name in free_models(routes) if name != TINY]
    for model in models_shown(routes, moment):
        rows += [[target.target, undercut_in_words(model.name, target)] for target in model.targets if target.free_by_own_name]
    said = open_in_words([name for name, _ in rows])
    return [*rows, ["", said]] if said else rows
