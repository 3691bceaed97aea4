"""What `aisa check` prints: a table of verdicts and, for each failure, what it breaks and what to change; also as JSON and JUnit."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path

import click
import msgspec

from aisa import __version__
from aisa.checks.check import BASES, FAILED, PASSED, SKIPPED, Check, Verdict
from aisa.checks.registry import CHECKS
from aisa.checks.remedies import product_of
from aisa.checks.subject import Subject
from aisa.cli.check_run import Asked, checked
from aisa.cli.figures import shows
from aisa.cli.fitting import fitted
from aisa.cli.problems import Misuse
from aisa.cli.terminal import WIDTH_MAX, paint, say, table

COLOURS = {PASSED: "green", FAILED: "red", SKIPPED: "yellow"}
SIGNS = {PASSED: ("✓", "ok"), FAILED: ("✗", "FAIL"), SKIPPED: ("–", "-")}
SEEN_CHARACTERS_MAX = 60  # of what was seen, in the table; failures tell all of it below
SEEN_CHARACTERS_MIN = 14  # of the same where the terminal is narrow: a figure
ROW_FRAME = 9  # characters of a line that are neither name nor rule nor what was seen: indent, sign, and what is between
QUOTED, UNBROKEN = re.compile(r"`[^`]*`"), "\N{NO-BREAK SPACE}"
FILE_SIZE = (140, 24)  # columns and lines where there is no terminal


def show(asked: Asked) -> None:
    """Run the checks that were asked for and print what came of them; exit with 1 if one failed. Raises Misuse."""
    unknown = {*asked.only, *asked.without} - {check.name for check in CHECKS}
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
        write(asked.junit, junit(asked, subject, verdicts).encode())
    if any(verdict.state == FAILED for verdict in verdicts):
        sys.exit(1)


def report(asked: Asked, subject: Subject, verdicts: list[Verdict]) -> str:
    """Return the table, what each failure means, and the sum."""
    product = product_of(subject.server)
    behind = f", behind {subject.server}" if product else f", which says `server: {subject.server}`" if subject.server else ""
    lines = [f"{paint(asked.url, bold=True)}, model {subject.model}{behind}", ""]
    names, rules = (max(len(getattr(verdict.check, member)) for verdict in verdicts) for member in ("name", "rule"))
    for door in dict.fromkeys(verdict.check.door for verdict in verdicts):
        rows = [row(verdict, width() - names - ROW_FRAME, rules) for verdict in verdicts if verdict.check.door == door]
        lines += [paint(door, dim=True), table((), rows, "  "), ""]
    failed = [verdict for verdict in verdicts if verdict.state == FAILED]
    for verdict in failed:
        lines += [failure(verdict), ""]
    ours = any(verdict.check.ours and verdict.state == PASSED for verdict in verdicts)
    return "\n".join([*lines, *changes(failed, product, ours=ours), total(verdicts, asked)])


def width() -> int:
    """Return how many characters a line may have: the terminal's, or what is comfortable in a file."""
    return shutil.get_terminal_size(FILE_SIZE).columns


def row(verdict: Verdict, room: int, rules: int) -> list[str]:
    """Return a verdict's line: sign, name, and in the room that is left the rule and what was seen."""
    sign = SIGNS[verdict.state][0 if shows("✓✗–") else 1]
    seen_max = min(SEEN_CHARACTERS_MAX, max(SEEN_CHARACTERS_MIN, room - rules))
    seen = cut(verdict.seen, seen_max)
    painted = paint(seen, dim=verdict.state != FAILED) if seen else ""
    return [paint(sign, COLOURS[verdict.state]), verdict.check.name, cut(verdict.check.rule, room - seen_max), painted]


def cut(text: str, characters: int) -> str:
    """Return a text that has so many characters at most."""
    end = "…" if shows("…") else "~"
    return text if len(text) <= characters else f"{text[: max(0, characters - 1)].rstrip()}{end}"


