"""The Responses dialect: what a chat comes to at such a vendor, and what its events and documents come to for every client."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from openai.types.responses import Response
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from aisa.answer import Part
from aisa.config.schema import Prices
from aisa.errors import UpstreamFailed
from aisa.facts import InputChanged
from aisa.ledger.row import CallRow
from aisa.observe.words import in_words
from aisa.providers import openai, responses
from aisa.providers.openai_answer import AnswerDecoder
from aisa.providers.shape import Asked, Decoder, Target
from aisa.providers.vendor_state import Memory, Seals, VendorState
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_answer, check_stream
from aisa.usage import COUNTED, IMPLAUSIBLE, REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.responses import parse_responses
from aisa.wire.responses_door import RESPONSES_DOOR
from responses_reading import EVENT, codex_turn, events_in, faults_in, streamed
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, content_of
from rig import events_of as chunks_of

Json = dict[str, Any]
STATE = VendorState(Seals(b"k" * 64), Memory(lambda: 0.0), account="default", vendor="acme")
TARGET = Target("acme", "m-1", "responses", state=STATE)
USED = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
    "output_tokens": 14,
    "output_tokens_details": {"reasoning_tokens": 6},
    "total_tokens": 44,
}
PARAMS: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsNonStreaming)
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def response(status: str = "completed", output: Sequence[Json] = (), **members: object) -> Json:
    """A vendor's response object."""
    head = {"id": "resp_v", "object": "response", "created_at": 7, "status": status, "model": "m-1", "output": list(output)}
    asked = {
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1,
    }
    return {**head, "error": None, "incomplete_details": None, "usage": None, "store": True, **asked, **members}


def numbered(events: Iterable[Json]) -> list[bytes]:
    """The events of a stream as a vendor sends them."""
    made = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    return [f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode() for event in made]


def message(*words: str, index: int = 0, **more: object) -> tuple[list[Json], Json]:
    """The events of a message, a word a delta, and the whole of it."""
    item = {"id": f"msg_{index}", "type": "message", "role": "assistant", "status": "completed", **more}
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = {"type": "output_text", "text": "".join(words), "annotations": [], "logprobs": []}
    whole = {**item, "content": [part]}
    said = [{"type": "response.output_text.delta", **place, "delta": word, "logprobs": [], "obfuscation": "xx"} for word in words]
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {**item, "status": "in_progress", "content": []}},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *said,
        {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": index, "item": whole},
    ], whole


def thought(*words: str, index: int = 0) -> tuple[list[Json], Json]:
    """The events of reasoning with a seal of the vendor's, and the whole of it."""
    place = {"item_id": f"rs_{index}", "output_index": index, "summary_index": 0}
    part = {"type": "summary_text", "text": "".join(words)}
    item: Json = {"id": f"rs_{index}", "type": "reasoning", "summary": [part], "encrypted_content": "Z0FB"}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {"id": f"rs_{index}", "type": "reasoning", "summary": []}},
        {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}},
        *[{"type": "response.reasoning_summary_text.delta", **place, "delta": word} for word in words],
        {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]},
        {"type": "response.reasoning_summary_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ], item


def called(*given: str, index: int = 0, custom: bool = False, **more: object) -> tuple[list[Json], Json]:
    """The events of a call, and the whole of it."""
    kind, member, stem = (
        ("custom_tool_call", "input", "custom_tool_call_input") if custom else ("function_call", "arguments", "function_call_arguments")
    )
    item = {"id": f"fc_{index}", "type": kind, "call_id": f"call_{index}", "name": "look", "status": "completed", **more}
    place = {"item_id": item["id"], "output_index": index}
    whole = {**item, member: "".join(given)}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {**item, member: "", "status": "in_progress"}},
        *[{"type": f"response.{stem}.delta", **place, "delta": part} for part in given],
        {"type": f"response.{stem}.done", **place, member: whole[member], "name": "look"},
        {"type": "response.output_item.done", "output_index": index, "item": whole},
    ], whole


def stream_of(*items: tuple[list[Json], Json], end: Json | None = None, used: Json | None = USED, **members: object) -> list[bytes]:
    """A whole stream of items."""
    output = [whole for _, whole in items]
    ended = end or {"type": "response.completed", "response": response(output=output, usage=used, **members)}
    opening = [{"type": kind, "response": response("in_progress")} for kind in ("response.created", "response.in_progress")]
    return numbered([*opening, *[event for events, _ in items for event in events], ended])


