"""Keys that may be doubted: while nobody can know which of them still count, none is let in. Finds out nothing by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from aisa.errors import ApiError
from aisa.keys.port import AdminKeys, Keys
from aisa.keys.rules import AdminKey, Key


class DoubtedKeys:
    """Keys, and tokens of an identity provider; implements `keys.port.Keys`. A call pays nothing for it."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.known = keys.known
        self.verify: Callable[[str | None], Key] = keys.verify
        self.again: Callable[[Key, str], Key] = keys.again

    def doubt(self, doubted: bool) -> None:
        """Refuse all of them, or let them in as before."""
        self.verify = refuse if doubted else self._keys.verify
        self.again = refuse_again if doubted else self._keys.again


class DoubtedAdminKeys:
    """The same of administrators' keys and tokens; implements `keys.port.AdminKeys`. Over the control socket no key is asked for."""

    def __init__(self, keys: AdminKeys) -> None:
        self._keys = keys
        self.is_good: Callable[[AdminKey], bool] = keys.is_good
        self.verify: Callable[[str | None], AdminKey] = keys.verify

    def doubt(self, doubted: bool) -> None:
        """Refuse all of them, or let them in as before."""
        self.verify = refuse if doubted else self._keys.verify
        self.is_good = is_good_never if doubted else self._keys.is_good

    def __len__(self) -> int:
        return len(self._keys)


def refuse(_secret: str | None) -> NoReturn:
    """Refuse any key. Raises ApiError overloaded."""
    said = "This server has not been able to read its keys for a minute, and cannot know whether yours still counts. Try again soon."
    raise ApiError("overloaded", said)


def refuse_again(_key: Key, secret: str) -> NoReturn:
    """Refuse one that was let in before. Raises ApiError overloaded."""
    refuse(secret)


def is_good_never(_key: AdminKey) -> bool:
    """Say of none that it is good."""
    return False
