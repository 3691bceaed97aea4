"""Servers that share stores, as their clients and their operator see them: real processes on one Valkey or Redis."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from server import serving
from test_workers import ask, connection, control
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


@needs_server
def test_two_servers_on_one_store_share_an_accounts_limit(tmp_path: Path) -> None:
    """[issue 13] One of one process, one of two workers: six calls a minute in all, and each tells what the other has let in."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with ScriptedVendor() as vendor, store_server() as store:
        text, variables = CONFIGURATION.format(vendor=vendor.url), {"REDIS_URL": store.url}
        with serving(folders[0], text, variables=variables) as one, serving(folders[1], text, variables=variables, workers=2) as two:
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
