"""What `deploy/compose.yaml` describes, run by hand: two replicas on one PostgreSQL and one store of limits, behind its own nginx file.

Skipped by name where one of them is not installed.
"""

from __future__ import annotations

import http.client
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ports import free_port
from postgres_rig import needs_postgres, postgres_server
from proxy_rig import PRODUCTS, ROOT, standing
from restart_rig import CONFIGURATION, Replica, under_load
from server import PROCESS_SECONDS_MAX
from test_workers import ask, audited, control, until
from valkey_rig import needs_server, store_server

CLIENTS = 12
PRICED = "models: {embedded/tiny: {to: [embedded/tiny], prices: {input: 1.0, output: 1.0}}}\nlimits: {default_tier: growth}\n"


@needs_postgres
@needs_server
@pytest.mark.skipif(PRODUCTS["nginx"].program() is None, reason="nginx is not installed")
def test_a_replica_that_is_killed_takes_nothing_with_it_but_the_streams_that_it_had(tmp_path: Path) -> None:
    """[issue 13] Of each client it had one stream at most, all go on at the other; it comes back, and every call is in the ledger once."""
    with ExitStack() as stack:
        postgres, store = stack.enter_context(postgres_server()), stack.enter_context(store_server())
        database = postgres.fresh()
        variables, ports = {"DATABASE_URL": database, "VALKEY_URL": store.url}, (free_port(), free_port())
        replicas = [
            Replica(tmp_path / f"aisa-{number}", port, configuration=CONFIGURATION + PRICED, variables=variables)
            for number, port in enumerate(ports)
        ]
        for replica in replicas:
            replica.folder.mkdir()
            stack.callback(replica.kill)
            replica.start()
        survivor, victim = replicas
        key = control(survivor, "/keys", label="load", account="acme")["secret"]
        control(survivor, "/accounts/acme/top-up", amount="1")
        with closing(http.client.HTTPConnection("127.0.0.1", ports[1], timeout=PROCESS_SECONDS_MAX)) as client:
            until(lambda: ask(client, key, "embedded/tiny", max_tokens=1)[0] == 200, "the key is not known to both")
        text = (ROOT / "deploy" / "nginx" / "aisa.conf").read_text(encoding="utf-8")
        text = (
            text.replace("aisa-1:", "127.0.0.1:")
            .replace("aisa-2:8000", f"127.0.0.1:{ports[1]}")
            .replace("listen 8080", "listen 127.0.0.1:8080")
        )
        url = stack.enter_context(standing(PRODUCTS["nginx"], text, tmp_path / "nginx", behind=ports[0]))
        outcome = under_load(int(url.rpartition(":")[2]), key, clients=CLIENTS, steps=[victim.kill, victim.start])
        busy = outcome.lost["status 503"]  # on a busy machine the database may not answer in time
        assert outcome.lost.total() - busy <= CLIENTS, outcome
        assert outcome.whole > 3 * CLIENTS
        whole = "select count(*) - 1 from calls where outcome = 'completed'"  # all but the first, above
        until(lambda: int(postgres.sql(database, whole)) >= outcome.whole, "not all is written")
        for replica in replicas:
            audited(replica)  # type: ignore[arg-type]  # it has a folder
            replica.stop()
        assert int(postgres.sql(database, whole)) <= outcome.whole + outcome.lost.total()
        rows, ids, cost = postgres.sql(database, "select count(*), count(distinct id), sum(cost) from calls").strip().split("|")
        assert rows == ids
        assert postgres.sql(database, "select 1000000000 - balance from accounts where name = 'acme'") == f"{cost}\n"
