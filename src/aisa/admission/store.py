"""The limits of several servers in a store that they share (Valkey, Redis, PostgreSQL): one script a decision, and what counts without it.

What this process lets in it counts by itself too, so that with the store away it can go on with its share of each limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from aisa.admission.allowance import Limited, Shown
from aisa.admission.lease import MemoryLease
from aisa.admission.memory import NO_LIMITS, MemoryAdmission, loop_micros, of_own, tokens_needed, unheard
from aisa.admission.refusals import refusal, stopped_inside, too_large
from aisa.admission.rules import MICROS, RATE_MAX, Usual
from aisa.admission.seen_servers import SeenServers
from aisa.admission.store_way import LEASE_SECONDS, Mode, Open, StoreWay
from aisa.admission.stored import Seen, StoredAllowance
from aisa.admission.unlimited import Unlimited
from aisa.admission.vendor_queue import VendorQueue
from aisa.call import Call
from aisa.clock import Chance, WallClock
from aisa.config.limits import Limits
from aisa.config.schema import Config
from aisa.config.stores import DATABASE_SCHEMES, address_of, limits_database
from aisa.errors import ApiError
from aisa.facts import Fact
from aisa.offer import Plan
from aisa.resets import Resets
from aisa.storage.postgres_script import PostgresScript
from aisa.storage.unanswered import StoreAway
from aisa.storage.valkey import ValkeyScript
from aisa.usage import Usage
from aisa.wire.door import Request
from aisa.wire.port import HeaderList

LUA, SQL = (files("aisa.admission").joinpath(name).read_text("utf-8") for name in ("limits.lua", "limits.sql"))
LEASE = str(round(LEASE_SECONDS * MICROS))
BEGUN, COVERED, ENDED = 8, 3, 4  # words of each allowance in the script's answers, behind the first two


async def open_way(config: Config, chance: Chance, report: Callable[[Fact], None], *, server: str) -> StoreWay:
    """Return the way to the store of limits that a configuration names, tried once. `chance` must differ in each process.

    `server` names what the processes of one server have in common, '' for a process that is a server by itself.
    """
    assert config.stores.limits is not None, "the caller looked"
    span, refuses = round(config.limits.window_seconds * MICROS), config.stores.limits_down == "refuse"
    seen = SeenServers(Path(config.server.data_dir), asyncio.get_running_loop().time)
    way = StoreWay(opener_of(config.stores.limits), span, chance=chance, report=report, refuses=refuses, server=server, remembered=seen)
    way.processes = max(way.processes, config.server.workers)
    await way.start()
    return way


def opener_of(url: str) -> Open:
    """Return what connects to the store of a URL. Raises ValueError for what is none."""
    if url.startswith(DATABASE_SCHEMES):
        database = limits_database(url)
        return lambda looks_max: PostgresScript.open(database, SQL, looks_max)
    address = address_of(url)
    return lambda looks_max: ValkeyScript.open(address, LUA, looks_max)


class StoreAdmission(MemoryAdmission):
    """The limits as the store has them; implements `admission.port.Admission`."""

    def __init__(
        self,
        limits: Limits,
        tiers: Mapping[str, str],
        way: StoreWay,
        *,
        wall_clock: WallClock,
        micros: Callable[[], int] = loop_micros,
        report: Callable[[Fact], None] = unheard,
        resets: Resets | None = None,
    ) -> None:
        self._way = way
        super().__init__(limits, tiers, wall_clock=wall_clock, micros=micros, report=report, resets=resets)
        self._keeper = lambda name, whose: StoredAllowance(name, whose, lambda: way.processes)
        self.share_vendors(self.queue)

    @property
    def store_is_away(self) -> bool | None:
        """Whether the store does not answer."""
        return self._way.is_away

    def share_vendors(self, queue: VendorQueue) -> None:
        """Have the limits of vendors be those of a queue, which may be of all processes of this server, by the server's share."""
        self.queue = queue
        self._way.counted = lambda: queue.share(self._way.servers)
        self._way.counted()

    def configure(self, limits: Limits) -> None:
        """Let other limits hold from now on; what was used stays used."""
        super().configure(limits)
        self._way.span = self._span

    async def admit(self, call: Call, request: Request, plan: Plan, *, input_tokens: int) -> Unlimited | MemoryLease:
        """Return a lease. Raises ApiError rate_limit_exceeded; overloaded if nobody can decide."""
        allowances = self._limiting(call, request)
        if not allowances:
            return NO_LIMITS
        stored = tuple(each for each in allowances if isinstance(each, StoredAllowance))
        if self._way.mode is Mode.STORE:
            try:
                return await self._decided(stored, request, plan, input_tokens=input_tokens)
            except StoreAway:
                pass  # whether it was taken nobody knows: the lease's id is never used again
        if self._way.mode is Mode.NOBODY:
            raise cannot_look()
        return self._begin(allowances, request, plan, input_tokens=input_tokens)

    async def _decided(self, stored: tuple[StoredAllowance, ...], request: Request, plan: Plan, *, input_tokens: int) -> StoreLease:
        """Have the store decide. Raises ApiError, StoreAway."""
        tokens, step = needed_of(stored, request, plan, input_tokens=input_tokens, usual=self._usual)
        lease = StoreLease(self._micros, stored, self._way, began=self._micros())
        try:
            answer = await self._way.ask("begin", lease.keys, lease.id, LEASE, "0", *begin_arguments(stored, tokens))
        except StoreAway:
            raise
        except BaseException:  # who has left must not hold a place
            lease.end_in_store()
            raise
        later = self._micros() - int(answer[1])
        told = [answer[start : start + BEGUN] for start in range(2, len(answer), BEGUN)]
        for each, words in zip(stored, told, strict=True):
            each.seen.see(words, later)
        if answer[0] != "1":
            raise refusal(refused(stored, told, later), self._micros(), tokens=tokens, input_tokens=input_tokens, request=request)
        for each in stored:
            each.take(lease.began, tokens)
        lease.open()
        lease.begun(answer)
        if tokens:
            lease.take_tokens(tokens, input_tokens, step if request.stream else 0)
        return lease

    def _begin(self, allowances: tuple[Limited, ...], request: Request, plan: Plan, *, input_tokens: int) -> MemoryLease:
        """Decide by this process's share, and tell the store if it is there. Raises ApiError rate_limit_exceeded, overloaded."""
        stored = tuple(each for each in allowances if isinstance(each, StoredAllowance))
        tokens, _ = needed_of(stored, request, plan, input_tokens=input_tokens, usual=self._usual)
        for each in stored:
            each.share_anew()
        share = min((each.tokens.limit for each in stored if each.tokens is not None), default=RATE_MAX)
        if tokens > share:
            what = f"This call needs {tokens:,} tokens, and this process may give {share:,} while it cannot ask for what others use."
            raise ApiError("overloaded", what)
        lease = super()._begin(allowances, request, plan, input_tokens=input_tokens)
        assert isinstance(lease, StoreLease), "it makes no others"
        lease.open()
        self._way.tell("begin", lease.keys, lease.id, LEASE, "1", *begin_arguments(stored, tokens), heard=lease.begun)
        return lease

    def _lease(self, allowances: tuple[Limited, ...], now: int) -> MemoryLease:
        stored = tuple(each for each in allowances if isinstance(each, StoredAllowance))
        return StoreLease(self._micros, stored, self._way, began=now)

    def _keep_cap(self, name: str, whose: str) -> Limited:
        return of_own(name, whose)

    def _cap_lease(self, caps: tuple[Limited, ...], now: int) -> MemoryLease:
        """Open a try at a vendor: of vendors' limits each server has its share, and the store knows nothing."""
        return MemoryLease(self._micros, caps, now)

    def _told(self, allowances: Sequence[Shown], now: int) -> HeaderList:
        if self._way.mode is Mode.STORE:
            allowances = [each.seen for each in allowances if isinstance(each, StoredAllowance)]
        return super()._told(allowances, now)


