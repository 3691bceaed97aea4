"""The Messages API is a door: Anthropic's own client judges, against a running server and from parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic as sdk
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.answer import Arguments, Finish, Identity, Part, Reasoning, Refusal, Report, Text, ToolCall
from aisa.errors import CALLER, CODES, ApiError, UpstreamFailed
from aisa.providers import anthropic, openai
from aisa.providers.anthropic_layout import Layout
from aisa.providers.shape import Asked, Target
from aisa.testing.clock import run_virtual
from aisa.usage import Usage
from aisa.wire.completeness import whole_members
from aisa.wire.messages import MessagesRequest
from aisa.wire.messages_door import MESSAGES_DOOR, heard
from aisa.wire.said import value_in
from repeats import repeats
from rig import DONE, Break, MemoryClient, Rig, Script, ScriptedUpstream, chunk, text, usage
from server import Front
from test_anthropic_calls import WORDS, Claude, ending, opening
from test_anthropic_request import state
from test_anthropic_scripts import message_in

Json = dict[str, Any]
TOOL: Any = {
    "name": "get_weather",
    "description": "The weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HI: Any = [{"role": "user", "content": "Hello!"}]
WHO = Identity("chatcmpl-1", 7, "some-model")
REPORT = Report(Usage(30, 14, 8, 2, reasoning_tokens=6), "0.25")


def asked(**members: object) -> bytes:
    """A request."""
    return json.dumps({"model": "fast", "max_tokens": 100, "messages": HI, **members}).encode()


def stream_of(*parts: Part, report: Report = REPORT) -> bytes:
    """The stream for these parts, each of which came alone."""
    encoder = MESSAGES_DOOR.encoder(MESSAGES_DOOR.read(asked(stream=True)), call_id="req_9", created=1)
    pieces = [piece for part in parts if (piece := encoder.write([part])) is not None]
    return b"".join([piece.data for piece in pieces]) + encoder.closing([report])


def document_of(*parts: Part) -> Json:
    """The document for them."""
    encoder = MESSAGES_DOOR.encoder(MESSAGES_DOOR.read(asked()), call_id="req_9", created=1)
    assert encoder.write(parts) is None
    answer: Json = json.loads(encoder.closing([REPORT]))
    return answer


CALLED: list[Part] = [
    ToolCall(0, 0, "c1", "f"),
    Arguments(0, 0, '{"a":'),
    ToolCall(0, 1, "c2", "g"),
    Arguments(0, 1, "{}"),
    Arguments(0, 0, "1}"),
]


@pytest.mark.parametrize(
    ("parts", "blocks", "reason"),
    [
        ([Text(0, "Hi"), Text(0, "!"), Finish(0, "stop")], [("text", "Hi!")], "end_turn"),
        (
            [Reasoning(0, "Hm."), Reasoning(0, "", 0, "aisa1.x"), Text(0, "Hi"), Finish(0, "length")],
            [("thinking", "Hm."), ("text", "Hi")],
            "max_tokens",
        ),
        ([Text(0, "So."), *CALLED, Finish(0, "tool_calls")], [("text", "So."), ("tool_use", {"a": 1}), ("tool_use", {})], "tool_use"),
        ([Refusal(0, "No."), Finish(0, "content_filter")], [("text", "No.")], "refusal"),
        ([Finish(0, "stop")], [], "end_turn"),
    ],
    ids=["text", "thinking", "calls side by side", "refusal", "nothing"],
)
def test_any_vendors_parts_are_a_message_to_the_official_client(parts: list[Part], blocks: list[Any], reason: str) -> None:
    """Streamed and whole alike: blocks in order, calls with whole arguments, the reason, and usage with what was cached beside."""
    streamed = message_in(stream_of(WHO, *parts))
    whole = sdk.types.Message.model_validate(document_of(WHO, *parts))
    for message in (streamed, whole):
        seen = [
            (block.type, getattr(block, {"text": "text", "thinking": "thinking", "tool_use": "input"}[block.type]))
            for block in message.content
        ]
        assert (seen, message.stop_reason, message.model) == (blocks, reason, "some-model")
        counts = message.usage
        assert (counts.input_tokens, counts.cache_read_input_tokens, counts.cache_creation_input_tokens, counts.output_tokens) == (
            20,
            8,
            2,
            14,
        )
    told = [[block.model_dump(exclude={"parsed_output"}) for block in message.content] for message in (streamed, whole)]
    assert told[0] == told[1]


def test_a_stream_has_names_gapless_blocks_and_one_end() -> None:
    """As its clients take for granted; what it costs stands with its usage."""
    data = stream_of(WHO, Reasoning(0, "Hm."), Text(0, "Hi"), *CALLED, Finish(0, "tool_calls"))
    events = [json.loads(block.split("data: ", 1)[1]) for block in data.decode().split("\n\n") if block]
    names = [block.split("\n")[0] for block in data.decode().split("\n\n") if block]
    assert names == [f"event: {event['type']}" for event in events]
    assert [event["index"] for event in events if event["type"] == "content_block_start"] == [0, 1, 2, 3]
    assert [event["index"] for event in events if event["type"] == "content_block_stop"] == [0, 1, 2, 3]
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    assert events[-2]["usage"]["cost"] == 0.25


def events_in(data: bytes) -> list[Json]:
    """The data of a stream's events."""
    return [json.loads(block.split("data: ", 1)[1]) for block in data.decode().split("\n\n") if block]


