"""Every answer of the admin API against its own document: each route's good ones and its refusals, from a server on which all happens."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from admin_document import AdminDocument
from server import serving
from test_admin_api import Operated
from test_reload import asked
from test_workers import streaming, until
from vendor import ScriptedVendor

CONFIGURATION = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
limits:
  vendors: {{local: {{concurrency: 100}}}}
models:
  gpt-4.1: [embedded/tiny]
  priced: {{to: [local/hello], prices: {{input: 2.0, output: 8.0, tiers: [{{over_input_tokens: 1, input: 3.0, output: 9.0}}]}}}}
  running: {{to: [local/endless], hold_output_tokens: 10}}
  searched: {{to: [local/searched], prices: {{input: 1.0, output: 1.0}}}}
  failing: {{to: [local/status-401]}}
"""
CALL = "/calls/{name}"
SPAN = f"start_ms={int(time.time() * 1000) - 86_400_000}&end_ms={int(time.time() * 1000) + 86_400_000}"
#: Method, path in the document, what stands for its name, query or body. In this order everything that can be answered is.
REQUESTS: tuple[tuple[str, str, str, Any], ...] = (
    ("POST", "/accounts", "", {"name": "acme", "tier": "free"}),
    ("POST", "/accounts/{name}/tier", "acme", {"tier": "starter"}),
    ("POST", "/accounts/{name}/top-up", "acme", {"amount": "5", "reference": "r", "note": "n"}),
    ("POST", "/accounts/{name}/top-up", "acme", {"amount": "5", "reference": "r", "note": "n"}),
    ("POST", "/accounts/{name}/adjust", "acme", {"amount": "-1", "note": "n"}),
    ("POST", "/wallets/{name}/top-up", "acme", {"amount": "2", "reference": "s", "note": "n"}),
    ("POST", "/wallets/{name}/adjust", "acme", {"amount": "-1", "note": "n"}),
    ("POST", "/accounts/{name}/disable", "acme", None),
    ("POST", "/accounts/{name}/enable", "acme", None),
    ("GET", "/accounts", "", ""),
    ("GET", "/accounts/{name}/entries", "acme", ""),
    ("GET", "/accounts/{name}/statement", "acme", ""),
    ("GET", "/wallets", "", ""),
    ("GET", "/wallets/{name}", "acme", ""),
    ("GET", "/wallets/{name}/entries", "acme", ""),
    ("GET", "/wallets/{name}/statement", "acme", "limit=1"),
    ("POST", "/teams", "", {"name": "crew", "account": "acme", "spend_cap": "5/day"}),
    ("POST", "/teams", "", {"name": "uncapped", "account": "of-its-own"}),
    ("POST", "/teams/{name}/update", "crew", {"spend_cap": "6/week"}),
    ("POST", "/keys", "", {"label": "plain"}),
    ("POST", "/keys", "", {"label": "member", "team": "crew", "spend_cap": "2/month", "rpm": 5, "models": ["priced"], "expires": "30d"}),
    ("POST", "/keys/import", "", {"label": "taken", "secret": "x" * 40, "account": "new-with-it"}),
    ("POST", "/keys/find", "", {"secret": "x" * 40}),
    ("POST", "/keys/{name}/update", "member", {"tpm": 9, "expires": None}),
    ("POST", "/keys/{name}/rotate", "member", {"grace": "1h"}),
    ("POST", "/keys/{name}/disable", "member", None),
    ("POST", "/keys/{name}/enable", "member", None),
    ("POST", "/keys/{name}/revoke", "taken", None),
    ("GET", "/keys", "", ""),
    ("GET", "/keys", "", "standing=1&limit=2"),
    ("GET", "/keys/{name}", "member", ""),
    ("GET", "/keys/{name}", "t", ""),
    ("GET", "/teams", "", ""),
    ("GET", "/teams", "", "account=acme&limit=1"),
    ("GET", "/teams/{name}", "uncapped", ""),
    ("GET", "/usage", "", f"by=key&{SPAN}"),
    ("GET", "/usage", "", f"by=vendor&{SPAN}"),
    ("GET", "/usage/series", "", f"by=key&{SPAN}"),
    ("GET", "/usage/series", "", f"by=day&{SPAN}"),
    ("GET", "/calls", "", ""),
    ("GET", "/calls", "", "refused=1"),
    ("GET", CALL, "latest", ""),
    ("GET", "/models", "", ""),
    ("GET", "/models/{name}", "priced", ""),
    ("GET", "/vendors", "", ""),
    ("GET", "/limits", "", ""),
    ("GET", "/status", "", ""),
    ("GET", "/board", "", ""),
    ("GET", "/changes", "", ""),
    ("POST", "/ledger/made", "", {"vendor": "local", "start_ms": 0, "end_ms": 0}),
    ("POST", "/ledger/audit", "", None),
    ("POST", "/reload", "", None),
    ("POST", "/accounts/{name}/unlimit", "acme", None),
    ("POST", "/wallets/{name}/unlimit", "acme", None),
)


