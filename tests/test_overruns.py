"""What calls cost beyond wallets and caps is told to who looks after the server: in `aisa status` and in metrics."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from aisa.edge.admin_status import NAMED_MAX
from aisa.errors import ApiError
from aisa.keys.rules import Key, Team
from aisa.ledger.caps import Cap
from aisa.ledger.port_admin import AccountStanding
from aisa.observe.metrics import Gauge
from aisa.overruns import Overruns
from postgres_rig import needs_postgres, postgres_server
from server import serving
from test_admin_api import asked_at
from test_metrics import own_address
from test_reload import asked, until
from vendor import ScriptedVendor

#: The vendor reports 11 tokens of input where "Hi." is held for as one.
UNDERCOUNTED = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
models:
  m: {{to: [local/hello], prices: {{input: 100000, output: 0}}}}
metrics: {{listen: '127.0.0.1:0'}}
"""
TEAM = Team("team_1", "acme", "bots", 0, 5, "week")
NOW = 1_795_878_000.0


def overspent_in(folder: Path, workers: int, variables: dict[str, str]) -> None:
    """Spend 1.1 dollars of a wallet that has one, and of a cap of a half; look at what is told."""
    with (
        ScriptedVendor() as vendor,
        serving(folder, UNDERCOUNTED.format(vendor=vendor.url), workers=workers, variables=variables) as server,
    ):
        server.aisa("wallet", "top-up", "default", "1")
        server.aisa("keys", "update", "t", "--spend-cap", "0.5/day")
        assert "below zero" not in server.aisa("status")
        own = own_address(server)
        assert b"aisa_wallets_below_zero 0" in asked_at(own, "/metrics").body
        assert asked(server, "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}).status == 200
        until(lambda: b"aisa_wallets_below_zero 1" in asked_at(own, "/metrics").body)
        until(lambda: b"aisa_caps_overshot 1" in asked_at(own, "/metrics").body)
        shown = json.loads(server.aisa("status", "--json"))["attention"]
    told = {each["what"]: each["level"] for each in shown}
    assert told["The wallet of 'default' is 0.1 US dollars below zero."] == "warning"
    assert told["The key 't' has spent 1.1 of 0.5 US dollars a day."] == "warning"
    assert all(re.search(r"aisa (wallet statement default|calls --key t)", each["remedy"]) for each in shown)


@pytest.mark.parametrize("workers", [1, 2])
def test_who_overspent_is_told_by_a_server(tmp_path: Path, workers: int) -> None:
    """An operator saw it in the rows alone, and was woken by nothing."""
    overspent_in(tmp_path, workers, {})


@needs_postgres
@pytest.mark.parametrize("workers", [1, 2])
def test_who_overspent_is_told_by_a_server_on_postgresql(tmp_path: Path, workers: int) -> None:
    """There a server knows of a cap what the database told it last."""
    with postgres_server() as postgres:
        overspent_in(tmp_path, workers, {"DATABASE_URL": postgres.fresh()})


def account(name: str, balance: int) -> AccountStanding:
    """An account with so much in its wallet."""
    return AccountStanding(name, balance, 0, 0, 0, 0)


def told(accounts: Iterable[AccountStanding], keys: Iterable[Key], caps: dict[str, Cap]) -> list[str]:
    """What is told of these."""
    return [each.what for each in Overruns(lambda: list(accounts), lambda: keys, caps=lambda: caps, wall_clock=lambda: NOW).attention()]


def test_a_team_is_named_once_and_the_deepest_stand_first() -> None:
    """What was spent to the last nano-dollar of a cap is not beyond it."""
    keys = [Key(f"key_{number}", f"k{number}", b"", "", "active", 0, account="acme", team=TEAM) for number in range(2)]
    keys.append(Key("key_2", "whole", b"", "", "active", 0, spend_cap=5, spend_window="day"))
    caps = {"team_1": Cap(5, "week", spent=7, now=NOW), "key_2": Cap(5, "day", spent=5, now=NOW)}
    assert told([], keys, caps) == ["The team 'bots' has spent 0.000000007 of 0.000000005 US dollars a week."]
    many = told([account(f"a{number}", -number) for number in range(1, NAMED_MAX + 3)], (), {})
    assert many[0] == f"The wallet of 'a{NAMED_MAX + 2}' is 0.00000000{NAMED_MAX + 2} US dollars below zero."
    assert many[-1] == "2 more wallets are below zero."


def test_a_database_that_fails_hides_no_cap() -> None:
    """Nor does it make a page of metrics fail."""

    def failing() -> list[AccountStanding]:
        raise ApiError("internal_error", "The disk is full.")

    async def states() -> list[Gauge]:
        return []

    key = Key("key_1", "k", b"", "", "active", 0, spend_cap=5, spend_window="day")
    caps = {"key_1": Cap(5, "day", spent=6, now=NOW)}
    overruns = Overruns(failing, lambda: [key], caps=lambda: caps, wall_clock=lambda: NOW)
    assert [each.what for each in overruns.attention()] == ["The key 'k' has spent 0.000000006 of 0.000000005 US dollars a day."]
    assert [(gauge.name, gauge.values) for gauge in asyncio.run(overruns.beside(states)())] == [("caps_overshot", (((), 1.0),))]


def test_a_database_that_hangs_keeps_neither_status_nor_metrics() -> None:
    """[issue 13] They waited for it, each time in a further thread, until those that calls need were all waiting as well."""
    key = Key("key_1", "k", b"", "", "active", 0, spend_cap=5, spend_window="day")
    caps = {"key_1": Cap(5, "day", spent=6, now=NOW)}
    asked_of: list[int] = []
    answers = threading.Event()

    def hanging() -> list[AccountStanding]:
        asked_of.append(1)
        answers.wait()
        return [account("deep", -1)]

    overruns = Overruns(hanging, lambda: [key], caps=lambda: caps, wall_clock=lambda: NOW, wait_seconds=0)
    try:
        for _ in range(3):
            assert [gauge.name for gauge in overruns.gauges()] == ["caps_overshot"]
            assert len(list(overruns.attention())) == 1
        assert len(asked_of) <= 1
    finally:
        answers.set()
    until(lambda: any("'deep'" in each.what for each in overruns.attention()))
