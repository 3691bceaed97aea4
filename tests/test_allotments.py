"""What of wallets and caps several servers on one PostgreSQL database may spend, and how they hear of each other's changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.pool import QueuePool

from aisa.endless import AGAIN_SECONDS
from aisa.errors import ApiError
from aisa.facts import Fact, ServerWarning
from aisa.keys.admin_keys import AdminKeyStore
from aisa.keys.doubted import DoubtedKeys
from aisa.keys.following import BELIEVED_SECONDS, Following
from aisa.keys.rules import Account, SpendCap
from aisa.keys.store import KeyStore
from aisa.ledger.allotments import KEPT_SECONDS, LEASE_SECONDS, NOW, SEEN_SECONDS, Wanted, allot, forget_server
from aisa.ledger.allotted import OwnAmounts
from aisa.ledger.stored_money import BELIEVED, TICK, StoredMoney
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.migrate import migrate
from aisa.storage.postgres import open_postgres, open_postgres_readers, open_postgres_unlocked, shown
from aisa.storage.shared_memory import SharedStuck
from aisa.storage.tables import accounts, allotments, cap_spent, servers
from aisa.testing.clock import run_virtual
from postgres_rig import Postgres, needs_postgres
from rows import NOON, priced

pytestmark = needs_postgres
DAY = 86_400
QUESTIONS = 2  # one behind the other, within some milliseconds
TODAY = NOON // 1000 // DAY * DAY


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Database]:
    """A database whose account `acme` has a thousand in its wallet, and `free` is unlimited."""
    opened = open_postgres(postgres.migrated(), migrate)
    with opened.transaction() as connection:
        for name, balance in (("acme", 1_000), ("free", None)):
            connection.execute(insert(accounts).values(name=name, balance=balance, charged=0, spent=0, calls=0, created_at=1))
    yield opened
    opened.close()


def of_wallet(held: int, need: int, most: int = 0, account: str = "acme") -> Wanted:
    """What a server wants of a wallet."""
    return Wanted(f"wallet {account}", held, need, max(need, most), account)


def asked(database: Database, server: str, wanted: Wanted) -> tuple[int, int]:
    """Ask for it; return what the server has now, and what is free beside."""
    with database.transaction() as connection:
        given = allot(connection, server, [wanted])[wanted.name]
    return given.amount, given.free


def test_servers_are_never_allotted_more_than_a_wallet_has(database: Database) -> None:
    """At random wishes of four servers: the sum is within the balance, whoever asks again has the same, and what is let go is free."""
    chance, has = random.Random(1), dict[str, int]()
    for _ in range(200):
        server = chance.choice("abcd")
        held = chance.randrange(has.get(server, 0) + 1)
        wanted = of_wallet(held, held + chance.randrange(400), held + chance.randrange(3_000))
        has[server], free = asked(database, server, wanted)
        assert held <= has[server] <= wanted.most
        assert asked(database, server, wanted) == (has[server], free)
        assert sum(has.values()) + free == 1_000
        assert free >= 0
    with database.transaction() as connection:
        for server in has:
            forget_server(connection, server)
        assert connection.execute(select(allotments)).all() == []


def test_beyond_what_it_needs_a_server_gets_a_quarter_of_what_is_free(database: Database) -> None:
    """So the end of a wallet is not strewn over servers; what it needs it gets to the last nano, and what it holds it keeps."""
    assert asked(database, "a", of_wallet(0, 200, 9_999)) == (400, 600)
    assert asked(database, "b", of_wallet(0, 600)) == (600, 0)
    assert asked(database, "c", of_wallet(0, 1)) == (0, 0)
    assert asked(database, "c", of_wallet(50, 60)) == (50, -50)  # it was held before others had all
    assert asked(database, "a", of_wallet(3, 3, account="free")) == (3, 0)


def test_what_a_dead_server_was_allotted_is_free_when_its_lease_is_over(database: Database) -> None:
    """[issue 13] Until then it is its own, as its journal may have calls that cost it; one that was only cut off keeps what it holds."""
    assert asked(database, "dead", of_wallet(0, 500, 2_000)) == (625, 375)
    assert asked(database, "dead", of_wallet(200, 625)) == (625, 375)
    for silent, free in ((LEASE_SECONDS - SEEN_SECONDS, 375), (LEASE_SECONDS + 1, 1_000)):
        with database.transaction() as connection:
            connection.execute(update(servers).where(servers.c.server == "dead").values(seen_at=NOW - silent))
        assert asked(database, "alive", of_wallet(0, 0)) == (0, free)
    assert asked(database, "alive", of_wallet(0, 1_000)) == (1_000, 0)
    assert asked(database, "dead", of_wallet(200, 625)) == (200, -200)  # it was only cut off: what it holds it keeps, and gets no more
    with database.transaction() as connection:
        connection.execute(update(servers).where(servers.c.server == "dead").values(seen_at=NOW - KEPT_SECONDS - 1))
        forget_server(connection, "alive")
    with database.transaction() as connection:
        forget_server(connection, "alive")
        assert connection.execute(select(allotments)).all() == []


def test_wallets_that_nobody_spends_from_cost_a_question_little(database: Database) -> None:
    """[issue 13] Of 1,200 at most WALLETS_AT_ONCE are asked of at a time, by turns; what a call lacks it is asked of until it is idle."""

    async def main() -> None:
        money = StoredMoney(database, "one", wall_clock=lambda: 1_000.0, report=print)
        for number in range(1_200):
            money.know(f"a{number}", 5)
        turns = [[each.name for each in money._in_turn()] for _ in range(4)]
        assert [len(turn) for turn in turns] == [500, 500, 200, 500]
        assert len({name for turn in turns[:3] for name in turn}) == 1_200
        money.know("acme", 1_000)
        acme, lacking = money.wallet("acme"), asyncio.ensure_future(money.more(money.wallet("acme"), 10))
        await asyncio.sleep(0)  # it waits
        wanting, money._wanting = money._wanting, {}
        await money._ask(wanting)
        money._answered.set_result(None)
        await lacking
        acme.take(10, 0.0)
        acme.hold(-10)
        in_use = []
        for _ in range(3):
            in_use.append(list(money._in_use))
            money._swept_at -= TICK.total_seconds()  # as if nobody had asked for so long
            await money._ask({})
        assert (in_use, acme.amounts.allotted) == ([[acme.name], [acme.name], []], 0)

    asyncio.run(main())


def test_calls_that_wait_for_two_purses_take_neither_from_the_other(database: Database) -> None:
    """[issue 13] While one question follows the other at once, what the first got for a call is still there when that call's turn comes.

    Each question gave back what the one before had brought and nobody had taken in those milliseconds, so calls of keys with plenty in
    their wallets were 503, whenever calls on two of them lacked something at the same time: 1 in 100 of a light load on two workers.
    """

    async def main() -> int:
        money = StoredMoney(database, "one", wall_clock=lambda: 1_000.0, report=print)
        first, second = (money.know(name, 1_000) for name in ("acme", "other"))
        asks = money._ask  # one question; that of `follow`, turn by turn
        for _ in range(QUESTIONS):
            await asks({first.name: 5})
            await asks({second.name: 5})
        first.take(5, 0.0)
        second.take(5, 0.0)
        return first.held + second.held

    with database.transaction() as connection:
        connection.execute(insert(accounts).values(name="other", balance=1_000, charged=0, spent=0, calls=0, created_at=1))
    assert asyncio.run(main()) == 10


class Stuck(OwnAmounts):
    """Amounts in memory whose lock a worker has that was stopped."""

    def ask(self, lacking: int, *, sweeping: bool = True) -> tuple[int, int]:
        """Have no lock."""
        raise SharedStuck


def test_a_call_that_nobody_could_ask_for_is_not_told_that_its_wallet_is_empty(database: Database) -> None:
    """[issue 13] While a worker was stopped within a step, a wallet with plenty was 402 at the others, which is no reason to try again."""

    async def main() -> str:
        money = StoredMoney(database, "one", wall_clock=lambda: 1_000.0, report=print, amounts=Stuck)
        lacking = asyncio.ensure_future(money.more(money.wallet("acme"), 10))
        await asyncio.sleep(0)  # it waits
        money.start()
        with pytest.raises(ApiError) as error:
            await lacking
        await money.leave(keep=True)
        return error.value.code

    assert asyncio.run(main()) == "overloaded"


def test_a_server_whose_folder_was_copied_is_told_and_no_other(database: Database) -> None:
    """[issue 13] Both were one server to the database, which allotted once what both spent, and nobody said so."""

    async def main() -> list[str]:
        told: list[Fact] = []
        money = StoredMoney(database, "one", wall_clock=lambda: 1_000.0, report=told.append)
        asked = []
        for seconds in (None, -SEEN_SECONDS - 1, None, 1, 1):  # older is the row after a while, newer if somebody else wrote it
            if seconds is not None:
                with database.transaction() as connection:
                    connection.execute(update(servers).values(seen_at=servers.c.seen_at + seconds))
            assert await money._ask({})
            await asyncio.sleep(0)  # what a thread has told
            asked.append(len(told))
        assert asked == [0, 0, 0, 1, 1], "it is told once"
        with database.transaction() as connection:
            connection.execute(update(servers).values(seen_at=servers.c.seen_at + 1))
        again = StoredMoney(database, "one", wall_clock=lambda: 1_000.0, report=told.append)  # a start of the same server
        assert await again._ask({})
        return [fact.message for fact in told if isinstance(fact, ServerWarning)]

    [said] = asyncio.run(main())
    assert "ANOTHER SERVER HAS THIS ONE'S NAME (one)" in said
    assert "remove `server.id`" in said


def test_what_may_not_have_been_committed_is_no_sign_of_another_server(database: Database) -> None:
    """A question that had no answer may have been done all the same: what it has noted then is this server's own."""

    async def main() -> list[Fact]:
        told: list[Fact] = []
        money = StoredMoney(database, "one", wall_clock=lambda: 1_000.0, report=told.append)
        assert await money._ask({})
        with pytest.raises(StorageFailed):
            money._allot([Wanted("w", 0, 0, 0, account=cast("str", 5))])  # which the database refuses
        with database.transaction() as connection:
            connection.execute(update(servers).values(seen_at=servers.c.seen_at + 1))
        assert await money._ask({})
        return told

    assert asyncio.run(main()) == []


