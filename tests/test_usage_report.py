"""What vendors report of usage, in whatever shape, and what is billed for it: a stream and a document of the same cost the same."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.facts import Fact, UsageMisreported
from aisa.notices import QUIET_SECONDS, Notices
from aisa.providers.counting import AskedOf
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.usage import COUNTED, ESTIMATED, REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.shown import Shown
from aisa.wire.usage_report import UsageReport
from one_call import IN, OUT, made, row_of
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, document, event, text

SEED = 20_261_128
TEXT = ["Hello", " there", "."]  # three deltas, and twelve bytes: three tokens by either count
#: What no count is.
NO_COUNTS = [
    None,
    True,
    False,
    -1,
    -1.0,
    0.5,
    100.5,
    1e300,
    1_000_000_001,
    "",
    "abc",
    "-1",
    "1.0",
    " 1",
    "1e3",
    "9" * 40,
    "١٠",
    [],
    [5],
    {},
    {"a": 5},
]
#: What is written in another way, and is one.
COUNTS = [(100, 100), (100.0, 100), ("100", 100), ("0100", 100), (1e3, 1_000)]


def streamed(*reports: object, place: str = "own chunk") -> tuple[Usage, Rig]:
    """Bill a stream with these reports behind its text, or in other places."""
    tail = [event({**HEAD, "choices": [], "usage": report}) for report in reports]
    if place == "own chunk":
        events = [*text(*TEXT), chunk({}, "stop"), *tail]
    elif place == "finish":
        finish = json.loads(chunk({}, "stop")[6:])
        events = [*text(*TEXT), event({**finish, "usage": reports[-1]})]
    elif place == "choice":
        finish = json.loads(chunk({}, "stop")[6:])
        finish["choices"][0]["usage"] = reports[-1]
        events = [*text(*TEXT), event(finish)]
    else:
        first, *words = text(*TEXT)
        events = [first, *tail, *words, chunk({}, "stop")]
    _, rig = made([*events, DONE])
    return row_of(rig).billed, rig


def whole(report: object) -> tuple[Usage, Rig]:
    """Bill a document of the same text with a report."""
    tree = {**json.loads(document("".join(TEXT))), "usage": report}
    _, rig = made([json.dumps(tree).encode()], stream=False)
    return row_of(rig).billed, rig


def told(rig: Rig) -> list[UsageMisreported]:
    """Return what the operator heard of the vendor."""
    return [fact for fact in rig.facts if isinstance(fact, UsageMisreported)]


@pytest.mark.parametrize(("value", "count"), COUNTS)
@pytest.mark.parametrize("place", ["own chunk", "finish", "choice", "before"])
def test_a_whole_number_is_a_count_however_it_is_written(value: object, count: int, place: str) -> None:
    """[fault M4] As an integer, a float without a fraction, digits; in a stream's last chunk, its finish, its choice, before its text."""
    report = {"prompt_tokens": value, "completion_tokens": value, "total_tokens": 2 * count}
    for billed, rig in (streamed(report, place=place), whole(report)):
        assert (billed.input_tokens, billed.output_tokens, billed.source, billed.input_source) == (count, count, REPORTED, REPORTED)
        assert row_of(rig).cost == count * (IN + OUT)
        assert told(rig) == []


@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
def test_what_is_no_count_is_no_report_for_its_side(value: object) -> None:
    """[fault M4] The other side stands as reported, this one is counted and says so, and the operator hears of the vendor."""
    outputs = [streamed({"prompt_tokens": 40, "completion_tokens": value}), whole({"prompt_tokens": 40, "completion_tokens": value})]
    for (billed, rig), source in zip(outputs, (COUNTED, ESTIMATED), strict=True):
        assert (billed.input_tokens, billed.input_source, billed.output_tokens, billed.source) == (40, REPORTED, 3, source)
        assert ["count of the output" in fact.detail for fact in told(rig)] == [True]
    for billed, rig in (
        streamed({"prompt_tokens": value, "completion_tokens": 50}),
        whole({"prompt_tokens": value, "completion_tokens": 50}),
    ):
        assert (billed.output_tokens, billed.source, billed.input_source) == (50, REPORTED, ESTIMATED)
        assert billed.input_tokens > 0
        assert ["count of the input" in fact.detail for fact in told(rig)] == [True]


@pytest.mark.parametrize("report", [{}, [], "usage", 5, True, {"total_tokens": None}, {"prompt_tokens": {}}, {"cost": 1}], ids=repr)
def test_a_report_with_nothing_in_it_is_none(report: object) -> None:
    """[fault M4] It is billed as if there were none, at more than nothing, and the operator hears of it."""
    for billed, rig in (streamed(report), whole(report)):
        assert (billed.output_tokens, billed.input_source) == (3, ESTIMATED)
        assert billed.source in (COUNTED, ESTIMATED)
        assert row_of(rig).cost == billed.input_tokens * IN + 3 * OUT > 3 * OUT
        assert len(told(rig)) == 1


