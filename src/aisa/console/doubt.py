"""Forms of which nobody knows whether they are done, because an answer can be lost behind a change. Says so; `sessions` remembers them."""

from __future__ import annotations

from aisa.console.sessions import Notice
from aisa.edge.admin import DONE
from aisa.errors import ApiError

IN_DOUBT = "It may have been done all the same: look whether it was. This form is not taken a second time; open the page anew to repeat it."
AGAIN_DONE = "This form was sent before, and done. It was not done a second time."
AGAIN_IN_DOUBT = (
    "This form was sent before, and what became of it is not known: look here whether it is done. It was not done a second time; to have "
    "it done, fill in the form of this page."
)
SERVER_FAILED = 500  # the status from which on an error may hide a change


def hides_change(error: ApiError) -> bool:
    """Say whether what was asked may be done in spite of an error."""
    return error.status >= SERVER_FAILED


def doubted(error: ApiError) -> ApiError:
    """Return an error that may hide a change with words for whoever would repeat it."""
    if error.message.startswith(DONE):
        return error
    return ApiError(error.code, f"{error.message} {IN_DOUBT}", param=error.param, retry_after=error.retry_after)


def sent_again(*, done: bool) -> Notice:
    """Return what is told of a form that was sent before."""
    return Notice("good" if done else "bad", AGAIN_DONE if done else AGAIN_IN_DOUBT)
