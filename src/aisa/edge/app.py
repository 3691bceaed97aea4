"""From one HTTP request to the right answer, always with a request id and always JSON when it fails. The API's routes are here."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec

from aisa.call import Call
from aisa.clock import WallClock
from aisa.config.schema import Config
from aisa.context import Dependencies
from aisa.edge.account import BALANCE, RECEIPT, USAGE, Accounts
from aisa.edge.addresses import Addresses
from aisa.edge.asked_model import asked_model
from aisa.edge.client_api import BETA, client_door
from aisa.edge.cors import CrossOrigin
from aisa.edge.elsewhere import ELSEWHERE
from aisa.edge.example_model import example_model
from aisa.edge.gemini import COUNT, KEY_HEADER, asked_at, door_of, gemini_model, gemini_models, to_be_counted
from aisa.edge.heads import Judged, client_id, coding_of, refused
from aisa.edge.idempotency import HEADER, Uses, relay_idempotent
from aisa.edge.input_counts import InputCounts
from aisa.edge.kept_responses import KeptResponses, deleted_document, input_document, response_document
from aisa.edge.models import messages_model, messages_model_list, model_list, one_model
from aisa.edge.pages import ICON_PATH, Page, Pages, Readiness, send_whole
from aisa.edge.presented_key import presented, secret_of
from aisa.edge.refusals import Refusals
from aisa.edge.retries import HEADER as RETRY_COUNT
from aisa.edge.retries import Retries, RetriesKept, relay_retried
from aisa.edge.routes import Route, RouteTable
from aisa.errors import ApiError
from aisa.facts import BugFound
from aisa.http.packed_body import Unpacker
from aisa.http.server import Reply, Request
from aisa.ids import CallIds
from aisa.keys.rules import Key
from aisa.ledger.refusal import Refusal
from aisa.relay import relay
from aisa.trace import Traces
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.door import Door, refuse
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.gemini_door import GEMINI_DOOR
from aisa.wire.messages_door import MESSAGES_DOOR, heard
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE
from aisa.wire.rerank_door import RERANK_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from aisa.wire.whole_calls import heard as chat_heard

OPTIONS = "OPTIONS"
PLAIN_DOOR = CHAT_DOOR  # whose words refusals are told in where nothing is known of who asks


class Edge:
    """Answers every request that a client connection brings.

    Without `idempotency`, an Idempotency-Key means nothing; without `accounts`, there are no routes on bills.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        ids: CallIds,
        wall_clock: WallClock,
        *,
        cross_origin: CrossOrigin,
        not_ready: Readiness,
        idempotency: Uses | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        self.accounts = accounts
        self._routes = RouteTable(ROUTES if accounts is None else ROUTES + BILLS, everywhere=(OPTIONS,), elsewhere=ELSEWHERE)
        self._dependencies = dependencies
        self._ids = ids
        self._wall_clock = wall_clock
        self._cross_origin = cross_origin
        self._pages = Pages((route.method, route.path) for route in self._routes.routes)
        self._not_ready = not_ready
        self._idempotency = idempotency
        self._inputs = InputCounts(dependencies.chance, upstreams=lambda: dependencies.upstreams)
        self.retries: RetriesKept = Retries()
        self._kept = KeptResponses(Config().responses, dependencies.timers.loop.time)
        self._created = int(wall_clock())
        self.refusals = Refusals(dependencies.report)
        self._unpacker = Unpacker(Config().server)
        self.addresses = Addresses()
        self.traces: Traces | None = None  # what begins them, where calls are traced

    def configure(self, config: Config) -> None:
        """Let this configuration's origins, proxies, retries and kept responses count for heads that are new from now on."""
        self.retries.on = config.retries == "replay"
        self._kept.configure(config.responses)
        self._cross_origin = CrossOrigin(config.cors)
        self._unpacker.configure(config.server)
        self.addresses = Addresses(config.server.trusted_proxies, config.log.client_address)

    def judge(self, request: Request) -> Visit:
        """Judge a request by its head: route, method, key, type of the body, in this order; `http/` then looks at the body's size.

        What a head asks for is found once; whether its key is good, each time.
        """
        known = cast("Judged[Answering] | None", request.memo)  # nobody else judges heads here
        if known is not None:
            key, secret = known.key, known.secret
            if secret is not None:
                keys = self._dependencies.keys
                key = keys.verify(secret) if key is None else keys.again(key, secret)
            request_id = self._ids()
            return Visit(self, request, known, key, request_id, self._headers(request, request_id))
        name, key = "", None
        if request.method == OPTIONS:
            self._routes.methods(request.path)
            route = PREFLIGHT
        else:
            route, name = self._routes.find(request.method, request.path)
        secret, coding = None, ""
        if route.needs_key:
            secret = secret_of(request, route.key_headers)
            key = self._dependencies.keys.verify(secret)
        if route.media_type is not None:
            sent = request.headers
            coding = coding_of(sent.get("content-type", JSON_TYPE), sent.get("content-encoding", ""))
        address = self.addresses.of(request)
        judged = Judged(route, name, secret, key, client_id(request), address, self.addresses.shown(address), coding)
        request.memo = judged
        request_id = self._ids()
        return Visit(self, request, judged, key, request_id, self._headers(request, request_id))

    def refuse(self, error: ApiError, reply: Reply, request: Request | None) -> None:
        """Answer a request that never became one: refused by its head, bad framing, too large, too slow."""
        request_id = self._ids()
        door = PLAIN_DOOR if request is None else self._routes.door(request.method, request.path) or client_door(request)
        key = None if request is None else self._dependencies.keys.known(presented(request, KEY_HEADERS))
        refuse(reply, error, request_id, headers=[*self._headers(request, request_id), *self._limits(key)], door=door)
        address = self.addresses.shown(reply.address) if request is None else self._shown_address(request)
        self.refusals.note(refused(error, request_id, request, key=key, address=address))
        if key is not None and request is not None:
            self._dependencies.keep_refusal(Refusal(request_id, key, error, client_request_id=client_id(request), address=address))

    async def answer(self, visit: Visit, reply: Reply) -> None:
        """Answer one request that was found good by its head."""
        try:
            if visit.judged.coding:
                visit.request.body = await self._unpacker.unpacked(visit.request.body, visit.judged.coding, visit.body_bytes_max)
            page = await visit.judged.route.handler(self, visit, reply)
            if page is not None:
                told = [("content-type", page.content_type), *visit.headers, *self._limits(visit.key)]
                await send_whole(reply, page.status, told, body=page.sent)
        except ApiError as error:
            self._refuse_visit(visit, reply, error)
        except asyncio.CancelledError:
            if not reply.gone:  # a client that left before its call was admitted needs no answer and left nothing open
                raise
        except Exception:
            # The outermost frame of a request, and the one place where an unforeseen exception may stop: nobody else can answer.
            self._dependencies.report(BugFound(visit.id, traceback.format_exc()))
            if reply.ended:
                return
            ours = ApiError("internal_error", "An error of ours. Please report it with the request_id.")
            refuse(reply, ours, visit.id, headers=[*visit.headers, *self._limits(visit.key)], door=visit.door)

    def _refuse_visit(self, visit: Visit, reply: Reply, error: ApiError) -> None:
        """Answer one that was found good by its head, and is refused by what it asks."""
        refuse(reply, error, visit.id, headers=[*visit.headers, *self._limits(visit.key)], door=visit.door)
        address = self._shown_address(visit.request)
        asked = ("" if visit.call is None else visit.call.asked) or asked_model(visit.request.body, visit.name)
        self._dependencies.report(refused(error, visit.id, visit.request, key=visit.key, address=address, model=asked))
        if visit.key is not None:
            self._dependencies.keep_refusal(Refusal(visit.id, visit.key, error, asked, client_id(visit.request), address))

    # What answers the routes

    def call(self, visit: Visit, reply: Reply) -> Awaitable[None]:
        """Carry a call to its end."""
        route = visit.judged.route
        heard = route.heard
        return self._carry(visit, reply, route.door or PLAIN_DOOR if heard is None else heard(visit.request.headers))

    async def gemini(self, visit: Visit, reply: Reply) -> Page | None:
        """Do what the address says with the model in it."""
        asked = asked_at(visit.name, visit.request.query)
        if asked.method == COUNT:
            tokens = await self._inputs.tokens(to_be_counted(visit.request.body, asked), self._dependencies.routes, visit.caller)
            return Page(msgspec.json.encode({"totalTokens": tokens}))
        await self._carry(visit, reply, door_of(asked))
        return None

    def _carry(self, visit: Visit, reply: Reply, door: Door) -> Awaitable[None]:
        request, judged = visit.request, visit.judged
        call = visit.call = Call(
            visit.id,
            visit.caller,
            request.body,
            int(self._wall_clock()),
            self._dependencies.timers.loop.time(),
            visit.headers,
            door,
            judged.address,
            judged.shown_address,
            judged.client_request_id,
        )
        if self.traces is not None:
            call.trace = self.traces.begin(request.headers, call.began, route=judged.route.path, path=request.path, protocol=door.protocol)
        if self._idempotency is not None and HEADER in request.headers:
            return relay_idempotent(call, request.headers[HEADER], reply, dependencies=self._dependencies, idempotency=self._idempotency)
        if self.retries.on:
            count = request.headers.get(RETRY_COUNT, "")
            return relay_retried(call, count, reply, dependencies=self._dependencies, retries=self.retries)
        return relay(call, reply, self._dependencies)

    def respond(self, visit: Visit, reply: Reply) -> Awaitable[None]:
        """Carry a call of the Responses API to its end, which may lead on from what is kept."""
        return self._carry(visit, reply, self._kept.door(visit.caller.id))

    async def response(self, visit: Visit, _reply: Reply) -> Page:
        """Show a response that is kept, or what was put in before it, or forget it."""
        name, method = visit.name, visit.request.method
        show = deleted_document if method == "DELETE" else input_document if name.endswith(INPUTS) else response_document
        return Page(show(self._kept, visit.caller.id, name.removesuffix(INPUTS)))

    async def count(self, visit: Visit, _reply: Reply) -> Page:
        """Say how many tokens the input of a call would have. Asks no vendor and costs nothing."""
        door = self._kept.door(visit.caller.id) if visit.door is RESPONSES_DOOR else visit.door
        asked = await self._dependencies.read(door, visit.request.body)
        tokens = await self._inputs.tokens(asked, self._dependencies.routes, visit.caller)
        kind = {} if visit.door is MESSAGES_DOOR else {"object": "response.input_tokens"}
        return Page(msgspec.json.encode({**kind, "input_tokens": tokens}))

    async def hello(self, _visit: Visit, _reply: Reply) -> Page:
        """Say that somebody is here, to a client that asks before it asks for anything."""
        return Page(b"{}")

    async def models(self, visit: Visit, _reply: Reply) -> Page:
        """List what the key may call, in the shape that its client knows."""
        if visit.door is GEMINI_DOOR:
            return Page(await asyncio.to_thread(gemini_models, self._dependencies.routes, visit.caller))
        if visit.door is MESSAGES_DOOR:
            return Page(await asyncio.to_thread(messages_model_list, self._dependencies.routes, visit.caller, self._created))
        return Page(await asyncio.to_thread(model_list, self._dependencies.routes, visit.caller, self._created, now=self._wall_clock()))

    async def model(self, visit: Visit, _reply: Reply) -> Page:
        """Describe one model, in the shape that its client knows."""
        if visit.door is GEMINI_DOOR:
            return Page(gemini_model(self._dependencies.routes, visit.caller, visit.name))
        if visit.door is MESSAGES_DOOR:
            return Page(messages_model(self._dependencies.routes, visit.caller, visit.name, created=self._created))
        return Page(one_model(self._dependencies.routes, visit.caller, visit.name, created=self._created, now=self._wall_clock()))

    async def bills(self, visit: Visit, _reply: Reply) -> Page:
        """Show the key's bills."""
        assert self.accounts is not None, "these routes are only there with accounts"
        return Page(await self.accounts.document(visit.request.path, visit.request.query, visit.caller))

    async def live(self, _visit: Visit, _reply: Reply) -> Page:
        """Say that the process runs. Touches nothing."""
        return Page(b'{"status":"live"}')

    async def ready(self, visit: Visit, _reply: Reply) -> Page:
        """Say whether new calls are wanted."""
        if (why_not := self._not_ready()) is not None:
            visit.headers.append(("retry-after", "1"))  # as every 503 has
        return Page(msgspec.json.encode({"status": why_not or "ready"}), status=503 if why_not else 200)

    async def file(self, visit: Visit, _reply: Reply) -> Page:
        """Send one of the documents that are files."""
        return Page(*self._pages.page(visit.request.path, example_model(self._dependencies.routes), visit.request.headers.get("host", "")))

    async def preflight(self, visit: Visit, reply: Reply) -> None:
        """Say what a path takes."""
        methods = self._routes.methods(visit.request.path)
        reply.start(204, visit.headers + self._cross_origin.preflight(visit.request, methods), None)
        reply.end()

    def _headers(self, request: Request | None, request_id: str) -> HeaderList:
        headers: HeaderList = [("x-request-id", request_id)]
        if request is not None and "origin" in request.headers:
            headers += self._cross_origin.headers(request)
        return headers

    def _shown_address(self, request: Request) -> str | None:
        """Return what log and ledger may have of where a request came from."""
        return self.addresses.shown(self.addresses.of(request))

    def _limits(self, key: Key | None) -> HeaderList:
        """Return what an answer to a key tells of its limits."""
        return [] if key is None else self._dependencies.admission.headers(key)


