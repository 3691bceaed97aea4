"""Gemini's door: requests in both spellings, answers of every dialect in Gemini's words, and its bytes where the vendor speaks them too."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types
from google.genai.types import HttpOptions

from aisa.answer import Arguments, Finish, Part, Reasoning, Report, Text, ToolCall
from aisa.config.schema import Prices
from aisa.errors import CODES, ApiError, UpstreamFailed
from aisa.ledger.row import CallRow
from aisa.providers import anthropic, bedrock, gemini, openai
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.usage import Usage
from aisa.wire.door import Request
from aisa.wire.gemini import parse_gemini
from aisa.wire.gemini_config import json_schema
from aisa.wire.gemini_door import SILENCE, GeminiDoor
from aisa.wire.gemini_logprobs import Likelihoods, joined
from aisa.wire.sse import data_event
from rig import DONE, HEAD, OPENING, Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, chunk, document, text, usage
from server import Front, Server
from test_gemini import LAST, event, says

BODY: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def read(body: dict[str, Any], *, stream: bool = False) -> Request:
    """A request at the door."""
    return GeminiDoor("fast", stream=stream).read(json.dumps(body).encode())


def chat(body: dict[str, Any]) -> dict[str, Any]:
    """The chat completion that a request comes to."""
    return {name: json.loads(bytes(value)) for name, value in read(body).as_chat().fields.items()}


# Requests

SPELLED = {
    "contents": [
        {"role": "user", "parts": [{"text": "See"}, {"inlineData": {"data": "eA==", "mime_type": "image/png"}}]},
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {"functionCall": {"id": "c1", "args": {"a": 1}, "name": "f"}, "thoughtSignature": "c2ln"},
            ],
        },
        {"role": "user", "parts": [{"function_response": {"name": "f", "response": {"r": 1}}}]},
    ],
    "systemInstruction": {"parts": [{"text": "sys"}], "role": "user"},
    "tools": [{"functionDeclarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}, {"googleSearch": {}}],
    "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}},
    "serviceTier": "priority",
    "generationConfig": {
        "temperature": 0.1,
        "maxOutputTokens": 9,
        "stopSequences": ["x"],
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
        "thinkingConfig": {"include_thoughts": True, "thinking_level": "HIGH"},
    },
}
COMES_TO = {
    "model": "fast",
    "messages": [
        {"role": "system", "content": "sys"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"r":1}'},
    ],
    "stream": False,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "temperature": 0.1,
    "max_completion_tokens": 9,
    "stop": ["x"],
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
    "reasoning_effort": "high",
    "service_tier": "priority",
}


def test_what_googles_python_client_sends_is_a_chat_completion() -> None:
    """Every member, in whichever spelling; results find their calls by name; what only Google runs is left out."""
    assert chat(SPELLED) == COMES_TO
    request = read(SPELLED)
    assert (request.model, request.max_tokens, request.bounds_reasoning, request.tier()) == ("fast", 9, True, ("priority", "serviceTier"))


def snake(value: Any) -> Any:
    """The same with underscores, but for what stands in arguments, results and schemas."""
    free = ("args", "response", "parameters_json_schema", "responseJsonSchema")
    if isinstance(value, dict):
        words = {name: "".join("_" + letter.lower() if letter.isupper() else letter for letter in name) for name in value}
        return {words[name]: inner if name in free else snake(inner) for name, inner in value.items()}
    return [snake(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("audio/ogg", {"type": "input_audio", "input_audio": {"data": "eA==", "format": "ogg"}}),
        ("audio/x-flac", {"type": "input_audio", "input_audio": {"data": "eA==", "format": "flac"}}),
        ("audio/wave", {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}}),
        ("audio/L16;rate=16000", {"type": "input_audio", "input_audio": {"data": "eA==", "format": "pcm16"}}),
        ("video/mp4", {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,eA=="}}),
        ("text/csv", {"type": "file", "file": {"filename": "file", "file_data": "data:text/csv;base64,eA=="}}),
    ],
)
def test_sound_and_films_are_no_files(kind: str, part: dict[str, Any]) -> None:
    """Whatever their format: vendors that hear and see look for them elsewhere, and bills count them by the second."""
    [shown] = chat({"contents": [{"parts": [{"inlineData": {"mimeType": kind, "data": "eA=="}}]}]})["messages"][0]["content"]
    assert shown == part


def test_both_spellings_mean_the_same() -> None:
    """In every member that is Google's."""
    assert chat(snake(SPELLED)) == chat(SPELLED)


def test_a_conversation_is_told_whole_and_each_result_finds_its_call() -> None:
    """What a model said, results by id, else in the order of the calls of their name, sound in both spellings; a text alone is one."""
    sound = [{"inlineData": {"mimeType": kind, "data": "eA_-"}} for kind in ("audio/wav", "audio/x-wav", "audio/mp3", "audio/mpeg")]
    called = [{"functionCall": {"name": name, "args": {"n": number}}} for number, name in enumerate("ffg")]
    results = [
        {"functionResponse": {"name": name, "response": {member: text}}}
        for name, member, text in (("g", "output", "3"), ("f", "result", "1"), ("f", "content", "2"))
    ]
    history = [
        {"parts": sound},
        {"role": "model", "parts": [{"text": "I "}, {"text": "look."}, *called]},
        {"role": "function", "parts": results},
        {"role": "model", "parts": [{"functionCall": {"id": "c9", "name": "f"}}, {"functionCall": {"id": "c8", "name": "f"}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "c8", "name": "f", "response": {"output": "8"}}}, {"text": "And?"}]},
    ]
    heard, said, *told = chat({"contents": history, "systemInstruction": "Be brief."})["messages"][1:]
    assert [part["input_audio"] for part in heard["content"]] == [{"data": "eA/+", "format": form} for form in ("wav", "wav", "mp3", "mp3")]
    ids = [call["id"] for call in said["tool_calls"]]
    assert (said["role"], said["content"], len(set(ids))) == ("assistant", "I look.", 3)
    assert [call["function"] for call in said["tool_calls"]] == [
        {"name": name, "arguments": f'{{"n":{number}}}'} for number, name in enumerate("ffg")
    ]
    assert told == [
        {"role": "tool", "tool_call_id": ids[2], "content": "3"},
        {"role": "tool", "tool_call_id": ids[0], "content": "1"},
        {"role": "tool", "tool_call_id": ids[1], "content": "2"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in ("c9", "c8")],
        },
        {"role": "tool", "tool_call_id": "c8", "content": "8"},
        {"role": "user", "content": "And?"},
    ]
    hi = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    for contents in ("Hi", {"parts": [{"text": "Hi"}]}, [{"parts": {"text": "Hi"}}]):
        assert chat({"contents": contents, "systemInstruction": {"parts": [{"text": "Be brief."}]}})["messages"] == hi


