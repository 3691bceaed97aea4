"""What Gemini is asked for a chat request: contents, tools, how to answer, and what is refused, left out or moved."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aisa.answer import Reasoning, ToolCall
from aisa.errors import UpstreamFailed
from aisa.providers import gemini
from aisa.providers.fetched import Fetched, filled
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.providers.vendor_state import Memory, Seals, VendorStates
from aisa.wire.chat import parse_chat
from aisa.wire.reasoning_details import detail
from repeats import repeats

USER = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="
FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def asked(
    *messages: Any, model: str = "gemini-3.5-flash", unsupported: str = "refuse", fetches: bool = False, **fields: Any
) -> UpstreamRequest:
    """The request that Gemini gets for a chat of these messages."""
    body = {"model": "m", "messages": messages or [USER], **fields}
    return gemini.to_upstream(
        parse_chat(json.dumps(body).encode()), Target("google", model, "gemini", unsupported=unsupported, fetches=fetches)
    )


def body_of(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Its body."""
    return json.loads(asked(*messages, **fields).body)


def refusal(*messages: Any, **fields: Any) -> tuple[str, str | None, bool]:
    """The code and the parameter of a request that cannot be written, and whether another target may be asked."""
    with pytest.raises(UpstreamFailed) as failed:
        asked(*messages, **fields)
    return failed.value.error.code, failed.value.error.param, failed.value.may_fall_back


def call(call_id: str, name: str, arguments: str = "{}", signature: str = "") -> dict[str, Any]:
    """A call in an assistant's message."""
    extra = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **extra}


def said(*calls: dict[str, Any], content: str | None = None) -> dict[str, Any]:
    """An assistant's message."""
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(call_id: str, content: Any) -> dict[str, Any]:
    """A tool's."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("gemini-3.5-flash", False, "/models/gemini-3.5-flash:generateContent"),
        ("gemini-3.5-flash", True, "/models/gemini-3.5-flash:streamGenerateContent?alt=sse"),
        ("tunedModels/mine", False, "/tunedModels/mine:generateContent"),
        ("publishers/google/models/gemini-2.5-pro", False, "/publishers/google/models/gemini-2.5-pro:generateContent"),
        ("a/../../b?key=c#d", False, "/models/a%2F..%2F..%2Fb%3Fkey%3Dc%23d:generateContent"),
        ("..", False, "/models/..:generateContent"),
    ],
)
def test_the_model_is_in_the_path_and_cannot_leave_its_place_there(model: str, stream: bool, path: str) -> None:
    """A name that a caller chose stays one segment."""
    assert asked(model=model, stream=stream).path == path


def test_leading_instructions_are_the_systems_and_later_ones_stay_in_place() -> None:
    """Never hoisted: what stands before a signature must not change."""
    body = body_of(
        {"role": "system", "content": "A"},
        {"role": "developer", "content": [{"type": "text", "text": "B"}]},
        USER,
        {"role": "assistant", "content": "Yo"},
        {"role": "system", "content": "C"},
        USER,
    )
    assert body["systemInstruction"] == {"parts": [{"text": "A"}, {"text": "B"}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"text": "Yo"}]},
        {"role": "user", "parts": [{"text": "C"}, {"text": "Hi"}]},
    ]


def test_instructions_alone_are_asked_as_the_user() -> None:
    """Gemini refuses a request without contents."""
    body = body_of({"role": "system", "content": "Say hello."})
    assert (body.get("systemInstruction"), body["contents"]) == (None, [{"role": "user", "parts": [{"text": "Say hello."}]}])


def test_messages_that_say_nothing_are_refused_in_words_about_them() -> None:
    """Google's own are about a member that the caller does not have."""
    with pytest.raises(UpstreamFailed, match="no message with text") as failed:
        body_of({"role": "user", "content": ""})
    assert (failed.value.error.status, failed.value.error.param) == (400, "messages")


