"""`POST /v1/embeddings`: every vendor's vectors as the official client reads them, and a bill for the input alone."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import openai as sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.config.schema import Prices
from aisa.embedded.vectors import similarity, vector_of
from aisa.errors import ApiError
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.providers import embeddings_gemini, embeddings_mistral
from aisa.providers.embeddings_openai import as_asked
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.usage import ESTIMATED, IMPLAUSIBLE, REPORTED
from aisa.wire.embeddings import EmbeddingsRequest
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall
from server import Server

Json = dict[str, Any]
PRICE = Prices(input=1, output=2)
ONE, TWO = [0.5, -0.25], [1.0, 0.0]


def asked(given: object = "Hi.", **members: object) -> bytes:
    """A request."""
    return json.dumps({"model": "fast", "input": given, **members}).encode()


def packed(numbers: list[float]) -> str:
    """Numbers as the official client unpacks them."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def vendors_answer(*vectors: object, usage: Json | None = None, **members: object) -> Json:
    """What a vendor that is compatible with OpenAI says."""
    data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    told = {"prompt_tokens": 7, "total_tokens": 7} if usage is None else usage
    return {"object": "list", "data": data, "model": "some-model", "usage": told, **members}


def script(answer: object, status: int = 200) -> Script:
    """A vendor that says it."""
    return Script([answer if isinstance(answer, bytes) else json.dumps(answer).encode()], status=status, headers={})


def called(body: bytes, *scripts: Script, dialect: str = "openai", **more: Any) -> tuple[Rig, MemoryClient, CallRow | None]:
    """Make one call."""
    rig = Rig(*map(ScriptedUpstream, scripts), vendor={"dialect": dialect}, **{"prices": PRICE, **more})
    client = MemoryClient()
    run_virtual(rig.call(client, body, door=EMBEDDINGS_DOOR))
    return rig, client, rig.rows[-1] if rig.rows else None


def asked_of(rig: Rig) -> list[UpstreamRequest]:
    """What the first vendor was asked."""
    upstream = rig.dependencies.upstreams["a"]
    assert isinstance(upstream, ScriptedUpstream)
    return upstream.requests


# The embedded model, judged by the official client


def client_of(server: Server) -> sdk.OpenAI:
    """The official client, given address and key alone."""
    return sdk.OpenAI(base_url=server.api, api_key=server.key, max_retries=0)


def test_the_official_client_gets_vectors_by_address_and_key_alone(server: Server) -> None:
    """In base64, which it asks for by itself, and as floats the same to the precision of 32 bits; with a receipt of the input alone."""
    with client_of(server) as client:
        one = client.embeddings.create(model="text-embedding-3-small", input=["Reset my password", "Rain in Oslo"])
        other = client.embeddings.create(model="text-embedding-3-small", input=["Reset my password"], encoding_format="float")
    assert [entry.index for entry in one.data] == [0, 1]
    assert one.data[0].embedding == pytest.approx(other.data[0].embedding, abs=1e-6)
    assert (one.object, one.model, one.usage.prompt_tokens) == ("list", "text-embedding-3-small", one.usage.total_tokens)
    assert one.usage.prompt_tokens > other.usage.prompt_tokens > 0


def test_token_ids_and_dimensions_are_taken(server: Server) -> None:
    """One list of ids is one text, a list of them several; a vector has as many numbers as were asked for."""
    with client_of(server) as client:
        one = client.embeddings.create(model="e", input=[5, 6, 7], dimensions=32)
        several = client.embeddings.create(model="e", input=[[5, 6, 7], [8]], dimensions=32)
        assert len(one.data[0].embedding) == 32
        assert (one.data[0].embedding, one.usage.prompt_tokens) == (several.data[0].embedding, 3)
        with pytest.raises(sdk.BadRequestError, match="at most 3072"):
            client.embeddings.create(model="e", input="x", dimensions=9_999)
        with pytest.raises(sdk.BadRequestError, match="context"):
            client.embeddings.create(model="e", input="x" * 40_000)


