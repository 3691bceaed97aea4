"""The link between the office of a server and a worker: what is said arrives in order, and what is asked has an answer or an end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aisa.errors import ApiError
from aisa.facts import BugFound, Fact
from aisa.ledger.refusal import RefusedCalls
from aisa.testing.clock import run_virtual
from aisa.workers.link import GATHER_SECONDS, LENGTH_BYTES, Link, decode, tell_bugs
from aisa.workers.messages import ClaimForgotten, Ended, Message, RefusedOnes, Written
from rows import priced


class End:
    """One end of a link, and what it heard."""

    link: Link

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.ended = asyncio.Event()

    async def answer(self, what: str, body: bytes) -> bytes:
        """Answer, refuse or be stuck, as is asked."""
        if what == "refuse":
            raise ApiError("quota_exceeded", "No more.", should_retry=False)
        if what == "refuse oddly":
            raise ApiError("quota_exceeded", "No \ud800 more.")
        if what == "be stuck":
            await asyncio.Event().wait()
        return body * 2


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[End, End]]:
    """Two ends."""
    ends = End(), End()
    for end, connected in zip(ends, socket.socketpair(), strict=True):
        end.link = await Link.on(connected, end.heard.append, end.answer, ended=end.ended.set)
    yield ends
    for end in ends:
        end.link.close()
        await end.ended.wait()


def test_messages_of_any_size_arrive_in_order() -> None:
    """However the system cuts them up."""

    async def main() -> None:
        async with linked() as (one, other):
            sent: list[Message] = [Written(["x" * size]) for size in (0, 1, 300_000, 5, 70_000)]
            sent.append(ClaimForgotten("mark", "req_1"))
            for message in sent:
                one.link.send(message)
            await one.link.ask("last")
            assert other.heard == sent

    run_virtual(main())


def test_what_can_wait_is_sent_together_and_nothing_overtakes_it() -> None:
    """[issue 13] The first at once, as nothing was sent for a while; what follows within a moment wakes the other process once."""

    async def main() -> None:
        async with linked() as (one, other):
            said: list[Message] = [Written([str(number)]) for number in range(9)]
            one.link.send_soon(said[0])
            await asyncio.sleep(0.001)
            assert other.heard == said[:1]
            for message in said[1:5]:
                one.link.send_soon(message)
                await asyncio.sleep(GATHER_SECONDS / 8)
            assert other.heard == said[:1]
            await asyncio.sleep(GATHER_SECONDS)
            assert other.heard == said[:5]
            one.link.send_soon(said[5])
            one.link.send(said[6])
            await asyncio.sleep(0.001)
            assert other.heard == said[:7]
            one.link.send_soon(said[7])
            one.link.close()
            await other.ended.wait()
            assert other.heard == said[:8]
            one.link.send_soon(said[8])  # to nobody: no error
            await asyncio.sleep(2 * GATHER_SECONDS)

    run_virtual(main())


def test_what_is_said_at_one_moment_is_known_at_one_moment() -> None:
    """[issue 13] A row, and behind it the document for its client's next try: who saw the row could ask before the document was there."""

    async def main() -> None:
        here, there = socket.socketpair()
        with there:
            link = await Link.on(here, print, End().answer, ended=lambda: None)
            said: list[Message] = [Ended(priced(0)), ClaimForgotten("mark", "req_1")]
            link.send_soon(said[0])  # the first for a long time
            link.send(said[1])
            await asyncio.sleep(0.001)
            data = there.recv(65_536)
            assert decode(data[LENGTH_BYTES:]) == said, "they are one message"
            link.close()

    run_virtual(main())


def test_a_question_has_its_answer_or_the_refusal_that_was_given() -> None:
    """Answers are told apart by their numbers, whatever order they come in."""

    async def main() -> None:
        async with linked() as (one, _other):
            answers = await asyncio.gather(*[one.link.ask("double", bytes([number])) for number in range(20)])
            assert answers == [bytes([number, number]) for number in range(20)]
            with pytest.raises(ApiError) as refused:
                await one.link.ask("refuse")
            assert (refused.value.code, refused.value.message, refused.value.should_retry) == ("quota_exceeded", "No more.", False)

    run_virtual(main())


def test_a_process_that_is_stuck_or_gone_ends_the_wait() -> None:
    """[issue 13] Nobody waits for longer than a few seconds, and of one that has gone not at all."""

    async def main() -> None:
        async with linked() as (one, other):
            with pytest.raises(ApiError) as stuck:
                await one.link.ask("be stuck")
            assert stuck.value.code == "overloaded"
            asked = asyncio.create_task(one.link.ask("be stuck"))
            await one.link.ask("double", b"x")
            other.link.close()
            for question in (asked, one.link.ask("double")):
                with pytest.raises(ApiError) as gone:
                    await question
                assert gone.value.code == "overloaded"
            one.link.send(Written([]))  # to nobody: no error

    run_virtual(main())


def test_a_message_that_cannot_be_written_takes_no_other_with_it() -> None:
    """[issue 13] All rows that waited with it were lost to the office; one that was sent at once failed another call."""
    bad, worse = priced(1, bytes_sent=2**70), priced(2, model="half a character: \ud83d")
    good = [priced(number) for number in range(3, 7)]
    refused = RefusedCalls("req_9", "default", "key_1", "\ud800", 404, "unknown_model", "x", 1, 1, 1)

    async def main() -> None:
        async with linked() as (one, other):
            reported: list[Fact] = []
            one.link.unsent = tell_bugs(reported.append)
            one.link.send_soon(Ended(priced(0)))
            for row in (good[0], bad, good[1], worse, good[2]):
                one.link.send_soon(Ended(row))
            await asyncio.sleep(2 * GATHER_SECONDS)
            one.link.send(RefusedOnes(refused))
            one.link.send(Ended(good[3]))
            assert await one.link.ask("double", b"x") == b"xx"
            assert other.heard == [Ended(priced(0)), *map(Ended, good)]
            told = [(fact.request_id, "could not be written" in fact.trace) for fact in reported if isinstance(fact, BugFound)]
            assert told == [(bad.id, True), (worse.id, True), (refused.id, True)]

    run_virtual(main())


def test_an_answer_that_cannot_be_written_is_a_refusal() -> None:
    """[issue 13] Whoever had asked waited for five seconds, and was told that the process is stuck."""

    async def main() -> None:
        async with linked() as (one, other):
            reported: list[Fact] = []
            other.link.unsent = tell_bugs(reported.append)
            with pytest.raises(ApiError) as refused:
                await one.link.ask("refuse oddly")
            assert refused.value.code == "internal_error"
            assert [type(fact) for fact in reported] == [BugFound]

    run_virtual(main())
