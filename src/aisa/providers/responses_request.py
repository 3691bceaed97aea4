"""Requests as the Responses API takes them: a chat request translated, a request of this API made stateless. Always the same for the same.

A conversation only grows at its end: what stands before an item of encrypted reasoning is never written in another way later.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import msgspec
from msgspec import Raw

from aisa.providers.concessions import Concessions, refused
from aisa.providers.counting import BOUND_MIN
from aisa.providers.legacy_calls import refuse_choice_of_nothing
from aisa.providers.malformed import calls_in
from aisa.providers.no_bound import tell_no_bound
from aisa.providers.responses_reader import BREAK, PHASE
from aisa.providers.shape import Target
from aisa.providers.wishes import is_wished
from aisa.wire.addresses import is_web_address
from aisa.wire.chat import ChatRequest
from aisa.wire.hosted_tools import SEARCH, without_searches
from aisa.wire.reasoning_details import SEALED_PREFIX, seals_in
from aisa.wire.responses import ResponsesRequest
from aisa.wire.trees import Tree, is_list, is_tree, key_in, text_or_none, trees_in

ENCRYPTED = "encrypted_content"  # in `include`: what lets reasoning come back, as nothing is stored
INCLUDED = f"reasoning.{ENCRYPTED}"
LOGPROBS = "message.output_text.logprobs"
#: Members of a chat request that have the same name and meaning here.
SAME = (
    "temperature",
    "top_p",
    "top_logprobs",
    "parallel_tool_calls",
    "service_tier",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "metadata",
    "moderation",
)
#: What this API has no word for.
LACKING = ("stop", "seed", "logit_bias", "frequency_penalty", "presence_penalty", "prediction")
MARK = "prompt_cache_breakpoint"  # of a part, behind which the vendor may keep what stands before
WORDS = ("text", "input_text", "output_text", "refusal", "thinking")  # parts of what a model says, empty ones and thinking among them
OLDER_CALL = "call_of_function_{}"  # the id of a call in the older form, which has none


def own_request(request: ResponsesRequest, target: Target) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return a request of this API with the vendor's model, that stores nothing and gets its reasoning sealed; and what was left out.

    Reasoning without its seal is left out unsaid, as the vendor keeps none to find it by; so is what was sealed for somebody else. Searches
    are left out where they have no price, and those that must be made are not asked for here.
    """
    given_members = request.fields()
    changed, dropped = without_searches(request) if SEARCH in target.lacking else ({}, ())
    fields: dict[str, object] = {**given_members, "model": target.model, "store": False, **changed}
    if ENCRYPTED not in target.omit:
        asked = request.known.include or []
        fields["include"] = asked if INCLUDED in asked else [*asked, INCLUDED]
    given = request.known.input
    if not isinstance(given, str) and b'"reasoning"' in bytes(given_members["input"]):
        items = trees_in(changed.get("input", given))
        fields["input"] = [item for item in items if item.get("type") != "reasoning" or is_sealed_here(item)]
    return fields, dropped


def is_sealed_here(item: Tree) -> bool:
    """Tell whether an item of reasoning carries what a vendor of this API can read."""
    seal = text_or_none(item.get(ENCRYPTED))
    return seal is not None and not seal.startswith(SEALED_PREFIX)


def request_of(chat: ChatRequest, target: Target, concessions: Concessions) -> dict[str, object]:
    """Return a chat request in this API's words. Raises UpstreamFailed for what it has none for."""
    body: dict[str, object] = {"model": target.model, "input": list(Input(chat, target).items()), "store": False}
    if chat.stream:
        body["stream"] = True
    include = [] if ENCRYPTED in target.omit else [INCLUDED]
    if chat.known.logprobs:
        include.append(LOGPROBS)
    if include:
        body["include"] = include
    body |= tools_of(chat)
    body |= {name: Raw(chat.fields[name]) for name in SAME if name in chat.fields and bytes(chat.fields[name]) != b"null"}
    if (bound := chat.max_tokens) is not None:
        if bound < BOUND_MIN:
            concessions.move(chat.bound_name, BOUND_MIN)
        body["max_output_tokens"] = max(bound, BOUND_MIN)
    tell_no_bound(chat, concessions)
    if chat.known.reasoning_effort is not None:
        body["reasoning"] = {"effort": chat.known.reasoning_effort}
    form = {"format": flat_format(chat.known.response_format), "verbosity": chat.known.verbosity}
    if text := {name: value for name, value in form.items() if value}:  # a form without a type is none
        body["text"] = text
    if "tools" not in body:
        refuse_choice_of_nothing(chat, concessions)
    give_up(chat, concessions)
    return body


