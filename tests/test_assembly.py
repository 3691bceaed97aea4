"""Documents that are asked for as streams and assembled: what the client gets, when the vendor is stopped, and what it costs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aisa.config.schema import Prices
from aisa.facts import CallEnded, VendorFailed
from aisa.ledger.rules import CLIENT_GONE, COMPLETED, FAILED
from aisa.providers import openai
from aisa.providers.openai_assembly import is_assembled
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_answer, check_stream
from aisa.wire.chat import ChatRequest, parse_chat
from rig import DONE, Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, closing_of, event, text, usage, whole_stream

PLAIN = Target(vendor="acme", model="m-1-2026", dialect=openai.NAME)
ASSEMBLED = msgspec.structs.replace(PLAIN, assemble=True)
CORPUS = Path(__file__).parent / "corpus" / "openai"
STREAMS = sorted(path for path in CORPUS.iterdir() if (path / "upstream.sse").exists() and (path / "client.sse").exists())
PRICES = Prices(input=1, output=2)


def assembled(chat: ChatRequest, reads: list[bytes]) -> tuple[bytes, Any]:
    """Feed a stream to what assembles a document; return the document, or nothing and the failure."""
    decoder = openai.decoder(chat, ASSEMBLED, call_id="01CORPUS", created=1750000000)
    for data in reads:
        assert decoder.feed(data) == []
        if decoder.done or decoder.failure:
            break
    else:
        assert decoder.end() == []
    return (b"", decoder.failure) if decoder.failure else (closing_of(decoder, None), decoder.usage())


def made_of(events: bytes) -> dict[int, dict[str, Any]]:
    """Put a client's stream together as the plainest of clients does: texts, calls by their index, log probabilities, the reason."""
    choices: dict[int, dict[str, Any]] = {}
    for block in events.decode().split("\n\n"):
        if not block.startswith("data: {"):
            continue
        for part in json.loads(block[6:]).get("choices", []):
            made = choices.setdefault(
                part["index"], {"content": "", "refusal": "", "thought": "", "calls": [], "logprobs": [], "reason": None}
            )
            delta = part["delta"]
            made["content"] += delta.get("content") or ""
            made["refusal"] += delta.get("refusal") or ""
            made["thought"] += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls", []):
                kind = "custom" if "custom" in call else "function"
                if "id" in call:
                    made["calls"].append([call["id"], call[kind]["name"], ""])
                made["calls"][call["index"]][2] += call[kind].get("input" if kind == "custom" else "arguments", "")
            if "function_call" in delta:
                name, argued = made.get("legacy", ("", ""))
                told = delta["function_call"]
                made["legacy"] = (name + told.get("name", ""), argued + told.get("arguments", ""))
            made["logprobs"] += (part.get("logprobs") or {}).get("content") or []
            made["reason"] = part.get("finish_reason") or made["reason"]
    return choices


def seen_in(document: bytes) -> dict[int, dict[str, Any]]:
    """Return the same of a document."""
    choices: dict[int, dict[str, Any]] = {}
    for choice in json.loads(document)["choices"]:
        message = choice["message"]
        bodies = [(call["id"], call.get("function") or call["custom"]) for call in message.get("tool_calls", [])]
        choices[choice["index"]] = {
            "content": message["content"] or "",
            "refusal": message["refusal"] or "",
            "thought": message.get("reasoning_content", ""),
            "calls": [[given, told["name"], told.get("arguments", told.get("input"))] for given, told in bodies],
            "logprobs": (choice["logprobs"] or {}).get("content") or [],
            "reason": choice["finish_reason"],
        }
        if "function_call" in message:
            choices[choice["index"]]["legacy"] = (message["function_call"]["name"], message["function_call"]["arguments"])
    return choices


@pytest.mark.parametrize("case", STREAMS, ids=[case.name for case in STREAMS])
def test_an_assembled_document_says_what_the_stream_of_the_same_case_does(case: Path) -> None:
    """Text, refusal, thinking, calls, the legacy call, log probabilities and reasons of every choice; it fails where that fails."""
    given = json.loads((case / "request.json").read_bytes())
    chat = parse_chat(json.dumps({name: value for name, value in given.items() if name not in ("stream", "stream_options")}).encode())
    if not is_assembled(chat, ASSEMBLED):
        return
    upstream = (case / "upstream.sse").read_bytes()
    document, told = assembled(chat, [upstream])
    if (case / "failure.json").exists():
        expected = json.loads((case / "failure.json").read_bytes())
        assert (told.error.code, told.error.status) == (expected["code"], expected["status"])
        return
    assert check_answer(document) == []
    assert seen_in(document) == made_of((case / "client.sse").read_bytes())
    half = len(upstream) // 2
    assert assembled(chat, [upstream[:half], upstream[half:]]) == (document, told)


