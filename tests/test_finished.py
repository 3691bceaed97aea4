"""What a stream costs whose client leaves when the vendor has finished: as much as one that is read to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aisa.background_reads import REPORT_SECONDS_MAX
from aisa.facts import CallEnded
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.usage import COUNTED, ESTIMATED, REPORTED
from faults_rig import LAST, SSE, Caller, framed, gateway, hang, on_uvloop, post, says, until
from one_call import FOR_EVER, IN, OUT, PRICES, WORDS, bytes_of, made, row_of
from rig import DONE, HEAD, OPENING, Break, MemoryClient, Rig, Stall, chunk, event, text

HIDDEN = 10_000
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": ""}}
#: What an answer may consist of -> its chunks, and the finish reason.
KINDS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "text": ([{"content": word} for word in WORDS], "stop"),
    "cut short by max_tokens": ([{"content": word} for word in WORDS], "length"),
    "shown thinking": ([{"reasoning_content": "hm"}, {"content": "a"}], "stop"),
    "refusal": ([{"refusal": "No"}, {"refusal": "."}], "content_filter"),
    "tool call": ([{"tool_calls": [CALL]}, {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}], "tool_calls"),
    "legacy call": ([{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}], "function_call"),
}
KIND = pytest.mark.parametrize(("deltas", "reason"), KINDS.values(), ids=KINDS)


def report(visible: int, *, hidden: int = HIDDEN) -> bytes:
    """The usage chunk of an answer with hidden thinking."""
    counts = {"prompt_tokens": 3_000, "completion_tokens": visible + hidden, "total_tokens": 3_000 + visible + hidden}
    details = {"completion_tokens_details": {"reasoning_tokens": hidden}}
    return event({**HEAD, "choices": [], "usage": {**counts, **details}})


def answer(deltas: list[dict[str, Any]], reason: str) -> list[bytes]:
    """The opening, the deltas and the finish of an answer."""
    return [chunk(OPENING), *map(chunk, deltas), chunk({}, reason)]


def left_at_the_finish(deltas: list[dict[str, Any]], reason: str, *rest: bytes | Stall | Break, **fields: Any) -> tuple[Rig, CallRow]:
    """Have a client leave with the last token, when the vendor has said its finish, and the vendor say the rest."""
    events = answer(deltas, reason)
    _, rig = made([b"".join(events), *rest], MemoryClient(leaves_after=1), **fields)
    return rig, row_of(rig)


@KIND
@pytest.mark.parametrize("gap", [0, 0.005, 0.03, 0.15, 0.6, 0.99])
def test_who_leaves_at_the_finish_pays_what_a_reader_pays(deltas: list[dict[str, Any]], reason: str, gap: float) -> None:
    """[fault M2] Whatever the answer consists of and however late within a second its report comes, hidden thinking included."""
    wallet = Wallet("default", 10**9)
    rig, row = left_at_the_finish(deltas, reason, Stall(gap), report(len(deltas)), DONE, wallet=wallet)
    read = row_of(made([*answer(deltas, reason), report(len(deltas)), DONE])[1])
    assert (row.outcome, read.outcome) == ("client_gone", "completed")
    assert row.billed == row.generated == read.billed
    assert row.cost == read.cost == 3_000 * IN + (len(deltas) + HIDDEN) * OUT
    assert (wallet.held, wallet.balance) == (0, 10**9 - row.cost)
    [fact] = [fact for fact in rig.facts if isinstance(fact, CallEnded)]
    assert (fact.cost_nanos, fact.billed_tokens, fact.usage) == (row.cost, row.billed.output_tokens, row.generated)


ENDS: dict[str, list[bytes | Stall | Break]] = {
    "never": [FOR_EVER],
    "late": [Stall(1.01), report(10), DONE],
    "broken off": [Stall(0.1), Break()],
    "none": [Stall(0.1), DONE],
    "empty": [Stall(0.1), event({**HEAD, "choices": [], "usage": {}}), DONE],
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_report_that_does_not_come_in_time_is_not_waited_for(end: list[bytes | Stall | Break]) -> None:
    """[fault M2] After a second the vendor is let go, and what was delivered is billed by our own count, the input included."""
    rig, row = left_at_the_finish(*KINDS["text"], *end)
    assert (row.outcome, row.delivered, row.billed.output_tokens) == ("client_gone", 10, 10)
    assert (row.billed.source, row.billed.input_source) == (COUNTED, ESTIMATED)
    upstream = rig.dependencies.upstreams["a"]
    assert upstream.open == 0  # type: ignore[attr-defined]  # it is a scripted one
    assert len(rig.dependencies.background_reads) == 0


@pytest.mark.parametrize("most", ["finish", "a part of the usage", "usage", "half of the end"])
@pytest.mark.parametrize("asked", [True, False])
def test_what_becomes_of_the_end_is_not_part_of_the_bill(most: str, *, asked: bool) -> None:
    """[fault M2] Every token arrived, and of what follows more or less: the vendor's report holds, as the settlement had it."""
    deltas, reason = KINDS["text"]
    events = [*answer(deltas, reason), report(10), DONE]
    options = {"stream_options": {"include_usage": True}} if asked else {}
    sent = made(events, **options)[0].writes
    body = b"".join(sent)
    whole = body.index(b"\n\n", body.index(b'"finish_reason":"stop"')) + 2
    took = {"finish": whole, "a part of the usage": whole + 5, "usage": bytes_of(sent) - len(DONE), "half of the end": bytes_of(sent) - 1}
    row = row_of(made(events, MemoryClient(takes_bytes_max=took[most]), **options)[1])
    assert (row.outcome, row.cost) == ("client_gone", 3_000 * IN + (10 + HIDDEN) * OUT)
    assert row.billed == row.generated


