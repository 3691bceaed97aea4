"""A chat request as the client wrote it: the fields we act on, checked; all others carried as they came. Knows no model and no vendor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from aisa.errors import ApiError
from aisa.wire.bad_values import explain
from aisa.wire.chat_members import REQUEST
from aisa.wire.model_name import ModelName, check_name
from aisa.wire.strict_json import parse_object
from aisa.wire.trees import Tree, trees_in
from aisa.wire.vendor_tier import tier_asked
from aisa.wire.wish import EFFORTS, Wish

Text = str | None


class Part(msgspec.Struct):
    """One content part. Unknown types and fields pass."""

    type: str
    text: Text = None
    refusal: Any = None
    image_url: str | dict[str, Any] | None = None
    input_audio: Any = None
    audio_url: Any = None  # this and the next are other servers' than OpenAI's
    video_url: Any = None
    file: Any = None


class Message(msgspec.Struct):
    """One message. Which roles need content is checked in `check_messages`; roles that we do not know pass."""

    role: Annotated[str, Meta(min_length=1)]
    content: str | list[Part] | None = None
    name: Text = None
    tool_call_id: Text = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None
    reasoning_content: Any = None  # what was thought before, where a vendor wants it back


class Function(msgspec.Struct):
    """A function that the model may call."""

    name: str
    description: Text = None
    parameters: Any = None
    strict: Any = None


class Tool(msgspec.Struct):
    """An entry of `tools`: `function`, or `custom` and vendor types that pass unchecked."""

    type: str
    function: Function | None = None


class StreamOptions(msgspec.Struct):
    """What may be asked of a stream beside its content."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


FOLDED_BYTES_MAX = 65_536  # of a body that may be read again on the event loop
CHOICES_MAX = 128  # OpenAI's bound, and ours: a hold is taken for each, and each keeps its own state in a stream
#: Of any size: how much a model takes is its entry's to say, or its vendor's. OpenAI's ranges stand in the description of the API only.
Temperature = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 2})]
Share = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 1})]
Penalty = Annotated[float, Meta(extra_json_schema={"minimum": -2, "maximum": 2})]
TokenLimit = int | None  # zero and less is no bound: servers that take -1 mean so


class Known(msgspec.Struct):
    """The fields that we act on or whose type every vendor agrees on. Ranges are a model's: its entry has them, or its vendor says."""

    model: ModelName
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | int | None = None
    top_logprobs: int | None = None
    functions: list[Function] | None = None
    function_call: str | dict[str, Any] | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: TokenLimit = None
    max_completion_tokens: TokenLimit = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    n: Annotated[int, Meta(ge=1, le=CHOICES_MAX)] | None = None
    stop: str | list[str] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[str, Any] | list[Any] | None = None
    seed: int | float | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: Any = None
    verbosity: Any = None
    service_tier: Text = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    metadata: Any = None
    store: bool | None = None
    user: str | int | None = None
    safety_identifier: Text = None
    prompt_cache_key: Text = None


class ChatRequest(msgspec.Struct):
    """A valid request.

    `fields` holds every top-level member as the client's own bytes, in the client's order. `model` is the name as the client wrote
    it; `include_usage` whether it wants usage at the end of its stream.
    """

    known: Known
    fields: dict[str, Raw]
    body_bytes: int
    model: str
    stream: bool
    include_usage: bool
    body: bytes = b""  # of a client that asked in this protocol

    def fold(self) -> None:
        """Keep the body alone until somebody asks for more: an answer may take hours, and hardly anybody does while it comes."""
        if 0 < len(self.body) <= FOLDED_BYTES_MAX:
            del self.known, self.fields
            self.__class__ = FoldedRequest  # pyright: ignore[reportAttributeAccessIssue] - it has the same members

    @property
    def task(self) -> str:
        """A conversation."""
        return ""

    @property
    def max_tokens(self) -> int | None:
        """The client's bound on output tokens, None if it gave none or one below 1, which means none."""
        bound = self.known.max_completion_tokens
        if bound is None or bound <= 0:
            bound = self.known.max_tokens
        return None if bound is None or bound <= 0 else bound

    @property
    def bounds_reasoning(self) -> bool:
        """True if that bound holds for hidden reasoning too: it is the newer field's."""
        return (self.known.max_completion_tokens or 0) > 0

    @property
    def bound_tells_length(self) -> bool:
        """True if it is one of all output, as whoever sends one means it."""
        return self.bounds_reasoning

    @property
    def bound_name(self) -> str:
        """The field that bounds the output."""
        return "max_completion_tokens" if self.bounds_reasoning else "max_tokens"

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return self.known.n or 1

    def wishes(self) -> Iterator[Wish]:
        """Yield what is asked of the model that its entry may limit."""
        known = self.known
        yield Wish("top_logprobs", "max_top_logprobs", known.top_logprobs)
        yield Wish("n", "max_n", known.n)
        yield Wish("stop", "max_stop_sequences", len(known.stop) if isinstance(known.stop, list) else None, listed=True)
        yield Wish("tools", "max_tools", len(known.tools or ()), listed=True)
        yield Wish("functions", "max_tools", len(known.functions or ()), listed=True)
        yield Wish("temperature", "max_temperature", known.temperature)
        yield Wish("frequency_penalty", "max_penalty", known.frequency_penalty)
        yield Wish("presence_penalty", "max_penalty", known.presence_penalty)
        yield Wish("reasoning_effort", EFFORTS, None, word=known.reasoning_effort)

    def tier(self) -> tuple[str, str]:
        """Return the service tier that is asked for, nothing for the usual one, and the member that asks."""
        tier, speed = self.known.service_tier, self.fields.get("speed")
        return ("", "") if tier is None and speed is None else tier_asked(tier, speed)

    @property
    def chat(self) -> ChatRequest:
        """The request itself, which is the form that all others are brought to."""
        return self

    def as_chat(self) -> ChatRequest:
        """Return itself."""
        return self


