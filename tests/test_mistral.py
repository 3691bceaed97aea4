"""The Mistral dialect: what is asked in its own words, and that its answers and refusals are read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.answer import Part, Reasoning
from aisa.config.detect import detect
from aisa.config.schema import Prices
from aisa.errors import UpstreamFailed
from aisa.prices.catalogue import catalogue_price
from aisa.providers import mistral
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Asked, Target
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorStates
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_stream
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from polyglot_words import SIGNATURE, Line, mistral_document, mistral_stream
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, body, content_of, event, events_of

USER = {"role": "user", "content": "Hi"}
FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def asked(*messages: Any, unsupported: str = "refuse", **fields: Any) -> UpstreamRequest:
    """The request that Mistral gets for a chat of these messages."""
    chat = parse_chat(json.dumps({"model": "m", "messages": messages or [USER], **fields}).encode())
    return mistral.to_upstream(chat, Target("mistral", "mistral-large-4", "mistral", unsupported=unsupported))


def body_of(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Its body."""
    written: dict[str, Any] = json.loads(asked(*messages, **fields).body)
    return written


def test_only_members_that_it_knows_are_sent_under_its_names() -> None:
    """It refuses every other; what changes nothing of an answer is left out without a word."""
    same = {"temperature": 0.5, "stop": ["x"], "stream": True, "reasoning_effort": "high", "safe_prompt": True}
    idle = {"stream_options": {"include_usage": True}, "user": "u", "store": True, "service_tier": "auto", "brand_new": 1, "top_p": None}
    written = body_of(max_completion_tokens=9, seed=-7, **same, **idle)
    assert written == {"model": "mistral-large-4", "messages": [USER], "max_tokens": 9, "random_seed": 7, **same}


def test_calls_have_ids_that_it_takes_and_that_stay_the_same() -> None:
    """Nine letters and digits, in the call and in its result; its own stay."""
    given = ("call_1", "a1b2c3d4e")
    calls = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in given]
    results = [{"role": "tool", "tool_call_id": each, "content": "1"} for each in given]
    said = {"role": "assistant", "content": None, "tool_calls": calls, "refusal": None}
    history = ({"role": "developer", "content": "S"}, USER, said, *results)
    first, user, told, *back = body_of(*history)["messages"]
    ids = [call["id"] for call in told["tool_calls"]]
    assert (first, user, told["content"]) == ({"role": "system", "content": "S"}, USER, "")
    assert ids == [result["tool_call_id"] for result in back]
    assert (len(ids[0]), ids[0].isalnum(), ids[1]) == (9, True, "a1b2c3d4e")
    assert body_of(*history) == body_of(*history)


MARK = {"cache_control": {"type": "ephemeral"}, "prompt_cache_breakpoint": {"mode": "explicit"}, "brand_new": 1}