def test_every_member_that_its_clients_look_for_is_in_its_event() -> None:
    """None of them is missing, or null, where a client would break on it: the very objects."""
    parts = [
        Reasoning(0, "Hm."),
        Reasoning(0, "", 0, "aisa1.x"),
        Text(0, "Hi"),
        Text(0, "!"),
        *CALLED[:2],
        CALLED[4],
        Finish(0, "tool_calls"),
    ]
    counts = {"input_tokens": 20, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 2, "output_tokens": 14}
    head = {"id": "msg_9", "type": "message", "role": "assistant", "model": "some-model"}
    assert events_in(stream_of(WHO, *parts)) == [
        {
            "type": "message_start",
            "message": {
                **head,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 0, "output_tokens": 0},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "aisa1.x"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "!"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "c1", "name": "f", "input": {}}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a":'}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
        {"type": "content_block_stop", "index": 2},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {**counts, "output_tokens_details": {"thinking_tokens": 6}, "cost": 0.25},
        },
        {"type": "message_stop"},
    ]
    refused = events_in(stream_of(WHO, Refusal(0, "No."), Finish(0, "content_filter"), report=Report(Usage(3, 1), None)))
    assert refused[-2] == {
        "type": "message_delta",
        "delta": {
            "stop_reason": "refusal",
            "stop_sequence": None,
            "stop_details": {"type": "refusal", "category": None, "explanation": "No."},
        },
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    assert document_of(WHO, *parts) == {
        **head,
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "aisa1.x"},
            {"type": "text", "text": "Hi!"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {**counts, "output_tokens_details": {"thinking_tokens": 6}, "cost": 0.25},
    }
    failed = {"type": "api_error", "message": "It broke off.", "code": "upstream_unavailable"}
    encoder = MESSAGES_DOOR.encoder(MESSAGES_DOOR.read(asked(stream=True)), call_id="req_9", created=1)
    last = encoder.failure(ApiError("upstream_unavailable", "It broke off."), "req_9")
    assert last.startswith(b"event: error\n")
    assert events_in(last) == [{"type": "error", "error": failed, "request_id": "req_9"}]


def test_a_call_that_was_cut_is_no_call_without_arguments() -> None:
    """Its clients would make it; so the stream ends as a failure, before it is settled."""
    with pytest.raises(UpstreamFailed, match="inside a call"):
        stream_of(WHO, ToolCall(0, 0, "c1", "f"), Arguments(0, 0, '{"a": "b'), Finish(0, "length"))


@pytest.mark.parametrize(("reason", "told"), [("length", "max_tokens"), ("content_filter", "refusal")])
def test_a_call_that_was_cut_has_what_there_is_of_its_input_in_a_document(reason: str, told: str) -> None:
    """As at Anthropic, whose client runs no tool after such a reason; it had one member `arguments`, which no tool has."""
    whole = [ToolCall(0, 0, "c1", "f"), Arguments(0, 0, '{"a": 1}'), ToolCall(0, 1, "c2", "g")]
    message = document_of(*whole, Arguments(0, 1, '{"path": "x.py", "lines": [1, 2], "text": "def f'), Finish(0, reason))
    assert [block["input"] for block in message["content"]] == [{"a": 1}, {"path": "x.py", "lines": [1, 2]}]
    assert message["stop_reason"] == told
    assert sdk.types.Message.model_validate(message).content[-1].type == "tool_use"


@pytest.mark.parametrize("said", ['{"a": "b', "[1]", '"x"', "Oslo"])
def test_a_call_of_something_else_than_an_object_is_a_failure_in_a_document_too(said: str) -> None:
    """No bound has cut it: as in a stream it is the model's, and another target may do better."""
    with pytest.raises(UpstreamFailed, match="no JSON object") as failed:
        document_of(ToolCall(0, 0, "c1", "f"), Arguments(0, 0, said), Finish(0, "tool_calls"))
    assert failed.value.may_fall_back


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=4), st.integers(0, 400), st.booleans())
@settings(max_examples=repeats(200), deadline=None)
def test_of_an_object_that_was_cut_anywhere_each_member_is_whole_or_not_there(written: Json, cut: int, indented: bool) -> None:
    """In their order, and none but the last is missing that had something behind it."""
    text = json.dumps(written, indent=2 if indented else None)[:cut]
    found = next((value for each in whole_members(text) if isinstance(value := value_in(each), dict)), {})
    assert list(found.items()) == list(written.items())[: len(found)]
    if len(text) == len(json.dumps(written, indent=2 if indented else None)):
        assert len(found) >= len(written) - 1


