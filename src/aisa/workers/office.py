"""What the office does for the workers: their rows go to the database, their claims are decided, what a dead one left is settled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec

from aisa.admission.rules import VendorLimit
from aisa.clock import WallClock
from aisa.console.app import Console
from aisa.edge.admin_gate import AdminGate
from aisa.edge.admin_views import VendorShown
from aisa.edge.board_view import LIVE_ROWS_MAX, BoardShown
from aisa.edge.idempotency import IdempotencyStore
from aisa.edge.operator_app import MetricsSite
from aisa.edge.retries import Retries
from aisa.edge.statement import CallFound, Statement
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.allotted import AllottedCap, AllottedWallet
from aisa.ledger.caps import Cap, capped
from aisa.ledger.journal import Journal
from aisa.ledger.left_behind import JOURNAL_PREFIX
from aisa.ledger.port_usage import EndedCalls
from aisa.ledger.recovery import settled
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import CallRow
from aisa.ledger.shared_allotments import AllottedTreasury, MoreWanted
from aisa.ledger.shared_wallets import MadeWallet, Treasury
from aisa.ledger.store import LedgerStore
from aisa.ledger.stored_money import StoredMoney
from aisa.ledger.writer import Writer
from aisa.observe.metrics import Gauge
from aisa.shared_uses import SharedUses
from aisa.states import Counted, held, standing, stores_away, together
from aisa.storage.shared_memory import STUCK_SECONDS, SharedStuck
from aisa.workers.admin_way import answered_by, metrics_by, page_by
from aisa.workers.claims import Claims
from aisa.workers.crew import Crew, Worker
from aisa.workers.messages import (
    ADMIN,
    BOARD,
    CALL,
    CAP,
    CLAIM,
    CONSOLE,
    END,
    IDS,
    METRICS,
    MORE,
    RETRIED,
    STATES,
    USING,
    VENDORS,
    AnswerKept,
    AnswersLearned,
    Claim,
    ClaimForgotten,
    Ended,
    LossesNoted,
    Message,
    PersonMet,
    RefusedOnes,
    Retried,
    RetryKept,
    Written,
)
from aisa.workers.posted import PostedRow

ROWS_AT_ONCE = 16  # that are taken in one hold of the lock of the memory, for which workers wait: some 10 us each where keys have caps
SETTLE_RETRY_SECONDS = 1.0  # while the database is away
LOOK_SECONDS_MAX = 6.0  # for all workers to answer, which are asked at once

#: Frees the places that a process had in flight.
Forget = Callable[[int], None]


class Office:
    """Hears the workers; implements `crew.Listener` and `edge.statement.LedgerShown`. In the event loop's thread.

    `forget` frees the places in flight of a worker that died.
    """

    crew: Crew
    gate: AdminGate
    adopt: Callable[[Key], None]
    metrics: MetricsSite
    console: Console | None = None

    def __init__(
        self,
        folder: Path,
        *,
        writer: Writer,
        store: LedgerStore,
        treasury: Treasury | AllottedTreasury,
        idempotency: IdempotencyStore | SharedUses,
        wall_clock: WallClock,
        forget: Forget,
    ) -> None:
        self.calls: dict[str, PostedRow] = {}
        self.refused: dict[str, RefusedCalls] = {}
        self._folder = folder
        self._writer = writer
        self._store = store
        self._treasury = treasury
        self._claims = Claims(idempotency)
        self._retries = Retries()
        self._wall_clock = wall_clock
        self._forget = forget
        self._loop = asyncio.get_running_loop()  # asked for once: before Python 3.12 that is a system call
        self._behind: deque[tuple[Worker, CallRow]] = deque()  # rows that the database has, while the lock of the memory is not to be had
        self._reading: set[asyncio.Task[None]] = set()  # one for each change of a key at most
        self._being_read: dict[str, asyncio.Future[None]] = {}  # caps by the id of key or team

    @property
    def caps(self) -> Mapping[str, Cap | AllottedCap]:
        """Caps by the id of the key or team."""
        return self._treasury.caps

    def wallet(self, account: str) -> MadeWallet | AllottedWallet:
        """Return an account's wallet."""
        return self._treasury.wallet(account)

    def know(self, key: Key) -> None:
        """Take a key that is new or has changed."""
        self._treasury.know(key, self._wall_clock())
        task = self._loop.create_task(self._know_caps([each.id for each in capped(key)]))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _know_caps(self, ids: Sequence[str]) -> None:
        with suppress(ApiError):  # the database is away: the next call has it read again
            for id_ in ids:
                await self._read_cap(id_)

    def hear(self, worker: Worker, message: Message) -> None:
        """Take what a worker says."""
        if isinstance(message, Ended):  # most are; a `match` takes longer for it
            self._post(worker, message.row)
            return
        match message:
            case RefusedOnes(record):
                self.refused[record.id] = record
                self._writer.post_refused(record, lambda: self._refused_written(worker, record.id))
            case AnswersLearned(target, answers):
                self._writer.keep_answers(target, answers)
                self.crew.send(message, but=worker)
            case LossesNoted():
                self.crew.send(message, but=worker)
            case PersonMet(key):
                self.adopt(key)
            case AnswerKept(answer):
                self._claims.uses.keep(answer.call_id, answer.content_type, answer.body)
            case RetryKept(mark, kept):
                self._retries.keep(mark, kept)
            case ClaimForgotten(mark, call_id):
                self._claims.forget(worker, mark, call_id)
            case _:
                raise AssertionError(f"a worker says no {message}")

    async def answer(self, worker: Worker, what: str, body: bytes) -> bytes:
        """Answer what a worker asks. Raises ApiError."""
        if what == CLAIM:
            return msgspec.msgpack.encode(await self._claims.decide(worker, msgspec.msgpack.decode(body, type=Claim)))
        if what == CALL:
            return msgspec.msgpack.encode(await self.find(body.decode(), but=worker))
        if what == ADMIN:
            return await answered_by(self.gate, body)
        if what == CONSOLE:
            return await page_by(self.console, body)
        if what == METRICS:
            return await metrics_by(self.metrics, body)
        if what == RETRIED:
            retried = msgspec.msgpack.decode(body, type=Retried)
            return msgspec.msgpack.encode(self._retries.take(retried.mark, retried.now))
        if what == MORE:
            assert isinstance(self._treasury, AllottedTreasury), "nobody else's workers ask"
            await self._treasury.more(msgspec.msgpack.decode(body, type=MoreWanted))
            return b""
        assert what == CAP, "nothing else is asked"
        await self._read_cap(body.decode())
        return b""

    async def find(self, call_id: str, *, but: Worker | None = None) -> CallFound | None:
        """Return a call that is not in the database yet, wherever it runs."""
        if (posted := self.calls.get(call_id)) is not None:
            return CallFound(posted.row, refused=self.refused.get(call_id))
        if (refused := self.refused.get(call_id)) is not None:
            return CallFound(refused=refused, final=True)
        for answer in await self.crew.ask(CALL, call_id.encode(), but=but):
            if (found := msgspec.msgpack.decode(answer, type=CallFound | None)) is not None:
                return found
        return None

    async def settle(self, worker: Worker) -> None:
        """Settle the journal of a worker that is gone: once, whatever of it had arrived here before.

        Its rows that are on their way are waited for first; then, of what its journal has, the database gets what it lacks.
        """
        self._forget(worker.number)
        await worker.all_written()
        path = self._folder / f"{JOURNAL_PREFIX}{worker.number}"
        if path.exists() and not self.crew.gone:
            journal = Journal.open(path, slots_max=0)
            now_ms = int(self._wall_clock() * 1000)
            found = [(settled(each, now_ms), each.slot) for each in journal.found()]
            known = await self._known([row.id for row, _ in found])
            for row, _ in found:
                if row.id not in known:
                    self._post(worker, row)
            await worker.all_written()
            for _, slot in found:
                slot.free()
            journal.close()
            path.unlink()
        self._claims.leave(worker)
        self._treasury.forget_worker(worker.number)

    async def _known(self, ids: Sequence[str]) -> set[str]:
        """Return which ids the database has, however long it is away."""
        while True:
            try:
                return await asyncio.to_thread(self._store.known_ids, ids)
            except ApiError:
                await asyncio.sleep(SETTLE_RETRY_SECONDS)

    def _post(self, worker: Worker, row: CallRow) -> None:
        self.calls[row.id] = PostedRow(row)
        worker.unwritten.add(row.id)
        self._writer.post(row, lambda: self._row_written(worker, row))
        self._claims.final(worker, row)

    def _row_written(self, worker: Worker, row: CallRow) -> None:
        if not self._behind:
            self._loop.call_soon(self._catch_up)  # with all the rows of the same commit
        self._behind.append((worker, row))

    def _catch_up(self) -> None:
        """Take what the database has charged, in order; later, where a worker is stopped that holds the lock."""
        while self._behind:
            some = tuple(islice(self._behind, ROWS_AT_ONCE))
            try:
                self._treasury.written([row for _, row in some], self._wall_clock())  # before their workers let go of it
            except SharedStuck:
                self._loop.call_later(STUCK_SECONDS, self._catch_up)
                return
            for worker, row in some:
                self._behind.popleft()
                del self.calls[row.id]
                worker.note_written(row.id)
                self._written_of(worker).ids.append(row.id)

    def _refused_written(self, worker: Worker, call_id: str) -> None:
        self.refused.pop(call_id, None)
        self._written_of(worker).refused.append(call_id)

    def _written_of(self, worker: Worker) -> Written:
        """Return the message in which a worker is told of all that one commit has written; it leaves soon."""
        if worker.written is None:
            worker.written = Written([])
            self._loop.call_soon(self._send_written, worker)
        return worker.written

    def _send_written(self, worker: Worker) -> None:
        said, worker.written = worker.written, None
        assert said is not None, "it was begun when this was planned"
        worker.link.send(said)

    async def _read_cap(self, id_: str) -> None:
        """Let all see what a key or team has spent in the window that it is now: asked of the ledger when the clock was set."""
        span = self._treasury.unread(id_, self._wall_clock())
        if span is None:
            if (read := self._being_read.get(id_)) is not None:
                await asyncio.wait([read])  # by whoever came first
        else:
            spent, read = None, self._loop.create_future()
            self._being_read[id_] = read
            try:
                # Of calls on their way the cap is told once they are written: those first, as they may be among the others a moment later.
                spent = await asyncio.to_thread(self._store.spent_in, span, lambda: [*tuple(self.calls), *self._treasury.late(span)])
            finally:
                read.set_result(None)  # whoever waits for it goes on after this step, which has no wait in it
                if self._being_read.get(id_) is read:
                    del self._being_read[id_]
                self._treasury.learn(span, spent, self._wall_clock())