def test_empty_texts_are_left_out() -> None:
    """Gemini refuses an empty part."""
    body = body_of(
        {"role": "user", "content": ""},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": ""}]},
        USER,
    )
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    refused = {"role": "assistant", "content": None, "refusal": "No."}
    part = {"type": "refusal", "refusal": "Never."}
    said = body_of(USER, refused, {"role": "assistant", "content": [part]}, USER)["contents"][1]
    assert said == {"role": "model", "parts": [{"text": "No."}, {"text": "Never."}]}
    assert refusal({"role": "user", "content": ""})[:2] == ("invalid_request", "messages")


def test_calls_and_their_results_have_ids_names_and_signatures() -> None:
    """In one turn for all results of a step, in the order of the calls, whatever order they came in. A failure is told as one."""
    body = body_of(
        USER,
        said(call("c1", "f", '{"a":1}', "c2ln"), call("c2", "g", "")),
        {**result("c2", "two"), "is_error": True},
        result("c1", [{"type": "text", "text": "one"}]),
    )
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "c2", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "one"}}},
                {"functionResponse": {"id": "c2", "name": "g", "response": {"error": "two"}}},
            ],
        },
    ]


def test_the_first_call_of_a_step_without_its_signature_gets_the_documented_stand_in() -> None:
    """Of models that want one; the others have neither it nor ids."""
    history = (USER, said(call("c1", "f"), call("c2", "g")), result("c1", "1"), result("c2", "2"), said(call("c3", "f")), result("c3", "3"))
    marks = [part.get("thoughtSignature") for each in body_of(*history)["contents"] for part in each["parts"] if "functionCall" in part]
    assert marks == ["skip_thought_signature_validator", None, "skip_thought_signature_validator"]
    older = body_of(*history, model="gemini-2.5-flash")["contents"][1]["parts"]
    assert older == [{"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "g", "args": {}}}]


def test_signatures_travel_sealed_or_are_kept_for_the_account_and_the_vendor_that_they_are_of() -> None:
    """In `reasoning_details`, or by the id of the call; another account's are as good as none."""
    states = VendorStates(Seals(bytes(range(64))), Memory(lambda: 0.0))
    answer = {
        "candidates": [
            {"content": {"parts": [{"functionCall": {"id": "c1", "name": "f"}, "thoughtSignature": "c2ln"}]}, "finishReason": "STOP"}
        ]
    }
    mine, theirs = (Target("google", "gemini-3.5-flash", "gemini", state=states.of(account, "google")) for account in ("a", "b"))
    chat = parse_chat(json.dumps({"model": "m", "messages": [USER]}).encode())
    decoder = gemini.decoder(chat, mine, call_id="1", created=1, protocol="openai")
    decoder.feed(json.dumps(answer).encode())
    decoder.end()
    [sealed] = [part.signature for part in decoder.closing(None) if isinstance(part, Reasoning)]

    def sent(target: Target, *, details: bool) -> object:
        back = {**said(call("c1", "f")), **({"reasoning_details": [detail(sealed, 0)]} if details else {})}
        again = parse_chat(json.dumps({"model": "m", "messages": [USER, back, result("c1", "1")]}).encode())
        return json.loads(gemini.to_upstream(again, target).body)["contents"][1]["parts"][0]["thoughtSignature"]

    stand_in = "skip_thought_signature_validator"
    assert [sent(mine, details=True), sent(mine, details=False)] == ["c2ln", "c2ln"]
    assert [sent(theirs, details=True), sent(theirs, details=False)] == [stand_in, stand_in]
    forgetful = Target(
        "google", "gemini-3.5-flash", "gemini", state=VendorStates(Seals(bytes(range(64))), Memory(lambda: 0.0)).of("a", "google")
    )
    assert [sent(forgetful, details=True), sent(forgetful, details=False)] == ["c2ln", stand_in]


@pytest.mark.parametrize("details", [True, False], ids=["sealed", "kept"])
def test_each_of_two_calls_that_have_one_id_brings_back_its_own_signature(*, details: bool) -> None:
    """[fault W4] They are told apart by ids of ours, and so are their signatures: one for another's call is refused."""
    states = VendorStates(Seals(bytes(range(64))), Memory(lambda: 0.0))
    made: list[dict[str, Any]] = [
        {"functionCall": {"id": "same", "name": "f", "args": {}}, "thoughtSignature": signature} for signature in ("QQ==", "Qg==")
    ]
    target = Target("google", "gemini-3.5-flash", "gemini", state=states.of("a", "google"))
    decoder = gemini.decoder(
        parse_chat(json.dumps({"model": "m", "messages": [USER]}).encode()), target, call_id="1", created=1, protocol="x"
    )
    decoder.feed(json.dumps({"candidates": [{"content": {"parts": made}, "finishReason": "STOP"}]}).encode())
    decoder.end()
    parts = decoder.closing(None)
    ids = [part.id for part in parts if isinstance(part, ToolCall)]
    seals = [detail(part.signature, place) for place, part in enumerate(part for part in parts if isinstance(part, Reasoning))]
    back = {**said(*[call(each, "f") for each in ids]), **({"reasoning_details": seals} if details else {})}
    history = [USER, back, *[result(each, "1") for each in ids]]
    written = json.loads(gemini.to_upstream(parse_chat(json.dumps({"model": "m", "messages": history}).encode()), target).body)
    told = [(part["functionCall"]["id"], part.get("thoughtSignature")) for part in written["contents"][1]["parts"]]
    assert told == [(ids[0], "QQ=="), (ids[1], "Qg==")]
    assert (ids[0], len(set(ids))) == ("same", 2)


@pytest.mark.parametrize(
    "parts",
    [
        [{"text": "It rains."}, {"text": "", "thoughtSignature": "c2ln"}],
        [{"text": "It rains.", "thoughtSignature": "c2ln"}],
        [{"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"}, {"text": "It rains."}],
    ],
    ids=["on an empty text", "on the text", "on a thought"],
)
def test_the_signature_of_a_text_goes_back_behind_it(parts: list[Any]) -> None:
    """Newer models sign answers without calls too, most on an empty last text."""
    mine = VendorStates(Seals(bytes(range(64))), Memory(lambda: 0.0)).of("a", "google")
    target = Target("google", "gemini-3.5-flash", "gemini", state=mine)
    chat = parse_chat(json.dumps({"model": "m", "messages": [USER]}).encode())
    decoder = gemini.decoder(chat, target, call_id="1", created=1, protocol="openai")
    decoder.feed(json.dumps({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}).encode())
    decoder.end()
    [seal] = [part.signature for part in decoder.closing(None) if isinstance(part, Reasoning) and part.signature]
    back = {"role": "assistant", "content": "It rains.", "reasoning_details": [detail(seal, 0)]}
    again = parse_chat(json.dumps({"model": "m", "messages": [USER, back, USER]}).encode())
    request = gemini.to_upstream(again, target)
    assert json.loads(request.body)["contents"][1]["parts"] == [{"text": "It rains."}, {"text": "", "thoughtSignature": "c2ln"}]
    assert request.added == ("thought_signature",)


def test_signatures_that_were_refused_are_asked_without() -> None:
    """What the vendor refuses once is named, and then the stand-in goes in its place."""
    chat = parse_chat(json.dumps({"model": "m", "messages": [USER, said(call("c1", "f", "{}", "c2ln")), result("c1", "1")]}).encode())
    target = Target("google", "gemini-3.5-flash", "gemini")
    assert gemini.to_upstream(chat, target).added == ("thought_signature",)
    again = gemini.to_upstream(chat, Target("google", "gemini-3.5-flash", "gemini", omit=("thought_signature",)))
    assert (again.added, b"c2ln" in again.body, b"skip_thought" in again.body) == ((), False, True)


@pytest.mark.parametrize(
    ("arguments", "args"), [("oops", {"arguments": "oops"}), ("[1]", {"arguments": "[1]"}), ('{"a":', {"arguments": '{"a":'})]
)
def test_arguments_that_are_no_object_go_back_as_a_text(arguments: str, args: dict[str, Any]) -> None:
    """What a model wrote badly must not end the conversation."""
    assert body_of(USER, said(call("c1", "f", arguments)), result("c1", "bad"))["contents"][1]["parts"][0]["functionCall"]["args"] == args


def test_a_result_that_answers_no_call_is_refused() -> None:
    """The caller's to mend: nobody is asked."""
    assert refusal(USER, result("c9", "x")) == ("invalid_request", "messages[1].tool_call_id", False)


def test_functions_of_the_older_api_are_called_and_answered() -> None:
    """By name, as they have no ids."""
    legacy = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    body = body_of(USER, legacy, {"role": "function", "name": "f", "content": "1"}, functions=[{"name": "f"}], function_call={"name": "f"})
    assert body["contents"][2]["parts"] == [{"functionResponse": {"name": "f", "response": {"output": "1"}}}]
    assert body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        ),
        ({"type": "image_url", "image_url": PNG}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
        ({"type": "image_url", "image_url": {"url": "gs://b/a.png"}}, {"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a.png"}}),
        ({"type": "video_url", "video_url": {"url": "https://youtu.be/x"}}, {"fileData": {"fileUri": "https://youtu.be/x"}}),
        *[
            (
                {"type": "input_audio", "input_audio": {"data": "UklG", "format": form}},
                {"inlineData": {"mimeType": kind, "data": "UklG"}},
            )
            for form, kind in (
                ("wav", "audio/wav"),
                ("mp3", "audio/mp3"),
                ("pcm16", "audio/l16"),
                ("flac", "audio/flac"),
                ("ogg", "audio/ogg"),
                ("aac", "audio/aac"),
            )
        ],
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        ),
        ({"type": "file", "file": {"file_data": "QQ==", "filename": "a.txt"}}, {"inlineData": {"mimeType": "text/plain", "data": "QQ=="}}),
        (
            {"type": "file", "file": {"file_id": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        ),
    ],
)
def test_pictures_sound_and_files_are_parts(part: dict[str, Any], written: dict[str, Any]) -> None:
    """Their data, or what Google can read itself."""
    assert body_of({"role": "user", "content": [part]})["contents"][0]["parts"] == [written]


