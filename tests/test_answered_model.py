"""(fault M15) Which model answered stands in the row, and says which price of the catalogue holds; what the vendor says it charges too."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from aisa.background_reads import REPORT_SECONDS_MAX
from aisa.config.schema import Prices
from aisa.edge.receipt import receipt
from aisa.facts import AnsweredOtherwise
from aisa.ledger.audit import differences_of
from aisa.ledger.port_usage import Used
from aisa.ledger.row import OTHER_PRICE, CallRow
from aisa.names import stored
from aisa.prices.catalogue import catalogue_price
from aisa.prices.rules import PriceList
from aisa.providers import anthropic, gemini
from aisa.providers.shape import Target, told
from aisa.testing.clock import run_virtual
from aisa.wire.chat import parse_chat
from aisa.wire.usage_report import merged
from aisa.wire.vendor_cost import vendor_cost
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, document, event, text, usage


class Listing:
    """The catalogue, in which every vendor is a certain one, and `some-model` a certain model there. Keeps what it was asked."""

    def __init__(self, vendor: str, asked: str) -> None:
        self.vendor, self.asked = vendor, asked
        self.names: list[str] = []

    def __call__(self, _vendor: str, _base_url: str, model: str) -> PriceList | None:
        """Look up."""
        self.names.append(model)
        return catalogue_price(self.vendor, "", self.asked if model == "some-model" else model)


def renamed(data: bytes, model: str | None) -> bytes:
    """Have an answer name a model, or none."""
    old = b'"model":"some-model"' if b'"model":"some-model"' in data else b'"model": "some-model"'
    return data.replace(old, b'"model":%s' % json.dumps(model).encode())


def reported(taken: int, made: int, **more: Any) -> bytes:
    """A document with a report of usage."""
    counts = {"prompt_tokens": taken, "completion_tokens": made, "total_tokens": taken + made, **more}
    return json.dumps({**json.loads(document("Hello. " * made)), "usage": counts}).encode()


def streamed(taken: int, made: int, *names: str | None) -> list[bytes]:
    """A stream whose chunks name these models, one after the other, the last one from then on."""
    events = [*text("Hello. " * made), chunk({}, "stop"), usage(taken, made)]
    shown = [*names, *[names[-1]] * len(events)]
    return [*(renamed(each, name) for each, name in zip(events, shown, strict=False)), DONE]


def made(steps: Sequence[bytes | Stall], listing: Listing, *, stream: bool = False, **settings: Any) -> tuple[CallRow, Rig]:
    """Make a call and return its row, which adds up."""
    rig = Rig(ScriptedUpstream(Script(steps)), look_up=listing, **settings)
    run_virtual(rig.call(MemoryClient(), body(stream=stream)))
    [row] = rig.rows
    assert list(differences_of(row)) == []
    return row, rig


GPT_4O = "gpt-4o-2024-08-06"
#: vendor, asked, answered -> tokens in and out, what they cost at the price of the one that answered, and at that of the one asked
OTHERS: Mapping[tuple[str, str, str], tuple[int, int, int, int]] = {
    # 1,000 x 2.5 + 500 x 10 = 7,500 micro-dollars; 1,000 x 0.15 + 500 x 0.6 = 450
    ("openai", "gpt-4o-mini", GPT_4O): (1_000, 500, 7_500_000, 450_000),
    # the other way round: 2,500 x 0.15 + 40 x 0.6 = 399; 2,500 x 2.5 + 40 x 10 = 6,650
    ("openai", "gpt-4o", "gpt-4o-mini-2024-07-18"): (2_500, 40, 399_000, 6_650_000),
    # 1,000 x 0.5 + 500 x 1.5 = 1,250; 1,000 x 2 + 500 x 6 = 5,000
    ("mistral", "mistral-large-2411", "mistral-large-2512"): (1_000, 500, 1_250_000, 5_000_000),
    # the first gpt-4o has a price of its own: 100 x 5 + 10 x 15 = 650; 100 x 2.5 + 10 x 10 = 350
    ("openai", "gpt-4o", "gpt-4o-2024-05-13"): (100, 10, 650_000, 350_000),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("case", OTHERS)
def test_the_catalogue_s_price_is_that_of_the_model_that_answered(case: tuple[str, str, str], *, stream: bool) -> None:
    """In a stream and in a document, dearer and cheaper: the row names it and its price's source, is marked, and the operator told once."""
    vendor, asked, answered = case
    taken, output, cost, asked_cost = OTHERS[case]
    steps = streamed(taken, output, answered) if stream else [renamed(reported(taken, output), answered)]
    row, rig = made(steps, Listing(vendor, asked), stream=stream)
    assert (row.cost, row.answered_model, row.marks, row.vendor_cost) == (cost, answered, OTHER_PRICE, cost)
    assert answered.startswith(row.price_source.rpartition("/")[2])
    row, rig = made(steps, Listing(vendor, asked), stream=stream, price_by="asked")
    assert (row.cost, row.answered_model, row.marks, row.vendor_cost) == (asked_cost, answered, OTHER_PRICE, cost)
    [told] = [fact for fact in rig.facts if isinstance(fact, AnsweredOtherwise)]
    assert (told.model, told.answered, told.price_source) == ("some-model", answered, row.price_source)


