"""Whether a vendor's chunk can pass in its own bytes, and the small changes that can be made on them. Knows no state of a stream."""

from __future__ import annotations

from aisa.wire.sse import data_event
from aisa.wire.trees import Tree, as_list, is_list, trees_in

USAGE_NULLS = (b',"usage":null', b', "usage": null')
USAGE_LAST = b',"usage":null}'


def fit_usage(data: bytes, *, present: bool, wanted: bool) -> bytes | None:
    """Return an event with a null `usage` member cut out or put in; None when that cannot be done on the bytes.

    Cutting is safe on valid JSON: inside a string the quotation marks would be escaped.
    """
    if present is wanted:
        return data
    if wanted:
        return data.rstrip()[:-1] + USAGE_NULLS[0] + b"}"
    last = len(data) - len(USAGE_LAST)
    if data.endswith(USAGE_LAST) and data.find(b'"usage"') == last + 1:  # as vendors write it
        return data[:last] + b"}"
    for null in USAGE_NULLS:
        if data.count(null) == 1 and data.count(b'"usage"') == 1:
            return data.replace(null, b"", 1)
    return None


def untouched(chunk: Tree, source: Tree, data: bytes, *, wanted: bool) -> bytes | None:
    """Return the event in the vendor's own bytes if they say what the chunk says, else None. `wanted`: it is to have a `usage` member."""
    if not data or b"\n" in data or not same(chunk, source):
        return None
    fitted = fit_usage(data, present="usage" in source, wanted=wanted)
    return None if fitted is None else data_event(fitted)


def same(chunk: Tree, source: Tree) -> bool:
    """Tell whether a vendor's chunk already is what we would emit, a null or absent `usage` and absent `logprobs` aside."""
    choices = trees_in(source.get("choices"))
    # Python takes false and -0.0 for 0, true for 1; clients do not.
    odd = (
        not is_list(source.get("choices"))
        or type(source.get("created")) is not int
        or len(choices) != len(as_list(source.get("choices")))
        or any(type(choice.get("index")) is not int for choice in choices)
    )
    if odd or source.get("usage") is not None:
        return False
    ours = {name: value for name, value in chunk.items() if name != "usage"}
    theirs = {name: value for name, value in source.items() if name != "usage"}
    theirs["choices"] = [{"logprobs": None, **choice} for choice in choices]
    return ours == theirs