F: dict[str, Any] = {"type": "function", "function": {"name": "f"}}
G: dict[str, Any] = {"type": "function", "function": {"name": "g"}}


@pytest.mark.parametrize(
    ("mode", "names", "choice"),
    [
        ("AUTO", [], "auto"),
        ("NONE", [], "none"),
        ("ANY", [], "required"),
        ("ANY", ["f"], F),
        ("ANY", ["f", "g"], {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [F, G]}}),
        ("VALIDATED", ["f", "g"], {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [F, G]}}),
        ("VALIDATED", [], "auto"),
        (None, [], None),
    ],
)
def test_every_mode_of_calling_has_its_choice(mode: str | None, names: list[str], choice: Any) -> None:
    """As chat completions have it, with what is said of a function."""
    calling: dict[str, Any] = ({} if mode is None else {"mode": mode}) | ({"allowedFunctionNames": names} if names else {})
    declared = {"name": "f", "description": "Finds.", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}}
    asked = chat({**BODY, "tools": [{"functionDeclarations": [declared]}], "toolConfig": {"functionCallingConfig": calling}})
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert asked["tools"] == [{"type": "function", "function": {"name": "f", "description": "Finds.", "parameters": schema}}]
    assert asked.get("tool_choice") == choice


@pytest.mark.parametrize(
    ("config", "written"),
    [
        ({"topP": 0.5, "topK": 4, "candidateCount": 2, "seed": 7}, {"top_p": 0.5, "top_k": 4, "n": 2, "seed": 7}),
        ({"presencePenalty": 0.1, "frequencyPenalty": 0.2}, {"presence_penalty": 0.1, "frequency_penalty": 0.2}),
        ({"responseLogprobs": True, "logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"logprobs": 3}, {}),
        ({"stopSequences": []}, {}),
        ({"responseMimeType": "application/json"}, {"response_format": {"type": "json_object"}}),
        ({"thinkingConfig": {"thinkingLevel": "MINIMAL"}}, {"reasoning_effort": "minimal"}),
        ({"thinkingConfig": {"thinkingBudget": 0}}, {"reasoning_effort": "none"}),
        ({"thinkingConfig": {"thinkingBudget": -1}}, {}),
        ({"responseModalities": ["TEXT"]}, {}),
    ],
)
def test_how_to_answer_is_carried_over(config: dict[str, Any], written: dict[str, Any]) -> None:
    """And nothing else with it."""
    hi = [{"role": "user", "content": "Hi"}]
    assert chat({**BODY, "generationConfig": config}) == {"model": "fast", "messages": hi, "stream": False, **written}


def test_googles_schemas_become_json_schema() -> None:
    """Types in small letters, what may be null said as JSON Schema says it, bounds as numbers; names of properties stay."""
    schema = {
        "type": "OBJECT",
        "properties": {"type": {"type": "STRING", "nullable": True}, "n": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "2"}},
        "propertyOrdering": ["type"],
    }
    told = chat(BODY | {"tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]})["tools"][0]["function"]["parameters"]
    assert told == {
        "type": "object",
        "properties": {"type": {"type": ["string", "null"]}, "n": {"type": "array", "items": {"type": "integer"}, "minItems": 2}},
    }


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_parameter", "contents"),
        ({"contents": []}, "missing_parameter", "contents"),
        ({"contents": [1]}, "invalid_parameter_type", "contents[0]"),
        (BODY | {"systemInstruction": [{"text": "x"}]}, "invalid_parameter_type", "systemInstruction"),
        (BODY | {"system_instruction": {"text": "x"}}, "invalid_parameter_type", "systemInstruction"),
        (BODY | {"Contents": []}, "json_parse_error", None),
        (BODY | {"generationConfig": {"maxoutputtokens": 5}}, "json_parse_error", None),
        (BODY | {"generationConfig": {"thinkingConfig": {"ThinkingBudget": 5}}}, "json_parse_error", None),
        (BODY | {"generationConfig": {}, "generation_config": {}}, "json_parse_error", "generationConfig"),
        (
            BODY | {"generation_config": {"maxOutputTokens": 5, "max_output_tokens": 500}},
            "json_parse_error",
            "generation_config.maxOutputTokens",
        ),
        (
            {"contents": [{"parts": [{"text": "a"}, {"inlineData": {}, "inline_data": {}}]}]},
            "json_parse_error",
            "contents.parts.inlineData",
        ),
        (BODY | {"generationConfig": {"temperature": "hot"}}, "invalid_parameter_type", "generationConfig.temperature"),
        (BODY | {"generationConfig": {"temperature": True}}, "invalid_parameter_type", "generationConfig.temperature"),
        (BODY | {"generationConfig": {"maxOutputTokens": 5.5}}, "invalid_parameter_type", "generationConfig.maxOutputTokens"),
        (BODY | {"generation_config": {"top_k": "NaN"}}, "invalid_parameter_type", "generationConfig.topK"),
        (BODY | {"generationConfig": {"stopSequences": "x"}}, "invalid_parameter_type", "generationConfig.stopSequences"),
        *[
            (BODY | members, "invalid_parameter_type", param)
            for members, param in (
                ({"generationConfig": "x"}, "generationConfig"),
                ({"generation_config": [{"maxOutputTokens": 5}]}, "generationConfig"),
                ({"generationConfig": {"responseSchema": 3}}, "generationConfig.responseSchema"),
                ({"generationConfig": {"responseJsonSchema": "{}"}}, "generationConfig.responseJsonSchema"),
                ({"generationConfig": {"responseMimeType": ["application/json"]}}, "generationConfig.responseMimeType"),
                ({"generationConfig": {"responseModalities": "TEXT"}}, "generationConfig.responseModalities"),
                ({"generationConfig": {"responseModalities": ["TEXT", 3]}}, "generationConfig.responseModalities[1]"),
                ({"generationConfig": {"thinkingConfig": "high"}}, "generationConfig.thinkingConfig"),
                ({"generationConfig": {"thinkingConfig": {"thinkingLevel": 3}}}, "generationConfig.thinkingConfig.thinkingLevel"),
                ({"generationConfig": {"thinkingConfig": {"thinking_budget": "x"}}}, "generationConfig.thinkingConfig.thinkingBudget"),
                ({"tools": 3}, "tools"),
                ({"tools": [{"functionDeclarations": [{"name": "f"}]}, 3]}, "tools[1]"),
                ({"tools": [{"functionDeclarations": 3}]}, "tools[0].functionDeclarations"),
                ({"tools": {"functionDeclarations": "f"}}, "tools.functionDeclarations"),
                ({"tools": [{"functionDeclarations": [{"name": "f"}, "g"]}]}, "tools[0].functionDeclarations[1]"),
                ({"tools": [{"functionDeclarations": [{"name": 3}]}]}, "tools[0].functionDeclarations[0].name"),
                ({"tools": [{"functionDeclarations": [{"parameters": "x"}]}]}, "tools[0].functionDeclarations[0].parameters"),
                ({"toolConfig": "x"}, "toolConfig"),
                ({"tool_config": {"function_calling_config": "ANY"}}, "toolConfig.functionCallingConfig"),
                ({"toolConfig": {"functionCallingConfig": {"mode": 1}}}, "toolConfig.functionCallingConfig.mode"),
                (
                    {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": "f"}}},
                    "toolConfig.functionCallingConfig.allowedFunctionNames",
                ),
                ({"safetySettings": "x"}, "safetySettings"),
                ({"safetySettings": ["x"]}, "safetySettings[0]"),
                ({"serviceTier": 1}, "serviceTier"),
                ({"systemInstruction": {"parts": ["x"]}}, "systemInstruction.parts"),
                ({"systemInstruction": {"parts": [{"text": 3}]}}, "systemInstruction.parts[0].text"),
                ({"contents": [{"role": "model", "parts": [{"text": 3}]}]}, "contents[0].parts[0].text"),
                ({"contents": [{"role": "model", "parts": [{"functionCall": "f"}]}]}, "contents[0].parts[0].functionCall"),
                (
                    {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": "{}"}}]}]},
                    "contents[0].parts[0].functionCall.args",
                ),
                ({"contents": [{"parts": [{"inline_data": "eA=="}]}]}, "contents[0].parts[0].inlineData"),
            )
        ],
        ({"contents": [{"role": "user", "parts": ["Hi"]}]}, "invalid_parameter_type", "contents[0].parts"),
        ({"contents": [{"role": "user", "parts": "Hi"}]}, "invalid_parameter_type", "contents[0].parts"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "Hi"}]}]}, "invalid_request", "contents[0].role"),
        ({"contents": [{"role": "system", "parts": [{"text": "Hi"}]}]}, "invalid_request", "contents[0].role"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(body: dict[str, Any], code: str, param: str | None) -> None:
    """Bad shapes, names that others take for ours, and a member in both spellings, of which a vendor may heed the other (fault S3).

    [fault S21] Outer members of another type went missing without a word, the bound on the output among them.
    """
    with pytest.raises(ApiError) as refused:
        read(body)
    assert refused.value.code == code
    assert param is None or refused.value.param == param


def test_numbers_may_be_texts_and_have_a_point() -> None:
    """As in all JSON of Google's."""
    told = chat(
        BODY | {"generationConfig": {"maxOutputTokens": "9", "topK": 40.0, "temperature": "0.5", "seed": 3, "candidateCount": None}}
    )
    assert (told["max_completion_tokens"], told["top_k"], told["temperature"], told["seed"], "n" in told) == (9, 40, 0.5, 3, False)
    assert isinstance(told["top_k"], int)


def test_a_budget_of_thinking_may_be_a_text_too() -> None:
    """It was left out."""
    for budget in (2_000, "2000", 2_000.0):
        assert chat(BODY | {"generationConfig": {"thinkingConfig": {"thinkingBudget": budget}}})["reasoning_effort"] == "medium"
    assert "reasoning_effort" not in chat(BODY | {"generationConfig": {"thinkingConfig": {"thinkingBudget": "-1"}}})


def test_a_schema_counts_without_its_type() -> None:
    """And is not left out where the type is another."""
    for more in ({}, {"responseMimeType": "text/plain"}, {"responseMimeType": "application/json"}):
        told = chat(BODY | {"generationConfig": {"responseSchema": {"type": "OBJECT"}, **more}})
        assert told["response_format"]["json_schema"]["schema"] == {"type": "object"}


FILM, UPLOAD = "https://www.youtube.com/watch?v=x", "https://generativelanguage.googleapis.com/v1beta/files/abc"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (BODY | {"generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {}}}, "generationConfig.responseMimeType"),
        (BODY | {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, "generationConfig.responseModalities"),
        (BODY | {"tools": [{"googleSearch": {}}, {"computer_use": {}}]}, "tools[1].computerUse"),
        (BODY | {"tools": [{"fileSearch": {}}]}, "tools[0].fileSearch"),
        *[
            ({"contents": [{"parts": [{"text": "See"}, {"fileData": {"fileUri": uri, **kind}}]}]}, "contents[0].parts[1]")
            for uri, kind in (
                (FILM, {}),
                (UPLOAD, {"mimeType": "image/png"}),
                ("gs://b/a.png", {"mime_type": "image/png"}),
                ("https://a.example/b.mp4", {"mimeType": "video/mp4"}),
            )
        ],
    ],
)
def test_what_only_gemini_can_do_is_refused_to_others(body: dict[str, Any], param: str) -> None:
    """A model that is not shown what it is asked about answers all the same; Gemini gets it as it is."""
    with pytest.raises(UpstreamFailed) as failed:
        openai.to_upstream(read(body), Target("acme", "m-1", "openai"))
    assert (failed.value.error.status, failed.value.error.param) == (422, param)
    passed = json.loads(gemini.to_upstream(read(body), Target("google", "m-1", "gemini")).body)
    assert passed["contents"] == body["contents"]


def test_that_a_function_failed_reaches_models_whose_dialect_says_so() -> None:
    """Anthropic's, Bedrock's, and Gemini's for clients of other APIs; chat completions have no word for it."""
    said = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
    results = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"error": "no such file"}}}]}
    asked = read({"contents": [*BODY["contents"], said, results], "tools": [{"functionDeclarations": [{"name": "f"}]}]})
    written = json.loads(anthropic.to_upstream(asked, Target("a", "m-1", "anthropic")).body)
    assert (written["messages"][-1]["content"][0]["is_error"], "no such file" in json.dumps(written)) == (True, True)
    [block] = json.loads(bedrock.to_upstream(asked, Target("a", "m-1", "bedrock")).body)["messages"][-1]["content"]
    assert (block["toolResult"]["status"], block["toolResult"]["content"]) == ("error", [{"text": "no such file"}])
    [part] = json.loads(gemini.to_upstream(asked.as_chat(), Target("a", "m-1", "gemini")).body)["contents"][-1]["parts"]
    assert part["functionResponse"]["response"] == {"error": "no such file"}
    assert "is_error" not in openai.to_upstream(asked, Target("acme", "m-1", "openai")).body.decode()


