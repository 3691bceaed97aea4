"""Who asks for embeddings, in front of every dialect, in every situation: a cell is a test. Real clients judge; vendors are scripted.

What a client has no words for stands in a table here, as does what a dialect's vendor cannot do: its cell is a 422 that says so. What one
vendor sends besides is another test's (`test_embeddings.py`, `test_gemini_embeddings.py`).
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors, types
from mistralai.client import Mistral
from mistralai.client.errors import MistralError

from aisa.config.schema import Prices
from aisa.errors import ApiError
from aisa.testing.clock import run_virtual
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.gemini_embeddings_door import GeminiEmbeddingsDoor
from rig import MemoryClient, Rig, Script, ScriptedUpstream

Json = dict[str, Any]
Vectors = list[list[float]]
ONE, TWO = [0.5, -0.25], [1.0, 0.0]
TOKENS = 7
DIALECTS = ("openai", "responses", "anthropic", "gemini", "bedrock", "cohere", "mistral")
WITHOUT = ("anthropic", "bedrock")  # make none


class Refused(Exception):
    """What a client raised."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cell:
    """One client in front of one dialect: what it sends goes through the path, and what comes of that is its answer."""

    def __init__(self, dialect: str, *answers: Script) -> None:
        self.vendors = [ScriptedUpstream(answer) for answer in answers]
        self.rig = Rig(*self.vendors, vendor={"dialect": dialect}, prices=Prices(input=1, output=2))

    def answered(self, path: str, body: bytes) -> tuple[int, bytes]:
        """What a request gets."""
        door: Door = EMBEDDINGS_DOOR
        if ":" in path:
            door = GeminiEmbeddingsDoor("fast", batch=path.endswith(":batchEmbedContents"))
        client = MemoryClient()
        try:
            run_virtual(self.rig.call(client, body, door=door))
        except ApiError as error:  # which the edge tells
            told = door.refused(error, "req_1")
            return told.status, told.body
        return client.status or 0, client.body

    def older(self) -> httpx.Client:
        """As what the clients of Google and Mistral send through."""

        def answer(request: httpx.Request) -> httpx.Response:
            status, body = self.answered(request.url.path, request.content)
            return httpx.Response(status, content=body, headers={"content-type": "application/json"})

        return httpx.Client(transport=httpx.MockTransport(answer))

    def newer(self) -> httpx2.Client:
        """As what OpenAI's client sends through."""

        def answer(request: httpx2.Request) -> httpx2.Response:
            status, body = self.answered(request.url.path, request.content)
            return httpx2.Response(status, content=body, headers={"content-type": "application/json"})

        return httpx2.Client(transport=httpx2.MockTransport(answer))

    @property
    def sent(self) -> Json:
        """What the first vendor was asked."""
        [request] = self.vendors[0].requests
        body: Json = json.loads(request.body)
        return body


def by_openai(cell: Cell, given: Any, *, encoding: Any = openai.omit, **asked: Any) -> tuple[Vectors, int]:
    """OpenAI's client, which asks for base64 by itself."""
    client = openai.OpenAI(base_url="http://gateway.example/v1", api_key="k", max_retries=0, http_client=cell.newer())
    try:
        answer = client.embeddings.create(model="fast", input=given, encoding_format=encoding, **asked)
    except openai.APIStatusError as error:
        raise Refused(error.status_code, error.message) from None
    assert [entry.index for entry in answer.data] == list(range(len(answer.data)))
    return [entry.embedding for entry in answer.data], answer.usage.prompt_tokens


def by_openai_in_floats(cell: Cell, given: Any, **asked: Any) -> tuple[Vectors, int]:
    """The same, asked for numbers."""
    return by_openai(cell, given, encoding="float", **asked)


def by_google(cell: Cell, given: Any, *, dimensions: int | None = None) -> tuple[Vectors, int]:
    """Google's client."""
    options = types.HttpOptions(httpx_client=cell.older(), base_url="http://gateway.example")
    config = types.EmbedContentConfig(output_dimensionality=dimensions)
    try:
        answer = genai.Client(api_key="k", http_options=options).models.embed_content(model="fast", contents=given, config=config)
    except errors.APIError as error:
        raise Refused(error.code, error.message or "") from None
    assert answer.embeddings is not None
    return [vector.values or [] for vector in answer.embeddings], TOKENS  # which its client does not read


