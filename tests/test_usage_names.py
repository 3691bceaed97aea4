"""The names and places that vendors give their counts in, one table for all: what is billed, and what the client is shown."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from aisa.config.schema import Prices
from aisa.usage import REPORTED, Breakdown, Usage
from one_call import made, row_of
from rig import DONE, HEAD, chunk, document, event, events_of, text

INPUTS = ("prompt_tokens_details", "input_tokens_details")
OUTPUTS = ("completion_tokens_details", "output_tokens_details")
CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens", "cache_read_tokens")
WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens")


def sides(taken: int, output: int, total: int | None = None) -> dict[str, Any]:
    """A report of both sides, with a total unless there is none."""
    return {"prompt_tokens": taken, "completion_tokens": output, **({} if total is None else {"total_tokens": total})}


def usage(taken: int, output: int, **parts: Any) -> Usage:
    """What was reported."""
    return Usage(taken, output, source=REPORTED, input_source=REPORTED, **parts)


#: What Perplexity says of a call of deep research, in its documentation's example.
COSTS = {"input_tokens_cost": 0.000066, "citation_tokens_cost": 0.040032, "reasoning_tokens_cost": 0.221991, "total_cost": 0.41}

#: What a vendor reports -> what is billed. The text has three tokens by our own count, the request some.
TABLE: list[tuple[dict[str, Any], Usage]] = [
    # Other names for the sides
    ({"input_tokens": 100, "output_tokens": 50, "total_tokens": 150}, usage(100, 50)),
    ({"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 100, "output_tokens": 50}, usage(100, 50)),
    ({"prompt_tokens": 100, "completion_tokens": 50, "input_tokens": 100, "output_tokens": 50}, usage(100, 50)),
    ({"prompt_tokens": 1_000, "total_tokens": 1_500}, usage(1_000, 500)),
    ({"completion_tokens": 500, "total_tokens": 1_500}, usage(1_000, 500)),
    (
        {"promptTokenCount": 20, "candidatesTokenCount": 5, "thoughtsTokenCount": 30, "totalTokenCount": 55},
        usage(20, 35, reasoning_tokens=30),
    ),
    ({"promptTokenCount": 20, "toolUsePromptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 32}, usage(27, 5)),
    ({"inputTokens": 100, "outputTokens": 50, "totalTokens": 150}, usage(100, 50)),
    ({"promptTokens": 100, "completionTokens": "50", "totalTokens": 150.0}, usage(100, 50)),
    ({"inputTokens": 100, "outputTokens": 50, "totalTokens": 1_050, "cacheReadInputTokens": 900}, usage(1_000, 50, cached_tokens=900)),
    ({"inputTokens": 1_000, "outputTokens": 50, "totalTokens": 1_050, "cachedInputTokens": 900}, usage(1_000, 50, cached_tokens=900)),
    (
        {"inputTokens": 100, "outputTokens": 50, "totalTokens": 1_250, "cacheReadInputTokens": 900, "cacheWriteInputTokens": 200},
        usage(1_200, 50, cached_tokens=900, cache_write_tokens=200),
    ),
    ({"inputTokens": 100, "outputTokens": 50, "reasoningTokens": 30}, usage(100, 50, reasoning_tokens=30)),
    ({**sides(100, 50, 150), "thinking_tokens": 30}, usage(100, 50, reasoning_tokens=30)),
    ({**sides(100, 50, 150), OUTPUTS[1]: {"thinking_tokens": 30}}, usage(100, 50, reasoning_tokens=30)),
    # Thinking that stands only in the total, or beside the output
    (sides(10, 5, 515), usage(10, 505, reasoning_tokens=500)),
    (sides(1_000, 100, 3_100), usage(1_000, 2_100, reasoning_tokens=2_000)),
    ({**sides(10, 5, 515), OUTPUTS[0]: {"reasoning_tokens": 0}}, usage(10, 505, reasoning_tokens=500)),
    ({**sides(10, 5, 515), OUTPUTS[0]: {"reasoning_tokens": 500}}, usage(10, 505, reasoning_tokens=500)),
    ({**sides(10, 505, 515), OUTPUTS[0]: {"reasoning_tokens": 500}}, usage(10, 505, reasoning_tokens=500)),
    ({**sides(21, 5), "reasoning_tokens": 60}, usage(21, 65, reasoning_tokens=60)),
    ({**sides(21, 5, 26), "reasoning_tokens": 60}, usage(21, 5, reasoning_tokens=2)),
    ({**sides(100, 50, 150), "reasoning_tokens": 30}, usage(100, 50, reasoning_tokens=30)),
    ({**sides(100, 50, 150), OUTPUTS[1]: {"reasoning_tokens": 30}}, usage(100, 50, reasoning_tokens=30)),
    # A total that cannot be
    (sides(10, 5, 3), usage(10, 5)),
    (sides(10, 5, 0), usage(10, 5)),
    # Beside the prompt, or inside
    ({**sides(3_000, 500, 5_500), INPUTS[0]: {"cached_tokens": 2_000}}, usage(5_000, 500, cached_tokens=2_000)),
    ({**sides(3_000, 500, 3_500), INPUTS[0]: {"cached_tokens": 2_000}}, usage(3_000, 500, cached_tokens=2_000)),
    ({**sides(10, 5, 15), INPUTS[0]: {"cached_tokens": 5_000}}, usage(10, 5, cached_tokens=10)),
    # ... if a call can have so many; else it is clipped: an absurd detail takes no side with it
    ({**sides(100, 50), INPUTS[0]: {"cached_tokens": 1e9}}, usage(100, 50, cached_tokens=100)),
    ({**sides(100, 50), "cache_creation_input_tokens": 10**9}, usage(100, 50, cache_write_tokens=100)),
    ({"prompt_tokens": 100, "total_tokens": 150, "cached_tokens": 10**9}, usage(100, 50, cached_tokens=100)),
    ({**sides(100, 50), OUTPUTS[0]: {"reasoning_tokens": 1e9}}, usage(100, 50, reasoning_tokens=47)),
    ({"completion_tokens": 50, "total_tokens": 150, "reasoning_tokens": "1000000000"}, usage(100, 50, reasoning_tokens=47)),
    # ... and an absurd total takes none either, with parts that explain it and without: it decides nothing
    *[(sides(100, 50, total), usage(100, 50)) for total in (5_000_000, 10**9, 10**9 + 1, 1e300)],
    ({**sides(100, 50, 10**9), OUTPUTS[0]: {"reasoning_tokens": 20}}, usage(100, 50, reasoning_tokens=20)),
    ({**sides(100, 50, 10**9), INPUTS[0]: {"cached_tokens": 10**9 - 150}}, usage(100, 50, cached_tokens=100)),
    ({**sides(100, 50, 10**9), OUTPUTS[0]: {"reasoning_tokens": 10**9 - 150}}, usage(100, 50, reasoning_tokens=47)),
    ({**sides(10, 5), INPUTS[0]: {"cached_tokens": 5_000}}, usage(5_010, 5, cached_tokens=5_000)),
    (
        {**sides(10, 5, 115), "cache_read_input_tokens": 60, "cache_creation_input_tokens": 40},
        usage(110, 5, cached_tokens=60, cache_write_tokens=40),
    ),
    (
        {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 40},
        usage(110, 5, cached_tokens=60, cache_write_tokens=40),
    ),
    (
        {**sides(10, 5, 55), "cache_read_input_tokens": 40, "cache_creation_input_tokens": 5},
        usage(50, 5, cached_tokens=40, cache_write_tokens=5),
    ),
    (
        {**sides(10, 5, 75), "cached_tokens": 40, "reasoning_tokens": 20},
        usage(50, 25, cached_tokens=40, reasoning_tokens=20),
    ),
    # Said twice
    (
        {
            **sides(10_000, 500, 10_500),
            "cache_creation_input_tokens": 9_000,
            INPUTS[0]: {"cached_tokens": 0, "cache_creation_tokens": 9_000},
        },
        usage(10_000, 500, cache_write_tokens=9_000),
    ),
    ({**sides(100, 5, 105), "cached_tokens": 60, INPUTS[0]: {"cached_tokens": 40}}, usage(100, 5, cached_tokens=60)),
    ({**sides(100, 5, 105), "cached_tokens": "60", INPUTS[1]: {"cached_tokens": 400}}, usage(100, 5, cached_tokens=100)),
    # How long writes last
    (
        {**sides(100, 5, 105), "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30}},
        usage(100, 5, cache_write_tokens=50, breakdown=Breakdown(cache_write_1h_tokens=30)),
    ),
    (
        {**sides(100, 5, 105), INPUTS[0]: {"cache_write_tokens": 40, "cache_creation": {"ephemeral_12h_input_tokens": 60}}},
        usage(100, 5, cache_write_tokens=60, breakdown=Breakdown(cache_write_12h_tokens=60)),
    ),
    # Audio, images, searches
    (
        {**sides(10_000, 100, 10_100), INPUTS[0]: {"audio_tokens": 10_000, "cached_tokens": 8_000}},
        usage(10_000, 100, cached_tokens=8_000, input_audio_tokens=10_000, breakdown=Breakdown(cached_audio_tokens=8_000)),
    ),
    (
        {**sides(100, 9, 109), INPUTS[0]: {"audio_tokens": 50, "cached_tokens": 40, "cached_tokens_details": {"audio_tokens": 30}}},
        usage(100, 9, cached_tokens=40, input_audio_tokens=50, breakdown=Breakdown(cached_audio_tokens=30)),
    ),
    (
        {**sides(100, 9, 109), INPUTS[0]: {"image_tokens": 70}, OUTPUTS[0]: {"image_tokens": 8, "audio_tokens": 50}},
        usage(100, 9, output_audio_tokens=9, breakdown=Breakdown(input_image_tokens=70, output_image_tokens=8)),
    ),
    ({**sides(100, 9, 109), "num_sources_used": 10}, usage(100, 9, breakdown=Breakdown(sources=10))),
    ({**sides(100, 9, 109), "server_tool_use": {"web_search_requests": 3}}, usage(100, 9, breakdown=Breakdown(searches=3))),
    # No call searches a million times: it did once at least.
    (
        {**sides(100, 9, 109), "num_sources_used": 10**6, "num_search_queries": 1_001},
        usage(100, 9, breakdown=Breakdown(searches=1, sources=1)),
    ),
    ({**sides(100, 9, 109), "plugins": {"search": {"count": 2, "strategy": "agent"}}}, usage(100, 9, breakdown=Breakdown(searches=2))),
    ({**sides(100, 9, 109), "plugins": {"search": {"count": 0}}}, usage(100, 9)),
    ({**sides(100, 9, 109), "plugins": ["search"], "x_tools": {"web_search": 3}}, usage(100, 9)),
    (
        {**sides(100, 9, 109), "x_tools": {"web_search": {"count": "3"}, "web_extractor": {"count": 9}}},
        usage(100, 9, breakdown=Breakdown(searches=3)),
    ),
    ({**sides(100, 9, 109), "tool_usage": {"web_search": 4}}, usage(100, 9, breakdown=Breakdown(searches=4))),
    ({**sides(100, 9, 109), "tool_usage": {"web_search": {"num_requests": 5}}}, usage(100, 9, breakdown=Breakdown(searches=5))),
    # What several members say is said once
    (
        {**sides(100, 9, 109), "plugins": {"search": {"count": 2}}, "num_search_queries": 3},
        usage(100, 9, breakdown=Breakdown(searches=3)),
    ),
    # Research, which stands beside every sum where the vendor's cost has a price for it, whatever the total; else it is clipped as ever
    *[
        (
            {**sides(33, 3_000, total), "citation_tokens": 20_016, "reasoning_tokens": 73_997, "num_search_queries": 18, "cost": COSTS},
            usage(20_049, 76_997, reasoning_tokens=73_997, breakdown=Breakdown(searches=18)),
        )
        for total in (3_033, None, 97_046)
    ],
    (
        {**sides(33, 3_000, 3_033), "citation_tokens": 20_016, "reasoning_tokens": 500, "cost": {**COSTS, "citation_tokens_cost": 0}},
        usage(33, 3_500, reasoning_tokens=500),
    ),
    ({**sides(33, 3_000, 3_033), "citation_tokens": 20_016, "reasoning_tokens": 500, "cost": 0.41}, usage(33, 3_000, reasoning_tokens=500)),
    ({**sides(33, 90, 123), "citation_tokens": 1_000_001, "cost": COSTS}, usage(33, 90)),
    ({**sides(33, 90, 123), "citation_tokens": -5, "reasoning_tokens": 0, "cost": COSTS}, usage(33, 90)),
    ({**sides(100, 9, 109), "num_search_queries": 1_000}, usage(100, 9, breakdown=Breakdown(searches=1_000))),
    # Sound beyond its whole, in a report that is right otherwise and passes as it is
    ({**sides(100, 50, 150), OUTPUTS[0]: {"audio_tokens": 999}}, usage(100, 50, output_audio_tokens=50)),
    (
        {**sides(100, 50, 150), OUTPUTS[0]: {"audio_tokens": 40, "reasoning_tokens": 30}},
        usage(100, 50, reasoning_tokens=30, output_audio_tokens=40),
    ),
    ({**sides(100, 50, 150), INPUTS[0]: {"audio_tokens": 999}}, usage(100, 50, input_audio_tokens=100)),
    ({"prompt_tokens": 1e2, "completion_tokens": "50", "total_tokens": 1.5e2}, usage(100, 50)),
    ({"prompt_tokens": "100", "completion_tokens": 5e1, OUTPUTS[1]: {"reasoning_tokens": 3e1}}, usage(100, 50, reasoning_tokens=30)),
]
TABLE += [
    ({**sides(1_000, 10, 1_010), **part}, usage(1_000, 10, **{kind: 900}))
    for names, kind in ((CACHED, "cached_tokens"), (WRITTEN, "cache_write_tokens"))
    for name in names
    for part in ({name: 900}, *({place: {name: 900}} for place in INPUTS))
]


@pytest.mark.parametrize(("report", "billed"), TABLE, ids=[json.dumps(report)[1:100] for report, _ in TABLE])
def test_counts_are_read_under_every_name_in_a_stream_and_a_document_alike(report: dict[str, Any], billed: Usage) -> None:
    """[fault M9, fault M10] The same tokens of the same kinds; the client is shown OpenAI's names and sums beside the vendor's."""
    events = [*text("Hello", " there", "."), chunk({}, "stop"), event({**HEAD, "choices": [], "usage": report}), DONE]
    answer = {**json.loads(document("Hello there.")), "usage": report}
    client, rig = made(events, stream_options={"include_usage": True})
    other, second = made([json.dumps(answer).encode()], stream=False)
    assert row_of(rig).billed == billed
    assert row_of(second).billed == billed
    for shown in (events_of(client.body)[-2]["usage"], json.loads(other.body)["usage"]):
        assert (shown["prompt_tokens"], shown["completion_tokens"]) == (billed.input_tokens, billed.output_tokens)
        assert shown["total_tokens"] == billed.input_tokens + billed.output_tokens
        assert (shown.get(INPUTS[0]) or {}).get("cached_tokens", 0) == billed.cached_tokens
        assert (shown.get(INPUTS[0]) or {}).get("cache_write_tokens", 0) == billed.cache_write_tokens
        assert (shown.get(OUTPUTS[0]) or {}).get("reasoning_tokens", 0) == billed.reasoning_tokens
        assert all(name in shown for name in report if name not in (INPUTS[1], OUTPUTS[1], "cost"))


@pytest.mark.parametrize(("report", "billed"), TABLE[:12], ids=[json.dumps(report)[1:100] for report, _ in TABLE[:12]])
def test_a_report_inside_a_choice_counts_in_a_stream_and_a_document_alike(report: dict[str, Any], billed: Usage) -> None:
    """[fault M4] The table of names has it among the places; nothing else is said there."""
    finish = event({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": report}]})
    answer = json.loads(document("Hello there."))
    del answer["usage"]
    answer["choices"][0]["usage"] = report
    assert row_of(made([*text("Hello", " there", "."), finish, DONE])[1]).billed == billed
    assert row_of(made([json.dumps(answer).encode()], stream=False)[1]).billed == billed


def test_the_rest_of_a_total_is_the_input_that_was_not_reported() -> None:
    """[fault M4] With a total alone the output is counted, and the input is what remains: as good as that count."""
    events = [*text("Hello", " there", "."), chunk({}, "stop"), event({**HEAD, "choices": [], "usage": {"total_tokens": 300}}), DONE]
    row = row_of(made(events, prices=Prices(input=10, output=20))[1])
    assert (row.billed.input_tokens, row.billed.output_tokens, row.billed.input_source) == (297, 3, row.billed.source)
    assert row.cost == 297 * 10_000 + 3 * 20_000


@pytest.mark.parametrize(("asked", "expected"), [(["1h"], 9_000), (["5m"], 0), ([], 0), (["5m", "1h"], 9_000), (["2h"], 0)])
def test_writes_last_as_long_as_the_request_asked_where_the_vendor_does_not_say(asked: list[str], expected: int) -> None:
    """Fault M12, its reading: the longest that was asked for holds for all that was written; a text that looks like it asks for nothing."""
    report = {**sides(10_000, 500, 10_500), INPUTS[0]: {"cache_write_tokens": 9_000}}
    parts = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": ttl}} for ttl in asked]
    parts.append({"type": "text", "text": '"cache_control": {"ttl": "12h"}'})
    answer = {**json.loads(document()), "usage": report}
    billed = row_of(made([json.dumps(answer).encode()], stream=False, messages=[{"role": "user", "content": parts}])[1]).billed
    assert billed.cache_write_tokens == 9_000
    assert (billed.breakdown.cache_write_1h_tokens if billed.breakdown else 0) == expected


def test_the_rarer_kinds_are_kept_with_the_row_and_shown_in_no_other() -> None:
    """Most calls have none of them, and nothing is written for these."""
    assert msgspec.to_builtins(Breakdown(searches=2)) == {"searches": 2}
    assert Usage().breakdown is None
