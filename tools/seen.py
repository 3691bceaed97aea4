"""Keeps in the repository what rigs have seen, so that their pages are written without running anything again: a file each, a line a row.

Runs nothing, and knows no page's words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from aisa.checks.check import FAILED, PASSED, SKIPPED

FOLDER = Path(__file__).resolve().parent / "seen"
Kept = TypeVar("Kept")


class Checked(msgspec.Struct, frozen=True):
    """What became of the checks of `aisa check` at one subject, on a day: by state, each check's name with what was seen."""

    title: str
    day: str
    quick: bool
    passed: Mapping[str, str]
    failed: Mapping[str, str]
    skipped: Mapping[str, str]

    def seen(self, check: str) -> str | None:
        """Return what was seen of a check that was made, None of one that was skipped or that there was not yet."""
        return self.passed.get(check, self.failed.get(check))


def checked(title: str, verdicts: Iterable[tuple[str, str, str]], *, quick: bool) -> Checked:
    """Return a row of today of verdicts: name, state, and what was seen."""
    states: dict[str, dict[str, str]] = {PASSED: {}, FAILED: {}, SKIPPED: {}}
    for name, state, seen in verdicts:
        states[state][name] = seen
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    return Checked(title, today, quick, **states)


def kept(rig: str, kind: type[Kept]) -> dict[str, Kept]:
    """Return the rows that are kept of a rig, by the name of what each is of."""
    return {name: msgspec.json.decode(row, type=kind) for name, row in encoded(rig).items()}


def encoded(rig: str) -> dict[str, msgspec.Raw]:
    """Return the same as they are written."""
    path = FOLDER / f"{rig}.json"
    return msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw]) if path.exists() else {}


def keep(rig: str, name: str, row: msgspec.Struct) -> None:
    """Keep a row in the place of the one before it."""
    rows = {**encoded(rig), name: msgspec.Raw(msgspec.json.encode(row))}
    lines = [f"{msgspec.json.encode(key).decode()}: {bytes(value).decode()}" for key, value in rows.items()]
    (FOLDER / f"{rig}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    return "\n".join([f"| {' | '.join(line)} |" for line in [heads, ["---"] * len(heads), *rows]])


def into_page(page: Path, part: str, text: str) -> None:
    """Write a part of a page anew: what stands between its two marks."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(f"<!-- seen:{part}:begin -->\n")
    _, end, after = rest.partition(f"<!-- seen:{part}:end -->\n")
    assert begin, f"{page} has no place for {part}"
    assert end, f"{page} does not say where {part} ends"
    page.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
