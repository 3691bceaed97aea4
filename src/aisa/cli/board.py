"""`aisa board`: the command as it is called. What it shows is in `board_screen`."""

from __future__ import annotations

import click

from aisa import durations
from aisa.cli.keys import located

INTERVAL_MS_MIN, INTERVAL_MS_MAX = 100, 60_000  # quicker nobody can read, and each look costs the server some time


def milliseconds(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    """Return the milliseconds of a duration such as `500ms` or `2s`. Raises click.BadParameter."""
    interval = durations.milliseconds(value)
    if interval is None or not INTERVAL_MS_MIN <= interval <= INTERVAL_MS_MAX:
        raise click.BadParameter(f"write a time from {INTERVAL_MS_MIN}ms to {INTERVAL_MS_MAX // 1_000}s, such as 500ms or 2s.")
    return interval


@click.command()
@click.option("--once", is_flag=True, help="Print the calls of this moment and end; so it does where the output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, once.")
@click.option("--interval", callback=milliseconds, default="1s", metavar="TIME", help="How often to look, from 100ms to 60s.  [1s]")
@located
def board(interval: int, config: str | None, data_dir: str | None, *, once: bool, as_json: bool) -> None:
    """Watch the calls that a running server has in flight, the oldest first. `q` or Ctrl-C ends it.

    BACKLOG is what was written for the client and has not arrived there yet. The cost is what a call would cost if it ended now.
    """
    from aisa.cli import board_screen

    board_screen.show(config, data_dir, interval, once=once, as_json=as_json)
