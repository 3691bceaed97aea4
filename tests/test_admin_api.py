"""The admin API over the network: off until a key exists, its own keys, by its own names, slow for guessers, and every change on record."""

from __future__ import annotations

import http.client
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest

from aisa.edge.admin import page_of
from aisa.edge.admin_gate import ADDRESSES_MAX, MINUTE_SECONDS, WRONG_KEYS_MAX, Hosts, WrongKeys, host_name
from aisa.edge.admin_route import Listed
from aisa.errors import ApiError
from aisa.keys.admin_keys import AdminKeyStore
from aisa.keys.rules import READ, WRITE
from aisa.keys.store import KeyStore
from aisa.storage.engine import Database
from server import Server, serving
from test_keys_store import ManualClock, database, watch
from test_reload import SECONDS_MAX, asked, until

__all__ = ["database", "watch"]


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The document."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.json["error"]["code"])


class Operated(NamedTuple):
    """A server, and a key of each scope."""

    server: Server
    reads: str
    writes: str

    def ask(self, path: str, body: object = None, *, key: str | None = None, method: str | None = None, **headers: str) -> Answered:
        """Ask the admin API with a key, that which may write if none is named; nothing for none."""
        return asked_at(
            urlsplit(self.server.url).netloc, f"/admin/v1{path}", body, key=self.writes if key is None else key, method=method, **headers
        )


def asked_at(where: str, path: str, body: object = None, *, key: str = "", method: str | None = None, **headers: str) -> Answered:
    """Ask on a connection of its own."""
    connection = http.client.HTTPConnection(where, timeout=SECONDS_MAX)
    sent = {"content-type": "application/json"} if body is not None else {}
    sent |= {"authorization": f"Bearer {key}"} if key else {}
    text = body if isinstance(body, str) else None if body is None else json.dumps(body)
    connection.request(method or ("GET" if body is None else "POST"), path, text, sent | headers)
    answer = connection.getresponse()
    got = Answered(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    connection.close()
    return got


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """A server with the admin API on."""
    with serving(tmp_path_factory.mktemp("operated")) as server:
        absent = asked_at(urlsplit(server.url).netloc, "/admin/v1/keys", key="sk-aisa-admin-x")
        assert (absent.status, absent.code) == (404, "unknown_endpoint"), "off until a key was made"
        keys = [server.aisa("admin-keys", "create", scope, "--scope", scope, "--quiet").strip() for scope in (READ, WRITE)]
        yield Operated(server, *keys)


# Who is let in


def test_a_key_reads_or_writes_as_its_scope_says(operated: Operated) -> None:
    """Questions with a body change nothing, so who reads may ask them."""
    assert operated.ask("/keys", key=operated.reads).status == 200
    assert operated.ask("/keys/find", {"secret": operated.server.key}, key=operated.reads).json["label"] == "t"
    for path, body in (("/keys", {"label": "x"}), ("/keys/t/revoke", {}), ("/reload", {}), ("/accounts", {"name": "x"})):
        refused = operated.ask(path, body, key=operated.reads)
        assert (refused.status, refused.code) == (403, "insufficient_permissions"), path
    assert operated.ask("/keys", {"label": "by-api"}).status == 201


def test_a_refusal_says_what_the_apis_own_do(operated: Operated) -> None:
    """A 401 names its scheme, as HTTP demands; a wrong method the right ones. Both are nobody's to keep."""
    unknown = operated.ask("/keys", key="sk-aisa-admin-x")
    assert (unknown.status, unknown.headers["www-authenticate"]) == (401, "Bearer")
    wrong = operated.ask("/status", {})
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD")
    for refused in (unknown, wrong):
        assert refused.json["error"]["request_id"] == refused.headers["x-request-id"]
        assert refused.headers["cache-control"] == "no-store"


def test_a_key_that_reads_changes_nothing_by_any_route(operated: Operated) -> None:
    """Of every POST that our own document has, but for the questions with a body: refused before its body is looked at."""
    posts = [path for path, methods in operated.ask("/openapi.json").json["paths"].items() if "post" in methods]
    assert {"/keys", "/teams", "/teams/{name}/update", "/accounts", "/reload"} <= set(posts)
    for path in sorted({*posts} - {"/keys/find", "/ledger/audit", "/ledger/made"}):
        refused = operated.ask(path.format(name="t"), {"unheard": "of"}, key=operated.reads)
        assert (refused.status, refused.code) == (403, "insufficient_permissions"), path


def test_the_two_kinds_of_key_are_good_for_nothing_at_each_others_door(operated: Operated) -> None:
    """An admin key makes no call and cannot be imported as a key that does; a caller's key administers nothing."""
    own = Server.__new__(Server)
    own.__dict__.update(operated.server.__dict__)
    own.key = operated.writes
    answer = asked(own, "/v1/models")
    assert answer.status == 401
    assert b"admin key" in answer.body
    assert operated.writes.encode() not in answer.body
    assert operated.ask("/keys", key=operated.server.key).code == "invalid_api_key"
    assert operated.ask("/keys/import", {"label": "x", "secret": operated.writes}).status == 400


def test_admin_keys_themselves_are_not_made_over_the_network(operated: Operated) -> None:
    """Whoever has one could otherwise keep a way in after its revocation."""
    for path, body in (("/admin-keys", {"label": "x", "scope": "write"}), ("/admin-keys", None), ("/admin-keys/read/revoke", {})):
        assert operated.ask(path, body).code == "insufficient_permissions"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "", "127.0.0.1.evil.example", "[::2]", "localhost.evil.example", "[::1]evil", "localhost:evil"],
)
def test_a_foreign_host_name_is_refused_before_the_key(operated: Operated, host: str) -> None:
    """A page whose name leads to this machine can make a browser ask, but under that name."""
    refused = operated.ask("/keys", Host=host)
    assert (refused.status, refused.code) == (403, "insufficient_permissions")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8000"])