def by_mistral(cell: Cell, given: Any, *, dimensions: int | None = None) -> tuple[Vectors, int]:
    """Mistral's client, which has a word of its own for dimensions."""
    client = Mistral(api_key="k", server_url="http://gateway.example", client=cell.older())
    try:
        answer = client.embeddings.create(model="fast", inputs=given, output_dimension=dimensions)
    except MistralError as error:
        raise Refused(error.status_code, error.body) from None
    return [entry.embedding or [] for entry in answer.data], answer.usage.prompt_tokens or 0


Ask = Callable[..., tuple[Vectors, int]]
CLIENTS: dict[str, Ask] = {"openai": by_openai, "openai in floats": by_openai_in_floats, "google": by_google, "mistral": by_mistral}


def packed(numbers: list[float]) -> str:
    """Numbers as some vendors send them, whatever was asked."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def vendors_answer(dialect: str, vectors: Vectors, odd: str = "") -> Json:
    """What a vendor says of these texts."""
    if dialect == "gemini":
        return {"embeddings": [{"values": vector} for vector in vectors], "usageMetadata": {"promptTokenCount": TOKENS}}
    if dialect == "cohere":
        return {"id": "e", "embeddings": {"float": vectors}, "meta": {"billed_units": {"input_tokens": TOKENS}}}
    written = [packed(vector) if odd == "packs" else vector for vector in vectors]
    data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(written)]
    usage = {"prompt_tokens": TOKENS, "total_tokens": TOKENS}
    return {"id": "e", "object": "list", "data": data[::-1] if odd == "backwards" else data, "model": "some-model", "usage": usage}


def script(answer: Json, status: int = 200) -> Script:
    """A vendor that says it."""
    return Script([json.dumps(answer).encode()], status=status, headers={"content-type": "application/json"})


class Situation(NamedTuple):
    """What is given to embed, and how many vectors that is. `dimensions` are asked for; `odd` is what is odd in the vendor's answer."""

    given: Any
    vectors: Vectors
    dimensions: int | None = None
    odd: str = ""


SITUATIONS = {
    "a text": Situation("Hi.", [ONE]),
    "a list": Situation(["Hi.", "Ho."], [ONE, TWO]),
    "the same twice": Situation(["Hi.", "Hi."], [ONE, ONE]),
    "an empty text": Situation(["Hi.", ""], [ONE, TWO]),
    "a thousand": Situation(["Hi."] * 1_000, [ONE] * 1_000),
    "dimensions": Situation(["Hi."], [ONE], dimensions=2),
    "tokens": Situation([5, 6, 7], [ONE]),
    "lists of tokens": Situation([[5, 6, 7], [8]], [ONE, TWO]),
    "in base64 anyway": Situation(["Hi.", "Ho."], [ONE, TWO], odd="packs"),
    "the last first": Situation(["Hi.", "Ho."], [ONE, TWO], odd="backwards"),
}
#: What no client of these can say: ids of tokens are OpenAI's.
NOT_ASKED = {(client, situation) for client in ("google", "mistral") for situation in ("tokens", "lists of tokens")}
#: What a dialect's answers have no place for: vectors stand in the order of the texts, as numbers.
NOT_SENT = {(dialect, situation) for dialect in ("gemini", "cohere") for situation in ("in base64 anyway", "the last first")}
#: Dialects that take text alone.
TEXT_ALONE = ("gemini", "cohere", "mistral")
#: Where each dialect says how many numbers a vector is to have; OpenAI's own members pass, and Mistral's client has another word.
DIMENSIONS: dict[str, Callable[[Json], object]] = {
    "openai": lambda sent: sent.get("dimensions", sent.get("output_dimension")),
    "responses": lambda sent: sent.get("dimensions", sent.get("output_dimension")),
    "gemini": lambda sent: sent["requests"][0]["outputDimensionality"],
    "cohere": lambda sent: sent["output_dimension"],
    "mistral": lambda sent: sent["output_dimension"],
}
CELLS = [
    pytest.param(client, dialect, situation, id=f"{client}-{dialect}-{situation}")
    for client in CLIENTS
    for dialect in DIALECTS
    for situation in SITUATIONS
    if (client, situation) not in NOT_ASKED and (dialect, situation) not in NOT_SENT
]
PAIRS = [(client, dialect) for client in CLIENTS for dialect in DIALECTS if dialect not in WITHOUT]


