"""What streams hold of large events of their vendors: one budget, and who waits for it is not read and not forgotten. Fault S7."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aisa.config.schema import Stream
from aisa.errors import ApiError
from aisa.facts import Fact, ServerWarning
from aisa.large_events import LARGE_BYTES_MIN, QUIET_SECONDS, WAIT_SECONDS_MAX, EventShare, LargeEvents
from aisa.testing.clock import run_virtual
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, content_of, document, text, usage

READ_BYTES = 16_384  # of a vendor at a time
EVENT_BYTES = 40 * READ_BYTES


def image_stream() -> list[bytes]:
    """A stream whose middle is one large event, in the pieces that reads bring."""
    event = chunk({"content": "y" * EVENT_BYTES})
    pieces = [event[at : at + READ_BYTES] for at in range(0, len(event), READ_BYTES)]
    return [*text("a"), *pieces, chunk({"content": "b"}), chunk({}, "stop"), usage(9, 3), DONE]


class LateClient(MemoryClient):
    """Says only when asked whether it has everything."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Callable[[bool], None]] = []

    def tell_delivery(self, tell: Callable[[bool], None]) -> None:
        """Keep the question."""
        self.asked.append(tell)


class Bench:
    """Calls of one gateway whose vendors all send a large event."""

    def __init__(self, bytes_max: int) -> None:
        self.vendor = ScriptedUpstream(*[Script(image_stream()) for _ in range(8)])
        self.rig = Rig(self.vendor, stream=Stream(large_events_bytes_max=bytes_max))
        self.held_most = 0

    @property
    def budget(self) -> LargeEvents:
        """The budget of the gateway."""
        return self.rig.dependencies.large_events

    def call(self, client: MemoryClient) -> asyncio.Task[None]:
        """Begin a call."""
        return asyncio.create_task(self.rig.call(client, body(stream=True)))


def whole(client: MemoryClient) -> bool:
    """Say whether a client has the whole stream."""
    return client.body.endswith(DONE) and content_of(client.body) == "a" + "y" * EVENT_BYTES + "b"


def test_a_large_event_is_held_until_the_client_has_taken_it() -> None:
    """And counts for nothing afterwards, nor does a stream of small ones ever."""

    async def main() -> None:
        bench = Bench(1 << 30)
        stalled = MemoryClient(stalls_after=2)
        call = bench.call(stalled)
        await asyncio.sleep(1)
        assert EVENT_BYTES - READ_BYTES < bench.budget.held <= EVENT_BYTES + 1_000
        stalled.resume()
        await call
        assert (whole(stalled), bench.budget.held) == (True, 0)

    run_virtual(main())


def test_a_large_event_that_came_with_the_end_is_held_until_the_client_has_it() -> None:
    """[fault S7] The call was over then, and what its client had still to take counted for nothing: 40 such clients held 420 MiB of 128."""

    async def main() -> None:
        bench = Bench(1 << 30)
        pieces = image_stream()
        bench.vendor = ScriptedUpstream(Script([*pieces[:-5], b"".join(pieces[-5:])]))
        bench.rig = Rig(bench.vendor, stream=Stream(large_events_bytes_max=1 << 30))
        slow = LateClient()
        await bench.call(slow)
        assert whole(slow)
        assert EVENT_BYTES - READ_BYTES < bench.budget.held <= EVENT_BYTES + 1_000
        for tell in slow.asked:
            tell(True)
        assert bench.budget.held == 0

    run_virtual(main())


def test_beyond_the_budget_only_one_vendor_is_read() -> None:
    """Five clients that take nothing: one event fits, one goes beyond, the others stop at 64 KiB, and get theirs in turn."""

    async def main() -> None:
        bench = Bench(EVENT_BYTES + READ_BYTES)
        clients = [MemoryClient(stalls_after=2) for _ in range(5)]
        calls = [bench.call(client) for client in clients]
        await asyncio.sleep(1)
        assert bench.budget.held <= 2 * (EVENT_BYTES + 1_000) + 3 * (LARGE_BYTES_MIN + READ_BYTES)
        for _ in range(5):
            for client in clients:
                client.resume()
            await asyncio.sleep(1)
        await asyncio.gather(*calls)
        assert [whole(client) for client in clients] == [True] * 5
        assert (bench.budget.held, bench.budget.beyond, bench.vendor.open) == (0, None, 0)

    run_virtual(main())


