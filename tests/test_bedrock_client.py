"""AWS's own library as the judge of both sides: it reads what our scripts send, and its model of the API takes what we ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aisa.providers import bedrock
from aisa.providers.shape import Target
from aisa.testing.aws_frames import frames_of
from aisa.wire.messages import MessagesRequest
from aisa.wire.trees import as_tree, is_list, is_tree
from test_bedrock import CASES, CLAUDE, FUNCTION, NEWEST, NOVA, PNG, USER, asked, call, result, said

session = pytest.importorskip("botocore.session")
eventstream = pytest.importorskip("botocore.eventstream")
parsers = pytest.importorskip("botocore.parsers")
validate = pytest.importorskip("botocore.validate")

SERVICE: Any = session.Session().get_service_model("bedrock-runtime")
STREAM, DOCUMENT = SERVICE.operation_model("ConverseStream"), SERVICE.operation_model("Converse")
FOREIGN = {"brandNew", "p"}  # what is in the scripts because AWS may send it, and no client knows it


def scripts() -> list[tuple[Path, list[list[Any]]]]:
    """The streams of the corpus that are whole."""
    found = [(folder, folder / "upstream.frames.json") for folder in CASES if (folder / "upstream.frames.json").exists()]
    return [
        (folder, json.loads(path.read_bytes()))
        for folder, path in found
        if not (folder / "case.json").exists() and folder.name != "empty-starts"  # AWS's own client refuses those, and servers send them
    ]


def members(shape: Any, value: object) -> list[str]:
    """The members of a value that the model of the API does not know."""
    if is_list(value):
        return [name for item in value for name in members(shape.member, item)] if shape.type_name == "list" else []
    if not is_tree(value) or shape.type_name != "structure" or shape.metadata.get("document"):
        return []
    foreign = [name for name in value if name not in shape.members and name not in FOREIGN]
    return foreign + [name for key, inner in value.items() if key in shape.members for name in members(shape.members[key], inner)]


@pytest.mark.parametrize(("folder", "entries"), scripts(), ids=lambda value: value.name if isinstance(value, Path) else "")
def test_awss_reader_reads_the_frames_of_our_scripts(folder: Path, entries: list[list[Any]]) -> None:
    """Their lengths, headers and checksums are right, and no event has a member that it does not know."""
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(frames_of(entries))
    parser = parsers.EventStreamJSONParser()
    shape = STREAM.get_event_stream_output()
    read = [parser.parse(message.to_response_dict(), shape) for message in buffer]
    assert len(read) == len(entries), folder.name
    for (name, payload), event in zip(entries, read, strict=True):
        if name.startswith("!"):
            assert event["Error"], folder.name
        elif name not in FOREIGN:
            assert list(event) == [name]
            assert members(shape.members[name], payload) == []


@pytest.mark.parametrize("folder", [folder for folder in CASES if (folder / "client.json").exists()], ids=lambda folder: folder.name)
def test_awss_model_of_the_api_knows_the_documents_of_our_scripts(folder: Path) -> None:
    """Every member of them."""
    document = json.loads((folder / "upstream.json").read_bytes())
    assert members(DOCUMENT.output_shape, document) == []


MARKED = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
FORM = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
LEGACY = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
PICTURE, FILE = ({"type": "image_url", "image_url": {"url": PNG}}, {"type": "file", "file": {"filename": "a_b.pdf", "file_data": "JVBE"}})
REQUESTS: list[dict[str, Any]] = [
    {"messages": [{"role": "system", "content": [MARKED]}, USER]},
    {
        "messages": [USER, said(call("c1", "f", '{"a":1}'), call("c/2", "f")), result("c1", "1"), result("c/2", [PICTURE])],
        "tools": [FUNCTION],
    },
    {
        "messages": [
            {"role": "user", "content": [PICTURE, FILE, MARKED, {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}]}
        ]
    },
    {
        "messages": [USER],
        "tools": [{**FUNCTION, "cache_control": {"type": "ephemeral"}}],
        "tool_choice": "required",
        "service_tier": "flex",
    },
    {"messages": [USER], "response_format": FORM, "temperature": 0.5, "stop": ["a"], "max_tokens": 5_000, "reasoning_effort": "low"},
    {"messages": [USER], "model": NEWEST, "reasoning_effort": "high", "tools": [FUNCTION], "tool_choice": "none"},
    {"messages": [USER, LEGACY, {"role": "function", "name": "f", "content": ""}], "model": NOVA, "functions": [{"name": "f"}]},
    {"messages": [USER, {"role": "assistant", "content": "Yo"}, {"role": "system", "content": "T"}, USER], "model": NEWEST},
]


@pytest.mark.parametrize("fields", REQUESTS)
def test_awss_model_of_the_api_takes_what_we_ask(fields: dict[str, Any]) -> None:
    """Its validator finds no member that is foreign, missing, too short or of another type."""
    request: dict[str, Any] = {"model": CLAUDE, **fields}
    written = json.loads(asked(*request.pop("messages"), **request).body)
    shape = STREAM.input_shape
    assert members(shape, written) == []
    report = validate.ParamValidator().validate({"modelId": CLAUDE, **as_tree(written)}, shape)
    assert report.generate_report() == ""


def test_awss_model_of_the_api_takes_the_marks_of_the_messages_api() -> None:
    """Points behind every kind of block, for either lifetime."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    asks = {
        "model": "m",
        "max_tokens": 99,
        "system": [{"type": "text", "text": "S", **mark}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, **mark}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}, **mark}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "1"}]},
        ],
        "cache_control": {"type": "ephemeral"},
    }
    request = bedrock.to_upstream(MessagesRequest(json.dumps(asks).encode()), Target("aws", CLAUDE, "bedrock"))
    written = json.loads(request.body)
    assert members(STREAM.input_shape, written) == []
    assert validate.ParamValidator().validate({"modelId": CLAUDE, **as_tree(written)}, STREAM.input_shape).generate_report() == ""
    assert request.body.count(b'"cachePoint"') == 4
