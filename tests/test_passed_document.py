"""A vendor's document that passes: its model's name and its cost are put in, and nothing else of it is touched."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.wire.passed_document import passed
from repeats import repeats

NAMES = st.sampled_from(["model", "usage", "input", "x"])
TEXTS = st.sampled_from(["m", 'say "model":"m"', '"usage":{', "}", "\\", "é"])
LEAVES = TEXTS | st.integers(0, 9) | st.none()
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=2))
COUNTS = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 99) | st.dictionaries(st.just("c"), st.integers(0, 9)))


def written(value: Any, draw: random.Random) -> str:
    """JSON in which each object and list has blanks or has none."""
    comma, colon = draw.choice([(",", ":"), (", ", ": "), (" , ", " : ")])
    if isinstance(value, dict):
        members = [f"{json.dumps(name)}{colon}{written(each, draw)}" for name, each in value.items()]
        return "{" + draw.choice(["", " "]) + comma.join(members) + "}"
    return "[" + comma.join([written(each, draw) for each in value]) + "]" if isinstance(value, list) else json.dumps(value)


@settings(max_examples=repeats(400), deadline=None)
@given(
    rest=st.dictionaries(st.sampled_from(["content", "metadata", "tools"]), VALUES),
    usage=COUNTS,
    shown=st.sampled_from(["m", "other"]),
    cost=st.sampled_from([None, "0.5"]),
    changed=st.sampled_from([None, {"store": False}]),
    places=st.permutations(["model", "usage", "rest"]),
    draw=st.randoms(use_true_random=False),
)
def test_a_document_has_its_name_and_cost_and_else_what_its_vendor_said(
    *, rest: Any, usage: Any, shown: str, cost: str | None, changed: Any, places: list[str], draw: random.Random
) -> None:
    """Whatever is called `model` or `usage` deeper in it, however it is written, and in whichever order."""
    known: dict[str, Any] = {"model": {"model": "m"}, "usage": {"usage": usage}, "rest": rest}
    document = {name: value for place in places for name, value in known[place].items()}
    said = json.loads(passed(written(document, draw).encode(), "m", shown, cost_usd=cost, changed=changed))
    assert said == {**document, "model": shown, "usage": usage | ({} if cost is None else {"cost": 0.5}), **(changed or {})}