# Answers


def made(
    *steps: Any,
    dialect: Any = openai,
    stream: bool = True,
    body: dict[str, Any] = BODY,
    client: MemoryClient | None = None,
    scripts: list[Script] | None = None,
) -> tuple[MemoryClient, CallRow, Rig]:
    """Make one call through the door; input costs 1 and output 2 dollars a million."""
    headers = {"content-type": "text/event-stream"} if stream else {}
    rig = Rig(*[ScriptedUpstream(script) for script in scripts or [Script(list(steps), headers=headers)]], prices=Prices(input=1, output=2))
    rig.dependencies.dialects = {"openai": dialect}
    client = client or MemoryClient()
    run_virtual(rig.call(client, json.dumps(body).encode(), door=GeminiDoor("fast", stream=stream)))
    return client, rig.rows[-1], rig


def events(client: MemoryClient) -> list[dict[str, Any]]:
    """The events that a client has: lines of `data: {json}` and nothing else."""
    lines = [line for line in client.body.decode().split("\n") if line]
    assert all(line.startswith("data: {") for line in lines)
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def said(client: MemoryClient) -> str:
    """The text in them."""
    return "".join(
        part.get("text", "")
        for each in events(client)
        for candidate in each.get("candidates", ())
        for part in candidate["content"]["parts"]
    )


