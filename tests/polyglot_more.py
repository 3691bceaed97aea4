"""The rest of `polyglot_words.py`: Gemini, Cohere and the Responses API. Not a test."""

from __future__ import annotations

import json

from polyglot_words import CACHED, INPUT, OUTPUT, SIGNATURE, WRITTEN, Json, Line, Script, halves, sse

# Gemini


def gemini_part(line: Line) -> Json | None:
    """A part of a candidate."""
    if line.kind == "think":
        return {"text": line.text, "thought": True}
    if line.kind == "call":
        call = {"id": line.text, "name": line.name, "args": json.loads(line.arguments)}
        return {"functionCall": call, "thoughtSignature": SIGNATURE}
    return {"text": line.text} if line.kind in ("say", "refuse") else None


def gemini_document(script: Script) -> Json:
    """As Google writes it."""
    parts = [part for line in script if (part := gemini_part(line)) is not None]
    return gemini_event(parts, script[-1])


def gemini_event(parts: list[Json], end: Line | None) -> Json:
    """An event with these parts, and the finish and the usage if the answer ends with it."""
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    counts = {
        "promptTokenCount": INPUT,
        "candidatesTokenCount": OUTPUT,
        "totalTokenCount": INPUT + OUTPUT,
        "cachedContentTokenCount": CACHED,
    }
    ending: Json = {}
    if end is not None:
        candidate["finishReason"] = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}.get(end.text, "STOP")
        ending = {"usageMetadata": counts}
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r1", **ending}


def gemini_stream(script: Script) -> list[bytes]:
    """As Google streams it."""
    parts = [part for line in script if (part := gemini_part(line)) is not None]
    events = [gemini_event([part], None) for part in parts]
    if script[-1].kind == "fail":
        events.append({"error": {"code": 503, "message": "broke", "status": "UNAVAILABLE"}})
    elif script[-1].kind == "end":
        events.append(gemini_event([{"text": ""}], script[-1]))
    return [sse(event) for event in events]


# Cohere

COHERE = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL", "content_filter": "COMPLETE"}


def cohere_usage() -> Json:
    """Usage."""
    return {
        "tokens": {"input_tokens": INPUT, "output_tokens": OUTPUT},
        "billed_units": {"input_tokens": INPUT, "output_tokens": OUTPUT},
        "cached_tokens": CACHED,
    }


def cohere_call(line: Line) -> Json:
    """A call."""
    return {"id": line.text, "type": "function", "function": {"name": line.name, "arguments": line.arguments}}


def cohere_document(script: Script) -> Json:
    """As Cohere writes it."""
    kinds = {"think": "thinking", "say": "text", "refuse": "text"}
    content = [{"type": kinds[line.kind], kinds[line.kind]: line.text} for line in script if line.kind in kinds]
    calls = [cohere_call(line) for line in script if line.kind == "call"]
    message = {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})}
    return {"id": "c1", "message": message, "finish_reason": COHERE.get(script[-1].text, "COMPLETE"), "usage": cohere_usage()}


def cohere_stream(script: Script) -> list[bytes]:
    """As Cohere streams it."""
    events: list[Json] = [{"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}}]
    for index, line in enumerate(script):
        if line.kind == "call":
            whole = cohere_call(line)
            events.append(
                {
                    "type": "tool-call-start",
                    "index": index,
                    "delta": {"message": {"tool_calls": {**whole, "function": {**whole["function"], "arguments": ""}}}},
                }
            )
            events += [
                {"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": {"function": {"arguments": half}}}}}
                for half in halves(line.arguments)
            ]
            events.append({"type": "tool-call-end", "index": index})
        elif line.kind in ("say", "think", "refuse"):
            kind = "thinking" if line.kind == "think" else "text"
            events.append({"type": "content-start", "index": index, "delta": {"message": {"content": {"type": kind, kind: ""}}}})
            events += [
                {"type": "content-delta", "index": index, "delta": {"message": {"content": {kind: half}}}} for half in halves(line.text)
            ]
            events.append({"type": "content-end", "index": index})
        elif line.kind == "fail":
            events.append({"type": "message-end", "delta": {"error": "broke", "finish_reason": "ERROR"}})
        elif line.kind == "end":
            events.append({"type": "message-end", "delta": {"finish_reason": COHERE[line.text], "usage": cohere_usage()}})
    return [sse(event, event["type"]) for event in events]


