"""The `Idempotency-Key`: what runs, what is answered again, what is refused, and what is billed. Real sockets, virtual time."""

from __future__ import annotations

import asyncio
import random
import re
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import httpx2
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from openai import APIStatusError, AsyncOpenAI

from aisa.call import Call
from aisa.clock import wall_clock
from aisa.config.schema import Cors
from aisa.edge.app import Edge
from aisa.edge.cors import CrossOrigin
from aisa.edge.idempotency import (
    ANSWER_BYTES_MAX,
    ANSWER_EXTRA_BYTES,
    FORGOTTEN_AT_ONCE_KEYS_MAX,
    HASH_INLINE_BYTES_MAX,
    REMEMBERED_SECONDS_MAX,
    Answer,
    IdempotencyStore,
    digest_of,
    is_billed,
    relay_idempotent,
)
from aisa.errors import ApiError
from aisa.facts import Replayed
from aisa.http.server import HttpServer
from aisa.ids import CallIds
from aisa.keys.rules import Key
from aisa.ledger.row import CallRow
from aisa.ledger.rules import CLIENT_GONE, COMPLETED, CUT, FAILED
from aisa.observe.columns import text_line
from aisa.observe.log import json_line
from aisa.testing.clock import run_virtual
from aisa.usage import Usage
from aisa.wire.chat_door import CHAT_DOOR
from faults_rig import (
    CLIENT_KEY,
    SSE,
    Gateway,
    Reply,
    Script,
    body,
    failure,
    framed,
    gateway,
    hang,
    in_turn,
    on_uvloop,
    plain,
    post,
    says,
    stream_of,
    until,
    whole,
)
from ledger_rig import ledger_into
from repeats import repeats
from rig import MemoryClient, OneKey, Rig, ScriptedUpstream, document, text
from rig import Script as Steps
from rig import body as chat_body

ONCE = "idempotency-key: order-7"
GOOD = says(plain(document()))


class Rows(list[CallRow]):
    """Tells every row that is final, as the server does."""

    def __init__(self, rows: list[CallRow], idempotency: IdempotencyStore) -> None:
        super().__init__()
        self._rows = rows
        self._idempotency = idempotency

    def append(self, row: CallRow) -> None:
        """Take a final row."""
        self._rows.append(row)
        self._idempotency.final(row)


@asynccontextmanager
async def home_with(idempotency: IdempotencyStore, *scripts: Script, **options: Any) -> AsyncGenerator[Gateway]:
    """A gateway that knows the header."""
    async with gateway(*scripts, **options) as home:
        home.dependencies.ledger = home.ledger = ledger_into(Rows(home.rows, idempotency))
        ids = CallIds(wall_clock, random.Random(2))
        edge = Edge(home.dependencies, ids, wall_clock, cross_origin=CrossOrigin(Cors()), not_ready=lambda: None, idempotency=idempotency)
        await home.server.drain(0)
        home.server = HttpServer(edge, home.config.server)
        _, home.port = await home.server.listen("127.0.0.1", 0)
        yield home


def in_gateway(main: Callable[[Gateway], Any], *scripts: Script, idempotency: IdempotencyStore | None = None, **options: Any) -> Gateway:
    """Run a scenario in virtual time, and return the gateway as it was at the end."""

    async def scenario() -> Gateway:
        async with home_with(idempotency or IdempotencyStore(wall_clock), *scripts, **options) as home:
            await main(home)
            return home

    return run_virtual(scenario())


async def ask(home: Gateway, request: bytes) -> Reply:
    """Make one call, and wait until every call's bill is final."""
    reply = await home.ask(request)
    await until(lambda: len(home.rows) == len(home.calls))
    return reply


def is_replay(reply: Reply, first: Reply) -> bool:
    """Say whether a reply repeats another to the byte and says so."""
    assert first.header("idempotent-replayed") is None
    same = [reply.header(name) == first.header(name) for name in ("x-request-id", "content-type", "content-length")]
    return all(same) and reply.body == first.body and reply.status == first.status and reply.header("idempotent-replayed") == "true"


def refused(reply: Reply, code: str, first: str | None, *, again: bool = False) -> str:
    """Return the message of a 409 that must name the first call and say whether asking again helps."""
    error = failure(reply, 409, code)
    assert first is None or first in error["message"]
    assert error["request_id"] != first
    assert (reply.header("retry-after"), reply.header("x-should-retry")) == (("1", None) if again else (None, "false"))
    return str(error["message"])


