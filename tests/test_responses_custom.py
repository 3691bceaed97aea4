"""Custom tools, which take any text, at vendors that know functions alone: a client of the Responses API has its custom calls all the same.

OpenAI's types and its reader of streams judge what its client gets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from openai.types.responses import ResponseCustomToolCall

from aisa.answer import Arguments, Finish, Text, ToolCall
from aisa.errors import UpstreamFailed
from aisa.providers import anthropic, bedrock, cohere, gemini, mistral
from aisa.providers.shape import Target
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.responses_custom import with_functions_alone
from polyglot import TEXT, TONGUES, Polyglot, configuration
from polyglot_words import INPUT, OUTPUT
from responses_reading import faults_in, streamed
from server import serving
from test_responses_door import document_of, encoder, kinds, stream_of
from test_responses_request import LOOK, read, user

Json = dict[str, Any]
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin"'}
PATCH = {"type": "custom", "name": "patch", "description": "Patches.", "format": GRAMMAR}
NOTE = {"type": "custom", "name": "note"}
PATCHED = "*** Begin\n+b"
MADE = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": PATCHED}
ANSWERED = {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done."}


def functions(**fields: object) -> Json:
    """The chat completion that a vendor of functions alone is asked."""
    chat = read(**fields).as_chat(functions_alone=True)
    return {name: json.loads(bytes(value)) for name, value in chat.fields.items()}


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    """Its grammar is told in words, and it is chosen and remembered as a function; without one nothing is written anew."""
    asked = functions(tools=[LOOK, PATCH, NOTE], tool_choice={"type": "custom", "name": "patch"}, input=[user("Hi."), MADE, ANSWERED])
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["look", "patch", "note"]
    patch = asked["tools"][1]["function"]
    assert (patch["description"], patch["parameters"]["required"]) == ("Patches.", ["input"])
    assert patch["parameters"]["properties"]["input"]["description"] == 'A text of this lark grammar:\nstart: "*** Begin"'
    assert "description" not in asked["tools"][2]["function"]
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "patch"}}
    [called] = asked["messages"][1]["tool_calls"]
    assert called == {
        "id": "c1",
        "type": "function",
        "function": {"name": "patch", "arguments": json.dumps({"input": PATCHED}, separators=(",", ":"))},
    }
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "note"}, {"type": "function", "name": "look"}]}
    among = functions(tools=[LOOK, NOTE], tool_choice=allowed)["tool_choice"]["allowed_tools"]["tools"]
    assert among == [{"type": "function", "function": {"name": name}} for name in ("note", "look")]
    plain = read(tools=[LOOK]).as_chat()
    assert with_functions_alone(plain) is plain


@pytest.mark.parametrize("dialect", [anthropic, bedrock, cohere, gemini, mistral])
def test_a_custom_call_in_a_chats_history_keeps_what_it_was_given(dialect: Any) -> None:
    """At the chat door too, where such a tool is no longer offered: Claude was told of a call with nothing, Mistral of none."""
    made = {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": PATCHED}}
    said = [user("Hi."), {"role": "assistant", "content": None, "tool_calls": [made]}]
    body = {"model": "m", "messages": [*said, {"role": "tool", "tool_call_id": "c1", "content": "Done."}]}
    sent = dialect.to_upstream(CHAT_DOOR.read(json.dumps(body).encode()), Target("a", "some-model", dialect.NAME)).body
    assert json.dumps(PATCHED).strip('"') in sent.decode().replace("\\\\n", "\\n")
    assert b"patch" in sent


def test_a_call_that_is_held_is_billed_when_it_is_told() -> None:
    """A text that comes before it is whole carries its own token alone: who leaves then has not got the call."""
    writer = encoder(tools=[PATCH])
    parts = (Text(0, "I ", 1), ToolCall(0, 0, "c1", "patch", 2), Arguments(0, 0, '{"input":', 3), Text(0, "patch.", 4))
    told = [0 if (piece := writer.write([part])) is None else piece.tokens for part in (*parts, Arguments(0, 0, '"b"}', 5))]
    last = writer.write([Finish(0, "tool_calls")])
    assert (told, last and last.tokens) == ([1, 0, 0, 4, 0], 10)


def test_a_function_call_of_a_custom_tool_is_a_custom_call() -> None:
    """With its events; a custom call of a vendor that has them stays one, in pieces; a namespace that a model leaves out is found."""
    text = json.dumps({"input": PATCHED})
    crew = {"type": "namespace", "name": "crew", "description": "Others.", "tools": [PATCH]}
    for tool, name in ((PATCH, "patch"), (crew, "crew__patch"), (crew, "patch")):
        parts = [Text(0, "So:"), ToolCall(0, 0, "c1", name), Arguments(0, 0, text[:9]), Arguments(0, 0, text[9:]), Finish(0, "tool_calls")]
        data = stream_of(*parts, tools=[tool])
        custom = ["custom_tool_call_input.delta", "custom_tool_call_input.done"]
        assert (faults_in(data), kinds(data)[-5:]) == ([], ["output_item.added", *custom, "output_item.done", "completed"])
        _, call = streamed(data).output
        assert isinstance(call, ResponseCustomToolCall)
        assert (call.name, call.input, call.call_id, call.namespace) == ("patch", PATCHED, "c1", "crew" if tool is crew else None)
        assert json.loads(document_of(*parts, tools=[tool]))["output"][1] == call.model_dump(exclude_none=True, by_alias=True) | {
            "status": "completed"
        }
    native = stream_of(ToolCall(0, 0, "c1", "patch", 1, True), Arguments(0, 0, "{"), Arguments(0, 0, "}"), Finish(0, "stop"), tools=[PATCH])
    assert kinds(native).count("custom_tool_call_input.delta") == 2


@pytest.mark.parametrize("text", ["{", "", '"x"', '{"input":1}', '{"text":"x"}', '{"input":"x","more":1}'])
def test_what_is_no_such_text_is_told_as_the_function_call_that_it_was(text: str) -> None:
    """With every character of it."""
    data = stream_of(ToolCall(0, 0, "c1", "patch"), Arguments(0, 0, text), Finish(0, "stop"), tools=[PATCH])
    [item] = streamed(data).model_dump()["output"]
    assert (faults_in(data), item["type"], item["name"], item["arguments"]) == ([], "function_call", "patch", text)


def test_a_chat_has_no_way_back_from_a_function() -> None:
    """So that a custom tool in one is refused as before where the vendor has none."""
    body = {"model": "m", "messages": [user("Hi.")], "tools": [{"type": "custom", "custom": {"name": "note"}}]}
    with pytest.raises(UpstreamFailed, match="custom"):
        anthropic.to_upstream(CHAT_DOOR.read(json.dumps(body).encode()), Target("v", "claude-opus-5-5", "anthropic"))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """OpenAI's client at a server in front of a vendor that speaks every dialect."""
    with Polyglot() as vendor, serving(tmp_path_factory.mktemp("custom"), configuration(vendor.url)) as server:
        yield OpenAI(base_url=server.api, api_key=server.key, max_retries=0)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("dialect", [name for name in TONGUES if name not in ("openai", "responses")])
def test_a_custom_tool_is_called_whatever_the_dialect(client: OpenAI, dialect: str, stream: bool) -> None:
    """Two turns with thinking: the call, and the answer to its result."""
    model = f"{dialect}/claude-opus-5-5-patcher" if dialect in ("anthropic", "bedrock") else f"{dialect}/patcher"
    conversation: list[Any] = [user("Correct a.py.")]
    for turn in (1, 2):
        asked: Any = {"model": model, "input": conversation, "tools": [PATCH], "reasoning": {"effort": "high"}, "max_output_tokens": 20_000}
        if stream:
            with client.responses.stream(**asked) as events:
                answer: Any = events.get_final_response()
        else:
            answer = client.responses.create(**asked)
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (INPUT, OUTPUT)
        calls = [item for item in answer.output if isinstance(item, ResponseCustomToolCall)]
        assert [call.input for call in calls] == ([PATCHED] if turn == 1 else [])
        conversation += [*answer.output, *[{**ANSWERED, "call_id": call.call_id} for call in calls]]
    assert answer.output_text == TEXT
