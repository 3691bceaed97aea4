"""A failure that a vendor reports inside its answer, or an answer that makes no sense. Does not judge it."""

from __future__ import annotations

from aisa.wire.keyed_lists import choices_of
from aisa.wire.trees import Tree, is_list, is_tree


class VendorError(Exception):
    """The vendor failed inside its answer; `report` is its error value, or the part of the answer that holds it."""

    def __init__(self, report: object) -> None:
        super().__init__("the vendor reported an error")
        self.report = report


class Unintelligible(VendorError):
    """The answer makes no sense; `report` says in words what is wrong with it."""


#: Members by which an object without choices is a refusal.
BARE = ("message", "detail", "msg", "error_msg", "error_message")
NO_CODES = ("", "0", "none", "null", "success", "ok")


def error_in(tree: Tree) -> object:
    """Return the failure that an answer, or a chunk of one, is or carries; None if there is none.

    It stands in `error`, `errors` or `base_resp`, at the top or in a choice or in what that says, whatever else the answer has. A code of
    0 is no error.
    """
    groq = tree.get("x_groq")
    choices = choices_of(tree)
    said = [inner for choice in choices for name in ("delta", "message") if is_tree(inner := choice.get(name))]
    holders = [tree, groq if is_tree(groq) else {}, *choices, *said]
    for holder in holders:
        for name in ("error", "errors"):
            if is_error(holder.get(name)):
                return with_status(holder[name], holder.get("status_code"))
    response = tree.get("base_resp")
    if is_tree(response) and has_code(response.get("status_code")):
        return {"base_resp": response}
    return tree if "choices" not in tree and any(name in tree for name in BARE) else None


def with_status(error: object, status: object) -> object:
    """Return an error with the status that stands beside it, where it is not in it (Cerebras)."""
    return {"status_code": status, **error} if is_tree(error) and type(status) is int else error


def is_error(value: object) -> bool:
    """Tell whether the value of an `error` member is one."""
    if is_list(value):
        return any(is_error(item) for item in value)
    if is_tree(value):
        given = [value[name] for name in ("code", "status_code", "error_code") if value.get(name) not in (None, "")]
        return any(value.values()) and (not given or any(has_code(code) for code in given))
    return bool(value)


def has_code(code: object) -> bool:
    """Tell whether a code says that something failed: a number other than 0, or a word."""
    return not isinstance(code, bool) and str(code).strip().lower().removesuffix(".0") not in NO_CODES


def refuse_errors(tree: Tree) -> None:
    """Raise VendorError if a chunk is, or carries, a failure."""
    report = error_in(tree)
    if report is not None:
        raise VendorError(report)