def test_this_machines_own_names_are_good(operated: Operated, host: str) -> None:
    """Whatever the port says: there may be a proxy."""
    assert operated.ask("/keys", Host=host).status == 200


def test_nothing_of_it_is_shared_across_origins(operated: Operated) -> None:
    """No answer, refusal or preflight tells a browser that a page of another origin may read it."""
    origin = {"Origin": "https://page.example", "Access-Control-Request-Method": "GET"}
    for answer in (
        operated.ask("/keys", **origin),
        operated.ask("/keys", key="sk-wrong", **origin),
        operated.ask("/keys", method="OPTIONS", **origin),
        operated.ask("/nothing", **origin),
        operated.ask("/keys", "x" * 3_000_000, **origin),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")], answer
        assert answer.headers["x-request-id"].startswith("req_")


def test_what_there_is_is_told_to_nobody_without_a_key(operated: Operated) -> None:
    """An unknown route is 401 like every other; with a key it is 404 and the like."""
    for path in ("/keys", "/nothing", "/openapi.json", ""):
        assert operated.ask(path, key="-").code == "invalid_api_key", path
    assert [operated.ask("/nothing").status, operated.ask("/keys", method="DELETE").status] == [404, 405]
    assert operated.ask("/keys", {"label": "x"}, **{"content-type": "text/plain"}).status == 415
    assert operated.ask("/keys", "{").code == "json_parse_error"


def test_hosts_are_compared_as_names() -> None:
    """Named ones alone where there are any; any address where every interface is listened on: no name server leads it elsewhere."""
    own = Hosts((), ("10.0.0.7",))
    named = Hosts(("Admin.example", "by-port.example:8443", "[2001:db8::7]:443", "2001:db8::8"), ("0.0.0.0",))
    everywhere = Hosts((), ("0.0.0.0",))
    good = [
        (own, "10.0.0.7:1"),
        (own, "localhost"),
        (named, "admin.EXAMPLE:443"),
        *((named, host) for host in ("by-port.example:8443", "by-port.example", "[2001:db8::7]", "[2001:db8::8]:1")),
        (everywhere, "192.0.2.1"),
        (everywhere, "[2001:db8::1]:1"),
    ]
    bad = [(own, "10.0.0.8"), (named, "localhost"), (named, "192.0.2.1"), (everywhere, "name.example"), (everywhere, "1.2.3.4.example")]
    for hosts, host in good:
        hosts.check(host)
    for hosts, host in bad:
        with pytest.raises(ApiError):
            hosts.check(host)
    assert host_name("[::1]:80") == "::1"


def test_ten_wrong_keys_a_minute_close_the_door_to_an_address_for_the_rest_of_it() -> None:
    """Each address by itself, in a sliding minute, with a wait that is true; the memory has a bound."""
    now = [1_000.0]
    wrong = WrongKeys(lambda: now[0])
    for _ in range(WRONG_KEYS_MAX):
        wrong.check("a")
        wrong.note("a")
        now[0] += 1
    with pytest.raises(ApiError) as caught:
        wrong.check("a")
    assert (caught.value.status, caught.value.retry_after) == (429, MINUTE_SECONDS - WRONG_KEYS_MAX)
    assert caught.value.message.endswith(f"Try again in {MINUTE_SECONDS - WRONG_KEYS_MAX:.0f} s.")
    wrong.check("b")
    now[0] = 1_000.0 + MINUTE_SECONDS
    wrong.check("a")
    for number in range(ADDRESSES_MAX + 10):
        wrong.note(str(number))
    assert len(wrong._times) == ADDRESSES_MAX


def test_guesses_from_one_network_of_ipv6_are_one_guessers() -> None:
    """Whoever has an address of a /64 has all of it, so each guess could come from another; an IPv4 one is the same in either spelling."""
    wrong = WrongKeys(lambda: 1_000.0)
    for number in range(WRONG_KEYS_MAX):
        wrong.note(f"2001:db8:1:2:{number:x}::{number + 1:x}")
        wrong.note("192.0.2.1" if number % 2 else "::ffff:192.0.2.1")
    for guesser in ("2001:db8:1:2:ffff::9", "2001:db8:1:2::1%eth0", "192.0.2.1", "::ffff:c000:201"):
        with pytest.raises(ApiError):
            wrong.check(guesser)
    for other in ("2001:db8:1:3::1", "192.0.2.2", "::ffff:192.0.2.2"):
        wrong.check(other)


def test_a_refusal_has_the_id_of_its_request(operated: Operated) -> None:
    """Whether it is refused at the door or behind it: the document's id is the header's."""
    for path, body in (("/keys/nobody", None), ("/keys?limit=0", None), ("/keys", {"label": 1}), ("/keys", "{"), ("/nothing", None)):
        refused = operated.ask(path, body)
        assert refused.json["error"]["request_id"] == refused.headers["x-request-id"], path
        assert refused.headers["x-request-id"].startswith("req_")


def test_a_guesser_is_kept_out_even_with_the_right_key(tmp_path: Path) -> None:
    """By the real server; a request without any key is no guess."""
    with serving(tmp_path) as server:
        key = server.aisa("admin-keys", "create", "a", "--scope", "read", "--quiet").strip()
        guessed = Operated(server, key, key)
        codes = [guessed.ask("/keys", key=f"sk-aisa-admin-{number}").code for number in range(WRONG_KEYS_MAX)]
        assert set(codes) == {"invalid_api_key"}
        refused = guessed.ask("/keys")
        assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
        assert 1 <= int(refused.headers["retry-after"]) <= 60


@pytest.mark.parametrize(("workers", "own"), [(1, False), (2, False), (1, True)], ids=["one", "workers", "listen"])
def test_the_log_tells_each_guess_with_what_it_may_have_of_the_address(workers: int, own: bool, tmp_path: Path) -> None:
    """[issue 13] Of the admin API, the metrics and the console, in whichever process they are: `log.client_address` holds there, too."""
    settings = "server: {trusted_proxies: [127.0.0.1/32]}\n" + ("admin: {listen: '127.0.0.1:0'}\n" if own else "")
    with serving(tmp_path, settings, workers=workers) as server:
        server.aisa("admin-keys", "create", "a", "--scope", "read", "--quiet")
        until(lambda: not own or "admin is at 127.0.0.1:" in server.log)
        where = server.log.partition("admin is at ")[2].partition('"')[0] if own else urlsplit(server.url).netloc
        paths = ("/admin/v1/keys", "/metrics", "/console/enter?link=none")
        # A worker knows half a second late that there is a key, and tells the first hundred refusals of a minute one by one.
        until(lambda: server.aisa("admin-keys", "list") and asked_at(where, paths[0]).status == 401)
        refused = [asked_at(where, path, key="sk-aisa-admin-x", **{"x-forwarded-for": "192.0.2.77"}).status for path in paths]
        assert refused == [401, 401, 401]
        until(lambda: server.log.count('"address":"192.0.2.0/24"') >= len(paths))
        assert "192.0.2.77" not in server.log


def test_an_address_of_its_own_has_it_alone(tmp_path: Path) -> None:
    """`admin.listen`: it is not at the API's address then, and the API is not there."""
    with serving(tmp_path, "admin: {listen: '127.0.0.1:0'}") as server:
        key = server.aisa("admin-keys", "create", "a", "--scope", "read", "--quiet").strip()
        until(lambda: "admin is at 127.0.0.1:" in server.log)
        where = server.log.partition("admin is at ")[2].partition('"')[0]
        assert asked_at(where, "/admin/v1/keys", key=key).status == 200
        assert asked_at(where, "/v1/models", key=server.key).status == 404
        assert asked_at(urlsplit(server.url).netloc, "/admin/v1/keys", key=key).status == 404


# What is asked and answered


def test_it_is_the_same_as_the_command_line(operated: Operated) -> None:
    """What one changes, the other shows, of keys, accounts and wallets."""
    assert operated.ask("/accounts", {"name": "acme"}).status == 201
    assert operated.ask("/accounts/acme/top-up", {"amount": "5.00"}).json["balance"] == 5_000_000_000
    assert "acme" in operated.server.aisa("wallet", "show", "acme")
    operated.server.aisa("keys", "create", "by-command", "--account", "acme")
    assert operated.ask("/keys/by-command").json["account"] == "acme"
    operated.ask("/keys/by-command/update", {"label": "renamed"})
    assert "renamed" in operated.server.aisa("keys", "list")


def test_wallets_are_a_resource_of_their_own(operated: Operated) -> None:
    """[issue 13] It names them beside accounts, and `/admin/v1/wallets` was 404: listed, shown, filled and adjusted as by `aisa wallet`."""
    operated.ask("/accounts", {"name": "purse"})
    assert operated.ask("/wallets/purse").json == {"account": standing_of(operated, "purse"), "entries": []}
    assert operated.ask("/wallets/purse/top-up", {"amount": "5.00", "reference": "i-1"}).json["balance"] == 5_000_000_000
    assert operated.ask("/wallets/purse/top-up", {"amount": "5.00", "reference": "i-1"}).json["fresh"] is False
    assert operated.ask("/wallets/purse/adjust", {"amount": "-1.25", "note": "refund"}).json["balance"] == 3_750_000_000
    shown = operated.ask("/wallets/purse").json
    assert (shown["account"], [entry["kind"] for entry in shown["entries"]]) == (standing_of(operated, "purse"), ["adjustment", "top_up"])
    assert json.loads(operated.server.aisa("wallet", "show", "purse", "--json"))["account"]["balance_nanos_usd"] == 3_750_000_000
    adjusted, topped_up = operated.ask("/changes?limit=2").json["data"]
    assert (adjusted["action"], adjusted["before"], adjusted["after"]["balance"]) == (
        "POST /wallets/purse/adjust",
        {"balance": 5_000_000_000},
        3_750_000_000,
    )
    assert topped_up["actor"].startswith("write (adm_")
    unknown = operated.ask("/wallets/nobody")
    assert (unknown.status, unknown.json["error"]["code"]) == (404, "resource_not_found")
    assert operated.ask("/wallets/nobody/adjust", {"amount": "1", "note": "n"}).status == 404
    assert operated.ask("/wallets/purse/unlimit", {}).json["balance"] is None


def standing_of(operated: Operated, name: str) -> Any:
    """How the list of wallets has an account."""
    (found,) = [each for each in operated.ask("/wallets").json["data"] if each["name"] == name]
    return found


def test_every_change_is_on_record_with_who_where_before_and_after(operated: Operated) -> None:
    """From both ways in; no secret is in it."""
    made = operated.ask("/keys", {"label": "watched", "spend_cap": "1/day"}).json
    operated.ask("/keys/watched/update", {"spend_cap": "2/day"})
    operated.server.aisa("keys", "revoke", "watched")
    revoked, updated, created = operated.ask("/changes?limit=3").json["data"]
    assert [change["what"] for change in (created, updated, revoked)] == ["created", "updated", "revoked"]
    assert (updated["before"]["spend_cap"], updated["after"]["spend_cap"]) == (1_000_000_000, 2_000_000_000)
    assert updated["actor"].startswith("write (adm_")
    assert (updated["address"], updated["action"]) == ("127.0.0.1", "POST /keys/watched/update")
    assert (revoked["actor"], revoked["address"]) == ("operator", None)
    whole = operated.ask("/changes?limit=1000").body.decode()
    assert made["secret"] not in whole
    assert "digest" not in whole
    older = operated.ask(f"/changes?limit=2&after={updated['id']}").json
    assert older["data"][0]["id"] == created["id"]


def test_a_reload_an_account_that_comes_with_a_key_and_a_revoked_admin_key_are_on_record(operated: Operated) -> None:
    """Of a reload by whoever asks for it: the settings' names. Of an account: that it was made. Of a revocation: the key as it was."""
    assert operated.ask("/keys", {"label": "first-of-it", "account": "comes-along"}).json["account_made"] is True
    key, account = operated.ask("/changes?limit=2").json["data"]
    assert (account["what"], account["after"]["name"], key["after"]["account"]) == ("created", "comes-along", "comes-along")
    assert operated.ask("/reload", {}).status == 200
    [reloaded] = operated.ask("/changes?limit=1").json["data"]
    assert (reloaded["what"], reloaded["actor"][:5], reloaded["after"]) == ("reloaded", "write", {"changed": [], "after_restart": []})
    operated.server.aisa("admin-keys", "create", "passing", "--scope", "read")
    operated.server.aisa("admin-keys", "revoke", "passing")
    [revoked] = operated.ask("/changes?limit=1").json["data"]
    assert (revoked["before"]["revoked_at"], revoked["after"]["revoked_at"] is None) == (None, False)


@pytest.mark.parametrize(
    "path",
    [
        "/keys",
        "/teams",
        "/accounts",
        "/models",
        "/vendors",
        "/limits",
        "/calls",
        "/board",
        "/changes",
        "/keys/t",
        "/accounts/default/entries",
    ],
)
def test_everything_can_be_read(operated: Operated, path: str) -> None:
    """JSON, with the request's id, kept by no cache."""
    answer = operated.ask(path, key=operated.reads)
    assert (answer.status, answer.headers["content-type"], answer.headers["cache-control"]) == (200, "application/json", "no-store")
    assert isinstance(answer.json, dict)


def test_usage_and_calls_are_shown(operated: Operated) -> None:
    """A call that was just made, also by pages."""
    for _ in range(3):
        asked(operated.server, "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "Hi."}]})
    first = operated.ask("/calls?limit=2").json
    assert (len(first["data"]), first["has_more"]) == (2, True)
    second = operated.ask(f"/calls?limit=2&after={first['data'][-1]['id']}").json
    assert second["data"][0]["id"] < first["data"][-1]["id"]
    assert operated.ask(f"/calls/{first['data'][0]['id']}").json["row"]["model"] == "m"
    assert operated.ask("/usage?by=model&start_ms=1&end_ms=9").json["groups"] == {}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/keys?standing=1&state=active", "state"),
        ("/calls?sinse_ms=5", "sinse_ms"),
        ("/vendors?limit=5&x=", "x"),
        ("/calls?limit=1&limit=2", None),
        ("/calls?failed=false&limit=2", "failed"),
        ("/keys?limit=5&standing=0", "standing"),
        ("/calls?account=%00&limit=2", None),
    ],
)
def test_a_query_that_is_not_understood_is_refused(operated: Operated, path: str, name: str | None) -> None:
    """With a filter whose name is misspelt passed over, more would be shown than was asked for; of two values one would count.

    [fault S13] No name has a NUL in it, and PostgreSQL would take none in a question.
    """
    refused = operated.ask(path)
    assert (refused.status, refused.code, refused.json["error"]["param"]) == (400, "invalid_request", name)
    assert name in (None, "failed", "standing") or "limit" in refused.json["error"]["message"]


