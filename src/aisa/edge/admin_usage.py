"""What an administrator may see of all calls together, as requests and answers in JSON. Lists the routes; `admin` answers.

| request | answer |
|---|---|
| `GET /usage?by=key&start_ms=M&end_ms=M` | 200, a `UsageShown` of the calls that ended in [start, end), by `key`, `model` or `day` |
| `GET /board` | 200, a `BoardShown`: the calls that run |

Money is in nano-dollars, times are UNIX milliseconds. A call that is not in the database yet is in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from aisa.edge.admin_route import Answering, Asked, Result, Steps, look
from aisa.edge.board_view import BoardShown
from aisa.edge.routes import Route
from aisa.edge.statement import Statement
from aisa.errors import ApiError
from aisa.keys.port import KeyRing
from aisa.ledger.port_usage import DAY, DAY_MS, KEY, MODEL, Span, Used

SPAN_MS_MAX = 400 * DAY_MS  # that is summed up at once: a year, and the days around it


class UsageShown(msgspec.Struct, frozen=True):
    """Sums by group, in ascending order, and the labels of those keys that are groups."""

    groups: dict[str, Used]
    labels: dict[str, str]


def usage_routes(statement: Statement, keys: KeyRing, board: Callable[[], BoardShown] | None = None) -> tuple[Route[Answering], ...]:
    """Return the routes. `board` shows the calls that run, None where no server does."""
    return (
        look("/usage", partial(usage, statement, keys)),
        look("/board", partial(live, board)),
    )


def usage(statement: Statement, keys: KeyRing, asked: Asked) -> Steps:
    """Answer with sums, a day a step. Raises ApiError invalid_request."""
    by, start_ms, end_ms = asked.query.get("by", KEY), moment(asked.query, "start_ms"), moment(asked.query, "end_ms")
    if by not in (KEY, MODEL, DAY):
        raise ApiError("invalid_request", f"Usage is summed up by {KEY}, {MODEL} or {DAY}.", param="by")
    if not 0 < end_ms - start_ms <= SPAN_MS_MAX:
        raise ApiError("invalid_request", f"The span ends after its start, and has {SPAN_MS_MAX // DAY_MS} days at most.", param="end_ms")
    groups: dict[str, Used] = {}
    for day_ms in range(start_ms - start_ms % DAY_MS, end_ms, DAY_MS):
        for group, used in statement.used(by, Span(max(day_ms, start_ms), min(day_ms + DAY_MS, end_ms))).items():
            groups.setdefault(group, Used()).merge(used)
        yield
    labels = {key.id: key.label for key in keys.list() if key.id in groups} if by == KEY else {}
    return 200, UsageShown(dict(sorted(groups.items())), labels)


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
