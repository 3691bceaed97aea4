"""One script in the words of every vendor: what an answer says, as each dialect streams it and as it writes it whole. Not a test."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from aisa.testing import aws_frames

Json = dict[str, Any]
INPUT, CACHED, WRITTEN, OUTPUT = 30, 8, 4, 14  # tokens of every answer; what is cached and written is part of the input
SIGNATURE = "c2lnbmVk"  # of all thinking, base64 of a word


class Line(NamedTuple):
    """A line of a script: `think`, `say`, `refuse`, `call` (id, name, arguments), `end` (the reason in OpenAI's word), `fail` or `cut`."""

    kind: str
    text: str = ""
    name: str = ""
    arguments: str = "{}"


Script = list[Line]


def sse(event: Json, name: str = "") -> bytes:
    """An event."""
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(event).encode() + b"\n\n"


def halves(text: str) -> list[str]:
    """A text in two pieces."""
    return [text[: len(text) // 2], text[len(text) // 2 :]]


# OpenAI, and Mistral


def chat_usage() -> Json:
    """Usage of chat completions."""
    details = {"cached_tokens": CACHED, "cache_write_tokens": WRITTEN}
    return {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT, "prompt_tokens_details": details}


def chat_call(line: Line) -> Json:
    """A call in a message."""
    return {"id": line.text, "type": "function", "function": {"name": line.name, "arguments": line.arguments}}


def openai_stream(script: Script) -> list[bytes]:
    """As OpenAI streams it."""
    deltas: list[tuple[Json, str | None]] = [({"role": "assistant", "content": ""}, None)]
    calls = 0
    for line in script:
        if line.kind in ("say", "think", "refuse"):
            name = {"say": "content", "think": "reasoning_content", "refuse": "refusal"}[line.kind]
            deltas += [({name: half}, None) for half in halves(line.text)]
        elif line.kind == "call":
            deltas.append(({"tool_calls": [{"index": calls, **chat_call(line)}]}, None))
            calls += 1
        elif line.kind == "end":
            deltas.append(({}, line.text))
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}) for delta, reason in deltas]
    if script[-1].kind == "fail":
        return [*events, sse({"error": {"message": "broke", "type": "server_error", "code": 500}})]
    return events if script[-1].kind == "cut" else [*events, sse({**head, "choices": [], "usage": chat_usage()}), b"data: [DONE]\n\n"]


def openai_document(script: Script) -> Json:
    """As OpenAI writes it."""
    said = {kind: "".join(line.text for line in script if line.kind == kind) for kind in ("say", "think", "refuse")}
    calls = [chat_call(line) for line in script if line.kind == "call"]
    message: Json = {"role": "assistant", "content": said["say"] or None, "refusal": said["refuse"] or None}
    message |= ({"tool_calls": calls} if calls else {}) | ({"reasoning_content": said["think"]} if said["think"] else {})
    choice = {"index": 0, "message": message, "finish_reason": script[-1].text}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": chat_usage()}


def mistral_thought(text: str, **more: str) -> Json:
    """Thinking as Mistral has it."""
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}


def mistral_stream(script: Script) -> list[bytes]:
    """As Mistral streams it: as OpenAI, but for thinking in parts, the last of which is signed."""
    parts = [part for line in script if line.kind == "think" for part in halves(line.text)]
    events: list[bytes] = []
    for event in openai_stream(script):
        tree = json.loads(event[6:]) if b"reasoning_content" in event else None
        if tree is not None:
            text = tree["choices"][0]["delta"].pop("reasoning_content")
            signed = {"signature": SIGNATURE} if text == parts[-1] else {}
            tree["choices"][0]["delta"]["content"] = [mistral_thought(text, **signed)]
        events.append(event if tree is None else sse(tree))
    return events


def mistral_document(script: Script) -> Json:
    """As Mistral writes it."""
    document = openai_document(script)
    message = document["choices"][0]["message"]
    thought = message.pop("reasoning_content", None)
    if thought:
        said = [{"type": "text", "text": message["content"]}] if message["content"] else []
        message["content"] = [mistral_thought(thought, signature=SIGNATURE), *said]
    return document


# Anthropic


def blocks_of(script: Script) -> list[Json]:
    """The content blocks of a message."""
    blocks: list[Json] = []
    for line in script:
        if line.kind == "think":
            blocks.append({"type": "thinking", "thinking": line.text, "signature": SIGNATURE})
        elif line.kind == "call":
            blocks.append({"type": "tool_use", "id": line.text, "name": line.name, "input": json.loads(line.arguments)})
        elif line.kind == "say":
            blocks.append({"type": "text", "text": line.text})
    return blocks


REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def anthropic_usage() -> Json:
    """Usage, where what is cached stands beside the input."""
    beside = {"cache_read_input_tokens": CACHED, "cache_creation_input_tokens": WRITTEN}
    return {"input_tokens": INPUT - CACHED - WRITTEN, "output_tokens": OUTPUT, **beside}


def anthropic_document(script: Script) -> Json:
    """As Anthropic writes it."""
    refusal = next((line.text for line in script if line.kind == "refuse"), None)
    details = {"stop_details": {"type": "refusal", "category": None, "explanation": refusal}} if refusal else {}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    reason = REASONS.get(script[-1].text)
    return {**head, "content": blocks_of(script), "stop_reason": reason, **details, "usage": anthropic_usage()}


def anthropic_stream(script: Script) -> list[bytes]:
    """As Anthropic streams it."""
    document = anthropic_document(script)
    events: list[Json] = [{"type": "message_start", "message": {**document, "content": [], "stop_reason": None}}]
    for index, block in enumerate(document["content"]):
        kind = block["type"]
        name, delta = {
            "text": ("text", "text_delta"),
            "thinking": ("thinking", "thinking_delta"),
            "tool_use": ("input", "input_json_delta"),
        }[kind]
        whole = json.dumps(block["input"]) if kind == "tool_use" else block[name]
        start = {**block, name: {} if kind == "tool_use" else ""} | ({"signature": ""} if kind == "thinking" else {})
        member = "partial_json" if kind == "tool_use" else name
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": {"type": delta, member: half}} for half in halves(whole)]
        if kind == "thinking":
            events.append({"type": "content_block_delta", "index": index, "delta": {"type": "signature_delta", "signature": SIGNATURE}})
        events.append({"type": "content_block_stop", "index": index})
    if script[-1].kind == "fail":
        events.append({"type": "error", "error": {"type": "api_error", "message": "broke"}})
    elif script[-1].kind == "end":
        ending = {name: document[name] for name in ("stop_reason", "stop_sequence", "stop_details") if name in document}
        events += [{"type": "message_delta", "delta": ending, "usage": document["usage"]}, {"type": "message_stop"}]
    return [sse(event, event["type"]) for event in events]


# Bedrock


def bedrock_usage() -> Json:
    """Usage."""
    beside = {"cacheReadInputTokens": CACHED, "cacheWriteInputTokens": WRITTEN}
    return {"inputTokens": INPUT - CACHED - WRITTEN, "outputTokens": OUTPUT, "totalTokens": INPUT + OUTPUT, **beside}


def bedrock_document(script: Script) -> Json:
    """As Bedrock writes it."""
    content: list[Json] = []
    for line in script:
        if line.kind == "think":
            content.append({"reasoningContent": {"reasoningText": {"text": line.text, "signature": SIGNATURE}}})
        elif line.kind == "call":
            content.append({"toolUse": {"toolUseId": line.text, "name": line.name, "input": json.loads(line.arguments)}})
        elif line.kind in ("say", "refuse"):
            content.append({"text": line.text})
    reason = {**REASONS, "content_filter": "content_filtered"}.get(script[-1].text)
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason,
        "usage": bedrock_usage(),
        "metrics": {"latencyMs": 1},
    }


def bedrock_stream(script: Script) -> list[bytes]:
    """As Bedrock streams it."""
    document = bedrock_document(script)
    events: list[tuple[str, Json]] = [("messageStart", {"role": "assistant"})]
    for index, block in enumerate(document["output"]["message"]["content"]):
        deltas: list[Json]
        if "toolUse" in block:
            use = block["toolUse"]
            start = {"toolUse": {name: use[name] for name in ("toolUseId", "name")}}
            events.append(("contentBlockStart", {"contentBlockIndex": index, "start": start}))
            deltas = [{"toolUse": {"input": half}} for half in halves(json.dumps(use["input"]))]
        elif "reasoningContent" in block:
            text = block["reasoningContent"]["reasoningText"]["text"]
            deltas = [{"reasoningContent": {"text": half}} for half in halves(text)] + [{"reasoningContent": {"signature": SIGNATURE}}]
        else:
            deltas = [{"text": half} for half in halves(block["text"])]
        events += [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
        events.append(("contentBlockStop", {"contentBlockIndex": index}))
    written = [aws_frames.event(name, payload) for name, payload in events]
    if script[-1].kind == "fail":
        return [*written, aws_frames.exception("modelStreamErrorException", {"message": "broke"})]
    if script[-1].kind == "cut":
        return written
    end = aws_frames.event("messageStop", {"stopReason": document["stopReason"]})
    return [*written, end, aws_frames.event("metadata", {"usage": document["usage"], "metrics": {"latencyMs": 1}})]
