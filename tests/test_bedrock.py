"""The Bedrock dialect: its corpus, however the bytes arrive; what it is asked in Converse's words; and what calls cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from aisa.answer import Reasoning, ToolCall
from aisa.config.schema import Prices
from aisa.errors import UpstreamFailed
from aisa.ledger.row import CallRow
from aisa.providers import bedrock
from aisa.providers.event_stream import BrokenFrame, FrameDecoder
from aisa.providers.fetched import Fetched, filled
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Asked, Target
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorState, VendorStates
from aisa.testing.aws_frames import event, exception, frame
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_stream
from aisa.wire.chat import parse_chat
from aisa.wire.reasoning_details import detail
from corpus_runner import FILES, DialectCase, cases, check_case
from dialect_cases import required
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, content_of, events_of

CORPUS = Path(__file__).parent / "corpus" / "bedrock"
CASES = cases(CORPUS)
USER = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
CLAUDE, NEWEST, NOVA = "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-opus-5-5-v1:0", "amazon.nova-2-lite-v1:0"
ONE_CALL = "disable_parallel_tool_use"
SPEC = {"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}


@pytest.mark.parametrize("folder", CASES, ids=[folder.name for folder in CASES])
def test_a_client_gets_what_the_case_says_however_the_vendors_bytes_arrive(folder: Path) -> None:
    """Output, usage and failure are those of the case's files, and the same for every split of the body."""
    check_case(DialectCase(bedrock, folder))


def test_every_case_is_whole_and_none_that_the_dialect_owes_is_missing() -> None:
    """A row of the mapping without a case is red; so is a case without an end."""
    for folder in CASES:
        names = {path.name for path in folder.iterdir()}
        assert names <= FILES, folder.name
        assert names & {"client.sse", "client.json", "failure.json"}, folder.name
    assert required(bedrock.NAME) - {folder.name for folder in CASES} == set()


# Frames


def test_a_frame_over_the_limit_is_known_by_its_beginning() -> None:
    """It is not waited for: nothing of it is held but what says how long it is."""
    decoder = FrameDecoder(1_000)
    with pytest.raises(BrokenFrame, match="over the size limit"):
        decoder.feed(frame({":event-type": "x"}, bytes(2_000))[:12])
    assert decoder.held_bytes == 12


@pytest.mark.parametrize("place", range(0, 60, 3))
def test_no_changed_byte_goes_unseen(place: int) -> None:
    """Whichever: one of the two checksums does not fit."""
    data = bytearray(frame({":message-type": "event", ":event-type": "x"}, b'{"a":1}'))
    data[place] ^= 0x40
    with pytest.raises(BrokenFrame):
        FrameDecoder(1_000_000).feed(bytes(data))


def test_headers_of_every_type_are_passed_over() -> None:
    """Only texts are read; lengths that do not come out are told."""
    values = [
        b"\x00",
        b"\x01",
        b"\x02x",
        b"\x03xx",
        b"\x04xxxx",
        b"\x05" + bytes(8),
        b"\x06\x00\x03abc",
        b"\x08" + bytes(8),
        b"\x09" + bytes(16),
    ]
    headers = b"".join(b"\x01h" + value for value in values) + b"\x01t\x07\x00\x02ok"
    assert FrameDecoder(1_000).feed(raw_frame(headers, b"{}"))[0] == ({"t": "ok"}, b"{}")
    for broken in (b"\x01h\x0a", b"\x01h\x07\x00\x09ok", b"\x09h", b"\x01t\x07\x00\x01\xff"):
        with pytest.raises(BrokenFrame, match="headers"):
            FrameDecoder(1_000).feed(raw_frame(broken, b"{}"))


def raw_frame(headers: bytes, payload: bytes) -> bytes:
    """A frame whose headers are these bytes."""
    prelude = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    whole = prelude + crc32(prelude).to_bytes(4, "big") + headers + payload
    return whole + crc32(whole).to_bytes(4, "big")


# Requests


