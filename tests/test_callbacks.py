"""A callback that raises is reported and takes nothing else along: of each place that calls what others have left there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aisa.call import Call
from aisa.clock import wall_clock
from aisa.config.schema import Stream
from aisa.http.delivery import SWEEP_SECONDS, Delivery, Sweep
from aisa.http.outbox import Outbox
from aisa.http.server import Reply, Request
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.row import CallRow
from aisa.relay import relay
from aisa.testing.clock import run_virtual
from aisa.timeouts import RAISED_SECONDS, CallTimeouts, KeepAlive
from aisa.timers import Timers
from aisa.wire.chat_door import CHAT_DOOR
from http_server_rig import Run, Wire, both_loops, get, serving, until
from ledger_rig import shared_journal
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, text


class Broken(RuntimeError):
    """What the callbacks here raise."""


def broken(*_: object) -> None:
    """Raise."""
    raise Broken


class Failing(MemoryClient):
    """A client whose interruption is a bug."""

    def interrupt(self, reason: str = "") -> None:
        """Raise."""
        broken()


class Interrupted(MemoryClient):
    """A client that notes when its call was interrupted."""

    at: float | None = None

    def interrupt(self, reason: str = "") -> None:
        """Note it."""
        del reason
        self.at = asyncio.get_running_loop().time()


def complaints_of(main: Callable[[], Coroutine[Any, Any, None]]) -> list[object]:
    """Run in virtual time and return the exceptions that the event loop was told of."""
    told: list[object] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context.get("exception")))
        await main()

    run_virtual(scenario())
    return told


def test_a_call_that_cannot_be_looked_at_keeps_no_other_from_its_time_out() -> None:
    """[fault S6] Before and after it in every order, and again later: the timer goes on, and the bug is told once for each look."""

    async def main() -> None:
        timers = Timers()
        others = [Interrupted() for _ in range(6)]
        for number, client in enumerate(others):
            CallTimeouts(timers, client, Stream(), silence_seconds=5 + number, keep_alive=None).ask()
            CallTimeouts(timers, Failing(), Stream(), silence_seconds=5 + number, keep_alive=None).ask()
        CallTimeouts(timers, Failing(), Stream(), silence_seconds=900, keep_alive=KeepAlive(lambda _answer: broken(), 15.0, 15.0, b""))
        await asyncio.sleep(60)
        assert [client.at for client in others] == [5 + number for number in range(6)]

    told = complaints_of(main)
    assert {type(error) for error in told} == {Broken}
    assert 40 <= len(told) <= 6 + 60 / RAISED_SECONDS


def test_of_a_connection_that_is_lost_everybody_who_waits_is_told() -> None:
    """[fault S6] One that raises is reported, and those behind it are told all the same; so with a delivery that is confirmed."""

    async def main() -> None:
        told: list[bool] = []
        for lost in (True, False):
            delivery = Delivery(Wire(), Sweep(Timers()), Outbox())
            delivery.write(b"x")
            for tell in (told.append, broken, told.append):
                delivery.tell(tell)
            if lost:
                delivery.lost(unfinished=False)
            else:
                assert delivery.confirm()
        assert told == [True] * 4

    assert [type(error) for error in complaints_of(main)] == [Broken] * 2


def test_a_sweep_goes_on_to_the_other_connections() -> None:
    """[fault S6] A look that raises ends neither the round nor the rounds after it."""

    class Watched:
        def __init__(self, confirm: Callable[[], bool]) -> None:
            self.confirm = confirm
            self.watched = True

    async def main() -> None:
        looks: list[int] = []
        sweep = Sweep(Timers())
        for confirm in (lambda: bool(looks.append(1)), broken, lambda: bool(looks.append(2))):
            sweep.add(Watched(confirm))  # type: ignore[arg-type] # as much of a Delivery as a sweep asks for
        await asyncio.sleep(4 * SWEEP_SECONDS)
        assert looks[:4] == [1, 2, 1, 2]

    assert [type(error) for error in complaints_of(main)] == [Broken]


def test_what_a_turn_has_to_send_is_sent() -> None:
    """[fault S6] Behind something that raises, too."""

    async def main() -> None:
        sent: list[int] = []
        outbox = Outbox()
        for send in (broken, lambda: sent.append(1)):
            outbox.add(send)
        await asyncio.sleep(0.01)
        assert sent == [1]

    assert [type(error) for error in complaints_of(main)] == [Broken]


@both_loops
def test_a_call_that_waits_for_its_client_is_woken_whatever_its_callback_does(run: Run) -> None:
    """[fault S6] The notice that the client has taken something raises; the call goes on, and its connection with it."""

    async def script(request: Request, reply: Reply) -> None:
        reply.start(200, [("content-type", "text/plain")], None)
        while not reply.congested:
            reply.write(b"x" * 65_536)
        await reply.writable(broken)
        reply.end(b"END")

    async def scenario() -> None:
        async with serving(script) as served:
            client = await served.connect_bare(4_096)
            await client.send(get())
            await asyncio.sleep(0.05)
            data = b""
            while not data.endswith(b"END\r\n0\r\n\r\n"):
                data += await client.read()
            await until(lambda: served.complaints)
            await client.send(get())
            assert (await client.read()).startswith(b"HTTP/1.1 200 OK")

    run(scenario())


def test_a_row_leaves_whatever_becomes_of_those_who_are_told_of_it() -> None:
    """[fault S6] The row of a call is posted and its slot is free although who waits for final rows raises; the next call's, too."""
    rows: list[CallRow] = []

    def post(row: CallRow, committed: Callable[[], None]) -> None:
        rows.append(row)
        committed()

    async def main() -> None:
        rig = Rig(*[ScriptedUpstream(Script([*text("a"), chunk({}, "stop"), DONE])) for _ in range(2)])
        taken = shared_journal().taken
        rig.dependencies.ledger = LiveLedger(shared_journal(), post, wall_clock=wall_clock, final=broken)
        for mark in ("k:b", "l:b"):
            call = Call("req_1", rig.key, body(stream=True), 1, 0.0, [], CHAT_DOOR, idempotency=mark)
            await relay(call, MemoryClient(), rig.dependencies)
        assert shared_journal().taken == taken

    assert [type(error) for error in complaints_of(main)] == [Broken] * 2
    assert [row.idempotency for row in rows] == ["k:b", "l:b"]
