"""The Gemini dialect: its corpus, however the bytes arrive; that both sides are what Google's own client reads; and what calls cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.genai import types

from aisa.config.detect import detect
from aisa.config.schema import Model, Prices, Vendor
from aisa.credentials.rules import proof_of
from aisa.ledger.row import CallRow
from aisa.prices.catalogue import catalogue_price
from aisa.providers import gemini
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_stream
from aisa.wire.chat import parse_chat
from corpus_runner import FILES, DialectCase, cases, check_case
from dialect_cases import required
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, content_of, events_of
from test_dialect_corpus import state
from test_gemini_request import FUNCTION, PNG, USER, asked, call, result, said

CORPUS = Path(__file__).parent / "corpus" / "gemini"
CASES = cases(CORPUS)


@pytest.mark.parametrize("folder", CASES, ids=[folder.name for folder in CASES])
def test_a_client_gets_what_the_case_says_however_the_vendors_bytes_arrive(folder: Path) -> None:
    """Output, usage and failure are those of the case's files, and the same for every split of the body."""
    check_case(DialectCase(gemini, folder))


def test_every_case_is_whole() -> None:
    """A case has a request, one vendor body, and says what the client gets or how it fails; no other file lies about."""
    for folder in CASES:
        names = {path.name for path in folder.iterdir()}
        assert names <= FILES, folder.name
        assert names >= {"request.json"}, folder.name
        assert names & {"upstream.sse", "upstream.json"}, folder.name
        assert names & {"client.sse", "client.json", "failure.json"}, folder.name


def test_no_case_that_the_dialect_owes_is_missing() -> None:
    """A row of the mapping without a case is red."""
    assert required(gemini.NAME) - {folder.name for folder in CASES} == set()


# Google's own client

#: Cases of what others send who speak Gemini's dialect, and Google does not: its client refuses them.
NOT_GOOGLES = {
    "arguments-as-a-text": "JSON as a text where an object belongs, as gateways in front of other models write arguments",
}


def events_in(folder: Path) -> list[Any]:
    """What the vendor of a case sends, if it is what Google sends."""
    if folder.name in NOT_GOOGLES:
        return []
    case = DialectCase(gemini, folder)
    text = case.upstream.decode()
    if case.meta["status"] != 200 or not text or case.json("failure.json") is not None or "NaN" in text:
        return []
    if not (folder / "upstream.sse").exists() or text.startswith("["):
        return json.loads(text) if text.startswith("[") else [json.loads(text)]
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line]


@pytest.mark.parametrize("folder", [folder for folder in CASES if events_in(folder)], ids=lambda folder: folder.name)
def test_googles_client_reads_what_our_scripts_send(folder: Path) -> None:
    """The scripts are true: its types know every member, and forbid others."""
    for event in events_in(folder):
        for candidate in event.get("candidates", ()):
            candidate.pop("citationMetadata", None)  # the client knows it by another shape than the documentation
            if candidate.get("finishReason") == "BRAND_NEW":
                del candidate["finishReason"]
        types.GenerateContentResponse.model_validate(event)


REQUESTS: list[dict[str, Any]] = [
    {"messages": [{"role": "system", "content": "S"}, USER]},
    {
        "messages": [USER, said(call("c1", "f", '{"a":1}', "c2ln"), call("c2", "g")), result("c1", "1"), result("c2", "2")],
        "tools": [FUNCTION],
    },
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}, {"type": "text", "text": "See"}]}]},
    {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}]}]},
    {"messages": [USER], "tools": [FUNCTION, {"type": "google_search"}], "tool_choice": "required"},
    {"messages": [USER], "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}, "temperature": 0.5},
    {"messages": [USER], "reasoning_effort": "low", "stop": ["a"], "max_tokens": 5, "logprobs": True, "top_logprobs": 2, "seed": 3, "n": 2},
    {"messages": [USER], "modalities": ["audio"], "audio": {"voice": "Kore", "format": "pcm16"}, "service_tier": "flex"},
    {"messages": [USER, said(call("c1", "f")), result("c1", [{"type": "image_url", "image_url": {"url": PNG}}])]},
]
PARTS: dict[str, Any] = {
    "systemInstruction": types.Content,
    "contents": types.Content,
    "tools": types.Tool,
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
    "serviceTier": types.ServiceTier,
}


@pytest.mark.parametrize("fields", REQUESTS)
def test_googles_client_knows_what_we_ask(fields: dict[str, Any]) -> None:
    """Its types take every member of what we write, and forbid others."""
    request = dict(fields)
    written = json.loads(asked(*request.pop("messages"), **request).body)
    assert written.keys() <= PARTS.keys()
    for name, value in written.items():
        for each in value if isinstance(value, list) else [value]:
            kind = PARTS[name]
            assert kind(each) if name == "serviceTier" else kind.model_validate(each)


# Calls


def event(value: dict[str, Any]) -> bytes:
    """One event of Gemini's."""
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


