"""What is wrong with how requests are sent on, beyond the types of the settings. Changes none."""

from __future__ import annotations

from collections.abc import Iterator

from aisa.config.problem import Flaw
from aisa.config.route import COST, LATENCY, LOAD, NO_AFFINITY, ORDER, PROMPT, WEIGHTS
from aisa.config.schema import Config, Model, Target

READ_FOR = ("gemini", "bedrock", "openai")  # dialects in which pictures can be read for a vendor
WEIGHTED = (None, WEIGHTS, LOAD)


def check_routes(config: Config) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with the routes of models, with the way to the setting."""
    for name, model in config.models.items():
        if isinstance(model, Model) and model.route is not None:
            for setting, flaw in flaws_of(model):
                yield ("models", name, "route", setting), flaw


def check_pictures(config: Config) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield the vendors for which pictures cannot be read, with the way to the setting."""
    for name, vendor in config.vendors.items():
        if vendor.fetch_pictures and vendor.dialect not in READ_FOR:
            what = f"The dialect `{vendor.dialect}` passes the addresses of pictures on, and its vendors read them."
            yield ("vendors", name, "fetch_pictures"), Flaw(what, "Remove the line.")


def flaws_of(model: Model) -> Iterator[tuple[str, Flaw]]:
    """Yield the settings of a model's route that cannot mean anything, each with what is wrong."""
    route = model.route
    assert route is not None, "the caller looked"
    weights = [target.weight for target in model.to if isinstance(target, Target)]
    shared = route.by in WEIGHTED or route.affinity == PROMPT
    if not shared and any(weight > 1 for weight in weights):
        remedy = f"Leave the weights out, or write `by: {WEIGHTS}` or `by: {LOAD}`. A weight of 0 makes a stand-by in any case."
        yield "by", Flaw(f"The targets have weights, which mean nothing with `by: {route.by}`.", remedy)
    if len(weights) == len(model.to) > 1 and not any(weights) and route.by not in (None, ORDER):
        yield "by", Flaw("Every target has the weight 0, so all are stand-bys and none is the first.", "Give one a weight above 0.")
    if route.by == COST and model.prices is not None:
        what = "`prices` of the model holds for every target, so none is cheaper than another."
        yield "by", Flaw(what, "Give the vendors their own `prices`, or leave them to the catalogue.")
    if len(model.to) == 1:
        if route.by in (WEIGHTS, LATENCY, LOAD, COST):
            yield "by", Flaw("There is one target, so there is nothing to choose.", "Name another under `to`, or remove the line.")
        if route.affinity != NO_AFFINITY:
            yield "affinity", Flaw("There is one target, to which all calls go anyway.", "Name another under `to`, or remove the line.")
    first = route.first_token_seconds
    if first is not None and first >= model.idle_timeout_seconds:
        what = f"It is not shorter than `idle_timeout_seconds`, which is {model.idle_timeout_seconds:g} and ends the wait before."
        yield "first_token_seconds", Flaw(what, "Write a shorter time, or a longer `idle_timeout_seconds`.")
