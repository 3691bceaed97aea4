"""The admin API over the network: who may ask, by which host name, how often with a wrong key. What is answered is `admin.py`'s.

Below `/admin/v1` are the routes of the command line, but those on admin keys. It is as if it were not there until one was made. Nothing of
it is ever shared across origins.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from math import ceil

import msgspec

from aisa.admission.rules import address_group
from aisa.edge.admin import Actor, Answer
from aisa.edge.admin_openapi import OPENAPI, admin_document, is_list
from aisa.edge.admin_route import QUESTION, Answering
from aisa.edge.control import Control
from aisa.edge.heads import coding_of
from aisa.edge.pages import send_whole
from aisa.edge.presented_key import bearer
from aisa.edge.refusals import Note
from aisa.edge.routes import RouteTable
from aisa.errors import ApiError
from aisa.http.server import Reply, Request
from aisa.keys.port import AdminKeys
from aisa.keys.rules import READ, WRITE, AdminKey
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import refuse
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE, whole_line

PREFIX = "/admin/v1"
LOCAL_ONLY = "/admin-keys"  # whoever may make admin keys is at this machine
WRONG_KEYS_MAX = 10  # a minute and address: a person mistypes two or three
MINUTE_SECONDS = 60.0
#: Refusals of a key that is wrong. Nobody has guessed whose token has ended or gives no right, nor while keys cannot be looked up.
GUESSED = frozenset({"invalid_api_key", "revoked_api_key"})
ADDRESSES_MAX = 10_000  # whose wrong keys are counted; the one that was quiet the longest goes
READING = ("GET", "HEAD")
PAGE_ENTRIES = 100  # of a list that says no `limit`
THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::[0-9]*)?")
EVERY_INTERFACE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - only compared


class Hosts:
    """The names by which the admin API may be asked: a page of somebody else's, whose name leads here, must not be one."""

    def __init__(self, named: tuple[str, ...], listening: tuple[str, ...]) -> None:
        listed = frozenset((name if is_address(name) else host_name(name)).casefold() for name in named)
        self._named = listed or (THIS_MACHINE | {host.casefold() for host in listening})
        self._any_address = not named and not EVERY_INTERFACE.isdisjoint(listening)

    def check(self, host: str, asked: str = "The admin API") -> None:
        """Raise ApiError insufficient_permissions unless a `Host` header's name is one of them. `asked` is what has the names."""
        name = host_name(host).casefold()
        if name in self._named or (self._any_address and is_address(name)):
            return
        said = f"{asked} is not asked by the name {name[:100]!r}. If that is a name of this server, list it in the setting `admin.hosts`, "
        said += "with every other that is to be good; without the setting this machine's own are, such as localhost."
        raise ApiError("insufficient_permissions", said)


def host_name(host: str) -> str:
    """Return a `Host` header without its port and without brackets; one that has more, or another form, as it is: it names nobody."""
    found = HOST.fullmatch(host.strip())
    return host if found is None else found[1] or found[2] or ""


def is_address(name: str) -> bool:
    """Say whether a name is an address, which no name server leads elsewhere."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class WrongKeys:
    """How often each client's address has sent a wrong key lately: of IPv6, which network. `now` is in the event loop's seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._times: dict[str, deque[float]] = {}

    def check(self, address: str) -> None:
        """Raise ApiError rate_limit_exceeded for an address that has sent too many in the last minute."""
        times = self._times.get(address_group(address))
        if times is None:
            return
        now = self._now()
        while times and times[0] <= now - MINUTE_SECONDS:
            times.popleft()
        if len(times) >= WRONG_KEYS_MAX:
            wait = times[0] + MINUTE_SECONDS - now
            said = f"{WRONG_KEYS_MAX} wrong admin keys came from this address within a minute. Try again in {ceil(wait)} s."
            raise ApiError("rate_limit_exceeded", said, retry_after=wait)

    def note(self, address: str) -> None:
        """Count a wrong key."""
        group = address_group(address)
        times = self._times.pop(group, None) or deque[float](maxlen=WRONG_KEYS_MAX)
        times.append(self._now())
        self._times[group] = times
        if len(self._times) > ADDRESSES_MAX:
            del self._times[next(iter(self._times))]


