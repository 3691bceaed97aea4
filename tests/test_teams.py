"""Teams: keys of one account that share a cap: in one process, in several, on several servers. Clocks are set by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest
from sqlalchemy import insert, select

from aisa.call import Call
from aisa.errors import ApiError
from aisa.keys.following import Following
from aisa.keys.rules import DAY, MONTH, Key, SpendCap, Team, terms_of
from aisa.keys.store import KeyStore
from aisa.ledger.allotments import Wanted, allot
from aisa.ledger.caps import Cap
from aisa.ledger.port_usage import Span
from aisa.ledger.shared_wallets import SharedCap, Treasury
from aisa.ledger.stored_money import StoredMoney
from aisa.ledger.usage import spent_in
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database, open_database
from aisa.storage.migrate import migrate
from aisa.storage.postgres import open_postgres
from aisa.storage.tables import accounts, cap_spent, keys
from aisa.wire.chat_door import CHAT_DOOR
from postgres_rig import Postgres, needs_postgres
from rows import NOON, priced
from test_caps_and_clock import CHAT, COST, TimedLedger, play
from test_shared_wallets import NOW, processes, refused

TEAM = Team("team_1", "acme", "research", 0, 3 * COST, DAY)
DAY_SECONDS = 86_400
TODAY = NOON // 1000 // DAY_SECONDS * DAY_SECONDS


class TeamLedger(TimedLedger):
    """A ledger whose two keys are in one team; the first has a cap of its own."""

    def __init__(self, own: int = 5) -> None:
        super().__init__(calls_per_window=own)
        self.keys = {"key_1": msgspec.structs.replace(self.key, team=TEAM), "key_2": Key("key_2", "b", b"", "", "active", 0, team=TEAM)}
        self.ledger.caps[TEAM.id] = Cap(3 * COST, DAY, spent=0, now=self.now, whose="The team 'research'")
        self.ledger.teams = dict.fromkeys(self.keys, TEAM.id)

    async def spent(self, span: Span, without: Callable[[], Sequence[str]]) -> int:
        """Say what the ledger has of a key, or of all keys of the team."""
        self.reads.append(span)
        whose = list(self.keys) if span.whose == TEAM.id else [span.whose]
        inside = [row for row in self.rows if span.start_ms <= row.ended_ms < span.end_ms and row.key_id in whose]
        if self.read_gate is not None:
            await self.read_gate.wait()
        return sum(row.cost for row in inside if row.id not in without())

    async def by(self, key_id: str) -> str:
        """Make a call with a key; return `ok` or the refusal."""
        self._number += 1
        loop = asyncio.get_running_loop()
        call = Call(f"req_t{self._number}", None, b"", int(self.now), loop.time(), [], CHAT_DOOR)
        try:
            charge = await self.ledger.open(call, self.keys[key_id], CHAT, plan=self._plan)
        except ApiError as refusal:
            return f"{refusal.code}: {refusal.message}"
        charge.serve(self._plan.offers[0], 1)
        self.end(charge)
        return "ok"


def test_keys_of_a_team_spend_no_more_than_its_cap_together() -> None:
    """[issue 13] Whoever of them spends it; the refusal says whose cap it is. A key's own cap counts besides."""

    async def scene() -> None:
        ledger = TeamLedger()
        assert [await ledger.by(name) for name in ("key_1", "key_2", "key_1")] == ["ok"] * 3
        for name in ("key_1", "key_2"):
            assert (await ledger.by(name)).startswith(
                "quota_exceeded: The team 'research' may spend 0.003 US dollars a day (UTC); 0.003 are"
            )
        ledger.now += DAY_SECONDS
        assert await ledger.by("key_2") == "ok"
        narrow = TeamLedger(own=1)
        assert await narrow.by("key_1") == "ok"
        assert (await narrow.by("key_1")).startswith("quota_exceeded: This key may spend 0.001")
        assert await narrow.by("key_2") == "ok"
        assert {cap.held for cap in narrow.ledger.caps.values()} == {0}  # what one cap took before the other refused is given back

    play(scene)