#: What answers a route's requests: a page, or None if it has answered itself. Raises ApiError.
Answering = Callable[[Edge, "Visit", Reply], Awaitable[Page | None]]


class Visit(msgspec.Struct):
    """A request that was found good by its head, see `http.shared.Verdict`, and its id.

    `key` is None where the route needs none. `headers` go out with the answer, whatever it is. `call` is what became of it on the route for
    chats.
    """

    edge: Edge
    request: Request
    judged: Judged[Answering]
    key: Key | None
    id: str
    headers: HeaderList
    call: Call | None = None

    @property
    def name(self) -> str:
        """What stands in its path for the part that varies."""
        return self.judged.name

    @property
    def body_bytes_max(self) -> int | None:
        """As the route has it."""
        return self.judged.route.body_bytes_max

    @property
    def door(self) -> Door:
        """The door that the request came through, else the one that its client knows."""
        return self.judged.route.door or client_door(self.request)

    @property
    def caller(self) -> Key:
        """The key of a route that needs one."""
        assert self.key is not None, "the route needs a key, which was looked at first"
        return self.key

    def answer(self, reply: Reply) -> Awaitable[None]:
        """Answer the request."""
        return self.edge.answer(self, reply)


CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
INPUTS = "/input_items"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
RERANK = "/v1/rerank"
GEMINI = f"{BETA}/models/{{id}}"
MESSAGES = "/v1/messages"
API_KEY = "x-api-key"  # where clients of the Messages API send their key
KEY_HEADERS = (KEY_HEADER, API_KEY)
PAGE = "/"


