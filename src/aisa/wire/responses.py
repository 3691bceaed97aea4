"""A Responses request as the client wrote it, and the chat completion that it comes to. Knows no model and no vendor.

`input`, tools and the form of the text are translated; what has the same meaning in both APIs is carried under its name there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from aisa.errors import ApiError
from aisa.wire.bad_values import explain
from aisa.wire.chat import FIELDS_DECODER, ChatRequest, Share, Temperature
from aisa.wire.content import Content
from aisa.wire.door import Request
from aisa.wire.generated import text_bytes
from aisa.wire.losses import Loss, Losses, Traced, refuse_any
from aisa.wire.model_name import ModelName
from aisa.wire.origins import Translated, with_places
from aisa.wire.own_names import RESPONSES
from aisa.wire.request_content import content_of
from aisa.wire.responses_client_tools import OfferedTool
from aisa.wire.responses_custom import with_functions_alone
from aisa.wire.responses_input import STATELESS, UPDATE, Conversation, items_of
from aisa.wire.responses_members import REQUEST
from aisa.wire.responses_tools import ToolNames, chat_choice, chat_tools, tools_offered_later
from aisa.wire.strict_json import parse_object
from aisa.wire.trees import Tree, as_tree, is_tree
from aisa.wire.vendor_tier import tier_named
from aisa.wire.wish import EFFORTS, Wish

#: Members that mean the same in chat completions and are called the same. `parallel_tool_calls` is, but true is usual there.
SAME = (
    "temperature",
    "top_p",
    "top_logprobs",
    "frequency_penalty",
    "presence_penalty",
    "service_tier",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "moderation",
)
SAMES = frozenset(SAME)
LOGPROBS = "message.output_text.logprobs"  # an entry of `include`
#: Members whose translation cannot fail, once they have the types that they have here.
UNDOUBTED = frozenset(
    {"model", "input", "instructions", "stream", "max_output_tokens", "temperature", "top_p", "store", "include", "metadata", "truncation"}
)
PREVIOUS = "previous_response_id"
ITEM = re.compile(r"\binput\[(\d{1,9})\]((?:\.\w+|\[\d+\])*)")
#: What only a server that keeps responses can do -> what to do instead.
KEPT = MappingProxyType(
    {
        PREVIOUS: STATELESS,
        "conversation": STATELESS,
        "background": "This server keeps no responses to be asked for later. Send the call with `stream`, or wait for it.",
    }
)


class TextForm(msgspec.Struct):
    """What form the text is to have."""

    format: dict[str, Any] | None = None
    verbosity: Any = None


class Thinking(msgspec.Struct):
    """How the model is to think."""

    effort: Any = None
    summary: Any = None


class KnownResponses(msgspec.Struct):
    """The fields that we act on or whose type every vendor agrees on."""

    model: ModelName
    input: str | list[dict[str, Any]] = ""
    instructions: str | None = None
    stream: bool | None = None
    tools: list[OfferedTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_logprobs: int | None = None
    text: TextForm | None = None
    reasoning: Thinking | None = None
    include: list[str] | None = None
    metadata: Any = None
    service_tier: str | None = None
    store: bool | None = None
    truncation: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool | None = None
    prompt: Any = None


class Earlier(Protocol):
    """What is kept of earlier responses."""

    def items_of(self, name: str) -> list[Tree]:
        """Return the items of a response and of all before it. Raises ApiError if it is not kept."""
        ...

    def item(self, name: str) -> Tree | None:
        """Return an item of an earlier answer, None if it is not kept."""
        ...


class ResponsesRequest(Translated):
    """A valid request; implements `wire.door.Request`. `body` is the client's own, for a vendor of the same protocol.

    What of it chat completions can say is found at once, so that a body which no vendor can mean is refused; of one text alone, when it is
    asked for.
    """

    protocol, own_names = "responses", RESPONSES
    task = ""
    choices = 1
    bound_name = "max_output_tokens"

    def __init__(self, known: KnownResponses, tree: Tree, body: bytes, *, store: bool = False, earlier: int = 0) -> None:
        """`store`: the answer is kept. `earlier`: how many items of the input are of the responses that it leads on from."""
        self.known = known
        self.body = body
        self.body_bytes = len(body)
        self.model = known.model
        self.stream = bool(known.stream)
        self.store = store
        self._earlier = earlier
        self.names = ToolNames()
        self._tree = tree
        self._lost = Losses()
        self._translated: ChatRequest | None = None
        self._updates = () if isinstance(known.input, str) else [item for item in known.input if item.get("type") == UPDATE]
        if not (isinstance(known.input, str) and tree.keys() <= UNDOUBTED):
            _ = self.chat  # what cannot be translated is refused before anybody is asked

    @property
    def max_tokens(self) -> int | None:
        """The client's bound on output tokens, None if it gave none or one below 1, which means none."""
        bound = self.known.max_output_tokens or 0
        return bound if bound > 0 else None

    @property
    def bounds_reasoning(self) -> bool:
        """True if there is such a bound: it always holds for hidden reasoning too."""
        return self.max_tokens is not None

    def wishes(self) -> Iterator[Wish]:
        """Yield what is asked of the model that its entry may limit."""
        known = self.known
        offers = known.tools or not isinstance(known.input, str)
        yield Wish("top_logprobs", "max_top_logprobs", known.top_logprobs)
        yield Wish("tools", "max_tools", len(self.chat.known.tools or ()) if offers else 0, listed=True)
        yield Wish("temperature", "max_temperature", known.temperature)
        yield Wish("reasoning.effort", EFFORTS, None, word=self._configured("reasoning", "effort"))

    def tier(self) -> tuple[str, str]:
        """Return the service tier that is asked for, nothing for the usual one, and the member that asks."""
        tier = tier_named(self.known.service_tier) or ""
        return (tier, "service_tier") if tier else ("", "")

    def as_chat(self, *, functions_alone: bool = False) -> ChatRequest:
        """Return the chat completion that this comes to. Raises UpstreamFailed for what that cannot say: another target may speak this.

        `functions_alone`: custom tools are functions in it, as for a vendor that has no others.
        """
        chat = self.chat
        refuse_any(self._lost)
        return with_functions_alone(chat) if functions_alone else chat

    @property
    def chat(self) -> ChatRequest:
        """What of it chat completions can say."""
        if self._translated is None:
            tree, chat = self._tree, self._chat(self.names, self._lost)
            if not SAMES.isdisjoint(tree):
                chat |= {name: tree[name] for name in SAME if name in tree and tree[name] is not None}
            self._translated = self.chat_from(chat)
        return self._translated

    def traced(self) -> tuple[Tree, Traced]:
        """Return the members of the chat completion, and where they came from."""
        traced = Traced()
        return self._chat(ToolNames(), traced), traced

    def as_sent(self, error: ApiError) -> ApiError:
        """Return an error with the places that items have in the input that was sent, before which those of earlier responses stand."""
        return since(error, self._earlier)

    def content(self) -> Content:
        """Return what the request holds; of one text that is told without its translation."""
        given = self.known.input
        if self._translated is not None or not isinstance(given, str):
            return content_of(self.chat)
        return Content(text_bytes(given) + text_bytes(self.known.instructions or ""))

    def items(self) -> list[Tree]:
        """Return the items of the input."""
        return as_items(self.known.input)

    def fields(self) -> dict[str, Raw]:
        """Return every top-level member as the client's own bytes, in the client's order."""
        return FIELDS_DECODER.decode(self.body)

    def sent(self, name: str) -> object:
        """Return a top-level member as the client sent it, None if it did not."""
        return self._tree.get(name)

    def _chat(self, names: ToolNames, lost: Losses) -> Tree:
        known = self.known
        one = known.tool_choice is not None and not isinstance(known.tool_choice, str)
        tools = chat_tools(known.tools, names, lost, all_at_once=one) if known.tools else []
        conversation = Conversation(known.instructions, lost)
        if isinstance(known.input, str):
            conversation.ask(known.input)
        else:
            tools += tools_offered_later(known.input, names, lost)
            for position, item in enumerate(items_of(known.input, names)):
                conversation.take(position, item)
        messages = conversation.end()
        if not messages and known.prompt is None:
            lost.append(Loss("input", "'input' has nothing that a model can be told which is reached through chat completions."))
        chat: Tree = {"model": known.model, "messages": messages or [{"role": "user", "content": ""}]}
        if self.stream:
            chat["stream"] = True
        choice = None if known.tool_choice is None else chat_choice(known.tool_choice, names, lost)
        if tools:
            chat["tools"] = tools
            chat |= {} if choice is None else {"tool_choice": choice}
            chat |= {"parallel_tool_calls": False} if known.parallel_tool_calls is False else {}
        elif choice == "required":
            lost.append(Loss("tool_choice", "'tool_choice' asks for a call, and there is no tool that the client runs."))
        if self.max_tokens is not None:
            chat["max_completion_tokens"] = self.max_tokens
        elif (known.max_output_tokens or 0) < 0:  # 0 is what clients send that leave it unset
            what = f"'max_output_tokens' is {known.max_output_tokens}. Ask for one token at least, or leave it out."
            lost.append(Loss("max_output_tokens", what))
        if known.prompt is not None:
            lost.append(Loss("prompt", "'prompt' is kept at a vendor that was not asked. Send `instructions` and `input`."))
        self._shape(chat)
        return chat

    def _configured(self, group: str, member: str) -> object:
        """Return how the answer is to be: as the last update in the conversation has it that says so, else as the request does."""
        for said in (*reversed(self._updates), self._tree):
            if group in said and (value := as_tree(said[group]).get(member)) is not None:
                return value
        return None

    def _shape(self, chat: Tree) -> None:
        """Add how the answer is to be: the form of its text, how much thinking, log-probabilities."""
        known = self.known
        form, effort = self._configured("text", "format"), self._configured("reasoning", "effort")
        if is_tree(form) and form.get("type") != "text":
            chat["response_format"] = chat_format(form)
        if known.text is not None and known.text.verbosity is not None:
            chat["verbosity"] = known.text.verbosity
        if effort is not None:
            chat["reasoning_effort"] = effort
        if LOGPROBS in (known.include or ()) or known.top_logprobs:
            chat["logprobs"] = True


