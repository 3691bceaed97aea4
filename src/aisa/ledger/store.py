"""The ledger in the database as its administrator sees it: wallets, audits, what vendors made. Writes no call and makes no receipt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from aisa.clock import WallClock
from aisa.errors import ApiError
from aisa.ledger.audit import audit
from aisa.ledger.learned_table import forget_old_answers, known_answers
from aisa.ledger.pieces import not_whole
from aisa.ledger.port_admin import ADJUSTMENT, TOP_UP, AccountStanding, AuditReport, Booking, Entry, Made, WalletPage, WalletSpan
from aisa.ledger.port_usage import Span
from aisa.ledger.rules import COMPLETED
from aisa.ledger.sums import MadeOf, known_of, last_ms_of, made_between
from aisa.ledger.usage import spent_in, whose
from aisa.ledger.wallet_lines import wallet_page
from aisa.money import Nanos, dollars_text
from aisa.providers.measure import Answer
from aisa.storage.changes import note_change
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import accounts, calls, made_sums, wallet_entries

BALANCE_NANOS_MAX = 4 * 10**18  # of a wallet, either way: four billion dollars, half of what 64 bits hold
NOTE_CHARS_MAX = 500
REFERENCE_CHARS_MAX = 100  # as the database's column
ENTRIES_MAX = 1_000  # that are returned of one wallet, the newest
IDS_MAX = 500  # in one question to the database: every database takes so many parameters
STREAM_ROWS = 1_000  # in memory at a time where there may be any number
DAY_MS = 86_400_000


class Recent(msgspec.Struct, frozen=True):
    """A call that had an Idempotency-Key and was completed or charged. `ended_ms` is UNIX milliseconds."""

    id: str
    idempotency: str
    ended_ms: int


class LedgerStore:
    """The ledger in a database; implements `port_admin.Wallets` and `port_admin.LedgerAudits`. Every method may wait for the disk.

    `on_board` returns the ids of the calls in the journal, for audits. All methods raise ApiError internal_error when the database fails.
    """

    def __init__(self, database: Database, wall_clock: WallClock, on_board: Callable[[], Collection[str]] = tuple) -> None:
        self.database = database
        self._wall_clock = wall_clock
        self._on_board = on_board

    def accounts(self) -> list[AccountStanding]:
        """Return every account, by name."""
        with self._reading() as connection:
            return [account_of(record) for record in connection.execute(select(accounts).order_by(accounts.c.name))]

    def overdrawn(self) -> list[AccountStanding]:
        """Return the accounts whose wallets are below zero."""
        with self._reading() as connection:
            return [account_of(record) for record in connection.execute(select(accounts).where(accounts.c.balance < 0))]

    def entries(self, account: str) -> list[Entry]:
        """Return the newest ENTRIES_MAX entries of an account's wallet, the newest first. Raises ApiError resource_not_found."""
        newest = wallet_entries.c.id.desc()
        with self._reading() as connection:
            account_in(connection, account)
            wanted = select(wallet_entries).where(wallet_entries.c.account == account).order_by(newest).limit(ENTRIES_MAX)
            return [entry_of(record) for record in connection.execute(wanted)]

    def statement(self, account: str, span: WalletSpan) -> WalletPage:
        """Return a page of a wallet's statement, of one state of the database. Raises ApiError resource_not_found, invalid_request."""
        with self._reading() as connection:
            return wallet_page(connection, account_in(connection, account), span)

    def top_up(self, account: str, nanos: Nanos, *, note: str = "", reference: str | None = None) -> Booking:
        """Put an amount above zero into a wallet. An unlimited account becomes a prepaid one with exactly that balance.

        Calls of it that run were begun on credit and stay so. Raises ApiError: resource_not_found, invalid_request (no amount, reference
        used for another one, more than BALANCE_NANOS_MAX).
        """
        if nanos <= 0:
            raise invalid("amount", "A top-up is an amount above zero. `adjust` takes money out.")
        if reference is not None and not (0 < len(reference) <= REFERENCE_CHARS_MAX and reference.isprintable()):
            raise invalid("reference", f"A reference has 1 to {REFERENCE_CHARS_MAX} printable characters.")
        with self._writing() as connection:
            known = account_in(connection, account)
            booked = None if reference is None else booked_as(connection, account, reference)
            if booked is not None:
                if (booked.kind, booked.amount) != (TOP_UP, nanos):
                    said = f"The reference {reference!r} is used for {dollars_text(booked.amount)} US dollars."
                    raise invalid("reference", f"{said} Each payment has a reference of its own.")
                return Booking(booked, fresh=False, balance=known.balance)
            if known.balance is None:
                write_off(connection, known, int(self._wall_clock()))
            entry = Entry(0, account, TOP_UP, nanos, note, reference, int(self._wall_clock()))
            return book(connection, entry, known.balance or 0)

    def adjust(self, account: str, nanos: Nanos, *, note: str) -> Booking:
        """Add an amount, which may be negative, to a wallet; the note says why.

        Raises ApiError: resource_not_found, invalid_request (unlimited account, no amount or note, more than BALANCE_NANOS_MAX).
        """
        if nanos == 0 or not note.strip():
            raise invalid("note" if nanos else "amount", "An adjustment has an amount other than zero and a note that says why.")
        with self._writing() as connection:
            balance = account_in(connection, account).balance
            if balance is None:
                raise invalid(
                    "account", f"The account {account!r} is unlimited and has no balance to adjust. Top it up to make it prepaid."
                )
            return book(connection, Entry(0, account, ADJUSTMENT, nanos, note, None, int(self._wall_clock())), balance)

    def unlimit(self, account: str) -> AccountStanding:
        """Make an account unlimited, and write off what was in its wallet. Raises ApiError resource_not_found."""
        with self._writing() as connection:
            known = account_in(connection, account)
            if known.balance is not None:
                write_off(connection, known, int(self._wall_clock()))
                connection.execute(update(accounts).where(accounts.c.name == account).values(balance=None))
                note_change(connection, account=account)
        return msgspec.structs.replace(known, balance=None)

    def spent_in(self, span: Span, without: Callable[[], Sequence[str]] = tuple) -> Nanos:
        """Return what the calls of a key or team cost that ended in a span, leaving out those with certain ids.

        Which these are is asked once the sum is known: whoever is told of a call after it was written names it in time.
        """
        with self._reading() as connection:
            spent = spent_in(connection, span)
            ended = calls.c.ended_ms.between(span.start_ms, span.end_ms - 1) & whose(calls, span)
            ids = without()
            for start in range(0, len(ids), IDS_MAX):
                left_out = ended & calls.c.id.in_(ids[start : start + IDS_MAX])
                spent -= int(connection.execute(select(func.coalesce(func.sum(calls.c.cost), 0)).where(left_out)).scalar_one())
        return spent

    def newest_ms(self, key_id: str) -> int:
        """Return when the last call of a key or team ended, 0 if there is none."""
        with self._reading() as connection:
            return last_ms_of(connection, key_id)

    def known_ids(self, ids: Sequence[str]) -> set[str]:
        """Return which of these ids are of calls that are here."""
        known: set[str] = set()
        with self._reading() as connection:
            for start in range(0, len(ids), IDS_MAX):
                wanted = select(calls.c.id).where(calls.c.id.in_(ids[start : start + IDS_MAX]))
                known.update(connection.execute(wanted).scalars())
        return known

    def recent(self, since_ms: int) -> Iterator[Recent]:
        """Yield the calls with an Idempotency-Key that ended at that moment or later, completed or charged for, the oldest first."""
        final = (calls.c.outcome == COMPLETED) | (calls.c.billed_input_tokens + calls.c.billed_output_tokens > 0)
        columns = [calls.c[name] for name in Recent.__struct_fields__]
        wanted = select(*columns).where(calls.c.idempotency.is_not(None), calls.c.ended_ms >= since_ms, final)
        with self._reading() as connection:
            ordered = wanted.order_by(calls.c.ended_ms, calls.c.id).execution_options(yield_per=STREAM_ROWS)
            with connection.execute(ordered) as records:
                for record in records:
                    yield Recent(*record)

    def known_answers(self) -> dict[str, list[Answer]]:
        """Return what targets' last complete answers came to, by target."""
        with self._reading() as connection:
            return known_answers(connection)

    def forget_old_answers(self) -> None:
        """Forget what is known of targets that `known_answers` leaves out."""
        with self._writing() as connection:
            forget_old_answers(connection)

    def audit(self) -> Generator[None, None, AuditReport]:
        """Compute everything anew from the rows, in steps of some milliseconds, and return what differs."""
        on_board = self._on_board()  # before the ledger is opened: what is written in between is then not taken for lost
        with self._reading() as connection:
            return (yield from audit(connection, on_board))

    def made(self, vendor: str, start_ms: int, end_ms: int) -> Generator[None, None, list[Made]]:
        """Return what a vendor made of each model in each day of [start, end), a day a step. A call counts in the day in which it ended."""
        found: list[Made] = []
        with self._reading() as connection:
            for day_ms in range(start_ms, end_ms, DAY_MS):
                found += made_in(connection, vendor, start_ms=day_ms, end_ms=min(day_ms + DAY_MS, end_ms))
                yield
        return found

    @contextmanager
    def _writing(self) -> Generator[Connection]:
        with failing(), self.database.transaction() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        with failing(to_write=False), self.database.reading() as connection:
            yield connection