def test_a_bad_key_and_a_missing_input_are_told_as_on_chat(server: Server) -> None:
    """With OpenAI's shape of errors, which its client reads."""
    with sdk.OpenAI(base_url=server.api, api_key="sk-aisa-bad", max_retries=0) as client, pytest.raises(sdk.AuthenticationError):
        client.embeddings.create(model="e", input="x")
    with client_of(server) as client, pytest.raises(sdk.BadRequestError) as refused:
        client.post("/embeddings", body={"model": "e"}, cast_to=object)
    assert refused.value.param == "input"


def test_texts_that_share_words_are_nearer_than_those_that_do_not() -> None:
    """The embedded model's vectors are good for that, have length one, and do not change."""
    asks, answers, other = map(vector_of, ("How do I reset my password?", "I want to reset the password", "Rain in Oslo"))
    assert similarity(asks, answers) > 0.3 > similarity(asks, other)
    assert similarity(asks, asks) == pytest.approx(1)
    assert vector_of("Oslo")[:256].index(max(vector_of("Oslo"))) == vector_of("oslo").index(max(vector_of("oslo")))
    assert sum(vector_of("")) == 1


@given(st.text(max_size=200) | st.lists(st.integers(0, 100_000), min_size=1, max_size=50), st.integers(1, 300))
@settings(deadline=None)
def test_every_text_has_a_vector_of_length_one(text: str | list[int], dimensions: int) -> None:
    """Whatever it is, in however many dimensions."""
    vector = vector_of(text, dimensions)
    assert len(vector) == dimensions
    assert sum(number * number for number in vector) == pytest.approx(1)


# Vendors that are compatible with OpenAI


def test_a_vendors_vectors_pass_and_the_answer_says_what_they_cost() -> None:
    """In the vendor's own digits, with its further members; billed as reported, with no output."""
    answer = b'{"object":"list","id":"x","data":[{"object":"embedding","index":0,"embedding":[0.50,-2.5e-1]}],"model":"some-model",'
    rig, client, row = called(asked("Hi.", novel=1), script(answer + b'"usage":{"prompt_tokens":7,"total_tokens":7}}'))
    told = json.loads(client.body)
    assert b'"embedding":[0.50,-2.5e-1]' in client.body
    assert (told["id"], told["usage"]) == ("x", {"prompt_tokens": 7, "total_tokens": 7, "cost": 0.000007})
    assert row is not None
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens, row.cost, row.stream) == ("completed", 7, 0, 7_000, False)
    assert (row.billed.input_source, client.length) == (REPORTED, len(client.body))
    assert asked_of(rig)[0].path == "/embeddings"
    assert json.loads(asked_of(rig)[0].body) == {"model": "some-model", "input": "Hi.", "novel": 1}


@pytest.mark.parametrize("wanted", ["base64", "float"])
@pytest.mark.parametrize("given", ["base64", "float"])
def test_the_encoding_is_the_one_that_was_asked_for(wanted: str, given: str) -> None:
    """Whatever the vendor heeds: a client that asked for floats takes a text for a list of letters."""
    vectors = [packed(ONE), packed(TWO)] if given == "base64" else [ONE, TWO]
    _, client, _ = called(asked(["a", "b"], encoding_format=wanted), script(vendors_answer(*vectors)))
    expected = [packed(ONE), packed(TWO)] if wanted == "base64" else [ONE, TWO]
    assert [entry["embedding"] for entry in json.loads(client.body)["data"]] == expected


@pytest.mark.parametrize("dialect", ["openai", "mistral"])
@pytest.mark.parametrize(
    "members",
    [
        *[{"output_dtype": word, "encoding_format": "base64"} for word in ("int8", "uint8", "binary", "ubinary")],
        {"output_dtype": "int8"},
        {"embed_dtype": "float16", "encoding_format": "base64"},
        {"endianness": "big", "encoding_format": "base64"},
        {"embedding_type": "base64"},
    ],
)
def test_numbers_of_another_kind_in_base64_pass_as_the_vendor_packs_them(dialect: str, members: Json) -> None:
    """Their bytes are no floats of 32 bits, whose number they need not divide into; read as such, some are none. An empty one is none."""
    vectors = [base64.b64encode(bytes(numbers)).decode() for numbers in ([127, 200, 255, 255], [1, 2, 3], [0, 0, 128, 127])]
    body = asked(["a", "b", "c"], **members, **({} if dialect == "mistral" else {"dimensions": 99}))
    _, client, _ = called(body, script(vendors_answer(*vectors)), dialect=dialect)
    assert [entry["embedding"] for entry in json.loads(client.body)["data"]] == vectors
    assert "x-aisa-dropped-params" not in client.headers
    _, client, _ = called(body, script(vendors_answer(*vectors[:2], "")), dialect=dialect)
    assert client.status == 502