def asked(*messages: Any, model: str = CLAUDE, unsupported: str = "refuse", fetches: bool = False, **fields: Any) -> UpstreamRequest:
    """The request that Bedrock gets for a chat of these messages."""
    chat = parse_chat(json.dumps({"model": "m", "messages": messages or [USER], **fields}).encode())
    return bedrock.to_upstream(chat, Target("bedrock", model, "bedrock", unsupported=unsupported, fetches=fetches))


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


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("anthropic.claude-x:0", True, "/model/anthropic.claude-x%3A0/converse-stream"),
        (
            "arn:aws:bedrock:eu-west-1:1:inference-profile/a",
            False,
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fa/converse",
        ),
        ("../b?x#y", False, "/model/..%2Fb%3Fx%23y/converse"),
    ],
)
def test_the_model_is_one_segment_of_the_path(model: str, stream: bool, path: str) -> None:
    """Encoded once, whatever is in its name."""
    request = asked(model=model, stream=stream)
    assert request.path == path
    assert dict(request.headers)["accept"] == ("application/vnd.amazon.eventstream" if stream else "application/json")


def test_a_conversation_is_in_converses_words() -> None:
    """Instructions apart, turns merged, results of a step in one turn, marks for the cache behind what they mark; tools before messages."""
    marked = {"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    history = (
        {"role": "system", "content": [marked]},
        {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": PNG}}]},
        said(call("c1", "f", '{"a": 1}'), call("c/2", "f", ""), content="One moment."),
        result("c1", "one"),
        result("c/2", [{"type": "text", "text": "two"}, {"type": "image_url", "image_url": {"url": PNG}}]),
        {
            "role": "user",
            "content": [{"type": "text", "text": "And?", "prompt_cache_breakpoint": {"ttl": "30m"}}, {"type": "text", "text": " "}],
        },
    )
    body = body_of(*history, tools=[{**FUNCTION, "cache_control": {"type": "ephemeral"}}])
    other = body["messages"][1]["content"][2]["toolUse"]["toolUseId"]
    image = {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}
    assert list(body)[:3] == ["system", "toolConfig", "messages"]
    assert body["system"] == [{"text": "S"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["toolConfig"] == {"tools": [SPEC, {"cachePoint": {"type": "default"}}]}
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "See"}, image]},
        {
            "role": "assistant",
            "content": [
                {"text": "One moment."},
                {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}},
                {"toolUse": {"toolUseId": other, "name": "f", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "c1", "content": [{"text": "one"}]}},
                {"toolResult": {"toolUseId": other, "content": [{"text": "two"}, image]}},
                {"text": "And?"},
                {"cachePoint": {"type": "default", "ttl": "1h"}},
            ],
        },
    ]


def test_ids_of_calls_are_in_letters_that_the_model_takes_and_stay_the_same() -> None:
    """Mistral's models there have nine, as at Mistral."""
    history = (USER, said(call("tooluse_1", "f"), call("odd/id", "f")), result("tooluse_1", "1"), result("odd/id", "2"))
    for model, letters in ((CLAUDE, 30), ("mistral.mistral-large-2407-v1:0", 9)):
        body = body_of(*history, model=model, tools=[FUNCTION])
        uses = [block["toolUse"]["toolUseId"] for block in body["messages"][1]["content"]]
        assert uses == [block["toolResult"]["toolUseId"] for block in body["messages"][2]["content"]]
        assert len(uses[1]) == letters
        assert body == body_of(*history, model=model, tools=[FUNCTION])
    assert body_of(*history, tools=[FUNCTION])["messages"][1]["content"][0]["toolUse"]["toolUseId"] == "tooluse_1"


@pytest.mark.parametrize("content", ["", " \n", [{"type": "text", "text": ""}]])
def test_a_result_of_nothing_says_so_and_one_of_a_failure_too(content: Any) -> None:
    """Bedrock refuses texts of blanks, and with one in its history the conversation would be refused for good."""
    history = (USER, said(call("c1", "f"), call("c2", "f")), result("c1", content), {**result("c2", "no such file"), "is_error": True})
    assert body_of(*history, tools=[FUNCTION])["messages"][-1]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "(nothing)"}]}},
        {"toolResult": {"toolUseId": "c2", "content": [{"text": "no such file"}], "status": "error"}},
    ]