FULL = stream_of(thought("Look ", "first."), message("One ", "moment.", index=1, phase="commentary"), called('{"a"', ":1}", index=2))
PLAIN = stream_of(message("one ", "two "))


def chat(**fields: object) -> bytes:
    """A chat request."""
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}], **fields}).encode()


def upstream(target: Target = TARGET, **fields: object) -> Json:
    """What a vendor is asked for a chat request."""
    asked = responses.to_upstream(parse_chat(chat(**fields)), target)
    assert asked.path == "/responses"
    body: Json = json.loads(asked.body)
    PARAMS.validate_python(body)
    return body


def decoded(
    data: Sequence[bytes], *, protocol: str = "openai", door: Door = CHAT_DOOR, stream: bool = True, **fields: object
) -> tuple[bytes, Decoder]:
    """What a client gets of a vendor's bytes, each of which came in one read, and the decoder."""
    asked = chat(stream=stream, **fields) if door is CHAT_DOOR else json.dumps({"model": "m", "input": "Hi.", "stream": stream}).encode()
    request = door.read(asked)
    decoder = responses.decoder(request, TARGET, call_id="req_1", created=1, protocol=protocol)
    encoder = door.encoder(request, call_id="req_1", created=1)
    parts: list[Sequence[Part]] = [decoder.feed(piece) for piece in data if not (decoder.done or decoder.failure)]
    if not (decoder.done or decoder.failure):
        parts.append(decoder.end())
    written = [piece.data for found in parts if found and (piece := encoder.write(found)) is not None]
    closing = b"" if decoder.failure else encoder.closing(decoder.closing(None))
    return b"".join(written) + closing, decoder


# Requests


def test_a_chat_is_asked_in_the_words_of_responses() -> None:
    """Nothing is stored, reasoning comes sealed, tools stand flat and are as strict as they were."""
    schema = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}}
    assert upstream(
        messages=[
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "See."}, {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}],
            },
            {
                "role": "assistant",
                "content": "Hm.",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        tools=[LOOK],
        tool_choice={"type": "function", "function": {"name": "look"}},
        response_format=schema,
        reasoning_effort="high",
        verbosity="low",
        max_completion_tokens=50,
        temperature=0.5,
        logprobs=True,
        top_logprobs=2,
        n=1,
        presence_penalty=0,
        stop=None,
        store=True,
        user="u",
    ) == {
        "model": "m-1",
        "input": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "See."},
                    {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "auto"},
                ],
            },
            {"role": "assistant", "content": "Hm."},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        ],
        "store": False,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "tools": [{"type": "function", "parameters": {"type": "object"}, "strict": False, "name": "look"}],
        "tool_choice": {"type": "function", "name": "look"},
        "temperature": 0.5,
        "top_logprobs": 2,
        "user": "u",
        "max_output_tokens": 50,
        "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_schema", "name": "n", "strict": True, "schema": {"type": "object"}}, "verbosity": "low"},
    }


def test_what_both_apis_have_goes_along_and_every_kind_of_content_has_its_words() -> None:
    """Files, what was refused, strictness, and a search of the web."""
    same = {
        "top_p": 0.5,
        "parallel_tool_calls": False,
        "service_tier": "flex",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "prompt_cache_options": {"ttl": "12h"},
        "metadata": {"a": "b"},
        "moderation": {"model": "m"},
    }
    strict = {"type": "function", "function": {"name": "f", "description": "Finds.", "strict": True}}
    near = {"type": "approximate", "approximate": {"city": "Oslo"}}
    body = upstream(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}}]},
            {"role": "assistant", "content": None, "refusal": "No."},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,eA==", "detail": "low"}}]},
        ],
        tools=[strict],
        tool_choice="required",
        web_search_options={"search_context_size": "low", "user_location": near},
        response_format={"type": "json_object"},
        **same,
    )
    assert {name: body[name] for name in same} == same
    assert body["input"] == [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}]},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,eA==", "detail": "low"}]},
    ]
    assert body["tools"] == [
        {"type": "function", "name": "f", "description": "Finds.", "parameters": None, "strict": True},
        {"type": "web_search", "search_context_size": "low", "user_location": {"type": "approximate", "city": "Oslo"}},
    ]
    assert (body["tool_choice"], body["text"]) == ("required", {"format": {"type": "json_object"}})


