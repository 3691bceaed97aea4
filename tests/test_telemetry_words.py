"""What traces and metrics say in the words of the conventions for generative AI: settings and ends of calls, and never their texts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aisa.observe.asked import LEVEL_CHARACTERS_MAX, asked_of
from aisa.trace import Answered, Trace, Traces
from aisa.wire.chat import parse_chat
from aisa.wire.completions import CompletionsRequest
from aisa.wire.door import Request
from aisa.wire.embeddings import EmbeddingsRequest
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from server import serving
from test_metrics import ended
from test_telemetry import PARENT, attributes_of, collecting, told
from vendor import ScriptedVendor

SECRET = "the secret words"
CHAT = {"model": "m", "messages": [{"role": "user", "content": SECRET}]}
MESSAGE = CHAT | {"max_tokens": 64}
Read = Callable[[bytes], Request]


def settings(said: dict[str, Any]) -> dict[str, Any]:
    """Attributes without what all of their names begin with."""
    return {name.removeprefix("gen_ai.").removeprefix("request."): value for name, value in said.items()}


@pytest.mark.parametrize(
    ("read", "asked", "said"),
    [
        (parse_chat, CHAT, {}),
        (
            parse_chat,
            CHAT | {"temperature": 0, "top_p": 0.5, "frequency_penalty": 1, "presence_penalty": -1, "max_completion_tokens": 9, "n": 3},
            {"temperature": 0.0, "top_p": 0.5, "frequency_penalty": 1.0, "presence_penalty": -1.0, "max_tokens": 9, "choice.count": 3},
        ),
        (parse_chat, CHAT | {"seed": 7, "top_k": 40, "stop": SECRET, "n": 1}, {"seed": 7, "top_k": 40}),
        (parse_chat, CHAT | {"top_k": "forty", "seed": 1e300, "stop": []}, {}),
        (parse_chat, CHAT | {"response_format": {"type": "json_schema", "json_schema": {"name": SECRET}}}, {"output.type": "json"}),
        (parse_chat, CHAT | {"response_format": {"type": "text"}}, {"output.type": "text"}),
        (parse_chat, CHAT | {"modalities": ["text", "audio"], "audio": {"voice": "v", "format": "wav"}}, {"output.type": "speech"}),
        (parse_chat, CHAT | {"modalities": ["text", "image"]}, {"output.type": "image"}),
        (
            MESSAGES_DOOR.read,
            MESSAGE | {"temperature": 0.5, "top_k": 5, "stop_sequences": ["a", SECRET]},
            {"temperature": 0.5, "top_k": 5, "max_tokens": 64},
        ),
        (
            RESPONSES_DOOR.read,
            {"model": "m", "input": SECRET, "top_p": 0.25, "max_output_tokens": 50, "text": {"format": {"type": "json_object"}}},
            {"top_p": 0.25, "max_tokens": 50, "output.type": "json"},
        ),
        (CompletionsRequest, {"model": "m", "prompt": SECRET, "max_tokens": 5, "seed": 3}, {"max_tokens": 5, "seed": 3}),
        (parse_chat, CHAT | {"stream": True, "reasoning_effort": "high"}, {"reasoning.level": "high"}),
        (EmbeddingsRequest, {"model": "m", "input": SECRET}, {}),
        (
            EmbeddingsRequest,
            {"model": "m", "input": SECRET, "dimensions": 8, "encoding_format": "base64"},
            {"embeddings.dimension.count": 8, "encoding_formats": ("base64",)},
        ),
    ],
)
def test_what_a_request_asks_for_is_told_whatever_door_it_came_through(read: Read, asked: dict[str, Any], said: dict[str, Any]) -> None:
    """[issue 13] Settings as they were given, and what was not given is not told; a word of the prompt never is."""
    found = settings(asked_of(read(json.dumps(asked).encode())))
    assert (found, SECRET in repr(found)) == (said | {"stream": asked.get("stream", False)}, False)


@pytest.mark.parametrize(
    ("read", "asked", "name"),
    [
        (parse_chat, CHAT, "max_tokens"),
        (MESSAGES_DOOR.read, CHAT, "max_tokens"),
        (RESPONSES_DOOR.read, {"model": "m", "input": SECRET}, "max_output_tokens"),
        (CompletionsRequest, {"model": "m", "prompt": SECRET}, "max_tokens"),
        (EmbeddingsRequest, {"model": "m", "input": SECRET}, "dimensions"),
    ],
)
def test_a_number_that_no_collector_can_take_is_not_told(read: Read, asked: dict[str, Any], name: str) -> None:
    """[issue 13] Attributes are numbers of 64 bits: a span with a larger one is lost on its way."""
    largest = 2**63 - 1
    assert largest in settings(asked_of(read(json.dumps(asked | {name: largest}).encode()))).values()
    for number in (largest + 1, 10**20):
        assert settings(asked_of(read(json.dumps(asked | {name: number}).encode()))) == {"stream": False}


@pytest.mark.parametrize("level", [SECRET, "sk-aisa-abcdefghijkl", "\u8bf7\u4fdd\u5bc6", ""])
def test_what_is_no_word_is_no_level_of_reasoning(level: str) -> None:
    """[issue 13] Vendors judge it, so that any text may stand there."""
    assert settings(asked_of(parse_chat(json.dumps(CHAT | {"reasoning_effort": level}).encode()))) == {"stream": False}


def test_what_is_told_of_a_level_of_reasoning_is_bounded() -> None:
    """It is a word of the vendor's."""
    asked = parse_chat(json.dumps(CHAT | {"reasoning_effort": "x" * 1_000}).encode())
    assert asked_of(asked)["gen_ai.request.reasoning.level"] == "x" * LEVEL_CHARACTERS_MAX