FINISH = [chunk({}, "stop"), usage(9, 2), DONE]


def test_a_stream_of_another_dialect_comes_in_geminis_events() -> None:
    """Texts as they come, then one event with finish and usage, behind the settlement."""
    client, row, _ = made(*text("one ", "two "), *FINISH)
    *_, last = events(client)
    assert said(client) == "one two "
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["usageMetadata"] == {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}
    assert [each for each in events(client)[:-1] if "finishReason" in each["candidates"][0]] == []
    assert (row.outcome, row.billed.output_tokens, client.headers["content-type"]) == ("completed", 2, "text/event-stream; charset=utf-8")
    for each in events(client):
        types.GenerateContentResponse.model_validate(each)


def test_calls_come_whole() -> None:
    """With name, id and arguments in one part, whatever pieces they came in; a finish for calls is STOP here."""
    first = {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]}
    pieces = [chunk({"tool_calls": [{"index": 0, "function": {"arguments": each}}]}) for each in ('{"a":', "1}")]
    second = {"tool_calls": [{"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}
    client, row, _ = made(chunk(OPENING), chunk(first), *pieces, chunk(second), chunk({}, "tool_calls"), usage(9, 8), DONE)
    assert client.body.count(SILENCE) == 2  # for each read that brought only what is held: the model is at work
    parts = [part for each in events(client) if "responseId" in each for part in each["candidates"][0]["content"]["parts"]]
    assert parts == [
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
        {"functionCall": {"id": "c2", "name": "g", "args": {}}},
        {"text": ""},
    ]
    assert events(client)[-1]["candidates"][0]["finishReason"] == "STOP"
    assert row.billed.output_tokens == 8


def test_calls_whose_arguments_come_in_turns_are_whole_and_in_their_order() -> None:
    """Also of several choices, of which each waits for nobody else's."""

    def pieces(index: int, text: str, choice: int = 0, *, name: str = "") -> bytes:
        begun = {"id": f"c{choice}{index}", "type": "function"} if name else {}
        function = {"arguments": text} | ({"name": name} if name else {})
        return chunk({"tool_calls": [{"index": index, **begun, "function": function}]}, index=choice)

    turns = [pieces(0, '{"a":', name="f"), pieces(1, "", name="g"), pieces(1, "{}"), pieces(0, '{"b":', 1, name="h"), pieces(0, "1}")]
    ends = [pieces(0, "2}", 1), chunk({}, "tool_calls", index=1), chunk({}, "tool_calls")]
    asked = {**BODY, "generationConfig": {"candidateCount": 2}}
    client, *_ = made(chunk(OPENING), chunk(OPENING, index=1), *turns, *ends, usage(9, 8), DONE, body=asked)
    told: dict[int, list[Any]] = {0: [], 1: []}
    for each in events(client):
        for candidate in each["candidates"]:
            told[candidate["index"]] += [part["functionCall"] for part in candidate["content"]["parts"] if "functionCall" in part]
    assert [(call["id"], call["name"], call["args"]) for call in told[0]] == [("c00", "f", {"a": 1}), ("c01", "g", {})]
    assert [(call["id"], call["name"], call["args"]) for call in told[1]] == [("c10", "h", {"b": 2})]


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_in_the_older_form_is_a_call(*, stream: bool) -> None:
    """Should a vendor answer in it."""
    if stream:
        pieces = [{"function_call": {"name": "f", "arguments": '{"a":'}}, {"function_call": {"arguments": "1}"}}]
        client, row, _ = made(chunk(OPENING), *map(chunk, pieces), chunk({}, "function_call"), usage(9, 8), DONE)
        answers = events(client)
    else:
        message = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}
        counts = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
        choice = {"index": 0, "message": message, "finish_reason": "function_call"}
        client, row, _ = made(
            json.dumps({**HEAD, "object": "chat.completion", "choices": [choice], "usage": counts}).encode(), stream=False
        )
        answers = [json.loads(client.body)]
    [call] = [part["functionCall"] for each in answers for part in each["candidates"][0]["content"]["parts"] if "functionCall" in part]
    assert (call["name"], call["args"], bool(call["id"])) == ("f", {"a": 1}, True)
    assert (answers[-1]["candidates"][0]["finishReason"], row.billed.output_tokens) == ("STOP", 8)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("reason", "finish"), [("length", "MAX_TOKENS"), ("tool_calls", "MALFORMED_FUNCTION_CALL")])
def test_a_call_that_was_cut_is_no_call(reason: str, finish: str, *, stream: bool) -> None:
    """Google's client makes every call that it is told of by itself, whatever the finish says: with arguments that nobody wrote."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Os'}}
    whole = {"id": "c2", "type": "function", "function": {"name": "g", "arguments": '{"a":1}'}}
    if stream:
        calls = [{"index": 0, **whole}, {"index": 1, **call}]
        client, row, _ = made(chunk(OPENING), *[chunk({"tool_calls": [each]}) for each in calls], chunk({}, reason), usage(9, 8), DONE)
        answers = events(client)
    else:
        message = {"role": "assistant", "content": None, "tool_calls": [whole, call]}
        counts = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
        told = {
            **HEAD,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": counts,
        }
        client, row, _ = made(json.dumps(told).encode(), stream=False)
        answers = [json.loads(client.body)]
    parts = [part for each in answers for part in each["candidates"][0]["content"]["parts"] if "functionCall" in part]
    assert [part["functionCall"] for part in parts] == [{"id": "c2", "name": "g", "args": {"a": 1}}]
    assert (answers[-1]["candidates"][0]["finishReason"], row.billed.output_tokens) == (finish, 8)
    for each in answers:
        types.GenerateContentResponse.model_validate(each)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("reason", "finish"), [("stop", "STOP"), ("length", "MAX_TOKENS"), ("content_filter", "SAFETY")])
def test_why_an_answer_ended_what_was_thought_and_what_was_cached_is_in_geminis_words(reason: str, finish: str, *, stream: bool) -> None:
    """Thinking in parts of its own, and its tokens beside those of what was said; cached input in the sum."""
    counts = {
        "prompt_tokens": 30,
        "completion_tokens": 14,
        "total_tokens": 44,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    if stream:
        said = [chunk(OPENING), chunk({"reasoning_content": "Hm."}), chunk({"content": "Hi."}), chunk({}, reason)]
        client, *_ = made(*said, data_event(json.dumps({**HEAD, "choices": [], "usage": counts}).encode()), DONE)
        answers = events(client)
    else:
        message = {"role": "assistant", "content": "Hi.", "reasoning_content": "Hm."}
        whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": counts}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        client, *_ = made(json.dumps({**whole, "choices": [choice]}).encode(), stream=False)
        answers = [json.loads(client.body)]
    parts = [part for each in answers for part in each["candidates"][0]["content"]["parts"] if part.get("text")]
    assert parts == [{"text": "Hm.", "thought": True}, {"text": "Hi."}]
    assert answers[-1]["candidates"][0]["finishReason"] == finish
    assert answers[-1]["usageMetadata"] == {
        "promptTokenCount": 30,
        "candidatesTokenCount": 8,
        "totalTokenCount": 44,
        "thoughtsTokenCount": 6,
        "cachedContentTokenCount": 8,
    }


def token(text: str, chance: float, *rivals: tuple[str, float]) -> dict[str, Any]:
    """A token of a chat completion with its log-probability."""
    top = [{"token": other, "logprob": each, "bytes": None} for other, each in rivals]
    return {"token": text, "logprob": chance, "bytes": list(text.encode()), "top_logprobs": top}


@pytest.mark.parametrize("rivals", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_log_probabilities_of_other_vendors_are_told_in_geminis_words(*, stream: bool, rivals: bool) -> None:
    """They were asked for and left out: each token beside its text, those that might have stood there, and the mean at the end."""
    one, two = ([("Hi", -0.5), ("Yo", -1.5)], [("!", -0.25), ("?", -2.0)]) if rivals else ([], [])
    tokens = [token("Hi", -0.5, *one), token("!", -0.25, *two)]
    counts = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    body = BODY | {"generationConfig": {"responseLogprobs": True, "logprobs": 2}}
    if stream:
        said = [
            {**HEAD, "choices": [{"index": 0, "delta": {"content": each["token"]}, "logprobs": {"content": [each], "refusal": None}}]}
            for each in tokens
        ]
        sent = [chunk(OPENING), *[data_event(json.dumps(each).encode()) for each in said], chunk({}, "stop"), usage(9, 2), DONE]
        client, row, rig = made(*sent, body=body)
        answers = events(client)
    else:
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi!"}, "finish_reason": "stop", "logprobs": {"content": tokens}}
        whole = {**HEAD, "object": "chat.completion", "choices": [choice], "usage": counts}
        client, row, rig = made(json.dumps(whole).encode(), stream=False, body=body)
        answers = [json.loads(client.body)]
    upstream = rig.dependencies.upstreams["a"]
    assert isinstance(upstream, ScriptedUpstream)
    assert json.loads(upstream.requests[0].body)["top_logprobs"] == 2
    read = [candidate for each in answers for candidate in types.GenerateContentResponse.model_validate(each).candidates or ()]
    results = [candidate.logprobs_result for candidate in read if candidate.logprobs_result]
    chosen = [(each.token, each.log_probability) for result in results for each in result.chosen_candidates or ()]
    assert chosen == [("Hi", -0.5), ("!", -0.25)]
    top = [
        [(each.token, each.log_probability) for each in one.candidates or ()] for result in results for one in result.top_candidates or ()
    ]
    assert top == ([one, two] if rivals else [])
    assert len(results) == (2 if stream else 1)
    assert [candidate.avg_logprobs for candidate in read if candidate.avg_logprobs is not None] == [-0.375]
    assert read[-1].avg_logprobs == -0.375
    contents = [candidate.content for candidate in read if candidate.content]
    assert "".join(part.text or "" for content in contents for part in content.parts or ()) == "Hi!"
    assert (row.billed.output_tokens, row.outcome) == (2, "completed")


def test_tokens_without_a_number_or_rivals_keep_their_place() -> None:
    """A list of rivals has one entry for each token; who says nothing of any is told of none."""
    likelihoods = Likelihoods()
    results = [
        likelihoods.take({"content": [token("a", -1.0, ("b", -2.0))]}),
        likelihoods.take({"content": [{"token": "c"}], "refusal": None}),
    ]
    assert joined([result for result in results if result]) == {
        "chosenCandidates": [{"token": "a", "logProbability": -1.0}, {"token": "c", "logProbability": -9999.0}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2.0}]}, {"candidates": []}],
    }
    assert (Likelihoods().take(None), Likelihoods().take({"content": []}), Likelihoods().mean()) == (None, None, {})


@pytest.mark.parametrize("code", CODES)
def test_every_error_has_googles_shape_a_number_and_a_status(code: str) -> None:
    """`error` alone, so that its clients see it; how long to wait stands in its details, as there."""
    error = ApiError(code, "No.", param="contents", retry_after=7)
    known = {401: "UNAUTHENTICATED", 402: "FAILED_PRECONDITION", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED"}
    known |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 504: "DEADLINE_EXCEEDED"}
    refused = GeminiDoor("fast").refused(error, "req_1")
    told = json.loads(refused.body)
    assert (list(told), refused.status, told["error"]["code"], told["error"]["message"]) == (["error"], error.status, error.status, "No.")
    assert told["error"]["status"] == known.get(error.status, "UNAVAILABLE" if error.status >= 500 else "INVALID_ARGUMENT")
    info, wait = told["error"]["details"]
    assert (info["reason"], info["metadata"]) == (code.upper(), {"request_id": "req_1", "param": "contents"})
    assert (wait["@type"].rpartition(".")[2], wait["retryDelay"]) == ("RetryInfo", "7s")
    assert GeminiDoor("fast").failure(error, "req_1") == b"data: " + bytes(refused.body).strip() + b"\n\n"


def test_a_document_of_another_dialect_is_one_of_geminis() -> None:
    """With thinking beside what was said."""
    client, row, _ = made(document("Hello."), stream=False)
    answer = json.loads(client.body)
    assert answer["candidates"] == [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP", "index": 0}]
    assert (answer["usageMetadata"]["totalTokenCount"], row.outcome) == (12, "completed")
    types.GenerateContentResponse.model_validate(answer)


def test_geminis_own_events_pass_but_the_end_waits_for_the_bill() -> None:
    """All that Gemini says, also what we do not know; the request in the client's own bytes."""
    asked = SPELLED | {"generationConfig": {"temperature": 0.1}, "brandNew": {"any": 1}}
    odd = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "one "}]}, "index": 0, "brandNew": [1]}],
        "modelVersion": "some-model",
    }
    client, row, rig = made(event(odd), LAST, dialect=gemini, body=asked)
    first, second, last = events(client)
    assert first == odd
    assert ("finishReason" in second["candidates"][0], "usageMetadata" in second) == (False, False)
    assert (last["candidates"][0]["finishReason"], last["usageMetadata"]["totalTokenCount"], said(client)) == ("STOP", 110, "one two")
    assert (row.outcome, row.cost) == ("completed", 120_000)
    upstream = rig.dependencies.upstreams["a"]
    assert isinstance(upstream, ScriptedUpstream)
    assert json.loads(upstream.requests[0].body) == asked


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_named_in_the_body_is_the_one_of_the_address(*, stream: bool) -> None:
    """[fault S3] What speaks Gemini's protocol before other models may serve the one in the body; key and price are of the address's."""
    _, _, rig = made(
        LAST if stream else LAST.removeprefix(b"data: "), dialect=gemini, stream=stream, body={"model": "models/dear", **SPELLED}
    )
    upstream = rig.dependencies.upstreams["a"]
    assert isinstance(upstream, ScriptedUpstream)
    assert json.loads(upstream.requests[0].body) == {"model": "models/some-model", **SPELLED}