#: What Anthropic's clients know a status by.
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


@pytest.mark.parametrize("code", CODES)
def test_every_error_has_the_type_and_status_that_its_clients_know(code: str) -> None:
    """An overload is 529; a bound above the model's is 400, as Anthropic has it; keys and wallets are not to be tried again."""
    error = ApiError(code, "No.")
    refused = MESSAGES_DOOR.refused(error, "req_1")
    told = json.loads(refused.body)
    assert told["type"] == "error"
    assert told["error"]["type"] == TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    assert told["error"]["message"].endswith("No.")
    assert told["request_id"] == dict(refused.headers)["request-id"] == "req_1"
    assert refused.status == (400 if code == "max_tokens_exceeded" else 529 if error.status == 503 else error.status)
    if error.status in (401, 402):
        assert dict(refused.headers)["x-should-retry"] == "false"
    if code == "context_length_exceeded":
        assert told["error"]["message"].startswith("prompt is too long")


# The request


def test_claude_codes_request_reaches_another_vendor_as_chat() -> None:
    """System text without the line of accounting, a system message in the middle, results of tools, and nothing that only Anthropic has."""
    request = {
        "model": "fast",
        "max_tokens": 32000,
        "stream": True,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: a=b"},
            {"type": "text", "text": "Be good.", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Do."}]},
            {"role": "system", "content": [{"type": "text", "text": "Note."}], "output_config": {"effort": "medium"}},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "", "signature": "aisa1.s"},
                    {"type": "thinking", "thinking": "Hm.", "signature": "of somebody else"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Oslo"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "rain", "is_error": False},
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "tools": [{**TOOL, "defer_loading": True}, {"type": "web_search_20250305", "name": "web_search"}],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": []},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": "{}"},
    }
    read = MessagesRequest(json.dumps(request).encode())
    body = json.loads(openai.to_upstream(read, Target("v", "m", "openai")).body)
    assert [(message["role"], message.get("content")) for message in body["messages"]] == [
        ("system", "Be good."),
        ("user", [{"type": "text", "text": "Do."}]),
        ("system", "Note."),
        ("assistant", "I look."),
        ("tool", "rain"),
        ("user", [{"type": "text", "text": "And?"}]),
    ]
    called = {"id": "t1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    assert (body["messages"][3]["tool_calls"], body["messages"][4]["tool_call_id"]) == ([called], "t1")
    assert (body["reasoning_effort"], body["max_completion_tokens"], [tool["function"]["name"] for tool in body["tools"]]) == (
        "high",
        32000,
        ["get_weather"],
    )
    assert not {"thinking", "context_management", "metadata", "output_config", "system"} & body.keys()
    assert "reasoning_details" not in body["messages"][3]
    seals = json.loads(bytes(read.as_chat().fields["messages"]))[3]["reasoning_details"]  # for the vendor that it is of
    assert [seal["data"] for seal in seals] == ["aisa1.s"]


SCHEMA: Json = {"type": "object", "properties": {"n": {"type": "integer"}}}
FUNCTION: Json = {"name": "f", "description": "Finds.", "input_schema": SCHEMA, "strict": True}
OFFERED: Json = {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA, "description": "Finds.", "strict": True}}]}


