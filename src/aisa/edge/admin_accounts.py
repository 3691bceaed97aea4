"""What an administrator may do with accounts beside their wallets, as requests and answers in JSON. Lists the routes; `admin` answers.

| request | body | answer |
|---|---|---|
| `POST /accounts` | `{name, tier?}` | 201, the account |
| `POST /accounts/{name}/tier` | `{tier}` | 200, the account; null for the configuration's default |
| `POST /accounts/{name}/disable` | | 200, the account: none of its keys is let in |
| `POST /accounts/{name}/enable` | | 200, the account |

An account is `{name, tier, state}`. A tier must be one that the configuration knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from aisa.config.limits import Limits, known_tiers
from aisa.edge.admin_route import Answering, Asked, Note, Result, act, change, read
from aisa.edge.routes import Route
from aisa.errors import ApiError
from aisa.facts import AccountChanged
from aisa.keys.port import AccountRing
from aisa.keys.rules import ACTIVE, DISABLED, Account


class AccountAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A new account."""

    name: str
    tier: str | None = None


class TierAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Another tier."""

    tier: str | None


class AccountRoutes:
    """The routes on accounts. `limits` returns the configuration's, `note` takes what was changed."""

    def __init__(self, accounts: AccountRing, limits: Callable[[], Limits], note: Note) -> None:
        self._accounts = accounts
        self._limits = limits
        self._note = note

    def routes(self) -> tuple[Route[Answering], ...]:
        """Return what is answered."""
        return (
            change("/accounts", self._create),
            change("/accounts/{name}/tier", self._set_tier),
            act("/accounts/{name}/disable", self._disable),
            act("/accounts/{name}/enable", self._enable),
        )

    def _create(self, asked: Asked) -> Result:
        wanted = read(asked.body, AccountAsked)
        return 201, self._noted("created", self._accounts.create_account(wanted.name, self._known(wanted.tier)))

    def _set_tier(self, asked: Asked) -> Result:
        tier, before = self._known(read(asked.body, TierAsked).tier), self._accounts.account(asked.name)
        return 200, self._noted("tier", self._accounts.set_tier(asked.name, tier), before)

    def _disable(self, asked: Asked) -> Result:
        before = self._accounts.account(asked.name)
        return 200, self._noted("disabled", self._accounts.set_account_state(asked.name, DISABLED), before)

    def _enable(self, asked: Asked) -> Result:
        before = self._accounts.account(asked.name)
        return 200, self._noted("enabled", self._accounts.set_account_state(asked.name, ACTIVE), before)

    def _noted(self, action: str, account: Account, before: Account | None = None) -> Account:
        self._note(AccountChanged(action, account.name, account.tier), before, account)
        return account

    def _known(self, tier: str | None) -> str | None:
        """Return a tier that there is. Raises ApiError invalid_request."""
        tiers = known_tiers(self._limits())
        if tier is not None and tier not in tiers:
            raise ApiError("invalid_request", f"There is no tier {tier[:40]!r}. There are: {', '.join(tiers)}.", param="tier")
        return tier


def account_asked(accounts: AccountRing, query: Mapping[str, str]) -> str | None:
    """Return the account that a query is about, None for all. Raises ApiError resource_not_found, internal_error."""
    name = query.get("account")
    return None if name is None else accounts.account(name).name


def account_is_new(accounts: AccountRing, name: str) -> bool:
    """Say whether whoever asks for something in this account will make it. Raises ApiError internal_error."""
    try:
        accounts.account(name)
    except ApiError as error:
        if error.code != "resource_not_found":
            raise
        return True
    return False
