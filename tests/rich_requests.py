"""Requests of each API that have much of what it knows in them, and that every dialect can be given. Not a test."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

PNG, PDF = "data:image/png;base64,aGk=", "data:application/pdf;base64,aGk="
FORM: Json = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Oslo"], "format": "date", "minLength": 1},
        "near": {"anyOf": [{"type": "integer", "minimum": 1}, {"$ref": "#/$defs/place"}]},
        "when": {"type": ["array", "null"], "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"place": {"const": "here"}},
}
LOOK: Json = {"name": "look", "description": "Looks.", "parameters": FORM, "strict": True}

CHAT: list[Json] = [
    {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": 3,
        "stop": ["x"],
        "seed": 1,
        "reasoning_effort": "low",
        "verbosity": "low",
        "service_tier": "default",
        "metadata": {"a": "b"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": FORM, "strict": True}},
        "tools": [{"type": "function", "function": LOOK, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "look"}}]},
        },
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
            {
                "role": "user",
                "name": "ann",
                "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}],
            },
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "r"}],
                "reasoning_content": "hm",
                "reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "s", "index": 0}],
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r"}]},
        ],
    },
    {
        "max_tokens": 50,
        "n": 1,
        "logit_bias": {"1": 2},
        "response_format": {"type": "json_object"},
        "web_search_options": {"search_context_size": "low"},
        "prediction": {"type": "content", "content": "x"},
        "functions": [LOOK],
        "function_call": {"name": "look"},
        "messages": [
            {"role": "user", "content": [{"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}, {"type": "text", "text": "a"}]},
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
            {"role": "function", "name": "look", "content": "r"},
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}]},
        ],
    },
    {
        "tools": [
            {"type": "custom", "custom": {"name": "go", "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a"}}}}
        ],
        "tool_choice": {"type": "custom", "custom": {"name": "go"}},
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "go", "input": "a"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "r"},
        ],
    },
    {
        "tools": [{"type": "function", "function": LOOK}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "prefix": True}],
    },
]

MESSAGES: list[Json] = [
    {
        "max_tokens": 50,
        "stream": True,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "stop_sequences": ["x"],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": FORM}},
        "service_tier": "auto",
        "speed": "fast",
        "metadata": {"user_id": "u"},
        "tools": [
            {"name": "look", "description": "Looks.", "input_schema": FORM, "cache_control": {"type": "ephemeral"}, "strict": True},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        ],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "title": "t", "context": "c"},
                    {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "w"}]},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "t", "signature": "aisa.x"},
                    {"type": "text", "text": "b"},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"city": "Oslo"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": "r"}, {"type": "tool_reference", "tool_name": "go"}],
                        "is_error": True,
                    },
                    {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"name": "go", "input_schema": FORM}}},
                    {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "go"}},
                ],
            },
        ],
    },
    {
        "max_tokens": 50,
        "output_format": {"type": "json_schema", "schema": FORM},
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [{"type": "compaction", "content": "so far"}]},
            {
                "role": "user",
                "content": [{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}}],
            },
        ],
    },
]

RESPONSES: list[Json] = [
    {
        "stream": True,
        "instructions": "Be brief.",
        "max_output_tokens": 50,
        "temperature": 0.5,
        "tools": [
            {"type": "function", **LOOK},
            {"type": "namespace", "name": "crew", "tools": [{"type": "function", "name": "go", "parameters": FORM}]},
            {"type": "web_search"},
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": FORM, "strict": True}, "verbosity": "low"},
        "include": ["reasoning.encrypted_content"],
        "service_tier": "default",
        "metadata": {"a": "b"},
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": PNG, "detail": "low"}]},
            {"type": "reasoning", "id": "r1", "encrypted_content": "x", "summary": [{"type": "summary_text", "text": "s"}]},
            {"type": "function_call", "id": "fc", "call_id": "c1", "name": "go", "arguments": "{}", "namespace": "crew"},
            {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "r"}]},
            {"type": "additional_tools", "tools": [{"type": "function", "name": "more", "parameters": {}}]},
            {"type": "tool_search_output", "call_id": "q", "tools": [{"type": "function", "name": "found"}]},
            {"type": "configuration_update", "reasoning": {"effort": "high"}, "text": {"format": {"type": "text"}}},
            {
                "type": "message",
                "role": "assistant",
                "phase": "final",
                "content": [{"type": "output_text", "text": "o", "annotations": []}],
            },
            {"role": "developer", "content": "d"},
        ],
    },
    {
        "tools": [{"type": "function", **LOOK}],
        "tool_choice": {"type": "function", "name": "look"},
        "input": [{"role": "user", "content": [{"type": "input_file", "file_data": PDF, "filename": "a.pdf"}]}],
    },
    {
        "tools": [{"type": "custom", "name": "own", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}],
        "input": [
            {"role": "user", "content": "a"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "own", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "r"},
        ],
    },
]

GEMINI: list[Json] = [
    {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {
            "temperature": 0.5,
            "maxOutputTokens": 50,
            "stopSequences": ["x"],
            "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True},
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"city": {"type": "STRING", "format": "enum", "enum": ["Oslo"]}}},
        },
        "tools": [{"functionDeclarations": [{"name": "look", "description": "Looks.", "parametersJsonSchema": FORM}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
        "contents": [
            {"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
            {
                "role": "model",
                "parts": [
                    {"text": "t", "thought": True},
                    {"functionCall": {"id": "c1", "name": "look", "args": {"city": "Oslo"}}, "thoughtSignature": "x"},
                ],
            },
            {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "look", "response": {"result": "r"}}}]},
        ],
    },
]
