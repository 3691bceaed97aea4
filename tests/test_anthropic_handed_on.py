"""What an answer costs that one model of Anthropic's gave up and another took over: each model's part at its price, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from aisa.config.schema import Config, Model, Vendor
from aisa.ledger.audit import differences_of
from aisa.ledger.charge import amended
from aisa.ledger.journal_record import closing_record
from aisa.ledger.record import record_of, row_of
from aisa.ledger.row import CallRow
from aisa.ledger.rules import Delivered
from aisa.prices.catalogue import catalogue_price
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.usage import Breakdown
from rig import Break, MemoryClient, Script, Stall, body
from test_anthropic_calls import WORDS, Claude, ending, event, opening, says

Json = dict[str, Any]


def rig_of(*entries: Json, words: Sequence[bytes] = WORDS, then: Callable[[bytes, bytes, bytes], Sequence[Any]], **sums: Any) -> Claude:
    """A rig of a model that gives up, in whose place another answers, at the catalogue's prices; `then` says how the end comes."""
    usage: Json = {"input_tokens": 1_060, "output_tokens": 112, "cache_read_input_tokens": 200, **sums, "iterations": [*entries]}
    stop, _, end = ending(12)
    last = event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
    rig = Claude(Script([opening(), *words, *then(stop, last, end)]))
    vendor = Vendor(base_url="https://api.anthropic.com", api_key="k", dialect="anthropic")
    config = Config(vendors={"anthropic": vendor}, models={"fast": Model(to=("anthropic/claude-opus-4-5",))})
    rig.dependencies.routes = Routes(config, look_up=catalogue_price)
    rig.dependencies.upstreams = {"anthropic": rig.upstreams[0]}
    return rig


def handed_on(*entries: Json, client: MemoryClient | None = None, words: Sequence[bytes] = WORDS, ends: int = 3, **sums: Any) -> CallRow:
    """Ask such a model; returns the row. `ends` are events of the end."""
    return rig_of(*entries, words=words, then=lambda *end: end[:ends], **sums).ask(client or MemoryClient())


OPUS = {"type": "message", "model": "claude-opus-4-5", "input_tokens": 1_000, "output_tokens": 100, "cache_read_input_tokens": 200}
HAIKU = {"type": "fallback_message", "model": "claude-haiku-4-5", "input_tokens": 60, "output_tokens": 12}


def test_each_model_of_an_answer_that_was_handed_on_costs_its_own_price() -> None:
    """Haiku at 1 and 5, Opus 4.5 at 5, 0.5 and 25: 60 x 1 + 12 x 5, and 1,000 x 5 + 200 x 0.5 + 100 x 25. All was at Haiku's price."""
    row = handed_on(OPUS, HAIKU)
    assert (row.billed.input_tokens, row.billed.output_tokens, row.billed.cached_tokens) == (60, 12, 0)
    assert row.billed.breakdown == Breakdown(advice_tokens=1_300, advice_cost=1_000 * (5_000 + 100 + 2_500))
    assert (row.cost, row.answered_model) == (1_000 * (60 + 60 + 5_000 + 100 + 2_500), "claude-haiku-4-5")
    assert (row.marks, row.vendor_cost) == ("answered_otherwise", row.cost)
    assert not list(differences_of(row))


def test_a_model_that_gave_up_before_it_made_anything_is_free() -> None:
    """Its vendor charges nothing then, though its sums have what it read; where they have not, it is nothing beside them either."""
    for sums in ({}, {"input_tokens": 60, "output_tokens": 12, "cache_read_input_tokens": 0}):
        row = handed_on(OPUS | {"output_tokens": 0}, HAIKU, **({"output_tokens": 12} | sums))
        assert (row.billed.input_tokens, row.billed.output_tokens, row.cost) == (60, 12, 1_000 * (60 + 60))


def test_what_a_model_made_that_gave_up_counts_where_the_sums_are_without_it_too() -> None:
    """As of the answer alone: then nothing is taken out of them."""
    row = handed_on(OPUS, HAIKU, input_tokens=60, output_tokens=12, cache_read_input_tokens=0)
    assert (row.billed.input_tokens, row.cost) == (60, 1_000 * (60 + 60 + 5_000 + 100 + 2_500))


