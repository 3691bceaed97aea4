"""What is held for an input that its vendor always counts above our count of it: as much as it reported, once that is known."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from aisa.clock import wall_clock
from aisa.config.schema import Prices
from aisa.keys.rules import Key
from aisa.ledger.calls_seen import INPUT_TIMES_MAX, INPUT_TOKENS_MIN, LIKE_COUNTED, Seen, input_held
from aisa.ledger.caps import Cap
from aisa.ledger.holds import CALLS_MIN
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, document, text, usage

IN = 1_000  # nano-dollars a token; the output costs nothing
PRICES = Prices(input=1.0, output=0.0)
OURS, THEIRS = 2_000, 4_000  # tokens of an input by our count, and by the vendor's
PROMPT = "text" * OURS
SAID = [{"role": "user", "content": PROMPT}]


def answer(door: Door, *, stream: bool) -> Script:
    """An answer of a vendor that counts twice as many tokens in the input."""
    if door is EMBEDDINGS_DOOR:
        vectors = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m"}
        return Script([Stall(1), json.dumps({**vectors, "usage": {"prompt_tokens": THEIRS, "total_tokens": THEIRS}}).encode()])
    if stream:
        return Script([Stall(1), *text("Hi."), chunk({}, "stop"), usage(THEIRS, 1), DONE])
    told = json.loads(document())
    told["usage"] = {"prompt_tokens": THEIRS, "completion_tokens": 3, "total_tokens": THEIRS + 3}
    return Script([Stall(1), json.dumps(told).encode()])


DOORS: dict[str, tuple[Door, dict[str, Any], int]] = {
    "chat": (CHAT_DOOR, {"messages": SAID}, 402),
    "responses": (RESPONSES_DOOR, {"input": PROMPT}, 429),
    "messages": (MESSAGES_DOOR, {"max_tokens": 9, "messages": SAID}, 402),
    "gemini": (GeminiDoor("fast", stream=False), {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}, 402),
    "completions": (COMPLETIONS_DOOR, {"prompt": PROMPT}, 402),
    "embeddings": (EMBEDDINGS_DOOR, {"input": PROMPT}, 402),
}


@pytest.mark.parametrize("limit", ["wallet", "cap"])
@pytest.mark.parametrize("name", DOORS)
def test_calls_side_by_side_do_not_overrun_what_their_vendor_counts_above_us(name: str, limit: str) -> None:
    """[fault M17] After twenty calls, six at once with money for one by the vendor's count: one is let in, where three were by ours."""
    door, fields, refused = DOORS[name]
    if door is not CHAT_DOOR and limit == "cap":
        refused = 429
    money = (CALLS_MIN + 1) * THEIRS * IN + THEIRS * IN // 2
    wallet = Wallet("default", money if limit == "wallet" else None)
    rig = Rig(ScriptedUpstream(*[answer(door, stream=False)] * (CALLS_MIN + 6)), each=[PRICES], wallets=[wallet])
    if limit == "cap":
        rig.key = Key("key_1", "test", b"", "sk-…", "active", 0, spend_cap=money, spend_window="month")
        rig.ledger.caps["key_1"] = Cap(money, "month", spent=0, now=wall_clock())
        refused = 429

    async def main() -> list[int | None]:
        for _ in range(CALLS_MIN):
            await rig.call(MemoryClient(), json.dumps({"model": "fast", **fields}).encode(), door)
        clients = [MemoryClient() for _ in range(6)]
        await asyncio.gather(*[rig.call(client, json.dumps({"model": "fast", **fields}).encode(), door) for client in clients])
        return [client.status for client in clients]

    assert run_virtual(main()) == [200, *[refused] * 5]
    assert sum(row.cost for row in rig.rows) == (CALLS_MIN + 1) * THEIRS * IN <= money
    assert wallet.held == 0


def test_streams_are_held_for_so_as_well_and_a_refusal_says_what_of_it_is_the_input() -> None:
    """[fault M19] Who is refused for a number that he did not send is told where it is from."""
    wallet = Wallet("default", (CALLS_MIN + 1) * THEIRS * IN - 1)
    rig = Rig(ScriptedUpstream(*[answer(CHAT_DOOR, stream=True)] * CALLS_MIN), each=[PRICES], wallets=[wallet])

    async def main() -> MemoryClient:
        for _ in range(CALLS_MIN):
            await rig.call(MemoryClient(), body(stream=True, messages=SAID))
        await rig.call(last := MemoryClient(), body(stream=True, messages=SAID))
        return last

    last = run_virtual(main())
    assert last.status == 402
    said = json.loads(last.body)["error"]["message"]
    assert f"Its input is held for as {THEIRS} tokens" in said
    assert f"than the {OURS} counted" in said


def test_no_more_is_held_than_the_model_can_read_and_than_eight_times_our_count() -> None:
    """A vendor's slip in its reports shuts nobody out."""
    wallet = Wallet("default", CALLS_MIN * THEIRS * IN + 3_000 * IN)
    rig = Rig(ScriptedUpstream(*[answer(CHAT_DOOR, stream=False)] * (CALLS_MIN + 1)), each=[PRICES], wallets=[wallet], context_window=5_000)

    async def main() -> int | None:
        for _ in range(CALLS_MIN):
            await rig.call(MemoryClient(), body(messages=SAID))
        await rig.call(last := MemoryClient(), body(messages=[{"role": "user", "content": "text" * 3_000}]))
        return last.status

    wallet.balance = CALLS_MIN * THEIRS * IN + 5_000 * IN
    assert run_virtual(main()) == 200
    seen = Seen()
    seen.inputs.extend([(1_000_000, 2_000)] * 40)
    assert input_held(2_000, seen.times(CALLS_MIN)) == INPUT_TIMES_MAX * 2_000


def test_what_is_learned_is_the_most_of_all_but_one_call_in_twenty_and_never_less_than_we_count() -> None:
    """What a vendor adds to a short prompt, such as its own instructions, does not multiply a long one."""
    seen = Seen()
    seen.inputs.extend([(310, 10)] * (CALLS_MIN - 1))
    assert seen.times(CALLS_MIN) == 0
    seen.inputs.append((310, 10))
    assert input_held(10, seen.times(CALLS_MIN)) == 310
    assert input_held(50_000, seen.times(CALLS_MIN)) == 50_000
    seen.inputs.extend([(9, 10)] * 20)
    assert input_held(10, seen.times(CALLS_MIN)) == 310, "twenty in forty had more"
    seen.inputs.extend([(9, 10)] * 62)
    assert seen.times(CALLS_MIN) == 0, "two in 64 had"
    seen.inputs.extend([(2 * INPUT_TOKENS_MIN, INPUT_TOKENS_MIN)] * 20)
    assert seen.times(CALLS_MIN) == 2 * LIKE_COUNTED
    assert [input_held(count, 2 * LIKE_COUNTED) for count in (1, 1_024, 10_000)] == [2_048, 2_048, 20_000]
