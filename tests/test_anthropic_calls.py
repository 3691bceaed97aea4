"""Whole calls to a vendor that speaks Anthropic's language: what they cost however they end, and what is asked again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aisa.config.load import load
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.credentials.rules import proof_of
from aisa.ledger.audit import differences_of
from aisa.ledger.row import CallRow
from aisa.prices.catalogue import catalogue_price
from aisa.providers import anthropic
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorStates
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.usage import Breakdown
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, content_of, events_of

Json = dict[str, Any]
PRICES = Prices(input=1, output=10, cached_input=0.1, cache_write=1.25, cache_write_1h=2)


def event(kind: str, **members: object) -> bytes:
    """One event of the vendor's."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def opening(**usage: object) -> bytes:
    """The event that opens a message."""
    counts = {"input_tokens": 100, "output_tokens": 1, **usage}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "some-model", "content": [], "usage": counts}
    return event("message_start", message=message) + event("content_block_start", index=0, content_block={"type": "text", "text": ""})


def says(text: str) -> bytes:
    """A piece of text."""
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def ending(output_tokens: int, reason: str = "end_turn") -> list[bytes]:
    """The events that end a message."""
    counts = {"output_tokens": output_tokens}
    return [
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=counts),
        event("message_stop"),
    ]


FAILED = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
WORDS = [says("one "), says("two "), says("three ")]


class Claude(Rig):
    """A rig whose vendors speak Anthropic's language."""

    def __init__(self, *scripts: Script | list[Script]) -> None:
        self.upstreams = [ScriptedUpstream(*(script if isinstance(script, list) else [script])) for script in scripts]
        super().__init__(*self.upstreams, prices=PRICES, vendor={"dialect": "anthropic"})
        self.dependencies.dialects = {"anthropic": anthropic}
        self.dependencies.states = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0))

    def ask(self, client: MemoryClient, **members: object) -> CallRow:
        """Make one streamed call; returns its row."""
        run_virtual(self.call(client, body(stream=True, **members)))
        return self.rows[-1]


def test_a_complete_answer_costs_what_was_reported_by_class_of_cache() -> None:
    """100 fresh, 300 read, 60 written for minutes and 40 for an hour, 12 made: to the nano-dollar."""
    classes = {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40}
    head = opening(cache_read_input_tokens=300, cache_creation_input_tokens=100, cache_creation=classes)
    client = MemoryClient()
    row = Claude(Script([head, *WORDS, *ending(12)])).ask(client, stream_options={"include_usage": True})
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens) == ("completed", 500, 12)
    assert row.cost == 1_000 * (100 + 30 + 75 + 80 + 120)
    usage = events_of(client.body)[-2]["usage"]
    assert (usage["prompt_tokens"], usage["prompt_tokens_details"]) == (500, {"cached_tokens": 300, "cache_write_tokens": 100})
    assert usage["cost"] == row.cost / 10**9
    assert content_of(client.body) == "one two three "


def test_an_answer_that_another_model_of_the_vendors_took_over_is_that_models() -> None:
    """The receipt names it, so that the price can follow; the block that tells of it is nothing to a chat client."""
    handed = {"type": "fallback", "from": {"model": "some-model"}, "to": {"model": "claude-other"}, "trigger": {"type": "refusal"}}
    entries = [{"type": "message", "model": "some-model"}, {"type": "fallback_message", "model": "claude-other"}]
    block = event("content_block_start", index=1, content_block=handed) + event("content_block_stop", index=1)
    stop, _, end = ending(12)
    last = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 12, "iterations": entries})
    client = MemoryClient()
    row = Claude(Script([opening(), *WORDS, stop, block, last, end])).ask(client)
    assert (content_of(client.body), row.answered_model, row.outcome) == ("one two three ", "claude-other", "completed")


def advised(model: object, steps: list[Any] | None = None, client: MemoryClient | None = None, **entry: object) -> CallRow:
    """Ask a model that was advised by another, at the catalogue's prices; returns the row."""
    entries = [
        {"type": "message", "model": "claude-haiku-4-5", "input_tokens": 60, "output_tokens": 5},
        {"type": "advisor_message", "model": model, "input_tokens": 1_000, "output_tokens": 700, "cache_read_input_tokens": 200, **entry},
        {"type": "compaction", "input_tokens": 30, "output_tokens": 4},
        {"type": "message", "model": "claude-haiku-4-5", "input_tokens": 40, "output_tokens": 7},
    ]
    stop, _, end = ending(12)
    last = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 12, "iterations": entries})
    rig = Claude(Script([opening(), *WORDS, stop, last, *([end] if steps is None else steps)]))
    vendor = Vendor(base_url="https://api.anthropic.com", api_key="k", dialect="anthropic")
    config = Config(vendors={"anthropic": vendor}, models={"fast": Model(to=("anthropic/claude-haiku-4-5",))})
    rig.dependencies.routes = Routes(config, look_up=catalogue_price)
    rig.dependencies.upstreams = {"anthropic": rig.upstreams[0]}
    return rig.ask(client or MemoryClient())


