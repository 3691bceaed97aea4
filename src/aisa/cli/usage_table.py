"""What `aisa usage` prints: the sums of all keys as a table with bars, as JSON or as CSV. Sums nothing but the total."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

import click
import msgspec

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.figures import aligned, bar, count, dollars, short
from aisa.cli.fitting import fitted, kept_columns, note, room
from aisa.cli.moments import beginning
from aisa.cli.price_tables import say_json
from aisa.cli.terminal import paint, say
from aisa.edge.admin_usage import SPAN_MS_MAX, CapShown, UsageShown, told_apart
from aisa.edge.bill_view import iso
from aisa.ledger.export import csv_line
from aisa.ledger.port_usage import DAY, DAY_MS, KEY, Used, day_of
from aisa.money import dollars_text

ANSWER_SECONDS_MAX = 600.0  # the database adds up a million calls a second or so
ROWS_MAX = 50  # of the table, the dearest; `--json` and `--csv` have all of them
WIDTH_PIPED = 80  # where there is no terminal, if the names leave room for bars then
WIDTH_MAX = 120  # longer lines are hard to follow from the name to the bar
NAME_CHARACTERS_MIN, NAME_CHARACTERS_MAX = 12, 32
BAR_CELLS_MIN, BAR_CELLS_MAX = 8, 24
MARKED_MAX = 5  # names of those whose calls another model has answered
GAP = 2  # between columns
AMOUNTS = ("cost", "charged")
LEAST = ("CACHED", "INPUT", "OUTPUT", "FAILED")  # columns that a narrow terminal does without, the first first
COLUMNS = ("CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "US DOLLARS")


class UsageLine(NamedTuple):
    """The sums of one group: `group` is a key's id, a model or a day, `name` what people call it."""

    group: str
    name: str
    used: Used


class Asked(NamedTuple):
    """What the command line asks for."""

    by: str
    since: str
    key: str | None = None
    account: str | None = None


