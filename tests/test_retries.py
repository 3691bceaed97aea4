"""Retries of clients that never got a whole document: with `retries: replay` they get it, and it is billed once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from aisa.call import Call
from aisa.config.schema import Config, Prices
from aisa.edge.retries import ANSWER_BYTES_MAX, ANSWER_EXTRA_BYTES, KEPT_SECONDS, Kept, Retries, is_retry, relay_retried
from aisa.facts import CallEnded
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR, MessagesDoor
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, document, whole_stream
from test_continuation import part

LOSES = 40  # bytes that a client has acknowledged when its connection is lost
COST = 9 * 1_000 + 3 * 2_000  # of `document()`
DOORS: dict[str, tuple[Door, bytes, bytes]] = {
    "chat": (CHAT_DOOR, body(), document()),
    "responses": (RESPONSES_DOOR, b'{"model": "fast", "input": "Hi."}', document()),
    "messages": (MESSAGES_DOOR, b'{"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}', document()),
    "embeddings": (
        EMBEDDINGS_DOOR,
        b'{"model": "fast", "input": "Hi."}',
        b'{"data": [{"index": 0, "embedding": [0.5]}], "model": "m", "usage": {"prompt_tokens": 9, "total_tokens": 9}}',
    ),
}


CONTENTS = b'{"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}'
BOTH = b'{"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}'
DOORS["gemini"] = (GeminiDoor("fast"), CONTENTS, document())
DOORS["completions"] = (COMPLETIONS_DOOR, b'{"model": "fast", "prompt": "Hi."}', document())


class Home:
    """A rig whose client counts its retries."""

    def __init__(self, *scripts: Script, **more: Any) -> None:
        self.vendor = ScriptedUpstream(*scripts)
        self.rig = Rig(self.vendor, **{"prices": Prices(input=1, output=2), "vendor": {"completions": False}, **more})
        self.retries = Retries()
        self._calls = 0

    async def ask(self, asked: bytes, count: str = "0", *, takes: int | None = None, door: Door = CHAT_DOOR, key: str = "") -> MemoryClient:
        """Make one try; its client loses its connection after so many bytes."""
        client = MemoryClient() if takes is None else MemoryClient(takes_bytes_max=takes)
        self._calls += 1
        name = f"req_{self._calls}"
        own = self.rig.key if not key else type(self.rig.key)(key, "other", b"", "sk-…", "active", 0)
        began = asyncio.get_running_loop().time()
        call = Call(id=name, key=own, body=asked, created=1, began=began, headers=[("x-request-id", name)], door=door)
        client.task = asyncio.current_task()
        await relay_retried(call, count, client, dependencies=self.rig.dependencies, retries=self.retries)
        return client

    @property
    def asked(self) -> int:
        """How often the vendor was asked."""
        return len(self.vendor.requests)

    @property
    def costs(self) -> list[tuple[str, int]]:
        """How each call ended, and what it cost."""
        return [(row.outcome, row.cost) for row in self.rig.rows]


def plain(answer: bytes) -> Script:
    """A vendor that sends a document."""
    return Script([answer], headers={"content-type": "application/json"})


LOST = {"asked": body(), "takes": LOSES}
every_door = pytest.mark.parametrize("name", DOORS)


@every_door
def test_a_document_that_did_not_arrive_is_what_the_retry_gets_and_is_billed_once(name: str) -> None:
    """At every door: the vendor is asked once, the same bytes come but for the call's id, and one of the two rows costs."""
    door, asked, answer = DOORS[name]

    async def main() -> None:
        home = Home(plain(answer))
        lost = await home.ask(asked, takes=LOSES, door=door)
        got = await home.ask(asked, "1", door=door)
        assert home.asked == 1
        assert got.status == 200
        assert got.headers["idempotent-replayed"] == "true"
        assert json.loads(got.body).keys() == json.loads(lost.body).keys()
        [(first, free), (second, cost)] = home.costs
        assert (first, free, second, cost > 0) == ("client_gone", 0, "completed", True)

    run_virtual(main())


def test_a_replay_is_given_once_and_again_only_if_it_did_not_arrive_either() -> None:
    """A third try of an answer that came is a new call; one that was lost twice is still there for the third."""

    async def main() -> None:
        home = Home(plain(document()))
        await home.ask(body(), takes=LOSES)
        await home.ask(body(), "1", takes=LOSES)
        await home.ask(body(), "2")
        assert (home.asked, home.costs) == (1, [("client_gone", 0), ("client_gone", 0), ("completed", COST)])
        again = await home.ask(body(), "3")
        assert (home.asked, home.costs[-1], "idempotent-replayed" in again.headers) == (2, ("completed", COST), False)

    run_virtual(main())


OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a first try": (LOST, {"count": "0"}),
    "another body": (LOST, {"asked": body(temperature=1)}),
    "the same body with a blank more": (LOST, {"asked": body() + b" "}),
    "another key": (LOST, {"key": "key_2"}),
    "another door": (LOST, {"door": RESPONSES_DOOR, "asked": b'{"model": "fast", "input": "Hi."}'}),
    "the same body at another door": ({**LOST, "asked": BOTH}, {"asked": BOTH, "door": MESSAGES_DOOR}),
    "no number": (LOST, {"count": "one"}),
    "no count": (LOST, {"count": ""}),
    "other headers": ({**LOST, "asked": BOTH, "door": MESSAGES_DOOR}, {"asked": BOTH, "door": MessagesDoor(("context-1m",), "2023-06-01")}),
    "another model in the address": (
        {**LOST, "asked": CONTENTS, "door": GeminiDoor("fast")},
        {"asked": CONTENTS, "door": GeminiDoor("a/some-model")},
    ),
    "a stream by the address": (
        {**LOST, "asked": CONTENTS, "door": GeminiDoor("fast")},
        {"asked": CONTENTS, "door": GeminiDoor("fast", stream=True)},
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_only_the_same_clients_own_retry_of_the_same_request_is_answered(what: str) -> None:
    """Not a first try, another body, key, door or address, nor what has other headers, nor a header that is no count."""

    async def main() -> None:
        first, second = OTHERS[what]
        home = Home(plain(document()))
        await home.ask(**first)
        again = await home.ask(**{"asked": body(), "count": "1", **second})
        assert (home.asked, "idempotent-replayed" in again.headers) == (2, False)

    run_virtual(main())


@pytest.mark.parametrize(
    ("script", "members"),
    [
        (plain(document()), {}),
        (Script(whole_stream("one ", "two "), headers={"content-type": "text/event-stream"}), {"stream": True}),
        (Script([document()[:-9], Break()], headers={"content-type": "application/json"}), {}),
        (Script([b'{"error": {"message": "no"}}'], status=400, headers={"content-type": "application/json"}), {}),
        (plain(document("x" * ANSWER_BYTES_MAX)), {}),
    ],
    ids=["arrived", "a stream", "cut", "refused", "too large"],
)
def test_nothing_is_kept_of_what_arrived_of_streams_of_failures_and_of_what_is_too_large(script: Script, members: dict[str, Any]) -> None:
    """Their retries are new calls."""

    async def main() -> None:
        home = Home(script)
        arrives = script.steps == plain(document()).steps
        await home.ask(body(**members), takes=None if arrives else LOSES)
        again = await home.ask(body(**members), "1")
        assert home.asked == 2
        assert "idempotent-replayed" not in again.headers

    run_virtual(main())


def test_a_client_that_leaves_while_the_answer_is_made_leaves_nothing() -> None:
    """The vendor is cancelled, so there is no whole answer."""

    async def main() -> None:
        home = Home(Script([document()[:50], Stall()], headers={}), plain(document()))
        task = asyncio.create_task(home.ask(body()))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await home.ask(body(), "1")
        assert home.asked == 2

    run_virtual(main())


def test_after_a_minute_a_retry_is_a_new_call() -> None:
    """From the end of the first try, however often it was given meanwhile and lost again; and it is forgotten with the next call."""

    async def main(*lost_seconds: float) -> None:
        home = Home(plain(document()))
        await home.ask(body(), takes=LOSES)
        for seconds in lost_seconds:
            await asyncio.sleep(seconds)
            await home.ask(body(), "1", takes=LOSES)
        assert home.asked == 1
        await asyncio.sleep(KEPT_SECONDS + 1 - sum(lost_seconds))
        await home.ask(body(), "1")
        assert home.asked == 2

    run_virtual(main())
    run_virtual(main(30.0, 20.0))


@every_door
def test_of_two_retries_at_once_one_gets_it_and_the_other_is_a_call_of_its_own(name: str) -> None:
    """Each is billed for what it got, and what was kept is given once."""
    door, asked, answer = DOORS[name]

    async def main() -> None:
        home = Home(plain(answer))
        await home.ask(asked, takes=LOSES, door=door)
        both = await asyncio.gather(*[home.ask(asked, "1", door=door) for _ in range(2)])
        assert sorted("idempotent-replayed" in each.headers for each in both) == [False, True]
        assert home.asked == 2
        assert [cost > 0 for _, cost in home.costs] == [False, True, True]

    run_virtual(main())


def test_a_retry_of_a_try_that_still_runs_is_a_call_of_its_own() -> None:
    """Nobody waits for it: its client has not left as far as is known, and both may be read."""

    async def main() -> None:
        home = Home(Script([Stall(5.0), document()], headers={}))
        first = asyncio.create_task(home.ask(body()))
        await asyncio.sleep(1)
        again = await home.ask(body(), "1")
        await first
        assert (home.asked, "idempotent-replayed" in again.headers) == (2, False)
        assert home.costs == [("completed", COST)] * 2

    run_virtual(main())


def test_the_first_try_need_not_count() -> None:
    """A client that says nothing of its first try gets its answer too, when it says that it tries again."""

    async def main() -> None:
        home = Home(plain(document()))
        await home.ask(body(), "", takes=LOSES)
        await home.ask(body(), "1")
        assert (home.asked, home.costs) == (1, [("client_gone", 0), ("completed", COST)])

    run_virtual(main())


def test_an_answer_that_its_vendor_gave_in_several_is_asked_for_anew() -> None:
    """Its last part alone would be no answer."""
    parts = [said.removeprefix(b"data: ") for said in (part("one ", "CONTINUATION", "t"), part("two"))]

    async def main() -> None:
        home = Home(*[plain(said) for said in parts * 2], vendor={"dialect": "gemini"})
        await home.ask(body(), takes=LOSES)
        again = await home.ask(body(), "1")
        assert (home.asked, json.loads(again.body)["choices"][0]["message"]["content"]) == (4, "one two")

    run_virtual(main())


def test_a_retry_is_held_for_and_refused_as_any_call() -> None:
    """Without the money for it the answer is not given, and nobody is asked; it is there for the next try."""

    async def main() -> None:
        home = Home(plain(document()), wallets=[Wallet("default", 20_000_000)])
        await home.ask(body(), takes=LOSES)
        home.rig.ledger.wallet("default").balance = 1
        refused = await home.ask(body(), "1")
        assert (refused.status, home.asked) == (402, 1)
        home.rig.ledger.wallet("default").balance = 20_000_000
        again = await home.ask(body(), "2")
        assert (again.status, home.asked, home.costs[-1]) == (200, 1, ("completed", COST))

    run_virtual(main())


def test_what_is_kept_is_bounded() -> None:
    """The oldest go first, and an answer counts with the objects around it."""
    retries = Retries(answers_bytes_max=3 * (10 + ANSWER_EXTRA_BYTES))
    for number in range(5):
        retries.keep(str(number), Kept("a/m", {}, b"x" * 10, 60.0))
    assert [retries.take(str(number)) is not None for number in range(5)] == [False, False, True, True, True]


def test_a_count_is_a_number_above_zero() -> None:
    """Whatever clients write."""
    assert [is_retry(count) for count in ("1", "02", "0", "00", "", "-1", "1.5", "²")] == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
        False,
    ]


