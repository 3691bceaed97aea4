"""Schemas of the answers of calls, for `openapi_document.py`: what each door's clients read. Knows no route.

Members that a vendor may leave out or add are not demanded, as what conforms passes as it came.
"""

from __future__ import annotations

from openapi_terms import Document, list_of, nullable, object_of, or_null, ref

TEXT: Document = {"type": "string"}
NUMBER: Document = {"type": "integer"}
JSON_TEXT: Document = {"type": "string", "description": "A JSON object, as text."}
REASONS = {"enum": ["stop", "length", "tool_calls", "content_filter", "function_call"]}
BYTES = or_null(list_of({"type": "integer", "minimum": 0, "maximum": 255}))


def calls() -> Document:
    """The schemas of what calls are answered with."""
    return chat() | responses() | messages() | texts()


def chat() -> Document:
    """What clients of chat completions and of the older completions read."""
    head = {"id": TEXT, "created": NUMBER, "model": TEXT}
    function = object_of({"name": TEXT, "arguments": JSON_TEXT})
    called = {"id": TEXT, "type": {"const": "function"}, "function": function}
    custom = {"id": TEXT, "type": {"const": "custom"}, "custom": object_of({"name": TEXT, "input": TEXT})}
    piece = object_of({"name": TEXT, "arguments": TEXT}, [])
    fragment = object_of({"index": NUMBER, "id": TEXT, "type": TEXT, "function": piece, "custom": {"type": "object"}}, ["index"])
    said = {"role": {"const": "assistant"}, "content": nullable("string"), "refusal": nullable("string")}
    more = {"reasoning_content": nullable("string"), "annotations": or_null(list_of({"type": "object"}))}
    message = said | more | {"tool_calls": list_of({"anyOf": [object_of(called), object_of(custom)]}), "function_call": function}
    delta = said | more | {"tool_calls": list_of(fragment), "function_call": piece}
    likely = {"token": TEXT, "logprob": {"type": "number"}, "bytes": BYTES}
    place = likely | {"top_logprobs": list_of(object_of(likely, ["token", "logprob"]))}
    listed = or_null(list_of(object_of(place, ["token", "logprob"])))
    logprobs = or_null(object_of({"content": listed, "refusal": listed}, []))
    choice = {"index": NUMBER, "message": object_of(message, list(said)), "logprobs": logprobs, "finish_reason": REASONS}
    change = {"index": NUMBER, "delta": object_of(delta, []), "logprobs": logprobs, "finish_reason": or_null(REASONS)}
    completion = {"index": NUMBER, "text": TEXT, "logprobs": nullable("object"), "finish_reason": TEXT}
    return {
        "Usage": object_of(
            {
                "prompt_tokens": NUMBER,
                "completion_tokens": NUMBER,
                "total_tokens": NUMBER,
                "prompt_tokens_details": parts_of("cached_tokens", "audio_tokens"),
                "completion_tokens_details": parts_of(
                    "reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"
                ),
                "cost": {"type": "number", "description": "US dollars; present when the model has a price."},
            },
            ["prompt_tokens", "completion_tokens", "total_tokens"],
        ),
        "ChatCompletion": object_of(
            {**head, "object": {"const": "chat.completion"}, "choices": list_of(object_of(choice), least=1), "usage": ref("Usage")}
        ),
        "ChatCompletionChunk": object_of(
            {
                **head,
                "object": {"const": "chat.completion.chunk"},
                "choices": list_of(object_of(change, ["index", "delta", "finish_reason"])),
                "usage": or_null(ref("Usage")),
            },
            [*head, "object", "choices"],
        ),
        "Completion": object_of(
            {
                **head,
                "object": {"const": "text_completion"},
                "choices": list_of(object_of(completion, ["index", "text", "finish_reason"]), least=1),
                "usage": ref("Usage"),
            }
        ),
    }


