"""The bill of one call, through the path: what it costs and which row it leaves, however it ends."""

from __future__ import annotations

import asyncio

import pytest

from aisa.config.schema import Prices
from aisa.edge.bill_view import ending
from aisa.errors import CODES
from aisa.facts import CallEnded
from aisa.ledger.audit import differences_of
from aisa.ledger.rules import CUT
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from aisa.usage import COUNTED, ESTIMATED, REPORTED
from one_call import FOR_EVER, IN, INPUT, OUT, PRICES, WORDS, bytes_of, leaves, made, row_of
from rig import (
    DONE,
    OPENING,
    Break,
    MemoryClient,
    Rig,
    Script,
    ScriptedUpstream,
    Stall,
    body,
    chunk,
    document,
    event,
    events_of,
    text,
    usage,
    whole_stream,
)
from rows import priced


def test_a_complete_stream_costs_what_the_vendor_reported() -> None:
    """Nine tokens in and ten out, whoever counted what on the way."""
    row = row_of(made(whole_stream(*WORDS))[1])
    assert (row.outcome, row.cost, row.delivered) == ("completed", 9 * IN + 10 * OUT, 10)
    assert (row.billed.input_tokens, row.billed.output_tokens, row.billed.source, row.billed.input_source) == (9, 10, REPORTED, REPORTED)


def test_streamed_and_whole_cost_the_same() -> None:
    """The same tokens, the same money."""
    streamed = row_of(made([*text("Hello", ".", "!"), chunk({}, "stop"), usage(9, 3), DONE])[1])
    whole = row_of(made([document()], stream=False)[1])
    assert streamed.cost == whole.cost == 9 * IN + 3 * OUT
    assert (whole.outcome, whole.stream, streamed.stream) == ("completed", False, True)


@pytest.mark.parametrize("count", range(11))
def test_a_client_that_leaves_pays_for_what_its_system_acknowledged(count: int) -> None:
    """The whole input, estimated because no vendor had reported, and exactly the tokens of the events that arrived whole; none: nothing."""
    events = text(*WORDS)
    for short in (0, 1):  # the last byte of an event decides
        client = MemoryClient(takes_bytes_max=bytes_of(events[: 1 + count]) - (short if count else 0))
        row = row_of(made([b"".join(events), FOR_EVER], client, during=leaves)[1])
        arrived = count - (short if count else 0)
        assert (row.outcome, row.delivered, row.billed.output_tokens) == ("client_gone", arrived, arrived)
        assert row.cost == (INPUT * IN + arrived * OUT if arrived else 0)
        assert row.generated.output_tokens == 10
        assert (row.billed.source, row.billed.input_source) == (COUNTED, ESTIMATED if arrived else COUNTED)


def test_an_empty_answer_costs_its_input_whether_its_client_stays_or_leaves_and_the_audit_agrees() -> None:
    """[fault M2] It is complete: its choice has finished. The audit took who left it for somebody who had been sent nothing."""
    answer = [*text(), chunk({}, "stop"), usage(9, 0), DONE]
    client, rig = made(answer)
    stayed, left = row_of(rig), row_of(made(answer, MemoryClient(takes_bytes_max=len(client.body) - 1))[1])
    assert (stayed.outcome, left.outcome, stayed.delivered, left.delivered) == ("completed", "client_gone", 0, 0)
    assert stayed.cost == left.cost == 9 * IN
    assert [*differences_of(stayed), *differences_of(left)] == []


