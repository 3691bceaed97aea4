"""The front door of the Responses API writes what its clients read: OpenAI's own types and stream reader judge, and what Codex acts on."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import APIError

from aisa.answer import Arguments, Extra, Finish, FunctionCall, Identity, Part, Piece, Reasoning, Refusal, Report, Text, ToolCall
from aisa.errors import CODES, ApiError
from aisa.usage import Breakdown, Usage
from aisa.wire.door import Encoder
from aisa.wire.responses import parse_responses
from aisa.wire.responses_door import RESPONSES_DOOR
from aisa.wire.responses_items import ANSWER_BYTES_MAX
from responses_reading import client_for, codex_turn, events_in, faults_in, streamed

TOOLS = [
    {"type": "function", "name": "look", "parameters": {"type": "object"}},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "crew", "description": "Others.", "tools": [{"type": "function", "name": "call", "parameters": {}}]},
]
WHO = Identity("chatcmpl-1", 7, "some-model")
USED = Usage(30, 14, 8, reasoning_tokens=6)
REPORT = Report(USED, "0.25")


def encoder(*, stream: bool = True, **fields: object) -> Encoder:
    """What writes the answer to a request."""
    request = parse_responses(json.dumps({"model": "m", "input": "Hi.", "stream": stream, "tools": TOOLS, **fields}).encode())
    return RESPONSES_DOOR.encoder(request, call_id="req_9", created=1)


def stream_of(*parts: Part, report: Report = REPORT, **fields: object) -> bytes:
    """The stream for these parts, each of which came alone."""
    writer = encoder(**fields)
    pieces = [piece for part in parts if (piece := writer.write([part])) is not None]
    return b"".join([piece.data for piece in pieces]) + writer.closing([report])


def document_of(*parts: Part, **fields: object) -> bytes:
    """The document for them."""
    writer = encoder(stream=False, **fields)
    assert writer.write(parts) is None
    return writer.closing([REPORT])


def kinds(data: bytes) -> list[str]:
    """The types of a stream's events, without what all begin with."""
    return [event["type"].removeprefix("response.") for event in events_in(data)]


def test_a_text_is_an_item_with_one_part() -> None:
    """In the order in which clients want it, whole again at each end, with all that they take for granted."""
    data = stream_of(WHO, Text(0, "One "), Text(0, "moment."), Finish(0, "stop"))
    opening = ["created", "in_progress", "output_item.added", "content_part.added"]
    closing = ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert kinds(data) == [*opening, "output_text.delta", "output_text.delta", *closing]
    assert faults_in(data) == []
    [item], end = codex_turn(data)
    assert item["content"] == [{"type": "output_text", "text": "One moment.", "annotations": [], "logprobs": []}]
    assert end["response"]["usage"] == {
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
        "output_tokens": 14,
        "output_tokens_details": {"reasoning_tokens": 6},
        "total_tokens": 44,
        "cost": 0.25,
    }
    assert (end["response"]["model"], end["response"]["created_at"], end["response"]["store"]) == ("some-model", 7, False)
    assert streamed(data).output_text == "One moment."


def test_thinking_text_and_calls_are_items_one_after_the_other() -> None:
    """Thinking is shown as a summary; two calls may be given their arguments in turns; a name in a namespace is the client's again."""
    data = stream_of(
        WHO,
        Reasoning(0, "Look "),
        Reasoning(0, "first."),
        Text(0, "One moment."),
        ToolCall(0, 0, "call_1", "look"),
        Arguments(0, 0, '{"a":'),
        ToolCall(0, 1, "call_2", "crew__call"),
        Arguments(0, 1, "{}"),
        Arguments(0, 0, "1}"),
        ToolCall(0, 2, "call_3", "patch", custom=True),
        Arguments(0, 2, "*** Begin"),
        Finish(0, "tool_calls"),
    )
    assert faults_in(data) == []
    items, end = codex_turn(data)
    assert [item["type"] for item in items] == ["reasoning", "message", "function_call", "function_call", "custom_tool_call"]
    thought, _, look, call, patch = items
    assert thought["summary"] == [{"type": "summary_text", "text": "Look first."}]
    assert (look["call_id"], look["name"], look["arguments"]) == ("call_1", "look", '{"a":1}')
    assert (call["call_id"], call["namespace"], call["name"], call["arguments"]) == ("call_2", "crew", "call", "{}")
    assert (patch["call_id"], patch["name"], patch["input"]) == ("call_3", "patch", "*** Begin")
    assert end["type"] == "response.completed"
    assert [item.type for item in streamed(data, tools=TOOLS).output] == [item["type"] for item in items]