@pytest.mark.parametrize("place", ["message", "part"])
def test_a_mark_for_the_cache_in_a_result_stands_behind_the_result(place: str) -> None:
    """Converse has none inside; one on its last part means all up to there. Two are one."""
    mark = {"cache_control": {"type": "ephemeral"}}
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    parts = [{"type": "text", "text": "1"}, {"type": "text", "text": "2", **mark}]
    result = {"role": "tool", "tool_call_id": "c1", "content": parts, **(mark if place == "message" else {})}
    content = json.loads(asked(USER, call, result, tools=[FUNCTION]).body)["messages"][-1]["content"]
    told = {"toolUseId": "c1", "content": [{"text": "1"}, {"text": "2"}]}
    assert content == [{"toolResult": told}, {"cachePoint": {"type": "default"}}]


def test_a_mark_for_the_cache_stands_behind_a_picture_too() -> None:
    """As behind any part."""
    picture = {"type": "image_url", "image_url": {"url": PNG}, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    [shown, mark] = body_of({"role": "user", "content": [picture]})["messages"][0]["content"]
    assert (shown["image"]["format"], mark) == ("png", {"cachePoint": {"type": "default", "ttl": "1h"}})


def test_tools_are_declared_with_all_that_is_said_of_them() -> None:
    """Bedrock takes no empty description."""
    told = {"name": "t", "description": "Tells.", "strict": True, "parameters": SCHEMA}
    blank = {"name": "b", "description": " ", "parameters": SCHEMA}
    tools = [{"type": "function", "function": function} for function in (told, blank, {"name": "z"})]
    assert body_of(tools=tools)["toolConfig"]["tools"] == [
        {
            "toolSpec": {
                "name": "t",
                "description": "Tells.",
                "strict": True,
                "inputSchema": {"json": {**SCHEMA, "additionalProperties": False}},
            }
        },
        {"toolSpec": {"name": "b", "inputSchema": {"json": SCHEMA}}},
        {"toolSpec": {"name": "z", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
    ]


def test_later_instructions_stay_where_they_were() -> None:
    """As the system's where the model takes that, else as the user's."""
    history = (USER, {"role": "assistant", "content": "Yo"}, {"role": "system", "content": "T"}, USER)
    assert [turn["role"] for turn in body_of(*history, model=NEWEST)["messages"]] == ["user", "assistant", "system", "user"]
    older = body_of(*history, model=NOVA)["messages"]
    assert [turn["role"] for turn in older] == ["user", "assistant", "user"]
    assert older[-1]["content"] == [{"text": "T"}, {"text": "Hi"}]


@pytest.mark.parametrize(
    ("part", "written"),
    [
        ({"type": "image_url", "image_url": "data:image/jpeg;base64,QQ=="}, {"image": {"format": "jpeg", "source": {"bytes": "QQ=="}}}),
        (
            {"type": "image_url", "image_url": {"url": "s3://b/a.webp"}},
            {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://b/a.webp"}}}},
        ),
        (
            {"type": "file", "file": {"filename": "My  r\u00e9port_1 (v2).pdf", "file_data": "data:application/pdf;base64,JVBE"}},
            {"document": {"format": "pdf", "name": "My r port 1 (v2)", "source": {"bytes": "JVBE"}}},
        ),
        (
            {"type": "file", "file": {"filename": "a.csv", "file_data": "QQ=="}},
            {"document": {"format": "csv", "name": "a", "source": {"bytes": "QQ=="}}},
        ),
        ({"type": "file", "file": {"file_data": PNG}}, {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}),
        *[
            (
                {"type": "image_url", "image_url": {"url": f"data:{kind};base64,QQ=="}},
                {"image": {"format": form, "source": {"bytes": "QQ=="}}},
            )
            for kind, form in (("image/jpg", "jpeg"), ("image/gif", "gif"), ("image/webp", "webp"), ("image/png", "png"))
        ],
        *[
            (
                {"type": "file", "file": {"file_data": f"data:{kind};base64,QQ=="}},
                {"document": {"format": form, "name": "document", "source": {"bytes": "QQ=="}}},
            )
            for kind, form in (
                ("application/pdf", "pdf"),
                ("text/csv", "csv"),
                ("application/msword", "doc"),
                ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
                ("application/vnd.ms-excel", "xls"),
                ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
                ("text/html", "html"),
                ("text/markdown", "md"),
                ("text/plain", "txt"),
            )
        ],
        (
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "pcm16"}},
            {"audio": {"format": "pcm", "source": {"bytes": "UklG"}}},
        ),
        ({"type": "input_audio", "input_audio": {"data": "UklG"}}, {"audio": {"format": "wav", "source": {"bytes": "UklG"}}}),
        (
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
            {"audio": {"format": "wav", "source": {"bytes": "UklG"}}},
        ),
    ],
)
def test_pictures_files_and_sound_are_blocks(part: dict[str, Any], written: dict[str, Any]) -> None:
    """By their bytes; names of files in letters that Bedrock takes."""
    assert body_of({"role": "user", "content": [part]})["messages"][0]["content"] == [written]


@pytest.mark.parametrize(
    ("part", "refused"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, ("unsupported_parameter", True)),
        ({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,QQ=="}}, ("unsupported_parameter", True)),
        ({"type": "file", "file": {"file_id": "file-abc"}}, ("unsupported_parameter", True)),
        ({"type": "file", "file": {"file_data": "data:application/zip;base64,QQ=="}}, ("unsupported_parameter", True)),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "https://example.com/a.pdf"}}, ("unsupported_parameter", True)),
        ({"type": "input_audio", "input_audio": {"data": "UklG", "format": "midi"}}, ("unsupported_parameter", True)),
        ({"type": "hologram"}, ("unsupported_parameter", True)),
        ({"type": "image_url"}, ("invalid_request", False)),
        ({"type": "image_url", "image_url": {"url": "data:oops"}}, ("invalid_request", False)),
        ({"type": "input_audio", "input_audio": {}}, ("invalid_request", False)),
    ],
)
def test_parts_that_cannot_be_shown_are_named(part: dict[str, Any], refused: tuple[str, bool]) -> None:
    """What another vendor may take is asked of it, whatever the model's entry says of parameters; what is broken is not."""
    with pytest.raises(UpstreamFailed) as failed:
        asked(USER, {"role": "user", "content": [{"type": "text", "text": "See"}, part]}, unsupported="drop")
    assert (failed.value.error.code, failed.value.may_fall_back) == refused
    assert failed.value.error.param == "messages[1].content[1]"


