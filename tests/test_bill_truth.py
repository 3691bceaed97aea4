"""Every bill of random answers: in every spelling of their usage, at every kind of price, left at every event."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import bill_truth
from aisa.config.schema import Prices
from aisa.ledger.audit import differences_of
from aisa.ledger.row import CallRow
from aisa.testing.clock import run_virtual
from bill_truth import FEES, SIDES, Truth, exact_cost, price_lists, reports, rounded, truths
from repeats import repeats
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, document, event, text

WORD = "words. "  # one token, by its size
MOMENTS = st.integers(1_700_000_000, 1_900_000_000).map(lambda second: second + 0.5)
ASKED = Truth({"input": 1})  # "Hi." has three bytes
WORDS_MAX = 3


def made(steps: list[bytes | Stall], client: MemoryClient, prices: Prices, *, moment: float, tier: str, stream: bool) -> CallRow | None:
    """Make one call at a moment, and return its row, which adds up."""
    rig = Rig(ScriptedUpstream(Script(steps)), each=[prices])
    rig.ledger.wall_clock = lambda: moment
    run_virtual(rig.call(client, body(stream=stream, **({"service_tier": tier} if tier else {}))))
    for row in rig.rows:
        assert list(differences_of(row)) == []
    return rig.rows[0] if rig.rows else None


def with_tier(data: bytes, tier: str) -> bytes:
    """Have an answer name its tier."""
    return data.replace(b'"model":', b'"service_tier":%s,"model":' % json.dumps(tier).encode(), 1) if tier else data


@settings(max_examples=repeats(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), price_lists(), MOMENTS, st.integers(1, WORDS_MAX))
def test_a_bill_is_what_an_auditor_computes_and_a_cut_never_costs_more(
    data: st.DataObject, prices: Prices, moment: float, words: int
) -> None:
    """[fault M4] [fault M9] [fault M10] [fault M12] As a document, as a stream, and left behind each event.

    A bill is never negative, and zero only if nothing was delivered, or by the prices; nobody pays more for leaving.
    """
    truth = data.draw(truths(words), label="truth")
    usage = data.draw(reports(truth), label="usage")
    tier = data.draw(st.sampled_from(["", "flex"] if prices.service_tiers else [""]), label="tier")
    full = exact_cost(truth, prices, moment, tier)
    answer = {**json.loads(document(WORD * words)), "usage": usage}
    row = made(
        [with_tier(json.dumps(answer, separators=(",", ":")).encode(), tier)],
        MemoryClient(),
        prices,
        moment=moment,
        tier=tier,
        stream=False,
    )
    assert row is not None
    assert (row.cost, row.outcome) == (rounded(full), "completed")
    events = [*text(*[WORD] * words), chunk({}, "stop"), event({**HEAD, "choices": [], "usage": usage}), DONE]
    steps = [step for each in events for step in (with_tier(each, tier), Stall(0.1))]
    for writes in range(1, words + 4):
        client = MemoryClient(leaves_after=writes)
        row = made(steps, client, prices, moment=moment, tier=tier, stream=True)
        assert row is not None
        had = len(re.findall(WORD.encode(), client.body))
        whole = b'"finish_reason":"stop"' in client.body
        cut = Truth({"input": ASKED.of("input") if had else 0, "output": had})
        exact = full if whole else exact_cost(cut, prices, moment, tier)
        assert row.cost == rounded(exact), (writes, had, whole)
        assert 0 <= row.cost <= rounded(full)
        assert row.cost > 0 or not had or exact * 2 < 1


@settings(max_examples=repeats(80), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), price_lists(), MOMENTS)
def test_a_cut_after_an_early_report_never_costs_more_than_that_report(data: st.DataObject, prices: Prices, moment: float) -> None:
    """[fault M4] The report comes before, within or right behind the text; whoever leaves then pays no more than whoever stays."""
    truth = data.draw(truths(WORDS_MAX), label="truth")
    assume(truth.of("output_audio", "output_image") == 0)
    usage = data.draw(reports(truth), label="usage")
    full = rounded(exact_cost(truth, prices, moment, ""))
    events = [*text(*[WORD] * WORDS_MAX)]
    events.insert(data.draw(st.integers(0, len(events)), label="where"), event({**HEAD, "choices": [], "usage": usage}))
    steps = [step for each in (*events, chunk({}, "stop"), DONE) for step in (each, Stall(0.1))]
    for writes in range(1, WORDS_MAX + 3):
        client = MemoryClient(leaves_after=writes)
        row = made(steps, client, prices, moment=moment, tier="", stream=True)
        assert row is not None
        assert 0 <= row.cost <= full
        assert row.cost > 0 or WORD.encode() not in client.body or full == 0 or row.billed.output_tokens + row.billed.input_tokens > 0


def test_the_auditor_knows_every_kind_of_price_and_shares_no_arithmetic_with_the_server() -> None:
    """[proof] A kind that the configuration takes and it does not would be billed unseen. Days from which prices hold are apart."""
    rules = {"factor", "hours", "service_tiers", "tiers", "from", "time_zone"}
    assert {field.encode_name for field in msgspec.structs.fields(Prices)} == {*SIDES, *FEES, *rules}
    written = Path(bill_truth.__file__).read_text()
    assert re.findall(r"^(?:from|import) (aisa\S*)", written, re.MULTILINE) == ["aisa.config.schema"]