def test_what_another_model_advised_costs_that_models_price() -> None:
    """Haiku at 1 and 5, Opus 4.5 at 5, 0.5 and 25: 130 x 1 + 16 x 5, and 1,000 x 5 + 200 x 0.5 + 700 x 25. It is in no sum of tokens."""
    row = advised("claude-opus-4-5")
    assert (row.billed.input_tokens, row.billed.output_tokens, row.outcome) == (130, 16, "completed")
    assert row.billed.breakdown == Breakdown(advice_tokens=1_900, advice_cost=1_000 * (5_000 + 100 + 17_500))
    assert row.cost == 1_000 * (130 + 80) + 1_000 * (5_000 + 100 + 17_500)
    assert (row.marks, row.vendor_cost) == (None, row.cost)
    assert not list(differences_of(row))


@pytest.mark.parametrize("model", ["claude-nobody-knows", "", None, 7, "x" * 300])
def test_the_advice_of_a_model_that_nobody_knows_costs_the_dearest_that_there_is(model: object) -> None:
    """Point 6: on each side, of Haiku: writing to a cache at 2, output at 5. The row is marked."""
    row = advised(model)
    assert row.cost == 1_000 * (130 + 80) + 1_000 * (1_200 * 2 + 700 * 5)
    assert row.marks == "no_own_price:advice"


def test_advice_of_the_model_itself_costs_its_own_price() -> None:
    """130 x 1 + 16 x 5, and 1,000 x 1 + 200 x 0.1 + 700 x 5."""
    assert advised("claude-haiku-4-5").cost == 1_000 * (130 + 80 + 1_000 + 20 + 3_500)


@pytest.mark.parametrize("count", [None, -1, True, "many", 2.5, 10**9, 10**30, [], {}])
def test_advice_of_which_a_count_is_none_or_cannot_be_costs_what_is_left_of_it(count: object) -> None:
    """[faults M4, M5] What is no count is nothing; what no window takes makes the whole entry nothing."""
    row = advised("claude-opus-4-5", output_tokens=count)
    assert row.cost == 1_000 * (130 + 80) + (0 if count == 10**9 else 1_000 * (5_000 + 100))


def test_advice_is_in_no_bill_of_a_stream_that_was_cut() -> None:
    """[C6] It was no part of what arrived: two of three words, and the input."""
    row = advised("claude-opus-4-5", [FAILED])
    assert (row.outcome, row.cost, row.billed.breakdown) == ("cut", 1_000 * (130 + 3 * 5), None)
    row = advised("claude-opus-4-5", client=MemoryClient(takes_bytes_max=500))
    assert row.outcome == "client_gone"
    assert 0 < row.billed.output_tokens < 16
    assert row.cost == 1_000 * (130 + row.billed.output_tokens * 5)


def test_an_answer_that_broke_off_costs_its_input_and_what_arrived() -> None:
    """Whether the vendor says that it failed or is just gone; the end that it reported is not there."""
    for end in ([FAILED], [Break()], []):
        client = MemoryClient()
        row = Claude(Script([opening(), *WORDS, *end])).ask(client)
        assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens) == ("cut", 100, 3)
        assert row.cost == 1_000 * (100 + 30)
        assert "error" in events_of(client.body)[-1]
        assert b'finish_reason":"' not in client.body


def test_a_finish_without_the_end_of_the_message_is_none() -> None:
    """The vendor reported, and then broke off: the client is told of a failure, and pays for what it has."""
    client = MemoryClient()
    row = Claude(Script([opening(), *WORDS, *ending(12)[:2], Break()])).ask(client)
    assert (row.outcome, row.billed.output_tokens) == ("cut", 3)
    assert b'finish_reason":"' not in client.body


@pytest.mark.parametrize(("end", "paid"), [(ending(12)[2], 12), (Break(), 3), (Stall(9.0), 3)], ids=["end", "break", "silence"])
def test_who_leaves_when_the_message_has_told_why_it_stops_pays_the_report_of_its_end(end: Any, paid: int) -> None:
    """[fault M2] All that is said has arrived, and the vendor is read on for a second: its report counts once the message has ended."""
    rig, client = Claude(Script([opening(), *WORDS, *ending(12)[:2], Stall(0.5), end])), MemoryClient()

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.2, client.leave)
        await rig.call(client, body(stream=True))
        await asyncio.sleep(3)

    run_virtual(main())
    assert (rig.rows[-1].outcome, rig.rows[-1].billed.output_tokens) == ("client_gone", paid)


