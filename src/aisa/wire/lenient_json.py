"""A second reading of what vendors send, for what strict JSON refuses and every client reads. Off the fast path; knows few names.

Read: numbers that are not finite, halves of surrogate pairs, a byte order mark. Not read: anything that Python's own reader refuses.
What comes back may hold such halves; `encode` writes strict JSON whatever it is given.
"""

from __future__ import annotations

import json
from math import isfinite

import msgspec

from aisa.errors import ApiError
from aisa.wire.halves import whole
from aisa.wire.strict_json import check_structure
from aisa.wire.trees import Tree, is_list, is_tree

#: More is not read a second time: it takes 20 ms a MiB, in which no other stream moves.
LENIENT_BYTES_MAX = 8 << 20
DIGITS_MAX = 400  # more than any finite float has before its point; Python's integers would take their square in time
BOM = b"\xef\xbb\xbf"
#: What OpenAI sends for the logarithm of a probability too small to tell; no client reads an infinity.
LOGPROB_MIN = -9999.0


ENCODER = msgspec.json.Encoder()


class NotEvenLenient(ValueError):
    """Bytes that are no JSON for anybody."""


def read_leniently(data: bytes) -> object:
    """Return the JSON value in `data`; text may hold surrogates. Raises NotEvenLenient."""
    if len(data) > LENIENT_BYTES_MAX:
        raise NotEvenLenient
    try:
        check_structure(data)  # bounds depth and time, as for what callers send
        # Surrogates that somebody encoded as if they were characters are the same fault as their escapes.
        text = data.removeprefix(BOM).decode("utf-8", "surrogatepass")
        value: object = json.loads(text, object_hook=finite, parse_int=integer)
    except (ApiError, ValueError):
        raise NotEvenLenient from None
    return value


def finite(tree: Tree) -> Tree:
    """Replace the members of an object that are no finite number. In an array they stay, and are written as null."""
    for name, value in tree.items():
        if isinstance(value, float) and not isfinite(value):
            tree[name] = LOGPROB_MIN if name == "logprob" else None
        elif name in ("token_logprobs", "top_logprobs") and is_list(value):
            tree[name] = [likely(entry) for entry in value]
    return tree


def likely(entry: object) -> object:
    """Return an entry of lists of log-probabilities as text completions have them: a number, or numbers by token, that are finite."""
    if is_tree(entry) and "logprob" not in entry:
        return {token: LOGPROB_MIN if value is None else value for token, value in entry.items()}
    return LOGPROB_MIN if isinstance(entry, float) and not isfinite(entry) else entry


def integer(digits: str) -> int:
    """Return an integer. Raises ValueError for one that is longer than any that means something."""
    if len(digits) > DIGITS_MAX:
        raise ValueError
    return int(digits)


def encode(value: object) -> bytes:
    """Write a value as one line of strict JSON. Halves of characters become U+FFFD, numbers that are not finite null."""
    try:
        return ENCODER.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(whole_text(value))


def with_whole_text(tree: Tree) -> Tree:
    """Return an object without halves of characters in its text and its names."""
    return {whole(name): whole_text(value) for name, value in tree.items()}


def whole_text(value: object) -> object:
    """Return a value without them."""
    if isinstance(value, str):
        return whole(value)
    if is_tree(value):
        return with_whole_text(value)
    return [whole_text(item) for item in value] if is_list(value) else value
