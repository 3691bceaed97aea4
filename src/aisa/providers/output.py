"""What counts the output of an answer by our own measure, whichever decoder reads it. Counts nothing itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from aisa.providers.shape import Decoder
from aisa.wire.shown import Shown
from aisa.wire.token_meter import TokenMeter


class Output(Protocol):
    """The output of one answer."""

    @property
    def meters(self) -> Collection[TokenMeter]:
        """What counts each choice that has begun."""
        ...

    def shown(self, *, exact: bool = False) -> Shown:
        """Return the output so far; `exact` has a tokenizer count what still waits for it, and says how it was counted."""
        ...


def output_of(decoder: Decoder) -> Output | None:
    """Return the output of an answer; None of some documents, which arrive whole or not at all and need not say."""
    output: Output | None = getattr(decoder, "output", None)
    return output
