"""The keys of this process: all in memory for the calls, all in the database to last. Knows no HTTP and prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from threading import Lock
from types import MappingProxyType

import msgspec
from sqlalchemy import func, insert, select, update

from aisa.clock import Chance, WallClock
from aisa.errors import ApiError
from aisa.keys import rules
from aisa.keys.accounts import AccountStore, add_account, writing
from aisa.keys.current import former_of, keep_secret, live, locked, not_revoked
from aisa.keys.labels import holder_of, refuse_taken
from aisa.keys.rules import ACTIVE, DEFAULT_ACCOUNT, NO_RATES, REVOKED, AdminKey, Key, KeyTerms, Rates, SpendCap, Team, Trace
from aisa.keys.teams import TeamStore, find_team, keys_in, row_of
from aisa.keys.unknown_secret import unknown_secret
from aisa.names import LABEL_CHARACTERS_MAX
from aisa.storage.changes import note_change
from aisa.storage.engine import Database
from aisa.storage.tables import accounts, key_changes, replaced_secrets
from aisa.storage.tables import keys as table

NOT_REPLACED = ("", 0)


class KeyStore:
    """The keys, on the database of a folder that this process owns. `chance` must be fit for secrets."""

    def __init__(self, database: Database, wall_clock: WallClock, chance: Chance) -> None:
        """Read every key; `change_number` is of the last change before, so that none between is missed. Raises StorageFailed."""
        self._database = database
        self._wall_clock = wall_clock
        self._chance = chance
        self._by_digest: dict[bytes, Key] = {}
        self._by_id: dict[str, Key] = {}
        self._by_label: dict[str, Key] = {}  # of those that are not revoked
        self._replaced: dict[bytes, tuple[str, int]] = {}  # a key's id, and the UNIX second until which its former secret is good
        self._former: dict[str, set[bytes]] = {}  # the same, by the key's id
        self._remembering = Lock()  # an administrator's thread and the one that follows other servers do
        #: Told of each change of a key, in whatever thread made it.
        self.changed: Callable[[Key], None] = lambda _key: None
        #: Told that nobody can know which keys still count, or that it is known again; and of admin keys that another server has changed.
        self.doubted: Callable[[bool], None] = lambda _doubted: None
        self.admin_changed: Callable[[AdminKey], object] = lambda _key: None
        with database.reading() as connection:
            self.change_number = int(connection.execute(select(func.max(key_changes.c.number))).scalar_one() or 0)
        self.accounts = AccountStore(database, wall_clock)
        self.teams = TeamStore(database, wall_clock=wall_clock, chance=chance, changed=self.remember_team)
        self.tiers = self.accounts.tiers
        self._disabled = self.accounts.disabled
        with database.reading() as connection:
            for key in keys_in(connection, connection.execute(select(table).order_by(table.c.created_at, table.c.id))):
                self.remember(key)
            for former, key_id, until in connection.execute(select(replaced_secrets)):
                self._replaced[former] = (key_id, until)
                self._former.setdefault(key_id, set()).add(former)

    def put_down(self) -> None:
        """Have every key in the database's file itself, as far as that can be now."""
        self._database.put_down()

    def __len__(self) -> int:
        return len(self._by_id)

    def verify(self, secret: str | None) -> Key:
        """Return the active key with this secret.

        Raises ApiError: missing_api_key, invalid_api_key (unknown or disabled), revoked_api_key, expired_api_key.
        """
        if not secret:
            raise ApiError("missing_api_key", "No API key was sent. Send the header `Authorization: Bearer <your key>`.")
        key = self.known(secret)
        if key is None:
            raise unknown_secret(secret)
        if self._replaced and self._is_replaced(key, secret):
            raise ApiError("revoked_api_key", f"This secret of the API key labelled {key.label!r} was replaced. Use the new one.")
        if key.state != ACTIVE or key.expires_at is not None:
            rules.verify_state(key, self._wall_clock())
        if key.account in self._disabled:
            raise ApiError("invalid_api_key", f"The account of the API key labelled {key.label!r} is disabled. Have that enabled.")
        return key

    def again(self, key: Key, secret: str) -> Key:
        """Return the same of a secret that was this key's before. A key that changes in any way is another value from then on."""
        unchanged = self._by_id.get(key.id) is key and not self._replaced
        good = unchanged and key.state == ACTIVE and key.expires_at is None and key.account not in self._disabled
        return key if good else self.verify(secret)

    def known(self, secret: str | None) -> Key | None:
        """Return the key with this secret, or that had it before, whatever its state; None if there is none."""
        digest = sha256((secret or "").encode("utf-8", "surrogatepass")).digest()
        key = self._by_digest.get(digest)
        if key is not None:
            return key if compare_digest(key.digest, digest) else None
        key_id, _ = self._replaced.get(digest, NOT_REPLACED)
        return self._by_id.get(key_id)

    def _is_replaced(self, key: Key, secret: str) -> bool:
        """Say whether a key's secret is a former one whose time is over."""
        digest = rules.digest(secret)
        return not compare_digest(key.digest, digest) and self._replaced.get(digest, NOT_REPLACED)[1] <= self._wall_clock()

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
        """Make a key and return it with its secret, which is kept nowhere. `expires_at` is a UNIX second.

        An account that is not there is made, without a limit; in place of one a team may be given, of which the key is then for good.
        Raises ApiError: invalid_request (label taken or unfit), internal_error (the database).
        """
        secret = rules.new_secret(self._chance)
        return self._add(
            label, rules.trace(secret), models=models, expires_at=expires_at, account=account, spend=spend, rates=rates
        ), secret

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
        """Take over a secret that clients already have, or one of which nobody has more than a trace; otherwise as `create`.

        Raises ApiError: invalid_request (label or secret taken or unfit), internal_error (the database).
        """
        given = secret if isinstance(secret, Trace) else rules.trace(rules.check_secret(secret))
        known = self._by_digest.get(given.digest) or self._by_id.get(self._replaced.get(given.digest, NOT_REPLACED)[0])
        if known is not None:
            raise rules.invalid("key", f"{rules.ALREADY_HERE}, labelled {known.label!r}.")
        return self._add(label, given, models=models, expires_at=expires_at, account=account, spend=spend, rates=rates)

    def list(self) -> list[Key]:
        """Return every key, the oldest first, revoked ones included."""
        return list(self._by_id.values())

    def find(self, name: str) -> Key:
        """Return the key with an id or a label: of several with one label the one that is not revoked, else the newest.

        Raises ApiError resource_not_found.
        """
        key = self._by_id.get(name) or self._by_label.get(name)
        key = key or next((known for known in reversed(self._by_id.values()) if known.label == name), None)
        if key is None:
            raise ApiError("resource_not_found", f"There is no key with the id or label {name!r}. `aisa keys list` shows them.")
        return key

    def with_id(self, id_: str) -> Key | None:
        """Return the key with an id, None if there is none."""
        return self._by_id.get(id_)

    def adopt(self, key: Key) -> None:
        """Keep the key of somebody who came with a token, under its id: it is listed and can be given terms. Once more does no harm.

        No secret leads to it. Its label has an end of its own where another key has that label. Raises ApiError as `create`.
        """
        if key.id in self._by_id or len(self) >= rules.KEYS_MAX:
            return
        nobodys = rules.digest(rules.new_secret(self._chance))
        with writing(self._database) as connection:
            if connection.execute(select(table.c.id).where(table.c.id == key.id)).first() is not None:
                return  # another server kept it just now, and it is followed
            taken = holder_of(connection, key.label) is not None
            label = f"{key.label[: LABEL_CHARACTERS_MAX - 7]}-{key.id[-6:]}" if taken else key.label
            kept = msgspec.structs.replace(key, label=label, digest=nobodys, created_at=int(self._wall_clock()), expires_at=None)
            connection.execute(insert(table).values(row_of(kept)))
            note_change(connection, key_id=kept.id)
        self.remember(kept)

    def update(self, id_or_label: str, terms: KeyTerms, *, known: Key | None = None) -> Key:
        """Give a key these terms instead of those that it had when it was `known`, or has here; those that stay are not touched.

        It counts from the next request on. What another server changes of the others meanwhile stays as well.
        Raises ApiError: resource_not_found, invalid_request (revoked, label taken or unfit), internal_error (the database).
        """
        key = not_revoked(known or self.find(id_or_label))
        values: dict[str, object] = {
            "label": rules.check_label(terms.label),
            "models": rules.check_models(terms.models),
            "expires_at": terms.expires_at,
            "spend_cap": None if terms.spend is None else terms.spend.amount,
            "spend_window": None if terms.spend is None else terms.spend.window,
            **rules.check_rates(terms.rates)._asdict(),
        }
        told = {name: value for name, value in values.items() if value != getattr(key, name)}
        return self._change(key, told) if told else key

    def set_state(self, id_or_label: str, state: str) -> Key:
        """Disable a key, or enable it again. Raises ApiError: resource_not_found, invalid_request (revoked), internal_error."""
        return self._change(self._live(id_or_label), {"state": state})

    def rotate(self, id_or_label: str, grace_seconds: int, secret: str | None = None) -> tuple[Key, str]:
        """Give a key another secret and return it; the one that it has stays good for so many seconds, and none before it for longer.

        Without a `secret` one is made. Raises ApiError: resource_not_found, invalid_request (revoked), internal_error (the database).
        """
        key, secret = self._live(id_or_label), secret or rules.new_secret(self._chance)
        until = int(self._wall_clock()) + grace_seconds
        with writing(self._database) as connection:
            key = live(connection, key)
            keep_secret(connection, key, until)
            connection.execute(update(table).where(table.c.id == key.id).values(digest=rules.digest(secret), hint=rules.hint(secret)))
            note_change(connection, key_id=key.id)
            former = former_of(connection, key)
        changed = msgspec.structs.replace(key, digest=rules.digest(secret), hint=rules.hint(secret))
        self.remember(changed, former)
        return changed, secret

    def revoke(self, id_or_label: str) -> Key:
        """Revoke a key for good, from the next request on; once more does no harm.

        Raises ApiError: resource_not_found, internal_error (the database).
        """
        key = self.current(id_or_label)
        return key if key.state == REVOKED else self._change(key, {"state": REVOKED})

    def current(self, id_or_label: str) -> Key:
        """Return a key as the database has it: what changes it must go by that. Raises as `find`, and internal_error (the database)."""
        known = self.find(id_or_label)
        with writing(self._database) as connection:
            key = locked(connection, known)
            former = former_of(connection, key)  # or clients with a secret that another server has just replaced would be refused
        if key != known:
            self.remember(key, former)
        return key if id_or_label in (key.id, key.label) else self.find(id_or_label)

    def _live(self, id_or_label: str) -> Key:
        return not_revoked(self.current(id_or_label))

    def _change(self, key: Key, values: dict[str, object]) -> Key:
        with writing(self._database) as connection:
            changed = msgspec.structs.replace(live(connection, key), **values)
            if changed.state != REVOKED:
                refuse_taken(connection, changed)
            connection.execute(update(table).where(table.c.id == key.id).values(**values))
            note_change(connection, key_id=key.id)
            former = former_of(connection, key)
        self.remember(changed, former)
        return changed

    def _add(
        self,
        label: str,
        given: Trace,
        *,
        models: tuple[str, ...] | None,
        expires_at: int | None,
        account: str | Team,
        spend: SpendCap | None,
        rates: Rates,
    ) -> Key:
        label = rules.check_label(label)
        taken = self._by_label.get(label)
        if taken is not None:
            raise rules.invalid("label", f"The label {label!r} is taken by {taken.id} ({taken.state}). Choose another one.")
        if len(self) >= rules.KEYS_MAX:
            raise rules.invalid("label", f"There are {rules.KEYS_MAX:,} keys, which is the most that one server keeps.")
        key = Key(
            id=self._new_id(),
            label=label,
            digest=given.digest,
            hint=given.hint,
            state=ACTIVE,
            created_at=int(self._wall_clock()),
            expires_at=expires_at,
            models=rules.check_models(models),
            account=account.account if isinstance(account, Team) else rules.check_account(account),
            spend_cap=None if spend is None else spend.amount,
            spend_window=None if spend is None else spend.window,
            **rules.check_rates(rates)._asdict(),
        )
        with writing(self._database) as connection:
            refuse_taken(connection, key)
            if isinstance(account, Team):
                key = msgspec.structs.replace(key, team=find_team(connection, account.id))
            if connection.execute(select(accounts).where(accounts.c.name == key.account)).first() is None:
                add_account(connection, key.account, created_at=key.created_at)
            connection.execute(insert(table).values(row_of(key)))
            note_change(connection, key_id=key.id)
        self.remember(key)
        return key

    def _new_id(self) -> str:
        id_ = rules.new_id(self._chance)
        while id_ in self._by_id:
            id_ = rules.new_id(self._chance)
        return id_

    def former(self, key_id: str) -> dict[bytes, int]:
        """Return the digests of a key's former secrets, and the UNIX second until which each is good."""
        return {digest: self._replaced[digest][1] for digest in tuple(self._former.get(key_id, ()))}

    def graces(self) -> dict[str, int]:
        """Return until when a former secret of a key is good still, as a UNIX second by the key's id, of those where one is."""
        now = self._wall_clock()
        running = [(until, key_id) for key_id, until in tuple(self._replaced.values()) if until > now]
        return {key_id: until for until, key_id in sorted(running)}

    def remember(self, key: Key, former: Mapping[bytes, int] = MappingProxyType({})) -> None:
        """Let a key count as it is in the database now, with what `former` says of its secrets."""
        with self._remembering:
            self._remember(key, former)

    def remember_team(self, team: Team) -> None:
        """Let a team count as it is now, with every key that is in it: of those all else stays as it is known."""
        for id_ in [key.id for key in self.list() if key.team is not None and key.team.id == team.id]:
            with self._remembering:
                self._remember(msgspec.structs.replace(self._by_id[id_], team=team), {})

    def _remember(self, key: Key, former: Mapping[bytes, int]) -> None:
        for digest, until in former.items():
            self._replaced[digest] = (key.id, until)
            self._former.setdefault(key.id, set()).add(digest)
        before = self._by_id.get(key.id)
        self._by_digest[key.digest] = self._by_id[key.id] = key  # first: calls look a key up while an administrator's thread is here
        if key.state != REVOKED:
            self._by_label[key.label] = key
        if before is not None and not compare_digest(before.digest, key.digest):
            self._by_digest.pop(before.digest, None)
        if before is not None and self._by_label.get(before.label) is before:
            del self._by_label[before.label]
        self.changed(key)
