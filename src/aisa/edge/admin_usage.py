"""What an administrator may see of all calls together, as requests and answers in JSON. Lists the routes; `admin` answers.

| request | answer |
|---|---|
| `GET /usage?by=key&start_ms=M&end_ms=M&key=K&account=A` | 200, a `UsageShown` of the calls that ended in [start, end) |
| `GET /usage/series?by=...` and the same | 200, a `SeriesShown`: the same day by day |
| `GET /board` | 200, a `BoardShown`: the calls that run |

They are summed up by `key`, `account`, `model`, `vendor` or `day`; of one key, by label or id, or one account, if that is given. By key,
keys that made no call are there too, unless they are revoked. Money is in nano-dollars, times are UNIX milliseconds. A call that is not in
the database yet is in both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from aisa.clock import WallClock
from aisa.edge.admin_accounts import account_asked
from aisa.edge.admin_route import MOMENT_MS_MAX, Answering, Asked, Result, Steps, look, number
from aisa.edge.board_view import Board, running
from aisa.edge.routes import Route
from aisa.edge.statement import Statement
from aisa.errors import ApiError
from aisa.keys.port import KeyRing
from aisa.keys.rules import MONTH, REVOKED, Capped, Key, window_end, window_start
from aisa.ledger.port_usage import DAY, DAY_MS, GROUPINGS, KEY, Span, Used, day_of
from aisa.money import Nanos

SPAN_MS_MAX = 400 * DAY_MS  # that is summed up at once: a year, and the days around it
SERIES_SUMS_MAX = 100_000  # that one answer has, day by day: 20 MB
STEP_DAYS = 7  # of one question to the database: some ten milliseconds where thousands of keys call
STEP_KEYS = 250  # of whose caps it is asked at once


class CapShown(msgspec.Struct, frozen=True):
    """A key's or team's cap: what it may spend in each `window`, what it has spent in this one, and what is left, in nano-dollars."""

    cap: Nanos
    window: str
    spent: Nanos
    left: Nanos


class UsageShown(msgspec.Struct, frozen=True):
    """Sums by group, in ascending order; of those groups that are keys, their labels, and the caps of those that have one.

    `team_caps` are those of their teams, by id, with the teams' names among the labels.
    """

    groups: dict[str, Used]
    labels: dict[str, str]
    caps: dict[str, CapShown] = {}
    team_caps: dict[str, CapShown] = {}


def told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Return what people call groups, by group; before a name that several have, as a revoked key and its successor may, stands the id."""
    times = Counter(names.values())
    return {group: name if times[name] == 1 else f"{group} {name}" for group, name in names.items()}


class SeriesShown(msgspec.Struct, frozen=True):
    """Sums by group and day: to each of `days` (UTC) one of each group's. Of groups that are keys, their labels."""

    days: list[str]
    groups: dict[str, list[Used]]
    labels: dict[str, str]


def usage_routes(statement: Statement, keys: KeyRing, wall_clock: WallClock, *, board: Board | None = None) -> tuple[Route[Answering], ...]:
    """Return the routes. `board` shows the calls that run, None where no server does."""
    return (
        look("/usage", lambda asked: usage(statement, keys, asked, now=wall_clock())),
        look("/usage/series", lambda asked: series(statement, keys, asked)),
        look("/board", partial(live, board)),
    )


class Summing(NamedTuple):
    """What is summed up: by what, over which moments, of which key's id or account if not of all."""

    by: str
    start_ms: int
    end_ms: int
    key_id: str | None
    account: str | None

    def spans(self, days: int) -> Iterator[Span]:
        """Yield the spans of so many days each, from midnight to midnight, that make it up."""
        for begin_ms in range(self.start_ms - self.start_ms % DAY_MS, self.end_ms, days * DAY_MS):
            yield Span(max(begin_ms, self.start_ms), min(begin_ms + days * DAY_MS, self.end_ms), self.key_id, self.account)


def summing(keys: KeyRing, query: Mapping[str, str]) -> Summing:
    """Read what is to be summed up. Raises ApiError invalid_request, resource_not_found."""
    by, start_ms, end_ms = query.get("by", KEY), moment(query, "start_ms"), moment(query, "end_ms")
    if by not in GROUPINGS:
        raise ApiError("invalid_request", f"Usage is summed up by {', '.join(GROUPINGS)}.", param="by")
    if not 0 < end_ms - start_ms <= SPAN_MS_MAX:
        raise ApiError("invalid_request", f"The span ends after its start, and has {SPAN_MS_MAX // DAY_MS} days at most.", param="end_ms")
    return Summing(by, start_ms, end_ms, keys.find(query["key"]).id if "key" in query else None, account_asked(keys.accounts, query))


