"""Money and limits are the path's, not a door's: who leaves, stalls or idles, and what is left in a wallet, cap or limit, at every door.

That each call through any of them survives `kill -9` with the right bill is in `test_crash.py`, whose clients use all of them.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from aisa.admission.memory import MemoryAdmission
from aisa.clock import wall_clock
from aisa.config.limits import Limits, Tier
from aisa.config.schema import Prices
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.rerank_door import RERANK_DOOR
from door_readers import SPEAKERS
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, Stall, chunk, document, event, text, usage

IN, OUT = 1_000, 2_000  # nano-dollars a token
PRICE = Prices(input=1, output=2)
MANY = [*text(*["word "] * 600), chunk({}, "stop"), usage(1, 600), DONE]
VECTOR = b'{"data": [{"index": 0, "embedding": [0.5]}], "model": "m", "usage": {"prompt_tokens": 4, "total_tokens": 4}}'
RANKING = b'{"results": [{"index": 0, "relevance_score": 0.5}], "usage": {"total_tokens": 4}}'
every_door = pytest.mark.parametrize("door", SPEAKERS)
#: What answers in one piece: its door, a request, and the vendor's document.
DOCUMENTS: dict[str, tuple[Door, dict[str, Any], bytes]] = {
    **{
        name: (speaker.door, {**speaker.ask("text"), "stream": False}, document()) for name, speaker in SPEAKERS.items() if name != "gemini"
    },
    "gemini": (GeminiDoor("fast", stream=False), SPEAKERS["gemini"].ask("text"), document()),
    "embeddings": (EMBEDDINGS_DOOR, {"model": "fast", "input": "0123456789abcdef"}, VECTOR),
    "rerank": (RERANK_DOOR, {"model": "fast", "query": "01234567", "documents": ["01234567"]}, RANKING),
}
every_document = pytest.mark.parametrize("name", DOCUMENTS)


class Played:
    """One call through a door, in front of a vendor of chat completions, and what came of it."""

    def __init__(self, door: str, *steps: Any, client: MemoryClient | None = None, **more: Any) -> None:
        self.speaker = SPEAKERS[door]
        self.client = client or MemoryClient()
        self.vendor = ScriptedUpstream(Script(steps))
        admission, cap = more.pop("admission", None), more.pop("cap", None)
        self.rig = Rig(self.vendor, vendor={"completions": False}, **{"prices": PRICE, **more})
        if admission is not None:
            self.rig.dependencies.admission = admission
        if cap is not None:
            self.rig.key = msgspec.structs.replace(self.rig.key, spend_cap=cap, spend_window="day")
        asked = json.dumps(self.speaker.ask("text")).encode()
        run_virtual(self.rig.call(self.client, asked, door=self.speaker.door))
        self.seen = self.speaker.read(self.client.body) if self.client.status == 200 else None

    @property
    def row(self) -> CallRow:
        """The call's row."""
        return self.rig.rows[-1]

    @property
    def tokens(self) -> int:
        """The output that is billed."""
        return self.row.billed.output_tokens


@every_door
def test_a_whole_stream_costs_what_was_reported(door: str) -> None:
    """Whoever reads it."""
    played = Played(door, *MANY)
    assert (played.row.outcome, played.row.cost) == ("completed", IN + 600 * OUT)
    assert played.seen is not None
    assert played.seen.text == "word " * 600


@every_door
def test_who_leaves_pays_for_what_arrived(door: str) -> None:
    """And the vendor is cancelled."""
    played = Played(door, *text("one "), Stall(1), chunk({"content": "two "}), Stall(), client=MemoryClient(leaves_after=1))
    assert (played.row.outcome, played.tokens, played.vendor.aborted) == ("client_gone", 1, 1)
    assert played.row.cost == played.row.billed.input_tokens * IN + OUT


@every_door
def test_who_takes_nothing_for_300_seconds_is_cut_and_pays_for_what_was_taken(door: str) -> None:
    """The vendor is not read meanwhile, and broken off then."""
    client = MemoryClient(stalls_after=2)
    played = Played(
        door, *text("one "), Stall(1), chunk({"content": "two "}), Stall(1), chunk({"content": "three "}), Stall(), client=client
    )
    assert (played.row.outcome, client.aborted, played.vendor.open) == ("client_stalled", True, 0)
    assert played.tokens <= 2


@every_door
def test_a_vendor_that_falls_silent_ends_the_stream_with_a_failure(door: str) -> None:
    """After 60 seconds without a token; before the first it is 504 and costs nothing."""
    played = Played(door, *text("one "), Stall())
    assert played.seen is not None
    assert (played.seen.end, bool(played.seen.failed), played.row.outcome, played.tokens) == ("", True, "cut", 1)
    silent = Played(door, Stall())
    assert (silent.row.outcome, silent.row.cost) == ("failed", 0)
    assert silent.client.times[-1] == 60