def test_a_teams_cap_that_is_made_later_counts_what_all_of_its_keys_have_spent() -> None:
    """Read from the database, with what is not there yet; a call that comes meanwhile waits until that is known."""

    async def scene() -> None:
        ledger = TeamLedger()
        without = msgspec.structs.replace(TEAM, spend_cap=None, spend_window=None)
        ledger.keys = {name: msgspec.structs.replace(key, team=without) for name, key in ledger.keys.items()}
        for key in ledger.keys.values():
            ledger.ledger.recap(key)
        assert TEAM.id not in ledger.ledger.caps
        assert [await ledger.by(name) for name in ("key_1", "key_2")] == ["ok"] * 2
        ledger.late = True
        assert await ledger.by("key_2") == "ok"  # whose row is on its way
        monthly = msgspec.structs.replace(TEAM, spend_cap=4 * COST, spend_window=MONTH)
        ledger.keys = {name: msgspec.structs.replace(key, team=monthly) for name, key in ledger.keys.items()}
        for key in ledger.keys.values():
            ledger.ledger.recap(key)
        assert await ledger.by("key_1") == "ok"
        assert [span.whose for span in ledger.reads] == [TEAM.id]
        assert ledger.ledger.caps[TEAM.id].spent_at(ledger.now) == 4 * COST
        for key in ledger.keys.values():
            ledger.ledger.recap(msgspec.structs.replace(key, team=msgspec.structs.replace(monthly, name="lab")))
        assert (await ledger.by("key_1")).startswith("quota_exceeded: The team 'lab' may spend")
        ledger.commit()

    play(scene)


def test_a_call_that_runs_while_its_cap_is_made_counts_once() -> None:
    """Whenever it ends: before the database is read, while it is, or after; written or not. It was not counted, or twice."""

    async def scene() -> None:
        without = msgspec.structs.replace(TEAM, spend_cap=None, spend_window=None)
        for ends in ("before", "in the same turn", "meanwhile", "meanwhile, written late", "after"):
            ledger = TeamLedger()
            ledger.keys = {name: msgspec.structs.replace(key, team=without) for name, key in ledger.keys.items()}
            for key in ledger.keys.values():
                ledger.ledger.recap(key)
            ledger.late = "late" in ends
            ledger.read_gate = asyncio.Event()
            loop = asyncio.get_running_loop()
            call = Call("req_running", None, b"", int(ledger.now), loop.time(), [], CHAT_DOOR)
            running = await ledger.ledger.open(call, ledger.keys["key_2"], CHAT, plan=ledger._plan)
            running.serve(ledger._plan.offers[0], 1)
            if ends == "before":
                ledger.end(running)
            ledger.ledger.recap(msgspec.structs.replace(ledger.keys["key_2"], team=TEAM))
            if ends == "in the same turn":
                ledger.end(running)
            await asyncio.sleep(0)
            if ends.startswith("meanwhile"):
                ledger.end(running)
            ledger.read_gate.set()
            for _ in range(4):
                await asyncio.sleep(0)
            if ends == "after":
                ledger.end(running)
            ledger.commit()
            cap = ledger.ledger.caps[TEAM.id]
            assert (ends, cap.spent_at(ledger.now), cap.held) == (ends, COST, 0)

    play(scene)


def test_a_cap_that_a_late_call_makes_is_read_again_when_it_is_set_again() -> None:
    """A call that was let in before the cap was taken away makes one that knows nothing of what was spent."""

    async def scene() -> None:
        ledger = TeamLedger()
        assert await ledger.by("key_2") == "ok"
        lifted = msgspec.structs.replace(TEAM, spend_cap=None, spend_window=None)
        ledger.ledger.recap(msgspec.structs.replace(ledger.keys["key_2"], team=lifted))
        assert await ledger.by("key_2") == "ok"  # by the key as it was before
        assert ledger.ledger.caps[TEAM.id].spent_at(ledger.now) == COST
        ledger.ledger.recap(ledger.keys["key_2"])
        for _ in range(4):
            await asyncio.sleep(0)
        assert ledger.ledger.caps[TEAM.id].spent_at(ledger.now) == 2 * COST

    play(scene)


def test_the_office_reads_what_a_team_has_spent_once_however_many_ask() -> None:
    """And a call that it is told of meanwhile is left out of what was read; a cap that is taken away meanwhile is nobody's."""
    team = msgspec.structs.replace(TEAM, spend_cap=100)
    key = Key("key_1", "", b"", "", "active", 0, account="acme", team=team)
    with processes(2) as (office, worker):
        treasury = Treasury(office, [], {}, now=NOW)
        treasury.know(key, NOW)
        span = treasury.unread(team.id, NOW)
        assert span is not None
        assert treasury.unread(team.id, NOW) is None
        treasury.written([priced(1, account="acme", key_id="key_1", cost=40, ended_ms=NOW * 1000)], NOW)
        assert treasury.late(span) == [priced(1).id]
        treasury.learn(span, 10, NOW)
        assert SharedCap(worker, team).spent_at(NOW) == 50
        treasury.know(msgspec.structs.replace(key, team=msgspec.structs.replace(team, spend_cap=None, spend_window=None)), NOW)
        treasury.learn(span, 10, NOW)
        assert treasury.caps == {}