@pytest.mark.parametrize(("client", "dialect", "situation"), CELLS)
def test_every_client_gets_every_vendors_vectors_or_a_422_that_says_why_not(client: str, dialect: str, situation: str) -> None:
    """In the order of the texts and in its encoding, for the input alone; a vendor that cannot is not asked, and costs nothing."""
    given, vectors, dimensions, odd = SITUATIONS[situation]
    more = {} if dimensions is None else {"dimensions": dimensions}
    cell = Cell(dialect, script(vendors_answer(dialect, vectors, odd)))
    if dialect in WITHOUT or (dialect in TEXT_ALONE and "tokens" in situation):
        with pytest.raises(Refused, match="makes no embeddings" if dialect in WITHOUT else "check_embedding_ctx_length") as refused:
            CLIENTS[client](cell, given, **more)
        assert (refused.value.status, cell.vendors[0].requests, cell.rig.rows[-1].cost) == (422, [], 0)
        return
    read, tokens = CLIENTS[client](cell, given, **more)
    assert [pytest.approx(vector) for vector in vectors] == read
    row = cell.rig.rows[-1]
    assert (row.outcome, tokens, row.billed.input_tokens, row.billed.output_tokens, row.cost) == ("completed", TOKENS, TOKENS, 0, 7_000)
    if more:
        assert DIMENSIONS[dialect](cell.sent) == dimensions


@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_too_many_texts_are_refused_as_the_vendor_refuses_them(client: str, dialect: str) -> None:
    """Each has a number of its own for one call (2,048, 96, 100, ...), which its words name: the caller's fault, and for nothing."""
    words = {"message": "invalid request: maximum number of texts is 96", "type": "invalid_request_error"}
    answer = words if dialect in ("cohere", "mistral") else {"error": {**words, "code": 400, "status": "INVALID_ARGUMENT"}}
    cell = Cell(dialect, script(answer, 400))
    with pytest.raises(Refused, match="maximum number of texts is 96") as refused:
        CLIENTS[client](cell, ["Hi."] * 97)
    assert (refused.value.status, cell.rig.rows[-1].cost) == (400, 0)


@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_a_vendor_that_fails_is_followed_by_the_next(client: str, dialect: str) -> None:
    """Overloaded, or without a vector for each text; and one alone is told with its true status."""
    good = script(vendors_answer(dialect, [ONE, TWO]))
    busy = script({"error": {"message": "overloaded", "code": 503, "status": "UNAVAILABLE"}}, 503)
    for failing in (busy, script(vendors_answer(dialect, [ONE])), script({"embeddings": None, "data": None})):
        cell = Cell(dialect, failing, good)
        assert CLIENTS[client](cell, ["Hi.", "Ho."])[0] == [pytest.approx(ONE), pytest.approx(TWO)]
        assert (cell.rig.rows[-1].attempts, cell.rig.rows[-1].cost) == (2, 7_000)
    cell = Cell(dialect, script({"error": {"message": "slow down", "code": 429, "status": "RESOURCE_EXHAUSTED"}}, 429))
    with pytest.raises(Refused) as refused:
        CLIENTS[client](cell, ["Hi.", "Ho."])
    assert (refused.value.status, cell.rig.rows[-1].cost) == (429, 0)


@pytest.mark.parametrize("client", [name for name in CLIENTS if name != "google"])  # which then sends no call
def test_nothing_to_embed_is_refused_before_anybody_is_asked(client: str) -> None:
    """An empty list has no first text: 400 in the client's own form."""
    cell = Cell("openai", script(vendors_answer("openai", [ONE])))
    with pytest.raises(Refused, match="empty") as refused:
        CLIENTS[client](cell, [])
    assert (refused.value.status, cell.vendors[0].requests) == (400, [])


@pytest.mark.parametrize("dialect", ["gemini", "cohere"])
def test_numbers_of_another_kind_are_refused_where_they_cannot_be_asked_for(dialect: str) -> None:
    """Mistral's `output_dtype`: floats in their place would be a silent loss. A model's entry may have it dropped."""
    body = json.dumps({"model": "fast", "input": ["Hi."], "output_dtype": "int8"}).encode()
    cell = Cell(dialect, script(vendors_answer(dialect, [ONE])))
    status, answer = cell.answered("/v1/embeddings", body)
    assert (status, json.loads(answer)["error"]["param"]) == (422, "output_dtype")
    assert cell.answered("/v1/embeddings", body.replace(b"int8", b"float"))[0] == 200
