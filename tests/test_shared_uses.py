"""Idempotency-Keys of servers on one PostgreSQL: who is first, what others answer, what while nobody can look; and what servers learn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, insert, select, update

from aisa.edge.idempotency import Answer, IdempotencyStore
from aisa.errors import ApiError
from aisa.ledger.learned_elsewhere import LearnedElsewhere
from aisa.ledger.learned_table import keep_answers
from aisa.ledger.row import CallRow
from aisa.ledger.rules import FAILED
from aisa.ledger.uses_table import GONE_SECONDS, KEPT_SECONDS, TOLD_SECONDS_MAX, Claim, End, Used, claim, end, forget_old
from aisa.ledger.writer import insert_rows
from aisa.providers.measure import Answer as MeasuredAnswer
from aisa.shared_uses import ANSWER_BYTES_MAX, SharedUses
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.migrate import migrate
from aisa.storage.postgres import open_postgres, open_postgres_unlocked
from aisa.storage.tables import idempotency_uses as uses
from aisa.storage.tables import servers
from aisa.usage import Usage
from postgres_rig import Postgres, needs_postgres
from rows import priced

pytestmark = needs_postgres
MARK = "0123456789abcdef0123456789abcdef:fedcba9876543210"
OTHER_BODY = "0123456789abcdef0123456789abcdef:0000000000000000"
TRIES_MAX = 200
KEY, BODY = MARK.split(":")


class Rig:
    """Two servers on one database. `rows` has the database write what the first has billed."""

    def __init__(self, database: Database, unlocked: Database) -> None:
        self.database = database
        self.switch = Switch(unlocked)
        self.one = SharedUses(IdempotencyStore(time.time), unlocked, "one")
        self.other = SharedUses(IdempotencyStore(time.time), self.switch, "other")
        self.one.start()
        self.other.start()

    def ended(self, number: int, **fields: object) -> CallRow:
        """End a call of the first server, whose row is written."""
        now_ms = int(time.time() * 1000)
        row = priced(number, **{"idempotency": MARK, "stream": False, "began_ms": now_ms - 10, "ended_ms": now_ms, **fields})
        self.one.final(row)
        insert_rows(self.database, [row])
        return row


class Switch(Database):
    """A database that can be away."""

    def __init__(self, real: Database) -> None:
        self.away = False
        self._real = real

    def close(self) -> None:
        """Leave it to others, who have it too."""

    @contextmanager
    def transaction(self, busy_milliseconds: int = 0) -> Generator[Connection]:
        """Open one, or fail."""
        if self.away:
            raise StorageFailed("the database", "It is away.", "Wait.")
        with self._real.transaction(busy_milliseconds) as connection:
            yield connection


@pytest.fixture
def database(postgres: Postgres) -> Iterator[tuple[Database, Database]]:
    """A database, and a way to it without the writers' lock."""
    url = postgres.migrated()
    opened, unlocked = open_postgres(url, migrate), open_postgres_unlocked(url)
    with opened.transaction() as connection:
        for server in ("one", "other"):
            connection.execute(insert(servers).values(server=server, seen_at=int(time.time())))
    yield opened, unlocked
    unlocked.close()
    opened.close()


def with_two(database: tuple[Database, Database], scene: Callable[[Rig], Awaitable[None]]) -> None:
    """Play a scene with two servers."""

    async def main() -> None:
        rig = Rig(*database)
        await scene(rig)
        await rig.one.leave()
        await rig.other.leave()

    asyncio.run(main())


async def refused(uses_of: SharedUses, call_id: str, mark: str = MARK) -> str:
    """Claim a key and return the code of the refusal, which is not that the database was too slow for once."""
    with pytest.raises(ApiError) as error:
        await settled(uses_of, call_id, "overloaded", mark=mark)
    return error.value.code