def test_the_events_that_geminis_streams_are_made_of_pass_too() -> None:
    """Text, the tokens by now, who answers and nothing else: one decode reads them for clients of other protocols."""
    usual = [
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": word}]}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": made, "totalTokenCount": 100 + made},
            "modelVersion": "m",
            "responseId": "r1",
        }
        for made, word in enumerate(("zero ", "half ", "one "), 1)
    ]
    client, row, _ = made(*map(event, usual), LAST, dialect=gemini)
    assert events(client)[:3] == usual
    assert (said(client), row.outcome) == ("zero half one two", "completed")


def test_geminis_own_document_passes() -> None:
    """As it came."""
    whole = LAST.removeprefix(b"data: ").strip()
    client, row, _ = made(whole, dialect=gemini, stream=False)
    assert (client.body, row.cost) == (whole, 120_000)


@pytest.mark.parametrize("dialect", [openai, gemini], ids=["openai", "gemini"])
def test_a_failure_after_text_is_an_event_of_nothing_but_the_error(dialect: Any) -> None:
    """With a number for its code; no finish, no usage; what arrived is billed."""
    begun = text("one ", "two ") if dialect is openai else [says("one "), says("two ")]
    client, row, _ = made(*begun, Break(), dialect=dialect)
    *before, last = events(client)
    assert (list(last), last["error"]["code"], last["error"]["status"]) == (["error"], 502, "UNAVAILABLE")
    assert all("finishReason" not in each["candidates"][0] for each in before)
    assert (row.outcome, row.billed.output_tokens) == ("cut", 2)


