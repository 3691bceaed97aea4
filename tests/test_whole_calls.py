"""Calls of tools in one piece each, for clients that break on fragments: Mistral's own judges, and the contract's checker for all else."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import openai as sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistralai.client import Mistral

from aisa.answer import Arguments, Finish, Identity, Part, Report, Text, ToolCall
from aisa.config.schema import Prices
from aisa.testing.clock import run_virtual
from aisa.usage import Usage
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.whole_calls import HEADER, HELD_CHARACTERS_MAX, WholeCallsDoor, heard
from rig import DONE, Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, document, events_of, text, usage
from server import Server

Json = dict[str, Any]
TOOL: Json = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
}


def begins(index: int, name: str, arguments: str = "") -> bytes:
    """A vendor's chunk that begins a call."""
    call = {"index": index, "id": f"c{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
    return chunk({"tool_calls": [call]})


def goes_on(index: int, arguments: str) -> bytes:
    """A vendor's chunk with a further fragment."""
    return chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})


def streamed(*steps: Any, **members: Any) -> tuple[MemoryClient, Rig]:
    """Make one streamed call for a client that wants calls whole."""
    rig = Rig(ScriptedUpstream(Script(steps)), prices=Prices(input=1, output=2), **members)
    client = MemoryClient()
    run_virtual(rig.call(client, body(stream=True, tools=[TOOL]), door=heard({HEADER: "whole"})))
    return client, rig


def fragments(data: bytes) -> list[Json]:
    """The fragments of calls in a stream."""
    deltas = [choice["delta"] for item in events_of(data) if isinstance(item, dict) for choice in item.get("choices", ())]
    return [call for delta in deltas for call in delta.get("tool_calls", ())]


CALLS = [*text("So. "), begins(0, "f"), goes_on(0, '{"a":'), goes_on(0, "1}"), begins(1, "g"), goes_on(1, "{}"), chunk({}, "tool_calls")]


def test_mistrals_own_client_reads_a_streamed_call_by_address_and_key_alone(server: Server) -> None:
    """It raises at the second fragment of a call; so it gets none."""
    with Mistral(api_key=server.key, server_url=server.url) as client:
        tools: Any = [TOOL]
        messages: Any = [{"role": "user", "content": "Weather in Oslo?"}]
        with client.chat.stream(model="gpt-4.1", messages=messages, tools=tools, tool_choice="required") as stream:
            events = list(stream)
    calls = [call for event in events for choice in event.data.choices for call in choice.delta.tool_calls or ()]
    assert [call.function.name for call in calls] == ["get_weather"]
    assert "city" in json.loads(str(calls[0].function.arguments))
    assert events[-1].data.choices[0].finish_reason == "tool_calls"


def test_each_call_is_one_fragment_with_all_its_arguments() -> None:
    """In order, between what was said before and the finish; the tokens are those of the fragments, and so is the bill."""
    client, rig = streamed(*CALLS, usage(9, 8), DONE)
    assert [(call["index"], call["id"], call["function"]) for call in fragments(client.body)] == [
        (0, "c0", {"name": "f", "arguments": '{"a":1}'}),
        (1, "c1", {"name": "g", "arguments": "{}"}),
    ]
    assert (rig.rows[-1].outcome, rig.rows[-1].billed.output_tokens) == ("completed", 8)
    finishes = [choice["finish_reason"] for item in events_of(client.body)[:-1] for choice in item["choices"] if choice["finish_reason"]]
    assert (finishes, events_of(client.body)[-1]) == (["tool_calls"], "[DONE]")


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """As everywhere."""
    client, _ = streamed(text()[0], begins(0, "f"), chunk({}, "tool_calls"), DONE)
    assert fragments(client.body)[0]["function"] == {"name": "f", "arguments": "{}"}


def test_a_call_that_the_vendor_broke_off_is_not_sent_and_not_billed() -> None:
    """Its client has nothing of it: only what was said before."""
    client, rig = streamed(*CALLS[:4], Break())
    assert fragments(client.body) == []
    assert (events_of(client.body)[-1]["error"]["code"], rig.rows[-1].outcome) == ("upstream_unavailable", "cut")
    assert rig.rows[-1].billed.output_tokens == 1


def test_a_long_call_keeps_the_stream_alive_while_it_is_held() -> None:
    """Fragments that come for two minutes are a model at work, and a comment says so."""
    slow: list[Any] = []
    for _ in range(4):
        slow += [goes_on(0, " "), Stall(40)]
    client, rig = streamed(text()[0], begins(0, "f", '{"a":1'), *slow, goes_on(0, "}"), chunk({}, "tool_calls"), DONE)
    assert (rig.rows[-1].outcome, json.loads(fragments(client.body)[0]["function"]["arguments"])) == ("completed", {"a": 1})
    assert client.body.count(b": keep-alive") >= 4


