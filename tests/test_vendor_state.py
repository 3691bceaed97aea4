"""What vendors want back from their clients: sealed for who got it, or kept for a while; and where chat completions carry it."""

from __future__ import annotations

import json
import stat
from base64 import urlsafe_b64decode
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.answer import Identity, Reasoning, Report, Text
from aisa.clock import system_chance
from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.providers.vendor_state import (
    ENTRY_BYTES,
    GIVEN_MAX,
    KEPT_SECONDS_MAX,
    KEPT_STATE_BYTES_MAX,
    SEAL_KEY_BYTES,
    Memory,
    Seals,
    VendorStates,
)
from aisa.storage.failure import StorageFailed
from aisa.storage.secret import own_secret
from aisa.usage import Usage
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.reasoning_details import detail, seals_in
from aisa.wire.trees import Tree
from rig import events_of

KEY = bytes(range(SEAL_KEY_BYTES))
OTHER_KEY = bytes(SEAL_KEY_BYTES)


class Hours:
    """A clock that stands still until it is moved, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def states(key: bytes = KEY, clock: Hours | None = None) -> VendorStates:
    """The states of a server."""
    return VendorStates(Seals(key), Memory(clock or Hours()))


def test_each_account_has_states_of_its_own_at_the_same_target_and_the_same_for_all_its_calls() -> None:
    """What one was given, another's seals do not open; and what is kept of it has a bound."""
    of, target = states(), Target("google", "gemini-3", "gemini")
    mine, theirs = (of.given(target, account, "google") for account in ("acme", "other"))
    assert mine.state is not None
    assert theirs.state is not None
    seal = mine.state.seal(b"thought")
    assert (mine.state.open(seal), theirs.state.open(seal)) == (b"thought", None)
    mine.state.keep("call_1", b"signed")
    assert (mine.state.kept("call_1"), theirs.state.kept("call_1")) == (b"signed", None)
    assert of.given(target, "acme", "google") is mine
    for number in range(GIVEN_MAX):
        of.given(target, f"account {number}", "google")
    again = of.given(target, "acme", "google")
    assert again is not mine
    assert again.state is not None
    assert again.state.open(seal) == b"thought"


@given(st.binary(min_size=1, max_size=200), st.text(max_size=8), st.text(max_size=8))
def test_a_seal_opens_for_its_account_at_its_vendor_in_any_process_with_the_key(state: bytes, account: str, vendor: str) -> None:
    """And is the same text whenever it is made, or the bytes of a conversation would change from turn to turn."""
    seal = states().of(account, vendor).seal(state)
    assert seal == states().of(account, vendor).seal(state)
    assert states().of(account, vendor).open(seal) == state
    assert seal.isascii()
    assert seal.isprintable()


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_seal_opens_for_nobody_else_and_not_once_it_was_changed(state: bytes, data: st.DataObject) -> None:
    """Not for another account, vendor or key, nor where account and vendor together read the same; no change goes unnoticed."""
    seal = states().of("acme", "anthropic").seal(state)
    for account, vendor in (("acm", "eanthropic"), ("other", "anthropic"), ("acme", "gemini"), ("", "acmeanthropic")):
        assert states().of(account, vendor).open(seal) is None
    assert states(OTHER_KEY).of("acme", "anthropic").open(seal) is None
    place = data.draw(st.integers(0, len(seal) - 4))  # of the last letter before "==" some bits are not used
    letter = data.draw(st.sampled_from("abcXYZ019-_. é"))
    changed = seal[:place] + letter + seal[place + 1 :]
    assert changed == seal or states().of("acme", "anthropic").open(changed) is None


@given(st.text(max_size=60))
def test_what_is_no_seal_is_no_state_and_no_failure(text: str) -> None:
    """A vendor's own signature, an empty text, half a seal."""
    for given_back in (text, f"aisa1.{text}"):
        assert states().of("acme", "anthropic").open(given_back) is None


def test_a_seal_shows_nothing_of_what_is_in_it() -> None:
    """It is encrypted, not only signed."""
    seal = states().of("a", "v").seal(b"thinking of secrets")
    assert b"think" not in urlsafe_b64decode(seal.removeprefix("aisa1."))


