"""What others ask of the keys. Implemented by the store; the path of a call never waits for a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import UNSET, UnsetType

from aisa.keys.rules import DEFAULT_ACCOUNT, NO_RATES, Account, AdminKey, Key, KeyTerms, Rates, SpendCap, Team, Trace


class Keys(Protocol):
    """The keys known to this process, as the path of a call sees them."""

    def verify(self, secret: str | None) -> Key:
        """Return the active key with this secret.

        Raises ApiError: missing_api_key, invalid_api_key (unknown or disabled), revoked_api_key, expired_api_key.
        """
        ...

    def again(self, key: Key, secret: str) -> Key:
        """Return the same as `verify` of a secret that was `key`'s when it came before, with less ado while nothing has changed."""
        ...

    def known(self, secret: str | None) -> Key | None:
        """Return the key with this secret whatever its state, None if there is none: to say whose request was refused."""
        ...


class ChangeKept(msgspec.Struct, frozen=True):
    """One change: at a UNIX millisecond, by an admin key's label and id or by `operator`, from an address if it came over the network.

    `action` is the request, `what` the kind of change; `before` and `after` are what was changed, as JSON.
    """

    id: int
    at_ms: int
    actor: str
    address: str | None
    action: str
    what: str
    before: msgspec.Raw | None = None
    after: msgspec.Raw | None = None


class AdminKeys(Protocol):
    """The admin keys as the admin API's gate sees them."""

    def verify(self, secret: str | None) -> AdminKey:
        """Return the good key with this secret. Raises ApiError: missing_api_key, invalid_api_key, revoked_api_key."""
        ...

    def is_good(self, key: AdminKey) -> bool:
        """Say whether a key that was let in is good still."""
        ...

    def __len__(self) -> int:
        """How many could be let in."""
        ...


class KeyRing(Keys, Protocol):
    """The keys as their administrator sees them. Changes count from the next request on, and are on disk when a method returns.

    All raise ApiError invalid_request for what breaks a rule, internal_error when the database does not work.
    """

    def create(
        self,
        label: str,
        *,
        models: tuple[str, ...] | None = None,
        expires_at: int | None = None,
        account: str | Team = DEFAULT_ACCOUNT,
        spend: SpendCap | None = None,
        rates: Rates = NO_RATES,
    ) -> tuple[Key, str]:
        """Make a key and return it with its secret, which nobody can get again. `expires_at` is a UNIX second.

        An account that is not there is made, without a limit; in place of one a team may be given, of which the key is then for good.
        """
        ...

    def import_key(
        self,
        label: str,
        secret: str | Trace,
        *,
        models: tuple[str, ...] | None = None,
        expires_at: int | None = None,
        account: str | Team = DEFAULT_ACCOUNT,
        spend: SpendCap | None = None,
        rates: Rates = NO_RATES,
    ) -> Key:
        """Take over a secret that clients already have, or one of which nobody has more than a trace; otherwise as `create`."""
        ...

    def list(self) -> list[Key]:
        """Return every key, the oldest first, revoked ones included."""
        ...

    @property
    def accounts(self) -> AccountRing:
        """The accounts that the keys belong to."""
        ...

    @property
    def teams(self) -> TeamRing:
        """The teams that some of the keys are in."""
        ...

    @property
    def tiers(self) -> Mapping[str, str]:
        """The tiers of the accounts that were given one, by the account's name."""
        ...

    def find(self, name: str) -> Key:
        """Return the key with an id or a label: of several with one label the one that is not revoked, else the newest.

        Raises ApiError resource_not_found.
        """
        ...

    def current(self, id_or_label: str) -> Key:
        """Return the same as the database has it now: what changes a key must go by that. Raises ApiError resource_not_found."""
        ...

    def update(self, id_or_label: str, terms: KeyTerms, *, known: Key | None = None) -> Key:
        """Give a key these terms instead of those that it has, or had when it was `known`: what is the same stays as it is now.

        Raises ApiError resource_not_found; a revoked key does not change.
        """
        ...

    def set_state(self, id_or_label: str, state: str) -> Key:
        """Make a key ACTIVE or DISABLED. Raises ApiError resource_not_found; a revoked key does not change."""
        ...

    def rotate(self, id_or_label: str, grace_seconds: int) -> tuple[Key, str]:
        """Give a key another secret and return it; the one that it has stays good for so many seconds, and none before it for longer.

        Raises ApiError resource_not_found; a revoked key does not change.
        """
        ...

    def graces(self) -> Mapping[str, int]:
        """Return until when a former secret of a key is good still, as a UNIX second by the key's id, of those where one is."""
        ...

    def revoke(self, id_or_label: str) -> Key:
        """Revoke a key for good; once more does no harm. Raises ApiError resource_not_found."""
        ...


class TeamRing(Protocol):
    """The teams that keys may be in. Changes count from the next request on, and are on disk when a method returns.

    All raise ApiError: resource_not_found for a team that is not there, invalid_request for what breaks a rule, internal_error when the
    database does not work.
    """

    def list(self) -> list[Team]:
        """Return every team, by account and name."""
        ...

    def find(self, name: str, account: str | None = None) -> Team:
        """Return the team with an id, or a name, in an account if that is given."""
        ...

    def create(self, account: str, name: str, spend: SpendCap | None = None) -> Team:
        """Make a team; an account that is not there is made, without a limit."""
        ...

    def update(self, team_id: str, *, name: str | UnsetType = UNSET, spend: SpendCap | UnsetType | None = UNSET) -> Team:
        """Give a team this name, this cap, or both, instead of those that it has; what is not named stays."""
        ...


class AccountRing(Protocol):
    """The accounts that keys belong to. Changes count from the next request on, and are on disk when a method returns.

    All raise ApiError: resource_not_found for an account that is not there, invalid_request for what breaks a rule, internal_error when the
    database does not work.
    """

    def account(self, name: str) -> Account:
        """Return an account as it is."""
        ...

    def create_account(self, name: str, tier: str | None = None) -> Account:
        """Make an account, without a limit on money."""
        ...

    def set_tier(self, name: str, tier: str | None) -> Account:
        """Give an account another tier, None for the configuration's default."""
        ...

    def set_account_state(self, name: str, state: str) -> Account:
        """Enable or disable an account: none of the keys of a disabled one is let in."""
        ...