@pytest.mark.parametrize("count", [1, 2, 9])
def test_what_arrived_of_an_answer_costs_a_token_at_least(count: int) -> None:
    """[fault M7] Where the vendor reports fewer tokens than we count, the first of them came to less than one, and the text was free."""
    events = [*text(*WORDS), chunk({}, "stop"), usage(9, 1), DONE]
    row = row_of(made(events, MemoryClient(takes_bytes_max=bytes_of(events[: 1 + count])))[1])
    assert (row.outcome, row.delivered, row.billed.output_tokens) == ("client_gone", count, 1)
    assert row.cost == 9 * IN + OUT
    assert list(differences_of(row)) == []


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_left_before_anything_was_sent_got_no_200(*, stream: bool) -> None:
    """[fault P13] The log says 499, as nginx does, and 200 of one that had the head of its stream."""
    heard = [fact for fact in made([FOR_EVER], during=leaves, stream=stream)[1].facts if isinstance(fact, CallEnded)]
    assert [(fact.outcome, fact.status, fact.bytes_sent) for fact in heard] == [("client_gone", 499, 0)]
    heard = [fact for fact in made([*text("a"), FOR_EVER], during=leaves)[1].facts if isinstance(fact, CallEnded)]
    assert [(fact.outcome, fact.status) for fact in heard] == [("client_gone", 200)]


def test_a_stream_that_its_vendor_cut_costs_what_was_delivered() -> None:
    """The client has the error event and every token before it."""
    client, rig = made([*text("aa", "bb"), Break()])
    row = row_of(rig)
    assert events_of(client.body)[-1]["error"]["code"] == row.error_code == "upstream_unavailable"
    assert (row.outcome, row.delivered, row.billed.output_tokens, row.cost > 2 * OUT) == ("cut", 2, 2, True)


def test_a_stream_that_was_cut_and_did_not_arrive_costs_less() -> None:
    """What was handed over counts only when it is acknowledged, also after the end."""
    events = text("aa", "bb", "cc")
    row = row_of(made([*events, Break()], MemoryClient(takes_bytes_max=bytes_of(events[:2])))[1])
    assert (row.outcome, row.delivered, row.billed.output_tokens) == ("cut", 1, 1)


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_that_fails_costs_nothing(stream: bool) -> None:
    """It leaves a row all the same."""
    row = row_of(made([Break()], stream=stream)[1])
    assert (row.outcome, row.cost, row.error_code, row.billed.input_tokens, row.attempts) == ("failed", 0, "upstream_unavailable", 0, 1)


def test_a_client_that_leaves_before_the_first_token_pays_nothing() -> None:
    """[C3] Not even the input: it has nothing."""
    row = row_of(made([chunk(OPENING), FOR_EVER], during=leaves)[1])
    assert (row.outcome, row.cost, row.billed.input_tokens, row.delivered) == ("client_gone", 0, 0, 0)


def test_a_client_that_leaves_before_the_vendor_answers_pays_nothing() -> None:
    """[C2] The vendor was asked, and nothing came of it."""
    row = row_of(made([FOR_EVER], during=leaves)[1])
    assert (row.outcome, row.cost, row.attempts, row.queue_ms, row.first_token_ms) == ("client_gone", 0, 1, 0, None)


def test_a_document_that_could_not_be_delivered_costs_nothing() -> None:
    """A document is delivered whole or not at all."""
    row = row_of(made([document()], MemoryClient(takes_bytes_max=100), stream=False)[1])
    assert (row.outcome, row.cost, row.generated.output_tokens, row.billed.output_tokens) == ("client_gone", 0, 3, 0)


def test_a_client_that_leaves_after_the_last_token_pays_for_all_of_them() -> None:
    """[C6] Closing before the usage chunk is no way around the bill: the vendor's report counts."""
    events = [*text(*WORDS), chunk({}, "stop"), usage(9, 12), DONE]
    row = row_of(made([b"".join(events)], MemoryClient(takes_bytes_max=bytes_of(events[:-2])))[1])
    assert (row.outcome, row.cost, row.billed.source) == ("client_gone", 9 * IN + 12 * OUT, REPORTED)


