"""What a client of each door asks and reads, as little of each protocol as the matrix of doors and dialects needs. Not a test.

Independent of our encoders: it reads events as the protocols' documents have them. What is said twice or out of order is not judged here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import event, text

Json = dict[str, Any]
CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
TOOLS = ("weather", "now", "f", "g")
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
RESULT = "sunny, 21 degrees"


@dataclass
class Seen:
    """What a client has of a stream: `end` is how the protocol says that it ended well, `failed` its word for a failure."""

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)  # name and arguments
    end: str = ""
    failed: str = ""
    history: list[Json] = field(default_factory=list)  # what of it goes back in the next turn


class Speaker(NamedTuple):
    """A client of one door: `ask` writes a request of what is wanted, `read` reads a stream, `turn` answers the calls in it."""

    door: Door
    ask: Callable[[str], Json]
    read: Callable[[bytes], Seen]
    turn: Callable[[Json, Seen], Json]
    refused: Callable[[Json], str]


def data_of(stream: bytes) -> list[Json]:
    """The JSON of the events of a stream."""
    lines = [line[6:] for line in stream.decode().split("\n") if line.startswith("data: ") and line != "data: [DONE]"]
    return [json.loads(line) for line in lines]


def code_of(error: Json) -> str:
    """The code in an error of OpenAI's shape."""
    return str(error["error"]["code"])


# Chat


def chat_ask(wanted: str) -> Json:
    """A chat request."""
    content: Any = "Say."
    if wanted == "picture":
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
        content = [{"type": "text", "text": "What is it?"}, picture]
    asked: Json = {"model": "fast", "stream": True, "messages": [{"role": "user", "content": content}]}
    if wanted == "tools":
        asked["tools"] = [{"type": "function", "function": {"name": name, "parameters": CITY}} for name in TOOLS]
    if wanted == "schema":
        asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": CITY}}
    return asked


def chat_read(stream: bytes) -> Seen:
    """A stream of chunks."""
    seen, calls, details = Seen(), dict[int, Json](), list[Json]()
    for chunk in data_of(stream):
        if "error" in chunk:
            seen.failed = code_of(chunk)
        for choice in chunk.get("choices", ()):
            delta = choice["delta"]
            seen.text += delta.get("content") or delta.get("refusal") or ""
            details += delta.get("reasoning_details") or []
            for call in delta.get("tool_calls") or ():
                known = calls.setdefault(call["index"], {"type": "function", "function": {"name": "", "arguments": ""}})
                known |= {name: value for name, value in call.items() if name not in ("index", "function")}
                known["function"]["name"] += call["function"].get("name", "")
                known["function"]["arguments"] += call["function"].get("arguments", "")
            seen.end = choice["finish_reason"] or seen.end
    seen.calls = [(call["function"]["name"], call["function"]["arguments"]) for call in calls.values()]
    answer: Json = {"role": "assistant", "content": seen.text or None, "tool_calls": list(calls.values())}
    seen.history = [{**answer, "reasoning_details": details} if details else answer]
    return seen


def chat_turn(asked: Json, seen: Seen) -> Json:
    """The next request."""
    results = [{"role": "tool", "tool_call_id": call["id"], "content": RESULT} for call in seen.history[0]["tool_calls"]]
    return {**asked, "messages": [*asked["messages"], *seen.history, *results]}


# Responses


def responses_ask(wanted: str) -> Json:
    """A request for a response."""
    parts: list[Json] = [{"type": "input_text", "text": "Say."}]
    if wanted == "picture":
        parts.append({"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"})
    asked: Json = {"model": "fast", "stream": True, "store": False, "include": ["reasoning.encrypted_content"]}
    asked["input"] = [{"role": "user", "content": parts}]
    if wanted == "tools":
        asked["tools"] = [{"type": "function", "name": name, "parameters": CITY, "strict": True} for name in TOOLS]
    if wanted == "schema":
        asked["text"] = {"format": {"type": "json_schema", "name": "place", "strict": True, "schema": CITY}}
    return asked


