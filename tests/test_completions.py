"""`POST /v1/completions`: from vendors that go on from a text as it is, and from conversations with all others, billed as on chat."""

from __future__ import annotations

import json
from typing import Any

import openai as sdk
import pytest

from aisa.config.schema import Config, Prices, Vendor
from aisa.errors import ApiError, UpstreamFailed
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.providers import completions_openai
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.usage import REPORTED
from aisa.vendor_targets import vendor_target
from aisa.wire.chat import parse_chat
from aisa.wire.completions import ANSWERS_MAX, CompletionsRequest
from aisa.wire.completions_door import COMPLETIONS_DOOR
from rig import DONE as CHAT_DONE
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, chunk, document, events_of, text, usage, whole_stream
from server import Server

Json = dict[str, Any]
PRICE = Prices(input=1, output=2)
HEAD = {"id": "cmpl-9", "object": "text_completion", "created": 1, "model": "some-model"}
USED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
DONE = b"data: [DONE]\n\n"
GOES_ON = {"completions": True}


def asked(prompt: object = "Hi.", **members: object) -> bytes:
    """A request."""
    return json.dumps({"model": "fast", "prompt": prompt, **members}).encode()


def said(words: str, finish: str | None = None, index: int = 0, **members: object) -> bytes:
    """A chunk of a vendor that has completions."""
    choice = {"index": index, "text": words, "logprobs": None, "finish_reason": finish, **members}
    return b"data: " + json.dumps({**HEAD, "choices": [choice]}).encode() + b"\n\n"


def used(**counts: int) -> bytes:
    """Its usage chunk."""
    return b"data: " + json.dumps({**HEAD, "choices": [], "usage": counts or USED}).encode() + b"\n\n"


def whole(*texts: str, **members: object) -> Json:
    """Its document."""
    choices = [{"index": place, "text": words, "logprobs": None, "finish_reason": "stop"} for place, words in enumerate(texts)]
    return {**HEAD, "choices": choices, "usage": USED, **members}


def script(answer: Json) -> Script:
    """A vendor that sends a document."""
    return Script([json.dumps(answer).encode()], headers={})


def called(
    body: bytes, *scripts: Script, vendor: Json | None = None, client: MemoryClient | None = None, **more: Any
) -> tuple[Rig, MemoryClient, CallRow]:
    """Make one call, to vendors that have completions unless `vendor` says otherwise."""
    rig = Rig(*map(ScriptedUpstream, scripts), vendor=GOES_ON if vendor is None else vendor, **{"prices": PRICE, **more})
    client = client or MemoryClient()
    run_virtual(rig.call(client, body, door=COMPLETIONS_DOOR))
    return rig, client, rig.rows[-1]


def sent(rig: Rig) -> UpstreamRequest:
    """What the first vendor was asked."""
    upstream = rig.dependencies.upstreams["a"]
    assert isinstance(upstream, ScriptedUpstream)
    return upstream.requests[0]