@pytest.mark.parametrize(
    ("members", "written"),
    [
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 4}, {"temperature": 0.5, "top_p": 0.9, "top_k": 4}),
        ({"stop_sequences": ["END"]}, {"stop": ["END"]}),
        ({"stop_sequences": []}, {}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        *[({"output_config": {"effort": word}}, {"reasoning_effort": word}) for word in ("low", "medium", "high", "xhigh", "max")],
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}, "output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "adaptive"}}, {}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}},
        ),
        ({"tools": [FUNCTION]}, OFFERED),
        ({"tools": [FUNCTION], "tool_choice": {"type": "auto"}}, {**OFFERED, "tool_choice": "auto"}),
        ({"tools": [FUNCTION], "tool_choice": {"type": "any"}}, {**OFFERED, "tool_choice": "required"}),
        ({"tools": [FUNCTION], "tool_choice": {"type": "none"}}, {**OFFERED, "tool_choice": "none"}),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "tool", "name": "f"}},
            {**OFFERED, "tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            {**OFFERED, "tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_how_to_answer_reaches_another_vendor_in_the_words_of_chat_completions(members: Json, written: Json) -> None:
    """And nothing else with it."""
    request = {"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}], **members}
    body = json.loads(openai.to_upstream(MessagesRequest(json.dumps(request).encode()), Target("v", "m", "openai")).body)
    assert body == {"model": "m", "max_completion_tokens": 9, "messages": [{"role": "user", "content": "Hi."}], **written}


def test_anthropic_gets_the_request_as_it_is_with_its_betas() -> None:
    """Byte for byte but for the model's name; without parameters that the client's version of the protocol does not have."""
    body = b'{"model": "fast", "max_tokens":9, "messages":[{"role":"user","content":"\\u0048i"}], "novel": {"x": 1.0}, "temperature": 1}'
    request = MESSAGES_DOOR.read(body)
    sent = anthropic.to_upstream(request, Target("anthropic", "claude-x", "anthropic"))
    assert (
        sent.body
        == b'{"model":"claude-x","max_tokens":9,"messages":[{"role":"user","content":"\\u0048i"}],"novel":{"x": 1.0},"temperature":1}'
    )
    door = heard({"anthropic-beta": "a-1, b-2", "anthropic-version": "2026-10-21"})
    sent = anthropic.to_upstream(door.read(body), Target("anthropic", "claude-x", "anthropic"))
    assert dict(sent.headers)["anthropic-beta"] == "a-1,b-2"
    assert sent.dropped == ("temperature",)
    assert b"temperature" not in sent.body
    whole = door.read(asked(temperature=1, top_p=0.5, top_k=4, max_tokens=9))
    sent = anthropic.to_upstream(whole, Target("anthropic", "claude-x", "anthropic"))
    assert sent.dropped == ("temperature", "top_p", "top_k")
    assert json.loads(sent.body).keys() == {"model", "max_tokens", "messages"}


def test_thinking_that_is_not_this_accounts_is_left_out_for_anthropic() -> None:
    """A seal that does not open is no block; the vendor's own signature is its own to judge."""
    content = [
        {"type": "thinking", "thinking": "", "signature": "aisa1.other"},
        {"type": "thinking", "thinking": "x", "signature": "own"},
        {"type": "text", "text": "Hi"},
    ]
    request = MESSAGES_DOOR.read(asked(messages=[*HI, {"role": "assistant", "content": content}, *HI]))
    sent = json.loads(anthropic.to_upstream(request, Target("anthropic", "claude-x", "anthropic")).body)
    assert sent["messages"][1]["content"] == content[1:]


def test_a_seal_of_this_accounts_is_the_thinking_that_it_stands_for_to_anthropic() -> None:
    """Byte for byte with its signature, and of the answer's texts and calls, which the client has itself, nothing."""
    mine = state()
    layout = Layout()
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "eA=="}
    layout.other(thought)
    layout.text("Hi")
    layout.other(hidden)
    layout.call("toolu_1")
    seal = {"type": "thinking", "thinking": "", "signature": mine.seal(layout.encoded())}
    said = [{"type": "text", "text": "Hi"}, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]
    request = MESSAGES_DOOR.read(asked(messages=[*HI, {"role": "assistant", "content": [seal, *said]}, *HI]))
    sent = json.loads(anthropic.to_upstream(request, Target("anthropic", "claude-x", "anthropic", state=mine)).body)
    assert sent["messages"][1]["content"] == [thought, hidden, *said]


# Whole calls


def test_anthropics_bytes_pass_and_the_end_carries_the_bill() -> None:
    """What the vendor sent is what the client gets, event by event, up to the last, which says what it cost."""
    script = [opening(), *WORDS, *ending(12)]
    rig, client = Claude(Script(script)), MemoryClient()
    run_virtual(rig.call(client, asked(stream=True), door=MESSAGES_DOOR))
    row = rig.rows[-1]
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens) == ("completed", 100, 12)
    head = b"".join(script[1:5])
    assert head in client.body
    message = message_in(client.body)
    assert "".join(block.text for block in message.content if block.type == "text") == "one two three "
    assert b'"cost":%s' % str(row.cost / 10**9).encode() in client.body