def test_pictures_by_address_are_read_for_it_where_that_is_wanted() -> None:
    """Each once: its format and its bytes at marks that no text can hold."""
    parts = [{"type": "image_url", "image_url": {"url": f"https://example.com/{number % 2}"}} for number in range(3)]
    request = asked({"role": "user", "content": parts}, fetches=True)
    assert request.fetches == ("https://example.com/0", "https://example.com/1")
    body = json.loads(filled(request.body, [Fetched("image/png", b"AAAA"), Fetched("image/webp", b"BBBB")]))
    images = [block["image"] for block in body["messages"][0]["content"]]
    assert [(image["format"], image["source"]["bytes"]) for image in images] == [("png", "AAAA"), ("webp", "BBBB"), ("png", "AAAA")]


ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [FUNCTION]}}
NAMED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("choice", "written"),
    [(None, None), ("auto", None), ("required", {"any": {}}), (NAMED, {"tool": {"name": "f"}}), (ALLOWED, {"any": {}})],
)
def test_every_form_of_tool_choice_has_its_words(choice: Any, written: Any) -> None:
    """Nothing where the model may decide."""
    config = body_of(tools=[FUNCTION], tool_choice=choice)["toolConfig"]
    assert (config["tools"], config.get("toolChoice")) == ([SPEC], written)


def test_no_call_is_no_tool_but_a_history_with_calls_keeps_its_tools() -> None:
    """It has no word for none, and refuses calls in a history without tools: the caller is told."""
    assert "toolConfig" not in body_of(tools=[FUNCTION], tool_choice="none")
    history = (USER, said(call("c1", "f")), result("c1", "1"))
    request = asked(*history, tools=[FUNCTION], tool_choice="none")
    assert (json.loads(request.body)["toolConfig"], request.changed) == ({"tools": [SPEC]}, ("tool_choice=auto",))
    bare = body_of(*history)["toolConfig"]
    assert bare == {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}


