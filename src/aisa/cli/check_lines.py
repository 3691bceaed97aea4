"""What `aisa check` prints: a table of verdicts and, for each failure, what it breaks and what to change; also as JSON and JUnit."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from collections import Counter
from html import escape
from pathlib import Path

import click
import msgspec

from aisa import __version__
from aisa.checks.check import FAILED, PASSED, SKIPPED, Check, Verdict
from aisa.checks.members import objects
from aisa.checks.registry import CHECKS
from aisa.checks.remedies import product_of
from aisa.checks.running import look, run
from aisa.checks.subject import Broken, Subject, address_of, short, value_of
from aisa.cli.figures import shows
from aisa.cli.problems import Misuse
from aisa.cli.terminal import WIDTH_MAX, paint, say, table
from aisa.testing.scenario import built_in
from aisa.testing.scripted_server import ScriptedServer

COLOURS = {PASSED: "green", FAILED: "red", SKIPPED: "yellow"}
SIGNS = {PASSED: ("✓", "ok"), FAILED: ("✗", "FAIL"), SKIPPED: ("–", "-")}
SEEN_CHARACTERS_MAX = 60  # of what was seen, in the table; failures tell all of it below
REFUSED = (401, 403)  # what a good key gets where a proxy loses its header, which a check tells better
KEY_CHARACTERS_MAX = 4_096  # of a key that is read from standard input


class Asked(msgspec.Struct):
    """What the command line asks for."""

    url: str
    key_env: str
    model: str | None
    quick: bool
    vendor_port: int | None
    vendor_host: str
    headers: tuple[str, ...]
    only: tuple[str, ...]
    json_file: str | None
    junit: str | None
    insecure: bool


def show(asked: Asked) -> None:
    """Run the checks that were asked for and print what came of them; exit with 1 if one failed. Raises Misuse."""
    unknown = set(asked.only) - {check.name for check in CHECKS}
    if unknown:
        raise Misuse(
            "there is no such check", [(name, "No check has this name.", "`aisa check --list` has them all.") for name in sorted(unknown)]
        )
    subject, verdicts = asyncio.run(checked(asked))
    if asked.json_file == "-":
        say(msgspec.json.format(document(asked, subject, verdicts), indent=2).decode(), literal=True)
    else:
        say(report(asked, subject, verdicts), literal=True)
    if asked.json_file not in (None, "-"):
        write(asked.json_file or "", document(asked, subject, verdicts))
    if asked.junit is not None:
        write(asked.junit, junit(asked, verdicts).encode())
    if any(verdict.state == FAILED for verdict in verdicts):
        sys.exit(1)


async def checked(asked: Asked) -> tuple[Subject, list[Verdict]]:
    """Run the checks. Raises Misuse where nothing answers, or where the vendor that we play is not asked."""
    try:
        address, prefix = address_of(asked.url, verify=not asked.insecure)
    except ValueError as error:
        raise Misuse("the address cannot be used", [(asked.url, f"This is no address: {error}.", "Write http://127.0.0.1:8000")]) from error
    vendor = None if asked.vendor_port is None else ScriptedServer(built_in(), "hello")
    subject = Subject(address, prefix, key=key_of(asked), model=asked.model or "", vendor=vendor)
    subject.headers = dict(header_of(line) for line in asked.headers)
    try:
        if vendor is not None:
            await vendor.listen(asked.vendor_host, asked.vendor_port or 0)
        return subject, await judged(subject, asked)
    except OSError as error:
        where = f"{asked.vendor_host}:{asked.vendor_port}"
        raise Misuse(
            "the vendor cannot be played", [(where, f"It cannot be listened on: {error}.", "Choose another --vendor-port.")]
        ) from error
    except Broken as broken:
        raise Misuse("the endpoint does not answer", [(asked.url, f"{broken}.", "Is the address right, and does it run?")]) from broken
    finally:
        if vendor is not None:
            await vendor.close()


async def judged(subject: Subject, asked: Asked) -> list[Verdict]:
    """Run the checks that were asked for. Raises Broken where nothing answers, Misuse where it would be of no use."""
    if await look(subject) == 401 and subject.key is None:
        raise Misuse("a key is wanted", [(asked.key_env, "The endpoint answers 401, and there is no key.", f"export {asked.key_env}=...")])
    subject.model = subject.model or await first_model(subject)
    await meet(subject, asked)
    wanted = [check for check in CHECKS if (not asked.only or check.name in asked.only) and (check.quick or not asked.quick)]
    progress = Progress(len(wanted))
    try:
        return await run(subject, wanted, progress.tell)
    finally:
        progress.end()


async def first_model(subject: Subject) -> str:
    """Return the first model that is listed. Raises Misuse."""
    response = await subject.ask(subject.request(method="GET", path="/v1/models"))
    for row in objects(value_of(response).get("data")) if response.status == 200 else ():
        return str(row.get("id"))
    what = f"GET /v1/models says {response.status} and names none."
    raise Misuse("no model is known to ask", [("--model", what, "Name one with --model, and set the key.")])


async def meet(subject: Subject, asked: Asked) -> None:
    """Make sure that the model is there, and leads to the vendor that we play. Raises Misuse."""
    mark = subject.mark()
    response = await subject.ask(subject.request(subject.chat("hello", mark, stream=False)))
    if subject.vendor is not None and not subject.vendor.marked(mark) and response.status not in REFUSED:
        where = f"http://{asked.vendor_host}:{subject.vendor.port}/v1"
        what = f"The model {subject.model} was asked (status {response.status}), and nobody came to {where}."
        raise Misuse("the played vendor is not asked", [("--model", what, f"Configure a model whose base URL is {where}, with any key.")])
    if response.status == 404:
        what = f"The model {subject.model} is not there: {short(response.body)}"
        raise Misuse("the model is not there", [("--model", what, "Name one that GET /v1/models lists.")])


def header_of(line: str) -> tuple[str, str]:
    """Return name and value of a header. Raises Misuse."""
    name, found, value = line.partition(":")
    if not found or not name.strip() or not line.isprintable():
        raise Misuse("the header cannot be read", [("--header", f"{line[:40]!r} is none.", "Write --header 'x-tenant: acme'.")])
    return name.strip().lower(), value.strip()


def key_of(asked: Asked) -> str | None:
    """Return the key, None for none. Raises Misuse."""
    if asked.key_env == "-":
        return sys.stdin.readline(KEY_CHARACTERS_MAX).strip() or None
    key = os.environ.get(asked.key_env)
    if key is None and asked.key_env != "AISA_API_KEY":
        problem = (asked.key_env, "There is no such variable in the environment.", f"export {asked.key_env}=...")
        raise Misuse("there is no key", [problem])
    return key


class Progress:
    """Counts on a terminal what is done, on standard error; says nothing elsewhere."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._shown = total, 0, sys.stderr.isatty()

    def tell(self, verdict: Verdict) -> None:
        """Take note of a verdict."""
        self._done += 1
        if self._shown:
            click.echo(f"\r\x1b[K  {self._done} of {self._total}  {verdict.check.name}", err=True, nl=False)

    def end(self) -> None:
        """Leave no line behind."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)


def report(asked: Asked, subject: Subject, verdicts: list[Verdict]) -> str:
    """Return the table, what each failure means, and the sum."""
    product = product_of(subject.server)
    behind = f", behind {subject.server}" if product else f", which says `server: {subject.server}`" if subject.server else ""
    lines = [f"{paint(asked.url, bold=True)}, model {subject.model}{behind}", ""]
    for door in dict.fromkeys(verdict.check.door for verdict in verdicts):
        rows = [row(verdict) for verdict in verdicts if verdict.check.door == door]
        lines += [paint(door, dim=True), table((), rows, "  "), ""]
    failed = [verdict for verdict in verdicts if verdict.state == FAILED]
    for verdict in failed:
        lines += [failure(verdict, product), ""]
    return "\n".join([*lines, total(verdicts, asked)])


def row(verdict: Verdict) -> list[str]:
    """Return a verdict's line: sign, name, rule, what was seen."""
    sign = SIGNS[verdict.state][0 if shows("✓✗–") else 1]
    seen = verdict.seen if len(verdict.seen) <= SEEN_CHARACTERS_MAX else verdict.seen[: SEEN_CHARACTERS_MAX - 1] + "…"
    return [paint(sign, COLOURS[verdict.state]), verdict.check.name, verdict.check.rule, paint(seen, dim=verdict.state != FAILED)]


