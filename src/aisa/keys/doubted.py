"""Keys that may be doubted: while nobody can know which of them still count, none is let in. Finds out nothing by itself."""

from __future__ import annotations

from aisa.errors import ApiError
from aisa.keys.port import AdminKeys, Keys
from aisa.keys.rules import AdminKey, Key


class DoubtedKeys:
    """Keys, and tokens of an identity provider; implements `keys.port.Keys`. While `doubted`, all are refused."""

    def __init__(self, keys: Keys) -> None:
        self.doubted = False
        self._keys = keys

    def verify(self, secret: str | None) -> Key:
        """Return the active key with this secret. Raises ApiError as `Keys.verify`; overloaded."""
        if self.doubted:
            raise nobody_knows()
        return self._keys.verify(secret)

    def again(self, key: Key, secret: str) -> Key:
        """Return the same of a secret that was `key`'s when it came before. Raises ApiError as `verify`."""
        if self.doubted:
            raise nobody_knows()
        return self._keys.again(key, secret)

    def known(self, secret: str | None) -> Key | None:
        """Return the key with this secret whatever its state, None if there is none."""
        return self._keys.known(secret)


class DoubtedAdminKeys:
    """The same of administrators' keys and tokens; implements `keys.port.AdminKeys`. Over the control socket no key is asked for."""

    def __init__(self, keys: AdminKeys) -> None:
        self.doubted = False
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def verify(self, secret: str | None) -> AdminKey:
        """Return the good key with this secret. Raises ApiError as `AdminKeys.verify`; overloaded."""
        if self.doubted:
            raise nobody_knows()
        return self._keys.verify(secret)

    def is_good(self, key: AdminKey) -> bool:
        """Say whether a key that was let in is good still."""
        return not self.doubted and self._keys.is_good(key)


def nobody_knows() -> ApiError:
    """Return the refusal of any key."""
    said = "This server has not been able to read its keys for a minute, and cannot know whether yours still counts. Try again soon."
    return ApiError("overloaded", said)