def test_a_model_that_cannot_be_made_to_call_is_left_to_choose_and_the_caller_is_told() -> None:
    """As at Anthropic."""
    request = asked(model=NEWEST, tools=[FUNCTION], tool_choice="required")
    assert ("toolChoice" not in json.loads(request.body)["toolConfig"], request.changed) == (True, ("tool_choice=auto",))


@pytest.mark.parametrize(
    ("choice", "converse", "model"),
    [
        (None, None, {"type": "auto", ONE_CALL: True}),
        ("auto", None, {"type": "auto", ONE_CALL: True}),
        ("required", {"any": {}}, {ONE_CALL: True}),
        ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}, {ONE_CALL: True}),
    ],
)
def test_one_call_at_a_time_is_asked_of_claude_itself(choice: Any, converse: Any, model: Any) -> None:
    """Converse has no word for it; beside a choice of its own it takes no second `type`. Functions of the older API are one at a time."""
    chosen = {} if choice is None else {"tool_choice": choice}
    body = body_of(tools=[FUNCTION], parallel_tool_calls=False, **chosen)
    assert (body["toolConfig"].get("toolChoice"), body["additionalModelRequestFields"]["tool_choice"]) == (converse, model)
    older = body_of(functions=[{"name": "f", "parameters": SCHEMA}])
    assert older["additionalModelRequestFields"]["tool_choice"] == {"type": "auto", ONE_CALL: True}
    for asks in ({}, {"parallel_tool_calls": False, "tool_choice": "none"}, {"parallel_tool_calls": True}):
        assert "additionalModelRequestFields" not in body_of(tools=[FUNCTION], **asks)
    assert "additionalModelRequestFields" not in body_of(parallel_tool_calls=False)


def test_functions_of_the_older_api_are_called_and_answered() -> None:
    """By ids of our own, as they have none."""
    legacy = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    answer = {"role": "function", "name": "f", "content": "1"}
    body = body_of(USER, legacy, answer, legacy, answer, functions=[{"name": "f", "parameters": SCHEMA}], function_call={"name": "f"})
    uses = [block["toolUse"]["toolUseId"] for turn in body["messages"] for block in turn["content"] if "toolUse" in block]
    assert uses == [block["toolResult"]["toolUseId"] for turn in body["messages"] for block in turn["content"] if "toolResult" in block]
    assert len(set(uses)) == 2
    assert body["toolConfig"] == {"tools": [SPEC], "toolChoice": {"tool": {"name": "f"}}}


def test_how_to_answer_is_in_its_members() -> None:
    """What Converse has no member for goes along for the model; a schema is a text."""
    form: dict[str, Any] = {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": {"type": "object", "properties": {}}},
    }
    body = body_of(
        temperature=0.5, top_k=4, stop=["x", " "], max_completion_tokens=9, response_format=form, service_tier="flex", unsupported="drop"
    )
    schema = '{"type":"object","properties":{},"additionalProperties":false}'
    assert body["inferenceConfig"] == {"maxTokens": 9, "temperature": 0.5, "stopSequences": ["x"]}
    assert body["additionalModelRequestFields"] == {"top_k": 4}
    assert body["outputConfig"] == {
        "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "n", "description": "d", "schema": schema}}}
    }
    for tier in ("flex", "priority", "reserved"):
        assert body_of(service_tier=tier)["serviceTier"] == {"type": tier}
    other = asked(service_tier="scale")
    assert ("serviceTier" in json.loads(other.body), other.changed) == (False, ("service_tier=default",))
    assert asked(service_tier="default").changed == asked(service_tier="auto").changed == ()
    assert body_of(model=NOVA).keys() == {"messages"}
    assert body_of(model=NOVA, max_tokens=7, top_p=0.5)["inferenceConfig"] == {"maxTokens": 7, "topP": 0.5}
    assert body_of()["inferenceConfig"] == {"maxTokens": 64_000}
    assert body_of(response_format={"type": "json_object"})["system"][-1]["text"].startswith("Answer with one JSON object")
    thinks = asked(reasoning_effort="low", temperature=0.5, max_tokens=9_000)
    assert (json.loads(thinks.body)["inferenceConfig"], thinks.changed) == ({"maxTokens": 9_000}, ("temperature=1",))
    assert asked(model=NEWEST, top_k=4).dropped == ("top_k",)


