"""What we bill and what LiteLLM's cost function says, for the same reports at the same prices: `make bills` writes the page.

Usage: litellm_bills.py FOLDER. LiteLLM's newest release is installed there by pip as this machine has it set up, and runs apart from us.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from aisa.config.schema import Prices
from aisa.prices.listed_entry import KINDS
from vendor_reports import REPORTS, Report, answer_of, billed

SEARCH_SIZES = ("search_context_size_low", "search_context_size_medium", "search_context_size_high")
ANSWER_SECONDS_MAX = 600  # LiteLLM is imported in some ten seconds on an idle machine
MICROS_PER_DOLLAR = 1_000_000
SAME_WITHIN = 0.51  # micro-dollars: each rounds in its own way


def install(folder: Path) -> None:
    """Bring LiteLLM's newest release into a folder of its own."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--upgrade",
        "--target",
        str(folder),
        "litellm",
    ]
    subprocess.run(command, check=True)


def release(folder: Path) -> str:
    """Return the release that is installed."""
    return next(each.version for each in distributions(path=[str(folder)]) if each.metadata["Name"].lower() == "litellm")


def entry_of(prices: Prices) -> dict[str, object]:
    """Return prices as LiteLLM's list has them: US dollars a token."""
    entry: dict[str, object] = {"mode": "chat"}
    for name, kind in KINDS.items():
        price = getattr(prices, kind)
        if price is not None and name != "input_cost_per_token_cache_hit":
            entry[name] = price / 1e6 if kind != "per_request" else price
        for tier, other in prices.service_tiers.items():
            if getattr(other, kind) is not None and "_cost_per_token" in name:
                entry[f"{name}_{tier}"] = getattr(other, kind) / 1e6
    if prices.per_search is not None:
        entry["search_context_cost_per_query"] = dict.fromkeys(SEARCH_SIZES, prices.per_search)
    return entry


def case_of(name: str, report: Report) -> dict[str, Any]:
    """Return a case for `litellm_costs.py`: under a name of its own, as what is registered there stays."""
    model = f"case-{abs(hash(name))}"
    answer = {**answer_of(report), "model": model}
    entry = {**entry_of(report.prices), "litellm_provider": report.vendor}
    return {"model": model, "vendor": report.vendor, "entry": entry, "answer": answer, "asked": dict(report.asked)}


def costs(folder: Path, cases: list[dict[str, Any]]) -> list[float | str]:
    """Ask LiteLLM, without the network: its list of prices is the one that it carries."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    script = Path(__file__).with_name("litellm_costs.py")
    asked = subprocess.run(
        [sys.executable, str(script)],
        input=json.dumps(cases),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=ANSWER_SECONDS_MAX,
    )
    found: list[float | str] = json.loads(asked.stdout.splitlines()[-1])
    return found


def table(version: str, reports: Mapping[str, Report], theirs: list[float | str]) -> str:
    """Return the table as Markdown, in micro-dollars."""
    lines = [f"| what is reported | aisa | LiteLLM {version} | |", "|---|---:|---:|---|"]
    right = 0
    for (name, report), said in zip(reports.items(), theirs, strict=True):
        ours = billed(report, stream=False).cost / 1_000
        assert ours // 1 == report.micros, f"{name}: {ours}"
        micros = said * MICROS_PER_DOLLAR if isinstance(said, float | int) else None
        same = micros is not None and abs(micros - ours) <= SAME_WITHIN
        right += same
        shown = f"{micros:,.1f}".removesuffix(".0") if micros is not None else str(said).partition(":")[0]
        lines.append(f"| {name} | {ours:,.1f} | {shown} | {'' if same else times(ours, micros)} |".replace(".0 |", " |"))
    return "\n".join([*lines, "", f"The same in {right} of {len(reports)}."])


def times(ours: float, theirs: float | None) -> str:
    """Say how far a figure is from ours."""
    if theirs is None:
        return "no figure"
    return "free" if not theirs else f"x {theirs / ours:.3g}"


PAGE = """\
# The same reports, billed by aisa and by LiteLLM

<!-- Made by `make bills`. The reports, with the arithmetic of each bill, are in tests/vendor_reports.py. -->

What vendors have reported of an answer, at the same prices: what a call costs here, and what the cost function of LiteLLM {version}
says (`litellm.completion_cost` of the answer as its own client reads it, under the name that it has for the vendor, with its own list of
prices out of the way). Micro-dollars. Where the two differ, the last column says by how much; "free" is a figure of 0. How we read a
report is in [billing.md](billing.md). LiteLLM's proxy may do more than its cost function: it counts streams whose vendor reports nothing,
for one.

"""


def main() -> None:
    """Print the page."""
    folder = Path(sys.argv[1])
    install(folder)
    version = release(folder)
    theirs = costs(folder, [case_of(name, report) for name, report in REPORTS.items()])
    print(PAGE.format(version=version) + table(version, REPORTS, theirs))


if __name__ == "__main__":
    main()
