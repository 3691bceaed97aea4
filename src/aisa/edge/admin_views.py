"""What an administrator may see of the server itself, as requests and answers in JSON. Lists the routes; `admin` answers.

| request | answer |
|---|---|
| `GET /models` | 200, `{data: [ModelShown, ...], free_vendors, any_name}`: names that callers can use, where each goes, at what price |
| `GET /models/{name}` | 200, a `ModelShown`: where a name goes, and why |
| `GET /vendors` | 200, `{data: [VendorShown, ...]}` |
| `GET /limits` | 200, `{default_tier, tiers, accounts}`: how much each tier may ask, and which accounts have which |
| `GET /changes` | 200, `{data: [ChangeKept, ...]}`: what administrators changed, the newest first |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from aisa.admission.rules import VendorLimit
from aisa.config.limits import AccountRates, Limits, known_tiers
from aisa.edge.admin_route import Answering, Asked, Listed, Result, look, number
from aisa.edge.model_view import ModelShown, model_shown, models_shown
from aisa.edge.routes import Route
from aisa.errors import OF_VENDORS, CreditSpent, KeyRefused
from aisa.keys.port import ChangeKept
from aisa.routing import Routes

CHANGES_MAX = 1_000  # that are shown at once
NOT_ASKED, NOT_REACHED = "not_asked", "not_reached"  # of a vendor of which nothing was heard
FAILURES_TO_STAND = 2  # in a row, as one in a hundred calls fails at any vendor
CHANGE_ID_MAX = 2**31 - 1  # that the database takes


class Trouble(msgspec.Struct, frozen=True):
    """A target or vendor that has failed since it last completed an answer: how often in a row, and for how many seconds it is asked last.

    `reason` says why a vendor fails with all of its models: `key_refused`, `no_credit` or `unreachable`. It is empty for a target.
    """

    target: str
    failures: int
    seconds: float
    reason: str = ""

    @property
    def said(self) -> str:
        """What is said of a vendor that fails as a whole, as words after its name; empty for a target."""
        return OF_VENDORS.get(self.reason, "")

    @property
    def must_be_acted_on(self) -> bool:
        """Whether it stays so until the operator does something: no other call, and no time, pays our bill or mends our key."""
        return self.reason in (KeyRefused.of_vendor, CreditSpent.of_vendor)

    @property
    def stands(self) -> bool:
        """Whether it is told until a call completes: behind its rest, too, as nobody knows that it has healed before one has."""
        return self.must_be_acted_on or self.seconds > 0 or self.failures >= FAILURES_TO_STAND


class VendorShown(msgspec.Struct, frozen=True):
    """A vendor: its connections, how many models it lists (None if it has not said), what failed lately, how full its limits are.

    `unheard` is there where nothing is known of how it is: `not_asked` since the server began, or `not_reached`, not even for its list of
    models; it is empty otherwise.
    """

    name: str
    connections_open: int
    connections_in_use: int
    calls_waiting: int
    models_listed: int | None
    troubles: tuple[Trouble, ...]
    limits: tuple[VendorLimit, ...] = ()
    unheard: str = ""


class VendorList(Listed[VendorShown], frozen=True):
    """The vendors that there are ways to."""


class ModelList(Listed[ModelShown], frozen=True, kw_only=True):
    """Names that callers can use. Any model may be asked of `free_vendors` by its own name, free of charge if it has no price.

    With `any_name` the built-in model answers under every other name.
    """

    free_vendors: tuple[str, ...]
    any_name: bool = False


class TierShown(msgspec.Struct, frozen=True):
    """How much each key of an account in a tier may ask, and the account in all; null is as much as it likes."""

    rpm: int | None
    tpm: int | None
    concurrency: int | None
    account: AccountRates


class LimitsShown(msgspec.Struct, frozen=True):
    """How much each key may ask, by the tier of its account, and the tier of each account that was given one."""

    default_tier: str
    tiers: dict[str, TierShown]
    accounts: dict[str, str]


class ChangesShown(msgspec.Struct, frozen=True):
    """Changes, the newest first; `has_more` says that there may be older ones, `after` of the last id."""

    data: Sequence[ChangeKept]
    has_more: bool


#: Takes how many and, if any, the id before which; returns what administrators changed, the newest first.
Kept = Callable[[int, int | None], Sequence[ChangeKept]]


class ViewRoutes:
    """The routes. `routes`, `vendors`, `limits` and `tiers` return what counts now; `changes` is None where none are kept."""

    def __init__(
        self,
        routes: Callable[[], Routes],
        vendors: Callable[[], list[VendorShown]],
        limits: Callable[[], Limits],
        *,
        tiers: Mapping[str, str],
        changes: Kept,
        now: Callable[[], float],
    ) -> None:
        self._routes = routes
        self._vendors = vendors
        self._limits = limits
        self._tiers = tiers
        self._changes = changes
        self._now = now

    def listed(self) -> tuple[Route[Answering], ...]:
        """Return what is answered."""
        return (
            look("/models", self._models),
            look("/models/{name}", self._model),
            look("/vendors", lambda _asked: (200, VendorList(data=self._vendors()))),
            look("/limits", self._shown_limits),
            look("/changes", self._shown_changes),
        )

    def _models(self, _asked: Asked) -> Result:
        routes = self._routes()
        return 200, ModelList(data=models_shown(routes, self._now()), free_vendors=routes.free_vendors, any_name=routes.any_name)

    def _model(self, asked: Asked) -> Result:
        return 200, model_shown(self._routes(), asked.name, self._now())

    def _shown_limits(self, _asked: Asked) -> Result:
        limits = self._limits()
        tiers = {name: msgspec.convert(tier, TierShown, from_attributes=True) for name, tier in known_tiers(limits).items()}
        return 200, LimitsShown(limits.default_tier, tiers, dict(self._tiers))

    def _shown_changes(self, asked: Asked) -> Result:
        """Answer with a page of changes. Raises ApiError invalid_request."""
        limit, after = number(asked.query.get("limit", "100"), "limit", CHANGES_MAX, smallest=1), asked.query.get("after")
        data = self._changes(limit, None if after is None else number(after, "after", CHANGE_ID_MAX))
        return 200, ChangesShown(data, len(data) == limit)
