"""Grades ourselves, directly and behind proxies, and what others made, by `aisa check`; keeps each row and writes a page of all.

`python tools/conformance.py [NAME...] [--quick] [--kept] [--page FILE]`. A row stays in the keeping of `seen.py` until it is made again, so
that the page can be made row by row. Our own rows are those of `proxies.py`; who else is graded, and how, is in `gateways.py`.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the rig is that of the tests

from gateways import GATEWAYS, NOT_HERE, running, serving_a_model, version_of  # noqa: E402 - as above
from proxies import DIRECT, grade, named  # noqa: E402 - as above
from proxies import RIG as PROXIES_RIG  # noqa: E402 - as above
from seen import Checked, checked, keep, kept  # noqa: E402 - as above

from aisa.checks.check import BASES, FAILED, PROMISE, SKIPPED, Verdict  # noqa: E402 - as above
from aisa.checks.registry import CHECKS  # noqa: E402 - as above
from aisa.checks.running import run  # noqa: E402 - as above
from aisa.checks.subject import Subject  # noqa: E402 - as above
from aisa.testing.scenario import built_in  # noqa: E402 - as above
from aisa.testing.scripted_server import ScriptedServer  # noqa: E402 - as above
from proxy_rig import DEPLOYED_FILE, PRODUCTS, Product, Within  # noqa: E402 - as above

RIG = "conformance"
PAGE = HERE.parent / "docs" / "conformance.md"
OURSELVES = "aisa"
PROXIES = ("nginx", "HAProxy", "Caddy", "Envoy", "Traefik")
MODEL_SERVERS = ("transformers", "vllm")
NAMES = (OURSELVES, *PROXIES, *(gateway.name for gateway in GATEWAYS), *MODEL_SERVERS)
SILENT = "no answer: nothing came"  # as a check says it
INTRODUCTION = """\
# Who keeps the contract

`make conformance` runs every check of `aisa check` ([check.md](check.md)) on this server, directly and behind proxies with their files in
`deploy/proxies`, and on what others made. Each gateway stands in front of the same played vendor, configured as its documentation says for
a vendor of OpenAI's dialect, with what keeps it from asking a vendor that has failed switched off; a model server has a tiny model of its
own, so that of it only what needs no played vendor is checked. What failed at others' was made once more, and the second verdict counts.
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


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Only checks of less than 5 seconds.")
@click.option("--kept", "only_kept", is_flag=True, help="Grade nobody: write the page of the rows that are kept.")
@click.option("--page", "place", type=click.Path(dir_okay=False, path_type=Path), default=PAGE, help="The page to write.")
def main(names: tuple[str, ...], *, quick: bool, only_kept: bool, place: Path) -> None:
    """Grade those that are named, else everybody, and write the page of all rows that are kept."""
    if unknown := set(names) - set(NAMES):
        raise click.UsageError(f"{', '.join(sorted(unknown))}: nobody is called so. There are {', '.join(NAMES)}.")
    if not only_kept:
        wanted = names or NAMES
        grade(deployed(wanted), Within(), direct=OURSELVES in wanted, quick=quick)
        with TemporaryDirectory() as folder:
            asyncio.run(grade_others(Path(folder), [name for name in wanted if name not in (OURSELVES, *PROXIES)], quick=quick))
    place.write_text(page({**own_rows(), **kept(RIG, Checked)}), encoding="utf-8")


def deployed(names: Sequence[str]) -> Iterator[tuple[Product, str, str]]:
    """Yield those of our proxies that are named and here, each with its file."""
    for product in [PRODUCTS[name] for name in PROXIES if name in names]:
        if product.program() is None:
            print(f"{product.name} is not here", file=sys.stderr)
        else:
            yield product, DEPLOYED_FILE, product.configurations()[DEPLOYED_FILE]


def own_rows() -> dict[str, Checked]:
    """Return our own rows, which `proxies.py` makes and keeps, under the names of this page."""
    rows = kept(PROXIES_RIG, Checked)
    ours = {OURSELVES: rows[DIRECT]} if DIRECT in rows else {}
    for name in PROXIES:
        row = rows.get(named(PRODUCTS[name], DEPLOYED_FILE))
        if row is not None:
            ours[name] = msgspec.structs.replace(row, title=f"{OURSELVES} behind {row.title}")
    return ours


async def grade_others(place: Path, names: Sequence[str], *, quick: bool) -> None:
    """Grade each and keep its row; who is not here, or does not answer, is told."""
    vendor = ScriptedServer(built_in(), "hello")
    await vendor.listen("127.0.0.1", 0)
    for name in names:
        vendor.played.clear()  # marks of requests begin anew with each subject
        try:
            async with subject_of(name, place, vendor) as (subject, title):
                row = await graded(name, title, subject, quick=quick)
                keep(RIG, name, row)
                print(f"{title}: {len(row.passed)} passed, failed: {', '.join(row.failed) or 'none'}", file=sys.stderr, flush=True)
        except (RuntimeError, SystemExit) as failure:
            print(failure, file=sys.stderr, flush=True)
    await vendor.close()