def test_a_failure_before_text_has_its_status_and_googles_shape() -> None:
    """And the codes of ours in its details."""
    client, _, _ = made(Break())
    error = json.loads(client.body)["error"]
    assert (client.status, error["code"], error["status"], error["details"][0]["reason"]) == (
        502,
        502,
        "UNAVAILABLE",
        "UPSTREAM_UNAVAILABLE",
    )


def test_who_leaves_pays_for_what_arrived() -> None:
    """As at every door."""
    _, row, _ = made(*text("one "), Stall(1), chunk({"content": "two "}), Stall(), client=MemoryClient(leaves_after=1))
    assert (row.outcome, row.billed.output_tokens) == ("client_gone", 1)


def test_a_silence_is_filled_with_empty_texts() -> None:
    """Nothing else is borne by its clients."""
    client, _, _ = made(Stall())
    assert client.writes[:3] == [SILENCE] * 3
    assert json.loads(client.writes[3].removeprefix(b"data: "))["error"]["code"] == 504


def test_a_seal_travels_as_the_signature_of_the_next_call() -> None:
    """In base64, as clients want it, and comes back as what it was."""
    seal = "aisa1.c2VhbA"
    part = {"functionCall": {"id": "c1", "name": "f", "args": {}}, "thoughtSignature": b64encode(seal.encode()).decode()}
    history = [
        BODY["contents"][0],
        {"role": "model", "parts": [part]},
        {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"output": "1"}}}]},
    ]
    [_, told, result] = chat({"contents": history})["messages"]
    assert told["reasoning_details"] == [{"type": "reasoning.encrypted", "data": seal, "format": "unknown", "index": 0}]
    assert result == {"role": "tool", "tool_call_id": "c1", "content": "1"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("called", [True, False])
def test_every_seal_of_an_answer_comes_back(*, stream: bool, called: bool) -> None:
    """A vendor may want several things back before one call, where a part has one signature; without a call they stand on the last part."""
    seals, call = ["aisa1.b25l", "aisa1.dHdv"], [ToolCall(0, 0, "c1", "f"), Arguments(0, 0, "{}")]
    parts: list[Part] = [*[Reasoning(0, "", 0, seal) for seal in seals], Text(0, "Hi"), *(call if called else []), Finish(0, "stop")]
    door = GeminiDoor("fast", stream=stream)
    encoder = door.encoder(read(BODY, stream=stream), call_id="req_9", created=1)
    pieces = [piece.data for part in parts if (piece := encoder.write([part])) is not None]
    whole = b"".join(pieces) + encoder.closing([Report(Usage(3, 1), None)])
    answers = [json.loads(line.removeprefix(b"data: ")) for line in whole.splitlines() if line]
    given = [part for each in answers for part in each["candidates"][0]["content"]["parts"]]
    [_, back] = chat({"contents": [*BODY["contents"], {"role": "model", "parts": given}]})["messages"]
    assert [entry["data"] for entry in back["reasoning_details"]] == seals
    assert ("thoughtSignature" in next(part for part in given if "functionCall" in part)) if called else "thoughtSignature" in given[-1]


# Google's own client against a running server


def client_of(server: Server, key: str | None = None, version: str = "v1") -> genai.Client:
    """Set up by address and key alone."""
    return genai.Client(api_key=key or server.key, http_options=HttpOptions(base_url=server.url, api_version=version))


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_googles_client_talks_to_the_embedded_model(server: Server, version: str) -> None:
    """Document, stream, count and list."""
    client = client_of(server, version=version)
    answer = client.models.generate_content(model="gemini-x", contents="Say hello.")
    assert answer.text
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason in (types.FinishReason.STOP, types.FinishReason.MAX_TOKENS)
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata.total_token_count or 0) > 0
    pieces = list(client.models.generate_content_stream(model="gemini-x", contents="Say hello."))
    assert len(pieces) > 1
    assert pieces[-1].candidates is not None
    assert pieces[-1].candidates[0].finish_reason is not None
    assert (client.models.count_tokens(model="gemini-x", contents="Say hello to everyone.").total_tokens or 0) > 0
    names = [model.name for model in client.models.list()]
    assert "models/embedded/tiny" in names


