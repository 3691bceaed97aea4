"""The store of keys: what it lets in, what it keeps, and that memory and disk agree."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from sqlalchemy import text

from aisa.errors import ApiError
from aisa.keys.first_key import UNTOLD_NAME, ensure_first_key, told
from aisa.keys.port import KeyRing
from aisa.keys.rules import KeyTerms, Rates, SpendCap, digest, terms_of
from aisa.keys.store import KeyStore
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.migrate import migrate
from aisa.storage.postgres import open_postgres
from postgres_rig import Postgres, needs_postgres, sqlite_only
from server import Server

CHANCE = random.Random(77)


class ManualClock:
    """A wall clock that is set by hand, in UNIX seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def database(opened: Database) -> Database:
    """A fresh database."""
    return opened


@pytest.fixture
def watch() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def store(database: Database, watch: ManualClock) -> KeyStore:
    """An empty store."""
    return KeyStore(database, watch, random.Random(7))


def code_of(store: KeyStore, secret: str | None) -> str:
    """Return the error that a secret gets, or the label of its key."""
    try:
        return store.verify(secret).label
    except ApiError as error:
        told = error
    assert told.status == 401
    assert not secret or secret not in told.message
    return told.code


def test_the_store_is_what_the_ports_ask_for(store: KeyStore) -> None:
    """The type checker holds the store to both ports; this line is where it looks."""
    ring: KeyRing = store
    assert ring.list() == []


def test_a_made_key_is_let_in_and_nothing_else_is(store: KeyStore) -> None:
    """Only the exact secret gets in; absent, mistyped and foreign ones are told apart."""
    key, secret = store.create("ci", models=("a", "b"), expires_at=2_000)
    assert store.verify(secret) == key
    assert (key.label, key.state, key.models, key.created_at, key.expires_at) == ("ci", "active", ("a", "b"), 1_000, 2_000)
    others = (None, "", secret[:-1], secret + "x", secret.lower(), secret.encode().hex(), "other", "\udc80", "é" * 10, " " + secret)
    assert [code_of(store, other) for other in others] == ["missing_api_key"] * 2 + ["invalid_api_key"] * 8


def test_a_mistyped_key_is_told_apart_from_an_unknown_one(store: KeyStore) -> None:
    """The checksum says that it was mistyped; a key of the right form that nobody made is merely unknown."""
    _, secret = store.create("ci")
    with pytest.raises(ApiError, match=r"mistyped .* Copy it again"):
        store.verify(secret[:-1])
    _, foreign = KeyStore(store._database, ManualClock(), random.Random(8)).create("other")
    with pytest.raises(ApiError, match=r"not one of this server's\. .* `aisa keys create LABEL`"):
        store.verify(foreign)


def test_two_keys_are_told_as_two(store: KeyStore, server: Server) -> None:
    """[fault S24] A header that came twice was a key that is mistyped. Nothing of either is quoted."""
    _, secret = store.create("ci")
    with pytest.raises(ApiError, match="twice"):
        store.verify(f"{secret}, Bearer {secret}")
    twice = [("authorization", f"Bearer {server.key}"), ("authorization", "Bearer sk-aisa-other")]
    for path in ("/v1/models", "/v1/usage"):
        answer = httpx2.get(f"{server.url}{path}", headers=twice)
        assert answer.status_code == 401
        message = answer.json()["error"]["message"]
        assert "twice" in message
        assert "sk-aisa" not in message


def test_a_revoked_key_is_refused_by_the_next_request(store: KeyStore) -> None:
    """Revoking counts at once, by id or by label, for good, and leaves the other keys alone."""
    first, first_secret = store.create("one")
    _, second_secret = store.create("two")
    assert store.revoke(first.id).state == "revoked"
    assert (code_of(store, first_secret), code_of(store, second_secret)) == ("revoked_api_key", "two")
    assert store.revoke("two").state == "revoked"
    assert store.revoke("two").state == "revoked"
    assert code_of(store, second_secret) == "revoked_api_key"


def test_an_expired_key_is_refused_from_its_second_on(store: KeyStore, watch: ManualClock) -> None:
    """Expiry needs no restart and no chore: the clock decides at each request."""
    _, secret = store.create("ci", expires_at=1_010)
    answers = []
    for watch.now in (1_009.9, 1_010.0, 5_000.0, 1_000.0):
        answers.append(code_of(store, secret))
    assert answers == ["ci", "expired_api_key", "expired_api_key", "ci"]