class Judged(NamedTuple):
    """A server whose every answer is judged by its document."""

    operated: Operated
    document: AdminDocument

    def ask(self, method: str, path: str, name: str, more: Any, *, key: str | None = None) -> Any:
        """Ask, and return the answer's document, which is one of those that the OpenAPI document has for the route."""
        query = f"?{more}" if method == "GET" and more else ""
        body = json.dumps({} if more is None else more) if method == "POST" else None
        answer = self.operated.ask(path.replace("{name}", quote(name, safe="")) + query, body, key=key, method=method)
        assert self.document.problems(method, path, answer.status, answer.json) == []
        return answer


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def judged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Judged]:
    """A server in front of a vendor, on which calls were served, have failed, were refused, and one runs."""
    with (
        ScriptedVendor() as vendor,
        serving(tmp_path, CONFIGURATION.format(vendor=vendor.url), workers=request.param) as server,
    ):
        keys = [server.aisa("admin-keys", "create", scope, "--scope", scope, "--quiet").strip() for scope in ("read", "write")]
        operated = Operated(server, *keys)
        for model in ("priced", "searched", "failing", "no/such"):
            asked(server, "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "Hi."}]})
        yield Judged(operated, AdminDocument(operated.ask("/openapi.json").json))


def test_every_answer_is_as_the_document_says(judged: Judged) -> None:
    """[issue 13] Of answers it had that they are objects. No member is missing, of another type or one too many, and all types are met."""
    document, server = judged.document, judged.operated.server
    until(lambda: len(judged.operated.ask("/calls").json["data"]) == 4, "the calls are not all in the list")
    client, response = streaming(server, server.key, "running")
    running = response.headers["x-request-id"]
    for method, path, name, more in REQUESTS:
        answer = judged.ask(method, path, name, more)
        assert answer.status in (200, 201), (path, answer.body)
    for call in judged.operated.ask("/calls").json["data"]:
        judged.ask("GET", CALL, call["id"], "")
    assert judged.ask("GET", CALL, running, "").json["opening"]["id"] == running
    assert judged.ask("POST", "/calls/{name}/end", running, None).json == {"id": running, "ended": True}
    client.close()
    made = judged.ask(
        "POST", "/ledger/made", "", {"vendor": "local", "start_ms": int(SPAN[9:22]), "end_ms": int(SPAN[9:22]) + 2 * 86_400_000}
    )
    assert made.json["data"]
    with closing(sqlite3.connect(server.folder / "data" / "aisa.db")) as database, database:
        database.execute("update accounts set spent = spent + 1 where name = 'acme'")
    assert judged.ask("POST", "/ledger/audit", "", None).json["differences"]
    routes = {
        f"{method.upper()} {path}" for path, methods in judged.operated.ask("/openapi.json").json["paths"].items() for method in methods
    }
    assert document.answered == routes
    assert document.answers() - document.seen == {"ErrorAnswer", "ErrorFields"}


def test_every_refusal_is_as_the_document_says(judged: Judged) -> None:
    """Without a key, of what may only be read, for what is not there, and for what nobody understands."""
    for method, path in {request[:2] for request in REQUESTS} | {("GET", CALL), ("POST", "/calls/{name}/end")}:
        assert judged.ask(method, path, "none", None, key="").status == 401
        assert judged.ask(method, path, "none", "a=1" if method == "GET" else {"unheard": "of"}).status in (400, 404), path
        if "{name}" in path and method == "GET" and path != "/accounts/{name}/entries":
            assert judged.ask(method, path, "none", "").status == 404, path
        if method == "POST" and path not in ("/keys/find", "/ledger/audit", "/ledger/made"):
            assert judged.ask(method, path, "none", {}, key=judged.operated.reads).status == 403
    assert {"ErrorAnswer", "ErrorFields"} <= judged.document.seen