def show(asked: Asked, form: str | None, *, now: float, config: str | None, data_dir: str | None) -> None:
    """Print what was used from a moment until `now`, UNIX seconds. Raises Misuse, Stop."""
    by, end_ms = asked.by, (int(now) + 1) * 1000  # of the running second, which a call may just have ended in
    start_ms = beginning(asked.since, now, ago_ms_max=SPAN_MS_MAX)
    whose = {name: value for name, value in (("key", asked.key), ("account", asked.account)) if value is not None}
    query = urlencode({"by": by, "start_ms": start_ms, "end_ms": end_ms, **whose})
    shown = ask(settings(config, data_dir).server.data_dir, "GET", f"/usage?{query}", expect=UsageShown, seconds=ANSWER_SECONDS_MAX)
    lines = lines_of(shown, by, start_ms=start_ms, end_ms=end_ms)
    if form == "json":
        data = [{**document(line, by), **cap_document(shown.caps, line.group)} for line in lines]
        teams = [{"team": team, "name": shown.labels.get(team, team), **cap_document(shown.team_caps, team)} for team in shown.team_caps]
        of_teams = {"teams": teams} if teams else {}
        say_json({"by": by, "start": iso(start_ms // 1000), "end": iso(end_ms // 1000), "data": data, **of_teams})
    elif form == "csv":
        say(csv_text(lines, by), literal=True)
    elif not any(used.requests for used in shown.groups.values()) and not (shown.caps or shown.team_caps):
        say(f"No call has ended since {iso(start_ms // 1000)}. A longer time: aisa usage --since 90d")
    else:
        say(f"Calls that ended since {paint(iso(start_ms // 1000), bold=True)}, by {by}:\n")
        say(usage_table(lines, by, columns=room()))
        if shown.caps or shown.team_caps:
            say(f"\n{caps_table(shown)}")


def lines_of(shown: UsageShown, by: str, *, start_ms: int, end_ms: int) -> list[UsageLine]:
    """Return the sums: days in order, none left out; else the dearest first, and then who has called most."""
    if by == DAY:
        days = [day_of(day) for day in range(start_ms - start_ms % DAY_MS, end_ms, DAY_MS)]
        return [UsageLine(day, day, shown.groups.get(day) or Used()) for day in days]
    lines = [UsageLine(group, shown.labels.get(group, group), used) for group, used in shown.groups.items()]
    return sorted(lines, key=lambda line: (-line.used.cost, -line.used.requests, line.name))


def usage_table(lines: list[UsageLine], by: str, *, columns: int | None) -> str:
    """Return a table with a bar for each line and a total, of so many characters if they suffice; None cuts nothing."""
    total = Used()
    for line in lines:
        total.merge(line.used)
    head = lines[-ROWS_MAX:] if by == DAY else lines[:ROWS_MAX]
    figures = [cells(each) for each in (*(line.used for line in head), total)]
    kept = kept_columns(COLUMNS, figures, least=LEAST, columns=columns, right=range(len(COLUMNS)), beside=NAME_CHARACTERS_MIN + GAP)
    numbers = aligned([COLUMNS[at] for at in kept], [[each[at] for at in kept] for each in figures], range(len(kept))).splitlines()
    beside = min(columns or WIDTH_PIPED, WIDTH_MAX) - GAP - len(click.unstyle(numbers[0]))
    longest = min(max(NAME_CHARACTERS_MIN, beside - GAP - BAR_CELLS_MIN), NAME_CHARACTERS_MAX)
    called = told_apart({line.group: line.name for line in lines})
    names = [called[line.group] if columns is None else short(called[line.group], longest) for line in head]
    widest = max(map(len, (*names, "total", by)))
    rows = [name.ljust(widest + GAP) + row for name, row in zip(names, numbers[1:], strict=False)]
    left = beside - widest - GAP if columns is not None else max(beside - widest - GAP, BAR_CELLS_MIN)
    if left >= BAR_CELLS_MIN:
        rows = with_bars(rows, head, min(left, BAR_CELLS_MAX))
    top, bottom = paint(by.upper().ljust(widest + GAP), dim=True) + numbers[0], "total".ljust(widest + GAP) + numbers[-1]
    hidden = len(lines) - len(head)
    more = f"\n\n{hidden:,} more {by}s are in the total; `--json` and `--csv` list them." if hidden else ""
    more += f"\n\n{otherwise_in_words(lines)}" if total.otherwise else ""
    cut = [by.upper()] if any(name != called[line.group] for name, line in zip(names, head, strict=True)) else []
    if left_out := note([name for name in LEAST if name not in [COLUMNS[at] for at in kept]], cut):
        more = f"\n{left_out}{more}"
    return "\n".join((top, *rows, paint(bottom, bold=True))) + more


def caps_table(shown: UsageShown) -> str:
    """Return how the caps stand, of keys and of teams, those of which the least is left first."""
    called = told_apart({key: shown.labels.get(key, key) for key in {**shown.groups, **shown.caps}})
    called |= told_apart({team: f"team {shown.labels.get(team, team)}" for team in shown.team_caps})
    rows = [
        [called[key], dollars(cap.cap), f"a {cap.window}", dollars(cap.spent), dollars(cap.left)]
        for key, cap in sorted({**shown.caps, **shown.team_caps}.items(), key=lambda each: each[1].left)
    ]
    return fitted(("KEY OR TEAM" if shown.team_caps else "KEY", "CAP", "", "SPENT", "LEFT"), rows, right=(1, 3, 4), least=("", "SPENT"))


def otherwise_in_words(lines: list[UsageLine]) -> str:
    """Say how many calls were answered by a model that costs otherwise, and whose they are."""
    marked = sorted([line for line in lines if line.used.otherwise], key=lambda line: -line.used.otherwise)
    named = ", ".join([f"{line.name} ({line.used.otherwise:,})" for line in marked[:MARKED_MAX]])
    more = f" and {len(marked) - MARKED_MAX} more" if len(marked) > MARKED_MAX else ""
    number = sum([line.used.otherwise for line in marked])
    what = f"Calls that a model has answered which the catalogue prices otherwise than the one asked for: {number:,}, of {named}{more}."
    return f"{what} `aisa explain` says which it was, `price_by` whose price counts."


def with_bars(rows: list[str], lines: list[UsageLine], cells_max: int) -> list[str]:
    """Return rows with a bar behind each: of its cost or, where nothing has a cost, of its tokens."""
    weights = [line.used.cost for line in lines]
    if not any(weights):
        weights = [line.used.input_tokens + line.used.output_tokens for line in lines]
    bars = [bar(weight, max(weights), cells_max) for weight in weights]
    return [f"{row}{' ' * GAP}{paint(each, 'cyan')}" if each else row for row, each in zip(rows, bars, strict=True)]


def cells(used: Used) -> list[str]:
    """Return sums in the order of COLUMNS."""
    counts = (used.requests, used.in_vain, used.input_tokens, used.cached_tokens, used.output_tokens)
    return [*map(count, counts), dollars(used.cost)]


def document(line: UsageLine, by: str) -> dict[str, object]:
    """Return a line as JSON. Costs are exact: nano-dollars, and US dollars."""
    label: dict[str, object] = {"label": line.name} if by == KEY else {}
    cost = msgspec.Raw(dollars_text(line.used.cost).encode())
    sums = msgspec.structs.asdict(line.used)
    return {
        by: line.group,
        **label,
        **{f"{name}_nanos" if name in AMOUNTS else name: sums[name] for name in sums},
        "cost_usd": cost,
    }


def cap_document(caps: Mapping[str, CapShown], whose: str) -> dict[str, object]:
    """Return the cap of a key or team as JSON, nothing without one; in nano-dollars."""
    cap = caps.get(whose)
    if cap is None:
        return {}
    return {"cap_nanos": cap.cap, "cap_window": cap.window, "cap_spent_nanos": cap.spent, "cap_left_nanos": cap.left}


def csv_text(lines: list[UsageLine], by: str) -> str:
    """Return CSV with a head. Costs are exact, in US dollars."""
    label = ["label"] if by == KEY else []
    counts = [name for name in Used.__struct_fields__ if name not in AMOUNTS]
    text = csv_line([by, *label, *counts, *(f"{name}_usd" for name in AMOUNTS)])
    for line in lines:
        named, amounts = [line.name] if label else [], [dollars_text(getattr(line.used, name)) for name in AMOUNTS]
        text += csv_line([line.group, *named, *(str(getattr(line.used, name)) for name in counts), *amounts])
    return text[:-1]
