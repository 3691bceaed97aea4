"""Runs `aisa check` behind every proxy that is here, as it comes and with its file in deploy/proxies, and prints a table of what failed.

`python tools/proxies.py [--quick] [--only NAME]... [--json FOLDER]`. The checks, and what each failure means, are in docs/check.md.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the rig is that of the tests

from proxy_rig import PRODUCTS, free_port, standing  # noqa: E402 - the line above says where it is
from server import environment, serving  # noqa: E402 - as above

PLAYED = """\
vendors:
  played: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: k, allow_unpriced: true}}
models:
  check: {{to: [played/check], prices: {{input: 1.0, output: 2.0}}}}
"""
SHOWN = ("unread-answer", "delay", "leaving", "leaving-thinking", "long-document")
HEADS = ("proxy", "configuration", "passed", "swallowed", "delay", "leaving", "while it thinks", "75 s document", "what failed")


@click.command()
@click.option("--quick", is_flag=True, help="Only checks of less than 5 seconds.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this proxy; can be said several times.")
@click.option("--json", "folder", type=click.Path(file_okay=False, path_type=Path), help="Keep every report in this folder.")
def main(*, quick: bool, only: tuple[str, ...], folder: Path | None) -> None:
    """Print the table."""
    with TemporaryDirectory() as place:
        port = free_port()
        with serving(Path(place), PLAYED.format(port=port)) as server:
            rows = list(lines(server.url, Path(place), only, port=port, quick=quick, key=server.key, folder=folder))
    print(markdown(HEADS, rows))
    print(f"\nReproduce: make proxies{' ARGS=--quick' if quick else ''}")


def lines(url: str, place: Path, only: tuple[str, ...], *, port: int, quick: bool, key: str, folder: Path | None) -> Iterator[list[str]]:
    """Yield the table's rows, the direct one first."""
    if not only or "direct" in only:
        yield kept(["direct", ""], report(url, key, port, quick=quick), folder)
    behind = int(url.rpartition(":")[2])
    for product in PRODUCTS.values():
        if only and product.name not in only:
            continue
        if product.program() is None:
            print(f"{product.name} is not here", file=sys.stderr)
            continue
        for name, configuration in product.configurations().items():
            with standing(product, configuration, place / product.name / re.sub(r"\W+", "-", name), behind=behind) as front:
                yield kept([f"{product.name} {product.version_of()}", name], report(front, key, port, quick=quick), folder)


def report(url: str, key: str, port: int, *, quick: bool) -> dict[str, Any]:
    """Return what `aisa check` says, as JSON."""
    command = [sys.executable, "-m", "aisa", "check", url, "--model", "check", "--vendor-port", str(port), "--json", "-"]
    told = subprocess.run(  # noqa: S603 - our own command
        [*command, *(["--quick"] if quick else [])],
        env={**os.environ, **environment(), "AISA_API_KEY": key},
        stdout=subprocess.PIPE,
        check=False,
    )
    if told.returncode not in (0, 1):
        return {"passed": 0, "failed": 0, "skipped": 0, "checks": []}
    value: dict[str, Any] = json.loads(told.stdout)
    return value


def kept(names: list[str], told: dict[str, Any], folder: Path | None) -> list[str]:
    """Return a row, and keep the report where that is wanted."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{' '.join(names).strip().replace('/', '-')}.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    print(" ".join(names), told["passed"], told["failed"], file=sys.stderr, flush=True)
    return row(names, told)


def row(names: list[str], told: dict[str, Any]) -> list[str]:
    """Return a report as a row of the table."""
    seen = {check["name"]: check for check in told["checks"]}
    shown = [figure(seen.get(name)) for name in SHOWN]
    failed = [name for name, check in seen.items() if check["state"] == "failed"]
    made = told["passed"] + told["failed"]
    return [*names, f"{told['passed']} of {made}" if made else "does not answer", *shown, ", ".join(failed) or "nothing"]


def figure(check: dict[str, Any] | None) -> str:
    """Return what was measured, short."""
    if check is None or check["state"] == "skipped":
        return "-"
    text: str = check["seen"] or "is answered"
    for long in (" swallowed on the way", " at the median", "the vendor was ", " text/html", " tokens"):
        text = text.replace(long, "")
    return text.partition(" (")[0].partition(", ")[0].partition(":")[0]


def markdown(heads: tuple[str, ...], rows: list[list[str]]) -> str:
    """Return a table."""
    return "\n".join(["| " + " | ".join(line) + " |" for line in [list(heads), ["---"] * len(heads), *rows]])


if __name__ == "__main__":
    main()