async def settled(uses_of: SharedUses, call_id: str, code: str, *, mark: str = MARK) -> Answer | None:
    """Claim a key as soon as that is not refused with a code, nor because the database is slow: a busy machine takes its time."""
    for _ in range(TRIES_MAX):
        try:
            return await uses_of.claim(mark, call_id)
        except ApiError as error:
            if error.code not in (code, "overloaded"):
                raise
        await asyncio.sleep(0.05)  # another server is waited for
    raise AssertionError(f"still {code}")


def test_a_repeat_at_another_server_waits_for_the_first_and_then_gets_its_document(database: tuple[Database, Database]) -> None:
    """[issue 13] 409 while it runs and until its bill is written, then the same bytes under the same id; another body is 409."""

    async def scene(rig: Rig) -> None:
        row = priced(1)
        assert await settled(rig.one, row.id, "overloaded") is None
        assert await refused(rig.other, "req_b") == "request_in_progress"
        assert await refused(rig.other, "req_b", OTHER_BODY) == "idempotency_conflict"
        rig.one.keep(row.id, "application/json", b'{"id": "x"}')
        rig.ended(1)
        answer = await settled(rig.other, "req_c", "request_in_progress")  # its end is told in the next question
        assert answer is not None
        assert (answer.call_id, answer.content_type, answer.body) == (row.id, "application/json", b'{"id": "x"}')
        assert await settled(rig.other, "req_d", "overloaded") == answer
        assert await refused(rig.other, "req_e", OTHER_BODY) == "idempotency_conflict"

    with_two(database, scene)


def test_what_cost_nothing_may_be_made_anew_anywhere(database: tuple[Database, Database]) -> None:
    """[issue 13] A call that failed unbilled, or was refused before it was opened, leaves its key free for another server."""

    async def scene(rig: Rig) -> None:
        row = priced(1)
        assert await settled(rig.one, row.id, "overloaded") is None
        rig.ended(1, outcome=FAILED, usage=Usage(), cost=0)
        assert await settled(rig.other, "req_b", "overloaded") is None
        rig.other.forget(MARK, "req_b")
        assert await settled(rig.one, "req_c", "request_in_progress") is None
        assert await refused(rig.other, "req_d") == "request_in_progress"

    with_two(database, scene)


@pytest.mark.parametrize("fields", [{"stream": True}, {}, {"large": True}], ids=["a stream", "nothing kept", "too large"])
def test_what_cannot_be_given_again_is_told_as_completed(fields: dict[str, bool], database: tuple[Database, Database]) -> None:
    """[issue 13] A stream, a document that nobody kept, and one of more than ANSWER_BYTES_MAX: 409, with the first call's id."""

    async def scene(rig: Rig) -> None:
        row = priced(1)
        assert await settled(rig.one, row.id, "overloaded") is None
        if fields.pop("large", False):
            rig.one.keep(row.id, "application/json", bytes(ANSWER_BYTES_MAX + 1))
        rig.ended(1, **fields)
        with pytest.raises(ApiError, match=f"{row.id}, was answered and billed, but") as error:
            await settled(rig.other, "req_c", "request_in_progress")
        assert error.value.code == "request_already_completed"

    with_two(database, scene)


def test_a_call_with_a_key_is_refused_while_nobody_can_look_it_up(database: tuple[Database, Database]) -> None:
    """[issue 13] 503 with Retry-After 1, as the first may run elsewhere; what this server knows itself it answers; then all is well."""

    async def scene(rig: Rig) -> None:
        assert await settled(rig.other, "req_a", "overloaded") is None
        rig.switch.away = True
        assert await refused(rig.other, "req_b") == "request_in_progress"
        other = f"{'f' * 32}:{BODY}"
        for _ in range(3):
            with pytest.raises(ApiError) as error:
                await rig.other.claim(other, "req_c")
            assert (error.value.code, error.value.wait) == ("overloaded", 1)
        rig.switch.away = False
        assert await settled(rig.other, "req_d", "overloaded", mark=other) is None
        assert await refused(rig.one, "req_e", other) == "request_in_progress"

    with_two(database, scene)