def test_several_tokens_in_a_delta_are_brought_to_the_vendors_measure() -> None:
    """Ten deltas that the vendor says were forty tokens: half of the deltas are twenty."""
    events = text(*WORDS)
    rest = [chunk({}, "stop"), usage(9, 40), DONE]
    row = row_of(made([b"".join([*events, *rest])], MemoryClient(takes_bytes_max=bytes_of(events[:6])))[1])
    assert (row.delivered, row.billed.output_tokens, row.billed.source) == (5, 20, COUNTED)


def test_reasoning_that_was_not_shown_is_not_delivered_in_a_cut_stream() -> None:
    """The vendor thought for 30 tokens and said two; who has one of these pays for one."""
    events = text("aa", "bb")
    report = {"prompt_tokens": 9, "completion_tokens": 32, "total_tokens": 41, "completion_tokens_details": {"reasoning_tokens": 30}}
    steps = [b"".join([*events, chunk({}, "stop"), event({"id": "chatcmpl-1", "choices": [], "usage": report}), DONE])]
    complete = row_of(made(steps)[1])
    cut = row_of(made(steps, MemoryClient(takes_bytes_max=bytes_of(events[:2])))[1])
    assert (complete.billed.output_tokens, cut.billed.output_tokens, cut.billed.reasoning_tokens) == (32, 1, 0)


def test_reasoning_that_was_shown_is_delivered_at_its_own_price() -> None:
    """Two tokens of thinking and one of speech, where thinking costs five times as much."""
    thoughts = [chunk({"reasoning_content": word, "reasoning": word}) for word in ("hm", "so")]
    events = [chunk(OPENING), *thoughts, *[chunk({"content": word}) for word in ("it", "is")]]
    client = MemoryClient(takes_bytes_max=bytes_of(events[:4]))
    row = row_of(made([b"".join(events), FOR_EVER], client, during=leaves, prices=Prices(input=0, output=2, reasoning=10))[1])
    assert (row.billed.output_tokens, row.billed.reasoning_tokens, row.cost) == (3, 2, 2 * 10_000 + OUT)


@pytest.mark.parametrize(
    ("deltas", "tokens"),
    [
        ([{"usage": {"prompt_tokens": 7, "completion_tokens": 3}}, {"usage": {"prompt_tokens": 7, "completion_tokens": 8}}], 8),
        ([{}, {}], 5),
    ],
    ids=["a running count", "no count"],
)
def test_a_vendors_running_count_beats_ours(deltas: list[dict[str, object]], tokens: int) -> None:
    """[M15] Two deltas of ten bytes are five tokens unless the vendor says that they were more."""
    plain = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "some-model"}
    choice = {"index": 0, "delta": {"content": "some words"}, "logprobs": None, "finish_reason": None}
    events = [event({**plain, "choices": [choice], **extra}) for extra in deltas]
    row = row_of(made([chunk(OPENING), *events, FOR_EVER], during=leaves)[1])
    assert row.billed.output_tokens == tokens


def test_logprobs_tell_how_many_tokens_a_delta_has() -> None:
    """[M15] Three entries are three tokens."""
    logprobs = {"content": [{"token": part, "logprob": -1.0, "bytes": None, "top_logprobs": []} for part in "abc"], "refusal": None}
    choice = {"index": 0, "delta": {"content": "abc"}, "logprobs": logprobs, "finish_reason": None}
    plain = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "some-model"}
    row = row_of(made([chunk(OPENING), event({**plain, "choices": [choice]}), FOR_EVER], during=leaves)[1])
    assert row.billed.output_tokens == 3


def test_a_zero_for_what_is_there_is_no_report() -> None:
    """[M14] Fault M4. A vendor that says zero of a text of one delta has reported nothing: it is counted, and not free."""
    row = row_of(made([*text("aa"), chunk({}, "stop"), usage(0, 0), DONE])[1])
    assert (row.outcome, row.billed.output_tokens, row.billed.source, row.billed.input_source) == ("completed", 1, COUNTED, ESTIMATED)
    assert row.cost > OUT


