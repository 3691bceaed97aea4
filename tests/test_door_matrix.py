"""Every door in front of every dialect, in every situation: a cell is a test. Scripted vendors in memory, their bytes from the corpus.

What a client of a door has no words for stands in a table here, and its cell says what comes of it: the loss that `docs/` has.
What such a client asks with members that mean nothing there is another test's (`test_completions.py`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aisa.config.schema import Prices
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorStates
from aisa.testing.aws_frames import frames_of
from aisa.testing.clock import run_virtual
from aisa.usage import REPORTED
from door_readers import PICTURE, RESULT, SPEAKERS, Json, Seen, chunks_of
from rig import MemoryClient, Rig, Script, ScriptedUpstream, Stall

CORPUS = Path(__file__).parent / "corpus"
DIALECTS = ("openai", "responses", "anthropic", "gemini", "bedrock", "cohere", "mistral")
OWN_CHUNKS = ("openai", "mistral")


class Situation(NamedTuple):
    """What is wanted of a request, and what the vendor sends: a folder of the corpus, one of each dialect's."""

    wanted: str
    case: str


SITUATIONS = {
    "text": Situation("text", "text"),
    "tools": Situation("tools", "one-tool-call"),
    "schema": Situation("schema", "text"),
    "picture": Situation("picture", "text"),
    "thinking over tools": Situation("tools", "thinking-before-a-tool-call"),
    "refusal": Situation("text", "refusal"),
    "length": Situation("text", "length"),
    "early error": Situation("text", "error-as-the-first-event"),
    "late error": Situation("text", "error-after-text"),
    "cut": Situation("text", "cut-after-text"),
    "leave": Situation("text", "cut-after-text"),
}
ENDS = {  # of an answer that came to its end, with calls, at its bound, refused
    "chat": ("stop", "tool_calls", "length", "content_filter"),
    "responses": ("completed", "completed", "max_output_tokens", "content_filter"),
    "messages": ("end_turn", "tool_use", "max_tokens", "refusal"),
    "gemini": ("STOP", "STOP", "MAX_TOKENS", "SAFETY"),
    "completions": ("stop", "stop", "length", "content_filter"),
}
#: What no dialect's vendor sends.
NOT_SENT = {("cohere", "refusal"): "Cohere has no word for it: it answers"}
#: What a client of the door has no words for: `docs/completions.md`.
NOT_ASKED = {("completions", situation) for situation in ("tools", "schema", "picture", "thinking over tools")}
#: What a vendor seals with its thinking and wants back, in its own words.
SEALS = {
    "anthropic": rb'"signature":\s*"([^"]{3,})"',
    "gemini": rb'"thoughtSignature":\s*"([^"]{3,})"',
    "responses": rb'"encrypted_content":\s*"([^"]{3,})"',
    "bedrock": rb'"signature":\s*"([^"]{3,})"',
}


def steps_of(dialect: str, case: str) -> list[bytes]:
    """What a vendor sends, in pieces of an event each."""
    if dialect in OWN_CHUNKS:
        return chunks_of(dialect)[case]
    folder = CORPUS / dialect / case
    if (folder / "upstream.frames.json").exists():
        return [frames_of([frame]) for frame in json.loads((folder / "upstream.frames.json").read_bytes())]
    events = (folder / "upstream.sse").read_bytes().split(b"\n\n")
    return [event + b"\n\n" for event in events[:-1]] + ([events[-1]] if events[-1] else [])


class Cell:
    """One door in front of one dialect."""

    def __init__(self, door: str, dialect: str, *scripts: list[Any]) -> None:
        self.speaker = SPEAKERS[door]
        kind = "application/vnd.amazon.eventstream" if dialect == "bedrock" else "text/event-stream"
        self.vendor = ScriptedUpstream(*[Script(steps, headers={"content-type": kind}) for steps in scripts])
        self.rig = Rig(self.vendor, vendor={"dialect": dialect, "completions": False}, prices=Prices(input=1, output=2))
        self.rig.dependencies.states = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0))

    def ask(self, asked: Json, client: MemoryClient | None = None) -> MemoryClient:
        """Make one call."""
        client = client or MemoryClient()
        run_virtual(self.rig.call(client, json.dumps(asked).encode(), door=self.speaker.door))
        return client

    def sent(self, number: int = -1) -> bytes:
        """What the vendor was asked."""
        return self.vendor.requests[number].body


def cells(*situations: str) -> Any:
    """Every door and dialect in these situations."""
    rows = [
        pytest.param(door, dialect, situation, id=f"{door}-{dialect}-{situation}")
        for situation in situations
        for dialect in DIALECTS
        for door in SPEAKERS
        if (dialect, situation) not in NOT_SENT
    ]
    return pytest.mark.parametrize(("door", "dialect", "situation"), rows)


def played(door: str, dialect: str, situation: str) -> tuple[Cell, MemoryClient, Seen]:
    """Play a cell in which a whole answer comes."""
    wanted, case = SITUATIONS[situation]
    cell = Cell(door, dialect, steps_of(dialect, case))
    client = cell.ask(cell.speaker.ask(wanted))
    return cell, client, cell.speaker.read(client.body) if client.status == 200 else Seen()


def bill(cell: Cell) -> tuple[int, int, int]:
    """The tokens and the nano-dollars of its last call, without an input that no vendor has reported: each door's own words are counted."""
    row = cell.rig.rows[-1]
    told = row.billed
    if told.input_source == REPORTED:
        return told.input_tokens, told.output_tokens, row.cost
    assert row.cost == told.input_tokens * 1_000 + told.output_tokens * 2_000
    return 0, told.output_tokens, told.output_tokens * 2_000


