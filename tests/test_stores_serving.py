"""Servers that share stores, as their clients and their operator see them: real processes on one Valkey or Redis, one PostgreSQL."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

from aisa.ledger.allotments import LEASE_SECONDS
from limits_rig import KINDS, limits_store
from postgres_rig import Postgres, needs_postgres, postgres_server
from server import PROCESS_SECONDS_MAX, Server, environment, serving
from test_workers import ask, audited, connection, control, sample, until
from valkey_rig import needs_server, store_server
from vendor import ScriptedVendor

CONFIGURATION = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
limits:
  tiers: {{few: {{account: {{rpm: 6}}}}}}
models:
  plain: {{to: [local/hello], prices: {{input: 1.0, output: 1.0}}}}
"""

MONEY = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret, connections_max: 1000}}
models:
  priced: {{to: [local/hello], prices: {{input: 100.0, output: 100.0}}, hold_output_tokens: 20}}
  paced: {{to: [local/paced], prices: {{input: 100.0, output: 100.0}}, hold_output_tokens: 40}}
  growing: {{to: [local/paced], prices: {{input: 1.0, output: 1.0}}, hold_output_tokens: 10}}
  plain: {{to: [local/hello]}}
"""
CALL_NANOS_MAX = 6_000_000  # that a call of `priced` holds, and some more


@pytest.mark.parametrize("kind", KINDS)
def test_two_servers_on_one_store_share_an_accounts_limit(kind: str, tmp_path: Path) -> None:
    """[issue 13] One of one process, one of two workers: six calls a minute in all, and each tells what the other has let in."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with ScriptedVendor() as vendor, limits_store(kind) as store:
        text = CONFIGURATION.format(vendor=vendor.url) + f"stores: {{limits: '{store.url}'}}\n"
        with serving(folders[0], text) as one, serving(folders[1], text, workers=2) as two:
            statuses = []
            for server in (one, two):
                control(server, "/accounts", name="acme", tier="few")
            keys = [control(server, "/keys", label="shared", account="acme")["secret"] for server in (one, two)]
            for number in range(10):
                which = number % 2
                with closing(connection((one, two)[which])) as client:
                    status, headers, _ = ask(client, keys[which])
                statuses.append(status)
                assert headers["x-ratelimit-limit"] == "6"
                assert int(headers["x-ratelimit-remaining"]) == max(0, 5 - number)
            assert statuses == [200] * 6 + [429] * 4


@contextmanager
def servers(folder: Path, number: int, vendor: ScriptedVendor, database: str, *, workers: int = 1) -> Iterator[list[Server]]:
    """So many servers on one database, each with a data folder of its own."""
    with ExitStack() as stack:
        running = []
        for which in range(number):
            (folder / str(which)).mkdir(exist_ok=True)
            text, variables = MONEY.format(vendor=vendor.url), {"DATABASE_URL": database}
            running.append(stack.enter_context(serving(folder / str(which), text, variables=variables, workers=workers, label=f"t{which}")))
        yield running


@needs_postgres
def test_servers_on_one_database_know_each_others_keys_accounts_and_money(postgres: Postgres, tmp_path: Path) -> None:
    """[issue 13] What one makes, tops up, caps, disables or revokes counts on the other, and what either bills is in both."""
    database = postgres.fresh()
    with ScriptedVendor() as vendor, servers(tmp_path, 2, vendor, database) as (one, other):
        made = control(one, "/keys", label="shared", account="acme")
        with closing(connection(other)) as client, closing(connection(one)) as at_first:
            until(lambda: ask(client, made["secret"])[0] == 200, "the key is not known")
            control(other, "/accounts/acme/top-up", amount="0.001")
            until(lambda: ask(at_first, made["secret"], "priced", max_tokens=20)[0] == 402, "the top-up is not known")
            control(one, "/accounts/acme/top-up", amount="1")
            until(lambda: ask(client, made["secret"], "priced", max_tokens=20)[0] == 200, "the money is not known")
            calls = [ask(server, made["secret"], "priced", max_tokens=20) for server in (client, at_first) for _ in range(3)]
            assert [status for status, _, _ in calls] == [200] * 6
            control(one, "/keys/shared/revoke")
            began = time.monotonic()
            until(lambda: ask(client, made["secret"])[0] == 401, "the revocation is not known")
            until(lambda: int(postgres.sql(database, "select count(*) from calls where prepaid")) >= 7, "not all is written")
        assert time.monotonic() - began < 30  # some half a second, on whatever machine
        for server in (one, other):
            audited(server)
    assert postgres.sql(database, "select count(*) from allotments") == "0\n"  # who goes away leaves nothing held