class CrewStatement(Statement):
    """The bills of all workers, for the administrator, whose thread may wait for them."""

    def __init__(self, office: Office, ended: EndedCalls) -> None:
        super().__init__(office, ended, office.refused)
        self._office = office
        self._loop = asyncio.get_running_loop()

    def booked(self, call_id: str) -> CallFound | None:
        """Return a call that is not in the database yet."""
        return asyncio.run_coroutine_threadsafe(self._office.find(call_id), self._loop).result(LOOK_SECONDS_MAX)


class CrewStates:
    """The states of all processes of a server, for metrics: those of workers as they are now, so none is there of one that died."""

    def __init__(self, crew: Crew, began: float, money: StoredMoney | None) -> None:
        """`money` is that on a database that servers share."""
        self._crew = crew
        self._began = began
        self._money = money
        self._counted = Counted()

    async def __call__(self) -> list[Gauge]:
        """Return what is now."""
        told = [msgspec.msgpack.decode(answer, type=list[Gauge]) for answer in await self._crew.ask(STATES)]
        workers = Gauge("workers", "Processes that serve calls, and answer.", (((), float(len(told))),))
        still = standing(sum(worker.stands for worker in self._crew.workers.values()))
        database = stores_away(database=None if self._money is None else self._money.away)
        return [self._counted.no_less(gauge) for gauge in together((held(self._began), [workers, still, database], *told))]


