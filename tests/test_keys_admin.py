"""What an administrator may ask for, as bytes in and bytes out."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aisa.config.limits import Limits
from aisa.edge.admin import Admin
from aisa.errors import ApiError
from aisa.facts import AccountChanged, Fact, KeysChanged
from aisa.keys.store import KeyStore
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from repeats import repeats

NOW = 1_000_000


class Rig:
    """An administrator's view on an empty store, and what was reported."""

    def __init__(self, store: KeyStore) -> None:
        self.store = store
        self.facts: list[Fact] = []
        self.admin = Admin(store, lambda: NOW, self.facts.append)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make a request and return the status and the decoded answer."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        status, answer = self.admin.answer(method, path, raw)
        return status, json.loads(answer)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A rig on a fresh database."""
    database = open_database(str(tmp_path), migrate)
    yield Rig(KeyStore(database, lambda: NOW, random.Random(1)))
    database.close()


def test_a_key_is_made_listed_and_revoked(rig: Rig) -> None:
    """The secret is in the answer that makes the key and in no other."""
    status, made = rig.ask("POST", "/keys", {"label": "ci", "models": ["a"], "expires": "1h"})
    assert status == 201
    assert rig.store.verify(made.pop("secret")).label == "ci"
    assert [made.pop(name) for name in ("url", "example_model", "free_models", "account_made")] == [None, None, [], False]
    assert made == {
        "id": made["id"],
        "label": "ci",
        "hint": made["hint"],
        "state": "active",
        "created_at": NOW,
        "expires_at": NOW + 3600,
        "models": ["a"],
        "account": "default",
        "spend_cap": None,
        "spend_window": None,
        "rpm": None,
        "tpm": None,
        "concurrency": None,
        "team": None,
        "former_secret_expires_at": None,
    }
    assert rig.ask("GET", "/keys") == (200, {"data": [made], "has_more": False})
    assert rig.ask("POST", "/keys/ci/revoke") == (200, {**made, "state": "revoked"})
    assert rig.facts == [KeysChanged("created", made["id"], "ci"), KeysChanged("revoked", made["id"], "ci")]


def test_a_made_key_comes_with_the_address_to_use_it_at(rig: Rig) -> None:
    """A running server says where it listens, which flags may have made another place than the configuration's."""
    rig.admin.url = "http://127.0.0.1:1234"
    assert rig.ask("POST", "/keys", {"label": "ci"})[1]["url"] == "http://127.0.0.1:1234"


def test_whoever_sets_a_cap_is_told_what_it_does_not_count(rig: Rig) -> None:
    """When the key is made, changed and looked at; a key without a cap has nothing to be told of."""
    rig.admin.free_models = lambda allowed: ("local",) if allowed is None or "local" in allowed else ()
    for label, terms, free in (("a", {}, []), ("b", {"spend_cap": "5/day"}, ["local"]), ("c", {"spend_cap": "5/day", "models": ["x"]}, [])):
        assert rig.ask("POST", "/keys", {"label": label, **terms})[1]["free_models"] == free
        assert rig.ask("GET", f"/keys/{label}")[1]["free_models"] == free
    assert rig.ask("POST", "/keys/a/update", {"spend_cap": "5/day"})[1]["free_models"] == ["local"]


def test_a_key_is_imported_without_an_echo(rig: Rig) -> None:
    """The secret goes in and does not come back."""
    status, made = rig.ask("POST", "/keys/import", {"label": "old", "secret": "My very old API Key"})
    assert (status, "secret" in made, made["hint"]) == (201, False, "… Key")
    assert rig.store.verify("My very old API Key").label == "old"
    assert rig.facts == [KeysChanged("imported", made["id"], "old")]


def test_a_key_with_a_cap_for_an_account_of_its_own(rig: Rig) -> None:
    """The answer says in nano-dollars what the key may spend, and of the first key of an account that it made it."""
    asked = {"account": " acme ", "spend_cap": "5.50/week"}
    status, first = rig.ask("POST", "/keys", {"label": "a", **asked})
    assert (status, first["account"], first["spend_cap"], first["spend_window"]) == (201, "acme", 5_500_000_000, "week")
    _, second = rig.ask("POST", "/keys/import", {"label": "b", "secret": "My very old API Key", **asked})
    assert (first["account_made"], second["account_made"]) == (True, False)
    assert [key.spend_cap for key in rig.store.list()] == [5_500_000_000, 5_500_000_000]