# What is answered again


def test_the_same_key_and_body_is_answered_again_and_billed_once() -> None:
    """Byte for byte, under the id of the call that was billed, without asking the vendor and without a second row."""

    async def main(home: Gateway) -> None:
        first, second, third = [await ask(home, post(body(), ONCE)) for _ in range(3)]
        assert first.status == 200
        assert is_replay(second, first)
        assert is_replay(third, first)

    home = in_gateway(main, GOOD)
    [row], [call] = home.rows, home.calls
    assert (row.id, row.idempotency) == (call.request_id, digest_of("key_1", "order-7", "", body=body()))
    assert len(home.vendor.asked) == 1
    replays = [fact for fact in home.facts if isinstance(fact, Replayed)]
    assert [fact.call_id for fact in replays] == [row.id, row.id]
    assert len({fact.request_id for fact in replays} - {row.id}) == 2
    for fact in replays:
        for line in (json_line(0.0, fact), text_line(0.0, fact)):
            assert row.id.encode() in line
            assert fact.request_id.encode() in line
            assert b"order-7" not in line


def test_without_the_header_every_request_is_a_call_of_its_own() -> None:
    """Nobody's equal requests are taken for one."""

    async def main(home: Gateway) -> None:
        first, second = [await ask(home, post(body())) for _ in range(2)]
        assert first.header("x-request-id") != second.header("x-request-id")

    home = in_gateway(main, GOOD)
    assert [row.idempotency for row in home.rows] == [None, None]


def test_a_browser_may_read_an_answer_that_is_given_again() -> None:
    """It carries what its own request needs, not what the first one did."""

    async def main(home: Gateway) -> None:
        first = await ask(home, post(body(), ONCE))
        second = await ask(home, post(body(), ONCE, "origin: https://app.example"))
        assert is_replay(second, first)
        assert second.header("access-control-allow-origin") == "*"
        assert first.header("access-control-allow-origin") is None

    in_gateway(main, GOOD)


def test_a_key_counts_for_the_api_key_that_sent_it() -> None:
    """Two customers who both count from one do not get each other's answers."""

    class Keys:
        def verify(self, secret: str | None) -> Key:
            """Know everybody."""
            return Key(f"key_{secret}", "test", b"", "sk-…", "active", 0)

        def again(self, key: Key, secret: str) -> Key:
            """Ask anew."""
            return self.verify(secret)

        def known(self, secret: str | None) -> Key | None:
            """Return the same, or None."""
            return self.verify(secret)

    async def main(home: Gateway) -> None:
        ours, theirs = [await ask(home, post(body(), ONCE, key=key)) for key in ("a", "b")]
        assert ours.header("x-request-id") != theirs.header("x-request-id")
        assert is_replay(await ask(home, post(body(), ONCE, key="b")), theirs)

    home = in_gateway(main, GOOD, keys=Keys())
    assert [row.key_id for row in home.rows] == ["key_a", "key_b"]


def test_a_key_counts_for_a_day_by_the_wall_clock() -> None:
    """A second before its end it is answered again, then it runs anew, and the new answer counts for a day of its own."""
    later = 0.0
    idempotency = IdempotencyStore(lambda: wall_clock() + later)

    async def main(home: Gateway) -> None:
        nonlocal later
        first = await ask(home, post(body(), ONCE))
        later = REMEMBERED_SECONDS_MAX - 60
        assert is_replay(await ask(home, post(body(), ONCE)), first)
        later = REMEMBERED_SECONDS_MAX + 60
        anew = await ask(home, post(body(), ONCE))
        assert (anew.status, anew.header("idempotent-replayed")) == (200, None)

    home = in_gateway(main, GOOD, idempotency=idempotency)
    assert len(home.rows) == 2
    assert idempotency._answers_bytes == sum(len(answer.body) + ANSWER_EXTRA_BYTES for answer in idempotency._answers.values())
    assert list(idempotency._answers) == [home.rows[1].id]


LARGEST = ANSWER_BYTES_MAX - ANSWER_EXTRA_BYTES


