"""The Cohere dialect: its corpus, however the bytes arrive; what it is asked in Cohere's words; and what calls cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aisa.answer import Reasoning
from aisa.config.schema import Prices
from aisa.errors import UpstreamFailed
from aisa.ledger.audit import exact_cost
from aisa.ledger.row import CallRow
from aisa.pricing import parts_of
from aisa.providers import cohere
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorState, VendorStates
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_stream
from aisa.wire.chat import parse_chat
from aisa.wire.reasoning_details import detail
from corpus_runner import FILES, DialectCase, cases, check_case
from dialect_cases import required
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, content_of, events_of

CORPUS = Path(__file__).parent / "corpus" / "cohere"
CASES = cases(CORPUS)
USER = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="
FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
OTHER: dict[str, Any] = {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize("folder", CASES, ids=[folder.name for folder in CASES])
def test_a_client_gets_what_the_case_says_however_the_vendors_bytes_arrive(folder: Path) -> None:
    """Output, usage and failure are those of the case's files, and the same for every split of the body."""
    check_case(DialectCase(cohere, folder))


def test_every_case_is_whole_and_none_that_the_dialect_owes_is_missing() -> None:
    """A row of the mapping without a case is red; so is a case without an end."""
    for folder in CASES:
        names = {path.name for path in folder.iterdir()}
        assert names <= FILES, folder.name
        assert names & {"client.sse", "client.json", "failure.json"}, folder.name
    assert required(cohere.NAME) - {folder.name for folder in CASES} == set()


def asked(*messages: Any, model: str = "command-a-plus-05-2026", unsupported: str = "refuse", **fields: Any) -> UpstreamRequest:
    """The request that Cohere gets for a chat of these messages."""
    chat = parse_chat(json.dumps({"model": "m", "messages": messages or [USER], **fields}).encode())
    return cohere.to_upstream(chat, Target("cohere", model, "cohere", unsupported=unsupported))


def body_of(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Its body."""
    written: dict[str, Any] = json.loads(asked(*messages, **fields).body)
    return written


def call(call_id: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    """A call in an assistant's message."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(*calls: dict[str, Any], content: str | None = None) -> dict[str, Any]:
    """An assistant's message."""
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(call_id: str, content: Any) -> dict[str, Any]:
    """A tool's."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_the_request_is_in_coheres_words() -> None:
    """Its names for the same things; what changes nothing of an answer is left out without a word."""
    idle = {"stream_options": {"include_usage": True}, "user": "u", "store": True, "service_tier": "auto", "n": 1, "verbosity": "medium"}
    written = body_of(top_p=0.5, top_k=4, stop="x", max_completion_tokens=9, seed=-7, stream=True, temperature=0.5, logprobs=True, **idle)
    assert written == {
        "model": "command-a-plus-05-2026",
        "messages": [USER],
        "stream": True,
        "max_tokens": 9,
        "temperature": 0.5,
        "p": 0.5,
        "k": 4,
        "stop_sequences": ["x"],
        "seed": 7,
        "logprobs": True,
    }
    assert asked().path == "/chat"


def test_what_is_coheres_own_passes() -> None:
    """Documents, citations, safety: as Cohere's clients write them."""
    own = {"documents": [{"id": "d", "data": {"t": "x"}}], "citation_options": {"mode": "FAST"}, "safety_mode": "STRICT", "priority": 3}
    assert {name: body_of(**own)[name] for name in own} == own


def test_a_conversation_stays_in_its_order_with_its_calls_and_pictures() -> None:
    """Instructions where they stood; arguments in the model's own text; a call without arguments has an empty object."""
    picture = {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}
    history = (
        {"role": "developer", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": "See"}, picture, {"type": "text", "text": ""}]},
        said(call("c1", "f", '{"a": 1}'), call("c2", "g", "")),
        result("c1", [{"type": "text", "text": "one"}]),
        result("c2", "two"),
        {"role": "system", "content": "T"},
        {"role": "assistant", "content": None, "refusal": "No."},
        USER,
    )
    assert body_of(*history)["messages"] == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": "See"}, picture]},
        {"role": "assistant", "tool_calls": [call("c1", "f", '{"a": 1}'), call("c2", "g", "{}")]},
        result("c1", [{"type": "text", "text": "one"}]),
        result("c2", "two"),
        {"role": "system", "content": "T"},
        {"role": "assistant", "content": "No."},
        USER,
    ]


def test_functions_of_the_older_api_are_called_and_answered() -> None:
    """They have no ids, so each call gets one by its place, and its result the same."""
    legacy = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    answer = {"role": "function", "name": "f", "content": "1"}
    written = body_of(USER, legacy, answer, legacy, answer, functions=[{"name": "f"}, {"name": "g"}], function_call={"name": "f"})
    ids = [message["tool_calls"][0]["id"] for message in written["messages"] if "tool_calls" in message]
    assert ids == [message["tool_call_id"] for message in written["messages"] if message["role"] == "tool"]
    assert len(set(ids)) == 2
    assert (written["tools"], written["tool_choice"]) == ([FUNCTION], "REQUIRED")


ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [FUNCTION]}}
MUST = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [FUNCTION]}}


