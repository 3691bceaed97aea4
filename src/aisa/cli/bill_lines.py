"""What `aisa explain` prints: the bill of one call, computed anew from what its row keeps, and why it is what it is. Changes nothing."""

from __future__ import annotations

import shutil
import textwrap
from urllib.parse import quote

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.figures import aligned, shows
from aisa.cli.fitting import TEXT_CHARACTERS_MIN, facts, fitted
from aisa.cli.price_tables import say_json
from aisa.cli.terminal import WIDTH_MAX, paint, say
from aisa.edge.bill_view import (
    AWAITED,
    bill_shown,
    cost_of_lines,
    counts_shown,
    delivered_head,
    document,
    ending,
    facts_of,
    lines_of,
    price_origin,
    refusal_facts,
    refusal_heading,
    verdict,
    which_way,
)
from aisa.edge.statement import CallFound
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import CallRow, Opening


def explain(call_id: str, config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Print a call's bill. Raises Stop when it is unknown, SystemExit 1 when the ledger has another cost than its row gives."""
    found = ask(settings(config, data_dir).server.data_dir, "GET", f"/calls/{quote(call_id, safe='')}", expect=CallFound)
    row = found.row
    if as_json:
        say_json(document(found))
    elif found.refused is not None:
        say(refusal(found.refused, found.key_label, row))
    elif row is None:
        say(running(found.opening, found.tokens))
    else:
        say(
            "\n\n".join([title(row, found.key_label), how_it_ended(row, final=found.final), counts_table(row), bill(row), facts_table(row)])
        )
    if row is not None and row.cost != cost_of_lines(lines_of(row)):
        raise SystemExit(1)


def title(row: CallRow | RefusedCalls, label: str) -> str:
    """Say which call it is, and whose."""
    key = f"{label} ({row.key_id})" if label else row.key_id
    whose = wrapped(f"made with the key {key} of the account {row.account}")
    return f"Call {paint(row.id, bold=True)}\n{whose.replace(label, paint(label, bold=True), 1) if label else whose}"


def how_it_ended(row: CallRow, *, final: bool) -> str:
    """Say how a call ended, with which error, and whether its bill can still change."""
    told = wrapped(ending(row))
    return told if final else f"{told}\n{paint(wrapped(AWAITED), 'yellow')}"


def counts_table(row: CallRow) -> str:
    """Return a table of what was made, what arrived and what is charged, in tokens."""
    rows = [
        [line.name, line.generated or "-", line.delivered, line.billed, paint(line.source, dim=True) if line.source else ""]
        for line in counts_shown(row)
    ]
    counts = fitted(("TOKENS", "GENERATED", delivered_head(row).upper(), "BILLED", "SOURCE"), rows, right=(1, 2, 3), prose=True)
    way = which_way(row)
    return f"{counts}\n{paint(wrapped(way), dim=True)}" if way else counts


def bill(row: CallRow) -> str:
    """Return the bill as a table and sentences: each kind of token times its price, the sum, the rounding."""
    shown = bill_shown(row)
    if shown is None:
        return wrapped("The model has no price, so the call is free of charge.")
    times = "×" if shows("×") else "x"
    rows = [[line.kind, line.quantity, times, line.price, "=", line.amount] for line in shown.lines]
    rows.append(["sum", "", "", "", "=", shown.total])
    rows.append([paint("cost", bold=True), "", "", "", "=", paint(shown.cost, bold=True)])
    heads = ("BILL", "TOKENS", "", "USD PER MILLION", "", "USD")
    rule = "The cost is the sum, rounded once, half up, to a billionth of a dollar."
    judged = wrapped(verdict(row, agrees=shown.agrees))
    judged = judged if shown.agrees else paint(judged, "red", bold=True)
    return "\n".join((aligned(heads, rows, right=(1, 3, 5)), "", wrapped(rule), judged, wrapped(f"Prices: {price_origin(row)}.")))


def facts_table(row: CallRow) -> str:
    """Return what else is known of a call."""
    return facts([[paint(name, dim=True), value] for name, value in facts_of(row)])


def running(opening: Opening | None, tokens: int) -> str:
    """Say what is known of a call that has not ended."""
    assert opening is not None, "a call that has not ended has its opening"
    title = f"Call {paint(opening.id, bold=True)} to {opening.model} is still running."
    so_far = f"It has some {opening.input_tokens:,} input tokens, by its size, and {tokens:,} output tokens were sent."
    what_next = f"Its bill is made when it ends. Watch it: aisa board. End it: aisa calls end {opening.id}"
    return f"{title}\n{wrapped(so_far)}\n{wrapped(what_next)}"


def refusal(record: RefusedCalls, label: str, row: CallRow | None) -> str:
    """Say why a call was refused, and where it was asked if it was opened."""
    heading, *more = refusal_heading(record, row)
    known = facts([[paint(name, dim=True), value] for name, value in refusal_facts(record)]) if row is None else facts_table(row)
    told = f"What the caller was told:\n{textwrap.indent(wrapped(record.message), '  ')}"
    return "\n\n".join((title(record, label), "\n".join((paint(wrapped(heading), "yellow"), *map(wrapped, more))), told, known))


def wrapped(sentence: str) -> str:
    """Return a sentence in lines that fit the terminal."""
    columns = max(min(shutil.get_terminal_size().columns, WIDTH_MAX), TEXT_CHARACTERS_MIN)
    return textwrap.fill(sentence, columns, break_on_hyphens=False, break_long_words=False)
