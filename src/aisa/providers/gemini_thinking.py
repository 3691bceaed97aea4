"""How much Gemini's models think: from OpenAI's words for effort to levels, or to budgets where a model has those. Pure."""

from __future__ import annotations

import re

from aisa.providers.concessions import Concessions
from aisa.wire.efforts import BUDGETS, EFFORTS, nearest
from aisa.wire.trees import Tree

MODEL = re.compile(r"gemini-(?P<major>\d+)(?:\.(?P<minor>\d+))?(?:-(?P<kind>pro|flash-lite|flash))?")
#: A generation that is not in a name is taken for the newest: names without one (`gemini-pro-latest`) follow it.
NEWEST = (99, 0)
FIRST_WITH_ADDRESSES = (2, 5)  # of files that Google reads for a model
FIRST_WITH_LEVELS = (3, 0)
FIRST_WITH_BUDGETS = (2, 5)
FIRST_WITHOUT_SAMPLING = (3, 5)  # that Google advises to leave sampling alone of, though they take it
FOUR, THREE, TWO = ("minimal", "low", "medium", "high"), ("low", "medium", "high"), ("low", "high")
#: (generation, kind) -> the levels that it has, where these are not the three that newer ones have.
LEVELS = {
    (3, 0, "pro"): TWO,
    (3, 0, "flash"): FOUR,
    (3, 1, "flash-lite"): FOUR,
    (3, 5, "flash"): FOUR,
    (3, 5, "flash-lite"): FOUR,
    (3, 6, "flash"): FOUR,
}
PRO_BUDGET_MIN = 128  # of a model that cannot be kept from thinking


def generation(model: str) -> tuple[int, int]:
    """Return the generation in a model's name, the newest if there is none."""
    found = MODEL.search(model)
    return NEWEST if found is None else (int(found["major"]), int(found["minor"] or 0))


def kind(model: str) -> str:
    """Return which of its generation a model is: `pro`, `flash`, `flash-lite`, or nothing."""
    found = MODEL.search(model)
    return "" if found is None else found["kind"] or ""


def samples_by_itself(model: str) -> bool:
    """Tell whether a model of Gemini's is one whose sampling should be left alone."""
    return MODEL.search(model) is not None and generation(model) >= FIRST_WITHOUT_SAMPLING


def levels_of(model: str) -> tuple[str, ...]:
    """Return the words for effort that a model has; none if it does not think."""
    if generation(model) < FIRST_WITH_BUDGETS:
        return ()
    return tuple(BUDGETS) if generation(model) < FIRST_WITH_LEVELS else LEVELS.get((*generation(model), kind(model)), THREE)


def thinking_of(effort: object, model: str, concessions: Concessions) -> Tree | None:
    """Return the `thinkingConfig` for an effort; None where nothing is to be said. Raises UpstreamFailed."""
    if effort is None:
        return None
    if effort not in EFFORTS:
        concessions.drop("reasoning_effort", f"it is none of {', '.join(EFFORTS)}")
        return None
    word = str(effort)
    if generation(model) < FIRST_WITH_BUDGETS:
        if word != "none":
            concessions.do_without("reasoning_effort", "it does not think")
        return None
    if generation(model) < FIRST_WITH_LEVELS:
        return with_budget(word, model, concessions)
    levels = levels_of(model)
    level = nearest(word, levels)
    if level != word:
        concessions.move("reasoning_effort", level, f"it takes {', '.join(levels)}")
    return {"includeThoughts": word not in ("none", "minimal"), "thinkingLevel": level.upper()}


def with_budget(word: str, model: str, concessions: Concessions) -> Tree:
    """Return the budget for an effort."""
    if EFFORTS.index(word) > EFFORTS.index("high"):
        concessions.move("reasoning_effort", "high", "it takes none to high")
        word = "high"
    if word == "none" and kind(model) == "pro":
        concessions.move("reasoning_effort", "minimal", "it cannot be kept from thinking")
        return {"includeThoughts": False, "thinkingBudget": PRO_BUDGET_MIN}
    return {"includeThoughts": word != "none", "thinkingBudget": BUDGETS[word]}
