"""What callers see of their bills, over HTTP: sums and balance, with the live ledger and a real database behind them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import insert

from aisa.clock import wall_clock
from aisa.edge.account import ANSWER_SECONDS_MAX, QUESTIONS_MAX, Accounts, micros
from aisa.edge.statement import LedgerShown, Statement
from aisa.errors import ApiError
from aisa.keys.teams import row_of
from aisa.ledger.caps import Cap
from aisa.ledger.port_usage import Span, Used
from aisa.ledger.row import CallRow
from aisa.ledger.rules import FAILED
from aisa.storage.tables import keys
from aisa.testing.clock import run_virtual
from bank import KEYS, Bank, bank, with_bank
from faults_rig import failure, gateway, on_uvloop, says, until
from rows import priced

DAY = 86_400
MORNING = 1_767_225_600  # 2026-01-01T00:00:00Z


def usage_path(start: int, end: int | None = None, scope: str | None = None) -> str:
    """The address of sums."""
    return f"/v1/usage?start_time={start}" + (f"&end_time={end}" if end else "") + (f"&scope={scope}" if scope else "")


# Sums


def test_a_call_that_has_just_ended_is_in_the_next_answer_and_once(tmp_path: Path) -> None:
    """Its row waits, then the database has it unknown to the ledger, then for good: the sums stay, to the token and micro-dollar."""

    async def scenario(made: Bank) -> None:
        await made.call()
        start = int(wall_clock()) - 60
        expected = {
            "requests": 1,
            "failed_requests": 0,
            "input_tokens": 9,
            "output_tokens": 3,
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
            "usage_value_micros_usd": 41,  # 9 x 1.25 + 3 x 10 = 41.25
            "charged_micros_usd": 0,
        }
        for step in (lambda: None, made.store, made.commit):
            step()
            answer = await made.json(usage_path(start))
            assert answer["totals"] == expected
            assert (answer["scope"], answer["currency"], answer["bucket_width"]) == ("key", "USD", "1d")
        assert made.ledger.calls == {}

    with_bank(scenario, tmp_path)


def test_buckets_are_days_of_utc_within_the_window(tmp_path: Path) -> None:
    """A window from noon to noon has a half day, a whole one without calls, and a half; a call at the end itself is not in it."""
    start, end = MORNING + DAY // 2, MORNING + 5 * DAY // 2

    async def scenario(made: Bank) -> None:
        moments = [start - 1, start, MORNING + DAY - 1, MORNING + 2 * DAY, end - 1, end]
        made.store(*(priced(number, ended_ms=moment * 1000) for number, moment in enumerate(moments)))
        answer = await made.json(usage_path(start, end))
        edges = [(bucket["start_time"], bucket["end_time"], bucket["requests"]) for bucket in answer["buckets"]]
        assert edges == [(start, MORNING + DAY, 2), (MORNING + DAY, MORNING + 2 * DAY, 0), (MORNING + 2 * DAY, end, 2)]
        assert (answer["start_time"], answer["end_time"], answer["totals"]["requests"]) == (start, end, 4)

    with_bank(scenario, tmp_path)


def test_a_key_sees_its_own_calls_or_those_of_its_account_and_no_others(tmp_path: Path) -> None:
    """The scope is the key by default; of another account nothing is ever told."""

    async def scenario(made: Bank) -> None:
        rows = [priced(1), priced(2, key_id="key_2"), priced(3, key_id="key_3", account="acme", prepaid=True), priced(4, outcome=FAILED)]
        made.store(*rows)
        start = rows[0].ended_ms // 1000 - 1
        for key, scope, requests in [("mine", None, 2), ("mine", "key", 2), ("mine", "account", 3), ("stranger", "account", 1)]:
            answer = await made.json(usage_path(start, start + DAY, scope), key)
            assert answer["totals"]["requests"] == requests
        assert answer["totals"]["charged_micros_usd"] == answer["totals"]["usage_value_micros_usd"] == micros(rows[2].cost) > 0
        mine = (await made.json(usage_path(start, start + DAY)))["totals"]
        assert (mine["failed_requests"], mine["charged_micros_usd"], mine["cache_read_tokens"]) == (1, 0, 6)

    with_bank(scenario, tmp_path)


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("start_time=", "invalid_request", "start_time"),
        ("start_time=0", "invalid_request", "start_time"),
        ("start_time=-5", "invalid_request", "start_time"),
        ("start_time=1.5", "invalid_request", "start_time"),
        ("start_time=%D9%A3&end_time=9", "invalid_request", "start_time"),
        ("start_time=1767225600000", "invalid_request", "start_time"),
        ("start_time=" + "9" * 5_000, "invalid_request", "start_time"),
        ("start_time=" + "0" * 19 + "1" + "9" * 5_000, "invalid_request", "start_time"),
        ("start_time=5&end_time=" + "0" * 19 + "6" + "0" * 5_000, "invalid_request", "end_time"),
        ("start_time=5&end_time=x", "invalid_request", "end_time"),
        ("start_time=5&end_time=5", "invalid_request", "end_time"),
        (f"start_time=5&end_time={5 + 31 * DAY + 61}", "invalid_request", "start_time"),
        ("start_time=5&end_time=6&scope=all", "invalid_request", "scope"),
        ("bucket_width=5y", "invalid_request", "bucket_width"),
        ("bucket_width=", "invalid_request", "bucket_width"),
        ("bucket_width=1d&group_by=planet", "invalid_request", "group_by"),
        ("startTime=5", "invalid_request", "startTime"),
        ("start_time=5&end_time=6&start_time=4", "invalid_request", "start_time"),
        ("scope=key&scope=key", "invalid_request", "scope"),
        ("start_time=5&" + "&".join("abcdefghijklmnopqrstuvwxyz"), "invalid_request", None),
    ],
)
def test_a_window_that_cannot_be_is_refused_with_the_name_of_the_field(query: str, code: str, param: str | None, tmp_path: Path) -> None:
    """Everything wrong with a window is a 400 in our shape, never a guess and never a 500.

    [fault S22] A field that is none was ignored, and the answer was taken for what it asked.
    """

    async def scenario(made: Bank) -> None:
        assert failure(await made.get(f"/v1/usage?{query}"), 400, code)["param"] == param

    with_bank(scenario, tmp_path)


def test_the_one_width_of_buckets_may_be_asked_for_and_others_are_told_it(tmp_path: Path) -> None:
    """[fault S22] Whoever asks in another way reads what is known."""

    async def scenario(made: Bank) -> None:
        assert (await made.json("/v1/usage?bucket_width=1d"))["bucket_width"] == "1d"
        assert "`1d`" in failure(await made.get("/v1/usage?bucket_width=1h"), 400, "invalid_request")["message"]
        told = failure(await made.get("/v1/usage?limit=5"), 400, "invalid_request")["message"]
        assert all(name in told for name in ("start_time", "end_time", "scope", "bucket_width"))

    with_bank(scenario, tmp_path)


def test_without_a_start_the_last_seven_days_are_summed_up(tmp_path: Path) -> None:
    """Point P16: Up to now, or to the end that is given."""

    async def scenario(made: Bank) -> None:
        now = int(wall_clock())
        answer = await made.json("/v1/usage")
        assert answer["end_time"] - answer["start_time"] == 7 * DAY
        assert now <= answer["end_time"] <= now + 5
        answer = await made.json(f"/v1/usage?end_time={MORNING}")
        assert (answer["start_time"], answer["end_time"]) == (MORNING - 7 * DAY, MORNING)
        assert (await made.json("/v1/usage?end_time=5"))["start_time"] == 1

    with_bank(scenario, tmp_path)


def test_the_longest_window_may_begin_by_the_callers_clock(tmp_path: Path) -> None:
    """Who asks for the last 31 days by a clock that is a moment behind ours gets them."""

    async def scenario(made: Bank) -> None:
        answer = await made.json(usage_path(MORNING - 31 * DAY - 5))
        assert answer["end_time"] == MORNING + 1
        assert len(answer["buckets"]) == 33

    with_bank(scenario, tmp_path, clock=lambda: MORNING + 0.5)


# The balance


def test_an_account_without_a_limit_has_no_balance_but_says_so(tmp_path: Path) -> None:
    """Null and `unlimited` rather than a number that a script would compare; what the key used this month is there."""

    async def scenario(made: Bank) -> None:
        await made.call()
        answer = await made.json("/v1/credits/balance")
        assert (answer["unlimited"], answer["account_balance_micros_usd"], answer["available_balance_micros_usd"]) == (True, None, None)
        used = {name: answer["api_key"][name] for name in ("unlimited", "remaining_micros_usd", "used_micros_usd", "window")}
        assert used == {"unlimited": True, "remaining_micros_usd": 0, "used_micros_usd": 41, "window": "month"}
        assert (answer["currency"], answer["go_to_market_balance_micros_usd"]) == ("USD", 0)

    with_bank(scenario, tmp_path)


def test_what_is_available_is_the_balance_without_what_is_held_and_within_the_keys_cap(tmp_path: Path) -> None:
    """A wallet of 20 dollars with 17 held leaves 3; a key that has used 1 of its 5 a day gets 4 at most; below zero there is nothing."""

    async def scenario(made: Bank) -> None:
        spent = priced(1, key_id="key_4", account="acme", ended_ms=MORNING * 1000 + 5, cost=1_000_000_400)
        yesterday = priced(2, key_id="key_4", account="acme", ended_ms=MORNING * 1000 - 5, cost=3_000_000_000)
        made.store(spent, yesterday)
        for held, account, free, own in [(0, 20_000_000, 20_000_000, 4_000_000), (17 * 10**9, 20_000_000, 3_000_000, 3_000_000)]:
            made.wallet.held = held
            answer = await made.json("/v1/credits/balance", "stranger")
            assert (answer["account_balance_micros_usd"], answer["available_balance_micros_usd"]) == (account, free)
            assert (await made.json("/v1/credits/balance", "capped"))["available_balance_micros_usd"] == own
        assert answer["unlimited"] is False
        made.wallet.balance = -1_499
        answer = await made.json("/v1/credits/balance", "capped")
        assert (answer["account_balance_micros_usd"], answer["available_balance_micros_usd"]) == (-1, 0)
        key = {"unlimited": False, "remaining_micros_usd": 4_000_000, "used_micros_usd": 1_000_000, "window": "day"}
        assert answer["api_key"] == {**key, "window_start_time": MORNING}
        assert answer["as_of"] == "2026-01-01T12:00:00Z"

    with_bank(scenario, tmp_path, clock=lambda: MORNING + DAY / 2)


def test_a_key_sees_what_is_left_of_its_teams_cap(tmp_path: Path) -> None:
    """[issue 13] Of what all of its keys have spent in the window, whether the ledger knows it or the database is asked; of no key more."""

    async def scenario(made: Bank) -> None:
        assert made.database is not None
        with made.database.transaction() as connection:
            for name in ("member", "mate"):
                connection.execute(insert(keys).values(row_of(KEYS[name])))
        at = {"account": "acme", "ended_ms": MORNING * 1000 + 5}
        made.store(
            priced(1, key_id="key_5", cost=700_000_400, **at),
            priced(2, key_id="key_6", cost=1_300_000_000, **at),
            priced(3, key_id="key_3", cost=9_000_000_000, **at),
            priced(4, key_id="key_6", cost=1_000_000_000, account="acme", ended_ms=MORNING * 1000 - 5),
        )
        team = {"name": "bots", "remaining_micros_usd": 1_000_000, "used_micros_usd": 2_000_000, "window": "day"}
        answer = await made.json("/v1/credits/balance", "member")
        assert answer["team"] == {**team, "window_start_time": MORNING}
        assert (answer["available_balance_micros_usd"], answer["api_key"]["unlimited"]) == (1_000_000, True)
        assert (answer["api_key"]["used_micros_usd"], answer["account_balance_micros_usd"]) == (700_000, 20_000_000)
        known = made.ledger.caps["team_1"] = Cap(3_000_000_000, "day", spent=2_900_000_000, now=MORNING + DAY / 2)
        known.held = 40_000_000
        answer = await made.json("/v1/credits/balance", "mate")
        assert (answer["team"]["remaining_micros_usd"], answer["available_balance_micros_usd"]) == (100_000, 60_000)
        assert (await made.json("/v1/credits/balance", "capped"))["team"] is None

    with_bank(scenario, tmp_path, clock=lambda: MORNING + DAY / 2)


@pytest.mark.parametrize(("nanos", "shown"), [(0, 0), (499, 0), (500, 1), (1_499, 1), (1_500, 2), (-1_499, -1), (-1_501, -2)])
def test_micro_dollars_are_rounded_half_up(nanos: int, shown: int) -> None:
    """Half a micro-dollar is shown as one."""
    assert micros(nanos) == shown


# The routes


PATHS = ["/v1/usage?start_time=1767225600&end_time=1767225700", "/v1/credits/balance", "/v1/usage/calls/req_1"]


@pytest.mark.parametrize("path", PATHS)
def test_the_routes_keep_the_manners_of_the_others(path: str, tmp_path: Path) -> None:
    """A key is needed before anything else is judged; HEAD, OPTIONS, other methods and browsers are answered as everywhere."""

    async def scenario(made: Bank) -> None:
        for key, code in ((None, "missing_api_key"), ("wrong", "invalid_api_key")):
            failure(await made.get(path.partition("?")[0], key=key), 401, code)
        got, head = await made.get(path, "origin: https://a.example"), await made.get(path, method="HEAD")
        assert (got.status, head.status, head.header("content-length")) == (got.status, got.status, str(len(got.body)))
        assert got.header("access-control-allow-origin") == "*"
        assert (await made.get(path, method="OPTIONS", key=None)).header("allow") == "GET, HEAD, OPTIONS"
        assert (await made.get(path, method="POST")).status == 405

    with_bank(scenario, tmp_path)


def test_without_a_ledger_there_are_no_such_routes() -> None:
    """A gateway without accounts answers as for any unknown address, with or without a key."""

    async def main() -> None:
        async with gateway(says(b"")) as home:
            for path in PATHS:
                failure(await home.ask(f"GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n".encode()), 404, "unknown_endpoint")

    run_virtual(main())


# A database that does not answer


class Stuck:
    """A database that answers when it is let go, or fails. `asked` counts the questions that have reached it."""

    def __init__(self, *, broken: bool = False) -> None:
        self.let_go = threading.Event()
        self.asked = 0
        if broken:
            self.let_go.set()

    def call(self, _call_id: str) -> CallRow | None:
        """Answer, at last."""
        self.asked += 1
        if self.let_go.is_set():
            raise ApiError("internal_error", "The disk at /secret fails.")
        self.let_go.wait()
        return None

    def refused(self, call_id: str) -> None:
        """As `call`."""
        self.call(call_id)

    def used(self, _by: str, _span: Span, _waiting: object = ()) -> dict[str, Used]:
        """As `call`."""
        self.call("")
        return {}


def test_a_database_that_fails_is_no_bug_and_hides_no_receipt_that_is_in_memory() -> None:
    """Sums are 503 with a Retry-After and no detail of ours; the call that has just ended is answered from the ledger."""

    async def main() -> None:
        async with bank(None, ended=Stuck(broken=True)) as made:
            id_ = await made.call()
            for path in (*PATHS[:2], "/v1/usage/calls/req_0"):
                reply = await made.get(path)
                assert "secret" not in failure(reply, 503, "overloaded")["message"]
                assert reply.header("retry-after") == "1"
            assert (await made.json(f"/v1/usage/calls/{id_}"))["outcome"] == "completed"

    on_uvloop(main())


def test_nothing_else_waits_for_the_database() -> None:
    """While more questions hang than are asked at a time, calls and health are answered; a caller who leaves gives up its turn."""

    async def main() -> None:
        stuck = Stuck()
        async with bank(None, ended=stuck) as made:
            question = f"GET {PATHS[0]} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer mine\r\n\r\n".encode()
            asking = [await made.home.client(question) for _ in range(QUESTIONS_MAX)]
            await until(lambda: stuck.asked == QUESTIONS_MAX)
            leaving = [await made.home.client(question) for _ in range(QUESTIONS_MAX)]
            await until(lambda: made.home.server.calls_count == 2 * QUESTIONS_MAX)
            assert (await made.get("/health/live", key=None)).status == 200
            await made.call()
            for caller in leaving:
                caller.reset()
            await until(lambda: made.home.server.calls_count == QUESTIONS_MAX)
            stuck.let_go.set()
            assert [(await caller.reply()).status for caller in asking] == [200] * QUESTIONS_MAX
            assert stuck.asked == QUESTIONS_MAX

    on_uvloop(main())


def test_a_question_that_takes_too_long_is_given_up() -> None:
    """After ANSWER_SECONDS_MAX the caller is told to come back, rather than left waiting."""

    async def main() -> float:
        stuck = Stuck()
        try:
            async with bank(None, ended=stuck) as made:
                began = asyncio.get_running_loop().time()
                failure(await made.get(PATHS[0]), 503, "overloaded")
                return asyncio.get_running_loop().time() - began
        finally:
            stuck.let_go.set()

    assert ANSWER_SECONDS_MAX <= run_virtual(main()) < ANSWER_SECONDS_MAX + 1


def test_nobody_waits_for_a_database_that_is_known_not_to_answer() -> None:
    """[issue 13] Who has asked is told soon after it went away, and who asks then at once: that question reaches no thread."""

    async def main() -> None:
        stuck = Stuck()
        bills = Accounts(cast("LedgerShown", None), Statement(None, stuck, {}), wall_clock, is_away=lambda: stuck.asked > 0)
        try:
            for _ in range(2):
                failed = await asyncio.wait_for(asyncio.gather(bills.usage(KEYS["mine"], ""), return_exceptions=True), ANSWER_SECONDS_MAX)
                assert isinstance(failed[0], ApiError)
                assert (failed[0].code, failed[0].retry_after) == ("overloaded", 1)
            assert stuck.asked == 1
        finally:
            stuck.let_go.set()

    on_uvloop(main())