@pytest.mark.parametrize(
    ("part", "refused"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, ("unsupported_parameter", True)),
        ({"type": "file", "file": {"file_id": "file-abc"}}, ("unsupported_parameter", True)),
        ({"type": "hologram"}, ("unsupported_parameter", True)),
        ({"type": "image_url", "image_url": {"url": "data:oops"}}, ("invalid_request", False)),
        ({"type": "image_url"}, ("invalid_request", False)),
        ({"type": "input_audio", "input_audio": {}}, ("invalid_request", False)),
        ({"type": "file", "file": {}}, ("invalid_request", False)),
    ],
)
def test_parts_that_cannot_be_read_are_named(part: dict[str, Any], refused: tuple[str, bool]) -> None:
    """What another vendor may take is asked of it; what is broken is not."""
    code, param, may_fall_back = refusal(USER, {"role": "user", "content": [{"type": "text", "text": "See"}, part]})
    assert ((code, may_fall_back), param) == (refused, "messages[1].content[1]")


def test_pictures_by_address_are_read_for_it_where_that_is_wanted() -> None:
    """Each once, at marks that no text can hold; 16 of them at most."""
    parts = [{"type": "image_url", "image_url": {"url": f"https://example.com/{number % 16}.png"}} for number in range(17)]
    request = asked({"role": "user", "content": [{"type": "text", "text": "\xff"}, *parts]}, fetches=True)
    assert request.fetches == tuple(f"https://example.com/{number}.png" for number in range(16))
    body = json.loads(filled(request.body, [Fetched("image/png", f"data{number}".encode()) for number in range(16)]))
    inline = [part["inlineData"] for part in body["contents"][0]["parts"][1:]]
    assert inline == [{"mimeType": "image/png", "data": f"data{number % 16}"} for number in range(17)]
    parts.append({"type": "image_url", "image_url": {"url": "https://example.com/17.png"}})
    assert refusal({"role": "user", "content": parts}, fetches=True)[0] == "unsupported_parameter"