def test_googles_client_calls_a_tool(server: Server) -> None:
    """And sends its result back."""
    declared = types.FunctionDeclaration(
        name="get_time", description="The time of day.", parameters_json_schema={"type": "object", "properties": {}}
    )
    mode = types.FunctionCallingConfigMode.ANY
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=mode)),
    )
    client = client_of(server)  # it is closed when nobody holds it
    answer = client.models.generate_content(model="gemini-x", contents="What time is it?", config=config)
    assert [call.name for call in answer.function_calls or ()] == ["get_time"]


def test_googles_client_raises_what_was_wrong(server: Server) -> None:
    """A bad key, with the code and the words of this server."""
    client = client_of(server, "sk-aisa-nobody")
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model="gemini-x", contents="Hi")
    assert (refused.value.code, refused.value.status) == (401, "UNAUTHENTICATED")


def test_googles_client_reads_what_is_wrong_wherever_it_asks(front: Front) -> None:
    """Lists, models and what we do not have have no door: a status in Google's form tells it, by the header that only it sends."""
    client, stranger = client_of(front.server), client_of(front.server, "sk-aisa-nobody")
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: list(stranger.models.list()), "UNAUTHENTICATED"),
        (lambda: client.models.get(model="nobody/nothing"), "NOT_FOUND"),
        (lambda: list(client.caches.list()), "NOT_FOUND"),
        (lambda: list(client.files.list()), "NOT_FOUND"),
    ]
    for call, status in wrong:
        with pytest.raises(errors.ClientError) as refused:
            call()
        assert refused.value.status == status


@pytest.mark.parametrize(
    "path", ["/v1beta/models/fast:generateContent", "/v1beta/models/a/b:streamGenerateContent", "/v1/models/fast:countTokens"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_posted_and_asked_for_with_get_is_told_the_method(front: Front, path: str, method: str) -> None:
    """[fault S22] It was a model that does not exist. A colon may stand in a model's name all the same."""
    with httpx2.Client(base_url=front.server.url, headers={"x-goog-api-key": front.server.key}) as client:
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
        assert method == "HEAD" or "POST" in answer.json()["error"]["message"]
        assert client.get("/v1beta/models/llama:8b").status_code in (200, 404)


#: What Gemini CLI 0.61.0 sends, but for its texts.
OF_THE_CLI: dict[str, Any] = {
    "contents": [{"parts": [{"text": "<context>"}, {"text": "say hi"}], "role": "user"}],
    "systemInstruction": {"parts": [{"text": "<rules>"}], "role": "user"},
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "read_file",
                    "description": "Reads.",
                    "parametersJsonSchema": {
                        "type": "object",
                        "properties": {"path": {"type": "string"}, "lines": {"type": "integer", "minimum": 1}},
                        "required": ["path"],
                    },
                }
            ]
        }
    ],
    "generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64, "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 8192}},
}


