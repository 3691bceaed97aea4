"""Servers of several processes on one PostgreSQL, as clients and operators see them: real processes, some of which are killed."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from postgres_rig import Postgres, needs_postgres, postgres_server
from server import PROCESS_SECONDS_MAX, Server, serving
from test_stores_serving import (
    CALL_NANOS_MAX,
    MONEY,
    is_known,
    is_spent,
    servers,
    spend_streams,
    streamed,
    wallet_of,
)
from test_workers import ask, audited, connection, control, until, workers_of
from vendor import ScriptedVendor

pytestmark = needs_postgres
DOLLAR = 10**9


def clients_of(server: Server, stack: ExitStack, number: int) -> list[http.client.HTTPConnection]:
    """Connections of which each is with another worker."""
    clients = [stack.enter_context(closing(connection(server))) for _ in range(number)]
    for client in clients:
        client.connect()
    return clients


def test_workers_on_a_shared_database_have_one_wallet_one_cap_and_the_same_keys(postgres: Postgres, tmp_path: Path) -> None:
    """[issue 13] Two servers of two workers: what one is told counts on each worker of the other, and what they bill is in one ledger."""
    database = postgres.fresh()
    with ScriptedVendor() as vendor, servers(tmp_path, 2, vendor, database, workers=2) as (one, other), ExitStack() as stack:
        made = control(one, "/keys", label="shared", account="acme")
        them = [*clients_of(one, stack, 2), *clients_of(other, stack, 2)]
        for client in them:
            until(partial(is_known, client, made["secret"]), "the key is not known")
        control(other, "/accounts/acme/top-up", amount="0.001")
        for client in them:
            until(lambda client=client: ask(client, made["secret"], "priced", max_tokens=20)[0] == 402, "the top-up is not known")
        control(one, "/accounts/acme/top-up", amount="1")
        for client in them:
            until(lambda client=client: ask(client, made["secret"], "priced", max_tokens=20)[0] == 200, "the money is not known")
        for client in them:
            assert streamed(client, made["secret"], "growing") == 200  # more is held for it than was allotted at first
        capped = control(one, "/keys", label="capped", spend_cap="0.01/day")["secret"]
        for client in them:
            until(partial(is_known, client, capped), "the key is not known")
        statuses = [ask(them[number % 4], capped, "priced", max_tokens=20)[0] for number in range(24)]
        assert {200, 429} <= set(statuses) <= {200, 429, 503}  # on a busy machine the database may not answer in time
        _, _, balance = ask(them[3], made["secret"], path="/v1/credits/balance")
        assert 0 < balance["account_balance_micros_usd"] <= 1_001_000
        once = {"idempotency-key": "order-1"}
        answers = [settled(client, made["secret"], once) for client in them]
        assert {answer[0] for answer in answers} == {answers[0][0]}  # one document, under the id of the one call that is billed
        assert [replayed for _, replayed in answers] == [None, "true", "true", "true"]
        control(one, "/accounts/acme/tier", tier="free")
        for client in them:
            until(lambda client=client: "x-ratelimit-limit" in ask(client, made["secret"])[1], "the tier is not known")
        control(one, "/accounts/acme/disable")
        for client in them:
            until(lambda client=client: ask(client, made["secret"])[0] == 401, "that the account is disabled is not known")
        control(one, "/accounts/acme/enable")
        for client in them:
            until(partial(is_known, client, made["secret"]), "that the account is enabled is not known")
        control(one, "/keys/shared/revoke")
        for client in them:
            until(lambda client=client: ask(client, made["secret"])[0] == 401, "the revocation is not known")
    spent = int(postgres.sql(database, "select sum(cost) from calls where key_id = (select id from keys where label = 'capped')"))
    assert 5_000_000 < spent <= 10_000_000
    assert postgres.sql(database, "select count(*) from allotments") == "0\n"  # who goes away leaves nothing held


def test_one_wallet_of_two_servers_of_two_workers_outlives_the_death_of_any_process(tmp_path: Path) -> None:
    """[issue 13] 20 keys, 64 streams; a worker, an office and PostgreSQL are killed: never below zero, nothing twice, nothing lost."""
    with ScriptedVendor() as vendor, postgres_server() as postgres:
        database = postgres.fresh()
        text, variables = MONEY.format(vendor=vendor.url), {"DATABASE_URL": database}
        (tmp_path / "dying").mkdir()
        with servers(tmp_path, 1, vendor, database, workers=2) as (lasting,):
            with serving(tmp_path / "dying", text, variables=variables, workers=2, status=-signal.SIGKILL, label="dying") as dying:
                keys = [control(dying, "/keys", label=f"k{number}", account="acme")["secret"] for number in range(20)]
                control(dying, "/accounts/acme/top-up", amount="1")
                for server in (lasting, dying):
                    with closing(connection(server)) as client:
                        until(partial(is_known, client, keys[-1]), "the last key is not known")
                threads = [
                    threading.Thread(target=spend_streams, args=((lasting, dying)[number % 2], keys[number % 20])) for number in range(64)
                ]
                for thread in threads:
                    thread.start()
                until(lambda: written(postgres, database) > 40, "nobody spends")
                os.kill(workers_of(lasting)[0], signal.SIGKILL)
                until(lambda: written(postgres, database) > 80, "nobody spends any more")
                dying.process.kill()
                os.kill(postgres.pid, signal.SIGKILL)
                until(lambda: "THE DATABASE IS AWAY" in lasting.log, "nobody notices")
                (postgres.folder / "data" / "postmaster.pid").unlink()
                postgres.start()
                for thread in threads:
                    thread.join(PROCESS_SECONDS_MAX)
                assert not any(thread.is_alive() for thread in threads)
            with serving(tmp_path / "dying", text, variables=variables, workers=2, label="again") as again:
                until(lambda: len(workers_of(lasting)) == 2, "no other worker has begun")
                audited(again)
                with closing(connection(again)) as client:  # who was refused while others held the rest has given up
                    until(partial(is_spent, client, keys[0], lambda: wallet_of(postgres, database)), "it is not spent")
            audited(lasting)
        balance, charged = numbers(postgres.sql(database, "select balance, charged from accounts where name = 'acme'"))
        cost, rows, ids = numbers(postgres.sql(database, "select sum(cost), count(*), count(distinct id) from calls where prepaid"))
        assert rows == ids
        assert charged == cost == DOLLAR - balance
        assert 0 <= balance < CALL_NANOS_MAX


def settled(client: http.client.HTTPConnection, key: str, headers: dict[str, str]) -> tuple[str, str | None]:
    """Make a call with a key as soon as the first with it is billed; return the id of its answer, and whether it was replayed."""
    answers = []

    def done() -> bool:
        answers.append(ask(client, key, headers=headers))
        assert answers[-1][0] in (200, 409, 503), answers[-1]
        return bool(answers[-1][0] == 200)

    until(done, "the first call does not end")
    _, got, _ = answers[-1]
    return got["x-request-id"], got["idempotent-replayed"]


def written(postgres: Postgres, database: str) -> int:
    """How many calls on the wallet the database has."""
    return int(postgres.sql(database, "select count(*) from calls where prepaid"))


def numbers(line: str) -> list[int]:
    """The numbers of a row."""
    return [int(each) for each in line.strip().split("|")]