@contextmanager
def failing(*, to_write: bool = True) -> Generator[None]:
    """Tell of a database that fails as the API does. Who wanted `to_write` may have: nothing tells him to do it again."""
    try:
        yield
    except StorageFailed as failure:
        raise ApiError("internal_error" if to_write else failure.code, f"{failure.what} {failure.remedy}") from failure


def account_in(connection: Connection, name: str) -> AccountStanding:
    """Return an account. Raises ApiError resource_not_found."""
    record = connection.execute(select(accounts).where(accounts.c.name == name)).first()
    if record is None:
        raise ApiError(
            "resource_not_found", f"There is no account {name[:100]!r}. `aisa accounts list` lists them; `aisa accounts create` makes one."
        )
    return account_of(record)


def booked_as(connection: Connection, account: str, reference: str) -> Entry | None:
    """Return the entry with a reference."""
    found = select(wallet_entries).where(wallet_entries.c.account == account, wallet_entries.c.reference == reference)
    record = connection.execute(found).first()
    return None if record is None else entry_of(record)


def book(connection: Connection, entry: Entry, balance: Nanos) -> Booking:
    """Change a wallet that has a balance by an entry. Raises ApiError invalid_request."""
    if abs(balance + entry.amount) > BALANCE_NANOS_MAX:
        raise invalid("amount", f"A wallet holds at most {dollars_text(BALANCE_NANOS_MAX)} US dollars.")
    if len(entry.note) > NOTE_CHARS_MAX or not entry.note.isprintable():
        raise invalid("note", f"A note has at most {NOTE_CHARS_MAX} printable characters.")
    connection.execute(update(accounts).where(accounts.c.name == entry.account).values(balance=balance + entry.amount))
    note_change(connection, account=entry.account)
    return Booking(enter(connection, entry), fresh=True, balance=balance + entry.amount)


