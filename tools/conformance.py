"""Grades ourselves, directly and behind proxies, and what others made, by `aisa check`; keeps each row and writes a page of all.

`python tools/conformance.py [NAME...] [--quick] [--write FILE]`. A row stays in build/conformance/rows until it is made again, so that the
page can be made row by row. Who is graded, and how each is configured, is in `gateways.py` and in `tests/proxy_rig.py`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the rig is that of the tests

from gateways import GATEWAYS, NOT_HERE, running, serving_a_model, version_of  # noqa: E402 - as above

from aisa import __version__  # noqa: E402 - the line above says where the rig is
from aisa.checks.check import BASES, FAILED, PASSED, PROMISE, SKIPPED, Verdict  # noqa: E402 - as above
from aisa.checks.client import Address  # noqa: E402 - as above
from aisa.checks.registry import CHECKS  # noqa: E402 - as above
from aisa.checks.running import run  # noqa: E402 - as above
from aisa.checks.subject import Subject  # noqa: E402 - as above
from aisa.testing.scenario import built_in  # noqa: E402 - as above
from aisa.testing.scripted_server import ScriptedServer  # noqa: E402 - as above
from proxy_rig import DEPLOYED_FILE, PRODUCTS, standing  # noqa: E402 - as above
from server import serving  # noqa: E402 - as above

ROWS = HERE.parent / "build" / "conformance" / "rows"
OURSELVES = "aisa"
PROXIES = ("nginx", "HAProxy", "Caddy", "Envoy", "Traefik")
MODEL_SERVERS = ("transformers",)
NAMES = (OURSELVES, *PROXIES, *(gateway.name for gateway in GATEWAYS), *MODEL_SERVERS)
SILENT = "no answer: nothing came"  # as a check says it
PLAYED = """\
vendors:
  played: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: k, allow_unpriced: true}}
models:
  check: {{to: [played/check], prices: {{input: 1.0, output: 2.0}}}}
"""
INTRODUCTION = """\
# Who keeps the contract

`make conformance` runs every check of `aisa check` ([check.md](check.md)) on this server, directly and behind proxies with their files in
`deploy/proxies`, and on what others made. Each gateway stands in front of the same played vendor, configured as its documentation says for
a vendor of OpenAI's dialect, with what keeps it from asking a vendor that has failed switched off; a model server has a tiny model of its
own, so that of it only what needs no played vendor is checked. What failed was checked once more, and the second verdict counts.
`make conformance ARGS='"LiteLLM proxy"'` makes one row again. Who finds a row unfair finds its configuration in `tools/gateways.py`.

**How to read it.** The checks are ours, and so is the choice of them. They are counted apart, by who asks for them:

