"""The alert rules, as Prometheus' own program plays troubles to them. Where it is not installed, that is skipped by name."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "aisa.json"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian: prometheus) is not installed")


def promtool(*words: str) -> str:
    """What it prints of something that must be right."""
    assert PROMTOOL is not None, "the caller needs it"
    done = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_each_alert_fires_in_its_trouble_and_none_while_all_is_well() -> None:
    """[issue 13] The troubles are in `alerts.yaml` beside this file."""
    promtool("test", "rules", str(ROOT / "tests" / "alerts.yaml"))


@needs_promtool
def test_what_the_dashboard_asks_is_understood(tmp_path: Path) -> None:
    """[issue 13] Each expression, as a rule of its own, with a span in the place of Grafana's variable."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    asked = [target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel["targets"]]
    rules = [{"record": f"asked:{number}", "expr": expression} for number, expression in enumerate(asked)]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


def test_every_alert_has_a_trouble_of_its_own() -> None:
    """One that is added without is not known to fire."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    played = (ROOT / "tests" / "alerts.yaml").read_text(encoding="utf-8")
    assert [rule["alert"] for rule in rules if f'alertname="{rule["alert"]}"' not in played] == []


def test_a_vendor_that_is_down_altogether_is_told_although_it_has_no_calls() -> None:
    """[issue 13] Others answer them, so a share of its calls was a share of nothing, and nobody was told."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    [expression] = [rule["expr"] for rule in rules if rule["alert"] == "AisaVendorFails"]
    assert " or max by (vendor) (avg_over_time(aisa_vendor_targets_asked_last[10m])) > 0.5" in expression