def test_processes_see_what_a_team_has_spent_through_any_of_its_keys() -> None:
    """[issue 13] What was written and what is held, of both keys; and a team that gets a cap is read by the office."""
    team = msgspec.structs.replace(TEAM, spend_cap=100)
    members = [Key(f"key_{number}", "", b"", "", "active", 0, account="acme", team=team) for number in (1, 2)]
    with processes(3) as (office, *workers):
        treasury = Treasury(office, [], {}, now=NOW)
        for key in members:
            treasury.know(key, NOW)
        span = treasury.unread(team.id, NOW)
        assert span is not None
        assert span.whose == team.id
        treasury.learn(span, 10, NOW)
        one, other = [SharedCap(memory, team) for memory in workers]
        one.take(40, NOW)
        assert refused(other, 51) == "quota_exceeded"
        one.spend(40, NOW)
        one.hold(-40)
        treasury.written([priced(1, account="acme", key_id="key_2", cost=40, ended_ms=NOW * 1000)], NOW)
        one.written(40)
        treasury.written([priced(2, account="acme", key_id="key_9", cost=40, ended_ms=NOW * 1000)], NOW)  # of nobody in it
        assert other.spent_at(NOW) == 50
        with pytest.raises(ApiError, match="The team 'research' may spend"):
            other.take(51, NOW)
        other.take(50, NOW)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        opened = open_database(str(tmp_path_factory.mktemp("data")), migrate)
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        opened = open_postgres(postgres.migrated(), migrate)
    yield opened
    opened.close()


def store_of(database: Database, seed: int = 1) -> KeyStore:
    """The keys of a server on it."""
    return KeyStore(database, lambda: 1_000.0, random.Random(seed))


def test_a_team_is_made_found_changed_and_is_its_keys_for_good(database: Database) -> None:
    """By id or name; its keys have it as it is now, here and after a start."""
    store = store_of(database)
    team = store.teams.create("acme", " research ", SpendCap(500, MONTH))
    assert (team.account, team.name, team.spend_cap, team.spend_window) == ("acme", "research", 500, MONTH)
    assert store.teams.find("research") == store.teams.find(team.id) == store.teams.find("research", "acme") == team
    key, secret = store.create("a", account=team)
    assert store.verify(secret).team == key.team == team
    changed = store.teams.update(team.id, name="lab", spend=None)
    assert store.verify(secret).team == changed == store_of(database).verify(secret).team
    assert (changed.name, changed.spend_cap, store.teams.list()) == ("lab", None, [changed])
    assert store.rotate("a", 0)[0].team == store.revoke("a").team == changed
    with database.reading() as connection:
        assert connection.execute(select(accounts.c.name).order_by(accounts.c.name)).scalars().all() == ["acme", "default"]
        assert connection.execute(select(keys.c.team)).scalar_one() == team.id


@pytest.mark.parametrize(
    ("name", "account"),
    [("research", "acme"), ("", "acme"), ("x" * 65, "acme"), ("a\nb", "acme"), ("team_x", "acme"), ("x", "")],
)
def test_names_that_could_not_be_told_apart_are_refused(database: Database, name: str, account: str) -> None:
    """Taken in the account, empty, too long, unprintable, like an id; and nothing is changed."""
    store = store_of(database)
    taken = store.teams.create("acme", "research")
    other = store.teams.create("acme", "other")
    with pytest.raises(ApiError) as made:
        store.teams.create(account, name)
    assert made.value.code == "invalid_request"
    if account:
        with pytest.raises(ApiError) as renamed:
            store.teams.update(other.id, name=name, spend=None)
        assert renamed.value.code == "invalid_request"
    assert store.teams.list() == [other, taken]


def test_administrators_who_change_one_team_or_key_at_once_undo_nothing_of_each_other(database: Database) -> None:
    """[issue 13] One names it, the other lowers its cap: what one does not name stays, also what it hears of between two looks."""
    ours = store_of(database)
    team = ours.teams.create("acme", "lab", SpendCap(9, DAY))
    key, _ = ours.create("k", account=team)
    theirs = store_of(database, 2)
    known = ours.current("k")
    theirs.teams.update(team.id, spend=SpendCap(1, DAY))
    heard = theirs.update(key.id, msgspec.structs.replace(terms_of(known), spend=SpendCap(1, DAY)))
    ours.remember(heard)
    changed = ours.teams.update(team.id, name="research")
    assert (changed.name, changed.spend_cap) == ("research", 1)
    ours.update(key.id, msgspec.structs.replace(terms_of(known), label="renamed"), known=known)
    again = ours.current(key.id)
    assert (again.label, again.spend_cap) == ("renamed", 1)


def test_a_key_is_in_a_team_of_its_account(database: Database) -> None:
    """Another account's team is none of its own, and a name that several have is not guessed."""
    store = store_of(database)
    for account in ("acme", "other"):
        store.teams.create(account, "research")
    for team, account in (("none", "acme"), ("research", "third")):
        with pytest.raises(ApiError) as refusal:
            store.teams.find(team, account)
        assert refusal.value.code == "resource_not_found"
    with pytest.raises(ApiError, match="Several accounts have a team 'research'"):
        store.teams.find("research")
    key, _ = store.create("a", account=store.teams.find("research", "other"))
    assert (key.account, key.team) == ("other", store.teams.find("research", "other"))


