"""Where calls wait whose vendors have no room: fair among keys, bounded, and before the vendor would refuse. Asks no vendor.

Each key has a line of its own for each set of limits, and the lines have their turns one after the other, so a thousand calls of one key
delay the single call of another by one call. Whoever's turn it is, and lacks room in a limit, keeps all behind it from that limit: small
calls do not starve a large one. Lines are this process's; processes that share limits let each other go first (`comes_first`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

from aisa.admission.allowance import Limited
from aisa.admission.refusals import refusal
from aisa.admission.rules import MICROS, VendorLimit
from aisa.admission.vendor_caps import CapLease, Keeping, VendorCaps, Want
from aisa.config.limits import Limits
from aisa.errors import SHUTTING_DOWN, ApiError
from aisa.facts import LEFT, REFUSED, SERVED, CallQueued, Fact
from aisa.usage import Usage
from aisa.wire.door import Request

WAKE_SECONDS_MIN = 0.001  # between two looks for room: timers of loops are no finer
NOTHING = Usage()


class Asking(NamedTuple):
    """Who asks for room: a call of a key, which holds a body of so many bytes while it waits."""

    call_id: str
    key_id: str
    model: str
    request: Request
    input_tokens: int


class Taken(NamedTuple):
    """The target that had room, what was taken there, and how many seconds that was waited for."""

    want: Want
    lease: CapLease
    waited_seconds: float


class _Waiter:
    """One call in line. `began` is the loop's time in seconds."""

    __slots__ = ("asking", "began", "future", "line", "wants")

    def __init__(self, asking: Asking, wants: Sequence[Want], *, future: asyncio.Future[Taken], began: float) -> None:
        self.asking = asking
        self.wants = wants
        self.future = future
        self.began = began
        self.line = (asking.key_id, frozenset(cap for want in wants for cap in want.caps))


_Whose = tuple[str, frozenset[Limited]]


