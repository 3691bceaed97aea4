"""The key that a server makes when it starts for the first time. Keeps nothing of it but what the store keeps."""

from __future__ import annotations

from pathlib import Path

from aisa.clock import Chance
from aisa.errors import ApiError
from aisa.keys.rules import ACTIVE, digest, new_secret, trace
from aisa.keys.store import KeyStore
from aisa.storage.failure import StorageFailed

FIRST_LABEL = "first"
UNTOLD_NAME = "first-key-untold"  # of the data folder: SHA-256s of secrets that were made for the key, until one of them was told


def ensure_first_key(store: KeyStore, folder: Path, chance: Chance) -> str | None:
    """Make a key if there has never been one, and return its secret, which nobody can get again; else None.

    Of servers that start on one database at once, one makes it. A start that went away before it `told` of the key has left one whose
    secret nobody knows: it gets another, unless somebody has given it one since. Raises ApiError, and StorageFailed where the folder takes
    no file.
    """
    untold, secret = folder / UNTOLD_NAME, new_secret(chance)
    lost = [key for key in store.list()[:1] if key.state == ACTIVE and untold.exists() and key.digest.hex() in untold.read_text().split()]
    if len(store) and not lost:
        return None
    try:
        with untold.open("a") as file:  # before the key has it; what it had until then stands there too
            file.write(f"{digest(secret).hex()}\n")
    except OSError as error:
        raise not_kept(untold, error) from error
    if lost:
        return store.rotate(lost[0].id, 0, secret)[1]
    try:
        store.import_key(FIRST_LABEL, trace(secret))
    except ApiError as failure:
        if failure.param != "label":
            raise
        told(folder)
        return None
    store.put_down()
    return secret


def not_kept(path: Path, error: OSError) -> StorageFailed:
    """Return the failure of a start that cannot write what is about the first key, such as on a full disk."""
    remedy = "Free some space, or see who may write there, and start again: the first key is shown then."
    return StorageFailed(str(path), f"The file of the first key cannot be written: {error.strerror}.", remedy)


def told(folder: Path) -> None:
    """Note that the operator has the first key, or can have it."""
    (folder / UNTOLD_NAME).unlink(missing_ok=True)
