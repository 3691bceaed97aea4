"""What `aisa board` shows: a server's live calls as a table, once or again and again in place. Asks the server, computes nothing."""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import tty
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

import click

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.figures import aligned, count, dollars, short, size
from aisa.cli.fitting import kept_columns, room
from aisa.cli.price_tables import say_json
from aisa.cli.terminal import is_dumb, paint, say, table
from aisa.edge.board_view import BoardShown, LiveCall

ID_COLUMNS_MIN = 120  # of a terminal that has room for the calls' ids
NAME_CHARACTERS_MIN, NAME_CHARACTERS_MAX = 8, 24  # of a key's label and of a model
GAP = 2  # between columns
FRAME_LINES = 5  # around the calls: title, blank, heads, what is left out, and the line of the cursor
HEADS = ("STATE", "AGE", "IN", "OUT", "BACKLOG", "US DOLLARS")
LEAST = ("BACKLOG", "IN", "AGE", "STATE", "OUT")  # columns that a narrow terminal does without, the first first
COLOURS = {"answering": "green", "asked": "yellow"}
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # the terminal's second screen without a cursor, and back
HOME, CLEAR_LINE, CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"
QUIT = b"qQ\x03"


def show(config: str | None, data_dir: str | None, interval_ms: int, *, once: bool, as_json: bool) -> None:
    """Print or watch the calls that run. Raises Stop when there is no server, also while watching."""
    folder = settings(config, data_dir).server.data_dir

    def look() -> BoardShown:
        return ask(folder, "GET", "/board", expect=BoardShown)

    first = look()
    if as_json:
        say_json(first)
    elif once or not sys.stdout.isatty() or is_dumb():
        say("\n".join(lines_of(first, room())))
    else:
        with screen():
            while True:
                draw(first)
                if quits(interval_ms):
                    return
                first = look()


def lines_of(board: BoardShown, columns: int | None, rows_max: int | None = None) -> list[str]:
    """Return what is shown: a title, and a table of at most so many calls and columns; None cuts nothing."""
    calls = board.calls[:rows_max]
    facts = [
        f"{board.calls_count:,} running",
        f"{board.slots_taken:,} slots taken",
        f"{board.rows_waiting:,} rows to be written",
    ]
    lines = [f"{paint('aisa board', bold=True)}  {', '.join(facts)}", ""]
    if not calls:
        return [*lines, "No call is running."]
    with_ids = columns is None or columns >= ID_COLUMNS_MIN
    heads = (*HEADS, "ID") if with_ids else HEADS
    rows = [[*cells(call), call.id] if with_ids else cells(call) for call in calls]
    kept = kept_columns(heads, rows, least=LEAST, columns=columns, beside=2 * (NAME_CHARACTERS_MIN + GAP))
    right = [place for place, at in enumerate(kept) if at in range(1, len(HEADS))]
    figures = aligned([heads[at] for at in kept], [[row[at] for at in kept] for row in rows], right=right).splitlines()
    named = [[call.key, call.model] for call in calls]
    if columns is not None:
        beside = (columns - max(len(click.unstyle(line)) for line in figures)) // 2 - GAP
        widest = min(max(beside, NAME_CHARACTERS_MIN), NAME_CHARACTERS_MAX)
        named = [[short(key, widest), short(model, widest)] for key, model in named]
    names = table(("KEY", "MODEL"), named).splitlines()
    wide = max(len(click.unstyle(line)) for line in names) + GAP
    lines += [name + " " * (wide - len(click.unstyle(name))) + line for name, line in zip(names, figures, strict=True)]
    hidden = board.calls_count - len(calls)
    return [*lines, paint(f"and {hidden:,} more", dim=True)] if hidden > 0 else lines


def cells(call: LiveCall) -> list[str]:
    """Return a call's figures in the order of HEADS."""
    backlog = size(call.backlog_bytes)
    return [
        paint(call.state, COLOURS.get(call.state)),
        age(call.age_seconds),
        count(call.input_tokens),
        count(call.output_tokens),
        paint(backlog, "red") if call.congested else backlog,
        "-" if call.cost is None else dollars(call.cost),
    ]


def age(seconds: float) -> str:
    """Write how long a call has run, in six characters."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60:,} h"


def draw(board: BoardShown) -> None:
    """Write the table over the one before, as far as the terminal has room."""
    columns, rows = shutil.get_terminal_size()
    lines = lines_of(board, columns, max(1, rows - FRAME_LINES))
    if os.environ.get("NO_COLOR"):
        lines = [click.unstyle(line) for line in lines]
    shown = [line if len(click.unstyle(line)) < columns else click.unstyle(line)[: columns - 1] for line in lines]
    sys.stdout.write(HOME + "".join(f"{line}{CLEAR_LINE}\r\n" for line in shown[: rows - 1]) + CLEAR_REST)
    sys.stdout.flush()


@contextmanager
def screen() -> Generator[None]:
    """Use the terminal's second screen, and read keys without Enter; Ctrl-C ends the block. Everything is put back."""
    typed = sys.stdin.fileno() if sys.stdin.isatty() else None
    before = None if typed is None else termios.tcgetattr(typed)
    if typed is not None:
        tty.setcbreak(typed)
    sys.stdout.write(ENTER)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        if typed is not None and before is not None:
            termios.tcsetattr(typed, termios.TCSADRAIN, before)


def quits(interval_ms: int) -> bool:
    """Wait so long; say whether somebody wants to end it."""
    sources = [sys.stdin] if sys.stdin.isatty() else []
    ready, _, _ = select.select(sources, [], [], timedelta(milliseconds=interval_ms).total_seconds())
    return bool(ready) and os.read(sys.stdin.fileno(), 1) in {b"", *(bytes([key]) for key in QUIT)}
