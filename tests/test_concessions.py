"""What of a request gives way where a model cannot take it: refused, dropped or moved, as its entry says, and always told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

import doors
from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.providers.concessions import Concessions
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Decoder, Target
from aisa.providers.tasks import DIALECTS
from aisa.testing.clock import run_virtual
from aisa.wire.chat import parse_chat
from aisa.wire.door import Request
from rig import MemoryClient, Rig, Script, ScriptedUpstream

TARGET = Target("acme", "m", "openai")


def told(unsupported: str) -> Concessions:
    """Concessions to a target whose model's entry says so."""
    return Concessions(msgspec.structs.replace(TARGET, unsupported=unsupported), "Acme's small models")


@pytest.mark.parametrize("setting", ["refuse", "refuse_values"])
def test_what_cannot_be_expressed_is_the_callers_to_hear_of_and_another_targets_to_try(setting: str) -> None:
    """422 with the field's name and the models that cannot; the next target is asked first."""
    with pytest.raises(UpstreamFailed) as failed:
        told(setting).drop("seed", "they have none")
    error = failed.value.error
    assert (error.status, error.code, error.param) == (422, "unsupported_parameter", "seed")
    assert error.message == "'seed' cannot be given to Acme's small models: they have none."
    assert (failed.value.blame, failed.value.may_fall_back) == (CALLER, True)


def test_it_is_left_out_where_the_operator_says_so() -> None:
    """Named once, in the order in which they were met."""
    concessions = told("drop")
    for name in ("seed", "logprobs", "seed"):
        concessions.drop(name)
    assert concessions.dropped == ("seed", "logprobs")


@pytest.mark.parametrize("setting", ["refuse", "drop"])
def test_a_value_is_moved_to_the_nearest_and_named(setting: str) -> None:
    """Whatever it is, the header that names it stays one line of ASCII."""
    concessions = told(setting)
    concessions.move("tool_choice", "auto")
    concessions.move("temperature", 1)
    concessions.move("odd", "ä\n" + "x" * 500)
    assert concessions.changed == ("tool_choice=auto", "temperature=1", "odd=??" + "x" * 98)


def test_or_refused_where_the_operator_says_so() -> None:
    """With the value that would have been taken."""
    with pytest.raises(UpstreamFailed, match="the nearest value that it takes is auto"):
        told("refuse_values").move("tool_choice", "auto")


class Small:
    """The toy dialect of `doors.py` at models that cannot take `seed`, and take no temperature but 1."""

    NAME = "lines"
    read_failure = staticmethod(doors.read_failure)

    def to_upstream(self, request: Request, target: Target) -> UpstreamRequest:
        """Write a request."""
        concessions = Concessions(target)
        known = request.as_chat().known
        if known.seed is not None and target.vendor == "a":
            concessions.drop("seed")
        if known.temperature is not None:
            concessions.move("temperature", 1)
        written = doors.to_upstream(request, target)
        return msgspec.structs.replace(written, dropped=concessions.dropped, changed=concessions.changed)

    def decoder(self, request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
        """Read an answer."""
        return doors.decoder(request, target, call_id=call_id, created=created, protocol=protocol)


GOOD = Script([b"+one \n", b"=1\n"])


def ask(unsupported: str, members: Mapping[str, object], *scripts: Script) -> tuple[MemoryClient, Rig]:
    """Make one call of targets that speak the small dialect."""
    rig = Rig(*[ScriptedUpstream(script) for script in scripts], unsupported=unsupported)
    rig.dependencies.dialects = {"openai": Small()}
    client = MemoryClient()
    asked = {"model": "fast", "stream": True, "messages": [{"role": "user", "content": "Hi."}], **members}
    run_virtual(rig.call(client, msgspec.json.encode(asked)))
    return client, rig


def test_the_answer_says_what_gave_way() -> None:
    """In the two headers of the contract."""
    client, _ = ask("drop", {"seed": 1, "temperature": 2}, GOOD)
    assert client.headers["x-aisa-dropped-params"] == "seed"
    assert client.headers["x-aisa-changed-params"] == "temperature=1"
    assert client.status == 200


def test_a_target_that_cannot_be_asked_is_passed_over_for_one_that_can() -> None:
    """Nobody is told of the first, and the second is asked as the client asked."""
    client, rig = ask("refuse", {"seed": 1}, GOOD, GOOD)
    assert client.status == 200
    assert "x-aisa-dropped-params" not in client.headers
    assert rig.rows[-1].outcome == "completed"


def test_if_none_can_the_caller_is_told_and_nothing_is_billed() -> None:
    """422, and the vendor was never asked."""
    client, rig = ask("refuse", {"seed": 1}, GOOD)
    assert client.status == 422
    assert b"'seed' cannot be given to models of the vendor 'a'" in client.body
    assert rig.rows[-1].cost == 0 or rig.rows[-1].cost is None


def test_a_bug_in_a_dialect_is_no_failure_of_the_vendor() -> None:
    """What is no UpstreamFailed goes to the caller as it is."""

    class Broken(Small):
        def to_upstream(self, request: Request, target: Target) -> UpstreamRequest:
            raise ApiError("invalid_request", "No.")

    rig = Rig(ScriptedUpstream(GOOD), ScriptedUpstream(GOOD))
    rig.dependencies.dialects = {"openai": Broken()}
    client = MemoryClient()
    run_virtual(rig.call(client, b'{"model": "fast", "messages": [{"role": "user", "content": "Hi."}]}'))
    assert client.status == 400


TRANSLATING = {
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "command-a-plus-05-2026",
    "gemini": "gemini-3.6-flash",
    "mistral": "mistral-large-2512",
}
SHOWING = {**TRANSLATING, "responses": "gpt-5"}
NAMED = {"type": "function", "function": {"name": "f"}}


def in_dialect(dialect: str, members: Mapping[str, object], unsupported: str = "refuse") -> UpstreamRequest:
    """What a model of a dialect is asked for a chat with these members."""
    chat = parse_chat(msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "Hi."}], **members}))
    return DIALECTS[dialect].to_upstream(chat, Target("v", SHOWING[dialect], dialect, unsupported=unsupported))


