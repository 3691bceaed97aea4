"""What has no end goes on behind a bug, which is told, and ends when it is cancelled. Virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

from aisa.endless import AGAIN_SECONDS, begun_again
from aisa.testing.clock import run_virtual


class Follower:
    """Runs a few times as a test says: raises, ends or goes on for ever. Notes when it began, and that it was cancelled."""

    def __init__(self, *runs: object) -> None:
        self.runs = list(runs)
        self.began: list[float] = []
        self.let_go = False

    async def run(self) -> None:
        """Run once."""
        self.began.append(asyncio.get_running_loop().time())
        what = self.runs.pop(0)
        if isinstance(what, BaseException):
            raise what
        if what == "for ever":
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(1)
                self.let_go = True


def test_what_ends_by_a_bug_or_by_itself_begins_again() -> None:
    """[fault S6] The task had ended then, and as somebody held it, not even its trace was told."""
    told: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))
        bug = ValueError("a row of a later version")
        follower = Follower(bug, "end", bug, "for ever")
        task, began = asyncio.create_task(begun_again(follower.run)), loop.time()
        await asyncio.sleep(10 * AGAIN_SECONDS)
        assert [at - began for at in follower.began] == [0, AGAIN_SECONDS, 2 * AGAIN_SECONDS, 3 * AGAIN_SECONDS]
        assert told == [bug, bug]
        task.cancel()
        await asyncio.wait([task])
        assert (task.cancelled(), follower.let_go) == (True, True), "who waits for the end waits for what was let go in it"

    run_virtual(main())


def test_what_waited_for_something_that_was_cancelled_begins_again() -> None:
    """[fault S6] It looked like an end that was asked for, and nothing ran from then on, without a word."""

    async def main() -> None:
        follower = Follower(asyncio.CancelledError(), "for ever")
        task = asyncio.create_task(begun_again(follower.run))
        await asyncio.sleep(2 * AGAIN_SECONDS)
        assert (len(follower.began), task.done()) == (2, False)
        task.cancel()
        await asyncio.wait([task])

    run_virtual(main())
