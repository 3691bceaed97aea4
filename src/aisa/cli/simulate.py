"""`aisa simulate`: a scripted vendor as a command, to test applications and gateways against. Plays, and judges nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aisa.cli.fitting import fitted
from aisa.cli.problems import Misuse
from aisa.cli.terminal import paint, say
from aisa.cli.written import Number

if TYPE_CHECKING:
    from aisa.testing.scenario import Scenario
    from aisa.testing.scripted_server import Played

EXAMPLES = """\b
Examples:
  aisa simulate                                every scenario, by the model's name
  aisa simulate --scenario cut-mid-stream      this one for every model
  aisa simulate --scenario mine.yaml
  aisa simulate --scenario FOLDER              every scenario or case in it, by its name
  aisa simulate --list

The format of scenarios is in docs/simulate.md.
"""
OWN = "hello"  # what is played where none is named


@click.command(epilog=EXAMPLES)
@click.option("--scenario", "source", metavar="NAME|FILE|FOLDER", help="What is played where a request names none.  [hello]")
@click.option("--host", default="127.0.0.1", metavar="HOST", help="Address to listen on.  [127.0.0.1]")
@click.option("--port", type=Number(0, 65_535), default=9100, metavar="PORT", help="Port; 0 for any.  [9100]")
@click.option("--list", "only_list", is_flag=True, help="List the scenarios that are built in.")
def simulate(source: str | None, host: str, port: int, *, only_list: bool) -> None:
    """Play a vendor of OpenAI's dialect that does as a scenario says: answers, stalls, breaks off.

    A request chooses by its model's name (`thinks-50s`), or by `scenario:NAME` anywhere in its text;
    where it names none, --scenario is played. Little is checked: every key is good.
    """
    import asyncio

    from aisa.http.failures import in_words
    from aisa.testing.scenario import ScenarioUnfit

    try:
        scenarios, own = chosen(source)
    except ScenarioUnfit as unfit:
        raise Misuse("the scenario cannot be played", [(unfit.where, unfit.what, unfit.remedy)]) from unfit
    if only_list:
        rows = [[name, scenario.description] for name, scenario in sorted(scenarios.items())]
        say(fitted(("SCENARIO", "WHAT IT DOES"), rows, prose=True))
        return
    try:
        asyncio.run(play(scenarios, own, host=host, port=port))
    except OSError as error:
        problem = (f"{host}:{port}", f"It cannot be listened on: {in_words(error)}.", "Choose another --port.")
        raise Misuse("nothing can be played here", [problem]) from error
    except KeyboardInterrupt:
        say("\nstopped")


def chosen(source: str | None) -> tuple[dict[str, Scenario], str]:
    """Return all scenarios by name, and which is played where none is named. Raises ScenarioUnfit."""
    from pathlib import Path

    from aisa.testing.scenario import CASE_BODIES, built_in, load_scenario, scenarios_in

    scenarios = built_in()
    if source is None or source in scenarios:
        return scenarios, source or OWN
    path = Path(source)
    if path.is_dir() and not any((path / name).exists() for name in CASE_BODIES):
        found = {scenario.name: scenario for scenario in scenarios_in(path)}
        return {**scenarios, **found}, next(iter(found), OWN)
    one = load_scenario(path)
    return {**scenarios, one.name: one}, one.name


async def play(scenarios: dict[str, Scenario], own: str, *, host: str, port: int) -> None:
    """Listen until stopped, and print a line for each request."""
    import asyncio

    from aisa.testing.scripted_server import ScriptedServer

    server = ScriptedServer(scenarios, own, tell=lambda played: say(line(played)))
    bound = await server.listen(host, port)
    where = paint(f"http://{host}:{bound}/v1", bold=True)
    say(f"{where} plays {paint(own, 'green')} and {len(scenarios) - 1} more: GET /v1/models lists them.")
    say(paint("Stop with Ctrl-C.", dim=True))
    try:
        await asyncio.Event().wait()
    finally:
        await server.close()


def line(played: Played) -> str:
    """Return what came of a request."""
    end = paint("ended", "green") if played.ended else paint("broke off" if played.broke_off else "hung up on", "yellow")
    model = str(played.asked.get("model", ""))
    form = "stream" if played.asked.get("stream") else "document"
    return f"{played.scenario:<22} {form:<9} {played.tokens:>7,} tokens  {end}  {paint(model, dim=True)}"