def test_a_key_that_was_let_in_before_is_let_in_no_longer_than_anybody_with_its_secret(store: KeyStore, watch: ManualClock) -> None:
    """Who comes again on a connection gets what `verify` says, whatever has become of the key meanwhile; and its terms as they are now."""
    key, secret = store.create("ours", expires_at=2_000)

    def said() -> object:
        try:
            return store.again(key, secret)
        except ApiError as error:
            return error.code

    assert said() == key
    watch.now = 2_000.0
    assert said() == "expired_api_key"
    key, secret = store.create("lasting", account="acme")
    assert said() is key
    store.set_state(key.id, "disabled")
    assert said() == "invalid_api_key"
    with pytest.raises(ApiError, match=r"'lasting' is disabled. Have it enabled, or use another one"):
        store.verify(secret)
    store.set_state(key.id, "active")
    assert said() == store.find("lasting")
    store.accounts.set_account_state("acme", "disabled")
    assert said() == "invalid_api_key"
    with pytest.raises(ApiError, match=r"'lasting' is disabled. Have that enabled"):
        store.verify(secret)
    store.accounts.set_account_state("acme", "active")
    _, newer = store.rotate(key.id, grace_seconds=10)
    assert said() == store.verify(newer)
    watch.now += 11
    assert said() == "revoked_api_key"
    secret = newer
    store.revoke(key.id)
    assert said() == "revoked_api_key"


def test_an_imported_key_keeps_its_clients(store: KeyStore) -> None:
    """A secret with spaces, as other systems have them, gets in; the hint shows no more than four characters of it."""
    key = store.import_key("old", "My very old API Key", models=("m",))
    assert store.verify("My very old API Key") == key
    assert key.hint == "… Key"


def test_what_exists_cannot_be_made_again(store: KeyStore) -> None:
    """A label or a secret that is taken is refused by name; a secret also while its key is revoked, whose label is free."""
    store.import_key("old", "My very old API Key")
    with pytest.raises(ApiError, match=r"'old' is taken by key_\w+ \(active\)"):
        store.create(" old ")
    store.revoke("old")
    with pytest.raises(ApiError, match="already here, labelled 'old'"):
        store.import_key("new", "My very old API Key")
    assert len(store) == 1


def test_nothing_is_revoked_by_a_name_that_nobody_has(store: KeyStore) -> None:
    """A typing error in a revocation must not pass for success."""
    store.create("ci")
    with pytest.raises(ApiError) as caught:
        store.revoke("cj")
    assert caught.value.code == "resource_not_found"


def test_keys_outlive_the_process(store: KeyStore, database: Database, watch: ManualClock) -> None:
    """Another store on the same database knows every key as it was left."""
    _, secret = store.create("a", models=("x", "y"), expires_at=9_000, account="acme", spend=SpendCap(7, "day"))
    _, revoked = store.create("b")
    store.revoke("b")
    store.import_key("c", "My very old API Key")
    again = KeyStore(database, watch, random.Random(9))
    assert sorted(again.list(), key=lambda key: key.label) == store.list()
    assert [code_of(again, each) for each in (secret, revoked, "My very old API Key")] == ["a", "revoked_api_key", "c"]


@sqlite_only
def test_what_the_disk_refused_does_not_count(store: KeyStore, database: Database) -> None:
    """A key that could not be written is not honoured, and one whose revocation could not be written stays; both are told."""
    _, secret = store.create("old")
    with database.transaction() as connection:
        connection.execute(text("PRAGMA query_only=ON"))
    for change in (lambda: store.create("new"), lambda: store.revoke("old"), lambda: store.import_key("x", "My very old API Key")):
        with pytest.raises(ApiError, match=r"cannot be written.+Let this user write") as caught:
            change()
        assert caught.value.code == "internal_error"
    assert code_of(store, secret) == "old"
    assert code_of(store, "My very old API Key") == "invalid_api_key"
    assert len(store) == 1


@sqlite_only
def test_no_file_holds_a_secret(store: KeyStore, tmp_path: Path) -> None:
    """Neither the database nor its log has a key or enough of it, only the digest."""
    _, secret = store.create("ci")
    store.import_key("old", "My very old API Key")
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert digest(secret) in kept
    assert secret[12:-4].encode() not in kept
    assert b"My old" not in kept


