"""What an administrator may do with accounts and the ledger, as requests and answers in JSON. Lists the routes; `admin` answers.

| request | body | answer |
|---|---|---|
| `GET /accounts`, `GET /wallets` | | 200, `{data: [account, ...]}` |
| `GET /wallets/{name}` | | 200, `{account, entries: [entry, ...]}` |
| `GET /wallets/{name}/entries` | | 200, `{data: [entry, ...]}`, the newest first |
| `GET /wallets/{name}/statement?since_ms=T&until_ms=T&limit=N&after=ID` | | 200, a `WalletPage`: entries and calls, the newest first |
| `POST /wallets/{name}/top-up` | `{amount, note?, reference?}` | 200, `{entry, fresh, balance}` |
| `POST /wallets/{name}/adjust` | `{amount, note}` | 200, the same |
| `POST /wallets/{name}/unlimit` | | 200, the account |
| `POST /ledger/audit` | | 200, an `AuditReport` |
| `POST /ledger/made` | `{vendor, start_ms, end_ms}` | 200, `{data: [made, ...]}`: what the vendor made of each model in each day (UTC) |

An account has one wallet, which has its name; all that is below `/wallets/{name}/` is below `/accounts/{name}/` too.

`amount` is text in US dollars, exact to nine decimals; `fresh` is false for a reference that was booked before. Everything in an answer is
in nano-dollars; its fields are those of the structs in `ledger.port_admin`.
"""

from __future__ import annotations

import msgspec

from aisa.edge.admin_route import MOMENT_MS_MAX, Answering, Asked, Listed, Note, Result, Steps, act, change, look, number, read
from aisa.edge.routes import Route
from aisa.errors import ApiError
from aisa.facts import WalletChanged
from aisa.ledger.port_admin import WALLET_LINES_MAX, AccountStanding, Booking, Entry, LedgerAudits, Made, Wallets, WalletSpan
from aisa.money import Nanos, parse_dollars

WALLETS = ("/accounts", "/wallets")  # where the wallet of an account is, by its name
DAY_MS = 86_400_000
SPAN_MS_MAX = 400 * DAY_MS  # over which a vendor's work is added up: a year, and the days around it


class TopUpAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A payment. `reference` is the operator's own, booked once."""

    amount: str
    note: str = ""
    reference: str | None = None


class AdjustAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A correction, up or down."""

    amount: str
    note: str


class MadeAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A vendor and a span of time in UNIX milliseconds, the end not in it."""

    vendor: str
    start_ms: int
    end_ms: int


class AccountList(Listed[AccountStanding], frozen=True):
    """Accounts, by name."""


class EntryList(Listed[Entry], frozen=True):
    """Entries of a wallet, the newest first."""


class WalletShown(msgspec.Struct, frozen=True):
    """A wallet: whose it is, with what is in it, and the entries, the newest first."""

    account: AccountStanding
    entries: list[Entry]


class MadeList(Listed[Made], frozen=True):
    """What a vendor made, by day and model."""


class WalletRoutes:
    """The routes on accounts and their wallets. `note` takes what was changed."""

    def __init__(self, wallets: Wallets, note: Note) -> None:
        self._wallets = wallets
        self._note = note

    def routes(self) -> tuple[Route[Answering], ...]:
        """Return what is answered."""
        return (
            *(look(place, self._list) for place in WALLETS),
            *(change(f"{place}/{{name}}/top-up", self._top_up) for place in WALLETS),
            *(change(f"{place}/{{name}}/adjust", self._adjust) for place in WALLETS),
            *(act(f"{place}/{{name}}/unlimit", self._unlimit) for place in WALLETS),
        )

    def _list(self, _asked: Asked) -> Result:
        return 200, AccountList(data=self._wallets.accounts())

    def _top_up(self, asked: Asked) -> Result:
        wanted = read(asked.body, TopUpAsked)
        amount = amount_of(wanted.amount)
        return self._booked(self._wallets.top_up(asked.name, amount, note=wanted.note, reference=wanted.reference))

    def _adjust(self, asked: Asked) -> Result:
        wanted = read(asked.body, AdjustAsked)
        return self._booked(self._wallets.adjust(asked.name, amount_of(wanted.amount), note=wanted.note))

    def _booked(self, booking: Booking) -> Result:
        if booking.fresh:
            entry = booking.entry
            before = None if booking.balance is None else {"balance": booking.balance - entry.amount}
            self._note(WalletChanged(entry.kind, entry.account, entry.amount, booking.balance), before, booking)
        return 200, booking

    def _unlimit(self, asked: Asked) -> Result:
        before = next((known for known in self._wallets.accounts() if known.name == asked.name), None)
        account = self._wallets.unlimit(asked.name)
        self._note(WalletChanged("unlimited", account.name, 0, None), before, account)
        return 200, account


class LedgerRoutes:
    """The routes on the ledger as the database has it."""

    def __init__(self, ledger: LedgerAudits) -> None:
        self._ledger = ledger

    def routes(self) -> tuple[Route[Answering], ...]:
        """Return what is answered."""
        return (
            *(look(f"{place}/{{name}}/entries", self._entries) for place in WALLETS),
            *(look(f"{place}/{{name}}/statement", self._statement) for place in WALLETS),
            look("/wallets/{name}", self._wallet),
            act("/ledger/audit", self._audit, changes=False),
            change("/ledger/made", self._made, changes=False),
        )

    def _wallet(self, asked: Asked) -> Result:
        page = self._ledger.statement(asked.name, WalletSpan(limit=1))
        return 200, WalletShown(page.account, self._ledger.entries(asked.name))

    def _entries(self, asked: Asked) -> Result:
        return 200, EntryList(data=self._ledger.entries(asked.name))

    def _statement(self, asked: Asked) -> Result:
        query = asked.query
        until_ms = number(query["until_ms"], "until_ms", MOMENT_MS_MAX) if "until_ms" in query else None
        limit = number(query.get("limit", "100"), "limit", WALLET_LINES_MAX)
        if limit < 1:
            raise ApiError("invalid_request", f"limit is a whole number from 1 to {WALLET_LINES_MAX:,}.", param="limit")
        since_ms = number(query.get("since_ms", "0"), "since_ms", MOMENT_MS_MAX)
        if until_ms is not None and until_ms < since_ms:
            raise ApiError("invalid_request", "until_ms is not before since_ms.", param="until_ms")
        return 200, self._ledger.statement(asked.name, WalletSpan(since_ms, until_ms, limit, query.get("after")))

    def _audit(self, _asked: Asked) -> Steps:
        return 200, (yield from self._ledger.audit())

    def _made(self, asked: Asked) -> Steps:
        wanted = read(asked.body, MadeAsked)
        if not 0 <= wanted.start_ms <= wanted.end_ms <= min(wanted.start_ms + SPAN_MS_MAX, MOMENT_MS_MAX):
            said = f"The span begins before it ends, has at most {SPAN_MS_MAX // DAY_MS} days, and ends at {MOMENT_MS_MAX:,} at the latest."
            raise ApiError("invalid_request", said)
        return 200, MadeList(data=(yield from self._ledger.made(wanted.vendor, wanted.start_ms, wanted.end_ms)))


def amount_of(text: str) -> Nanos:
    """Return an amount in nano-dollars. Raises ApiError invalid_request."""
    try:
        return parse_dollars(text)
    except ValueError as error:
        raise ApiError("invalid_request", str(error), param="amount") from None