def test_pictures_in_results_are_parts_of_the_result() -> None:
    """Where the model takes them there; beside it in an older one's."""
    history = (
        USER,
        said(call("c1", "f")),
        result("c1", [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": PNG}}]),
    )
    inline = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    answer = {"name": "f", "response": {"output": "See"}}
    assert body_of(*history)["contents"][2]["parts"] == [{"functionResponse": {"id": "c1", **answer, "parts": [inline]}}]
    assert body_of(*history, model="gemini-2.5-pro")["contents"][2]["parts"] == [{"functionResponse": answer}, inline]


def test_schemas_lose_what_gemini_has_no_word_for() -> None:
    """`const` is an enum of one, beside `$ref` nothing stands, names of properties stay, data stays."""
    schema = {
        "$schema": "x",
        "type": "object",
        "properties": {"const": {"const": 1}, "a": {"$ref": "#/$defs/A", "description": "d"}},
        "$defs": {"A": {"type": "string", "default": {"const": 2}}},
        "required": ["const"],
        "additionalProperties": False,
    }
    written = {
        "type": "object",
        "properties": {"const": {"enum": [1]}, "a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"type": "string", "default": {"const": 2}}},
        "required": ["const"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}
    body = body_of(tools=[tool, FUNCTION], response_format=form)
    assert body["tools"][0]["functionDeclarations"][0] == {"name": "f", "description": "d", "parametersJsonSchema": written}
    assert body["generationConfig"] == {"responseMimeType": "application/json", "responseJsonSchema": written}


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (None, None),
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [FUNCTION]}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [FUNCTION]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_every_form_of_tool_choice_has_its_mode(choice: Any, config: dict[str, Any] | None) -> None:
    """Nothing where Gemini does so anyway."""
    config = None if config is None else {"functionCallingConfig": config}
    assert body_of(tools=[FUNCTION], tool_choice=choice).get("toolConfig") == config


def test_strict_functions_are_validated() -> None:
    """So that arguments fit the schema."""
    tool = {"type": "function", "function": {**FUNCTION["function"], "strict": True}}
    assert body_of(tools=[tool])["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}


def test_tools_that_google_runs_pass() -> None:
    """By their names in a chat request, and the search that OpenAI's own field asks for."""
    body = body_of(
        tools=[{"type": "code_execution"}, {"type": "google_maps", "google_maps": {"enableWidget": True}}, FUNCTION], web_search_options={}
    )
    assert [list(tool) for tool in body["tools"]] == [["functionDeclarations"], ["googleSearch"], ["codeExecution"], ["googleMaps"]]
    assert body["tools"][3] == {"googleMaps": {"enableWidget": True}}
    more = body_of(tools=[{"type": kind} for kind in ("google_search", "url_context", "file_search")])["tools"]
    assert more == [{"googleSearch": {}}, {"urlContext": {}}, {"fileSearch": {}}]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("gemini-3.5-flash", ("temperature=0.2", "top_p=0.9", "top_k=40")),
        ("gemini-3.8-flash", ("temperature=0.2", "top_p=0.9", "top_k=40")),
        ("gemini-3.1-pro", ()),
        ("gemini-2.5-flash", ()),
        ("somebodys-own", ()),
    ],
)
@pytest.mark.parametrize("unsupported", ["refuse", "drop", "refuse_values"])
def test_sampling_that_google_advises_against_is_sent_and_told(model: str, told: tuple[str, ...], unsupported: str) -> None:
    """From 3.5 on; it is never refused, as the model takes it, and not told where nothing was asked."""
    chat = parse_chat(json.dumps({"model": "m", "messages": [USER], "temperature": 0.2, "top_p": 0.9, "top_k": 40}).encode())
    request = gemini.to_upstream(chat, Target("google", model, "gemini", unsupported=unsupported))
    assert json.loads(request.body)["generationConfig"] == {"temperature": 0.2, "topP": 0.9, "topK": 40}
    assert request.changed == told
    plain = parse_chat(json.dumps({"model": "m", "messages": [USER], "temperature": None}).encode())
    assert gemini.to_upstream(plain, Target("google", model, "gemini")).changed == ()


def test_how_to_answer_is_carried_over() -> None:
    """Every parameter that both sides have."""
    body = body_of(
        max_completion_tokens=9,
        temperature=0.5,
        top_p=0.9,
        n=2,
        stop="x",
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logprobs=True,
        top_logprobs=3,
        response_format={"type": "json_object"},
        service_tier="flex",
        top_k=40,
        user="u",
        store=True,
        metadata={"a": "b"},
        parallel_tool_calls=True,
        verbosity="medium",
        logit_bias={},
        safety_settings=[{"category": "c"}],
        extra_body={"google": {"cached_content": "cachedContents/1", "thinking_config": {"thinkingBudget": 5}}},
    )
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {
            "maxOutputTokens": 9,
            "temperature": 0.5,
            "topP": 0.9,
            "candidateCount": 2,
            "frequencyPenalty": 0.1,
            "presencePenalty": 0.2,
            "seed": 7,
            "topK": 40,
            "stopSequences": ["x"],
            "responseLogprobs": True,
            "logprobs": 3,
            "responseMimeType": "application/json",
            "thinkingConfig": {"thinkingBudget": 5},
        },
        "safetySettings": [{"category": "c"}],
        "cachedContent": "cachedContents/1",
        "serviceTier": "flex",
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"parallel_tool_calls": False, "tools": [{"type": "function", "function": {"name": "f"}}]}, "parallel_tool_calls"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"verbosity": "low"}, "verbosity"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"modalities": ["smell"]}, "modalities"),
        ({"modalities": ["audio"], "audio": {"voice": "Kore", "format": "mp3"}}, "audio.format"),
        ({"reasoning_effort": "lots"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "model_there": "gemini-2.0-flash"}, "reasoning_effort"),
    ],
)
def test_what_gemini_lacks_is_refused_by_name_or_left_out_and_told(fields: dict[str, Any], param: str) -> None:
    """As the model's entry has it."""
    model = fields.get("model_there", "gemini-3.5-flash")
    rest = {name: value for name, value in fields.items() if name != "model_there"}
    assert refusal(model=model, **rest) == ("unsupported_parameter", param, True)
    request = asked(model=model, unsupported="drop", **rest)
    assert request.dropped == (param,)


