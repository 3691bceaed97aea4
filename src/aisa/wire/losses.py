"""What comes to light while a request of another protocol is read as a chat completion: what that cannot say, and what came from where.

Whoever speaks the request's own protocol may still be asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.wire.trees import Tree

#: What a tool's result says that has nothing but pictures or files, which stand in a message of the user's behind all results.
SHOWN_BELOW = "What it returned is in the next message."


class Loss(NamedTuple):
    """Something that would be lost: where it stands, and what to do about it."""

    param: str
    message: str


class Losses(list[Loss]):
    """What would be lost of one request. Whoever reads it says where each thing came from that it writes; here nobody wants to know."""

    def came(self, written: list[Tree], _at: str) -> list[Tree]:
        """Take note that these messages, parts, calls or tools came from a place, unless one is known; return them."""
        return written


class Traced(Losses):
    """The same of a request that is read once more to know this."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[int, tuple[Tree, str]] = {}  # with what has the place, so that nothing else gets its number

    def came(self, written: list[Tree], _at: str) -> list[Tree]:
        """Take note that these came from a place, unless one is known; return them."""
        for each in written:
            self._places.setdefault(id(each), (each, _at))
        return written

    def place(self, written: object) -> str:
        """Return where something came from, nothing if it was not said."""
        return self._places.get(id(written), (None, ""))[1]


def refuse_any(losses: Iterable[Loss]) -> None:
    """Do nothing if nothing would be lost. Raises UpstreamFailed for the first loss: another target may speak the client's protocol."""
    for loss in losses:
        error = ApiError("unsupported_parameter", loss.message, param=loss.param)
        failed = UpstreamFailed(error, blame=CALLER, detail=loss.message)
        failed.is_home = True
        raise failed