@pytest.mark.parametrize("query", ["rpm=5", "limit=5", "label="])
def test_a_change_with_a_query_is_not_made(operated: Operated, query: str) -> None:
    """What is wanted stands in the body: nothing is done where a part of it may have gone elsewhere."""
    before = operated.ask("/keys").json
    refused = operated.ask(f"/keys?{query}", {"label": "asked in two places"})
    assert (refused.status, refused.code, operated.ask("/keys").json) == (400, "invalid_request", before)


def test_an_empty_value_in_a_query_is_a_value(operated: Operated) -> None:
    """It names no key, and so shows not the calls of all."""
    assert operated.ask("/calls?key=").code == "resource_not_found"


def test_a_wrong_method_is_told_all_that_there_are(operated: Operated) -> None:
    """As its header says, in words."""
    refused = operated.ask("/keys", method="DELETE")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, POST")
    assert refused.json["error"]["message"].startswith("/admin/v1/keys takes GET and POST, not DELETE")


def test_a_path_is_told_as_it_was_asked_for(operated: Operated) -> None:
    """[a newcomer's] What is said of it, and what was meant, can be asked for as it stands: both were told without `/admin/v1`."""
    said = [operated.ask(path, method=method).json["error"]["message"] for path, method in (("/nope", "GET"), ("/key", "GET"))]
    assert said == ["There is no /admin/v1/nope here.", "There is no /admin/v1/key here. Did you mean /admin/v1/keys?"]
    assert operated.ask("/keys/t", method="DELETE").json["error"]["message"].startswith("/admin/v1/keys/t takes GET, not DELETE")
    assert operated.ask("/openapi.json", {}).json["error"]["message"] == "/admin/v1/openapi.json takes GET, not POST."