def test_another_server_follows_what_becomes_of_a_team(database: Database) -> None:
    """[issue 13] Its cap counts there within a second, for every key in it."""

    async def main() -> None:
        theirs, ours = store_of(database), store_of(database, 2)
        following = Following(database, ours, lambda _account, _balance: None)
        team = theirs.teams.create("acme", "research", SpendCap(500, DAY))
        secrets = [theirs.create(label, account=team)[1] for label in ("a", "b")]
        following._take(following._look())
        assert {ours.verify(secret).team for secret in secrets} == {team}
        changed = theirs.teams.update(team.id, name="research", spend=SpendCap(9, DAY))
        following._take(following._look())
        assert {ours.verify(secret).team for secret in secrets} == {changed}

    asyncio.run(main())


def test_what_a_team_has_spent_is_that_of_its_keys(database: Database) -> None:
    """By rows of the ledger, of the keys that are in it and no others."""
    store = store_of(database)
    team = store.teams.create("acme", "research")
    ids = [store.create(label, account=team if label != "c" else "acme")[0].id for label in "abc"]
    insert_rows(database, [priced(number, key_id=id_, cost=10**number) for number, id_ in enumerate(ids)])
    with database.reading() as connection:
        assert spent_in(connection, Span(TODAY * 1000, (TODAY + DAY_SECONDS) * 1000, team.id)) == 11


@needs_postgres
def test_a_change_of_a_team_brings_no_revoked_key_back(postgres: Postgres) -> None:
    """What another server did to its keys meanwhile stays, however the two fall together; and it is one note for all of them."""
    opened = open_postgres(postgres.migrated(), migrate)
    store = store_of(opened)
    team = store.teams.create("acme", "research", SpendCap(500, DAY))
    secrets = [store.create(label, account=team)[1] for label in ("one", "two", "three")]

    async def main() -> None:
        other = store_of(opened, 2)
        following, theirs = (Following(opened, each, lambda _account, _balance: None) for each in (store, other))
        acted: list[str] = []

        def changed(_key: Key) -> None:
            if not acted:  # between two of the keys
                other.revoke("two")
                acted.append(other.rotate("three", 0)[1])

        following._take(following._look())
        store.changed = changed
        number = following._number
        changed_team = store.teams.update(team.id, name="research", spend=SpendCap(9, DAY))
        for each in (following, theirs, following):
            each._take(each._look())
        assert following._number == number + 3
        for each in (store, other):
            assert each.verify(secrets[0]).team == each.verify(acted[0]).team == changed_team
            for secret in secrets[1:]:
                with pytest.raises(ApiError, match=r"revoked|replaced"):
                    each.verify(secret)

    asyncio.run(main())
    opened.close()


@needs_postgres
def test_servers_share_what_a_team_may_spend(postgres: Postgres) -> None:
    """[issue 13] Rows of before count once and later ones with each that is written; what one server is allotted is not the other's."""
    opened = open_postgres(postgres.migrated(), migrate)
    store = store_of(opened)
    team = store.teams.create("acme", "research", SpendCap(1_000, DAY))
    ids = [store.create(label, account=team)[0].id for label in "ab"]
    insert_rows(opened, [priced(1, key_id=ids[0], cost=100), priced(2, key_id="key_other", cost=7)])
    wanted = Wanted(f"cap {team.id}", 0, 300, 300, None, team.id, 1_000, TODAY, TODAY + DAY_SECONDS)

    def asked(server: str, wanted: Wanted) -> tuple[int, int]:
        with opened.transaction() as connection:
            given = allot(connection, server, [wanted])[wanted.name]
        return given.amount, given.free

    assert asked("a", wanted) == (300, 600)
    insert_rows(opened, [priced(3, key_id=ids[1], cost=250)])
    assert asked("b", wanted._replace(need=900, most=900)) == (350, 0)
    with opened.reading() as connection:
        assert connection.execute(select(cap_spent.c.spent).where(cap_spent.c.whose == team.id)).scalar_one() == 350

    async def main() -> None:
        money = StoredMoney(opened, "c", wall_clock=lambda: NOON / 1000, report=print)
        cap = money.cap(team)
        with opened.transaction() as connection:
            connection.execute(insert(accounts).values(name="spare", balance=0, charged=0, spent=0, calls=0, created_at=1))
        await money._ask({cap.name: 1})
        with pytest.raises(ApiError, match="The team 'research' may spend"):
            cap.refuse(1)

    asyncio.run(main())
    opened.close()