def test_what_is_bedrocks_own_passes() -> None:
    """Guardrails and the like, and what is for the model alone."""
    own = {
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "requestMetadata": {"team": "a"},
        "performanceConfig": {"latency": "optimized"},
        "promptVariables": {"a": {"text": "b"}},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    body = body_of(model=NOVA, **own, additionalModelRequestFields={"inferenceConfig": {"topK": 3}})
    assert {name: body[name] for name in own} == own
    assert body["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 3}}


@pytest.mark.parametrize(
    ("fields", "thinking", "effort"),
    [
        ({"reasoning_effort": "high", "model": NEWEST}, {"type": "adaptive", "display": "summarized"}, "high"),
        ({"reasoning_effort": "low", "model": CLAUDE, "max_tokens": 10_000}, {"type": "enabled", "budget_tokens": 2_000}, None),
        ({"reasoning_effort": "medium", "model": NOVA}, None, "medium"),
        ({"reasoning_effort": "none", "model": NOVA}, None, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}, "model": NOVA}, {"type": "enabled", "budget_tokens": 2_000}, None),
    ],
)
def test_thinking_is_asked_for_as_the_model_takes_it(fields: dict[str, Any], thinking: Any, effort: str | None) -> None:
    """Of Anthropic's as there, of others by the effort."""
    body = body_of(**fields)
    assert body.get("additionalModelRequestFields", {}).get("thinking") == thinking
    assert body.get("outputConfig", {}).get("effort") == effort


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"seed": 3}, "seed"),
        ({"parallel_tool_calls": False, "tools": [FUNCTION], "model": NOVA}, "parallel_tool_calls"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools"),
        ({"modalities": ["audio"]}, "modalities"),
    ],
)
def test_what_it_lacks_is_refused_by_name_or_left_out_and_told(fields: dict[str, Any], param: str) -> None:
    """As the model's entry has it."""
    with pytest.raises(UpstreamFailed) as failed:
        asked(**fields)
    assert (failed.value.error.code, failed.value.error.param) == ("unsupported_parameter", param)
    assert asked(unsupported="drop", **fields).dropped == (param,)


def test_thinking_with_its_signature_goes_back_block_for_block() -> None:
    """Sealed where the client brings it back, else kept by the call's id; another account's is as good as none."""
    states = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0))
    mine, theirs = states.of("a", "bedrock"), states.of("b", "bedrock")
    case = DialectCase(bedrock, CORPUS / "thinking-before-a-tool-call")
    decoder = bedrock.decoder(case.chat, Target("bedrock", CLAUDE, "bedrock", state=mine), call_id="1", created=1, protocol="openai")
    [seal] = [part.signature for part in decoder.feed(case.upstream) if isinstance(part, Reasoning) and part.signature]
    calls = [call("tooluse_1", "weather", '{"city":"Oslo"}')]

    def sent(state: VendorState, *, details: bool) -> list[Any]:
        back = {**said(*calls, content="One moment."), **({"reasoning_details": [detail(seal, 0)]} if details else {})}
        chat = parse_chat(json.dumps({"model": "m", "messages": [USER, back, result("tooluse_1", "1")]}).encode())
        written = json.loads(bedrock.to_upstream(chat, Target("bedrock", CLAUDE, "bedrock", state=state)).body)
        blocks: list[Any] = written["messages"][1]["content"]
        return blocks

    def back_from(name: str, **more: Any) -> list[Any]:
        told = DialectCase(bedrock, CORPUS / name)
        reader = bedrock.decoder(told.chat, Target("bedrock", CLAUDE, "bedrock", state=mine), call_id="1", created=1, protocol="openai")
        seals = [part.signature for part in reader.feed(told.upstream) if isinstance(part, Reasoning) and part.signature]
        message = {"role": "assistant", "reasoning_details": [detail(each, 0) for each in seals], **more}
        chat = parse_chat(json.dumps({"model": "m", "messages": [USER, message, USER]}).encode())
        blocks: list[Any] = json.loads(bedrock.to_upstream(chat, Target("bedrock", CLAUDE, "bedrock", state=mine)).body)["messages"][1][
            "content"
        ]
        return blocks

    assert back_from("redacted-thinking", content="It is cold.") == [
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
        {"text": "It is cold."},
    ]
    bare = [{"text": "One moment."}, {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Oslo"}}}]
    whole = [{"reasoningContent": {"reasoningText": {"text": "Oslo is north.", "signature": "c2ln"}}}, *bare]
    forgetful = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0)).of("a", "bedrock")
    assert [sent(mine, details=True), sent(mine, details=False), sent(forgetful, details=True)] == [whole] * 3
    assert [sent(theirs, details=True), sent(theirs, details=False), sent(forgetful, details=False)] == [bare] * 3


