"""The input of a Responses request as the messages of chat completions: always the same for the same items. Knows no tools and no answer.

Items of one turn of the model's are one message, as chat completions have it: what it said, then its calls. Pictures in what a tool gave
back stand behind it in a message of the user's, the only place that vendors take them in.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec

from aisa.errors import ApiError
from aisa.wire.addresses import is_web_address
from aisa.wire.bad_values import explain
from aisa.wire.losses import SHOWN_BELOW, Loss, Losses
from aisa.wire.reasoning_details import MEMBER, SEALED_PREFIX, detail
from aisa.wire.responses_client_tools import BY_CALL, BY_OUTPUT, SEARCH, ClientTool
from aisa.wire.responses_tools import MORE_TOOLS, Called, ToolNames, found_in
from aisa.wire.trees import Tree, is_list

SHOWN_CHARACTERS_MAX = 64  # of a caller's word in a message
CALLS = frozenset({"function_call", "custom_tool_call"})
OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
#: What a vendor's own tools did in earlier turns: told in its text anyway.
DONE_ELSEWHERE = ("web_search_call", "file_search_call", "code_interpreter_call", "mcp_list_tools")
DRAWN = "image_generation_call"  # a picture that a model made, which is to be seen again
UPDATE = "configuration_update"
NOTHING = "nothing"  # in place of an item that stands for nothing
NOT_SAID = (MORE_TOOLS, UPDATE, NOTHING)  # to the model: which tools there are, and how to answer
STATELESS = (
    "This server keeps no responses. Send the whole conversation in `input`: the earlier items and those of the answers. Clients that send "
    "the last alone send all of it when `store` is false, in their settings or in the request. (Its operator can keep some: "
    "`responses.keep_minutes`.)"
)
LEADING = frozenset({"system", "developer"})
MARK = "prompt_cache_breakpoint"  # of a part, behind which a vendor may keep what stands before; chat completions have it too
ELSEWHERE = frozenset({"tool", "function"})  # roles of chat completions, of messages that need members which no item has


class Part(msgspec.Struct):
    """A part of an item's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | dict[str, object] | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: dict[str, object] | None = None
    prompt_cache_breakpoint: Any = None


Parts = str | list[Part] | None


class Item(msgspec.Struct):
    """An item of the input. One without a type is a message."""

    type: str | None = None
    role: str | None = None
    content: Parts = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: Parts = None
    encrypted_content: str | None = None
    result: str | None = None
    output_format: str | None = None

    @property
    def kind(self) -> str:
        """What it is."""
        return self.type or ("message" if self.role else "item_reference")


def items_of(given: list[Tree], names: ToolNames) -> list[Item]:
    """Return the items of an input. Raises ApiError that says which one is wrong.

    Calls have the names by which models know their tools. What the client ran that is no function is a call of the function that stands for
    it, and its result.
    """
    items: list[Item] = []
    ran_here: dict[object, bool] = {}  # calls of tools that are no functions
    for position, tree in enumerate(given):
        kind, sealed = tree.get("type"), tree.get("encrypted_content")
        if isinstance(kind, str) and (own := BY_CALL.get(kind) or BY_OUTPUT.get(kind)) is not None:
            items.append(own_item(own, tree, names, ran_here=ran_here, param=f"input[{position}]"))
            continue
        if isinstance(kind, str) and kind not in READ:
            items.append(Item(kind, encrypted_content=sealed if isinstance(sealed, str) else None))
            continue
        try:
            item = msgspec.convert(tree, Item)
        except msgspec.ValidationError as error:
            wrong = explain(str(error))
            place = f"input[{position}]" + (f".{wrong.param}" if wrong.param else "")
            raise ApiError(wrong.code, f"In 'input[{position}]': {wrong.message}", param=place) from None
        if item.name and kind in CALLS:
            item.name = names.flat(Called(item.name, item.namespace))
        items.append(item)
    return items


def own_item(own: ClientTool, tree: Tree, names: ToolNames, *, ran_here: dict[object, bool], param: str) -> Item:
    """Return a call, or the result of one, of a tool that is no function, as a function's; nothing to be told of what a vendor ran.

    `ran_here` takes note of calls, by their ids. Raises ApiError for a call that does not say what was asked.
    """
    call_id = own.call_id(tree)
    if tree["type"] == own.output:
        if not ran_here.get(call_id, own is not SEARCH):
            return Item(NOTHING)
        return Item("function_call_output", call_id=call_id, output=found_in(tree, names) if own is SEARCH else own.result(tree))
    ran_here[call_id] = own.is_clients(tree)
    if not ran_here[call_id]:
        return Item(NOTHING)
    given = own.arguments(tree)
    if given is None:
        raise ApiError("missing_parameter", f"'{param}.{own.given}' must be an object.", param=f"{param}.{own.given}")
    arguments = given if isinstance(given, str) else msgspec.json.encode(given).decode()
    return Item("function_call", call_id=call_id, name=names.own(own.type) or own.type, arguments=arguments)