class StoreLease(MemoryLease):
    """One call in flight, and the tokens that it has taken; implements `admission.port.Lease`."""

    __slots__ = ("_began_there", "_step_there", "_stored", "_way", "began", "id", "keys")

    def __init__(self, micros: Callable[[], int], stored: tuple[StoredAllowance, ...], way: StoreWay, *, began: int) -> None:
        super().__init__(micros, stored, began)
        self._stored = stored
        self._way = way
        self._first = self._input = self._step_at = self._step_tokens = 0
        self._began_there = self._step_there = 0  # by the store's clock
        self.began = began
        self.id = way.new_lease()
        self.keys = keys_of(stored, way.span)

    def open(self) -> None:
        """Have it renewed from now on."""
        self._way.leases[self.id] = self.keys

    def begun(self, answer: Sequence[str]) -> None:
        """Take the store's word on when the lease began."""
        self._began_there = int(answer[1])

    def cover(self, tokens: int) -> Awaitable[None] | None:
        """Take more tokens; to be awaited where the store decides. Raises ApiError rate_limit_exceeded, overloaded if nobody can decide."""
        if tokens <= self.covered:
            return None
        if all(each.rates.tpm is None for each in self._stored):
            self.covered = tokens + self._step  # the limit was taken away, and may be there again a step later
            return None
        if self._way.mode is Mode.STORE:
            return self._cover_by_store(tokens)
        self._cover_by_share(tokens)
        return None

    async def _cover_by_store(self, tokens: int) -> None:
        needed = tokens - self.covered
        limited = [each for each in self._stored if each.rates.tpm is not None]
        try:
            answer = await self._way.ask("cover", keys_of(limited, self._way.span), *self._cover_arguments(limited, needed, "0"))
        except StoreAway:
            self._cover_by_share(tokens)
            return
        now = self._micros()
        later = now - int(answer[1])
        told = [answer[start : start + COVERED] for start in range(2, len(answer), COVERED)]
        for each, words in zip(limited, told, strict=True):
            each.seen.see(("", "", *words), later)
        more = int(answer[0])
        if not more:
            raise stopped_inside(refused_inside(limited, told, later), now, needed, again=self._first)
        self._step_there = int(answer[1])
        self._grow(now, more)

    def _cover_by_share(self, tokens: int) -> None:
        if self._way.mode is Mode.NOBODY:
            raise cannot_look()
        limited, before = [each for each in self._stored if each.rates.tpm is not None], self.covered
        arguments = self._cover_arguments(limited, tokens - before, "1")
        super().cover(tokens)
        self._way.tell("cover", keys_of(limited, self._way.span), *arguments, heard=self._covered_there)

    def _covered_there(self, answer: Sequence[str]) -> None:
        self._step_there = int(answer[1])

    def _cover_arguments(self, limited: Sequence[StoredAllowance], needed: int, forced: str) -> list[str]:
        numbers = (str(self._taken), str(needed), str(self._step))
        return [self.id, *numbers, forced, str(self._first), *(str(each.rates.tpm) for each in limited)]

    def release(self, usage: Usage) -> None:
        """End the call with what it used."""
        self._way.leases.pop(self.id, None)
        super().release(usage)
        self.end_in_store(self._used(usage) if self._taken else 0)

    def end_in_store(self, used: int = 0) -> None:
        """Tell the store that the call has ended with so many tokens; to one that does not know of it nothing."""
        lasted = self._micros() - self.began
        numbers = (lasted, used, self._taken, self._step_there, self._step_tokens, self._began_there, self._first)
        limits = [limit for each in self._stored for limit in each.limits()[:2]]
        self._way.tell("end", self.keys, self.id, *map(str, numbers), *limits, heard=self._ended)

    def _ended(self, answer: Sequence[str]) -> None:
        later = self._micros() - int(answer[1])
        for place, each in enumerate(self._stored):
            start = 2 + place * ENDED
            each.seen.see(answer[start : start + ENDED], later)

    def _correct(self, more: int, now: int, limited: Sequence[Limited]) -> None:
        """Let what was really used count here, and be told in headers before the store has answered."""
        super()._correct(more, now, limited)
        for each in self._stored:
            tokens = each.seen.tokens
            if tokens is not None and more > 0:
                tokens.add(now, more)
            elif tokens is not None:
                tokens.give_back(now, -more)


