"""A request of the Messages API in the words of chat completions, for vendors of those.

What only Anthropic has is left out, but nothing that the model is to see or that the client waits for: that would be lost without a word,
and is told as a loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from aisa.errors import ApiError
from aisa.wire.efforts import NONE, effort_of
from aisa.wire.losses import SHOWN_BELOW, Loss, Losses
from aisa.wire.messages_content import (
    MADE_THERE,
    SHOWN_CHARACTERS_MAX,
    blocks_in,
    is_summary,
    no_words,
    parts_in,
    parts_of,
    texts_in,
    unread_texts,
)
from aisa.wire.messages_marks import MARK, mark_in, mark_of_texts, marked_texts, put_mark
from aisa.wire.reasoning_details import MEMBER, SEALED_PREFIX, detail
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, text_or_none, trees_in

#: A line that Anthropic's client sends for accounting. It changes with each version, and spoils every other vendor's prompt cache.
BILLING = "x-anthropic-billing-header:"
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
SAME = ("model", "stream", "temperature", "top_p", "top_k", "service_tier")
REMOVAL = "tool_removal"
CHANGES = ("tool_addition", REMOVAL)  # blocks that change which tools are offered from there on
#: How the types of tools begin that only Anthropic's models know and the client runs: without them it waits for calls that never come.
CLIENTS_OWN = ("bash_", "text_editor_", "computer_", "browser_", "memory_")
#: The types of tools that Anthropic runs, which are left out: they have a version behind them, but for those of tools that are
#: found or connected.
OF_ANTHROPIC = re.compile(r".+_[0-9]+|mcp_toolset|tool_search_tool_\w+")
TOOL = 'The Messages API wants `name` and `input_schema` beside each other: {"name": "...", "input_schema": {"type": "object"}}.'
#: What other APIs have in the place of an `input_schema`.
OF_OTHERS = {"function": "chat completions", "parameters": "the Responses API", "functionDeclarations": "Gemini's API"}
MANNERS = ("enabled", "disabled", "adaptive")  # of thinking
YES_OR_NO = "true or false"
TOOL_CHOICE = 'It is an object whose `type` is auto, any, tool or none, as {"type": "any"}.'
THINKING = 'It is an object whose `type` is enabled, disabled or adaptive, as {"type": "enabled", "budget_tokens": 2048}.'
FORMAT = 'It is {"type": "json_schema", "schema": {...}}.'


def as_chat_fields(request: Tree, losses: Losses, *, marked: bool = False) -> Tree:
    """Return the members of the chat request, its marks for the cache among them if it is to be `marked`.

    What it cannot say is added to `losses`.
    """
    chat: Tree = {name: request[name] for name in SAME if request.get(name) is not None}
    bound = request.get("max_tokens")
    if bound == 0:
        what = "'max_tokens' is 0, with which Anthropic fills its cache and answers nothing. Others have no such call: leave it out."
        losses.append(Loss("max_tokens", what))
    elif isinstance(bound, int) and bound < 0:
        losses.append(Loss("max_tokens", f"'max_tokens' is {bound}. Ask for one token at least."))
    elif isinstance(bound, int):
        chat["max_completion_tokens"] = bound
    if chat.get("service_tier") == "standard_only":
        chat["service_tier"] = "default"
    losses += unread_texts(request.get("system"), "system")
    messages = losses.came(instructions(request.get("system"), BILLING, marked=marked), "system")
    said = trees_in(request.get("messages"))
    for place in range(last_summary(said), len(said)):
        at = f"messages[{place}]"
        messages += losses.came(said_in(said[place], f"{at}.content", losses, marked=marked), at)
    chat["messages"] = messages or [{"role": "user", "content": ""}]
    if marked and is_tree(request.get(MARK)):
        chat[MARK] = request[MARK]
    stops = request.get("stop_sequences")
    if is_list(stops) and stops:
        chat["stop"] = stops
    chat |= tools_of(request, losses, marked=marked)
    losses += unread(request)
    config = as_tree(request.get("output_config"))
    effort = text_or_none(config.get("effort")) or effort_in(as_tree(request.get("thinking")))
    if effort is not None:
        chat["reasoning_effort"] = effort
    schema = as_tree(config.get("format") or request.get("output_format")).get("schema")
    if is_tree(schema):
        chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    return chat


def unread(request: Tree) -> Iterator[Loss]:
    """Yield what is lost of the members that say how to think, to choose a tool and to answer, as nobody can read it."""
    thinking, choice, config = [as_tree(request.get(name)) for name in ("thinking", "tool_choice", "output_config")]
    for name, known, right in (("thinking", MANNERS, THINKING), ("tool_choice", (*CHOICES, "tool"), TOOL_CHOICE)):
        given = request.get(name)
        if given is not None and as_tree(given).get("type") not in known:
            param = f"{name}.type" if is_tree(given) else name
            yield Loss(param, f"'{param}' says nothing that is known here. {right}")
    for param, form in (("output_config.format", config.get("format")), ("output_format", request.get("output_format"))):
        if form is not None and not is_tree(as_tree(form).get("schema")):
            yield Loss(param, f"'{param}' has no schema. {FORMAT}")
    members: tuple[tuple[str, object, type[object], str], ...] = (
        ("thinking.budget_tokens", thinking.get("budget_tokens"), int, "a whole number of tokens"),
        ("tool_choice.disable_parallel_tool_use", choice.get("disable_parallel_tool_use"), bool, YES_OR_NO),
        ("output_config.effort", config.get("effort"), str, 'a word, such as "low"'),
    )
    yield from [Loss(param, f"'{param}' must be {right}.") for param, value, kind, right in members if not is_of(value, kind)]


def is_of(value: object, kind: type[object]) -> bool:
    """Tell whether a value is absent or of a type."""
    return value is None or (isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool))


def instructions(content: object, left_out: str = "", *, marked: bool) -> list[Tree]:
    """Return the message that the system's texts are, none without any; without those that begin with `left_out`, if that is something."""
    if marked:
        parts = marked_texts(content, left_out)
        return [{"role": "system", "content": parts}] if parts else []
    texts = [text for text in texts_in(content) if not (left_out and text.startswith(left_out))]
    return [{"role": "system", "content": "\n\n".join(texts)}] if texts else []