@pytest.mark.parametrize(("size", "kept"), [(LARGEST, True), (LARGEST + 1, False)])
def test_an_answer_too_large_to_keep_is_never_run_twice(size: int, kept: bool) -> None:
    """Whoever asks again is sent to the receipt."""

    async def main(home: Gateway) -> None:
        empty = await ask(home, post(body()))
        home.vendor.script = says(plain(document("x" * (size - len(empty.body)))))
        first = await ask(home, post(body(), ONCE))
        assert len(first.body) == size
        second = await ask(home, post(body(), ONCE))
        if kept:
            assert is_replay(second, first)
        else:
            refused(second, "request_already_completed", first.header("x-request-id"))

    home = in_gateway(main, says(plain(document(""))))
    assert len(home.rows) == len(home.vendor.asked) == 2


# What is refused


@pytest.mark.parametrize("given", ["", "x" * 256, "caf\xe9", "a\tb"])
def test_a_key_that_cannot_be_one_is_refused_by_name(given: str) -> None:
    """1 to 255 printable ASCII characters; nothing runs that its caller believes to be protected and is not."""

    async def main(home: Gateway) -> None:
        assert "Idempotency-Key" in failure(await ask(home, post(body(), f"idempotency-key: {given}")), 400, "invalid_request")["message"]
        assert (await ask(home, post(body(), "idempotency-key: " + "x" * 255))).status == 200

    assert len(in_gateway(main, GOOD).rows) == 1


def test_an_unknown_api_key_learns_nothing_of_what_is_remembered() -> None:
    """The API key is judged first, before the header and before what is remembered."""

    async def main(home: Gateway) -> None:
        await ask(home, post(body(), ONCE))
        failure(await ask(home, post(body(), ONCE, key="wrong")), 401, "invalid_api_key")
        failure(await ask(home, post(body(), "idempotency-key: " + "x" * 256, key=None)), 401, "missing_api_key")

    in_gateway(main, GOOD)


@pytest.mark.parametrize("size", [0, HASH_INLINE_BYTES_MAX])
def test_of_requests_at_the_same_moment_exactly_one_runs(size: int) -> None:
    """The others are told its id and to ask again; when it has ended they get its answer."""
    request = post(body(user="x" * size), ONCE)

    async def main(home: Gateway) -> None:
        callers = [await home.client(request) for _ in range(8)]
        replies = [asyncio.create_task(caller.reply()) for caller in callers]
        await until(lambda: sum(reply.done() for reply in replies) == 7 and len(home.vendor.asked) == 1)
        gate.set()
        first, *others = sorted([await reply for reply in replies], key=lambda reply: reply.status)
        for other in others:
            refused(other, "request_in_progress", first.header("x-request-id"), again=True)
        await until(lambda: len(home.rows) == 1)
        assert is_replay(await ask(home, request), first)

    gate = asyncio.Event()
    home = in_gateway(main, says(gate, plain(document())))
    assert len(home.rows) == len(home.vendor.asked) == 1


def test_a_key_that_was_used_for_another_request_is_a_conflict() -> None:
    """While the first runs and after it; the first one's answer stays."""

    async def main(home: Gateway) -> None:
        running = asyncio.create_task(ask(home, post(body(), ONCE)))
        await until(lambda: bool(home.vendor.asked))
        refused(await home.ask(post(body(seed=1), ONCE)), "idempotency_conflict", None)
        gate.set()
        first = await running
        refused(await home.ask(post(body(seed=1), ONCE)), "idempotency_conflict", first.header("x-request-id"))
        assert is_replay(await home.ask(post(body(), ONCE)), first)

    gate = asyncio.Event()
    assert len(in_gateway(main, says(gate, plain(document()))).rows) == 1


BODY = b'{"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}'
CONTENTS = b'{"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}'
ASKED: dict[str, list[tuple[str, bytes, tuple[str, ...]]]] = {
    "another door": [("/v1/chat/completions", BODY, ()), ("/v1/messages", BODY, ())],
    "another model": [(f"/v1beta/models/{name}:generateContent", CONTENTS, ()) for name in ("fast", "a/real-model")],
    "a stream": [(f"/v1beta/models/fast:{how}", CONTENTS, ()) for how in ("generateContent", "streamGenerateContent?alt=sse")],
    "another beta": [("/v1/messages", BODY, (f"anthropic-beta: {name}",)) for name in ("one-2026", "two-2026")],
}


