"""What the embedded model answers to which request: text, tools, documents, limits, counts. Not how bytes are read."""

from __future__ import annotations

import json
import math
import random
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from aisa.embedded.answer import CONTEXT_TOKENS_MAX, OUTPUT_TOKENS_USUAL, Completion
from aisa.embedded.model import shipped_model
from aisa.embedded.request import Refusal

Json = dict[str, Any]

WEATHER: Json = {
    "name": "get_weather",
    "description": "Get the current weather for a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}
CLOCK: Json = {"name": "read_clock", "description": "Tell the time of day"}
TOOLS: list[Json] = [{"type": "function", "function": WEATHER}, {"type": "function", "function": CLOCK}]
SQL: Json = {"type": "custom", "custom": {"name": "run_sql", "description": "Query a database"}}
PERSON: Json = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name", "age"]}
TOLD: list[Json] = [
    {"role": "user", "content": "What is the weather in Paris?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
]


def request(prompt: str | list[Json] = "Tell me about the sea.", **fields: Any) -> Json:
    """Return a chat request."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return {"model": "some-model", "messages": messages, **fields}


def completion(body: Json, seed: int = 1) -> Completion:
    """Return the completion of a request, before anything is read."""
    return Completion(body, model=shipped_model(), chance=random.Random(seed), created=1_700_000_000)


def whole(body: Json, seed: int = 1) -> Any:
    """Return the whole answer to a request that is not streamed."""
    steps = completion(body, seed).whole()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def chunks(body: Json, seed: int = 1) -> list[Any]:
    """Return the chunks of the answer to a streamed request."""
    return [chunk for chunk, _ in completion({**body, "stream": True}, seed).chunks()]


def text(body: Json, seed: int = 1) -> str:
    """Return the text of the first choice."""
    return str(whole(body, seed)["choices"][0]["message"]["content"])


def called(body: Json, seed: int = 1) -> list[tuple[str, Any]]:
    """Return the names and parsed arguments of the tools called by the first choice."""
    message = whole(body, seed)["choices"][0]["message"]
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls", [])]


def put_together(pieces: list[Any]) -> list[Json]:
    """Return message, log-probabilities and finish reason of each choice of a stream."""
    choices: dict[int, Json] = {}
    for piece in pieces:
        for choice in piece["choices"]:
            made = choices.setdefault(choice["index"], {"content": "", "calls": [], "legacy": None, "logprobs": [], "finish": None})
            delta = choice["delta"]
            made["content"] += delta.get("content") or ""
            made["logprobs"] += (choice["logprobs"] or {"content": []})["content"]
            made["finish"] = choice["finish_reason"] or made["finish"]
            if "function_call" in delta:
                made["legacy"] = {
                    **(made["legacy"] or {}),
                    **delta["function_call"],
                    "arguments": (made["legacy"] or {}).get("arguments", "") + delta["function_call"]["arguments"],
                }
            for call in delta.get("tool_calls", []):
                if call["index"] == len(made["calls"]):
                    made["calls"].append({**call, "input": ""})
                inner = call.get("function") or call.get("custom")
                made["calls"][call["index"]]["input"] += inner.get("arguments", inner.get("input"))
    return [choices[index] for index in sorted(choices)]


STREAMED: list[Json] = [
    request(),
    request(stop=[" the", "and"]),
    request(n=3, max_tokens=7),
    request(logprobs=True, top_logprobs=3, max_tokens=9),
    request("weather and read_clock and get_weather", tools=TOOLS),
    request("weather", tools=TOOLS, n=2),
    request("weather", functions=[WEATHER]),
    request("Query it", tools=[SQL], tool_choice="required"),
    request(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": PERSON}}),
    request(response_format={"type": "json_object"}, max_tokens=4),
    request(logit_bias={"227": 100}, max_tokens=5),
]


@pytest.mark.parametrize("body", STREAMED)
def test_a_stream_put_together_is_the_answer_that_is_not_streamed(body: Json) -> None:
    """Text, calls, log-probabilities, finish reasons and usage are the same in both forms, for the same seed."""
    body = {**body, "seed": 5}
    answer, pieces = whole(body), chunks({**body, "stream_options": {"include_usage": True}})
    assert pieces[-1]["usage"] == answer["usage"]
    for made, choice in zip(put_together(pieces), answer["choices"], strict=True):
        message = choice["message"]
        assert (message["content"] or "") == made["content"]
        assert choice["finish_reason"] == made["finish"]
        assert (choice["logprobs"] or {"content": []})["content"] == made["logprobs"]
        assert message.get("function_call") == made["legacy"]
        inputs = [(call.get("function") or call.get("custom")) for call in message.get("tool_calls", [])]
        assert [each.get("arguments", each.get("input")) for each in inputs] == [call["input"] for call in made["calls"]]


def test_the_same_seed_gives_the_same_answer_and_ids_are_always_new() -> None:
    """A seed fixes what is said, whatever else the server's chance is used for, but not who says it."""
    one, other = (whole(request(seed=7, n=2), seed) for seed in (1, 2))
    assert one["choices"] == other["choices"]
    assert one["id"] != other["id"]
    assert text(request(seed=7)) != text(request(seed=8))
    assert one["choices"][0]["message"] != one["choices"][1]["message"]


def test_without_a_seed_answers_differ_and_at_temperature_zero_they_do_not() -> None:
    """Chance decides unless the request says otherwise."""
    assert len({text(request(), seed) for seed in range(6)}) > 3
    assert len({text(request(temperature=0), seed) for seed in range(3)}) == 1
    assert len({json.dumps(called(request("weather", tools=TOOLS, temperature=0), seed)) for seed in range(9)}) == 1


def test_another_prompt_gives_another_answer() -> None:
    """Even with the same seed, and even when the model knows no word of the prompts."""
    prompts = ["Tell me about the sea.", "Tell me about cats.", "Explain billing", "Zanzibar", "Quokkas", "Xylophones", ""]
    assert len({text(request(prompt, seed=3)) for prompt in prompts}) == len(prompts)


def test_the_head_names_the_model_that_was_asked_for() -> None:
    """Model, time, object and fingerprint are as an OpenAI answer has them."""
    answer = whole(request())
    assert (answer["model"], answer["created"], answer["object"]) == ("some-model", 1_700_000_000, "chat.completion")
    assert answer["system_fingerprint"].startswith("embedded-tiny-")
    assert re.fullmatch(r"chatcmpl-[A-Za-z0-9]{29}", answer["id"])
    assert whole(request(metadata={"a": "b"}))["metadata"] == {"a": "b"}


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_an_answer_is_no_longer_than_its_limit_and_says_that_it_was_cut(field: str) -> None:
    """The limit counts tokens exactly; the newer field wins over the older."""
    answer = whole(request(**{field: 5}))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5
    assert whole(request(max_tokens=9, max_completion_tokens=2))["usage"]["completion_tokens"] == 2


def test_an_answer_without_a_limit_ends_by_itself_or_at_the_usual_length() -> None:
    """The end of text is a token; banning it leads to the usual limit, and forcing it to an empty answer."""
    assert whole(request())["choices"][0]["finish_reason"] == "stop"
    endless = whole(request(logit_bias={"0": -100}))
    assert endless["choices"][0]["finish_reason"] == "length"
    assert endless["usage"]["completion_tokens"] == OUTPUT_TOKENS_USUAL
    empty = whole(request(logit_bias={"0": 100}))
    assert (empty["choices"][0]["message"]["content"], empty["usage"]["completion_tokens"]) == ("", 0)


@pytest.mark.parametrize("stop", ["the", [" sea", "a"], ["."], ["The sea is"], ["never there"], None, []])
def test_text_never_contains_a_stop_sequence(stop: Any) -> None:
    """Also one that spans tokens; and what comes before it is what would have come anyway."""
    for seed in range(10):
        plain, stopped = text(request(seed=seed, max_tokens=60)), text(request(seed=seed, max_tokens=60, stop=stop))
        stops = [stop] if isinstance(stop, str) else stop or []
        cuts = [plain.index(each) for each in stops if each in plain]
        assert stopped == plain[: min(cuts, default=None)]


def test_tokens_are_counted_as_they_are_shown() -> None:
    """The usage of a stream is the number of its parts of text, and that of its log-probabilities, also after a stop sequence."""
    for seed in range(10):
        body = request(seed=seed, stop=["."], logprobs=True, stream_options={"include_usage": True})
        pieces = chunks(body)
        parts = [choice for piece in pieces for choice in piece["choices"] if choice["delta"].get("content")]
        assert pieces[-1]["usage"]["completion_tokens"] == len(parts) == len(put_together(pieces)[0]["logprobs"])
        usage = pieces[-1]["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_prompt_tokens_grow_with_everything_that_is_sent() -> None:
    """Messages, names, attachments, tools and schemas are counted."""
    base = [{"role": "user", "content": "Hello there"}]
    sizes = [
        whole({"model": "m", "messages": base})["usage"]["prompt_tokens"],
        whole({"model": "m", "messages": [{**base[0], "name": "ann"}]})["usage"]["prompt_tokens"],
        whole({"model": "m", "messages": [{"role": "system", "content": "Be brief and kind."}, *base]})["usage"]["prompt_tokens"],
        whole({"model": "m", "messages": base, "tools": TOOLS})["usage"]["prompt_tokens"],
    ]
    assert sizes[0] == 9
    assert sizes == sorted(set(sizes))
    parts = [{"type": "text", "text": "Hello there"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    assert whole(request([{"role": "user", "content": parts}]))["usage"]["prompt_tokens"] == sizes[0] + 85


def test_log_probabilities_describe_each_token_of_the_text() -> None:
    """Tokens join to the text, bytes to its UTF-8; the best alternatives come first and are never worse than chance has it."""
    answer = whole(request(logprobs=True, top_logprobs=123, max_tokens=12))
    choice = answer["choices"][0]
    entries = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
    assert bytes(byte for entry in entries for byte in entry["bytes"]).decode() == choice["message"]["content"]
    for entry in entries:
        assert len(entry["top_logprobs"]) == 123
        assert 0 < sum(math.exp(other["logprob"]) for other in entry["top_logprobs"]) <= 1 + 1e-9
        assert entry["logprob"] <= entry["top_logprobs"][0]["logprob"] <= 0


def test_a_forced_byte_that_is_no_text_is_shown_as_a_replacement_character() -> None:
    """Text stays valid whatever the bias; log-probabilities still have the bytes."""
    answer = whole(request(logit_bias={str(1 + 0xE2): 100}, max_tokens=3, logprobs=True))
    choice = answer["choices"][0]
    assert choice["message"]["content"] == "\ufffd" * 3
    assert [entry["bytes"] for entry in choice["logprobs"]["content"]] == [[0xE2]] * 3
    assert answer["usage"]["completion_tokens"] == 3


def test_the_body_of_the_reference_page_is_answered_with_text_and_123_alternatives() -> None:
    """A function whose name is a placeholder is not called on the model's own account."""
    body = request(
        "<string>",
        stream=False,
        logprobs=True,
        top_logprobs=123,
        functions=[{"name": "<string>", "description": "<string>", "parameters": {}}],
        function_call="auto",
    )
    choice = whole(body)["choices"][0]
    assert choice["message"]["content"]
    assert all(len(entry["top_logprobs"]) == 123 for entry in choice["logprobs"]["content"])
    forced = whole({**body, "function_call": {"name": "<string>"}})["choices"][0]
    assert forced["message"]["function_call"] == {"name": "<string>", "arguments": "{}"}


def test_a_tool_is_called_when_the_prompt_names_it() -> None:
    """Its name or all the words of it but `get`; the arguments come from the prompt and follow the schema."""
    assert called(request("What is the weather in New York in fahrenheit?", tools=TOOLS)) == [
        ("get_weather", {"city": "New York", "unit": "fahrenheit"})
    ]
    assert called(request("Please read me the clock.", tools=TOOLS)) == [("read_clock", {})]
    assert called(request("What time is it?", tools=TOOLS)) == []
    assert called(request("Tell me about the sea.", tools=TOOLS)) == []
    answer = whole(request("weather", tools=TOOLS))["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["content"] is None
    assert re.fullmatch(r"call_[A-Za-z0-9]{24}", answer["message"]["tool_calls"][0]["id"])


@pytest.mark.parametrize(
    ("fields", "names", "finish"),
    [
        ({"tool_choice": "none"}, [], "stop"),
        ({"tool_choice": "auto"}, [], "stop"),
        ({"tool_choice": "required"}, ["get_weather"], "tool_calls"),
        ({"tool_choice": {"type": "function", "function": {"name": "read_clock"}}}, ["read_clock"], "stop"),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "read_clock"}}]},
                }
            },
            ["read_clock"],
            "tool_calls",
        ),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOLS[1]]}}}, [], "stop"),
    ],
)
def test_tool_choice_decides_over_the_prompt(fields: Json, names: list[str], finish: str) -> None:
    """None, required, a name or a list of allowed tools are obeyed, with the finish reason that OpenAI gives."""
    body = request("Good morning", tools=TOOLS, **fields)
    assert [name for name, _ in called(body)] == names
    assert whole(body)["choices"][0]["finish_reason"] == finish


