"""What a model thought before a call, on its way with a chat client: over restarts, other vendors, other accounts, and clients that edit.

The answers are those that a dialect's own decoder makes of its corpus, as clients send them back.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorStates
from aisa.wire.chat import parse_chat
from aisa.wire.reasoning_details import SEALED_PREFIX
from test_prefixes import SPOKEN, TOOLS, Spoken, answered

KEY = bytes(SEAL_KEY_BYTES)
THINKING = [name for name, spoken in SPOKEN.items() if spoken.thinks]


def target_at(spoken: Spoken, *, account: str = "acme", vendor: str = "", key: bytes = KEY) -> Target:
    """A dialect's model in a process that has just started: it has the key, and remembers nothing."""
    vendor = vendor or spoken.dialect.NAME
    states = VendorStates(Seals(key), Memory(lambda: 0.0))
    return Target(vendor, spoken.model, spoken.dialect.NAME, state=states.of(account, vendor), unsupported="drop")


def history(message: dict[str, Any], *more: dict[str, Any]) -> list[dict[str, Any]]:
    """A conversation in which a model thought, called, and has its results."""
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "cold"} for call in message["tool_calls"]]
    return [{"role": "system", "content": "S"}, {"role": "user", "content": "Oslo?"}, message, *results, *more]


def asked(spoken: Spoken, target: Target, messages: list[dict[str, Any]]) -> UpstreamRequest:
    """What the vendor is asked."""
    body = json.dumps({"model": "m", "messages": messages, "tools": TOOLS, "max_tokens": 5_000}).encode()
    request: UpstreamRequest = spoken.dialect.to_upstream(parse_chat(body), target)
    return request


def thought_and_asked(name: str) -> tuple[Spoken, dict[str, Any], bytes]:
    """A dialect, the message that a client got of it, and what its vendor is asked where that comes back as it was."""
    spoken = SPOKEN[name]
    message = answered(spoken, target_at(spoken), 1)
    assert any(SEALED_PREFIX in json.dumps(detail) for detail in message["reasoning_details"])
    return spoken, message, asked(spoken, target_at(spoken), history(message)).body


@pytest.mark.parametrize("name", THINKING)
def test_after_a_restart_and_in_any_process_it_is_written_as_it_was(name: str) -> None:
    """The client has it, not the process: one that remembers nothing writes the same bytes, and there is something to write."""
    spoken, message, body = thought_and_asked(name)
    again = asked(spoken, target_at(spoken), history(message)).body
    without = asked(spoken, target_at(spoken), history({**message, "reasoning_details": []})).body
    assert again == body != without


@pytest.mark.parametrize("name", THINKING)
@pytest.mark.parametrize("other", [{"account": "rival"}, {"vendor": "second"}, {"key": bytes(range(SEAL_KEY_BYTES))}])
def test_for_another_account_vendor_or_server_it_is_left_out(name: str, other: dict[str, Any]) -> None:
    """As if it had never been sent; no seal reaches anybody."""
    spoken, message, _ = thought_and_asked(name)
    without = asked(spoken, target_at(spoken), history({**message, "reasoning_details": []})).body
    stranger = asked(spoken, target_at(spoken, **other), history(message)).body
    assert stranger == without
    assert SEALED_PREFIX.encode() not in stranger


@pytest.mark.parametrize("name", THINKING)
@pytest.mark.parametrize("between", SPOKEN)
def test_a_turn_at_another_vendor_in_between_loses_nothing_of_it(name: str, between: str) -> None:
    """The other gets no seal and no thinking of the first; back there, what came before is written as the same bytes."""
    spoken, message, body = thought_and_asked(name)
    elsewhere = SPOKEN[between]
    sent = asked(elsewhere, target_at(elsewhere, vendor="elsewhere"), history(message)).body
    assert SEALED_PREFIX.encode() not in sent
    more = [{"role": "assistant", "content": "It is cold."}, {"role": "user", "content": "And Rome?"}]
    back = asked(spoken, target_at(spoken), history(message, *more)).body
    before, after = (json.loads(each) for each in (body, back))
    for member in ("messages", "contents", "input"):
        for place, turn in enumerate(before.get(member, [])[:-1]):
            assert after[member][place] == turn


@pytest.mark.parametrize("name", THINKING)
def test_what_a_client_did_to_it_is_borne(name: str) -> None:
    """Details without their numbers, twice, among others, cut, or of no form at all; an edited prompt; results in another order."""
    spoken, message, body = thought_and_asked(name)
    details = message["reasoning_details"]
    seals = [detail for detail in details if SEALED_PREFIX in json.dumps(detail)]
    unnumbered = [{key: value for key, value in detail.items() if key != "index"} for detail in details]
    foreign = {"type": "reasoning.encrypted", "data": "AAAA", "index": 9}
    for kept in (seals, unnumbered, [foreign, *details]):
        assert asked(spoken, target_at(spoken), history({**message, "reasoning_details": kept})).body == body
    cut = json.loads(json.dumps(seals).replace(SEALED_PREFIX, SEALED_PREFIX + "A"))
    without = asked(spoken, target_at(spoken), history({**message, "reasoning_details": []})).body
    for broken in (cut, "text", [None, 3, {"type": "reasoning.text"}], {"a": 1}):
        assert asked(spoken, target_at(spoken), history({**message, "reasoning_details": broken})).body == without
    edited = history(message)
    edited[1] = {"role": "user", "content": "Bergen?"}
    sent = asked(spoken, target_at(spoken), edited).body
    assert sent != body
    assert sent.count(b"Bergen") == 1
