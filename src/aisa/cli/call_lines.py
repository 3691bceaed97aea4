"""What `aisa calls` prints: a line a call, with the reason where it was refused. Selects and ends nothing: whoever has the calls does."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

import msgspec

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.figures import count, dollars, short, shows
from aisa.cli.fitting import GAP, fitted_lines, room, widths_of
from aisa.cli.moments import beginning
from aisa.cli.price_tables import say_json
from aisa.cli.terminal import heard, paint, say
from aisa.edge.admin_calls import CallEnded, CallsShown
from aisa.edge.bill_view import iso
from aisa.ids import short_id
from aisa.keys.rules import DAY_SECONDS
from aisa.ledger.damaged import DAMAGED
from aisa.ledger.port_calls import FAILURES, LINES_MAX, CallLine, ending_of
from aisa.ledger.refusal import IN_LOG_ALONE
from aisa.ledger.rules import COMPLETED, CRASHED, REFUSED
from aisa.money import dollars_text

ANSWER_SECONDS_MAX = 60.0  # some ten million calls are looked through in that time where few fit
FOLLOW_SECONDS = 1.0  # between two looks
OVERLAP_MS = 10_000  # that a look goes back over: an ended call is seen a moment after its end
SEEN_MAX = 2 * LINES_MAX  # ids that are remembered, so that the overlap is not shown twice
KEY_CHARACTERS_MAX, MODEL_CHARACTERS_MAX = 20, 28  # on a terminal
INDENT = " " * 10  # of that message: behind the time
WIDTH_MIN = 30  # of the message below a refused call's line; a narrower terminal breaks it
HEADS = ("TIME UTC", "KEY", "MODEL", "HOW IT ENDED", "IN", "OUT", "US DOLLARS", "TOOK", "ID")
#: Columns that a narrow terminal does without, the first first.
LEAST = ("TOOK", "IN", "OUT", "KEY", "US DOLLARS", "MODEL")
CUT_LAST = ("TIME UTC", "ID")  # they are short already, and cut they tell nothing
NUMBERS = frozenset({"IN", "OUT", "US DOLLARS", "TOOK"})  # columns to the right; refused calls have none of them


class Asked(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    key: str | None
    account: str | None
    model: str | None
    failed: bool
    refused: bool
    since: str
    limit: int
    follow: bool
    as_json: bool

    def query(self, since_ms: int, **more: int) -> str:
        """Return the query of a look."""
        named = {"key": self.key, "account": self.account, "model": self.model, "since_ms": since_ms, "limit": self.limit, **more}
        flags = {name: 1 for name, wanted in (("failed", self.failed), ("refused", self.refused)) if wanted}
        return urlencode({name: value for name, value in named.items() if value is not None} | flags)


def show(asked: Asked, config: str | None, data_dir: str | None, *, now: Callable[[], float]) -> None:
    """Print the calls, and go on with what ends from then on if that is wanted. `now` is in UNIX seconds. Raises Misuse, Stop."""
    folder = settings(config, data_dir).server.data_dir
    began = now()
    lines = look(folder, asked.query(beginning(asked.since, began)))
    if asked.follow:
        follow(folder, asked, lines, now=now)
    elif asked.as_json:
        say_json([document(line) for line in lines])
    elif lines:
        say(calls_table(lines, now=began))
        shown = "" if len(lines) < asked.limit else f" These are the newest {asked.limit}; more: --limit N, --since WHEN."
        say(paint(f"\nOne in full: aisa explain ID.{shown}", dim=True))
    else:
        say(f"No such call since {iso(beginning(asked.since, began) // 1000)}. A longer time: --since 30d")
    if asked.refused and not asked.as_json:
        say(paint(textwrap.fill(IN_LOG_ALONE, room() or len(IN_LOG_ALONE)), dim=True))


def end(name: str, config: str | None, data_dir: str | None) -> None:
    """End a call that runs, which is named by its id or the beginning of it. Raises Misuse, Stop."""
    path = f"/calls/{quote(name, safe='')}/end"
    ended = ask(settings(config, data_dir).server.data_dir, "POST", path, expect=CallEnded)
    say(f"{ended.id} was ended. What had arrived of it is billed: aisa explain {ended.id}")


def look(folder: str, query: str) -> list[CallLine]:
    """Return the calls that a query asks for, those that ended first at first."""
    return sorted(ask(folder, "GET", f"/calls?{query}", expect=CallsShown, seconds=ANSWER_SECONDS_MAX).data, key=ending_of)


def follow(folder: str, asked: Asked, lines: list[CallLine], *, now: Callable[[], float]) -> None:
    """Print calls, and what ends from then on, until Ctrl-C or until nobody reads any more."""
    seen: dict[str, None] = {}
    read, heads, pause = list[bool](), not asked.as_json, threading.Event()
    try:
        while True:
            fresh = [line for line in lines if line.id not in seen]
            seen.update(dict.fromkeys(line.id for line in fresh))
            for id_ in list(seen)[: max(0, len(seen) - SEEN_MAX)]:
                del seen[id_]
            if asked.as_json:
                read = [heard(msgspec.json.encode(document(line)).decode(), literal=True) for line in fresh]
            elif fresh or heads:
                text = calls_table(fresh, now=now(), fixed=True)
                read = [heard(text if heads else text.partition("\n")[2])]
                heads = False
            if not all(read):
                return
            since_ms = int(now() * 1000) - OVERLAP_MS
            pause.wait(FOLLOW_SECONDS)
            lines = look(folder, asked.query(since_ms, by_end=1, limit=LINES_MAX))
    except KeyboardInterrupt:
        return


def calls_table(lines: list[CallLine], *, now: float, fixed: bool = False) -> str:
    """Return a table, with what the caller was told under each refused call. `fixed` columns are as wide in every table.

    Columns in which no call has anything are left out; so is the day, if all of them are of `now`'s.
    """
    day = fixed or not all(same_day(line.ended_ms / 1000, now) for line in lines)
    made = [cells(line, day=day) for line in lines]
    made += [WIDEST] if fixed else []
    if (columns := room()) is not None and sum(widths_of(HEADS, made)) + GAP * (len(HEADS) - 1) > columns:
        made = [narrowed(row, day=day) for row in made]
    kept = [column for column in range(len(HEADS)) if not made or any(row[column] for row in made)]
    heads = [HEADS[column] for column in kept]
    right = [at for at, head in enumerate(heads) if head in NUMBERS]
    (head, *rows), note = fitted_lines(
        heads, [[row[column] for column in kept] for row in made], right=right, least=LEAST, cut_last=CUT_LAST
    )
    width = None if columns is None else max(columns, WIDTH_MIN)
    shown = [head]
    for line, row in zip(lines, rows, strict=False):
        shown.append(row)
        if line.reason is not None:
            shown += [paint(each, dim=True) for each in told(line.reason, width)]
    shown += [note] if note and not fixed else []
    return "\n".join(shown)


def narrowed(row: list[str], *, day: bool) -> list[str]:
    """Return a row for a narrow terminal: a time that has its day without year and seconds, and the id without its middle.

    The id is still one that `aisa explain` takes, and tells its neighbours apart.
    """
    return [row[0][len("2026-") : -len(":00")] if day else row[0], *row[1:-1], short_id(row[-1])]


def told(message: str, width: int | None) -> list[str]:
    """Return what a caller was told in lines below its call, no longer than so many characters."""
    mark = f"{INDENT}{'└ ' if shows('└') else '- '}"
    lines = [message] if width is None else textwrap.wrap(message, width - len(mark), break_on_hyphens=False) or [""]
    return [(" " * len(mark) if place else mark) + line for place, line in enumerate(lines)]


#: A row that is as wide as rows usually are.
WIDEST = [
    "2026-12-31 23:59:59",
    "k" * KEY_CHARACTERS_MAX,
    "m" * MODEL_CHARACTERS_MAX,
    "402 insufficient_wallet_balance",
    "9" * 7,
    "9" * 7,
    "9" * 11,
    "9" * 8,
    "i",
]


def same_day(moment: float, other: float) -> bool:
    """Say whether two UNIX moments are in one day of UTC."""
    return int(moment) // DAY_SECONDS == int(other) // DAY_SECONDS


def cells(line: CallLine, *, day: bool) -> list[str]:
    """Return a call's cells, in the order of HEADS."""
    at = datetime.fromtimestamp(line.ended_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S")
    whose, model = line.key_label or line.key_id, line.model or "-"
    if room() is not None:
        whose, model = short(whose, KEY_CHARACTERS_MAX), short(model, MODEL_CHARACTERS_MAX)
    if line.outcome == REFUSED:
        times = f" x {line.number:,}" if line.number > 1 else ""
        return [at, whose, model, paint(f"{line.status} {line.code}{times}", "yellow"), "", "", "", "", line.id]
    if line.outcome == DAMAGED:
        return [at, whose, model, paint(DAMAGED, "red"), "", "", "", "", line.id]
    code = f" {line.code}" if line.code else ""
    colour = "green" if line.outcome == COMPLETED else "red" if line.outcome in FAILURES else None
    took = "-" if line.outcome == CRASHED else f"{line.total_ms / 1000:,.2f} s"  # the start that has settled it came any time later
    tokens = (count(line.input_tokens), count(line.output_tokens))
    return [at, whose, model, paint(line.outcome + code, colour), *tokens, dollars(line.cost), took, line.id]


def document(line: CallLine) -> dict[str, object]:
    """Return a call as JSON, with the units in the names. Amounts are exact."""
    return {
        "id": line.id,
        "ended": iso(line.ended_ms // 1000),
        "ended_unix_ms": line.ended_ms,
        "key_id": line.key_id,
        "key_label": line.key_label,
        "account": line.account,
        "model": line.model,
        "outcome": line.outcome,
        "error_status": line.status,
        "error_code": line.code,
        "error_message": line.message,
        "error_detail": line.detail,
        "calls": line.number,
        "billed_input_tokens": line.input_tokens,
        "billed_output_tokens": line.output_tokens,
        "cost_nanos_usd": line.cost,
        "cost_usd": msgspec.Raw(dollars_text(line.cost).encode()),
        "total_ms": line.total_ms,
        "target": line.target,
    }
