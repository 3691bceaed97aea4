"""What `aisa models` prints: every name that callers can use, or where one goes and why. Chooses nothing, and asks no vendor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from aisa.cli.control import ask_server
from aisa.cli.data_folder import configuration, settings
from aisa.cli.fitting import fitted
from aisa.cli.free_lines import open_in_words, undercut_in_words
from aisa.cli.price_check import look_up_for, names_look_up_for
from aisa.cli.price_tables import say_json
from aisa.cli.problems import Stop
from aisa.cli.terminal import paint, say
from aisa.config.schema import Config
from aisa.edge.admin_views import ModelList
from aisa.edge.free_models import ANY
from aisa.edge.model_view import ModelShown, TargetShown, model_shown, models_shown
from aisa.errors import ApiError
from aisa.known_models import Known
from aisa.model_lists import kept_lists
from aisa.money import dollars_text
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.routing import Routes

LOOK_SECONDS_MAX = 30.0  # some thousand models, whose prices are looked up the first time


def routes_of(config: Config) -> Routes:
    """Return the routes of a configuration, with the lists of vendors that its data folder has. Raises Misuse."""
    known = Known(names_look_up_for(config), kept_lists(Path(config.server.data_dir), config))
    return Routes(config, look_up_for(config), known=known)


def show_all(path: str | None, data_dir: str | None, moment: float, *, as_json: bool) -> None:
    """Print every name, as the server has it that runs, unless a file is named. `moment` is in UNIX seconds. Raises Misuse, Stop."""
    listed = None if path else ask_server(settings(None, data_dir).server.data_dir, "/models", expect=ModelList, seconds=LOOK_SECONDS_MAX)
    if listed is None:
        routes = routes_of(configuration(path, data_dir).config)
        listed = ModelList(data=models_shown(routes, moment), free_vendors=routes.free_vendors, any_name=routes.any_name)
    if as_json:
        say_json(listed.data)
        return
    rows = [row for model in listed.data for row in rows_of(model)]
    rows += [[f"{vendor}/{ANY}", "any model of it", "free", "free", ""] for vendor in listed.free_vendors]
    rows += [["any other name", "the built-in model", "free", "free", ""]] if listed.any_name else []
    say(fitted(("NAME", "GOES TO", "INPUT", "OUTPUT", "CONTEXT"), rows, right=(2, 3, 4), least=("CONTEXT",)))
    say(
        paint(
            "\nUS dollars per million tokens; no spend cap and no wallet counts what is free. Why one goes where: aisa models NAME",
            dim=True,
        )
    )
    for said in free_notes(listed):
        say(f"\n{said}")


def free_notes(listed: ModelList) -> Iterator[str]:
    """Yield what may be asked free of charge by another name than those that are listed, and how that can be changed."""
    said = open_in_words([f"{vendor}/{ANY}" for vendor in listed.free_vendors])
    if said:
        yield said
    for model in listed.data:
        yield from (undercut_in_words(model.name, target) for target in model.targets if target.free_by_own_name)


def explain(name: str, path: str | None, data_dir: str | None, *, moment: float, as_json: bool) -> None:
    """Print where a name goes, at what price, and why, as the server has it that runs. Raises Misuse, and Stop if nothing serves it."""
    asked = f"/models/{quote(name[:MODEL_NAME_CHARACTERS_MAX], safe='')}"
    try:
        model = None if path else ask_server(settings(None, data_dir).server.data_dir, asked, expect=ModelShown, seconds=LOOK_SECONDS_MAX)
        if model is None:
            model = model_shown(routes_of(configuration(path, data_dir).config), name, moment)
    except ApiError as error:
        remedy = "List the names: aisa models"
        raise Stop("nothing serves this name", [(name[:MODEL_NAME_CHARACTERS_MAX], error.message, remedy)]) from error
    if as_json:
        say_json(model)
        return
    say(f"{paint(model.name, bold=True)} goes to {' or '.join(target.target for target in model.targets)}: {model.why}.")
    for target in model.targets:
        say(f"  {price_line(target)}")
        if target.free_by_own_name:
            vendor = target.target.partition("/")[0]
            say(f"  {undercut_in_words(model.name, target)} {open_in_words([f'{vendor}/{ANY}'])}")
    for other in model.others:
        say(f"  {other} has the name too, and can be called by that one.")
    say(paint(f"\nIts price in full: aisa prices {model.name}", dim=True))


def rows_of(model: ModelShown) -> list[list[str]]:
    """Return a line for each target, the name only in the first."""
    return [
        [model.name if number == 0 else "", target.target, *rates(target), tokens(target.context_window)]
        for number, target in enumerate(model.targets)
    ]


def price_line(target: TargetShown) -> str:
    """Say what one target costs, and who says so."""
    if target.input is None or target.output is None:
        what = "free of charge, and no spend cap or wallet counts it" if target.free else "never asked"
        return f"{target.target}: no price, so {what}."
    prices = f"{dollars_text(target.input)} input, {dollars_text(target.output)} output, US dollars per million tokens"
    return f"{target.target}: {prices} ({target.price_source})."


def rates(target: TargetShown) -> tuple[str, str]:
    """Write what input and output cost."""
    if target.input is None or target.output is None:
        return ("free", "free") if target.free else ("no price", "refused")
    return dollars_text(target.input), dollars_text(target.output)


def tokens(number: int | None) -> str:
    """Write a window."""
    return "" if number is None else f"{number:,}"