READ = frozenset({"message", "item_reference", DRAWN}) | CALLS | OUTPUTS


class Conversation:
    """Collects items into messages. What has no place in them is added to `lost`."""

    def __init__(self, instructions: str | None, lost: Losses) -> None:
        self.messages: list[Tree] = []
        self.lost = lost
        self._pictures: list[Tree] = []
        self._seals: list[str] = []  # on thinking, for the message that it led to
        self._turn: Tree | None = None  # of the model's, to which more may come
        self._opening: list[Tree] | None = []  # texts of the system at the beginning, None once something else came
        if instructions:
            self._lead([text_part(instructions)], "instructions")

    def ask(self, text: str) -> None:
        """Take an input that is a text: a message of the user's, and all there is."""
        self._add({"role": "user", "content": text}, "input")

    def take(self, position: int, item: Item) -> None:
        """Take the next item. Raises ApiError for one that is incomplete, or that refers to what nobody has kept."""
        kind, param = item.kind, f"input[{position}]"
        if kind == "message":
            self._message(item, param)
        elif kind in CALLS:
            self._call(item, param)
        elif kind in OUTPUTS:
            self._output(item, param)
        elif kind == "item_reference":
            raise ApiError("invalid_request", f"'{param}' refers to an item by its id. {STATELESS}", param=param)
        elif kind == "reasoning":
            self._thought(item.encrypted_content or "")
        elif kind == DRAWN:
            address = f"data:image/{item.output_format or 'png'};base64,{item.result}"
            self._pictures += self.lost.came([{"type": "image_url", "image_url": {"url": address}}], param) if item.result else []
        elif not kind.startswith(DONE_ELSEWHERE + NOT_SAID):
            what = f"'{param}' is of the type '{kind[:SHOWN_CHARACTERS_MAX]}', which only a vendor with the Responses API itself can read."
            self.lost.append(Loss(f"{param}.type", f"{what} Leave it out, or ask a model of such a vendor."))

    def end(self) -> list[Tree]:
        """Return the messages."""
        self._show_pictures()
        return self.messages

    def _add(self, message: Tree, param: str) -> None:
        self.messages += self.lost.came([message], param)

    def _lead(self, texts: list[Tree], param: str) -> None:
        """Put instructions into the one message of the system at the beginning: many models take no second."""
        assert self._opening is not None, "asked before"
        param = "input" if self._opening else param
        self._opening += texts
        self.messages.clear()
        self._add({"role": "system", "content": as_content(self._opening, "\n\n")}, param)

    def _message(self, item: Item, param: str) -> None:
        role = item.role
        if not role:
            raise ApiError("missing_parameter", f"'{param}' needs a role.", param=f"{param}.role")
        if role in ELSEWHERE:
            remedy = f"Send what a {role} gave back as a 'function_call_output' with its 'call_id'."
            raise ApiError("invalid_request", f"'{param}' has the role '{role}' of chat completions. {remedy}", param=f"{param}.role")
        self._show_pictures()
        content = self._content(item.content, f"{param}.content", needed=role != "assistant")
        if role in LEADING:
            texts = [text_part(content)] if isinstance(content, str) else content
            if self._opening is not None and all(part["type"] == "text" for part in texts):
                self._lead(texts, param)
                return
            role = "system"
        self._opening = None
        if role != "assistant":
            self._turn, self._seals = None, []
            self._add({"role": role, "content": content}, param)
        elif self._turn is not None and "tool_calls" in self._turn:  # said behind its calls, before their results
            self._turn["content"] = joined(self._turn["content"], content)
        else:
            self._begin_turn(content, param)

    def _call(self, item: Item, param: str) -> None:
        if not item.name:
            raise ApiError("missing_parameter", f"A '{item.kind}' needs a name.", param=f"{param}.name")
        call: Tree = {"id": identified(item, param)}
        if item.kind == "custom_tool_call":
            call |= {"type": "custom", "custom": {"name": item.name, "input": item.input or ""}}
        else:
            call |= {"type": "function", "function": {"name": item.name, "arguments": item.arguments or ""}}
        self._opening = None
        if self._turn is None:
            self._show_pictures()
            self._begin_turn(None, param)
        assert self._turn is not None, "it was begun"
        calls = self._turn.setdefault("tool_calls", [])
        assert is_list(calls), "nobody else writes it"
        calls += self.lost.came([call], param)

    def _thought(self, seal: str) -> None:
        """Thinking: a seal of ours goes with the turn in which it came. What is not ours, nobody here can use."""
        if seal.startswith(SEALED_PREFIX):
            self._seals.append(seal)
            if self._turn is not None:
                self._give_seals(self._turn)

    def _begin_turn(self, content: str | list[Tree] | None, param: str) -> None:
        self._turn = {"role": "assistant", "content": content}
        self._give_seals(self._turn)
        self._add(self._turn, param)

    def _give_seals(self, turn: Tree) -> None:
        if self._seals:
            entries = turn.setdefault(MEMBER, [])
            assert is_list(entries), "nobody else writes it"
            entries += [detail(seal, len(entries) + place) for place, seal in enumerate(self._seals)]
            self._seals = []

    def _output(self, item: Item, param: str) -> None:
        """A tool's result. Parts that are no text wait for the message behind the results."""
        if not item.call_id and item.name:
            self.lost.append(Loss(f"{param}.call_id", f"'{param}' names a tool, and not which call of it: give the 'call_id' of the call."))
            return
        content = self._content(item.output, f"{param}.output", needed=item.output is None)
        if is_parts(content):
            self._pictures += [part for part in content if part.get("type") != "text"]
            content = as_content([part for part in content if part.get("type") == "text"], "\n") or SHOWN_BELOW
        self._turn = self._opening = None
        self._add({"role": "tool", "tool_call_id": identified(item, param), "content": content}, param)

    def _show_pictures(self) -> None:
        if self._pictures:
            self.messages.append({"role": "user", "content": self._pictures})
            self._pictures, self._turn = [], None

    def _content(self, given: Parts, param: str, *, needed: bool) -> str | list[Tree]:
        """Return content as chat completions have it: a text alone as such."""
        if given is None:
            if not needed:
                return ""
            raise ApiError("missing_parameter", f"'{param}' must be a text or parts.", param=param)
        if isinstance(given, str):
            return given
        parts = [part for position, one in enumerate(given) for part in self._parts(one, f"{param}[{position}]")]
        if not parts:
            return ""
        return str(parts[0]["text"]) if len(parts) == 1 and parts[0]["type"] == "text" and MARK not in parts[0] else parts

    def _parts(self, given: Part, param: str) -> list[Tree]:
        part = self._part(given, param)
        if part is not None and given.prompt_cache_breakpoint is not None:
            part[MARK] = given.prompt_cache_breakpoint
        return [] if part is None else self.lost.came([part], param)

    def _part(self, part: Part, param: str) -> Tree | None:
        match part.type:
            case "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text":
                if part.text is None:
                    self.lost.append(Loss(f"{param}.text", f"The part at '{param}' has no `text`, and a model would be shown nothing."))
                return text_part(part.text or "")
            case "refusal":
                return {"type": "refusal", "refusal": part.refusal or ""}
            case "input_image" | "image_url":
                return self._picture(part, param)
            case "input_file" | "file":
                return self._file(part, param)
            case "input_audio":
                return {"type": "input_audio", "input_audio": part.input_audio or {}}
            case _:
                pass
        what = f"'{param}' has the type '{part.type[:SHOWN_CHARACTERS_MAX]}', which only a vendor with the Responses API itself can read."
        known = "Others read input_text, input_image, input_file, input_audio, output_text and refusal."
        self.lost.append(Loss(f"{param}.type", f"{what} {known}"))
        return None

    def _picture(self, part: Part, param: str) -> Tree:
        image = {"url": part.image_url} if isinstance(part.image_url, str) else dict(part.image_url or {})
        if not image:
            self.lost.append(Loss(param, f"'{param}' needs an `image_url`, an address or data: this server keeps no files."))
        if part.detail is not None:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}

    def _file(self, part: Part, param: str) -> Tree:
        """A file, with its address in place of its data where it has one: some vendors read it there."""
        if part.file_url is not None and not is_web_address(part.file_url):
            self.lost.append(Loss(f"{param}.file_url", f"'{param}' gives no address on the web. Send the file's data as `file_data`."))
        given = {"filename": part.filename, "file_data": part.file_data or part.file_url, "file_id": part.file_id}
        return {"type": "file", "file": {name: value for name, value in given.items() if value is not None}}


def identified(item: Item, param: str) -> str:
    """Return the id of the call that an item is about. Raises ApiError if it has none."""
    if not item.call_id:
        raise ApiError("missing_parameter", f"A '{item.kind}' needs a 'call_id'.", param=f"{param}.call_id")
    return item.call_id


def is_parts(content: object) -> TypeGuard[list[Tree]]:
    """Tell whether content is more than a text."""
    return isinstance(content, list)


def as_content(texts: list[Tree], between: str) -> str | list[Tree]:
    """Return texts as one, with something between them; as parts of it where one is marked."""
    said = [str(part["text"]) for part in texts]
    if not any(MARK in part for part in texts):
        return between.join(said)
    return [{**part, "text": f"{between if place else ''}{said[place]}"} for place, part in enumerate(texts)]


def joined(before: object, more: str | list[Tree]) -> str | list[Tree]:
    """Return content with more behind it."""
    if before is None:
        return more
    first = before if is_parts(before) else [text_part(str(before))]
    return [*first, *([text_part(more)] if isinstance(more, str) else more)]


def text_part(text: str) -> Tree:
    """Return a text as a part."""
    return {"type": "text", "text": text}
