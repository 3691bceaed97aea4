"""What a worker leaves to the office: writing rows, deciding who was first with an Idempotency-Key, what the database alone knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from aisa.edge.idempotency import Answer as KeptAnswer
from aisa.edge.retries import Kept
from aisa.edge.statement import Booked, CallFound, LedgerShown, Statement
from aisa.errors import ApiError
from aisa.keys.rules import Capped
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.port_usage import EndedCalls, Span
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import CallRow
from aisa.ledger.shared_allotments import AllottedHereCap, AllottedHereWallet, MoreWanted, is_away
from aisa.ledger.shared_wallets import SharedCap, SharedWallet
from aisa.ledger.stored_money import MORE_MAX
from aisa.money import Nanos
from aisa.providers.measure import Answer
from aisa.storage.shared_memory import SharedMemory
from aisa.workers.link import Link
from aisa.workers.messages import (
    CALL,
    CAP,
    CLAIM,
    MORE,
    RETRIED,
    AnswerKept,
    AnswersLearned,
    Claim,
    ClaimForgotten,
    Ended,
    RefusedOnes,
    Retried,
    RetryKept,
    Written,
)

MORE_SECONDS_MAX = MORE_MAX.total_seconds() + 0.05  # for the office to ask the database, and for the way there and back
LOOK_SECONDS_MAX = 6.0  # for the office and whom it asks


class RowsByLink:
    """Has rows written by the office; what `ledger.writer.Writer` is to a process that writes itself."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._committed: dict[str, Callable[[], None]] = {}  # of rows by call id: bounded by the journal
        self._refused: dict[str, Callable[[], None]] = {}  # bounded by what is kept of refused calls, some of which have rows, too
        self._emptied: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """How many the database does not have, as far as is known."""
        return len(self._committed) + len(self._refused)

    def post(self, row: CallRow, committed: Callable[[], None]) -> None:
        """Have a row written down; `committed` is called once that is done for good. It is in the journal while it waits for others."""
        self._committed[row.id] = committed
        send = self._link.send_soon if row.idempotency is None else self._link.send  # a repeat may be at another worker already
        send(Ended(row))

    def post_refused(self, record: RefusedCalls, committed: Callable[[], None]) -> None:
        """Have a refused call written down."""
        self._refused[record.id] = committed
        self._link.send(RefusedOnes(record))

    def keep_answers(self, target: str, answers: Sequence[Answer]) -> None:
        """Have it written down what is known of a target's answers, and told to the other workers."""
        self._link.send_soon(AnswersLearned(target, list(answers)))

    def written(self, message: Written) -> None:
        """Take what the database has now."""
        for call_id in message.ids:
            self._committed.pop(call_id)()
        for call_id in message.refused:
            self._refused.pop(call_id)()
        if self._emptied is not None and not self.waiting and not self._emptied.done():
            self._emptied.set_result(None)

    async def stop(self, seconds: float) -> int:
        """Wait until all is written, for so many seconds at most. Returns how many are left."""
        if self.waiting:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._emptied], timeout=seconds)
        return self.waiting


class UsesByLink:
    """The Idempotency-Keys of all workers, which the office keeps; implements `edge.idempotency.Uses`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def claim(self, mark: str, call_id: str) -> KeptAnswer | None:
        """Return the answer to send again; None if the call is the first with its mark. Raises ApiError."""
        try:
            answer = await self._link.ask(CLAIM, msgspec.msgpack.encode(Claim(mark, call_id)))
        except BaseException:  # whoever has left, or has waited for too long, must not keep the others from it
            self.forget(mark, call_id)
            raise
        return msgspec.msgpack.decode(answer, type=KeptAnswer | None)

    def keep(self, call_id: str, content_type: str, body: bytes) -> None:
        """Keep what a running call answers."""
        self._link.send(AnswerKept(KeptAnswer(call_id, content_type, body)))

    def forget(self, mark: str, call_id: str) -> None:
        """Forget a call that was refused before it was opened."""
        self._link.send(ClaimForgotten(mark, call_id))


class RetriesByLink:
    """What may be given to retries that come to any worker, which the office keeps; implements `edge.retries.RetriesKept`."""

    def __init__(self, link: Link, *, on: bool) -> None:
        self.on = on
        self._link = link

    def keep(self, mark: str, kept: Kept) -> None:
        """Keep an answer for its client's next try."""
        self._link.send(RetryKept(mark, kept))

    async def claim(self, mark: str, now: float) -> Kept | None:
        """Return what is kept under a mark, and keep it no longer, unless whoever wants it leaves before it is here."""
        asked = asyncio.ensure_future(self._link.ask(RETRIED, msgspec.msgpack.encode(Retried(mark, now))))
        try:
            answer = await asyncio.shield(asked)
        except ApiError:
            return None  # the office is stuck: it is asked anew then
        except asyncio.CancelledError:
            asked.add_done_callback(partial(self._keep_on, mark))
            raise
        return msgspec.msgpack.decode(answer, type=Kept | None)

    def _keep_on(self, mark: str, asked: asyncio.Future[bytes]) -> None:
        """Give back what nobody waits for any more: the client tries again, and its vendor has been paid for this."""
        if not asked.cancelled() and asked.exception() is None:
            kept = msgspec.msgpack.decode(asked.result(), type=Kept | None)
            if kept is not None:
                self.keep(mark, kept)