def responses_read(stream: bytes) -> Seen:
    """A stream of a response's events."""
    seen = Seen()
    for told in data_of(stream):
        kind = told["type"]
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            seen.text += told["delta"]
        elif kind == "response.output_item.done":
            seen.history.append(told["item"])
            if told["item"]["type"] == "function_call":
                seen.calls.append((told["item"]["name"], told["item"]["arguments"]))
        elif kind == "response.failed":
            seen.failed = told["response"]["error"]["code"]
        elif kind == "response.completed":
            seen.end = "completed"
        elif kind == "response.incomplete":
            seen.end = told["response"]["incomplete_details"]["reason"]
    return seen


def responses_turn(asked: Json, seen: Seen) -> Json:
    """The next request."""
    calls = [item for item in seen.history if item["type"] == "function_call"]
    results = [{"type": "function_call_output", "call_id": call["call_id"], "output": RESULT} for call in calls]
    return {**asked, "input": [*asked["input"], *seen.history, *results]}


# Messages


def messages_ask(wanted: str) -> Json:
    """A request for a message."""
    parts: list[Json] = [{"type": "text", "text": "Say."}]
    if wanted == "picture":
        parts.append({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}})
    asked: Json = {"model": "fast", "stream": True, "max_tokens": 99, "messages": [{"role": "user", "content": parts}]}
    if wanted == "tools":
        asked["tools"] = [{"name": name, "input_schema": CITY} for name in TOOLS]
    if wanted == "schema":
        asked["output_config"] = {"format": {"type": "json_schema", "schema": CITY}}
    return asked


def messages_read(stream: bytes) -> Seen:
    """A stream of a message's events."""
    seen, blocks, why = Seen(), dict[int, Json](), ""
    for told in data_of(stream):
        if told["type"] == "content_block_start":
            blocks[told["index"]] = told["content_block"]
        elif told["type"] == "content_block_delta":
            block, delta = blocks[told["index"]], told["delta"]
            for name in ("text", "thinking", "signature", "partial_json"):
                if name in delta:
                    block[name] = block.get(name, "") + delta[name]
        elif told["type"] == "message_delta":
            seen.end = told["delta"]["stop_reason"] or seen.end
            why = (told["delta"].get("stop_details") or {}).get("explanation") or ""
        elif told["type"] == "error":
            seen.failed = told["error"]["type"]
    if seen.failed:
        seen.end = ""
    for _, block in sorted(blocks.items()):
        given = block.pop("partial_json", "")
        if block["type"] == "tool_use":
            seen.calls.append((block["name"], given or "{}"))
            block["input"] = json.loads(given) if given and seen.end else {}
        seen.text += block.get("text", "")
        seen.history.append(block)
    seen.text += "" if why in seen.text else why
    return seen


def messages_turn(asked: Json, seen: Seen) -> Json:
    """The next request."""
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": RESULT} for block in seen.history if block["type"] == "tool_use"
    ]
    turns = [{"role": "assistant", "content": seen.history}, {"role": "user", "content": results}]
    return {**asked, "messages": [*asked["messages"], *turns]}


# Gemini


def gemini_ask(wanted: str) -> Json:
    """A request for content."""
    parts: list[Json] = [{"text": "Say."}]
    if wanted == "picture":
        parts.append({"inlineData": {"mimeType": "image/png", "data": PICTURE}})
    asked: Json = {"contents": [{"role": "user", "parts": parts}]}
    if wanted == "tools":
        asked["tools"] = [{"functionDeclarations": [{"name": name, "parametersJsonSchema": CITY} for name in TOOLS]}]
    if wanted == "schema":
        asked["generationConfig"] = {"responseMimeType": "application/json", "responseJsonSchema": CITY}
    return asked


