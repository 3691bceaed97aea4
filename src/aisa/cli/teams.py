"""`aisa teams`: the commands on teams as they are called. What they do and print is in `team_lines`."""

from __future__ import annotations

import click

from aisa.cli.command_group import CommandGroup
from aisa.cli.keys import located
from aisa.cli.written import judge_cap, judge_team, text, written

EXAMPLES = """\b
Examples:
  aisa teams create bots --account acme --spend-cap 50/month
  aisa keys create "support bot" --team bots --spend-cap 5/day
  aisa teams list
  aisa teams update bots --spend-cap 80/month
"""


@click.group(cls=CommandGroup, epilog=EXAMPLES)
def teams() -> None:
    """Make, list and change teams: keys of one account that share a spend cap.

    Each call of a key counts in its own cap, in its team's, and in its account's wallet; what is too much for any of them is refused. A
    key is made in a team (`aisa keys create LABEL --team NAME`) and stays in it. See docs/billing.md.
    """


@teams.command()
@click.argument("name", callback=written(judge_team))
@click.option("--account", callback=text, metavar="NAME", help="Whose keys they are; made, without a limit, if it is not there.  [default]")
@click.option(
    "--spend-cap",
    callback=written(judge_cap),
    metavar="CAP",
    help="US dollars a day, week or month (UTC) for all of its keys together.  [none]",
)
@located
def create(name: str, account: str | None, spend_cap: str | None, *, config: str | None, data_dir: str | None) -> None:
    """Make a team named NAME, without keys."""
    from aisa.cli import team_lines

    team_lines.create(name, account, spend_cap, config=config, data_dir=data_dir)


@teams.command("list")
@click.option("--account", callback=text, metavar="NAME", help="Only those of this account.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array; amounts have their unit in the name.")
@located
def list_(account: str | None, config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """List the teams: their caps, what was spent in the running window, and what is left.

    Of a team without a cap it is what was spent this month. Revoked keys are not counted, what they have spent is.
    """
    from aisa.cli import team_lines

    team_lines.show_all(account, config, data_dir, as_json=as_json)


@teams.command()
@click.argument("team", callback=text, metavar="ID|NAME")
@click.option("--account", callback=text, metavar="NAME", help="Whose team is meant, where several accounts have one of this name.")
@click.option("--name", callback=written(judge_team), metavar="NAME", help="Another name.")
@click.option(
    "--spend-cap",
    callback=written(judge_cap, "none"),
    metavar="CAP",
    help="US dollars a day, week or month (UTC), such as 50/month, or none.",
)
@located
def update(team: str, account: str | None, *, name: str | None, spend_cap: str | None, config: str | None, data_dir: str | None) -> None:
    """Change a team's name or cap, for all of its keys from their next requests on; what is not named stays."""
    from aisa.cli import team_lines

    team_lines.update(team, account, {"name": name, "spend_cap": spend_cap}, config=config, data_dir=data_dir)