def test_a_held_call_is_never_hidden_behind_comments_alone() -> None:
    """A client for Go gives a stream up at 151 in a row: an empty text stands between them, and the call is whole all the same."""
    pieces = [goes_on(0, "1, ") for _ in range(450)]
    client, rig = streamed(text()[0], begins(0, "f", '{"a":['), *pieces, goes_on(0, "1]}"), chunk({}, "tool_calls"), DONE)
    events = client.body.split(b"\n\n")
    places = [place for place, event in enumerate(events) if not event.startswith(b":")]
    assert max(after - before for before, after in pairwise(places)) <= 100
    [call] = fragments(client.body)
    assert (len(json.loads(call["function"]["arguments"])["a"]), rig.rows[-1].outcome) == (451, "completed")
    said = [choice["delta"].get("content") for item in events_of(client.body)[:-1] for choice in item["choices"]]
    assert "".join(filter(None, said)) == ""


def test_a_call_beyond_the_bound_goes_on_in_fragments() -> None:
    """Nothing is lost, and no more is held."""
    half = "x" * (HELD_CHARACTERS_MAX // 2 + 1)
    client, _ = streamed(
        text()[0], begins(0, "f", '{"a":"'), goes_on(0, half), goes_on(0, half), goes_on(0, '"}'), chunk({}, "tool_calls"), DONE
    )
    calls = fragments(client.body)
    assert len(calls) == 2
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"a": half + half}


def test_a_document_passes_in_the_vendors_bytes() -> None:
    """There are no fragments in it."""
    sent = document("Hello.")
    rig, client = Rig(ScriptedUpstream(Script([sent], headers={}))), MemoryClient()
    run_virtual(rig.call(client, body(), door=heard({HEADER: "whole"})))
    assert client.body == sent


@pytest.mark.parametrize(
    ("headers", "whole"),
    [
        ({}, False),
        ({"user-agent": "mistral-client-python/3.7.0"}, True),
        ({"user-agent": "OpenAI/Python 3.54.0"}, False),
        ({HEADER: "whole"}, True),
        ({HEADER: "Whole "}, True),
        ({HEADER: "fragments", "user-agent": "mistral-client-python/3.7.0"}, False),
        ({"user-agent": "x mistral-client-python"}, False),
    ],
    ids=str,
)
def test_who_gets_calls_whole(headers: dict[str, str], whole: bool) -> None:
    """Mistral's client by its name, whoever asks by the header, and nobody else."""
    assert isinstance(heard(headers), WholeCallsDoor) is whole
    assert whole or heard(headers) is CHAT_DOOR


PARTS = st.lists(
    st.builds(Text, st.just(0), st.text(min_size=1, max_size=5), st.integers(0, 3))
    | st.tuples(st.integers(0, 3), st.lists(st.text(max_size=5), max_size=4)),
    max_size=6,
)


@given(PARTS, st.data())
@settings(deadline=None)
def test_whatever_comes_calls_are_whole_and_every_token_is_counted_once(said: list[Any], data: st.DataObject) -> None:
    """However the parts are dealt over reads: no call has two fragments, and what is not sent is not counted."""
    parts: list[Part] = [Identity("chatcmpl-1", 1, "m")]
    wanted: list[str] = []
    for item in said:
        if isinstance(item, Text):
            parts.append(item)
            continue
        tokens, texts = item
        parts.append(ToolCall(0, len(wanted), f"c{len(wanted)}", "f", tokens))
        parts += [Arguments(0, len(wanted), piece, 1) for piece in texts]
        wanted.append("".join(texts) or "{}")
    parts.append(Finish(0, "tool_calls" if wanted else "stop"))
    encoder = heard({HEADER: "whole"}).encoder(parse_chat(body(stream=True)), call_id="1", created=1)
    pieces = []
    while parts:
        count = data.draw(st.integers(1, len(parts)))
        now, parts = parts[:count], parts[count:]
        pieces += [piece for piece in [encoder.write(now)] if piece is not None]
    out = b"".join(piece.data for piece in pieces) + encoder.closing([Report(Usage(1, 1))])
    assert [call["function"]["arguments"] for call in fragments(out)] == wanted
    total = sum(item.tokens if isinstance(item, Text) else item[0] + len(item[1]) for item in said)
    assert sum(piece.tokens for piece in pieces) == total


def test_openais_client_reads_such_a_stream_too(server: Server) -> None:
    """Whoever asks by the header."""
    with sdk.OpenAI(base_url=server.api, api_key=server.key, default_headers={HEADER: "whole"}) as client:
        tools: Any = [TOOL]
        messages: Any = [{"role": "user", "content": "Weather in Oslo?"}]
        with client.chat.completions.stream(model="gpt-4.1", messages=messages, tools=tools, tool_choice="required") as stream:
            final = stream.get_final_completion()
    [call] = final.choices[0].message.tool_calls or []
    assert "city" in json.loads(call.function.arguments)
