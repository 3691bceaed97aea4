"""What an administrator may do, as requests and answers in JSON. Knows no socket: a server or the command line carries the bytes.

The routes are those of `admin_keys`, `admin_accounts`, `admin_wallets` and of whoever makes this. Errors have the API's shape without a
request id. Whoever can reach this is trusted, or was found to be: `admin_gate.py` does that for requests over the network.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl, unquote

import msgspec

from aisa.clock import WallClock
from aisa.config.limits import Limits
from aisa.edge.admin_accounts import AccountRoutes
from aisa.edge.admin_keys import KeyRoutes, Place, Usings
from aisa.edge.admin_route import Answering, Asked
from aisa.edge.admin_wallets import WalletRoutes
from aisa.edge.routes import Route, RouteTable
from aisa.errors import ApiError
from aisa.facts import Fact
from aisa.keys.port import KeyRing
from aisa.ledger.port_admin import Wallets

#: status and JSON body
Answer = tuple[int, bytes]


class Actor(NamedTuple):
    """Who asks: `operator` at this machine's command line, or an admin key's label and id; and from where, None on this machine."""

    name: str = "operator"
    address: str | None = None


OPERATOR = Actor()


class Change(NamedTuple):
    """What was changed: a fact for the log, and what was changed as it was before and is now, as JSON would have it."""

    fact: Fact
    before: object
    after: object


class AuditTrail(Protocol):
    """Where changes are kept for good. Raises ApiError internal_error when the database does not work."""

    def keep(self, actor: Actor, action: str, changes: Iterable[Change]) -> None:
        """Keep what one request has changed; `action` is its method and path."""
        ...


def advance(steps: Generator[None, None, Answer]) -> Answer | None:
    """Do one step; return the answer if that was the last."""
    try:
        next(steps)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    return None


class Admin:
    """Answers administrators. `report`, if there is one, is told of every change, by `tell`, and `trail` keeps it.

    `url` is where the API listens, None while it does not: whoever makes a key is told that, and by `example_model` a name that can be
    called. `limits` are the configuration's, which keys' own limits may only lower. `more` are routes of others, `usings` says how
    keys were used.
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
        usings: Usings | None = None,
    ) -> None:
        self._report = report
        self._noted: deque[Change] = deque()
        self._changes: list[Change] = []
        self.url: str | None = None
        self.example_model: Callable[[], str | None] = lambda: None
        self.limits = limits or Limits()
        self.trail: AuditTrail | None = None
        on_keys = KeyRoutes(keys, wall_clock, lambda: self.limits, note=self.note, place=self._place, usings=usings)
        self.routes = RouteTable(
            (
                *on_keys.routes(),
                *AccountRoutes(keys.accounts, lambda: self.limits, self.note).routes(),
                *(() if wallets is None else WalletRoutes(wallets, self.note).routes()),
                *more,
            )
        )

    def note(self, fact: Fact, before: object = None, after: object = None) -> None:
        """Take note of a change that a request has made."""
        self._changes.append(Change(fact, before, after))

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Do what is asked and return the status and a JSON body. `path` is percent-encoded. Raises nothing that a request can cause."""
        steps = self.steps(method, path, body)
        while (answer := advance(steps)) is None:
            pass
        self.tell()
        return answer

    def steps(self, method: str, path: str, body: bytes, *, actor: Actor = OPERATOR) -> Generator[None, None, Answer]:
        """Do what is asked in steps, and return what `answer` does. One at a time: what a step finds is not changed during it."""
        try:
            path, _, query = path.partition("?")
            route, name = self.routes.find(method, path)
            result = route.handler(Asked(unquote(name), dict(parse_qsl(query)), body))
            status, shown = (yield from result) if isinstance(result, Generator) else result
            self._keep(actor, f"{method} {path}")
        except ApiError as error:
            status = error.status
            shown = {"error": {"type": error.type, "code": error.code, "message": error.message, "param": error.param}}
        return status, msgspec.json.encode(shown)

    def _keep(self, actor: Actor, action: str) -> None:
        """Keep what a request has changed. It is done, whatever becomes of its record: the caller is told if that cannot be kept."""
        changes, self._changes = self._changes, []
        self._noted.extend(changes)
        if changes and self.trail is not None:
            self.trail.keep(actor, action, changes)

    def tell(self) -> None:
        """Report what was changed. Apart from the steps, because these may be made in a thread and reports are for the event loop's."""
        while self._noted:
            self._report(self._noted.popleft().fact)

    def _place(self) -> Place:
        return Place(self.url, self.example_model())
