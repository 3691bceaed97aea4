"""A request of the Messages API as the client wrote it: the fields we act on, checked; all others carried as they came. Knows no vendor.

Its clients send much that only Anthropic has: other vendors' models do without it, and nobody is refused for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from aisa.errors import ApiError
from aisa.wire.bad_values import explain
from aisa.wire.chat import FIELDS_DECODER, ChatRequest
from aisa.wire.content import Content
from aisa.wire.generated import text_bytes
from aisa.wire.losses import Losses, Traced, refuse_any
from aisa.wire.members import Shape
from aisa.wire.messages_chat import as_chat_fields, offered_in
from aisa.wire.messages_errors import no_threads
from aisa.wire.model_name import check_name
from aisa.wire.origins import Translated
from aisa.wire.own_names import MESSAGES
from aisa.wire.request_content import content_of
from aisa.wire.strict_json import parse_object
from aisa.wire.trees import Tree
from aisa.wire.vendor_tier import tier_asked
from aisa.wire.wish import EFFORTS, Wish

ROLES = frozenset({"user", "assistant", "system", "developer"})
CACHE = Shape("type ttl")
SOURCE = Shape("type media_type data url file_id content")
INNER = Shape("type text title context citations tool_name content", cache_control=CACHE, source=SOURCE)
BLOCK = Shape(
    "type text id name input tool_use_id is_error thinking signature data title context citations caller toolset_name",
    cache_control=CACHE,
    source=SOURCE,
    content=INNER,
)
FORMAT = Shape("type schema")
SHAPE = Shape(
    "model max_tokens stream temperature top_p top_k stop_sequences service_tier speed metadata container inference_geo",
    thinking=Shape("type budget_tokens display"),
    context_management=Shape("edits"),
    mcp_servers=Shape("type url name authorization_token"),
    models=Shape("model"),
    fallbacks=Shape("model"),
    thread=Shape("type previous_message_id"),
    cache_control=CACHE,
    system=BLOCK,
    messages=Shape("role", content=BLOCK, output_config=Shape("effort format")),
    tools=Shape(
        "name description input_schema type strict defer_loading allowed_callers input_examples model max_uses "
        "allowed_domains blocked_domains",
        cache_control=CACHE,
        user_location=Shape("type city country region timezone"),
    ),
    tool_choice=Shape("type name disable_parallel_tool_use"),
    output_config=Shape("effort task_budget", format=FORMAT),
    output_format=FORMAT,
)


class MessagesTurn(msgspec.Struct):
    """One message."""

    role: str
    content: str | list[dict[str, Any]]


class KnownMessages(msgspec.Struct):
    """The fields that we act on."""

    model: str
    messages: list[MessagesTurn]
    max_tokens: int | None = None
    stream: bool | None = None
    system: str | list[dict[str, Any]] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    output_config: dict[str, Any] | None = None
    service_tier: str | None = None
    thread: dict[str, Any] | None = None


class MessagesRequest(Translated):
    """A valid request; implements `wire.door.Request`. `betas` and `version` are what its headers said."""

    protocol, own_names = "anthropic", MESSAGES
    task, choices, bound_name = "", 1, "max_tokens"

    def __init__(self, body: bytes, betas: tuple[str, ...] = (), version: str = "") -> None:
        """Raises ApiError json_parse_error, missing_parameter, invalid_parameter_type, invalid_request."""
        tree = parse_object(body)
        SHAPE.check(tree)
        try:
            self.known = msgspec.convert(tree, KnownMessages)
        except msgspec.ValidationError as error:
            raise explain(str(error)) from None
        check_name(self.known.model)
        if not self.known.messages:
            raise ApiError("invalid_request", "'messages' must not be empty.", param="messages")
        for place, message in enumerate(self.known.messages):
            if message.role not in ROLES:
                known = "It must be user, assistant or system."
                raise ApiError("invalid_request", f"'messages[{place}].role' is no role. {known}", param=f"messages[{place}].role")
        self.fields: dict[str, Raw] = FIELDS_DECODER.decode(body)
        self.tree: Tree = tree
        self.body_bytes = len(body)
        self.betas = betas
        self.version = version
        self.model = self.known.model
        self.stream = bool(self.known.stream)
        self._translation: tuple[ChatRequest, Losses] | None = None

    @property
    def max_tokens(self) -> int | None:
        """The client's bound on output tokens."""
        bound = self.known.max_tokens or 0
        return bound if bound > 0 else None

    @property
    def bounds_reasoning(self) -> bool:
        """True if there is such a bound, which Anthropic demands and others do not: it always holds for hidden reasoning too."""
        return self.max_tokens is not None

    @property
    def bound_tells_length(self) -> bool:
        """False: as every request has one, it says little of the answer."""
        return False

    def wishes(self) -> Iterator[Wish]:
        """Yield what is asked of the model that its entry may limit."""
        offered = max(len(self.known.tools or ()), len(offered_in(self.tree)))  # vendors read those too that are withdrawn
        yield Wish("tools", "max_tools", offered, listed=True)
        yield Wish("temperature", "max_temperature", self.known.temperature)
        yield Wish("output_config.effort", EFFORTS, None, word=(self.known.output_config or {}).get("effort"))

    def tier(self) -> tuple[str, str]:
        """Return the service tier that is asked for, nothing for the usual one, and the member that asks."""
        tier, speed = self.known.service_tier, self.fields.get("speed")
        return ("", "") if tier is None and speed is None else tier_asked(tier, speed)

    def content(self) -> Content:
        """Return what the request holds; of nothing but texts that is told without its translation."""
        known = self.known
        if known.tools or known.output_config:
            return content_of(self.chat)
        size = 0
        for text in (known.system or "", *[message.content for message in known.messages]):
            if not isinstance(text, str):
                return content_of(self.chat)
            size += text_bytes(text)
        return Content(size)

    def as_chat(self, *, marked: bool = False) -> ChatRequest:
        """Return the request in the words of chat completions. Raises UpstreamFailed for what they cannot say.

        If it is to be `marked` it has its marks for the prompt cache, which only Anthropic's models read, wherever they run.
        """
        chat, losses = self._translate(marked=True) if marked else self._translated()
        if self.known.thread is not None:
            raise no_threads()
        refuse_any(losses)
        return chat

    @property
    def chat(self) -> ChatRequest:
        """What of the request chat completions can say."""
        return self._translated()[0]

    def _translated(self) -> tuple[ChatRequest, Losses]:
        if self._translation is None:
            self._translation = self._translate(marked=False)
        return self._translation

    def _translate(self, *, marked: bool) -> tuple[ChatRequest, Losses]:
        losses = Losses()
        return self.chat_from(as_chat_fields(self.tree, losses, marked=marked)), losses

    def traced(self) -> tuple[Tree, Traced]:
        """Return the members of the chat completion, and where they came from."""
        traced = Traced()
        return as_chat_fields(self.tree, traced), traced
