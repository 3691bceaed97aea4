"""Two servers on one database and one store of limits whose configurations differ: what is shared all the same, and what is not."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from limits_rig import KINDS, limits_store
from postgres_rig import Postgres, needs_postgres, postgres_server
from server import Server, serving
from test_workers import ask, audited, connection, control, until
from vendor import ScriptedVendor

__all__ = ["postgres_server"]
COMMON = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
stores: {{limits: '{limits}'}}
"""
ONE = """\
limits: {tiers: {few: {rpm: 3}}}
models:
  plain: {to: [local/hello], prices: {input: 100.0, output: 100.0}}
"""
OTHER = """\
limits: {tiers: {few: {rpm: 5}, gold: {rpm: 50}}}
models:
  plain: {to: [local/hello], prices: {input: 300.0, output: 300.0}}
  only-there: {to: [local/hello], prices: {input: 300.0, output: 300.0}}
"""


def explained(server: Server, call_id: str) -> Any:
    """Return a call's bill as one server shows it."""
    return json.loads(server.aisa("explain", call_id, "--json"))


@needs_postgres
@pytest.mark.parametrize("kind", KINDS)
def test_each_has_its_own_limits_prices_and_names_for_what_they_share(kind: str, postgres: Postgres, tmp_path: Path) -> None:
    """[issue 13] One window, of which each takes what its own limit leaves; each bills by its own prices, and both show the same bill."""
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    variables = {"DATABASE_URL": postgres.fresh()}
    with ScriptedVendor() as vendor, limits_store(kind) as store:
        common = COMMON.format(vendor=vendor.url, limits=store.url)
        with (
            serving(folders[0], common + ONE, variables=variables, label="t1") as one,
            serving(folders[1], common + OTHER, variables=variables, label="t2") as other,
        ):
            control(one, "/accounts", name="acme", tier="few")
            control(one, "/accounts/acme/top-up", amount="10")
            key = control(one, "/keys", label="shared", account="acme")["secret"]
            with closing(connection(one)) as here, closing(connection(other)) as there:
                until(lambda: ask(there, key, "nothing")[0] == 404, "the key is not known")
                seen = [ask(client, key, "plain") for client in (here, here, there, here, there, here, there, there)]
                assert [status for status, _, _ in seen] == [200, 200, 200, 429, 200, 429, 200, 429]
                assert [headers["x-ratelimit-limit"] for _, headers, _ in seen] == ["3", "3", "5", "3", "5", "3", "5", "5"]
                control(other, "/accounts/acme/tier", tier="gold")
                until(lambda: ask(there, key, "only-there")[0] == 200, "the tier is not known")
                status, headers, _ = ask(here, key, "only-there")
                assert status == 404
                assert headers["x-ratelimit-limit"] == "3", "a tier that is not known here has the lowest limits, not none"
                until(lambda: ask(here, key, "plain")[0] == 429, "the tier is not known")
            ids = [str(headers["x-request-id"]) for status, headers, _ in seen if status == 200]
            bills = [[explained(server, id_) for server in (one, other)] for id_ in ids]
            assert [left == right for left, right in bills] == [True] * 5
            billed = {call["id"]: call["cost_nanos_usd"] for call in json.loads(one.aisa("calls", "--json"))}
            costs = [billed[id_] for id_ in ids]
            assert costs[2] == 3 * costs[0] == costs[3] == 3 * costs[1]
            for server in (one, other):
                audited(server)