@needs_postgres
def test_no_name_that_postgresql_cannot_take_is_a_failure_of_the_ledger(postgres: Postgres, tmp_path: Path) -> None:
    """[fault P5] A NUL in a path or a query, and an id beyond its numbers: who asks so is told, and no bug is reported, no outage told."""
    with ScriptedVendor() as vendor, servers(tmp_path, 1, vendor, postgres.fresh()) as (server,):
        admin = server.aisa("admin-keys", "create", "a", "--scope", "write", "--quiet").strip()
        asked = [
            *[("GET", f"/admin/v1/{path}") for path in ("calls/%00", "calls/req_%00", "accounts/a%00b/entries", "accounts/%00/statement")],
            *[("GET", f"/admin/v1/{path}") for path in ("calls?after=%00", "calls?model=a%00", "usage?account=%00", "changes?after=a%00")],
            *[("GET", f"/admin/v1/{path}") for path in ("teams/%00", "teams/a?account=%00", "teams?account=a%00")],
            *[("POST", f"/admin/v1/accounts/%00/{verb}") for verb in ("disable", "enable", "unlimit")],
            *[("GET", f"/admin/v1/changes?after={after}") for after in ("2147483648", "9" * 18, "9" * 40, "\u0663")],
        ]
        with closing(connection(server)) as client:
            for method, path in [*asked, ("GET", "/v1/usage/calls/%00"), ("GET", "/v1/usage/calls/req_a%00b")]:
                key = server.key if path.startswith("/v1") else admin
                client.request(method, quote(path, safe="/?=%&"), headers={"authorization": f"Bearer {key}"})
                answer = client.getresponse()
                assert (answer.status in (400, 404), answer.read()[:0]) == (True, b""), path


@needs_postgres
def test_a_cap_is_that_of_all_servers_together(postgres: Postgres, tmp_path: Path) -> None:
    """[issue 13] A key that may spend a cent a day spends no more by asking two servers by turns."""
    database = postgres.fresh()
    with ScriptedVendor() as vendor, servers(tmp_path, 2, vendor, database) as both:
        key = control(both[0], "/keys", label="capped", spend_cap="0.01/day")["secret"]
        with closing(connection(both[0])) as first, closing(connection(both[1])) as second:
            until(lambda: ask(second, key)[0] == 200, "the key is not known")
            statuses = [ask((first, second)[number % 2], key, "priced", max_tokens=20)[0] for number in range(20)]
        assert {200, 429} <= set(statuses) <= {200, 429, 503}  # on a busy machine the database may not answer in time
    spent = int(postgres.sql(database, "select sum(cost) from calls"))
    assert 5_000_000 < spent <= 10_000_000
    assert postgres.sql(database, "select sum(spent) from cap_spent") == f"{spent}\n"