def responses() -> Document:
    """What clients of the Responses API read. An item of a type that is not here is a tool's of the vendor's own."""
    said = {
        "type": {"const": "output_text"},
        "text": TEXT,
        "annotations": list_of({"type": "object"}),
        "logprobs": list_of({"type": "object"}),
    }
    refused = {"type": {"const": "refusal"}, "refusal": TEXT}
    content = list_of({"anyOf": [object_of(said, ["type", "text"]), object_of(refused)]})
    head, call = {"id": TEXT, "status": TEXT}, {"call_id": TEXT, "name": TEXT, "namespace": nullable("string")}
    items = {
        "message": ({**head, "role": {"const": "assistant"}, "content": content}, ["id", "status", "role", "content"]),
        "reasoning": (
            {**head, "summary": list_of(object_of({"type": TEXT, "text": TEXT})), "encrypted_content": nullable("string")},
            ["id", "summary"],
        ),
        "function_call": ({**head, **call, "arguments": JSON_TEXT}, ["call_id", "name", "arguments"]),
        "custom_tool_call": ({**head, **call, "input": TEXT}, ["call_id", "name", "input"]),
    }
    usage = {
        "input_tokens": NUMBER,
        "output_tokens": NUMBER,
        "total_tokens": NUMBER,
        "input_tokens_details": parts_of("cached_tokens"),
        "output_tokens_details": parts_of("reasoning_tokens"),
    }
    return {
        "Response": object_of(
            {
                "id": TEXT,
                "object": {"const": "response"},
                "created_at": NUMBER,
                "status": {"enum": ["completed", "incomplete"]},
                "incomplete_details": or_null(object_of({"reason": TEXT}, [])),
                "model": TEXT,
                "output": list_of(one_of_types(items, "What only the vendor's own tools give, as it came.")),
                "usage": object_of(usage, ["input_tokens", "output_tokens", "total_tokens"]),
            },
            ["id", "object", "created_at", "status", "model", "output", "usage"],
        ),
    }


def messages() -> Document:
    """What clients of the Messages API read. A block of a type that is not here is of Anthropic's own tools."""
    blocks: dict[str, tuple[Document, list[str]]] = {
        "text": ({"text": TEXT, "citations": or_null(list_of({"type": "object"}))}, ["text"]),
        "thinking": ({"thinking": TEXT, "signature": TEXT}, ["thinking", "signature"]),
        "redacted_thinking": ({"data": TEXT}, ["data"]),
        "tool_use": (
            {"id": TEXT, "name": TEXT, "input": {"type": "object", "description": "What the tool's schema asks for."}},
            ["id", "name", "input"],
        ),
    }
    counts = {"input_tokens": NUMBER, "output_tokens": NUMBER}
    cached = dict.fromkeys(("cache_creation_input_tokens", "cache_read_input_tokens"), nullable("integer"))
    return {
        "Message": object_of(
            {
                "id": TEXT,
                "type": {"const": "message"},
                "role": {"const": "assistant"},
                "model": TEXT,
                "content": list_of(one_of_types(blocks, "What only Anthropic's own tools give, as it came.")),
                "stop_reason": TEXT,
                "stop_sequence": nullable("string"),
                "usage": object_of(counts | cached, list(counts)),
            }
        ),
    }


def texts() -> Document:
    """What is answered to texts without a conversation: vectors and rankings."""
    vector = {"anyOf": [TEXT, list_of({"type": "number"})]}
    usage = object_of({"prompt_tokens": NUMBER, "total_tokens": NUMBER})
    ranked = {"index": NUMBER, "relevance_score": {"type": "number"}, "document": {}}
    return {
        "Embeddings": object_of(
            {
                "object": {"const": "list"},
                "data": list_of(object_of({"object": {"const": "embedding"}, "index": NUMBER, "embedding": vector})),
                "model": TEXT,
                "usage": usage,
            }
        ),
        "Ranking": object_of(
            {"id": TEXT, "model": TEXT, "results": list_of(object_of(ranked, ["index", "relevance_score"]), least=1), "usage": usage}
        ),
    }


def parts_of(*counts: str) -> Document:
    """A breakdown of a count, each part of it optional."""
    return or_null(object_of(dict.fromkeys(counts, nullable("integer")), []))


def one_of_types(known: dict[str, tuple[Document, list[str]]], other: str) -> Document:
    """What has a `type`: of each that is known its members and those that are always there; `other` says what else may come."""
    described = [object_of({"type": {"const": kind}, **members}, ["type", *always]) for kind, (members, always) in known.items()]
    rest = object_of({"type": {"type": "string", "not": {"enum": list(known)}}}) | {"description": other}
    return {"anyOf": [*described, rest]}