def test_custom_tools_allowed_tools_and_the_older_form_are_asked() -> None:
    """Calls in the older form have no ids, and get some."""
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}
    custom = {"type": "custom", "custom": {"name": "patch", "format": grammar}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "patch"}}]}}
    past = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "patch", "input": "***"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]
    body = upstream(messages=past, tools=[custom], tool_choice=allowed)
    assert body["input"][1:] == [
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "***"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
    ]
    assert body["tools"] == [{"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}]
    assert body["tool_choice"] == {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "patch"}]}
    older = [
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "4"},
    ]
    body = upstream(messages=[past[0], *older, *older], functions=[{"name": "look"}], function_call={"name": "look"})
    assert [item.get("call_id") for item in body["input"]][1:] == [
        "call_of_function_0",
        "call_of_function_0",
        "call_of_function_1",
        "call_of_function_1",
    ]
    assert body["input"][1:3] == [
        {"type": "function_call", "call_id": "call_of_function_0", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_of_function_0", "output": "4"},
    ]
    assert (body["tools"][0]["name"], body["tool_choice"]) == ("look", {"type": "function", "name": "look"})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop": ["x"]}, "stop"),
        ({"seed": 7}, "seed"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"n": 2}, "n"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "v", "format": "wav"}}, "audio"),
    ],
)
def test_what_this_api_cannot_do_is_refused_by_name_or_dropped(fields: Json, param: str) -> None:
    """As the model's entry says; another target may be able to."""
    with pytest.raises(UpstreamFailed) as refused:
        responses.to_upstream(parse_chat(chat(**fields)), TARGET)
    assert (refused.value.error.status, refused.value.error.param) == (422, param)
    if param != "audio":
        asked = responses.to_upstream(parse_chat(chat(**fields)), Target("acme", "m-1", "responses", unsupported="drop"))
        assert asked.dropped == (param,)
        assert param not in json.loads(asked.body)


def test_a_bound_below_what_can_be_asked_is_moved_and_told() -> None:
    """To the least that OpenAI takes."""
    asked = responses.to_upstream(parse_chat(chat(max_tokens=5)), TARGET)
    assert (json.loads(asked.body)["max_output_tokens"], asked.changed) == (16, ("max_tokens=16",))


def test_a_vendor_that_refuses_to_seal_is_asked_without() -> None:
    """It is our wish, and no fault of the caller's."""
    failure = responses.read_failure(
        400,
        {},
        b'{"error":{"message":"Unsupported include: reasoning.encrypted_content","param":"include"}}',
        target=TARGET,
        asked=Asked(0.0, responses.to_upstream(parse_chat(chat()), TARGET).added),
    )
    assert failure.refused == ("encrypted_content",)
    assert "include" not in upstream(Target("acme", "m-1", "responses", omit=("encrypted_content",)))


def test_a_request_of_this_protocol_passes_but_that_nothing_is_stored() -> None:
    """Whatever is in it; reasoning without a seal that this vendor could read is left out, as nobody kept it."""
    thoughts = [
        {"type": "reasoning", "id": f"rs_{number}", "summary": [], **seal}
        for number, seal in enumerate(({"encrypted_content": "Z"}, {}, {"encrypted_content": "aisa1.x"}))
    ]
    body = {
        "model": "m",
        "store": True,
        "tools": [{"type": "file_search", "vector_store_ids": ["v"]}],
        "new_field": {"b": 1, "a": 2},
        "include": ["x"],
    }
    own = parse_responses(json.dumps({**body, "input": [{"role": "user", "content": "Hi."}, *thoughts]}).encode())
    asked = json.loads(responses.to_upstream(own, TARGET).body)
    assert asked == {
        **body,
        "model": "m-1",
        "store": False,
        "include": ["x", "reasoning.encrypted_content"],
        "input": [{"role": "user", "content": "Hi."}, thoughts[0]],
    }


