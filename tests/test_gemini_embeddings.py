"""`embedContent` and `batchEmbedContents`: every vendor's vectors as Google's own client reads them, and a bill for the input alone."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from google.genai import Client, types

from aisa.config.schema import Prices
from aisa.errors import ApiError
from aisa.testing.clock import run_virtual
from aisa.wire.gemini_embeddings_door import GeminiEmbeddingsDoor
from rig import MemoryClient, Rig, Script, ScriptedUpstream
from server import Server

Json = dict[str, Any]
ONE, TWO = [0.5, -0.25], [1.0, 0.0]


def packed(numbers: list[float]) -> str:
    """Numbers as some vendors send them whatever was asked."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def openai_answer(*vectors: object) -> Json:
    """What OpenAI's API says, the last first."""
    data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    return {"object": "list", "data": data[::-1], "model": "m", "usage": {"prompt_tokens": 7, "total_tokens": 7}}


ANSWERS = {
    "openai": openai_answer(ONE, TWO),
    "openai in base64": openai_answer(packed(ONE), packed(TWO)),
    "mistral": {"id": "e", **openai_answer(ONE, TWO)},
    "gemini": {"embeddings": [{"values": ONE}, {"values": TWO}], "usageMetadata": {"promptTokenCount": 7}},
    "cohere": {"id": "e", "embeddings": {"float": [ONE, TWO]}, "meta": {"billed_units": {"input_tokens": 7}}},
}


def request(text: str, **more: object) -> Json:
    """One request, as Google's client writes it."""
    return {"content": {"parts": [{"text": text}], "role": "user"}, "model": "models/other", **more}


def called(asked: Json, vendor: str, answer: Json, *, batch: bool = True) -> tuple[Rig, Json, Json]:
    """Make one call; return the rig, what the client got and what the vendor was asked."""
    upstream = ScriptedUpstream(Script([json.dumps(answer).encode()], headers={}))
    rig = Rig(upstream, vendor={"dialect": vendor.partition(" ")[0]}, prices=Prices(input=1, output=2))
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=GeminiEmbeddingsDoor("fast", batch=batch)))
    assert client.status == 200, client.body
    return rig, json.loads(client.body), json.loads(upstream.requests[0].body)


@pytest.mark.parametrize("vendor", ANSWERS)
def test_every_vendors_vectors_come_in_the_order_of_the_batch_and_cost_their_input(vendor: str) -> None:
    """Whatever form the vendor has them in; nothing is billed as output."""
    rig, answer, _ = called({"requests": [request("a"), request("b")]}, vendor, ANSWERS[vendor])
    assert answer == {"embeddings": [{"values": ONE}, {"values": TWO}], "usageMetadata": {"promptTokenCount": 7}}
    row = rig.rows[-1]
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens, row.cost) == ("completed", 7, 0, 7_000)


def test_one_content_has_one_vector_of_all_its_parts() -> None:
    """`embedContent` embeds a content, whose parts belong together."""
    asked = {"content": {"parts": [{"text": "a"}, {"text": "b"}]}}
    _, answer, sent = called(asked, "openai", openai_answer(ONE), batch=False)
    assert answer["embedding"] == {"values": ONE}
    assert sent["input"] == ["ab"]


@pytest.mark.parametrize("written", [{"taskType": "SEMANTIC_SIMILARITY", "outputDimensionality": 2}, {"task_type": "SEMANTIC_SIMILARITY"}])
def test_what_a_vector_is_for_goes_to_who_knows_the_word(written: Json) -> None:
    """To Gemini in its own words, which nobody else has; never to OpenAI's API, which refuses members that it does not know."""
    answers = {"gemini": {"embeddings": [{"values": ONE}]}, "openai": openai_answer(ONE)}
    _, _, sent = called({"requests": [request("a", **written)]}, "gemini", answers["gemini"])
    assert sent["requests"][0]["taskType"] == "SEMANTIC_SIMILARITY"
    assert sent["requests"][0].get("outputDimensionality") == written.get("outputDimensionality")
    _, _, sent = called({"requests": [request("a", **written)]}, "openai", answers["openai"])
    assert "input_type" not in sent
    assert sent.get("dimensions") == written.get("outputDimensionality")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({}, "requests"),
        ({"requests": []}, "requests"),
        ({"requests": [request("a"), {"content": {"parts": []}}]}, "requests[1].content"),
        ({"requests": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "eA=="}}]}}]}, "requests[0].content"),
        ({"requests": [request("a"), request("b", outputDimensionality=2)]}, "requests"),
        ({"requests": [request("a")], "Requests": []}, "requests"),
        ({"requests": [request("a", OutputDimensionality=2)]}, "requests[0].outputDimensionality"),
        ({"requests": [request("a", taskType="x", task_type="y")]}, "requests.taskType"),
        ({"requests": 3}, "requests"),
        ({"requests": [request("a"), "b"]}, "requests[1]"),
        ({"requests": [{"content": "a"}]}, "requests[0].content"),
        ({"requests": [{"content": {"parts": [{"text": "a"}, "b"]}}]}, "requests[0].content.parts"),
        ({"requests": [request("a", embedContentConfig="x")]}, "requests[0].embedContentConfig"),
        ({"requests": [request("a", taskType=3)]}, "requests[0].taskType"),
        ({"requests": [request("a", outputDimensionality="x")]}, "requests[0].outputDimensionality"),
    ],
)
def test_what_cannot_be_embedded_says_which_of_the_batch_it_is(asked: Json, param: str) -> None:
    """Before anybody is asked. [fault S21] What was no request, or no part, was left out: the vectors were fewer, or of less."""
    with pytest.raises(ApiError) as refusal:
        GeminiEmbeddingsDoor("fast", batch=True).read(json.dumps(asked).encode())
    assert refusal.value.param == param


def test_googles_client_gets_the_embedded_models_vectors(server: Server) -> None:
    """By address and key alone, one and many."""
    client = Client(api_key=server.key, http_options=types.HttpOptions(base_url=server.url))
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["Reset my password", "Rain in Oslo"])
    assert answer.embeddings is not None
    first, second = [vector.values or [] for vector in answer.embeddings]
    assert len(first) == len(second) > 1
    assert first != second
    again = client.models.embed_content(model="gemini-embedding-001", contents="Reset my password")
    assert again.embeddings is not None
    assert again.embeddings[0].values == first


def test_a_length_that_no_vector_has_is_told_in_googles_word() -> None:
    """[fault P1] The client wrote `outputDimensionality`."""
    rig = Rig(ScriptedUpstream(Script([json.dumps(openai_answer(ONE)).encode()], headers={})))
    client = MemoryClient()
    asked = {"requests": [request("a", outputDimensionality=3)]}
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=GeminiEmbeddingsDoor("fast", batch=True)))
    assert (client.status, client.headers["x-aisa-dropped-params"]) == (200, "outputDimensionality")
