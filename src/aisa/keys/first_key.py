"""The key that a server makes when it starts for the first time. Keeps nothing of it but what the store keeps."""

from __future__ import annotations

from aisa.errors import ApiError
from aisa.keys.store import KeyStore

FIRST_LABEL = "first"


def ensure_first_key(store: KeyStore) -> str | None:
    """Make a key if there has never been one, and return its secret, which nobody can get again; else None. Raises ApiError.

    Of servers that start on one database at once, one makes it.
    """
    try:
        return None if len(store) else store.create(FIRST_LABEL)[1]
    except ApiError as failure:
        if failure.param != "label":
            raise
        return None
