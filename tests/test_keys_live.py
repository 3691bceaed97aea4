"""Keys live: their terms change, their secrets are replaced, they are stopped and found, and their labels come back."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aisa.cli.commands import aisa
from aisa.errors import ApiError
from aisa.keys.rules import ACTIVE, DAY_SECONDS, DISABLED, KeyTerms, SpendCap, terms_of
from aisa.keys.store import KeyStore
from aisa.ledger.caps import Cap
from aisa.storage.engine import Database
from server import Server
from test_cli_keys import Run, run
from test_keys_admin import NOW, Rig, rig
from test_keys_store import ManualClock, code_of, database, store, watch
from test_reload import asked, until

__all__ = ["database", "rig", "run", "store", "watch"]


def reopened(database: Database, watch: ManualClock) -> KeyStore:
    """The store as the next start would read it."""
    return KeyStore(database, watch, random.Random(8))


# The store


def test_a_replaced_secret_stays_good_for_its_time_and_is_known_after_it(store: KeyStore, database: Database, watch: ManualClock) -> None:
    """[fault P4] Both let in the same key; then the former is refused by the key's label, also after a restart."""
    key, old = store.create("ci", models=("a",))
    changed, new = store.rotate("ci", 60)
    assert (changed.id, changed.models, store.list()) == (key.id, ("a",), [changed])
    for known in (store, reopened(database, watch)):
        watch.now = 1_059.0
        assert (code_of(known, old), code_of(known, new)) == ("ci", "ci")
        watch.now = 1_060.0
        assert (code_of(known, old), code_of(known, new)) == ("revoked_api_key", "ci")
        assert known.known(old) == changed, "so that its use is logged with the label"


def test_secrets_are_replaced_again_and_at_once(store: KeyStore) -> None:
    """A former secret has a time of its own, which a later rotation at once ends too, and none comes back by being imported."""
    _, first = store.create("ci")
    _, second = store.rotate("ci", 60)
    assert [code_of(store, secret) for secret in (first, second)] == ["ci", "ci"]
    _, third = store.rotate("ci", 0)
    assert [code_of(store, secret) for secret in (first, second, third)] == ["revoked_api_key", "revoked_api_key", "ci"]
    with pytest.raises(ApiError, match="already here"):
        store.import_key("back", second)
    store.revoke("ci")
    assert [code_of(store, secret) for secret in (first, second, third)] == ["revoked_api_key"] * 3


def test_a_key_is_disabled_and_enabled_and_a_revoked_one_stays_revoked(store: KeyStore, database: Database, watch: ManualClock) -> None:
    """From the next request on, and over a restart."""
    _, secret = store.create("ci")
    store.set_state("ci", DISABLED)
    assert code_of(store, secret) == code_of(reopened(database, watch), secret) == "invalid_api_key"
    store.set_state("ci", ACTIVE)
    assert code_of(store, secret) == "ci"
    store.revoke("ci")
    changes: tuple[Callable[[], object], ...] = (
        lambda: store.set_state("ci", ACTIVE),
        lambda: store.rotate("ci", 0),
        lambda: store.update("ci", KeyTerms("other")),
    )
    for change in changes:
        with pytest.raises(ApiError, match="revoked for good"):
            change()


def test_a_revoked_keys_label_is_free_and_its_history_is_found_by_its_id(store: KeyStore, database: Database, watch: ManualClock) -> None:
    """[fault P4] The label means the key that lives; of revoked ones the newest. No two that live have one label."""
    first, old = store.create("ci")
    with pytest.raises(ApiError, match="is taken"):
        store.create("ci")
    store.revoke("ci")
    second, new = store.create("ci")
    for known in (store, reopened(database, watch)):
        assert (known.find("ci").id, known.find(first.id).state) == (second.id, "revoked")
        assert (code_of(known, old), code_of(known, new)) == ("revoked_api_key", "ci")
        assert len(known) == 2
    store.revoke("ci")
    assert store.find("ci").id == second.id
    third, _ = store.create("other")
    store.update("other", KeyTerms("ci"))
    assert store.find("ci").id == third.id
    with pytest.raises(ApiError, match="no key"):
        store.find("other")


def test_terms_are_changed_as_a_whole_and_survive(store: KeyStore, database: Database, watch: ManualClock) -> None:
    """What they were can be put back."""
    key, secret = store.create("ci")
    terms = KeyTerms("new", ("a", "b"), 5_000, SpendCap(7, "week"))
    changed = store.update(key.id, terms)
    assert terms_of(changed) == terms_of(reopened(database, watch).find("new")) == terms
    assert code_of(store, secret) == "new"
    assert store.update("new", terms_of(key)) == key
    store.create("taken")
    for label, said in (("taken", "already"), ("", "label"), ("key_x", "must not begin")):
        with pytest.raises(ApiError, match=said):
            store.update("ci", KeyTerms(label))


