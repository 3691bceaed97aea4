"""How often a test with chance in it runs: what it says in `make test`, a tenth in `make quick`, ten times in `make nightly`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

FACTOR = float(os.environ.get("AISA_REPEATS", "1"))


def repeats(times: int) -> int:
    """Return how often to run what `make test` runs so many times."""
    return max(1, round(times * FACTOR))


def some(things: Sequence[T]) -> Sequence[T]:
    """Return all of a list in `make test`, every tenth in `make quick`."""
    return things[:: max(1, round(1 / FACTOR))]
