"""`aisa explain`: the command as it is called. What it shows is in `bill_lines`."""

from __future__ import annotations

import click

from aisa.cli.keys import located
from aisa.cli.written import text

EXAMPLES = """\b
Examples:
  aisa explain req_01JABCD9F1YYEXAMPLE0000000
  aisa explain latest
  aisa explain 01jabcd9 --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("call_id", callback=text)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def explain(call_id: str, config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Show what a call cost and why: every count, every price, and the sum.

    CALL_ID is the x-request-id header of the call's answer, or as much of its beginning as no other has, or its short form, such as
    01M8J7ZMETS6N…CYCH (`...` stands for the dots, too); `latest` is the call that began last. Of a refused call the reason is shown.
    The cost is computed anew from what the ledger keeps of the call. Exits with 1 if there is no such call, or its cost in the ledger
    is another one.
    """
    from aisa.cli import bill_lines

    bill_lines.explain(call_id, config, data_dir, as_json=as_json)
