"""What clients send that is newer than those we know, at every dialect: served, with its text, or refused by name; never lost, never ours.

Each row is one member, part, item or block that a next version of a client could send. Which of them are served everywhere stands in one
table, which only the door's own vendors can be sent in another. No socket, and no vendor answers.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.errors import UpstreamFailed
from aisa.providers.shape import Target
from aisa.providers.tasks import DIALECTS
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR

Json = dict[str, Any]
MODELS = {
    "openai": "gpt-4.1",
    "responses": "gpt-5.1",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "bedrock": "anthropic.claude-sonnet-4-5-v1:0",
    "cohere": "command-a-reasoning-08-2025",
    "mistral": "mistral-large-latest",
}
DOORS: dict[str, tuple[Door, str]] = {
    "chat": (CHAT_DOOR, "openai"),
    "responses": (RESPONSES_DOOR, "responses"),
    "messages": (MESSAGES_DOOR, "anthropic"),
    "gemini": (GeminiDoor("m"), "gemini"),
}
MARK = "the mark"  # of what the model must see
PLAIN: dict[str, Json] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": MARK}]},
    "responses": {"model": "m", "input": MARK},
    "messages": {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": MARK}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": MARK}]}]},
}
FUNCTION: Json = {"name": "f", "description": None, "parameters": {"type": "object", "properties": {}}}
USED: Json = {"type": "tool_use", "id": "t1", "name": "f", "input": {}, "caller": {"type": "direct"}, "cache_control": None}
CLAUDES: Json = {"name": "f", "input_schema": {"type": "object"}}
DECLARED: Json = {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}, "behavior": "BLOCKING"}]}


def user(*blocks: Json) -> Json:
    """A user's turn with a text and these beside it."""
    return {"role": "user", "content": [{"type": "text", "text": MARK, "cache_control": None}, *blocks]}


