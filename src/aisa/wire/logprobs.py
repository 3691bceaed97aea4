"""Log-probabilities of a choice in the one shape that clients of chat completions read, whatever shape the vendor has for them."""

from __future__ import annotations

from aisa.wire.lenient_json import LOGPROB_MIN
from aisa.wire.trees import Tree, as_list, as_tree, is_list, is_tree, trees_in


def chat_logprobs(value: object, text: str, others: object = None) -> Tree | None:
    """Return what a vendor says of how likely its tokens were; None if it says nothing. `text` is what the choice says beside it.

    Read are a list of tokens in `content`, such a list alone, lists by member as text completions have them (Together's documents), and
    one number, which is that of the text, with `others` that might have stood there (Together's streams).
    """
    if is_list(value):
        return whole({"content": trees_in(value)}) if trees_in(value) else None
    if not is_tree(value):
        return whole({"content": [token(text, value, as_tree(others))]}) if text and type(value) in (int, float) else None
    if value.get("content") is None and as_list(value.get("tokens")):
        return whole({"content": by_token(value)})
    return whole(value)


def whole(told: Tree) -> Tree:
    """Return log-probabilities with both members that clients look for."""
    return {"content": None, "refusal": None, **told}


def by_token(lists: Tree) -> list[Tree]:
    """Return one entry a token, of lists that have the same place for the same token."""
    values, others = as_list(lists.get("token_logprobs")), as_list(lists.get("top_logprobs"))
    return [
        token(str(text), values[place] if place < len(values) else None, as_tree(others[place]) if place < len(others) else {})
        for place, text in enumerate(as_list(lists.get("tokens")))
    ]


def token(text: str, value: object, others: Tree) -> Tree:
    """Return one entry, with those that might have stood there. The first token of a text has no number in some lists."""
    return {**entry(text, value), "top_logprobs": [entry(other, chance) for other, chance in others.items()]}


def entry(text: str, value: object) -> Tree:
    """Return one token and how likely it was."""
    chance = value if isinstance(value, int | float) else LOGPROB_MIN
    return {"token": text, "logprob": chance, "bytes": list(text.encode("utf-8", "replace"))}
