"""What an administrator may do with keys, as requests and answers in JSON. Lists the routes; `admin` answers.

| request | body | answer |
|---|---|---|
| `POST /keys` | `{label, models?, expires?, account?, team?, spend_cap?, ...}` | 201, the key, `secret`, the place, `account_made` |
| `POST /keys/import` | the same and `secret`, or `sha256` and `hint?` | 201, the key, `free_models`, `account_made` |
| `POST /keys/find` | `{secret}` | 200, the key that has it, or had it before |
| `GET /keys` | | 200, `{data: [key, ...]}`; with `?standing=1` each as the next line has it |
| `GET /keys/{id or label}` | | 200, the key, `free_models`, `spent_since`, `spent`, `left`, `last_used_ms`, `last_address` |
| `POST /keys/{id or label}/update` | `{label?, models?, expires?, spend_cap?, ...}` | 200, the key, `free_models`; null takes a term away |
| `POST /keys/{id or label}/rotate` | `{grace?}` | 200, the key, `secret`, the place; the former secret stays good so long |
| `POST /keys/{id or label}/disable`, `/enable`, `/revoke` | | 200, the key |

A key is `{id, label, hint, state, models, created_at, expires_at, account, spend_cap, spend_window, rpm, tpm, concurrency, team,
former_secret_expires_at}`, times in UNIX seconds, the cap in nano-dollars. `rpm`, `tpm` and `concurrency` are its limits, and must not be
above its tier's; `team` is `{id, name}`, null for a key in none, asked for by id or name: without an `account` the key is of its team's.
The last is until when a secret is good that was replaced, null if none is. A `secret` is shown this once, with its `Place`: where the API
listens (`url`, null if it does not), `example_model` and `free_models`, which its cap does not count (of several targets those that are
free, as `vendor/model of name`). `account_made` says whether the account was made for the key. `expires` is what `keys.terms.parse_expiry`
takes, `spend_cap` what `parse_spend_cap` does, `grace` what `parse_grace` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypedDict

import msgspec

from aisa.admission.rules import tier_of
from aisa.clock import WallClock
from aisa.config.limits import Limits
from aisa.edge.admin_accounts import account_is_new
from aisa.edge.admin_route import Answering, Asked, Note, Result, Steps, act, bounds_of, change, look, read
from aisa.edge.key_shapes import (
    KeyChanged,
    KeyImported,
    KeyList,
    KeyListed,
    KeyMade,
    KeyRotated,
    KeyShown,
    KeyStanding,
    TeamNamed,
    extended,
)
from aisa.edge.routes import Route
from aisa.errors import ApiError
from aisa.facts import AccountChanged, KeysChanged
from aisa.keys.port import KeyRing
from aisa.keys.rules import (
    ACTIVE,
    DEFAULT_ACCOUNT,
    DISABLED,
    MONTH,
    REVOKED,
    Key,
    Rates,
    SpendCap,
    Team,
    check_account,
    state_at,
    terms_of,
    trace_of_digest,
    window_start,
)
from aisa.keys.terms import parse_expiry, parse_grace, parse_spend_cap
from aisa.ledger.port_calls import LastUse
from aisa.money import Nanos

GRACE = "24h"  # that a secret stays good after it was replaced, unless it is said otherwise: a day to change it everywhere
Term = str | None | msgspec.UnsetType
LimitTerm = int | None | msgspec.UnsetType

STEP_KEYS = 250  # of which it is asked at once how they stand: some ten milliseconds


class KeyAsked(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for. When a key is imported: `secret`, or its SHA-256 in hexadecimal digits and, as a `hint`, how it ends."""

    label: str
    models: list[str] | None = None
    expires: str | None = None
    secret: str | None = None
    sha256: str | None = None
    hint: str | None = None
    account: str | msgspec.UnsetType = msgspec.UNSET
    team: str | None = None
    spend_cap: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None


class SecretAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A secret whose key is looked for."""

    secret: str


class TermsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change of a key's terms."""

    label: str | msgspec.UnsetType = msgspec.UNSET
    models: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    expires: Term = msgspec.UNSET
    spend_cap: Term = msgspec.UNSET
    rpm: LimitTerm = msgspec.UNSET
    tpm: LimitTerm = msgspec.UNSET
    concurrency: LimitTerm = msgspec.UNSET


class RotationAsked(msgspec.Struct, forbid_unknown_fields=True):
    """How long the former secret stays good."""

    grace: str = GRACE


class KeyWanted(TypedDict):
    """What a key is to be like, as `KeyRing.create` takes it."""

    models: tuple[str, ...] | None
    expires_at: int | None
    account: str | Team
    spend: SpendCap | None
    rates: Rates


class Usings(Protocol):
    """What is known of the use of keys, of some hundreds at once. Both may wait for the database."""

    def spent_by_key(self, key_ids: Sequence[str], began: int) -> Mapping[str, Nanos]:
        """Return what the calls of each key have cost that ended since a UNIX second, by its id; none where it was nothing."""
        ...

    def last_uses(self, key_ids: Sequence[str]) -> Mapping[str, LastUse]:
        """Return when each key's last call or refusal was, and what is kept of where it came from, by its id; none where there is none."""
        ...


