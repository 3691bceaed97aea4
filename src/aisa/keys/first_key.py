"""The key that a server makes when it starts for the first time. Keeps nothing of it but what the store keeps."""

from __future__ import annotations

from pathlib import Path

from aisa.errors import ApiError
from aisa.keys.rules import ACTIVE
from aisa.keys.store import KeyStore

FIRST_LABEL = "first"
UNTOLD_NAME = "first-key-untold"  # of the data folder: it is there from before the key is made until its secret was told


def ensure_first_key(store: KeyStore, folder: Path) -> str | None:
    """Make a key if there has never been one, and return its secret, which nobody can get again; else None.

    Of servers that start on one database at once, one makes it. A start that went away before it `told` of the key has left one whose
    secret nobody knows: it gets another. Raises ApiError, and OSError where the folder takes no file.
    """
    untold = folder / UNTOLD_NAME
    if len(store):
        return store.rotate(FIRST_LABEL, 0)[1] if untold.exists() and is_as_made(store) else None
    untold.touch()
    try:
        return store.create(FIRST_LABEL)[1]
    except ApiError as failure:
        if failure.param != "label":
            raise
        told(folder)
        return None


def told(folder: Path) -> None:
    """Note that the operator has the first key, or can have it."""
    (folder / UNTOLD_NAME).unlink(missing_ok=True)


def is_as_made(store: KeyStore) -> bool:
    """Say whether the first key is as a start has left it: nobody has taken it in hand since."""
    first = store.list()[0]
    return (first.label, first.state) == (FIRST_LABEL, ACTIVE)
