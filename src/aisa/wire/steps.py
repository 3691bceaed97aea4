"""What an answer took before it was given, where a vendor's system asks models several times and runs tools between. Reads no prices.

Groq's systems name in `usage` what the last of these steps took, with the total of all. What each took may stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aisa.usage import ESTIMATED, REPORTED
from aisa.wire.shown import BESIDE_TOKENS_MAX, COUNT_MAX
from aisa.wire.trees import Tree, as_tree, trees_in

EXECUTED = "executed_tools"  # of a message, each with a type: `search`, `browser_search`, `visit`, `python` and more
BREAKDOWN = "usage_breakdown"  # with a list `models` of names and reports; at the top, or in what stands there under GROQ, as in streams
GROQ = "x_groq"


class Steps(NamedTuple):
    """Tokens of all steps together: of the input and of the output. Of a vendor that does not tell them there are none."""

    taken: int = 0
    made: int = 0


def steps_in(answer: Tree) -> Steps | None:
    """Return the steps that an answer tells of, or the last chunk of one; None if it tells of none."""
    for place in (answer, as_tree(answer.get(GROQ))):
        used = [as_tree(entry.get("usage")) for entry in trees_in(as_tree(place.get(BREAKDOWN)).get("models"))]
        if used:
            return Steps(*[sum([whole(report.get(name)) for report in used]) for name in ("prompt_tokens", "completion_tokens")])
    return None


def steps_shown(messages: Iterable[Tree]) -> Steps | None:
    """Return the steps that messages or deltas show by tools that ran; None if they show none."""
    return Steps() if any(trees_in(message.get(EXECUTED)) for message in messages) else None


def whole(count: object) -> int:
    """Return a count, 0 for what is none."""
    return count if type(count) is int and 0 <= count <= COUNT_MAX else 0


def beside(steps: Steps | None, told: tuple[int, int, int], thought: int, *, apart: tuple[int, int]) -> tuple[int, int, str]:
    """Return what a report of input, output and total leaves out of either side, and where the count of the input is from.

    Without steps that is what is counted `apart`. Of what stands in the total alone nobody says which it is, but where it is the thinking.
    What tools gave is read as input, and is most of it: so it is taken for that, which costs no more. A number beyond what a call can have
    is none.
    """
    taken, made, total = told
    if steps is None:
        return *apart, REPORTED
    more, more_made = max(0, steps.taken - taken), max(0, steps.made - made)
    rest = max(0, total - taken - made - more - more_made)
    if max(more, more_made, rest) > BESIDE_TOKENS_MAX:
        return 0, 0, REPORTED
    if rest == thought:  # which the total decides, as of any report
        return more, more_made, REPORTED
    return more + rest, more_made, ESTIMATED if rest else REPORTED
