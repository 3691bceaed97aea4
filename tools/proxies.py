"""Runs `aisa check` behind every proxy that is here, as it comes and with its file in deploy/proxies, and writes the tables of its page.

`python tools/proxies.py [--quick] [--only NAME]... [--small-buffers] [--kept] [--page FILE]`. A row stays in the keeping of `seen.py` until
it is made again. `--small-buffers` takes proxies as they come in a network namespace of small buffers, where Caddy and Traefik belong.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the rig is that of the tests

from seen import Checked, checked, into_page, keep, kept, markdown  # noqa: E402 - beside this file

from aisa import __version__  # noqa: E402 - the line above says where the rig is
from ports import free_port  # noqa: E402 - as above
from proxy_rig import AS_IT_COMES, DEPLOYED_FILE, PRODUCTS, SMALL_BUFFERS, Product, Within, standing  # noqa: E402 - as above
from server import environment, serving  # noqa: E402 - the line above says where it is
from small_buffers import is_possible, run, small_buffers  # noqa: E402 - as above

PLAYED = """\
vendors:
  played: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: k, allow_unpriced: true}}
models:
  check: {{to: [played/check], prices: {{input: 1.0, output: 2.0}}}}
server: {{host: "{host}"}}
"""
RIG = "proxies"
PAGE = HERE.parent / "docs" / "proxies.md"
DIRECT = "direct"
APART = "AISA_PROXIES_APART"  # set in the process that has a network namespace of its own
SIZED_TOO = ("nginx", "Apache")  # could size its sockets; what the small buffers alone do is shown
SHOWN = ("unread-answer", "delay", "leaving", "leaving-thinking", "long-document")
HEADS = ("proxy", "configuration", "passed", "swallowed", "delay", "leaving", "while it thinks", "75 s document", "what failed", "on")
SMALL_HEADS = ("proxy", "swallowed", "with small buffers", "delay with them")


@click.command()
@click.option("--quick", is_flag=True, help="Only checks of less than 5 seconds.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this proxy; can be said several times.")
@click.option("--small-buffers", "small", is_flag=True, help="Only proxies as they come, with the small buffers of docs/proxies.md.")
@click.option("--kept", "only_kept", is_flag=True, help="Run nothing: write the page of the rows that are kept.")
@click.option("--page", "place", type=click.Path(dir_okay=False, path_type=Path), default=PAGE, help="The page to write.")
def main(*, quick: bool, only: tuple[str, ...], small: bool, only_kept: bool, place: Path) -> None:
    """Run those that are named, else all, and write the tables of all rows that are kept."""
    if not only_kept:
        chosen = [name for name in (DIRECT, *PRODUCTS) if not only or name in only]
        with ExitStack() as stack:
            if small:
                apart()
            within = stack.enter_context(small_buffers()) if small else Within()
            products = [PRODUCTS[name] for name in chosen if name != DIRECT]
            grade(configured(products, small=small), within, direct=not small and DIRECT in chosen, quick=quick)
    rows = kept(RIG, Checked)
    tables = {
        "proxies": markdown(HEADS, [row(name, rows[name]) for name in names() if name in rows]),
        "small-buffers": markdown(SMALL_HEADS, small_rows(rows)),
    }
    for part, table in tables.items():
        into_page(place, part, table)
    print(tables["small-buffers" if small else "proxies"])


def names() -> Iterator[str]:
    """Yield the names of all rows but those with small buffers, in order."""
    yield DIRECT
    for product in PRODUCTS.values():
        yield from (named(product, configuration) for configuration in product.configurations())


def named(product: Product, configuration: str) -> str:
    """Return the name by which a row is kept."""
    return f"{product.name}: {configuration}"


def grade(proxies: Iterable[tuple[Product, str, str]], within: Within, *, direct: bool, quick: bool) -> None:
    """Check the server itself, where that is asked for, and behind each proxy with a configuration of this name, and keep the rows."""
    port = free_port()
    with TemporaryDirectory() as folder, serving(Path(folder), PLAYED.format(port=port, host=within.there)) as server:
        if direct:
            check(DIRECT, f"aisa {__version__}", server.url, server.key, port, quick=quick)
        behind = int(server.url.rpartition(":")[2])
        for product, name, configuration in proxies:
            own = Path(folder) / re.sub(r"\W+", "-", f"{product.name} {name}")
            with standing(product, configuration, own, behind=behind, within=within) as front:
                check(named(product, name), product.title(), front, server.key, port, quick=quick)


def configured(products: Iterable[Product], *, small: bool) -> Iterator[tuple[Product, str, str]]:
    """Yield each product that is here with each of its configurations, or with the one that small buffers are for."""
    for product in products:
        if product.program() is None:
            print(f"{product.name} is not here", file=sys.stderr)
        elif not small:
            yield from ((product, *each) for each in product.configurations().items())
        elif not product.sized or product.name in SIZED_TOO:
            yield product, SMALL_BUFFERS, product.configurations()[plain(product)]


def plain(product: Product) -> str:
    """Return the name of its configuration without anything of ours."""
    return DEPLOYED_FILE if product.comes is None else AS_IT_COMES


def apart() -> None:
    """Go on in a network namespace of its own, so that nothing of the machine's network is touched."""
    if not is_possible():
        raise click.UsageError("Small buffers need root, Linux, and iproute2.")
    if APART not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], {**os.environ, APART: "1"})  # noqa: S606 S607 - ourselves
    run("ip", "link", "set", "lo", "up")


