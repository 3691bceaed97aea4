"""What can be wrong with the data folder or the database, in words for the operator. Finds nothing out by itself."""

from __future__ import annotations


class StorageFailed(Exception):
    """The data cannot be reached or kept. `where` names a file or folder, `what` the matter, `remedy` what to do."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        super().__init__(f"{where}: {what} {remedy}")
        self.where = where
        self.what = what
        self.remedy = remedy


class FolderHeld(StorageFailed):
    """Another process owns the data folder."""