class FoldedRequest(ChatRequest):
    """One of which the body is kept. A class of its own until then: with a `__getattr__` every attribute is slow."""

    def __getattr__(self, name: str) -> Any:
        """Read it anew when one of the two is first asked for."""
        again = parse_chat(self.body)
        self.known, self.fields = again.known, again.fields
        self.__class__ = ChatRequest  # type: ignore[assignment] # it has the same fields
        return getattr(self, name)

    def as_chat(self) -> ChatRequest:
        """Return itself, whole: whoever copies it does not ask for what is missing."""
        self.__getattr__("known")
        return self


def parse_chat(body: bytes) -> ChatRequest:
    """Return the request in a body.

    Raises ApiError: json_parse_error (also for a known name in another case), missing_parameter, invalid_parameter_type, or
    invalid_request for values out of range and fields that contradict each other; `param` names the field.
    """
    tree = parse_object(body)
    REQUEST.check(tree)
    return checked(tree, FIELDS_DECODER.decode(body), len(body), body=body)


def chat_of(tree: Tree, body_bytes: int) -> ChatRequest:
    """Return the request that one of another protocol comes to, whose body has so many bytes. Raises ApiError as `parse_chat` does."""
    return checked(tree, {name: Raw(msgspec.json.encode(value)) for name, value in tree.items()}, body_bytes)


def checked(tree: Tree, fields: dict[str, Raw], body_bytes: int, *, body: bytes = b"") -> ChatRequest:
    """Return the request in an object and its members as they are written."""
    try:
        known = msgspec.convert(tree, Known)
    except msgspec.ValidationError as error:
        raise explain(str(error)) from None
    check_messages(known.messages)
    check_together(known)
    if has_bare_image_url(known.messages):
        fields["messages"] = Raw(msgspec.json.encode(with_image_objects(tree["messages"])))  # while the tree is there
    options = known.stream_options
    return ChatRequest(known, fields, body_bytes, known.model, bool(known.stream), bool(options and options.include_usage), body)


FIELDS_DECODER = msgspec.json.Decoder(dict[str, Raw])


def check_messages(messages: list[Message]) -> None:
    """Refuse messages that no model can take: without content where the role needs it, tool answers without the call's id."""
    for position, message in enumerate(messages):
        if message.role not in WITH_CONTENT:
            if message.role == "function" and message.name is None:
                raise ApiError("missing_parameter", "A 'function' message needs the function's name.", param=f"messages[{position}].name")
            continue
        if message.content is None:
            param = f"messages[{position}].content"
            raise ApiError("missing_parameter", f"A '{message.role}' message needs content, a string or an array of parts.", param=param)
        if message.content == []:
            param = f"messages[{position}].content"
            raise ApiError("invalid_request", "An array of content parts must not be empty.", param=param)
        if message.role == "tool" and message.tool_call_id is None:
            param = f"messages[{position}].tool_call_id"
            raise ApiError("missing_parameter", "A 'tool' message needs the id of the tool call that it answers.", param=param)


WITH_CONTENT = frozenset({"developer", "system", "user", "tool"})  # roles whose messages are nothing without


def check_together(known: Known) -> None:
    """Refuse fields that contradict each other, so that no vendor can mean them both."""
    check_name(known.model)
    if known.stream_options is not None and not known.stream:
        raise ApiError("invalid_request", "'stream_options' is only allowed with \"stream\": true.", param="stream_options")
    if (known.top_logprobs or 0) > 0 and not known.logprobs:
        raise ApiError("invalid_request", "'top_logprobs' is only allowed with \"logprobs\": true.", param="top_logprobs")
    if (known.max_tokens or 0) > 0 and (known.max_completion_tokens or 0) > 0:
        raise ApiError("invalid_request", "Set either 'max_tokens' or 'max_completion_tokens', not both.", param="max_tokens")


def with_image_objects(messages: Any) -> Any:
    """Write `image_url` strings, which AIsa's schema allows, as the `{url}` objects that OpenAI's asks for, in messages that are good."""
    for message in messages:
        for part in trees_in(message.get("content")):
            if isinstance(part.get("image_url"), str) and part["type"] == IMAGE:
                part["image_url"] = {"url": part["image_url"]}
    return messages


def has_bare_image_url(messages: list[Message]) -> bool:
    """Tell whether an image part gives its URL as a string, as AIsa's schema allows and OpenAI's does not."""
    for message in messages:
        if isinstance(message.content, list):
            for part in message.content:
                if isinstance(part.image_url, str) and part.type == IMAGE:
                    return True
    return False


IMAGE = "image_url"  # the type of part that is meant; parts of other types may have a string there of right
