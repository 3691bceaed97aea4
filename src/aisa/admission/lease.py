"""What one call in flight has taken of limits that this process keeps, and gives back at its end. Lets nobody in."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence

from aisa.admission.allowance import Limited
from aisa.admission.refusals import stopped_inside
from aisa.usage import Usage


class MemoryLease:
    """One call in flight, and the tokens that it has taken; implements `admission.port.Lease`.

    What a stream has left of its last step, and any call of what it took at first, is given back at the end, where it was taken.
    """

    __slots__ = (
        "_allowances",
        "_began",
        "_corrected",
        "_first",
        "_input",
        "_micros",
        "_step",
        "_step_at",
        "_step_tokens",
        "_taken",
        "covered",
    )

    def __init__(self, micros: Callable[[], int], allowances: tuple[Limited, ...], began: int) -> None:
        self._micros = micros
        self._allowances = allowances
        self._began = began
        self.covered = sys.maxsize
        self._taken = self._step_tokens = 0
        self._corrected = False

    def take_tokens(self, tokens: int, input_tokens: int, step: int) -> None:
        """Note what was taken at first; `step` is by how much the output of a stream may grow at a time, 0 for a document."""
        self._taken = self._first = tokens
        self._input = input_tokens
        self._step = step
        if step:
            self.covered = tokens - input_tokens

    def cover(self, tokens: int) -> Awaitable[None] | None:
        """Take more tokens, as far as needed a step. Raises ApiError rate_limit_exceeded."""
        needed = tokens - self.covered
        if needed <= 0:
            return None
        now = self._micros()
        limited = [each for each in self._allowances if each.tokens is not None]
        lefts = [each.tokens.unused(now) for each in limited if each.tokens is not None]
        if not lefts:  # the limit was taken away
            self.covered = tokens + self._step  # a step, as it may be there again
            return None
        if needed > min(lefts):
            raise stopped_inside(limited, now, needed, again=self._first)
        self._grow(now, min(-(-needed // self._step) * self._step, *lefts))
        return None

    def _grow(self, now: int, more: int) -> None:
        """Take so many tokens more."""
        for each in self._allowances:
            if each.tokens is not None:
                each.tokens.add(now, more)
        self._step_at, self._step_tokens = now, more
        self._taken += more
        self.covered += more

    def release(self, usage: Usage) -> None:
        """End the call with what it used."""
        now = self._micros()
        for each in self._allowances:
            each.end(now - self._began)
        self.correct(usage, now)

    def correct(self, usage: Usage, now: int | None = None) -> None:
        """Let what the call used count from `now` on, which is looked up if it is not given; the first time counts."""
        if self._taken and not self._corrected:
            self._corrected = True
            if more := self._used(usage) - self._taken:
                self._correct(more, self._micros() if now is None else now, self._allowances)

    def _used(self, usage: Usage) -> int:
        """Return how many tokens a call used; where nobody said what its input was, that is as it was estimated."""
        return usage.output_tokens + (usage.input_tokens or (self._input if usage.output_tokens else 0))

    def _correct(self, more: int, now: int, limited: Sequence[Limited]) -> None:
        """Let what was really used count instead of what was taken: so many tokens more, or less if below zero."""
        of_step = min(-more, self._step_tokens)
        for each in limited:
            used = each.tokens
            if used is None:
                continue
            if more > 0:
                used.add(now, more)
                continue
            if of_step:
                used.give_back(self._step_at, of_step)
            used.give_back(self._began, min(-more - of_step, self._first))