class SharedMoney:
    """The wallets and caps that a worker's calls spend from, and its own calls; implements `edge.statement.LedgerShown`."""

    def __init__(self, memory: SharedMemory, ledger: LiveLedger, link: Link, *, allotted: bool = False) -> None:
        """Have a ledger spend from what all processes share; `allotted` says that their server shares it with others."""
        self._memory = memory
        self._allotted = allotted
        self._ledger = ledger
        self._link = link
        self._wallets: dict[str, SharedWallet] = {}
        self._caps: dict[str, SharedCap] = {}
        ledger.purse, ledger.spending, ledger.spent = self.wallet, self.spending, self._have_read

    @property
    def calls(self) -> Mapping[str, Booked]:
        """The calls of this process that are open, or whose row may not be in the database yet."""
        return self._ledger.calls

    @property
    def caps(self) -> Mapping[str, SharedCap]:
        """Caps by the id of the key or team, of those that were used here."""
        return self._caps

    @property
    def is_away(self) -> bool:
        """Whether the database that servers share does not answer."""
        return self._allotted and is_away(self._memory)

    def wallet(self, account: str) -> SharedWallet:
        """Return an account's wallet."""
        wallet = self._wallets.get(account)
        if wallet is None:
            made = AllottedHereWallet(self._memory, account, self._more) if self._allotted else SharedWallet(self._memory, account)
            wallet = self._wallets[account] = made
        return wallet

    def spending(self, whose: Capped, _now: float) -> SharedCap:
        """Return the cap of a key or team that has one."""
        cap = self._caps.get(whose.id)
        if cap is None or (cap.of is not whose and cap.of != whose):
            made = AllottedHereCap(self._memory, whose, self._more) if self._allotted else SharedCap(self._memory, whose)
            cap = self._caps[whose.id] = made
        return cap

    async def _more(self, wanted: MoreWanted) -> None:
        """Have the office ask for more. Raises ApiError."""
        await self._link.ask(MORE, msgspec.msgpack.encode(wanted), MORE_SECONDS_MAX)

    async def _have_read(self, span: Span, _without: Callable[[], Sequence[str]]) -> Nanos:
        """Have the office read what a key or team has spent by the time that it is now: it is in shared memory then."""
        assert span.whose is not None, "a cap is a key's or a team's"
        await self._link.ask(CAP, span.whose.encode())
        return 0


class WorkerStatement(Statement):
    """The bills of this worker and of the database; a call of another worker that is in neither yet is asked for."""

    def __init__(self, ledger: LedgerShown, ended: EndedCalls, refused: Mapping[str, RefusedCalls], *, link: Link) -> None:
        super().__init__(ledger, ended, refused)
        self._link = link
        self._loop = asyncio.get_running_loop()

    def stored(self, call_id: str) -> CallFound | None:
        """Return a call that the database has, or another worker. Not to be called in the event loop's thread."""
        found = super().stored(call_id) or self._elsewhere(call_id)
        return found or super().stored(call_id)  # it may have been written in between

    def _elsewhere(self, call_id: str) -> CallFound | None:
        try:
            answer = asyncio.run_coroutine_threadsafe(self._link.ask(CALL, call_id.encode()), self._loop).result(LOOK_SECONDS_MAX)
        except TimeoutError:
            raise ApiError("overloaded", "The other processes of this server do not answer. Try again soon.") from None
        return msgspec.msgpack.decode(answer, type=CallFound | None)