def answered(choice: dict[str, Any], delta_parts: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Return what a client gets of one choice that the vendor sends whole, and of the same choice in parts that are assembled."""
    head = {"id": "c", "created": 1, "model": "m-1-2026"}
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    whole = json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": counts}).encode()
    chat = parse_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}], "tools": TOOLS}).encode())
    plain = openai.decoder(chat, PLAIN, call_id="1", created=1)
    plain.feed(whole)
    plain.end()
    base = {"index": 0, "logprobs": None, "finish_reason": None}
    parts = [event({**head, "object": "chat.completion.chunk", "choices": [{**base, **part}]}) for part in delta_parts]
    parts.append(event({**head, "object": "chat.completion.chunk", "choices": [], "usage": counts}))
    return json.loads(closing_of(plain, "0.000000001")), (chat, [*parts, DONE])


TOOLS = [{"type": "function", "function": {"name": "now", "parameters": {}}}]
LOGPROB = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
MESSAGES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "text": (
        {"message": {"role": "assistant", "content": "Hi there", "refusal": None}, "logprobs": None, "finish_reason": "length"},
        [{"delta": {"role": "assistant", "content": "Hi"}}, {"delta": {"content": " there"}}, {"delta": {}, "finish_reason": "length"}],
    ),
    "nothing": (
        {"message": {"role": "assistant", "content": "", "refusal": None}, "logprobs": None, "finish_reason": "stop"},
        [{"delta": {"role": "assistant", "content": ""}}, {"delta": {}, "finish_reason": "stop"}],
    ),
    "a refusal": (
        {"message": {"role": "assistant", "content": None, "refusal": "I cannot."}, "logprobs": None, "finish_reason": "stop"},
        [{"delta": {"role": "assistant", "refusal": "I can"}}, {"delta": {"refusal": "not."}}, {"delta": {}, "finish_reason": "stop"}],
    ),
    "thinking": (
        {"message": {"role": "assistant", "content": "4", "refusal": None, "reasoning": "2+2"}, "logprobs": None, "finish_reason": "stop"},
        [{"delta": {"reasoning": "2+"}}, {"delta": {"reasoning": "2"}}, {"delta": {"content": "4"}, "finish_reason": "stop"}],
    ),
    "a call": (
        {
            "message": {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "now", "arguments": '{"a":1}'}}],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        },
        [
            {"delta": {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "now", "arguments": ""}}]}},
            {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}},
            {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}},
            {"delta": {}, "finish_reason": "tool_calls"},
        ],
    ),
    "log probabilities": (
        {
            "message": {"role": "assistant", "content": "HiHi", "refusal": None},
            "logprobs": {"content": [LOGPROB, LOGPROB], "refusal": None},
            "finish_reason": "stop",
        },
        [
            {"delta": {"content": "Hi"}, "logprobs": {"content": [LOGPROB], "refusal": None}},
            {"delta": {"content": "Hi"}, "logprobs": {"content": [LOGPROB], "refusal": None}},
            {"delta": {}, "finish_reason": "stop"},
        ],
    ),
    "members that nobody knows": (
        {
            "message": {
                "role": "assistant",
                "content": "Hi",
                "refusal": None,
                "reasoning_details": [{"type": "reasoning.text", "format": "f", "index": 0, "text": "ab"}],
            },
            "logprobs": None,
            "finish_reason": "stop",
            "stop_reason": 7,
        },
        [
            {"delta": {"reasoning_details": [{"type": "reasoning.text", "format": "f", "index": 0, "text": "a"}]}},
            {"delta": {"reasoning_details": [{"type": "reasoning.text", "format": "f", "index": 0, "text": "b"}]}},
            {"delta": {"content": "Hi"}},
            {"delta": {}, "finish_reason": "stop", "stop_reason": 7},
        ],
    ),
}


@pytest.mark.parametrize(("choice", "parts"), MESSAGES.values(), ids=MESSAGES)
def test_an_assembled_document_equals_the_one_that_the_vendor_would_have_sent(choice: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    """Every member of the client's document is the same, usage and cost included, whichever way it was asked for."""
    plain, (chat, events) = answered({"index": 0, **choice}, parts)
    decoder = openai.decoder(chat, ASSEMBLED, call_id="1", created=1)
    for data in events:
        decoder.feed(data)
    assert decoder.done
    assert json.loads(closing_of(decoder, "0.000000001")) == plain


class Called:
    """One document asked for through the path, of vendors that are asked for streams."""

    def __init__(self, *scripts: Script, leaves_after_seconds: float | None = None, **options: Any) -> None:
        self.client = MemoryClient()
        self.upstreams = [ScriptedUpstream(script) for script in scripts]

        async def main() -> Rig:
            rig = Rig(*self.upstreams, prices=PRICES, vendor={"assemble": True}, **options)
            if leaves_after_seconds is not None:
                asyncio.get_running_loop().call_later(leaves_after_seconds, self.client.leave)
            await rig.call(self.client, body(n=1))
            return rig

        self.rig = run_virtual(main())
        [self.row] = self.rig.rows


def test_the_vendor_is_asked_for_a_stream_and_the_client_gets_a_document() -> None:
    """The request says `stream` and asks for usage, which we do not show as the client's wish; the answer is one JSON document."""
    called = Called(Script(whole_stream("Hel", "lo")))
    sent = json.loads(called.upstreams[0].requests[0].body)
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})
    assert dict(called.upstreams[0].requests[0].headers)["accept"] == "text/event-stream"
    assert (called.client.status, called.client.headers["content-type"]) == (200, "application/json")
    assert called.client.length == len(called.client.body)
    assert check_answer(called.client.body) == []
    assert json.loads(called.client.body)["choices"][0]["message"]["content"] == "Hello"


