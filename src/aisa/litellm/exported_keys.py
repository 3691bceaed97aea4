"""LiteLLM's virtual keys as an export of its table LiteLLM_VerificationToken has them, and what each becomes here. Reads no file.

LiteLLM keeps of a key the SHA-256 of its text, without salt, as this server does: such a key works here as it worked there. An export is
JSON (an array, a line for each, or the answer of `/key/list`), CSV with a head, or what `pg_dump` writes.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, cast

from aisa.names import LABEL_CHARACTERS_MAX
from aisa.wire.trees import is_list, is_tree, trees_in

TABLE = "LiteLLM_VerificationToken"
COPY = re.compile(rf'^COPY (?:\w+\.)?"?{TABLE}"? \((?P<columns>[^)]*)\) FROM stdin;$', re.MULTILINE)
NOTHING = "\\N"  # for no value, in what pg_dump writes
ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}
HASHED = re.compile(r"[0-9a-f]{64}", re.ASCII)
SHOWN_CHARACTERS_MAX = 60  # of a column's value
DASHBOARD = "litellm-dashboard"  # the team of keys that LiteLLM's own pages make for each who logs in
ITS_TEAMS = "all-team-models"
EVERY_MODEL = frozenset({"all-proxy-models", "*", ITS_TEAMS})
NO_MODEL = "no-default-models"
#: How long a budget holds there -> the window of a cap here.
WINDOWS = {
    **dict.fromkeys(("1d", "24h", "daily"), "day"),
    **dict.fromkeys(("7d", "1w", "weekly"), "week"),
    **dict.fromkeys(("30d", "31d", "1mo", "monthly"), "month"),
}
#: Columns that say what a key may do beyond what is carried over; their empty values say nothing.
FURTHER = (
    *("allowed_routes", "permissions", "model_max_budget", "aliases", "config", "policies", "allowed_cache_controls", "budget_limits"),
    *("tpd_limit", "budget_id", "access_group_ids", "object_permission_id"),
)
#: Limits on calls there -> here.
LIMITS = {"rpm_limit": "rpm", "tpm_limit": "tpm", "max_parallel_requests": "concurrency"}

Row = Mapping[str, object]


class NotAnExport(Exception):
    """The text is none of the forms of an export; the message says what is wrong."""


class Unreadable(Exception):
    """A column that bounds what a key may do says nothing that can be read: without it the key could do more than before."""

    def __init__(self, column: str, value: object) -> None:
        super().__init__(f"its `{column}` cannot be read: {str(value)[:SHOWN_CHARACTERS_MAX]!r}")


class KeyWanted(NamedTuple):
    """A key as it is to be made here, in the words of the administrator's route; and what of it was not carried over."""

    asked: dict[str, object]
    disabled: bool
    notes: tuple[str, ...]


class Skipped(NamedTuple):
    """A key that is not to be made, and why. `shown` is what may be said of it."""

    shown: str
    why: str


def rows_of(text: str) -> list[Row]:
    """Return the rows of an export, in whatever form it is; some of them may have no `token`. Raises NotAnExport."""
    copied = COPY.search(text)
    if copied is not None:
        return list(_copied(copied["columns"], text[copied.end() + 1 :]))
    rows = _json(text) if text.lstrip()[:1] in ("[", "{") else _separated(text)
    if all("token" not in row for row in rows):
        raise NotAnExport(f"It has no rows with a column `token`, as an export of {TABLE} has.")
    return rows


def _json(text: str) -> list[Row]:
    try:
        whole: object = json.loads(text)
    except ValueError:
        try:
            whole = [json.loads(line) for line in text.split("\n") if line.strip()]
        except ValueError as error:
            raise NotAnExport(f"It is not valid JSON: {error}.") from None
    if is_tree(whole):
        whole = whole.get("keys", whole.get("data", [whole]))
    return list(trees_in(whole))


def _separated(text: str) -> list[Row]:
    try:
        return cast("list[Row]", list(csv.DictReader(text.splitlines(keepends=True))))
    except csv.Error as error:
        raise NotAnExport(f"It is not valid CSV: {error}.") from None


def _copied(columns: str, body: str) -> Iterator[Row]:
    names = [name.strip().strip('"') for name in columns.split(",")]
    for line in body.split("\n"):
        if line == "\\.":
            return
        cells = [None if cell == NOTHING else re.sub(r"\\[tnr\\]", lambda found: ESCAPES[found[0]], cell) for cell in line.split("\t")]
        yield dict(zip(names, cells, strict=False))
    raise NotAnExport("It ends in the middle of the table.")


def wanted(row: Row, *, account: str | None, now: datetime) -> KeyWanted | Skipped:
    """Return what a row becomes: a key of an account, of its team's if none is named, or the reason why it becomes none."""
    try:
        return _wanted(row, account=account, now=now)
    except Unreadable as unreadable:
        return Skipped(_label(row, str(row.get("token") or "")), str(unreadable))


