"""`POST /v1/rerank`: documents ranked by a query as Cohere's own client and Jina's form have it, billed by searches or tokens."""

from __future__ import annotations

import json
from typing import Any

import cohere
import httpx
import httpx2
import pytest
from cohere.core.api_error import ApiError as CohereError

from aisa.config.schema import Prices
from aisa.errors import ApiError
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from aisa.usage import ESTIMATED, REPORTED
from aisa.wire.rerank import RerankRequest
from aisa.wire.rerank_door import RERANK_DOOR
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream
from server import Server

Json = dict[str, Any]
PRICE = Prices(input=1, output=2, per_search=0.002)
DOCUMENTS = ["Rain in Oslo", "How to reset a password", "Passwords and how to choose one"]


def asked(documents: object = ("a", "b"), **members: object) -> bytes:
    """A request."""
    return json.dumps({"model": "fast", "query": "q", "documents": documents, **members}).encode()


def answer(*scores: float, usage: Json | None = None, **members: object) -> Json:
    """What a vendor says, with the scores of the documents in their order."""
    results = [{"index": place, "relevance_score": score} for place, score in enumerate(scores)]
    return {"model": "some-model", "results": results, "usage": {"total_tokens": 9} if usage is None else usage, **members}


def script(given: object, status: int = 200) -> Script:
    """A vendor that says it."""
    return Script([given if isinstance(given, bytes) else json.dumps(given).encode()], status=status, headers={})


def called(body: bytes, *scripts: Script, dialect: str = "openai", **more: Any) -> tuple[Rig, MemoryClient, CallRow | None]:
    """Make one call."""
    rig = Rig(*map(ScriptedUpstream, scripts), vendor={"dialect": dialect}, **{"prices": PRICE, **more})
    client = MemoryClient()
    run_virtual(rig.call(client, body, door=RERANK_DOOR))
    return rig, client, rig.rows[-1] if rig.rows else None


def sent(rig: Rig) -> tuple[str, Json]:
    """What the first vendor was asked."""
    upstream = rig.dependencies.upstreams["a"]
    assert isinstance(upstream, ScriptedUpstream)
    return upstream.requests[0].path, json.loads(upstream.requests[0].body)


def told(client: MemoryClient) -> Json:
    """The answer that a client has."""
    body: Json = json.loads(client.body)
    return body


def test_coheres_own_client_ranks_by_address_and_key_alone(server: Server) -> None:
    """With the embedded model, whose vectors put what shares words first; a bad key is told as such."""
    with httpx.Client(trust_env=False) as http:
        client = cohere.ClientV2(api_key=server.key, base_url=server.url, httpx_client=http)
        ranking = client.rerank(model="rerank-v3.5", query="reset my password", documents=DOCUMENTS, top_n=2)
        with pytest.raises(CohereError) as refused:
            cohere.ClientV2(api_key="sk-aisa-bad", base_url=server.url, httpx_client=http).rerank(model="r", query="q", documents=["d"])
    assert [result.index for result in ranking.results] == [1, 2]
    assert 1 >= ranking.results[0].relevance_score > ranking.results[1].relevance_score >= 0
    assert refused.value.status_code == 401


def test_jinas_form_is_answered_at_its_address(server: Server) -> None:
    """With documents in the results where they are asked for, and usage."""
    body = {"model": "jina-reranker", "query": "password", "documents": [{"text": text} for text in DOCUMENTS], "return_documents": True}
    response = httpx2.post(f"{server.api}/rerank", json=body, headers={"Authorization": f"Bearer {server.key}"}, trust_env=False)
    ranking = response.json()
    assert response.status_code == 200
    assert ranking["results"][0]["document"]["text"] in DOCUMENTS[1:]
    assert ranking["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("name", ["results", "data"])
@pytest.mark.parametrize("score", ["relevance_score", "score"])
def test_a_ranking_has_the_best_first_whatever_the_vendor_calls_it(name: str, score: str) -> None:
    """Cut to what was asked for; the request went as it was, and the answer says what it cost."""
    given = {"model": "some-model", name: [{"index": place, score: fit} for place, fit in enumerate((0.1, 0.9, 0.5))]}
    rig, client, row = called(asked(["a", "b", "c"], top_n=2, novel=1), script({**given, "usage": {"prompt_tokens": 9, "total_tokens": 9}}))
    assert [(result["index"], result["relevance_score"]) for result in told(client)["results"]] == [(1, 0.9), (2, 0.5)]
    assert sent(rig) == ("/rerank", {"model": "some-model", "query": "q", "documents": ["a", "b", "c"], "top_n": 2, "novel": 1})
    assert told(client)["usage"] == {"prompt_tokens": 9, "total_tokens": 9, "cost": 0.000009}
    assert row is not None
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens, row.cost) == ("completed", 9, 0, 9_000)