def posted(path: str, summary: str, door: Door, *, handler: Answering = Edge.call, **more: Any) -> Route[Answering]:
    """Return the route of what is sent as JSON of any size through a door; `more` are further members of the row."""
    return Route("POST", path, handler, summary, media_type=JSON_TYPE, body_bytes_max=None, door=door, **more)


ROUTES: tuple[Route[Answering], ...] = (
    posted(CHAT, "Create a chat completion", CHAT_DOOR, heard=chat_heard, aliases=("/chat/completions",)),
    posted(RESPONSES, "Create a response", RESPONSES_DOOR, handler=Edge.respond, aliases=("/responses",)),
    posted(
        f"{RESPONSES}/input_tokens", "Count a response's input", RESPONSES_DOOR, handler=Edge.count, aliases=("/responses/input_tokens",)
    ),
    Route("GET", f"{RESPONSES}/{{id}}", Edge.response, "Get a response that is kept, or its `input_items`"),
    Route("DELETE", f"{RESPONSES}/{{id}}", Edge.response, "Forget a response that is kept"),
    posted(COMPLETIONS, "Create a text completion", COMPLETIONS_DOOR, aliases=("/completions",)),
    posted(EMBEDDINGS, "Create embeddings", EMBEDDINGS_DOOR, aliases=("/embeddings",)),
    posted(RERANK, "Rank documents by a query", RERANK_DOOR, aliases=("/rerank", "/v2/rerank")),
    Route("GET", "/v1/models", Edge.models, "List models", aliases=("/models", f"{BETA}/models"), key_headers=KEY_HEADERS),
    Route("GET", "/v1/models/{id}", Edge.model, "Describe a model", aliases=("/models/{id}", GEMINI), key_headers=KEY_HEADERS),
    posted(
        GEMINI,
        "Generate content as Gemini's API does",
        GEMINI_DOOR,
        handler=Edge.gemini,
        aliases=("/v1/models/{id}",),
        key_headers=(KEY_HEADER,),
    ),
    posted(MESSAGES, "Create a message", MESSAGES_DOOR, heard=heard, key_headers=(API_KEY,)),
    posted(f"{MESSAGES}/count_tokens", "Count the tokens of a message", MESSAGES_DOOR, handler=Edge.count, key_headers=(API_KEY,)),
    Route("GET", "/api/hello", Edge.hello, "Whether somebody is here", needs_key=False),
    Route("GET", "/health/live", Edge.live, "Whether the process runs", needs_key=False, aliases=("/health",)),
    Route("GET", "/health/ready", Edge.ready, "Whether new calls are wanted", needs_key=False),
    Route("GET", "/openapi.json", Edge.file, "This document", needs_key=False),
    Route("GET", PAGE, Edge.file, "A page for people", needs_key=False, aliases=(ICON_PATH,)),
)
#: The routes that are there where there are bills to look at.
BILLS: tuple[Route[Answering], ...] = (
    Route("GET", USAGE, Edge.bills, "Sum up what was used"),
    Route("GET", RECEIPT + "{id}", Edge.bills, "Get the receipt of a call that the key made"),
    Route("GET", BALANCE, Edge.bills, "Get the balance"),
)
PREFLIGHT: Route[Answering] = Route(OPTIONS, "*", Edge.preflight, needs_key=False)
