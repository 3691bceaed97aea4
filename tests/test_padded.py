"""Padded documents: what keeps a connection alive while a document is made, what a late failure looks like then, and what it costs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.document import HELD_BACK_BYTES
from aisa.facts import CallEnded
from aisa.ledger.row import CallRow
from aisa.ledger.rules import CLIENT_GONE, COMPLETED, FAILED
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_answer
from aisa.timeouts import PADDED_HEAD_SECONDS, PADDING_SECONDS
from faults_rig import body as request_body
from faults_rig import gateway, hang_up, plain, post, says
from one_call import IN, OUT
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, document

PRICES = Prices(input=1, output=2)
COST = 9 * IN + 3 * OUT
SLACK_SECONDS = 0.11  # two looks of the watch


class Padded:
    """One call of a model with padded documents, of scripted vendors."""

    def __init__(
        self, *scripts: Script, client: MemoryClient | None = None, leaves_after_seconds: float | None = None, **options: Any
    ) -> None:
        self.client = client or MemoryClient()
        self.rig = Rig(*[ScriptedUpstream(script) for script in scripts], prices=PRICES, **{"documents": "padded", **options})

        async def main() -> None:
            if leaves_after_seconds is not None:
                asyncio.get_running_loop().call_later(leaves_after_seconds, self.client.leave)
            await self.rig.call(self.client, body())

        run_virtual(main())

    @property
    def row(self) -> CallRow:
        """The one row that it left."""
        [row] = self.rig.rows
        return row

    @property
    def ended(self) -> CallEnded:
        """The fact that it ended."""
        [ended] = [fact for fact in self.rig.facts if isinstance(fact, CallEnded)]
        return ended


def test_a_document_within_ten_seconds_is_a_plain_one() -> None:
    """No header, its length in the head, one write."""
    called = Padded(Script([Stall(PADDED_HEAD_SECONDS - 1), document()]))
    assert "x-aisa-padded" not in called.client.headers
    assert (called.client.length, len(called.client.writes)) == (len(called.client.body), 1)


def test_a_slow_document_has_its_head_after_ten_seconds_and_a_newline_every_ten() -> None:
    """The moments are those of the contract of the setting, the body is the document behind blank space, the head says what it is."""
    called = Padded(Script([Stall(45), document()]))
    client = called.client
    assert (client.status, client.headers["x-aisa-padded"], client.length) == (200, "true", None)
    assert (client.headers["content-type"], client.headers["x-accel-buffering"]) == ("application/json", "no")
    assert client.writes[:-1] == [b"\n"] * 4
    expected = [PADDED_HEAD_SECONDS + number * PADDING_SECONDS for number in range(4)]
    assert all(0 <= at - due < SLACK_SECONDS * (place + 1) for place, (at, due) in enumerate(zip(client.times, expected, strict=False)))
    assert check_answer(client.body.lstrip()) == []
    assert (called.row.outcome, called.row.cost, called.ended.status) == (COMPLETED, COST, 200)


def test_a_plain_document_is_silent_until_it_is_there() -> None:
    """The default: nothing is sent for a minute, and the head has its length."""
    client = Padded(Script([Stall(60), document()]), documents="plain").client
    assert (len(client.writes), client.length) == (1, len(client.body))


LATE: dict[str, tuple[list[Any], str, float]] = {
    "a cut": ([Stall(25), Break()], "upstream_unavailable", 25),
    "no answer in time": ([Stall()], "upstream_timeout", 600),
    "an error": ([Stall(25), b'{"error": {"message": "no", "code": 500}}'], "upstream_unavailable", 25),
}


@pytest.mark.parametrize(("steps", "code", "seconds"), LATE.values(), ids=LATE)
def test_a_late_failure_is_the_error_object_as_the_body_and_costs_nothing(steps: list[Any], code: str, seconds: float) -> None:
    """No event and no status of its own, which is gone; the ledger and the log call it a failed call, whatever the client's status was."""
    called = Padded(Script(steps))
    told = json.loads(called.client.body)
    assert (called.client.status, list(told), told["error"]["code"], called.client.ended) == (200, ["error"], code, True)
    assert (called.row.outcome, called.row.cost, called.row.error_code) == (FAILED, 0, code)
    assert (called.ended.status, called.ended.error_code) == (200, code)
    assert seconds <= called.ended.total_seconds < seconds + 1


def test_an_early_failure_keeps_its_status() -> None:
    """Within the ten seconds it is what it always was."""
    called = Padded(Script([Stall(9), Break()]))
    assert (called.client.status, json.loads(called.client.body)["error"]["code"]) == (502, "upstream_unavailable")
    assert (called.row.outcome, called.ended.status) == (FAILED, 502)


def test_after_the_head_another_target_may_still_answer() -> None:
    """Blank space promises nothing of the answer."""
    called = Padded(Script([Stall(25), Break()]), Script([Stall(10), document("The second.")]))
    assert json.loads(called.client.body)["choices"][0]["message"]["content"] == "The second."
    assert (called.row.outcome, called.row.cost, called.row.attempts) == (COMPLETED, COST, 2)


def test_a_client_that_leaves_while_it_is_padded_pays_nothing() -> None:
    """Blank space is no token, though the client has acknowledged it."""
    called = Padded(Script([Stall(45), document()]), leaves_after_seconds=31)
    assert (called.client.writes, called.row.outcome, called.row.cost) == ([b"\n"] * 3, CLIENT_GONE, 0)


@pytest.mark.parametrize(("missing", "cost"), [(0, COST), (HELD_BACK_BYTES, COST), (HELD_BACK_BYTES + 1, 0)])
def test_a_padded_document_that_did_not_arrive_whole_costs_nothing(missing: int, cost: int) -> None:
    """[fault M3] As of a plain one, all but the last sixteen bytes count as all, and what came before the document does not."""
    size = len(Padded(Script([Stall(45), document()])).client.body)
    assert Padded(Script([Stall(45), document()]), client=MemoryClient(takes_bytes_max=size - missing)).row.cost == cost


def test_streams_of_the_same_model_are_not_padded() -> None:
    """The setting is about documents; a stream's keep-alive is its own."""
    client = MemoryClient()

    async def main() -> None:
        rig = Rig(ScriptedUpstream(Script([Stall(45), Break()])), documents="padded")
        await rig.call(client, body(stream=True))

    run_virtual(main())
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.body.startswith(b": keep-alive\n\n")


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_on_a_real_connection_it_is_one_json_value_whatever_frames_it(version: str) -> None:
    """Over sockets: chunked, or until the end of the connection for HTTP/1.0, it parses; the call is complete."""

    async def main() -> None:
        async with gateway(says(35.0, plain(document())), documents="padded") as home:
            reply = await home.ask(post(request_body(stream=False), version=version))
            assert (reply.status, reply.header("x-aisa-padded")) == (200, "true")
            assert reply.body.startswith(b"\n\n\n{")
            assert reply.json["choices"][0]["message"]["content"] == "Hello."
            assert (await home.ended()).outcome == COMPLETED

    run_virtual(main())


def test_on_a_real_connection_a_late_failure_ends_the_body_properly() -> None:
    """The connection is as good as after any answer: the next call on it is answered."""

    async def main() -> None:
        async with gateway(says(25.0, hang_up), documents="padded") as home:
            caller = await home.client(post(request_body(stream=False)))
            for _ in range(2):
                reply = await caller.reply()
                assert (reply.status, reply.framing) == (200, "chunked")
                assert reply.json["error"]["type"] == "upstream_error"
                await caller.send(post(request_body(stream=False)))
            await caller.reply()

    run_virtual(main())