@pytest.mark.parametrize(
    ("model", "fields", "path"),
    [
        ("gpt-5-pro", {}, "/responses"),
        ("gpt-5.1-codex-max", {}, "/responses"),
        ("o3-deep-research", {}, "/responses"),
        ("gpt-5.4", {"tools": [LOOK], "reasoning_effort": "low"}, "/responses"),
        ("gpt-6", {"functions": [{"name": "f"}], "reasoning_effort": "low"}, "/responses"),
        ("gpt-5.4", {"tools": [LOOK]}, "/chat/completions"),
        ("gpt-5.4", {"tools": [LOOK], "reasoning_effort": "none"}, "/chat/completions"),
        ("gpt-5.4", {"reasoning_effort": "low"}, "/chat/completions"),
        ("gpt-5.2", {"tools": [LOOK], "reasoning_effort": "low"}, "/chat/completions"),
        ("gpt-4.1", {}, "/chat/completions"),
    ],
)
def test_openai_is_asked_where_it_will_not_refuse(model: str, fields: Json, path: str) -> None:
    """By itself, and nobody else: another vendor's entry says which API it speaks. What came as Responses goes there as Responses."""
    target = Target("openai", model, "openai", host="api.openai.com")
    assert openai.to_upstream(parse_chat(chat(**fields)), target).path == path
    assert openai.to_upstream(parse_chat(chat(**fields)), Target("acme", model, "openai", host="acme.example")).path == "/chat/completions"
    own = parse_responses(b'{"model":"m","input":"Hi."}')
    assert openai.to_upstream(own, target).path == "/responses"
    answer = openai.decoder(parse_chat(chat(**fields)), target, call_id="1", created=1, protocol="openai")
    assert isinstance(answer, AnswerDecoder) == (path == "/chat/completions")


# Answers


@pytest.mark.parametrize("split", ["whole", "events", "bytes"])
def test_a_stream_is_a_chat_for_a_chat_client(split: str) -> None:
    """Thinking, text and a call, conformant, at every split; with what the vendor reported."""
    whole = b"".join(FULL)
    data = {"whole": [whole], "events": FULL, "bytes": [whole[place : place + 1] for place in range(len(whole))]}[split]
    sent, decoder = decoded(data, tools=[LOOK])
    assert check_stream(sent, include_usage=False, choices=1) == []
    deltas = [item["choices"][0]["delta"] for item in chunks_of(sent) if isinstance(item, dict)]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Look first."
    assert content_of(sent) == "One moment."
    [opening, *rest] = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert (opening["id"], opening["function"]["name"]) == ("call_2", "look")
    assert "".join(call["function"]["arguments"] for call in [opening, *rest]) == '{"a":1}'
    assert [item["choices"][0]["finish_reason"] for item in chunks_of(sent) if isinstance(item, dict)][-1] == "tool_calls"
    used = decoder.usage()
    assert (used.input_tokens, used.cached_tokens, used.output_tokens, used.reasoning_tokens, used.source) == (30, 8, 14, 6, REPORTED)


def test_every_cut_of_a_stream_is_a_failure_behind_what_came() -> None:
    """Never a finish; the same for its own clients, who get no end."""
    for data in (FULL, PLAIN):
        for cut in range(1, len(data)):
            for protocol, door in (("openai", CHAT_DOOR), ("responses", RESPONSES_DOOR)):
                sent, decoder = decoded(data[:cut], protocol=protocol, door=door)
                assert decoder.failure is not None
                assert decoder.failure.error.code == "upstream_unavailable"
                assert b'"finish_reason":"' not in sent
                assert b"response.completed" not in sent


def test_a_document_is_a_chat_for_a_chat_client() -> None:
    """The same answer as its stream."""
    output = [thought("Look ", "first.")[1], message("One ", "moment.", index=1)[1], called('{"a"', ":1}", index=2)[1]]
    sent, decoder = decoded([json.dumps(response(output=output, usage=USED)).encode()], stream=False, tools=[LOOK])
    assert check_answer(sent) == []
    [choice] = json.loads(sent)["choices"]
    assert (choice["message"]["content"], choice["message"]["reasoning_content"], choice["finish_reason"]) == (
        "One moment.",
        "Look first.",
        "tool_calls",
    )
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"a":1}'}
    assert decoder.usage().output_tokens == 14