def says(text: str, finish: str | None = None, **metadata: int) -> bytes:
    """An event of text, with a finish and a report where they are given."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    usage = {"usageMetadata": metadata} if metadata else {}
    return event({"candidates": [candidate | ({"finishReason": finish} if finish else {})], **usage, "modelVersion": "some-model"})


LAST = says("two", "STOP", promptTokenCount=100, candidatesTokenCount=7, thoughtsTokenCount=3, totalTokenCount=110)


def made(*scripts: Script, client: MemoryClient | None = None, **fields: Any) -> tuple[MemoryClient, CallRow, Rig]:
    """Make one call, of a stream unless told otherwise, to vendors that speak Gemini; input costs 1 and output 2 dollars a million."""
    rig = Rig(*[ScriptedUpstream(script) for script in scripts], prices=Prices(input=1, output=2))
    rig.dependencies.dialects = {"openai": gemini}  # the rig's configuration knows one name; the module under it is what counts
    client = client or MemoryClient()
    run_virtual(rig.call(client, body(**{"stream": True, **fields})))
    return client, rig.rows[-1], rig


def test_a_complete_stream_costs_what_gemini_reported() -> None:
    """Thinking is output; the usage chunk has the exact cost, and stands before `[DONE]`."""
    client, row, _ = made(Script([says("one "), LAST]), stream_options={"include_usage": True})
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens, row.cost) == ("completed", 100, 10, 100 * 1_000 + 10 * 2_000)
    assert check_stream(client.body, include_usage=True) == []
    assert (content_of(client.body), events_of(client.body)[-2]["usage"]["cost"]) == ("one two", 0.00012)


def test_a_document_costs_the_same() -> None:
    """As a stream of it."""
    document = LAST.removeprefix(b"data: ")
    client, row, rig = made(Script([document], headers={}), stream=False)
    assert (row.cost, json.loads(client.body)["usage"]["cost"]) == (120_000, 0.00012)
    assert rig.rows[-1].attempts == 1


@pytest.mark.parametrize(("kind", "tokens"), [("IMAGE", "image"), ("VIDEO", "image"), ("AUDIO", "audio"), ("DOCUMENT", ""), ("TEXT", "")])
def test_what_is_seen_or_heard_is_told_apart_from_text(kind: str, tokens: str) -> None:
    """Films have the price of pictures, where that is set; documents that of text."""
    report = {
        "promptTokenCount": 100,
        "candidatesTokenCount": 7,
        "totalTokenCount": 107,
        "promptTokensDetails": [{"modality": kind, "tokenCount": 90}],
    }
    document = json.dumps(json.loads(LAST.removeprefix(b"data: ")) | {"usageMetadata": report}).encode()
    usage = made(Script([document], headers={}), stream=False)[1].billed
    seen = 0 if usage.breakdown is None else usage.breakdown.input_image_tokens
    assert (usage.input_audio_tokens, seen) == (90 * (tokens == "audio"), 90 * (tokens == "image"))


def test_a_vendor_that_keeps_the_connection_after_its_finish_ends_the_stream_within_a_second() -> None:
    """It may still report; it does not hold the client up."""
    client, row, _ = made(Script([says("one "), LAST, Stall()]))
    assert (row.outcome, client.ended, client.times[-1]) == ("completed", True, 1.0)


def test_who_leaves_pays_for_what_arrived_and_no_thinking_that_was_hidden() -> None:
    """The input in full, of the output what was delivered: the running report counts, not its thinking."""
    first = says("one two three four", promptTokenCount=100, candidatesTokenCount=4, thoughtsTokenCount=50, totalTokenCount=154)
    _, row, _ = made(Script([first, Stall(1), says(" five"), Stall()]), client=MemoryClient(leaves_after=1))
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens) == ("client_gone", 100, 4)


@pytest.mark.parametrize(
    "end",
    [
        [Break()],
        [],
        [event({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}})],
        [event({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "index": 0}]})],
    ],
    ids=["broken", "ended", "error", "malformed"],
)
def test_a_stream_that_fails_after_text_is_an_error_and_costs_what_arrived(end: list[Any]) -> None:
    """No finish, no `[DONE]`; another vendor is not asked."""
    first = says("one two three four", promptTokenCount=100, candidatesTokenCount=4, totalTokenCount=104)
    client, row, _ = made(Script([first, *end]), Script([LAST]))
    assert (row.outcome, row.attempts, row.billed.input_tokens, row.billed.output_tokens) == ("cut", 1, 100, 4)
    assert "error" in events_of(client.body)[-1]
    assert check_stream(client.body, include_usage=False) == []


def test_what_a_vendor_counts_of_a_text_with_a_signature_is_no_thinking() -> None:
    """The signature shows nothing; the tokens are the text's, and what is reported next is not raised by them."""
    chat = parse_chat(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}')
    decoder = gemini.decoder(chat, Target("google", "gemini-3-pro", "gemini", state=state()), call_id="c", created=1, protocol="openai")
    signed = {"text": "Good day.", "thoughtSignature": "c2ln"}
    for made, part in enumerate((signed, {"text": " How"}, {"text": " are"}), 3):
        event = {"candidates": [{"content": {"parts": [part]}}], "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": made}}
        decoder.feed(f"data: {json.dumps(event)}\n\n".encode())
        assert (decoder.tokens, decoder.reasoning_shown) == (made, 0)