def check(name: str, title: str, url: str, key: str, port: int, *, quick: bool) -> None:
    """Let `aisa check` judge, and keep the row. Raises RuntimeError where it could not begin."""
    command = [sys.executable, "-m", "aisa", "check", url, "--model", "check", "--vendor-port", str(port), "--json", "-"]
    told = subprocess.run(  # noqa: S603 - our own command
        [*command, *(["--quick"] if quick else []), *(["--insecure"] if url.startswith("https") else [])],
        env={**os.environ, **environment(), "AISA_API_KEY": key},
        stdout=subprocess.PIPE,
        check=False,
    )
    if told.returncode not in (0, 1):
        raise RuntimeError(f"{name}: the checks did not begin")
    verdicts = json.loads(told.stdout)["checks"]
    made = checked(title, [(each["name"], each["state"], each["seen"]) for each in verdicts], quick=quick)
    keep(RIG, name, made)
    print(f"{name}: {len(made.passed)} passed, failed: {', '.join(made.failed) or 'none'}", file=sys.stderr, flush=True)


def row(name: str, made: Checked) -> list[str]:
    """Return a row of the table."""
    shown = [figure(made.seen(check)) for check in SHOWN]
    passed = f"{len(made.passed)} of {len(made.passed) + len(made.failed)}{' (quick)' if made.quick else ''}"
    return [
        DIRECT if name == DIRECT else made.title,
        name.partition(": ")[2],
        passed,
        *shown,
        ", ".join(made.failed) or "nothing",
        made.day,
    ]


def small_rows(rows: Mapping[str, Checked]) -> Iterator[list[str]]:
    """Yield what small buffers do to each proxy that they were tried with."""
    for product in PRODUCTS.values():
        large, small = (rows.get(named(product, configuration)) for configuration in (plain(product), SMALL_BUFFERS))
        if large is not None and small is not None:
            yield [small.title, *(figure(each.seen("unread-answer")) for each in (large, small)), figure(small.seen("delay"))]


def figure(seen: str | None) -> str:
    """Return what was measured, short."""
    text = "not run" if seen is None else seen or "is answered"
    for long in (" swallowed on the way", " late at the median", "the vendor was ", " tokens", "status "):
        text = text.replace(long, "")
    return text.partition(" (")[0].partition(", ")[0].partition(":")[0]


if __name__ == "__main__":
    main()
