"""A request of the Messages API in the words of chat completions, for vendors of those. What has no words there is left out."""

from __future__ import annotations

import msgspec

from aisa.wire.efforts import NONE, effort_of
from aisa.wire.reasoning_details import MEMBER, SEALED_PREFIX, detail
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, text_or_none, trees_in

#: A line that Anthropic's client sends for accounting. It changes with each version, and spoils every other vendor's prompt cache.
BILLING = "x-anthropic-billing-header:"
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
SAME = ("model", "stream", "temperature", "top_p", "service_tier")


def as_chat_fields(request: Tree) -> Tree:
    """Return the members of the chat request."""
    chat: Tree = {name: request[name] for name in SAME if request.get(name) is not None}
    if isinstance(request.get("max_tokens"), int):
        chat["max_completion_tokens"] = request["max_tokens"]
    if chat.get("service_tier") == "standard_only":
        chat["service_tier"] = "default"
    messages: list[Tree] = []
    instructions = [text for text in texts_in(request.get("system")) if not text.startswith(BILLING)]
    if instructions:
        messages.append({"role": "system", "content": "\n\n".join(instructions)})
    for message in trees_in(request.get("messages")):
        messages += said_in(message)
    chat["messages"] = messages or [{"role": "user", "content": ""}]
    stops = request.get("stop_sequences")
    if is_list(stops) and stops:
        chat["stop"] = stops
    tools = [function_of(tool) for tool in trees_in(request.get("tools")) if is_tree(tool.get("input_schema"))]
    if tools:
        chat["tools"] = tools
        chat |= choice_of(as_tree(request.get("tool_choice")))
    config = as_tree(request.get("output_config"))
    effort = text_or_none(config.get("effort")) or effort_in(as_tree(request.get("thinking")))
    if effort is not None:
        chat["reasoning_effort"] = effort
    schema = as_tree(config.get("format")).get("schema")
    if is_tree(schema):
        chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    return chat


def effort_in(thinking: Tree) -> str | None:
    """Return the effort that `thinking` comes to: a budget's, or none; nothing where it adapts, as models do that are not told."""
    budget = thinking.get("budget_tokens")
    if thinking.get("type") == "enabled" and isinstance(budget, int):
        return effort_of(budget)
    return NONE if thinking.get("type") == "disabled" else None


def texts_in(content: object) -> list[str]:
    """Return the texts of a content, which is one or a list of blocks."""
    if isinstance(content, str):
        return [content] if content else []
    return [text for block in trees_in(content) if (text := text_or_none(block.get("text"))) is not None]


def function_of(tool: Tree) -> Tree:
    """Write a tool of the client's."""
    function: Tree = {"name": tool.get("name"), "parameters": tool.get("input_schema")}
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    if tool.get("strict") is True:
        function["strict"] = True
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


def said_in(message: Tree) -> list[Tree]:
    """Return the messages that one is: results of tools each for itself, before what is said beside them."""
    role, content = message.get("role"), message.get("content")
    if role == "assistant":
        return spoken(content)
    if role != "user":
        texts = texts_in(content)
        return [{"role": "system", "content": "\n\n".join(texts)}] if texts else []
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    results: list[Tree] = []
    parts: list[Tree] = []
    for block in trees_in(content):
        if block.get("type") == "tool_result":
            inner = block.get("content")
            results.append({"role": "tool", "tool_call_id": str(block.get("tool_use_id")), "content": "\n".join(texts_in(inner))})
            parts += [part for shown in trees_in(inner) if shown.get("type") != "text" and (part := part_of(shown)) is not None]
        elif (part := part_of(block)) is not None:
            parts.append(part)
    said: list[Tree] = [{"role": "user", "content": parts}] if parts else []
    return results + said


def spoken(content: object) -> list[Tree]:
    """Return what the model said: text, calls, and what its vendor wants back."""
    texts = texts_in(content)
    blocks = trees_in(content)
    calls: list[Tree] = [
        {
            "id": block.get("id"),
            "type": "function",
            "function": {"name": block.get("name"), "arguments": encoded(block.get("input"))},
        }
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    seals = [text for block in blocks if (text := text_or_none(block.get("signature"))) and text.startswith(SEALED_PREFIX)]
    said: Tree = {"role": "assistant", "content": "".join(texts) or None}
    if calls:
        said["tool_calls"] = calls
    if seals:
        said[MEMBER] = [detail(seal, index) for index, seal in enumerate(seals)]
    return [said] if texts or calls else []


def encoded(value: object) -> str:
    """Write a call's input as the text that chat completions have it as."""
    return msgspec.json.encode(value if is_tree(value) else {}).decode()


def part_of(block: Tree) -> Tree | None:
    """Return a block as a content part, None for what chat completions have no part for."""
    kind = block.get("type")
    source = as_tree(block.get("source"))
    if kind == "text":
        return {"type": "text", "text": block.get("text")} if isinstance(block.get("text"), str) else None
    if kind == "image":
        url = source.get("url") if source.get("type") == "url" else f"data:{source.get('media_type')};base64,{source.get('data')}"
        return {"type": "image_url", "image_url": {"url": url}}
    if kind != "document":
        return None
    if source.get("type") == "text":
        return {"type": "text", "text": str(source.get("data"))}
    name = text_or_none(block.get("title")) or "document.pdf"
    if source.get("type") == "base64":
        return {"type": "file", "file": {"filename": name, "file_data": f"data:{source.get('media_type')};base64,{source.get('data')}"}}
    return None
