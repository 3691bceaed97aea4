"""(fault M12) Code that vendors run, in containers of any size and on Groq's and Anthropic's machines, is priced, or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.row import CallRow
from aisa.prices.rules import unlisted
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, chunk, event, text, usage
from test_hosted_tools import TOKENS, answer, called, ran, streamed
from test_searches_shown import answer as chat_answer
from test_searches_shown import ran as groq_ran
from test_searches_shown import row_of

Tree = dict[str, Any]
RUN = 30_000_000  # nano-dollars
PRICES = Prices(input=1, output=1, per_code_run=0.03)
KEY = Key("key_1", "test", b"", "…", "active", 0)


def auto(limit: object) -> Tree:
    """A container that is made for a call."""
    return {"type": "auto", "memory_limit": limit}


#: The tools that a response repeats, the containers in which code ran -> for how many of a gigabyte is charged.
SIZES: list[tuple[list[Tree], list[str], int]] = [
    ([{"type": "code_interpreter", "container": auto("1g")}], ["c"], 1),
    ([{"type": "code_interpreter", "container": auto("4g")}], ["c"], 4),
    ([{"type": "code_interpreter", "container": auto("64g")}], ["c", "d"], 128),
    ([{"type": "code_interpreter", "container": auto("16G")}], ["c"], 16),
    ([{"type": "shell", "environment": {"type": "container_auto", "memory_limit": "4g"}}], ["c"], 4),
    ([{"type": "code_interpreter", "container": auto("1g")}, {"type": "shell", "environment": auto("16g")}], ["c"], 16),
    ([{"type": "code_interpreter", "container": "cntr_1"}], ["c"], 1),
    ([{"type": "code_interpreter", "container": auto(None)}], ["c"], 1),
    ([{"type": "code_interpreter", "container": auto("much")}], ["c"], 1),
    ([{"type": "code_interpreter", "container": auto("64g")}], [], 0),
]


@pytest.mark.parametrize("door", [CHAT_DOOR, RESPONSES_DOOR], ids=["chat", "responses"])
@pytest.mark.parametrize(("tools", "containers", "runs"), SIZES)
def test_a_container_is_charged_by_its_gigabytes(tools: list[Tree], containers: list[str], runs: int, door: Door) -> None:
    """[fault M12] OpenAI charges 64 times as much for the largest, which cost what the smallest does."""
    whole = answer([ran(container, number) for number, container in enumerate(containers)]) | {"tools": tools}
    assert called([json.dumps(whole).encode()], door, PRICES, stream=False).cost == TOKENS + runs * RUN
    assert called(streamed(whole), door, PRICES, stream=True).cost == TOKENS + runs * RUN


@pytest.mark.parametrize(
    ("kinds", "runs"),
    [(["python"], 1), (["search", "python", "code_interpreter"], 2), (["browser_automation"], 1), (["visit", "search"], 0)],
)
def test_what_groq_ran_is_charged_by_the_run(kinds: list[str], runs: int) -> None:
    """[fault M12] A request that offered such a tool had to have its price, and what was run cost nothing all the same."""
    searches = 5_000_000 * kinds.count("search")
    prices = Prices(input=1, output=1, per_code_run=0.03, per_search=0.005)
    steps = [*text("Hello", " there", "."), chunk(groq_ran(*kinds)), chunk(groq_ran(*kinds)), chunk({}, "stop"), usage(9, 3), DONE]
    for row in (row_of(steps, stream=True, prices=prices), row_of([chat_answer(groq_ran(*kinds))], stream=False, prices=prices)):
        assert row.cost == TOKENS + runs * RUN + searches
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "server_tool_use": {"web_search_requests": 2}}
    row = row_of([chat_answer(groq_ran(*kinds), usage=counts)], stream=False, prices=prices)
    assert row.cost == TOKENS + runs * RUN + 2 * 5_000_000


@pytest.mark.parametrize("model", ["groq/compound", "groq/compound-mini", "compound-beta", "compound-beta-mini"])
def test_groqs_systems_have_no_price_without_those_of_what_they_may_run(model: str) -> None:
    """[fault M12] They search and run code as they see fit, whatever is asked."""

    def flaws(**fees: float) -> list[str]:
        vendor = Vendor(base_url="https://api.groq.com/openai/v1", prices={model: Prices(input=1, output=1, **fees)})
        entry = Routes(Config(vendors={"groq": vendor}, models={"m": Model(to=(f"groq/{model}",))}), unlisted).find("m")
        return [offer.flaw for offer in entry.unpriced]

    assert flaws() == flaws(per_code_run=0.01) == ["per_search"]
    assert flaws(per_search=0.005) == ["per_code_run"]
    assert flaws(per_search=0.005, per_code_run=0) == []


CODE = {"type": "code_execution_20250825", "name": "code_execution"}
FREE_BESIDE = {"type": "web_fetch_20260209", "name": "web_fetch"}
OLD_FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}
CLAUDE: Tree = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}


def planned(tools: list[Tree], **fees: float) -> bool:
    """Tell whether Anthropic is asked by its own door with these tools. Raises ApiError."""
    vendor = Vendor(base_url="https://api.anthropic.example/v1", dialect="anthropic", prices={"m": Prices(input=1, output=1, **fees)})
    routes = Routes(Config(vendors={"v": vendor}, models={"m": Model(to=("v/m",))}), unlisted)
    return bool(routes.plan(MESSAGES_DOOR.read(json.dumps(CLAUDE | {"tools": tools}).encode()), KEY, lambda: 0.5).offers)


def test_code_that_anthropic_runs_needs_a_price_unless_newer_web_tools_make_it_free() -> None:
    """[fault M12] It is charged for by the hour of a container; who has hours for nothing writes a price of 0."""
    for tools in ([CODE], [CODE, OLD_FETCH]):
        with pytest.raises(ApiError, match="`per_code_run`"):
            planned(tools)
        assert planned(tools, per_code_run=0)
    assert planned([CODE, FREE_BESIDE])
    assert planned([{"name": "code_execution_20250825", "input_schema": {"type": "object"}}])


def claude_row(tools: list[Tree], container: object, *, stream: bool) -> CallRow:
    """Return the row of a call that Anthropic answered so."""
    used = {"input_tokens": 9, "output_tokens": 3}
    message: Tree = {"id": "msg_1", "type": "message", "role": "assistant", "model": "some-model", "content": [], "usage": used}
    whole = message | {
        "content": [{"type": "text", "text": "a b c"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "container": container,
    }
    events: list[Tree] = [
        {"type": "message_start", "message": message | {"stop_reason": None, "stop_sequence": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a b c"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None, "container": container}, "usage": used},
        {"type": "message_stop"},
    ]
    steps = [b"event: %b\n" % each["type"].encode() + event(each) for each in events] if stream else [json.dumps(whole).encode()]
    rig = Rig(ScriptedUpstream(Script(steps)), each=[PRICES], look_up=unlisted, vendor={"dialect": "anthropic"})
    run_virtual(rig.call(MemoryClient(), json.dumps(CLAUDE | {"model": "fast", "stream": stream, "tools": tools}).encode(), MESSAGES_DOOR))
    return rig.rows[0]


@pytest.mark.parametrize("stream", [True, False])
def test_a_container_of_anthropics_is_charged_once_an_answer(*, stream: bool) -> None:
    """[fault M12] By the answer that names one; what newer web tools run in one is free."""
    container = {"id": "container_1", "expires_at": "2026-12-01T00:00:00Z"}
    assert claude_row([CODE], container, stream=stream).cost == TOKENS + RUN
    assert claude_row([CODE], None, stream=stream).cost == TOKENS
    assert claude_row([CODE, FREE_BESIDE], container, stream=stream).cost == TOKENS