def test_a_picture_that_a_model_made_is_an_item() -> None:
    """Between what was said before it and behind it, with its data once it is done; one at an address has no place here."""
    pictures = [{"image_url": {"url": url}} for url in ("data:image/webp;base64,AAAA", "https://a.example/b.png")]
    parts = [WHO, Text(0, "Here: "), Extra(0, "images", pictures, 1), Text(0, "So."), Finish(0, "stop")]
    data = stream_of(*parts)
    assert faults_in(data) == []
    items, _ = codex_turn(data)
    for output in (items, json.loads(document_of(*parts))["output"]):
        assert [item["type"] for item in output] == ["message", "image_generation_call", "message"]
        assert (output[1]["result"], output[1]["status"], output[1]["output_format"]) == ("AAAA", "completed", "webp")
    [made] = [item for item in streamed(data).output if item.type == "image_generation_call"]
    assert made.result == "AAAA"


def test_a_seal_on_thinking_goes_with_it_and_alone() -> None:
    """As `encrypted_content`, once the item is whole; one that came without a word is an item of its own."""
    data = stream_of(
        WHO, Reasoning(0, "Look."), Reasoning(0, "", signature="aisa1.a"), Reasoning(0, "", signature="aisa1.b"), Finish(0, "stop")
    )
    assert faults_in(data) == []
    items, _ = codex_turn(data)
    assert [(item["encrypted_content"], len(item["summary"])) for item in items] == [("aisa1.a", 1), ("aisa1.b", 0)]
    assert json.loads(document_of(WHO, Reasoning(0, "Look.", signature="aisa1.a")))["output"][0]["encrypted_content"] == "aisa1.a"


def test_a_name_without_its_namespace_is_still_that_tools() -> None:
    """Models leave it out; where only one tool can be meant, it is, and a name that nobody offered stays what it is."""
    items, _ = codex_turn(stream_of(ToolCall(0, 0, "c1", "call"), ToolCall(0, 1, "c2", "nobody"), Finish(0, "tool_calls")))
    assert [(item.get("namespace"), item["name"]) for item in items] == [("crew", "call"), (None, "nobody")]


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_short_is_incomplete_and_so_is_its_last_item(reason: str, why: str) -> None:
    """As the client can tell from both."""
    data = stream_of(WHO, Text(0, "Hi"), Finish(0, reason))
    assert faults_in(data) == []
    [item], end = codex_turn(data)
    assert (item["status"], end["type"], end["response"]["incomplete_details"]) == ("incomplete", "response.incomplete", {"reason": why})
    assert json.loads(document_of(WHO, Text(0, "Hi"), Finish(0, reason)))["status"] == "incomplete"


def test_a_refusal_is_a_part_of_the_message() -> None:
    """Behind the text that was said before it."""
    data = stream_of(WHO, Text(0, "I"), Refusal(0, "I can"), Refusal(0, "not."), Finish(0, "stop"))
    assert faults_in(data) == []
    [item], _ = codex_turn(data)
    assert [part.get("text", part.get("refusal")) for part in item["content"]] == ["I", "I cannot."]
    assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]


def test_log_probabilities_go_with_their_text_and_notes_behind_it() -> None:
    """In the event of the text, in its part, and in the document."""
    entry = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    said = {"start_index": 0, "end_index": 2, "title": "t", "url": "https://a.example"}
    note = {"type": "url_citation", "url_citation": said}
    parts: list[Part] = [Text(0, "Hi"), Extra(0, "logprobs", {"content": [entry]}, 3, beside=True), Extra(0, "annotations", [note])]
    writer = encoder()
    piece = writer.write([WHO, *parts, Finish(0, "stop")])
    assert piece is not None
    assert piece.tokens == 3
    data = piece.data + writer.closing([REPORT])
    assert faults_in(data) == []
    [delta] = [event for event in events_in(data) if event["type"] == "response.output_text.delta"]
    assert delta["logprobs"] == [entry]
    [item], _ = codex_turn(data)
    assert item["content"][0]["logprobs"] == [entry]
    assert item["content"][0]["annotations"] == [{"type": "url_citation", **said}]
    assert json.loads(document_of(WHO, *parts, Finish(0, "stop")))["output"][0]["content"] == item["content"]


