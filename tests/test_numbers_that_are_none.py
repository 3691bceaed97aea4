"""Numbers that no JSON parser of ours holds, wherever a vendor puts one: it is answered in strict JSON or told as the vendor's fault."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from aisa.answer import Piece
from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.rerank_door import RERANK_DOOR
from door_mutations import CORPUS, asked_whole, called
from door_readers import SPEAKERS, Json
from repeats import some
from rig import Script, ScriptedUpstream, body, document, whole_stream

NUMBER = re.compile(rb"(?<=[:\[,]) ?-?\d+(?:\.\d+)?(?=[,}\]])")
OBJECT = re.compile(rb'\{(?=")')
#: The first two pass a parser that skips them, which is how a chunk is read that is like all others.
VALUES = (b"1e400", b"-1e400", b"NaN")
EMBEDDED = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}], "usage": {"prompt_tokens": 3}}
RANKED = {"results": [{"index": 0, "relevance_score": 0.5}, {"index": 1, "relevance_score": 0.1}], "usage": {"total_tokens": 3}}
COMPLETED = {
    "id": "c",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}],
}
OWN = {"anthropic": "messages", "responses": "responses", "gemini": "gemini", "cohere": "chat", "mistral": "chat"}
ASKED: dict[str, tuple[Door, Json]] = {
    "embeddings": (EMBEDDINGS_DOOR, {"model": "fast", "input": "Hi."}),
    "rerank": (RERANK_DOOR, {"model": "fast", "query": "q", "documents": ["a", "b"]}),
}


class Told(NamedTuple):
    """What a vendor says, at which door."""

    dialect: str
    door: str
    stream: bool
    body: bytes


def cases() -> Iterator[Any]:
    """Every door before OpenAI's dialect, and each other dialect's own."""
    for door in SPEAKERS:
        yield pytest.param(Told("openai", door, True, b"".join(whole_stream("a", "b", "c"))), id=f"openai-{door}-stream")
        if door != "gemini":  # where the door itself says which it is
            yield pytest.param(Told("openai", door, False, document()), id=f"openai-{door}-document")
    for door, answer in (("embeddings", EMBEDDED), ("rerank", RANKED), ("completions", COMPLETED)):
        yield pytest.param(Told("openai", door, False, json.dumps(answer).encode()), id=f"openai-{door}-own")
    for dialect, door in (
        ("anthropic", "messages"),
        ("responses", "responses"),
        ("gemini", "gemini"),
        ("cohere", "chat"),
        ("mistral", "chat"),
    ):
        told = (CORPUS / dialect / "text" / "upstream.sse").read_bytes()
        yield pytest.param(Told(dialect, door, True, told), id=f"{dialect}-{door}")


def changed(told: bytes) -> Iterator[bytes]:
    """It with one number that is none: in place of another, or under a name that nobody reads."""
    for value in VALUES:
        for found in some(list(NUMBER.finditer(told))):
            yield told[: found.start()] + value + told[found.end() :]
        for found in some(list(OBJECT.finditer(told))):
            yield told[: found.end()] + b'"zz":' + value + b"," + told[found.end() :]


def no_number(word: str) -> None:
    """Refuse NaN and Infinity."""
    raise AssertionError(word)


@pytest.mark.parametrize("told", list(cases()))
def test_a_number_that_is_none_is_no_bug_and_does_not_leave(told: Told) -> None:
    """[fault W4] At every place of the answer. The reading of what is like all others skips members, and then all of it was read."""
    for answer in changed(told.body):
        vendor = ScriptedUpstream(*[Script([answer])] * 2)
        door, asked = ASKED.get(told.door) or (SPEAKERS[told.door].door, SPEAKERS[told.door].ask("text"))
        client, _ = called(vendor, told.dialect, asked if told.stream else asked_whole(asked), door=door)
        assert client.status in (200, 502), answer
        for line in client.body.decode().split("\n"):
            data = line.removeprefix("data: ")
            if data.startswith("{"):
                json.loads(data, parse_constant=no_number)


@pytest.mark.parametrize("value", VALUES[:2])
def test_a_document_that_is_put_together_of_a_stream_bears_them_too(value: bytes) -> None:
    """[fault W4] Where the vendor is asked for a stream although the client is not."""
    for found in NUMBER.finditer(told := b"".join(whole_stream("a", "b"))):
        decoder = openai.decoder(parse_chat(body()), Target("acme", "some-model", openai.NAME, assemble=True), call_id="1", created=1)
        decoder.feed(told[: found.start()] + value + told[found.end() :])
        decoder.end()
        assert decoder.done
        [piece] = decoder.closing("0.25")
        assert isinstance(piece, Piece)
        assert json.loads(piece.data)["choices"][0]["message"]["content"] == "ab"