def asked_of(server: Server, path: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
    """Ask as a client that is no library."""
    return httpx2.post(f"{server.url}{path}", json=body, headers=headers, timeout=60)


def test_gemini_cli_is_answered(server: Server) -> None:
    """At its address, with its header, by nothing but lines of data."""
    path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    answer = asked_of(server, path, OF_THE_CLI, **{"x-goog-api-key": server.key})
    lines = [line for line in answer.text.split("\n") if line]
    assert (answer.status_code, all(line.startswith("data: {") for line in lines)) == (200, True)
    assert json.loads(lines[-1].removeprefix("data: "))["candidates"][0]["finishReason"] in ("STOP", "MAX_TOKENS")


@pytest.mark.parametrize(
    ("path", "headers", "status", "words"),
    [
        ("/v1beta/models/m:generateContent?key=sk", {}, 401, "x-goog-api-key"),
        ("/v1beta/models/m:generateContent", {}, 401, "key"),
        ("/v1beta/models/m:asyncBatchEmbedContent", {"own": "x-goog-api-key"}, 404, "batchEmbedContents"),
        ("/v1beta/models/m:streamGenerateContent", {"own": "x-goog-api-key"}, 400, "alt=sse"),
        ("/v1beta/cachedContents", {}, 404, '"status":"NOT_FOUND"'),
        ("/v1/cachedContents", {"own": "x-goog-api-key"}, 404, "Leave `cachedContent` out"),
        ("/v1/chat/completions", {"own": "x-goog-api-key"}, 401, "key"),
        ("/v1beta/models/m:generateContent", {"own": "authorization"}, 200, "candidates"),
    ],
)
def test_addresses_and_keys_that_are_not_right_say_what_would_be(
    server: Server, path: str, headers: dict[str, str], status: int, words: str
) -> None:
    """A key in the address is none, the header is this door's alone, and a bearer will do."""
    own = {name: f"Bearer {server.key}" if name == "authorization" else server.key for name in headers.values()}
    answer = asked_of(server, path, BODY, **own)
    assert (answer.status_code, words in answer.text) == (status, True)


def test_an_empty_text_is_borne_by_googles_client() -> None:
    """What fills a silence is an answer without text to it."""
    assert types.GenerateContentResponse.model_validate(json.loads(SILENCE.removeprefix(b"data: "))).text == ""


PICTURE = {"mimeType": "image/png", "data": "eA=="}
RESULT = {"functionResponse": {"name": "f", "response": {"result": "ok"}}}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"continuation_token": "dDE="}, "continuationToken"),
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"cached_content": "cachedContents/1"}, "cachedContent"),
        ({"contents": [{"parts": [{"text": "x"}, {"hologram": 1}]}]}, "contents[0].parts[1]"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        *[
            ({"contents": [{"parts": [{"text": "x"}]}, {"role": "model", "parts": [{"text": "y"}, part]}]}, "contents[1].parts[1]")
            for part in ({"inline_data": PICTURE}, {"fileData": {"fileUri": "https://a.example/b.png"}}, {"hologram": 1}, RESULT)
        ],
        ({"systemInstruction": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "eA=="}}]}}, "systemInstruction.parts[0]"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0]"),
        ({"tools": [{"name": "f", "parameters": {}}]}, "tools[0]"),
        ({"tools": [{"functionDeclarations": [{"name": "f"}]}, {"type": "function", "name": "g"}]}, "tools[1]"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f"}]}], "toolConfig": {"functionCallingConfig": {"mode": "FORCE"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
        (
            {"tools": [{"googleSearch": {}}], "toolConfig": {"functionCallingConfig": {"mode": "any"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
    ],
)
def test_what_only_google_keeps_or_knows_is_asked_of_nobody_else(members: dict[str, Any], param: str) -> None:
    """Another vendor's model would answer without it: 422 names the member. Gemini is sent it as it came."""
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]} | members).encode()
    request = parse_gemini(body, "m", stream=False)
    with pytest.raises(UpstreamFailed) as failed:
        openai.to_upstream(request, Target("acme", "m", "openai"))
    assert (failed.value.error.status, failed.value.error.param, failed.value.may_fall_back) == (422, param, True)
    assert json.loads(gemini.to_upstream(request, Target("google", "m", "gemini")).body) == json.loads(body)


def test_what_a_model_did_at_google_or_only_thought_is_no_loss_in_its_turns() -> None:
    """Nobody else needs it: code that Google ran, a signature alone, a picture that was a thought, nothing."""
    parts = [{"executable_code": {"code": "1"}}, {"thoughtSignature": "c2ln"}, {"thought": True, "inlineData": PICTURE}, {}, {"text": "y"}]
    said = chat({"contents": [{"parts": [{"text": "x"}]}, {"role": "model", "parts": parts}]})["messages"]
    assert said[1]["content"] == "y"


def test_what_a_tool_shows_stands_behind_its_results_and_nothing_said_is_an_empty_text() -> None:
    """As at the other doors: pictures in the parts of a result are not lost, and an empty turn is no error of a member that no one sent."""
    picture = {"inlineData": {"mimeType": "image/png", "data": "AA-_"}}
    turns = [
        {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"result": "ok"}, "parts": [picture]}}]},
    ]
    said = chat({"contents": turns})["messages"]
    assert [message["role"] for message in said] == ["assistant", "tool", "user"]
    assert said[2]["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA+/"}}]
    assert chat({"contents": [{"role": "user", "parts": [{"text": ""}]}]})["messages"] == [{"role": "user", "content": ""}]


def test_a_member_that_many_vendors_do_not_have_is_left_out_at_the_next_try() -> None:
    """Gemini CLI always sends `topK`, and OpenAI refuses it."""
    request = parse_gemini(json.dumps(BODY | {"generationConfig": {"topK": 64}}).encode(), "m", stream=False)
    first = openai.to_upstream(request, Target("acme", "m", "openai"))
    assert (json.loads(first.body)["top_k"], "top_k" in first.added) == (64, True)
    assert "top_k" not in json.loads(openai.to_upstream(request, Target("acme", "m", "openai", omit=("top_k",))).body)


def test_a_bound_that_is_no_number_of_googles_stays_as_it_came() -> None:
    """(fault W11) Of thousands of digits, which Python takes for no number: a schema that no vendor takes, and no failure of ours."""
    for bound in ("9" * 5_000, "\u00b2", "-1", "2.5"):
        assert json_schema({"type": "ARRAY", "maxItems": bound}) == {"type": "array", "maxItems": bound}