def test_no_member_that_it_does_not_know_is_left_inside_messages_and_tools() -> None:
    """Marks for others' caches, names, what clients keep of answers: one of them in a part, a call or a tool is a 422 there."""
    text = {"type": "text", "text": "t"}
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}}
    call = {"id": "a1b2c3d4e", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = {
        "role": "assistant",
        "content": [{**text, "annotations": []}, {"type": "refusal", "refusal": "No."}],
        "audio": None,
        "name": "m",
    }
    odd = body_of(
        {"role": "system", "name": "s", "content": [{**text, **MARK}]},
        {"role": "user", "name": "u", "content": [{**text, **MARK}, {**picture, "image_url": {**picture["image_url"], **MARK}, **MARK}]},
        {**said, "reasoning_content": "r", "tool_calls": [{**call, "index": 0, "function": {**call["function"], **MARK}, **MARK}]},
        {"role": "tool", "tool_call_id": "a1b2c3d4e", "name": "f", "content": [{**text, **MARK}], **MARK},
        {"role": "assistant", "content": "go", "prefix": True, **MARK},
        tools=[{**FUNCTION, "function": {**FUNCTION["function"], "strict": None, **MARK}, **MARK}],
    )
    assert odd["messages"] == [
        {"role": "system", "content": [text]},
        {"role": "user", "content": [text, picture]},
        {"role": "assistant", "content": [text, {"type": "text", "text": "No."}], "tool_calls": [call]},
        {"role": "tool", "content": [text], "tool_call_id": "a1b2c3d4e"},
        {"role": "assistant", "content": "go", "prefix": True},
    ]
    assert odd["tools"] == [FUNCTION]


@pytest.mark.parametrize(("detail", "written"), [("auto", {"detail": "auto"}), ("original", {}), (None, {})])
def test_how_closely_a_picture_is_looked_at_is_one_of_its_three_words(detail: str | None, written: dict[str, str]) -> None:
    """OpenAI has a fourth."""
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": detail}}
    [part] = body_of({"role": "user", "content": [picture]})["messages"][0]["content"]
    assert part["image_url"] == {"url": "https://example.com/a.png", **written}


def test_sound_and_files_are_parts_of_its_own() -> None:
    """Data alone, and a document."""
    plain = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    sound = {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}
    file = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}}
    *same, heard, read = body_of({"role": "user", "content": [*plain, sound, file]})["messages"][0]["content"]
    assert same == plain
    assert heard == {"type": "input_audio", "input_audio": "UklG"}
    assert read == {"type": "document_url", "document_url": "data:application/pdf;base64,JVBE"}


@pytest.mark.parametrize(
    ("file", "written"),
    [
        (
            {"filename": "a.txt", "file_data": "SGku"},
            {"type": "document_url", "document_url": "data:text/plain;base64,SGku", "document_name": "a.txt"},
        ),
        ({"file_data": "JVBE"}, {"type": "document_url", "document_url": "data:application/pdf;base64,JVBE"}),
        (
            {"filename": "a.pdf", "file_data": "https://example.com/a.pdf"},
            {"type": "document_url", "document_url": "https://example.com/a.pdf", "document_name": "a.pdf"},
        ),
        ({"file_id": "file_1"}, {"type": "file", "file_id": "file_1"}),
    ],
)
def test_a_file_is_a_document_however_its_data_is_written(file: dict[str, str], written: dict[str, str]) -> None:
    """Base64 alone is taken as the other dialects take it: by the file's name, else as PDF."""
    assert body_of({"role": "user", "content": [{"type": "file", "file": file}]})["messages"][0]["content"] == [written]


def test_parts_in_its_own_words_and_all_that_is_said_of_a_function_stay() -> None:
    """Thinking with its signature and that it is closed, documents with their names, and what a function is told by."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "signature": "c2ln", "closed": True},
        {"type": "document_url", "document_url": "https://example.com/a.pdf", "document_name": "a.pdf"},
        {"type": "reference", "reference_ids": [1]},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "file", "file_id": "file_1"},
    ]
    function = {"name": "f", "description": "Finds.", "strict": True, "parameters": {"type": "object", "properties": {"a": {}}}}
    tool = {"type": "function", "function": function}
    written = body_of({"role": "assistant", "content": parts[:1]}, {"role": "user", "content": parts[1:]}, tools=[tool])
    assert [part for message in written["messages"] for part in message["content"]] == parts
    assert written["tools"] == [tool]


NAMED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(("choice", "written"), [("auto", "auto"), ("none", "none"), ("required", "any"), (NAMED, NAMED)])
def test_how_tools_are_to_be_called_is_said_in_its_words(choice: Any, written: Any) -> None:
    """`required` is `any` there."""
    assert body_of(tools=[FUNCTION], tool_choice=choice)["tool_choice"] == written


@pytest.mark.parametrize(("mode", "written"), [("auto", "auto"), ("required", "any")])
def test_of_allowed_tools_only_those_are_offered(mode: str, written: str) -> None:
    """It has no such choice: the others are left out."""
    other = {**FUNCTION, "function": {**FUNCTION["function"], "name": "g"}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [NAMED]}}
    body = body_of(tools=[other, FUNCTION], tool_choice=allowed)
    assert (body["tools"], body["tool_choice"]) == ([FUNCTION], written)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"audio": {"voice": "v", "format": "wav"}}, "audio"),
        ({"verbosity": "low"}, "verbosity"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "tool_choice"),
    ],
)
def test_what_it_lacks_is_refused_by_name_or_left_out_and_told(fields: dict[str, Any], param: str) -> None:
    """As the model's entry has it."""
    with pytest.raises(UpstreamFailed) as failed:
        asked(**fields)
    assert (failed.value.error.code, failed.value.error.param) == ("unsupported_parameter", param)
    assert asked(unsupported="drop", **fields).dropped == (param,)


