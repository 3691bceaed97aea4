"""What the log says of stores and others that are away: why, and why else when that has become another."""

from __future__ import annotations

import asyncio
import errno
from contextlib import closing
from pathlib import Path

import pytest

from aisa.admission.store_way import RENEW_SECONDS
from aisa.facts import Fact, LedgerAway, LedgerBack, SharedStoreAway
from aisa.identity.signing_keys import RETRY_SECONDS
from aisa.ledger.sync import GroupSync
from aisa.outages import REASONS_MAX, Outage
from aisa.storage.failure import StorageFailed
from aisa.testing.clock import run_virtual
from identity_rig import identity_provider
from postgres_rig import needs_postgres, postgres_server
from test_identity import Bench
from test_store_admission import Heard, admission_on
from test_stores_serving import servers
from test_workers import connection, control, until
from valkey_rig import needs_server, store_server
from vendor import ScriptedVendor


def test_a_reason_is_told_once_in_an_outage_and_few_in_all() -> None:
    """A reason with a number in it would otherwise be a line for each try."""
    outage = Outage()
    assert not outage.end(), "there was none"
    assert [outage.is_news(f"reason {number // 2}") for number in range(20)].count(True) == REASONS_MAX
    assert outage.end()
    assert outage.is_news("reason 0"), "it is another outage"


@needs_server
def test_why_a_store_of_limits_does_not_let_us_in_is_told_when_it_comes_back_with_another_password() -> None:
    """[issue 13] "It does not answer" stood in the log for hours, where the store said each half second what was the matter."""

    async def main() -> None:
        heard = Heard()
        with store_server() as server:
            _, way, _ = await admission_on(server, heard=heard)
            server.kill()
            await heard.until("AWAY (it does not answer")
            await heard.until("AWAY ([Errno")
            server._options = ("--requirepass", "another")
            server.start()
            await heard.until("AWAY (NOAUTH")
            told = len(heard)
            await asyncio.wait([way._task], timeout=RENEW_SECONDS)
            assert len(heard) == told, "each try is told"
            assert all(isinstance(fact, SharedStoreAway) and "lets this server in" in fact.remedy for fact in heard)
            await way.stop()

    asyncio.run(main())


@needs_postgres
def test_why_the_database_is_away_is_told_by_a_server_without_calls(tmp_path: Path) -> None:
    """[issue 13] `aisa status` sent to the `store_away` line, which did not say it; the other is told only where calls end."""
    with ScriptedVendor() as vendor, postgres_server() as postgres:
        database = postgres.fresh()
        name = database.partition("?")[0].rpartition("/")[2]
        with servers(tmp_path, 1, vendor, database) as (server,), closing(connection(server)):
            control(server, "/keys", label="free", account="free")
            elsewhere = database.replace(f"/{name}?", "/postgres?")
            postgres.sql(elsewhere, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            postgres.end_sessions(name)
            until(lambda: "not currently accepting connections" in server.log, "nobody says why")
            server.told("THE DATABASE IS AWAY (")
            postgres.sql(elsewhere, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            until(lambda: "the database is back" in server.log, "it is not asked again")


def test_another_reason_why_the_journal_is_not_on_disk_is_told() -> None:
    """A disk that does not work and then is full is another matter, with other things to do."""
    facts: list[Fact] = []
    failing = [OSError(errno.EIO, "Input/output error"), OSError(errno.ENOSPC, "No space left on device")]

    def sync() -> None:
        if failing:
            raise failing[0]

    async def scene() -> None:
        group = GroupSync(sync, "/data", facts.append)
        while failing:
            for _ in range(2):
                with pytest.raises(StorageFailed):
                    await group()
            failing.pop(0)
        await group()

    asyncio.run(scene())
    assert [type(fact) for fact in facts] == [LedgerAway, LedgerAway, LedgerBack]
    assert "No space left" in str(facts[1])


def test_another_reason_why_signing_keys_are_not_fetched_is_told() -> None:
    """[issue 13] A provider that was restarted and then names another issuer stood in the log as one that does not answer."""

    async def scene() -> None:
        with identity_provider() as provider, identity_provider() as other:
            bench = Bench(provider)
            bench.documents.away = True
            assert bench.refused(provider.token()) == "overloaded"
            await asyncio.sleep(2 * RETRY_SECONDS)
            bench.documents.away = False
            bench.documents.provider = other
            await asyncio.sleep(3 * RETRY_SECONDS)
        said = [getattr(fact, "message", "") for fact in bench.reported]
        assert [("connection refused" in text, "to the letter" in text) for text in said] == [(True, False), (False, True)]

    run_virtual(scene())