def looking(look: Callable[[Any], Any], headers: dict[str, str]) -> Trace:
    """Begin a trace at UNIX second 1,000, the loop's second 5, of whose request something is told."""
    traces = Traces(random.Random(3), lambda: 1_000.0, share=1.0, passes_on=True, look=look)
    return traces.begin(headers, 5.0, route="/v1/chat/completions", protocol="openai")


def test_nothing_is_looked_at_of_a_call_that_is_not_sampled() -> None:
    """Whether it is traced is decided before anything is made for it; of one that is, the request is looked at once."""
    seen: list[object] = []

    def look(request: object) -> dict[str, Any]:
        seen.append(request)
        return {"a": 1}

    silent, loud = looking(look, {"traceparent": f"{PARENT[:-1]}0"}), looking(look, {"traceparent": PARENT})
    for trace in (silent, loud):
        trace.ask("v/first", 5.1, "asked")
        trace.ask("v/second", 5.4, "asked")
    assert (seen, silent.asked, loud.asked, silent.asked_at, loud.asked_at) == (["asked"], {}, {"a": 1}, 5.4, 5.4)


def test_a_try_is_told_with_what_was_asked_and_how_it_was_answered() -> None:
    """[issue 13] The one that answered with the answer's id, model, ends and the time to its first token since it was asked."""
    trace = looking(lambda _request: {"gen_ai.request.seed": 7, "gen_ai.request.encoding_formats": ("base64",)}, {})
    trace.ask("v/m", 5.15, "asked")
    trace.answered = Answered("chatcmpl-1", "m-2026", ("stop", ""))
    with collecting() as collector:
        told(collector.url, ended(traceparent=trace, first_token_seconds=0.2))
    said = attributes_of(collector.named("chat")[0])
    assert (said["gen_ai.request.seed"], said["gen_ai.request.encoding_formats"]) == (7, ["base64"])
    assert (said["gen_ai.response.id"], said["gen_ai.response.model"]) == ("chatcmpl-1", "m-2026")
    assert said["gen_ai.response.finish_reasons"] == ["stop", "error"]  # a choice without its end was expected to have one
    assert said["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.05)


def test_streams_are_measured_as_our_caller_sees_them_and_as_we_see_their_vendor() -> None:
    """[issue 13] From the call's beginning, and from when the vendor was asked; each further token counts once in the client's."""
    trace = looking(asked_of, {"traceparent": f"{PARENT[:-1]}0"})
    trace.ask("v/m", 5.15)
    with collecting() as collector:
        told(collector.url, ended(traceparent=trace, billed_tokens=11), ended(stream=False))
    figures = {
        name.removeprefix("gen_ai."): (point.count, round(point.sum, 6))
        for name, [(_, point)] in collector.points.items()
        if ".time_" in name or name.endswith(".duration")
    }
    assert figures == {
        "client.inference.duration": (2, 1.05 + 1.2),  # of what no vendor was asked for, all of the call
        "server.time_to_first_token": (1, 0.2),
        "server.time_per_output_token": (1, 0.1),
        "client.inference.time_to_first_chunk": (1, 0.05),
        "client.inference.time_per_output_chunk": (10, 1.0),
    }


CONFIGURATION = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
telemetry: {{endpoint: "{collector}"}}
"""


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
def test_a_real_call_is_told_with_its_settings_and_its_end_and_none_of_its_words(tmp_path: Path, *, stream: bool) -> None:
    """Of what a collector gets, all that there is."""
    with (
        collecting() as collector,
        ScriptedVendor() as vendor,
        serving(tmp_path, CONFIGURATION.format(vendor=vendor.url, collector=collector.url)) as server,
    ):
        asked = CHAT | {"model": "local/hello", "stream": stream, "seed": 7, "max_tokens": 9, "stop": [SECRET]}
        headers = {"authorization": f"Bearer {server.key}", "traceparent": PARENT}
        answer = httpx2.post(f"{server.api}/chat/completions", json=asked, headers=headers, trust_env=False)
        assert answer.status_code == 200
    said = attributes_of(collector.named("chat")[0])
    assert (said["gen_ai.request.seed"], said["gen_ai.request.max_tokens"]) == (7, 9)
    assert (said["gen_ai.response.id"], said["gen_ai.response.finish_reasons"]) == ("chatcmpl-v", ["stop"])
    assert said["gen_ai.request.stream"] is stream
    assert ("gen_ai.response.model" in said, "gen_ai.response.time_to_first_chunk" in said) == (True, stream)
    assert (SECRET in repr(collector.spans), "Hello" in repr(collector.spans)) == (False, False)