@needs_postgres
def test_a_team_is_that_of_all_servers(postgres: Postgres, tmp_path: Path) -> None:
    """[issue 13] Made on one, with keys made on either; its cap holds on both, which show what is left, and a change counts on both."""
    database = postgres.fresh()
    with ScriptedVendor() as vendor, servers(tmp_path, 2, vendor, database) as both:
        control(both[0], "/teams", name="bots", account="acme", spend_cap="0.01/day")
        keys = [control(server, "/keys", label=f"member {number}", team="bots")["secret"] for number, server in enumerate(both)]
        with closing(connection(both[0])) as first, closing(connection(both[1])) as second:
            for key in keys:
                until(lambda key=key: ask(first, key)[0] == ask(second, key)[0] == 200, "a key is not known")
            statuses = [ask((first, second)[number % 2], keys[number // 2 % 2], "priced", max_tokens=20)[0] for number in range(20)]
            assert {200, 429} <= set(statuses) <= {200, 429, 503}
            sums = list[set[int]]()

            def agreed() -> bool:
                lists = [json.loads(server.aisa("teams", "list", "--json"))[0] for server in both]
                assert [(shown["keys"], shown["spent_nanos_usd"] + shown["left_nanos_usd"]) for shown in lists] == [(2, 10_000_000)] * 2
                sums.append({*(shown["spent_nanos_usd"] for shown in lists), int(postgres.sql(database, "select sum(cost) from calls"))})
                return len(sums[-1]) == 1

            until(agreed, "they and the database do not agree")
            assert 5_000_000 < max(sums[-1]) <= 10_000_000
            assert ask(second, keys[0], path="/v1/credits/balance")[2]["team"]["name"] == "bots"
            control(both[0], "/teams/bots/update", name="crew", spend_cap="1/day")
            until(lambda: ask(second, keys[1], "priced", max_tokens=20)[0] == 200, "the cap is not known")
            assert json.loads(both[1].aisa("keys", "show", "member 0", "--json"))["team"]["name"] == "crew"


@needs_postgres
@pytest.mark.parametrize("streams", [False, True], ids=["documents", "streams"])
def test_twenty_keys_on_one_wallet_of_four_servers_never_spend_more_than_it_has(streams: bool, postgres: Postgres, tmp_path: Path) -> None:
    """[issue 13] 64 clients, one server killed and started again: never below zero, nothing twice, nothing lost, the audit is clean.

    What the dead one had been allotted is free once it is back. With streams it comes back later than its lease, and the others have spent
    that: then what is below zero is no more than that was.
    """
    database = postgres.fresh()
    with ScriptedVendor() as vendor, servers(tmp_path, 3, vendor, database) as running:
        (tmp_path / "dying").mkdir()
        text, variables = MONEY.format(vendor=vendor.url), {"DATABASE_URL": database}
        with serving(tmp_path / "dying", text, variables=variables, status=-signal.SIGKILL, label="dying") as dying:
            keys = [control(dying, "/keys", label=f"k{number}", account="acme")["secret"] for number in range(20)]
            control(dying, "/accounts/acme/top-up", amount="1")
            them = [*running, dying]
            for server in them:
                with closing(connection(server)) as client:
                    until(partial(is_known, client, keys[-1]), "the last key is not known")
            spend = spend_streams if streams else spend_documents
            threads = [threading.Thread(target=spend, args=(them[number % 4], keys[number % 20])) for number in range(64)]
            for thread in threads:
                thread.start()
            until(lambda: int(postgres.sql(database, "select count(*) from calls where prepaid")) > 50, "nobody spends")
            dying.process.kill()
            for thread in threads:
                thread.join(PROCESS_SECONDS_MAX)
            assert not any(thread.is_alive() for thread in threads)
        identity = (tmp_path / "dying" / "data" / "server.id").read_bytes().hex()
        had = int(postgres.sql(database, f"select coalesce(sum(amount), 0) from allotments where server = '{identity}'"))
        with closing(connection(running[0])) as client:
            if streams:
                postgres.sql(database, f"update servers set seen_at = seen_at - {LEASE_SECONDS} where server = '{identity}'")
                until(partial(is_spent, client, keys[0], lambda: wallet_of(postgres, database)), "its lease does not end")
            with serving(tmp_path / "dying", text, variables=variables, label="again") as again:
                audited(again)
                until(partial(is_spent, client, keys[0], lambda: wallet_of(postgres, database)), "it keeps what it had")
        audited(running[0])
    balance, charged = postgres.sql(database, "select balance, charged from accounts where name = 'acme'").strip().split("|")
    cost, rows, ids = postgres.sql(database, "select sum(cost), count(*), count(distinct id) from calls where prepaid").strip().split("|")
    assert rows == ids
    assert int(charged) == int(cost) == 10**9 - int(balance)
    assert (-had if streams else 0) <= int(balance) < CALL_NANOS_MAX


def wallet_of(postgres: Postgres, database: str) -> int:
    """What is in the wallet."""
    return int(postgres.sql(database, "select balance from accounts where name = 'acme'"))


def is_spent(client: http.client.HTTPConnection, key: str, left: Callable[[], int]) -> bool:
    """Spend some more, and say whether what is left is too little for another call."""
    assert ask(client, key, "priced", max_tokens=20)[0] in (200, 402, 503)
    return left() < CALL_NANOS_MAX


def is_known(client: http.client.HTTPConnection, key: str) -> bool:
    """Say whether a key is good here."""
    return bool(ask(client, key)[0] == 200)


def spend_documents(server: Server, key: str) -> None:
    """Ask for documents until the wallet has no more, or the server is gone."""
    spend_by(server, lambda client: int(ask(client, key, "priced", max_tokens=20)[0]))


def spend_streams(server: Server, key: str) -> None:
    """Ask for streams until the wallet has no more, or the server is gone."""
    spend_by(server, lambda client: streamed(client, key, "paced"))


def streamed(client: http.client.HTTPConnection, key: str, model: str) -> int:
    """Ask for a stream and read it to its end; return the status."""
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "Hi."}]})
    client.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", "content-type": "application/json"})
    response = client.getresponse()
    text = response.read()
    assert response.status in (402, 503) or text.endswith(b"data: [DONE]\n\n"), text
    return response.status


def spend_by(server: Server, once: Callable[[http.client.HTTPConnection], int]) -> None:
    """Do something until the wallet has no more, on another connection when one breaks, or until the server is gone."""
    client = connection(server)
    while server.process.poll() is None:
        try:
            status = once(client)
        except (http.client.HTTPException, OSError, ValueError):
            client.close()
            continue
        if status == 402:
            break
        assert status in (200, 503), status
    client.close()


