"""What a request of another protocol asks for and chat completions have no words for. Whoever speaks that protocol may still be asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aisa.errors import CALLER, ApiError, UpstreamFailed

#: What a tool's result says that has nothing but pictures or files, which stand in a message of the user's behind all results.
SHOWN_BELOW = "What it returned is in the next message."


class Loss(NamedTuple):
    """Something that would be lost: where it stands, and what to do about it."""

    param: str
    message: str


def refuse_any(losses: Iterable[Loss]) -> None:
    """Do nothing if nothing would be lost. Raises UpstreamFailed for the first loss: another target may speak the client's protocol."""
    for loss in losses:
        error = ApiError("unsupported_parameter", loss.message, param=loss.param)
        raise UpstreamFailed(error, blame=CALLER, detail=loss.message)
