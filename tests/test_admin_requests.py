"""What the admin API makes of odd requests: its document says all that can be asked for, and whatever is sent is no failure of ours."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from admin_document import AdminDocument
from repeats import repeats
from server import serving
from test_admin_api import Operated, asked_at, operated
from test_reload import SECONDS_MAX

__all__ = ["operated"]

TEXTS = (
    *("", "a", "acme", "t", "x" * 300, "\0", "é", "\U0001d11e", "a/b", "../..", "%00", "*", "never", "none", "all", "30d", "5/week", "-1"),
    *("0", "1e400", "NaN", "9" * 30, "2026-02-29", "2028-02-29T00:00:00Z", "sk-aisa-" + "a" * 40, "key", "day", "invalid_request"),
)
NUMBERS = (0, 1, -1, 2**31, 2**53, 2**63 - 1, 2**63, 10**30, 0.5, 1e308, True)
RAW = ("", "{", "[]", "null", '{"label": "a", "label": "b"}', '{"label": NaN}')
CHANGES_NOTHING = {"/keys/find", "/ledger/audit", "/ledger/made"}


def test_the_openapi_document_has_every_name_of_a_query_and_no_other(operated: Operated) -> None:
    """[fault O3] It had `limit` and `after`, and the rest in words, or nowhere (`by_end`, `standing`, `key` of sums)."""
    span = {"start_ms": "0", "end_ms": "1"}
    for path, methods in operated.ask("/openapi.json", key=operated.reads).json["paths"].items():
        if "get" not in methods:
            continue
        named = {each["name"]: each["required"] for each in methods["get"]["parameters"] if each["in"] == "query"}
        query = "&".join(f"{name}={span[name]}" for name, required in named.items() if required)
        refused = operated.ask(f"{path.format(name='default')}?{query}&misspelt=1", key=operated.reads)
        if refused.status != 404:  # there is no such call, nor model
            there = f" There are: {', '.join(sorted(named))}." if named else "in the query here."
            assert refused.json["error"]["message"].endswith(there), path


LIMIT = {"type": "integer", "minimum": 1, "maximum": 1_000}


def test_only_lists_come_in_pages(operated: Operated) -> None:
    """[issue 13] `limit` and `after` stood at every question, and were passed over; a page of none had another behind it."""
    lists = {"/keys", "/accounts", "/teams", "/calls", "/models", "/vendors", "/changes"}
    lists |= {"/accounts/{name}/entries", "/accounts/{name}/statement"}
    lists |= {"/wallets", "/wallets/{name}/entries", "/wallets/{name}/statement"}
    for path, methods in operated.ask("/openapi.json", key=operated.reads).json["paths"].items():
        named = {each["name"]: each["schema"] for each in methods.get("get", {"parameters": []})["parameters"]}
        assert ("limit" in named, "after" in named) == (path in lists, path in lists), path
        assert named.get("limit", LIMIT) == LIMIT, path
    for path in ("/board", "/status", "/limits", "/keys/t", "/usage?start_ms=0&end_ms=1", "/usage/series?start_ms=0&end_ms=1"):
        for more in ("limit=5", "after=x"):
            refused = operated.ask(f"{path}{'&' if '?' in path else '?'}{more}", key=operated.reads)
            assert (refused.status, refused.json["error"]["param"]) == (400, more.partition("=")[0]), path
    for path in lists:
        refused = operated.ask(f"{path.format(name='default')}?limit=0", key=operated.reads)
        assert (refused.status, refused.json["error"]["param"]) == (400, "limit"), path
        for after in ("", "nobody"):  # of changes an empty one was the first page, again and again
            refused = operated.ask(f"{path.format(name='default')}?after={after}", key=operated.reads)
            assert (refused.status, refused.json["error"]["param"]) == (400, "after"), path
    for after in ("x", "zzz", "01M8NDPRVF83X4A5F0Z3NE0VB6", ""):  # all calls are before it, or none
        assert operated.ask(f"/calls?after={after}").json["error"]["param"] == "after"


def test_a_span_that_ends_before_it_begins_is_refused(operated: Operated) -> None:
    """A statement was empty then, and its caller none the wiser. One that ends where it begins is empty."""
    for path, param in (
        ("/accounts/default/statement?since_ms=2&until_ms=1", "until_ms"),
        ("/usage?start_ms=2&end_ms=1", "end_ms"),
        ("/usage/series?start_ms=2&end_ms=1", "end_ms"),
    ):
        refused = operated.ask(path, key=operated.reads)
        assert (refused.status, refused.code, refused.json["error"]["param"]) == (400, "invalid_request", param), path
    made = operated.ask("/ledger/made", method="POST", body={"vendor": "v", "start_ms": 2, "end_ms": 1})
    assert (made.status, made.code) == (400, "invalid_request")
    assert operated.ask("/accounts/default/statement?since_ms=2&until_ms=2", key=operated.reads).status == 200


def test_the_document_is_read_alone(operated: Operated) -> None:
    """[issue 13] It was the answer to DELETE, too."""
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        refused = operated.ask("/openapi.json", method=method)
        assert (refused.status, refused.code, refused.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD")


def test_what_does_not_fit_is_named(operated: Operated) -> None:
    """[issue 13] The member was in the words alone, `param` was null; a name of nobody's account was answered as one without calls."""
    for path, body, param in (
        ("/keys", {"label": "a", "rpm": 1.0}, "rpm"),
        ("/keys", {"label": "a", "models": ["b", 1]}, "models[1]"),
        ("/keys", {"rpm": 1}, "label"),
        ("/keys", {"label": "a", "LABEL": "b"}, "LABEL"),
        ("/accounts/default/top-up", {"amount": 5}, "amount"),
        ("/keys", [], None),
    ):
        refused = operated.ask(path, body)
        assert (refused.code, refused.json["error"]["param"]) == ("invalid_request", param), body
    for path in ("/usage?start_ms=0&end_ms=1&account=nobody", "/usage/series?start_ms=0&end_ms=1&account=nobody", "/calls?account=nobody"):
        assert operated.ask(path).code == "resource_not_found"


