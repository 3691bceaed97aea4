"""The settings on stores: what their addresses say, and what a start needs for them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aisa.composition import check_extras
from aisa.config.load import load
from aisa.config.problem import ConfigErrors
from aisa.config.schema import Config
from aisa.config.stores import Address, StoreSettings, address_of, limits_database


def test_an_address_says_where_a_store_is_and_who_we_are_there() -> None:
    """All spellings that clients of Valkey and Redis take, with what is special in a password written as URLs want it."""
    assert address_of("redis://limits.internal") == Address("limits.internal", 6379, None, False, None, None, 0)
    assert address_of("valkeys://a:p%40ss%2Fword@h:7000/3") == Address("h", 7000, None, True, "a", "p@ss/word", 3)
    assert address_of("rediss://:word@[::1]:7000/") == Address("::1", 7000, None, True, None, "word", 0)
    assert address_of("unix:///run/valkey.sock?db=2") == Address("", 6379, "/run/valkey.sock", False, None, None, 2)


WRONG = (
    "redis:/host",
    "http://:secret@h",
    "redis://:secret@",
    "redis://:secret@h/first",
    "redis://:a@h:secret",
    "redis://u:secret",
    "unix:",
)


@pytest.mark.parametrize(
    "url",
    [
        *("redis:/host", "http://:secret@h", "redis://:secret@", "redis://:secret@h/first", "redis://:secret@h:port", "unix:", ""),
        *("redis://:secret@h?db=2", "rediss://:secret@h/0?ssl_cert_reqs=none", "redis://u:secret@h/0#part"),
        *("postgresql://u:secret@h/d?channel_binding=require", "postgres://u:secret@h/d?sslmode=require&require_auth=scram-sha-256"),
    ],
)
def test_a_wrong_address_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    """At the start and by `aisa config check`, with its place and what would be right; logs are read by many."""
    path = tmp_path / "aisa.yaml"
    path.write_text(f"stores: {{limits: '{url}'}}\n", encoding="utf-8")
    with pytest.raises(ConfigErrors) as wrong:
        load(str(path), {}, {})
    (problem,) = wrong.value.problems
    assert "stores.limits" in problem.where
    assert "secret" not in f"{problem}"
    assert "redis://127.0.0.1:6379/0" in problem.remedy


def test_a_database_may_keep_the_limits(tmp_path: Path) -> None:
    """Its URL is taken as its driver takes it; it may be that of the ledger."""
    url = "postgresql://aisa:p%40ss@h1:5432,h2:5432/aisa?target_session_attrs=primary"
    path = tmp_path / "aisa.yaml"
    path.write_text(f"stores: {{limits: '{url}', database: '{url}'}}\n", encoding="utf-8")
    assert load(str(path), {}, {}).config.stores.limits == url


def test_what_libpq_alone_knows_is_asked_of_no_server() -> None:
    """[issue 13] Limits were away for ever by a `connect_timeout`, as hosted databases' URLs have: "unrecognized configuration parameter".

    What must be proven is refused at the start instead, as above; what asks for no proof is left out.
    """
    known = "postgresql://a@h/d?sslmode=verify-full&sslrootcert=/ca.pem&target_session_attrs=primary"
    assert limits_database(f"{known}&connect_timeout=10&keepalives_idle=30&channel_binding=prefer") == known
    assert limits_database("postgresql://a@h/d?connect_timeout=10") == limits_database("postgresql://a@h/d") == "postgresql://a@h/d"


def test_a_store_whose_packages_are_not_installed_is_told_at_the_start() -> None:
    """With the command that installs them for this program, whose `pip` is seldom the first on the path; none is looked for without."""
    check_extras(Config(), find=lambda _name: None)
    with pytest.raises(ConfigErrors, match="stores") as missing:
        check_extras(Config(stores=StoreSettings(limits="redis://h")), find=lambda name: name != "asyncpg" or None)
    assert [problem.where for problem in missing.value.problems] == ["stores.limits"]
    assert missing.value.problems[0].remedy == f"{sys.executable} -m pip install 'aisa-gateway[stores]'"


def test_of_the_environments_two_names_for_a_store_valkeys_counts() -> None:
    """Platforms set one of them, and some set both."""
    assert load(None, {"REDIS_URL": "redis://one"}, {}).config.stores.limits == "redis://one"
    assert load(None, {"REDIS_URL": "redis://one", "VALKEY_URL": "valkey://two"}, {}).config.stores.limits == "valkey://two"