def streamed(client: MemoryClient) -> tuple[str, list[str | None]]:
    """The text of choice 0 of a stream that ends as it should, and all finish reasons; every event is one of the protocol's."""
    *chunks, last = events_of(client.body)
    assert last == "[DONE]"
    assert {(item["object"], item["id"]) for item in chunks} == {("text_completion", chunks[0]["id"])}
    choices = [choice for item in chunks for choice in item["choices"]]
    assert all(set(choice) >= {"index", "text", "logprobs", "finish_reason"} for choice in choices)
    words = "".join(choice["text"] for choice in choices if choice["index"] == 0)
    return words, [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


# The embedded model, judged by the official client


def test_the_official_client_gets_texts_by_address_and_key_alone(server: Server) -> None:
    """Whole and streamed, with usage where it asks, from the embedded model, which is asked as for a conversation."""
    with sdk.OpenAI(base_url=server.api, api_key=server.key, max_retries=0) as client:
        one = client.completions.create(model="gpt-3.5-turbo-instruct", prompt=["Hello"], logprobs=2, seed=1, max_tokens=20)
        wanted: Any = {"include_usage": True}
        chunks = client.completions.create(
            model="gpt-3.5-turbo-instruct", prompt="Hello", stream=True, stream_options=wanted, seed=1, max_tokens=20
        )
        stream = list(chunks)
        with pytest.raises(sdk.UnprocessableEntityError, match="echo"):
            client.completions.create(model="m", prompt="Hello", echo=True)
    choice = one.choices[0]
    assert (one.object, one.model, choice.finish_reason in ("stop", "length")) == ("text_completion", "gpt-3.5-turbo-instruct", True)
    assert choice.text == "".join(part.choices[0].text for part in stream if part.choices)
    assert choice.logprobs is not None
    assert "".join(choice.logprobs.tokens or []).startswith(choice.text)
    assert (choice.logprobs.text_offset or [])[:2] == [0, len((choice.logprobs.tokens or [""])[0])]
    assert one.usage is not None
    assert stream[-1].usage is not None
    assert (one.usage.completion_tokens, stream[-1].choices) == (stream[-1].usage.completion_tokens, [])


# Vendors that go on from a text


def test_the_request_goes_as_it_is_and_the_document_passes() -> None:
    """With the vendor's further members and its own digits; with our name for the model, and what it cost."""
    body = asked(["a", [1, 2]], n=1, echo=False, novel={"x": 1})
    rig, client, row = called(body, script(whole("one", "two", system_fingerprint="f")), name_in_answers="own")
    assert sent(rig).path == "/completions"
    assert json.loads(sent(rig).body) == {**json.loads(body), "model": "some-model"}
    told = json.loads(client.body)
    assert (told["model"], told["system_fingerprint"], told["usage"]["cost"]) == ("fast", "f", 0.000007)
    assert [choice["text"] for choice in told["choices"]] == ["one", "two"]
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens, row.answered_model) == ("completed", 3, 2, "some-model")


def test_a_stream_has_each_word_one_finish_and_usage_only_where_it_was_asked_for() -> None:
    """The usage that we ask for is ours: the client that did not ask sees none, and pays by it."""
    steps = [said("one "), said("two", "length"), used(), DONE]
    for wanted in (False, True):
        options = {"stream_options": {"include_usage": True}} if wanted else {}
        rig, client, row = called(asked(stream=True, **options), Script(steps))
        assert streamed(client) == ("one two", ["length"])
        assert json.loads(sent(rig).body)["stream_options"] == {"include_usage": True}
        assert ("usage" in events_of(client.body)[-2]) is wanted
        assert (row.billed.input_tokens, row.billed.output_tokens, row.outcome) == (3, 2, "completed")
        assert client.headers["content-type"].startswith("text/event-stream")


def test_log_probabilities_and_a_vendors_own_members_stand_with_their_text() -> None:
    """In one chunk, as they came; of a document likewise."""
    logprobs = {"tokens": ["one"], "token_logprobs": [-0.5], "top_logprobs": [{"one": -0.5}], "text_offset": [0]}
    _, client, _ = called(asked(stream=True, logprobs=1), Script([said("one", logprobs=logprobs, token_ids=[7]), said("", "stop"), DONE]))
    first = events_of(client.body)[0]["choices"][0]
    assert (first["text"], first["logprobs"], first["token_ids"]) == ("one", logprobs, [7])


def test_the_end_without_a_reason_is_a_stop_only_where_the_vendor_says_that_it_is_the_end() -> None:
    """`[DONE]` says so; a connection that ends says nothing."""
    _, client, row = called(asked(stream=True), Script([said("one"), DONE]))
    assert (streamed(client), row.outcome) == (("one", ["stop"]), "completed")
    _, client, row = called(asked(stream=True), Script([said("one")]))
    assert (events_of(client.body)[-1]["error"]["code"], row.outcome, row.billed.output_tokens) == ("upstream_unavailable", "cut", 1)


@pytest.mark.parametrize("failing", [[Break()], [b'data: {"error": {"message": "CUDA"}}\n\n'], [said("", "abort")], [b"data: oops\n\n"]])
def test_a_failure_before_the_first_word_falls_back_and_after_it_is_an_error_event(failing: list[Any]) -> None:
    """Never an end that pretends success; what arrived is paid for."""
    _, client, row = called(asked(stream=True), Script(failing), Script([said("two"), said("", "stop"), DONE]))
    assert (streamed(client)[0], row.attempts) == ("two", 2)
    _, client, row = called(asked(stream=True), Script([said("one "), *failing]))
    assert "error" in events_of(client.body)[-1]
    assert (row.outcome, row.billed.output_tokens, row.cost) == ("cut", 1, 1_000 + 2_000)


