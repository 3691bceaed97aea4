"""Calls through the Responses door in front of scripted vendors of chat completions: what arrives, however it ends, and what it costs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from openai.types.responses import ResponseToolSearchCall

from aisa.config.schema import Prices
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from aisa.usage import COUNTED, ESTIMATED, REPORTED
from aisa.wire.responses_door import RESPONSES_DOOR
from responses_reading import codex_turn, events_in, faults_in, streamed
from rig import (
    DONE,
    OPENING,
    Break,
    MemoryClient,
    Rig,
    Script,
    ScriptedUpstream,
    Stall,
    chunk,
    document,
    text,
    usage,
    whole_stream,
)

Steps = Sequence[bytes | Stall | Break]
IN, OUT = 1_000, 2_000  # nano-dollars a token
PRICES = Prices(input=1, output=2)
FOR_EVER = Stall(float("inf"))
INPUT = 1  # token that "Hi." is taken for where no vendor says it


def asked(**fields: object) -> bytes:
    """A request."""
    return json.dumps({"model": "fast", "input": "Hi.", **fields}).encode()


def made(
    *scripts: Script,
    client: MemoryClient | None = None,
    wallet: Wallet | None = None,
    during: Callable[[MemoryClient], object] | None = None,
    **fields: object,
) -> tuple[MemoryClient, CallRow | None, Rig]:
    """Make one streamed call; `during` is done to its client after a second. Returns the client, its row and the rig."""
    client = client or MemoryClient()
    rig = Rig(*[ScriptedUpstream(script) for script in scripts], prices=PRICES, wallets=[wallet] if wallet else [])

    async def main() -> None:
        if during is not None:
            asyncio.get_running_loop().call_later(1, during, client)
        await rig.call(client, asked(**{"stream": True, **fields}), door=RESPONSES_DOOR)
        await asyncio.sleep(5)

    run_virtual(main())
    return client, rig.rows[-1] if rig.rows else None, rig


def billed(row: CallRow | None) -> tuple[str, int, int]:
    """How a call ended, its output tokens on the bill, and the bill."""
    assert row is not None
    return row.outcome, row.billed.output_tokens, row.cost


def told(client: MemoryClient) -> dict[str, Any]:
    """The refusal that a client has."""
    error: dict[str, Any] = json.loads(client.body)["error"]
    return error


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in one read"])
def test_a_stream_costs_what_the_vendor_reported_and_says_so(together: bool) -> None:
    """Whole, in order, and settled before its end is sent; the end has the price."""
    steps = whole_stream("one ", "two ")
    client, row, _ = made(Script([b"".join(steps)] if together else steps))
    assert billed(row) == ("completed", 2, 9 * IN + 2 * OUT)
    assert (client.headers["content-type"], client.ended) == ("text/event-stream; charset=utf-8", True)
    assert faults_in(client.body) == []
    _, end = codex_turn(client.body)
    assert end["response"]["usage"]["cost"] == (9 * IN + 2 * OUT) / 10**9
    assert streamed(client.body).output_text == "one two "
    assert b"[DONE]" not in client.body


def test_a_document_costs_the_same_and_has_its_length() -> None:
    """One write, complete."""
    client, row, _ = made(Script([document("one two three")], headers={}), stream=False)
    assert billed(row) == ("completed", 3, 9 * IN + 3 * OUT)
    answer = json.loads(client.body)
    assert (client.length, len(client.writes), answer["status"]) == (len(client.body), 1, "completed")
    assert answer["output"][0]["content"][0]["text"] == "one two three"
    assert answer["usage"]["total_tokens"] == 12


def test_a_search_for_tools_that_the_client_runs_is_an_item_of_its_own() -> None:
    """What Codex and OpenAI's client act on: whole, with an object of arguments, in a stream and in a document; cut, it says so."""
    tools = [{"type": "tool_search", "execution": "client"}]
    function = {"name": "tool_search", "arguments": '{"query":'}
    begun = {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}
    more = {"tool_calls": [{"index": 0, "function": {"arguments": '"crew"}'}}]}
    expected = {
        "type": "tool_search_call",
        "execution": "client",
        "call_id": "call_1",
        "arguments": {"query": "crew"},
        "status": "completed",
    }
    client, row, _ = made(Script([chunk(OPENING), chunk(begun), chunk(more), chunk({}, "tool_calls"), usage(9, 3), DONE]), tools=tools)
    assert (faults_in(client.body), billed(row)) == ([], ("completed", 3, 9 * IN + 3 * OUT))
    [item], _ = codex_turn(client.body)
    assert {name: value for name, value in item.items() if name != "id"} == expected
    [read] = streamed(client.body).output
    assert isinstance(read, ResponseToolSearchCall)
    assert (read.call_id, read.arguments) == ("call_1", {"query": "crew"})
    client, _, _ = made(Script([chunk(OPENING), chunk(begun), chunk({}, "length"), usage(9, 3), DONE]), tools=tools)
    [item], end = codex_turn(client.body)
    assert (item["status"], item["arguments"], end["type"]) == ("incomplete", '{"query":', "response.incomplete")
    whole = json.loads(document(""))
    calls = [{"id": "call_1", "type": "function", "function": {"name": "tool_search", "arguments": '{"query":"crew"}'}}]
    whole["choices"][0] |= {"message": {"role": "assistant", "content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}
    client, _, _ = made(Script([json.dumps(whole).encode()], headers={}), stream=False, tools=tools)
    [item] = json.loads(client.body)["output"]
    assert {name: value for name, value in item.items() if name != "id"} == expected


def test_an_early_failure_has_its_true_status() -> None:
    """When no target is left; and costs nothing."""
    client, row, _ = made(Script([Break()]), Script([chunk(OPENING), Break()]))
    assert (client.status, told(client)["code"], billed(row)) == (502, "upstream_unavailable", ("failed", 0, 0))


def test_what_a_failed_target_only_began_is_forgotten() -> None:
    """The client gets the answer of the second alone, with one id and numbers from 0."""
    client, row, _ = made(Script([chunk(OPENING), Break()]), Script(whole_stream("one ", "two ")))
    assert (faults_in(client.body), billed(row)[:2]) == ([], ("completed", 2))


@pytest.mark.parametrize("end", [(Break(),), (), (chunk({}, "abort"), DONE)], ids=["broken", "no finish", "given up"])
def test_a_late_failure_is_no_completion_and_costs_what_arrived(end: Steps) -> None:
    """Two tokens and the input; the two events that end it are behind all that was said."""
    client, row, _ = made(Script([*text("one ", "two "), *end]))
    assert row is not None
    assert billed(row) == ("cut", 2, INPUT * IN + 2 * OUT)
    events = events_in(client.body)
    assert [event["type"] for event in events[-3:]] == ["response.output_text.delta", "error", "response.failed"]
    assert (client.ended, events[-1]["response"]["error"]["code"], row.error_code) == (True, "server_error", "upstream_unavailable")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


@pytest.mark.parametrize("count", range(4))
def test_who_leaves_pays_for_the_events_that_arrived_whole(count: int) -> None:
    """The last byte of an event decides; what repeats the text carries no token."""
    words = ["one ", "two ", "three "]
    ends = ends_of(made(Script([*text(*words), FOR_EVER]), during=MemoryClient.leave)[0].body)
    for short in (0, 1):
        client = MemoryClient(takes_bytes_max=ends[count] - (short if count else 0))
        _, row, _ = made(Script([b"".join(text(*words)), FOR_EVER]), client=client, during=MemoryClient.leave)
        arrived = count - (short if count else 0)
        assert billed(row) == ("client_gone", arrived, INPUT * IN + arrived * OUT if arrived else 0)
        assert row is not None
        assert (row.generated.output_tokens, row.billed.source) == (3, COUNTED)


def ends_of(body: bytes) -> list[int]:
    """Where events of text end in a body, behind 0."""
    ends, place = [0], 0
    for event in body.split(b"\n\n")[:-1]:
        place += len(event) + 2
        if event.startswith(b"event: response.output_text.delta"):
            ends.append(place)
    return ends


def test_who_leaves_behind_the_last_token_pays_what_the_vendor_reported() -> None:
    """Though the end of its items and of the answer did not arrive."""
    steps = [*text("one ", "two "), chunk({}, "stop"), usage(9, 3), DONE]
    last = ends_of(made(Script(steps))[0].body)[-1]
    _, row, _ = made(Script(steps), client=MemoryClient(takes_bytes_max=last))
    assert billed(row) == ("client_gone", 3, 9 * IN + 3 * OUT)
    assert row is not None
    assert row.billed.source == REPORTED


def test_who_leaves_before_the_first_token_pays_nothing() -> None:
    """Not even the input."""
    _, row, _ = made(Script([chunk(OPENING), FOR_EVER]), during=MemoryClient.leave)
    assert billed(row) == ("client_gone", 0, 0)


def test_a_document_that_did_not_arrive_costs_nothing() -> None:
    """It is whole or it is nothing."""
    _, row, _ = made(Script([document()], headers={}), client=MemoryClient(takes_bytes_max=99), stream=False)
    assert billed(row) == ("client_gone", 0, 0)


def test_who_takes_nothing_is_cut_and_pays_for_what_it_took() -> None:
    """After 300 s, in which nothing is read from the vendor."""
    client, row, rig = made(
        Script([*text("one "), *[chunk({"content": "x"})] * 50]), client=MemoryClient(stalls_after=1, takes_bytes_max=0)
    )
    assert (billed(row), client.aborted) == (("client_stalled", 0, 0), True)
    [vendor] = rig.dependencies.upstreams.values()
    assert isinstance(vendor, ScriptedUpstream)
    assert vendor.reads < 10


def test_a_silence_is_filled_with_comments_and_ends_in_a_failure() -> None:
    """The head after 15 s; comments are what both clients ignore; after 60 s the two events, though nothing else was said."""
    client, row, _ = made(Script([FOR_EVER]))
    assert client.times == [15, 30, 45, 60]
    assert client.writes[:3] == [b": keep-alive\n\n"] * 3
    assert [event["type"] for event in events_in(client.writes[3])] == ["error", "response.failed"]
    assert billed(row) == ("failed", 0, 0)


def test_an_empty_wallet_is_a_429_that_no_client_repeats() -> None:
    """Codex sends a 402 five times more, and a 429 of this code never."""
    client, row, _ = made(Script(whole_stream("one")), wallet=Wallet("default", 1))
    assert (client.status, told(client)["code"], client.headers["x-should-retry"], row) == (429, "insufficient_quota", "false", None)


def test_a_wallet_that_runs_out_inside_a_stream_ends_it() -> None:
    """With the code on which Codex stops; what was sent is paid and the wallet is not overdrawn."""
    wallet = Wallet("default", 100 * IN + 700 * OUT)
    client, row, _ = made(Script(text(*["xx"] * 2_000)), wallet=wallet)
    assert row is not None
    assert (row.outcome, row.billed.output_tokens) == ("cut", 512)
    _, end = codex_turn(client.body)
    assert (end["type"], end["response"]["error"]["code"]) == ("response.failed", "insufficient_quota")
    assert (wallet.held, wallet.balance) == (0, 100 * IN + 700 * OUT - row.cost)


def test_what_is_held_for_a_request_is_what_a_chat_of_the_same_content_holds() -> None:
    """Instructions, items and tools count by their text, the bound by `max_output_tokens`."""
    wallet = Wallet("default", 20 * IN + 10 * OUT)
    kept: dict[str, int] = {}
    made(Script([FOR_EVER]), wallet=wallet, during=lambda client: (kept.update(held=wallet.held), client.leave()), max_output_tokens=10)
    assert 10 * OUT < kept["held"] <= 20 * IN + 10 * OUT
    assert wallet.held == 0


def test_where_nobody_reports_usage_is_counted_and_total_is_there() -> None:
    """Codex sends a request again whose end has no usage."""
    client, row, _ = made(Script([*text("one ", "two "), chunk({}, "stop"), DONE]))
    _, end = codex_turn(client.body)
    assert (billed(row)[1], end["response"]["usage"]["total_tokens"]) == (2, 2 + INPUT)
    assert row is not None
    assert row.billed.input_source == ESTIMATED


def test_what_this_vendor_cannot_be_asked_is_refused_before_it_is() -> None:
    """With 422 and the name of the tool, and no call to anyone."""
    client, row, rig = made(Script(whole_stream("one")), tools=[{"type": "file_search", "vector_store_ids": ["v"]}])
    assert (client.status, told(client)["param"], billed(row)) == (422, "tools[0].type", ("refused", 0, 0))
    [vendor] = rig.dependencies.upstreams.values()
    assert isinstance(vendor, ScriptedUpstream)
    assert vendor.requests == []


def test_what_only_a_vendor_of_this_api_can_do_is_422_for_a_model_with_a_price_too() -> None:
    """Foreseeing its cost needs no chat completion that says all of it. Such a call was an error of ours."""
    rig = Rig(ScriptedUpstream(Script()), each=[PRICES], look_up=lambda _vendor, _url, _model: None)
    client = MemoryClient()
    run_virtual(rig.call(client, asked(prompt={"id": "pmpt_1"}), door=RESPONSES_DOOR))
    assert (client.status, told(client)["code"], told(client)["param"]) == (422, "unsupported_parameter", "prompt")