def test_calls_that_have_one_id_go_back_with_the_ids_of_their_results() -> None:
    """[fault W4] Behind thinking with its signature, where a turn is written as it came: a result without its call is refused."""
    state = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0)).of("a", "bedrock")
    target = Target("bedrock", CLAUDE, "bedrock", state=state)
    thought = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
    uses: list[dict[str, Any]] = [{"toolUse": {"toolUseId": "same", "name": "weather", "input": {}}}] * 2
    answer = {"output": {"message": {"role": "assistant", "content": [thought, *uses]}}, "stopReason": "tool_use", "usage": USAGE}
    asked_first = parse_chat(json.dumps({"model": "m", "messages": [USER]}).encode())
    decoder = bedrock.decoder(asked_first, target, call_id="1", created=1, protocol="openai")
    decoder.feed(json.dumps(answer).encode())
    decoder.end()
    ids = [part.id for part in decoder.closing(None) if isinstance(part, ToolCall)]
    history = [USER, said(*[call(each, "weather", "{}") for each in ids]), *[result(each, "1") for each in ids]]
    written = json.loads(bedrock.to_upstream(parse_chat(json.dumps({"model": "m", "messages": history}).encode()), target).body)["messages"]
    assert "reasoningContent" in written[1]["content"][0]
    assert [block["toolUse"]["toolUseId"] for block in written[1]["content"][1:]] == ids
    assert [block["toolResult"]["toolUseId"] for block in written[2]["content"] if "toolResult" in block] == ids
    assert len(set(ids)) == 2


def test_a_prefix_that_had_to_change_is_asked_with_the_documented_way_out() -> None:
    """Once the vendor has refused it; only of the models that bind thinking."""
    assert (asked(model=NEWEST).added, asked(model=NOVA).added) == (("strict_prefix",), ())
    target = Target("bedrock", NEWEST, "bedrock")
    words = json.dumps({"message": "messages.1.content.0: Invalid signature in thinking block"}).encode()
    refusal = bedrock.read_failure(400, {}, words, target=target, asked=Asked(0.0, ("strict_prefix",)))
    assert refusal.refused == ("strict_prefix",)
    chat = parse_chat(json.dumps({"model": "m", "messages": [USER]}).encode())
    again = bedrock.to_upstream(chat, Target("bedrock", NEWEST, "bedrock", omit=("strict_prefix",)))
    fields = json.loads(again.body)["additionalModelRequestFields"]
    assert fields["thinking"]["block_binding"] == {"prefix_mismatch_behavior": "drop_block"}
    assert fields["anthropic_beta"] == ["thinking-binding-controls-2026-08-01"]


# Calls

USAGE = {"inputTokens": 100, "outputTokens": 10, "totalTokens": 1_110, "cacheReadInputTokens": 800, "cacheWriteInputTokens": 200}
START = event("messageStart", {"role": "assistant"})
END = event("messageStop", {"stopReason": "end_turn"}) + event(
    "metadata", {"usage": USAGE | {"cacheDetails": [{"ttl": "1h", "inputTokens": 200}]}, "metrics": {"latencyMs": 1}}
)
FRAMES = {"content-type": "application/vnd.amazon.eventstream"}