def failure(verdict: Verdict, product: str | None) -> str:
    """Return what a failure is, what it breaks and what to change: of the product that stands there if it is known, else of all."""
    check = verdict.check
    lines = [f"{paint('✗ ' if shows('✗') else 'FAIL ', 'red')}{paint(check.name, bold=True)}: {check.rule}"]
    lines += wrapped("seen", verdict.seen) + wrapped("breaks", check.breaks)
    known = {name: text for name, text in check.remedies.items() if name}
    shown = {product: known[product]} if product in known else known
    for name, text in shown.items():
        lines += wrapped(f"{name}", text)
    lines += wrapped("the server", check.remedies[""]) if "" in check.remedies and product not in known else []
    return "\n".join([*lines, *wrapped("source", check.source)])


def wrapped(head: str, text: str) -> list[str]:
    """Return a text with a head before it, in lines that fit."""
    first = f"    {paint(f'{head:<10}', 'cyan')} "
    body = textwrap.wrap(text, WIDTH_MAX - 15, break_on_hyphens=False, break_long_words=False) or [""]
    return [first + body[0], *(" " * 15 + line for line in body[1:])]


def total(verdicts: list[Verdict], asked: Asked) -> str:
    """Return the sum, and what was left out."""
    count = Counter(verdict.state for verdict in verdicts)
    words = [paint(f"{count[state]} {state}", COLOURS[state] if count[state] else None) for state in (PASSED, FAILED, SKIPPED)]
    left = " The slow checks were left out (--quick)." if asked.quick else ""
    left += " With --vendor-port many more can be made." if asked.vendor_port is None and count[SKIPPED] else ""
    return f"{', '.join(words)}.{left}"