def enter(connection: Connection, entry: Entry) -> Entry:
    """Insert an entry and return it with its id."""
    values = msgspec.structs.asdict(entry)
    del values["id"]
    id_ = connection.execute(insert(wallet_entries).values(values).returning(wallet_entries.c.id)).scalar_one()
    return msgspec.structs.replace(entry, id=id_)


def write_off(connection: Connection, account: AccountStanding, now: int) -> None:
    """Bring what the ledger says is in a wallet to zero: before an account becomes unlimited, and once more before it is prepaid again.

    In between, calls that were begun on the wallet's money may have ended, and their cost is nobody's debt.
    """
    entered = select(func.coalesce(func.sum(wallet_entries.c.amount), 0)).where(wallet_entries.c.account == account.name)
    left = int(connection.execute(entered).scalar_one()) - account.charged
    if left:
        enter(connection, Entry(0, account.name, ADJUSTMENT, -left, "written off: the account is unlimited", None, now))


def made_in(connection: Connection, vendor: str, *, start_ms: int, end_ms: int) -> list[Made]:
    """Return what a vendor made of each model in one day, by the name in its answers, or where they have none by the one asked for.

    Raises ApiError invalid_request for a part of a day whose rows are removed.
    """
    known, sums = known_of(connection), dict[str, tuple[int, ...]]()
    if start_ms % DAY_MS == 0 and end_ms - start_ms == DAY_MS and end_ms <= known.rolled_ms:
        ours = made_sums.c.target.startswith(f"{vendor}/", autoescape=True) & (made_sums.c.start_ms == start_ms)
        records = connection.execute(select(made_sums).where(ours))
        found: Iterable[MadeOf] = [(day_ms, target, answered, tuple(numbers)) for day_ms, target, answered, *numbers in records]
    elif start_ms < known.removed_ms:
        raise not_whole(start_ms, known, DAY_MS)
    else:
        found = made_between(connection, start_ms, end_ms, whose=calls.c.target.startswith(f"{vendor}/", autoescape=True))
    for _, target, answered, numbers in found:
        add(sums, answered or target.removeprefix(f"{vendor}/"), *numbers)
    day = day_text(start_ms // DAY_MS)
    return [Made(day, model, *counts) for model, counts in sorted(sums.items())]


def add(sums: dict[str, tuple[int, ...]], name: str, *more: int) -> None:
    """Add to the sums of a name."""
    sums[name] = tuple(map(sum, zip(sums.get(name, (0,) * len(more)), more, strict=True)))


def day_text(day: int) -> str:
    """Return a day since 1970 as `2026-12-31`."""
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def account_of(record: object) -> AccountStanding:
    """Return a record of the database as an account."""
    return msgspec.convert(record, AccountStanding, from_attributes=True)


def entry_of(record: object) -> Entry:
    """Return a record of the database as an entry."""
    return msgspec.convert(record, Entry, from_attributes=True)


def invalid(param: str, message: str) -> ApiError:
    """Return the error for a field of what is asked."""
    return ApiError("invalid_request", message, param=param)