class VendorQueue:
    """The lines of one process. Belongs to the event loop."""

    def __init__(self, keeping: Keeping, report: Callable[[Fact], None]) -> None:
        self.caps = VendorCaps(keeping.keep)
        self.draining = False
        self._keeping = keeping
        self._report = report
        self._limits = Limits()
        self._lines: dict[_Whose, deque[_Waiter]] = {}  # in the order of their turns
        self._waited: Counter[Limited] = Counter()  # by how many calls
        self._calls: Counter[str] = Counter()  # that wait, by key
        self._bytes: Counter[str] = Counter()  # of their bodies
        self._timer: asyncio.TimerHandle | None = None

    def configure(self, limits: Limits) -> None:
        """Let other limits hold from now on."""
        self._limits = limits
        self.caps.configure(limits)
        self.serve()

    def share(self, servers: int) -> None:
        """Go by this server's share of all limits, one of so many, from now on."""
        self.caps.share(servers)
        self.serve()

    def has_room(self, wants: Sequence[Want]) -> bool:
        """Say whether a call could begin at one of these now, without a wait. Raises ApiError overloaded."""
        with self._keeping.lock():
            return self._open(wants, self._now()) is not None

    async def take(self, asking: Asking, wants: Sequence[Want], *, seconds: float) -> Taken:
        """Return room at the first of these targets that has some, waiting for so long at most. Raises ApiError, and holds nothing then."""
        now = self._now()
        with self._keeping.lock():
            usable = [want for want in wants if want.fits]
            if not usable:
                raise self._refusal(asking, wants[:1], now)
            found = self._open(usable, now)
            if found is not None:
                return self._take(asking, found, now)
            if self.draining:
                raise ApiError("overloaded", SHUTTING_DOWN, retry_after=1)
            hopeless = seconds <= 0 or min(want.room_at(now) for want in usable) > now + round(seconds * MICROS)
            if hopeless or not self._make_place(asking, now):
                raise self._refusal(asking, usable, now)
        return await self._wait(asking, usable, seconds)

    def serve(self) -> None:
        """Let those go for whom there is room, in turn: whenever there may be some."""
        if not self._lines:
            return
        lacking: dict[Limited, int] = {}
        now = self._now()
        try:
            with self._keeping.lock():
                for cap in self._waited:
                    cap.settle(now)
                lacking = self._serve(now)
                for cap in self._waited:
                    cap.note_waiting(now, waiting=True)
                wakes = [when for cap, tokens in lacking.items() if (when := cap.room_at(now, tokens)) > now]
        except ApiError:  # the lock is not to be had; those who wait too long are told
            wakes = [now + MICROS]
        self._wake(now, wakes)

    def shown(self) -> list[VendorLimit]:
        """Return how full all limits are. Raises ApiError overloaded."""
        now, time = self._now(), asyncio.get_running_loop().time()
        shown: list[VendorLimit] = []
        with self._keeping.lock():
            for name, cap in self.caps.named():
                cap.settle(now)
                cap.has_room(now, 0)  # has it look how many are in flight
                began = [waiter.began for line in self._lines.values() for waiter in line if cap in waiter.line[1]]
                rates, used = cap.rates, [None if use is None else max(0, use.left(now)) for use in (cap.requests, cap.tokens)]
                flying, longest = None if rates.concurrency is None else cap.in_flight, time - min(began, default=time)
                figures = (rates.rpm, used[0], rates.tpm, used[1], rates.concurrency, flying)
                shown.append(VendorLimit(name, *figures, len(began), round(longest, 3), self._keeping.look_seconds is not None))
        return shown

    async def _wait(self, asking: Asking, wants: Sequence[Want], seconds: float) -> Taken:
        loop = asyncio.get_running_loop()
        waiter = _Waiter(asking, wants, future=loop.create_future(), began=loop.time())
        self._join(waiter)
        ended = LEFT
        try:
            self.serve()
            async with asyncio.timeout(seconds):
                taken = await waiter.future
        except TimeoutError:
            ended = REFUSED
            with self._keeping.lock():
                raise self._refusal(asking, wants, self._now()) from None
        except ApiError:
            ended = REFUSED
            raise
        else:
            ended = SERVED
            return taken
        finally:
            self._leave(waiter)
            if ended != SERVED and waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                waiter.future.result().lease.release(NOTHING)  # room came as it left
            waited = loop.time() - waiter.began
            self._report(CallQueued(asking.call_id, asking.key_id, asking.model, wants[0].offer.name, round(waited, 3), ended))
            if ended != SERVED:
                self.serve()  # it may have kept others from going

    def _open(self, wants: Sequence[Want], now: int) -> Want | None:
        """Return the first of these where a call may begin that has just come: where nobody waits, and there is room."""
        for want in wants:
            for cap in want.caps:
                cap.settle(now)
            if not any(cap in self._waited for cap in want.caps) and want.has_room(now):
                return want
        return None

    def _take(self, asking: Asking, want: Want, now: int, *, waited_seconds: float = 0.0) -> Taken:
        for cap in want.caps:
            cap.take(now, want.tokens)
        lease = self._keeping.lease(want.caps, now)
        if want.tokens:
            lease.take_tokens(want.tokens, asking.input_tokens, 0)
        return Taken(want, lease, waited_seconds)

    def _serve(self, now: int) -> dict[Limited, int]:
        """Go round until nobody has room. Returns what lacks it, and how many tokens whoever lacks it first needs."""
        lacking: dict[Limited, int] = {}
        again = True
        while again:
            again = False
            for name in tuple(self._lines):
                waiter = self._lines[name][0]
                if not waiter.future.done() and not any(want.fits for want in waiter.wants):  # a limit was lowered since it came
                    waiter.future.set_exception(self._refusal(waiter.asking, waiter.wants, now))
                if waiter.future.done():
                    self._leave(waiter)
                    again = True
                    continue
                found = self._find(waiter.wants, now, lacking)
                if found is not None:
                    self._leave(waiter)
                    if name in self._lines:
                        self._lines[name] = self._lines.pop(name)  # behind all others
                    waited = asyncio.get_running_loop().time() - waiter.began
                    waiter.future.set_result(self._take(waiter.asking, found, now, waited_seconds=waited))
                    again = True
        return lacking

    def _find(self, wants: Sequence[Want], now: int, lacking: dict[Limited, int]) -> Want | None:
        """Return the first of these with room that nobody before it waits for; note what lacks it."""
        for want in wants:
            if not want.fits or any(cap in lacking for cap in want.caps):
                continue
            full = [cap for cap in want.caps if not (cap.has_room(now, want.tokens) and cap.comes_first(now))]
            if not full:
                return want
            lacking.update((cap, want.tokens) for cap in full)
        return None

    def _join(self, waiter: _Waiter) -> None:
        self._lines.setdefault(waiter.line, deque()).append(waiter)
        self._waited.update(waiter.line[1])
        self._calls[waiter.asking.key_id] += 1
        self._bytes[waiter.asking.key_id] += waiter.asking.request.body_bytes

    def _leave(self, waiter: _Waiter) -> None:
        """Give up a place in line, the first time."""
        line = self._lines.get(waiter.line)
        if line is None or waiter not in line:
            return
        line.remove(waiter)
        if not line:
            del self._lines[waiter.line]
        key_id = waiter.asking.key_id
        self._calls[key_id] -= 1
        self._bytes[key_id] -= waiter.asking.request.body_bytes
        if not self._calls[key_id]:
            del self._calls[key_id], self._bytes[key_id]
        for cap in waiter.line[1]:
            self._waited[cap] -= 1
            if not self._waited[cap]:
                del self._waited[cap]
                cap.note_waiting(0, waiting=False)

    def _make_place(self, asking: Asking, now: int) -> bool:
        """Say whether one more may wait: beyond the bounds instead of the newest call of the key that has the most of what is scarce."""
        limits, size = self._limits, asking.request.body_bytes
        for kept, more, bound in ((self._calls, 1, limits.queue_calls_max), (self._bytes, size, limits.queue_bytes_max)):
            while kept.total() + more > bound:
                key_id, most = max(kept.items(), key=lambda item: item[1], default=("", 0))
                if most <= kept[asking.key_id] + more:
                    return False
                last = max((line[-1] for line in self._lines.values() if line[0].asking.key_id == key_id), key=lambda waiter: waiter.began)
                self._leave(last)
                if not last.future.done():
                    last.future.set_exception(self._refusal(last.asking, last.wants, now))
        return True

    def _refusal(self, asking: Asking, wants: Sequence[Want], now: int) -> ApiError:
        """Return why a call may not begin at any of these, told of the one that has room first. Takes a place in its lines."""
        want = min(wants, key=lambda want: want.room_at(now) if want.fits else 0)
        error = refusal(want.caps, now, tokens=want.tokens, input_tokens=asking.input_tokens, request=asking.request)
        return ApiError("upstream_rate_limit", error.message, retry_after=error.retry_after, should_retry=error.should_retry)

    def _wake(self, now: int, wakes: Sequence[int]) -> None:
        """Look again at the first of these times, or when others may have made room."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        seconds = [(when - now) / MICROS for when in wakes]
        if self._keeping.look_seconds is not None:
            seconds.append(self._keeping.look_seconds)
        if self._lines and seconds:
            wait = max(WAKE_SECONDS_MIN, ceil(min(seconds) * 1_000) / 1_000)
            self._timer = asyncio.get_running_loop().call_later(wait, self.serve)

    def _now(self) -> int:
        return self._keeping.micros()