@pytest.mark.parametrize(
    ("details", "finish"),
    [
        ("max_output_tokens", "length"),
        ("max_messages", "length"),
        ("content_filter", "content_filter"),
        ("steered", "stop"),
        ("a_bound_of_next_year", "length"),
        ("", "length"),
        (None, "length"),
    ],
)
def test_the_reasons_for_which_an_answer_is_not_whole_are_known(details: str | None, finish: str) -> None:
    """Each in the client's words; [fault W3] what was cut for a reason that nobody knows is no `stop`."""
    why = None if details is None else {"reason": details}
    end = {"type": "response.incomplete", "response": response("incomplete", incomplete_details=why, usage=USED)}
    sent, decoder = decoded(stream_of(message("Hi"), end=end))
    assert [item["choices"][0]["finish_reason"] for item in chunks_of(sent) if isinstance(item, dict)][-1] == finish
    assert decoder.unknown == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "rate_limit_exceeded", "message": "slow down"}, "upstream_rate_limit"),
        ({"code": "server_error", "message": "oops"}, "upstream_unavailable"),
        ({"code": "bio_policy", "message": "no"}, "content_policy_violation"),
        ({"code": "misalignment_policy_violation", "message": "no"}, "content_policy_violation"),
        ({"code": "data_residency_mismatch", "message": "no"}, "invalid_request"),
    ],
)
def test_failures_inside_an_answer_are_judged_in_every_form(error: Json, code: str) -> None:
    """As `response.failed`, as `error` flat and nested, as a document that failed; before and behind a word."""
    forms = [
        {"type": "response.failed", "response": response("failed", error=error)},
        {"type": "error", **error, "param": None},
        {"type": "error", "error": error},
    ]
    for form in forms:
        for events in ([], message("Hi")[0][:3]):
            for protocol, door in (("openai", CHAT_DOOR), ("responses", RESPONSES_DOOR)):
                _, decoder = decoded(numbered([*events, form]), protocol=protocol, door=door)
                assert decoder.failure is not None
                assert decoder.failure.error.code == code
    _, decoder = decoded([json.dumps(response("failed", error=error)).encode()], stream=False)
    assert decoder.failure is not None
    assert decoder.failure.error.code == code


def test_what_was_left_out_of_the_pieces_is_told_at_the_end() -> None:
    """Some servers send no deltas, some only the last event; nothing is told twice."""
    events, whole = message("One ", "moment.")
    calls, call = called('{"a":1}', index=1)
    last = {"type": "response.completed", "response": response(output=[whole, call], usage=USED)}
    for sent in ([last], [events[0], events[-1], calls[0], calls[-1], last], [*events, last], [*events[:3], last], [*events, *calls, last]):
        said, _ = decoded(numbered(sent), tools=[LOOK])
        assert content_of(said) == "One moment."
        deltas = [item["choices"][0]["delta"] for item in chunks_of(said) if isinstance(item, dict)]
        assert "".join(piece["function"]["arguments"] for delta in deltas for piece in delta.get("tool_calls", [])) == '{"a":1}'


def test_two_messages_are_apart_and_so_are_the_parts_of_a_summary() -> None:
    """A commentary and an answer would otherwise run into each other."""
    sent, _ = decoded(stream_of(message("One moment.", phase="commentary"), message("Four.", index=1, phase="final_answer")))
    assert content_of(sent) == "One moment.\n\nFour."


def test_the_phase_of_each_message_goes_back_with_it() -> None:
    """In its place among what was thought and called; a text that the client has changed is one message without."""
    spoken = message("One moment.", phase="commentary"), message("Four.", index=1, phase="final_answer")
    sent, _ = decoded(stream_of(*spoken))
    details = [entry for item in chunks_of(sent) if isinstance(item, dict) for entry in details_in(item)]
    turn = {"role": "assistant", "content": "One moment.\n\nFour.", "reasoning_details": details}
    past = [{"role": "user", "content": "Hi."}, turn, {"role": "user", "content": "And?"}]
    assert upstream(messages=past)["input"][1:3] == [
        {"role": "assistant", "content": "One moment.", "phase": "commentary"},
        {"role": "assistant", "content": "Four.", "phase": "final_answer"},
    ]
    changed = [past[0], {**turn, "content": "Five."}, past[2]]
    assert upstream(messages=changed)["input"][1] == {"role": "assistant", "content": "Five."}


def details_in(chunk: dict[str, Any]) -> list[Any]:
    """What a chunk gives to be sent back."""
    return [entry for choice in chunk["choices"] for entry in choice["delta"].get("reasoning_details", [])]


