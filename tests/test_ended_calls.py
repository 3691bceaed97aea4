"""Ending a call that runs, and sums day by day, through the admin API: what the console does with them."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from aisa.ledger.port_usage import Used
from server import Server, serving
from test_admin_api import Operated
from test_reload import asked, until

SLOW = "embedded: {tokens_per_second: 2}\n"
STREAM = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Count to a hundred."}], "max_tokens": 100}


def begun(server: Server) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Begin a stream that takes a minute."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    sent = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(STREAM), sent)
    return connection, connection.getresponse()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_operator_ends_a_call_that_runs(tmp_path: Path, workers: int) -> None:
    """Its client gets an error event and no success; what had arrived is billed; who ended it is on record, once."""
    with serving(tmp_path, SLOW, workers=workers) as server:
        key = server.aisa("admin-keys", "create", "w", "--scope", "write", "--quiet").strip()
        operated = Operated(server, key, key)
        until(lambda: operated.ask("/keys").status == 200)
        connection, answer = begun(server)
        answer.readline()
        call = operated.ask("/board").json["calls"][0]["id"]
        assert operated.ask(f"/calls/{call}/end", {}).json == {"id": call, "ended": True}
        rest = answer.read().decode()
        connection.close()
        assert "Whoever runs this server has ended this call." in rest
        assert '"finish_reason":"stop"' not in rest
        until(lambda: bool(operated.ask(f"/calls/{call}").json["row"]))
        row = operated.ask(f"/calls/{call}").json["row"]
        assert (row["outcome"], row["error_code"]) == ("cut", "insufficient_permissions")
        assert row["billed"]["output_tokens"] == row["delivered"] < 100
        assert operated.ask(f"/calls/{call}/end", {}).code == "resource_not_found"
        changes = [change for change in operated.ask("/changes").json["data"] if change["what"] == "ended"]
        assert [change["after"] for change in changes] == [{"id": call}]


def test_sums_day_by_day_add_up_to_the_sums(tmp_path: Path) -> None:
    """By every grouping, with the time to the first token of the calls that had one."""
    with serving(tmp_path) as server:
        key = server.aisa("admin-keys", "create", "r", "--scope", "read", "--quiet").strip()
        operated = Operated(server, key, key)
        for stream in (True, False, True):
            asked(server, "/v1/chat/completions", {**STREAM, "stream": stream, "max_tokens": 5})
        ended = int(operated.ask("/calls").json["data"][0]["ended_ms"])
        span = f"start_ms={ended - 3 * 86_400_000}&end_ms={ended + 86_400_000}"
        for by in ("key", "account", "model", "vendor", "day"):
            whole, series = operated.ask(f"/usage?by={by}&{span}").json, operated.ask(f"/usage/series?by={by}&{span}").json
            assert len(series["days"]) == 5
            for group, each in series["groups"].items():
                total = {name: sum(day[name] for day in each) for name in Used.__struct_fields__}
                assert total == whole["groups"][group]
            (used,) = [used for used in whole["groups"].values() if used["requests"]]
            assert (used["requests"], used["first_tokens"], used["broken"]) == (3, 2, 0)
        assert series["groups"].keys() <= set(series["days"])
        assert operated.ask(f"/usage/series?by=shoe&{span}").status == 400
