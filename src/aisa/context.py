"""What one admitted call holds open, and the only place where it is let go. Decides nothing about the call's course: `relay` does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from aisa.admission.port import Admission
from aisa.background_reads import BackgroundReads
from aisa.call import END, Call, Life
from aisa.clock import SECONDS_PLACES, Chance
from aisa.config.schema import Stream
from aisa.delivery import StreamDelivery, with_text
from aisa.document import DocumentDelivery
from aisa.errors import ApiError, detail_of, fault_of, without_frames, words_kept
from aisa.facts import (
    CallEnded,
    DocumentLost,
    Fact,
    InputChanged,
    UsageMisreported,
)
from aisa.health import Health
from aisa.keys.port import Keys
from aisa.large_events import EventShare, LargeEvents
from aisa.ledger.port import Bill, Charge, Ending, Ledger
from aisa.ledger.refusal import Refusal, not_kept
from aisa.ledger.rules import CLIENT_GONE, CLIENT_STALLED, COMPLETED, CUT, FAILED, REFUSED, Delivered
from aisa.long_counts import LongCounts
from aisa.money import Nanos
from aisa.notices import Notices
from aisa.offer import Offer, Plan
from aisa.permit import Permit
from aisa.providers.omissions import Omissions
from aisa.providers.output import note_answer
from aisa.providers.port import Answer, Upstream
from aisa.providers.shape import Decoder, Dialect, Target, told
from aisa.providers.vendor_state import VendorStates
from aisa.resets import Resets
from aisa.routing import Routes
from aisa.timeouts import PADDED_HEAD_SECONDS, PADDING, PADDING_SECONDS, CallTimeouts, keep_alive_of
from aisa.timers import Timers
from aisa.traffic import TargetTry
from aisa.usage import Usage
from aisa.wire.door import Door, Encoder, Request
from aisa.wire.origins import named
from aisa.wire.port import Client, HeaderList

ANSWER_PER_IDLE = 10  # a document shows no tokens while it is made; ten times the timeouts for one token, 600 s by default
PADDED_HEADER = "x-aisa-padded"
NO_CACHE: HeaderList = [("cache-control", "no-cache"), ("x-accel-buffering", "no")]


def new_live() -> set[CallContext]:
    """Return an empty set."""
    return set()


class Dependencies(msgspec.Struct):
    """Everything that the path needs, made once at start."""

    keys: Keys
    read: Callable[[Door, bytes], Awaitable[Request]]
    work: Callable[[int, Callable[[], object]], Awaitable[None]]  # of a task for a request's body of so many bytes
    routes: Routes
    admission: Admission
    ledger: Ledger
    dialects: Mapping[str, Dialect]
    upstreams: Mapping[str, Upstream]
    stream: Stream
    chance: Chance
    report: Callable[[Fact], None]
    notices: Notices
    background_reads: BackgroundReads
    large_events: LargeEvents
    long_counts: LongCounts = msgspec.field(default_factory=LongCounts)
    timers: Timers = msgspec.field(default_factory=Timers)
    keep_refusal: Callable[[Refusal], None] = not_kept
    states: VendorStates | None = None  # None: what vendors want back from their clients is not kept
    omissions: Omissions = msgspec.field(default_factory=Omissions)
    health: Health = msgspec.field(default_factory=Health)
    resets: Resets = msgspec.field(default_factory=Resets)
    note_throttled: Callable[[float], None] = lambda _seconds: None  # for how long a client was slower than its vendor
    note_silence: Callable[[str], None] = lambda _vendor: None  # inside a stream, as long as one may be without a sign of life
    live: set[CallContext] = msgspec.field(default_factory=new_live)  # the calls in flight, for those who watch


class CallContext:
    """One admitted call."""

    # Slots: an object with so many attributes would get a dictionary of its own.
    __slots__ = (
        "_bill", "_choices", "_ended_at", "_handed", "_used", "answer", "call", "changed", "charge", "client", "covered", "decoder",
        "delivery", "dependencies", "document", "dropped", "encoder", "error", "key", "large", "life", "padded", "permit", "plan",
        "request", "served", "target", "timeouts", "watch",
    )  # fmt: skip

    charge: Charge  # of the permit
    covered: int  # output tokens that may be sent, as the permit said last
    _handed: Delivered  # what was handed to the client's connection when the call was settled, behind which no token is
    _ended_at: float
    _used: Usage  # when it was settled

    def __init__(self, call: Call, client: Client, dependencies: Dependencies, *, request: Request, plan: Plan) -> None:
        self.encoder: Encoder | None = None
        self.answer: Answer | None = None
        self.decoder: Decoder | None = None
        self.permit: Permit | None = None
        self.document: DocumentDelivery | None = None  # instead of `delivery`, if the answer is one
        self.error: ApiError | None = None
        self.dropped: tuple[str, ...] = ()
        self.changed: tuple[str, ...] = ()
        self.padded = False  # a document's head has left before the document is known
        self.large: EventShare | None = None  # of a stream that has had a large event
        self.served: Offer | None = None  # whose answer has begun to come
        self.watch: TargetTry | None = None  # this try, where others go by it
        self._bill: Bill | None = None
        self._choices = request.choices
        self.call, self.key, self.client = call, call.key, client
        self.request, self.plan, self.dependencies = request, plan, dependencies
        self.life = Life(FAILED)
        self.target, self.delivery = plan.offers[0].target, StreamDelivery(client)
        dependencies.live.add(self)
        settings = plan.entry.settings
        idle = settings.idle_timeout_seconds
        silence = idle if request.stream else settings.answer_timeout_seconds or ANSWER_PER_IDLE * idle
        kept, stream = None, dependencies.stream
        if request.stream:
            kept = keep_alive_of(CallContext.start_stream, stream.head_hold_seconds, stream.keep_alive_seconds, call.door.keep_alive)
        elif settings.documents == "padded":
            kept = keep_alive_of(CallContext.start_padded, PADDED_HEAD_SECONDS, PADDING_SECONDS, PADDING)
        self.timeouts = CallTimeouts(dependencies.timers, client, stream, silence_seconds=silence, keep_alive=kept, answer=self)

    def admit(self, permit: Permit) -> None:
        """Take the call's permit."""
        self.permit, self.charge, self.covered = permit, permit.charge, permit.covered
        self.call.opened = True

    @property
    def used(self) -> Usage:
        """The tokens that the vendor has made so far, as far as is known."""
        return NOTHING if self.decoder is None else self.decoder.usage()

    async def hold_event(self, held: int) -> None:
        """So many bytes of an unfinished event are held: wait until more may be read. Raises ApiError overloaded."""
        if self.large is None:
            self.large = EventShare(self.dependencies.large_events)
        await self.large.hold(held)

    @property
    def is_whole(self) -> bool:
        """Whether the vendor has said all of its answer, which can be settled and ended without a wait."""
        return self.decoder is not None and self.decoder.done and self.charge.settles_at_once

    async def cover(self, tokens: int) -> None:
        """Return once so many more may be sent. Raises ApiError when they cannot be paid for, or a store does not say it in time."""
        permit = self.permit
        assert permit is not None, "it was given before the vendor was asked"
        await self.timeouts.wait_for_store(permit.extend(self.delivery.tokens + tokens))
        self.covered = permit.covered

    async def wait_for_client(self) -> None:
        """Wait until the client has taken what is waiting for it, note then what has left, and hold nothing of a large event any more."""
        charge, delivery, began = self.charge, self.delivery, self.timeouts.now()
        try:
            await self.timeouts.wait_for_client(lambda: charge.note(delivery.taken()))
        finally:
            self.dependencies.note_throttled(self.timeouts.now() - began)
        if self.large is not None:
            self.large.release()

    def silent(self) -> None:
        """A sign of life is due, as the vendor says nothing: count that if it is inside of what it has to say."""
        if self.life.answered:
            self.dependencies.note_silence(self.target.vendor)

    def start_stream(self) -> None:
        """Commit to a stream's head."""
        self.client.start(200, self.headers() + NO_CACHE, None, probe=self.call.door.keep_alive)
        self.timeouts.started()

    def start_padded(self) -> None:
        """Commit to the head of a document that is not there yet."""
        self.padded = True
        self.client.start(200, [*self.headers(), (PADDED_HEADER, "true"), *NO_CACHE], None)

    def with_state(self, target: Target) -> Target:
        """Return a target with what its vendor wants back from the account that calls."""
        states = self.dependencies.states
        return target if states is None else states.given(target, self.key.account, target.vendor)

    def writer(self) -> Encoder:
        """Return what writes the answer of the attempt that is being made."""
        if self.encoder is None:
            self.encoder = self.call.door.encoder(self.request, call_id=self.call.id, created=self.call.created)
        return self.encoder

    def headers(self) -> HeaderList:
        """Return the headers of a good answer."""
        headers = [*self.writer().headers, *self.call.headers, *self.dependencies.admission.headers(self.key)]
        if self.served is not None:
            headers += (("x-aisa-served-by", self.served.shown), ("x-aisa-attempts", str(self.life.attempts)))
        if dropped := self.dropped + getattr(self.decoder, "unheeded", ()):
            headers.append(("x-aisa-dropped-params", named(dropped, self.request)))
        if self.changed:
            headers.append(("x-aisa-changed-params", named(self.changed, self.request)))
        if self._choices > 1 and self.choices_missing:
            headers.append(("x-aisa-missing-choices", str(self.choices_missing)))
        return headers

    def correct(self) -> None:
        """Have limits count what a call that was settled has used."""
        if self.permit is not None:
            self.permit.correct(self._used)

    def told(self) -> HeaderList:
        """Return the headers of an answer that is none but a failure, which is settled by then."""
        self.correct()
        return self.call.headers + self.dependencies.admission.headers(self.key)

    def settle(self, outcome: str) -> Bill:
        """Close the charge with what is known now. The first settlement counts."""
        if self._bill is None:
            self.life.settle(outcome)
            self.timeouts.stop()
            self._bill = self.charge.close(self._ending(outcome))
        return self._bill

    def close(self) -> None:
        """Let everything go and report the call. Synchronous, so that no cancellation can fall into it."""
        settled = self._bill is not None
        if not settled:
            self.timeouts.stop()
        self.dependencies.live.discard(self)
        if self.watch is not None:
            self.watch.end()
        if (large := self.large) is not None:  # a whole answer ends while its client still has to take it
            self.client.tell_delivery(lambda _delivered: large.release())
        permit, call, error = self.permit, self.call, self.error
        if permit is not None and not settled:  # a bug of ours ended the call
            self.settle(CUT if self.life.answered else FAILED)
        if error is not None and (permit is None or self.life.outcome == REFUSED):
            self.dependencies.keep_refusal(Refusal(call.id, call.key, error, call.asked, call.client_request_id, call.shown_address))
        if self.life.failed is not None:
            without_frames(self.life.failed)
        self.life.step(END)
        self._ended_at = self.timeouts.now()
        if self.decoder is not None and (self.decoder.unknown or self._choices > 1):
            made = self._choices - self.choices_missing
            self.dependencies.notices.tell_answer(
                self.call.id, self.target, self.decoder, choices=(self._choices, made), now=self._ended_at
            )
        if permit is None:
            self.dependencies.report(self._fact(self.life.outcome, NOTHING, 0, cost=None))
            return
        permit.end(self._used)
        self._let_vendor_go(permit.charge)
        self._confirm(permit.charge)

    def _tell_final(self, charge: Charge) -> None:
        """Report the call as its row has it, which will not change any more, and what is wrong with its vendor's report or its price."""
        row, bill = charge.row, charge.bill
        assert row is not None, "a charge that is final was closed"
        assert bill is not None, "and has its bill since then"
        notices, target = self.dependencies.notices, self.target
        self.dependencies.report(self._fact(row.outcome, row.generated, row.billed.output_tokens, cost=bill.cost))
        fault = "" if self.decoder is None else self.decoder.usage_fault(row.generated)
        if fault:
            notices.tell(UsageMisreported(self.call.id, target.vendor, target.model, fault), self.timeouts.now())
        if bill.marks:
            for mark in bill.marks.split():
                notices.tell_mark(mark, row, target, now=self.timeouts.now())

    @property
    def choices_missing(self) -> int:
        """How many of the choices that were asked for a vendor left out that answered in order."""
        decoder = self.decoder
        return 0 if decoder is None or not decoder.done else max(0, self._choices - decoder.choices_made)

    def _let_vendor_go(self, charge: Charge) -> None:
        """Cancel what the vendor may still be doing, unless there is something to be learned: the charge is final only after that."""
        answer, decoder, delivery, outcome = self.answer, self.decoder, self.delivery, self.life.outcome
        if answer is None:
            return
        if decoder is None or outcome in (COMPLETED, FAILED, REFUSED):
            answer.close()
            return
        finished, left = decoder.finished, outcome in (CLIENT_GONE, CLIENT_STALLED) and not decoder.done

        def report(generated: Usage) -> None:
            sent = Delivered(delivery.tokens, decoder.tokens, decoder.reasoning_shown, finished)
            if charge.report(generated, self._arrived(sent), told(decoder, answer)):
                self._tell_final(charge)

        vendor, counts = self.target.vendor if left else None, self.dependencies.long_counts
        if self.dependencies.background_reads.start(answer, decoder, report, vendor=vendor, counts=counts):
            charge.await_report()

    def _confirm(self, charge: Charge) -> None:
        """Have the charge told what the client really has, as soon as that is known."""
        life = self.life
        if life.outcome in (FAILED, REFUSED):
            if charge.confirm(Delivered(), whole=True):  # it costs nothing, whoever hears of it
                self._tell_final(charge)
            return
        finished = life.finished or life.settled_as != COMPLETED  # a settlement may be followed by a client's leaving, and not by the end

        def tell(whole: bool) -> None:
            document = self.document
            if (whole and finished) or (document is not None and document.arrived()):
                final = charge.confirm(self._handed, whole=True)
            else:
                final = charge.confirm(self._arrived(self._handed), whole=False)
                self._note_loss()
            if final:
                self._tell_final(charge)

        self.client.tell_delivery(tell)

    def _note_loss(self) -> None:
        """Report a document that was handed over whole and did not arrive so."""
        key = self.key
        if self.document is not None and self.document.is_out:
            lost = self.dependencies.resets.note(key.id, self.timeouts.now())
            self.dependencies.report(DocumentLost(self.call.id, key.id, key.label, lost))

    def _arrived(self, sent: Delivered) -> Delivered:
        """Return what the client has of what was sent."""
        everything = self.delivery.opened()
        opened = everything and self.life.settled_as in (COMPLETED, CLIENT_GONE)
        had = msgspec.structs.replace(sent, tokens=self.delivery.delivered(), opened=opened)
        return with_text(had, self.decoder, everything=everything)

    def _ending(self, outcome: str) -> Ending:
        life, began, sent = self.life, self.call.began, self.delivery.sent(self.decoder)
        asked_at, first_token_at = life.asked_at, life.first_token_at
        self._handed, self._used, said = sent, self.used, told(self.decoder, self.answer)
        if said.input_changes:
            change = InputChanged(self.call.id, self.target.vendor, self.target.model, said.input_changes)
            self.dependencies.notices.tell(change, self.timeouts.now())
        if outcome in (CLIENT_GONE, CLIENT_STALLED):
            sent = self._arrived(sent)
        elif outcome != COMPLETED:
            sent = with_text(sent, self.decoder, everything=True)
        return Ending(
            outcome,
            self._used,
            sent,
            life.attempts,
            None if asked_at is None else int((asked_at - began) * 1000),
            None if first_token_at is None else int((first_token_at - began) * 1000),
            int((self.timeouts.now() - began) * 1000),
            self.client.bytes_sent,
            None if self.error is None else self.error.code,
            said,
            self._choices - self.choices_missing if self._choices > 1 else 1,
            None if self.error is None else words_kept(self.error),
            None if self.error is None else detail_of(self.error, life.failed),
        )

    def _fact(self, outcome: str, usage: Usage, tokens: int, *, cost: Nanos | None) -> CallEnded:
        """Return the call's line for the log, by position, as a row is made. `tokens` are billed."""
        call, life, key, error, first = self.call, self.life, self.key, self.error, self.life.first_token_at
        unheard = outcome == CLIENT_GONE and not self.client.started
        return CallEnded(
            call.id,
            outcome,
            STATUS_OF_NOBODY if unheard else 200 if error is None or life.answered or self.padded else error.status,
            self.plan.entry.name,
            self.request.stream,
            key.id,
            key.label,
            life.target,
            life.attempts,
            usage,
            tokens,
            cost,
            None if first is None else round(first - call.began, SECONDS_PLACES),
            round(self._ended_at - call.began, SECONDS_PLACES),
            self.client.bytes_sent,
            call.client_request_id,
            None if error is None else error.code,
            call.shown_address,
            None if error is None else fault_of(error, life.failed),
            call.trace and note_answer(call.trace, self.decoder, self.answer),
        )


NOTHING = Usage()
STATUS_OF_NOBODY = 499  # in the log, of a client that left before it was told any: nginx has called it so first
