"""Money in the memory of several processes when no place is left in it: whoever comes then is refused, and nobody else notices."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from mmap import PAGESIZE
from pathlib import Path

import pytest
from sqlalchemy import insert

from aisa.errors import ApiError
from aisa.facts import Fact, ServerWarning
from aisa.keys.accounts import ACCOUNTS_MAX
from aisa.keys.rules import KEYS_MAX, Key
from aisa.keys.store import KeyStore
from aisa.keys.teams import TEAMS_MAX
from aisa.ledger.shared_allotments import BELIEVED_UNTIL, AllottedHereCap, AllottedHereWallet, MoreWanted, SharedAmounts
from aisa.ledger.shared_wallets import SharedCap, SharedWallet, Treasury
from aisa.storage.engine import Database
from aisa.storage.shared_memory import PROBED, PURSE_WORDS, PURSES, Places, SharedLock, SharedMemory, new_memory
from aisa.storage.tables import accounts
from aisa.workers.serving import tell_full
from postgres_rig import sqlite_only
from rows import priced

NOW = 1_790_000_000.0
DOLLAR = 10**9


class Processes:
    """The office and a worker with room for so few purses that a test fills it."""

    def __init__(self, folder: Path) -> None:
        self.descriptor = new_memory(folder, random.Random(1))
        self.office, self.worker = (SharedMemory(self.descriptor, SharedLock(folder / "shared.lock"), worker=number) for number in range(2))
        for memory in (self.office, self.worker):
            memory.purses = Places(memory.words, PAGESIZE // 8, count=PROBED + 1, record_words=PURSE_WORDS)
        self.reported: list[Fact] = []
        self.office.full = tell_full(self.reported.append)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Two processes' views of one memory."""
    made = Processes(tmp_path)
    yield made
    os.close(made.descriptor)


def key(number: int, account: str, cap: int | None = None) -> Key:
    """Return a key, perhaps with a cap a day."""
    window = None if cap is None else "day"
    return Key(f"key_{number}", f"label {number}", bytes(32), "", "active", 0, account=account, spend_cap=cap, spend_window=window)


def refused(purse: SharedWallet | SharedCap) -> str:
    """Return the code with which a purse refuses, and what it says."""
    with pytest.raises(ApiError) as refusal:
        purse.take(1, NOW)
    return f"{refusal.value.code}: {refusal.value.message}"


def test_whoever_finds_no_place_is_refused_alone(processes: Processes) -> None:
    """[issue 13] A key that found none was told to no worker, revoked or not; and one row of it held up the rows of all, for ever."""
    wallets: list[tuple[str, int | None]] = [(f"acc{number}", DOLLAR) for number in range(PROBED)]
    treasury = Treasury(processes.office, wallets, {}, now=NOW)
    assert processes.reported == []
    treasury.know(key(1, "acc0", DOLLAR), NOW)
    treasury.know(key(1, "acc0", DOLLAR // 2), NOW)
    treasury.wallet("newcomer").add(DOLLAR)
    told = [fact.message for fact in processes.reported if isinstance(fact, ServerWarning)]
    assert [("cap key_1" in text, "wallet newcomer" in text) for text in told] == [(True, False), (False, True)], "each is told once"

    newcomer, capped, old = (
        SharedWallet(processes.worker, "newcomer"),
        SharedCap(processes.worker, key(1, "acc0", DOLLAR // 2)),
        SharedWallet(processes.worker, "acc0"),
    )
    assert newcomer.balance == 0, "an account that is not known here has no free calls"
    for purse in (newcomer, capped):
        assert refused(purse).startswith("overloaded: This server has no room")
        assert purse.held == 0
    old.take(DOLLAR // 4, NOW)
    assert (old.balance, old.held) == (DOLLAR, DOLLAR // 4)

    rows = [priced(number, key_id="key_1", account=account, prepaid=True, cost=7) for number, account in enumerate(("newcomer", "acc0"))]
    treasury.written(rows, NOW)
    assert treasury.wallet("acc0").balance == old.balance == DOLLAR - 7
    assert treasury.wallet("newcomer").balance == DOLLAR - 7, "the office keeps its books all the same"


def test_a_server_begins_with_more_than_it_has_room_for(processes: Processes) -> None:
    """It ended at its start, with a trace; a restart is what helps who has found no place, as places are drawn anew."""
    treasury = Treasury(processes.office, [(f"acc{number}", DOLLAR) for number in range(PROBED + 3)], {}, now=NOW)
    assert len(processes.reported) == 3
    served = [SharedWallet(processes.worker, f"acc{number}") for number in range(PROBED + 3)]
    assert [wallet.balance for wallet in served] == [DOLLAR] * PROBED + [0] * 3
    treasury.wallet(f"acc{PROBED + 1}").lift()
    assert refused(served[PROBED + 1]).startswith("overloaded")


async def nothing_more(_wanted: MoreWanted) -> None:
    """Say that more was allotted."""


def test_the_same_on_a_database_that_servers_share(processes: Processes) -> None:
    """Whoever has no place is not asked for again and again: the office cannot give what nobody would see."""
    for number in range(PROBED):
        SharedAmounts(processes.office, f"wallet acc{number}").allot(DOLLAR)
    processes.office.words[BELIEVED_UNTIL] = 1 << 62
    lacking = SharedAmounts(processes.office, "wallet newcomer")
    lacking.allot(DOLLAR)
    lacking.tell(1, DOLLAR)
    assert (lacking.held, lacking.allotted) == (0, DOLLAR)
    SharedAmounts(processes.office, "cap key_1").allot(DOLLAR)
    assert len(processes.reported) == 2
    assert refused(AllottedHereWallet(processes.worker, "newcomer", nothing_more)).startswith("overloaded: This server has no room")
    assert refused(AllottedHereCap(processes.worker, key(1, "acc0", DOLLAR), nothing_more)).startswith(
        "overloaded: This server has no room"
    )
    old = AllottedHereWallet(processes.worker, "acc0", nothing_more)
    processes.office.words[processes.office.purses.find(processes.office.name_word("wallet acc0")) or 0] = 1
    old.take(7, NOW)
    assert old.held == 7


@sqlite_only
def test_there_is_a_place_for_all_that_may_be_made(opened: Database) -> None:
    """[issue 13] Accounts had no bound. Of places at most half are taken: one name in ten million finds none then."""
    assert KEYS_MAX + TEAMS_MAX + ACCOUNTS_MAX <= PURSES // 2
    made = {"balance": None, "charged": 0, "spent": 0, "calls": 0, "created_at": 1}
    with opened.transaction() as connection:
        connection.execute(insert(accounts), [{**made, "name": f"acc{number}"} for number in range(ACCOUNTS_MAX - 2)])
    store = KeyStore(opened, lambda: 1, random.Random(1))
    store.accounts.create_account("b")
    for make in (lambda: store.accounts.create_account("d"), lambda: store.create("x", account="d"), lambda: store.teams.create("d", "t")):
        with pytest.raises(ApiError, match="accounts, which is the most") as refusal:
            make()
        assert refusal.value.code == "invalid_request"
    store.create("x", account="b")
