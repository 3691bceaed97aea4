"""What the path of a call asks of the keys. Implemented by the SQL store; the path never waits for a database."""

from __future__ import annotations

from typing import Protocol

from aisa.keys.rules import Key


class Keys(Protocol):
    """The keys known to this process."""

    def verify(self, secret: str | None) -> Key:
        """Return the active key with this secret.

        Raises ApiError: missing_api_key, invalid_api_key (unknown or disabled), revoked_api_key, expired_api_key.
        """
        ...
