"""How much a model thinks: the words for it, from least to most, and the tokens that they stand for where a protocol counts those. Pure."""

from __future__ import annotations

NONE = "none"
#: Those of the newest API of OpenAI; all vendors' words are among them.
EFFORTS = (NONE, "minimal", "low", "medium", "high", "xhigh", "max")
#: Tokens of thinking for an effort, as Google's own OpenAI-compatible API has them.
BUDGETS = {NONE: 0, "minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}


def effort_of(budget: int) -> str:
    """Return the word for so many tokens of thinking: the least whose budget holds them."""
    return next((word for word in (NONE, "low", "medium") if budget <= BUDGETS[word]), "high")


def nearest(word: str, words: tuple[str, ...]) -> str:
    """Return the least of some words that is not below an effort, else the last of them."""
    place = EFFORTS.index(word)
    return next((each for each in words if each in EFFORTS and EFFORTS.index(each) >= place), words[-1])