@pytest.mark.parametrize("price_by", ["answer", "asked"])
@pytest.mark.parametrize("answered", ["mistral-large-latest", "mistral-large-2512"])
def test_an_alias_whose_price_is_known_to_be_stale_costs_what_it_is(answered: str, price_by: str) -> None:
    """(fault M15, M16) 1,000 x 0.5 + 500 x 1.5 micro-dollars, whatever the answer calls itself: the catalogue has it at four times that."""
    row, rig = made([renamed(reported(1_000, 500), answered)], Listing("mistral", "mistral-large-latest"), price_by=price_by)
    assert (row.cost, row.marks, row.price_source.rpartition("/")[2]) == (1_250_000, None, "mistral-large-2512")
    assert not [fact for fact in rig.facts if isinstance(fact, AnsweredOtherwise)]


def test_whose_price_counts_may_be_said_for_a_vendor_and_for_a_model() -> None:
    """The model's word comes first."""
    steps = [renamed(reported(1_000, 500), GPT_4O)]
    listing = Listing("openai", "gpt-4o-mini")
    assert made(steps, listing, vendor={"price_by": "asked"})[0].cost == 450_000
    assert made(steps, listing, vendor={"price_by": "asked"}, price_by="answer")[0].cost == 7_500_000


@pytest.mark.parametrize("answered", ["gpt-4o-mini-2024-07-18", "gpt-4o-mini", "some-model", "", None, "made-up", "/models/x", "x" * 5_000])
def test_a_name_that_costs_the_same_or_that_nobody_lists_changes_nothing(answered: str | None) -> None:
    """A date at the end, no name at all, a path: the price of the one asked holds, without a mark and without a warning."""
    for stream in (True, False):
        steps = streamed(1_000, 500, answered) if stream else [renamed(reported(1_000, 500), answered)]
        row, rig = made(steps, Listing("openai", "gpt-4o-mini"), stream=stream)
        assert (row.cost, row.marks) == (450_000, None)
        assert (row.answered_model or "") == stored(answered or "")
        assert not [fact for fact in rig.facts if isinstance(fact, AnsweredOtherwise)]


@pytest.mark.parametrize(
    "settings",
    [
        {"each": [Prices(input=1, output=2)]},
        {"prices": Prices(input=1, output=2)},
        {"vendor": {"price_as": {"some-model": "openai/gpt-4o-mini"}}},
    ],
)
def test_prices_and_names_that_the_operator_has_set_hold_whoever_answers(settings: dict[str, Any]) -> None:
    """The row is marked all the same: the catalogue prices the one that answered otherwise."""
    row, rig = made([renamed(reported(1_000, 500), GPT_4O)], Listing("openai", "gpt-4o-mini"), **settings)
    assert (row.cost, row.marks, row.vendor_cost) == (450_000 if "vendor" in settings else 2_000_000, OTHER_PRICE, 7_500_000)
    assert [fact.answered for fact in rig.facts if isinstance(fact, AnsweredOtherwise)] == [GPT_4O]