def test_marks_for_the_cache_stay_on_their_parts() -> None:
    """Of texts, pictures and files, for as long as they say."""
    mark = {"mode": "explicit", "ttl": "12h"}
    parts = [
        {"type": "text", "text": "See", "prompt_cache_breakpoint": mark},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}, "prompt_cache_breakpoint": mark},
        {"type": "file", "file": {"file_id": "f1"}, "prompt_cache_breakpoint": mark},
        {"type": "text", "text": "?"},
    ]
    body = upstream(messages=[{"role": "user", "content": parts}], prompt_cache_options={"ttl": "30m"})
    assert [part.get("prompt_cache_breakpoint") for part in body["input"][0]["content"]] == [mark, mark, mark, None]
    assert body["prompt_cache_options"] == {"ttl": "30m"}


def test_custom_calls_refusals_notes_and_log_probabilities_are_told() -> None:
    """Each as chat completions have it."""
    sent, _ = decoded(stream_of(called("*** ", "Begin", custom=True)), tools=[{"type": "custom", "custom": {"name": "look"}}])
    deltas = [item["choices"][0]["delta"] for item in chunks_of(sent) if isinstance(item, dict)]
    assert "".join(call["custom"]["input"] for delta in deltas for call in delta.get("tool_calls", [])) == "*** Begin"
    events, whole = message("Hi")
    entry = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    events[2]["logprobs"] = [entry]
    note = {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "t", "url": "https://a.example"}
    place = {"item_id": "msg_0", "output_index": 0, "content_index": 0}
    events.insert(3, {"type": "response.output_text.annotation.added", **place, "annotation_index": 0, "annotation": note})
    refused = {"type": "response.refusal.delta", "item_id": "msg_0", "output_index": 0, "content_index": 1, "delta": "No."}
    events.insert(4, refused)
    chunks = [item["choices"][0] for item in chunks_of(decoded(stream_of((events, whole)))[0]) if isinstance(item, dict)]
    assert [choice["logprobs"]["content"] for choice in chunks if choice.get("logprobs")] == [[entry]]
    assert [choice["delta"]["refusal"] for choice in chunks if choice["delta"].get("refusal")] == ["No."]
    [told] = [choice["delta"]["annotations"] for choice in chunks if "annotations" in choice["delta"]]
    assert told[0]["url_citation"] == {name: value for name, value in note.items() if name != "type"}


def test_reasoning_comes_back_sealed_by_the_client_or_from_memory() -> None:
    """In the next turn it stands before what it led to, as the vendor gave it; not for another account or vendor."""
    sent, _ = decoded(FULL, tools=[LOOK])
    details = [entry for item in chunks_of(sent) if isinstance(item, dict) for entry in details_in(item)]
    call = {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    past = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "One moment.", "tool_calls": [call]}]
    result = {"role": "tool", "tool_call_id": "call_2", "content": "4"}
    _, item = thought("Look ", "first.")
    for turn in ({**past[1], "reasoning_details": details}, past[1]):
        assert [given.get("type", given.get("role")) for given in upstream(messages=[past[0], turn, result])["input"]] == [
            "user",
            "reasoning",
            "assistant",
            "function_call",
            "function_call_output",
        ]
        assert upstream(messages=[past[0], turn, result])["input"][1] == item
    other = Target("acme", "m-1", "responses", state=VendorState(Seals(b"k" * 64), Memory(lambda: 0.0), account="other", vendor="acme"))
    assert "reasoning" not in [
        given.get("type") for given in upstream(other, messages=[past[0], {**past[1], "reasoning_details": details}, result])["input"]
    ]


def test_cache_writes_by_how_long_they_last_and_searches_are_read() -> None:
    """From the report and from what stands beside it."""
    used = {
        **USED,
        "input_tokens_details": {
            "cached_tokens": 8,
            "cache_write_tokens": 9,
            "cache_write_tokens_details": {"ttl_30m_tokens": 4, "ttl_12h_tokens": 5},
        },
    }
    _, decoder = decoded(stream_of(message("Hi"), used=used, tool_usage={"web_search": {"num_requests": 3}}, service_tier="flex"))
    more = decoder.usage().breakdown
    assert more is not None
    assert (more.cache_write_30m_tokens, more.cache_write_12h_tokens, more.searches) == (4, 5, 3)
    assert decoder.tier == "flex"


