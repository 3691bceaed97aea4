"""What was wrong with money at one door is right at all: chains of targets, documents that are reset, refusals of a hold, late leaving."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.document import HELD_BACK_BYTES
from aisa.ledger.row import OTHER_PRICE
from aisa.ledger.wallets import Wallet
from aisa.prices.catalogue import catalogue_price
from aisa.prices.rules import PriceList
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.gemini_embeddings_door import GeminiEmbeddingsDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.rerank_door import RERANK_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from polyglot import SCRIPTS, TONGUES
from polyglot_words import INPUT, OUTPUT, Line
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, document

SAID = [{"role": "user", "content": "Hi."}]
CONTENTS = [{"role": "user", "parts": [{"text": "Hi."}]}]
VECTOR = {"object": "embedding", "index": 0, "embedding": [0.5] * 50}
EMBEDDED = json.dumps({"object": "list", "data": [VECTOR], "model": "m", "usage": {"prompt_tokens": 9, "total_tokens": 9}}).encode()
RANKED = json.dumps(
    {"id": "r", "results": [{"index": 0, "relevance_score": 0.5}], "usage": {"prompt_tokens": 9, "total_tokens": 9}}
).encode()
#: A door, a request at it, what its vendor answers, how many tokens that are of the output, and what the door calls their limit.
DOORS: dict[str, tuple[Door, dict[str, Any], bytes, int, str]] = {
    "chat": (CHAT_DOOR, {"model": "fast", "messages": SAID}, document(), 3, "max_tokens"),
    "responses": (RESPONSES_DOOR, {"model": "fast", "input": "Hi."}, document(), 3, "max_output_tokens"),
    "messages": (MESSAGES_DOOR, {"model": "fast", "max_tokens": 4_096, "messages": SAID}, document(), 3, "max_tokens"),
    "gemini": (GeminiDoor("fast", stream=False), {"contents": CONTENTS}, document(), 3, "generationConfig.maxOutputTokens"),
    "completions": (COMPLETIONS_DOOR, {"model": "fast", "prompt": "Hi."}, document(), 3, "max_tokens"),
    "embeddings": (EMBEDDINGS_DOOR, {"model": "fast", "input": "Hi."}, EMBEDDED, 0, ""),
    "gemini's embeddings": (GeminiEmbeddingsDoor("fast", batch=False), {"content": CONTENTS[0]}, EMBEDDED, 0, ""),
    "rerank": (RERANK_DOOR, {"model": "fast", "query": "Hi.", "documents": ["a"]}, RANKED, 0, ""),
}
DOOR = pytest.mark.parametrize("name", DOORS)
PRICES = Prices(input=1, output=2)
DEAR = Prices(input=100, output=200)
FAILS = Script([b"{}"], status=500)


def called(rig: Rig, name: str, *clients: MemoryClient) -> None:
    """Make a call for each client, one after the other."""
    door, fields, *_ = DOORS[name]

    async def main() -> None:
        for client in clients:
            await rig.call(client, json.dumps(fields).encode(), door)

    run_virtual(main())


@DOOR
def test_a_chain_that_begins_free_of_charge_costs_what_the_target_charges_that_serves(name: str) -> None:
    """[fault M1] The paid fall-back is held for before anybody is asked, and billed at its own price."""
    _, _, answer, made, _ = DOORS[name]
    cost = 9 * 100_000 + made * 200_000
    for balance in (100, 10**12):
        wallet, client = Wallet("default", balance), MemoryClient()
        free, paid = ScriptedUpstream(FAILS), ScriptedUpstream(Script([answer]))
        rig = Rig(free, paid, each=[None, DEAR], wallets=[wallet])
        called(rig, name, client)
        assert wallet.held == 0
        if balance == 100:
            assert client.status in (402, 429)
            assert (rig.rows, wallet.balance) == ([], 100)
        else:
            [row] = rig.rows
            assert (client.status, row.cost, row.target, row.price_source) == (200, cost, "b/some-model", "vendors.b.prices.some-model")
            assert wallet.balance == 10**12 - cost


@DOOR
def test_a_target_elsewhere_without_a_price_is_asked_by_no_door(name: str) -> None:
    """[fault M1] Behind a priced one that fails, it is no way to be served for nothing."""
    client, unpriced = MemoryClient(), ScriptedUpstream(Script([DOORS[name][2]]))
    rig = Rig(ScriptedUpstream(FAILS), unpriced, each=[DEAR, None], look_up=lambda _vendor, _base_url, _model: None)
    called(rig, name, client)
    assert client.status != 200
    assert unpriced.requests == []
    assert [row.cost for row in rig.rows] == [0]


@DOOR
def test_the_model_that_answered_stands_in_the_row_and_has_its_price_at_every_door(name: str) -> None:
    """[fault M15] gpt-4o-mini was asked for, gpt-4o answers: 9 tokens at 2.50 dollars a million, and what it wrote at 10."""
    door, fields, answer, made, _ = DOORS[name]
    named = json.dumps({**json.loads(answer), "model": "gpt-4o-2024-08-06"}).encode()

    def listed(_vendor: str, _base_url: str, model: str) -> PriceList | None:
        return catalogue_price("openai", "", "gpt-4o-mini" if model == "some-model" else model)

    rig = Rig(ScriptedUpstream(Script([named])), look_up=listed)
    run_virtual(rig.call(MemoryClient(), json.dumps(fields).encode(), door))
    [row] = rig.rows
    assert (row.answered_model, row.marks, row.cost) == ("gpt-4o-2024-08-06", OTHER_PRICE, 9 * 2_500 + made * 10_000)
    assert row.price_source.endswith(": openai/gpt-4o")


@DOOR
def test_a_document_of_any_door_is_free_by_a_reset_once(name: str) -> None:
    """[fault M3] All but sixteen bytes of it are all of it; after one that was lost the key gets the end when its system has the rest."""
    _, _, answer, made, _ = DOORS[name]
    cost = 9 * 1_000 + made * 2_000
    whole = MemoryClient()
    called(Rig(ScriptedUpstream(Script([answer])), prices=PRICES), name, whole)
    size = len(whole.body)
    assert len(whole.writes) == 1
    for missing, billed, writes in ((0, cost, 1), (HELD_BACK_BYTES, cost, 1), (HELD_BACK_BYTES + 1, 0, 2), (size, 0, 2)):
        rig, again = Rig(ScriptedUpstream(*[Script([answer])] * 2), prices=PRICES), MemoryClient()
        called(rig, name, MemoryClient(takes_bytes_max=size - missing), again)
        assert [row.cost for row in rig.rows] == [billed, cost]
        assert (len(again.writes), again.length) == (writes, len(again.body))


@DOOR
def test_every_door_is_told_what_of_a_hold_is_for_the_output_and_what_lowers_it(name: str) -> None:
    """[fault M19] By its own word for the limit; where nothing is written, that it is for the input alone."""
    client = MemoryClient()
    called(Rig(ScriptedUpstream(), prices=PRICES, wallets=[Wallet("default", 1)]), name, client)
    said, word = client.body.decode(), DOORS[name][4]
    assert client.status in (402, 429)
    if word:
        assert "0.008192 of it is held until the call ends, for 4096 output tokens" in said
        assert f"`{word}` lowers it" in said
    else:
        assert "It is for the input alone." in said
        assert "output tokens" not in said


STREAMS: dict[str, tuple[Door, dict[str, Any]]] = {
    **{name: (DOORS[name][0], {**DOORS[name][1], "stream": True}) for name in ("chat", "responses", "messages", "completions")},
    "gemini": (GeminiDoor("fast", stream=True), {"contents": CONTENTS}),
}
#: A dialect whose report comes behind the finish or may -> which event of the script `text` says that all is said.
FINISHES = {"openai": 4, "mistral": 4, "anthropic": 6, "bedrock": 5}


@pytest.mark.parametrize("dialect", FINISHES)
@pytest.mark.parametrize("name", STREAMS)
def test_who_leaves_behind_the_finish_pays_what_is_reported_within_a_second_at_every_door_of_every_dialect(name: str, dialect: str) -> None:
    """[fault M2] One event earlier it is a cut: two tokens of text, and nothing that a later report says beyond them."""
    (door, fields), tongue = STREAMS[name], TONGUES[dialect]
    events = tongue.stream(SCRIPTS["text"])
    found: list[tuple[int, str]] = []
    for seen in (FINISHES[dialect] - 1, FINISHES[dialect]):
        steps = Script([*events[:seen], Stall(0.5), *events[seen:]], headers={"content-type": tongue.kind})
        rig, client = Rig(ScriptedUpstream(steps), prices=PRICES, vendor={"dialect": dialect, "completions": False}), MemoryClient()

        async def main(rig: Rig = rig, client: MemoryClient = client) -> None:
            asyncio.get_running_loop().call_later(0.2, client.leave)
            await rig.call(client, json.dumps(fields).encode(), door)
            await asyncio.sleep(3)

        run_virtual(main())
        [row] = rig.rows
        assert row.outcome == "client_gone"
        found.append((row.billed.output_tokens, row.billed.source))
    assert found == [(2, "counted"), (OUTPUT, "reported")]
    assert row.cost == INPUT * 1_000 + OUTPUT * 2_000


LONG = "The quick brown fox jumps over the lazy dog and then it goes home to sleep for a while. " * 4
CUT = {"text": Line("say", LONG), "thinking": Line("think", LONG), "a call": Line("call", "call_1", "weather", json.dumps({"city": LONG}))}


@pytest.mark.parametrize("kind", CUT)
@pytest.mark.parametrize("dialect", TONGUES)
@pytest.mark.parametrize("name", ["chat", "responses", "messages"])
def test_what_was_cut_costs_the_size_of_its_text_at_every_door_of_every_dialect(name: str, dialect: str, kind: str) -> None:
    """[fault M7] A quarter of its bytes, names and arguments of calls included, and none of the JSON around them."""
    (door, fields), tongue, line = STREAMS[name], TONGUES[dialect], CUT[kind]
    steps = Script([*tongue.stream([line, Line("cut")]), Break()], headers={"content-type": tongue.kind})
    rig = Rig(ScriptedUpstream(steps), prices=PRICES, vendor={"dialect": dialect})
    run_virtual(rig.call(MemoryClient(), json.dumps(fields).encode(), door))
    [row] = rig.rows
    size = len(LONG) if kind != "a call" else len(line.name + line.arguments)
    assert row.outcome == "cut"
    assert size // 4 - 2 <= row.billed.output_tokens <= -(-size // 4)
