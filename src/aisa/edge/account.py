"""What callers see of their bills: sums, the balance, and the receipt of a call. Charges nothing; the shape of a receipt is `receipt`'s.

`GET /v1/usage?start_time=S&end_time=S&scope=key|account`: what the calls were billed that ended in [start_time, end_time), UNIX seconds,
in all and by day of UTC. `end_time` is by default the end of the running second, `start_time` 7 days before it, `scope` the key.
`failed_requests` are calls that failed before anything of an answer had come; those that broke off inside one are not among them.
`usage_value` is what the calls cost, `charged` what of it came out of the account's wallet: nothing while the account is unlimited.

`GET /v1/credits/balance`: an account without a limit has `unlimited: true`, and null for a balance, because any number would be wrong.
`available` is what the key can still spend: the balance less what is held for calls in flight, and not more than its own cap leaves and
its team's. `team` says what is left of the latter, null for a key whose team has none, or that is in none.

`GET /v1/usage/calls/{id}`: the receipt of a call, by its x-request-id, for the key that made it; of a refused call too.

Amounts are whole micro-dollars, rounded half up from nano-dollars, each for itself; only a receipt has the exact ones.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from aisa.clock import WallClock
from aisa.edge.receipt import Document, receipt, refused_receipt, running_receipt
from aisa.edge.spent_so_far import SpentSoFar
from aisa.edge.statement import LedgerShown, Statement
from aisa.errors import ApiError
from aisa.keys.rules import DAY_SECONDS, MONTH, Capped, Key, window_start
from aisa.ledger.pieces import moment_of
from aisa.ledger.port_usage import DAY, Removal, Span, Used, day_of
from aisa.money import Nanos

USAGE = "/v1/usage"
BALANCE = "/v1/credits/balance"
RECEIPT = "/v1/usage/calls/"  # followed by a call's id

WINDOW_SECONDS_USUAL = 7 * DAY_SECONDS  # before the end, if nobody says from when
WINDOW_SECONDS_MAX = 31 * DAY_SECONDS  # the longest month
CLOCKS_APART_SECONDS_MAX = 60  # "the last 31 days" by a caller's clock may begin a little earlier by ours
UNIX_SECONDS_MAX = 10**11  # some three thousand years: beyond it they are milliseconds
UNIX_SECONDS = re.compile(r"[0-9]{1,20}")  # Python refuses to read numbers of thousands of digits
QUERY_FIELDS_MAX = 20  # of which those are known
FIELDS = ("start_time", "end_time", "scope", "bucket_width")
BUCKET_WIDTH = "1d"  # the only one there is
SHOWN_CHARACTERS_MAX = 64  # of a caller's word in a message
QUESTIONS_MAX = 4  # to the database at a time; more take turns
ANSWER_SECONDS_MAX = 10.0  # for a turn and an answer; a month of a very busy account takes a second or two
LOOK_SECONDS = 0.1  # between two looks whether the database has gone away meanwhile
NANOS_PER_MICRO = 1_000

T = TypeVar("T")


class Window(NamedTuple):
    """The time that is asked about, [start, end) in UNIX seconds, and whose calls."""

    start: int
    end: int
    scope: str


class Standing(NamedTuple):
    """What was spent in the running window of a key's or team's cap (of a key without one: this month), and what is left of it."""

    used: Nanos
    left: Nanos | None
    held: Nanos
    window: str
    began: int


class Accounts:
    """Answers questions about bills. The statement may wait for the database, so it is asked in threads of its own.

    `is_away` says whether the database that servers share is known not to answer, None where they share none: nobody waits for it then.
    """

    def __init__(
        self, ledger: LedgerShown, statement: Statement, wall_clock: WallClock, *, is_away: Callable[[], bool | None] = lambda: None
    ) -> None:
        self._ledger = ledger
        self._is_away = is_away
        self._statement = statement
        self._wall_clock = wall_clock
        self._spent = SpentSoFar()
        self._threads = ThreadPoolExecutor(QUESTIONS_MAX, thread_name_prefix="account")

    async def document(self, path: str, query: str, key: Key) -> bytes:
        """Return the JSON of one of the three routes. Raises ApiError, also for what is not this key's."""
        if path == USAGE:
            return msgspec.json.encode(await self.usage(key, query))
        if path == BALANCE:
            return msgspec.json.encode(await self.balance(key))
        return msgspec.json.encode(await self.receipt(key, unquote(path.removeprefix(RECEIPT))))

    async def usage(self, key: Key, query: str) -> Document:
        """Return what was used. Raises ApiError invalid_request; overloaded if the database does not answer."""
        start, end, scope = window_of(query, self._wall_clock())
        whose, account = (key.id, None) if scope == "key" else (None, key.account)
        by_day = await self._ask(lambda: self._statement.used(DAY, Span(start * 1000, end * 1000, whose, account)))
        total = Used()
        for used in by_day.values():
            total.merge(used)
        buckets = [
            {"start_time": max(day, start), "end_time": min(day + DAY_SECONDS, end), **sums(by_day.get(day_of(day * 1000)) or Used())}
            for day in range(start - start % DAY_SECONDS, end, DAY_SECONDS)
        ]
        head = {"scope": scope, "currency": "USD", "start_time": start, "end_time": end, "bucket_width": BUCKET_WIDTH}
        return {**head, "totals": sums(total), "buckets": buckets}

    async def balance(self, key: Key) -> Document:
        """Return what is left. A key without a cap shows what it has used in this month. Raises ApiError overloaded."""
        now = self._wall_clock()
        wallet, own = self._ledger.wallet(key.account), await self._standing(key, now)
        team = None if key.team is None or key.team.spend_cap is None else await self._standing(key.team, now)
        free = [] if wallet.balance is None else [wallet.balance - wallet.held]
        free += [each.left - each.held for each in (own, team) if each is not None and each.left is not None]
        return {
            "currency": "USD",
            "unlimited": wallet.balance is None,
            "account_balance_micros_usd": None if wallet.balance is None else micros(wallet.balance),
            "available_balance_micros_usd": max(0, micros(min(free))) if free else None,
            "go_to_market_balance_micros_usd": 0,
            "api_key": {"unlimited": own.left is None, **shown(own)},
            "team": None if key.team is None or team is None else {"name": key.team.name, **shown(team)},
            "as_of": datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    async def _standing(self, whose: Capped, now: float) -> Standing:
        """Return how the cap of a key or team stands. Raises ApiError overloaded."""
        window = whose.spend_window or MONTH
        began = window_start(window, now)
        cap = None if whose.spend_cap is None else self._ledger.caps.get(whose.id)
        used = None if cap is None else cap.spent_at(now)  # a cap knows it
        if used is None:
            known = self._spent.since(whose.id, began, now=now)
            by_day = await self._ask(lambda: self._statement.used(DAY, Span(known.until * 1000, end_of_second(now) * 1000, whose=whose.id)))
            used = self._spent.add(whose.id, known, by_day, now=now)
        left = None if whose.spend_cap is None else max(0, whose.spend_cap - used)
        return Standing(used, left, 0 if cap is None else cap.held, window, began)

    async def receipt(self, key: Key, call_id: str) -> Document:
        """Return a call's receipt. Raises ApiError resource_not_found, also for calls of other keys, and overloaded."""
        found = self._statement.booked(call_id) or await self._ask(lambda: self._statement.stored(call_id))
        if found is None or found.key_id != key.id:
            removal = await self._ask(lambda: self._statement.removal(call_id)) if found is None else None
            raise not_there(removal)
        if found.row is not None:
            return receipt(found.row, final=found.final, refused=found.refused)
        if found.refused is not None:
            return refused_receipt(found.refused)
        assert found.opening is not None, "a call that has not ended has its opening"
        return running_receipt(found.opening, found.tokens)

    async def _ask(self, question: Callable[[], T]) -> T:
        """Return the database's answer. Raises ApiError overloaded if there is none in time, or the database is away."""
        asked = None if self._is_away() else asyncio.get_running_loop().run_in_executor(self._threads, question)
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                while asked is not None and not asked.done() and not (is_away := self._is_away()):
                    await asyncio.wait([asked], timeout=None if is_away is None else LOOK_SECONDS)
            if asked is None or not asked.done():
                raise TimeoutError
            return asked.result()
        except (TimeoutError, ApiError) as failure:
            if isinstance(failure, ApiError) and failure.code == "invalid_request":
                raise
            raise ApiError("overloaded", "The ledger cannot be read at the moment. Calls and their bills are not affected.") from failure
        finally:
            if asked is not None:
                asked.cancel()  # it may be waiting for its turn still


def not_there(removal: Removal | None) -> ApiError:
    """Return the error for a receipt that a key cannot have. Where the operator keeps files of removed calls is none of its business."""
    what = "This key has made no call with this id. It is the x-request-id header of the call's answer."
    if removal is not None:
        what = f"This key has no call with this id any more. Of calls that ended before {moment_of(removal.before_ms)} only sums are kept."
    return ApiError("resource_not_found", what)


def window_of(query: str, now: float) -> Window:
    """Return what a query asks about. `now` is in UNIX seconds. Raises ApiError invalid_request."""
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError:
        raise ApiError("invalid_request", f"The query has more than {QUERY_FIELDS_MAX} fields.") from None
    given = dict(fields)
    twice = next((name for at, (name, _) in enumerate(fields) if name in dict(fields[:at])), None)
    if twice is not None:
        shown = twice[:SHOWN_CHARACTERS_MAX]
        raise ApiError("invalid_request", f"The query has the field '{shown}' twice: which one is meant is not known.", param=shown)
    for name in given:
        if name not in FIELDS:
            known, shown = ", ".join(FIELDS), name[:SHOWN_CHARACTERS_MAX]
            raise ApiError("invalid_request", f"The query's field '{shown}' is none of those here: {known}.", param=shown)
    if given.get("bucket_width", BUCKET_WIDTH) != BUCKET_WIDTH:
        raise ApiError("invalid_request", f"The bucket_width is `{BUCKET_WIDTH}`, a day of UTC; there is no other.", param="bucket_width")
    end = unix_seconds("end_time", given["end_time"]) if "end_time" in given else end_of_second(now)
    start = unix_seconds("start_time", given["start_time"]) if "start_time" in given else max(1, end - WINDOW_SECONDS_USUAL)
    if end <= start:
        raise ApiError("invalid_request", f"The window ends at {end}, which is not after its start, {start}.", param="end_time")
    if end - start > WINDOW_SECONDS_MAX + CLOCKS_APART_SECONDS_MAX:
        message = f"The window has {end - start} seconds; {WINDOW_SECONDS_MAX} (31 days) are the most. Ask for it in parts."
        raise ApiError("invalid_request", message, param="start_time")
    scope = given.get("scope", "key")
    if scope not in ("key", "account"):
        raise ApiError("invalid_request", "The scope is `key` or `account`.", param="scope")
    return Window(start, end, scope)


def unix_seconds(name: str, text: str) -> int:
    """Return a moment that was given. Raises ApiError invalid_request."""
    if not (UNIX_SECONDS.fullmatch(text) and 0 < int(text) <= UNIX_SECONDS_MAX):
        raise ApiError("invalid_request", f"{name} must be a moment in whole UNIX seconds, such as 1767225600.", param=name)
    return int(text)


def end_of_second(now: float) -> int:
    """Return the first UNIX second after everything that has happened."""
    return int(now) + 1


def shown(standing: Standing) -> Document:
    """Write what is left of a cap, and what was used."""
    return {
        "remaining_micros_usd": micros(standing.left or 0),
        "used_micros_usd": micros(standing.used),
        "window": standing.window,
        "window_start_time": standing.began,
    }


def sums(used: Used) -> Document:
    """Write sums."""
    return {
        "requests": used.requests,
        "failed_requests": used.failed,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cache_read_tokens": used.cached_tokens,
        "cache_write_tokens": used.cache_write_tokens,
        "usage_value_micros_usd": micros(used.cost),
        "charged_micros_usd": micros(used.charged),
    }


def micros(amount: Nanos) -> int:
    """Round nano-dollars half up to micro-dollars, for display only."""
    return (amount + NANOS_PER_MICRO // 2) // NANOS_PER_MICRO
