"""A failure that a vendor reports inside its answer, or an answer that makes no sense. Does not judge it."""

from __future__ import annotations


class VendorError(Exception):
    """The vendor failed inside its answer; `report` is its error value."""

    def __init__(self, report: object) -> None:
        super().__init__("the vendor reported an error")
        self.report = report


class Unintelligible(VendorError):
    """The answer makes no sense; `report` says in words what is wrong with it."""
