"""How much is held for a call before anybody is asked: its input, and the output that it may make. Holds nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aisa.config.schema import Model
from aisa.ledger.calls_seen import Seen
from aisa.ledger.row import CallRow
from aisa.ledger.rules import COMPLETED
from aisa.money import TOKENS_PER_PRICE, Nanos
from aisa.pricing import UnitPrices, cost_of, output_price
from aisa.usage import REPORTED, Usage
from aisa.wire.door import Request

HELD_OUTPUT_TOKENS = 256  # of a stream at first, as much as `charge.STEP_TOKENS` later
DOCUMENT_OUTPUT_TOKENS = 4_096  # of a document whose length nobody limits: it cannot be watched while it is made
CALLS_MIN = 20  # before they are believed
LEARN_EVERY = 8  # calls: sorting takes a few microseconds
TARGETS_MAX = 1_000  # that are learned of; callers can make names up, and the oldest goes


class Hold(NamedTuple):
    """What is held: in all, for so many output `tokens`, and for them alone; `why` so many. The rest is for so many `input_tokens`."""

    amount: Nanos
    tokens: int
    for_output: Nanos
    why: str
    input_tokens: int = 0


class Learned:
    """How many output tokens each choice of the last complete calls to a target had, thinking included, as their vendors reported.

    By target, as whoever calls it by another name makes no less there. `times` has those that report more input than we count, by how much.
    """

    def __init__(self, calls_min: int = CALLS_MIN) -> None:
        self.times: dict[str, int] = {}
        self._calls_min = calls_min
        self._seen: dict[str, Seen] = {}
        self._most: dict[str, int] = {}

    def note(self, row: CallRow, choices: int, counted: int) -> None:
        """Learn from a call that ended, of whose input we had `counted` so much: a report is of all choices together that it asked for."""
        usage, seen = row.generated, self._seen.get(row.target)
        if row.outcome != COMPLETED or REPORTED not in (usage.source, usage.input_source):
            return
        if seen is None:
            if len(self._seen) >= TARGETS_MAX:
                self._forget(next(iter(self._seen)))
            seen = self._seen[row.target] = Seen()
        if usage.source == REPORTED and choices:  # vectors and rankings have none
            seen.made.append(-(-usage.output_tokens // choices))
        if usage.input_source == REPORTED:
            seen.inputs.append((usage.input_tokens, counted))
        seen.calls += 1
        if seen.calls % LEARN_EVERY == 0 or seen.calls == self._calls_min:
            self._learn(row.target, seen)

    def _forget(self, target: str) -> None:
        for known in (self._seen, self._most, self.times):
            known.pop(target, None)

    def _learn(self, target: str, seen: Seen) -> None:
        if (most := seen.most(self._calls_min)) is not None:
            self._most[target] = most
        self.times.pop(target, None)
        if times := seen.times(self._calls_min):
            self.times[target] = times

    def most(self, targets: Iterable[str]) -> int | None:
        """Return what a choice had at most, of all but one call in RARE, at any target that may serve; None if too few are known of all."""
        known: int | None = None
        for target in targets:  # most often one
            if (made := self._most.get(target)) is not None and (known is None or made > known):
                known = made
        return known


def first_hold(rates: Iterable[UnitPrices], request: Request, settings: Model, *, held_input: int, learned: int | None = None) -> Hold:
    """Return what is held before a vendor is asked.

    `rates` are the prices of every target that may serve: the dearest for this call counts. `learned` is what calls to the model make.
    """
    output, why = output_held(request, settings, learned)
    most = for_output = -1
    taken = Usage(held_input)
    for each in rates:
        made = -(-output * output_price(each, held_input) // TOKENS_PER_PRICE)
        if (amount := cost_of(taken, each) + made) > most:
            most, for_output = amount, made
    return Hold(most, output, for_output, why, held_input)


def output_held(request: Request, settings: Model, learned: int | None) -> tuple[int, str]:
    """Return for how many output tokens is held, and why so many."""
    choices = request.choices
    most = (asked := request.max_tokens) or settings.max_output_tokens
    held, why = settings.hold_output_tokens, "as the model's `hold_output_tokens` says"
    decided = asked and (request.bound_tells_length or not request.stream)
    if held is None and learned is not None and not decided:  # the rest of a stream is seen as it is made, and held for then
        held, why = max(learned, HELD_OUTPUT_TOKENS) if request.stream else learned, "as calls to this model make"
    elif held is None and request.stream and not request.bounds_reasoning:
        return min(HELD_OUTPUT_TOKENS, most or HELD_OUTPUT_TOKENS), "with which a stream begins"
    if most is not None and (held is None or most <= held):
        held, why = most, "the most that the request allows" if asked else "the most that the model makes"
    if held is None:
        held, why = DOCUMENT_OUTPUT_TOKENS, "because neither the request nor the model has a limit"
    return held * choices, why if choices == 1 else f"{held} for each of {choices} choices, {why}"
