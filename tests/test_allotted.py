"""What a server that shares a database may hold of a purse while it asks for more and gives back, in one process and in several."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from aisa.errors import ApiError
from aisa.keys.doubted import DoubtedAdminKeys, DoubtedKeys
from aisa.keys.rules import AdminKey, Key
from aisa.ledger.allotments import Allotted
from aisa.ledger.allotted import AllottedWallet, Amounts, OwnAmounts, wallet_name
from aisa.ledger.port import Short
from aisa.ledger.shared_allotments import AllottedHereWallet, MoreWanted, SharedAmounts, tell_all
from aisa.storage.shared_memory import LOCK_NAME, SharedLock, SharedMemory, new_memory


async def nobody_asks(_wanted: object, _amount: int = 0) -> None:
    """Ask for nothing."""


@pytest.fixture
def memories(tmp_path: Path) -> list[SharedMemory]:
    """Memory as an office (0) and two workers see it."""
    descriptor = new_memory(tmp_path, random.Random(1))
    made = [SharedMemory(descriptor, SharedLock(tmp_path / LOCK_NAME), number) for number in range(3)]
    tell_all(made[0])(60)
    return made


class Rig:
    """A wallet as who asks has it, and a way to take from it."""

    def __init__(self, amounts: Amounts, take: Callable[[int], None] | None = None) -> None:
        self.wallet = AllottedWallet("acme", amounts, nobody_asks, is_away=lambda: False)
        self.take = take or (lambda amount: self.wallet.take(amount, 0.0))
        self.wallet.balance = 1_000


@pytest.fixture(params=["one process", "workers"])
def rig(request: pytest.FixtureRequest, memories: list[SharedMemory]) -> Rig:
    """The same wallet in one process, and in memory that a worker spends from."""
    if request.param == "one process":
        return Rig(OwnAmounts())
    spending = AllottedHereWallet(memories[1], "acme", nobody_asks)
    return Rig(SharedAmounts(memories[0], wallet_name("acme")), lambda amount: spending.take(amount, 0.0))


def test_what_is_given_back_cannot_be_taken_while_the_database_is_asked(rig: Rig) -> None:
    """Of 100 of which 30 are held and 70 idle, the 70 are asked to be another server's: a call that comes meanwhile must ask for them."""
    rig.wallet.ask(0, 0.0)
    rig.wallet.answered(Allotted(100, 900, 1_000), 0.0)
    rig.take(30)
    assert rig.wallet.ask(0, 0.0).need == 100  # something was taken lately
    rig.wallet.answered(Allotted(100, 900, 1_000), 0.0)
    wanted = rig.wallet.ask(0, 0.0)
    assert (wanted.held, wanted.need, wanted.most) == (30, 30, 30)
    with pytest.raises(Short):
        rig.take(1)
    rig.wallet.answered(Allotted(30, 970, 1_000), 0.0)
    with pytest.raises(Short):
        rig.take(1)


def test_what_is_written_while_the_database_is_asked_cannot_be_spent_again(rig: Rig) -> None:
    """A row of 20 that is written meanwhile lowers what the answer allots, whether or not the answer had it."""
    rig.wallet.ask(0, 0.0)
    rig.wallet.answered(Allotted(100, 900, 1_000), 0.0)
    rig.take(50)
    rig.wallet.ask(0, 0.0)
    rig.wallet.written(20)
    rig.wallet.answered(Allotted(100, 900, 1_000), 0.0)
    assert rig.wallet.amounts.allotted == 80


def test_what_calls_lack_is_asked_for_with_some_to_spare(rig: Rig) -> None:
    """Eight times as much beside it, if there is plenty; and what there is not is told as the wallet tells it."""
    wanted = rig.wallet.ask(5, 0.0)
    assert (wanted.held, wanted.need, wanted.most, wanted.account) == (0, 5, 45, "acme")
    rig.wallet.answered(Allotted(3, 0, 3), 0.0)
    with pytest.raises(ApiError, match=r"has 0\.000000003 US dollars left, and this call needs 0\.000000005"):
        rig.wallet.refuse(5)