def test_a_vendor_that_never_reports_is_not_complained_of() -> None:
    """[fault M4] No usage at all is a way of answering, not a mistake; what was counted is billed."""
    for billed, rig in (streamed(), streamed(None), whole(None)):
        assert (billed.output_tokens, told(rig)) == (3, [])


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, "0"])
def test_zero_is_a_report_only_of_nothing(zero: object) -> None:
    """[fault M4] Of a side that has content it is counted; an answer without any is free on that side."""
    report = {"prompt_tokens": zero, "completion_tokens": zero, "total_tokens": zero}
    for billed, _ in (streamed(report), whole(report)):
        assert (billed.output_tokens, billed.input_tokens > 0) == (3, True)
    empty = [
        chunk({"role": "assistant", "content": ""}),
        chunk({}, "stop"),
        event({**HEAD, "choices": [], "usage": {**report, "prompt_tokens": 9}}),
    ]
    row = row_of(made([*empty, DONE])[1])
    assert (row.billed.output_tokens, row.billed.source, row.cost) == (0, REPORTED, 9 * IN)


@pytest.mark.parametrize(
    "later",
    [
        {},
        None,
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 1, "completion_tokens": 1},
        {"completion_tokens": None},
        "no",
        7,
    ],
    ids=repr,
)
def test_the_last_good_report_wins(later: object) -> None:
    """[fault M4] One that is smaller, empty or no report does not replace it, wherever in the stream it comes; one that is larger does."""
    good = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
    more = {"prompt_tokens": 100, "completion_tokens": 60.0, "total_tokens": 160}
    for place in ("own chunk", "before"):
        assert streamed(good, later, place=place)[0].output_tokens == 50
        assert streamed(later, good, place=place)[0].output_tokens == 50
        billed, rig = streamed(good, more, later, place=place)
        assert (billed.input_tokens, billed.output_tokens, told(rig)) == (100, 60, [])


def test_the_operator_hears_of_a_vendor_once_an_hour() -> None:
    """[fault M4] A thousand bad reports are one line, which shows no more than the beginning of one."""
    heard: list[Fact] = []
    notices = Notices(heard.append)
    for vendor, moment in (("a", 0.0), ("a", 1.0), ("a", QUIET_SECONDS - 1), ("a", QUIET_SECONDS), ("a", QUIET_SECONDS + 1), ("b", 1.0)):
        notices.tell(UsageMisreported(f"{vendor} at {moment:.0f}", vendor, "m", "of no use"), moment)
    assert [fact.request_id for fact in heard if isinstance(fact, UsageMisreported)] == ["a at 0", "a at 3600", "b at 1"]
    [fact] = told(streamed({"prompt_tokens": "x" * 5_000})[1])
    assert len(fact.detail) < 300


def any_value(chance: random.Random) -> Any:
    """Draw a JSON value of any type, counts among them."""
    kinds = [*NO_COUNTS, 0, 1, 7, 7.0, "7", 10**9, chance.randrange(10**6), float(chance.randrange(100)), {"cached_tokens": 3}]
    return chance.choice(kinds)


@pytest.mark.heavy
def test_no_report_breaks_the_sums() -> None:
    """[fault M4] Whatever stands in whatever place: no side below zero, no part above its whole, and nothing of a text for nothing."""
    chance = random.Random(SEED)
    names = ["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"]
    names += ["prompt_tokens_details", "completion_tokens_details", "cache_creation_input_tokens", "candidatesTokenCount", "other"]
    shown, request = Shown(7, 2, text_bytes=30), AskedOf(parse_chat(body()), Target("a", "m", "openai"))
    for _ in range(5_000):
        report = UsageReport()
        for _ in range(chance.randrange(1, 4)):
            report.take({name: any_value(chance) for name in chance.sample(names, chance.randrange(len(names)))})
        billed = report.usage(shown, request)
        assert billed.input_tokens > 0, report.fields
        assert billed.output_tokens > 0, report.fields
        assert 0 <= billed.cached_tokens + billed.cache_write_tokens <= billed.input_tokens, report.fields
        assert 0 <= billed.reasoning_tokens <= billed.output_tokens, report.fields
        document = report.document(billed)
        assert document["total_tokens"] == billed.input_tokens + billed.output_tokens
        assert all(type(document[name]) is int for name in ("prompt_tokens", "completion_tokens"))
        json.dumps(document)


@pytest.mark.parametrize("bound", [1, 3, 15, 16])
def test_a_bound_that_was_raised_is_no_limit_on_what_can_have_been_made(bound: int) -> None:
    """[fault M4] The Responses API takes none below 16 tokens, so that as many are asked for, may be made, and cost what they do."""
    said = {
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "one two", "annotations": []}],
    }
    report = {"input_tokens": 9, "output_tokens": 16, "total_tokens": 25}
    answer = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [said], "usage": report}
    vendor = ScriptedUpstream(Script([json.dumps(answer).encode()], headers={}))
    rig = Rig(vendor, vendor={"dialect": "responses"}, prices=Prices(input=IN / 1_000, output=OUT / 1_000))
    run_virtual(rig.call(MemoryClient(), body(max_tokens=bound)))
    assert (row_of(rig).billed.output_tokens, row_of(rig).billed.source, row_of(rig).cost) == (16, REPORTED, 9 * IN + 16 * OUT)
    assert told(rig) == []
