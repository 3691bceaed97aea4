"""Counts long texts that no vendor has reported, all of each and not its beginning alone: in threads, beside the event loop.

What waits for it is the end of an answer, or the row of a call that was cut: never a vendor, and no other call. An input is counted then,
as its request is in memory anyway. What one delta or a document brought is counted as soon as it is there, so that no stream keeps it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, Protocol

from aisa.providers.output import output_of
from aisa.providers.own_input import OwnInput
from aisa.providers.shape import Decoder
from aisa.usage import REPORTED
from aisa.wire.tokenized_text import Tokenizer, in_pieces

WAITING_MAX = 16  # calls at once, one of them at work: prompts of 100,000 tokens take 20 to 200 ms each, and are in memory anyway
TEXT_CHARACTERS_MAX = 8 << 20  # of answers, that wait for their count or are at work: two million tokens, 2 s with the slowest tokenizer
SECONDS_MAX = 2.0  # for one, its wait included; beyond, the count of its beginning stands, and the row says that it is estimated


class Long(Protocol):
    """A text of which only the beginning was counted."""

    def count_all(self, given_up: Callable[[], bool]) -> Any:
        """Count the rest, in a thread, and return what `take` takes; None if it is given up."""
        ...

    def take(self, counted: Any, /) -> None:
        """Let this be the count."""
        ...


class LongOutputs:
    """The texts of answers that are being counted, so many characters of all calls together."""

    def __init__(self, *, characters_max: int = TEXT_CHARACTERS_MAX) -> None:
        self._characters_max = characters_max
        self._thread = ThreadPoolExecutor(1, "count outputs")
        self._counting: list[tuple[Future[int], int]] = []

    def with_thread(self, tokenizer: Tokenizer) -> Tokenizer:
        """Return a tokenizer to which long texts can be handed."""

        def later(text: str) -> Future[int] | None:
            self._counting = [each for each in self._counting if not each[0].done()]
            if sum([size for _, size in self._counting]) + len(text) > self._characters_max:
                return None
            counting = self._thread.submit(count_text, tokenizer.count, text)
            self._counting.append((counting, len(text)))
            return counting

        return Tokenizer(tokenizer.name, tokenizer.count, later)


class LongCounts:
    """The texts that are being counted, whoever they are of. So many calls wait at once, each so many seconds at most."""

    def __init__(self, *, waiting_max: int = WAITING_MAX, seconds_max: float = SECONDS_MAX) -> None:
        self._waiting_max = waiting_max
        self._seconds_max = seconds_max
        self._thread = ThreadPoolExecutor(1, "count")  # begins with the first count
        self._waiting = 0

    def wanted(self, decoder: Decoder) -> list[Long]:
        """Return the long texts of an answer and its request that its vendor has not reported; none if there is no room for them here."""
        usage, found = decoder.usage(), list[Long]()
        asked: object = getattr(decoder, "asked", None)
        if usage.input_source != REPORTED and isinstance(asked, OwnInput) and asked.is_long:
            found.append(asked)
        output = None if usage.source == REPORTED else output_of(decoder)
        if output is not None:
            found += [text for meter in output.meters if (text := meter.text) is not None and text.is_long]
        return found if self._waiting < self._waiting_max else []

    async def count(self, decoder: Decoder | None) -> None:
        """Have these counted; one that takes too long is left as it is, and so are the others of its call."""
        if decoder is not None and (found := self.wanted(decoder)):
            await self._count(found)

    async def input(self, asked: OwnInput) -> int:
        """Return the tokens of a request that nobody answers, counted in the same way."""
        tokens, _ = asked.input()
        if asked.is_long and self._waiting < self._waiting_max:
            await self._count([asked])
            tokens, _ = asked.input()
        return tokens

    async def _count(self, found: Sequence[Long]) -> None:
        given_up = Event()
        counting = asyncio.get_running_loop().run_in_executor(self._thread, count_all, found, given_up.is_set)
        self._waiting += 1
        counting.add_done_callback(self._leave)
        try:
            await asyncio.wait((counting,), timeout=self._seconds_max)
        finally:
            given_up.set()
        if counting.done() and None not in (counted := counting.result()):
            for text, its in zip(found, counted, strict=True):
                text.take(its)

    def _leave(self, _counting: asyncio.Future[list[Any]]) -> None:
        self._waiting -= 1


def count_text(count: Callable[[str], int], text: str) -> int:
    """Count a text, a piece at a time."""
    return sum([count(piece) for piece in in_pieces(text)])


def count_all(texts: Sequence[Long], given_up: Callable[[], bool]) -> list[Any]:
    """Count texts one after the other."""
    return [text.count_all(given_up) for text in texts]
