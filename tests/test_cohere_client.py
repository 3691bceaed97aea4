"""Cohere's own client as the judge of both sides: it reads what our scripts send, and its types take what we ask."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from aisa.providers import cohere
from aisa.providers.listed_models import models_request, names_in, read_document
from aisa.vendors.table import ROWS
from aisa.wire.trees import is_list
from corpus_runner import DialectCase
from test_cohere import CASES, FUNCTION, PNG, USER, asked, call, result, said

base = pytest.importorskip("cohere.core.unchecked_base_model")
v2 = pytest.importorskip("cohere.v2")
client = pytest.importorskip("cohere.v2.client")
types = pytest.importorskip("cohere.types")
construct = base.construct_type

#: What Cohere sends in the event that opens an answer, and its client does not type.
UNTYPED = frozenset({".delta.message.content", ".delta.message.tool_plan", ".delta.message.tool_calls", ".delta.message.citations"})


def events_in(folder: Path) -> list[dict[str, Any]]:
    """The events, or the document, that the vendor of a case sends, if it is what Cohere sends when all goes well."""
    case = DialectCase(cohere, folder)
    text = case.upstream.decode()
    if case.meta["status"] != 200 or (case.json("failure.json") is not None and "finish" not in folder.name):
        return []
    if (folder / "upstream.json").exists() or text.startswith("{"):
        return [json.loads(text)]
    lines = [line.removeprefix("data: ") for line in text.splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.mark.parametrize("folder", [folder for folder in CASES if events_in(folder)], ids=lambda folder: folder.name)
def test_coheres_client_reads_what_our_scripts_send(folder: Path) -> None:
    """The scripts are true: each event is of a type that it knows, and no member of it is foreign to that type."""
    for event in events_in(folder):
        if event.get("type") == "brand-new":
            continue
        read = construct(type_=v2.V2ChatStreamResponse if "type" in event else v2.V2ChatResponse, object_=event)
        assert set(foreign(read)) - UNTYPED == set()


def foreign(model: object, where: str = "") -> list[str]:
    """The members of a value that its types do not know."""
    if is_list(model):
        return [name for item in model for name in foreign(item, where)]
    extra: dict[str, object] = getattr(model, "model_extra", None) or {}
    fields: dict[str, object] = getattr(type(model), "model_fields", {})
    return [f"{where}.{name}" for name in extra] + [name for field in fields for name in foreign(getattr(model, field), f"{where}.{field}")]


def test_its_list_of_models_is_where_its_client_asks_for_it_and_has_the_form_that_is_read() -> None:
    """The address of the client's own request, from ours at the row's base URL; and a list in the client's types."""
    asked: list[httpx.Request] = []
    listed = types.ListModelsResponse(
        models=[types.GetModelResponse(name="command-a", endpoints=["chat"]), types.GetModelResponse(name="old", endpoints=["classify"])]
    )

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=listed.json(), headers={"content-type": "application/json"})

    here = pytest.importorskip("cohere").ClientV2(api_key="k", httpx_client=httpx.Client(transport=httpx.MockTransport(answer)))
    here.models.list(page_size=1000)
    assert asked[0].url == httpx.URL(ROWS["cohere"].base_url + models_request("cohere", ()).path)  # which takes the dots as a server does
    assert names_in(read_document(listed.json().encode())) == ["command-a"]


REQUESTS: list[dict[str, Any]] = [
    {"messages": [{"role": "system", "content": "S"}, USER]},
    {"messages": [USER, said(call("c1", "f", '{"a":1}'), call("c2", "g")), result("c1", "1"), result("c2", "2")], "tools": [FUNCTION]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}, {"type": "text", "text": "See"}]}]},
    {"messages": [USER], "tools": [FUNCTION], "tool_choice": "required", "reasoning_effort": "low"},
    {"messages": [USER], "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}, "top_p": 0.5},
    {"messages": [USER], "documents": [{"id": "d", "data": {"t": "x"}}], "stop": ["a"], "max_tokens": 5, "seed": 3, "logprobs": True},
]


@pytest.mark.parametrize("fields", REQUESTS)
def test_coheres_client_knows_what_we_ask(fields: dict[str, Any]) -> None:
    """Its types take every message and tool of what we write and know every member, and its method every parameter."""
    request = dict(fields)
    written = json.loads(asked(*request.pop("messages"), **request).body)
    assert written.keys() - {"stream"} <= inspect.signature(client.V2Client.chat).parameters.keys()
    kinds: dict[str, Any] = {
        "messages": types.ChatMessages,
        "tools": list[types.ToolV2],
        "response_format": types.ResponseFormatV2,
        "thinking": types.Thinking,
    }
    for name, kind in kinds.items():
        if name in written:
            assert foreign(construct(type_=kind, object_=written[name])) == []