def test_a_grace_that_runs_is_known_and_can_be_ended(store: KeyStore, database: Database, watch: ManualClock) -> None:
    """The longest counts; another rotation shortens those before, for good, and what is over is not told."""
    key, first = store.create("ci")
    assert store.graces() == {}
    _, second = store.rotate("ci", 600)
    store.rotate("ci", 60)
    until = int(watch()) + 60
    assert store.graces() == reopened(database, watch).graces() == {key.id: until}
    assert code_of(store, first) == code_of(store, second) == "ci"
    store.rotate("ci", 0)
    for known in (store, reopened(database, watch)):
        assert known.graces() == {}
        assert code_of(known, first) == code_of(known, second) == "revoked_api_key"


# What an administrator may ask for


def test_terms_that_are_not_named_stay(rig: Rig) -> None:
    """And null takes one away. What was before and is now goes into the record of the change."""
    rig.ask("POST", "/keys", {"label": "ci", "models": ["a"], "spend_cap": "5/day", "expires": "1h"})
    status, changed = rig.ask("POST", "/keys/ci/update", {"label": "build", "spend_cap": "7/week"})
    assert (status, changed["label"], changed["models"], changed["spend_cap"], changed["spend_window"]) == (
        200,
        "build",
        ["a"],
        7_000_000_000,
        "week",
    )
    _, bare = rig.ask("POST", "/keys/build/update", {"models": None, "spend_cap": None, "expires": None})
    assert (bare["models"], bare["spend_cap"], bare["spend_window"], bare["expires_at"]) == (None, None, None, None)
    refused: list[dict[str, object]] = [{"models": []}, {"spend_cap": "5"}, {"expires": "yesterday"}, {"state": "active"}, {"label": None}]
    for wrong in refused:
        assert rig.ask("POST", "/keys/build/update", wrong)[0] == 400


def test_a_key_is_found_by_its_whole_text_and_the_text_is_never_shown(rig: Rig) -> None:
    """[fault P4] A leaked key's owner is told, also of a secret that was replaced; a wrong one says nothing of others."""
    _, made = rig.ask("POST", "/keys", {"label": "ci"})
    _, rotated = rig.ask("POST", "/keys/ci/rotate", {"grace": "1h"})
    for secret in (made["secret"], rotated["secret"], f"  {made['secret']}\n"):
        status, found = rig.ask("POST", "/keys/find", {"secret": secret})
        assert (status, found["id"]) == (200, made["id"])
        assert secret.strip() not in json.dumps(found)
    status, refused = rig.ask("POST", "/keys/find", {"secret": "sk-aisa-nobody"})
    assert (status, "sk-aisa-nobody" in json.dumps(refused)) == (404, False)


def test_everybody_is_told_until_when_a_former_secret_is_good(rig: Rig) -> None:
    """Whoever rotates, lists or looks, and the record of the change; nothing of a revoked key, whose every secret is refused."""
    _, made = rig.ask("POST", "/keys", {"label": "ci"})
    _, rotated = rig.ask("POST", "/keys/ci/rotate", {"grace": "20s"})
    until = rotated["former_secret_expires_at"]
    assert (made["former_secret_expires_at"], until - made["created_at"]) == (None, 20)
    _, listed = rig.ask("GET", "/keys")
    _, shown = rig.ask("GET", "/keys/ci")
    _, updated = rig.ask("POST", "/keys/ci/update", {"label": "build"})
    assert {each["former_secret_expires_at"] for each in (listed["data"][0], shown, updated)} == {until}
    assert rig.ask("POST", "/keys/build/revoke")[1]["former_secret_expires_at"] is None


@pytest.mark.parametrize(
    ("grace", "status"),
    [("0", 200), ("20s", 200), ("30m", 200), ("1h30m", 200), ("90d", 200), ("91d", 400), ("soon", 400), ("-1h", 400), ("", 400)],
)
def test_the_time_of_a_replaced_secret_has_bounds(rig: Rig, grace: str, status: int) -> None:
    """A grace without end would be two secrets for good."""
    rig.ask("POST", "/keys", {"label": "ci"})
    assert rig.ask("POST", "/keys/ci/rotate", {"grace": grace})[0] == status


# A cap that changes while calls run


def test_a_cap_that_is_raised_counts_what_was_spent_and_another_window_is_read_first() -> None:
    """Nothing that was spent or is held is forgotten."""
    cap = Cap(100, "day", spent=80, now=NOW)
    cap.hold(15)
    assert not cap.change(200, "day", NOW)
    cap.check(100, NOW)
    with pytest.raises(ApiError):
        cap.check(106, NOW)
    assert cap.change(200, "week", NOW)
    assert cap.spent_at(NOW) is None
    began = NOW - NOW % DAY_SECONDS
    cap.reading(began)
    assert cap.change(200, "day", NOW)
    cap.learn(began, 80)
    assert cap.spent_at(NOW) is None, "what was read for the former window does not count in this one"
    assert cap.held == 15


