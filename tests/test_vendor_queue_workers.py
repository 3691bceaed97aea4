"""A vendor's limits over the workers of a real server, one of which is killed."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from limits_rig import KINDS, limits_store
from server import Server, serving
from test_workers import ControlConnection, ask, begun, connection, streaming, until, workers_of
from vendor import ScriptedVendor

CONFIGURATION = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}"}}
limits:
  vendors: {{local: {{concurrency: 2, queue_seconds: {wait}}}}}
models:
  endless: {{to: [local/endless], hold_output_tokens: 10}}
  plain: {{to: [local/hello]}}
"""


def limit_shown(server: Server) -> dict[str, Any]:
    """How full the vendor's limit is, as administrators see it."""
    with closing(ControlConnection(server)) as client:
        client.request("GET", "/vendors")
        (vendor,) = json.loads(client.getresponse().read())["data"]
        (shown,) = vendor["limits"]
        return dict(shown)


def test_workers_share_a_vendor_s_limit_and_a_killed_one_frees_its_places(tmp_path: Path) -> None:
    """[issue 13] Whichever worker a call comes to, two at once is what there is; after `kill -9` those places are there again."""
    with ScriptedVendor() as vendor, serving(tmp_path, CONFIGURATION.format(vendor=vendor.url, wait=0), workers=2) as server:
        held = [streaming(server, server.key, "endless") for _ in range(2)]
        with closing(connection(server)) as client:
            status, headers, document = ask(client, server.key)
            assert (status, document["error"]["code"]) == (429, "upstream_rate_limit")
            assert "at the vendor 'local', may have 2 calls in flight" in document["error"]["message"]
            assert 1 <= int(headers["retry-after"]) <= 60
            shown = limit_shown(server)
            assert (shown["target"], shown["concurrency"], shown["in_flight"], shown["waiting"]) == ("local", 2, 2, 0)
        os.kill(workers_of(server)[0], signal.SIGKILL)

        def is_let_in() -> bool:
            with closing(connection(server)) as client, suppress(OSError):  # it may still be passed to the one that is dying
                return bool(ask(client, server.key)[0] == 200)
            return False

        until(is_let_in, "the places of the killed worker were not freed")
        for client, _ in held:
            client.close()


def test_a_call_of_one_worker_has_the_place_that_another_gives_back(tmp_path: Path) -> None:
    """It waits for no time-out: workers look whether others have made room."""
    with ScriptedVendor() as vendor, serving(tmp_path, CONFIGURATION.format(vendor=vendor.url, wait=50), workers=2) as server:
        held = [streaming(server, server.key, "endless") for _ in range(2)]
        with closing(connection(server)) as waiting:
            body = json.dumps({"model": "plain", "messages": [{"role": "user", "content": "Hi."}]})
            waiting.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {server.key}"} | JSON)
            until(lambda: limit_shown(server)["waiting"] == 1, "nobody waits")
            for client, _ in held:
                client.close()
            assert waiting.getresponse().status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_workers_of_a_server_with_a_store_share_what_it_may_have_of_a_vendor(kind: str, tmp_path: Path) -> None:
    """[issue 13] Servers of one and of two workers, two calls at the vendor: one of each server, not of each process."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with ScriptedVendor() as vendor, limits_store(kind) as store:
        text = CONFIGURATION.format(vendor=vendor.url, wait=0) + f"stores: {{limits: '{store.url}'}}\n"
        with serving(folders[0], text) as one, serving(folders[1], text, workers=2) as two:
            for server in (one, two):
                until(lambda server=server: limit_shown(server)["concurrency"] == 1, "the servers are not counted")
            clients = [(server, connection(server)) for server in (one, two, two)]
            for _, client in clients:
                client.connect()  # one with each worker
            held = [begun(client, server.key, "endless") for server, client in clients[:2]]
            for server in (one, two, two):
                with closing(connection(server)) as other:
                    assert ask(other, server.key)[0] == 429
            assert ask(clients[2][1], two.key)[2]["error"]["code"] == "upstream_rate_limit"
            for response in held:
                response.close()
            for _, client in clients:
                client.close()


JSON = {"content-type": "application/json"}