def needed_of(stored: Sequence[StoredAllowance], request: Request, plan: Plan, *, input_tokens: int, usual: Usual) -> tuple[int, int]:
    """Return what a call takes of the whole limits, and its step. Raises ApiError for a call that is larger than one of them."""
    seen = [each.seen for each in stored]
    tokens, step = tokens_needed(seen, request, plan, input_tokens=input_tokens, usual=usual)
    for each in seen:
        if each.tokens is not None and tokens > each.tokens.limit:
            raise too_large(each, tokens, input_tokens=input_tokens, request=request)
    return tokens, step


def keys_of(stored: Sequence[StoredAllowance], span: int) -> list[str]:
    """Return the store's keys of these: of each its record, and its calls in flight. A window of another length is another record."""
    return [f"aisa:{{{each.name}}}:{of}" for each in stored for of in (span, f"{span}:calls")]


def begin_arguments(stored: Sequence[StoredAllowance], tokens: int) -> list[str]:
    """Return what a beginning takes, and of which limits."""
    return [str(tokens), *(limit for each in stored for limit in each.limits())]


def refused(stored: Sequence[StoredAllowance], told: Sequence[Sequence[str]], later: int) -> list[Seen]:
    """Return these as the store saw them when it refused a call; of another answer that has come meanwhile nothing."""
    found: list[Seen] = []
    for each, words in zip(stored, told, strict=True):
        seen = Seen(each.whose, each.rates, each.seen.span)
        seen.see_refusal(words, later)
        found.append(seen)
    return found


def refused_inside(limited: Sequence[StoredAllowance], told: Sequence[Sequence[str]], later: int) -> list[Seen]:
    """Return these as the store saw them when it refused more tokens."""
    words = [("0", "0", left, free_at, "0", "", when, "") for left, free_at, when in told]
    return refused(limited, words, later)


def cannot_look() -> ApiError:
    """Return the refusal of a call while nobody decides."""
    return ApiError("overloaded", "This server cannot look up what is left of your limits at the moment. Try again soon.", retry_after=1)