def test_an_empty_wallet_is_a_402_and_asks_nobody() -> None:
    """Nothing is spent, no row is left, and no retry would help."""
    client, rig = made(whole_stream("aa"), wallet=Wallet("default", 1_000))
    assert (client.status, client.headers["x-should-retry"], rig.rows) == (402, "false", [])
    assert events_of(b"data: " + client.body + b"\n\n")[0]["error"]["code"] == "insufficient_wallet_balance"


def test_what_a_call_did_not_use_goes_back_to_the_wallet() -> None:
    """The hold is closed with the call; the balance falls by the cost and by nothing else."""
    wallet = Wallet("default", 1_000_000_000)
    _, rig = made(whole_stream(*WORDS), wallet=wallet)
    assert (wallet.held, wallet.balance) == (0, 1_000_000_000 - row_of(rig).cost)


def test_a_wallet_that_runs_out_ends_the_stream_with_an_error_event() -> None:
    """[C20] At the step at which it does: what cannot be paid for is not sent, so a cut stream never overdraws."""
    wallet = Wallet("default", 100 * IN + 700 * OUT)
    client, rig = made(text(*["xx"] * 2_000), wallet=wallet)
    row = row_of(rig)
    assert events_of(client.body)[-1]["error"]["code"] == row.error_code == "insufficient_wallet_balance"
    assert (row.outcome, row.billed.output_tokens) == ("cut", 512)
    assert wallet.balance is not None
    assert (wallet.held, wallet.balance) == (0, 100 * IN + 700 * OUT - row.cost)
    assert wallet.balance >= 0


def test_a_hundred_calls_at_once_do_not_spend_the_same_money() -> None:
    """[C19] The wallet pays for one: one is served, the others are refused before a vendor is asked."""
    prices = 100 * IN + 256 * OUT  # of the first hold of a stream, nearly: 50 tokens of input are held for
    wallet = Wallet("default", prices)
    rig = Rig(
        ScriptedUpstream(*[Script([*text("aa"), Stall(1), chunk({}, "stop"), usage(9, 1), DONE])] * 100), prices=PRICES, wallets=[wallet]
    )
    clients = [MemoryClient() for _ in range(100)]

    async def one(client: MemoryClient) -> None:
        await rig.call(client, body(stream=True))

    async def main() -> None:
        await asyncio.gather(*[asyncio.create_task(one(client)) for client in clients])

    run_virtual(main())
    assert sorted(client.status or 0 for client in clients) == [200] + [402] * 99
    assert (wallet.held, wallet.balance) == (0, prices - 9 * IN - OUT)


def test_a_slow_client_is_noted_where_it_is() -> None:
    """While bytes wait in this process, the journal says what has left it; if we died now, that is what the client gets."""
    noted: list[int] = []

    def look(rig: Rig, client: MemoryClient) -> None:
        [charge] = rig.ledger.calls.values()
        noted.append(charge.progress)
        client.resume()

    _, rig = made([*text("aa", "bb", "cc"), chunk({}, "stop"), usage(9, 3), DONE], MemoryClient(stalls_after=2), during=look)
    assert (noted, row_of(rig).billed.output_tokens) == ([1], 3)


@pytest.mark.parametrize("code", [*CODES, None])
def test_why_an_answer_broke_off_is_said_where_its_error_says_it(code: str | None) -> None:
    """[fault S6] "By the vendor's fault or at a limit" stood there also where it was known which of the two, or that it was neither."""
    told = ending(priced(1, outcome=CUT, error_code=code))
    assert "{" not in told
    assert "or at a limit" not in told
    assert ("vendor's fault" in told) == (code in ("upstream_unavailable", "upstream_timeout", "gateway_error"))
    assert told.startswith("The answer broke off")
    assert ("spend cap" in told, "wallet" in told, "operator" in told) == (
        code == "quota_exceeded",
        code == "insufficient_wallet_balance",
        code == "insufficient_permissions",
    )