def gemini_read(stream: bytes) -> Seen:
    """A stream of candidates."""
    seen = Seen()
    for told in data_of(stream):
        if "error" in told:
            assert list(told) == ["error"], "its clients look at the first key"
            seen.failed = told["error"]["status"]
        for candidate in told.get("candidates", ()):
            for part in candidate.get("content", {}).get("parts", ()):
                seen.history.append(part)
                seen.text += "" if part.get("thought") else part.get("text", "")
                if "functionCall" in part:
                    seen.calls.append((part["functionCall"]["name"], json.dumps(part["functionCall"].get("args", {}))))
            seen.end = candidate.get("finishReason") or seen.end
    return seen


def gemini_turn(asked: Json, seen: Seen) -> Json:
    """The next request."""
    calls = [part["functionCall"] for part in seen.history if "functionCall" in part]
    results = [
        {"functionResponse": {**({"id": call["id"]} if "id" in call else {}), "name": call["name"], "response": {"result": RESULT}}}
        for call in calls
    ]
    turns = [{"role": "model", "parts": seen.history}, {"role": "user", "parts": results}]
    return {**asked, "contents": [*asked["contents"], *turns]}


# Completions


def completions_ask(_wanted: str) -> Json:
    """A request for a completion, which has no words for anything but text."""
    return {"model": "fast", "stream": True, "prompt": "Say."}


def completions_read(stream: bytes) -> Seen:
    """A stream of text completions."""
    seen = Seen()
    for chunk in data_of(stream):
        if "error" in chunk:
            seen.failed = code_of(chunk)
        for choice in chunk.get("choices", ()):
            seen.text += choice["text"]
            seen.end = choice["finish_reason"] or seen.end
    return seen


def no_turn(asked: Json, _seen: Seen) -> Json:
    """The same once more: there are no calls to answer."""
    return asked


SPEAKERS: dict[str, Speaker] = {
    "chat": Speaker(CHAT_DOOR, chat_ask, chat_read, chat_turn, code_of),
    "responses": Speaker(RESPONSES_DOOR, responses_ask, responses_read, responses_turn, code_of),
    "messages": Speaker(MESSAGES_DOOR, messages_ask, messages_read, messages_turn, lambda error: str(error["error"]["type"])),
    "gemini": Speaker(GeminiDoor("fast", stream=True), gemini_ask, gemini_read, gemini_turn, lambda error: str(error["error"]["status"])),
    "completions": Speaker(COMPLETIONS_DOOR, completions_ask, completions_read, no_turn, code_of),
}

#: Chunks of a vendor that speaks OpenAI's dialect, or Mistral's, whose folders of the corpus are of other things.
DONE = b"data: [DONE]\n\n"


def chunk(delta: Json, finish: str | None = None) -> bytes:
    """One chunk."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "some-model", "choices": [choice]})


CALL = [chunk({"tool_calls": [{"index": 0, "id": "a1b2c3d4e", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]})]
THOUGHT = {"openai": [chunk({"reasoning_content": "Look."})]}
THOUGHT["mistral"] = [chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Look."}]}]})]
ERROR = event({"error": {"message": "overloaded", "type": "server_error", "code": 500}})


def chunks_of(dialect: str) -> dict[str, list[bytes]]:
    """What such a vendor sends, by the names of the corpus."""
    words = text("One ", "two.")
    return {
        "text": [*words, chunk({}, "stop"), DONE],
        "one-tool-call": [*text("One."), *CALL, chunk({}, "tool_calls"), DONE],
        "thinking-before-a-tool-call": [text()[0], *THOUGHT[dialect], *CALL, chunk({}, "tool_calls"), DONE],
        "refusal": [*words, chunk({}, "content_filter"), DONE],
        "length": [*words, chunk({}, "length"), DONE],
        "error-as-the-first-event": [ERROR],
        "error-after-text": [*words, ERROR],
        "cut-after-text": words,
    }
