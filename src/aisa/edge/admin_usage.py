"""What an administrator may see of all calls together, as requests and answers in JSON. Lists the routes; `admin` answers.

| request | answer |
|---|---|
| `GET /usage?by=key&start_ms=M&end_ms=M&key=K&account=A` | 200, a `UsageShown` of the calls that ended in [start, end) |
| `GET /board` | 200, a `BoardShown`: the calls that run |

They are summed up by `key`, `account`, `model`, `vendor` or `day`; of one key, by label or id, or one account, if that is given. By key,
keys that made no call are there too, unless they are revoked. Money is in nano-dollars, times are UNIX milliseconds. A call that is not in
the database yet is in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from aisa.clock import WallClock
from aisa.edge.admin_route import Answering, Asked, Result, Steps, look
from aisa.edge.board_view import BoardShown
from aisa.edge.routes import Route
from aisa.edge.statement import Statement
from aisa.errors import ApiError
from aisa.keys.port import KeyRing
from aisa.keys.rules import REVOKED, Key, window_end, window_start
from aisa.ledger.port_usage import DAY, DAY_MS, GROUPINGS, KEY, Span, Used
from aisa.money import Nanos

SPAN_MS_MAX = 400 * DAY_MS  # that is summed up at once: a year, and the days around it


class CapShown(msgspec.Struct, frozen=True):
    """A key's cap: what it may spend in each `window`, what it has spent in this one, and what is left, in nano-dollars."""

    cap: Nanos
    window: str
    spent: Nanos
    left: Nanos


class UsageShown(msgspec.Struct, frozen=True):
    """Sums by group, in ascending order; of those groups that are keys, their labels, and the caps of those that have one."""

    groups: dict[str, Used]
    labels: dict[str, str]
    caps: dict[str, CapShown] = {}


def usage_routes(
    statement: Statement, keys: KeyRing, wall_clock: WallClock, *, board: Callable[[], BoardShown] | None = None
) -> tuple[Route[Answering], ...]:
    """Return the routes. `board` shows the calls that run, None where no server does."""
    return (
        look("/usage", lambda asked: usage(statement, keys, asked, now=wall_clock())),
        look("/board", partial(live, board)),
    )


def usage(statement: Statement, keys: KeyRing, asked: Asked, *, now: float) -> Steps:
    """Answer with sums, a day a step. `now` is in UNIX seconds. Raises ApiError invalid_request, resource_not_found."""
    query = asked.query
    by, start_ms, end_ms = query.get("by", KEY), moment(query, "start_ms"), moment(query, "end_ms")
    if by not in GROUPINGS:
        raise ApiError("invalid_request", f"Usage is summed up by {', '.join(GROUPINGS)}.", param="by")
    if not 0 < end_ms - start_ms <= SPAN_MS_MAX:
        raise ApiError("invalid_request", f"The span ends after its start, and has {SPAN_MS_MAX // DAY_MS} days at most.", param="end_ms")
    of_key, account = keys.find(query["key"]) if "key" in query else None, query.get("account")
    groups: dict[str, Used] = {}
    for day_ms in range(start_ms - start_ms % DAY_MS, end_ms, DAY_MS):
        span = Span(max(day_ms, start_ms), min(day_ms + DAY_MS, end_ms), None if of_key is None else of_key.id, account)
        for group, used in statement.used(by, span).items():
            groups.setdefault(group, Used()).merge(used)
        yield
    if by != KEY:
        return 200, UsageShown(dict(sorted(groups.items())), {})
    ours = [key for key in keys.list() if of_key in (None, key) and account in (None, key.account)]
    for key in ours:
        if key.state != REVOKED:
            groups.setdefault(key.id, Used())
    shown = [key for key in ours if key.id in groups]
    capped = [key for key in shown if key.spend_cap is not None][:CAPS_MAX]
    caps: dict[str, CapShown] = {}
    for key in capped:
        caps[key.id] = cap_shown(statement, key, now)
        yield
    return 200, UsageShown(dict(sorted(groups.items())), {key.id: key.label for key in shown}, caps)


CAPS_MAX = 1_000  # whose spending is looked up: each takes a question to the database where no server runs


def cap_shown(statement: Statement, key: Key, now: float) -> CapShown:
    """Return how a key's cap stands, as the live ledger knows it or else from the database."""
    assert key.spend_cap is not None, "the caller looked"
    assert key.spend_window is not None, "a cap has its window"
    live = None if statement.ledger is None else statement.ledger.caps.get(key.id)
    spent = None if live is None else live.spent_at(now)
    if spent is None:
        began = window_start(key.spend_window, now)
        span = Span(began * 1000, window_end(key.spend_window, began) * 1000, key.id)
        spent = sum(used.cost for used in statement.used(DAY, span).values())
    return CapShown(key.spend_cap, key.spend_window, spent, max(0, key.spend_cap - spent))


def moment(query: Mapping[str, str], name: str) -> int:
    """Return a moment that was given. Raises ApiError invalid_request."""
    given = query.get(name, "")
    if not (given.isascii() and given.isdigit()):
        raise ApiError("invalid_request", f"{name} must be a moment in UNIX milliseconds.", param=name)
    return int(given[:15])


def live(board: Callable[[], BoardShown] | None, _asked: Asked) -> Result:
    """Answer with the calls that run. Raises ApiError resource_not_found where no server does."""
    if board is None:
        raise ApiError("resource_not_found", "No server is running on this data folder, so no calls are either. Start it: aisa serve")
    return 200, board()
