"""Whether the files of a data folder that a server has open still are those that lie there. Opens nothing, and does nothing about it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


class OpenFiles:
    """Files that were opened by their names and are to stay: of `names` in a folder those that are there when this is made."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        """Look which files they are. Raises OSError if that cannot be told."""
        self.folder = folder.absolute()
        self._known: dict[str, tuple[int, int]] = {}
        for name in names:
            found = which(self.folder / name)
            if found is not None:
                self._known[name] = found

    def lost(self) -> str | None:
        """Return the name of a file that is gone, or is another one by now; None if all are in their places. Raises OSError."""
        return next((name for name, known in self._known.items() if which(self.folder / name) != known), None)


def which(path: Path) -> tuple[int, int] | None:
    """Return which file has a name, as its device and its number there, None if none has it. Raises OSError if that cannot be told."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