def of_functions(request: Request) -> ChatRequest:
    """Return the chat completion that a request comes to, for a vendor of functions alone. Raises UpstreamFailed as `as_chat` does.

    Custom tools that a chat offers stay, as no door makes their calls custom again; what was called of them before is told all the same.
    """
    if isinstance(request, ResponsesRequest):
        return request.as_chat(functions_alone=True)
    return with_functions_alone(request.as_chat(), offered=False)


def chat_format(given: Tree) -> Tree:
    """Return the form of a text: chat completions have a schema in an object of its own."""
    if given.get("type") != "json_schema" or is_tree(given.get("json_schema")):
        return given
    return {"type": "json_schema", "json_schema": {name: value for name, value in given.items() if name != "type"}}


def parse_responses(body: bytes, earlier: Earlier | None = None) -> ResponsesRequest:
    """Return the request in a body. What it leads on from, `earlier` has, where responses are kept.

    Raises ApiError: json_parse_error (also for a known name in another case), missing_parameter, invalid_parameter_type, or
    invalid_request for what is out of range, contradicts itself, or would need responses that are kept; `param` names the field.
    """
    tree = parse_object(body, '{"model": ..., "input": ...}')
    REQUEST.check(tree)
    known = known_in(tree)
    if not KEPT.keys().isdisjoint(tree):
        refuse_kept(known, earlier)
    if not known.input and known.prompt is None and not known.previous_response_id:
        if "input" not in tree:
            raise ApiError("missing_parameter", "Missing required parameter: 'input'.", param="input")
        raise ApiError("invalid_request", "'input' is empty: send a text or items.", param="input")
    if earlier is None:
        return ResponsesRequest(known, tree, body)
    before = 0
    if known.previous_response_id or refers(known.input):
        items = led_on(known, earlier)
        before = len(items) - len(as_items(known.input))
        tree = {**tree, "input": items}
        known = known_in(tree)
        body = msgspec.json.encode({name: value for name, value in tree.items() if name != PREVIOUS})
    try:
        return ResponsesRequest(known, tree, body, store=known.store is not False, earlier=before)
    except ApiError as error:
        raise since(error, before) from None


