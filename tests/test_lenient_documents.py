"""Vectors and rankings in documents that strict JSON refuses and every client reads: they are answers, at every dialect that makes such."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.testing.clock import run_virtual
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.rerank_door import RERANK_DOOR
from rig import MemoryClient, Rig, Script, ScriptedUpstream

Json = dict[str, Any]
ASKED_VECTORS = json.dumps({"model": "fast", "input": ["a", "b"]}).encode()
ASKED_RANKING = json.dumps({"model": "fast", "query": "q", "documents": ["a", "b"]}).encode()
VECTORS = [[0.5, -0.25], [1.0, 0.0]]
LISTED = {"object": "list", "data": [{"index": place, "embedding": vector} for place, vector in enumerate(VECTORS)]}
RANKED = [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": 0.25}]
#: Door, request, dialect and what its vendor answers; all but the last report seven tokens.
SAID: dict[str, tuple[Door, bytes, str, Json]] = {
    "vectors of openai": (EMBEDDINGS_DOOR, ASKED_VECTORS, "openai", {**LISTED, "usage": {"prompt_tokens": 7}}),
    "vectors of mistral": (EMBEDDINGS_DOOR, ASKED_VECTORS, "mistral", {**LISTED, "usage": {"prompt_tokens": 7}}),
    "vectors of gemini": (
        EMBEDDINGS_DOOR,
        ASKED_VECTORS,
        "gemini",
        {"embeddings": [{"values": vector} for vector in VECTORS], "usageMetadata": {"promptTokenCount": 7}},
    ),
    "vectors of cohere": (
        EMBEDDINGS_DOOR,
        ASKED_VECTORS,
        "cohere",
        {"embeddings": {"float": VECTORS}, "meta": {"billed_units": {"input_tokens": 7}}},
    ),
    "a ranking of openai": (RERANK_DOOR, ASKED_RANKING, "openai", {"results": RANKED, "usage": {"total_tokens": 7}}),
    "a ranking of cohere": (RERANK_DOOR, ASKED_RANKING, "cohere", {"results": RANKED, "meta": {"billed_units": {"search_units": 1}}}),
}
ODD: dict[str, Callable[[bytes], bytes]] = {
    "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "NaN in a member that nobody asked for": lambda body: body[:-1] + b',"odd":NaN}',
    "an infinity there": lambda body: body[:-1] + b',"odd":[-Infinity]}',
    "a number beyond any float there": lambda body: body[:-1] + b',"odd":1e400}',
    "half a character there": lambda body: body[:-1] + b',"odd":"\\ud83d"}',
    "an array around it": lambda body: b"[" + body + b"]",
}


def answered(door: Door, asked: bytes, dialect: str, body: bytes) -> tuple[MemoryClient, Rig]:
    """Make one call."""
    rig = Rig(ScriptedUpstream(Script([body], headers={})), vendor={"dialect": dialect}, prices=Prices(input=1, output=2, per_search=0.002))
    client = MemoryClient()
    run_virtual(rig.call(client, asked, door=door))
    return client, rig


def without_what_is_odd(client: MemoryClient) -> Json:
    """The answer that a client has, in strict JSON."""
    told: Json = json.loads(client.body, parse_constant=pytest.fail)
    return {name: value for name, value in told.items() if name != "odd"}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("said", SAID)
def test_a_document_that_every_client_reads_is_an_answer_and_costs_what_it_reports(said: str, odd: str) -> None:
    """[fault W4] Such a document was a 502 at these doors, after its vendor had made and charged for it."""
    door, asked, dialect, answer = SAID[said]
    body = json.dumps(answer).encode()
    usual, usual_rig = answered(door, asked, dialect, body)
    client, rig = answered(door, asked, dialect, ODD[odd](body))
    assert (client.status, without_what_is_odd(client)) == (200, without_what_is_odd(usual))
    assert (rig.rows[-1].billed, rig.rows[-1].cost) == (usual_rig.rows[-1].billed, usual_rig.rows[-1].cost)
    assert rig.rows[-1].cost


@pytest.mark.parametrize("said", SAID)
def test_a_refusal_in_such_a_document_is_blamed_by_its_words(said: str) -> None:
    """[fault B5] An array around it hid that our key is at fault; a mark before it, too."""
    door, asked, dialect, _ = SAID[said]
    refusal = json.dumps({"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}).encode()
    for body in (refusal, b"[" + refusal + b"]", b"\xef\xbb\xbf" + refusal):
        client, rig = answered(door, asked, dialect, body)
        assert (client.status, rig.rows[-1].error_code, rig.rows[-1].cost) == (502, "upstream_unavailable", 0)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1e999", "1E+400"])
def test_a_vector_or_a_score_that_is_no_number_is_no_answer_all_the_same(value: str) -> None:
    """Whoever searches by it would find anything."""
    for door, asked, body in (
        (EMBEDDINGS_DOOR, ASKED_VECTORS, json.dumps(LISTED).replace("-0.25", value)),
        (RERANK_DOOR, ASKED_RANKING, json.dumps({"results": RANKED}).replace("0.25", value)),
    ):
        assert answered(door, asked, "openai", body.encode())[0].status == 502


@pytest.mark.parametrize("write", [str, float, lambda _: None], ids=["text", "decimals", "null"])
def test_where_a_vector_belongs_is_read_however_it_is_written_and_told_as_clients_read_it(write: Callable[[int], object]) -> None:
    """A place that is no integer was a 502; an item without its place or its kind reached clients that look for them."""
    listed = [{"index": write(place), "embedding": vector} for place, vector in enumerate(VECTORS)]
    for data in (listed, [{"embedding": vector} for vector in VECTORS], listed if write(1) is None else listed[::-1]):
        client, _ = answered(EMBEDDINGS_DOOR, ASKED_VECTORS, "openai", json.dumps({"data": data}).encode())
        told = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(VECTORS)]
        assert (client.status, json.loads(client.body)["data"]) == (200, told)


@pytest.mark.parametrize("write", [str, float], ids=["text", "decimals"])
def test_a_ranking_is_read_however_its_numbers_are_written(write: Callable[[float], object]) -> None:
    """Its places and its scores, and they leave as numbers."""
    ranked = [{name: write(number) for name, number in result.items()} for result in RANKED]
    client, _ = answered(RERANK_DOOR, ASKED_RANKING, "openai", json.dumps({"results": ranked}).encode())
    assert (client.status, json.loads(client.body)["results"]) == (200, RANKED)