@pytest.mark.parametrize("names", [(None, None, GPT_4O), ("", GPT_4O), ("gpt-4o-mini", "gpt-4o-mini", GPT_4O)])
def test_the_model_may_be_named_in_a_later_chunk(names: tuple[str | None, ...]) -> None:
    """The last name counts, wherever it stands, and however the vendor's bytes are split."""
    data = b"".join(streamed(1_000, 500, *names))
    chance = random.Random(7)
    for _ in range(20):
        cuts = sorted(chance.sample(range(1, len(data)), 3))
        steps = [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        row, _ = made(steps, Listing("openai", "gpt-4o-mini"), stream=True)
        assert (row.cost, row.answered_model) == (7_500_000, GPT_4O)


def test_a_document_where_a_stream_was_asked_names_its_model_too() -> None:
    """And a document that is assembled from a stream."""
    row, _ = made([renamed(reported(1_000, 500), GPT_4O)], Listing("openai", "gpt-4o-mini"), stream=True)
    assert (row.cost, row.answered_model) == (7_500_000, GPT_4O)
    row, _ = made(streamed(1_000, 500, GPT_4O), Listing("openai", "gpt-4o-mini"), vendor={"assemble": True}, name_in_answers="own")
    assert (row.cost, row.answered_model) == (7_500_000, GPT_4O)


def test_the_tier_that_the_answer_names_is_that_of_the_model_that_answered() -> None:
    """o3 at priority: 100,000 x 3.5 + 5,000 x 14 = 420,000 micro-dollars, whatever was asked."""
    answer = json.loads(renamed(reported(100_000, 5_000), "o3-2025-04-16"))
    row, _ = made([json.dumps({**answer, "service_tier": "priority"}).encode()], Listing("openai", "gpt-4o-mini"))
    assert (row.cost, row.marks) == (420_000_000, OTHER_PRICE)


def test_the_report_that_comes_after_the_client_has_left_may_name_the_model() -> None:
    """The bill of a finished answer is then made anew, at the price of that model."""
    events = streamed(1_000, 500, None)
    late = renamed(usage(1_000, 500), GPT_4O)
    rig = Rig(ScriptedUpstream(Script([*events[:-2], Stall(0.5), late, DONE])), look_up=Listing("openai", "gpt-4o-mini"))
    client = MemoryClient()

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.25, client.leave)
        await rig.call(client, body(stream=True))
        await asyncio.sleep(2 * REPORT_SECONDS_MAX)

    run_virtual(main())
    [row] = rig.rows
    assert list(differences_of(row)) == []
    assert (row.outcome, row.generated.source, row.cost, row.marks) == ("client_gone", "reported", 7_500_000, OTHER_PRICE)


def test_a_name_is_looked_up_once_and_not_at_all_where_it_is_the_one_asked_for() -> None:
    """The look-up takes up to two milliseconds."""
    listing = Listing("openai", "gpt-4o-mini")
    rig = Rig(*[ScriptedUpstream(*[Script([renamed(reported(10, 5), GPT_4O)]) for _ in range(5)])], look_up=listing)
    for _ in range(5):
        run_virtual(rig.call(MemoryClient(), body()))
    assert [row.answered_model for row in rig.rows] == [GPT_4O] * 5
    assert listing.names == ["some-model", "some-model", GPT_4O]
    assert len([fact for fact in rig.facts if isinstance(fact, AnsweredOtherwise)]) == 1


def test_receipts_name_the_model_but_no_path_and_sums_count_the_mark() -> None:
    """A path tells where a vendor keeps its files."""
    row, _ = made([renamed(reported(1_000, 500), GPT_4O)], Listing("openai", "gpt-4o-mini"))
    shown = receipt(row, final=True)
    assert (shown["answered_model"], shown["marks"]) == (GPT_4O, {OTHER_PRICE: []})
    used = Used()
    used.add(row)
    assert used.otherwise == 1
    row, _ = made([renamed(reported(1_000, 500), "/srv/models/x")], Listing("openai", "gpt-4o-mini"))
    assert receipt(row, final=True)["answered_model"] is None
    assert row.answered_model == "/srv/models/x"


