"""Checks of the doors beside chat: Responses, Messages, Gemini, completions, embeddings, rankings. What is not there is skipped."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Mapping
from typing import Any, cast

from aisa.checks.chat_stream import first_of
from aisa.checks.client import Response
from aisa.checks.events import DONE, events_of, text_of
from aisa.checks.members import at, objects
from aisa.checks.subject import ABSENT, NO_HEADERS, Broken, Skipped, Subject, good, short, value_of

Json = dict[str, Any]
RESPONSES, MESSAGES, COMPLETIONS = "/v1/responses", "/v1/messages", "/v1/completions"
VERSION = {"anthropic-version": "2023-06-01"}


def gemini(subject: Subject) -> str:
    """Return the path of Gemini's stream."""
    return f"/v1beta/models/{subject.model}:streamGenerateContent?alt=sse"


async def asked(subject: Subject, door: str, body: Json, *, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Return an answer of a door, asked once. Raises Skipped where it is not there."""
    response = await subject.once(f"{door} {body}", lambda: subject.request(body, path=door, headers=headers))
    if response.status in ABSENT:
        raise Skipped(f"there is no {door.partition('?')[0]}")
    return response


async def responses(subject: Subject, scenario: str = "hello") -> Response:
    """Return a stream of the Responses API."""
    return await asked(subject, RESPONSES, {"model": subject.model, "input": subject.prompt(scenario, ""), "stream": True})


async def messages(subject: Subject, scenario: str = "hello") -> Response:
    """Return a stream of the Messages API."""
    said = [{"role": "user", "content": subject.prompt(scenario, "")}]
    return await asked(subject, MESSAGES, {"model": subject.model, "max_tokens": 99, "messages": said, "stream": True}, headers=VERSION)


async def contents(subject: Subject, scenario: str = "hello") -> Response:
    """Return a stream of Gemini's API."""
    return await asked(subject, gemini(subject), {"contents": [{"role": "user", "parts": [{"text": subject.prompt(scenario, "")}]}]})


async def says_the_same(subject: Subject, pieces: Iterable[object]) -> str:
    """Hold a door's text against that of the chat, if the vendor is played: another model may say something else. Raises Broken."""
    said = "".join([piece for piece in pieces if isinstance(piece, str)])
    chat = await subject.streamed()
    wanted = text_of(chat) if subject.vendor is not None and chat.status == 200 else said
    return first_of([f"the text is {said[:40]!r} of {wanted[:40]!r}"] if not said or said != wanted else [])


def kinds(response: Response) -> list[str]:
    """Return the types in a stream's events, in order."""
    return [str(event.value.get("type")) for event in events_of(good(response)) if event.value is not None]


async def responses_order(subject: Subject) -> str:
    """A response is created first and completed last."""
    told = kinds(await responses(subject))
    return first_of([f"from {told[:1]} to {told[-1:]}"] if told[:1] != ["response.created"] or told[-1:] != ["response.completed"] else [])


async def responses_numbered(subject: Subject) -> str:
    """Its events have their type as name, and numbers without gaps."""
    events = [event for event in events_of(good(await responses(subject))) if event.value is not None]
    names = [event.name for event in events if event.value and event.name != event.value.get("type")]
    numbers = [event.value.get("sequence_number") for event in events if event.value]
    broken = [f"an event is named {name!r}" for name in names]
    return first_of([*broken, *([f"numbers are {numbers[:5]}"] if numbers != list(range(len(numbers))) else [])])


async def responses_text(subject: Subject) -> str:
    """The last event repeats the text that was streamed."""
    events = [event.value for event in events_of(good(await responses(subject))) if event.value is not None]
    streamed = "".join(event.get("delta", "") for event in events if event.get("type") == "response.output_text.delta")
    items = objects(at(events, -1, "response", "output"))
    parts = [part for item in items for part in objects(item.get("content")) if part.get("type") == "output_text"]
    whole = "".join(str(part.get("text", "")) for part in parts)
    return first_of([f"{whole[:40]!r} of {streamed[:40]!r}"] if not streamed or whole != streamed else [])


async def responses_failure(subject: Subject) -> str:
    """A failure inside it is `response.failed`, and nothing is completed."""
    told = kinds(await responses(subject, "error-mid-stream"))
    return first_of([f"it ends with {told[-1:]}"] if "response.failed" not in told or "response.completed" in told else [])


async def messages_order(subject: Subject) -> str:
    """A message starts, says what the model said, and stops."""
    response = await messages(subject)
    told = [kind for kind in kinds(response) if kind != "ping"]
    if (told[:1], told[-2:]) != (["message_start"], ["message_delta", "message_stop"]):
        raise Broken(f"from {told[:1]} to {told[-2:]}")
    return await says_the_same(subject, [at(event.value, "delta", "text") for event in events_of(response)])


async def messages_blocks(subject: Subject) -> str:
    """Blocks are numbered from 0 without gaps, and each is stopped."""
    events = [event.value for event in events_of(good(await messages(subject))) if event.value is not None]
    begun = [event.get("index", -1) for event in events if event.get("type") == "content_block_start"]
    ended = [event.get("index", -1) for event in events if event.get("type") == "content_block_stop"]
    return first_of([f"begun {begun}, ended {ended}"] if begun != list(range(len(begun))) or sorted(ended) != begun or not begun else [])


async def messages_named(subject: Subject) -> str:
    """Its events have their type as name."""
    events = [event for event in events_of(good(await messages(subject))) if event.value is not None]
    return first_of(f"an event is named {event.name!r}" for event in events if event.value and event.name != event.value.get("type"))


async def messages_failure(subject: Subject) -> str:
    """A failure inside it is `event: error`, and nothing is stopped."""
    told = kinds(await messages(subject, "error-mid-stream"))
    return first_of([f"it ends with {told[-1:]}"] if "error" not in told or "message_stop" in told else [])


async def messages_key(subject: Subject) -> str:
    """The key may come in x-api-key."""
    if subject.key is None:
        raise Skipped("it was given no key")
    body = {"model": subject.model, "max_tokens": 9, "messages": [{"role": "user", "content": subject.prompt("hello", "")}]}
    response = await subject.ask(subject.request(body, path=MESSAGES, headers={**VERSION, "x-api-key": subject.key}, key=None))
    good(response, MESSAGES)
    return ""


async def messages_refusal(subject: Subject) -> str:
    """A refusal has Anthropic's shape."""
    response = await asked(subject, MESSAGES, {"model": subject.model}, headers=VERSION)
    value = value_of(response)
    whole = value.get("type") == "error" and isinstance(value.get("error"), dict) and bool(value["error"].get("type"))
    return first_of([f"status {response.status}: {short(response.body)}"] if response.status not in (400, 422) or not whole else [])


async def messages_counted(subject: Subject) -> str:
    """Its input can be counted."""
    body = {"model": subject.model, "messages": [{"role": "user", "content": "Hi."}]}
    value = value_of(good(await asked(subject, f"{MESSAGES}/count_tokens", body, headers=VERSION)))
    return first_of([f"input_tokens is {value.get('input_tokens')!r}"] if not isinstance(value.get("input_tokens"), int) else [])


async def gemini_lines(subject: Subject) -> str:
    """Nothing but `data: {json}`: no name, no comment, no `[DONE]`."""
    events = events_of(good(await contents(subject)))
    bad = [event for event in events if event.name or event.comment or event.value is None]
    return first_of(f"an event is {(event.name or event.comment or event.data)[:60]!r}" for event in bad)


async def gemini_finish(subject: Subject) -> str:
    """The candidate says what the model said, and last why it finished."""
    values = [event.value for event in events_of(good(await contents(subject))) if event.value is not None]
    reasons = [candidate.get("finishReason") for value in values for candidate in value.get("candidates") or ()]
    if not any(reasons):
        raise Broken(f"finishReason is {reasons[-1:]}")
    parts = [part for value in values for part in objects(at(value, "candidates", 0, "content", "parts"))]
    return await says_the_same(subject, [part.get("text") for part in parts if not part.get("thought")])


async def gemini_key(subject: Subject) -> str:
    """The key may come in x-goog-api-key."""
    if subject.key is None:
        raise Skipped("it was given no key")
    body = {"contents": [{"role": "user", "parts": [{"text": subject.prompt("hello", "")}]}]}
    good(await subject.ask(subject.request(body, path=gemini(subject), headers={"x-goog-api-key": subject.key}, key=None)), "Gemini door")
    return ""


async def gemini_failure(subject: Subject) -> str:
    """A failure inside it is an event whose first member is `error`."""
    values = [event.value for event in events_of(good(await contents(subject, "error-mid-stream"))) if event.value is not None]
    told = [value for value in values if "error" in value]
    return first_of(["there is none"] if not told else [] if next(iter(told[0])) == "error" else ["`error` is not its first member"])


async def completion(subject: Subject) -> str:
    """Text completions stream as such, with a finish and `[DONE]`."""
    body = {"model": subject.model, "prompt": subject.prompt("hello", ""), "stream": True, "max_tokens": 99}
    events = events_of(good(await asked(subject, COMPLETIONS, body)))
    values = [event.value for event in events if event.value is not None]
    named = {value.get("object") for value in values}
    reasons = [choice.get("finish_reason") for value in values for choice in value.get("choices") or ()]
    broken = [f"`object` is {named}"] if named != {"text_completion"} else []
    broken += [] if any(reasons) else ["no finish reason"]
    first_of([*broken, *([] if events and events[-1].data == DONE else ["no [DONE]"])])
    return await says_the_same(subject, [at(value, "choices", 0, "text") for value in values])


async def embedded(subject: Subject, **fields: object) -> list[Json]:
    """Return the embeddings of two texts. Raises Skipped where the model makes none."""
    body = {"model": subject.model, "input": ["one", "two"], **fields}
    response = await asked(subject, "/v1/embeddings", body)
    if response.status != 200 and subject.vendor is None:
        raise Skipped(f"the model makes none: status {response.status}")
    data = objects(value_of(good(response)).get("data"))
    if len(data) != 2:
        raise Broken(f"`data` is {short(response.body)}")
    return data


async def embeddings_packed(subject: Subject) -> str:
    """Embeddings come as base64 where that is asked for: what clients do by default."""
    packed = (await embedded(subject, encoding_format="base64"))[0].get("embedding")
    try:
        size = len(base64.b64decode(packed, validate=True)) if isinstance(packed, str) else -1
    except binascii.Error:
        size = -1
    return first_of([f"an embedding is {str(packed)[:60]}"] if size <= 0 or size % 4 else [])


async def embeddings_equal(subject: Subject) -> str:
    """They are the same numbers in both formats, in the order of the input."""
    plain = await embedded(subject, encoding_format="float")
    packed = await embedded(subject, encoding_format="base64")
    if [row.get("index") for row in plain] != [0, 1]:
        raise Broken(f"indexes are {[row.get('index') for row in plain]}")
    numbers, text = plain[1].get("embedding"), packed[1].get("embedding")
    if not isinstance(text, str) or not isinstance(numbers, list):
        raise Skipped("they are the same format")
    floats = cast("list[float]", numbers)
    data = base64.b64decode(text)
    read = struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4])
    far = len(read) != len(floats) or any(abs(a - b) > 1e-5 for a, b in zip(read, floats, strict=False))
    return first_of(["they are not"] if far else [])


async def ranked(subject: Subject) -> str:
    """Documents are ranked best first, by their places in the request."""
    body = {"model": subject.model, "query": "capital of Norway", "documents": ["a cat", "Bergen", "Oslo is the capital"]}
    response = await asked(subject, "/v1/rerank", body)
    if response.status != 200 and subject.vendor is None:
        raise Skipped(f"the model ranks nothing: status {response.status}")
    rows = objects(value_of(good(response)).get("results"))
    scores, places = [at(row, "relevance_score") for row in rows], [at(row, "index") for row in rows]
    return first_of([f"places {places}, scores {scores}"] if scores != sorted(scores, reverse=True) or sorted(places) != [0, 1, 2] else [])
