"""The limits of one process, in its memory: exact, and nothing is waited for. Keeps only what was used within the last minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import ceil
from operator import itemgetter

import msgspec

from aisa.admission.allowance import Allowance, Limited, Shown
from aisa.admission.kept import Kept
from aisa.admission.lease import MemoryLease
from aisa.admission.places import Places
from aisa.admission.refusals import refusal
from aisa.admission.rules import (
    MICROS,
    RATE_MAX,
    Usual,
    address_group,
    is_none,
    key_rates,
    nothing_is_usual,
    output_at_first,
    tier_of,
)
from aisa.admission.unlimited import Unlimited
from aisa.admission.vendor_caps import Keeping
from aisa.admission.vendor_queue import VendorQueue
from aisa.call import Call
from aisa.clock import WallClock
from aisa.config.limits import Limits
from aisa.facts import Fact, ServerWarning
from aisa.keys.rules import Key
from aisa.offer import Plan
from aisa.resets import Resets
from aisa.wire.door import Request
from aisa.wire.port import HeaderList

#: Client addresses that are limited at once, each some 1 KB. Those beyond are not, until others have been quiet for a minute.
ADDRESSES_MAX = 100_000
NOTICE_MICROS = 60 * MICROS  # between two words on that
NO_LIMITS = Unlimited()

LIMIT, REMAINING, RESET = "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"
REQUESTS = (f"{LIMIT}-requests", f"{REMAINING}-requests", f"{RESET}-requests")
TOKENS = (f"{LIMIT}-tokens", f"{REMAINING}-tokens", f"{RESET}-tokens")
LEFT = itemgetter(0)  # of what `Use.seen` returns


def loop_micros() -> int:
    """Return the event loop's time in microseconds."""
    return round(asyncio.get_running_loop().time() * MICROS)


def loop_clock() -> Callable[[], int]:
    """Return what tells the running loop's time: it is asked for once, as before Python 3.12 that is a system call."""
    time = asyncio.get_running_loop().time
    return lambda: round(time() * MICROS)


def unheard(_fact: Fact) -> None:
    """Tell nobody."""


def of_own(_name: str, whose: str) -> Limited:
    """Return what keeps the use of limits in this process alone."""
    return Allowance(whose)


class KeyLimits(msgspec.Struct, frozen=True):
    """What limits a key, and what that was looked up from. `own` is kept where there is no limit any more, for its calls in flight."""

    key: Key
    tier: str | None
    limits: Limits
    own: Limited | None
    allowances: tuple[Limited, ...]

    def is_idle(self, now: int) -> bool:
        """Say whether it may be looked up anew without a loss."""
        return self.own is None or self.own.is_idle(now)