@pytest.mark.parametrize("what", ASKED)
def test_the_same_body_at_another_address_is_another_request(what: str) -> None:
    """Where address or headers say what is asked for, they count as the body does: nobody gets the answer to another question."""

    async def main(home: Gateway) -> None:
        first, second = [post(asked, ONCE, *headers, path=path) for path, asked, headers in ASKED[what]]
        answered = await ask(home, first)
        assert answered.status == 200
        assert (await home.ask(second)).status == 409
        assert is_replay(await home.ask(first), answered)

    assert len(in_gateway(main, GOOD).rows) == 1


def test_a_stream_is_not_replayed_but_neither_run_twice() -> None:
    """It passes as if it had no key; asking again leads to its receipt."""

    async def main(home: Gateway) -> None:
        first = await ask(home, post(body(stream=True), ONCE))
        whole(first.body)
        message = refused(await ask(home, post(body(stream=True), ONCE)), "request_already_completed", first.header("x-request-id"))
        assert "a stream cannot be replayed" in message
        assert f"GET /v1/usage/calls/{home.rows[0].id}" in message

    home = in_gateway(main, says(stream_of("Hello", " you")))
    assert len(home.rows) == len(home.vendor.asked) == 1


def test_a_stream_that_was_cut_after_some_of_it_arrived_is_not_run_again() -> None:
    """What arrived was billed; running again would bill the same key twice."""

    async def main(home: Gateway) -> None:
        caller = await home.client(post(body(stream=True), ONCE))
        await caller.until(b"Hello")
        refused(await home.ask(post(body(stream=True), ONCE)), "request_in_progress", None, again=True)
        caller.reset()
        await until(lambda: len(home.rows) == 1)
        refused(await home.ask(post(body(stream=True), ONCE)), "request_already_completed", home.rows[0].id)

    home = in_gateway(main, says(SSE + framed(*text("Hello")), hang))
    assert (home.rows[0].outcome, home.rows[0].billed.output_tokens) == (CLIENT_GONE, 1)


# What may be tried again


def test_a_call_that_failed_is_forgotten() -> None:
    """It cost nothing; the next try with its key is a call like the first."""
    broken = says(plain(b"{}", status="500 Internal Server Error"))

    async def main(home: Gateway) -> None:
        assert (await ask(home, post(body(), ONCE))).status >= 500
        first = await ask(home, post(body(), ONCE))
        assert first.status == 200
        assert is_replay(await ask(home, post(body(), ONCE)), first)

    home = in_gateway(main, in_turn(broken, GOOD))
    assert [row.outcome for row in home.rows] == [FAILED, COMPLETED]


def test_a_stream_that_failed_before_anything_arrived_is_forgotten() -> None:
    """Even when its head had been sent before."""
    slow = says(20.0, plain(b"{}", status="500 Internal Server Error"))

    async def main(home: Gateway) -> None:
        assert (await ask(home, post(body(stream=True), ONCE))).status == 200
        whole((await ask(home, post(body(stream=True), ONCE))).body)

    home = in_gateway(main, in_turn(slow, says(stream_of("Hello"))))
    assert [row.outcome for row in home.rows] == [FAILED, COMPLETED]


@pytest.mark.parametrize(("fault", "status"), [({"model": "nothing"}, 404), ({"messages": 1}, 400), ({"max_tokens": 99}, 422)])
def test_a_request_that_never_became_a_call_is_told_the_same_again(fault: dict[str, Any], status: int) -> None:
    """Not that it is still running: no row will ever end it."""
    idempotency = IdempotencyStore(wall_clock)

    async def main(home: Gateway) -> None:
        assert [(await ask(home, post(body(**fault), ONCE))).status for _ in range(2)] == [status, status]
        assert not idempotency._answers
        assert (await ask(home, post(body(), ONCE))).status == 200

    assert len(in_gateway(main, GOOD, idempotency=idempotency, max_output_tokens=50).rows) == 1


def test_a_call_that_the_books_refused_is_forgotten() -> None:
    """No vendor was asked and nothing was opened."""

    class Shut:
        async def open(self, *_: Any, **__: Any) -> Any:
            """Refuse."""
            raise ApiError("insufficient_wallet_balance", "Empty.", should_retry=False)

    idempotency = IdempotencyStore(wall_clock)

    async def main(home: Gateway) -> None:
        ledger, home.dependencies.ledger = home.dependencies.ledger, Shut()
        for _ in range(2):
            failure(await home.ask(post(body(), ONCE)), 402, "insufficient_wallet_balance")
        assert not idempotency._answers
        home.dependencies.ledger = ledger
        assert (await home.ask(post(body(), ONCE))).status == 200

    assert len(in_gateway(main, GOOD, idempotency=idempotency).rows) == 1