def result(content: object, **more: object) -> list[Json]:
    """A call and what its tool gave back, as the Messages API has it."""
    back = {"type": "tool_result", "tool_use_id": "t1", "content": content, **more}
    return [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": [USED]}, {"role": "user", "content": [back]}]


def item(**members: object) -> list[Json]:
    """A message, and an item behind it."""
    return [{"type": None, "role": "user", "content": [{"type": "input_text", "text": MARK}]}, members]


def shown(*parts: Json) -> list[Json]:
    """A content of Gemini's with a text and these beside it."""
    return [{"role": None, "parts": [{"text": MARK, "partMetadata": {"a": 1}}, *parts]}]


#: Served by every dialect, and shown to the model.
SERVED: dict[str, list[Json]] = {
    "chat": [
        {"parallel_tool_calls": False},
        {"parallel_tool_calls": True, "tools": [], "tool_choice": "auto"},
        {"tools": None, "tool_choice": None, "functions": None, "function_call": None},
        {"tools": [{"type": "function", "function": {**FUNCTION, "strict": None}, "defer_loading": True}]},
        {"stream": True, "stream_options": None},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
        {"metadata": {}, "service_tier": "auto", "verbosity": "medium", "reasoning_effort": "none"},
        {"prompt_cache_retention": "24h", "prompt_cache_key": "k", "safety_identifier": "s", "user": "u", "store": True},
        {"response_format": None, "modalities": ["text"], "audio": None, "prediction": None, "logit_bias": {}, "stop": None, "n": None},
        {"novel": {"deep": [None]}, "another": None},
        {"messages": [{"role": "system", "content": MARK}]},
        {"messages": [{"role": "developer", "content": MARK}, {"role": "system", "content": "b"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "output_text", "text": MARK}]}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": MARK, "novel": None, "annotations": []}]},
                {"role": "assistant", "content": None, "refusal": "no", "tool_calls": [], "function_call": None, "audio": None},
                {"role": "user", "content": "b"},
            ]
        },
    ],
    "responses": [
        {"parallel_tool_calls": False, "tools": [], "tool_choice": "none"},
        {"reasoning": {"effort": "none", "summary": None, "context": "auto", "novel": 1}},
        {"text": {"format": None, "verbosity": "medium"}, "instructions": None, "max_output_tokens": None},
        {"metadata": {"a": "b"}, "service_tier": "auto", "safety_identifier": "s", "prompt_cache_retention": "24h", "include": []},
        {
            "context_management": [{"type": "compaction", "compact_threshold": 1_000}],
            "truncation": "auto",
            "max_tool_calls": 3,
            "novel": {},
        },
        {"tools": [{"type": "function", **FUNCTION, "allowed_callers": ["direct"], "output_schema": {}, "async": True, "strict": None}]},
        {"input": item(type="reasoning", id="rs_1", summary=[], content=None, encrypted_content=None, status=None)},
        {
            "input": item(
                type="message",
                id="msg_1",
                status="completed",
                role="assistant",
                phase="final_answer",
                content=[
                    {"type": "output_text", "text": "a", "annotations": [{"type": "file_path", "index": 0}], "logprobs": []},
                    {"type": "refusal", "refusal": "no"},
                ],
            )
        },
        {"input": item(type="web_search_call", id="ws_1", action={"type": "find"}, status="completed")},
        {"input": item(role="user", content=[])},
        {"input": [{"role": "system", "content": MARK}]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": MARK, "prompt_cache_breakpoint": {"mode": "explicit"}}]}]},
    ],
    "messages": [
        {"container": None, "mcp_servers": [], "cache_control": {"type": "ephemeral", "ttl": "1h"}, "inference_geo": "eu", "novel": {}},
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"task_budget": {"type": "tokens", "total": 20_000}}},
        {
            "thinking": None,
            "output_config": None,
            "system": None,
            "stop_sequences": None,
            "metadata": None,
            "service_tier": "standard_only",
        },
        {"context_management": {"edits": [{"type": "clear_tool_uses_20270101"}]}, "system": []},
        {"tools": [{**CLAUDES, "type": "custom", "input_examples": [{}], "eager_input_streaming": True, "allowed_callers": ["direct"]}]},
        {"tools": [CLAUDES, {"type": "web_search_20270101", "name": "web_search"}, {"type": "code_execution_20270101", "name": "c"}]},
        {"messages": [user({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]})]},
        {"messages": [user({"type": "document", "source": {"type": "content", "content": MARK}, "citations": {"enabled": True}})]},
        {"messages": [user({"type": "advisor_tool_result", "tool_use_id": "s", "content": {}}, {"type": "server_tool_use", "id": "s"})]},
        {"messages": result([{"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": MARK}]}])},
        {"messages": result([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": MARK}}], is_error=None)},
        {"messages": result([{"type": "text", "text": MARK, "novel": 1}], cache_control=None)},
        {"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "scope": "global"}}]},
    ],
    "gemini": [
        {"tools": [], "toolConfig": None, "safetySettings": [], "labels": {}, "serviceTier": "standard", "novel": {}},
        {"generationConfig": {"stopSequences": [], "responseModalities": ["TEXT"], "candidateCount": 1, "novelConfig": 1}},
        {"generation_config": {"max_output_tokens": 9_000, "thinking_config": {"thinking_level": "LOW", "include_thoughts": True}}},
        {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "properties": {}}}},
        {"tools": [DECLARED, {"googleSearch": {}}, {"url_context": {}}, {"codeExecution": {}}, {"novelTool": {}}]},
        {"tools": [DECLARED], "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "streamFunctionCallArguments": True}}},
        {"tools": [DECLARED], "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}}},
        {"contents": shown()},
        {"contents": shown({"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgo=", "display_name": "x"}})},
        {"contents": {"parts": {"text": MARK}}, "system_instruction": {"role": "system", "parts": [{"text": "s"}]}},
    ],
}
#: Refused by every dialect but the door's own, which is sent what came: the model was to see it.
REFUSED: dict[str, list[tuple[Json, str]]] = {
    "responses": [
        ({"input": item(type="novel_item", text="x")}, "input[1].type"),
        ({"input": item(role="user", content=[{"type": "input_image", "file_id": "file-1"}])}, "input[1].content[0]"),
        ({"input": item(role="user", content=[{"type": "input_video", "video_url": "x"}])}, "input[1].content[0].type"),
        ({"tools": [{"type": "novel_tool"}]}, "tools[0].type"),
    ],
    "messages": [
        ({"messages": [user({"type": "video", "source": {"type": "url", "url": "https://x"}})]}, "messages[0].content[1].type"),
        ({"messages": [user({"type": ["novel"]})]}, "messages[0].content[1].type"),
        ({"messages": result([{"type": "text", "text": "a"}, {"type": "novel"}])}, "messages[2].content[0].content[1].type"),
        ({"messages": result(["Hi."])}, "messages[2].content[0].content[0]"),
        ({"messages": result({"answer": 1})}, "messages[2].content[0].content.type"),
        ({"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]}, "messages[0].content[1].source"),
        ({"tools": [{"type": "bash_20270101", "name": "bash"}]}, "tools[0].type"),
    ],
    "gemini": [
        ({"contents": [{"role": "user", "text": "Hi."}]}, "contents[0].parts"),
        ({"contents": [{"text": "Hi."}]}, "contents[0].parts"),
        ({"contents": [{"role": "user", "parts": []}]}, "contents"),
        ({"contents": [{"role": "user"}]}, "contents"),
        ({"contents": shown({"novelPart": {}})}, "contents[0].parts[1]"),
        ({"cachedContent": "cachedContents/x"}, "cachedContent"),
    ],
}


def sent(door: str, dialect: str, members: Json) -> bytes:
    """What a vendor of a dialect is asked. Raises UpstreamFailed."""
    request = DOORS[door][0].read(json.dumps({**PLAIN[door], **members}).encode())
    return DIALECTS[request.task + dialect].to_upstream(request, Target("v", MODELS[dialect], dialect)).body


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize(("door", "place"), [(door, place) for door, rows in SERVED.items() for place in range(len(rows))])
def test_what_a_newer_client_sends_is_served_and_what_the_model_is_to_see_is_shown(door: str, place: int, dialect: str) -> None:
    """Hints that nobody here knows, members that are null, empty lists: none is a reason to refuse, and no text is left out."""
    assert MARK.encode() in sent(door, dialect, SERVED[door][place])


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize(("door", "place"), [(door, place) for door, rows in REFUSED.items() for place in range(len(rows))])
def test_what_only_the_doors_own_vendors_can_show_a_model_is_refused_by_its_place(door: str, place: int, dialect: str) -> None:
    """It was left out without a word, and the answer billed. The door's own vendors are sent it: they may know it."""
    members, param = REFUSED[door][place]
    if dialect == DOORS[door][1]:
        assert sent(door, dialect, members)
        return
    with pytest.raises(UpstreamFailed) as refused:
        sent(door, dialect, members)
    assert (refused.value.error.status, refused.value.error.param) == (422, param)
