"""Accounts: made, limited, disabled and listed, by the administrator's routes and by the command line."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aisa.config.limits import Limits, Tier
from aisa.errors import ApiError
from aisa.facts import AccountChanged
from aisa.keys.store import KeyStore
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from test_cli_keys import Run, run
from test_keys_admin import NOW, Rig

__all__ = ["run"]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A rig on a fresh database."""
    database = open_database(str(tmp_path), migrate)
    yield Rig(KeyStore(database, lambda: NOW, random.Random(1)))
    database.close()


def read_anew(folder: Path) -> KeyStore:
    """Return what a server would read after a restart."""
    with closing(open_database(str(folder), migrate)) as database:
        return KeyStore(database, lambda: NOW, random.Random(2))


def test_an_account_is_made_and_given_a_tier(rig: Rig, tmp_path: Path) -> None:
    """It counts from the next request on, and after a restart; null is the configuration's default again."""
    rig.admin.limits = Limits(tiers={"gold": Tier(rpm=9)})
    assert rig.ask("POST", "/accounts", {"name": "acme", "tier": "gold"}) == (201, {"name": "acme", "tier": "gold", "state": "active"})
    assert rig.store.tiers == read_anew(tmp_path).tiers == {"acme": "gold"}
    assert rig.ask("POST", "/accounts/acme/tier", {"tier": "free"})[1]["tier"] == "free"
    assert rig.store.tiers == {"acme": "free"}
    assert rig.ask("POST", "/accounts/acme/tier", {"tier": None})[0] == 200
    assert rig.store.tiers == read_anew(tmp_path).tiers == {}
    assert [(fact.action, fact.tier) for fact in rig.facts if isinstance(fact, AccountChanged)] == [
        ("created", "gold"),
        ("tier", "free"),
        ("tier", None),
    ]


def test_no_key_of_a_disabled_account_is_let_in(rig: Rig, tmp_path: Path) -> None:
    """From the next request on and after a restart, whatever keys are made; enabled again they are as before."""
    secret = rig.ask("POST", "/keys", {"label": "ci", "account": "acme"})[1]["secret"]
    other = rig.ask("POST", "/keys", {"label": "other"})[1]["secret"]
    assert rig.ask("POST", "/accounts/acme/disable") == (200, {"name": "acme", "tier": None, "state": "disabled"})
    for store in (rig.store, read_anew(tmp_path)):
        with pytest.raises(ApiError, match="account") as caught:
            store.verify(secret)
        assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
        assert store.verify(other).label == "other"
        assert store.known(secret) is not None
    later = rig.ask("POST", "/keys", {"label": "later", "account": "acme"})[1]["secret"]
    with pytest.raises(ApiError):
        rig.store.verify(later)
    assert rig.ask("POST", "/accounts/acme/enable")[1]["state"] == "active"
    assert rig.store.verify(secret).label == "ci"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/accounts", {"name": "acme"}, 400),  # it is there
        ("/accounts", {"name": " "}, 400),
        ("/accounts", {"name": "x" * 65}, 400),
        ("/accounts", {"name": "new", "tier": "silver"}, 400),
        ("/accounts", {"name": "new", "rpm": 1}, 400),
        ("/accounts/acme/tier", {"tier": "silver"}, 400),
        ("/accounts/acme/tier", {}, 400),
        ("/accounts/nobody/tier", {"tier": "free"}, 404),
        ("/accounts/nobody/disable", None, 404),
        ("/accounts/nobody/enable", None, 404),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(rig: Rig, tmp_path: Path, path: str, body: object, status: int) -> None:
    """A tier that nobody knows would be a limit that nobody meant."""
    rig.ask("POST", "/accounts", {"name": "acme"})
    assert rig.ask("POST", path, body)[0] == status
    assert (rig.store.tiers, rig.store.accounts.disabled, read_anew(tmp_path).tiers) == ({}, set(), {})


def test_accounts_from_the_command_line(run: Run) -> None:
    """A name with a slash or a blank is a name like any other."""
    assert run("accounts", "create", "a/b c", "--tier", "starter").exit_code == 0
    assert "growth" in run("accounts", "set-tier", "a/b c", "growth").stdout
    assert "disabled" in run("accounts", "disable", "a/b c").stdout
    account = next(one for one in json.loads(run("accounts", "list", "--json").stdout) if one["name"] == "a/b c")
    assert (account["name"], account["tier"], account["state"], account["balance_nanos_usd"]) == ("a/b c", "growth", "disabled", None)
    assert "disabled" in run("accounts", "list").stdout
    assert "default tier, unlimited" in run("accounts", "set-tier", "a/b c", "default").stdout
    assert "disabled" not in run("accounts", "enable", "a/b c").stdout
    refused = run("accounts", "set-tier", "a/b c", "silver")
    assert (refused.exit_code, "free, starter, growth, unlimited" in refused.stderr) == (1, True)