class Named(msgspec.Struct):
    """An entry of a list."""

    id: str


def test_lists_come_in_pages() -> None:
    """Each entry once, in order, whatever the size; nonsense is refused, and what is no list stays."""
    entries = [Named(str(number)) for number in range(7)]
    whole = Listed(data=entries)
    seen: list[object] = []
    query = {"limit": "3"}
    while True:
        page: Any = page_of(whole, query)
        seen += page.data
        if not page.has_more:
            break
        query["after"] = page.data[-1].id
    assert seen == entries
    for wrong in ({"limit": "0"}, {"limit": "x"}, {"limit": "99999"}, {"limit": f"{'0' * 9}99999"}, {"limit": "\u0663"}, {"after": "gone"}):
        with pytest.raises(ApiError):
            page_of(whole, wrong)
    assert page_of(entries[0], {"limit": "x"}) is entries[0]
    assert page_of(whole, {}) is whole


def test_the_openapi_document_is_valid_and_has_every_route(operated: Operated) -> None:
    """It is made from the routes."""
    document = operated.ask("/openapi.json", key=operated.reads).json
    assert dangling(document) == []
    assert {"/keys", "/keys/{name}/rotate", "/accounts", "/usage", "/calls", "/models", "/vendors", "/limits", "/changes"} <= document[
        "paths"
    ].keys()
    assert not [path for path in document["paths"] if path.startswith("/admin-keys")]