def test_every_prompt_has_its_answers_and_what_best_of_leaves_out_is_paid_for() -> None:
    """Choices count through all prompts; a hold is taken for all that are made."""
    request = CompletionsRequest(asked(["a", "b"], n=2, best_of=4))
    assert (request.answers, request.choices) == (4, 8)
    report = {"prompt_tokens": 3, "completion_tokens": 16, "total_tokens": 19}
    _, client, row = called(asked(["a", "b"], n=2, best_of=4, max_tokens=2), script(whole("1", "2", "3", "4", usage=report)))
    assert len(json.loads(client.body)["choices"]) == 4
    assert "x-aisa-missing-choices" not in client.headers
    assert row.billed.output_tokens == 16
    _, client, _ = called(asked(["a", "b"], n=2), script(whole("1", "2", "3")))
    assert client.headers["x-aisa-missing-choices"] == "1"


@pytest.mark.parametrize(("prompts", "n", "best_of", "made"), [(1, 2, 3, 3), (3, 2, 5, 15), (2, 3, 4, 8), (2, 4, None, 8), (1, None, 7, 7)])
def test_of_several_that_are_chosen_from_more_all_are_made(prompts: int, n: int | None, best_of: int | None, made: int) -> None:
    """[fault M5] Whatever the one divided by the other leaves: a report of all was taken for one that cannot be, and counted."""
    fields = {name: value for name, value in (("n", n), ("best_of", best_of)) if value is not None}
    body = asked(["a"] * prompts, max_tokens=10, **fields)
    assert CompletionsRequest(body).choices == made
    report = {"prompt_tokens": 3, "completion_tokens": 10 * made, "total_tokens": 3 + 10 * made}
    _, _, row = called(body, script(whole(*["words"] * prompts * (n or 1), usage=report)))
    assert (row.billed.output_tokens, row.billed.source) == (10 * made, REPORTED)


def test_a_repeated_prompt_is_no_output() -> None:
    """A stream that was cut costs the words behind it alone; so does one whose prompt was given as tokens, by about their size."""
    for prompt, echo in (("Hi there.", "Hi there."), ([1, 2], "12345678")):
        steps = [said(echo[:3]), said(echo[3:] + "one "), said("two "), Break()]
        _, client, row = called(asked(prompt, stream=True, echo=True), Script(steps))
        words = "".join(choice["text"] for item in events_of(client.body)[:-1] for choice in item["choices"])
        assert (words, row.billed.output_tokens) == (echo + "one two ", 2)


def test_a_document_that_is_not_as_it_should_be_is_mended() -> None:
    """Without indexes, with a reason of the vendor's own, with a text that is null."""
    answer = whole("one")
    answer["choices"] = [{"text": "one", "finish_reason": "eos"}, {"text": None, "finish_reason": "max_tokens"}]
    _, client, _ = called(asked(n=2), script(answer))
    told = json.loads(client.body)
    assert [(choice["index"], choice["text"], choice["finish_reason"]) for choice in told["choices"]] == [
        (0, "one", "stop"),
        (1, "", "length"),
    ]
    sdk.types.Completion.model_validate(told)


# Conversations


def test_a_prompt_is_the_one_message_of_a_conversation_elsewhere() -> None:
    """With all that both have words for; a bound under the name that holds for thinking too, log-probabilities in the other's form."""
    members = {"temperature": 0.5, "stop": ["\nuser:"], "max_tokens": 9, "seed": None, "n": 1, "logprobs": 2, "user": "u"}
    rig, client, row = called(asked(["Hello"], **members), Script([document("Hello.")], headers={}), vendor={})
    assert sent(rig).path == "/chat/completions"
    assert json.loads(sent(rig).body) == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0.5,
        "n": 1,
        "stop": ["\nuser:"],
        "user": "u",
        "max_completion_tokens": 9,
        "logprobs": True,
        "top_logprobs": 2,
    }
    assert (json.loads(client.body)["choices"][0]["text"], row.billed.output_tokens) == ("Hello.", 3)