def give_up(chat: ChatRequest, concessions: Concessions) -> None:
    """Give up what this API cannot do. Raises UpstreamFailed, unless the model's entry has such dropped."""
    for name in LACKING:
        if is_wished(chat, name):
            concessions.drop(name, "the Responses API has no such parameter")
    if chat.choices > 1:
        concessions.drop("n", "the Responses API gives one answer")
    if chat.known.audio is not None or "audio" in (chat.known.modalities or ()):
        raise concessions.refusal("audio" if chat.known.audio is not None else "modalities", "the Responses API answers in text")


def flat_format(given: Tree | None) -> Tree | None:
    """Return the form of the text: here a schema stands beside its name."""
    schema = None if given is None else given.get("json_schema")
    return {"type": "json_schema", **schema} if is_tree(schema) else given


def tools_of(chat: ChatRequest) -> dict[str, object]:
    """Return the tools and which of them is to be called."""
    known = chat.known
    tools = [flat_tool(tool) for tool in trees_in(msgspec.json.decode(chat.fields["tools"]))] if known.tools else []
    if known.functions and not tools:
        tools = [flat_tool({"type": "function", "function": one}) for one in trees_in(msgspec.json.decode(chat.fields["functions"]))]
    if known.web_search_options is not None:
        tools.append(web_search(known.web_search_options))
    choice = known.tool_choice if known.tool_choice is not None else known.function_call
    found: dict[str, object] = {"tools": tools} if tools else {}
    return found if choice is None or not tools else {**found, "tool_choice": flat_choice(choice)}


def flat_tool(tool: Tree) -> Tree:
    """Return a tool as it stands here. Parameters and strictness must be there, and the latter is not what it is without in chats."""
    kind = str(tool.get("type"))
    inner = tool.get(kind)
    if not is_tree(inner):
        return tool
    if kind == "function":
        return {"type": kind, "parameters": None, "strict": False, **{name: value for name, value in inner.items() if value is not None}}
    form = inner.get("format")
    grammar = form.get("grammar") if is_tree(form) else None
    return {"type": kind, **inner, **({"format": {"type": "grammar", **grammar}} if is_tree(grammar) else {})}


def flat_choice(choice: str | Tree) -> object:
    """Return which tool is to be called."""
    if isinstance(choice, str):
        return choice
    allowed = choice.get("allowed_tools")
    if is_tree(allowed):
        return {"type": "allowed_tools", **allowed, "tools": [flat_choice(tool) for tool in trees_in(allowed.get("tools"))]}
    kind = str(choice.get("type") or "function")
    inner = choice.get(kind)
    return {"type": kind, "name": inner.get("name") if is_tree(inner) else choice.get("name")}


def web_search(options: Tree) -> Tree:
    """Return the vendor's search for what a chat asks of it."""
    where = options.get("user_location")
    approximate = where.get("approximate") if is_tree(where) else None
    location = {"user_location": {"type": "approximate", **approximate}} if is_tree(approximate) else {}
    size = options.get("search_context_size")
    return {"type": "web_search", **({} if size is None else {"search_context_size": size}), **location}