def test_a_caller_who_left_before_the_answer_may_ask_again() -> None:
    """The commonest reason for the header: a client whose own time was up sends its request anew."""

    async def main(home: Gateway) -> None:
        caller = await home.client(post(body(), ONCE))
        await until(lambda: bool(home.vendor.asked))
        caller.reset()
        await until(lambda: len(home.rows) == 1)
        assert (await ask(home, post(body(), ONCE))).status == 200

    home = in_gateway(main, in_turn(hang, GOOD))
    assert [row.outcome for row in home.rows] == [CLIENT_GONE, COMPLETED]


def test_an_answer_that_was_not_taken_is_not_to_be_had_for_nothing() -> None:
    """Who leaves it in the kernel and resets is not billed, so the next request runs anew, and until the bill is final nothing is told."""
    request = post(body(), ONCE)

    async def main(home: Gateway) -> None:
        caller = await home.client(request, receive_bytes=4_096)
        await until(lambda: any(charge.row is not None for charge in home.ledger.calls.values()))
        [row] = [charge.row for charge in home.ledger.calls.values()]
        assert row is not None
        assert (row.outcome, home.calls) == (COMPLETED, []), "it is settled, and not reported before it is final"
        refused(await home.ask(request), "request_in_progress", row.id, again=True)
        caller.reset()
        await until(lambda: len(home.rows) == 1)
        anew = await ask(home, request)
        assert (anew.status, anew.header("idempotent-replayed")) == (200, None)

    home = in_gateway(main, says(plain(document("x" * 500_000))))
    assert [row.outcome for row in home.rows] == [CLIENT_GONE, COMPLETED]
    assert home.rows[0].billed.output_tokens == 0


class LateClient(MemoryClient):
    """Says only when asked whether it has everything."""

    def tell_delivery(self, tell: Callable[[bool], None]) -> None:
        """Keep the question."""
        self.tell = tell


@pytest.mark.parametrize("taken", [True, False])
def test_an_answer_can_be_had_again_only_when_its_delivery_is_known(taken: bool) -> None:
    """Delivered, it is replayed; lost, its key is free again."""
    rig = Rig(ScriptedUpstream(Steps([document()], headers={"content-type": "application/json"})))
    idempotency = IdempotencyStore(wall_clock)
    rig.dependencies.ledger = ledger_into(Rows(rig.rows, idempotency))

    async def ask(client: MemoryClient, call_id: str) -> None:
        began = asyncio.get_running_loop().time()
        headers = [("x-request-id", call_id)]
        call = Call(id=call_id, key=OneKey().verify("k"), body=chat_body(), created=1, began=began, headers=headers, door=CHAT_DOOR)
        client.task = asyncio.current_task()
        await relay_idempotent(call, "k", client, dependencies=rig.dependencies, idempotency=idempotency)

    async def main() -> MemoryClient:
        first, second = LateClient(takes_bytes_max=10**6 if taken else 0), MemoryClient()
        await ask(first, "req_1")
        assert first.ended
        with pytest.raises(ApiError, match="req_1"):
            await ask(MemoryClient(), "req_2")
        first.tell(taken)
        await ask(second, "req_3")
        assert second.body
        return second

    second = run_virtual(main())
    assert second.headers["x-request-id"] == ("req_1" if taken else "req_3")
    assert [row.id for row in rig.rows] == (["req_1"] if taken else ["req_1", "req_3"])


# What is remembered


def test_a_call_from_before_a_restart_is_not_run_twice() -> None:
    """Its answer is gone with the process, its receipt is not."""
    idempotency = IdempotencyStore(wall_clock)
    idempotency.remember([(digest_of("key_1", "order-7", "", body=body()), "req_before", wall_clock() - REMEMBERED_SECONDS_MAX + 60)])
    idempotency.remember([(digest_of("key_1", "old", "", body=body()), "req_old", wall_clock() - REMEMBERED_SECONDS_MAX)])

    async def main(home: Gateway) -> None:
        assert "not kept" in refused(await ask(home, post(body(), ONCE)), "request_already_completed", "req_before")
        refused(await ask(home, post(body(n=2), ONCE)), "idempotency_conflict", "req_before")
        assert (await ask(home, post(body(), "idempotency-key: old"))).status == 200

    assert len(in_gateway(main, GOOD, idempotency=idempotency).rows) == 1