def test_a_server_takes_from_what_it_was_allotted_for_less_than_its_lease() -> None:
    """So none that was stopped for a while, and runs on, takes what others have meanwhile: a note that it is there may be seconds old."""
    assert BELIEVED.total_seconds() + SEEN_SECONDS + 1 < LEASE_SECONDS


def test_what_a_cap_has_spent_is_added_up_once_and_then_kept_with_each_row(database: Database) -> None:
    """Rows of before count, rows that are written later count, rows of another window do not; servers share what is left."""
    insert_rows(database, [priced(1, key_id="k", cost=100), priced(2, key_id="k", cost=7, ended_ms=NOON - 2 * DAY * 1000)])
    wanted = Wanted("cap k", 0, 300, 300, None, "k", 1_000, TODAY, TODAY + DAY)
    assert asked(database, "a", wanted) == (300, 600)
    insert_rows(database, [priced(3, key_id="k", cost=250), priced(4, key_id="k", cost=7, ended_ms=NOON - 2 * DAY * 1000)])
    assert asked(database, "b", wanted._replace(need=900, most=900)) == (350, 0)
    with database.reading() as connection:
        assert connection.execute(select(cap_spent.c.spent)).scalar_one() == 350


def test_what_was_read_before_a_change_here_does_not_undo_it(database: Database) -> None:
    """[issue 13] A key that was revoked while older news of it were on their way was let in again, until the next look."""

    async def main() -> None:
        theirs, ours = (KeyStore(database, lambda: 1_000.0, random.Random(seed)) for seed in (1, 2))
        following = Following(database, ours, lambda _account, _balance: None)
        (_, secret), (_, other) = theirs.create("k", account="acme"), theirs.create("l", account="acme")
        following._take(following._look())
        theirs.set_state("k", "disabled")
        theirs.set_state("k", "active")
        theirs.accounts.set_tier("acme", "free")
        read = following._look()
        ours.revoke("k")
        ours.accounts.set_account_state("acme", "disabled")
        following._take(read)
        for refused in (secret, other):
            with pytest.raises(ApiError, match=r"revoked|disabled"):
                ours.verify(refused)
        assert following._more  # and it looks again at once
        following._take(following._look())
        assert (ours.find("k").state, ours.tiers["acme"], following._more) == ("revoked", "free", False)
        with pytest.raises(ApiError, match="disabled"):
            ours.verify(other)

    asyncio.run(main())


