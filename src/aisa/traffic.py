"""How many calls each target has and how soon it answers, for models that are routed by it.

Pure: what happens and the time are told to it, and it asks nobody.
"""

from __future__ import annotations

from aisa.clock import Chance
from aisa.errors import VENDOR, UpstreamFailed

FRESH_SECONDS = 60.0  # a figure is believed for so long; then one call tries whether the target is quicker by now
EXPLORE_SECONDS = 10.0  # how long one call may do so alone, so that a slow target costs one call and not all
NEWEST_SHARE = 0.3  # of the newest figure in the smoothed one: it has forgotten nine tenths of what was after seven calls
TARGETS_MAX = 1_000  # that are remembered; the one seen first is forgotten
GOLDEN_STEP = 0.6180339887498949  # fractions of its multiples fill an interval more evenly than any other's, and than chance does


class _Delay:
    """How soon one target answers. `seconds` is smoothed; times are the event loop's seconds."""

    __slots__ = ("explored_until", "heard_at", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.heard_at = float("-inf")
        self.explored_until = float("-inf")


class Traffic:
    """What is known of targets, by their names as `vendor/model`, and of models whose calls are shared out, by theirs."""

    def __init__(self) -> None:
        self._in_flight: dict[str, int] = {}  # of those that have any
        self._delays: dict[tuple[str, bool], _Delay] = {}  # of streams and of documents apart
        self._turns: dict[str, float] = {}

    def turn(self, model: str, chance: Chance) -> float:
        """Return where the next call to a model falls in [0, 1): chance begins, and what follows is spread evenly, not at random."""
        turn = self._turns.get(model)
        if turn is None:
            forget_first(self._turns)
            turn = chance.random()
        else:
            turn = (turn + GOLDEN_STEP) % 1.0
        self._turns[model] = turn
        return turn

    def asked(self, target: str) -> None:
        """A target is being asked."""
        self._in_flight[target] = self._in_flight.get(target, 0) + 1

    def left(self, target: str) -> None:
        """The call, or the try, at a target is over."""
        left = self._in_flight.pop(target) - 1
        if left:
            self._in_flight[target] = left

    def in_flight(self, target: str) -> int:
        """Return how many calls a target has now."""
        return self._in_flight.get(target, 0)

    def answered(self, target: str, seconds: float, now: float, *, stream: bool) -> None:
        """A target gave a stream's first piece, or a whole document, after so many seconds."""
        delay = self._delay_of(target, stream=stream)
        fresh = now < delay.heard_at + FRESH_SECONDS
        delay.seconds = delay.seconds + NEWEST_SHARE * (seconds - delay.seconds) if fresh else seconds
        delay.heard_at, delay.explored_until = now, float("-inf")

    def kept_waiting(self, target: str, seconds: float, now: float, *, stream: bool) -> None:
        """A target failed after so many seconds: it is no quicker than that. A quick failure says nothing of how soon it answers."""
        delay = self._delay_of(target, stream=stream)
        delay.explored_until = now + EXPLORE_SECONDS
        if seconds > delay.seconds:
            delay.seconds, delay.heard_at = seconds, now

    def delay(self, target: str, now: float, *, stream: bool) -> float | None:
        """Return how many seconds a target takes to answer, as far as is known; None if it is not, or not any more."""
        delay = self._delays.get((target, stream))
        return None if delay is None or now >= delay.heard_at + FRESH_SECONDS else delay.seconds

    def may_explore(self, target: str, now: float, *, stream: bool) -> bool:
        """Say whether a call is to find out how soon a target answers, and if so that this one does."""
        delay = self._delay_of(target, stream=stream)
        if now < delay.explored_until or now < delay.heard_at + FRESH_SECONDS:
            return False
        delay.explored_until = now + EXPLORE_SECONDS
        return True

    def _delay_of(self, target: str, *, stream: bool) -> _Delay:
        delay = self._delays.get((target, stream))
        if delay is None:
            forget_first(self._delays)
            delay = self._delays[target, stream] = _Delay()
        return delay


class TargetTry:
    """One try at a target, which is counted in its traffic until it has ended. Times are the event loop's seconds."""

    __slots__ = ("_began", "_stream", "_target", "_traffic")

    def __init__(self, traffic: Traffic, target: str, began: float, *, stream: bool) -> None:
        self._traffic = traffic
        self._target = target
        self._began = began
        self._stream = stream
        traffic.asked(target)

    def answered(self, now: float) -> None:
        """The answer has begun to come, or is there."""
        self._traffic.answered(self._target, now - self._began, now, stream=self._stream)

    def failed(self, failure: BaseException, now: float) -> None:
        """It has failed before that, or its client has left. It has ended."""
        if isinstance(failure, UpstreamFailed) and failure.blame == VENDOR:
            self._traffic.kept_waiting(self._target, now - self._began, now, stream=self._stream)
        self.end()

    def end(self) -> None:
        """It has ended."""
        self._traffic.left(self._target)


def forget_first(known: dict[str, float] | dict[tuple[str, bool], _Delay]) -> None:
    """Make room for one more."""
    if len(known) >= TARGETS_MAX:
        del known[next(iter(known))]  # type: ignore[arg-type] # the key is its own
