"""What the operator at this machine may do with admin keys, as requests and answers in JSON. Never answered over the network.

| request | body | answer |
|---|---|---|
| `GET /admin-keys` | | 200, `{data: [key, ...]}` |
| `POST /admin-keys` | `{label, scope}` | 201, the key and `secret`, which is shown this once |
| `POST /admin-keys/{id or label}/revoke` | | 200, the key |
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from aisa.edge.admin_route import Answering, Asked, Listed, Note, Result, act, change, look, read
from aisa.edge.routes import Route
from aisa.facts import KeysChanged
from aisa.keys.port import AdminKeys
from aisa.keys.rules import AdminKey


class AdminKeyAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A new admin key."""

    label: str
    scope: str


class AdminKeyShown(msgspec.Struct, frozen=True):
    """An admin key without its digest. Times are UNIX seconds."""

    id: str
    label: str
    hint: str
    scope: str
    created_at: int
    revoked_at: int | None = None


class AdminKeyMade(AdminKeyShown, frozen=True, kw_only=True):
    """A new admin key and its secret, which is shown this once."""

    secret: str


class AdminKeyList(Listed[AdminKeyShown], frozen=True):
    """Admin keys, the oldest first."""


class AdminKeyRing(AdminKeys, Protocol):
    """The admin keys as whoever makes them sees them. All raise ApiError."""

    def create(self, label: str, scope: str) -> tuple[AdminKey, str]:
        """Make a key and return it with its secret."""
        ...

    def list(self) -> list[AdminKey]:
        """Return every key, the oldest first."""
        ...

    def find(self, name: str) -> AdminKey:
        """Return the key of this id or label."""
        ...

    def revoke(self, name: str) -> AdminKey:
        """Revoke a key for good."""
        ...


class AdminKeyRoutes:
    """The routes on admin keys."""

    def __init__(self, keys: AdminKeyRing, note: Note) -> None:
        self._keys = keys
        self._note = note

    def routes(self) -> tuple[Route[Answering], ...]:
        """Return what is answered."""
        return (
            look("/admin-keys", lambda _asked: (200, AdminKeyList(data=[shown(key) for key in self._keys.list()]))),
            change("/admin-keys", self._create),
            act("/admin-keys/{name}/revoke", self._revoke),
        )

    def _create(self, asked: Asked) -> Result:
        wanted = read(asked.body, AdminKeyAsked)
        key, secret = self._keys.create(wanted.label, wanted.scope)
        self._note(KeysChanged("admin key created", key.id, key.label), None, shown(key))
        return 201, AdminKeyMade(**msgspec.structs.asdict(shown(key)), secret=secret)

    def _revoke(self, asked: Asked) -> Result:
        before = self._keys.find(asked.name)
        key = self._keys.revoke(before.id)
        self._note(KeysChanged("admin key revoked", key.id, key.label), shown(before), shown(key))
        return 200, shown(key)


def shown(key: AdminKey) -> AdminKeyShown:
    """Return what may be shown of a key."""
    return msgspec.convert(key, AdminKeyShown, from_attributes=True)