class Input:
    """The messages of a chat as items."""

    def __init__(self, chat: ChatRequest, target: Target) -> None:
        self._messages = trees_in(msgspec.json.decode(chat.fields["messages"]))
        self._state = target.state
        self._custom: set[object] = set()  # calls of tools that take any text
        self._older = count()  # calls in the older form, by number
        self._last_older = ""

    def items(self) -> Iterator[Tree]:
        """Yield them."""
        for place, message in enumerate(self._messages):
            role = message.get("role")
            if role == "assistant":
                yield from self._turn(message, f"messages[{place}]")
            elif role == "tool":
                kind = "custom_tool_call_output" if message.get("tool_call_id") in self._custom else "function_call_output"
                yield {"type": kind, "call_id": message.get("tool_call_id"), "output": content_of(message.get("content"))}
            elif role == "function":
                yield {"type": "function_call_output", "call_id": self._last_older, "output": content_of(message.get("content"))}
            else:
                yield {"role": role, "content": content_of(message.get("content"))}

    def _turn(self, message: Tree, where: str) -> Iterator[Tree]:
        """Yield what the model thought, said and called. Raises UpstreamFailed for what has no place in that."""
        calls = calls_in(message, where)
        yield from in_phases(list(self._thoughts(message, calls)), said_in(message, where))
        for call in calls:
            yield self._call(call)
        older = message.get("function_call")
        if is_tree(older):
            self._last_older = OLDER_CALL.format(next(self._older))
            yield {
                "type": "function_call",
                "call_id": self._last_older,
                "name": older.get("name"),
                "arguments": older.get("arguments") or "",
            }

    def _thoughts(self, message: Tree, calls: list[Tree]) -> Iterator[Tree]:
        state = self._state
        if state is None:
            return
        known = [opened for seal in seals_in(message) if (opened := state.open(seal)) is not None]
        if not known and calls and (kept := state.kept(str(calls[0].get("id")))) is not None:
            known = [kept]
        for thoughts in known:
            yield from trees_in(msgspec.json.decode(thoughts))

    def _call(self, call: Tree) -> Tree:
        custom, function = call.get("custom"), call.get("function")
        if is_tree(custom):
            self._custom.add(key_in(call, "id"))
            return {"type": "custom_tool_call", "call_id": call.get("id"), "name": custom.get("name"), "input": custom.get("input") or ""}
        given = function if is_tree(function) else {}
        return {"type": "function_call", "call_id": call.get("id"), "name": given.get("name"), "arguments": given.get("arguments") or ""}


def in_phases(thoughts: list[Tree], text: str) -> Iterator[Tree]:
    """Yield what the model thought and said, its text as the messages in which it came, each with the phase that the vendor wants back.

    If the text is no longer that of those messages it is one, behind all that was thought.
    """
    phases = [each for each in thoughts if each.get("type") == PHASE]
    sizes = [size if isinstance(size := each.get("characters"), int) else 0 for each in phases]
    same = bool(phases) and sum(sizes) + len(BREAK) * (len(sizes) - 1) == len(text)
    place = 0
    for each in thoughts:
        if each.get("type") != PHASE:
            yield each
        elif same:
            size = sizes.pop(0)
            yield {"role": "assistant", "content": text[place : place + size], "phase": each.get("phase")}
            place += size + len(BREAK)
    if text and not same:
        yield {"role": "assistant", "content": text}


def said_in(message: Tree, where: str) -> str:
    """Return the text of an assistant's message, its refusal included: here only the vendor's own answers tell it apart.

    Raises UpstreamFailed for a part that is no text, nor thinking, which goes another way.
    """
    content = message.get("content")
    for order, part in enumerate(trees_in(content)):
        if not (part.get("text") or part.get("refusal") or part.get("type") in WORDS):
            kind, place = str(part.get("type"))[:40], f"{where}.content[{order}]"
            what = f"The part at {place} is of the type '{kind}', and a turn of the model's has texts alone in the Responses API."
            raise refused("unsupported_parameter", what, param=place)
    texts = [content] if isinstance(content, str) else [part.get("text") or part.get("refusal") for part in trees_in(content)]
    return "".join([str(text) for text in [*texts, message.get("refusal")] if text])


def content_of(content: object) -> object:
    """Return the content of a message or a result."""
    return [part_of(part) for part in trees_in(content)] if is_list(content) else content or ""


def part_of(part: Tree) -> Tree:
    """Return a part of it. Those that chat completions do not know pass."""
    kind, image, file = part.get("type"), part.get("image_url"), part.get("file")
    mark: Tree = {MARK: part[MARK]} if part.get(MARK) is not None else {}
    if kind == "text":
        return {"type": "input_text", "text": part.get("text") or "", **mark}
    if kind == "image_url":
        told = image if is_tree(image) else {"url": image}
        return {"type": "input_image", "image_url": told.get("url"), "detail": told.get("detail") or "auto", **mark}
    if kind == "file" and is_tree(file):
        at = file.get("file_data")
        return {"type": "input_file", **({"file_url": at} if is_web_address(at) else file), **mark}
    return part
