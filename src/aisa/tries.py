"""Which target of a plan is asked next when one has failed, and how long that waits. Pure: failures and the time are told to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aisa.clock import Chance
from aisa.config.route import NO_ROUTE
from aisa.errors import VENDOR, UpstreamFailed
from aisa.health import Health
from aisa.offer import Offer, Plan
from aisa.providers.blame import may_do_better, to_tell

BACKOFF_SECONDS = 0.25  # before the first repetition: a restart or a lost race of a vendor's is over by then
BACKOFF_SECONDS_MAX = 4.0  # doubled up to this: a caller waits
JITTER_MIN = 0.5  # of a wait that remains at least, so that calls which failed together do not come back together


class _Waiting(NamedTuple):
    """A target that may be asked once more, from a time on; `place` is that of its failure among those of the call."""

    ready: float
    place: int
    offer: Offer


class Tries:
    """What is left to try of one call, from its first failure on. Times are the event loop's seconds; `began`: the first was asked.

    That was `first`, if not the plan's first. Where vendors limit us, `has_room` says which could be asked now: those come before others.
    So do those that are well by now in `health`: a plan may be a minute old when a target that said nothing is given up.
    """

    def __init__(
        self,
        plan: Plan,
        prompt_bytes: int,
        chance: Chance,
        *,
        began: float,
        first: Offer | None = None,
        health: Health,
        has_room: Callable[[Offer], bool] | None = None,
    ) -> None:
        route = plan.entry.settings.route or NO_ROUTE
        self._left = [offer for offer in plan.offers if offer is not (first or plan.offers[0])]
        self._health = health
        self._has_room = has_room
        self._again: list[_Waiting] = []  # as long as the plan at most
        self._retries = route.retries
        self._until = began + route.retry_seconds
        self._prompt_bytes = prompt_bytes
        self._chance = chance
        self._failures = self._repeated = 0
        self._may_repeat = True
        self._told: UpstreamFailed | None = None

    @property
    def more(self) -> bool:
        """Whether there is a target that was not asked yet."""
        return bool(self._left)

    def after(self, offer: Offer, failure: UpstreamFailed, now: float) -> tuple[Offer, float]:
        """Return which target is asked next, and in how many seconds.

        Raises the failure that the caller is to be told of if none is left: `blame.to_tell`.
        """
        if failure.refused:
            return offer, 0.0  # at once, without what it does not take
        self._told = to_tell(self._told, failure)
        self._left = [other for other in self._left if may_do_better(failure, other.target, self._prompt_bytes)]
        self._again = [each for each in self._again if may_do_better(failure, each.offer.target, self._prompt_bytes)]
        if failure.may_repeat and self._may_repeat:
            self._may_repeat = False
            return offer, 0.0
        if self._retries and may_pass(failure):
            self._failures += 1
            ready = now + max(failure.retry_after or 0.0, self._backoff())
            self._again.append(_Waiting(ready, self._failures, offer))
        if self._left:
            return self._left.pop(self._next(now)), 0.0
        if self._again and self._repeated < self._retries:
            soonest = min(self._again)
            if max(now, soonest.ready) <= self._until:
                self._again.remove(soonest)
                self._repeated += 1
                return soonest.offer, max(0.0, soonest.ready - now)
        raise self._told

    def _next(self, now: float) -> int:
        """Return the position among those that are left of the first with room, of the first if none has."""
        has_room, order = self._has_room, self._health.order([offer.name for offer in self._left], now)
        return order[0] if has_room is None else next((at for at in order if has_room(self._left[at])), order[0])

    def _backoff(self) -> float:
        longest = min(BACKOFF_SECONDS * 2.0**self._repeated, BACKOFF_SECONDS_MAX)
        return longest * (JITTER_MIN + (1 - JITTER_MIN) * self._chance.random())


def may_pass(failure: UpstreamFailed) -> bool:
    """Say whether the same target may do better a little later: not what the caller or the operator has to mend."""
    return failure.blame == VENDOR and failure.may_fall_back and failure.overflow_tokens is None and failure.error.should_retry is not False


NOTHING_DONE = frozenset({"upstream_rate_limit", "overloaded"})  # codes of refusals, which no vendor charges for


def may_be_charged(failure: UpstreamFailed, status: int | None) -> bool:
    """Say whether a vendor may charge for a try that failed: it took the request, and did not refuse it. The status is None without any."""
    if status is None:
        return failure.error.code == "upstream_timeout"
    return status == 200 and failure.blame == VENDOR and failure.error.code not in NOTHING_DONE
