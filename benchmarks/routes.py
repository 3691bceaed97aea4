"""What it costs to decide whom a call asks: the plan of every kind of route, beside that of targets in order. No sockets and no call."""

from __future__ import annotations

import random
import time
from typing import Any

from aisa.config.route import Route
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.config.schema import Target as TargetSetting
from aisa.health import Health
from aisa.keys.rules import Key
from aisa.routing import Routes
from aisa.traffic import TargetTry
from aisa.wire.chat import ChatRequest, parse_chat
from benchmarks.plan import ROUTE_BUDGET_US, Plan
from benchmarks.report import Row, Spread, Table, spread, verdict

PLANS = 4_000  # a round
TARGETS = 3
KEY = Key("key_bench", "bench", b"", "sk-…", "active", 0)
TALK = (
    b'{"model":"m","messages":[{"role":"system","content":"You are brief."},{"role":"user","content":"Write a haiku about routes."},'
    b'{"role":"assistant","content":"Three ways lie ahead."},{"role":"user","content":"Go on."}],"stream":true}'
)
BASE = "in order"
KINDS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    (BASE, {}, {}),
    ("by weight", {}, {"by": "weights"}),
    ("least busy", {}, {"by": "load"}),
    ("quickest", {}, {"by": "latency"}),
    ("cheapest", {}, {"by": "cost"}),
    ("same beginning", {}, {"affinity": "prompt"}),
    ("what is shown", {"takes": ("image", "tools")}, {}),
    ("windows", {"context_window": 8}, {}),
    ("all of it", {"takes": ("image", "tools"), "context_window": 80}, {"by": "latency", "affinity": "prompt"}),
)


def routes(plan: Plan) -> Table:
    """Measure the plan of a name with one target, and of each kind of route between three. Kinds take turns, round by round."""
    chat = parse_chat(TALK)
    made = [(name, *planner(target, route)) for name, target, route in KINDS]
    alone = Routes(Config(vendors=vendors(), models={"m": Model(to=("a/m",))})), Health()
    rounds = [[microseconds(*alone, chat), *[microseconds(*each, chat) for _, *each in made]] for _ in range(plan.rounds)]
    columns = [list(column) for column in zip(*rounds, strict=True)]
    base = columns[1]
    rows: list[Row] = [("one target", spread(columns[0]), None, "")]
    for (name, *_), column in zip(made, columns[1:], strict=True):
        more: Spread = spread([ours - other for ours, other in zip(column, base, strict=True)])
        rows.append(
            (name, spread(column), None if name == BASE else more, "" if name == BASE else verdict(more, ROUTE_BUDGET_US, "us more"))
        )
    how = (
        f"{PLANS:,} plans a round of a short conversation, {TARGETS} targets that are well and have answered, {plan.rounds} rounds; "
        "microseconds of CPU. More than in order: the difference of each round."
    )
    return Table("routes", "What a route costs", how, (("route", 0), ("us / plan", 2), ("more than in order", 2), ("", 0)), tuple(rows))


def vendors() -> dict[str, Vendor]:
    """Vendors with prices of their own."""
    return {
        name: Vendor(base_url=f"http://{name}.example/v1", prices={"m": Prices(input=place, output=2 * place)})
        for place, name in enumerate("abc"[:TARGETS], 1)
    }


def planner(target: dict[str, Any], route: dict[str, Any]) -> tuple[Routes, Health]:
    """Return routes, and what was seen of their targets; the last of them takes everything and has room for it."""
    names = [f"{name}/m" for name in "abc"[:TARGETS]]
    special = [TargetSetting(target=name, **target) for name in names[:-1]] if target else names[:-1]
    model = Model(to=(*special, names[-1]), route=Route(**route) if route or not target else Route(by="order"))
    health = Health()
    for name in names:
        watch = TargetTry(health.traffic, name, 0.0, stream=True)
        watch.answered(0.5)
    return Routes(Config(vendors=vendors(), models={"m": model})), health


def microseconds(routes: Routes, health: Health, chat: ChatRequest) -> float:
    """Return the CPU time of a plan."""
    chance = random.Random(1)
    began = time.thread_time()
    for _ in range(PLANS):
        routes.plan(chat, KEY, chance, health=health, now=1.0, unix_seconds=1.7e9)
    return (time.thread_time() - began) * 1e6 / PLANS
