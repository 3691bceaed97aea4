"""The ledger of this process: opens charges, knows what each account and key may spend, hands rows to whoever writes them down.

Everything that a call waits for is in memory or in the journal. The database is told later, by `post`, and may be away for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

from aisa.call import Call
from aisa.callbacks import call_guarded
from aisa.clock import WallClock
from aisa.errors import ApiError
from aisa.keys.rules import Capped, Key, window_end, window_start
from aisa.ledger.allotted_holds import hold_with_more
from aisa.ledger.calls_seen import input_held
from aisa.ledger.caps import Cap, capped, spender
from aisa.ledger.charge import Charge
from aisa.ledger.hold_refusals import explained
from aisa.ledger.holds import Hold, Learned, first_hold
from aisa.ledger.input_holds import with_writes
from aisa.ledger.journal import Journal, JournalFull, Slot
from aisa.ledger.journal_record import opening_record
from aisa.ledger.port import Short
from aisa.ledger.port_usage import Span
from aisa.ledger.row import CallRow, Opening
from aisa.ledger.wallets import Limit, Purse, Spending, Wallet
from aisa.money import Nanos
from aisa.names import kept_name
from aisa.offer import Offer, Plan
from aisa.prices.rules import Price
from aisa.pricing import UnitPrices
from aisa.storage.failure import StorageFailed
from aisa.wire.content import INPUT_TOKENS_MAX, Content, input_tokens
from aisa.wire.door import Request

READ_MAX = timedelta(milliseconds=200)  # that a call waits for what a cap has spent, read where the cap or the clock was set
NO_WINDOW = ""  # of a cap that is yet to be given one
#: Writes a row down and calls back when the database has it for good.
Post = Callable[[CallRow, Callable[[], None]], None]
#: Returns what the calls of a span in the database cost, without those whose ids it is told once it has looked. Raises ApiError.
SpentIn = Callable[[Span, Callable[[], Sequence[str]]], Awaitable[Nanos]]


def unheard(_row: CallRow) -> None:
    """Tell nobody."""


async def nothing_spent(_span: Span, _without: Callable[[], Sequence[str]]) -> Nanos:
    """Stand in for a database that has no calls."""
    return 0


class LiveLedger:
    """The ledger in memory; implements `ledger.port.Ledger`.

    `sync` waits until the journal is on disk, None if it need not be. `final` is told of each call with an idempotency mark whose bill will
    not change any more. The attribute `spent` asks the database for what a cap does not know, which happens when the clock was set; `purse`
    and `spending` say where wallets and caps are, if not in here.
    """

    def __init__(
        self,
        journal: Journal,
        post: Post,
        *,
        wallets: Iterable[Wallet] = (),
        caps: Iterable[tuple[str, Cap]] = (),
        wall_clock: WallClock,
        sync: Callable[[], Awaitable[None]] | None = None,
        final: Callable[[CallRow], None] = unheard,
    ) -> None:
        self.wall_clock = wall_clock
        self.sync = sync
        self.wallets = {wallet.account: wallet for wallet in wallets}
        self.caps = dict(caps)  # by the id of a key or team
        self.teams: dict[str, str] = {}  # of keys that are in one, by key id
        #: Calls that are closed, but whose row may not be in the database yet, and calls that are open.
        self.calls: dict[str, Charge] = {}
        self._journal = journal
        self._post = post
        self._final = final
        self.spent: SpentIn = nothing_spent
        self.purse: Callable[[str], Purse] = self.wallet
        self.spending: Callable[[Capped, float], Spending] = self.cap_of
        self.learned = Learned()
        self._reading: set[asyncio.Task[None]] = set()  # one for each window of a cap at most

    @property
    def database_is_away(self) -> bool | None:
        """Whether the database that servers share does not answer, None where they share none."""
        return None

    async def open(self, call: Call, key: Key, request: Request, *, plan: Plan) -> Charge:
        """Open a call. Raises ApiError insufficient_wallet_balance, quota_exceeded, overloaded."""
        now = self.wall_clock()
        began = now - (asyncio.get_running_loop().time() - call.began)  # it has been read and routed since
        wallet = self.purse(key.account)
        offer = plan.offers[0]
        price = offer.price_at(began)
        rates: list[UnitPrices] = []
        limits: list[Limit] = []
        if wallet.balance is not None or key.spend_cap is not None or key.team is not None:
            rates = rates_of(plan, began, price, request=request)
            if rates and (key.spend_cap is not None or key.team is not None):
                limits += await self._known_caps(key, now)
            if rates and wallet.balance is not None:  # now, as caps may have been waited for
                limits.insert(0, wallet)
        content, target = call.door.content(request), offer.target
        counted = input_tokens(content, target.model, target.context_window)
        opening = Opening(  # by position, as a row is made
            call.id,
            key.account,
            key.id,
            kept_name(plan.entry.name),
            request.stream,
            int(began * 1000),
            counted,
            None if price is None else price.prices,
            "" if price is None else kept_name(price.source),
            wallet.balance is not None,
            call.client_request_id,
            call.idempotency,
            kept_name(offer.name),
            call.shown_address,
        )
        try:
            slot = self._journal.take(opening_record(opening))
        except JournalFull as full:
            raise ApiError("overloaded", f"This server cannot keep books of more calls at the moment: {full}. Try again soon.") from None
        held_input = counted
        if limits and (len(plan.offers) > 1 or opening.target in self.learned.times):
            held_input = max([self._input_held(content, each, counted if each is offer else None) for each in plan.offers])
        charge = self.calls[call.id] = Charge(self, opening, slot, offer=offer, limits=limits or (), held_input=held_input)
        try:
            if limits:
                hold = first_hold(rates, request, plan.entry.settings, held_input=held_input, learned=self.usual(plan.offers))
                try:
                    hold_first(charge, hold, request)
                except Short as short:
                    why = partial(explained, hold=hold, request=request, counted=counted)
                    await hold_with_more(short, partial(hold_first, charge, hold, request), why)
            if self.sync is not None:
                await self.sync()
        except BaseException as failure:
            charge.void()
            if isinstance(failure, StorageFailed):
                raise ApiError("overloaded", "This server cannot keep its books on disk at the moment. Try again soon.") from failure
            raise
        return charge

    async def leave(self, left: int) -> None:
        """End: of all calls, `left` are not written. Others wait for nothing that is in this memory."""

    def usual(self, offers: Sequence[Offer]) -> int | None:
        """Return how many output tokens a choice of an answer by these targets has, but for rare ones; None while too few are known."""
        return self.learned.most([kept_name(each.name) for each in offers])

    def _input_held(self, content: Content, offer: Offer, counted: int | None) -> int:
        target, times = offer.target, self.learned.times.get(kept_name(offer.name), 0)
        held = input_held(input_tokens(content, target.model, target.context_window) if counted is None else counted, times)
        return min(held, (target.context_window or INPUT_TOKENS_MAX) * content.windows)

    def forget(self, call_id: str) -> None:
        """Forget a call that was undone."""
        self.calls.pop(call_id, None)

    def wallet(self, account: str) -> Wallet:
        """Return an account's wallet; an account that the database does not know is unlimited."""
        wallet = self.wallets.get(account)
        if wallet is None:
            wallet = self.wallets[account] = Wallet(account, None)
        return wallet

    async def _known_caps(self, key: Key, now: float) -> list[Spending]:
        """Return a key's cap and its team's, once what was spent by this time was read. Raises ApiError overloaded when that takes long.

        They are looked up after all waits: meanwhile another cap may have come in one's place, and nobody reads what is held in the former.
        """
        for whose in capped(key):
            cap = self.spending(whose, now)
            if cap.spent_at(now) is None:
                self._read_soon(whose.id, cap, now)
                if self._reading:
                    await asyncio.wait(self._reading, timeout=READ_MAX.total_seconds())  # a key that was just made is used at once
        caps = [self.spending(whose, now) for whose in capped(key)]
        if any(cap.spent_at(now) is None for cap in caps):
            message = "This server's clock or this cap was set, and it reads what was spent. Try again in a second."
            raise ApiError("overloaded", message, retry_after=1)
        return caps

    def recap(self, key: Key) -> None:
        """Let the caps of a key and its team count that were changed, made or taken away; what was spent is read from the database.

        Calls in flight count in it from then on, with what they hold.
        """
        if key.team is not None:
            self.teams[key.id] = key.team.id
            self._recap(key.team)
        self._recap(key)

    def _recap(self, whose: Capped) -> None:
        if whose.spend_cap is None or whose.spend_window is None:
            self.caps.pop(whose.id, None)
            return
        now, cap = self.wall_clock(), self.caps.get(whose.id)
        if cap is None or not cap.proven:
            cap = self.caps[whose.id] = Cap(whose.spend_cap, NO_WINDOW, spent=0, now=now)
        cap.whose = spender(whose)
        changed = cap.change(whose.spend_cap, whose.spend_window, now)
        for charge in self._charges_of(whose.id):
            if cap not in charge.limits:
                cap.hold(charge.held if charge.row is None else 0)
                charge.limits = (*charge.limits, cap)
        if changed:
            self._read_soon(whose.id, cap, now)

    def _charges_of(self, id_: str) -> list[Charge]:
        """Return the calls in memory of a key, or of a team's keys."""
        return [charge for charge in self.calls.values() if id_ in ((key_id := charge.opening.key_id), self.teams.get(key_id))]

    def _read_soon(self, id_: str, cap: Spending, now: float) -> None:
        began = window_start(cap.window, now)
        if not cap.reading(began):
            rows = [charge.row for charge in self._charges_of(id_) if charge.row is not None]  # who is closed later is told as late
            task = asyncio.get_running_loop().create_task(self._read(id_, cap, began=began, rows=rows))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)

    async def _read(self, id_: str, cap: Spending, *, began: int, rows: Sequence[CallRow]) -> None:
        """Bring what was spent in a window into a cap: by the calls that the database alone has, and by those that are in memory.

        What the latter add from now on, the cap is told as for every window.
        """
        ended = window_end(cap.window, began)
        booked = sum([row.cost for row in rows if began <= row.ended_ms // 1000 < ended])
        ids, spent = [row.id for row in rows], None
        try:
            with suppress(ApiError):  # the database is away: the next call has it read again
                span = Span(began * 1000, ended * 1000, id_)
                spent = booked + await self.spent(span, lambda: [*ids, *cap.late(began)])
        finally:
            cap.learn(began, spent)

    def cap_of(self, whose: Capped, now: float) -> Cap:
        """Return the cap of a key or team that has one."""
        cap = self.caps.get(whose.id)
        if cap is None:
            assert whose.spend_cap is not None, "the caller looked"
            assert whose.spend_window is not None, "a cap has its window"
            cap = self.caps[whose.id] = Cap(whose.spend_cap, whose.spend_window, spent=0, now=now, whose=spender(whose))
            cap.proven = False  # the change that made it, or took it away, is not known here yet, or no more
        return cap

    def post(self, row: CallRow, slot: Slot, choices: int, *, counted: int) -> None:
        """Have a final row written down; its slot is freed when the database has it."""

        def committed() -> None:
            slot.free()
            charge = self.calls.pop(row.id, None)
            if charge is not None:
                charge.written(row.cost)

        self._post(row, committed)  # first: whatever becomes of the others, the row is on its way
        call_guarded(self.learned.note, row, choices, counted)
        if row.idempotency is not None:
            call_guarded(self._final, row)


def rates_of(plan: Plan, now: float, first: Price | None, *, request: Request) -> list[UnitPrices]:
    """Return the prices of every target that may serve a call, at a moment, for a hold; none for those that are free. `first` is known."""
    offer, *others = plan.offers
    if not (others or offer.tier or offer.dear_input):  # as of most calls
        return [] if first is None else [first.prices]
    found = [(offer, first), *[(other, other.price_at(now)) for other in others]]
    if offer.tier:  # the answer may name the usual tier, which may be the dearer one
        found += [(other, other.price_at(now, "")) for other in plan.offers]
    if any(offer.dear_input for offer in plan.offers):
        return with_writes(found, request, now)
    return [each.prices for _, each in found if each is not None]


def hold_first(charge: Charge, hold: Hold, request: Request) -> None:
    """Hold what a call may cost at first. Raises ApiError that says what the hold is made of."""
    if request.stream:  # in which more is held for later
        charge.bound_name = request.bound_name
    try:
        charge.hold(hold.amount, hold.tokens)
    except ApiError as refusal:
        raise explained(refusal, hold, request, counted=charge.input_tokens) from None