CALL = {"model": "priced", "messages": [{"role": "user", "content": "Hi."}]}


def test_a_cap_is_set_raised_and_taken_away_on_a_running_server(front: Any) -> None:
    """[fault P4] With what the key has spent before it had a cap; each from the next call on."""
    server: Server = front.server
    own = Server.__new__(Server)
    own.__dict__.update(server.__dict__)
    own.key = server.aisa("keys", "create", "capped", "--quiet").strip()
    spent = json.loads(asked(own, "/v1/chat/completions", CALL).body)["usage"]["cost"]
    assert spent > 0
    until(lambda: json.loads(server.aisa("keys", "show", "capped", "--json"))["spent_usd"])
    server.aisa("keys", "update", "capped", "--spend-cap", f"{spent:.9f}/day")
    until(lambda: asked(own, "/v1/chat/completions", CALL).status != 503)
    assert asked(own, "/v1/chat/completions", CALL).status == 429
    shown = json.loads(server.aisa("keys", "show", "capped", "--json"))
    assert (shown["left_nanos_usd"], shown["last_address"]) == (0, "127.0.0.0/24")
    assert shown["last_used_ms"] > shown["created_at"] * 1000 - 1000
    server.aisa("keys", "update", "capped", "--spend-cap", "1/day")
    assert asked(own, "/v1/chat/completions", CALL).status == 200
    server.aisa("keys", "update", "capped", "--spend-cap", "none")
    assert asked(own, "/v1/chat/completions", CALL).status == 200


# The command line


def test_a_leaked_key_is_found_replaced_and_its_use_is_told(front: Any) -> None:
    """[fault P4] By its whole text on standard input; after that the log has the label of the key whose former secret was used."""
    server: Server = front.server
    secret = server.aisa("keys", "create", "leaky", "--quiet").strip()
    found = server.aisa("keys", "show", "-", typed=f"{secret}\n")
    assert "Key leaky" in found
    assert secret not in found
    fresh = server.aisa("keys", "rotate", "-", "--grace", "0", "--quiet", typed=f"{secret}\n").strip()
    own = Server.__new__(Server)
    own.__dict__.update(server.__dict__)
    own.key = secret
    assert asked(own, "/v1/models").status == 401
    until(lambda: '"key_label":"leaky"' in server.log)
    own.key = fresh
    assert asked(own, "/v1/models").status == 200
    server.aisa("keys", "disable", "leaky")
    assert asked(own, "/v1/models").status == 401
    server.aisa("keys", "enable", "leaky")
    assert asked(own, "/v1/models").status == 200


def test_the_commands_say_what_they_did(run: Run) -> None:
    """In words that name the key and what holds from now on."""
    assert run("keys", "create", "ci", "--quiet").exit_code == 0
    said = run("keys", "update", "ci", "--label", "build", "--models", "gpt-4.1", "--spend-cap", "5/day", "--rpm", "9", "--expires", "30d")
    assert "from the next request on: gpt-4.1; 9 calls/min; at most 5 US dollars a day; expires in 30 days." in said.stdout
    assert (
        "every model; 9 calls/min; no cap; no expiry"
        in run("keys", "update", "build", "--models", "all", "--spend-cap", "none", "--expires", "never").stdout
    )
    assert "is disabled: it lets nobody in from now on." in run("keys", "disable", "build").stdout
    assert "is active again from now on." in run("keys", "enable", "build").stdout
    assert re.search(r"The former one stays good until \S+Z \(in 24 hours\)\.", run("keys", "rotate", "build").stdout)
    shown = run("keys", "show", "build").stdout
    for line in (r"last used +never", r"spent +0 US dollars this month \(UTC\)", r"cap +none", r"former secret +good until"):
        assert re.search(line, shown)
    assert run("keys", "update", "build").exit_code == 2
    assert run("keys", "show", "-", typed="nobody-has-this\n").exit_code == 1
    assert CliRunner().invoke(aisa, ("keys", "--help")).output.count("\n  ") > 8


def test_a_folder_without_a_server_is_changed_directly(run: Run, tmp_path: Path) -> None:
    """All of it works on the data alone."""
    secret = run("keys", "create", "ci", "--quiet").stdout.strip()
    assert run("keys", "disable", "-", typed=f"{secret}\n").exit_code == 0
    assert json.loads(run("keys", "list", "--json").stdout)[0]["state"] == "disabled"
    assert (tmp_path / "aisa-data").exists()
