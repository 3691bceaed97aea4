"""What an administrator may do, as requests and answers in JSON. Knows no socket: a server or the command line carries the bytes.

| request | body | answer |
|---|---|---|
| `POST /keys` | `{label, models?, expires?, account?, spend_cap?, ...}` | 201, the key, `secret`, `url`, `example_model`, `account_made` |
| `POST /keys/import` | the same and `secret` | 201, the key, `account_made` |
| `GET /keys` | | 200, `{data: [key, ...]}` |
| `POST /keys/{id or label}/update` | limits | 200, the key; null takes a limit away |
| `POST /keys/{id or label}/revoke` | | 200, the key |

A key is `{id, label, hint, state, models, created_at, expires_at, account, spend_cap, spend_window, rpm, tpm, concurrency}`, times in UNIX
seconds, the cap in nano-dollars. The last three are its limits, `{rpm?, tpm?, concurrency?}`, and must not be above its tier's. A `secret`
is shown this once, with where the API listens (`url`, null if it does not). `account_made` says whether the account was made for the key.
`expires` is what `keys.rules.parse_expiry` takes, `spend_cap` what `parse_spend_cap` does. Errors have the API's shape without a request
id. Whoever can reach this is trusted. More routes come from `admin_wallets` and from whoever makes this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TypedDict
from urllib.parse import parse_qsl, unquote

import msgspec

from aisa.admission.rules import tier_of
from aisa.clock import WallClock
from aisa.config.limits import Limits
from aisa.edge.admin_accounts import AccountRoutes
from aisa.edge.admin_route import Answering, Asked, Result, change, look, read
from aisa.edge.admin_wallets import WalletRoutes
from aisa.edge.routes import Route, RouteTable
from aisa.errors import ApiError
from aisa.facts import Fact, KeysChanged
from aisa.keys.port import KeyRing
from aisa.keys.rules import DEFAULT_ACCOUNT, Key, Rates, SpendCap, check_account, parse_expiry, parse_spend_cap, state_at
from aisa.ledger.port_admin import Wallets

#: status and JSON body
Answer = tuple[int, bytes]


class KeyAsked(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for: `secret` only when a key is imported."""

    label: str
    models: list[str] | None = None
    expires: str | None = None
    secret: str | None = None
    account: str = DEFAULT_ACCOUNT
    spend_cap: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None


