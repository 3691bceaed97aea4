"""Texts that requests hold beside conversations: one or several, as text or as the ids of their tokens. Knows no route."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.usage import BYTES_PER_TOKEN
from aisa.wire.content import Content
from aisa.wire.generated import text_bytes
from aisa.wire.trees import is_list

#: A text, or the ids of its tokens.
Given = str | list[int]

TEXT, TOKENS = {"type": "string"}, {"type": "array", "items": {"type": "integer"}, "minItems": 1}
INPUT = {"anyOf": [TEXT, TOKENS, {"type": "array", "items": {"anyOf": [TEXT, TOKENS]}, "minItems": 1}]}


def texts_of(given: object, name: str) -> list[Given]:
    """Return the texts of a member that holds one or several, as text or as the ids of its tokens.

    Raises ApiError invalid_parameter_type, invalid_request.
    """
    if isinstance(given, str):
        return [given]
    if not is_list(given):
        raise ApiError("invalid_parameter_type", f"Invalid type for '{name}': {FORMS}.", param=name)
    if not given:
        raise ApiError("invalid_request", f"'{name}' is empty: {FORMS}.", param=name)
    if are_ids(given):
        return [[each for each in given if isinstance(each, int)]]
    texts: list[Given] = []
    for position, each in enumerate(given):
        if isinstance(each, str):
            texts.append(each)
        elif is_list(each) and each and are_ids(each):
            texts.append([identity for identity in each if isinstance(identity, int)])
        else:
            raise ApiError("invalid_parameter_type", f"Invalid type for '{name}[{position}]': {FORMS}.", param=f"{name}[{position}]")
    return texts


FORMS = "send a text, a list of texts, a list of token ids, or a list of such lists"


def are_ids(given: list[object]) -> bool:
    """Tell whether all entries of a list can be ids of tokens."""
    return set(map(type, given)) == {int} and min(each for each in given if isinstance(each, int)) >= 0


def size_of(text: Given) -> int:
    """Return the size of a text as UTF-8; one given as tokens counts as many bytes as so many tokens usually have."""
    return text_bytes(text) if isinstance(text, str) else len(text) * BYTES_PER_TOKEN


def content_of_texts(texts: Sequence[Given]) -> Content:
    """Return what there is to read in texts, each of which has a context window to itself."""
    return Content(sum(map(size_of, texts)), windows=len(texts))


def largest_of(texts: Sequence[Given]) -> Content:
    """Return what there is to read in the largest of some texts."""
    return Content(max(map(size_of, texts)))


def beginning_of(texts: Sequence[Given], characters_max: int) -> str:
    """Return the beginning of those that are given as text."""
    found: list[str] = []
    for text in texts:
        if characters_max > 0 and isinstance(text, str):
            found.append(text[:characters_max])
            characters_max -= len(text)
    return "".join(found)


def no_conversation(what: str) -> UpstreamFailed:
    """Return the failure of a target that can only hold conversations: another may be able to."""
    message = f"{what} is no conversation, and the vendor of this model is asked for nothing else."
    return UpstreamFailed(ApiError("unsupported_parameter", message, param="model"), blame=CALLER, detail=message)