@pytest.mark.parametrize(
    "begin",
    [
        [Break()],
        [event({"usageMetadata": {"promptTokenCount": 1}}), Break()],
        [event({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}})],
    ],
    ids=["broken", "opened", "error"],
)
def test_a_stream_that_fails_before_text_is_asked_of_the_next(begin: list[Any]) -> None:
    """A bare opening is no text; the failed try costs the caller nothing."""
    client, row, _ = made(Script(begin), Script([says("one "), LAST]))
    assert (content_of(client.body), row.outcome, row.attempts, row.cost) == ("one two", "completed", 2, 120_000)


def test_a_blocked_prompt_is_the_callers_and_costs_nothing() -> None:
    """422 with Gemini's reason, in a stream too, and nobody else is asked."""
    client, row, _ = made(Script([event({"promptFeedback": {"blockReason": "SAFETY"}})]), Script([LAST]))
    error = json.loads(client.body)["error"]
    assert (client.status, error["code"], row.attempts, row.cost) == (422, "content_policy_violation", 1, 0)
    assert "SAFETY" in error["message"]


def test_feedback_without_a_reason_blocks_nothing() -> None:
    """[fault B5] Protocol buffers name the reason that is none, too, where nothing was blocked; as a code of 0 that is no error."""
    kinds: list[dict[str, Any]] = [{"blockReason": "BLOCK_REASON_UNSPECIFIED"}, {"blockReason": ""}, {"safetyRatings": []}]
    for feedback in kinds:
        client, row, _ = made(Script([event({"promptFeedback": feedback}), says("one "), LAST]))
        assert (content_of(client.body), row.outcome) == ("one two", "completed")


def test_a_signature_that_is_refused_is_left_out_once_and_only_for_that_call() -> None:
    """The call is repeated with the documented stand-in; what another caller's history holds is sent as it is."""
    refused = Script([b'{"error":{"code":400,"message":"Corrupted thought signature.","status":"INVALID_ARGUMENT"}}'], status=400)
    vendor = ScriptedUpstream(refused, Script([says("one "), LAST]), Script([says("one "), LAST]))
    rig = Rig(vendor, prices=Prices(input=1, output=2))
    rig.dependencies.dialects = {"openai": gemini}
    history = [USER, said(call("c1", "f", "{}", "c2ln")), result("c1", "1")]

    async def two() -> None:
        for _ in range(2):
            await rig.call(MemoryClient(), body(stream=True, messages=history))

    run_virtual(two())
    assert [b"c2ln" in request.body for request in vendor.requests] == [True, False, True]
    assert [row.outcome for row in rig.rows] == ["completed", "completed"]


# Configuration and prices


def test_a_key_in_the_environment_is_enough() -> None:
    """Google's own two variables, the address of its clients with or without a version, and the header that it wants."""
    for environment, base_url in (
        ({"GEMINI_API_KEY": "k"}, "https://generativelanguage.googleapis.com/v1beta"),
        ({"GOOGLE_API_KEY": "k", "GEMINI_API_KEY": "other"}, "https://generativelanguage.googleapis.com/v1beta"),
        ({"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9/"}, "http://127.0.0.1:9/v1beta"),
        ({"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9/v1"}, "http://127.0.0.1:9/v1"),
    ):
        vendor = detect(environment)["google"].vendor
        assert (vendor.dialect, vendor.base_url) == ("gemini", base_url)
        assert proof_of(vendor).headers == (("x-goog-api-key", "k"),)
    assert "google" not in detect({"GEMINI_API_KEY": " "})


def test_vertex_takes_a_bearer() -> None:
    """By the setting."""
    vertex = Vendor(dialect="gemini", base_url="https://us-central1-aiplatform.googleapis.com/v1/x", api_key="t", api_key_as="bearer")
    assert proof_of(vertex).headers == (("authorization", "Bearer t"),)
    assert Model(to=("google/x",)).unsupported == "refuse"


@pytest.mark.parametrize(
    "base_url", ["https://generativelanguage.googleapis.com/v1beta", "https://us-central1-aiplatform.googleapis.com/v1/x"]
)
def test_the_catalogue_has_googles_prices_at_both_addresses(base_url: str) -> None:
    """So that its models work without a price of the operator's."""
    listed = catalogue_price("google", base_url, "gemini-3.5-flash")
    assert listed is not None
    assert listed.at(1_800_000_000).prices.output > 0