@pytest.mark.parametrize(
    ("model", "effort", "config", "changed"),
    [
        ("gemini-3.8-flash", "none", {"thinkingLevel": "LOW", "includeThoughts": False}, "reasoning_effort=low"),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "LOW", "includeThoughts": False}, "reasoning_effort=low"),
        ("gemini-3.7-flash", "high", {"thinkingLevel": "HIGH", "includeThoughts": True}, None),
        ("gemini-3.6-flash", "minimal", {"thinkingLevel": "MINIMAL", "includeThoughts": False}, None),
        ("gemini-3.6-flash", "none", {"thinkingLevel": "MINIMAL", "includeThoughts": False}, "reasoning_effort=minimal"),
        ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "LOW", "includeThoughts": False}, "reasoning_effort=low"),
        *[
            (model, word, {"thinkingLevel": word.upper(), "includeThoughts": word != "minimal"}, None)
            for model in ("gemini-3-flash", "gemini-3.1-flash-lite", "gemini-3.5-flash", "gemini-3.5-flash-lite", "gemini-3.6-flash")
            for word in ("minimal", "low", "medium", "high")
        ],
        *[
            (model, word, {"thinkingLevel": word.upper(), "includeThoughts": True}, None)
            for model in ("gemini-3.1-pro", "gemini-3.7-flash", "gemini-3.8-flash")
            for word in ("low", "medium", "high")
        ],
        ("gemini-3-pro-preview", "low", {"thinkingLevel": "LOW", "includeThoughts": True}, None),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH", "includeThoughts": True}, "reasoning_effort=high"),
        ("gemini-4-argon", "xhigh", {"thinkingLevel": "HIGH", "includeThoughts": True}, "reasoning_effort=high"),
        ("gemini-pro-latest", "low", {"thinkingLevel": "LOW", "includeThoughts": True}, None),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0, "includeThoughts": False}, None),
        ("gemini-2.5-flash-lite", "medium", {"thinkingBudget": 8192, "includeThoughts": True}, None),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128, "includeThoughts": False}, "reasoning_effort=minimal"),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 24576, "includeThoughts": True}, "reasoning_effort=high"),
        ("gemini-2.0-flash", "none", None, None),
        ("gemini-3.8-flash", None, None, None),
    ],
)
def test_effort_is_a_level_or_a_budget_of_the_models_generation(model: str, effort: str | None, config: Any, changed: str | None) -> None:
    """One that the model does not have is moved to the nearest, and told."""
    request = asked(model=model, reasoning_effort=effort)
    assert json.loads(request.body).get("generationConfig", {}).get("thinkingConfig") == config
    assert request.changed == (() if changed is None else (changed,))
    if changed:
        assert refusal(model=model, reasoning_effort=effort, unsupported="refuse_values") == (
            "unsupported_parameter",
            "reasoning_effort",
            True,
        )