def test_what_arrived_is_not_kept_where_calls_are_free() -> None:
    """A call without a price costs nothing either, and its client has its answer."""

    async def main() -> None:
        home = Home(plain(document()), plain(document("Another.")), prices=Prices(input=0, output=0))
        await home.ask(body())
        again = await home.ask(body(), "1")
        assert (home.asked, json.loads(again.body)["choices"][0]["message"]["content"]) == (2, "Another.")
        assert [(outcome, cost) for outcome, cost in home.costs] == [("completed", 0), ("completed", 0)]

    run_virtual(main())


def test_both_tries_are_told_of_as_all_calls_are_and_leave_no_connection() -> None:
    """The log and the metrics have them; what was lost and what was replayed let their vendor go."""

    async def main() -> None:
        home = Home(plain(document()))
        await home.ask(**LOST)
        await home.ask(body(), "1")
        ended = [(fact.request_id, fact.outcome) for fact in home.rig.facts if isinstance(fact, CallEnded)]
        assert ended == [("req_1", "client_gone"), ("req_2", "completed")]
        assert home.vendor.open == 0

    run_virtual(main())


def test_the_default_asks_anew() -> None:
    """An operator chooses it, as the vendor may have charged for the first."""
    assert (Config().retries, Retries().on) == ("new", False)