def test_who_waits_too_long_is_told_that_we_are_overloaded() -> None:
    """An error event of ours after 30 s, not a silence of the vendor; what the stream held is free, and so is that of one who leaves."""

    async def main() -> None:
        bench = Bench(READ_BYTES)
        first, second = MemoryClient(stalls_after=2), MemoryClient(stalls_after=3)
        calls = [bench.call(first), bench.call(second)]
        began = asyncio.get_running_loop().time()
        second.resume()
        await calls[1]
        assert asyncio.get_running_loop().time() - began <= WAIT_SECONDS_MAX + 0.1
        assert b'"code":"overloaded"' in second.body
        assert not second.body.endswith(DONE)
        assert bench.budget.held <= EVENT_BYTES + 1_000
        first.leave()
        await calls[0]
        assert (bench.budget.held, bench.budget.beyond, bench.vendor.open) == (0, None, 0)

    run_virtual(main())


def test_shares_that_come_and_go_leave_the_budget_as_it_was() -> None:
    """Cancelled while they wait, released twice, grown and shrunk."""

    async def main() -> None:
        budget = LargeEvents(100)
        shares = [EventShare(budget) for _ in range(4)]
        await shares[0].hold(90)
        await shares[1].hold(80)
        waiting = [asyncio.create_task(share.hold(50)) for share in shares[2:]]
        await asyncio.sleep(1)
        assert (budget.held, budget.beyond, [task.done() for task in waiting]) == (270, shares[1], [False, False])
        waiting[0].cancel()
        shares[2].release()
        shares[1].release()
        await waiting[1]
        assert (budget.held, budget.beyond) == (140, shares[3])
        for share in shares * 2:
            share.release()
        assert (budget.held, budget.beyond) == (0, None)

    run_virtual(main())


def test_a_budget_that_is_full_is_told_once_a_minute() -> None:
    """[fault S7] One clear line, however many vendors wait for room, and another when it is still full a minute later."""

    async def main() -> list[str]:
        facts: list[Fact] = []
        budget = LargeEvents(100, facts.append)
        shares = [EventShare(budget) for _ in range(6)]
        await shares[0].hold(90)
        await shares[1].hold(80)
        assert facts == []
        for _ in range(2):
            waiting = [asyncio.create_task(share.hold(50)) for share in shares[2:]]
            await asyncio.sleep(QUIET_SECONDS + 1)
            assert [type(task.exception()) for task in waiting] == [ApiError] * 4
        return [fact.message for fact in facts if isinstance(fact, ServerWarning)]

    told = run_virtual(main())
    assert len(told) == 2
    assert "100 bytes of stream.large_events_bytes_max" in told[0]


def test_documents_are_within_the_budget() -> None:
    """[fault S7] What is held of a document counts while it comes, and no more when its call has ended."""

    async def main() -> None:
        whole = document("z" * EVENT_BYTES)
        pieces: list[bytes | Stall] = [whole[at : at + READ_BYTES] for at in range(0, len(whole), READ_BYTES)]
        rig = Rig(ScriptedUpstream(Script([*pieces[:-1], Stall(5), pieces[-1]], headers={})))
        client = MemoryClient()
        call = asyncio.create_task(rig.call(client, body()))
        await asyncio.sleep(1)
        assert rig.dependencies.large_events.held == (len(pieces) - 1) * READ_BYTES
        await call
        assert (client.status, len(client.body) > EVENT_BYTES, rig.dependencies.large_events.held) == (200, True, 0)

    run_virtual(main())
