"""What is known of the model at a target, as dialects need it and `GET /v1/models` shows it. Put together by `facts_of.py`."""

from __future__ import annotations

from datetime import date

import msgspec

from aisa.model_catalogue.row import ModelRow

OLDER_BOUND, NEWER_BOUND = "max_tokens", "max_completion_tokens"
EFFORT, MESSAGES, TOOLS = "reasoning_effort", "messages", "tools"
FUNCTIONS, FUNCTION_CALL = "functions", "function_call"
DEVELOPER, SYSTEM = "developer", "system"


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model at a target. The first five are as in `ModelClass`.

    `developer` says whether it knows that role, `thinking_back` whether calls in the history must have what was thought before them, if
    only nothing, `tools_only` that functions are given and called as tools, `pages_if_asked` that a search has to be asked to show what it
    found, without which nobody knows that there was one. `unspoken` are parameters that its dialect has no words for,
    which the dialect itself refuses. `touched` are the members of a request that any of it is about: one that has none of them passes
    without another look. `row` is what the catalogue says, if it knows it.
    """

    title: str = ""
    lacks: tuple[str, ...] = ()
    only: tuple[tuple[str, float], ...] = ()
    free_at_none: bool = False
    unsaid_effort: str = ""
    efforts: tuple[str, ...] = ()
    bound: str = ""
    developer: bool = True
    thinking_back: bool = False
    tools_only: bool = False
    pages_if_asked: bool = False
    touched: frozenset[str] = frozenset()
    unspoken: tuple[str, ...] = ()
    row: ModelRow | None = None
    shutdown: date | None = None