def row(call_id: str, mark: str, *, outcome: str = COMPLETED, tokens: int = 1, stream: bool = False, ended: float = 0.0) -> CallRow:
    """The row of a call."""
    return CallRow(
        id=call_id,
        account="default",
        key_id="key_1",
        model="fast",
        stream=stream,
        outcome=outcome,
        began_ms=0,
        ended_ms=int(ended * 1000),
        generated=Usage(1, tokens),
        delivered=tokens,
        billed=Usage(tokens, tokens),
        cost=0,
        idempotency=mark,
    )


@pytest.mark.parametrize(
    ("outcome", "tokens", "billed"),
    [(COMPLETED, 0, True), (CUT, 1, True), (CLIENT_GONE, 1, True), (CLIENT_GONE, 0, False), (FAILED, 0, False)],
)
def test_a_row_found_after_a_crash_counts_as_if_the_process_had_lived(outcome: str, tokens: int, billed: bool) -> None:
    """What was charged for, or completed if only for nothing, does not run again, though nobody here saw it begin."""
    idempotency = IdempotencyStore(lambda: 10.0)
    found = row("req_1", "k:b", outcome=outcome, tokens=tokens, ended=9.0)
    idempotency.final(found)
    assert is_billed(found) == billed
    if billed:
        with pytest.raises(ApiError, match="req_1") as caught:
            idempotency.begin("k:b", "req_2")
        assert caught.value.code == "request_already_completed"
    else:
        assert idempotency.begin("k:b", "req_2") is None


def test_a_late_row_does_not_end_the_call_that_came_after_it() -> None:
    """A key that was given up and taken again belongs to the later call."""
    idempotency = IdempotencyStore(lambda: 0.0)
    assert idempotency.begin("k:b", "req_1") is None
    idempotency.forget("k:b", "req_1")
    assert idempotency.begin("k:b", "req_2") is None
    idempotency.final(row("req_1", "k:b"))
    idempotency.forget("k:b", "req_1")
    with pytest.raises(ApiError, match="req_2") as caught:
        idempotency.begin("k:b", "req_3")
    assert caught.value.code == "request_in_progress"


def test_a_row_that_is_told_twice_counts_once() -> None:
    """The answer stays; a crash between the database and the journal makes such a row."""
    idempotency = IdempotencyStore(lambda: 0.0)
    idempotency.begin("k:b", "req_1")
    idempotency.keep("req_1", "application/json", b"{}")
    idempotency.final(row("req_1", "k:b"))
    idempotency.final(row("req_1", "k:b"))
    assert idempotency.begin("k:b", "req_2") == Answer("req_1", "application/json", b"{}")


def test_what_is_too_old_leaves_the_memory_a_hundred_keys_at_a_time() -> None:
    """No request pays for a whole day's keys; an old key that is used before its turn takes its old answer with it."""
    now = 0.0
    idempotency = IdempotencyStore(lambda: now)
    idempotency.remember((f"old{number}:b", f"req_{number}", 0.0) for number in range(FORGOTTEN_AT_ONCE_KEYS_MAX + 50))
    idempotency.begin("k:b", "req_k")
    idempotency.keep("req_k", "application/json", b"{}")
    idempotency.final(row("req_k", "k:b"))
    now = REMEMBERED_SECONDS_MAX
    assert idempotency.begin("k:b", "req_anew") is None
    assert len(idempotency._ended) == 51
    assert list(idempotency._answers) == ["req_k"]
    idempotency.final(row("req_anew", "k:b", ended=now))
    assert not idempotency._answers
    idempotency.begin("other:b", "req_other")
    assert list(idempotency._ended) == ["k"]