class CrewBoard:
    """The calls that run in all workers, for the administrator, whose thread may wait for them."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> BoardShown:
        """Return what there is to see."""
        boards = [msgspec.msgpack.decode(answer, type=BoardShown) for answer in self._asked(BOARD)]
        calls = sorted([call for board in boards for call in board.calls], key=lambda call: -call.age_seconds)[:LIVE_ROWS_MAX]
        count, taken, waiting = (sum(getattr(board, name) for board in boards) for name in ("calls_count", "slots_taken", "rows_waiting"))
        return BoardShown(calls, count, taken, waiting, limits_away=any(board.limits_away for board in boards))

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all calls in journals."""
        return (*tuple(self._office.calls), *(id_ for answer in self._asked(IDS) for id_ in msgspec.msgpack.decode(answer, type=list[str])))

    def using(self) -> dict[str, str | None]:
        """Return the keys that calls run with in any worker."""
        answers = [msgspec.msgpack.decode(answer, type=dict[str, str | None]) for answer in self._asked(USING)]
        return {key_id: address for answer in answers for key_id, address in answer.items()}

    def end(self, call_id: str) -> bool:
        """End a call, whichever worker it runs in."""
        return any(msgspec.msgpack.decode(answer, type=bool) for answer in self._asked(END, call_id.encode()))

    def vendors(self) -> list[VendorShown]:
        """Return how the vendors are: connections of all workers together, and what failed lately in any of them."""
        together: dict[str, VendorShown] = {}
        for answer in self._asked(VENDORS):
            for shown in msgspec.msgpack.decode(answer, type=list[VendorShown]):
                had = together.get(shown.name)
                together[shown.name] = shown if had is None else both(had, shown)
        return list(together.values())

    def _asked(self, what: str, body: bytes = b"") -> list[bytes]:
        return asyncio.run_coroutine_threadsafe(self._office.crew.ask(what, body), self._loop).result(LOOK_SECONDS_MAX)