def test_an_answer_that_every_model_gave_up_costs_each_models_price() -> None:
    """Without an entry for who took over, as nobody did: the models' names differ."""
    row = handed_on(OPUS, HAIKU | {"type": "message"})
    assert (row.billed.input_tokens, row.cost) == (60, 1_000 * (60 + 60 + 5_000 + 100 + 2_500))


def test_what_a_model_wrote_to_the_cache_for_an_hour_before_it_gave_up_costs_that() -> None:
    """Opus 4.5 at 6.25 for five minutes and 10 for an hour: of 300, 100 are for an hour; none of them is left to the other model."""
    written = {"cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100}, "cache_creation_input_tokens": 300}
    row = handed_on(OPUS | written, HAIKU, **written)
    assert (row.billed.input_tokens, row.billed.cache_write_tokens) == (60, 0)
    assert row.cost == 1_000 * (60 + 60 + 5_000 + 100 + 2_500 + 200 * 6.25 + 100 * 10)


MANY = [says(f"word{number} ") for number in range(112)]
FIRST, SECOND = HAIKU | {"type": "message"}, OPUS | {"type": "fallback_message"}
ALONE = {"input_tokens": 60, "output_tokens": 12, "cache_read_input_tokens": 0}


@pytest.mark.parametrize(
    ("entries", "sums", "least"),
    [
        ((OPUS, HAIKU), {}, 60 + 5_000 + 100),
        ((OPUS, HAIKU), ALONE, 60 + 5_000 + 100),  # as of the answer alone
        ((FIRST, SECOND), {}, 60 + 5_000 + 100),
    ],
    ids=["to a cheaper one", "beside the sums", "to a dearer one"],
)
def test_an_answer_that_was_handed_on_and_cut_costs_every_input_and_what_arrived(
    entries: tuple[Json, Json], sums: Json, least: int
) -> None:
    """[fault M1] All but 200 bytes of it were nearly free. Of what arrived 12 tokens are at 5, the rest at 25: the dearer are missing.

    Wherever a client stops, it pays no more than for what it has, and no less the more it has.
    """
    client = MemoryClient()
    whole = handed_on(*entries, words=MANY, client=client, **sums)
    size, costs = len(client.body), []
    assert whole.cost == 1_000 * (least + 12 * 5 + 100 * 25)
    for taken in (*range(0, size - 200, size // 60), size - 200):
        row = handed_on(*entries, words=MANY, client=MemoryClient(takes_bytes_max=taken), **sums)
        had = row.delivered
        assert row.outcome == "client_gone"
        assert row.cost == (1_000 * (least + min(had, 12) * 5 + max(0, had - 12) * 25) if had else 0)
        assert row.billed.input_tokens + (0 if row.billed.breakdown is None else row.billed.breakdown.advice_tokens) <= 1_260 + had
        assert not list(differences_of(row))
        assert msgspec.json.decode(closing_record(row), type=CallRow) == row  # as the journal has it
        assert row_of(record_of(row)) == row
        costs.append(row.cost)
    assert costs == sorted(costs)
    assert 0 < had < 112
    assert amended(whole, "client_gone", Delivered(50, 112, finished=True)).cost == 1_000 * (least + 12 * 5 + 38 * 25)


def test_thinking_in_secret_of_an_answer_that_was_handed_on_was_not_delivered() -> None:
    """[fault M1] 90 of 112 tokens: of the 22 that were shown the client has most, 12 of which are at 5."""
    thinking = {"output_tokens_details": {"thinking_tokens": 90}}
    client = MemoryClient()
    whole = handed_on(OPUS, HAIKU, words=MANY[:22], client=client, **thinking)
    assert whole.cost == 1_000 * (60 + 60 + 5_000 + 100 + 2_500)
    row = handed_on(OPUS, HAIKU, words=MANY[:22], client=MemoryClient(takes_bytes_max=len(client.body) - 200), **thinking)
    assert 12 < row.delivered < 22
    assert row.cost == 1_000 * (60 + 5_000 + 100 + 12 * 5 + (row.delivered - 12) * 25)


def test_of_several_that_gave_up_a_cut_answer_has_the_cheaper_output() -> None:
    """Sonnet 4.5 at 3 and 15 beside Opus, each of whose input counts; of 120 tokens 12 are at 5 and 108, of either of them, at 15."""
    sonnet = {"type": "message", "model": "claude-sonnet-4-5", "input_tokens": 1_000, "output_tokens": 100}
    row = handed_on(OPUS, sonnet, HAIKU, words=MANY, input_tokens=2_060, output_tokens=212)
    assert row.cost == 1_000 * (60 + 60 + 5_000 + 100 + 2_500 + 3_000 + 1_500)
    cut = amended(row, "client_gone", Delivered(120, 212, finished=True))
    assert cut.cost == 1_000 * (60 + 5_000 + 100 + 3_000 + 12 * 5 + 108 * 15)


def test_advice_is_in_no_bill_of_a_cut_answer_that_was_handed_on_and_its_turns_are() -> None:
    """Both stand in one line of the bill, marked where a part of it that is left has no price of its own."""
    advisor = {"type": "advisor_message", "model": "claude-nobody-knows", "input_tokens": 500, "output_tokens": 70}
    row = handed_on(OPUS, advisor, HAIKU, words=MANY)
    assert row.marks == "answered_otherwise no_own_price:advice"
    cut = amended(row, "client_gone", Delivered(50, 112, finished=True))
    assert (cut.cost, cut.marks) == (1_000 * (60 + 5_000 + 100 + 12 * 5 + 38 * 25), "answered_otherwise")
    row = handed_on(OPUS | {"model": "claude-nobody-knows"}, HAIKU, words=MANY)
    cut = amended(row, "client_gone", Delivered(50, 112, finished=True))
    assert (cut.cost, cut.marks) == (1_000 * (60 + 1_200 * 2 + 50 * 5), "answered_otherwise no_own_price:advice")


@pytest.mark.parametrize("ends", [0, 1, 2])
def test_an_answer_that_was_handed_on_and_broke_off_costs_what_is_known_of_it(ends: int) -> None:
    """Before its vendor's end nobody is told of a turn: the input so far, and the output by our count, at the price of who answers."""
    row = handed_on(OPUS, HAIKU, words=MANY, ends=ends)
    assert (row.outcome, row.billed.output_tokens, row.billed.breakdown) == ("cut", 112, None)
    assert row.cost == 1_000 * (1_060 + 20 + 112 * 5 if ends == 2 else 100 * 5 + 112 * 25)


@pytest.mark.parametrize(
    ("told", "cost"),
    [(True, 60 + 60 + 5_000 + 100 + 2_500), (False, 1_060 + 20 + 112 * 5)],
    ids=["the end is heard", "no end is heard"],
)
def test_who_leaves_before_the_end_of_an_answer_that_was_handed_on_pays_by_what_is_heard_of_it(cost: int, *, told: bool) -> None:
    """[fault M2] All words have arrived, and the vendor is read on for a second: as the whole, or what is known without its end."""
    rig = rig_of(OPUS, HAIKU, words=MANY, then=lambda stop, last, end: [stop, last, Stall(0.5), end if told else Break()])
    client = MemoryClient()

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.2, client.leave)
        await rig.call(client, body(stream=True))
        await asyncio.sleep(3)

    run_virtual(main())
    assert (rig.rows[-1].outcome, rig.rows[-1].cost) == ("client_gone", 1_000 * cost)


@pytest.mark.parametrize("model", [None, 7, "", [], "x" * 300])
def test_a_turn_of_a_model_without_a_name_is_the_answers_own(model: object) -> None:
    """[faults M4, M5] Nothing is lost, and nothing counted twice."""
    row = handed_on(OPUS | {"model": model}, HAIKU)
    inside = isinstance(model, str) and model != ""
    assert row.billed.input_tokens == (60 if inside else 1_260)
    assert row.cost >= 1_000 * (60 + 60)