def test_a_member_that_there_is_not_is_told_with_those_that_there_are(operated: Operated) -> None:
    """[issue 13] `spendcap` was an unknown field, and nothing said that `spend_cap` is one."""
    for path, body, told in (
        (
            "/keys",
            {"label": "a", "spendcap": "5/day"},
            "The body does not fit: Object contains unknown field `spendcap`. Did you mean `spend_cap`?",
        ),
        ("/keys", {"label": "a", "LABEL": "b"}, "The body does not fit: Object contains unknown field `LABEL`. Did you mean `label`?"),
        ("/accounts/default/top-up", {"zzz": 5}, "unknown field `zzz`. It takes `amount`, `note`, `reference`."),
        ("/reload", {"zzz": 5}, "unknown field `zzz`. It takes no member."),
        ("/keys", {"label": "a", "rpm": "many"}, "The body does not fit: Expected `integer | null`, got `string` - at `$.rpm`."),
    ):
        assert operated.ask(path, body).json["error"]["message"].endswith(told), body


def test_a_label_means_the_key_that_is_not_revoked(operated: Operated) -> None:
    """[issue 13] The calls of a label's first key were listed, though it is revoked and another has it; none called `find` was shown."""
    made = [operated.ask("/keys", {"label": "twice"}).json]
    operated.ask("/keys/twice/revoke", {})
    made.append(operated.ask("/keys", {"label": "twice"}).json)
    for key in made:  # both are refused, and that is kept of the one that is revoked, too
        asked_at(urlsplit(operated.server.url).netloc, "/v1/chat/completions", {}, key=key["secret"])
    listed = operated.ask("/calls?key=twice").json["data"]
    assert {line["key_id"] for line in listed} == {made[1]["id"]}
    for label in ("find", "import"):
        id_ = operated.ask("/keys", {"label": label}).json["id"]
        assert operated.ask(f"/keys/{label}").json["id"] == id_


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/ledger/made", {"vendor": "a", "start_ms": 2**63 - 1, "end_ms": 2**63}),
        ("/ledger/made", {"vendor": "a", "start_ms": 10**15 - 1, "end_ms": 10**15}),
        ("/usage?start_ms=17959786251040000000&end_ms=17959786251040000001", None),
        ("/usage/series?start_ms=0&end_ms=999999999999999", None),
        ("/calls?since_ms=999999999999999", None),
    ],
)
def test_a_moment_that_no_date_is_written_for_is_refused(operated: Operated, path: str, body: object) -> None:
    """[fault O4] A far one was our failure, and one of nanoseconds was cut to another moment, whose sums were shown without a word."""
    assert operated.ask(path, body).code == "invalid_request"


def test_a_member_that_nobody_heeds_is_refused_also_where_there_is_no_body(operated: Operated) -> None:
    """[issue 13] `{"dry_run": true}` with a revocation was not read, and the key was revoked."""
    before = rows_of(operated)
    for path, methods in operated.ask("/openapi.json").json["paths"].items():
        if "post" in methods and "requestBody" not in methods["post"]:
            for body in ('{"dry_run": true}', "[]", "{", '"x"', '{"a": 1, "a": 1}'):
                refused = operated.ask(path.format(name="t" if path.startswith("/keys") else "default"), body)
                assert (refused.status, refused.code in ("invalid_request", "json_parse_error")) == (400, True), (path, body)
    assert rows_of(operated) == before
    assert operated.ask("/keys/t", key=operated.reads).json["state"] == "active"


