"""The keys of this process: all in memory for the calls, all in the database to last. Knows no HTTP and prints nothing."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest

import msgspec
from sqlalchemy import insert, select, update

from aisa.clock import Chance, WallClock
from aisa.errors import ApiError
from aisa.keys import rules
from aisa.keys.accounts import AccountStore, add_account, writing
from aisa.keys.rules import ACTIVE, DEFAULT_ACCOUNT, NO_RATES, REVOKED, Key, Rates, SpendCap
from aisa.storage.engine import Database
from aisa.storage.tables import accounts
from aisa.storage.tables import keys as table

KEYS_MAX = 100_000  # some 70 MB in memory and a second and a half to read; more needs a store that does not hold them all
FIRST_LABEL = "first"


class KeyStore:
    """The keys, on the database of a folder that this process owns. `chance` must be fit for secrets."""

    def __init__(self, database: Database, wall_clock: WallClock, chance: Chance) -> None:
        """Read every key. Raises StorageFailed."""
        self._database = database
        self._wall_clock = wall_clock
        self._chance = chance
        self._by_digest: dict[bytes, Key] = {}
        self._by_name: dict[str, Key] = {}  # by id and by label; no label looks like an id
        self.accounts = AccountStore(database, wall_clock)
        self.tiers = self.accounts.tiers
        self._disabled = self.accounts.disabled
        with database.transaction() as connection:
            for row in connection.execute(select(table).order_by(table.c.created_at, table.c.id)):
                self._remember(msgspec.convert(row, Key, from_attributes=True, builtin_types=(bytes,)))

    def __len__(self) -> int:
        return len(self._by_digest)

    def verify(self, secret: str | None) -> Key:
        """Return the active key with this secret.

        Raises ApiError: missing_api_key, invalid_api_key (unknown or disabled), revoked_api_key, expired_api_key.
        """
        if not secret:
            raise ApiError("missing_api_key", "No API key was sent. Send the header `Authorization: Bearer <your key>`.")
        key = self.known(secret)
        if key is None:
            raise _unknown(secret)
        if key.state != ACTIVE or key.expires_at is not None:
            rules.verify_state(key, self._wall_clock())
        if key.account in self._disabled:
            raise ApiError("invalid_api_key", f"The account of the API key labelled {key.label!r} is disabled.")
        return key

    def known(self, secret: str | None) -> Key | None:
        """Return the key with this secret whatever its state, None if there is none."""
        digest = sha256((secret or "").encode("utf-8", "surrogatepass")).digest()
        key = self._by_digest.get(digest)
        return key if key is not None and compare_digest(key.digest, digest) else None

    def create(
        self,
        label: str,
        *,
        models: tuple[str, ...] | None = None,
        expires_at: int | None = None,
        account: str = DEFAULT_ACCOUNT,
        spend: SpendCap | None = None,
        rates: Rates = NO_RATES,
    ) -> tuple[Key, str]:
        """Make a key and return it with its secret, which is kept nowhere. `expires_at` is a UNIX second.

        An account that is not there is made, without a limit. Raises ApiError: invalid_request (label taken or unfit), internal_error
        (the database).
        """
        secret = rules.new_secret(self._chance)
        return self._add(label, secret, models=models, expires_at=expires_at, account=account, spend=spend, rates=rates), secret

    def import_key(
        self,
        label: str,
        secret: str,
        *,
        models: tuple[str, ...] | None = None,
        expires_at: int | None = None,
        account: str = DEFAULT_ACCOUNT,
        spend: SpendCap | None = None,
        rates: Rates = NO_RATES,
    ) -> Key:
        """Take over a secret that clients already have; otherwise as `create`.

        Raises ApiError: invalid_request (label or secret taken or unfit), internal_error (the database).
        """
        known = self._by_digest.get(rules.digest(rules.check_secret(secret)))
        if known is not None:
            raise rules.invalid("key", f"This key is already here, labelled {known.label!r}.")
        return self._add(label, secret, models=models, expires_at=expires_at, account=account, spend=spend, rates=rates)

    def list(self) -> list[Key]:
        """Return every key, the oldest first, revoked ones included."""
        return list(self._by_digest.values())

    def limit(self, id_or_label: str, rates: Rates) -> Key:
        """Give a key these limits of its own, from the next request on, instead of those that it has.

        Raises ApiError: resource_not_found, invalid_request, internal_error (the database).
        """
        return self._change(self._named(id_or_label), dict(rules.check_rates(rates)._asdict()))

    def revoke(self, id_or_label: str) -> Key:
        """Revoke a key for good, from the next request on; once more does no harm.

        Raises ApiError: resource_not_found, internal_error (the database).
        """
        key = self._named(id_or_label)
        return key if key.state == REVOKED else self._change(key, {"state": REVOKED})

    def _named(self, id_or_label: str) -> Key:
        key = self._by_name.get(id_or_label)
        if key is None:
            raise ApiError("resource_not_found", f"There is no key with the id or label {id_or_label!r}. `aisa keys list` shows them.")
        return key

    def _change(self, key: Key, values: dict[str, object]) -> Key:
        with writing(self._database) as connection:
            connection.execute(update(table).where(table.c.id == key.id).values(**values))
        changed = msgspec.structs.replace(key, **values)
        self._remember(changed)
        return changed

    def _add(
        self,
        label: str,
        secret: str,
        *,
        models: tuple[str, ...] | None,
        expires_at: int | None,
        account: str,
        spend: SpendCap | None,
        rates: Rates,
    ) -> Key:
        label = rules.check_label(label)
        taken = self._by_name.get(label)
        if taken is not None:
            raise rules.invalid("label", f"The label {label!r} is taken by {taken.id} ({taken.state}). Choose another one.")
        if len(self) >= KEYS_MAX:
            raise rules.invalid("label", f"There are {KEYS_MAX:,} keys, which is the most that one server keeps.")
        key = Key(
            id=self._new_id(),
            label=label,
            digest=rules.digest(secret),
            hint=rules.hint(secret),
            state=ACTIVE,
            created_at=int(self._wall_clock()),
            expires_at=expires_at,
            models=rules.check_models(models),
            account=rules.check_account(account),
            spend_cap=None if spend is None else spend.amount,
            spend_window=None if spend is None else spend.window,
            **rules.check_rates(rates)._asdict(),
        )
        with writing(self._database) as connection:
            if connection.execute(select(accounts).where(accounts.c.name == key.account)).first() is None:
                add_account(connection, key.account, created_at=key.created_at)
            connection.execute(insert(table).values(msgspec.structs.asdict(key)))
        self._remember(key)
        return key

    def _new_id(self) -> str:
        id_ = rules.new_id(self._chance)
        while id_ in self._by_name:
            id_ = rules.new_id(self._chance)
        return id_

    def _remember(self, key: Key) -> None:
        self._by_digest[key.digest] = self._by_name[key.id] = self._by_name[key.label] = key


def ensure_first_key(store: KeyStore) -> str | None:
    """Make a key if there has never been one, and return its secret, which nobody can get again; else None. Raises ApiError."""
    return None if len(store) else store.create(FIRST_LABEL)[1]


def _unknown(secret: str) -> ApiError:
    if secret.startswith(rules.PREFIX) and not rules.is_well_formed(secret):
        return ApiError("invalid_api_key", "The API key is mistyped or cut: its checksum does not fit.")
    return ApiError("invalid_api_key", "The API key is not one of this server's.")
