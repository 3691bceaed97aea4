"""The Idempotency-Keys of servers that share a database: decided here where this server knows, else by the database. Speaks no SQL itself.

One question at a time for all calls that wait, each for ASK_MAX at most. A call whose key nobody can look up is refused: it may be running
elsewhere. What became of a claimed call is told along with the next question, or read from the ledger where that was lost.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from aisa.edge.idempotency import NOT_KEPT, STREAMED, Answer, IdempotencyStore, conflict, is_billed, is_running, was_completed
from aisa.endless import begun_again
from aisa.errors import ApiError
from aisa.ledger.row import CallRow
from aisa.ledger.uses_table import Claim, End, Used, claim, end, forget_old
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed

ASK_MAX = timedelta(milliseconds=200)  # that a call waits; a question takes some milliseconds
AWAY = timedelta(milliseconds=1000)  # without an answer, after which no call waits for one
RETRY = timedelta(milliseconds=500)  # between two tries while it is away
FORGET = timedelta(minutes=1)  # between two looks for what does not count any more
LEAVE_MAX = timedelta(milliseconds=2000)  # for what is yet to be told at a stop
BUSY_MILLISECONDS_MAX = 1_000  # that another server's claim of the same key is waited for
ANSWER_BYTES_MAX = 256 << 10  # of one answer that other servers may give again; a chat answer has a few KB
ENDS_MAX = 10_000  # that wait to be told; what is beyond the ledger knows, and its answer is not kept


class SharedUses:
    """The keys that were used, here and by others; implements `edge.idempotency.Uses`. Belongs to the loop that it was made in."""

    def __init__(self, local: IdempotencyStore, database: Database, server: str) -> None:
        self._local = local
        self._database = database
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._claims: dict[str, tuple[Claim, asyncio.Future[Used | None]]] = {}
        self._ends: OrderedDict[str, End] = OrderedDict()  # by call id
        self._wanted = asyncio.Event()
        self._away = False
        self._forgot_at = self._loop.time()

    async def claim(self, mark: str, call_id: str) -> Answer | None:
        """Return the answer to send again; None if the call is the first with its mark. Raises ApiError as `IdempotencyStore.begin`.

        Raises overloaded when nobody can say it.
        """
        answer = self._local.begin(mark, call_id)
        if answer is not None:
            return answer
        try:
            used = await self._first_with(mark, call_id)
        except BaseException:
            self.forget(mark, call_id)
            raise
        if used is None:
            return None
        self._local.forget(mark, call_id)
        return answer_of(used, mark)

    async def _first_with(self, mark: str, call_id: str) -> Used | None:
        if self._away:
            raise nobody_knows()
        key, _, body = mark.partition(":")
        asked = self._loop.create_future()
        self._claims[key] = Claim(key, body, call_id), asked
        self._wanted.set()
        try:
            async with asyncio.timeout(ASK_MAX.total_seconds()):
                used: Used | None = await asked
                return used
        except TimeoutError:
            raise nobody_knows() from None
        finally:
            self._claims.pop(key, None)

    def keep(self, call_id: str, content_type: str, body: bytes) -> None:
        """Keep what a running call answers."""
        self._local.keep(call_id, content_type, body)

    def forget(self, mark: str, call_id: str) -> None:
        """Forget a call that was refused before it was opened, or whose question was not answered: it may have been heard."""
        self._local.forget(mark, call_id)
        self._tell(End(mark.partition(":")[0], call_id, billed=False))

    def final(self, row: CallRow) -> None:
        """Take the final row of a call: another server may give its answer again."""
        self._local.final(row)
        if row.idempotency is not None:
            key, billed = row.idempotency.partition(":")[0], is_billed(row)
            kept = self._local.answer(row.id) if billed else None
            if kept is not None and len(kept.body) <= ANSWER_BYTES_MAX:
                self._tell(End(key, row.id, billed, kept.content_type, kept.body))
            else:
                self._tell(End(key, row.id, billed))

    def _tell(self, ended: End) -> None:
        self._ends[ended.call_id] = ended
        if len(self._ends) > ENDS_MAX:
            self._ends.popitem(last=False)
        self._wanted.set()

    def start(self) -> None:
        """Begin to ask."""
        self._task = self._loop.create_task(begun_again(self._follow))

    async def leave(self) -> None:
        """Ask no more but once, to tell what there is to tell."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._ends and not self._away:
            await asyncio.wait([asyncio.ensure_future(self._turn())], timeout=LEAVE_MAX.total_seconds())
        self._database.close()

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout((RETRY if self._away else FORGET).total_seconds()):
                    await self._wanted.wait()
            if self._away:
                await asyncio.sleep(RETRY.total_seconds())
            self._wanted.clear()
            await self._turn()

    async def _turn(self) -> None:
        """Ask and tell what there is."""
        asked = {mark: waiting for mark, (_, waiting) in self._claims.items()}
        claims, ends = [wanted for wanted, _ in self._claims.values()], self._ends
        self._ends = OrderedDict()
        asking = asyncio.ensure_future(asyncio.to_thread(self._exchange, claims, list(ends.values()), forgetting=self._is_time()))
        while not (await asyncio.wait([asking], timeout=AWAY.total_seconds()))[0]:
            self._away = True
        try:
            found = asking.result()
        except StorageFailed:
            self._away = True
            self._ends = OrderedDict(list((ends | self._ends).items())[-ENDS_MAX:])
            found = {}
        else:
            self._away = False
        for mark, waiting in asked.items():
            if not waiting.done():
                if mark in found:
                    waiting.set_result(found[mark])
                else:
                    waiting.set_exception(nobody_knows())

    def _is_time(self) -> bool:
        due = self._loop.time() - self._forgot_at >= FORGET.total_seconds()
        if due:
            self._forgot_at = self._loop.time()
        return due

    def _exchange(self, claims: Sequence[Claim], ends: Sequence[End], *, forgetting: bool) -> dict[str, Used | None]:
        """Tell ends, then claim, each in a transaction of its own. Raises StorageFailed; again does no harm."""
        found: dict[str, Used | None] = {}
        if ends:
            with self._database.transaction(BUSY_MILLISECONDS_MAX) as connection:
                end(connection, ends)
        if claims or not ends:  # without either, it is asked whether anybody answers
            with self._database.transaction(BUSY_MILLISECONDS_MAX) as connection:
                found = claim(connection, self._server, claims)
        if forgetting:
            with self._database.transaction(BUSY_MILLISECONDS_MAX) as connection:
                forget_old(connection)
        return found


def answer_of(used: Used, mark: str) -> Answer:
    """Return the answer to send again of a call that was the first. Raises ApiError."""
    if used.body != mark.partition(":")[2]:
        raise conflict(used.call_id)
    if used.runs:
        raise is_running(used.call_id)
    if used.answer is None:
        raise was_completed(used.call_id, STREAMED if used.stream else NOT_KEPT)
    return Answer(used.call_id, used.content_type, used.answer)


def nobody_knows() -> ApiError:
    """Return the refusal of a call whose Idempotency-Key nobody can look up."""
    said = "This server cannot look up this Idempotency-Key at the moment, and the first request with it may run elsewhere. Try again soon."
    return ApiError("overloaded", said, retry_after=1)
