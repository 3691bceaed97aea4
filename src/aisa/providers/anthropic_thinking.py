"""How much a model of Anthropic's is asked to think, and in whose words: effort, a budget, or Anthropic's own `thinking`.

Each generation takes it otherwise, and some cannot be stopped. Whoever asks to see thinking gets its summary.
"""

from __future__ import annotations

import re
from math import ceil

import msgspec

from aisa.errors import ApiError, UpstreamFailed
from aisa.providers.anthropic_models import EFFORTS, Traits
from aisa.providers.concessions import Concessions
from aisa.providers.shape import Target
from aisa.wire.chat import ChatRequest
from aisa.wire.efforts import effort_of
from aisa.wire.trees import Tree, is_tree

NONE, LOW, MEDIUM = "none", "low", "medium"
WORDS = (NONE, "minimal", *EFFORTS)
BUDGET_MIN = 1_024  # tokens; the least that the vendor takes
#: The share of the output's bound that a model with a budget may think for, by effort.
SHARES = {"minimal": 0.1, LOW: 0.2, MEDIUM: 0.5, "high": 0.8, "xhigh": 0.9, "max": 0.95}
BUDGET_MAX = 32_000  # beyond it the vendor asks for its batch API
#: That a prefix must be as it was, which is asked without being written; a vendor that refuses a changed one is asked without.
STRICT_PREFIX = "strict_prefix"
BINDING_BETA = "thinking-binding-controls-2026-08-01"
RELAXED: Tree = {"prefix_mismatch_behavior": "drop_block"}
#: What the vendor says of thinking that was bound to another beginning of the conversation.
CHANGED_PREFIX = re.compile(r"invalid `?signature`? in `?(?:redacted_)?thinking`? block|bound to a different conversation", re.IGNORECASE)


def thinking_of(
    chat: ChatRequest, traits: Traits, limit: int, *, concessions: Concessions, unthought: bool
) -> tuple[Tree | None, str | None]:
    """Return what is said of thinking and of effort, None where nothing is.

    `unthought`: the call that is being answered came without its thinking, which models with a budget do not take.
    """
    own = own_thinking(chat)
    word = asked_effort(chat, concessions)
    budget = None if own is None or word is not None else own.get("budget_tokens")
    if own is not None and word is None:
        word = NONE if own.get("type") == "disabled" else None
    elif own is None and word is None:
        return (shown() if traits.thinks_unasked else None), None
    if traits.thinks_by_budget or (isinstance(budget, int) and traits.takes_budgets):
        return budgeted(own, word, limit, concessions=concessions, unthought=unthought), None
    if word == NONE:
        return turned_off(traits, concessions)
    if not traits.known and own is not None:
        return own, word
    if isinstance(budget, int):  # an effort is what these models have in its place
        word = effort_of(max(budget, BUDGET_MIN))
        concessions.move("thinking", "adaptive", "they take no budget")
    return shown(own), None if word is None else nearest(word, traits, concessions)


def own_thinking(chat: ChatRequest) -> Tree | None:
    """Return `thinking` in Anthropic's words, which some clients send along with chat requests."""
    raw = chat.fields.get("thinking")
    value: object = None if raw is None else msgspec.json.decode(raw)
    return value if is_tree(value) and isinstance(value.get("type"), str) else None


def asked_effort(chat: ChatRequest, concessions: Concessions) -> str | None:
    """Return the effort that is asked for, None if none is."""
    word = chat.known.reasoning_effort
    if word is None:
        return None
    if word not in WORDS:
        concessions.drop("reasoning_effort", f"it is one of {', '.join(WORDS)}")
        return None
    return str(word)


def shown(own: Tree | None = None) -> Tree:
    """Return thinking that adapts and is shown, unless its client has asked for it otherwise."""
    display = None if own is None else own.get("display")
    return {"type": "adaptive", "display": display or "summarized"}


def nearest(word: str, traits: Traits, concessions: Concessions) -> str:
    """Return the effort in a word that the model takes."""
    if word in traits.efforts:
        return word
    near = LOW if word == "minimal" else "high"
    concessions.move("reasoning_effort", near)
    return near


def turned_off(traits: Traits, concessions: Concessions) -> tuple[Tree | None, str | None]:
    """Return what asks a model not to think, or as little as it can."""
    if traits.off:
        return {"type": traits.off}, None
    concessions.move("reasoning_effort", LOW, "they always think")
    return shown(), LOW


def budgeted(own: Tree | None, word: str | None, limit: int, *, concessions: Concessions, unthought: bool) -> Tree | None:
    """Return thinking with a budget, which is a part of the output's bound; None for no thinking, where it has no room."""
    if word == NONE:
        return None
    given = None if own is None else own.get("budget_tokens")
    asked = given if isinstance(given, int) else min(ceil(SHARES[word or MEDIUM] * limit), BUDGET_MAX)
    budget = min(max(asked, BUDGET_MIN), limit - 1)
    if budget < BUDGET_MIN or unthought:
        why = "the thinking that led to the call is not there" if unthought else f"thinking needs a bound of more than {BUDGET_MIN} tokens"
        concessions.move("reasoning_effort", NONE, why)
        return None
    if isinstance(given, int) and given != budget:
        concessions.move("thinking.budget_tokens", budget, f"it is {BUDGET_MIN} at least, and less than the bound on the output")
    return {"type": "enabled", "budget_tokens": budget}


def binding_relaxed(thinking: Tree | None, target: Target, betas: list[str]) -> Tree | None:
    """Return thinking as it is or, for a target that refused a changed prefix, with the vendor's way out: what does not fit is dropped."""
    if STRICT_PREFIX not in target.omit:
        return thinking
    betas.append(BINDING_BETA)
    return {**(thinking or {"type": "adaptive"}), "block_binding": RELAXED}


def prefix_changed(target: Target) -> UpstreamFailed:
    """Return the failure for thinking that does not fit its conversation any more: the target is asked again, without being strict."""
    error = ApiError("upstream_unavailable", f"The vendor '{target.vendor}' holds thinking to be of another conversation.")
    detail = f"{target.vendor}: thinking that no longer fits its conversation; it is asked to drop that from now on"
    return UpstreamFailed(error, refused=(STRICT_PREFIX,), detail=detail)
