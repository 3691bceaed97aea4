"""What administrators are told of keys, as types: the plain key, and what the answer to each request has beside it. Finds nothing out."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from aisa.edge.admin_route import Listed
from aisa.money import Nanos


class TeamNamed(msgspec.Struct, frozen=True):
    """The team that a key is in."""

    id: str
    name: str


class KeyShown(msgspec.Struct, frozen=True, kw_only=True):
    """A key as all may see it who administer it: without its digest. Times are UNIX seconds, the cap is in nano-dollars.

    `former_secret_expires_at` is until when a secret is good that was replaced, None if none is.
    """

    id: str
    label: str
    hint: str
    state: str
    created_at: int
    expires_at: int | None
    models: tuple[str, ...] | None
    account: str
    spend_cap: Nanos | None
    spend_window: str | None
    rpm: int | None
    tpm: int | None
    concurrency: int | None
    team: TeamNamed | None
    former_secret_expires_at: int | None


class KeyListed(KeyShown, frozen=True, kw_only=True):
    """A key and, where that was asked for, how it stands: `spent` since the UNIX second `spent_since`, what is `left`, its last use."""

    spent_since: int | msgspec.UnsetType = msgspec.UNSET
    spent: Nanos | msgspec.UnsetType = msgspec.UNSET
    left: Nanos | msgspec.UnsetType | None = msgspec.UNSET
    last_used_ms: int | msgspec.UnsetType | None = msgspec.UNSET
    last_address: str | msgspec.UnsetType | None = msgspec.UNSET


class KeyList(Listed[KeyListed], frozen=True):
    """Keys, the oldest first."""


class KeyStanding(KeyListed, frozen=True, kw_only=True):
    """One key and how it stands, and the models that its cap does not count."""

    free_models: tuple[str, ...]


class KeyChanged(KeyShown, frozen=True, kw_only=True):
    """A key whose terms were changed, and the models that its cap does not count."""

    free_models: tuple[str, ...]


class KeyImported(KeyChanged, frozen=True, kw_only=True):
    """A key that was taken over; `account_made` says whether its account was made for it."""

    account_made: bool


class KeyRotated(KeyShown, frozen=True, kw_only=True):
    """A key, its new secret, which is shown this once, and its `Place`."""

    secret: str
    url: str | None
    example_model: str | None
    free_models: tuple[str, ...]


class KeyMade(KeyRotated, frozen=True, kw_only=True):
    """A new key; `account_made` says whether its account was made for it."""

    account_made: bool


More = TypeVar("More", bound=KeyShown)


def extended(key: KeyShown, shape: type[More], **more: Any) -> More:
    """Return a key with more about it."""
    return shape(**msgspec.structs.asdict(key), **more)