def last_summary(said: list[Tree]) -> int:
    """Return the place of the last message that stands for everything before it, the first where none does."""
    for place in range(len(said) - 1, 0, -1):
        content = said[place].get("content")
        if is_list(content) and any(is_summary(block) for block in trees_in(content)):
            return place
    return 0


def effort_in(thinking: Tree) -> str | None:
    """Return the effort that `thinking` comes to: a budget's, or none; nothing where it adapts, as models do that are not told."""
    budget = thinking.get("budget_tokens")
    if thinking.get("type") == "enabled" and isinstance(budget, int):
        return effort_of(budget)
    return NONE if thinking.get("type") == "disabled" else None


def tools_of(request: Tree, losses: Losses, *, marked: bool) -> Tree:
    """Return the tools that the client runs, and how one of them is to be chosen; those that Anthropic runs are left out."""
    functions: list[Tree] = []
    for param, tool in offered_in(request):
        if is_tree(tool.get("input_schema")):
            functions += losses.came([function_of(tool, param, losses)], param)
        elif (loss := lost_with(tool, param)) is not None:
            losses.append(loss)
        if marked:
            put_mark(functions, tool)
    choice = as_tree(request.get("tool_choice"))
    if not (functions or choice):
        return {}
    offered = [as_tree(each["function"]).get("name") for each in functions]
    if (choice.get("type") == "any" and not offered) or (choice.get("type") == "tool" and choice.get("name") not in offered):
        losses.append(Loss("tool_choice", "'tool_choice' asks for a call of a tool, and the client runs no such tool."))
        choice = {}
    return {"tools": functions, **choice_of(choice)} if functions else {}


def offered_in(request: Tree) -> list[tuple[str, Tree]]:
    """Return the tools that are offered at the end of the conversation, which may add some and withdraw others, each with its place."""
    tools = [(f"tools[{place}]", tool) for place, tool in enumerate(trees_in(request.get("tools")))]
    added: dict[str | None, tuple[str, Tree]] = {}  # by name, each in the place of any that had it before
    withdrawn: set[str | None] = set()
    for place, message in enumerate(trees_in(request.get("messages"))):
        content = message.get("content")
        for position, block in enumerate(trees_in(content) if is_list(content) else ()):
            if block.get("type") not in CHANGES:
                continue
            tool, at = as_tree(block.get("tool")), f"messages[{place}].content[{position}].tool"
            definition = tool.get("definition")
            name = name_in(as_tree(definition), f"{at}.definition") or name_in(tool, at)
            if block["type"] == REMOVAL:
                withdrawn.add(name)
            else:
                withdrawn.discard(name)
            if is_tree(definition):
                added.pop(name, None)
                added[name] = (f"{at}.definition", definition)
    if not (tools or added):
        return []
    kept = [(param, tool) for param, tool in tools if name_in(tool, param) not in added]
    return [(param, tool) for param, tool in (*kept, *added.values()) if name_in(tool, param) not in withdrawn]


def name_in(tool: Tree, param: str) -> str | None:
    """Return a tool's name, None if it has none. Raises ApiError for one that is no text."""
    name = tool.get("name")
    if name is None or isinstance(name, str):
        return name
    raise ApiError("invalid_parameter_type", f"'{param}.name' must be a string.", param=f"{param}.name")