@pytest.mark.parametrize("speaks", ["anthropic", "openai"])
def test_a_message_that_broke_off_is_an_error_and_costs_what_arrived(speaks: str) -> None:
    """Whichever the vendor speaks: no end that pretends success."""
    client = MemoryClient()
    rig: Rig = (
        Claude(Script([opening(), *WORDS, Break()]))
        if speaks == "anthropic"
        else Rig(ScriptedUpstream(Script([*text("one ", "two ", "three "), Break()])))
    )
    run_virtual(rig.call(client, asked(stream=True), door=MESSAGES_DOOR))
    assert (rig.rows[-1].outcome, rig.rows[-1].billed.output_tokens) == ("cut", 3)
    assert client.body.rstrip().split(b"\n")[-2] == b"event: error"
    assert b"message_stop" not in client.body


def test_a_failure_before_the_first_word_has_its_true_status() -> None:
    """The message is not opened before."""
    client = MemoryClient()
    rig = Claude(Script([opening(), Break()]))
    run_virtual(rig.call(client, asked(stream=True), door=MESSAGES_DOOR))
    assert (client.status, json.loads(client.body)["error"]["type"]) == (502, "api_error")


def test_chat_vendors_answer_messages_with_usage_at_the_end() -> None:
    """The split of caches and all; and a silence is filled with pings."""
    client = MemoryClient()
    rig = Rig(ScriptedUpstream(Script([*text("one ", "two "), chunk({}, "stop"), usage(9, 2), DONE])))
    run_virtual(rig.call(client, asked(stream=True), door=MESSAGES_DOOR))
    message = message_in(client.body)
    assert (message.usage.input_tokens, message.usage.output_tokens, message.stop_reason) == (9, 2, "end_turn")
    assert MESSAGES_DOOR.keep_alive == b'event: ping\ndata: {"type":"ping"}\n\n'