def drawn_by(image_gen: Any, used: Any = USED) -> Usage:
    """The tokens of an answer whose tool has made pictures, by this report of it."""
    _, decoder = decoded(stream_of(message("Hi"), used=used, tool_usage={"image_gen": image_gen}))
    return decoder.usage()


def test_pictures_that_a_tool_made_are_billed_beside_the_report() -> None:
    """Their tokens stand in no sum of usage. More of them than `max_output_tokens` lets be written are possible; what cannot be is not."""
    plain = drawn_by({})
    told = {"input_tokens": 300, "output_tokens": 4_160, "total_tokens": 4_460}
    parts = {
        "input_tokens_details": {"text_tokens": 100, "image_tokens": 200},
        "output_tokens_details": {"image_tokens": 4_100, "text_tokens": 60},
    }
    found = drawn_by({**told, **parts, "cached_tokens": 50})
    assert (found.input_tokens, found.output_tokens, found.source) == (plain.input_tokens + 300, plain.output_tokens + 4_160, REPORTED)
    assert found.cached_tokens == plain.cached_tokens + 50
    assert found.breakdown is not None
    assert (found.breakdown.input_image_tokens, found.breakdown.output_image_tokens) == (200, 4_100)
    bare = drawn_by(told)  # its details may be left out
    assert bare.breakdown is not None
    assert (bare.output_tokens, bare.breakdown.output_image_tokens) == (plain.output_tokens + 4_160, 4_160)
    for nothing in ({"input_tokens": 0, "output_tokens": 0}, {"output_tokens": "many"}, [], None):
        assert drawn_by(nothing) == plain
    assert drawn_by({"input_tokens": 0, "output_tokens": 2_000_000}).source == IMPLAUSIBLE
    assert drawn_by(told, {"total_tokens": 9}).output_tokens == drawn_by({}, {"total_tokens": 9}).output_tokens


def test_the_scripts_of_these_tests_are_what_openais_types_take() -> None:
    """So that they prove something."""
    for data in (FULL, PLAIN):
        for event in events_in(b"".join(data)):
            EVENT.validate_python(event)
        assert faults_in(b"".join(data)) == []
        streamed(b"".join(data))


# Calls through the path


class Vendor(Rig):
    """A rig whose vendors speak this dialect."""

    def __init__(self, *scripts: Script, public: bool = False) -> None:
        names = {"name_in_answers": "own"} if public else {}
        super().__init__(*[ScriptedUpstream(script) for script in scripts], prices=Prices(input=1, output=2), **names)
        self.dependencies.dialects = {"openai": responses}

    def ask(self, client: MemoryClient, door: Door, *, stream: bool = True) -> CallRow:
        """Make one call; returns its row."""
        data = json.dumps({"model": "fast", "input": "Hi.", "stream": stream}).encode()
        if door is CHAT_DOOR:
            data = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "Hi."}], "stream": stream}).encode()
        run_virtual(self.call(client, data, door=door))
        return self.rows[-1]


IN, OUT = 1_000, 2_000
doors = pytest.mark.parametrize("door", [CHAT_DOOR, RESPONSES_DOOR], ids=["chat", "responses"])


TAKEN = [{"id": "rs_1", "type": "reasoning", "action": "removed", "reason": f"{why}_mismatch"} for why in ("prefix", "model", "prefix")]


@doors
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
def test_an_operator_is_told_once_that_a_vendor_has_changed_its_input(door: Door, stream: bool) -> None:
    """Each kind of change, whichever door; of an answer that says that nothing was changed, nothing."""
    said, whole = message("one ", "two ")

    def told_of(taken: object) -> list[InputChanged]:
        told = response(output=[whole], usage=USED, input_transformations=taken)
        created, done = ({"type": f"response.{kind}", "response": told} for kind in ("created", "completed"))
        rig = Vendor(Script(numbered([created, *said, done]) if stream else [json.dumps(told).encode()]))
        assert [rig.ask(MemoryClient(), door, stream=stream).outcome for _ in range(2)] == ["completed"] * 2
        return [fact for fact in rig.facts if isinstance(fact, InputChanged)]

    assert told_of([]) + told_of(None) + told_of("odd") == []
    [fact] = told_of(TAKEN)
    assert (fact.model, fact.changes) == ("some-model", "reasoning removed (model_mismatch), reasoning removed (prefix_mismatch)")
    assert "has changed what some-model was sent: reasoning removed (model" in in_words(fact)
    [fact] = told_of([{"type": "x" * 10**3, "action": {}, "reason": str(number)} for number in range(10**3)])
    assert len(fact.changes) < 1_000