def lost_with(tool: Tree, param: str) -> Loss | None:
    """Return what is lost without a tool that has no schema: nothing if Anthropic runs it, else a tool that the client has offered."""
    kind = tool.get("type")
    if isinstance(kind, str):
        if kind.startswith(CLIENTS_OWN):
            what = f"The tool '{kind[:64]}' is known to Anthropic's models alone. Offer it with a name and an `input_schema` of its own."
            return Loss(f"{param}.type", what)
        if OF_ANTHROPIC.fullmatch(kind):
            return None
    place = f"{param}.input_schema"
    if tool.get("input_schema") is not None:
        return Loss(place, f"'{place}' must be an object, the JSON Schema of what the tool takes. {TOOL}")
    others = next((api for name, api in OF_OTHERS.items() if name in tool), None)
    if others is not None:
        return Loss(place, f"The tool at '{param}' is written as in {others}. {TOOL}")
    if kind is None or kind == "custom":
        return Loss(place, f"The tool at '{param}' has no `input_schema`. {TOOL}")
    what = f"The tool at '{param}' has no `input_schema`, and '{str(kind)[:SHOWN_CHARACTERS_MAX]}' is no type that is known here."
    return Loss(f"{param}.type", f"{what} {TOOL}")


def function_of(tool: Tree, param: str, losses: Losses) -> Tree:
    """Write a tool of the client's."""
    function: Tree = {"name": tool.get("name"), "parameters": tool.get("input_schema")}
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    if tool.get("strict") is True:
        function["strict"] = True
    for name, kind, right in (("description", str, "a text"), ("strict", bool, YES_OR_NO)):
        if not is_of(tool.get(name), kind):
            losses.append(Loss(f"{param}.{name}", f"'{param}.{name}' must be {right}."))
    return {"type": "function", "function": function}


def choice_of(choice: Tree) -> Tree:
    """Write the choice among the tools."""
    kind = choice.get("type")
    written: Tree = {}
    if kind == "tool":
        written["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif isinstance(kind, str) and kind in CHOICES:
        written["tool_choice"] = CHOICES[kind]
    if choice.get("disable_parallel_tool_use") is True:
        written["parallel_tool_calls"] = False
    return written


def said_in(message: Tree, param: str, losses: Losses, *, marked: bool) -> list[Tree]:
    """Return the messages that one is: results of tools each for itself, before what is said beside them."""
    role, content = message.get("role"), message.get("content")
    if role == "assistant":
        losses += unread_calls(content, param)
        return spoken(content, param, losses, marked=marked)
    if role != "user":
        losses += unread_texts(content, param)
        return instructions(content, marked=marked)
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    results: list[Tree] = []
    parts: list[Tree] = []
    for at, block in blocks_in(content, param, losses):
        if block.get("type") == "tool_result":
            shown = parts_of(block.get("content"), f"{at}.content", losses)
            text = "\n".join([str(part["text"]) for part in shown if part["type"] == "text"]) or (SHOWN_BELOW if shown else "")
            failed = {"is_error": True} if block.get("is_error") is True else {}
            result: Tree = {"role": "tool", "tool_call_id": str(block.get("tool_use_id")), "content": text, **failed}
            results += losses.came([result], at)
            below = [part for part in shown if part["type"] != "text"]
            parts += below
            if marked:
                put_mark(below or results[-1:], block)
        else:
            parts += losses.came(parts_in(block, at, losses), at)
            if marked:
                put_mark(parts, block)
    said: list[Tree] = [{"role": "user", "content": parts}] if parts else []
    return results + said


def spoken(content: object, param: str, losses: Losses, *, marked: bool) -> list[Tree]:
    """Return what the model said: text, calls, and what its vendor wants back."""
    texts = texts_in(content)
    blocks = trees_in(content)
    calls: list[Tree] = []
    for place, block in enumerate(blocks):
        if block.get("type") == "tool_use":
            function = {"name": block.get("name"), "arguments": encoded(block.get("input"))}
            mark: Tree = {MARK: found} if marked and (found := mark_in(block)) is not None else {}
            calls += losses.came([{"id": block.get("id"), "type": "function", "function": function, **mark}], f"{param}[{place}]")
    seals = [text for block in blocks if (text := text_or_none(block.get("signature"))) and text.startswith(SEALED_PREFIX)]
    said: Tree = {"role": "assistant", "content": "".join(texts) or None, **(mark_of_texts(content) if marked else {})}
    if calls:
        said["tool_calls"] = calls
    if seals:
        said[MEMBER] = [detail(seal, index) for index, seal in enumerate(seals)]
    return [said] if texts or calls else []


def unread_calls(content: object, param: str) -> Iterator[Loss]:
    """Yield what is lost of what the model said: texts that are none, calls with an input that nobody can read, and other content."""
    for place, block in enumerate(trees_in(content)):
        at, given = f"{param}[{place}]", block.get("input")
        if block.get("type") == "tool_use":
            if given not in (None, "") and not is_tree(given):
                yield Loss(f"{at}.input", f"'{at}.input' must be an object, what the tool was called with.")
        elif block.get("type") != MADE_THERE:
            yield from no_words(block, at)


def encoded(value: object) -> str:
    """Write a call's input as the text that chat completions have it as."""
    return msgspec.json.encode(value if is_tree(value) else {}).decode()
