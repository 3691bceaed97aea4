"""A vendor's limits over the workers of a real server, one of which is killed."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from server import Server, serving
from test_workers import ControlConnection, ask, connection, streaming, until, workers_of
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


JSON = {"content-type": "application/json"}