def test_a_completion_of_no_token_is_bounded_everywhere() -> None:
    """[fault P3] Who scores a prompt asks for none: a conversation answered with all it had to say, and a full answer was held for."""
    scored = asked(max_tokens=0, echo=True, logprobs=1)
    rig, client, _ = called(scored, Script([document("Hello.")], headers={}), vendor={}, unsupported="drop")
    assert json.loads(sent(rig).body)["max_completion_tokens"] == 1
    assert client.headers["x-aisa-changed-params"] == "max_tokens=1"
    nothing = whole("Hi.", usage={"prompt_tokens": 3, "total_tokens": 3})
    rig, client, row = called(scored, script(nothing), wallets=[Wallet("default", 20_000)])
    assert (json.loads(sent(rig).body)["max_tokens"], client.status, row.billed.output_tokens) == (0, 200, 0)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"suffix": "x"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"best_of": 2}, "best_of"),
    ],
    ids=str,
)
def test_what_a_conversation_cannot_say_is_refused_or_left_out_as_the_models_entry_says(members: Json, param: str) -> None:
    """By name, before anybody is asked; several prompts are refused always."""
    body = asked(**{"prompt": "a", **members})
    _, client, row = called(body, Script([document("one")], headers={}), vendor={})
    told = json.loads(client.body)["error"]
    assert (client.status, told["code"], told["param"], row.cost) == (422, "unsupported_parameter", param, 0)
    _, client, row = called(body, Script([document("one")], headers={}), vendor={}, unsupported="drop")
    assert client.status == (422 if param == "prompt" else 200)
    assert client.headers.get("x-aisa-dropped-params") == (None if param == "prompt" else param)


def test_thinking_is_not_shown_and_keeps_the_stream_alive() -> None:
    """A model that thinks for two minutes is at work; of a stream that is cut then, thinking that nobody saw costs nothing."""
    thoughts: list[Any] = []
    for _ in range(4):
        thoughts += [chunk({"reasoning_content": "Hm. "}), Stall(40)]
    steps = [*text(), *thoughts, chunk({"content": "one "}), chunk({}, "stop"), usage(9, 5), CHAT_DONE]
    _, client, row = called(asked(stream=True), Script(steps), vendor={})
    assert (streamed(client)[0], row.outcome, row.billed.output_tokens) == ("one ", "completed", 5)
    _, client, row = called(asked(stream=True), Script([*text(), *thoughts, chunk({"content": "one "}), Break()]), vendor={})
    assert (row.outcome, row.billed.output_tokens) == ("cut", 1)