def test_vectors_stand_in_the_order_of_their_texts() -> None:
    """Whatever order the vendor gives them in, and without an index in its own."""
    answer = vendors_answer(ONE, TWO)
    answer["data"].reverse()
    _, client, _ = called(asked(["a", "b"]), script(answer))
    assert [(entry["index"], entry["embedding"]) for entry in json.loads(client.body)["data"]] == [(0, ONE), (1, TWO)]
    for entry in answer["data"]:
        del entry["index"]
    _, client, _ = called(asked(["a", "b"]), script(answer))
    assert [entry["embedding"] for entry in json.loads(client.body)["data"]] == [TWO, ONE]


BAD_ANSWERS = {
    "no vectors": vendors_answer(),
    "too few": vendors_answer(ONE),
    "too many": vendors_answer(ONE, TWO, TWO),
    "one twice": {**vendors_answer(ONE, TWO), "data": [{"index": 0, "embedding": ONE}, {"index": 0, "embedding": ONE}]},
    "empty": vendors_answer([], []),
    "null in it": vendors_answer([0.5, None], TWO),
    "a list of lists": vendors_answer([ONE], [TWO]),
    "text that is no base64": vendors_answer("?", "?"),
    "bytes that are no floats": vendors_answer("AAAA", "AAAA"),
    "no number": vendors_answer(packed([float("nan"), 1]), packed(TWO)),
    "NaN": json.dumps(vendors_answer([float("nan")], TWO)).encode(),
    "no data": {"object": "list", "model": "m"},
    "an error under 200": {"error": {"message": "CUDA out of memory", "code": 500}},
    "no JSON": b"<html>",
    "cut": json.dumps(vendors_answer(ONE, TWO)).encode()[:-9],
    "a list": b"[1]",
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_answer_that_is_not_whole_is_a_failure_and_the_next_target_is_asked(answer: object) -> None:
    """A client would give texts each other's vectors. It costs nothing where nobody does better."""
    _, client, row = called(asked(["a", "b"]), script(answer), script(vendors_answer(ONE, TWO)))
    assert (client.status, row and row.attempts, row and row.target) == (200, 2, "b/some-model")
    _, client, row = called(asked(["a", "b"]), script(answer))
    assert row is not None
    assert (client.status, row.outcome, row.cost) == (502, "failed", 0)


VECTORS: dict[str, Callable[..., Json]] = {
    "openai": vendors_answer,
    "mistral": vendors_answer,
    "cohere": lambda *vectors: {"id": "c", "embeddings": {"float": vectors}},
    "gemini": lambda *vectors: {"embeddings": [{"values": vector} for vector in vectors]},
}


@pytest.mark.parametrize("dialect", VECTORS)
@pytest.mark.parametrize("numbers", [[], [1e39, 0.0], [0.0, -1e300]], ids=str)
def test_a_vector_of_nothing_or_beyond_32_bits_is_a_failure_at_every_vendor(dialect: str, numbers: list[float]) -> None:
    """As base64 those numbers were infinite; in the answers of Gemini and Cohere an empty vector passed, and was paid for."""
    _, client, row = called(asked(["a", "b"], encoding_format="base64"), script(VECTORS[dialect](ONE, numbers)), dialect=dialect)
    assert row is not None
    assert (client.status, row.outcome, row.cost) == (502, "failed", 0)


@pytest.mark.parametrize("given", [None, False, 7, {}], ids=str)
def test_an_answer_has_an_id_that_is_text_whatever_its_vendor_gives(given: object) -> None:
    """Typed clients read nothing else."""
    _, client, _ = called(asked(["a"]), script(vendors_answer(ONE, id=given)))
    assert json.loads(client.body)["id"].startswith("req_")


@pytest.mark.parametrize("member", ["dimensions", "output_dimension"])
@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize("dialect", VECTORS)
def test_vectors_of_another_length_than_was_asked_for_are_told(dialect: str, encoding: str, member: str) -> None:
    """In the client's word. They are paid for, and a client that keeps them beside no others can use them."""
    answer = script(VECTORS[dialect](ONE, TWO))
    _, client, row = called(asked(["a", "b"], encoding_format=encoding, **{member: 3}), answer, dialect=dialect)
    assert (client.status, client.headers["x-aisa-dropped-params"]) == (200, member)
    assert (row and row.outcome, len(json.loads(client.body)["data"])) == ("completed", 2)
    for good in (asked(["a", "b"], encoding_format=encoding, **{member: 2}), asked(["a", "b"], encoding_format=encoding)):
        _, client, row = called(good, answer, dialect=dialect)
        assert (client.status, "x-aisa-dropped-params" in client.headers) == (200, False)


def test_the_length_of_a_vector_does_not_depend_on_how_it_is_written() -> None:
    """Numbers in text or packed; of other kinds than floats nobody counts."""
    for vector in (ONE, packed(ONE), b" [ 0.5 ,-0.25 ] "):
        written = vector if isinstance(vector, bytes) else json.dumps(vector).encode()
        answer = json.dumps(vendors_answer("@")).encode().replace(b'"@"', written)
        for more, unheeded in (
            ({"dimensions": 2}, None),
            ({"dimensions": 1}, "dimensions"),
            ({"dimensions": 9, "output_dtype": "binary"}, None),
        ):
            assert called(asked(["a"], **more), script(answer))[1].headers.get("x-aisa-dropped-params") == unheeded


def test_a_name_of_our_own_is_what_the_answer_calls_the_model() -> None:
    """And the row keeps the vendor's."""
    _, client, row = called(asked(), script(vendors_answer(ONE, model="some-model-002")), name_in_answers="own")
    assert (json.loads(client.body)["model"], row and row.answered_model) == ("fast", "some-model-002")


# The bill


@pytest.mark.parametrize(
    ("usage", "tokens", "source"),
    [
        ({"prompt_tokens": 7, "total_tokens": 7}, 7, REPORTED),
        ({"total_tokens": 7}, 7, REPORTED),
        ({"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}, 7, REPORTED),
        ({"prompt_tokens": "7"}, 7, REPORTED),
        ({"input_tokens": 7}, 7, REPORTED),
        ({}, 2, ESTIMATED),
        ({"prompt_tokens": 0, "total_tokens": 0}, 2, ESTIMATED),
        ({"prompt_tokens": 10**8}, 2, IMPLAUSIBLE),
        ({"prompt_tokens": 7, "total_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5_000}}, 7, REPORTED),
    ],
    ids=str,
)
def test_the_input_costs_what_was_reported_in_every_spelling_else_what_was_counted(usage: Json, tokens: int, source: str) -> None:
    """And output costs nothing, whatever a report makes of it."""
    _, client, row = called(asked(["abcd", "efgh"]), script(vendors_answer(ONE, TWO, usage=usage)))
    assert row is not None
    assert (row.billed.input_tokens, row.billed.output_tokens, row.billed.input_source) == (tokens, 0, source)
    assert json.loads(client.body)["usage"]["prompt_tokens"] == tokens
    assert "completion_tokens" not in json.loads(client.body)["usage"]


def test_each_text_has_the_models_window_to_itself() -> None:
    """So many short texts cost more than one window, and a report of that is believed."""
    texts = ["x" * 40] * 30
    for usage, tokens in ((None, 7), ({}, 300), ({"prompt_tokens": 320}, 320)):
        _, _, row = called(asked(texts), script(vendors_answer(*[ONE] * 30, usage=usage)), context_window=20)
        assert row is not None
        assert row.billed.input_tokens == tokens


def test_ids_of_tokens_are_counted_as_what_they_are() -> None:
    """Where no vendor reports: exactly as many as were sent."""
    _, _, row = called(asked([[1, 2, 3], [4, 5]]), script(vendors_answer(ONE, TWO, usage={})))
    assert row is not None
    assert row.billed.input_tokens == 5


def test_only_the_input_is_held_and_an_empty_wallet_is_refused_before_anybody_is_asked() -> None:
    """With words about the input: there is no output to lower."""
    body = asked("x" * 4_000)
    rig, _, row = called(body, script(vendors_answer(ONE)), wallets=[Wallet("default", 1_000_000)])
    assert row is not None
    assert (row.outcome, rig.ledger.wallet("default").balance) == ("completed", 1_000_000 - 7_000)
    rig, client, _ = called(body, script(vendors_answer(ONE)), wallets=[Wallet("default", 999_999)])
    told = json.loads(client.body)["error"]
    assert (client.status, told["code"], asked_of(rig)) == (402, "insufficient_wallet_balance", [])
    assert "input alone" in told["message"]


@pytest.mark.parametrize(("leaves", "outcome", "status"), [(True, "client_gone", None), (False, "failed", 504)])
def test_who_leaves_a_silent_vendor_pays_nothing_and_the_vendor_is_cancelled(leaves: bool, outcome: str, status: int | None) -> None:
    """A document is delivered whole or not at all; the same for one that is silent for too long."""
    vendor = ScriptedUpstream(Script([Stall()], headers={}))
    rig, client = Rig(vendor, prices=PRICE), MemoryClient()

    async def ask() -> None:
        if leaves:
            asyncio.get_running_loop().call_later(3.0, client.leave)
        with suppress(asyncio.CancelledError):
            await rig.call(client, asked(), door=EMBEDDINGS_DOOR)

    run_virtual(ask())
    assert (rig.rows[-1].outcome, rig.rows[-1].cost, client.status, vendor.aborted) == (outcome, 0, status, 1)


def test_an_answer_that_did_not_arrive_whole_costs_nothing() -> None:
    """Half of it is no vectors."""
    rig, client = Rig(ScriptedUpstream(script(vendors_answer(ONE))), prices=PRICE), MemoryClient(takes_bytes_max=50)
    run_virtual(rig.call(client, asked(), door=EMBEDDINGS_DOOR))
    assert (rig.rows[-1].outcome, rig.rows[-1].cost) == ("client_gone", 0)


# Other dialects


def test_gemini_is_asked_for_a_batch_and_its_tokens_are_estimated() -> None:
    """It reports none; ours are named so, and vectors come in the encoding that was asked for."""
    answer = {"embeddings": [{"values": ONE}, {"values": TWO}]}
    rig, client, row = called(
        asked(["abcd", "efgh"], encoding_format="base64", dimensions=2, input_type="query"), script(answer), dialect="gemini"
    )
    [sent] = asked_of(rig)
    assert sent.path == "/models/some-model:batchEmbedContents"
    one = {"model": "models/some-model", "outputDimensionality": 2, "taskType": "RETRIEVAL_QUERY"}
    assert json.loads(sent.body) == {"requests": [{**one, "content": {"parts": [{"text": text}]}} for text in ("abcd", "efgh")]}
    assert [entry["embedding"] for entry in json.loads(client.body)["data"]] == [packed(ONE), packed(TWO)]
    assert row is not None
    assert (row.billed.input_tokens, row.billed.input_source, row.outcome) == (2, ESTIMATED, "completed")


def test_cohere_is_told_what_texts_are_for_and_bills_its_units() -> None:
    """Documents unless the client says otherwise, in its own words or others'."""
    answer = {"id": "c", "embeddings": {"float": [ONE]}, "texts": ["x"], "meta": {"billed_units": {"input_tokens": 9}}}
    for purpose, word in ((None, "search_document"), ("query", "search_query"), ("passage", "search_document"), ("image", "image")):
        more = {} if purpose is None else {"input_type": purpose}
        rig, client, row = called(asked("x", dimensions=2, **more), script(answer), dialect="cohere")
        assert asked_of(rig)[0].path == "/embed"
        wanted = {"model": "some-model", "texts": ["x"], "input_type": word, "embedding_types": ["float"], "output_dimension": 2}
        assert json.loads(asked_of(rig)[0].body) == wanted
        assert json.loads(client.body)["data"] == [{"object": "embedding", "index": 0, "embedding": ONE}]
        assert row is not None
        assert (row.billed.input_tokens, row.cost) == (9, 9_000)


def test_mistral_gets_only_what_it_knows() -> None:
    """It refuses every other field."""
    sent = embeddings_mistral.to_upstream(
        EmbeddingsRequest(asked(["a"], dimensions=3, user="u", encoding_format=None, output_dtype="int8")), Target("v", "m", "mistral")
    )
    assert json.loads(sent.body) == {"model": "m", "input": ["a"], "output_dtype": "int8", "output_dimension": 3}


@pytest.mark.parametrize("dialect", ["gemini", "cohere", "mistral"])
def test_ids_of_tokens_are_refused_with_the_clients_setting_where_nobody_takes_them(dialect: str) -> None:
    """Nobody but the client knows which tokenizer they are of: no guess is sent."""
    rig, client, row = called(asked([1, 2]), script({}), dialect=dialect)
    told = json.loads(client.body)["error"]
    assert (client.status, told["code"], told["param"], row and row.cost) == (422, "unsupported_parameter", "input", 0)
    assert "check_embedding_ctx_length" in told["message"]
    assert asked_of(rig) == []


def test_a_vendor_without_embeddings_is_passed_over_and_told_of_if_nobody_is_left() -> None:
    """Anthropic makes none, and Vertex is not spoken."""
    _, client, row = called(asked(), script({}), dialect="anthropic")
    told = json.loads(client.body)["error"]
    assert (client.status, told["code"], told["param"], row and row.outcome) == (422, "unsupported_parameter", "model", "refused")
    with pytest.raises(Exception, match="Vertex"):
        embeddings_gemini.to_upstream(EmbeddingsRequest(asked()), Target("v", "m", "gemini", host="europe-west4-aiplatform.googleapis.com"))


@pytest.mark.parametrize("dialect", ["openai", "gemini", "cohere"])
def test_a_vendors_refusal_and_its_breaking_off_are_told_truly(dialect: str) -> None:
    """With the status that they have on chat, and for nothing."""
    for failing, status in ((script({"error": {"message": "slow down"}}, 429), 429), (Script([Break()], headers={}), 502)):
        _, client, row = called(asked(), failing, dialect=dialect)
        assert row is not None
        assert (client.status, row.cost) == (status, 0)


# Requests


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        (None, "invalid_parameter_type", "input"),
        ([], "invalid_request", "input"),
        ([[]], "invalid_parameter_type", "input[0]"),
        (["a", 1], "invalid_parameter_type", "input[1]"),
        ([1, "a"], "invalid_parameter_type", "input[0]"),
        ([1.5], "invalid_parameter_type", "input[0]"),
        ([True], "invalid_parameter_type", "input[0]"),
        ([-1], "invalid_parameter_type", "input[0]"),
        ([["a"]], "invalid_parameter_type", "input[0]"),
        ({"text": "a"}, "invalid_parameter_type", "input"),
    ],
    ids=str,
)
def test_what_is_no_text_is_refused_by_its_place(given: object, code: str, param: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(ApiError) as refused:
        EmbeddingsRequest(asked(given))
    assert (refused.value.code, refused.value.param) == (code, param)


@pytest.mark.parametrize(
    ("members", "code"),
    [({"encoding_format": "int8"}, "invalid_request"), ({"Input": "b"}, "json_parse_error"), ({"dimensions": 0}, "invalid_request")],
    ids=str,
)
def test_members_that_nobody_can_mean_are_refused(members: Json, code: str) -> None:
    """An encoding that no client reads, a name in another case, no dimensions."""
    with pytest.raises(ApiError) as refused:
        EmbeddingsRequest(asked("a", **members))
    assert refused.value.code == code


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
@settings(deadline=None)
def test_a_vector_is_the_same_in_either_encoding(numbers: list[float]) -> None:
    """To the last bit of 32."""
    there = as_asked(msgspec.Raw(json.dumps(numbers).encode()), "base64")
    back = json.loads(bytes(as_asked(there, "float")))
    assert back == numbers


def test_two_words_for_one_number_of_dimensions_are_no_choice_of_ours() -> None:
    """OpenAI's word and that of Mistral's clients: where they differ, one of them would have been passed over."""
    body = {"model": "e", "input": "x", "dimensions": 5}
    assert EmbeddingsRequest(json.dumps({**body, "output_dimension": 5}).encode()).dimensions == 5
    with pytest.raises(ApiError) as caught:
        EmbeddingsRequest(json.dumps({**body, "output_dimension": 7}).encode())
    assert (caught.value.code, caught.value.param) == ("invalid_request", "output_dimension")