def both(one: VendorShown, other: VendorShown) -> VendorShown:
    """Return how a vendor is that two workers see."""
    troubles = {trouble.target: trouble for trouble in (*one.troubles, *other.troubles)}
    return msgspec.structs.replace(
        one,
        connections_open=one.connections_open + other.connections_open,
        connections_in_use=one.connections_in_use + other.connections_in_use,
        calls_waiting=one.calls_waiting + other.calls_waiting,
        troubles=tuple(troubles.values()),
        limits=tuple([both_limits(limit, theirs) for limit, theirs in zip(one.limits, other.limits, strict=False)]),
        unheard=one.unheard and other.unheard,
    )


def both_limits(one: VendorLimit, other: VendorLimit) -> VendorLimit:
    """Return how full a limit is that two workers see: one that they share is the same for both, else each has a part of it."""
    waiting, seconds = one.waiting + other.waiting, max(one.waited_seconds, other.waited_seconds)
    together = msgspec.structs.replace(one, waiting=waiting, waited_seconds=seconds)
    if one.shared:
        return together
    return msgspec.structs.replace(
        together,
        rpm_left=sum_of(one.rpm_left, other.rpm_left),
        tpm_left=sum_of(one.tpm_left, other.tpm_left),
        in_flight=sum_of(one.in_flight, other.in_flight),
    )


def sum_of(one: int | None, other: int | None) -> int | None:
    """Add what is limited in both."""
    return None if one is None or other is None else one + other