def test_log_probabilities_of_a_conversation_come_in_the_form_of_completions() -> None:
    """With where each token begins, counted through the stream."""

    def entry(token: str) -> Json:
        return {"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "x", "logprob": -2.0, "bytes": None}]}

    def with_logprobs(token: str) -> bytes:
        told = json.loads(chunk({"content": token})[6:])
        told["choices"][0]["logprobs"] = {"content": [entry(token)], "refusal": None}
        return b"data: " + json.dumps(told).encode() + b"\n\n"

    steps = [text()[0], with_logprobs("one "), with_logprobs("two"), chunk({}, "stop"), CHAT_DONE]
    _, client, _ = called(asked(stream=True, logprobs=1), Script(steps), vendor={})
    found = [choice["logprobs"] for item in events_of(client.body)[:-1] for choice in item["choices"] if choice["logprobs"]]
    form = {"token_logprobs": [-0.5], "top_logprobs": [{"x": -2.0}]}
    assert found == [{**form, "tokens": ["one "], "text_offset": [0]}, {**form, "tokens": ["two"], "text_offset": [4]}]


def test_other_dialects_answer_too() -> None:
    """Anthropic and Gemini by conversations; Mistral fills in between where there is a suffix."""
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "one"}]}, "finishReason": "MAX_TOKENS", "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
    }
    _, client, row = called(asked(), script(answer), vendor={"dialect": "gemini"})
    assert (json.loads(client.body)["choices"][0], row.billed.output_tokens) == (
        {"index": 0, "text": "one", "logprobs": None, "finish_reason": "length"},
        1,
    )
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "some-model", "content": [{"type": "text", "text": "one"}]}
    answer = {**message, "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 1}}
    _, client, _ = called(asked(), script(answer), vendor={"dialect": "anthropic"})
    assert json.loads(client.body)["choices"][0]["text"] == "one"
    fills = asked("def f(", suffix="return a", max_tokens=9, user="u")
    rig, client, _ = called(fills, Script([document("a):")], headers={}), vendor={"dialect": "mistral"})
    assert sent(rig).path == "/fim/completions"
    assert json.loads(sent(rig).body) == {"model": "some-model", "prompt": "def f(", "suffix": "return a", "max_tokens": 9}
    assert json.loads(client.body)["choices"][0]["text"] == "a):"


def test_which_vendors_go_on_from_a_text() -> None:
    """Those that the setting names; else those on this machine, vLLM, and OpenAI's models that have nothing else."""
    settings = [
        Vendor(base_url="http://127.0.0.1:9/v1"),
        Vendor(base_url="https://api.example/v1"),
        Vendor(base_url="https://vllm.example/v1"),
        Vendor(base_url="http://127.0.0.1:9/v1", completions=False),
    ]
    told = [completions_openai.goes_on(vendor_target("a", Config(vendors={"a": vendor}))) for vendor in settings]
    assert told == [True, False, True, False]
    assert completions_openai.goes_on(Target("o", "gpt-3.5-turbo-instruct", "openai", host="api.openai.com"))
    assert not completions_openai.goes_on(Target("o", "gpt-4o-mini", "openai", host="api.openai.com"))


# Money, and requests


@pytest.mark.parametrize("vendor", [GOES_ON, {}], ids=["completions", "chat"])
def test_who_leaves_pays_for_what_arrived_and_a_wallet_ends_a_stream(vendor: Json) -> None:
    """As on chat, whichever way the text came."""
    words = [said("one "), Stall(1), said("two "), Stall()] if vendor else [*text("one "), Stall(1), chunk({"content": "two "}), Stall()]
    _, client, row = called(asked(stream=True), Script(words), vendor=vendor, client=MemoryClient(leaves_after=1))
    assert (row.outcome, row.billed.output_tokens, row.cost) == ("client_gone", 1, 3_000)
    many = [said("word ") for _ in range(400)] if vendor else text(*["word "] * 400)
    _, client, row = called(asked(stream=True), Script(many), vendor=vendor, wallets=[Wallet("default", 600_000)])
    assert events_of(client.body)[-1]["error"]["code"] == "insufficient_wallet_balance"
    assert (row.outcome, row.cost <= 600_000) == ("cut", True)
    rig, client = Rig(ScriptedUpstream(Script(many)), vendor=vendor, prices=PRICE, wallets=[Wallet("default", 1_000)]), MemoryClient()
    run_virtual(rig.call(client, asked(stream=True), door=COMPLETIONS_DOOR))
    assert (client.status, rig.rows) == (402, [])


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"prompt": None}, "invalid_parameter_type", "prompt"),
        ({"prompt": []}, "invalid_request", "prompt"),
        ({"prompt": ["a", {}]}, "invalid_parameter_type", "prompt[1]"),
        ({"prompt": ["a"] * 65, "n": 64}, "invalid_request", "prompt"),
        ({"n": 0}, "invalid_request", "n"),
        ({"n": 2, "best_of": 1}, "invalid_request", "best_of"),
        ({"stream_options": {"include_usage": True}}, "invalid_request", "stream_options"),
        ({"Prompt": "a"}, "json_parse_error", "prompt"),
        ({"model": ""}, "invalid_request", "model"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_no_vendor_can_mean_is_refused_by_name(members: Json, code: str, param: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(ApiError) as refused:
        CompletionsRequest(asked(**{"prompt": "a", **members}))
    assert (refused.value.code, refused.value.param) == (code, param)
    assert ANSWERS_MAX == 2_048


def test_a_completion_is_for_completions_alone() -> None:
    """A request of another kind is refused by its dialect, not guessed at."""
    with pytest.raises(UpstreamFailed):
        completions_openai.to_upstream(
            parse_chat(b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'), Target("v", "m", "openai")
        )


def test_a_stream_of_nothing_is_a_failure() -> None:
    """An end without a word is none."""
    _, client, row = called(asked(stream=True), Script([DONE]))
    assert (client.status, row.outcome) == (502, "failed")


def test_the_chat_form_of_a_stream_is_as_whole() -> None:
    """From a conversation: text, one finish, usage."""
    _, client, _ = called(asked(stream=True, stream_options={"include_usage": True}), Script(whole_stream("one ", "two")), vendor={})
    assert streamed(client) == ("one two", ["stop"])
    assert events_of(client.body)[-2]["usage"]["total_tokens"] == 11
