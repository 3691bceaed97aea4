"""What a request may ask of a model that a model's entry may limit, whichever protocol it came in. Judges nothing."""

from __future__ import annotations

from typing import NamedTuple

EFFORTS = "reasoning_efforts"  # the one limit that is a list of words


class Wish(NamedTuple):
    """A value that a request asks for: its field, as its protocol calls it, and the limit of a model's entry that it falls under.

    `listed`: the value is the length of a list. `word`: what is asked for instead where the limit is a list of words; any JSON value.
    """

    field: str
    limit: str
    value: float | None
    listed: bool = False
    word: object = None