def test_workers_hold_no_more_than_their_server_was_allotted(memories: list[SharedMemory]) -> None:
    """Two workers take from 100 by turns until neither gets more: 100 are held in all, and what one lets go of the other can take."""
    asking = AllottedWallet("acme", SharedAmounts(memories[0], wallet_name("acme")), nobody_asks, is_away=lambda: False)
    asking.balance = 1_000
    asking.answered(Allotted(100, 900, 1_000), 0.0)
    workers = [AllottedHereWallet(memory, "acme", nobody_asks) for memory in memories[1:]]
    for turn in range(10):
        workers[turn % 2].take(10, 0.0)
    for worker in workers:
        assert (worker.balance, worker.held) == (1_000, 100)
        with pytest.raises(Short):
            worker.take(1, 0.0)
    workers[0].hold(-10)
    workers[1].take(10, 0.0)
    asking.written(60)  # the office takes it off what is allotted ahead of the worker's column: it counts twice and never not at all
    with pytest.raises(Short):
        workers[0].take(1, 0.0)
    workers[1].written(60)
    assert (asking.held, asking.amounts.allotted) == (40, 40)


def test_a_wallet_that_is_not_known_is_asked_for_and_an_unlimited_one_never(memories: list[SharedMemory]) -> None:
    """A worker may meet a key before its office has met the account; nobody is let in on credit meanwhile."""
    asked: list[MoreWanted] = []

    async def note(wanted: MoreWanted) -> None:
        asked.append(wanted)

    here = AllottedHereWallet(memories[1], "new", note)
    assert here.balance == 0
    with pytest.raises(Short) as short:
        here.take(7, 0.0)

    async def ask() -> None:
        await short.value.more()

    asyncio.run(ask())
    assert asked == [MoreWanted(7, account="new")]
    AllottedWallet("new", SharedAmounts(memories[0], wallet_name("new")), nobody_asks, is_away=lambda: False).balance = None
    assert here.balance is None
    here.take(7, 0.0)
    assert here.held == 7


def test_workers_refuse_what_needs_money_while_the_database_is_away(memories: list[SharedMemory]) -> None:
    """At once, whatever is allotted."""
    asking = AllottedWallet("acme", SharedAmounts(memories[0], wallet_name("acme")), nobody_asks, is_away=lambda: False)
    asking.balance = 1_000
    asking.answered(Allotted(100, 900, 1_000), 0.0)
    here = AllottedHereWallet(memories[1], "acme", nobody_asks)
    tell_all(memories[0])(0)
    with pytest.raises(ApiError, match="cannot look up what is left to spend"):
        here.take(1, 0.0)
    tell_all(memories[0])(60)
    here.take(1, 0.0)


class GoodKeys:
    """Keys, or tokens of a provider, or admin keys, all of which are good."""

    def verify(self, secret: str | None) -> Key:
        """Let it in."""
        return KEY

    def again(self, key: Key, secret: str) -> Key:
        """Let him in again."""
        return key

    def known(self, secret: str | None) -> Key | None:
        """Know it."""
        return KEY


class GoodAdminKeys:
    """Admin keys, all of which are good."""

    def __len__(self) -> int:
        return 1

    def verify(self, secret: str | None) -> AdminKey:
        """Let it in."""
        return ADMIN_KEY

    def is_good(self, key: AdminKey) -> bool:
        """It is."""
        return True


KEY = Key(id="k", label="k", digest=b"", hint="", state="active", created_at=0, expires_at=None, models=None, account="acme")
ADMIN_KEY = AdminKey("adm_1", "boss", b"", "", "read", 0)


def test_while_keys_are_doubted_nobody_is_let_in_by_whatever_he_comes_with() -> None:
    """Keys, tokens of a provider, administrators and those who are signed in; whose request it was is still known, for the log."""
    keys, admins = DoubtedKeys(GoodKeys()), DoubtedAdminKeys(GoodAdminKeys())
    for doubted in (False, True, False):
        keys.doubted = admins.doubted = doubted
        assert keys.known("x") is KEY
        assert admins.is_good(ADMIN_KEY) is not doubted
        assert len(admins) == 1
        for verify in (keys.verify, lambda secret: keys.again(KEY, secret), admins.verify):
            if doubted:
                with pytest.raises(ApiError, match="has not been able to read its keys"):
                    verify("x")
            else:
                assert verify("x") in (KEY, ADMIN_KEY)