@pytest.mark.parametrize(
    ("tier", "written", "changed"),
    [
        ("default", "standard_only", ()),
        ("standard", "standard_only", ()),
        ("standard_only", "standard_only", ()),
        ("auto", None, ()),
        ("priority", None, ("service_tier=auto",)),
    ],
)
def test_a_service_tier_is_one_of_the_two_that_it_has(tier: str, written: str | None, changed: tuple[str, ...]) -> None:
    """Another is moved to the nearest, and told."""
    assert (body_of(service_tier=tier).get("service_tier"), asked(service_tier=tier).changed) == (written, changed)


def test_a_function_without_parameters_has_none_there() -> None:
    """Mistral refuses one that does not say so; what says it stays as it came."""
    bare = {"type": "function", "function": {"name": "f"}}
    assert body_of(tools=[bare, FUNCTION])["tools"] == [FUNCTION, FUNCTION]


def test_functions_of_the_older_api_are_tools_there() -> None:
    """Each call has an id of its own, and its result the same."""
    legacy = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    answer = {"role": "function", "name": "f", "content": "1"}
    written = body_of(USER, legacy, answer, legacy, answer, functions=[{"name": "f"}], function_call={"name": "f"})
    ids = [message["tool_calls"][0]["id"] for message in written["messages"] if "tool_calls" in message]
    assert ids == [message["tool_call_id"] for message in written["messages"] if message["role"] == "tool"]
    assert len(set(ids)) == 2
    assert (written["tools"], written["tool_choice"], "functions" in written) == ([FUNCTION], NAMED, False)
    assert body_of(functions=[{"name": "f"}], function_call="none")["tool_choice"] == "none"


HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "some-model"}
COUNTS = {"usage": {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50, "prompt_tokens_details": {"cached_tokens": 8}}}


def chunk(delta: dict[str, Any], finish: str | None = None, **beside: Any) -> bytes:
    """A chunk as Mistral writes it."""
    return event({**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **beside})


def made(*steps: bytes) -> tuple[MemoryClient, Rig]:
    """Make one streamed call."""
    rig = Rig(ScriptedUpstream(Script(list(steps))), prices=Prices(input=1, output=2))
    rig.dependencies.dialects = {"openai": mistral}
    client = MemoryClient()
    run_virtual(rig.call(client, body(stream=True, stream_options={"include_usage": True}, tools=[FUNCTION])))
    return client, rig