@every_door
@pytest.mark.parametrize("kind", ["wallet", "cap", "tokens a minute"])
def test_what_runs_out_inside_a_stream_ends_it_before_more_is_sent(door: str, kind: str) -> None:
    """With an event of failure, never an end; no more is charged than there was."""
    room = IN * 10 + 300 * OUT
    more: dict[str, Any] = {"wallet": {"wallets": [Wallet("default", room)]}, "cap": {"cap": room}}.get(kind, {})
    if kind == "tokens a minute":
        limits = Limits(default_tier="small", tiers={"small": Tier(tpm=310)})
        more = {"admission": MemoryAdmission(limits, {}, wall_clock=wall_clock)}
    steps: list[Any] = []
    for step in MANY:
        steps += [step, Stall(0.001)]
    played = Played(door, *steps, **more)
    assert played.client.status == 200
    assert played.seen is not None
    assert (played.seen.end, bool(played.seen.failed), played.row.outcome) == ("", True, "cut")
    assert 0 < played.tokens <= 310
    assert kind == "tokens a minute" or played.row.cost <= room
    assert played.seen.text == "word " * played.tokens


@every_door
def test_an_empty_wallet_and_a_spent_cap_are_refused_before_anybody_is_asked(door: str) -> None:
    """In the words of the door, not to be tried again."""
    for more in ({"wallets": [Wallet("default", 1)]}, {"cap": 1}):
        played = Played(door, *MANY, **more)
        assert played.client.status in (402, 429)
        assert played.speaker.refused(json.loads(played.client.body))
        assert (played.vendor.requests, played.client.headers.get("x-should-retry")) == ([], "false")


def document_of(name: str, *scripts: Script, client: MemoryClient | None = None, **more: Any) -> tuple[Rig, MemoryClient]:
    """Make one call for a document."""
    door, asked, _ = DOCUMENTS[name]
    rig, client = Rig(*map(ScriptedUpstream, scripts), vendor={"completions": False}, **{"prices": PRICE, **more}), client or MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=door))
    return rig, client


@every_document
def test_a_document_costs_what_was_reported_and_nothing_if_it_did_not_arrive(name: str) -> None:
    """All of it or nothing."""
    sent = Script([DOCUMENTS[name][2]], headers={})
    rig, client = document_of(name, sent)
    row = rig.rows[-1]
    assert (client.status, row.outcome) == (200, "completed")
    assert row.cost == row.billed.input_tokens * IN + row.billed.output_tokens * OUT > 0
    rig, _ = document_of(name, sent, client=MemoryClient(takes_bytes_max=20))
    assert (rig.rows[-1].outcome, rig.rows[-1].cost) == ("client_gone", 0)


@every_document
@pytest.mark.parametrize("kind", ["wallet", "cap", "tokens a minute"])
def test_a_document_is_held_for_and_refused_where_there_is_no_room_for_it(name: str, kind: str) -> None:
    """In a wallet 402, under a cap and a limit 429; nobody is asked, and nothing is billed."""
    door, asked, answer = DOCUMENTS[name]
    vendor = ScriptedUpstream(Script([answer], headers={}))
    rig = Rig(vendor, vendor={"completions": False}, prices=PRICE, wallets=[Wallet("default", 1)] if kind == "wallet" else [])
    if kind == "cap":
        rig.key = msgspec.structs.replace(rig.key, spend_cap=1, spend_window="day")
    if kind == "tokens a minute":
        limits = Limits(default_tier="small", tiers={"small": Tier(tpm=1)})
        rig.dependencies.admission = MemoryAdmission(limits, {}, wall_clock=wall_clock)
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=door))
    assert client.status in ((402, 429) if kind == "wallet" else (429,))  # the Responses API's clients repeat a 402
    assert (vendor.requests, rig.rows) == ([], [])


@every_document
def test_who_leaves_while_a_document_is_made_pays_nothing_and_the_vendor_is_cancelled(name: str) -> None:
    """Nothing of it has arrived."""
    door, asked, answer = DOCUMENTS[name]
    vendor = ScriptedUpstream(Script([answer[:20], Stall()], headers={}))
    rig, client = Rig(vendor, vendor={"completions": False}, prices=PRICE), MemoryClient()

    async def main() -> None:
        task = asyncio.create_task(rig.call(client, json.dumps(asked).encode(), door=door))
        await asyncio.sleep(1)
        client.leave()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(main())
    assert (rig.rows[-1].outcome, rig.rows[-1].cost, vendor.aborted, vendor.open) == ("client_gone", 0, 1, 0)


@every_document
def test_a_silent_vendor_of_a_document_is_given_up_for_nothing(name: str) -> None:
    """After ten times the time for one token."""
    rig, client = document_of(name, Script([Stall()], headers={}))
    assert (rig.rows[-1].outcome, rig.rows[-1].cost, client.times[-1]) == ("failed", 0, 600)


@every_door
@pytest.mark.parametrize("hidden", [0, 7])
def test_who_is_told_of_a_failure_in_place_of_the_end_pays_for_what_arrived(door: str, hidden: int) -> None:
    """The vendor had finished and reported in one chunk: its error is passed on, so nothing that was thought in secret is paid for."""
    told = {"prompt_tokens": 3, "completion_tokens": 2 + hidden, "total_tokens": 5 + hidden}
    report = {**told, "completion_tokens_details": {"reasoning_tokens": hidden}}
    last = {**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": report}
    row = Played(door, *text("one ", "two "), event(last), event({"error": {"message": "CUDA error", "code": 500}})).row
    assert (row.outcome, row.billed.output_tokens, row.cost) == ("cut", 2, 3 * IN + 2 * OUT)
