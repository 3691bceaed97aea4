"""A pooler of connections (pgbouncer, by transactions) in front of PostgreSQL: what works through it, and what says that it does not."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from aisa.admission.store import SQL
from aisa.storage.postgres_script import PostgresScript
from aisa.storage.unanswered import StoreAway
from postgres_rig import USER, Postgres, needs_postgres
from server import PROCESS_SECONDS_MAX, serving
from test_workers import ask, connection, control, until
from vendor import ScriptedVendor

PGBOUNCER = shutil.which("pgbouncer")
pytestmark = [needs_postgres, pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")]
CONFIGURATION = """\
stores: {{database: "{url}"}}
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
models:
  priced: {{to: [local/hello], prices: {{input: 100.0, output: 100.0}}, hold_output_tokens: 20}}
"""
SETTINGS = """\
[databases]
* = host={host} user=aisa
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
unix_socket_mode = 0777
auth_type = any
pool_mode = transaction
default_pool_size = 4
"""


@contextmanager
def pooled(postgres: Postgres, url: str) -> Iterator[str]:
    """Return the URL of a database through a pooler."""
    assert PGBOUNCER is not None
    ids = {} if USER is None else {"user": USER.pw_uid, "group": USER.pw_gid, "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="aisa-") as folder:
        if USER is not None:
            os.chown(folder, USER.pw_uid, USER.pw_gid)
        settings = Path(folder, "settings")
        settings.write_text(SETTINGS.format(host=postgres.folder, folder=folder))
        process = subprocess.Popen([PGBOUNCER, "-q", str(settings)], stderr=subprocess.DEVNULL, **ids)
        try:
            until(lambda: listens(f"{folder}/.s.PGSQL.6432"), "the pooler does not begin")
            yield re.sub(r"host=.*", f"host={folder}&port=6432", url)
        finally:
            process.kill()
            process.wait(PROCESS_SECONDS_MAX)


def listens(path: str) -> bool:
    """Say whether somebody takes connections there."""
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect_ex(path) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_keys_money_and_idempotency_keys_work_through_a_pooler(tmp_path: Path, postgres: Postgres, workers: int) -> None:
    """[issue 13] Nothing that is said on one connection is looked for on the next: it was documented, and never tried."""
    url = postgres.fresh()
    with pooled(postgres, url) as through, ScriptedVendor() as vendor:
        with (
            serving(tmp_path, CONFIGURATION.format(url=through, vendor=vendor.url), workers=workers) as server,
            closing(connection(server)) as client,
            closing(connection(server)) as other,
        ):
            control(server, "/accounts", name="acme")
            key = control(server, "/keys", label="capped", account="acme", spend_cap="5/day")["secret"]
            control(server, "/accounts/acme/top-up", amount="1")
            until(lambda: ask(client, key, "priced", max_tokens=5)[0] == 200, "what it may spend is not allotted")
            marked = {"headers": {"idempotency-key": "once"}}
            until(lambda: ask(client, key, "priced", max_tokens=5, **marked)[0] == 200, "it is not answered")
            until(lambda: ask(other, key, "priced", max_tokens=5, **marked)[0] == 200, "it is not given again")
            assert control(server, "/ledger/audit")["counts"] == {}
            assert "store_away" not in server.log
        assert len(vendor.asked("hello")) == int(postgres.sql(url, "SELECT count(*) FROM calls")) == 2


def test_limits_say_that_they_cannot_be_behind_a_pooler(postgres: Postgres) -> None:
    """[issue 13] They are asked in prepared statements. What the log said was advice to whoever had written the server."""
    url = postgres.fresh()

    async def main(through: str) -> None:
        script = await PostgresScript.open(through, SQL)
        asked = ("end", "", "1000000", "none", *"0000000")
        try:
            await script.run((), asked)
            with closing(psycopg.connect(through)) as other:
                other.execute("SELECT 1")  # in a transaction, which has the only connection that there is
                await script.run((), asked)
        finally:
            script.give_up()

    with pooled(postgres, url) as through, pytest.raises(StoreAway, match="a pooler of connections is in front of it"):
        asyncio.run(main(through))