@cells("text", "length", "refusal")
def test_an_answer_has_its_text_and_its_end_in_the_words_of_the_door(door: str, dialect: str, situation: str) -> None:
    """All doors have the same text of a vendor's answer, the reason that it ended for, and a bill by what was reported."""
    cell, client, seen = played(door, dialect, situation)
    row = cell.rig.rows[-1]
    assert client.status == 200
    by_chat, _, chat = played("chat", dialect, situation)
    assert seen.text == chat.text
    assert (seen.failed, row.outcome) == ("", "completed")
    assert bill(cell) == bill(by_chat) > (0, 0, 0)
    good, _, length, refused = ENDS[door]
    assert seen.end in {"text": (good,), "length": (length,), "refusal": (refused, good)}[situation]
    assert (seen.end == refused) is (chat.end == "content_filter")


@cells("tools")
def test_a_call_has_its_name_and_whole_arguments(door: str, dialect: str, situation: str) -> None:
    """As the chat door has them; a text completion has none, and its tokens are paid for."""
    cell, client, seen = played(door, dialect, situation)
    assert (client.status, seen.failed, cell.rig.rows[-1].outcome) == (200, "", "completed")
    by_chat, _, chat = played("chat", dialect, situation)
    assert seen.end == ENDS[door][1]
    assert bill(cell) == bill(by_chat) > (0, 0, 0)
    if (door, situation) in NOT_ASKED:
        assert (seen.calls, seen.text) == ([], chat.text)
    else:
        assert [(name, json.loads(given)) for name, given in seen.calls] == [(name, json.loads(given)) for name, given in chat.calls]
        assert seen.calls


@cells("schema", "picture")
def test_what_is_asked_for_reaches_the_vendor(door: str, dialect: str, situation: str) -> None:
    """A schema and a picture, in whatever words the dialect has; never left out in silence."""
    cell, client, seen = played(door, dialect, situation)
    if (door, situation) in NOT_ASKED:
        assert (client.status, seen.end) == (200, ENDS[door][0])
    else:
        assert (client.status, seen.end) == (200, ENDS[door][0])
        assert (PICTURE.encode() if situation == "picture" else b"city") in cell.sent()
    by_chat, _, chat = played("chat", dialect, situation)
    assert (seen.text, bill(cell)) == (chat.text, bill(by_chat))


@cells("thinking over tools")
def test_thinking_goes_back_to_its_vendor_with_the_results_of_its_calls(door: str, dialect: str, situation: str) -> None:
    """Whatever the door's own form of it is: the vendor gets its seal as it gave it, and each result under its call."""
    first, second = steps_of(dialect, SITUATIONS[situation].case), steps_of(dialect, "text")
    cell = Cell(door, dialect, first, second)
    asked = cell.speaker.ask("tools")
    client = cell.ask(asked)
    seen = cell.speaker.read(client.body)
    assert (client.status, seen.end) == (200, ENDS[door][1])
    again = cell.ask(cell.speaker.turn(asked, seen))
    assert (again.status, cell.speaker.read(again.body).end) == (200, ENDS[door][0])
    by_chat, _, _ = played("chat", dialect, "text")
    assert bill(cell) == bill(by_chat) > (0, 0, 0)
    if (door, situation) not in NOT_ASKED:
        assert RESULT.encode() in cell.sent()
        seals = set(re.findall(SEALS[dialect], b"".join(first))) if dialect in SEALS else set()
        assert dialect not in SEALS or seals
        assert all(seal in cell.sent() for seal in seals)


@cells("early error")
def test_an_error_before_the_first_word_has_its_true_status(door: str, dialect: str, situation: str) -> None:
    """In the door's shape of errors, for nothing."""
    cell = Cell(door, dialect, steps_of(dialect, SITUATIONS[situation].case))
    client = cell.ask(cell.speaker.ask("text"))
    assert client.status is not None
    assert 400 <= client.status < 600
    assert cell.speaker.refused(json.loads(client.body))
    assert (cell.rig.rows[-1].outcome, cell.rig.rows[-1].cost) == ("failed", 0)


@cells("late error", "cut")
def test_a_failure_after_text_is_told_and_is_no_end(door: str, dialect: str, situation: str) -> None:
    """What came before it stays, and is billed."""
    cell, client, seen = played(door, dialect, situation)
    row = cell.rig.rows[-1]
    assert (client.status, seen.end, bool(seen.failed), bool(seen.text)) == (200, "", True, True)
    by_chat, _, chat = played("chat", dialect, situation)
    assert (row.outcome, seen.text) == ("cut", chat.text)
    assert bill(cell)[1] == bill(by_chat)[1] > 0
    assert b"[DONE]" not in client.body


@cells("leave")
def test_who_leaves_pays_for_what_arrived_and_the_vendor_is_cancelled(door: str, dialect: str, situation: str) -> None:
    """At every door the same."""
    cell = Cell(door, dialect, [*steps_of(dialect, SITUATIONS[situation].case), Stall()])
    cell.ask(cell.speaker.ask("text"), MemoryClient(leaves_after=1))
    row = cell.rig.rows[-1]
    assert (row.outcome, cell.vendor.aborted, cell.vendor.open) == ("client_gone", 1, 0)
    assert row.billed.output_tokens == row.delivered > 0


def test_what_is_in_no_cell_has_its_reason() -> None:
    """The tables name cells that there would be, and no others."""
    assert {dialect for dialect, _ in NOT_SENT} <= set(DIALECTS)
    assert {situation for _, situation in (*NOT_SENT, *NOT_ASKED)} <= set(SITUATIONS)
    assert {door for door, _ in NOT_ASKED} <= set(SPEAKERS)