def test_what_a_tool_call_came_from_is_kept_for_a_day_for_its_account_and_vendor() -> None:
    """And then not any more, nor for anybody else."""
    clock = Hours()
    memory = states(clock=clock)
    memory.of("acme", "anthropic").keep("toolu_1", b"thinking")
    clock.now += KEPT_SECONDS_MAX - 1
    assert memory.of("acme", "anthropic").kept("toolu_1") == b"thinking"
    assert memory.of("other", "anthropic").kept("toolu_1") is None
    assert memory.of("acme", "gemini").kept("toolu_1") is None
    assert memory.of("acme", "anthropic").kept("toolu_2") is None
    clock.now += 1
    assert memory.of("acme", "anthropic").kept("toolu_1") is None


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    """In bytes of all accounts together; one that would push out all others is not kept, and what is over is not held."""
    clock = Hours()
    memory = Memory(clock, bytes_max=10 * (ENTRY_BYTES + 100))
    for number in range(25):
        memory.keep(("acme", "v", str(number)), b"x" * 100)
        assert memory.held_bytes <= 10 * (ENTRY_BYTES + 100)
    assert [number for number in range(25) if memory.kept(("acme", "v", str(number)))] == list(range(15, 25))
    memory.keep(("acme", "v", "24"), b"newer")
    assert memory.kept(("acme", "v", "24")) == b"newer"
    memory.keep(("acme", "v", "huge"), b"x" * 10 * (ENTRY_BYTES + 100))
    assert memory.kept(("acme", "v", "huge")) is None
    assert memory.kept(("acme", "v", "15")) is not None
    clock.now += KEPT_SECONDS_MAX
    memory.keep(("acme", "v", "later"), b"x")
    assert memory.held_bytes == 1 + ENTRY_BYTES


def test_a_state_larger_than_any_thinking_is_not_kept() -> None:
    """One answer must not push out everybody's."""
    memory = Memory(Hours())
    memory.keep(("a", "v", "1"), bytes(KEPT_STATE_BYTES_MAX + 1))
    assert memory.held_bytes == 0


def test_a_server_makes_its_key_once_for_its_owner_alone(tmp_path: Path) -> None:
    """The second start has the same; a file that is no key is an error that says what to do, and never replaced."""
    path = tmp_path / "seal.key"
    key = own_secret(path, SEAL_KEY_BYTES, system_chance())
    assert own_secret(path, SEAL_KEY_BYTES, system_chance()) == key
    assert len(key) == SEAL_KEY_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["seal.key"]
    path.write_bytes(b"short")
    with pytest.raises(StorageFailed, match="5 bytes, not 64"):
        own_secret(path, SEAL_KEY_BYTES, system_chance())
    with pytest.raises(StorageFailed, match="cannot be kept"):
        own_secret(tmp_path / "nowhere" / "seal.key", SEAL_KEY_BYTES, system_chance())


def test_chat_completions_carry_seals_in_reasoning_details_streamed_or_not() -> None:
    """Each whole in an entry of its own, numbered, and beside what is said: a client's helper puts them together right."""
    parts = [
        Identity("chatcmpl-1", 1, "m"),
        Reasoning(0, "Hm. ", 1),
        Reasoning(0, "", 0, "aisa1.a"),
        Reasoning(0, "", 0, "aisa1.b"),
        Text(0, "Hi"),
    ]
    wanted = [detail("aisa1.a", 0), detail("aisa1.b", 1)]
    asked: Tree = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}
    streamed = CHAT_DOOR.encoder(parse_chat(json.dumps({**asked, "stream": True}).encode()), call_id="1", created=1)
    piece = streamed.write(parts)
    assert piece is not None
    deltas = [event["choices"][0]["delta"] for event in events_of(piece.data)]
    assert [entry for delta in deltas for entry in delta.get("reasoning_details", [])] == wanted
    whole = CHAT_DOOR.encoder(parse_chat(json.dumps(asked).encode()), call_id="1", created=1)
    whole.write(parts)
    message = json.loads(whole.closing([Report(Usage(1, 1))]))["choices"][0]["message"]
    assert seals_in(message) == ["aisa1.a", "aisa1.b"]
    assert message["reasoning_content"] == "Hm. "


def test_seals_are_taken_out_for_vendors_that_have_no_use_for_them_and_nothing_else_is() -> None:
    """A vendor of the OpenAI dialect may refuse what it does not know; its own entries stay, and a text that only looks like one."""
    theirs = {"type": "reasoning.text", "text": "Hm.", "signature": "abc"}
    message: Tree = {"role": "assistant", "content": 'He said "aisa1.x".', "reasoning_details": [detail("aisa1.a", 0), theirs]}
    alone: Tree = {"role": "assistant", "content": "x", "reasoning_details": [detail("aisa1.b", 0)]}
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi."}, message, alone]}
    request = openai.to_upstream(parse_chat(json.dumps(asked).encode()), Target("v", "m", "openai"))
    sent = msgspec.json.decode(request.body)["messages"]
    assert sent[1:] == [{**message, "reasoning_details": [theirs]}, {"role": "assistant", "content": "x"}]