def test_it_costs_what_the_same_answer_costs_as_a_document_or_a_stream() -> None:
    """Contract, section 6: 9 tokens in and 2 out, as reported; the row says that no stream was sent."""
    row = Called(Script(whole_stream("Hel", "lo"))).row
    assert (row.outcome, row.stream, row.cost, row.billed.source) == (COMPLETED, False, 9 * 1_000 + 2 * 2_000, "reported")


def test_a_client_that_leaves_stops_the_vendor_and_pays_nothing() -> None:
    """[fault F6] The vendor's connection is cut in the middle of the stream at once; nothing was delivered, nothing is billed."""
    called = Called(Script([*text("a", "b"), Stall()]), leaves_after_seconds=3)
    [upstream] = called.upstreams
    assert (upstream.open, upstream.aborted) == (0, 1)
    assert (called.row.outcome, called.row.cost, called.row.total_ms) == (CLIENT_GONE, 0, 3_000)


BROKEN: dict[str, tuple[Script, int, str]] = {
    "a refusal": (Script([b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'], status=429), 429, "upstream_rate_limit"),
    "an error inside": (Script([*text("a"), event({"error": {"message": "no", "code": 500}})]), 502, "upstream_unavailable"),
    "a cut": (Script([*text("a"), Break()]), 502, "upstream_unavailable"),
    "an end without a finish": (Script(text("a")), 502, "upstream_unavailable"),
    "silence": (Script([*text("a"), Stall()]), 504, "upstream_timeout"),
}


@pytest.mark.parametrize(("script", "status", "code"), BROKEN.values(), ids=BROKEN)
def test_a_failure_anywhere_in_the_stream_has_its_true_status_and_costs_nothing(script: Script, status: int, code: str) -> None:
    """The client has seen nothing yet, so a failure after text is still a status; never half a document."""
    called = Called(script)
    assert (called.client.status, json.loads(called.client.body)["error"]["code"]) == (status, code)
    assert (called.row.outcome, called.row.cost) == (FAILED, 0)


def test_after_a_failure_inside_the_stream_another_target_is_asked() -> None:
    """What a plain document allows, an assembled one does too: the second vendor's answer is the client's, and only that."""
    called = Called(Script([*text("wrong"), Break()]), Script(whole_stream("right")))
    assert json.loads(called.client.body)["choices"][0]["message"]["content"] == "right"
    assert [fact.vendor for fact in called.rig.facts if isinstance(fact, VendorFailed)] == ["a"]
    assert (called.row.outcome, called.row.attempts, called.row.billed.output_tokens) == (COMPLETED, 2, 1)


def test_a_vendor_that_parks_after_its_finish_ends_the_document_within_the_second() -> None:
    """[fault W2] As of a stream: what is complete is not kept from the client until a time-out."""
    called = Called(Script([*text("a"), chunk({}, "stop"), usage(9, 1), Stall()]))
    [ended] = [fact for fact in called.rig.facts if isinstance(fact, CallEnded)]
    assert (called.client.status, ended.outcome) == (200, COMPLETED)
    assert ended.total_seconds < 1.2


def test_a_vendor_that_sends_a_document_all_the_same_is_understood() -> None:
    """Some cannot stream: what they send instead is the answer."""
    message = {"role": "assistant", "content": "Hello.", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": counts}
    called = Called(Script([json.dumps(answer).encode()]))
    assert json.loads(called.client.body)["choices"] == [choice]
    assert called.row.billed.output_tokens == 3


def test_an_answer_in_audio_is_asked_for_as_a_document() -> None:
    """Vendors stream other formats of audio than they send whole, so the client's own wish would be refused."""
    chat = parse_chat(body(modalities=["text", "audio"], audio={"format": "mp3", "voice": "a"}))
    sent = json.loads(openai.to_upstream(chat, ASSEMBLED).body)
    assert "stream" not in sent


def test_a_stream_is_a_stream() -> None:
    """The setting is about documents alone."""
    chat = parse_chat(body(stream=True))
    decoder = openai.decoder(chat, ASSEMBLED, call_id="1", created=1)
    sent = b"".join(piece.data for data in whole_stream("a") for piece in decoder.feed(data))
    assert check_stream(sent + closing_of(decoder, None), include_usage=False, choices=1) == []


def test_an_assembled_document_is_bounded_as_a_document_is() -> None:
    """`answer_bytes_max` counts all that the vendor sends."""
    target = msgspec.structs.replace(ASSEMBLED, answer_bytes_max=1_024)
    decoder = openai.decoder(parse_chat(body()), target, call_id="1", created=1)
    for data in whole_stream(*["word "] * 100):
        decoder.feed(data)
    assert decoder.failure is not None
    assert "size limit" in decoder.failure.detail
