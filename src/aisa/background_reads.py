"""Reads on when a client has left: for a moment if only the vendor's report is to come, to the end if the vendor bills on regardless.

The first completes the client's bill; the second is for the ledger alone, so that it knows what the vendor will charge us. Then what is
long and was not reported is counted. Bounded in number and time; what does not fit is cancelled as elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

from aisa.errors import UpstreamFailed
from aisa.long_counts import LongCounts
from aisa.providers.port import Answer
from aisa.providers.shape import Decoder
from aisa.usage import Usage

REPORT_SECONDS_MAX = 1.0  # for the report of an answer whose choices have all finished; vendors send it within milliseconds


class BackgroundReads:
    """The answers being read on.

    `vendors` are those that bill on, `reads_max` how many of their answers may be read on at once. Those of which only the report is
    awaited are bounded by their time, and in number by the journal: each has its slot until then.
    """

    def __init__(self, vendors: Collection[str] = (), *, reads_max: int = 0, seconds_max: float = 0.0) -> None:
        self.configure(vendors, reads_max=reads_max, seconds_max=seconds_max)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reports: set[asyncio.Task[None]] = set()

    def configure(self, vendors: Collection[str], *, reads_max: int, seconds_max: float) -> None:
        """Let this hold for answers whose clients leave from now on."""
        self._vendors = frozenset(vendors)
        self._reads_max = reads_max
        self._seconds_max = seconds_max

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, answer: Answer, decoder: Decoder, report: Callable[[Usage], None], *, vendor: str | None, counts: LongCounts) -> bool:
        """Read an answer to its end in the background, then `report` what the vendor made; whatever happens, once.

        False, and the answer is closed, if there is nothing to do: no vendor that bills on, or too many of its answers, and no long count.
        Without a `vendor` it is not to be read.
        """
        tasks, seconds = self._reports, 0.0
        if vendor is not None and decoder.finished:
            seconds = REPORT_SECONDS_MAX
        elif vendor in self._vendors and len(self._tasks) < self._reads_max:
            tasks, seconds = self._tasks, self._seconds_max
        if not seconds:
            answer.close()
            if not counts.wanted(decoder):
                return False
        task = asyncio.get_running_loop().create_task(complete(answer, decoder, seconds=seconds, counts=counts))
        tasks.add(task)

        def ended(_task: asyncio.Task[None]) -> None:  # also of a task that was cancelled before its first turn
            tasks.discard(task)
            answer.close()
            report(decoder.usage())

        task.add_done_callback(ended)
        return True

    async def close(self) -> None:
        """Cancel what is being read on, and wait until each has reported."""
        tasks = self._tasks | self._reports
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def complete(answer: Answer, decoder: Decoder, *, seconds: float, counts: LongCounts) -> None:
    """Learn what there is to be learned of an answer: from its vendor within so many seconds, then by our own count."""
    if seconds:
        await read_on(answer, decoder, seconds=seconds)
        answer.close()
    await counts.count(decoder)


async def read_on(answer: Answer, decoder: Decoder, *, seconds: float) -> None:
    """Read an answer to its end, for so many seconds at most."""
    with suppress(TimeoutError, UpstreamFailed):  # what was read until then is what we know
        async with asyncio.timeout(seconds):
            while not decoder.done and decoder.failure is None:
                data = await answer.read()
                if data:
                    decoder.feed(data)
                else:
                    decoder.end()
                    break  # a vendor that wants to be asked for the rest is not: nobody waits for it