def test_a_large_body_is_digested_beside_the_event_loop() -> None:
    """Others' tokens do not wait for it; a small one is not worth a thread. Since Python 3.14 one that is quick need not be waited for."""
    rig = Rig(ScriptedUpstream(Steps([document()])))
    in_main: list[bool] = []

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code is digest_of.__code__:
            in_main.append(threading.current_thread() is threading.main_thread())

    async def digested(size: int) -> None:
        call = Call(id="req_1", key=OneKey().verify("k"), body=b"x" * size, created=1, began=0.0, headers=[], door=CHAT_DOOR)
        with pytest.raises(ApiError) as caught:
            await relay_idempotent(call, "k", MemoryClient(), dependencies=rig.dependencies, idempotency=IdempotencyStore(wall_clock))
        assert caught.value.code == "json_parse_error"

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        run_virtual(digested(HASH_INLINE_BYTES_MAX))
        run_virtual(digested(HASH_INLINE_BYTES_MAX + 1))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert in_main == [True, False]


def test_a_padded_document_is_kept_without_its_padding() -> None:
    """The repeat gets the JSON alone, with a length, at once."""

    async def main(home: Gateway) -> None:
        first = await ask(home, post(body(), ONCE))
        again = await ask(home, post(body(), ONCE))
        assert (first.header("x-aisa-padded"), again.header("idempotent-replayed")) == ("true", "true")
        assert first.body.startswith(b"\n")
        assert again.body == first.body.lstrip()

    assert len(in_gateway(main, says(35.0, plain(document())), documents="padded").rows) == 1


def test_a_mark_stands_for_the_key_and_the_request_and_shows_neither() -> None:
    """32 hexadecimal digits, a colon and 16 more; each of the three inputs counts, and where one ends and the next begins."""
    mark = digest_of("key_1", "order-7", "", body=b"body")
    assert re.fullmatch("[0-9a-f]{32}:[0-9a-f]{16}", mark)
    assert digest_of("key_1", "order-7", "", body=b"body") == mark
    marks = {
        mark,
        digest_of("key_1", "order-", "", body=b"7body"),
        digest_of("key_1o", "rder-7", "", body=b"body"),
        digest_of("key_1", "order-7", "", body=b"bodY"),
    }
    assert len(marks) == 4
    assert digest_of("key_1", "order-7", "", body=b"other").split(":")[0] == mark.split(":")[0]
    assert digest_of("key_1", "order-8", "", body=b"body").split(":")[1] != mark.split(":")[1]


BODIES = [bytes([number]) * size for number, size in enumerate([0, 1, 700, 999, 1_500])]
ANSWERS_BYTES = 4_000
KEYS = 4