def failure(verdict: Verdict) -> str:
    """Return what a failure is, what it breaks, and who says that it is one."""
    check = verdict.check
    lines = [f"{paint('✗ ' if shows('✗') else 'FAIL ', 'red')}{paint(check.name, bold=True)}: {check.rule}"]
    for head, text in (("seen", verdict.seen), ("breaks", check.breaks), ("source", f"{BASES[check.basis]} ({check.source})")):
        lines += wrapped(text, f"    {paint(f'{head:<7}', 'cyan')} ")
    return "\n".join(lines)


def changes(failed: list[Verdict], product: str | None, *, ours: bool = False) -> list[str]:
    """Return which setting mends which failures: of the product that stands there if that is known, else of each that is known.

    Of a server of `ours` it is said only where nothing else could be meant.
    """
    settings: dict[str, dict[str, list[str]]] = {}
    for verdict in failed:
        known = remedies_of(verdict.check, product)
        for name, text in known.items():
            if not name and ours and len(known) > 1:
                continue
            settings.setdefault(name, {}).setdefault(text, []).append(verdict.check.name)
    lines = [paint("What to change", bold=True)] if settings else []
    if settings and product is None:
        lines += wrapped("No header tells which proxy stands there, if any: find yours.", "  ")
    for name, texts in sorted(settings.items(), key=lambda each: not each[0]):
        lines.append(f"  {paint(name or 'the server itself', 'cyan')}")
        for text, mended in texts.items():
            lines += [*wrapped(text, "    "), *wrapped(f"for {', '.join(mended)}", "        ")]
    return [*lines, ""] if lines else []


def remedies_of(check: Check, product: str | None) -> Mapping[str, str]:
    """Return what can be changed, by product, "" for the server itself."""
    if product in check.remedies:
        return {product or "": check.remedies[product or ""]}
    if product is None:
        return check.remedies
    return {"": check.remedies[""]} if "" in check.remedies else {}


def wrapped(text: str, head: str, columns: int | None = None) -> list[str]:
    """Return a text with a head before it, in lines that fit; what stands between backticks is to be copied, and is not broken."""
    indent = len(click.unstyle(head))
    whole = QUOTED.sub(lambda found: found[0].replace(" ", UNBROKEN), text)
    body = textwrap.wrap(whole, min(columns or width(), WIDTH_MAX) - indent, break_on_hyphens=False, break_long_words=False) or [""]
    first, *others = [line.replace(UNBROKEN, " ") for line in body]
    return [head + first, *(" " * indent + line for line in others)]


def total(verdicts: list[Verdict], asked: Asked) -> str:
    """Return the sum, and what was left out."""
    count = Counter(verdict.state for verdict in verdicts)
    words = [paint(f"{count[state]} {state}", COLOURS[state] if count[state] else None) for state in (PASSED, FAILED, SKIPPED)]
    left = " The slow checks were left out (--quick)." if asked.quick else ""
    left += f" Left out: {', '.join(asked.without)}." if asked.without else ""
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
        "basis": check.basis,
        "source": check.source,
        "breaks": check.breaks,
        **flags,
        "remedies": remedies,
    }


def junit(asked: Asked, subject: Subject, verdicts: list[Verdict]) -> str:
    """Return the verdicts as a JUnit test suite."""
    product = product_of(subject.server)
    count = Counter(verdict.state for verdict in verdicts)
    lines = [
        f'<testsuite name="aisa check {escape(asked.url)}" tests="{len(verdicts)}" failures="{count[FAILED]}" skipped="{count[SKIPPED]}">'
    ]
    for verdict in verdicts:
        head = f'  <testcase classname="{escape(verdict.check.door)}" name="{escape(verdict.check.name)}" time="{verdict.seconds:.3f}"'
        told = f'message="{escape(verdict.seen)}"'
        inside = f"<skipped {told}/>"
        if verdict.state == FAILED:
            words = click.unstyle("\n".join([failure(verdict), *changes([verdict], product)]))
            inside = f"<failure {told}>{escape(words)}</failure>"
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
    rows = [[each.name, marks[each.name], each.door, each.rule, each.breaks] for each in CHECKS]
    say(fitted(("CHECK", "", "DOOR", "RULE", "BREAKS"), rows, least=("DOOR",), prose=True))
    say(f"\n{len(CHECKS)} checks. s: slow, left out by --quick; v: needs --vendor-port; o: only of this project's server.")