def test_a_key_makes_its_account_if_it_is_not_there(store: KeyStore, database: Database) -> None:
    """Without a limit; an account that is there stays as it is, and a key that could not be written leaves none behind."""
    _, secret = store.create("a", account="acme", spend=SpendCap(7, "day"))
    store.import_key("b", "My very old API Key", account="acme")
    store.create("c")
    with database.transaction() as connection:
        assert connection.execute(text("SELECT name, balance, created_at FROM accounts ORDER BY name")).all()[0] == ("acme", None, 1_000)
        connection.execute(text("UPDATE accounts SET balance = 5 WHERE name = 'acme'"))
    store.create("d", account="acme")
    with pytest.raises(ApiError):
        store.create("a", account="other")
    with database.transaction() as connection:
        assert connection.execute(text("SELECT name, balance FROM accounts ORDER BY name")).all() == [("acme", 5), ("default", None)]
    key = store.verify(secret)
    assert (key.account, key.spend_cap, key.spend_window) == ("acme", 7, "day")


@needs_postgres
def test_servers_that_begin_at_once_make_one_first_key(postgres: Postgres, tmp_path: Path) -> None:
    """Each has read a database without keys: one makes the key, the others follow it, and nobody fails; nor takes a label twice later."""
    url = postgres.migrated()
    databases = [open_postgres(url, migrate) for _ in range(2)]
    stores = [KeyStore(database, lambda: 1, random.Random(number)) for number, database in enumerate(databases)]
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    first, second = (ensure_first_key(each, folder, random.Random(str(folder))) for each, folder in zip(stores, folders, strict=True))
    assert [list(folder.iterdir()) for folder in folders] == [[folders[0] / UNTOLD_NAME], []]
    assert first is not None
    assert second is None
    assert stores[1].change_number < KeyStore(databases[1], lambda: 1, random.Random(7)).change_number, "what it follows from"
    stores[0].create("a")
    with pytest.raises(ApiError, match="The label 'a' is taken") as caught:
        stores[1].create("a")
    assert caught.value.code == "invalid_request"
    stores[1].create("b")
    with pytest.raises(ApiError, match="The label 'a' is taken"):
        stores[1].update("b", KeyTerms("a"))
    user = stores[0].find("a")
    theirs = msgspec.structs.replace(user, id="oidc_1", digest=b"x", label="b")
    for each in stores:
        each.adopt(theirs)
    last = KeyStore(databases[0], lambda: 1, random.Random(9))
    assert sorted(key.label for key in last.list()) == ["a", "b", "b-oidc_1", "first"]
    for database in databases:
        database.close()


def test_the_first_key_is_made_once(store: KeyStore, tmp_path: Path) -> None:
    """Only a store that never had a key gets one, so that revoking all keys does not open a door."""
    secret = ensure_first_key(store, tmp_path, CHANCE)
    assert secret is not None
    assert store.verify(secret).label == "first"
    told(tmp_path)
    assert ensure_first_key(store, tmp_path, CHANCE) is None
    store.revoke("first")
    assert ensure_first_key(store, tmp_path, CHANCE) is None
    assert len(store) == 1


def test_a_first_key_that_nobody_was_shown_gets_another_secret(store: KeyStore, tmp_path: Path) -> None:
    """[issue 8] A start that dies between the database and its words leaves a key of which nobody has the secret; the next tells one."""
    lost = ensure_first_key(store, tmp_path, CHANCE)
    secret = ensure_first_key(store, tmp_path, CHANCE)
    assert secret is not None
    assert store.verify(secret).label == "first"
    with pytest.raises(ApiError, match="was replaced"):
        store.verify(lost)
    assert len(store) == 1
    store.revoke("first")
    store.create("first")
    assert ensure_first_key(store, tmp_path, CHANCE) is None, "somebody has taken it in hand"


def test_a_folder_that_takes_no_file_gives_no_first_key(store: KeyStore, tmp_path: Path) -> None:
    """[issue 13] On a disk that had filled up by then a start ended with a traceback in place of what was wrong, and where."""
    with pytest.raises(StorageFailed, match=r"first-key-untold: The file of the first key cannot be written: .*start again"):
        ensure_first_key(store, tmp_path / "gone", CHANCE)
    assert len(store) == 0


def test_a_first_key_that_somebody_has_the_secret_of_keeps_it(store: KeyStore, tmp_path: Path) -> None:
    """[fault M4] A start that died left its mark, and an administrator gave the key a secret: the next start took that away at once."""
    assert ensure_first_key(store, tmp_path, CHANCE) is not None
    _, secret = store.rotate("first", 0)
    assert ensure_first_key(store, tmp_path, CHANCE) is None
    assert store.verify(secret).label == "first"