class MemoryAdmission:
    """The limits as the configuration has them; implements `admission.port.Admission`.

    `tiers` has the names of accounts' own tiers and may change at any time. `micros` is a clock that never goes back, in microseconds.
    `resets` knows whose documents were lost. `queue` has the limits of vendors, and whoever waits for them.
    """

    look_seconds: float | None = None  # between two looks for what other processes have given back

    def __init__(
        self,
        limits: Limits,
        tiers: Mapping[str, str],
        *,
        wall_clock: WallClock,
        micros: Callable[[], int] = loop_micros,
        report: Callable[[Fact], None] = unheard,
        resets: Resets | None = None,
    ) -> None:
        self._resets = resets or Resets()
        self._usual: Usual = nothing_is_usual
        self._keeper: Callable[[str, str], Limited] = of_own  # makes what keeps the use of limits, by a name and whose they are
        self._tiers = tiers
        self._wall_clock = wall_clock
        self._micros = micros
        self._report = report
        self._keys: Kept[KeyLimits] = Kept()
        self._accounts: dict[str, Limited] = {}  # no more than there are
        self._addresses: Kept[Limited] = Kept()
        self._noticed = -NOTICE_MICROS
        keeping = Keeping(self._keep_cap, self._locked, self._cap_lease, micros, self.look_seconds)
        self.queue = VendorQueue(keeping, report)
        self.configure(limits)

    def configure(self, limits: Limits) -> None:
        """Let other limits hold from now on; what was used stays used."""
        self._limits = limits
        self._span = round(limits.window_seconds * MICROS)
        self._by_address = not is_none(limits.address) or len(self._addresses) > 0  # whose calls in flight learn that they have no limit
        self._resets.limit = limits.lost_documents_per_hour
        self.queue.configure(limits)

    def expect(self, usual: Usual) -> None:
        """Take documents without a bound for as long as this says, from now on."""
        self._usual = self.queue.caps.usual = usual

    async def admit(self, call: Call, request: Request, plan: Plan, *, input_tokens: int) -> Unlimited | MemoryLease:
        """Return a lease. Raises ApiError rate_limit_exceeded."""
        allowances = self._limiting(call, request)
        return self._begin(allowances, request, plan, input_tokens=input_tokens) if allowances else NO_LIMITS

    def _limiting(self, call: Call, request: Request) -> tuple[Limited, ...]:
        """Return all that limits a call. Raises ApiError rate_limit_exceeded for documents that were lost."""
        if self._resets.limit is not None and not request.stream:
            self._resets.allow(call.key.id, self._micros() / MICROS)
        allowances = self._of_key(call.key)
        if self._by_address and (of_address := self._of_address(call.address, self._micros())) is not None:
            allowances = (*allowances, of_address)
        return allowances

    def _begin(self, allowances: tuple[Limited, ...], request: Request, plan: Plan, *, input_tokens: int) -> MemoryLease:
        """Take of all of these. Raises ApiError rate_limit_exceeded."""
        tokens, step = tokens_needed(allowances, request, plan, input_tokens=input_tokens, usual=self._usual)
        lease = self._take(allowances, request, tokens=tokens, input_tokens=input_tokens)
        if tokens:
            lease.take_tokens(tokens, input_tokens, step if request.stream else 0)
        return lease

    def _take(self, allowances: tuple[Limited, ...], request: Request, *, tokens: int, input_tokens: int) -> MemoryLease:
        now = self._micros()
        for each in allowances:
            if not each.has_room(now, tokens):
                raise refusal(allowances, now, tokens=tokens, input_tokens=input_tokens, request=request)
        for each in allowances:
            each.take(now, tokens)
        return self._lease(allowances, now)

    def _lease(self, allowances: tuple[Limited, ...], now: int) -> MemoryLease:
        return MemoryLease(self._micros, allowances, now)

    def _keep_cap(self, name: str, whose: str) -> Limited:
        """Return what keeps the use of a vendor's limits."""
        return self._keeper(name, whose)

    def _cap_lease(self, caps: tuple[Limited, ...], now: int) -> MemoryLease:
        """Open a try at a vendor."""
        return self._lease(caps, now)

    def _locked(self) -> AbstractContextManager[None]:
        """Hold what other processes share, for steps on vendors' limits. Raises ApiError."""
        return nullcontext()

    def places(self, call: Call, request: Request, plan: Plan, *, input_tokens: int) -> Places:
        """Return what has a call's places at vendors."""
        return Places(self.queue, call, request, plan=plan, input_tokens=input_tokens)

    @property
    def store_is_away(self) -> bool | None:
        """Whether the store that servers share does not answer, None where they share none."""
        return None

    def drain(self) -> None:
        """Let nobody begin to wait for a vendor any more."""
        self.queue.draining = True

    def headers(self, key: Key) -> HeaderList:
        """Return the headers on the key's limits: of each kind, those of the limit with the least left."""
        allowances = self._of_key(key)
        return self._told(allowances, self._micros()) if allowances else []

    def _told(self, allowances: Sequence[Shown], now: int) -> HeaderList:
        return headers_on(allowances, now, self._wall_clock())

    def _of_key(self, key: Key) -> tuple[Limited, ...]:
        """Return what limits a key: its own allowance and its account's, as far as they have limits."""
        known = self._keys.get(key.id)
        if known is not None and known.key is key and known.limits is self._limits and known.tier == self._tiers.get(key.account):
            return known.allowances
        return self._look_up(key, known)

    def _look_up(self, key: Key, known: KeyLimits | None) -> tuple[Limited, ...]:
        limits = self._limits
        tier = tier_of(limits, self._tiers, key.account)
        rates = key_rates(tier, key)
        own, joint = None if known is None else known.own, self._accounts.get(key.account)
        if own is None and not is_none(rates):
            own = self._keeper(f"key {key.id}", "This key")
        if joint is None and not is_none(tier.account):
            joint = self._accounts[key.account] = self._keeper(f"account {key.account}", "The account of this key")
        found: list[Limited] = []
        for kept, limit in ((own, rates), (joint, tier.account)):
            if kept is not None:
                kept.limit(limit, self._span)  # calls in flight have it even if it limits no other any more
                found += () if is_none(limit) else (kept,)
        self._keys.add(key.id, KeyLimits(key, self._tiers.get(key.account), limits, own, tuple(found)), self._micros())
        return tuple(found)

    def _of_address(self, address: str, now: int) -> Limited | None:
        """Return what limits a client's address; None of one that is not known, and while there are too many."""
        group = address_group(address)
        found = self._addresses.get(group)
        if found is None:
            if not group or is_none(self._limits.address):
                return None
            if len(self._addresses) >= ADDRESSES_MAX:
                self._notice(now)
                return None
            found = self._keeper(f"address {group}", "Your address")
            self._addresses.add(group, found, now)
        if found.rates is not self._limits.address or (found.requests or found.tokens) is None:
            found.limit(self._limits.address, self._span)
        return found

    def _notice(self, now: int) -> None:
        if now >= self._noticed + NOTICE_MICROS:
            self._noticed = now
            what = f"more than {ADDRESSES_MAX:,} client addresses called within a minute: those beyond are limited by their keys alone"
            self._report(ServerWarning(what))


def headers_on(allowances: Sequence[Shown], now: int, unix_seconds: float) -> HeaderList:
    """Return the headers on these at a moment, which wall clocks call so: of each kind, those of the limit with the least left."""
    headers = HeaderList()
    for kind, seen in (
        (REQUESTS, [each.requests.seen(now) for each in allowances if each.requests is not None]),
        (TOKENS, [each.tokens.seen(now) for each in allowances if each.tokens is not None]),
    ):
        if seen:
            least, of, free_at = seen[0] if len(seen) == 1 else min(seen, key=LEFT)
            limit, left = str(of), str(max(0, least))
            reset = str(ceil(unix_seconds + (free_at - now) / MICROS))
            if not headers:
                headers = [(LIMIT, limit), (REMAINING, left), (RESET, reset)]
            headers += ((kind[0], limit), (kind[1], left), (kind[2], reset))
    return headers


def tokens_needed(allowances: Sequence[Shown], request: Request, plan: Plan, *, input_tokens: int, usual: Usual) -> tuple[int, int]:
    """Return how many tokens a call takes of these before it is asked, and by how many a stream grows; 0 where none limits them."""
    tokens_max, step = RATE_MAX, 0
    for each in allowances:
        if each.tokens is not None and each.tokens.limit < tokens_max:
            tokens_max, step = each.tokens.limit, each.step
    if not step:
        return 0, 0
    return input_tokens + output_at_first(request, plan, step=step, tokens_max=tokens_max - input_tokens, usual=usual), step