def test_thinking_in_parts_text_and_a_whole_call_are_read() -> None:
    """Each in its place, with the usage of the last chunk."""
    thinking = {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Look."}]}]}
    call = {"content": "", "tool_calls": [{"id": "a1b2c3d4e", "function": {"name": "f", "arguments": "{}"}, "index": 0}]}
    said = {"content": [{"type": "text", "text": "One moment."}]}
    client, rig = made(chunk({"role": "assistant", "content": ""}), chunk(thinking), chunk(said), chunk(call, "tool_calls", **COUNTS), DONE)
    deltas = [choice["delta"] for each in events_of(client.body) if isinstance(each, dict) for choice in each["choices"]]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Look."
    assert content_of(client.body) == "One moment."
    assert check_stream(client.body, include_usage=True) == []
    assert (rig.rows[0].outcome, rig.rows[0].billed.input_tokens, rig.rows[0].billed.output_tokens) == ("completed", 30, 20)


@pytest.mark.parametrize("stream", [True, False])
def test_what_was_thought_before_a_call_goes_back_with_it(stream: bool) -> None:
    """As it came, with its signature, before what was said; to the account and the vendor that it is of, and of no other call."""
    states = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0))
    mine, theirs = (Target("v", "m", "mistral", state=states.of(account, "v")) for account in ("a", "b"))
    script = [Line("think", "Oslo is north."), Line("say", "One moment."), Line("call", "a1b2c3d4e", "f"), Line("end", "tool_calls")]
    body = b"".join(mistral_stream(script)) if stream else json.dumps(mistral_document(script)).encode()
    chat = parse_chat(json.dumps({"model": "m", "stream": stream, "tools": [FUNCTION], "messages": [USER]}).encode())
    for split in (1, len(body) // 3, len(body) // 2, len(body) - 1):
        decoder = mistral.decoder(chat, mine, call_id="c", created=1, protocol="openai")
        for data in (body[:split], body[split:]):
            decoder.feed(data)
        if not decoder.done:
            decoder.end()
        turn = {"role": "assistant", "content": "One moment.", "tool_calls": [{"id": "a1b2c3d4e", "type": "function", "function": CALLED}]}
        past = [USER, turn, {"role": "tool", "tool_call_id": "a1b2c3d4e", "content": "1"}]
        again = parse_chat(json.dumps({"model": "m", "tools": [FUNCTION], "messages": past}).encode())
        sent, other = (json.loads(mistral.to_upstream(again, target).body)["messages"][1]["content"] for target in (mine, theirs))
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Oslo is north."}], "signature": SIGNATURE}
        assert (sent, other) == ([thought, {"type": "text", "text": "One moment."}], "One moment.")


CALLED = {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize("stream", [True, False])
def test_what_was_thought_is_sealed_into_the_answer_for_any_process_of_this_account(stream: bool) -> None:
    """Before the call in the message that a chat client sends back; a process that remembers nothing opens it, another account does not."""
    before, later = (VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0)) for _ in range(2))
    script = [Line("think", "Oslo is north."), Line("say", "One moment."), Line("call", "a1b2c3d4e", "f"), Line("end", "tool_calls")]
    sent = b"".join(mistral_stream(script)) if stream else json.dumps(mistral_document(script)).encode()
    chat = parse_chat(json.dumps({"model": "m", "stream": stream, "tools": [FUNCTION], "messages": [USER]}).encode())
    decoder = mistral.decoder(chat, Target("v", "m", "mistral", state=before.of("a", "v")), call_id="c", created=1, protocol="openai")
    encoder = CHAT_DOOR.encoder(chat, call_id="c", created=1)
    written = [encoder.write(decoder.feed(sent)), None if decoder.done else encoder.write(decoder.end())]
    answer = b"".join(piece.data for piece in written if piece is not None) + encoder.closing(decoder.closing(None))
    if stream:
        deltas = [each["choices"][0]["delta"] for each in events_of(answer) if isinstance(each, dict) and each["choices"]]
        assert next("reasoning_details" in delta for delta in deltas if "tool_calls" in delta or "reasoning_details" in delta)
        details = [entry for delta in deltas for entry in delta.get("reasoning_details", ())]
    else:
        details = json.loads(answer)["choices"][0]["message"]["reasoning_details"]
    turn = {"role": "assistant", "content": "One moment.", "reasoning_details": details}
    turn["tool_calls"] = [{"id": "a1b2c3d4e", "type": "function", "function": CALLED}]
    again = parse_chat(json.dumps({"model": "m", "tools": [FUNCTION], "messages": [USER, turn]}).encode())
    contents = [
        json.loads(mistral.to_upstream(again, Target("v", "m", "mistral", state=later.of(account, "v"))).body)["messages"][1]["content"]
        for account in ("a", "b")
    ]
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Oslo is north."}], "signature": SIGNATURE}
    assert contents == [[thought, {"type": "text", "text": "One moment."}], "One moment."]