@needs_postgres
@needs_server
@pytest.mark.parametrize("workers", [1, 2])
def test_a_store_that_is_away_is_told_as_what_must_be_acted_on(workers: int, tmp_path: Path) -> None:
    """[issue 13] An error in the log with what counts meanwhile and what to do, a metric for an alert, `aisa status`; and when it is back.

    Both were notices of what is as it should be, left out by `log.level: warning`, and of limits no metric and no status knew anything.
    """
    with ScriptedVendor() as vendor, postgres_server() as postgres, store_server() as limits:
        text = MONEY.format(vendor=vendor.url) + "metrics: {listen: '127.0.0.1:0'}\n"
        variables = {"DATABASE_URL": postgres.fresh(), "REDIS_URL": limits.url}
        with serving(tmp_path, text, variables=variables, workers=workers) as server:
            assert [sample(server, f'aisa_store_away{{store="{store}"}}') for store in ("database", "limits")] == [0, 0]
            limits.kill()
            os.kill(postgres.pid, signal.SIGKILL)
            for store in ("database", "limits"):
                until(partial(is_sample, server, f'aisa_store_away{{store="{store}"}}', 1), f"no metric says that the {store} is away")
                until(partial(is_told, server, store), f"the log does not say that the {store} is away")
                told = lines_of(server, store)
                assert {(line["type"], line["level"]) for line in told} == {("store_away", "error")}
                assert all("AWAY" in line["message"] and line["remedy"].startswith("Look whether it runs") for line in told)
            status = status_of(server)
            assert "The store of limits does not answer." in status
            assert "The database does not take the rows of calls" in status  # though there is none to be taken that could fail
            limits.start()
            (postgres.folder / "data" / "postmaster.pid").unlink()
            postgres.start()
            for store in ("database", "limits"):
                until(partial(is_sample, server, f'aisa_store_away{{store="{store}"}}', 0), f"the {store} is not back")


def lines_of(server: Server, store: str) -> list[dict[str, str]]:
    """What the log says of a store."""
    return [line for line in map(json.loads, server.log.splitlines()) if line.get("store") == store]


def is_told(server: Server, store: str) -> bool:
    """Say whether the log says something of a store; it is written a moment later."""
    return bool(lines_of(server, store))


def is_sample(server: Server, name: str, value: float) -> bool:
    """Say whether a metric has this value."""
    return sample(server, name) == value


@needs_postgres
def test_a_server_that_was_on_a_database_does_not_begin_anew_on_an_empty_one(tmp_path: Path, postgres: Postgres) -> None:
    """[issue 13] One restarted from nothing got tables and another first key, and every key of before was 401, without a word."""
    full, empty = postgres.fresh(), postgres.fresh()
    with serving(tmp_path, "", variables={"DATABASE_URL": full}):
        pass
    command = [sys.executable, "-m", "aisa", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    variables = environment() | {"DATABASE_URL": empty}
    refused = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=PROCESS_SECONDS_MAX)
    told = " ".join(refused.stderr.split())
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "The database is empty, and this server was on one before" in told
    assert "aisa restore FILE" in told
    assert postgres.sql(empty, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").strip() == "0", "nothing was made there"
    with serving(tmp_path, "", variables={"DATABASE_URL": full}, label="again"):
        pass
    (tmp_path / "data" / "server.id").unlink()  # as the remedy says, for who means it
    with serving(tmp_path, "", variables={"DATABASE_URL": empty}, label="anew"):
        pass


def status_of(server: Server) -> str:
    """What `aisa status` says, whatever its status."""
    command = [sys.executable, "-m", "aisa", "status", "--quiet", "--json", "--data-dir", str(server.folder / "data")]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=PROCESS_SECONDS_MAX).stdout


@needs_postgres
def test_a_database_that_dies_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """[issue 13] While it is away keys without wallet and cap go on, others get 503; what was served is in it once when it is back."""
    with ScriptedVendor() as vendor, postgres_server() as postgres:
        database = postgres.fresh()
        with servers(tmp_path, 1, vendor, database) as (server,), closing(connection(server)) as client:
            free = control(server, "/keys", label="free", account="free")["secret"]
            paying = control(server, "/keys", label="paying", account="paying")["secret"]
            control(server, "/accounts/paying/top-up", amount="1")
            good = sum(ask(client, key, "priced", max_tokens=20)[0] == 200 for key in (free, paying, paying))
            assert good == 3
            os.kill(postgres.pid, signal.SIGKILL)
            until(lambda: "THE DATABASE IS AWAY" in server.log, "nobody notices")
            for _ in range(5):
                good += ask(client, free)[0] == 200
                status, headers, body = ask(client, paying, "priced", max_tokens=20)
                assert (status, body["error"]["code"], headers["retry-after"]) == (503, "overloaded", "1")
            assert good == 8
            (postgres.folder / "data" / "postmaster.pid").unlink()
            postgres.start()
            until(lambda: ask(client, paying, "priced", max_tokens=20)[0] == 200, "the wallet is not known again")
            until(lambda: postgres.sql(database, "select count(*) from calls where cost >= 0") == "9\n", "not all is written")
            audited(server)