@pytest.mark.parametrize(
    ("choice", "tools", "written"),
    [
        (None, [FUNCTION, OTHER], None),
        ("auto", [FUNCTION, OTHER], None),
        ("none", [FUNCTION, OTHER], "NONE"),
        ("required", [FUNCTION, OTHER], "REQUIRED"),
        ({"type": "function", "function": {"name": "f"}}, [FUNCTION], "REQUIRED"),
        (ALLOWED, [FUNCTION], None),
        (MUST, [FUNCTION], "REQUIRED"),
    ],
)
def test_every_form_of_tool_choice_has_its_words(choice: Any, tools: list[Any], written: str | None) -> None:
    """It has two: whoever names a tool gets that alone to choose from."""
    found = body_of(tools=[FUNCTION, OTHER], tool_choice=choice)
    assert (found["tools"], found.get("tool_choice")) == (tools, written)


def test_strict_functions_are_strict_tools() -> None:
    """For all of them, as there is one switch, which is not touched where none is; a function without parameters has none."""
    bare = {"type": "function", "function": {"name": "f", "strict": True}}
    assert body_of(tools=[bare])["strict_tools"] is True
    assert body_of(tools=[bare])["tools"] == [FUNCTION]
    told = {"name": "t", "description": "Tells.", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
    loose = body_of(tools=[{"type": "function", "function": told}])
    assert (loose["tools"], "strict_tools" in loose) == ([{"type": "function", "function": told}], False)
    assert body_of(tools=[bare], strict_tools=False)["strict_tools"] is False


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
            {"type": "json_object", "json_schema": {"type": "object"}},
        ),
    ],
)
def test_the_form_of_an_answer_is_a_schema_there_too(form: Any, written: Any) -> None:
    """Under another name."""
    assert body_of(response_format=form).get("response_format") == written


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({}, None),
        ({"reasoning_effort": "none"}, {"type": "disabled"}),
        ({"reasoning_effort": "minimal"}, {"type": "enabled", "token_budget": 1_024}),
        ({"reasoning_effort": "low"}, {"type": "enabled", "token_budget": 1_024}),
        ({"reasoning_effort": "high"}, {"type": "enabled"}),
        ({"reasoning_effort": "xhigh"}, {"type": "enabled"}),
        ({"reasoning_effort": "medium"}, {"type": "enabled", "token_budget": 8_192}),
        ({"reasoning_effort": "max"}, {"type": "enabled"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 50}}, {"type": "enabled", "token_budget": 50}),
        ({"thinking": {"type": "disabled", "budget_tokens": 50}}, {"type": "disabled"}),
        ({"reasoning_effort": "none", "model": "command-r7b-12-2024"}, None),
    ],
)
def test_effort_is_a_budget(fields: dict[str, Any], thinking: Any) -> None:
    """Of models that think; the others do not have to be told not to."""
    assert body_of(**fields).get("thinking") == thinking


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"n": 2}, "n"),
        ({"parallel_tool_calls": False, "tools": [FUNCTION]}, "parallel_tool_calls"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"verbosity": "low"}, "verbosity"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
        ({"reasoning_effort": "low", "model": "command-r-08-2024"}, "reasoning_effort"),
        ({"reasoning_effort": "vast"}, "reasoning_effort"),
        ({"top_logprobs": 2, "logprobs": True}, "top_logprobs"),
    ],
)
def test_what_it_lacks_is_refused_by_name_or_left_out_and_told(fields: dict[str, Any], param: str) -> None:
    """As the model's entry has it."""
    with pytest.raises(UpstreamFailed) as failed:
        asked(**fields)
    assert (failed.value.error.code, failed.value.error.param) == ("unsupported_parameter", param)
    assert asked(unsupported="drop", **fields).dropped == (param,)


@pytest.mark.parametrize(
    "part", [{"type": "input_audio", "input_audio": {"data": "UklG"}}, {"type": "file", "file": {"file_data": "JVBE"}}]
)
def test_content_that_it_cannot_be_shown_is_never_left_out(part: dict[str, Any]) -> None:
    """Whatever the model's entry says of parameters: another target may take it."""
    with pytest.raises(UpstreamFailed) as failed:
        asked({"role": "user", "content": [{"type": "text", "text": "See"}, part]}, unsupported="drop")
    assert (failed.value.error.param, failed.value.may_fall_back) == ("messages[0].content[1]", True)


def test_numbers_beyond_its_bounds_are_moved_to_them_and_told() -> None:
    """The nearest that it takes."""
    request = asked(top_p=1, frequency_penalty=-1.5, presence_penalty=2, service_tier="priority")
    written = json.loads(request.body)
    assert (written["p"], written["frequency_penalty"], written["presence_penalty"]) == (0.99, 0, 1)
    assert request.changed == ("service_tier=default", "top_p=0.99", "frequency_penalty=0", "presence_penalty=1")