def test_each_choice_has_the_thinking_that_led_to_its_own_call() -> None:
    """Whose events come between those of another."""
    states = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0))
    target = Target("v", "m", "mistral", state=states.of("a", "v"))
    chat = parse_chat(json.dumps({"model": "m", "stream": True, "n": 2, "tools": [FUNCTION], "messages": [USER]}).encode())
    decoder = mistral.decoder(chat, target, call_id="c", created=1, protocol="openai")
    parts: list[Part] = []
    for index, delta in [
        (index, {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": str(index)}]}]}) for index in (1, 0)
    ]:
        parts += decoder.feed(event({**HEAD, "choices": [{"index": index, "delta": delta}]}))
    for index in (1, 0):
        call = {"tool_calls": [{"id": f"a1b2c3d4{index}", "function": CALLED, "index": 0}]}
        parts += decoder.feed(event({**HEAD, "choices": [{"index": index, "delta": call, "finish_reason": "tool_calls"}]}))
    sealed = {part.choice: target.state.open(part.signature) for part in parts if isinstance(part, Reasoning) and part.signature}
    assert {index: json.loads(state)[0]["thinking"][0]["text"] for index, state in sealed.items()} == {0: "0", 1: "1"}


def test_an_answer_that_it_gave_up_is_a_failure() -> None:
    """Its word for that is `error`."""
    client, rig = made(chunk({"role": "assistant", "content": ""}), chunk({"content": "One"}), chunk({}, "error", **COUNTS), DONE)
    assert ("error" in events_of(client.body)[-1], rig.rows[0].outcome) == (True, "cut")


def test_a_refusal_whose_message_is_an_object_is_read() -> None:
    """What it says of a field reaches the caller."""
    refusal = {"object": "error", "message": {"detail": [{"loc": ["body", "temperature"], "msg": "Input should be at most 1.5"}]}}
    target = Target("mistral", "mistral-large-4", "mistral")
    failure = mistral.read_failure(422, {}, json.dumps(refusal).encode(), target=target, asked=Asked(0.0))
    assert failure.error.status in (400, 422)
    assert "at most 1.5" in failure.error.message


def test_a_key_in_the_environment_is_enough() -> None:
    """And the catalogue has its prices."""
    vendor = detect({"MISTRAL_API_KEY": "k"})["mistral"].vendor
    assert (vendor.dialect, vendor.base_url) == ("mistral", "https://api.mistral.ai/v1")
    assert catalogue_price("mistral", vendor.base_url, "mistral-large-2512") is not None


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_of_a_function_of_the_older_api_comes_back_as_one(stream: bool) -> None:
    """One of them at most, with its own finish reason, streamed or not."""
    call = {"id": "a1b2c3d4e", "function": {"name": "f", "arguments": '{"a":1}'}, "index": 0}
    said = {"content": "", "tool_calls": [call, {"id": "a1b2c3d4f", "function": {"name": "g", "arguments": "{}"}, "index": 1}]}
    whole = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": "tool_calls"}
    document = {"id": "c1", "object": "chat.completion", "created": 1, "model": "some-model", "choices": [whole], **COUNTS}
    streamed = [chunk({"role": "assistant", "content": ""}), chunk(said, "tool_calls", **COUNTS), DONE]
    script = Script(streamed) if stream else Script([json.dumps(document).encode()], headers={})
    rig = Rig(ScriptedUpstream(script), prices=Prices(input=1, output=2))
    rig.dependencies.dialects = {"openai": mistral}
    client = MemoryClient()
    run_virtual(rig.call(client, body(stream=stream, functions=[{"name": "f"}, {"name": "g"}])))
    assert (rig.rows[0].outcome, rig.rows[0].billed.output_tokens) == ("completed", 20)
    if not stream:
        [answered] = json.loads(client.body)["choices"]
        assert (answered["message"]["function_call"], answered["finish_reason"]) == ({"name": "f", "arguments": '{"a":1}'}, "function_call")
        assert "tool_calls" not in answered["message"]
        return
    told = [each["choices"][0] for each in events_of(client.body) if isinstance(each, dict) and each["choices"]]
    given = [choice["delta"]["function_call"] for choice in told if "function_call" in choice["delta"]]
    assert (given[0]["name"], "".join(each.get("arguments", "") for each in given)) == ("f", '{"a":1}')
    assert told[-1]["finish_reason"] == "function_call"
    assert check_stream(client.body, include_usage=False) == []
