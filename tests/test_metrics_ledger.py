"""After a load of every kind, what `/metrics` says is what the ledger and the list of refused calls have: no call more, none less."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from aisa.errors import CODES
from aisa.ledger.port_calls import FAILURES
from aisa.ledger.rules import CRASHED
from aisa.observe.metrics import Metrics
from server import Server, serving
from test_admin_api import asked_at
from test_metrics import ROOT, own_address, read
from test_reload import until
from test_workers import streaming, workers_of
from vendor import ScriptedVendor

SETTINGS = """\
metrics: {{listen: '127.0.0.1:0'}}
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
  dead: {{dialect: openai, base_url: "http://127.0.0.1:9/v1", api_key: vendor-secret}}
limits: {{tiers: {{two: {{rpm: 2}}}}}}
models:
  plain: {{to: [local/hello], prices: {{input: 1.0, output: 3.0}}}}
  endless: {{to: [local/endless], prices: {{input: 1.0, output: 3.0}}}}
  fallen: {{to: [dead/x, local/hello], prices: {{input: 1.0, output: 3.0}}}}
  broken: [local/cut-mid-stream]
  gone: [dead/x]
"""
OF_LIMITS = {"rate_limit_exceeded", "insufficient_wallet_balance", "quota_exceeded"}


def load(server: Server, keys: dict[str, str]) -> None:
    """Make calls of all kinds, each on a connection of its own so that every worker has some."""
    where, said = urlsplit(server.url).netloc, [{"role": "user", "content": "Hi."}]
    kinds = [(server.key, model, stream) for model in ("plain", "fallen", "broken", "gone") for stream in (False, True)]
    kinds += [(key, "plain", False) for key in (*keys.values(), "sk-wrong")]
    for _ in range(3):
        for key, model, stream in (*kinds, (server.key, "nobody's", False)):
            asked_at(where, "/v1/chat/completions", {"model": model, "messages": said, "stream": stream}, key=key)
        client, response = streaming(server, server.key, "endless")
        response.close()
        client.close()


def counted(server: Server) -> tuple[Counter[Any], Counter[Any]]:
    """Return what the metrics say: calls, tokens and nano-dollars by what they are of; refusals by code."""
    calls, refused = Counter[Any](), Counter[Any]()
    for name, value in read(asked_at(own_address(server), "/metrics").body).items():
        family, _, labels = name.rstrip("}").partition("{")
        of = dict(label.split("=") for label in labels.split(",")) if labels else {}
        said = {label: text.strip('"') for label, text in of.items()}
        if family == "aisa_calls_total":
            calls[said["model"], said["outcome"], said["stream"] == "true"] += int(value)
        elif family == "aisa_tokens_total":
            calls[said["model"], said["side"]] += int(value)
        elif family == "aisa_cost_dollars_total":
            calls[said["model"], "cost"] += round(value * 1e9)
        elif family == "aisa_refused_total":
            refused[said["code"]] += int(value)
    return +calls, refused


def kept(server: Server) -> tuple[Counter[Any], Counter[Any]]:
    """Return the same as the database has it."""
    calls, refused = Counter[Any](), Counter[Any]()
    with closing(sqlite3.connect(f"file:{server.folder}/data/aisa.db?mode=ro", uri=True)) as database:
        asked = "select model, outcome, stream, billed_input_tokens, billed_output_tokens, coalesce(cost, 0) from calls"
        for model, outcome, stream, put_in, made, cost in database.execute(asked):
            calls += Counter({(model, outcome, bool(stream)): 1, (model, "input"): put_in, (model, "output"): made, (model, "cost"): cost})
        for code, number in database.execute("select code, sum(number) from refused_calls group by code"):
            refused[code] = number
    return +calls, refused


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_and_ledger_agree_after_calls_of_every_kind(tmp_path: Path, workers: int) -> None:
    """[issue 13] What a limit or a wallet refused was a failed call, which paged, and no refusal. A killed worker takes nothing with it."""
    with ScriptedVendor() as vendor, serving(tmp_path, SETTINGS.format(vendor=vendor.url), workers=workers) as server:
        keys: dict[str, str] = {}
        for account, terms in (("two", ("--tier", "two")), ("poor", ()), ("capped", ())):
            server.aisa("accounts", "create", account, *terms)
            cap = ("--spend-cap", "0.000001/day") if account == "capped" else ()
            keys[account] = server.aisa("keys", "create", account, "--account", account, *cap, "--quiet").strip()
        server.aisa("wallet", "top-up", "poor", "0.000001")
        load(server, keys)
        until(lambda: counted(server)[0] == kept(server)[0])
        if workers > 1:
            killed = workers_of(server)[0]
            os.kill(killed, signal.SIGKILL)
            until(lambda: killed not in (there := workers_of(server)) and len(there) == workers)
            until(lambda: read(asked_at(own_address(server), "/metrics").body)["aisa_workers"] == workers)
            load(server, keys)
        until(lambda: counted(server)[0] == kept(server)[0])
        until(lambda: counted(server)[1] == kept(server)[1] + Counter({"invalid_api_key": 3 * workers}))
        assert set(kept(server)[1]) == OF_LIMITS | {"unknown_model"}


def test_what_alerts_ask_of_refusals_are_codes_that_there_are() -> None:
    """A rule that names another can never fire."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    [expression] = [rule["expr"] for rule in rules if rule["alert"] == "AisaRefusesMuch"]
    named = set(expression.partition('code=~"')[2].partition('"')[0].split("|"))
    assert named == OF_LIMITS
    assert named <= set(CODES)


def test_the_alert_of_failing_calls_counts_what_usage_calls_failed() -> None:
    """Also of answers that broke off, and no client broke them off; a call that its server's death ended is in no counter."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    [expression] = [rule["expr"] for rule in rules if rule["alert"] == "AisaCallsFail"]
    assert set(expression.partition('outcome=~"')[2].partition('"')[0].split("|")) == set(FAILURES) - {CRASHED}


def test_the_alert_of_failing_calls_leaves_out_what_callers_cannot_pay_for() -> None:
    """[fault R1] One caller whose wallet was empty in each of his streams woke people; before there is one, there is no such series."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    [expression] = [rule["expr"] for rule in rules if rule["alert"] == "AisaCallsFail"]
    assert '- (sum(rate(aisa_cut_total{blame="caller"}[5m])) or vector(0))' in expression


def test_an_alert_of_any_event_at_all_sees_the_first_of_a_series() -> None:
    """[issue 13] `increase()` does not: a metric with labels is there from its first event on. A ratio or a rate may miss that one."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    there = {name for name in counted_from_the_start() if "{" not in name}
    for rule in rules:
        for asked in re.findall(r"increase\(([^[]+)\[(\w+)\]\)\)? > 0", rule["expr"]):
            series, span = asked
            assert series in there or f"({series} unless {series} offset {span}) > 0" in rule["expr"], rule["alert"]


def counted_from_the_start() -> dict[str, float]:
    """The samples of a server to which nothing has happened."""
    return read(asyncio.run(Metrics().text()))