def test_a_key_that_is_revoked_elsewhere_is_refused_within_a_second(database: Database) -> None:
    """[issue 13] By the time of the loop that looks, whenever it is revoked; how long the database takes for a look is not in it."""

    async def main() -> None:
        loop, chance = asyncio.get_running_loop(), random.Random(5)
        theirs, ours = (KeyStore(database, lambda: 1_000.0, random.Random(seed)) for seed in (1, 2))
        following = Following(database, ours, lambda _account, _balance: None)
        following.start()
        for number in range(20):
            _, secret = theirs.create(f"k{number}")
            await asyncio.sleep(1.0)
            assert ours.verify(secret).label == f"k{number}", "a key that was made elsewhere is known within a second too"
            await asyncio.sleep(chance.random())
            theirs.revoke(f"k{number}")
            revoked = loop.time()
            while is_good(ours, secret):
                await asyncio.sleep(0.01)
                assert loop.time() - revoked <= 1.0
        following._task.cancel()

    run_virtual(main())


def test_a_bug_in_what_a_change_leads_to_ends_no_following(database: Database) -> None:
    """[fault S6] The task was over then, without a word: what was revoked elsewhere from then on was let in here for ever.

    It is told, and tried again; as long as it lasts nothing counts as looked at, so that after a minute no key is believed.
    """

    async def main() -> None:
        loop, told, broken = asyncio.get_running_loop(), list[object](), [True]
        loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))
        theirs, ours = (KeyStore(database, lambda: 1_000.0, random.Random(seed)) for seed in (1, 2))
        doubts: list[bool] = []
        ours.doubted = doubts.append

        def account_changed(_account: Account, _balance: int | None) -> None:
            if broken[0]:
                raise KeyError("a bug")

        following = Following(database, ours, account_changed)
        _, secret = theirs.create("k")
        theirs.accounts.set_tier("acme", "free")
        following.start()
        await asyncio.sleep(BELIEVED_SECONDS + 2 * AGAIN_SECONDS)
        assert (doubts, len(told) > BELIEVED_SECONDS / (2 * AGAIN_SECONDS)) == ([True], True)
        broken[0] = False
        await asyncio.sleep(AGAIN_SECONDS + 1)
        assert (doubts, is_good(ours, secret)) == ([True, False], True)
        theirs.revoke("k")
        await asyncio.sleep(1)
        assert not is_good(ours, secret)
        following._task.cancel()

    run_virtual(main())


