"""`aisa prices`: the command as it is called. What it shows is in `price_tables`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from aisa.cli.written import text

EXAMPLES = """\b
Examples:
  aisa prices
  aisa prices gpt-4.1
  aisa prices openai/gpt-4.1 --at 2026-12-01
  aisa prices --diff model_prices_and_context_window.json
"""


@click.command(epilog=EXAMPLES)
@click.argument("model", required=False, callback=text)
@click.option(
    "--at", "moment", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), metavar="DATE", help="Day, or day and time, in UTC.  [now]"
)
@click.option("--config", "path", metavar="FILE", help="Configuration file.  [AISA_CONFIG; ./aisa.yaml if it exists]")
@click.option("--data-dir", metavar="FOLDER", help="Whose server is meant, and whose lists of vendors.  [AISA_DATA_DIR; ./aisa-data]")
@click.option("--diff", "other", metavar="FILE", help="Show where the built-in catalogue and this list, in LiteLLM's format, differ.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def prices(model: str | None, moment: datetime | None, path: str | None, *, data_dir: str | None, other: str | None, as_json: bool) -> None:
    """Show what a MODEL's tokens cost, and who says so; without MODEL, of every one that can be called.

    No vendor is asked, so no key of a vendor need be set.

    With --diff, show what two price lists say of it, or of all models that both have; no configuration is read then.

    Exits with 1 if the model is unknown or has no price.
    """
    from aisa.cli import price_tables
    from aisa.clock import wall_clock

    seconds = wall_clock() if moment is None else moment.replace(tzinfo=UTC).timestamp()
    if other is not None:
        from aisa.cli.price_diff import show

        show(other, model or "", seconds, as_json=as_json)
    elif model is None:
        price_tables.show_all(path, data_dir, seconds, as_json=as_json)
    else:
        price_tables.explain(model, path, data_dir, moment=seconds, as_json=as_json)