# The official client against a running server, whose embedded model answers


@pytest.fixture
def client(front: Front) -> Iterator[sdk.Anthropic]:
    """Anthropic's client, set up by address and key alone."""
    with sdk.Anthropic(base_url=front.server.url, api_key=front.server.key, max_retries=0) as calling:
        yield calling


def test_the_official_client_gets_messages_streams_and_tools(client: sdk.Anthropic) -> None:
    """By its `x-api-key`, whatever the version that it asks for."""
    message = client.messages.create(model="gpt-4.1", max_tokens=50, messages=HI)
    assert message.content[0].type == "text"
    assert message.usage.output_tokens > 0
    with client.messages.stream(model="gpt-4.1", max_tokens=50, messages=HI) as stream:
        assert stream.get_final_message().stop_reason in ("end_turn", "max_tokens")
    ask: Any = [{"role": "user", "content": "Please call get_weather for Paris."}]
    with client.messages.stream(model="gpt-4.1", max_tokens=500, messages=ask, tools=[TOOL], tool_choice={"type": "any"}) as stream:
        called = stream.get_final_message()
    [call] = [block for block in called.content if block.type == "tool_use"]
    assert (call.name, called.stop_reason) == ("get_weather", "tool_use")
    assert isinstance(call.input["city"], str)


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        ([Text(0, "It is cold."), Reasoning(0, "", 0, "aisa1.s")], ["text"]),
        (
            [Reasoning(0, "Hm."), Text(0, "It is"), Reasoning(0, "", 0, "aisa1.s"), Text(0, " cold.")],
            ["thinking", "text"],
        ),
        ([Reasoning(0, "Hm."), Reasoning(0, "", 0, "aisa1.s"), Text(0, "It is cold.")], ["thinking", "text"]),
        ([Text(0, "Look."), Reasoning(0, "", 0, "aisa1.s"), *CALLED[:2], Arguments(0, 0, "1}")], ["text", "thinking", "tool_use"]),
        (
            [Text(0, "Lo"), Reasoning(0, "", 0, "aisa1.s"), Text(0, "ok."), *CALLED[:2], Arguments(0, 0, "1}")],
            ["text", "thinking", "tool_use"],
        ),
        ([ToolCall(0, 0, "c1", "f"), Arguments(0, 0, "{}"), Reasoning(0, "", 0, "aisa1.s")], ["tool_use", "thinking"]),
    ],
)
def test_what_a_vendor_seals_neither_parts_a_text_nor_stands_behind_the_last(parts: list[Part], kinds: list[str]) -> None:
    """Claude Code prints the last block alone, which must be all of the text; a seal is wanted back with calls alone."""
    for told in (message_in(stream_of(*parts, Finish(0, "stop"))).content, document_of(*parts, Finish(0, "stop"))["content"]):
        assert [block["type"] if isinstance(block, dict) else block.type for block in told] == kinds


@pytest.mark.parametrize("stream", [False, True])
def test_the_official_clients_tool_runner_sends_the_whole_conversation_once_it_is_told_to(front: Front, stream: bool) -> None:
    """Unasked it has the server keep the conversation (`thread`) and sends its last message alone: no other vendor would know the rest."""
    sent: list[Any] = []

    @sdk.beta_tool
    def get_weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"It is cold in {city}."

    hooks: Any = {"request": [lambda request: sent.append(json.loads(request.content))]}
    with sdk.Anthropic(
        base_url=front.server.url, api_key=front.server.key, max_retries=0, http_client=sdk.DefaultHttpxClient(event_hooks=hooks)
    ) as client:
        ask: Any = [{"role": "user", "content": "Please call get_weather for Paris."}]
        runner = client.beta.messages.tool_runner(
            model="gpt-4.1", max_tokens=500, messages=ask, tools=[get_weather], tool_choice={"type": "any"}, max_iterations=2, stream=stream
        )
        answers = [each.get_final_message() if stream else each for each in runner]
    assert [answer.stop_reason for answer in answers] == ["tool_use", "tool_use"]
    assert [("thread" in body, len(body["messages"])) for body in sent] == [(True, 1), (False, 1), (False, 3)]


