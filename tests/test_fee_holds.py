"""What is held for what a request shows that is charged by the number, and for sound: nobody searches on credit (fault M17)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from aisa.config.schema import Prices, PriceTier
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.rerank_door import RERANK_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import MemoryClient, Rig, Script, ScriptedUpstream, Stall, document

DOLLAR = 1_000_000_000
HI: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi."}]}
SOUND = {"type": "input_audio", "input_audio": {"data": "A" * 64_000, "format": "mp3"}}  # 3 s, so 30 tokens
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
SAYS = [{"role": "user", "content": "Hi."}]
MUST = {"type": "web_search"}
CONTAINER = {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "64g"}}
#: The dialect, the door, the request, the prices beside those of tokens, which are nothing -> what must be there, in dollars.
CASES: list[tuple[str, Door, dict[str, Any], dict[str, Any], float]] = [
    ("openai", CHAT_DOOR, HI, {"per_search": 0.02}, 0),
    ("openai", CHAT_DOOR, {**HI, "web_search_options": {}}, {"per_search": 0.02}, 0.02),
    ("openai", CHAT_DOOR, {**HI, "tools": [{"type": "web_search"}]}, {"per_search": 0.02}, 0.02),
    ("openai", CHAT_DOOR, {**HI, "plugins": [{"id": "web"}]}, {"per_search": 0.02}, 0.02),
    ("openai", CHAT_DOOR, {**HI, "search_parameters": {"mode": "on"}}, {"per_source": 0.025}, 0.5),
    ("openai", CHAT_DOOR, {**HI, "search_parameters": {"mode": "on", "max_search_results": 4}}, {"per_source": 0.025}, 0.1),
    ("openai", CHAT_DOOR, {**HI, "tools": [{"type": "file_search"}]}, {"per_file_search": 0.0025}, 0.0025),
    ("openai", CHAT_DOOR, {**HI, "tools": [CONTAINER]}, {"per_code_run": 0.03}, 1.92),
    ("openai", CHAT_DOOR, {**HI, "tools": [CONTAINER]}, {"per_code_run": 0.03, "per_request": 0.01}, 1.93),
    ("openai", CHAT_DOOR, {"messages": [{"role": "user", "content": [SOUND]}]}, {"input_audio": 1_000}, 0.03),
    ("responses", RESPONSES_DOOR, {"input": "Hi.", "tools": [CONTAINER]}, {"per_code_run": 0.03}, 1.92),
    (
        "responses",
        RESPONSES_DOOR,
        {"input": "Hi.", "tools": [{"type": "web_search"}], "tool_choice": "required"},
        {"per_search": 0.01},
        0.01,
    ),
    ("responses", RESPONSES_DOOR, {"input": "Hi.", "tools": [MUST]}, {"per_search": 0.01}, 0.01),
    ("responses", RESPONSES_DOOR, {"input": [{"type": "additional_tools", "tools": [CONTAINER]}, *SAYS]}, {"per_code_run": 0.03}, 1.92),
    ("anthropic", MESSAGES_DOOR, {"max_tokens": 9, **HI, "tools": [SEARCH]}, {"per_search": 0.01}, 0.01),
    (
        "gemini",
        GeminiDoor("fast", stream=False),
        {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}], "tools": [{"googleSearch": {}}]},
        {"per_search": 0.014},
        0.014,
    ),
    ("openai", RERANK_DOOR, {"query": "q", "documents": ["d"]}, {"per_search": 0.002}, 0.002),
    ("openai", RERANK_DOOR, {"query": "q", "documents": ["d"] * 101}, {"per_search": 0.002}, 0.004),
    ("openai", RERANK_DOOR, {"query": "q", "documents": ["d" * 2_001] * 51}, {"per_search": 0.002}, 0.004),
    (
        "openai",
        CHAT_DOOR,
        {"messages": [{"role": "user", "content": "texttext"}], "web_search_options": {}},
        {"per_search": 0.02, "tiers": (PriceTier(over_input_tokens=1, input=1_000, output=0),)},
        0.022,
    ),
]


@pytest.mark.parametrize(("dialect", "door", "fields", "fees", "dollars"), CASES)
def test_what_a_request_shows_is_held_for(dialect: str, door: Door, fields: dict[str, Any], fees: dict[str, Any], dollars: float) -> None:
    """[fault M17] With a nano-dollar less than that its vendor is not asked; the refusal is for want of money."""
    needed = round(dollars * DOLLAR)
    for balance in (needed - 1, needed):
        if balance < 0:
            continue
        wallet = Wallet("default", balance)
        vendor = ScriptedUpstream(Script([document()]))
        rig = Rig(vendor, each=[Prices(input=0, output=0, **fees)], wallets=[wallet], vendor={"dialect": dialect})
        client = MemoryClient()
        run_virtual(rig.call(client, json.dumps({"model": "fast", **fields}).encode(), door))
        assert (client.status in (402, 429)) is (balance < needed), client.body
        assert wallet.held == 0


def test_searches_side_by_side_are_paid_for() -> None:
    """[fault M17] Fifty calls at once with money for two searched fifty times: a wallet of 5 cents paid a dollar."""
    answer = json.loads(document())
    answer["usage"] |= {"server_tool_use": {"web_search_requests": 1}}
    wallet = Wallet("default", DOLLAR // 20)
    vendor = ScriptedUpstream(*[Script([Stall(1), json.dumps(answer).encode()])] * 50)
    rig = Rig(vendor, each=[Prices(input=0, output=0, per_search=0.02)], wallets=[wallet])

    async def main() -> list[int | None]:
        clients = [MemoryClient() for _ in range(50)]
        asked = json.dumps({"model": "fast", **HI, "web_search_options": {}}).encode()
        await asyncio.gather(*[rig.call(client, asked) for client in clients])
        return sorted([client.status or 0 for client in clients])

    assert run_virtual(main()) == [200] * 2 + [402] * 48
    assert wallet.balance == DOLLAR // 100
