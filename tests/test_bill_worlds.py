"""Small worlds of priced targets: calls that fall back, report in every spelling or absurdly, are left, reset or refused; one wallet pays.

What each call is to cost is computed by docs/billing.md alone (`bill_truth.py`), at the prices of the target that served it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aisa.background_reads import REPORT_SECONDS_MAX
from aisa.config.schema import Prices
from aisa.health import Health
from aisa.ledger.audit import differences_of
from aisa.ledger.refusal import Refusal
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.providers.measure import ANSWERS_KEPT, Answer
from aisa.testing.clock import run_virtual
from aisa.usage import IMPLAUSIBLE
from bill_truth import Truth, exact_cost, price_lists, reports, rounded, truths
from repeats import repeats
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, document, event, text

MOMENT = 1_795_000_000.5
WORD = "words. "  # one token, by its size
WORDS_MAX, CALLS_MAX, TARGETS_MAX = 4, 8, 3
BALANCES = (None, 10**13, 10**13, 10**10, 0)  # nano-dollars; a call may cost fifty dollars, by its fees
ASKED = Truth({"input": 1})  # "Hi." has three bytes
BY_LEARNED = "learned"  # the beginning of how it was counted
ABSURD = {"prompt_tokens": 5_000_000, "completion_tokens": 900_000_000, "total_tokens": 905_000_000}
NO_REPORT: list[Any] = [None, {}, {"prompt_tokens": None, "completion_tokens": "many"}]
LEARNED = 2  # tokens that a word is, by what complete answers have taught in half of the worlds
TAUGHT = [Answer(100 * LEARNED, 100, 100 * len(WORD))] * ANSWERS_KEPT
FAILURES = [Script(refuses=True), Script([b'{"error": {"message": "busy"}}'], status=503), Script([b"<html>"], status=500)]


@dataclass
class Planned:
    """One call of a world, and what is seen of it: `fails` of the targets do, then one answers with so many words."""

    stream: bool
    fails: int
    words: int
    truth: Truth | None  # what the vendor reports; None if nothing that can be
    usage: Any
    client: MemoryClient


@st.composite
def plans(draw: st.DrawFn, targets: int) -> Planned:
    """A call. A third of them report nothing or what cannot be; half of the clients leave, or reset a document."""
    words, stream = draw(st.integers(1, WORDS_MAX)), draw(st.booleans())
    truth = draw(truths(words))
    kind = draw(st.sampled_from(["good", "good", "good", "good", "absurd", "none"]))
    usage = draw(reports(truth)) if kind == "good" else ABSURD if kind == "absurd" else draw(st.sampled_from(NO_REPORT))
    leaves = draw(st.one_of(st.none(), st.integers(1, words + 3)))
    client = MemoryClient(leaves_after=leaves) if stream else MemoryClient(**({} if leaves is None else {"takes_bytes_max": 10 * leaves}))
    return Planned(stream, draw(st.integers(0, targets)), words, truth if kind == "good" else None, usage, client)


def in_every_world(targets: int) -> list[Planned]:
    """Calls that chance need not draw: a report that cannot be, an answer of each target, a document that is reset."""
    absurd = [Planned(True, 0, 5, None, ABSURD, MemoryClient())]
    served = [Planned(True, fails, 5, None, None, MemoryClient()) for fails in range(targets)]
    return [*absurd, *served, Planned(False, 0, 50, None, None, MemoryClient(takes_bytes_max=10))]


def steps_of(plan: Planned) -> list[bytes | Stall]:
    """What the vendor that answers sends."""
    if not plan.stream:
        return [json.dumps({**json.loads(document(WORD * plan.words)), "usage": plan.usage}).encode()]
    report = [] if plan.usage is None else [event({**HEAD, "choices": [], "usage": plan.usage})]
    events = [*text(*[WORD] * plan.words), chunk({}, "stop"), *report, DONE]
    return [step for each in events for step in (each, Stall(0.1))]


def expected(plan: Planned, each: list[Prices], worth: int = 1) -> Fraction:
    """What a call costs by the documentation, in nano-dollars before rounding. A word is `worth` so many tokens where nobody reports."""
    if plan.fails == len(each):
        return Fraction(0)
    prices, client = each[plan.fails], plan.client
    counted = plan.words * worth
    if worth == 1 and not plan.stream:  # a document has no pieces: four bytes are a token
        counted = -(-plan.words * len(WORD) // 4)
    said = plan.truth or Truth({"input": 1, "output": counted})
    if not plan.stream:
        arrived = client.bytes_delivered() == client.bytes_written and client.ended
        return exact_cost(said, prices, MOMENT, "") if arrived else Fraction(0)
    had = len(re.findall(WORD.encode(), client.body))
    if b'"finish_reason":"stop"' in client.body:
        return exact_cost(said, prices, MOMENT, "")
    return exact_cost(Truth({"input": ASKED.of("input") if had else 0, "output": had * worth}), prices, MOMENT, "")


def world_of(each: list[Prices], wallet: Wallet, worth: int) -> Rig:
    """A rig with a target for each of these prices."""
    rig = Rig(*[ScriptedUpstream() for _ in each], wallets=[wallet], each=list(each))
    for offer in rig.dependencies.routes.find("fast").offers if worth == LEARNED else ():
        offer.target.measure.take(TAUGHT)
    return rig


def live(data: st.DataObject, rig: Rig, each: list[Prices], calls: list[Planned]) -> tuple[list[list[CallRow]], list[Refusal]]:
    """Make the calls one after the other; return the rows of each, and the refusals that were kept."""
    rig.ledger.wall_clock = lambda: MOMENT
    refused: list[Refusal] = []
    rig.dependencies.keep_refusal = refused.append
    rows: list[list[CallRow]] = []

    async def main() -> None:
        for plan in calls:
            failures = [data.draw(st.sampled_from(FAILURES), label="failure") for _ in each]
            scripts = [*failures[: plan.fails], Script(steps_of(plan)), *failures][: len(each)]
            rig.dependencies.upstreams = {name: ScriptedUpstream(script) for name, script in zip("abc", scripts, strict=False)}
            rig.dependencies.health = Health()  # so that every call begins with the first target
            before = len(rig.rows)
            await asyncio.gather(rig.call(plan.client, body(stream=plan.stream)))  # a task of its own, for a client that leaves late
            await asyncio.sleep(2 * REPORT_SECONDS_MAX)  # what may still be read of the vendor
            rows.append(rig.rows[before:])

    run_virtual(main())
    return rows, refused


def kinds_of(plan: Planned, row: CallRow) -> set[str]:
    """Say what a call was a case of."""
    kinds = {row.outcome, "stream" if plan.stream else "document", f"{'abc'[plan.fails]} served" if row.cost else "free"}
    kinds |= {"fell back"} if plan.fails and row.cost else set()
    kinds |= {"absurd"} if plan.usage is ABSURD and row.outcome == "completed" else set()
    kinds |= {"learned"} if row.cost and row.billed.counted_by.startswith(BY_LEARNED) else set()
    return kinds | ({"reset"} if not plan.stream and row.outcome == "client_gone" else set())


def test_in_every_world_each_call_costs_what_its_target_charges_and_the_wallet_pays_that() -> None:
    """[fault M1] [fault M2] [fault M3] [fault M4] [fault M5] A fall-back at the price of who answered, whatever was asked before it.

    What cannot be is counted; a reset document and a refused call are free, and the refusal is kept; the wallet has what it had but for
    the bills, and holds nothing. All this happens in these worlds.
    """
    seen: Counter[str] = Counter()

    @settings(max_examples=repeats(60), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(st.data(), st.sampled_from(BALANCES))
    def world(data: st.DataObject, balance: int | None) -> None:
        each = data.draw(st.lists(price_lists(), min_size=1, max_size=TARGETS_MAX), label="prices")
        calls = data.draw(st.lists(plans(len(each)), min_size=1, max_size=CALLS_MAX), label="calls") + in_every_world(len(each))
        wallet = Wallet("default", balance)
        worth = data.draw(st.sampled_from([1, LEARNED]), label="worth")
        rows, refused = live(data, world_of(each, wallet, worth), each, calls)
        spent = 0
        for number, (plan, left) in enumerate(zip(calls, rows, strict=True), 1):
            if not left:
                assert plan.client.status == 402
                assert [refusal.error.code for refusal in refused if refusal.call_id == f"req_{number}"] == ["insufficient_wallet_balance"]
                seen["refused"] += 1
                continue
            [row] = left
            assert list(differences_of(row)) == []
            assert row.cost == rounded(expected(plan, each, worth)), (plan, row)
            assert row.attempts == min(plan.fails + 1, len(each))
            assert not row.cost or row.target == f"{'abc'[plan.fails]}/some-model"
            if plan.usage is ABSURD and row.outcome == "completed":
                assert (row.generated.source, row.generated.input_source) == (IMPLAUSIBLE, IMPLAUSIBLE)
            spent += row.cost
            seen.update(kinds_of(plan, row))
        assert (wallet.balance, wallet.held) == (None if balance is None else balance - spent, 0)

    world()
    wanted = {"completed", "failed", "client_gone", "stream", "document", "a served", "b served", "c served", "fell back", "absurd"}
    assert wanted | {"reset", "refused", "free", "learned"} <= set(seen), seen
