"""How much work the schemas and patterns of one request may cause. Counts; knows nothing of the work."""

from __future__ import annotations

WORK_MAX = 60_000  # schema parts looked at and characters written, for all choices of a request: a quarter of a second at most


class Exhausted(Exception):
    """The request asks for more work than is allowed."""


class Budget:
    """What is left of the work allowed for one request."""

    __slots__ = ("_left",)

    def __init__(self, work: int = WORK_MAX) -> None:
        self._left = work

    def spend(self) -> None:
        """Take one piece of work. Raises Exhausted when there is none left."""
        self._left -= 1
        if self._left < 0:
            raise Exhausted("it is too large or too deep for this model")
