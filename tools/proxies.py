"""Runs `aisa check` behind every proxy that is here, as it comes and with its file in deploy/proxies, and prints a table of what failed.

`python tools/proxies.py [--quick] [--only NAME]... [--small-buffers] [--kept] [--json FOLDER]`. What each check and failure means is in
docs/check.md. `--small-buffers` takes proxies as they come in a network namespace of small buffers, where Caddy and Traefik belong.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the rig is that of the tests

from proxy_rig import AS_IT_COMES, DEPLOYED_FILE, PRODUCTS, SMALL_BUFFERS, Product, Within, free_port, standing  # noqa: E402 - as above
from server import environment, serving  # noqa: E402 - the line above says where it is
from small_buffers import is_possible, run, small_buffers  # noqa: E402 - as above

PLAYED = """\
vendors:
  played: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: k, allow_unpriced: true}}
models:
  check: {{to: [played/check], prices: {{input: 1.0, output: 2.0}}}}
server: {{host: "{host}"}}
"""
REPORTS = HERE.parent / "build" / "proxies" / "reports"
APART = "AISA_PROXIES_APART"  # set in the process that has a network namespace of its own
SIZED_TOO = ("nginx", "Apache")  # could size its sockets; what the small buffers alone do is shown
SHOWN = ("unread-answer", "delay", "leaving", "leaving-thinking", "long-document")
HEADS = ("proxy", "configuration", "passed", "swallowed", "delay", "leaving", "while it thinks", "75 s document", "what failed")


@click.command()
@click.option("--quick", is_flag=True, help="Only checks of less than 5 seconds.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this proxy; can be said several times.")
@click.option("--small-buffers", "small", is_flag=True, help="Only proxies as they come, with the small buffers of docs/proxies.md.")
@click.option("--kept", is_flag=True, help="Run nothing: print the reports that are kept.")
@click.option("--json", "folder", type=click.Path(file_okay=False, path_type=Path), default=REPORTS, help="Where reports are kept.")
def main(*, quick: bool, only: tuple[str, ...], small: bool, kept: bool, folder: Path) -> None:
    """Print the table of what was run, or of all that is kept."""
    if kept:
        told = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
        print(markdown(HEADS, [row([each["proxy"], each["configuration"]], each) for each in told]))
        return
    products = [product for product in PRODUCTS.values() if not only or product.name in only]
    with ExitStack() as stack:
        if small:
            apart()
        within = stack.enter_context(small_buffers()) if small else Within()
        place = Path(stack.enter_context(TemporaryDirectory()))
        port = free_port()
        server = stack.enter_context(serving(place, PLAYED.format(port=port, host=within.there)))

        def made(names: tuple[str, str], url: str) -> list[str]:
            return keep([*names], report(url, server.key, port, quick=quick), folder)

        rows = [made(("direct", ""), server.url)] if not small and (not only or "direct" in only) else []
        behind = int(server.url.rpartition(":")[2])
        for product, name, configuration in configured(products, small=small):
            own = place / re.sub(r"\W+", "-", f"{product.name} {name}")
            with standing(product, configuration, own, behind=behind, within=within) as front:
                rows.append(made((product.title(), name), front))
    print(markdown(HEADS, rows))
    options = " ".join([*(["--quick"] if quick else []), *(["--small-buffers"] if small else [])])
    print("\nReproduce: make proxies" + (f' ARGS="{options}"' if options else ""))


def configured(products: Iterable[Product], *, small: bool) -> Iterator[tuple[Product, str, str]]:
    """Yield each product that is here with each of its configurations, or with the one that small buffers are for."""
    for product in products:
        if product.program() is None:
            print(f"{product.name} is not here", file=sys.stderr)
        elif not small:
            yield from ((product, *each) for each in product.configurations().items())
        elif not product.sized or product.name in SIZED_TOO:
            yield product, SMALL_BUFFERS, product.configurations()[DEPLOYED_FILE if product.comes is None else AS_IT_COMES]


def apart() -> None:
    """Go on in a network namespace of its own, so that nothing of the machine's network is touched."""
    if not is_possible():
        raise click.UsageError("Small buffers need root, Linux, and iproute2.")
    if APART not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], {**os.environ, APART: "1"})  # noqa: S606 S607 - ourselves
    run("ip", "link", "set", "lo", "up")


def report(url: str, key: str, port: int, *, quick: bool) -> dict[str, Any]:
    """Return what `aisa check` says, as JSON."""
    command = [sys.executable, "-m", "aisa", "check", url, "--model", "check", "--vendor-port", str(port), "--json", "-"]
    told = subprocess.run(  # noqa: S603 - our own command
        [*command, *(["--quick"] if quick else []), *(["--insecure"] if url.startswith("https") else [])],
        env={**os.environ, **environment(), "AISA_API_KEY": key},
        stdout=subprocess.PIPE,
        check=False,
    )
    if told.returncode not in (0, 1):
        return {"passed": 0, "failed": 0, "skipped": 0, "checks": []}
    value: dict[str, Any] = json.loads(told.stdout)
    return value


def keep(names: list[str], told: dict[str, Any], folder: Path) -> list[str]:
    """Return a row, and keep the report."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"proxy": names[0], "configuration": names[1], **told}
    (folder / f"{' '.join(names).strip().replace('/', '-')}.json").write_text(json.dumps(whole, indent=1), encoding="utf-8")
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