@pytest.mark.parametrize(
    "members",
    [{"tool_choice": "required"}, {"tool_choice": NAMED}, {"tool_choice": "required", "tools": []}, {"function_call": {"name": "f"}}],
    ids=str,
)
@pytest.mark.parametrize("dialect", SHOWING)
def test_a_choice_of_a_tool_where_none_is_offered_is_refused(dialect: str, members: dict[str, object]) -> None:
    """It vanished, and a client that had forgotten its tools waited for a call. OpenAI refuses it, too."""
    with pytest.raises(UpstreamFailed) as failed:
        in_dialect(dialect, members)
    name = next(iter(members))
    assert (failed.value.error.status, failed.value.error.param) == (422, name)
    assert in_dialect(dialect, members, "drop").dropped == (name,)
    for harmless in ("auto", "none", None, *([{"type": "auto"}, {"type": "none"}] if name == "tool_choice" else [])):
        assert not in_dialect(dialect, {name: harmless}).dropped
        assert in_dialect(dialect, {name: harmless}).body == in_dialect(dialect, {}).body


@pytest.mark.parametrize(
    "form",
    [{"json_schema": {"name": "n", "schema": {"type": "object"}}}, {"schema": {}}, {"type": "hologram"}, {"type": None, "x": 1}],
    ids=str,
)
@pytest.mark.parametrize("dialect", [name for name in TRANSLATING if name != "mistral"])
def test_a_form_of_the_answer_of_no_known_type_is_refused(dialect: str, form: dict[str, object]) -> None:
    """It vanished where it had no type, and the answer was text. An empty one asks for nothing; Mistral judges for itself."""
    with pytest.raises(UpstreamFailed) as failed:
        in_dialect(dialect, {"response_format": form})
    assert (failed.value.error.status, failed.value.error.param) == (422, "response_format")
    assert in_dialect(dialect, {"response_format": form}, "drop").dropped == ("response_format",)
    for harmless in ({}, {"type": "text"}, None):
        assert in_dialect(dialect, {"response_format": harmless}).body == in_dialect(dialect, {}).body
    for nothing in ({}, None):
        assert in_dialect("responses", {"response_format": nothing}).body == in_dialect("responses", {}).body


HI = {"role": "user", "content": "Hi."}
NOTHING_CALLED = [HI, {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "hologram", "hologram": {"name": "f"}}]}]


def sent_or_refused(dialect: str, messages: list[Any]) -> object:
    """Whether what has a mark is sent, or with which status and about what it is refused."""
    chat = parse_chat(msgspec.json.encode({"model": "m", "messages": messages}))
    try:
        body = DIALECTS[dialect].to_upstream(chat, Target("v", SHOWING[dialect], dialect)).body
    except UpstreamFailed as failed:
        return failed.error.status, failed.error.param
    return "sent" if b"MARK" in body else "lost"


@pytest.mark.parametrize("dialect", SHOWING)
def test_nothing_of_a_conversation_vanishes_on_its_way_into_another_dialect(dialect: str) -> None:
    """A part of an unknown type, a picture where there are texts alone, a call of nothing: each is sent, or refused by its place."""
    for role in ("system", "user", "assistant"):
        for part in ({"type": "hologram", "hologram": "MARK"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,MARK"}}):
            said = {"role": role, "content": [{"type": "text", "text": "a"}, part]}
            assert sent_or_refused(dialect, [said, HI]) in ("sent", (422, "messages[0].content[1]")), (role, part)
    assert sent_or_refused(dialect, NOTHING_CALLED) in (
        (400, "messages[1].tool_calls[0]"),
        (400, "messages[1].tool_calls"),
        (422, "messages[1].tool_calls[0]"),
    )


def test_a_chat_with_a_custom_call_is_a_chat_all_the_same() -> None:
    """It is written anew for vendors of functions, and is refused what chats are: nobody but its caller has said so."""
    called = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}]}
    messages = [HI, called, {"role": "tool", "tool_call_id": "c", "content": "1"}]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    chat = parse_chat(msgspec.json.encode({"model": "m", "messages": messages, "tools": tools, "parallel_tool_calls": False}))
    with pytest.raises(UpstreamFailed, match="'parallel_tool_calls' cannot be given"):
        DIALECTS["gemini"].to_upstream(chat, Target("v", "gemini-3.6-flash", "gemini"))
