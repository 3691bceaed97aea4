"""All checks, read from the table beside it. Runs none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal

import msgspec
import yaml

from aisa.checks import chat_document, chat_stream, leaving, other_doors, receipts, refusals, remedies, timing, vendor_faults
from aisa.checks.check import Check

TABLE = Path(__file__).with_name("checks.yaml")
MODULES: Mapping[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (chat_document, chat_stream, leaving, other_doors, receipts, refusals, timing, vendor_faults)
}


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the table, as `Check` has it; `run` is `module.function`, `remedies` the name of a table of remedies."""

    name: str
    door: str
    rule: str
    run: str
    basis: Literal["protocol", "practice", "promise"]
    source: str
    breaks: str
    remedies: str
    quick: bool = True
    needs_vendor: bool = False
    ours: bool = False


def read_table(text: str) -> tuple[Check, ...]:
    """Return the checks of a table."""
    return tuple([bound(row) for row in msgspec.convert(yaml.safe_load(text), list[Row])])


def bound(row: Row) -> Check:
    """Return a row with its function and its remedies."""
    module, _, function = row.run.partition(".")
    members = {**msgspec.structs.asdict(row), "run": getattr(MODULES[module], function)}
    return Check(**{**members, "remedies": getattr(remedies, row.remedies.upper())})


CHECKS = read_table(TABLE.read_text(encoding="utf-8"))