def test_an_expired_key_is_listed_as_expired(rig: Rig) -> None:
    """The list says what a request would be told, not what is stored."""
    rig.store.create("ci", expires_at=NOW)
    assert rig.ask("GET", "/keys")[1]["data"][0]["state"] == "expired"


@pytest.mark.parametrize("label", ["a/b", "import", "keys", "Zoë's key ✓", "%2F", "{name}", "?x=1"])
def test_a_label_of_any_form_can_be_named_in_a_path(rig: Rig, label: str) -> None:
    """Percent-encoding takes every label through the path."""
    assert rig.ask("POST", "/keys", {"label": label})[0] == 201
    assert rig.ask("POST", f"/keys/{quote(label, safe='')}/revoke")[1]["state"] == "revoked"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/keys", b"", 400, "json_parse_error"),
        ("POST", "/keys", b"{", 400, "json_parse_error"),
        ("POST", "/keys", b"\xff", 400, "json_parse_error"),
        ("POST", "/keys", [], 400, "invalid_request"),
        ("POST", "/keys", {}, 400, "invalid_request"),
        ("POST", "/keys", {"label": 1}, 400, "invalid_request"),
        ("POST", "/keys", {"label": ""}, 400, "invalid_request"),
        ("POST", "/keys", {"label": "x", "model": ["a"]}, 400, "invalid_request"),
        ("POST", "/keys", {"label": "x", "models": []}, 400, "invalid_request"),
        ("POST", "/keys", {"label": "x", "models": "a"}, 400, "invalid_request"),
        ("POST", "/keys", {"label": "x", "expires": "soon"}, 400, "invalid_request"),
        ("POST", "/keys", {"label": "x", "secret": "My very old API Key"}, 400, "invalid_request"),
        ("POST", "/keys", {"label": "taken"}, 400, "invalid_request"),
        ("POST", "/keys", {"label": "x", "spend_cap": "5"}, 400, "invalid_request"),
        ("POST", "/keys", {"label": "x", "spend_cap": 5}, 400, "invalid_request"),
        ("POST", "/keys", {"label": "x", "account": " "}, 400, "invalid_request"),
        ("POST", "/keys/import", {"label": "x"}, 400, "missing_parameter"),
        ("POST", "/keys/import", {"label": "x", "secret": "short"}, 400, "invalid_request"),
        ("POST", "/keys/nobody/revoke", None, 404, "resource_not_found"),
        ("GET", "/", None, 404, "unknown_endpoint"),
        ("GET", "/keys/", None, 404, "unknown_endpoint"),
        ("GET", "keys", None, 404, "unknown_endpoint"),
        ("POST", "/keys/a/b/revoke", None, 405, "method_not_allowed"),
        ("DELETE", "/keys", None, 405, "method_not_allowed"),
        ("GET", "/keys/taken/revoke", None, 405, "method_not_allowed"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(rig: Rig, method: str, path: str, body: object, status: int, code: str) -> None:
    """Every refusal has the API's shape, changes nothing and is not reported as a change."""
    rig.store.create("taken")
    answered, error = rig.ask(method, path, body)
    assert (answered, error["error"]["code"]) == (status, code)
    assert set(error["error"]) == {"type", "code", "message", "param", "request_id"}
    assert [key.label for key in rig.store.list()] == ["taken"]
    assert rig.facts == []


def test_a_refusal_does_not_repeat_the_secret(rig: Rig) -> None:
    """Neither a key that is already here nor an unfit one is quoted."""
    rig.ask("POST", "/keys/import", {"label": "old", "secret": "My very old API Key"})
    for secret in ("My very old API Key", "schlüssel-schlüssel"):
        assert secret not in str(rig.ask("POST", "/keys/import", {"label": "x", "secret": secret}))


@settings(max_examples=repeats(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["GET", "POST", "X"]), path=st.text("/keysimportrevoke%2{}", max_size=24), body=st.binary(max_size=20))
def test_no_request_raises(rig: Rig, method: str, path: str, body: bytes) -> None:
    """Whatever arrives is answered with a status and a JSON object."""
    status, answer = rig.admin.answer(method, path, body)
    assert 200 <= status < 500
    assert isinstance(json.loads(answer), dict)


def test_the_store_refuses_what_the_administrator_may_not(rig: Rig) -> None:
    """The rules hold for whoever uses the store, not only for requests."""
    with pytest.raises(ApiError):
        rig.store.create("key_x")
    with pytest.raises(ApiError):
        rig.store.create("x", models=())


def test_a_keys_own_limits_are_made_changed_and_taken_away(rig: Rig) -> None:
    """What is not named stays; they are on disk before the answer and count for the next request."""
    assert rig.ask("POST", "/keys", {"label": "ci", "rpm": 60, "concurrency": 2})[1]["rpm"] == 60
    status, key = rig.ask("POST", "/keys/ci/update", {"tpm": 9_000, "rpm": None})
    assert (status, key["rpm"], key["tpm"], key["concurrency"], key.pop("free_models")) == (200, None, 9_000, 2, [])
    assert rig.facts[-1] == KeysChanged("updated", key["id"], "ci")
    assert (rig.store.list()[0].tpm, rig.store.list()[0].rpm) == (9_000, None)
    assert rig.ask("GET", "/keys")[1]["data"] == [key]
    assert rig.ask("POST", "/keys/nobody/update", {"tpm": 1})[0] == 404


@pytest.mark.parametrize("limits", [{"rpm": 0}, {"tpm": -5}, {"concurrency": 10**10}, {"rpm": "60"}, {"rps": 1}])
@pytest.mark.parametrize("path", ["/keys", "/keys/ci/update"])
def test_a_limit_that_nobody_can_mean_is_refused(rig: Rig, path: str, limits: dict[str, object]) -> None:
    """Nothing is made or changed then."""
    rig.ask("POST", "/keys", {"label": "ci", "rpm": 60})
    before = rig.ask("GET", "/keys")
    assert rig.ask("POST", path, {"label": "other", **limits} if path == "/keys" else limits)[0] == 400
    assert rig.ask("GET", "/keys") == before


def test_a_keys_own_limit_can_only_be_lower_than_its_accounts(rig: Rig) -> None:
    """Whoever writes a higher one is told, rather than left to believe that it counts."""
    rig.admin.limits = Limits(default_tier="free")
    for asked in ({"rpm": 61}, {"tpm": 60_001}, {"concurrency": 6}):
        status, answer = rig.ask("POST", "/keys", {"label": "ci", **asked})
        assert (status, answer["error"]["param"]) == (400, next(iter(asked)))
        assert "only be lower" in answer["error"]["message"]
    rig.ask("POST", "/keys", {"label": "ci", "rpm": 60})
    assert rig.ask("POST", "/keys/ci/update", {"concurrency": 6})[0] == 400
    assert rig.ask("POST", "/keys/ci/update", {"concurrency": 5})[0] == 200


def test_a_limit_that_is_above_a_lower_tier_of_today_is_in_the_way_of_no_other_change(rig: Rig) -> None:
    """Only what is asked for is judged: what the key had before its account's tier was lowered stays, and the tier lowers it."""
    rig.admin.limits = Limits(default_tier="starter")
    rig.ask("POST", "/keys", {"label": "ci", "rpm": 600})
    rig.admin.limits = Limits(default_tier="free")
    status, key = rig.ask("POST", "/keys/ci/update", {"label": "renamed", "tpm": 100})
    assert (status, key["label"], key["rpm"], key["tpm"]) == (200, "renamed", 600, 100)
    assert rig.ask("POST", "/keys/renamed/update", {"rpm": 600})[0] == 400


def test_an_account_that_is_there_is_not_said_to_be_made_for_its_key(rig: Rig) -> None:
    """Whoever made it, the command for accounts or another key; one that is made is reported as such."""
    assert rig.ask("POST", "/accounts", {"name": "acme"})[0] == 201
    assert rig.ask("POST", "/keys", {"label": "one", "account": "acme"})[1]["account_made"] is False
    rig.facts.clear()
    assert rig.ask("POST", "/keys", {"label": "two", "account": "other"})[1]["account_made"] is True
    assert rig.ask("POST", "/keys", {"label": "three", "account": "other"})[1]["account_made"] is False
    assert [fact for fact in rig.facts if isinstance(fact, AccountChanged)] == [AccountChanged("created", "other", None)]


@pytest.mark.parametrize("body", [b'{"label": "x", "label": "y"}', b'{"label": "x", "rpm": 1, "rpm": null}', b'{"label": "x"} {}'])
def test_a_body_that_two_parsers_could_read_differently_is_refused(rig: Rig, body: bytes) -> None:
    """As a caller's is: the administrator learns of it before a limit of the two counts that he did not mean."""
    status, answer = rig.ask("POST", "/keys", body)
    assert (status, answer["error"]["code"]) == (400, "json_parse_error")
    assert rig.store.list() == []