class Memory(RuleBasedStateMachine):
    """Calls that begin, answer and end in any order, beside a model of what must be remembered of them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0
        self.count = 0
        self.idempotency = IdempotencyStore(lambda: self.now, keys_max=KEYS, answers_bytes_max=ANSWERS_BYTES)
        self.running: dict[str, str] = {}  # key -> call id
        self.ended: dict[str, tuple[str, float]] = {}  # key -> call id, when; in the order of their ends
        self.answers: list[tuple[str, bytes]] = []  # call id and body, in the order in which they were kept

    @rule(key=st.sampled_from("abcdefgh"))
    def ask(self, key: str) -> None:
        """Exactly the first request with a key runs; a repeat gets that call's answer or is told its id."""
        self.count += 1
        call_id = f"req_{self.count}"
        began = self.running.get(key)
        ended = self.ended.get(key, ("", 0.0))
        answer, refusal = None, None
        try:
            answer = self.idempotency.begin(f"{key}:0", call_id)
        except ApiError as error:
            refusal = error
        if refusal is not None:
            first = began or ended[0]
            assert f", {first}," in refusal.message
            assert refusal.code == ("request_in_progress" if began else "request_already_completed")
            assert began or first not in self.surely_kept()
        elif answer is None:
            assert began is None
            assert ended[1] + REMEMBERED_SECONDS_MAX <= self.now
            self.running[key] = call_id
        else:
            assert began is None
            assert (answer.call_id, answer.body) in self.answers
            assert answer.call_id == ended[0]

    @precondition(lambda self: self.running)
    @rule(data=st.data(), body=st.sampled_from(BODIES))
    def answer(self, data: st.DataObject, body: bytes) -> None:
        """A call sends its answer, once."""
        call_id = data.draw(st.sampled_from(sorted(self.running.values())))
        if call_id not in dict(self.answers):
            self.answers.append((call_id, body))
            self.idempotency.keep(call_id, "application/json", body)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcome=st.sampled_from([COMPLETED, FAILED, CUT]))
    def end(self, data: st.DataObject, outcome: str) -> None:
        """A call's row is final."""
        key = data.draw(st.sampled_from(sorted(self.running)))
        call_id = self.running.pop(key)
        self.idempotency.final(row(call_id, f"{key}:0", outcome=outcome, tokens=0 if outcome == FAILED else 1, ended=self.now))
        if outcome != FAILED:
            self.ended.pop(key, None)
            self.ended[key] = (call_id, self.now)
            for old in list(self.ended)[:-KEYS]:
                del self.ended[old]

    @rule(seconds=st.sampled_from([1.0, REMEMBERED_SECONDS_MAX / 2, REMEMBERED_SECONDS_MAX]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds

    def surely_kept(self) -> set[str]:
        """The calls after whose answer not enough others came to push it out."""
        room, kept = ANSWERS_BYTES, set[str]()
        for call_id, answer in reversed(self.answers):
            room -= len(answer) + ANSWER_EXTRA_BYTES
            if room >= 0:
                kept.add(call_id)
        return kept

    @invariant()
    def bounded(self) -> None:
        """Neither the answers nor the keys outgrow their bound, and no answer outlives its key."""
        kept = self.idempotency._answers
        assert self.idempotency._answers_bytes == sum(len(answer.body) + ANSWER_EXTRA_BYTES for answer in kept.values()) <= ANSWERS_BYTES
        assert len(self.idempotency._ended) <= KEYS
        assert set(kept) <= {use.call_id for use in [*self.idempotency._running.values(), *self.idempotency._ended.values()]}


Memory.TestCase.settings = settings(max_examples=repeats(200), stateful_step_count=40, deadline=None)
TestMemory = Memory.TestCase


# With the official client


def test_the_official_client_gets_the_same_answer_for_the_same_key() -> None:
    """Two creations with one key are one row, and its types see no difference."""

    async def main() -> list[CallRow]:
        idempotency = IdempotencyStore(wall_clock)
        async with (
            home_with(idempotency, GOOD) as home,
            httpx2.AsyncClient(trust_env=False) as transport,
            AsyncOpenAI(base_url=f"http://127.0.0.1:{home.port}/v1", api_key=CLIENT_KEY, http_client=transport, max_retries=2) as client,
        ):
            keyed = {"Idempotency-Key": "k"}
            messages: list[Any] = [{"role": "user", "content": "Hello."}]
            first, second = [await client.chat.completions.create(model="fast", messages=messages, extra_headers=keyed) for _ in range(2)]
            assert (first.id, first.choices, first._request_id) == (second.id, second.choices, second._request_id)
            with pytest.raises(APIStatusError, match="another request") as caught:
                await client.chat.completions.create(model="fast", messages=messages, seed=1, extra_headers=keyed)
            assert (caught.value.status_code, caught.value.code) == (409, "idempotency_conflict")
            await client.close()
            return home.rows

    assert len(on_uvloop(main())) == 1


def test_the_official_client_waits_for_a_running_call_by_itself() -> None:
    """Its own second try, after the seconds that it is told, gets the answer of the first."""

    async def main() -> list[CallRow]:
        gate = asyncio.Event()
        async with (
            home_with(IdempotencyStore(wall_clock), says(gate, plain(document()))) as home,
            httpx2.AsyncClient(trust_env=False) as transport,
            AsyncOpenAI(base_url=f"http://127.0.0.1:{home.port}/v1", api_key=CLIENT_KEY, http_client=transport, max_retries=1) as client,
        ):
            asked = client.chat.completions.create(
                model="fast", messages=[{"role": "user", "content": "Hello."}], extra_headers={"Idempotency-Key": "k"}
            )
            first = asyncio.create_task(asked)
            await until(lambda: bool(home.vendor.asked))
            body = home.vendor.asked[0].json
            assert body["messages"] == [{"role": "user", "content": "Hello."}]
            second = asyncio.create_task(
                client.chat.completions.create(
                    model="fast", messages=[{"role": "user", "content": "Hello."}], extra_headers={"Idempotency-Key": "k"}
                )
            )
            await until(lambda: any(getattr(fact, "code", "") == "request_in_progress" for fact in home.facts))
            gate.set()
            assert (await first)._request_id == (await second)._request_id
            await client.close()
            return home.rows

    assert len(on_uvloop(main())) == 1