def test_long_requests_leave_the_database_to_others(operated: Operated) -> None:
    """[fault O5] Each keeps a connection for reading between its steps: beside four, all that others asked failed after 5 s."""
    year = {"vendor": "local", "start_ms": 0, "end_ms": 400 * 86_400_000}
    statuses: list[int] = []
    asking = [threading.Thread(target=lambda: statuses.append(operated.ask("/ledger/made", year).status)) for _ in range(8)]
    for thread in asking:
        thread.start()
    began = time.monotonic()
    meanwhile = [operated.ask("/calls").status for _ in range(3)]
    for thread in asking:
        thread.join()
    assert (meanwhile, statuses) == ([200] * 3, [200] * 8)
    assert time.monotonic() - began < SECONDS_MAX


class Made:
    """Requests that an OpenAPI document allows, and some that it does not."""

    def __init__(self, document: dict[str, Any], chance: random.Random) -> None:
        self._schemas = document["components"]["schemas"]
        self._chance = chance
        self._operations = [(method.upper(), path, told) for path, methods in document["paths"].items() for method, told in methods.items()]
        self.names = ["t", "default", "req_0", "gpt-4.1", "local"]

    def request(self) -> tuple[str, str, str, str | None]:
        """Return a method, the path in the document, the path that is asked for, and a body."""
        chance = self._chance
        method, path, told = chance.choice([each for each in self._operations if each[1] != "/reload"])
        name = chance.choice(self.names if chance.random() < 0.8 else TEXTS)
        asked = [each["name"] for each in told["parameters"] if each["in"] == "query" and (each["required"] or chance.random() < 0.3)]
        query = "&".join(f"{each}={quote(str(chance.choice((*TEXTS, *NUMBERS))))}" for each in asked)
        body = "{}" if method == "POST" else None
        if "requestBody" in told:
            schema = told["requestBody"]["content"]["application/json"]["schema"]
            body = chance.choice(RAW) if chance.random() < 0.05 else json.dumps(self._value(schema))
        return method, path, path.replace("{name}", quote(name, safe="")) + (f"?{query}" if query else ""), body

    def _value(self, schema: dict[str, Any]) -> object:
        """Return a value that fits a schema, most often."""
        chance = self._chance
        if chance.random() < 0.15:
            return chance.choice((*TEXTS, *NUMBERS, None, [], {}, [None], {"a": {}}))
        if "$ref" in schema:
            return self._value(self._schemas[schema["$ref"].rpartition("/")[2]])
        if "anyOf" in schema:
            return self._value(chance.choice(schema["anyOf"]))
        kind = schema.get("type")
        if kind == "object":
            wanted = schema.get("required", ())
            return {name: self._value(each) for name, each in schema["properties"].items() if name in wanted or chance.random() < 0.3}
        if kind == "array":
            return [self._value(schema["items"]) for _ in range(chance.randrange(3))]
        return chance.choice(TEXTS if kind == "string" else (None,) if kind == "null" else NUMBERS)


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Operated]:
    """A server that nobody else changes."""
    with serving(tmp_path, workers=request.param) as server:
        yield Operated(
            server, *(server.aisa("admin-keys", "create", scope, "--scope", scope, "--quiet").strip() for scope in ("read", "write"))
        )


def test_no_request_is_our_failure_and_each_change_is_on_record(own: Operated) -> None:
    """[fault O4] Drawn from our own document, from four clients at once: answers as it has them, none above 4xx, a row for each change."""
    document = own.ask("/openapi.json").json
    judge = AdminDocument(document)
    before = rows_of(own)
    odd: list[object] = []
    changed: list[str] = []

    def ask(seed: int) -> None:
        made = Made(document, random.Random(seed))
        for number in range(repeats(150)):
            method, path, asked, body = made.request()
            reads = number % 10 == 0
            answer = own.ask(asked, body, key=own.reads if reads else None, method=method)
            told = json.loads(answer.body)
            odd.extend(judge.problems(method, path, answer.status, told))
            if answer.status >= 500 or (answer.status >= 400 and not told["error"]["request_id"].startswith("req_")):
                odd.append((method, asked, body, answer))
            if answer.status < 400 and method == "POST" and path not in CHANGES_NOTHING:
                changed.append(path)
                made.names += [told[name] for name in ("label", "name") if isinstance(told.get(name), str)]
                if reads:
                    odd.append(("changed by who may only read", asked))

    clients = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert odd == []
    rows = rows_of(own)[len(before) :]
    kept = [
        row
        for row in rows
        if not (row["what"] == "created" and row["action"] in ("POST /keys", "POST /keys/import", "POST /teams") and "tier" in row["after"])
    ]
    assert len(kept) == len(changed)
    assert "Everything adds up." in own.server.aisa("ledger", "audit")


def rows_of(operated: Operated) -> list[dict[str, Any]]:
    """Return all changes that are on record, the oldest first, read page by page."""
    rows: list[dict[str, Any]] = []
    after = ""
    while True:
        page = operated.ask(f"/changes?limit=7{after}").json
        rows += page["data"]
        if not page["has_more"]:
            return rows[::-1]
        after = f"&after={page['data'][-1]['id']}"