def series(statement: Statement, keys: KeyRing, asked: Asked) -> Steps:
    """Answer with sums day by day, a day a step, or several where the group is the day.

    Raises ApiError: see `summing`; invalid_request as soon as there are more than SERIES_SUMS_MAX.
    """
    wanted = summing(keys, asked.query)
    by_day: dict[str, dict[str, Used]] = {}
    days, names = 1 + (wanted.end_ms - 1) // DAY_MS - wanted.start_ms // DAY_MS, set[str]()
    for span in wanted.spans(STEP_DAYS if wanted.by == DAY else 1):
        groups = statement.used(wanted.by, span)
        for day_ms in range(span.start_ms - span.start_ms % DAY_MS, span.end_ms, DAY_MS):
            day = day_of(day_ms)
            by_day[day] = groups if wanted.by != DAY else {day: groups[day]} if day in groups else {}
            names.update(by_day[day])
        if len(names) * days > SERIES_SUMS_MAX:
            said = f"{len(names):,} groups or more on each of {days:,} days are more than {SERIES_SUMS_MAX:,} sums, the most of one answer."
            raise ApiError("invalid_request", f"{said} Ask for fewer days, for one key or account, or /usage, which has one sum a group.")
        yield
    labels = {key.id: key.label for key in keys.list() if key.id in names} if wanted.by == KEY else {}
    sums = {name: [groups.get(name) or Used() for groups in by_day.values()] for name in sorted(names)}
    return 200, SeriesShown(list(by_day), sums, labels)


def usage(statement: Statement, keys: KeyRing, asked: Asked, *, now: float) -> Steps:
    """Answer with sums, some days a step. `now` is in UNIX seconds. Raises ApiError invalid_request, resource_not_found."""
    wanted = summing(keys, asked.query)
    groups: dict[str, Used] = {}
    for span in wanted.spans(STEP_DAYS):
        for group, used in statement.used(wanted.by, span).items():
            groups.setdefault(group, Used()).merge(used)
        yield
    if wanted.by != KEY:
        return 200, UsageShown(dict(sorted(groups.items())), {})
    ours = [key for key in keys.list() if wanted.key_id in (None, key.id) and wanted.account in (None, key.account)]
    for key in ours:
        if key.state != REVOKED:
            groups.setdefault(key.id, Used())
    shown = [key for key in ours if key.id in groups]
    capped = [key for key in shown if key.spend_cap is not None]
    teams = {key.team.id: key.team for key in shown if key.team is not None and key.team.spend_cap is not None}
    caps, team_caps = dict[str, CapShown](), dict[str, CapShown]()
    for first in range(0, len(capped), STEP_KEYS):
        caps |= caps_shown(statement, capped[first : first + STEP_KEYS], now)
        yield
    for team in teams.values():
        team_caps |= caps_shown(statement, [team], now)
        yield
    labels = {key.id: key.label for key in shown} | {team.id: team.name for team in teams.values()}
    return 200, UsageShown(dict(sorted(groups.items())), labels, caps, team_caps)


def caps_shown(statement: Statement, capped: Sequence[Capped], now: float) -> dict[str, CapShown]:
    """Return how the caps of keys, or of one team, stand: as the live ledger knows it or else from the database, a question a window."""
    spent, unknown = dict[str, Nanos](), dict[str, list[Capped]]()
    for each in capped:
        live = None if statement.ledger is None else statement.ledger.caps.get(each.id)
        known = None if live is None else live.spent_at(now)
        if known is None:
            unknown.setdefault(each.spend_window or MONTH, []).append(each)
        else:
            spent[each.id] = known
    for window, theirs in unknown.items():
        began = window_start(window, now)
        span = Span(began * 1000, window_end(window, began) * 1000)
        if isinstance(theirs[0], Key):
            found = statement.used(KEY, span._replace(keys=frozenset(each.id for each in theirs)))
            spent |= {each.id: found[each.id].cost if each.id in found else 0 for each in theirs}
        else:
            spent |= {each.id: sum(used.cost for used in statement.used(DAY, span._replace(whose=each.id)).values()) for each in theirs}
    return {each.id: cap_shown(each, spent[each.id]) for each in capped}


def cap_shown(whose: Capped, spent: Nanos) -> CapShown:
    """Return how a cap stands."""
    assert whose.spend_cap is not None, "the caller looked"
    assert whose.spend_window is not None, "a cap has its window"
    return CapShown(whose.spend_cap, whose.spend_window, spent, max(0, whose.spend_cap - spent))


def moment(query: Mapping[str, str], name: str) -> int:
    """Return a moment that was given. Raises ApiError invalid_request."""
    if name not in query:
        raise ApiError("missing_parameter", f"{name} must be there: a moment in UNIX milliseconds.", param=name)
    return number(query[name], name, MOMENT_MS_MAX)


def live(board: Board | None, _asked: Asked) -> Result:
    """Answer with the calls that run. Raises ApiError resource_not_found where no server does."""
    return 200, running(board)()