def test_what_a_model_planned_goes_back_with_its_calls() -> None:
    """Sealed where the client brings it back, else kept by the call's id; another account's is as good as none."""
    states = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0))
    mine, theirs = states.of("a", "cohere"), states.of("b", "cohere")
    case = DialectCase(cohere, CORPUS / "thinking-before-a-tool-call")
    decoder = cohere.decoder(case.chat, Target("cohere", "m", "cohere", state=mine), call_id="1", created=1, protocol="openai")
    parts = decoder.feed(case.upstream)
    [seal] = [part.signature for part in parts if isinstance(part, Reasoning) and part.signature]

    def sent(state: VendorState, *, details: bool) -> dict[str, Any]:
        back = {**said(call("weather_1", "weather")), **({"reasoning_details": [detail(seal, 0)]} if details else {})}
        chat = parse_chat(json.dumps({"model": "m", "messages": [USER, back, result("weather_1", "1")]}).encode())
        written: dict[str, Any] = json.loads(cohere.to_upstream(chat, Target("cohere", "m", "cohere", state=state)).body)["messages"][1]
        return written

    whole = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Oslo is north."}],
        "tool_plan": "I look it up.",
        "tool_calls": [call("weather_1", "weather")],
    }
    forgetful = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0)).of("a", "cohere")
    bare = {"role": "assistant", "tool_calls": [call("weather_1", "weather")]}
    assert [sent(mine, details=True), sent(mine, details=False), sent(forgetful, details=True)] == [whole] * 3
    assert [sent(theirs, details=True), sent(theirs, details=False), sent(forgetful, details=False)] == [bare] * 3


# Calls


def sse(*events: dict[str, Any]) -> bytes:
    """Events of Cohere's."""
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def says(text: str) -> bytes:
    """A piece of text."""
    return sse({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}})


COUNTS = {"tokens": {"input_tokens": 66, "output_tokens": 20}, "billed_units": {"input_tokens": 6, "output_tokens": 5}, "cached_tokens": 16}
START = sse({"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}})
END = sse({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": COUNTS}})


def made(*scripts: Script, client: MemoryClient | None = None, **fields: Any) -> tuple[MemoryClient, CallRow, Rig]:
    """Make one call, of a stream unless told otherwise, to vendors that speak Cohere; input costs 1 and output 2 dollars a million."""
    rig = Rig(*[ScriptedUpstream(script) for script in scripts], prices=Prices(input=1, output=2))
    rig.dependencies.dialects = {"openai": cohere}
    client = client or MemoryClient()
    run_virtual(rig.call(client, body(**{"stream": True, **fields})))
    return client, rig.rows[-1], rig


def test_usage_shows_what_was_processed_and_the_bill_is_of_what_is_charged() -> None:
    """Billed units are what costs; the rest is in the receipt, free."""
    client, row, _ = made(Script([START, says("one "), says("two"), END]), stream_options={"include_usage": True})
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens, row.cost) == ("completed", 66, 20, 6 * 1_000 + 5 * 2_000)
    usage = events_of(client.body)[-2]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["cost"]) == (66, 20, 0.000016)
    assert row.prices is not None
    assert exact_cost(row.billed, row.prices) == row.cost
    free = {part.kind: part.quantity for part in parts_of(row.billed, row.prices) if part.amount == 0}
    assert free == {"uncharged_input": 60, "uncharged_output": 15}
    assert check_stream(client.body, include_usage=True) == []


def test_who_leaves_before_the_end_pays_for_what_arrived() -> None:
    """Nothing has said yet that some of it is free."""
    _, row, _ = made(Script([START, says("one "), Stall(1), says("two"), Stall()]), client=MemoryClient(leaves_after=1))
    assert (row.outcome, row.billed.output_tokens, row.billed.breakdown) == ("client_gone", 1, None)


@pytest.mark.parametrize(
    "end", [[Break()], [], [sse({"type": "error", "message": "internal server error"})]], ids=["broken", "ended", "error"]
)
def test_a_stream_that_fails_after_text_is_an_error_and_costs_what_arrived(end: list[Any]) -> None:
    """No finish, no `[DONE]`; another vendor is not asked."""
    client, row, _ = made(Script([START, says("one "), *end]), Script([START, END]))
    assert (row.outcome, row.attempts, row.billed.output_tokens) == ("cut", 1, 1)
    assert "error" in events_of(client.body)[-1]
    assert check_stream(client.body, include_usage=False) == []


def test_a_stream_that_only_opened_is_asked_of_the_next() -> None:
    """A bare opening is no text."""
    client, row, _ = made(Script([START, Break()]), Script([START, says("one "), END]))
    assert (content_of(client.body), row.outcome, row.attempts) == ("one ", "completed", 2)
