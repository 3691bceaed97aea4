"""What clients read of a Responses stream: OpenAI's own client, Codex, and the promises of the protocol. Not a test."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from openai import OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

Json = dict[str, Any]
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
LIFE = ("response.created", "response.in_progress", "response.completed", "response.incomplete", "response.failed")
ENDS = LIFE[2:]


def events_in(data: bytes) -> list[Json]:
    """The events of a stream, each of which must have its type as its name."""
    events: list[Json] = []
    for block in data.decode().split("\n\n")[:-1]:
        if block.startswith(":"):
            continue
        name, line = block.split("\n")
        events.append(json.loads(line.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def client_for(data: bytes, content_type: str = "text/event-stream") -> OpenAI:
    """OpenAI's client in front of an answer."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": content_type}, content=data)

    return OpenAI(base_url="http://gateway.example/v1", api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


def streamed(data: bytes, **asked: Any) -> Response:
    """The final response as `responses.stream()` puts it together. Raises what it raises."""
    with client_for(data).responses.stream(model="m", input="Hi.", **asked) as stream:
        return stream.get_final_response()


def codex_turn(data: bytes) -> tuple[list[Json], Json]:
    """What Codex acts on: the items that are done, and the event that ends the turn. It reads no deltas and no output of that event."""
    events = events_in(data)
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    [end] = [event for event in events if event["type"] in ENDS]
    assert end is events[-1]
    assert end["response"]["id"]
    if end["type"] == "response.completed":
        assert {"input_tokens", "output_tokens", "total_tokens"} <= end["response"]["usage"].keys()
    return items, end


def faults_in(data: bytes) -> list[str]:
    """What breaks a promise of the protocol in a stream that is complete. Types are OpenAI's."""
    events = events_in(data)
    found = [f"number {event['sequence_number']} at {place}" for place, event in enumerate(events) if event["sequence_number"] != place]
    for event in events:
        EVENT.validate_python(event)
    if events[0]["type"] != "response.created":
        found.append("no opening")
    if len({event["response"]["id"] for event in events if event["type"] in LIFE}) != 1:
        found.append("not one id")
    items: dict[int, Json] = {}
    for event in events:
        found += of_item(event, items)
    end = events[-1]
    if [event["type"] for event in events if event["type"] in ENDS] != [end["type"]]:
        found.append("not one end")
    if any("ended" not in item for item in items.values()):
        found.append("an item without its end")
    if [item.get("ended") for _, item in sorted(items.items())] != end["response"]["output"]:
        found.append("the end says something else")
    Response.model_validate(end["response"])
    return found


def of_item(event: Json, items: dict[int, Json]) -> list[str]:
    """What is wrong with an event of an item, whose state is kept in `items`."""
    kind, index = event["type"], event.get("output_index")
    if kind == "response.output_item.added":
        known = index in items
        items[event["output_index"]] = {"id": event["item"]["id"], "parts": {}}
        return [f"item {index} begins twice"] if known else []
    if index is None:
        return []
    item = items.get(index)
    if item is None or "ended" in item:
        return [f"{kind} outside of its item"]
    given = event["item"]["id"] if kind == "response.output_item.done" else event.get("item_id", item["id"])  # of commands it is not told
    faults = [] if given == item["id"] else [f"{kind} of {given} in {item['id']}"]
    if kind == "response.output_item.done":
        item["ended"] = event["item"]
    elif kind.endswith("part.added"):
        item["parts"][event.get("content_index", event.get("summary_index"))] = ""
    elif kind.endswith(".delta"):
        part = event.get("content_index", event.get("summary_index"))
        if part is not None and part not in item["parts"]:
            faults.append(f"{kind} before its part")
        item["parts"][part] = item["parts"].get(part, "") + event["delta"]
    elif kind.endswith((".text.done", "text.done", "refusal.done", "arguments.done", "input.done")):
        part = event.get("content_index", event.get("summary_index"))
        whole = next(event[name] for name in ("text", "refusal", "arguments", "input") if name in event)
        if whole != item["parts"].get(part, ""):
            faults.append(f"{kind} says something else than its deltas")
    return faults
