"""What an administrator is told who asks a PostgreSQL database that is not there; none is needed: nobody listens at the address."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from aisa.clock import quick_chance, wall_clock
from aisa.errors import ApiError
from aisa.keys.accounts import writing
from aisa.keys.changes import ChangeStore
from aisa.keys.teams import TeamStore
from aisa.ledger.find import CallFinder
from aisa.ledger.port_calls import Wanted
from aisa.ledger.store import LedgerStore
from aisa.ledger.usage import UsageStore
from aisa.storage.engine import Database
from aisa.storage.postgres import open_postgres_readers
from ports import free_port


@pytest.fixture(name="absent")
def database() -> Iterator[Database]:
    """A database where none is."""
    made = open_postgres_readers(f"postgresql://aisa@127.0.0.1:{free_port()}/aisa")
    yield made
    made.close()


QUESTIONS: dict[str, Callable[[Database], object]] = {
    "changes": lambda database: ChangeStore(database, wall_clock).newest(10),
    "teams": lambda database: TeamStore(database, wall_clock=wall_clock, chance=quick_chance(), changed=lambda _team: None).list(),
    "calls": lambda database: CallFinder(database).lines(Wanted(limit=10)),
    "wallets": lambda database: LedgerStore(database, wall_clock).accounts(),
    "receipt": lambda database: UsageStore(database).call("req_1"),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_who_reads_from_a_database_that_is_away_is_told_to_come_again(question: Callable[[Database], object], absent: Database) -> None:
    """[issue 13] It was `500 internal_error`, which says that this server has a bug."""
    with pytest.raises(ApiError, match="The database does not answer") as caught:
        question(absent)
    assert (caught.value.code, caught.value.retry_after) == ("overloaded", 1)


def test_who_wants_to_write_is_not_told_to_do_it_again(absent: Database) -> None:
    """It may have been done: a database that goes away in a commit does not say."""
    with pytest.raises(ApiError) as caught, writing(absent):
        pass
    assert caught.value.code == "internal_error"