def test_a_thread_is_anthropics_and_its_loss_is_told_in_the_words_on_which_its_clients_act() -> None:
    """Whoever else speaks the protocol would answer the last message as if it were all; Anthropic gets it as it is."""
    request = MessagesRequest(asked(thread={"type": "continue", "previous_message_id": "msg_1"}))
    for host in ("api.anthropic.com:443", "api.anthropic.com"):
        there = Target("anthropic", "m", "anthropic", host=host)
        assert json.loads(anthropic.to_upstream(request, there).body)["thread"]["previous_message_id"] == "msg_1"
    like_it = Target("acme", "m", "anthropic", host="anthropic.com.acme.example")
    for refusing in (lambda: anthropic.to_upstream(request, like_it), request.as_chat):
        with pytest.raises(UpstreamFailed) as failed:
            refusing()
        told = json.loads(MESSAGES_DOOR.refused(failed.value.error, "req_1").body)["error"]
        assert (told["type"], told["details"]) == ("invalid_request_error", {"error_code": "thread_unsupported_request"})
        assert not failed.value.may_fall_back
    for status, code, kind in ((404, "thread_not_found", "not_found_error"), (400, "thread_already_continued", "invalid_request_error")):
        body = {"type": "error", "error": {"type": kind, "message": "No.", "details": {"error_code": code}}}
        lost = anthropic.read_failure(status, {}, json.dumps(body).encode(), target=there, asked=Asked(0.0))
        refused = MESSAGES_DOOR.refused(lost.error, "req_1")
        told = json.loads(refused.body)["error"]
        assert (refused.status, told["type"], told["details"], lost.blame) == (status, kind, {"error_code": code}, CALLER)
    assert "details" not in json.loads(MESSAGES_DOOR.refused(ApiError("invalid_request", "No."), "req_1").body)["error"]


def test_the_official_client_counts_tokens_and_lists_models(client: sdk.Anthropic) -> None:
    """In the shapes that it knows."""
    assert client.messages.count_tokens(model="gpt-4.1", messages=HI).input_tokens > 0
    listed = client.models.list(limit=1000).data
    [one] = [model for model in listed if model.id == "gpt-4.1"]
    assert client.models.retrieve("gpt-4.1") == one
    assert one.lifecycle == "active"
    with pytest.raises(sdk.NotFoundError) as unknown:
        client.models.retrieve("nobody/nothing")
    with pytest.raises(sdk.NotFoundError, match="batches off") as elsewhere:
        client.messages.batches.list()
    for refused in (unknown, elsewhere):  # neither has a door: the client is known by the version that it sends
        assert (refused.value.type, refused.value.body["type"]) == ("not_found_error", "error")


def test_the_official_client_knows_what_is_wrong(client: sdk.Anthropic, front: Front) -> None:
    """Each in a class of its own."""
    with pytest.raises(sdk.BadRequestError):
        client.messages.create(model="gpt-4.1", max_tokens=9, messages=[])
    with (
        sdk.Anthropic(base_url=front.server.url, api_key="sk-aisa-nobodys", max_retries=3) as stranger,
        pytest.raises(sdk.AuthenticationError),
    ):
        stranger.messages.create(model="gpt-4.1", max_tokens=9, messages=HI)


def test_a_bearer_is_let_in_too_and_probes_are_answered(front: Front) -> None:
    """As Claude Code asks with a token, and before it asks with a key."""
    headers = {"authorization": f"Bearer {front.server.key}", "anthropic-version": "2023-06-01", "anthropic-beta": "effort-2025-11-24"}
    answer = httpx2.post(
        f"{front.server.url}/v1/messages?beta=true", headers=headers, json={"model": "gpt-4.1", "max_tokens": 9, "messages": HI}
    )
    assert (answer.status_code, answer.json()["type"]) == (200, "message")
    assert httpx2.head(f"{front.server.url}/api/hello").status_code == 200
    assert httpx2.post(f"{front.server.url}/v1/messages", json={}).json()["error"]["type"] == "authentication_error"