#: what a report of usage says of cost -> nano-dollars
COSTS: list[tuple[dict[str, Any], int | None]] = [
    ({"cost": 0.00465}, 4_650_000),
    ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.002}}, 0),
    ({"cost": "0.00465"}, 4_650_000),
    ({"cost_in_usd_ticks": 37_756_000}, 3_775_600),
    ({"cost_in_usd_ticks": 5, "cost": 9}, 1),  # half a nano-dollar
    ({"cost_in_usd_ticks": "37756000"}, 3_775_600),
    ({"cost_in_usd_ticks": 37_756_000.0, "cost_in_nano_usd": 9}, 3_775_600),
    ({"cost_in_nano_usd": 3_775_600}, 3_775_600),
    ({"cost_in_usd_ticks": None, "cost_in_nano_usd": "3775600"}, 3_775_600),
    ({"cost_in_usd_ticks": -1, "cost": 0.5}, 500_000_000),
    ({"estimated_cost": 1.5e-05}, 15_000),
    ({"cost": {"input_tokens_cost": 0.001, "request_cost": 0.005, "total_cost": 0.0061}}, 6_100_000),
    *[({"cost": value}, None) for value in (None, -1, True, "much", [], {}, 1e300, "1" * 400)],
    ({}, None),
]


@pytest.mark.parametrize(("said", "nanos"), COSTS)
def test_what_the_vendor_says_that_it_charges_is_kept_and_never_shown_as_ours(said: dict[str, Any], nanos: int | None) -> None:
    """Exactly, beside our own cost; the client sees that alone."""
    assert vendor_cost(said) == nanos
    for stream in (True, False):
        report = {"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500, **said}
        whole = {**json.loads(document("Hello. " * 500)), "usage": report}
        chunks = [*streamed(1_000, 500, "some-model")[:-2], event({**HEAD, "choices": [], "usage": report}), DONE]
        client = MemoryClient()
        rig = Rig(ScriptedUpstream(Script(chunks if stream else [json.dumps(whole).encode()])), prices=Prices(input=1, output=2))
        asked = {"stream_options": {"include_usage": True}} if stream else {}
        run_virtual(rig.call(client, body(stream=stream, **asked)))
        [row] = rig.rows
        assert (row.reported_cost, row.cost, row.outcome) == (nanos, 2_000_000, "completed")
        assert b'"cost":0.002' in client.body.replace(b" ", b"")
        assert b"ticks" not in client.body
        assert b"nano" not in client.body
        assert b"total_cost" not in client.body


#: by dialect: what begins a stream and what is a whole document, both of a model `answered-1`
SPOKEN: Mapping[str, tuple[bytes, bytes]] = {
    "anthropic": (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"answered-1","usage":{"input_tokens":3}}}\n\n',
        (
            b'{"id":"m","type":"message","role":"assistant","model":"answered-1","content":[{"type":"text","text":"Hi"}],'
            b'"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}}'
        ),
    ),
    "gemini": (
        b'data: {"modelVersion":"answered-1","responseId":"r","candidates":[{"index":0,"content":{"parts":[{"text":"Hi"}]}}]}\n\n',
        b'{"modelVersion":"answered-1","responseId":"r","candidates":[{"index":0,"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}',
    ),
}


@pytest.mark.parametrize("dialect", SPOKEN)
def test_every_dialect_tells_which_model_answered(dialect: str) -> None:
    """In a stream as soon as it says so, and in a document."""
    module = {"anthropic": anthropic, "gemini": gemini}[dialect]
    for data, stream in zip(SPOKEN[dialect], (True, False), strict=True):
        target = Target("v", "some-model", dialect)
        decoder = module.decoder(parse_chat(body(stream=stream)), target, call_id="1", created=1, protocol="openai")
        decoder.feed(data)
        if not stream:
            decoder.end()
        assert told(decoder).model == "answered-1"


def test_of_costs_in_several_reports_the_last_one_holds() -> None:
    """Zero first, and then what it came to."""
    assert vendor_cost(merged({"cost": 0}, {"cost": 0.25})) == 250_000_000
    assert vendor_cost(merged({"cost": 0.25}, {"completion_tokens": 3})) == 250_000_000