def since(error: ApiError, earlier: int) -> ApiError:
    """Return an error about the items behind so many earlier ones, by their places there; about an earlier one by what was led on from."""

    def place(found: re.Match[str]) -> str:
        position = int(found[1]) - earlier
        return PREVIOUS if position < 0 else f"input[{position}]{found[2]}"

    return with_places(error, ITEM, place) if earlier else error


def refuse_kept(known: KnownResponses, earlier: Earlier | None) -> None:
    """Refuse what would need responses that are kept, where they are not. Raises ApiError."""
    for name, remedy in KEPT.items():
        if getattr(known, name) and not (earlier is not None and name == PREVIOUS):
            raise ApiError("invalid_request", f"'{name}' is not for this server. {remedy}", param=name)


def known_in(tree: Tree) -> KnownResponses:
    """Return the fields that are known. Raises ApiError."""
    try:
        return msgspec.convert(tree, KnownResponses)
    except msgspec.ValidationError as error:
        raise explain(str(error)) from None


def refers(given: str | list[dict[str, Any]]) -> bool:
    """Tell whether an input has items that only refer to others."""
    return not isinstance(given, str) and any(is_reference(item) for item in given)


def is_reference(item: Tree) -> bool:
    """Tell whether an item only refers to another by its id."""
    return item.get("type") == "item_reference" or not (item.get("type") or item.get("role"))


def led_on(known: KnownResponses, earlier: Earlier) -> list[Tree]:
    """Return the input with what it leads on from before it, and items in place of references. Raises ApiError for what is not kept."""
    items = earlier.items_of(known.previous_response_id) if known.previous_response_id else []
    for position, item in enumerate(as_items(known.input)):
        found = earlier.item(str(item.get("id"))) if is_reference(item) else item
        if found is None:
            message = f"'input[{position}]' refers to an item that is not kept here, or not any longer. Send the item itself."
            raise ApiError("invalid_request", message, param=f"input[{position}]")
        items.append(found)
    return items


def as_items(given: str | list[dict[str, Any]]) -> list[Tree]:
    """Return an input as items: a text is a message of the user's, none is nothing."""
    return ([{"role": "user", "content": given}] if given else []) if isinstance(given, str) else given
