"""`aisa ledger`: the commands on the ledger as they are called. What they do and print is in `bookkeeping`."""

from __future__ import annotations

import click

from aisa.cli.command_group import CommandGroup
from aisa.cli.keys import MOMENTS, located
from aisa.cli.written import text

RECONCILE_USE = """\b
Examples:
  aisa ledger reconcile --vendor openai completions_usage_2026-12.csv
  aisa ledger reconcile --vendor other usage.csv --columns date=Day,input="Tokens in",output="Tokens out"
  aisa ledger reconcile --vendor openai - < usage.csv
"""
EXPORT_USE = """\b
Examples:
  aisa ledger export --since month --csv --output november.csv
  aisa ledger export --account acme | jq -s 'map(.cost_nanos_usd) | add'
"""


@click.group(cls=CommandGroup)
def ledger() -> None:
    """Check the ledger: against itself, and against a vendor's.

    Works on a running server, and otherwise on its data folder.
    """


@ledger.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON; amounts are nano-dollars.")
@located
def audit(config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Compute every cost and balance anew and show what differs.

    Exits with 1 if anything does. Takes some seconds for a hundred thousand calls, and keeps nobody waiting.
    """
    from aisa.cli import bookkeeping

    bookkeeping.audit(config, data_dir, as_json=as_json)


@ledger.command(epilog=EXPORT_USE)
@click.option("--since", callback=text, default="always", metavar="WHEN", help=f"{MOMENTS}, or always.  [always]")
@click.option("--until", callback=text, metavar="WHEN", help="The same; calls that ended then or later are left out.  [now]")
@click.option("--key", callback=text, metavar="KEY", help="Of one key alone, by its label or id.")
@click.option("--account", callback=text, metavar="NAME", help="Of one account alone.")
@click.option("--csv", "form", flag_value="csv", help="Write CSV with a head.")
@click.option("--json", "form", flag_value="jsonl", default="jsonl", help="Write a JSON object a line.  [this]")
@click.option("--output", metavar="FILE", default="-", help="A file that is not there yet.  [standard output]")
@located
def export(config: str | None, data_dir: str | None, *, form: str, **asked: str | None) -> None:
    """Write every call with all that the ledger has of it, the oldest first.

    Reads one state of the database beside a server that goes on. Calls of the last moment, which the journal has and the database does
    not yet, are not in it. No prompt is: none is kept. Exits with 1 if some calls cannot be read, as their rows were changed: their ids
    go to standard error, and all others are written.
    """
    from aisa.cli.exporting import Wanted
    from aisa.cli.exporting import export as write

    since, until, key, account, output = (asked[name] for name in ("since", "until", "key", "account", "output"))
    write(Wanted(since or "", until, key, account, form, output or "-"), config, data_dir)


@ledger.command(epilog=RECONCILE_USE)
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--vendor", callback=text, required=True, metavar="NAME", help="The vendor's name in the configuration.")
@click.option("--columns", callback=text, metavar="A=B,C=D", help="Which columns hold date, model, input, output, cost.  [by their names]")
@click.option("--tolerance", callback=text, default="1", metavar="PERCENT", help="How far a model's tokens may be apart.  [1]")
@located
def reconcile(file: str, vendor: str, columns: str | None, *, tolerance: str, config: str | None, data_dir: str | None) -> None:
    """Compare our calls with a vendor's usage export, by day and model.

    FILE is CSV with a head, as OpenAI exports it. Days are those of UTC. Exits with 1 if, over all days, the input or output tokens of a
    model are further apart than the tolerance, with 2 if the file cannot be understood.
    """
    from aisa.cli import bookkeeping

    bookkeeping.reconcile(file, vendor, columns, tolerance=tolerance, config=config, data_dir=data_dir)