def says(text: str) -> bytes:
    """A piece of text."""
    return event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})


def made(*scripts: Script, client: MemoryClient | None = None, **fields: Any) -> tuple[MemoryClient, CallRow, Rig]:
    """Make one call, of a stream unless told otherwise, to vendors that speak Bedrock."""
    prices = Prices(input=1, output=2, cached_input=0.1, cache_write=1.25, cache_write_1h=2)
    rig = Rig(*[ScriptedUpstream(script) for script in scripts], prices=prices)
    rig.dependencies.dialects = {"openai": bedrock}
    client = client or MemoryClient()
    run_virtual(rig.call(client, body(**{"stream": True, **fields})))
    return client, rig.rows[-1], rig


def test_a_stream_costs_what_bedrock_reported_by_class_of_cache() -> None:
    """Read and written tokens stand beside the input there, and are part of it here."""
    client, row, _ = made(Script([START, says("one "), says("two"), END], headers=FRAMES), stream_options={"include_usage": True})
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens) == ("completed", 1_100, 10)
    assert row.cost == 100 * 1_000 + 800 * 100 + 200 * 2_000 + 10 * 2_000
    assert check_stream(client.body, include_usage=True) == []
    assert content_of(client.body) == "one two"


def test_who_leaves_pays_for_what_arrived() -> None:
    """What was delivered, by our own count."""
    _, row, _ = made(Script([START, says("one "), Stall(1), says("two"), Stall()], headers=FRAMES), client=MemoryClient(leaves_after=1))
    assert (row.outcome, row.billed.output_tokens) == ("client_gone", 1)


BROKEN = says("more")[:-1] + b"x"


@pytest.mark.parametrize(
    "end",
    [[Break()], [], [exception("modelStreamErrorException", {"message": "oops"})], [BROKEN], [says("more")[:-3]]],
    ids=["broken", "ended", "exception", "checksum", "cut frame"],
)
def test_a_stream_that_fails_after_text_is_an_error_and_costs_what_arrived(end: list[Any]) -> None:
    """No finish, no `[DONE]`; another vendor is not asked."""
    client, row, _ = made(Script([START, says("one "), *end], headers=FRAMES), Script([START, END], headers=FRAMES))
    assert (row.outcome, row.attempts, row.billed.output_tokens) == ("cut", 1, 1)
    assert "error" in events_of(client.body)[-1]
    assert check_stream(client.body, include_usage=False) == []


TOKENS = {"message": "Too many tokens, please wait before trying again."}  # a minute's, of which Bedrock says no more


@pytest.mark.parametrize("words", [TOKENS, {"message": "Too many tokens"}], ids=["told to wait", "not told"])
@pytest.mark.parametrize("status", [400, 429, 200])
def test_a_limit_on_tokens_a_minute_is_no_prompt_that_is_too_long(words: dict[str, str], status: int) -> None:
    """Under whatever status, and inside a stream: the next target is asked, and a client alone is told to wait, not to shorten."""
    headers = FRAMES if status == 200 else {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/"}
    limited = Script([exception("throttlingException", words) if status == 200 else json.dumps(words).encode()], status, headers)
    client, row, _ = made(limited, Script([START, says("one "), END], headers=FRAMES))
    assert (content_of(client.body), row.attempts) == ("one ", 2)
    client, row, _ = made(limited)
    assert (client.status, json.loads(client.body)["error"]["code"], row.cost) == (429, "upstream_rate_limit", 0)


@pytest.mark.parametrize(
    "begin", [[START, Break()], [exception("throttlingException", {"message": "slow down"})]], ids=["opened", "throttled"]
)
def test_a_stream_that_fails_before_text_is_asked_of_the_next(begin: list[Any]) -> None:
    """The failed try costs the caller nothing."""
    client, row, _ = made(Script(begin, headers=FRAMES), Script([START, says("one "), END], headers=FRAMES))
    assert (content_of(client.body), row.outcome, row.attempts) == ("one ", "completed", 2)