class AdminGate:
    """Lets administrators in over the network. `control` answers what they ask; `keys` and `hosts` may be changed while it runs."""

    def __init__(self, keys: AdminKeys, control: Control, routes: RouteTable[Answering], *, hosts: Hosts, now: Callable[[], float]) -> None:
        self.keys = keys
        self._control = control
        self._routes = RouteTable(routes.routes, below=PREFIX)
        self._wrong = WrongKeys(now)
        self.hosts = hosts
        self.tell: Callable[[], None] = lambda: None

    @property
    def is_open(self) -> bool:
        """Whether there is a key that could be let in."""
        return len(self.keys) > 0

    def changed(self) -> None:
        """Take note that a key was made or revoked, and `tell` whoever has to know whether this is open."""
        self.tell()

    def let_in(self, request: Request, address: str, *, scope: str) -> Actor:
        """Return who asks, if he may do what needs a scope.

        Raises ApiError: insufficient_permissions (host, scope), rate_limit_exceeded, missing_api_key, invalid_api_key, revoked_api_key.
        """
        key = self.key_of(bearer(request.headers.get("authorization")), request.headers.get("host", ""), address)
        if scope == WRITE and key.scope != WRITE:
            raise ApiError("insufficient_permissions", f"The admin key labelled {key.label!r} may only read.")
        return Actor(f"{key.label} ({key.id})", address or None)

    def key_of(self, secret: str | None, host: str, address: str) -> AdminKey:
        """Return the admin key of a secret that was sent to a host name from an address. Raises ApiError as `let_in`."""
        self.hosts.check(host)
        self.check_guesser(address)
        try:
            return self.keys.verify(secret)
        except ApiError as error:
            if secret and error.code in GUESSED:
                self.note_guess(address)
            raise

    def check_guesser(self, address: str) -> None:
        """Raise ApiError rate_limit_exceeded for an address that has guessed too often in the last minute."""
        self._wrong.check(address)

    def note_guess(self, address: str) -> None:
        """Count a wrong guess."""
        self._wrong.note(address)

    def is_good(self, key: AdminKey) -> bool:
        """Say whether an admin key that was let in is good still."""
        return self.keys.is_good(key)

    def judge(self, request: Request, address: str, request_id: str, *, note: Note | None = None) -> AdminVisit:
        """Judge a request by its head. Raises ApiError; `unknown_endpoint` where no admin key was ever made."""
        path = request.path.removeprefix(PREFIX)
        if path == OPENAPI:
            actor = self.let_in(request, address, scope=READ)
            if request.method not in READING:
                raise ApiError("method_not_allowed", f"{request.path} takes GET, not {request.method[:20]}.", allow=", ".join(READING))
            return AdminVisit(self, request, request_id, actor, 0)
        if path.startswith(LOCAL_ONLY):
            self.let_in(request, address, scope=WRITE)
            raise ApiError(
                "insufficient_permissions", "Admin keys are made and revoked at the machine itself: aisa admin-keys create LABEL"
            )
        needs: str | None = None
        try:
            route, _ = self._routes.find(request.method, path)
            needs = READ if route.method == "GET" or route.summary == QUESTION else WRITE
        except ApiError:
            self.let_in(request, address, scope=READ)  # what there is is told to nobody else
            raise
        actor = self.let_in(request, address, scope=needs)
        if route.method == "POST" and request.headers.get("content-length", "0") != "0":
            sent = request.headers
            if coding_of(sent.get("content-type", JSON_TYPE), sent.get("content-encoding", "")):
                raise ApiError("unsupported_media_type", "The admin API takes bodies as they are: send no Content-Encoding.")
        return AdminVisit(self, request, request_id, actor, route.body_bytes_max, is_list(route.method, route.path))

    async def answer(self, visit: AdminVisit) -> Answer:
        """Answer a request that was let in."""
        request = visit.request
        path = request.path.removeprefix(PREFIX)
        if path == OPENAPI:
            return 200, msgspec.json.encode(admin_document(self._routes, without=LOCAL_ONLY))
        query = request.query
        if visit.is_list and not any(field.startswith("limit=") for field in query.split("&")):
            query = f"{query}&limit={PAGE_ENTRIES}" if query else f"limit={PAGE_ENTRIES}"
        return await self._control.ask(request.method, f"{path}?{query}", request.body, actor=visit.actor)


class AdminVisit(msgspec.Struct):
    """A request that was let in; see `http.shared.Verdict`."""

    gate: AdminGate
    request: Request
    id: str
    actor: Actor
    body_bytes_max: int | None
    is_list: bool = False

    def answer(self, reply: Reply) -> Awaitable[None]:
        """Answer the request."""
        return self._answer(reply)

    async def _answer(self, reply: Reply) -> None:
        try:
            status, body = await self.gate.answer(self)
        except ApiError as error:
            refuse_admin(error, reply, self.id)
            return
        await send_admin(reply, status, self.id, body=body)


async def send_admin(reply: Reply, status: int, request_id: str, *, body: bytes) -> None:
    """Answer with what was asked for."""
    await send_whole(reply, status, [("content-type", JSON_TYPE), *own_headers(request_id)], body=whole_line(body))


def refuse_admin(error: ApiError, reply: Reply, request_id: str) -> None:
    """Answer with an error."""
    refuse(reply, error, request_id, headers=own_headers(request_id), door=CHAT_DOOR)


def own_headers(request_id: str) -> HeaderList:
    """Return what every answer here has."""
    return [("x-request-id", request_id), ("cache-control", "no-store")]
