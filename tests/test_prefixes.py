"""Thinking is bound to what stands before it: a conversation that goes on is written as the same bytes and some more, in every dialect.

The answers in it are those that the dialect's own decoder made of what the vendor of a case sends, as a chat client sends them back.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from aisa.answer import Part, ToolCall
from aisa.providers import anthropic, bedrock, cohere, gemini, mistral, openai, responses
from aisa.providers.shape import Target
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorState, VendorStates
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.trees import is_list, is_tree
from corpus_runner import DialectCase
from repeats import repeats

CORPUS = Path(__file__).parent / "corpus"
CASE = "thinking-before-a-tool-call"
TURNS_MAX = 10


class Spoken(NamedTuple):
    """A dialect and one of its models, and whether its corpus has an answer with thinking before a call."""

    dialect: ModuleType
    model: str
    thinks: bool = True


SPOKEN = {
    "anthropic": Spoken(anthropic, "claude-fable-5-2"),
    "anthropic, by budget": Spoken(anthropic, "claude-sonnet-4-5"),
    "bedrock": Spoken(bedrock, "anthropic.claude-opus-5-5-v1:0"),
    "bedrock, of others": Spoken(bedrock, "amazon.nova-2-lite-v1:0"),
    "cohere": Spoken(cohere, "command-a-plus-05-2026"),
    "gemini": Spoken(gemini, "gemini-3.5-flash"),
    "gemini, older": Spoken(gemini, "gemini-2.5-pro"),
    "mistral": Spoken(mistral, "mistral-large-4"),
    "openai": Spoken(openai, "some-model", thinks=False),
    "responses": Spoken(responses, "gpt-5.4"),
}
#: What stands before an answer, in this order, by the names of all dialects.
PREFIX = (("system", "systemInstruction", "instructions"), ("tools", "toolConfig"), ("messages", "contents", "input"))
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("weather", "now")]

turns = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.text(min_size=1, max_size=5), st.booleans()),
        st.tuples(st.just("call"), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("think"), st.just(1), st.booleans()),
        st.tuples(st.just("note"), st.text(min_size=1, max_size=5), st.booleans()),
    ),
    min_size=2,
    max_size=TURNS_MAX,
)


def state() -> VendorState:
    """What vendors want back of one account at one of them."""
    return VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0)).of("acme", "vendor")


def answered(spoken: Spoken, target: Target, number: int) -> dict[str, Any]:
    """The message that a chat client gets of the dialect's case, whose calls have ids of this turn."""
    folder = CORPUS / spoken.dialect.NAME / CASE
    first = read(spoken, target, DialectCase(spoken.dialect, folder).upstream)
    upstream = DialectCase(spoken.dialect, folder, renamed={part.id: f"{part.id}{number}" for part in first if isinstance(part, ToolCall)})
    encoder = CHAT_DOOR.encoder(CHAT_DOOR.read(b'{"model":"m","messages":[{"role":"user","content":"x"}]}'), call_id=str(number), created=1)
    encoder.write(read(spoken, target, upstream.upstream))
    message: dict[str, Any] = json.loads(encoder.closing([]))["choices"][0]["message"]
    return message


def read(spoken: Spoken, target: Target, upstream: bytes) -> list[Part]:
    """What the dialect's decoder makes of a stream."""
    chat = parse_chat(json.dumps({"model": "m", "stream": True, "tools": TOOLS, "messages": [{"role": "user", "content": "x"}]}).encode())
    protocol = "typed parts" if spoken.dialect is mistral else CHAT_DOOR.protocol  # whose bytes would pass
    decoder = spoken.dialect.decoder(chat, target, call_id="c", created=1, protocol=protocol)
    parts: list[Part] = [*decoder.feed(upstream), *decoder.end()]
    assert decoder.failure is None
    return parts


def steps_of(made: list[Any], spoken: Spoken, target: Target) -> list[list[dict[str, Any]]]:
    """The messages at each turn, every one the beginning of the next."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]
    steps = [list(messages)]
    for number, (kind, what, flag) in enumerate(made):
        if kind == "say":
            messages += [{"role": "assistant", "content": what}, {"role": "user", "content": "go on"}]
        elif kind == "note":
            messages += [{"role": "assistant", "content": "ok"}, {"role": "system" if flag else "user", "content": what}]
        elif kind == "think" and spoken.thinks:
            message = answered(spoken, target, number)
            if flag:
                message.pop("reasoning_details", None)  # clients that send nothing back
            messages.append(message)
            messages += [{"role": "tool", "tool_call_id": each["id"], "content": "r"} for each in message["tool_calls"]]
        else:
            ids = [f"call_{number}_{place}" for place in range(what)]
            calls = [{"id": each, "type": "function", "function": {"name": "now", "arguments": '{"b":2, "a":1}'}} for each in ids]
            messages.append({"role": "assistant", "content": "One moment." if flag else None, "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": each, "content": f"r{each}"} for each in ids]
        steps.append(list(messages))
    return steps


def prefix_of(body: bytes) -> bytes:
    """The bytes of system, tools and messages, in that order, without the closing brackets."""
    fields = msgspec.json.decode(body, type=dict[str, Raw])
    found = [bytes(fields[name]) for names in PREFIX for name in names if name in fields]
    return b"".join(found).rstrip(b"]}")


@pytest.mark.parametrize("name", SPOKEN)
@settings(max_examples=repeats(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=turns)
def test_what_was_written_at_a_turn_is_the_beginning_of_what_is_written_at_the_next(name: str, made: list[Any]) -> None:
    """Random conversations of up to ten turns with calls, parallel calls, thinking and instructions in between."""
    spoken = SPOKEN[name]
    target = Target("acme", spoken.model, spoken.dialect.NAME, state=state(), unsupported="drop")
    before = b""
    for messages in steps_of(made, spoken, target):
        chat = parse_chat(json.dumps({"model": "m", "messages": messages, "tools": TOOLS, "max_tokens": 5_000}).encode())
        body = spoken.dialect.to_upstream(chat, target).body
        assert spoken.dialect.to_upstream(chat, target).body == body
        written = prefix_of(body)
        assert written.startswith(before)
        before = written


MARK = {"type": "ephemeral"}


@pytest.mark.parametrize("name", ["anthropic", "bedrock"])
def test_a_mark_for_the_cache_that_moves_on_changes_nothing_else(name: str) -> None:
    """On the last message of each turn, as agents set it."""
    spoken = SPOKEN[name]
    target = Target("acme", spoken.model, spoken.dialect.NAME, state=state())
    messages: list[dict[str, Any]] = []
    before: list[Any] = []
    for number in range(4):
        marked = {"role": "user", "content": [{"type": "text", "text": f"q{number}", "cache_control": MARK}]}
        body = json.dumps({"model": "m", "messages": [*messages, marked], "max_tokens": 5_000}).encode()
        written = without_marks(json.loads(spoken.dialect.to_upstream(parse_chat(body), target).body)["messages"])
        assert written[: len(before)] == before
        before = written
        messages += [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": f"a{number}"}]


def without_marks(value: object) -> Any:
    """A value without marks for the cache, in either dialect's form."""
    if is_list(value):
        return [without_marks(item) for item in value if not (is_tree(item) and "cachePoint" in item)]
    if is_tree(value):
        return {name: without_marks(inner) for name, inner in value.items() if name != "cache_control"}
    return value