class RatesAsked(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change of a key's own limits."""

    rpm: int | msgspec.UnsetType | None = msgspec.UNSET
    tpm: int | msgspec.UnsetType | None = msgspec.UNSET
    concurrency: int | msgspec.UnsetType | None = msgspec.UNSET


class Terms(TypedDict):
    """What a key is to be like, as `KeyRing.create` takes it."""

    models: tuple[str, ...] | None
    expires_at: int | None
    account: str
    spend: SpendCap | None
    rates: Rates


def advance(steps: Generator[None, None, Answer]) -> Answer | None:
    """Do one step; return the answer if that was the last."""
    try:
        next(steps)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    return None


class Admin:
    """Answers administrators. `report`, if there is one, is told of every change, by `tell`.

    `url` is where the API listens, None while it does not: whoever makes a key is told where to use it. `limits` are the configuration's,
    which keys' own limits may only lower. `more` are routes of others. `example_model` returns a name that can be called, if one is known.
    """

    def __init__(
        self,
        keys: KeyRing,
        wall_clock: WallClock,
        report: Callable[[Fact], None] = lambda _fact: None,
        *,
        wallets: Wallets | None = None,
        limits: Limits | None = None,
        more: Iterable[Route[Answering]] = (),
        example_model: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._keys = keys
        self._wall_clock = wall_clock
        self._report = report
        self._noted: deque[Fact] = deque()
        self.url: str | None = None
        self.example_model = example_model
        self.limits = limits or Limits()
        self.routes = RouteTable(
            (
                look("/keys", self._list),
                change("/keys", self._create),
                change("/keys/import", self._import),
                change("/keys/{name}/update", self._update),
                change("/keys/{name}/revoke", self._revoke),
                *AccountRoutes(keys.accounts, lambda: self.limits, self._noted.append).routes(),
                *(() if wallets is None else WalletRoutes(wallets, self._noted.append).routes()),
                *more,
            )
        )

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Do what is asked and return the status and a JSON body. `path` is percent-encoded. Raises nothing that a request can cause."""
        steps = self.steps(method, path, body)
        while (answer := advance(steps)) is None:
            pass
        self.tell()
        return answer

    def steps(self, method: str, path: str, body: bytes) -> Generator[None, None, Answer]:
        """Do what is asked in steps, and return what `answer` does. One at a time: what a step finds is not changed during it."""
        try:
            path, _, query = path.partition("?")
            route, name = self.routes.find(method, path)
            result = route.handler(Asked(unquote(name), dict(parse_qsl(query)), body))
            status, shown = (yield from result) if isinstance(result, Generator) else result
        except ApiError as error:
            status = error.status
            shown = {"error": {"type": error.type, "code": error.code, "message": error.message, "param": error.param}}
        return status, msgspec.json.encode(shown)

    def tell(self) -> None:
        """Report what was changed. Apart from the steps, because these may be made in a thread and reports are for the event loop's."""
        while self._noted:
            self._report(self._noted.popleft())

    def _list(self, _asked: Asked) -> Result:
        return 200, {"data": [self._shown(key) for key in self._keys.list()]}

    def _create(self, asked: Asked) -> Result:
        wanted = read(asked.body, KeyAsked)
        if wanted.secret is not None:
            raise ApiError("invalid_request", "A secret is only taken by /keys/import.", param="secret")
        terms = self._terms(wanted)
        new = self._is_new(terms["account"])
        key, secret = self._keys.create(wanted.label, **terms)
        self._noted.append(KeysChanged("created", key.id, key.label))
        return 201, {**self._shown(key), "secret": secret, "url": self.url, "example_model": self.example_model(), "account_made": new}

    def _import(self, asked: Asked) -> Result:
        wanted = read(asked.body, KeyAsked)
        if wanted.secret is None:
            raise ApiError("missing_parameter", "The secret to import is missing.", param="secret")
        terms = self._terms(wanted)
        new = self._is_new(terms["account"])
        key = self._keys.import_key(wanted.label, wanted.secret, **terms)
        self._noted.append(KeysChanged("imported", key.id, key.label))
        return 201, {**self._shown(key), "account_made": new}

    def _update(self, asked: Asked) -> Result:
        wanted = read(asked.body, RatesAsked)
        key = next((key for key in self._keys.list() if asked.name in (key.id, key.label)), None)
        account = DEFAULT_ACCOUNT if key is None else key.account
        had = Rates() if key is None else Rates(key.rpm, key.tpm, key.concurrency)
        told = {name: value for name in Rates._fields if (value := getattr(wanted, name)) is not msgspec.UNSET}
        changed = self._keys.limit(asked.name, self._lower(had._replace(**told), account))
        self._noted.append(KeysChanged("updated", changed.id, changed.label))
        return 200, self._shown(changed)

    def _lower(self, rates: Rates, account: str) -> Rates:
        """Return limits of a key's own. Raises ApiError invalid_request for one that its tier would lower again."""
        tier = tier_of(self.limits, self._keys.tiers, account)
        for name, value in rates._asdict().items():
            most = getattr(tier, name)
            if value is not None and most is not None and value > most:
                said = (
                    f"The account '{account}' allows each of its keys {most:,}, and {value:,} is more. A key's own limit can only be lower."
                )
                raise ApiError("invalid_request", said, param=name)
        return rates

    def _revoke(self, asked: Asked) -> Result:
        key = self._keys.revoke(asked.name)
        self._noted.append(KeysChanged("revoked", key.id, key.label))
        return 200, self._shown(key)

    def _terms(self, wanted: KeyAsked) -> Terms:
        return {
            "models": None if wanted.models is None else tuple(wanted.models),
            "expires_at": parse_expiry(wanted.expires, self._wall_clock()),
            "account": check_account(wanted.account),
            "spend": parse_spend_cap(wanted.spend_cap),
            "rates": self._lower(Rates(wanted.rpm, wanted.tpm, wanted.concurrency), check_account(wanted.account)),
        }

    def _is_new(self, account: str) -> bool:
        """Say whether a key of this account will make it. Accounts come from keys, and keys are never deleted."""
        return account != DEFAULT_ACCOUNT and all(key.account != account for key in self._keys.list())

    def _shown(self, key: Key) -> dict[str, object]:
        shown: dict[str, object] = msgspec.structs.asdict(key)
        del shown["digest"]
        return {**shown, "state": state_at(key, self._wall_clock())}
