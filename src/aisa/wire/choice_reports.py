"""Reports of usage that tell of one choice of several, as llama.cpp's do, made into one of the whole answer. Bills nothing.

Its server reports each choice of a stream when that ends, while others go on or have not begun, and of a document the first alone. Beside
a report it says in how much time how many tokens of that choice were made: when it will count them all, the two numbers will differ.
"""

from __future__ import annotations

from collections.abc import Callable

from aisa.wire.trees import Tree, as_tree, is_tree
from aisa.wire.usage_report import INPUT, INPUT_DETAILS, OUTPUT, count_of, first

TIMINGS, MADE, TOTAL = "timings", "predicted_n", "total_tokens"
QUOTED_TIMINGS = b'"timings"'  # in a body that is not read yet
ASKED = frozenset({*INPUT, *INPUT_DETAILS})


def of_one_choice(answer: Tree) -> bool:
    """Tell whether the report in a chunk or a document tells of one choice, whatever others there are."""
    made = count_of(as_tree(answer.get(TIMINGS)).get(MADE))
    return made is not None and made == first(OUTPUT, as_tree(answer.get("usage")))


def added(known: Tree | None, report: Tree, *, same_prompt: bool) -> Tree:
    """Return the report of a further choice with those before it: what they made adds up, and a prompt is counted once."""
    if known is None:
        return report
    both = dict(known)
    for name, value in report.items():
        both[name] = joined(known.get(name), value, max if same_prompt and name in ASKED else plus)
    return both | {TOTAL: (first(INPUT, both) or 0) + (first(OUTPUT, both) or 0)}


def of_its_prompt(report: Tree) -> Tree:
    """Return what the report of one choice says of the prompt that all have; what the others made it does not say."""
    return {name: value for name, value in report.items() if name in ASKED}


def joined(one: object, other: object, how: Callable[[int, int], int]) -> object:
    """Return two counts, or all counts of two objects, as one; of what is no count the later, if there is one."""
    if is_tree(one) and is_tree(other):
        return {**one, **{name: joined(one.get(name), value, how) for name, value in other.items()}}
    before, now = count_of(one), count_of(other)
    if before is None:
        return one if other is None else other
    return before if now is None else how(before, now)


def plus(one: int, other: int) -> int:
    """Return a sum."""
    return one + other