def test_cohere_charges_by_the_search_and_its_tokens_cost_nothing() -> None:
    """Two searches at two tenths of a cent, whatever it read; the row names what was not charged for."""
    given = {"id": "x", "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}
    given["meta"] = {"api_version": {"version": "2"}, "billed_units": {"search_units": 2.0}, "tokens": {"input_tokens": 700}}
    rig, client, row = called(asked([{"text": "a"}, "b"], max_tokens_per_doc=99, return_documents=True), script(given), dialect="cohere")
    wanted = {"model": "some-model", "query": "q", "documents": ["a", "b"], "max_tokens_per_doc": 99}
    assert sent(rig) == ("/rerank", wanted)
    assert [result.get("document") for result in told(client)["results"]] == [{"text": "b"}, {"text": "a"}]
    assert (told(client)["meta"]["billed_units"], told(client)["usage"]["cost"]) == ({"search_units": 2.0}, 0.004)
    assert row is not None
    assert row.billed.breakdown is not None
    assert (row.cost, row.billed.input_tokens, row.billed.breakdown.searches) == (4_000_000, 700, 2)
    assert row.billed.breakdown.uncharged_input_tokens == 700


@pytest.mark.parametrize(("name", "dialect"), [(name, dialect) for name in ("top_n", "top_k") for dialect in ("openai", "cohere")])
def test_as_many_are_returned_as_are_wanted_whatever_a_client_calls_that(name: str, dialect: str) -> None:
    """Voyage calls it `top_k`. Cohere is asked in its own word, vendors of that form in the client's, and who pays no heed is cut."""
    rig, client, _ = called(asked(["a", "b", "c"], **{name: 2}), script(answer(0.1, 0.3, 0.2)), dialect=dialect)
    told_to = sent(rig)[1]
    assert {each: told_to[each] for each in ("top_n", "top_k") if each in told_to} == {"top_n" if dialect == "cohere" else name: 2}
    assert [result["index"] for result in told(client)["results"]] == [1, 2]


def test_who_is_charged_by_the_search_and_by_the_token_pays_both() -> None:
    """Where the units that are billed name both; only a search alone makes the tokens free."""
    given = {
        "id": "x",
        "results": [{"index": 0, "relevance_score": 0.9}],
        "meta": {"billed_units": {"search_units": 1, "input_tokens": 700}},
    }
    _, client, row = called(asked(["a"]), script(given), dialect="cohere")
    assert row is not None
    assert row.billed.breakdown is not None
    assert (row.cost, row.billed.input_tokens, row.billed.breakdown.uncharged_input_tokens) == (700 * 1_000 + 2_000_000, 700, 0)
    assert told(client)["usage"]["prompt_tokens"] == 700


@pytest.mark.parametrize(
    ("setting", "named", "shown"), [("own", "m-2", "fast"), ("vendor", "m-2", "m-2"), ("vendor", "/srv/m.gguf", "fast")]
)
def test_a_ranking_names_the_model_as_every_answer_does(setting: str, named: str, shown: str) -> None:
    """The public name where the operator gave one, else the vendor's, and no path of its machine; the row has what the vendor said."""
    given = {**answer(0.5, 0.25), "model": named}
    _, client, row = called(asked(), script(given), name_in_answers=setting)
    assert (told(client)["model"], row and row.answered_model) == (shown, named)


def test_searches_without_a_price_are_free_and_the_row_says_so() -> None:
    """The operator sees it; nobody is charged at a guess."""
    given = {"id": "x", "results": [{"index": 0, "relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 1}}}
    _, _, row = called(asked(["a"]), script(given), dialect="cohere", prices=Prices(input=1, output=2))
    assert row is not None
    assert (row.cost, row.marks) == (0, "no_own_price:per_search")


@pytest.mark.parametrize(
    ("usage", "tokens", "source"),
    [({"total_tokens": 9}, 9, REPORTED), ({"prompt_tokens": 9}, 9, REPORTED), ({"input_tokens": "9"}, 9, REPORTED), ({}, 1, ESTIMATED)],
    ids=str,
)
def test_others_charge_by_the_token(usage: Json, tokens: int, source: str) -> None:
    """As reported in every spelling, else as counted: each document with the query."""
    _, _, row = called(asked(), script(answer(0.5, 0.25, usage=usage)))
    assert row is not None
    assert (row.billed.input_tokens, row.billed.input_source) == (tokens, source)


def test_tokens_under_siliconflows_word_are_a_report() -> None:
    """It has `tokens` where others have `usage`; the bill was an estimate beside it."""
    given = {"id": "x", "results": answer(0.5, 0.25)["results"], "tokens": {"input_tokens": 9, "output_tokens": 0}}
    _, client, row = called(asked(), script(given))
    assert row is not None
    assert (row.billed.input_tokens, row.billed.input_source, row.cost) == (9, REPORTED, 9_000)
    assert told(client)["usage"]["prompt_tokens"] == 9


@pytest.mark.parametrize("given", [None, False, 7, {}], ids=str)
def test_a_ranking_has_an_id_that_is_text_whatever_its_vendor_gives(given: object) -> None:
    """Cohere's client reads nothing else."""
    _, client, _ = called(asked(), script(answer(0.5, 0.25, id=given)))
    assert told(client)["id"].startswith("req_")


BAD = {
    "nothing": answer(),
    "beyond the documents": answer(0.1, 0.2, 0.3),
    "one twice": {"results": [{"index": 0, "relevance_score": 1}, {"index": 0, "relevance_score": 1}]},
    "no score": {"results": [{"index": 0}]},
    "no number": b'{"results": [{"index": 0, "relevance_score": NaN}]}',
    "an error under 200": {"error": {"message": "CUDA"}},
    "no results": {"model": "m"},
    "no JSON": b"<html>",
}


@pytest.mark.parametrize("given", BAD.values(), ids=BAD)
def test_what_is_no_ranking_of_the_documents_is_a_failure_and_the_next_target_is_asked(given: object) -> None:
    """It costs nothing where nobody does better."""
    _, client, row = called(asked(), script(given), script(answer(0.5, 0.25)))
    assert (client.status, row and row.attempts) == (200, 2)
    _, client, row = called(asked(), script(given))
    assert (client.status, row and row.cost) == (502, 0)


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "mistral"])
def test_a_vendor_that_ranks_nothing_is_told_of_with_the_model(dialect: str) -> None:
    """422, before anybody is asked."""
    _, client, row = called(asked(), script({}), dialect=dialect)
    assert (client.status, told(client)["error"]["param"], row and row.outcome) == (422, "model", "refused")


def test_a_failure_costs_nothing_and_a_wallet_is_asked_before() -> None:
    """A broken connection is 502, an empty wallet 402 and nobody asked."""
    _, client, row = called(asked(), Script([Break()], headers={}))
    assert (client.status, row and row.cost) == (502, 0)
    rig, client, _ = called(asked(["x" * 4_000]), script(answer(0.5)), wallets=[Wallet("default", 1_000)])
    upstream = rig.dependencies.upstreams["a"]
    assert isinstance(upstream, ScriptedUpstream)
    assert (client.status, upstream.requests) == (402, [])


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"documents": []}, "invalid_request", "documents"),
        ({"documents": ["a", 1]}, "invalid_parameter_type", "documents[1]"),
        ({"documents": [{"title": "a"}]}, "invalid_parameter_type", "documents[0]"),
        ({"query": None}, "invalid_parameter_type", "query"),
        ({"top_n": 0}, "invalid_request", "top_n"),
        ({"top_k": 0}, "invalid_request", "top_k"),
        ({"top_n": 1, "top_k": 2}, "invalid_request", "top_k"),
        ({"documents": [{"Text": "a", "text": "b"}]}, "json_parse_error", "documents[0].text"),
    ],
    ids=str,
)
def test_what_nobody_can_rank_is_refused_by_its_place(members: Json, code: str, param: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(ApiError) as refused:
        RerankRequest(asked(**{"documents": ["a"], **members}))
    assert (refused.value.code, refused.value.param) == (code, param)
