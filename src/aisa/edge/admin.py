"""What an administrator may do, as requests and answers in JSON. Knows no socket: a server or the command line carries the bytes.

The routes are those of `admin_keys`, `admin_teams`, `admin_accounts`, `admin_wallets` and of whoever makes this. Whoever can reach this is
trusted, or was found to be: `admin_gate.py` does that for requests over the network.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeGuard
from urllib.parse import unquote

import msgspec

from aisa.clock import WallClock
from aisa.config.limits import Limits
from aisa.edge.admin_accounts import AccountRoutes
from aisa.edge.admin_key_routes import AdminKeyRing, AdminKeyRoutes
from aisa.edge.admin_keys import KeyRoutes, Place, Usings
from aisa.edge.admin_route import Answering, Asked, Listed, Query, bounds_of
from aisa.edge.admin_status import Attention
from aisa.edge.admin_teams import TeamRoutes, TeamUsings
from aisa.edge.admin_wallets import WalletRoutes
from aisa.edge.routes import Route, RouteTable
from aisa.errors import ApiError
from aisa.facts import Changed, Fact
from aisa.keys.port import KeyRing
from aisa.keys.rules import Key
from aisa.ledger.port_admin import Wallets
from aisa.wire.reply import error_json

#: status and JSON body
Answer = tuple[int, bytes]


DONE = "It is done"  # how an error begins that hides a change


class Actor(NamedTuple):
    """Who asks: `operator` at this machine's command line, or an admin key's label and id; and from where, None on this machine."""

    name: str = "operator"
    address: str | None = None


OPERATOR = Actor()
CONTROL_ID = "control"  # in errors that the command line is told: its requests are the operator's own and have no id


class AuditTrail(Protocol):
    """Where changes are kept for good. Raises ApiError internal_error when the database does not work."""

    def keep(self, actor: str, address: str | None, action: str, *, changes: Iterable[tuple[str, object, object]]) -> None:
        """Keep what one request has changed: each a kind, what was and what is. `action` is the request's method and path."""
        ...


def advance(steps: Generator[None, None, Answer]) -> Answer | None:
    """Do one step; return the answer if that was the last."""
    try:
        next(steps)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    return None


class AllUsings(Usings, TeamUsings, Protocol):
    """What is known of the use of keys."""


class Records(NamedTuple):
    """What administrators ask of beside keys and wallets: how keys were used, what was changed, and the admin keys; None where not kept."""

    usings: AllUsings | None = None
    trail: AuditTrail | None = None
    admin_keys: AdminKeyRing | None = None


NO_RECORDS = Records()


class Admin:
    """Answers administrators. `report`, if there is one, is told of every change, by `tell`.

    `url` is where the API listens, None while it does not: whoever makes a key is told that, and by `example_model` a name that can be
    called, by `free_models` which of an allow-list cost nothing. `why_not_ready` says why no calls are taken, None if they are; `attention`
    what needs attention of what runs. `limits` are the configuration's, which keys' own limits may only lower. `more` are routes of others.
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
        records: Records = NO_RECORDS,
    ) -> None:
        self._report = report
        self._noted: deque[Changed] = deque()
        self._changes: list[tuple[str, object, object]] = []
        self.url: str | None = None
        self.example_model: Callable[[], str | None] = lambda: None
        self.free_models: Callable[[tuple[str, ...] | None], tuple[str, ...]] = lambda _allowed: ()
        self.why_not_ready: Callable[[], str | None] = lambda: None
        self.attention: Callable[[], Sequence[Attention]] = tuple
        self.limits = limits or Limits()
        self._trail = records.trail
        on_keys = KeyRoutes(keys, wall_clock, lambda: self.limits, note=self.note, place=self._place, usings=records.usings)
        self.routes = RouteTable(
            (
                *on_keys.routes(),
                *(() if records.usings is None else TeamRoutes(keys, wall_clock, note=self.note, usings=records.usings).routes()),
                *AccountRoutes(keys.accounts, lambda: self.limits, self.note).routes(),
                *(() if wallets is None else WalletRoutes(wallets, self.note).routes()),
                *(() if records.admin_keys is None else AdminKeyRoutes(records.admin_keys, self.note).routes()),
                *more,
            )
        )

    def note(self, fact: Changed, before: object = None, after: object = None) -> None:
        """Take note of a change that a request has made: a fact for the log, and what was changed as it was before and is now."""
        self._noted.append(fact)
        self.record(fact.action, before, after)

    def record(self, what: str, before: object, after: object) -> None:
        """Keep a change of which the log hears otherwise."""
        self._changes.append((what, before, after))

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Do what is asked and return the status and a JSON body. `path` is percent-encoded. Raises nothing that a request can cause."""
        steps, answer = self.steps(method, path, body), None
        try:
            while answer is None:
                answer = advance(steps)
        except ApiError as error:
            answer = error.status, error_json(error, CONTROL_ID)
        self.tell()
        return answer

    def steps(self, method: str, path: str, body: bytes, *, actor: Actor = OPERATOR) -> Generator[None, None, Answer]:
        """Do what is asked in steps, and return what `answer` does. One at a time: what a step finds is not changed during it.

        Raises ApiError.
        """
        path, _, text = path.partition("?")
        route, name = self.routes.find(method, path)
        query = Query(text)
        if method == "POST":
            query.refuse()  # before anything is done
        result = route.handler(Asked(unquote(name), query, body))
        if isinstance(result, Generator):
            yield  # so that whoever makes the steps can let it wait before it holds anything of the database's
            result = yield from result
        status, shown = result
        page = page_of(shown, query)
        query.check()
        self._keep(actor, f"{method} {path}")
        return status, msgspec.json.encode(page)

    def _keep(self, actor: Actor, action: str) -> None:
        """Keep what a request has changed. It is done, whatever becomes of its record: the caller is told if that cannot be kept.

        Raises ApiError internal_error.
        """
        changes, self._changes = self._changes, []
        if not changes or self._trail is None:
            return
        try:
            self._trail.keep(actor.name, actor.address, action, changes=changes)
        except ApiError as error:
            said = f"{DONE}, but its answer is lost, as no record of it could be kept: {error.message}"
            raise ApiError(error.code, said) from error

    def tell(self) -> None:
        """Report what was changed. Apart from the steps, because these may be made in a thread and reports are for the event loop's."""
        while self._noted:
            self._report(self._noted.popleft())

    def _place(self, key: Key) -> Place:
        return Place(self.url, self.example_model(), () if key.spend_cap is None else self.free_models(key.models))


def page_of(shown: object, query: Mapping[str, str]) -> object:
    """Return a page of a list that is whole, where one was asked for: `limit` entries behind the one called `after` by id or name.

    Raises ApiError invalid_request.
    """
    if not is_listed(shown):
        return shown
    begin, end = bounds_of(shown.data, query)
    if end - begin == len(shown.data):
        return shown
    return msgspec.structs.replace(shown, data=shown.data[begin:end], has_more=end < len(shown.data))


def is_listed(shown: object) -> TypeGuard[Listed[object]]:
    """Say whether an answer is a list."""
    return isinstance(shown, Listed)