@pytest.mark.parametrize("end", [FAILED, Break()], ids=["error", "break"])
def test_a_failure_before_the_first_word_is_the_next_targets_chance(end: Any) -> None:
    """An opening is nothing yet; the first target's tokens are not billed."""
    client = MemoryClient()
    row = Claude(Script([opening(), end]), Script([opening(input_tokens=7), *WORDS, *ending(5)])).ask(client)
    assert (row.outcome, row.attempts, row.billed.input_tokens, row.billed.output_tokens) == ("completed", 2, 7, 5)
    assert content_of(client.body) == "one two three "


def test_who_leaves_pays_for_what_arrived() -> None:
    """Two of three words, and the input."""
    client = MemoryClient(leaves_after=2)
    row = Claude(Script([opening(), WORDS[0], Stall(1), WORDS[1], Stall(1), WORDS[2], Stall()])).ask(client)
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens) == ("client_gone", 100, 2)


def test_a_vendor_that_only_pings_runs_into_the_clock() -> None:
    """A ping is a sign of its connection and not of its model."""
    client = MemoryClient()
    ping = event("ping")
    row = Claude(Script([opening(), *[item for _ in range(9) for item in (ping, Stall(10))], Stall()])).ask(client)
    assert row.outcome == "failed"
    assert b"upstream_timeout" in client.body


SIGNED = [
    event("content_block_start", index=1, content_block={"type": "thinking", "thinking": "", "signature": ""}),
    event("content_block_delta", index=1, delta={"type": "signature_delta", "signature": "c2ln"}),
    event("content_block_stop", index=1),
    event("content_block_start", index=2, content_block={"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}),
    event("content_block_stop", index=2),
]
REFUSED = json.dumps(
    {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "messages.1.content.0: Invalid `signature` in `thinking` block"},
    }
).encode()


def history(*calls: str) -> Sequence[Json]:
    """A conversation that goes on behind calls of a tool."""
    made = [{"id": call, "type": "function", "function": {"name": "f", "arguments": "{}"}} for call in calls]
    results = [{"role": "tool", "tool_call_id": call, "content": "r"} for call in calls]
    return [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "one ", "tool_calls": made}, *results]


def test_thinking_that_led_to_a_call_goes_back_for_a_client_that_sends_nothing_back() -> None:
    """The second call of the same account has the signature of the first."""
    first = Script([opening(), WORDS[0], event("content_block_stop", index=0), *SIGNED, *ending(9, "tool_use")[1:]])
    rig = Claude([first, Script([opening(), *WORDS, *ending(5)])])
    client = MemoryClient()
    rig.ask(client)
    assert b"aisa1." in client.body
    rig.ask(MemoryClient(), messages=history("toolu_1"))
    asked = json.loads(rig.upstreams[0].requests[-1].body)["messages"][1]["content"]
    assert [block["type"] for block in asked] == ["text", "thinking", "tool_use"]
    assert asked[1]["signature"] == "c2ln"


def test_thinking_that_no_longer_fits_is_asked_to_be_dropped_and_the_call_goes_on() -> None:
    """Once; the client notices nothing and pays for one answer."""
    refusing = Script([REFUSED], status=400, headers={"content-type": "application/json"})
    rig = Claude([refusing, Script([opening(), *WORDS, *ending(5)])])
    client = MemoryClient()
    row = rig.ask(client)
    bodies = [json.loads(request.body) for request in rig.upstreams[0].requests]
    assert [body.get("thinking", {}).get("block_binding") for body in bodies] == [None, {"prefix_mismatch_behavior": "drop_block"}]
    assert (client.status, row.outcome) == (200, "completed")


def test_a_key_in_the_environment_is_enough(tmp_path: Path) -> None:
    """Under the names of Anthropic's own client, whose address has no `/v1`; the key goes where the vendor looks for it."""
    (tmp_path / "aisa.yaml").write_text("")
    for address, wanted in (("", "https://api.anthropic.com/v1"), ("https://proxy.example/claude/", "https://proxy.example/claude/v1")):
        loaded = load(str(tmp_path / "aisa.yaml"), {"ANTHROPIC_API_KEY": "sk-ant-1", "ANTHROPIC_BASE_URL": address}, {})
        vendor = loaded.config.vendors["anthropic"]
        assert (vendor.dialect, vendor.base_url) == ("anthropic", wanted)
        assert proof_of(vendor).headers == (("x-api-key", "sk-ant-1"),)
    assert proof_of(Vendor(dialect="anthropic", base_url="http://h/v1", api_key="k", api_key_as="bearer")).headers == (
        ("authorization", "Bearer k"),
    )


@pytest.mark.parametrize("address", ["http://h", "http://h/", "http://h/v1", "http://h/v1/", "http://h/v1/messages"])
def test_an_address_is_read_however_people_copy_it(tmp_path: Path, address: str) -> None:
    """With or without the version and the route."""
    (tmp_path / "aisa.yaml").write_text(f"vendors: {{v: {{dialect: anthropic, base_url: '{address}', allow_unpriced: true}}}}")
    assert load(str(tmp_path / "aisa.yaml"), {}, {}).config.vendors["v"].base_url == "http://h/v1"