@asynccontextmanager
async def subject_of(name: str, place: Path, vendor: ScriptedServer) -> AsyncIterator[tuple[Subject, str]]:
    """Yield what checks are run on, and what it is with its version. Raises RuntimeError where it is not here."""
    if name in MODEL_SERVERS:
        async with serving_a_model(name, place) as (subject, version):
            yield subject, f"{name} {version}"
    else:
        [gateway] = [each for each in GATEWAYS if each.name == name]
        if not gateway.program.exists():
            raise RuntimeError(f"{name} is not installed")
        async with running(gateway, place, vendor) as subject:
            yield subject, f"{name} {version_of(gateway)}"


async def graded(name: str, title: str, subject: Subject, *, quick: bool) -> Checked:
    """Run the checks. On a busy machine a moment passes for a fault: what failed is made once more, and the second verdict stands."""
    apart = next((gateway.apart for gateway in GATEWAYS if gateway.name == name), {})
    wanted = [check for check in CHECKS if check.quick or not quick]
    verdicts = {each.check.name: each for each in await run(subject, [check for check in wanted if check.name not in apart])}
    verdicts |= {each.check.name: each for each in await run(subject, [each.check for each in verdicts.values() if each.state == FAILED])}
    verdicts |= {check.name: Verdict(check, SKIPPED, apart[check.name], 0.0) for check in wanted if check.name in apart}
    return checked(title, [(check, *fair(each)) for check, each in verdicts.items()], quick=quick)


def fair(verdict: Verdict) -> tuple[str, str]:
    """Return state and what was seen, without folders of this machine.

    A silence of 30 seconds is no verdict on another: on a machine that does other things it may be the machine's.
    """
    seen = verdict.seen.replace(f"{HERE.parent}/", "")
    return (SKIPPED if seen.startswith(SILENT) else verdict.state), seen


def page(rows: Mapping[str, Checked]) -> str:
    """Return the page."""
    graded_ones = {name: rows[name] for name in NAMES if name in rows}
    reasons = {**{name: "this tool can, and its row was not made yet" for name in NAMES if name not in rows}, **NOT_HERE}
    absent = "\n".join(f"- **{name}**: {why}." for name, why in reasons.items())
    lines = "\n".join(line(row) for row in graded_ones.values())
    return INTRODUCTION.format(rows=lines, absent=absent, sections="\n".join(section(*each) for each in graded_ones.items()))


def line(row: Checked) -> str:
    """Return a subject's line in the table."""
    counts = []
    for basis in BASES:
        passed, failed = (sum(check.basis == basis for check in CHECKS if check.name in state) for state in (row.passed, row.failed))
        counts.append(f"{passed} of {passed + failed}")
    return f"| {row.title}{' (quick checks)' if row.quick else ''} | {' | '.join(counts)} | {len(row.skipped)} | {row.day} |"


def section(name: str, row: Checked) -> str:
    """Return what failed at one subject: what the protocol and its clients want, one by one, and then promises that are ours alone."""
    failed = [(check, row.failed[check.name]) for check in CHECKS if check.name in row.failed]
    parts = [about] if (about := about_of(name)) else []
    wanted = [(check, seen) for check, seen in failed if check.basis != PROMISE]
    if wanted:
        lines = [(f"`{check.name}`", check.basis, check.rule, cell(seen), cell(check.breaks)) for check, seen in wanted]
        rows = "\n".join(f"| {' | '.join(each)} |" for each in lines)
        parts.append(f"| check | asked for by | rule | seen | what it breaks |\n|---|---|---|---|---|\n{rows}")
    silent = [f"`{check}`" for check, seen in row.skipped.items() if seen.startswith(SILENT)]
    if silent:
        parts.append(f"Not judged, as twice no answer came within 30 s on a machine that did other things: {', '.join(silent)}.")
    later = [f"`{check.name}`" for check in CHECKS if not {check.name} & {*row.passed, *row.failed, *row.skipped}]
    if later and not row.quick:
        parts.append(f"Not made, as they are newer than this row: {', '.join(later)}.")
    parts += [f"`{check.name}`: {note}" for check, _ in failed if (note := notes_of(name).get(check.name))]
    own = [f"`{check.name}` ({cell(seen)})" for check, seen in failed if check.basis == PROMISE]
    if own:
        whose = "Of what it promises" if name in (OURSELVES, *PROXIES) else "Of our promises, which it does not make"
        parts.append(f"{whose}: {', '.join(own)}.")
    return "\n\n".join([f"## {row.title}", *(parts or ["Everything passes."])]) + "\n"


def about_of(name: str) -> str:
    """Return words on a subject's row."""
    return next((gateway.about for gateway in GATEWAYS if gateway.name == name), "")


def notes_of(name: str) -> Mapping[str, str]:
    """Return words on single checks of a subject."""
    return next((gateway.notes for gateway in GATEWAYS if gateway.name == name), {})


def cell(text: str) -> str:
    """Return a text that fits into a cell."""
    one = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", " ".join(text.split())).replace("|", "\\|").replace("<", "&lt;")
    return one if len(one) <= 120 else f"{one[:119]}…"


if __name__ == "__main__":
    main()
