"""Tokens of an identity provider in place of keys: for calls and for administration. How one is proven is in `tokens.py`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import msgspec

from aisa.clock import WallClock
from aisa.errors import ApiError
from aisa.identity import rules
from aisa.identity.port import Proven, Prover
from aisa.identity.rules import looks_like_token
from aisa.keys.port import AdminKeys, Keys
from aisa.keys.rules import ACTIVE, KEYS_MAX, AdminKey, Key, state_at, verify_state

ADOPT_AGAIN_SECONDS = 60.0  # after which somebody whose key could not be kept, as the database was away, is told of again


class KnownKeys(Keys, Protocol):
    """The keys of a server as tokens need them."""

    def with_id(self, id_: str) -> Key | None:
        """Return the key with an id, None if there is none."""
        ...


class TokenKeys:
    """The keys of a server, and tokens besides; implements `keys.port.Keys`.

    Who comes with a token for the first time is told to `adopt`, which may keep a key of his: its state, models, cap and limits then count
    for him, whose account is that of his token. As long as there is none he is told of again. `disabled` are the names of accounts that
    are.
    """

    def __init__(
        self, keys: KnownKeys, tokens: Prover, *, disabled: Collection[str], adopt: Callable[[Key], None], wall_clock: WallClock
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._disabled = disabled
        self._adopt = adopt
        self._wall_clock = wall_clock
        self._met: dict[str, float] = {}  # of whom `adopt` was told, and when last: no more than keys may be

    def verify(self, secret: str | None) -> Key:
        """Return the active key with this secret, or that of a good token. Raises ApiError as `Keys.verify`, and as `Prover.prove`."""
        if secret is None or not looks_like_token(secret) or self._keys.known(secret) is not None:
            return self._keys.verify(secret)
        key = self._of(self._tokens.prove(secret))
        verify_state(key, self._wall_clock())
        if key.account in self._disabled:
            raise ApiError("invalid_api_key", f"The account {key.account!r} of this token is disabled. Have that enabled.")
        self.meet(key)
        return key

    def meet(self, key: Key) -> None:
        """Take note that somebody came, whose key this would be: it is kept if it is not yet."""
        met, now = self._met.get(key.id), self._wall_clock()
        if len(self._met) < KEYS_MAX if met is None else self._keys.with_id(key.id) is None and abs(now - met) >= ADOPT_AGAIN_SECONDS:
            self._met[key.id] = now
            self._adopt(key)

    def is_out(self, key_id: str) -> bool:
        """Say whether somebody was put out: the key of his that is kept is not good."""
        kept = self._keys.with_id(key_id)
        return kept is not None and state_at(kept, self._wall_clock()) != ACTIVE

    def again(self, key: Key, secret: str) -> Key:
        """Return the same as `verify`: a token has its time, and a key is asked for by its store."""
        return self.verify(secret) if looks_like_token(secret) else self._keys.again(key, secret)

    def known(self, secret: str | None) -> Key | None:
        """Return the key with this secret whatever its state, or that of a token that was proven once; None if there is none."""
        proven = None if secret is None or not looks_like_token(secret) else self._tokens.known(secret)
        if proven is None:
            return self._keys.known(secret)
        try:
            return self._of(proven)
        except ApiError:
            return None

    def _of(self, proven: Proven) -> Key:
        """Return the key of a token's owner. Raises ApiError insufficient_permissions."""
        key = rules.key_of(self._tokens.settings, proven.claims, proven.digest)
        kept = self._keys.with_id(key.id)
        return key if kept is None else msgspec.structs.replace(kept, account=key.account)


class TokenAdminKeys:
    """The admin keys of a server, and tokens besides; implements `keys.port.AdminKeys`.

    Whoever comes with a token is one of the `people` who call, so that he is listed: who was put out there administers nothing either.
    """

    def __init__(self, keys: AdminKeys, tokens: Prover, people: TokenKeys) -> None:
        self._keys = keys
        self._tokens = tokens
        self._people = people

    def __len__(self) -> int:
        """How many are good: one at least, as somebody may come with a token."""
        return len(self._keys) + 1

    def verify(self, secret: str | None) -> AdminKey:
        """Return the good key with this secret, or what a token may do. Raises ApiError."""
        if secret is None or not looks_like_token(secret):
            return self._keys.verify(secret)
        proven = self._tokens.prove(secret)
        found = rules.admin_key_of(self._tokens.settings, proven.claims, proven.digest)
        person = rules.listed_key_of(self._tokens.settings, proven.claims, proven.digest)
        if self._people.is_out(person.id):
            raise ApiError("insufficient_permissions", f"The key of {person.label!r} is not active, so his tokens give no right here.")
        self._people.meet(person)
        return found

    def is_good(self, key: AdminKey) -> bool:
        """Say whether a key that was let in is good still, or the token that came for one has not ended, and he was not put out."""
        if self._tokens.is_good(key.digest):
            return not self._people.is_out(rules.key_id_of(key))
        return self._keys.is_good(key)