def test_a_claim_whose_server_died_holds_for_an_hour_and_its_own_server_knows_better(database: tuple[Database, Database]) -> None:
    """[issue 13] Its call may be in the journal of that server, to be billed when it is back: until then it may not be made twice."""
    opened, _ = database
    with opened.transaction() as connection:
        first, again = Claim(KEY, BODY, "req_a"), Claim(KEY, BODY, "req_b")
        assert claim(connection, "one", [first]) == {KEY: None}
        assert claim(connection, "other", [again]) == {KEY: Used("req_a", BODY, runs=True)}
        connection.execute(update(servers).where(servers.c.server == "one").values(seen_at=int(time.time()) - GONE_SECONDS - 5))
        assert claim(connection, "other", [again]) == {KEY: None}
        assert claim(connection, "other", [Claim(KEY, BODY, "req_c")]) == {KEY: None}  # it asks for itself: it does not run there
        assert claim(connection, "third", [again]) == {KEY: Used("req_c", BODY, runs=True)}
        connection.execute(update(uses).values(claimed_at=int(time.time()) - 86_405))  # so its row was written, and is not kept any more
        assert claim(connection, "third", [again]) == {KEY: None}


def test_an_end_that_was_never_told_is_read_from_the_ledger(database: tuple[Database, Database]) -> None:
    """[issue 13] For TOLD_SECONDS_MAX its answer may yet come; from then on it is completed, and not kept. A day later its key is free."""
    opened, _ = database
    now_ms = int(time.time() * 1000)
    wanted = Claim(KEY, BODY, "req_b")
    for number, (age_seconds, expected) in enumerate(((0, True), (TOLD_SECONDS_MAX + 5, False), (86_405, None))):
        row = priced(number, stream=False, ended_ms=now_ms - age_seconds * 1000)
        insert_rows(opened, [row])
        with opened.transaction() as connection:
            connection.execute(uses.delete())
            claim(connection, "one", [Claim(KEY, BODY, row.id)])
            found = claim(connection, "other", [wanted])[KEY]
        assert found == (None if expected is None else Used(row.id, BODY, runs=expected))


def test_old_keys_are_forgotten_and_answers_are_bounded(database: tuple[Database, Database]) -> None:
    """[issue 13] Keys of two days ago go; of the answers the oldest go first where all are too large together."""
    opened, _ = database
    now = int(time.time())
    with opened.transaction() as connection:
        claim(connection, "one", [Claim(f"{number:032x}", BODY, f"req_{number}") for number in range(4)])
        size = 1_000
        ends = [End(f"{number:032x}", f"req_{number}", True, "a/b", bytes(size if number else 8)) for number in range(4)]
        end(connection, ends)
        for number in range(4):
            at = now - (KEPT_SECONDS + 5 if number == 0 else 100 - number)
            connection.execute(update(uses).where(uses.c.call_id == f"req_{number}").values(claimed_at=at))
        forget_old(connection, answers_bytes_max=2 * size)
        left = dict(connection.execute(select(uses.c.call_id, uses.c.answer.is_not(None))).all())
    assert left == {"req_1": False, "req_2": True, "req_3": True}


def test_what_one_server_learns_of_counting_the_others_know(database: tuple[Database, Database]) -> None:
    """[issue 13] What was learned since the last look, by others: what a server has written itself is not told to it again."""
    opened, _ = database
    heard: list[tuple[str, list[MeasuredAnswer]]] = []

    async def main() -> None:
        with opened.transaction() as connection:
            keep_answers(connection, "local/before", [MeasuredAnswer(1, 1, 1)], server="one")
        elsewhere = LearnedElsewhere(opened, "other", lambda target, answers: heard.append((target, answers)))
        for number, (target, server) in enumerate((("local/a", "one"), ("local/b", "other"), ("local/c", "third"))):
            with opened.transaction() as connection:
                keep_answers(connection, target, [MeasuredAnswer(number, 2, 3)], server=server)
        for _ in range(2):
            elsewhere.take(elsewhere.look())

    asyncio.run(main())
    assert sorted(heard) == [("local/a", [MeasuredAnswer(0, 2, 3)]), ("local/c", [MeasuredAnswer(2, 2, 3)])]