- *protocol*: whoever owns the protocol wrote it down (OpenAI's, Anthropic's and Gemini's references, HTTP, server-sent events);
- *practice*: nobody wrote it down, and the clients that are named break without it;
- *promises*: this project makes them, and **nobody else has to**: receipts, early cancelling, bounds on what is swallowed, comments.

Skipped is what a subject does not offer (another API, a rerank route), what is about this project's receipts, and what could not be seen.

| subject | protocol | practice | promises | skipped | on |
|---|---|---|---|---|---|
{rows}

Not graded:

{absent}

{sections}"""


class Seen(msgspec.Struct, frozen=True):
    """What became of one check."""

    name: str
    state: str
    seen: str


class Row(msgspec.Struct, frozen=True):
    """What became of a subject, on a day."""

    name: str
    title: str
    day: str
    quick: bool
    seen: tuple[Seen, ...]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Only checks of less than 5 seconds.")
@click.option("--kept", is_flag=True, help="Grade nobody: make the page of the rows that are kept.")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Write the page into this file.")
def main(names: tuple[str, ...], *, quick: bool, kept: bool, write: Path | None) -> None:
    """Grade those that are named, else everybody, and make the page of all rows that are kept."""
    if unknown := set(names) - set(NAMES):
        raise click.UsageError(f"{', '.join(sorted(unknown))}: nobody is called so. There are {', '.join(NAMES)}.")
    if not kept:
        with TemporaryDirectory() as place:
            asyncio.run(grade(Path(place), names or NAMES, quick=quick))
    text = page([fair(row) for name in NAMES if (row := kept_row(name)) is not None])
    if write is None:
        print(text)
    else:
        write.write_text(text.replace(f"{HERE.parent}/", ""), encoding="utf-8")  # a page is of no one machine


async def grade(place: Path, names: Sequence[str], *, quick: bool) -> None:
    """Grade each and keep its row; who is not here, or does not answer, is told."""
    vendor = ScriptedServer(built_in(), "hello")
    port = await vendor.listen("127.0.0.1", 0)
    with serving(place, PLAYED.format(port=port)) as server:
        own = Subject(Address("127.0.0.1", int(server.url.rpartition(":")[2])), "", key=server.key, model="check", vendor=vendor)
        for name in names:
            vendor.played.clear()  # marks of requests begin anew with each subject
            try:
                async with subject_of(name, place, own) as (subject, title):
                    keep(await graded(name, title, subject, quick=quick))
            except (RuntimeError, SystemExit) as failure:
                print(failure, file=sys.stderr, flush=True)
    await vendor.close()


@asynccontextmanager
async def subject_of(name: str, place: Path, own: Subject) -> AsyncIterator[tuple[Subject, str]]:
    """Yield what checks are run on, and what it is with its version. Raises RuntimeError where it is not here."""
    assert own.vendor is not None, "it is played"
    if name == OURSELVES:
        yield own, f"aisa {__version__}"
    elif name in PRODUCTS:
        product = PRODUCTS[name]
        if product.program() is None:
            raise RuntimeError(f"{name} is not here")
        with standing(product, product.configurations()[DEPLOYED_FILE], place / name.replace(" ", "-"), behind=own.address.port) as url:
            address = Address("127.0.0.1", int(url.rpartition(":")[2]))
            behind = Subject(address, "", key=own.key, model="check", vendor=own.vendor)
            yield behind, f"aisa {__version__} behind {product.title()}"
    elif name in MODEL_SERVERS:
        async with serving_a_model(name, place) as (subject, version):
            yield subject, f"{name} {version}"
    else:
        [gateway] = [each for each in GATEWAYS if each.name == name]
        if not gateway.program.exists():
            raise RuntimeError(f"{name} is not installed")
        async with running(gateway, place, own.vendor) as subject:
            yield subject, f"{name} {version_of(gateway)}"


async def graded(name: str, title: str, subject: Subject, *, quick: bool) -> Row:
    """Run the checks. On a busy machine a moment passes for a fault: what failed is made once more, and the second verdict stands."""
    apart = next((gateway.apart for gateway in GATEWAYS if gateway.name == name), {})
    wanted = [check for check in CHECKS if check.quick or not quick]
    verdicts = {each.check.name: each for each in await run(subject, [check for check in wanted if check.name not in apart])}
    verdicts |= {each.check.name: each for each in await run(subject, [each.check for each in verdicts.values() if each.state == FAILED])}
    verdicts |= {check.name: Verdict(check, SKIPPED, apart[check.name], 0.0) for check in wanted if check.name in apart}
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    return Row(name, title, today, quick, tuple([Seen(each.check.name, each.state, each.seen) for each in verdicts.values()]))


def keep(row: Row) -> None:
    """Keep a row, and tell of it."""
    ROWS.mkdir(parents=True, exist_ok=True)
    (ROWS / f"{row.name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(row), indent=1))
    failed = [seen.name for seen in row.seen if seen.state == FAILED]
    print(f"{row.title}: {len(row.seen)} checks, failed: {', '.join(failed) or 'none'}", file=sys.stderr, flush=True)


def kept_row(name: str) -> Row | None:
    """Return the row that is kept of a subject, None where there is none, or one of other checks."""
    path = ROWS / f"{name}.json"
    if not path.exists():
        print(f"there is no row of {name}", file=sys.stderr)
        return None
    row = msgspec.json.decode(path.read_bytes(), type=Row)
    if {seen.name for seen in row.seen} != {check.name for check in CHECKS if check.quick or not row.quick}:
        print(f"the row of {name} is of other checks than there are now: make it again", file=sys.stderr)
        return None
    return row


def fair(row: Row) -> Row:
    """Return a row in which another's silence of 30 seconds is no verdict: on a machine that does other things it may be the machine's."""
    if row.name in (OURSELVES, *PROXIES):
        return row
    apart = next((gateway.apart for gateway in GATEWAYS if gateway.name == row.name), {})
    seen = [Seen(each.name, SKIPPED, each.seen) if each.seen.startswith(SILENT) or each.name in apart else each for each in row.seen]
    return Row(row.name, row.title, row.day, row.quick, tuple(seen))


def page(rows: Sequence[Row]) -> str:
    """Return the page."""
    without = [name for name in NAMES if name not in {row.name for row in rows}]
    reasons = {**dict.fromkeys(without, "this tool can, and its row was not made yet"), **NOT_HERE}
    absent = "\n".join(f"- **{name}**: {why}." for name, why in reasons.items())
    return INTRODUCTION.format(rows="\n".join(line(row) for row in rows), absent=absent, sections="\n".join(section(row) for row in rows))


def line(row: Row) -> str:
    """Return a subject's line in the table."""
    by_name = {check.name: check for check in CHECKS}
    counts = []
    for basis in BASES:
        states = [seen.state for seen in row.seen if by_name[seen.name].basis == basis and seen.state != SKIPPED]
        counts.append(f"{states.count(PASSED)} of {len(states)}")
    skipped = sum(seen.state == SKIPPED for seen in row.seen)
    return f"| {row.title}{' (quick checks)' if row.quick else ''} | {' | '.join(counts)} | {skipped} | {row.day} |"


def section(row: Row) -> str:
    """Return what failed at one subject: what the protocol and its clients want, one by one, and then promises that are ours alone."""
    failed = [(check, seen.seen) for check in CHECKS for seen in row.seen if seen.name == check.name and seen.state == FAILED]
    text = f"## {row.title}\n\n"
    if not failed:
        return f"{text}Everything passes.\n"
    wanted = [(check, seen) for check, seen in failed if check.basis != PROMISE]
    if wanted:
        lines = [(f"`{check.name}`", check.basis, check.rule, cell(seen), cell(check.breaks)) for check, seen in wanted]
        rows = "\n".join(f"| {' | '.join(each)} |" for each in lines)
        text += f"| check | asked for by | rule | seen | what it breaks |\n|---|---|---|---|---|\n{rows}\n"
    silent = [f"`{seen.name}`" for seen in row.seen if seen.state == SKIPPED and seen.seen.startswith(SILENT)]
    text += (
        f"\nNot judged, as twice no answer came within 30 s on a machine that did other things: {', '.join(silent)}.\n" if silent else ""
    )
    notes = notes_of(row.name)
    text += "".join(f"\n`{check.name}`: {notes[check.name]}\n" for check, _ in failed if check.name in notes)
    own = [f"`{check.name}` ({cell(seen)})" for check, seen in failed if check.basis == PROMISE]
    if own:
        gap = "" if text.endswith("\n\n") else "\n"
        whose = "Of what it promises" if row.name in (OURSELVES, *PROXIES) else "Of our promises, which it does not make"
        text += f"{gap}{whose}: {', '.join(own)}.\n"
    return text


def notes_of(name: str) -> Mapping[str, str]:
    """Return words on single checks of a subject."""
    return next((gateway.notes for gateway in GATEWAYS if gateway.name == name), {})


def cell(text: str) -> str:
    """Return a text that fits into a cell."""
    one = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", " ".join(text.split())).replace("|", "\\|").replace("<", "&lt;")
    return one if len(one) <= 120 else f"{one[:119]}…"


if __name__ == "__main__":
    main()