def is_good(store: KeyStore, secret: str) -> bool:
    """Say whether a key is let in."""
    try:
        store.verify(secret)
    except ApiError:
        return False
    return True


def test_a_server_follows_what_another_changes_and_does_not_believe_for_ever(database: Database) -> None:
    """New, changed, rotated and revoked keys, accounts, admin keys; who could not look for a minute lets nobody in, and then again."""

    async def main() -> None:
        theirs, ours = (KeyStore(database, lambda: 1_000.0, random.Random(seed)) for seed in (1, 2))
        heard: list[tuple[str, int | None]] = []
        following = Following(database, ours, lambda account, balance: heard.append((account.name, balance)))
        in_use = DoubtedKeys(ours)
        ours.doubted = partial(setattr, in_use, "doubted")
        their_admins, admins = (AdminKeyStore(database, lambda: 1_000.0, random.Random(seed)) for seed in (3, 4))
        ours.admin_changed = admins.remember
        _, admin_secret = their_admins.create("boss", "read")
        key, secret = theirs.create("k", account="acme", spend=SpendCap(5, "day"))
        theirs.accounts.set_tier("acme", "free")
        following._take(following._look())
        assert (ours.verify(secret).spend_cap, ours.tiers["acme"], heard) == (5, "free", [("acme", 1_000)])
        _, rotated = theirs.rotate("k", 0)
        following._take(following._look())
        assert ours.verify(rotated).id == key.id
        with pytest.raises(ApiError, match="replaced"):
            ours.verify(secret)
        following._looked_at -= BELIEVED_SECONDS + 1
        following._judge()
        with pytest.raises(ApiError, match="has not been able to read its keys"):
            in_use.verify(rotated)
        following._looked_at = asyncio.get_running_loop().time()
        following._judge()
        assert in_use.verify(rotated).id == key.id
        assert admins.verify(admin_secret).label == "boss"
        their_admins.revoke("boss")
        theirs.revoke("k")
        following._take(following._look())
        with pytest.raises(ApiError, match="revoked"):
            in_use.verify(rotated)
        with pytest.raises(ApiError, match="revoked"):
            admins.verify(admin_secret)

    asyncio.run(main())


def test_the_page_says_how_many_connections_a_server_opens(postgres: Postgres) -> None:
    """[issue 13] Who sets max_connections counts by docs/stores.md: it said one less than a server with Idempotency-Keys has."""
    url = postgres.migrated()
    ledger, uses, readers = open_postgres(url, migrate), open_postgres_unlocked(url), open_postgres_readers(url)
    sizes = [
        pool.size() for each in (ledger, uses, readers) for pool in (each._engine.pool, each._readers.pool) if isinstance(pool, QueuePool)
    ]
    for each in (ledger, uses, readers):
        each.close()
    writer, own, used, _, theirs, _ = sizes  # of one that only writes or only reads, both are the same
    page = (Path(__file__).parent.parent / "docs" / "stores.md").read_text("utf-8")
    assert (
        f"up to {writer + own + used} connections to the database, and with several processes up to {theirs} more for each worker" in page
    )


def test_the_name_of_a_database_is_told_without_its_password() -> None:
    """It stands in messages and logs."""
    assert shown("postgres://aisa:secret@h/aisa") == "postgresql://aisa:***@h/aisa"