@pytest.mark.parametrize("arrived", [9, 8, 1])
def test_a_token_that_did_not_arrive_makes_it_a_cut(arrived: int) -> None:
    """[fault M2] Finished or not: without the last byte of its text hidden thinking is not billed, and the rest by the report's measure."""
    deltas, reason = KINDS["text"]
    events = answer(deltas, reason)
    client = MemoryClient(takes_bytes_max=bytes_of(events[: arrived + 2]) - 1)
    row = row_of(made([b"".join([*events, report(20), DONE])], client)[1])
    assert (row.outcome, row.delivered, row.billed.output_tokens) == ("client_gone", arrived, 2 * arrived)
    assert row.billed.reasoning_tokens == 0


def test_one_choice_of_two_that_has_finished_is_a_cut() -> None:
    """[fault M2] The other could still be written: the vendor is cancelled at once, and the report it would have made is not billed."""
    for second in ([chunk({"content": "b"}, index=1)], []):
        events = [chunk(OPENING), chunk({"content": "a"}), *second, chunk({}, "stop")]
        client = MemoryClient(leaves_after=1)  # with what one read brought; the finish is held back
        _, rig = made([b"".join(events), Stall(0.5), chunk({}, "stop", index=1), report(2), DONE], client, n=2)
        row = row_of(rig)
        assert (row.outcome, row.billed.output_tokens, row.billed.source) == ("client_gone", 1 + len(second), ESTIMATED)  # by size
        assert rig.dependencies.upstreams["a"].aborted == 1  # type: ignore[attr-defined]  # it is a scripted one


def test_two_choices_that_have_finished_are_waited_for() -> None:
    """[fault M2] With both finished, the report of both is billed in full."""
    parts = [chunk(OPENING), chunk({"content": "a"}), chunk(OPENING, index=1), chunk({"content": "b"}, index=1)]
    events = [*parts, chunk({}, "stop"), chunk({}, "stop", index=1)]
    _, rig = made([b"".join(events), Stall(0.5), report(2), DONE], MemoryClient(leaves_after=1), n=2)
    assert row_of(rig).billed.output_tokens == 2 + HIDDEN


def test_who_leaves_before_the_finish_pays_for_what_arrived() -> None:
    """[fault M2] Hidden thinking of an answer that was not finished is nobody's: the vendor is cancelled, and its report is not billed."""
    events = text(*WORDS)
    _, rig = made([b"".join(events), Stall(0.5), chunk({}, "stop"), report(10), DONE], MemoryClient(leaves_after=1))
    row = row_of(rig)
    assert (row.outcome, row.billed.output_tokens, row.billed.source) == ("client_gone", 10, COUNTED)


def test_a_vendor_that_breaks_off_after_its_report_has_answered() -> None:
    """[fault M2] The client has every token and the vendor has told what they were; how the connection ended is not part of the bill."""
    deltas, reason = KINDS["text"]
    row = row_of(made([*answer(deltas, reason), report(10), Break()])[1])
    assert row.cost == 3_000 * IN + (10 + HIDDEN) * OUT


def test_what_a_stopping_server_waits_for_is_billed_all_the_same() -> None:
    """[fault M2] A read-out that is ended before its first turn leaves its row, with what was known."""

    async def main() -> None:
        async with gateway(says(SSE + framed(*text("one", "two"), chunk({}, "stop")), hang), prices=PRICES) as home:
            caller = await home.client(post())
            await caller.until(b'"two"')
            caller.reset()
            await until(lambda: not home.dependencies.live)
            await home.dependencies.background_reads.close()
            await until(lambda: len(home.rows) == 1)
            assert (home.rows[0].outcome, home.rows[0].billed.output_tokens) == ("client_gone", 2)

    on_uvloop(main())


@pytest.mark.parametrize("leave", [Caller.leave, Caller.reset, Caller.half_close_and_leave], ids=["fin", "rst", "half-close"])
@pytest.mark.parametrize("gap", [0.0, 0.03])
def test_however_a_connection_ends_at_the_finish_the_bill_is_whole(leave: Callable[[Caller], None], gap: float) -> None:
    """[fault M2] On real sockets: closed, reset or half-closed with the finish chunk, the usage right behind it or a moment later."""

    async def main() -> None:
        gate = asyncio.Event()
        rest = framed(report(2), DONE) + LAST
        async with gateway(says(SSE + framed(*text("one", "two"), chunk({}, "stop")), gate, gap, rest), prices=PRICES) as home:
            caller = await home.client(post())
            await caller.until(b'"two"')
            await until(lambda: next(iter(home.dependencies.live)).delivery.delivered() == 2)
            leave(caller)
            gate.set()
            await until(lambda: len(home.rows) == 1)
            [row] = home.rows
            assert row.cost == 3_000 * IN + (2 + HIDDEN) * OUT
            assert row.billed.source == REPORTED

    on_uvloop(main())


def test_a_wait_for_a_report_is_a_second() -> None:
    """[fault M2] It is the contract's figure."""
    assert REPORT_SECONDS_MAX == 1