def _wanted(row: Row, *, account: str | None, now: datetime) -> KeyWanted | Skipped:
    """Return what a row becomes. Raises Unreadable."""
    token, end = str(row.get("token") or ""), str(row.get("key_name") or "")
    label = _label(row, token)
    team = str(row.get("team_id") or "")
    if team == DASHBOARD:
        return Skipped(label, "it was made by LiteLLM's own pages for a login")
    expires = _moment(row.get("expires"))
    if expires is not None and expires <= now:
        return Skipped(label, f"it expired on {expires:%Y-%m-%d}")
    models = [str(model) for model in _list(row.get("models"))]
    if set(models) == {NO_MODEL}:
        return Skipped(label, "it may use no model")
    asked: dict[str, object] = {"label": label}
    asked |= {"sha256": token, "hint": end} if HASHED.fullmatch(token) else {"secret": token}
    if (payer := account or team) != "":
        asked["account"] = payer
    if models and not EVERY_MODEL & set(models):
        asked["models"] = [model for model in models if model != NO_MODEL]
    if expires is not None:
        asked["expires"] = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    notes = [
        f"`{name}` is not carried over" for name in FURTHER if str(row.get(name) or "").strip() not in ("", "{}", "[]", "null", "None")
    ]
    if ITS_TEAMS in models:
        notes.append("its team's list of models is not carried over, so it may use every model")
    used_up = _limited(row, asked, notes)
    used_up = _capped(row, asked, notes) or used_up
    blocked = str(row.get("blocked")).lower() in ("true", "t", "1")
    return KeyWanted(asked, blocked or used_up, tuple(notes))


def _limited(row: Row, asked: dict[str, object], notes: list[str]) -> bool:
    """Give a key its limits. Returns whether one of them is nothing, which lets no call through there."""
    nothing = False
    for theirs, ours in LIMITS.items():
        limit = _number(row, theirs)
        if limit is not None and limit >= 1:
            asked[ours] = int(limit)
        elif limit is not None:
            nothing = True
            notes.append(f"its `{theirs}` is nothing, so it is disabled")
    return nothing


def _capped(row: Row, asked: dict[str, object], notes: list[str]) -> bool:
    """Give a key its cap. Returns whether it has spent a budget that never begins anew."""
    budget, spent = _number(row, "max_budget"), _number(row, "spend") or 0.0
    lasts = str(row.get("budget_duration") or "").strip().lower()
    if budget is None:
        return False
    if budget <= 0:
        notes.append("its budget is nothing, so it is disabled")
        return True
    window = WINDOWS.get(lasts)
    asked["spend_cap"] = f"{budget:.9f}".rstrip("0").rstrip(".") + f"/{window or 'month'}"
    if window is not None:
        return False
    if lasts:
        notes.append(f"its budget holds for `{lasts}` there, and for a month here")
        return False
    left = f"{max(0.0, budget - spent):.2f}"
    notes.append(f"its budget of {budget:g} dollars was for ever, of which {left} are left; here it is for each month")
    return spent >= budget


def _label(row: Row, token: str) -> str:
    name = str(row.get("key_alias") or "").strip() or f"litellm-{token[:8] if HASHED.fullmatch(token) else 'key'}"
    shown = "".join([letter if letter.isprintable() else " " for letter in name])
    return (f"litellm-{shown}" if shown.startswith("key_") else shown)[:LABEL_CHARACTERS_MAX].strip()


def _number(row: Row, column: str) -> float | None:
    """Return a number, None where there is none: no value, or one without bounds. Raises Unreadable."""
    value = row.get(column)
    try:
        number = math.inf if value is None or value == "" else float(str(value))
    except ValueError:
        raise Unreadable(column, value) from None
    if math.isnan(number):
        raise Unreadable(column, value)
    return None if number == math.inf else number


def _list(value: object) -> list[object]:
    """Return a list, or what stands for one in a column: JSON, or an array as Postgres writes it. Raises Unreadable."""
    if is_list(value):
        return value
    text = str(value or "").strip()
    if text.startswith("["):
        try:
            return cast("list[object]", json.loads(text))
        except ValueError:
            raise Unreadable("models", text) from None
    inner = text.removeprefix("{").removesuffix("}")
    try:
        return [cell for cells in csv.reader([inner], escapechar="\\") for cell in cells] if inner else []
    except csv.Error:
        raise Unreadable("models", text) from None


def _moment(value: object) -> datetime | None:
    """Return when a key expires, None for never. Raises Unreadable."""
    text = str(value or "").strip()
    if text in ("", "infinity"):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable("expires", text) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