def test_a_mark_of_a_start_without_a_key_gives_no_key_another_secret(database: Database, store: KeyStore, tmp_path: Path) -> None:
    """[fault M4] Neither one that another server on the database has made and told since, nor one that was made by hand."""
    renamed(database, "keys", "away")
    with pytest.raises(ApiError):
        ensure_first_key(store, tmp_path, CHANCE)
    renamed(database, "away", "keys")
    assert (tmp_path / UNTOLD_NAME).exists()
    _, secret = store.create("first")
    assert ensure_first_key(store, tmp_path, CHANCE) is None
    assert store.verify(secret).label == "first"


def renamed(database: Database, name: str, other: str) -> None:
    """Take a table away, or put it back."""
    with database.transaction() as connection:
        connection.execute(text(f"ALTER TABLE {name} RENAME TO {other}"))


class Stuck(random.Random):
    """Chance that draws the same ten letters twice."""

    letters = iter("A" * 20 + "B" * 10)

    def choice(self, seq: Sequence[Any]) -> Any:
        """Return the next letter."""
        return seq[seq.index(next(self.letters))]


@sqlite_only
def test_an_id_that_chance_repeats_is_drawn_again(database: Database, watch: ManualClock) -> None:
    """No two keys share an id, whatever the source of chance does."""
    store = KeyStore(database, watch, Stuck())
    ids = [store.import_key(label, f"My very own API Key {label}").id for label in ("a", "b")]
    assert ids == ["key_AAAAAAAAAA", "key_BBBBBBBBBB"]


def test_a_key_that_another_server_has_just_changed_is_changed_as_it_is_now(
    database: Database, watch: ManualClock, store: KeyStore
) -> None:
    """[issue 13] Its memory is older by up to a second: a revoked key came back to life, and what the other had changed was undone."""
    made = {name: store.create(name)[0] for name in ("terms", "secret", "gone", "renamed")}
    other = KeyStore(database, watch, random.Random(8))
    other.update("terms", msgspec.structs.replace(terms_of(made["terms"]), rates=Rates(rpm=5, concurrency=2)))
    base = terms_of(store.current("terms"))
    other.update("terms", msgspec.structs.replace(terms_of(other.find("terms")), expires_at=9_000))  # at the same moment
    changed = store.update("terms", msgspec.structs.replace(base, models=("m",), rates=base.rates._replace(rpm=None)))
    assert (changed.models, changed.rpm, changed.concurrency, changed.expires_at) == (("m",), None, 2, 9_000)
    assert (
        store.update("terms", terms_of(changed))
        == changed
        == store.find("terms")
        == KeyStore(database, watch, random.Random(9)).find("terms")
    )
    _, newer = other.rotate("secret", grace_seconds=60)
    _, newest = store.rotate("secret", grace_seconds=60)
    fresh = KeyStore(database, watch, random.Random(9))
    assert [code_of(fresh, secret) for secret in (newer, newest)] == ["secret"] * 2  # the one that it had for a moment has its grace
    other.revoke("gone")
    for change in (
        lambda: store.set_state("gone", "active"),
        lambda: store.set_state("gone", "disabled"),
        lambda: store.rotate("gone", grace_seconds=0),
        lambda: store.update("gone", msgspec.structs.replace(terms_of(made["gone"]), models=("m",))),
    ):
        store.remember(made["gone"])  # as it is known until the next look
        with pytest.raises(ApiError, match="revoked for good"):
            change()
    store.remember(made["gone"])
    assert store.revoke("gone").state == "revoked"
    assert KeyStore(database, watch, random.Random(9)).find("gone").state == "revoked"
    other.update("renamed", msgspec.structs.replace(terms_of(made["renamed"]), label="another"))
    with pytest.raises(ApiError, match="no key with the id or label 'renamed'"):
        store.set_state("renamed", "disabled")


@pytest.mark.parametrize("change", ["look", "update", "rotate"])
def test_a_secret_that_another_server_has_just_replaced_keeps_its_grace(
    database: Database, watch: ManualClock, store: KeyStore, change: str
) -> None:
    """[issue 13] Whoever still had it was refused with 401, by the server on which a key was changed before it had heard of the other's."""
    key, secret = store.create("k")
    other = KeyStore(database, watch, random.Random(8))
    _, newer = other.rotate("k", grace_seconds=60)
    if change == "look":
        store.current("k")
    elif change == "update":
        store.update("k", msgspec.structs.replace(terms_of(key), models=("m",)))
    else:
        store.rotate("k", grace_seconds=60)
    assert [code_of(store, each) for each in (secret, newer)] == ["k"] * 2
    watch.now += 61
    assert code_of(store, secret) == "revoked_api_key"