def test_a_tier_that_google_does_not_have_is_the_usual_one() -> None:
    """And told. One that it has is asked for by its name, in any letters."""
    request = asked(service_tier="scale")
    assert ("serviceTier" in json.loads(request.body), request.changed) == (False, ("service_tier=default",))
    for tier in ("flex", "priority"):
        assert body_of(service_tier=tier)["serviceTier"] == body_of(service_tier=tier.upper())["serviceTier"] == tier


def test_speech_and_pictures_are_asked_for() -> None:
    """By modality; a voice by its name."""
    config = body_of(modalities=["text", "audio"], audio={"voice": "Kore", "format": "pcm16"})["generationConfig"]
    voice = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
    assert config == {"responseModalities": ["AUDIO"], "speechConfig": voice}
    assert body_of(modalities=["text", "image"])["generationConfig"] == {"responseModalities": ["TEXT", "IMAGE"]}


TURNS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.text(max_size=5), st.text(max_size=5)),
        st.tuples(st.just("call"), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("note"), st.text(max_size=5), st.booleans()),
    ),
    min_size=2,
    max_size=10,
)


def conversation(turns: list[Any]) -> list[list[dict[str, Any]]]:
    """The messages after each turn, every one the beginning of the next."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "S"}, USER]
    steps: list[list[dict[str, Any]]] = []
    for number, (kind, first, second) in enumerate(turns):
        if kind == "say":
            messages += [{"role": "assistant", "content": first or "ok"}, {"role": "user", "content": second or "go on"}]
        elif kind == "note":
            messages += [{"role": "assistant", "content": "ok"}, {"role": "system" if second else "user", "content": first or "x"}]
        else:
            ids = [f"c{number}_{place}" for place in range(first)]
            messages.append(said(*[call(each, "f", '{"b":2,"a":1}', "c2ln" if second and each == ids[0] else "") for each in ids]))
            messages += [result(each, f"r{each}") for each in reversed(ids)]
        steps.append(list(messages))
    return steps


@settings(max_examples=repeats(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TURNS, st.sampled_from(["gemini-3.5-flash", "gemini-2.5-pro"]))
def test_a_conversation_is_always_written_as_the_same_bytes(turns: list[Any], model: str) -> None:
    """System, tools and contents of a turn are a prefix of the next turn's, closing brackets apart."""
    before = b""
    for messages in conversation(turns):
        body = asked(*messages, model=model, tools=[FUNCTION]).body
        written = body.rstrip(b"]}")
        assert written.startswith(before)
        before = written