def dangling(document: dict[str, Any]) -> list[str]:
    """Return the references that lead nowhere."""
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    return sorted(named - document["components"]["schemas"].keys())


# The store


def test_admin_keys_are_hashed_and_stay_revoked(database: Database, watch: ManualClock) -> None:
    """Over a restart; the last one that is revoked shuts the door again."""
    store = AdminKeyStore(database, watch, random.Random(3))
    key, secret = store.create("ops", WRITE)
    assert secret.startswith("sk-aisa-admin-")
    assert secret.encode() not in (database.__repr__().encode() + str(key).encode())
    again = AdminKeyStore(database, watch, random.Random(4))
    assert (again.verify(secret), len(again)) == (key, 1)
    with pytest.raises(ApiError, match="already"):
        store.create("ops", READ)
    with pytest.raises(ApiError, match="scope"):
        store.create("x", "root")
    store.revoke("ops")
    store.revoke("ops")
    for known in (store, AdminKeyStore(database, watch, random.Random(5))):
        with pytest.raises(ApiError, match="revoked"):
            known.verify(secret)
        assert len(known) == 0
    for wrong in (None, "", "sk-aisa-admin-", "x"):
        with pytest.raises(ApiError):
            store.verify(wrong)
    assert len(KeyStore(database, watch, random.Random(6))) == 0, "none of them is a caller's key"
