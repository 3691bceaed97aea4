"""What can be wrong with the data folder or the database, in words for the operator. Finds nothing out by itself."""

from __future__ import annotations

from pathlib import Path


class StorageFailed(Exception):
    """The data cannot be reached or kept. `where` names a file or folder, `what` the matter, `remedy` what to do.

    `code` is the error of whoever only wanted to read. Who wanted to write may have written, and must not be told to do it again.
    """

    code = "internal_error"

    def __init__(self, where: str, what: str, remedy: str) -> None:
        super().__init__(f"{where}: {what} {remedy}")
        self.where = where
        self.what = what
        self.remedy = remedy


class DatabaseAway(StorageFailed):
    """A database that is served does not answer, or not yet: it is asked again by itself."""

    code = "overloaded"


class FolderHeld(StorageFailed):
    """Another process owns the data folder."""


class DiskFull(StorageFailed):
    """There is no room for what a database needs to be opened."""


class NoData(StorageFailed):
    """There is no data in a folder, and so nobody who could be asked: in the same words for every command."""

    def __init__(self, data_dir: str) -> None:
        remedy = "Name the folder of one that has: --data-dir FOLDER. Or start one: aisa serve"
        super().__init__(str(Path(data_dir).absolute()), "There is no aisa data in this folder, and no server.", remedy)