def test_every_event_has_all_that_clients_look_for() -> None:
    """The very objects of the protocol: items as they begin and whole, each event with its item, its places and its number."""
    rival = {"token": "Ho", "logprob": -1.5, "bytes": [72, 111]}
    entry = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [rival]}
    said = {"start_index": 0, "end_index": 2, "title": "t", "url": "https://a.example"}
    note = {"type": "url_citation", **said}
    data = stream_of(
        WHO,
        Reasoning(0, "Look."),
        Reasoning(0, "", signature="aisa1.a"),
        Text(0, "Hi"),
        Extra(0, "logprobs", {"content": [entry]}, 3, beside=True),
        Extra(0, "annotations", [{"type": "url_citation", "url_citation": said}]),
        ToolCall(0, 0, "call_1", "crew__call"),
        Arguments(0, 0, '{"a":1}'),
        ToolCall(0, 1, "call_2", "patch", custom=True),
        Arguments(0, 1, "***"),
        Finish(0, "tool_calls"),
    )
    thought = {"id": "rs_9_0", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Look."}], "encrypted_content": "aisa1.a"}
    part = {"type": "output_text", "text": "Hi", "annotations": [note], "logprobs": [entry]}
    message = {"id": "msg_9_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    call = {"id": "fc_9_2", "type": "function_call", "call_id": "call_1", "namespace": "crew", "name": "call"}
    patch = {"id": "ctc_9_3", "type": "custom_tool_call", "call_id": "call_2", "name": "patch"}
    called, patched = {**call, "arguments": '{"a":1}', "status": "completed"}, {**patch, "input": "***", "status": "completed"}
    summary = {"item_id": "rs_9_0", "output_index": 0, "summary_index": 0}
    content = {"item_id": "msg_9_1", "output_index": 1, "content_index": 0}
    begun = {**message, "status": "in_progress", "content": []}
    told = [
        ("output_item.added", {"output_index": 0, "item": {"id": "rs_9_0", "type": "reasoning", "summary": []}}),
        ("reasoning_summary_part.added", {**summary, "part": {"type": "summary_text", "text": ""}}),
        ("reasoning_summary_text.delta", {**summary, "delta": "Look."}),
        ("reasoning_summary_text.done", {**summary, "text": "Look."}),
        ("reasoning_summary_part.done", {**summary, "part": {"type": "summary_text", "text": "Look."}}),
        ("output_item.done", {"output_index": 0, "item": thought}),
        ("output_item.added", {"output_index": 1, "item": begun}),
        ("content_part.added", {**content, "part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []}}),
        ("output_text.delta", {**content, "delta": "Hi", "logprobs": []}),
        ("output_text.annotation.added", {**content, "annotation_index": 0, "annotation": note}),
        ("output_text.done", {**content, "text": "Hi", "logprobs": [entry]}),
        ("content_part.done", {**content, "part": part}),
        ("output_item.done", {"output_index": 1, "item": message}),
        ("output_item.added", {"output_index": 2, "item": {**call, "arguments": "", "status": "in_progress"}}),
        ("function_call_arguments.delta", {"item_id": "fc_9_2", "output_index": 2, "delta": '{"a":1}'}),
        ("output_item.added", {"output_index": 3, "item": {**patch, "input": "", "status": "in_progress"}}),
        ("custom_tool_call_input.delta", {"item_id": "ctc_9_3", "output_index": 3, "delta": "***"}),
        ("function_call_arguments.done", {"item_id": "fc_9_2", "output_index": 2, "name": "call", "arguments": '{"a":1}'}),
        ("output_item.done", {"output_index": 2, "item": called}),
        ("custom_tool_call_input.done", {"item_id": "ctc_9_3", "output_index": 3, "input": "***"}),
        ("output_item.done", {"output_index": 3, "item": patched}),
    ]
    created, in_progress, *rest, completed = events_in(data)
    assert rest == [{"type": f"response.{kind}", **event, "sequence_number": place} for place, (kind, event) in enumerate(told, 2)]
    assert completed["response"]["output"] == [thought, message, called, patched]
    assert created["response"] == in_progress["response"] == {**completed["response"], "status": "in_progress", "output": [], "usage": None}


def test_a_call_in_the_older_form_is_a_call() -> None:
    """Should a vendor answer in it."""
    items, _ = codex_turn(stream_of(FunctionCall(0, "look", ""), FunctionCall(0, "", "{}"), Finish(0, "function_call")))
    assert [(item["name"], item["arguments"], bool(item["call_id"])) for item in items] == [("look", "{}", True)]


def test_cache_writes_are_told_apart_by_how_long_they_last() -> None:
    """Where a vendor tells; and nothing of a report is left out."""
    for half_hour, half_day in ((3, 2), (5, 0), (0, 5)):
        kept = Breakdown(cache_write_30m_tokens=half_hour, cache_write_12h_tokens=half_day)
        used = Usage(9, 4, 2, 5, reasoning_tokens=3, breakdown=kept)
        _, end = codex_turn(stream_of(WHO, Text(0, "Hi"), Finish(0, "stop"), report=Report(used)))
        classes = {"ttl_30m_tokens": half_hour, "ttl_12h_tokens": half_day}
        assert end["response"]["usage"] == {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 5, "cache_write_tokens_details": classes},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 13,
        }


def test_an_answer_that_says_nothing_is_complete_and_empty() -> None:
    """It has its opening and its end."""
    assert kinds(stream_of(WHO, Finish(0, "stop"))) == ["created", "in_progress", "completed"]
    assert faults_in(stream_of()) == []


@pytest.mark.parametrize("code", [code for code in CODES if CODES[code][0] >= 400])
def test_a_failure_inside_a_stream_is_two_events_of_which_every_client_reads_one(code: str) -> None:
    """OpenAI's client raises the words of the first, Codex acts on the code of the second; nothing is complete, and the id is the same."""
    writer = encoder()
    begun = writer.write([WHO, Text(0, "Hi")])
    assert begun is not None
    data = begun.data + writer.failure(ApiError(code, "It broke off."), "req_9")
    events = events_in(data)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-1]["response"]["id"] == events[0]["response"]["id"]
    told = {name: events[-2][name] for name in ("code", "message")}
    assert told["message"].startswith("It broke off.")
    first = {name: value for name, value in events[-2].items() if name != "sequence_number"}
    inner = {"type": CODES[code][1], **told, "param": None}
    assert first == {"type": "error", **told, "param": None, "error": inner}
    assert (events[-1]["response"]["status"], events[-1]["response"]["error"]) == ("failed", told)
    with pytest.raises(APIError, match="It broke off"):
        streamed(data)
    with pytest.raises(APIError, match="It broke off"):
        streamed(RESPONSES_DOOR.failure(ApiError(code, "It broke off."), "req_9"))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("insufficient_wallet_balance", "insufficient_quota"),
        ("quota_exceeded", "insufficient_quota"),
        ("context_length_exceeded", "context_length_exceeded"),
        *[
            (code, "invalid_prompt")
            for code in ("content_policy_violation", "invalid_request", "unsupported_parameter", "max_tokens_exceeded")
        ],
        ("overloaded", "server_is_overloaded"),
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        ("upstream_rate_limit", "rate_limit_exceeded"),
        ("upstream_unavailable", "server_error"),
        ("upstream_timeout", "server_error"),
        ("internal_error", "server_error"),
    ],
)
def test_the_code_of_a_failure_inside_a_stream_is_one_that_codex_knows(code: str, told: str) -> None:
    """It ends at once on what no retry can cure, and asks again for the rest; how long to wait it reads from the words."""
    for said in ("No.", "No. Try again in 5 s."):  # the wait is told once
        _, end = codex_turn(encoder().failure(ApiError(code, said, retry_after=5), "req_9"))
        assert end["response"]["error"]["code"] == told
        assert end["response"]["error"]["message"] == ("No. Try again in 5s." if told == "rate_limit_exceeded" else said)


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "upstream_rate_limit"])
def test_codex_does_not_wait_for_a_limit_that_no_retry_cures(code: str) -> None:
    """A call that is larger than the limit, or the quota of a day: it would send the whole conversation again and again."""
    _, end = codex_turn(encoder().failure(ApiError(code, "No.", retry_after=28_800, should_retry=False), "req_9"))
    assert end["response"]["error"] == {"code": "insufficient_quota", "message": "No."}


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("insufficient_wallet_balance", 429, "insufficient_quota"),
        ("unknown_model", 404, "model_not_found"),
        ("overloaded", 503, "server_is_overloaded"),
        ("quota_exceeded", 429, "quota_exceeded"),
        ("invalid_api_key", 401, "invalid_api_key"),
        ("upstream_timeout", 504, "upstream_timeout"),
    ],
)
def test_a_refusal_has_the_status_and_the_code_that_its_clients_act_on(code: str, status: int, told: str) -> None:
    """Codex repeats every 402 five times and every 404 that is not `model_not_found`; all else is as on the chat door."""
    error = ApiError(code, "No.", param="model", should_retry=False)
    refused = RESPONSES_DOOR.refused(error, "req_9")
    assert refused.status == status
    assert dict(refused.headers)["x-should-retry"] == "false"
    said = json.loads(refused.body)["error"]
    assert (said["code"], said["message"], said["param"], said["request_id"]) == (told, "No.", "model", "req_9")