def test_at_most_one_tool_is_called_unless_a_call_is_forced() -> None:
    """[fault P15] A coding client acts on what it gets: a greeting calls nothing, a prompt that names several tools the first of them.

    Only what the last user message says counts.
    """
    names = "read_file write_file edit run_shell_command list_directory web_fetch todo_write task"
    tools = [
        {"type": "function", "function": {"name": name, "description": "Say hi, read, write and run anything in the project."}}
        for name in names.split()
    ]
    system = {"role": "system", "content": f"You have the tools {names}. Use read_file first."}
    for said in ("say hi", "Hi there, how are you?", "What can you do in this project?", "Tell me what a file is."):
        assert called(request([system, {"role": "user", "content": said}], tools=tools, tool_choice="auto")) == []
    assert [name for name, _ in called(request("Run list_directory, then read_file.", tools=tools))] == ["list_directory"]
    earlier = [{"role": "user", "content": "read_file"}, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Thanks."}]
    assert called(request(earlier, tools=tools)) == []
    assert [name for name, _ in called(request("say hi", tools=tools, tool_choice="required"))] == ["read_file"]


def test_several_tools_are_called_when_calls_are_forced_and_the_prompt_names_them() -> None:
    """Each named tool is called once, with its own id and a dense index, unless calls in parallel are switched off."""
    body = request("Use read_clock, then get_weather.", tools=TOOLS, tool_choice="required")
    calls = whole(body)["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_weather", "read_clock"]
    assert len({call["id"] for call in calls}) == 2
    assert len(called({**body, "parallel_tool_calls": False})) == 1


def test_after_a_tool_has_answered_the_model_writes_text_unless_it_is_forced() -> None:
    """A conversation with tools comes to an end."""
    answer = whole(request(TOLD, tools=TOOLS))["choices"][0]
    assert answer["message"]["content"]
    assert answer["finish_reason"] == "stop"
    assert len(called(request(TOLD, tools=TOOLS, tool_choice="required"))) == 1
    legacy = [TOLD[0], {"role": "assistant", "content": None, "function_call": {"name": "get_weather", "arguments": "{}"}}]
    legacy.append({"role": "function", "name": "get_weather", "content": "18"})
    assert whole(request(legacy, functions=[WEATHER]))["choices"][0]["finish_reason"] == "stop"


def test_a_legacy_function_is_called_in_the_legacy_form() -> None:
    """The answer has function_call and its own finish reason, and nothing of tools."""
    for choice in ("auto", {"name": "get_weather"}, None):
        answer = whole(request("weather in Berlin", functions=[WEATHER], function_call=choice))["choices"][0]
        assert answer["finish_reason"] == "function_call"
        assert set(answer["message"]["function_call"]) == {"name", "arguments"}
        assert json.loads(answer["message"]["function_call"]["arguments"])["city"] == "Berlin"
        assert "tool_calls" not in answer["message"]
    assert whole(request("weather", functions=[WEATHER], function_call="none"))["choices"][0]["finish_reason"] == "stop"


def test_a_custom_tool_gets_text_or_what_its_regular_expression_allows() -> None:
    """Free text comes from the prompt; a grammar is followed."""
    call = whole(request("Call run_sql", tools=[SQL]))["choices"][0]["message"]["tool_calls"][0]
    assert call["type"] == "custom"
    assert call["custom"] == {"name": "run_sql", "input": "Call run_sql"}
    grammar = {"type": "grammar", "grammar": {"syntax": "regex", "definition": r"SELECT \d{3} FROM (a|b)"}}
    tool = {"type": "custom", "custom": {"name": "run_sql", "format": grammar}}
    call = whole(request("x", tools=[tool], tool_choice={"type": "custom", "custom": {"name": "run_sql"}}))["choices"][0]["message"][
        "tool_calls"
    ][0]
    assert re.fullmatch(r"SELECT \d{3} FROM (a|b)", call["custom"]["input"])


def test_arguments_arrive_in_several_fragments_after_one_head() -> None:
    """Id, type and name are sent once, with empty arguments; then only index and arguments."""
    deltas = [choice["delta"] for piece in chunks(request("weather", tools=TOOLS)) for choice in piece["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert len(calls) > 4
    assert set(calls[0]) == {"index", "id", "type", "function"}
    assert calls[0]["function"] == {"name": "get_weather", "arguments": ""}
    assert all(set(call) == {"index", "function"} and set(call["function"]) == {"arguments"} for call in calls[1:])


def test_even_a_call_that_is_cut_at_once_has_a_fragment_of_arguments() -> None:
    """Clients take a call that never had arguments as broken, so a limit of one token still lets one through."""
    for fields in ({"tools": TOOLS}, {"functions": [WEATHER]}):
        made = put_together(chunks(request("weather read_clock get_weather", max_tokens=1, **fields)))[0]
        assert made["finish"] == "length"
        assert (made["legacy"] or {"arguments": "{"})["arguments"] == "{"
        assert [call["input"] for call in made["calls"]] in ([], ["{"])


@pytest.mark.parametrize("n", [1, 2])
def test_a_json_schema_is_followed_and_the_answer_ends_by_itself(n: int) -> None:
    """Whatever the temperature, the text is a document that the schema allows."""
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    for temperature in (0, 1, 2):
        for choice in whole(request("Ann is 44", response_format=form, n=n, temperature=temperature))["choices"]:
            Draft202012Validator(PERSON).validate(json.loads(choice["message"]["content"]))
            assert choice["finish_reason"] == "stop"


def test_a_json_object_has_the_keys_that_the_prompt_names() -> None:
    """Without a schema the answer is an object; quoted words of the prompt are its keys."""
    form = {"type": "json_object"}
    assert set(json.loads(text(request("Give me JSON", response_format=form)))) == {"answer"}
    assert set(json.loads(text(request('Reply with keys "city" and "mood"', response_format=form)))) == {"city", "mood"}
    assert set(json.loads(text(request('Like {"a": "Paris", "b": 2}', response_format=form)))) == {"a", "b"}
    assert set(json.loads(text(request("x", response_format={"type": "json_schema", "json_schema": {"name": "x"}})))) == {"answer"}


def test_choices_take_turns_and_each_begins_and_ends_once() -> None:
    """All openings come first, in order; then the choices are interleaved; each has one finish, with an empty delta."""
    pieces = [choice for piece in chunks(request(n=3, max_tokens=4)) for choice in piece["choices"]]
    assert [(choice["index"], choice["delta"]) for choice in pieces[:3]] == [
        (index, {"role": "assistant", "content": "", "refusal": None}) for index in range(3)
    ]
    assert [choice["index"] for choice in pieces[3:6]] == [0, 1, 2]
    ends = [choice for choice in pieces if choice["finish_reason"]]
    assert sorted(choice["index"] for choice in ends) == [0, 1, 2]
    assert all(choice["delta"] == {} for choice in ends)


TOLD_SCHEMA = json.dumps(
    {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name", "age"]}
)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": f"Who is Ada? Answer as JSON with this schema: {TOLD_SCHEMA}"}],
        [{"role": "system", "content": f"Answer in JSON.\n```json\n{TOLD_SCHEMA}\n```"}, {"role": "user", "content": "Who is Ada?"}],
        [{"role": "developer", "content": [{"type": "text", "text": TOLD_SCHEMA}]}, {"role": "user", "content": "Who is Ada?"}],
        [{"role": "user", "content": 'An example {"a": 1}, the schema {"json_schema": {"schema": ' + TOLD_SCHEMA + "}}"}],
        [{"role": "system", "content": '{ {{ {"broken": ' + TOLD_SCHEMA}, {"role": "user", "content": "Who is Ada?"}],
    ],
)
def test_a_schema_in_the_text_is_followed(messages: list[Json]) -> None:
    """Fault P15: `json_object` with a schema in the last user or a system message gives a document that follows it."""
    document = json.loads(text(request(messages, response_format={"type": "json_object"})))
    assert set(document) == {"name", "age"}
    assert isinstance(document["name"], str)
    assert isinstance(document["age"], int)


@pytest.mark.parametrize(
    "said", ["{" * 5_000, "[" * 100_000, '{"properties": {"a": {"not": {}}}, "required": ["a"]}', '{"properties": 5}', "{}"]
)
def test_a_text_that_only_looks_like_a_schema_is_no_reason_to_refuse(said: str) -> None:
    """[fault P15] What cannot be followed is prompt, and the answer is an object all the same."""
    assert isinstance(json.loads(text(request("Answer in JSON. " + said, response_format={"type": "json_object"}))), dict)


@pytest.mark.parametrize(
    "bounds",
    [
        {"minimum": -9007199254740991, "maximum": 9007199254740991},
        {"minimum": -9007199254740991},
        {"exclusiveMinimum": -(2**63), "exclusiveMaximum": 2**63},
        {"minimum": -2147483648, "maximum": 2147483647, "multipleOf": 5},
        {"maximum": 9007199254740991},
    ],
)
@pytest.mark.parametrize("kind", ["integer", "number"])
def test_numbers_are_small_where_the_schema_allows_it(kind: str, bounds: Json) -> None:
    """[fault P15] The bounds of JavaScript's integers are no wish for one of sixteen digits."""
    for seed in range(20):
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": kind, **bounds}}}
        assert 0 <= json.loads(text(request("Say a number.", response_format=form, seed=seed))) <= 50


@pytest.mark.parametrize(("low", "high"), [(10**6, 10**9), (-(10**9), -(10**6)), (-5, 5), (-(10**9), 0), (7, 7)])
def test_numbers_stay_within_bounds_that_are_meant(low: int, high: int) -> None:
    """[fault P15] A small number is no better than none where the schema does not allow it."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "integer", "minimum": low, "maximum": high}}}
    assert low <= json.loads(text(request("Say a number.", response_format=form))) <= high


REFUSED: list[tuple[Json, str | None, str | None]] = [
    ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "audio", "unsupported_parameter"),
    ({"modalities": ["audio"]}, "modalities", "unsupported_parameter"),
    ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
    ({"temperature": 2.5}, "temperature", "unsupported_value"),
    ({"n": 0}, "n", "unsupported_value"),
    ({"stop": ["a"] * 17}, "stop", "unsupported_value"),
    ({"logit_bias": {"x": 1}}, "logit_bias", "unsupported_value"),
    ({"messages": []}, "messages", "unsupported_value"),
    ({"messages": [{"content": "x"}]}, "messages[0]", "unsupported_value"),
    ({"stream_options": {"include_usage": True}}, "stream_options", None),
    ({"top_logprobs": 3}, "top_logprobs", None),
    *[
        ({"logprobs": True, "top_logprobs": count}, "top_logprobs", "unsupported_value")
        for count in (2_737, 2**31, 2**63 - 1, 2**63, 10**40)
    ],
    ({"tools": [{"type": "function"}]}, "tools[0]", "invalid_value"),
    ({"tools": [{"type": "web_search"}]}, "tools[0]", "unsupported_value"),
    ({"logit_bias": [[5, 1]]}, "logit_bias", "unsupported_value"),
    ({"logprobs": True, "top_logprobs": -1}, "top_logprobs", "unsupported_value"),
    ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
    ({"function_call": {"name": "x"}}, "function_call", "invalid_value"),
    ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "nobody"}}}, "tool_choice", "invalid_value"),
    ({"tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice", "invalid_value"),
    ({"functions": [WEATHER], "function_call": {"name": "nobody"}}, "function_call", "invalid_value"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}},
        "response_format",
        "invalid_json_schema",
    ),
    (
        {"functions": [{"name": "f", "parameters": {"$ref": "#/no"}}], "function_call": {"name": "f"}},
        "functions",
        "invalid_function_parameters",
    ),
    (
        {
            "tools": [
                {"type": "custom", "custom": {"name": "c", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}}
            ],
            "tool_choice": "required",
        },
        "tools",
        "unsupported_parameter",
    ),
    ({"messages": [{"role": "user", "content": "a " * CONTEXT_TOKENS_MAX}]}, "messages", "context_length_exceeded"),
]


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED)
def test_what_cannot_be_done_is_refused_by_name_before_anything_is_said(fields: Json, param: str | None, code: str | None) -> None:
    """The refusal names the field and, where OpenAI has one, the code."""
    with pytest.raises(Refusal) as refused:
        completion({**request(), **fields})
    assert (refused.value.param, refused.value.code) == (param, code)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": -1},
        {"max_completion_tokens": 0},
        {"logprobs": False, "top_logprobs": 0},
        {"reasoning_effort": 1024},
        {"verbosity": 3},
        {"metadata": ["a"]},
        {"stop": [str(digit) for digit in range(16)]},
        {"user": 5},
    ],
)
def test_values_that_ask_for_nothing_change_nothing(fields: Json) -> None:
    """[fault W8] What other vendors give a meaning, and this model need not, is answered."""
    assert text(request(seed=1, **fields)) == text(request(seed=1))


@pytest.mark.parametrize("seed", [-1, 2**63, 10**400, 1.5])
def test_any_number_is_a_seed(seed: float) -> None:
    """[fault W8] It need only make the same answer again."""
    assert text(request(seed=seed)) == text(request(seed=seed))


def test_logprobs_may_be_a_number() -> None:
    """[fault W8] As in the older API; other than zero it means that they are wanted."""
    assert whole(request(logprobs=1, top_logprobs=2, max_tokens=3))["choices"][0]["logprobs"]["content"]


def test_metadata_of_any_shape_is_given_back_if_it_is_an_object() -> None:
    """[fault W8] A list in it is no reason to refuse a call."""
    assert whole(request(metadata={"tags": ["a"]}))["metadata"] == {"tags": ["a"]}
    assert "metadata" not in whole(request(metadata=["a"]))


def test_fields_that_are_null_or_unknown_change_nothing() -> None:
    """Null means the default, and extensions of other vendors are ignored."""
    names = "temperature top_p frequency_penalty presence_penalty logit_bias stop max_tokens max_completion_tokens n logprobs"
    others = "top_logprobs tools response_format tool_choice functions function_call audio modalities stream_options"
    nulls = dict.fromkeys([*names.split(), *others.split()])
    assert text(request(seed=1, **nulls, top_k=3, reasoning={"effort": "low"}, service_tier="auto")) == text(request(seed=1))


def test_generation_waits_for_its_reader() -> None:
    """Nothing is said that nobody has asked for: reading three chunks draws three chunks' worth of chance."""
    chance = random.Random(4)
    stream = Completion(
        request(stream=True, max_tokens=1000, logit_bias={"0": -100}), model=shipped_model(), chance=chance, created=0
    ).chunks()
    said = [next(stream) for _ in range(3)]
    assert [tokens for _, tokens in said] == [0, 1, 1]
    assert sum(tokens for _, tokens in stream) == 998
