"""The timeouts of calls share one timer of the loop; each call still ends when it should."""

from __future__ import annotations

import asyncio

from aisa.config.schema import Stream
from aisa.testing.clock import run_virtual
from aisa.timeouts import FINISH_HOLD_SECONDS, CallTimeouts
from aisa.timers import Timers
from rig import MemoryClient


class Clocked(MemoryClient):
    """A client that notes when its call was interrupted."""

    interrupted_at: float | None = None

    def interrupt(self, reason: str = "") -> None:
        """Note the time."""
        del reason
        self.interrupted_at = asyncio.get_running_loop().time()


def test_calls_of_many_deadlines_each_end_at_their_own() -> None:
    """Started in any order, the one timer serves the soonest first and forgets nobody."""

    async def main() -> list[tuple[float, float | None]]:
        timers = Timers()
        deadlines = [30.0, 5.0, 60.0, 5.5, 7.0, 600.0, 1.0]
        clients = [Clocked() for _ in deadlines]
        for client, seconds in zip(clients, deadlines, strict=True):
            CallTimeouts(timers, client, Stream(), silence_seconds=seconds, keep_alive=None).ask()
        await asyncio.sleep(1000)
        return [(seconds, client.interrupted_at) for client, seconds in zip(clients, deadlines, strict=True)]

    for seconds, at in run_virtual(main()):
        assert at == seconds


def test_a_call_that_has_ended_is_never_interrupted() -> None:
    """And nothing is kept of it."""

    async def main() -> float | None:
        timers, client = Timers(), Clocked()
        timeouts = CallTimeouts(timers, client, Stream(), silence_seconds=5, keep_alive=None)
        timeouts.stop()
        await asyncio.sleep(100)
        return client.interrupted_at

    assert run_virtual(main()) is None


def test_a_slow_client_does_not_use_up_the_vendors_second_after_its_finish() -> None:
    """[fault W2] The clock stands still while nobody reads from the vendor: what waits behind the client's slowness still counts."""

    class Slow(Clocked):
        async def writable(self, taken: object = None) -> None:
            """Take what waits after five seconds."""
            del taken
            await asyncio.sleep(5)

    async def main() -> float | None:
        client = Slow()
        timeouts = CallTimeouts(Timers(), client, Stream(), silence_seconds=60, keep_alive=None)
        timeouts.ask()
        timeouts.hold_finish(1)
        await asyncio.sleep(0.5)
        await timeouts.wait_for_client(lambda: None)
        await asyncio.sleep(10)
        return client.interrupted_at

    assert run_virtual(main()) == 5 + FINISH_HOLD_SECONDS
