"""The limits of all processes of one machine, in memory that they share: as exact as those of one, and nothing is waited for but the lock.

A record has a column of calls in flight for each process, which that one alone writes. When a process dies its column is cleared by whoever
notices, so its leases are free at once; what it had used of rates stays used. Of large limits a process takes a little in advance with the
lock, so that its next calls begin and end without it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import cast

from aisa.admission.allowance import FIRST_SECONDS, LEARNING, TURN_MAX, Limited, Shown, rates_room_at
from aisa.admission.lease import MemoryLease
from aisa.admission.memory import MemoryAdmission, headers_on, unheard
from aisa.admission.rules import MICROS, RATE_MAX, step_of
from aisa.admission.shared_advances import Advances, begun_of_advances
from aisa.admission.shared_window import SPAN, WINDOW_WORDS, SharedWindow, Unsure
from aisa.admission.window import BUCKETS
from aisa.clock import Micros, WallClock, monotonic_micros
from aisa.config.limits import Limits, Rates
from aisa.errors import ApiError
from aisa.facts import Fact
from aisa.resets import Resets
from aisa.storage.shared_memory import RATE_WORDS, WORKERS_MAX, SharedFull, SharedLock, SharedMemory, SharedStuck
from aisa.wire.door import Request
from aisa.wire.port import HeaderList

#: Words of a record, before its windows: how long a call lasts (microseconds), when the last who waits for a place in flight has its turn.
LASTING, LAST_TURN = range(2)
COLUMNS = 8  # where the columns begin, in words, of 32 bits each
#: Of each process, in milliseconds of the clock: when it looked for room last while calls of it waited, 0 if none does; when it had room.
WAITING = COLUMNS + WORKERS_MAX // 2
SERVED = WAITING + WORKERS_MAX // 2
REQUESTS = 64
TOKENS = RATE_WORDS // 2  # a page further on systems with pages of 4 KiB: keys without such a limit never touch it
assert SERVED + WORKERS_MAX // 2 <= REQUESTS
assert REQUESTS + WINDOW_WORDS <= TOKENS
assert TOKENS + WINDOW_WORDS <= RATE_WORDS
LOOK_SECONDS = 0.01  # between two looks for what other processes have given back, while calls wait; each takes some microseconds
STARVED_MS = 50  # a process whose calls wait and had no room for so long comes before those that had; five looks of its own
FIRST_MICROS = round(FIRST_SECONDS * MICROS)
SILENT_MS = 200  # a process that has not looked for so long is stopped, or dead
MS_MASK = (1 << 32) - 1


class SharedAllowance:
    """The use of some limits of one key, account or address; implements `allowance.Limited`, with the lock held.

    Without it there are `end`, and what headers tell: `has_place` and its windows' `seen`. It has a place from `settle` on, for as long as
    a lease of this process is there, or the lock is held.
    """

    __slots__ = (
        "_bucket", "_cells", "_flights", "_index", "_memory", "_name", "_own", "_place", "_served", "_span", "_words", "advancing",
        "concurrency", "in_flight", "rates", "requests", "step", "tokens", "whose",
    )  # fmt: skip

    def __init__(self, memory: SharedMemory, name: str, whose: str) -> None:
        self.whose = whose
        self.rates = Rates()
        self.step = 0
        self.concurrency = RATE_MAX
        self.in_flight = 0  # in all processes when `has_room` looked: others end calls at any time
        self.requests: SharedWindow | None = None
        self.tokens: SharedWindow | None = None
        self.advancing: tuple[SharedWindow, ...] = ()  # both, if all limits are so large that a process has advances of them
        self._memory = memory
        self._words, self._cells = memory.words, memory.cells
        self._name = memory.name_word(name)
        self._place = 0
        self._span = 0
        self._bucket = -1  # of the windows, in which a call began with the lock last
        self._index = 0  # of the word that has the name of whose place it is
        self._flights = memory.cells[:0]  # how many calls each process has in flight
        self._own = self._served = 0  # the numbers of this process's cells: how many it has, and when it had room

    def has_place(self) -> bool:
        """Say whether it has its place."""
        return self._place != 0 and bool(self._words[self._index] == self._name)

    def settle(self, now: int) -> None:
        """Make sure that it has its place. Raises SharedFull."""
        if self._place == 0 or self._words[self._index] != self._name:
            rates = self._memory.rates
            self._place, _ = rates.take(self._name, lambda place: is_idle(self._memory, place, now))
            self._index = rates.index_of(self._place)
            first = (self._place + COLUMNS) * 2
            self._flights = self._cells[first : first + WORKERS_MAX]
            self._own, self._served = self._cell(COLUMNS), self._cell(SERVED)
            self.limit(self.rates, self._span)

    def limit(self, rates: Rates, span: int) -> None:
        """Set the limits; what was used stays used."""
        self.rates, self._span = rates, span
        self.step = 0 if rates.tpm is None else step_of(rates.tpm)
        self.concurrency = RATE_MAX if rates.concurrency is None else rates.concurrency
        self.requests = self._window(self.requests, REQUESTS, rates.rpm)
        self.tokens = self._window(self.tokens, TOKENS, rates.tpm)
        windows = [window for window in (self.requests, self.tokens) if window is not None]
        self.advancing = tuple(windows) if all(window.is_large for window in windows) else ()

    def _window(self, window: SharedWindow | None, at: int, limit: int | None) -> SharedWindow | None:
        if limit is None:
            return None
        if window is not None and window.is_at(self._place + at, self._span):  # the same, with what is left of its advance
            if window.limit != limit:
                window.change(limit)
            return window
        return SharedWindow(self._memory.words, self._memory.cells, self._place + at, limit=limit, span=self._span)

    def has_room(self, now: int, tokens: int) -> bool:
        """Say whether a call may begin that takes so many tokens."""
        requests, used = self.requests, self.tokens
        if self.concurrency < RATE_MAX:
            self.in_flight = sum(self._flights)
        return (
            self.in_flight < self.concurrency
            and (requests is None or requests.left(now) >= 1)
            and (used is None or used.left(now) >= tokens)
        )

    def take(self, now: int, tokens: int) -> None:
        """Begin a call for which there is room, by `has_room` at this moment."""
        self._cells[self._own] += 1
        self._cells[self._served] = now // 1_000 & MS_MASK
        if self.requests is not None:
            self.requests.use(now, 1)
        if self.tokens is not None:
            self.tokens.use(now, tokens)

    def begin_of_advances(self, now: int, tokens: int) -> bool:
        """Begin a call of what this process has in advance, and say so, without the lock; False if that is not enough.

        Its place in flight it takes before it looks, so that whoever looks with the lock sees it. Of what others do at the same moment
        each may hide one from it: such a cap must have room for all of them.
        """
        requests, used, cells = self.requests, self.tokens, self._cells
        if not self.advancing or not self.has_place():  # where nothing was used the place may become another's
            return False
        if (requests is not None and not requests.has_advance(now, 1)) or (used is not None and not used.has_advance(now, tokens)):
            return False
        cells[self._own] += 1
        if self.concurrency < RATE_MAX and sum(self._flights) > self.concurrency - WORKERS_MAX:
            cells[self._own] -= 1
            return False
        if requests is not None:
            requests.advance -= 1
        if used is not None:
            used.advance -= tokens
        return True

    def undo(self, tokens: int) -> None:
        """Take back what `begin_of_advances` did."""
        self._cells[self._own] -= 1
        if self.requests is not None:
            self.requests.advance += 1
        if self.tokens is not None:
            self.tokens.advance += tokens

    def take_advances(self, now: int, tokens: int) -> bool:
        """Take what the next calls need no lock for, and say so: behind a second call of a bucket, where there is plenty for such calls."""
        requests, used, bucket = self.requests, self.tokens, self.advancing[0].bucket_of(now)
        former, self._bucket = self._bucket, bucket
        if bucket != former:  # the first call of a bucket, which may be its last
            return False
        if not ((requests is None or requests.may_advance(now, 1)) and (used is None or used.may_advance(now, tokens))):
            return False
        for window in self.advancing:
            window.take_advance(now)
        return True

    def give_advances_back(self, now: int | None = None) -> bool:
        """Give back what was not needed of advances, all or that of buckets that are over by now, and say whether none is left."""
        for window in self.advancing:
            if window.advance and (now is None or not window.has_advance(now, 0)):
                window.give_advance_back()
        return not any(window.advance for window in self.advancing)

    def end(self, lasted: int) -> None:
        """End a call that lasted so long: this process's own column, so without the lock."""
        self._cells[self._own] -= 1
        words, at = self._words, self._place + LASTING
        before = words[at] or FIRST_MICROS
        words[at] = before + (lasted - before) // LEARNING or 1

    def take_turn(self, now: int) -> int:
        """Return when a place in flight is likely to be free for one more who waits, as `Allowance.take_turn` says."""
        words, place, at = self._memory.words, self._place, (self._place + SERVED) * 2
        each = (words[place + LASTING] or FIRST_MICROS) // self.concurrency
        turn = words[place + LAST_TURN] = min(max(now, words[place + LAST_TURN]) + each, now + TURN_MAX)
        began = [then for then in self._cells[at : at + WORKERS_MAX] if then]
        age_ms = min((now // 1_000 - then & MS_MASK for then in began), default=0)
        return min(turn + age_ms * 1_000, now + TURN_MAX)

    def is_idle(self, now: int) -> bool:
        """Say whether this process may forget it: what was used is not kept here, but for what is left of an advance, or may be soon."""
        windows = self.advancing
        return not windows or (windows[0].bucket_of(now) != self._bucket and not any(window.advance for window in windows))

    def room_at(self, now: int, tokens: int) -> int:
        """Return when the rates have room for a call of so many tokens, if nobody else takes it; now if only a place in flight lacks."""
        return rates_room_at(self.requests, self.tokens, now, needed=tokens)

    def note_waiting(self, now: int, *, waiting: bool) -> None:
        """Tell other processes whether calls of this one wait for room: this process's own column, so without the lock."""
        self._memory.cells[self._cell(WAITING)] = (now // 1_000 & MS_MASK) or 1 if waiting else 0

    def comes_first(self, now: int) -> bool:
        """Say whether no other process that waits has starved, or else none for longer than this one."""
        cells, at, own = self._memory.cells, (self._place + WAITING) * 2, self._memory.worker
        now_ms = now // 1_000
        looked = cells[at : at + WORKERS_MAX].tolist()
        if not any(looked):
            return True
        served = cells[at + WORKERS_MAX : at + 2 * WORKERS_MAX].tolist()
        mine = now_ms - served[own] & MS_MASK
        for other, at_ms in enumerate(looked):
            if at_ms and other != own and (now_ms - at_ms & MS_MASK) < SILENT_MS:
                starved = now_ms - served[other] & MS_MASK
                if starved > STARVED_MS and (starved, other) > (mine, own):
                    return False
        return True

    def _cell(self, column: int) -> int:
        return (self._place + column) * 2 + self._memory.worker


class SharedAdmission(MemoryAdmission):
    """The limits of all processes that share this memory; implements `admission.port.Admission`."""

    look_seconds = LOOK_SECONDS

    def __init__(
        self,
        limits: Limits,
        tiers: Mapping[str, str],
        memory: SharedMemory,
        *,
        wall_clock: WallClock,
        micros: Micros = monotonic_micros,
        report: Callable[[Fact], None] = unheard,
        resets: Resets | None = None,
    ) -> None:
        super().__init__(limits, tiers, wall_clock=wall_clock, micros=micros, report=report, resets=resets)
        self._keeper = self._keep
        self._memory = memory
        self._advances = Advances(memory.lock, micros)

    def _keep(self, name: str, whose: str) -> Limited:
        return SharedAllowance(self._memory, name, whose)

    def _take(self, allowances: tuple[Limited, ...], request: Request, *, tokens: int, input_tokens: int) -> MemoryLease:
        shared, now = cast("tuple[SharedAllowance, ...]", allowances), self._micros()
        if begun_of_advances(shared, now, tokens):
            return self._lease(shared, now)
        try:
            with self._memory.lock:
                settled = cast("tuple[SharedAllowance, ...]", self._settled(shared, now))
                for each in settled:
                    if each.advancing:
                        each.give_advances_back()
                lease = super()._take(settled, request, tokens=tokens, input_tokens=input_tokens)
                for each in settled:
                    if each.advancing and each.take_advances(self._micros(), tokens):
                        self._advances.note(each, self._span / BUCKETS / MICROS)
                return lease
        except (SharedStuck, SharedFull):
            raise ApiError("overloaded", "This server cannot look up what is left of your limits at the moment. Try again soon.") from None

    def _settled(self, allowances: tuple[Limited, ...], now: int) -> tuple[Limited, ...]:
        """Return those that have their places. Raises SharedFull if a key or an account has none; addresses are then not limited."""
        for each in allowances:
            try:
                each.settle(now)
            except SharedFull:
                if each.rates is not self._limits.address:
                    raise
                self._notice(now)
                return tuple(other for other in allowances if other is not each)
        return allowances

    @contextmanager
    def _locked(self) -> Generator[None, None, None]:
        """Hold the lock for steps on vendors' limits. Raises ApiError overloaded."""
        try:
            with self._memory.lock:
                yield
        except (SharedStuck, SharedFull):
            raise ApiError("overloaded", "This server cannot look up what its vendors allow at the moment. Try again soon.") from None

    def _lease(self, allowances: tuple[Limited, ...], now: int) -> MemoryLease:
        lease = SharedLease(self._micros, allowances, now)
        lease.lock = self._memory.lock
        return lease

    def _told(self, allowances: Sequence[Shown], now: int) -> HeaderList:
        """Tell of limits: without the lock where nobody does a step on them meanwhile, as mostly."""
        shared = cast("tuple[SharedAllowance, ...]", allowances)
        try:
            told = headers_on(shared, now, self._wall_clock())
        except Unsure:
            return self._told_for_sure(shared)
        for each in shared:
            if not each.has_place():
                return self._told_for_sure(shared)
        return told

    def _told_for_sure(self, shared: tuple[SharedAllowance, ...]) -> HeaderList:
        """Tell of limits with the lock, under which they are mended and what is too old is forgotten; nothing if it is not to be had."""
        with suppress(SharedStuck, SharedFull, Unsure), self._memory.lock:
            now = self._micros()
            settled = cast("tuple[SharedAllowance, ...]", self._settled(shared, now))
            for each in settled:
                for use in (each.requests, each.tokens):
                    if use is not None:
                        use.left(now)
            return headers_on(settled, now, self._wall_clock())
        return []


class SharedLease(MemoryLease):
    """One call in flight, and the tokens that it has taken; implements `admission.port.Lease`."""

    __slots__ = ("lock",)

    lock: SharedLock  # of the memory; whoever makes the lease sets it

    def cover(self, tokens: int) -> None:
        """Take more tokens. Raises ApiError rate_limit_exceeded; overloaded while they cannot be looked up."""
        if tokens > self.covered:
            try:
                with self.lock:
                    super().cover(tokens)
            except SharedStuck:
                said = "This server cannot look up what is left of your limits at the moment. Try again soon."
                raise ApiError("overloaded", said) from None

    def _correct(self, more: int, now: int, limited: Sequence[Limited]) -> None:
        if not self._step_tokens:  # of this process's advances, where it has some: what it used more, or what is left of what it had first
            shared, back = cast("Sequence[SharedAllowance]", limited), min(-more, self._first)
            windows = [(each, each.tokens) for each in shared if each.tokens is not None]
            if more > 0:
                limited = [each for each, used in windows if not used.spend(now, more)]
            else:
                limited = [each for each, used in windows if not used.keep(self._began, back)]
            if not limited:
                return
        try:
            with self.lock:
                super()._correct(more, self._micros(), limited)
        except SharedStuck:
            return  # what was taken counts for a minute, more than was used


def is_idle(memory: SharedMemory, place: int, now: int) -> bool:
    """Say whether a record may be another's: nothing is in flight, and nothing that was used counts any more."""
    at = (place + COLUMNS) * 2
    waiting = (place + WAITING) * 2
    if any(memory.cells[at : at + WORKERS_MAX]) or any(memory.cells[waiting : waiting + WORKERS_MAX]):
        return False
    if memory.words[place + LAST_TURN] > now:
        return False
    for window_at in (place + REQUESTS, place + TOKENS):
        span = memory.words[window_at + SPAN]
        if span and not SharedWindow(memory.words, memory.cells, window_at, limit=0, span=span).is_idle(now):
            return False
    return True


def forget_worker(memory: SharedMemory, worker: int) -> None:
    """End every lease of a process that has died: its column is nobody's now."""
    for place in memory.rates.taken():
        for column in (COLUMNS, WAITING):
            at = (place + column) * 2 + worker
            if memory.cells[at]:
                memory.cells[at] = 0
