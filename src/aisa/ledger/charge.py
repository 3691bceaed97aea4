"""One call in the ledger, from its opening to its row: what is held for it, how far it got, what it cost. Asks no database."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from msgspec.structs import replace

from aisa.answer import Told
from aisa.clock import WallClock
from aisa.errors import ApiError
from aisa.ledger.advice import with_advice
from aisa.ledger.hold_refusals import cut_short
from aisa.ledger.journal import ATTEMPTS, WHOLE, Slot
from aisa.ledger.journal_record import closing_record, opening_record
from aisa.ledger.port import Bill, Ending
from aisa.ledger.row import NO_OWN_PRICE, OTHER_PRICE, CallRow, Opening, with_reasons
from aisa.ledger.rules import CLIENT_GONE, COMPLETED, CRASHED, FAILED, REFUSED, Delivered, billed
from aisa.ledger.wallets import Limit
from aisa.money import TOKENS_PER_PRICE, Nanos
from aisa.names import kept_name, stored
from aisa.offer import Offer
from aisa.prices.lacking import always_searches
from aisa.prices.rules import CATALOGUE, Price
from aisa.pricing import NO_BREAKDOWN, UnitPrices, cost_of, kinds_without_price, output_price
from aisa.storage.failure import StorageFailed
from aisa.usage import BY_PROGRESS, COUNTED, ESTIMATED, REPORTED, Usage

NANOS_MAX = 2**63 - 1  # that the database takes
STEP_TOKENS = 256  # of output that a stream's hold grows by: at ten dollars per million tokens a quarter of a cent


class ChargeLedger(Protocol):
    """What a charge asks of the ledger that it is in."""

    wall_clock: WallClock
    sync: Callable[[], Awaitable[None]] | None

    def forget(self, call_id: str) -> None:
        """Forget a call that was undone."""
        ...

    def post(self, row: CallRow, slot: Slot, choices: int, *, counted: int) -> None:
        """Take a row that is final, of a call that asked for so many choices with so much input by our count."""
        ...


class Charge:
    """One call in the ledger; implements `ledger.port.Charge`.

    `opening` has the prices of `offer`. Output is held at what it costs with so many `held_input` tokens; without limits nothing is held.
    """

    __slots__ = (
        "_awaited", "_choices", "_held_input", "_ledger", "_listed", "_offer", "_slot", "bill", "bound_name",
        "covered", "held", "limits", "opening", "row",
    )  # fmt: skip

    def __init__(
        self, ledger: ChargeLedger, opening: Opening, slot: Slot, *, offer: Offer, limits: Sequence[Limit] = (), held_input: int = 0
    ) -> None:
        self.opening = opening
        self.row: CallRow | None = None
        self.bill: Bill | None = None
        self._ledger, self._slot = ledger, slot
        self._offer: Offer = offer
        self.limits = limits
        self.held, self._held_input = 0, held_input
        self.covered = 0 if limits else sys.maxsize
        self._listed: Price | None = None  # of the model that answered, if the catalogue prices it otherwise than the one asked
        self._awaited = self._choices = 1
        self.bound_name = "max_tokens"  # what the call's own protocol calls the limit on its output

    def hold(self, amount: Nanos, tokens: int) -> None:
        """Hold an amount for the input and so many tokens of output. Raises ApiError, and holds nothing then."""
        now, taken = self._ledger.wall_clock(), 0
        try:
            for limit in self.limits:
                limit.take(amount, now)
                taken += 1
        except ApiError:
            for limit in self.limits[:taken]:
                limit.hold(-amount)
            raise
        self.held += amount
        self.covered += tokens

    @property
    def input_tokens(self) -> int:
        """What the call's input was taken for when it was opened."""
        return self.opening.input_tokens

    @property
    def progress(self) -> int:
        """The output tokens that have left this process: what is billed if it dies now."""
        return self._slot.words[self._slot.at] % WHOLE

    def void(self) -> None:
        """Undo the opening: no vendor was asked, and there is nothing to keep."""
        for limit in self.limits:
            limit.hold(-self.held)
        self._ledger.forget(self.opening.id)
        self._slot.free()

    def written(self, cost: Nanos) -> None:
        """Note that the database has the row."""
        for limit in self.limits:
            limit.written(cost)

    def serve(self, offer: Offer, attempts: int) -> None:
        """Note that a target is about to be asked. What is held already is for the dearest that may be, and stays."""
        slot = self._slot
        if offer is not self._offer:
            self._offer = offer
            self.opening = offered(self.opening, offer, offer.price_at(self.opening.began_ms // 1000))
            slot.reopen(opening_record(self.opening))
        slot.words[slot.at + ATTEMPTS] = attempts

    def waste(self, made: Usage) -> None:
        """Note what a failed try may cost us: by the vendor's own price list if that is known, else by what it costs the caller there."""
        opening = self.opening
        usage = made if made.input_tokens else replace(made, input_tokens=opening.input_tokens)
        charged = vendor_cost(usage, opening, None)
        wasted = opening.operator_cost + (cost(usage, opening) if charged is None else charged)
        self.opening = replace(opening, operator_cost=min(wasted, NANOS_MAX))
        self._slot.reopen(opening_record(self.opening))

    def cover(self, tokens: int) -> None:
        """Make sure that so many output tokens in all can be paid for. Raises ApiError when they cannot."""
        if tokens > self.covered:
            more = -(-(tokens - self.covered) // STEP_TOKENS) * STEP_TOKENS
            amount, held, covered = -(-more * self._token_price() // TOKENS_PER_PRICE), self.held, self.covered
            try:
                self.hold(amount, more)
            except ApiError as refusal:
                raise cut_short(refusal, held=held, covered=covered, more=more, name=self.bound_name) from None

    def _token_price(self) -> Nanos:
        """Return what a million more output tokens may cost now, also if the answer names the usual tier, or a further model."""
        offer, at = self._offer, self.opening.began_ms // 1000
        named = [offer.answered_price(name, at)[0] for name in offer.further] + ([offer.price_at(at, "")] if offer.tier else [])
        rates = [self.opening.prices, *[price.prices for price in named if price is not None]]
        return max([output_price(each, self._held_input) for each in rates])

    def note(self, tokens: int) -> None:
        """Note that so many have left this process."""
        slot = self._slot
        slot.words[slot.at] = tokens

    def note_whole(self, tokens: int) -> None:
        """Note that all of the answer has left this process, with so many tokens."""
        self.note(tokens or WHOLE)

    def close(self, ending: Ending) -> Bill:
        """Settle, the first time; return the bill."""
        if self.bill is None:
            self._choices = ending.choices
            self._take_price(ending.told)
            made = self._with_rest(ending.generated, ending.told)
            row = row_of(self.opening, ending if made is ending.generated else replace(ending, generated=made), self._listed)
            record = closing_record(row)
            for limit in self.limits:
                limit.spend(row.cost, row.ended_ms // 1000, row.id)  # first: other processes see what is between the two
                limit.hold(-self.held)
            self.row, self.bill = row, bill_of(row)
            self._slot.close(record)
        return self.bill

    def _take_price(self, told: Told) -> None:
        """Take the price of what the answer says of itself: its service tier, and the model that made it."""
        offer, at, before = self._offer, self.opening.began_ms // 1000, self._listed
        other_tier = told.tier is not None and told.tier != offer.tier
        if not other_tier and before is None and (offer.listed is None or told.model in ("", offer.target.model)):
            return  # as nearly always: what was opened holds
        if other_tier:
            self._offer = offer = replace(offer, tier=told.tier)
        price, self._listed = offer.answered_price(told.model, at)
        if other_tier or self._listed is not before:
            self.opening = offered(self.opening, offer, price)

    def _with_rest(self, usage: Usage, told: Told) -> Usage:
        """Return the tokens with what other models advised, and the searches and runs of which the answer tells outside of its usage."""
        prices = self.opening.prices
        if told.advice and prices is not None:
            usage = with_advice(usage, told.advice, offer=self._offer, prices=prices, unix_seconds=self.opening.began_ms // 1000)
        rarer = usage.breakdown or NO_BREAKDOWN
        if prices is None or (rarer.searches and not told.code_runs):
            return usage
        searches = rarer.searches or told.searches or int(prices.per_search is not None and always_searches(self._offer.target.model))
        ran = rarer.code_runs or told.code_runs
        return replace(usage, breakdown=replace(rarer, searches=searches, code_runs=ran)) if searches or told.code_runs else usage

    @property
    def settles_at_once(self) -> bool:
        """Whether `settled` waits for nothing."""
        return self._ledger.sync is None

    async def settled(self) -> None:
        """Return when the settlement is durable enough, or the disk has failed: the answer was made, and its bill is in the journal."""
        if self._ledger.sync is not None:
            with suppress(StorageFailed):
                await self._ledger.sync()

    def confirm(self, delivered: Delivered, *, whole: bool) -> bool:
        """Correct the bill if less arrived than was sent, and let the row go to the ledger. True if nothing else is awaited."""
        row = self.row
        assert row is not None, "it is closed before its delivery can be known"
        try:
            if not whole:
                outcome = CLIENT_GONE if row.outcome == COMPLETED else row.outcome
                final = amended(row, outcome, delivered)
                if final != row:
                    self._correct(final)
        finally:
            self._post()  # whatever happens: a slot that nobody frees is taken until the next start
        return self._awaited == 0

    def await_report(self) -> None:
        """Keep the row open for the vendor's report."""
        self._awaited += 1

    def report(self, generated: Usage, delivered: Delivered, told: Told) -> bool:
        """Take what the vendor says that it made, and what else it tells, and let the row go. True if nothing else is awaited.

        An answer that was finished when its client left is billed as if the report had been there then; the bill of one that was not can
        only fall: no more is billed than was made. Where nothing was reported, what was counted since is billed.
        """
        row = self.row
        assert row is not None, "it is closed before its vendor is read on"
        try:
            self._take_price(told)
            heard = heard_of(row, self.opening, self._with_rest(generated, told), told=told, listed=self._listed)
            if heard != row:
                final = amended(heard, row.outcome, delivered)
                ours = REPORTED not in (generated.source, generated.input_source)
                if delivered.finished or ours or final.cost < row.cost:
                    self._correct(final)
                else:  # the bill stays, and so does what it is made of
                    self._replace(replace(heard, prices=row.prices, price_source=row.price_source, marks=row.marks))
        finally:
            self._post()
        return self._awaited == 0

    def _correct(self, final: CallRow) -> None:
        row = self.row
        assert row is not None, "only a closed call can be corrected"
        for limit in self.limits:
            limit.spend(final.cost - row.cost, row.ended_ms // 1000, row.id)
        self._replace(final)

    def _replace(self, row: CallRow) -> None:
        self.row = row
        self.bill = bill_of(row)
        self._slot.amend(closing_record(row))

    def _post(self) -> None:
        self._awaited -= 1
        if self._awaited == 0 and self.row is not None:
            self._ledger.post(self.row, self._slot, self._choices, counted=self.opening.input_tokens)


def offered(opening: Opening, offer: Offer, price: Price | None) -> Opening:
    """Return the opening of a call that another target is asked for, at the price that it has there."""
    prices, source = (None, "") if price is None else (price.prices, kept_name(price.source))
    return replace(opening, target=kept_name(offer.name), prices=prices, price_source=source)


def row_of(opening: Opening, ending: Ending, listed: Price | None = None) -> CallRow:
    """Return the row of a call that ended. Its end follows from how long it took: the wall clock may have been set meanwhile.

    `listed` is the price of the model that answered, if the catalogue has another for it than for the one asked.
    """
    outcome, generated, delivered, told = ending.outcome, ending.generated, ending.delivered, ending.told
    charged = billed(outcome, generated, delivered)
    row = CallRow(  # by position: naming 30 values costs six times as much, and for more than 30 the compiler makes a list of them
        opening.id,
        opening.account,
        opening.key_id,
        opening.model,
        opening.stream,
        outcome,
        opening.began_ms,
        opening.began_ms + ending.total_ms,
        generated,
        arrived(outcome, delivered, generated=generated, charged=charged),
        charged,
        cost(charged, opening),
        opening.prices,
        opening.price_source,
        opening.prepaid,
        vendor_cost(generated, opening, listed),
        opening.target if ending.attempts else "",
        ending.attempts,
        ending.queue_ms,
        ending.first_token_ms,
        ending.total_ms,
        ending.bytes_sent,
        ending.error_code,
        opening.client_request_id,
        opening.idempotency,
        opening.address,
        stored(told.model) or None,
        told.cost,
        marks_of(charged, opening.prices, other_price=listed is not None),
        opening.operator_cost or None,
    )
    return row if ending.error_message is None else with_reasons(row, ending.error_message, ending.error_detail)


def heard_of(row: CallRow, opening: Opening, generated: Usage, *, told: Told, listed: Price | None) -> CallRow:
    """Return a row with what its vendor has said since; its bill is not computed anew."""
    return replace(
        row,
        generated=generated,
        prices=opening.prices,
        price_source=opening.price_source,
        vendor_cost=vendor_cost(generated, opening, listed),
        answered_model=stored(told.model) or None,
        reported_cost=told.cost,
        marks=marks_of(row.billed, opening.prices, other_price=listed is not None),
    )


def amended(row: CallRow, outcome: str, delivered: Delivered) -> CallRow:
    """Return the row of a call of which this arrived."""
    charged = billed(outcome, row.generated, delivered)
    price = 0 if row.prices is None else cost_of(charged, row.prices)
    had = arrived(outcome, delivered, generated=row.generated, charged=charged)
    other = row.marks is not None and OTHER_PRICE in row.marks
    marks = marks_of(charged, row.prices, other_price=other)
    return replace(row, outcome=outcome, billed=charged, delivered=had, cost=price, marks=marks)


def marks_of(charged: Usage, prices: UnitPrices | None, *, other_price: bool) -> str | None:
    """Return what is to be noted of a bill; nothing of most."""
    plain = charged.breakdown is None and not charged.input_audio_tokens and not charged.output_audio_tokens
    if plain and not other_price:
        return None
    lacking = () if prices is None else kinds_without_price(charged, prices)
    marks = [OTHER_PRICE] if other_price else []
    marks += [f"{NO_OWN_PRICE}:{','.join(lacking)}"] if lacking else []
    return " ".join(marks) or None


def arrived(outcome: str, delivered: Delivered, *, generated: Usage, charged: Usage) -> int:
    """Return the output tokens that a row says were delivered: those of the bill; of a cut stream that was reported in our own measure."""
    ours = outcome != COMPLETED and not delivered.complete and (generated.source == REPORTED or not delivered.tokens)
    return delivered.tokens if ours or outcome in (FAILED, REFUSED) else charged.output_tokens


def crashed(opening: Opening, tokens: int, *, attempts: int, found_ms: int) -> CallRow:
    """Return the row of a call during which our process died, after so many output tokens had left it, and that was found at a moment."""
    generated = Usage(opening.input_tokens, tokens, source=COUNTED, input_source=ESTIMATED, counted_by=BY_PROGRESS)
    ending = Ending(
        outcome=CRASHED,
        generated=generated,
        delivered=Delivered(tokens, tokens),
        attempts=attempts,
        queue_ms=None,
        first_token_ms=None,
        total_ms=max(0, found_ms - opening.began_ms),
        bytes_sent=0,
        error_code=None,
    )
    return row_of(opening, ending)


def bill_of(row: CallRow) -> Bill:
    """Return what the caller is told."""
    return Bill(None if row.prices is None else row.cost, row.billed, row.marks)


def cost(usage: Usage, opening: Opening) -> Nanos:
    """Return what tokens cost at the prices that held when the call was opened."""
    return 0 if opening.prices is None else cost_of(usage, opening.prices)


def vendor_cost(generated: Usage, opening: Opening, listed: Price | None) -> Nanos | None:
    """Return what the vendor may charge us. Only its own price list tells, for the model that answered; ours need not be its."""
    if listed is not None:
        return cost_of(generated, listed.prices)
    if opening.prices is None or not opening.price_source.startswith(CATALOGUE):
        return None
    return cost_of(generated, opening.prices)