def document(asked: Asked, subject: Subject, verdicts: list[Verdict]) -> bytes:
    """Return everything as JSON."""
    rows = [
        {**described(verdict.check), "state": verdict.state, "seen": verdict.seen, "seconds": round(verdict.seconds, 3)}
        for verdict in verdicts
    ]
    count = Counter(verdict.state for verdict in verdicts)
    head = {"url": asked.url, "model": subject.model, "server": subject.server, "aisa": __version__}
    return msgspec.json.encode({**head, **{state: count[state] for state in (PASSED, FAILED, SKIPPED)}, "checks": rows})


def described(check: Check) -> dict[str, object]:
    """Return what is known of a check before it is run."""
    remedies = {name or "server": text for name, text in check.remedies.items()}
    flags = {"quick": check.quick, "needs_vendor": check.needs_vendor, "ours": check.ours}
    return {
        "name": check.name,
        "door": check.door,
        "rule": check.rule,
        "source": check.source,
        "breaks": check.breaks,
        **flags,
        "remedies": remedies,
    }


def junit(asked: Asked, verdicts: list[Verdict]) -> str:
    """Return the verdicts as a JUnit test suite."""
    count = Counter(verdict.state for verdict in verdicts)
    lines = [
        f'<testsuite name="aisa check {escape(asked.url)}" tests="{len(verdicts)}" failures="{count[FAILED]}" skipped="{count[SKIPPED]}">'
    ]
    for verdict in verdicts:
        head = f'  <testcase classname="{escape(verdict.check.door)}" name="{escape(verdict.check.name)}" time="{verdict.seconds:.3f}"'
        told = f'message="{escape(verdict.seen)}"'
        inside = (
            f"<failure {told}>{escape(click.unstyle(failure(verdict, None)))}</failure>"
            if verdict.state == FAILED
            else f"<skipped {told}/>"
        )
        lines.append(f"{head}/>" if verdict.state == PASSED else f"{head}>{inside}</testcase>")
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *lines, "</testsuite>", ""])


def write(path: str, data: bytes) -> None:
    """Write a file. Raises Misuse."""
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise Misuse("the file cannot be written", [(path, f"{error.strerror}.", "Name another one.")]) from error


def list_checks() -> None:
    """Print every check, what it asks and what a failure breaks."""
    marks = {
        check.name: "".join(("" if check.quick else "s", "v" if check.needs_vendor else "", "o" if check.ours else "")) for check in CHECKS
    }
    say(
        table(
            ("CHECK", "", "DOOR", "RULE", "BREAKS"), [[each.name, marks[each.name], each.door, each.rule, each.breaks] for each in CHECKS]
        )
    )
    say(f"\n{len(CHECKS)} checks. s: slow, left out by --quick; v: needs --vendor-port; o: only of this project's server.")
