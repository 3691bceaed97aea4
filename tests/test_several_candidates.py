"""Several answers at once from Gemini for Gemini's own clients: each goes on while others have finished, and is paid for as it arrives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.ledger.row import CallRow
from aisa.testing.clock import run_virtual
from aisa.wire.gemini_door import GeminiDoor
from door_readers import data_of
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, event

Json = dict[str, Any]
USED = {"promptTokenCount": 9, "candidatesTokenCount": 6, "totalTokenCount": 15}


def says(*said: tuple[int, str, str], **members: object) -> bytes:
    """An event in which candidates say something, and finish for a reason if one is given."""
    candidates: list[Json] = []
    for index, words, reason in said:
        content = {"role": "model", "parts": [{"text": words}]} if words else {}
        candidates.append({"content": content, "index": index, **({"finishReason": reason} if reason else {})})
    return event({"candidates": candidates, "modelVersion": "m", "responseId": "r", **members})


def called(*steps: Any, client: MemoryClient | None = None) -> tuple[MemoryClient, CallRow]:
    """Make one call of three candidates."""
    rig = Rig(ScriptedUpstream(Script(steps)), vendor={"dialect": "gemini"}, prices=Prices(input=1, output=2))
    client = client or MemoryClient()
    asked = {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}], "generationConfig": {"candidateCount": 3}}
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=GeminiDoor("fast", stream=True)))
    return client, rig.rows[-1]


def said_by(client: MemoryClient) -> dict[int, tuple[str, str]]:
    """What each candidate has said, and why it ended; nothing is said behind an end."""
    found: dict[int, tuple[str, str]] = {}
    for told in data_of(client.body):
        for candidate in told.get("candidates", ()):
            words, ended = found.get(candidate["index"], ("", ""))
            more = "".join(part["text"] for part in candidate["content"].get("parts", ()))
            assert not (ended and more)
            found[candidate["index"]] = words + more, candidate.get("finishReason", ended)
    return found


TURNS = [
    says((0, "a", ""), (1, "b", "")),
    says((0, "A", "STOP")),
    says((1, "B", "")),
    says((1, "!", "STOP"), (2, "c", "")),
    says((2, "C", "MAX_TOKENS"), usageMetadata=USED),
]


@pytest.mark.parametrize("alone", [True, False], ids=["one by one", "at once"])
def test_what_a_candidate_says_comes_in_order_and_before_its_end_whichever_finished_first(alone: bool) -> None:
    """All of it leaves as it comes; the ends wait for the bill."""
    client, row = called(*(TURNS if alone else [b"".join(TURNS)]))
    assert said_by(client) == {0: ("aA", "STOP"), 1: ("bB!", "STOP"), 2: ("cC", "MAX_TOKENS")}
    assert (row.outcome, row.billed.output_tokens) == ("completed", 6)
    assert "finishReason" not in client.writes[-2].decode()
    assert len(client.writes) == (6 if alone else 2)


def test_who_is_cut_off_while_one_goes_on_has_what_it_said_and_pays_for_it() -> None:
    """It is not kept for an end that does not come."""
    words = [says((0, "word", ""), (1, "word", "")), says((0, "word", "STOP")), says((1, "word", "")), says((1, "word", ""))]
    client, row = called(*words, Break())
    assert said_by(client) == {0: ("wordword", ""), 1: ("wordwordword", "")}
    assert (row.outcome, row.billed.output_tokens) == ("cut", 5)


def test_who_leaves_while_one_goes_on_pays_for_what_arrived_of_all() -> None:
    """As at every door."""
    steps = [says((0, "word", "STOP"), (1, "word", "")), *[says((1, "word", "")), Stall(1)] * 5]
    client, row = called(*steps, client=MemoryClient(leaves_after=3))
    assert (row.outcome, row.billed.output_tokens) == ("client_gone", client.body.count(b"word"))