# Responses


def items_of(script: Script) -> list[Json]:
    """The output items."""
    items: list[Json] = []
    for number, line in enumerate(script):
        if line.kind == "think":
            summary = [{"type": "summary_text", "text": line.text}]
            items.append({"id": f"rs_{number}", "type": "reasoning", "summary": summary, "encrypted_content": SIGNATURE})
        elif line.kind == "call":
            items.append(
                {
                    "id": f"fc_{number}",
                    "type": "function_call",
                    "call_id": line.text,
                    "name": line.name,
                    "arguments": line.arguments,
                    "status": "completed",
                }
            )
        elif line.kind in ("say", "refuse"):
            part = (
                {"type": "output_text", "text": line.text, "annotations": [], "logprobs": []}
                if line.kind == "say"
                else {"type": "refusal", "refusal": line.text}
            )
            message = {"role": "assistant", "status": "completed", "content": [part]}
            items.append({"id": f"msg_{number}", "type": "message", **message})
    return items


def responses_document(script: Script) -> Json:
    """As OpenAI writes it in its Responses API."""
    reason = script[-1].text
    incomplete = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reason)
    counts = {
        "input_tokens": INPUT,
        "output_tokens": OUTPUT,
        "total_tokens": INPUT + OUTPUT,
        "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": WRITTEN},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    details = {"reason": incomplete} if incomplete else None
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "error": None, "incomplete_details": details}
    head |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {**head, "status": "incomplete" if incomplete else "completed", "output": items_of(script), "usage": counts}


def responses_stream(script: Script) -> list[bytes]:
    """As OpenAI streams it in its Responses API."""
    document = responses_document(script)
    opening = {**document, "output": [], "status": "in_progress", "usage": None, "incomplete_details": None}
    events: list[Json] = [{"type": "response.created", "response": opening}]
    for place, item in enumerate(document["output"]):
        where = {"item_id": item["id"], "output_index": place}
        if item["type"] == "message":
            part = item["content"][0]
            name = "text" if part["type"] == "output_text" else "refusal"
            kind = "response.output_text.delta" if name == "text" else "response.refusal.delta"
            events.append({"type": "response.output_item.added", "output_index": place, "item": {**item, "content": []}})
            events.append({"type": "response.content_part.added", **where, "content_index": 0, "part": {**part, name: ""}})
            events += [{"type": kind, **where, "content_index": 0, "delta": half} for half in halves(part[name])]
            events.append({"type": "response.content_part.done", **where, "content_index": 0, "part": part})
        elif item["type"] == "reasoning":
            events.append({"type": "response.output_item.added", "output_index": place, "item": {**item, "summary": []}})
            events += [
                {"type": "response.reasoning_summary_text.delta", **where, "summary_index": 0, "delta": half}
                for half in halves(item["summary"][0]["text"])
            ]
        else:
            events.append({"type": "response.output_item.added", "output_index": place, "item": {**item, "arguments": ""}})
            events += [{"type": "response.function_call_arguments.delta", **where, "delta": half} for half in halves(item["arguments"])]
        events.append({"type": "response.output_item.done", "output_index": place, "item": item})
    if script[-1].kind == "fail":
        error = {"code": "server_error", "message": "broke"}
        events.append({"type": "response.failed", "response": {**opening, "status": "failed", "error": error}})
    elif script[-1].kind == "end":
        events.append({"type": f"response.{document['status']}", "response": document})
    return [sse({**event, "sequence_number": number}, event["type"]) for number, event in enumerate(events)]