class Place(NamedTuple):
    """What a key's maker is told beside it: where the API listens and a model that can be called, as far as they are known.

    `free_models` are those of a key with a cap that the cap does not count, as they have no price.
    """

    url: str | None
    example_model: str | None
    free_models: tuple[str, ...] = ()


class KeyRoutes:
    """The routes on keys. `limits` returns the configuration's, which keys' own may only lower; `note` takes what was changed."""

    def __init__(
        self,
        keys: KeyRing,
        wall_clock: WallClock,
        limits: Callable[[], Limits],
        *,
        note: Note,
        place: Callable[[Key], Place],
        usings: Usings | None = None,
    ) -> None:
        self._keys = keys
        self._wall_clock = wall_clock
        self._limits = limits
        self._note = note
        self._place = place
        self._usings = usings

    def routes(self) -> tuple[Route[Answering], ...]:
        """Return what is answered."""
        return (
            look("/keys", self._list),
            change("/keys", self._create),
            change("/keys/import", self._import),
            change("/keys/find", self._find, changes=False),
            change("/keys/{name}/update", self._update),
            change("/keys/{name}/rotate", self._rotate),
            act("/keys/{name}/disable", lambda asked: self._set(asked, "disabled", DISABLED)),
            act("/keys/{name}/enable", lambda asked: self._set(asked, "enabled", ACTIVE)),
            act("/keys/{name}/revoke", self._revoke),
            look("/keys/{name}", self._show),  # last, as it takes every path below
        )

    def _list(self, asked: Asked) -> Steps:
        """Answer with every key; with `standing` in the query each that is on the page which is asked for as it stands."""
        graces = self._keys.graces()
        shown = [extended(self._shown(key, graces), KeyListed) for key in self._keys.list()]
        if asked.query.has("standing"):
            begin, end = bounds_of(shown, asked.query)
            for first in range(begin, end, STEP_KEYS):
                some = slice(first, min(first + STEP_KEYS, end))
                shown[some] = self._standing(shown[some])
                yield
        return 200, KeyList(data=shown)

    def _create(self, asked: Asked) -> Result:
        wanted = read(asked.body, KeyAsked)
        if wanted.secret is not None or wanted.sha256 is not None:
            raise ApiError("invalid_request", "A secret is only taken by /keys/import.", param="secret")
        terms = self._terms(wanted)
        new = account_is_new(self._keys.accounts, name_of(terms["account"]))
        key, secret = self._keys.create(wanted.label, **terms)
        shown = self._noted("created", None, key, account_made=new)
        return 201, extended(shown, KeyMade, secret=secret, **self._place(key)._asdict(), account_made=new)

    def _import(self, asked: Asked) -> Result:
        wanted = read(asked.body, KeyAsked)
        if (wanted.secret is None) is (wanted.sha256 is None):
            raise ApiError("missing_parameter", "To import a key send its secret, or else the secret's SHA-256.", param="secret")
        given = wanted.secret or trace_of_digest(wanted.sha256 or "", wanted.hint or "")
        terms = self._terms(wanted)
        new = account_is_new(self._keys.accounts, name_of(terms["account"]))
        key = self._keys.import_key(wanted.label, given, **terms)
        shown = self._noted("imported", None, key, account_made=new)
        return 201, extended(shown, KeyImported, free_models=self._place(key).free_models, account_made=new)

    def _find(self, asked: Asked) -> Result:
        key = self._keys.known(read(asked.body, SecretAsked).secret.strip())
        if key is None:
            raise ApiError("resource_not_found", "This is no key of this server, and never was one that it remembers.")
        return 200, self._shown(key, self._keys.graces())

    def _show(self, asked: Asked) -> Result:
        """Answer with a key and how it stands."""
        key = self._keys.find(asked.name)
        [listed] = self._standing([extended(self._shown(key, self._keys.graces()), KeyListed)])
        return 200, KeyStanding(**msgspec.structs.asdict(listed), free_models=self._place(key).free_models)

    def _standing(self, keys: Sequence[KeyListed]) -> list[KeyListed]:
        """Return keys with what each spent in its cap's window (else this month), what is left, its last use."""
        if self._usings is None:
            return list(keys)
        now, by_window = self._wall_clock(), dict[int, list[str]]()
        for key in keys:
            by_window.setdefault(window_start(key.spend_window or MONTH, now), []).append(key.id)
        spent = {began: self._usings.spent_by_key(ids, began) for began, ids in by_window.items()}
        last, shown = self._usings.last_uses([key.id for key in keys]), list[KeyListed]()
        for key in keys:
            began = window_start(key.spend_window or MONTH, now)
            cost, (used_ms, address) = spent[began].get(key.id, 0), last.get(key.id, (None, None))
            left = None if key.spend_cap is None else max(0, key.spend_cap - cost)
            stands = {"spent_since": began, "spent": cost, "left": left, "last_used_ms": used_ms, "last_address": address}
            shown.append(msgspec.structs.replace(key, **stands))
        return shown

    def _update(self, asked: Asked) -> Result:
        wanted = read(asked.body, TermsAsked)
        key = self._keys.current(asked.name)
        terms = terms_of(key)
        if wanted.label is not msgspec.UNSET:
            terms = msgspec.structs.replace(terms, label=wanted.label)
        if wanted.models is not msgspec.UNSET:
            terms = msgspec.structs.replace(terms, models=None if wanted.models is None else tuple(wanted.models))
        if wanted.expires is not msgspec.UNSET:
            terms = msgspec.structs.replace(terms, expires_at=parse_expiry(wanted.expires, self._wall_clock()))
        if wanted.spend_cap is not msgspec.UNSET:
            terms = msgspec.structs.replace(terms, spend=parse_spend_cap(wanted.spend_cap))
        told = {name: value for name in Rates._fields if (value := getattr(wanted, name)) is not msgspec.UNSET}
        self._lower(Rates(**told), key.account)  # what it has already may be above a tier that is another by now, and is lowered by it
        terms = msgspec.structs.replace(terms, rates=terms.rates._replace(**told))
        changed = self._keys.update(key.id, terms, known=key)
        return 200, extended(self._noted("updated", key, changed), KeyChanged, free_models=self._place(changed).free_models)

    def _rotate(self, asked: Asked) -> Result:
        grace = parse_grace((read(asked.body, RotationAsked) if asked.body else RotationAsked()).grace)
        before, graces = self._keys.current(asked.name), self._keys.graces()
        key, secret = self._keys.rotate(before.id, grace)
        shown = self._noted("rotated", before, key, graces_before=graces)
        return 200, extended(shown, KeyRotated, secret=secret, **self._place(key)._asdict())

    def _set(self, asked: Asked, action: str, state: str) -> Result:
        before = self._keys.current(asked.name)
        return 200, self._noted(action, before, self._keys.set_state(before.id, state))

    def _revoke(self, asked: Asked) -> Result:
        before = self._keys.current(asked.name)
        return 200, self._noted("revoked", before, self._keys.revoke(before.id))

    def _noted(
        self, action: str, before: Key | None, key: Key, *, graces_before: Mapping[str, int] | None = None, account_made: bool = False
    ) -> KeyShown:
        """Note what was done to a key and return what may be shown of it; a rotation says which graces ran before."""
        if account_made:
            account = self._keys.accounts.account(key.account)
            self._note(AccountChanged("created", account.name, account.tier), None, account)
        graces = self._keys.graces()
        shown = self._shown(key, graces)
        was = None if before is None else self._shown(before, graces if graces_before is None else graces_before)
        self._note(KeysChanged(action, key.id, key.label), was, shown)
        return shown

    def _lower(self, rates: Rates, account: str) -> Rates:
        """Return limits of a key's own. Raises ApiError invalid_request for one that its tier would lower again."""
        tier = tier_of(self._limits(), self._keys.tiers, account)
        for name, value in rates._asdict().items():
            most = getattr(tier, name)
            if value is not None and most is not None and value > most:
                said = (
                    f"The account '{account}' allows each of its keys a `{name}` of {most:,}, and {value:,} is more. "
                    "A key's own limit can only be lower."
                )
                raise ApiError("invalid_request", said, param=name)
        return rates

    def _terms(self, wanted: KeyAsked) -> KeyWanted:
        """Return what a key is to be like: where no account is named, of its team's."""
        named = None if wanted.account is msgspec.UNSET else check_account(wanted.account)
        account = named or DEFAULT_ACCOUNT if wanted.team is None else self._team(wanted.team, named)
        return {
            "models": None if wanted.models is None else tuple(wanted.models),
            "expires_at": parse_expiry(wanted.expires, self._wall_clock()),
            "account": account,
            "spend": parse_spend_cap(wanted.spend_cap),
            "rates": self._lower(Rates(wanted.rpm, wanted.tpm, wanted.concurrency), name_of(account)),
        }

    def _team(self, name: str, account: str | None) -> Team:
        """Return the team that a key is to be in. Raises ApiError, of the member `team`."""
        try:
            return self._keys.teams.find(name, account)
        except ApiError as error:
            error.param = "team"
            raise

    def _shown(self, key: Key, graces: Mapping[str, int]) -> KeyShown:
        """Return what may be shown of a key; `graces` is what `KeyRing.graces` returns."""
        shown: dict[str, Any] = msgspec.structs.asdict(key)
        del shown["digest"]
        shown["team"] = None if key.team is None else TeamNamed(key.team.id, key.team.name)
        shown["state"] = state_at(key, self._wall_clock())
        return KeyShown(**shown, former_secret_expires_at=None if key.state == REVOKED else graces.get(key.id))


def name_of(account: str | Team) -> str:
    """Return the name of an account, or of a team's."""
    return account.account if isinstance(account, Team) else account