def test_what_a_vendor_of_the_same_protocol_sends_passes_and_a_failure_continues_it() -> None:
    """Its bytes are not touched; the two events of a failure have its id and the next numbers."""
    writer = encoder()
    first = (
        b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_v","object":"response"},"sequence_number":0}\n\n'
    )
    second = b'event: x\ndata: {"type":"x","sequence_number":17}\n\n'
    assert [piece and piece.data for piece in (writer.write([Piece(first, 0)]), writer.write([Piece(second, 1)]))] == [first, second]
    events = events_in(writer.failure(ApiError("upstream_timeout", "No."), "req_9"))
    assert [event["sequence_number"] for event in events] == [18, 19]
    assert events[-1]["response"]["id"] == "resp_v"
    assert encoder().closing([Piece(b"the end", 0)]) == b"the end"
    assert encoder(stream=False).closing([Piece(b"{}", 0)]) == b"{}"


def test_an_answer_too_long_to_keep_is_given_up() -> None:
    """The protocol repeats every text at its end, so it is kept, up to a bound."""
    half = "x" * (ANSWER_BYTES_MAX // 2)
    writer = encoder(stream=False)
    writer.write([Text(0, half), Text(0, half)])
    with pytest.raises(ApiError, match="longer than"):
        writer.write([Text(0, "x")])


WORDS = st.text(min_size=1)
SAYINGS = st.one_of(
    st.builds(Text, st.just(0), WORDS, st.integers(0, 3)),
    st.builds(Refusal, st.just(0), WORDS, st.integers(0, 3)),
    st.builds(Reasoning, st.just(0), WORDS, st.integers(0, 3), st.sampled_from(["", "sealed"])),
    st.builds(Extra, st.just(0), st.sampled_from(["logprobs", "annotations", "audio"]), st.just([])),
)
OWN = [{"type": "shell"}, {"type": "local_shell"}, {"type": "apply_patch"}, {"type": "tool_search", "execution": "client"}]
CALLED = ["look", "patch", "crew__call", "shell", "local_shell", "apply_patch", "tool_search"]
INPUTS = st.one_of(
    WORDS, st.sampled_from(['{"commands":', '["ls"]}', '{"command":["ls"]}', '{"type":"delete_file","path":"a"}', '{"input":"x"}'])
)
CALLS = st.lists(st.tuples(st.sampled_from(CALLED), st.booleans(), st.lists(INPUTS, max_size=3)), max_size=4)


@settings(deadline=None)
@given(st.lists(SAYINGS, max_size=8), CALLS, st.sampled_from(["stop", "length", "tool_calls"]), st.lists(st.integers(1, 4)))
def test_whatever_parts_come_the_stream_keeps_its_promises(
    said: list[Part], calls: list[tuple[str, bool, list[str]]], reason: str, cuts: list[int]
) -> None:
    """However they come together; its tokens are theirs, its document has the same items, and OpenAI's client reads it."""
    parts, tools = [WHO, *said[:4]], [*TOOLS, *OWN]
    for index, (name, custom, inputs) in enumerate(calls):
        parts += [ToolCall(0, index, f"call_{index}", name, 1, custom), *[Arguments(0, index, text, 1) for text in inputs]]
    parts += [*said[4:], Finish(0, reason)]
    writer, left, pieces = encoder(tools=tools), list(parts), []
    for cut in [*cuts, len(parts)]:
        pieces += [piece for piece in [writer.write(left[:cut]) if left else None] if piece is not None]
        left = left[cut:]
    data = b"".join([piece.data for piece in pieces]) + writer.closing([REPORT])
    assert faults_in(data) == []
    assert sum(piece.tokens for piece in pieces) == sum(part.tokens for part in parts)
    document = json.loads(document_of(*parts, tools=tools))
    assert document["output"] == events_in(data)[-1]["response"]["output"]
    read = client_for(document_of(*parts, tools=tools), "application/json").responses.create(model="m", input="Hi.")
    assert [item.type for item in read.output] == [item["type"] for item in document["output"]]
    if reason != "length":
        assert [item.type for item in streamed(data).output] == [item["type"] for item in document["output"]]