@doors
def test_a_call_costs_what_the_vendor_reported(door: Door) -> None:
    """Streamed and whole, through either door."""
    for steps, stream in (
        (PLAIN, True),
        ([b"".join(PLAIN)], True),
        ([json.dumps(response(output=[message("one ", "two ")[1]], usage=USED)).encode()], False),
    ):
        client = MemoryClient()
        row = Vendor(Script(steps)).ask(client, door, stream=stream)
        assert (row.outcome, row.billed.output_tokens, row.cost) == ("completed", 14, 30 * IN + 14 * OUT)
        if door is RESPONSES_DOOR:
            end = codex_turn(client.body)[1]["response"] if stream else json.loads(client.body)
            assert (end["usage"]["cost"], end["store"], Response.model_validate(end).id) == (0.000058, False, "resp_v")


def test_the_vendors_own_bytes_pass_but_for_the_last_event() -> None:
    """Untouched, in order, once something was said; the last has the cost."""
    client = MemoryClient()
    Vendor(Script(FULL)).ask(client, RESPONSES_DOOR)
    assert client.body.startswith(b"".join(FULL[:-1]))
    assert faults_in(client.body) == []
    assert client.writes[0] == b"".join(FULL[:5])
    assert streamed(client.body).output_text == "One moment."


def test_a_model_with_a_name_of_its_own_is_called_by_it() -> None:
    """In the opening and the end; all else passes."""
    client = MemoryClient()
    Vendor(Script(PLAIN), public=True).ask(client, RESPONSES_DOOR)
    events = events_in(client.body)
    assert {event["response"]["model"] for event in events if "response" in event} == {"fast"}
    assert b"".join(PLAIN[2:-1]) in client.body


@doors
def test_a_failure_before_the_first_word_goes_to_the_next_target(door: Door) -> None:
    """An opening alone is nothing yet; with no target left, it has its true status."""
    broken = Script([*PLAIN[:4], Break()])
    client = MemoryClient()
    row = Vendor(broken, Script(PLAIN)).ask(client, door)
    assert (row.outcome, row.attempts, row.billed.output_tokens) == ("completed", 2, 14)
    client = MemoryClient()
    row = Vendor(broken, broken).ask(client, door)
    assert (client.status, row.outcome, row.cost) == (502, "failed", 0)


@doors
def test_a_failure_behind_a_word_is_told_and_costs_what_arrived(door: Door) -> None:
    """In the door's words, with the vendor's id and the next number where its events had passed."""
    client = MemoryClient()
    row = Vendor(Script([*PLAIN[:6], Break()])).ask(client, door)
    assert (row.outcome, row.billed.output_tokens, row.billed.source) == ("cut", 2, COUNTED)
    if door is RESPONSES_DOOR:
        events = events_in(client.body)
        assert [event["sequence_number"] for event in events] == list(range(8))
        assert (events[-1]["type"], events[-1]["response"]["id"]) == ("response.failed", "resp_v")


@doors
def test_who_leaves_pays_for_what_arrived(door: Door) -> None:
    """One token of two."""
    client = MemoryClient(leaves_after=1)
    row = Vendor(Script([*PLAIN[:5], Stall(1), *PLAIN[5:6], Stall()])).ask(client, door)
    assert (row.outcome, row.billed.output_tokens) == ("client_gone", 1)
    client = MemoryClient(leaves_after=2)
    row = Vendor(Script([b"".join(PLAIN[:-1]), PLAIN[-1]])).ask(client, door)
    assert (row.outcome, row.billed.output_tokens) == ("completed", 14)


def test_pieces_are_counted_where_nobody_reports() -> None:
    """A stream without usage has the count of its deltas, and an end that says it."""
    client = MemoryClient()
    row = Vendor(Script(stream_of(message("one ", "two "), used=None))).ask(client, RESPONSES_DOOR)
    assert (row.billed.output_tokens, row.billed.source) == (2, COUNTED)
    assert codex_turn(client.body)[1]["response"]["usage"]["output_tokens"] == 2
