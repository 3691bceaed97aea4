"""What vendors have reported of their answers, at prices, and what each is to cost, for `test_vendor_bills` and `litellm_bills`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from aisa.config.schema import Prices, VendorTier
from aisa.ledger.row import CallRow
from aisa.testing.clock import run_virtual
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, document, event, text


class Report(NamedTuple):
    """An answer at prices: its text, its usage as the vendor writes it, and the bill in micro-dollars.

    `more` are further members of the answer, those of its message under `message`; `asked` of the request. `vendor` is who reports so, as
    LiteLLM calls it.
    """

    prices: Prices
    said: str
    usage: Mapping[str, Any] | None
    micros: int
    more: Mapping[str, Any] = MappingProxyType({})
    asked: Mapping[str, Any] = MappingProxyType({})
    vendor: str = "openai"


GPT = Prices(input=2.5, output=10)
CLAUDE = Prices(input=3, cached_input=0.3, cache_write=3.75, output=15)
ROUND = Prices(input=10, cached_input=1, cache_write=12.5, output=20)
HELLO = "Hello there."  # 12 bytes: 3 tokens where nobody counts them

#: Each with its arithmetic.
REPORTS: Mapping[str, Report] = {
    # 1,000 x 1.35 + 500 x 5.4
    "a deployment of another maker's model, with prices of its own": Report(
        Prices(input=1.35, output=5.4),
        HELLO * 100,
        {"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500},
        4_050,
        vendor="azure",
    ),
    # the total says that what was cached stands beside the prompt: 3,000 x 3 + 2,000 x 0.3 + 500 x 15
    "cached tokens beside a larger prompt": Report(
        CLAUDE,
        HELLO * 100,
        {"prompt_tokens": 3_000, "completion_tokens": 500, "total_tokens": 5_500, "prompt_tokens_details": {"cached_tokens": 2_000}},
        17_100,
        vendor="anthropic",
    ),
    # inside, by the total: 1,000 x 3 + 9,000 x 0.3 + 500 x 15
    "cached tokens under Anthropic's name": Report(
        CLAUDE,
        HELLO * 100,
        {"prompt_tokens": 10_000, "completion_tokens": 500, "total_tokens": 10_500, "cache_read_input_tokens": 9_000},
        13_200,
    ),
    # said twice, counted once: 1,000 x 3 + 9,000 x 3.75 + 500 x 15
    "tokens written to a cache, under two names": Report(
        CLAUDE,
        HELLO * 100,
        {
            "prompt_tokens": 10_000,
            "completion_tokens": 500,
            "total_tokens": 10_500,
            "cache_creation_input_tokens": 9_000,
            "prompt_tokens_details": {"cache_creation_tokens": 9_000},
        },
        44_250,
    ),
    # 1,000 x 0.6 + 9,000 x 0.15 + 500 x 2.5
    "cached tokens at the top": Report(
        Prices(input=0.6, cached_input=0.15, output=2.5),
        HELLO * 100,
        {"prompt_tokens": 10_000, "completion_tokens": 500, "total_tokens": 10_500, "cached_tokens": 9_000},
        3_200,
        vendor="moonshot",
    ),
    # the total less the prompt is 2,100: 1,000 x 1.25 + 2,100 x 10
    "thinking that stands in the total alone": Report(
        Prices(input=1.25, output=10),
        HELLO * 30,
        {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 3_100},
        22_250,
    ),
    # the prompt and what its total leaves: 1,000 x 2.5 + 500 x 10
    "a prompt and a total": Report(GPT, HELLO * 100, {"prompt_tokens": 1_000, "total_tokens": 1_500}, 7_500),
    "counts as text and as decimals": Report(
        GPT,
        HELLO * 100,
        {"prompt_tokens": "1000", "completion_tokens": 500.0, "total_tokens": 1500.0},
        7_500,
    ),
    "input and output tokens": Report(GPT, HELLO * 100, {"input_tokens": 1_000, "output_tokens": 500}, 7_500),
    # 200 x 10 + 800 x 12.5 + 10 x 20
    "written tokens in the details": Report(
        ROUND,
        HELLO * 3,
        {
            "prompt_tokens": 1_000,
            "completion_tokens": 10,
            "total_tokens": 1_010,
            "prompt_tokens_details": {"cache_creation_tokens": 800},
        },
        12_200,
    ),
    # 100 x 10 + 900 x 1 + 10 x 20
    "most of the prompt cached, at the top": Report(
        ROUND,
        HELLO * 3,
        {"prompt_tokens": 1_000, "completion_tokens": 10, "total_tokens": 1_010, "cached_tokens": 900},
        2_100,
    ),
    # 100 x 10 + 20 x 20 + 30 x 40
    "reasoning at the top, with a price of its own": Report(
        Prices(input=10, output=20, reasoning=40),
        HELLO * 3,
        {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "reasoning_tokens": 30},
        2_600,
    ),
    # 515 - 10 = 505, of which 500 hidden: 10 x 10 + 505 x 20
    "a little text and much that was not shown": Report(
        ROUND, HELLO, {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 515}, 10_200
    ),
    # the text has 3 tokens, and the rest of the total is input: 297 x 10 + 3 x 20
    "a total alone": Report(ROUND, HELLO, {"total_tokens": 300}, 3_030),
    # the prompt as reported, the text counted: 100 x 10 + 3 x 20
    "a total that leaves nothing for the text": Report(ROUND, HELLO, {"prompt_tokens": 100, "total_tokens": 100}, 1_060),
    # "Hi." is one token by its size: 1 x 10 + 3 x 20
    "an empty object": Report(ROUND, HELLO, {}, 70),
    "nothing but nulls": Report(ROUND, HELLO, {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}, 70),
    "no report": Report(ROUND, HELLO, None, 70),
    # cut down to their wholes, and none of these kinds has a price of its own: 3 x 2.5 + 3 x 10 = 37.5
    "parts that are larger than their wholes": Report(
        GPT,
        HELLO,
        {
            "prompt_tokens": 3,
            "completion_tokens": 3,
            "total_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": 5_000, "audio_tokens": 5_000},
            "completion_tokens_details": {"reasoning_tokens": 9_000},
        },
        37,
    ),
    # as audio, in and out: 200 x 2.5 + 800 x 40 + 100 x 10 + 400 x 80
    "sound in and out": Report(
        Prices(input=2.5, output=10, input_audio=40, output_audio=80),
        HELLO * 100,
        {
            "prompt_tokens": 1_000,
            "completion_tokens": 500,
            "total_tokens": 1_500,
            "prompt_tokens_details": {"audio_tokens": 800, "cached_tokens": 0, "text_tokens": 200},
            "completion_tokens_details": {"audio_tokens": 400, "text_tokens": 100, "reasoning_tokens": 0},
        },
        65_500,
    ),
    # all of the input is sound, so what of it was cached is too: 2,000 x 1 + 8,000 x 0.1 + 100 x 2.5
    "cached sound": Report(
        Prices(input=0.3, output=2.5, cached_input=0.03, input_audio=1, cached_input_audio=0.1),
        HELLO * 20,
        {
            "prompt_tokens": 10_000,
            "completion_tokens": 100,
            "total_tokens": 10_100,
            "prompt_tokens_details": {"audio_tokens": 10_000, "cached_tokens": 8_000},
        },
        3_050,
        vendor="gemini",
    ),
    # the request says for how long: 1,000 x 3 + 9,000 x 6 + 500 x 15
    "written to a cache for an hour": Report(
        Prices(input=3, cached_input=0.3, cache_write=3.75, cache_write_1h=6, output=15),
        HELLO * 100,
        {"prompt_tokens": 10_000, "completion_tokens": 500, "total_tokens": 10_500, "prompt_tokens_details": {"cache_write_tokens": 9_000}},
        64_500,
        asked={"cache_control": {"type": "ephemeral", "ttl": "1h"}},
        vendor="openrouter",
    ),
    # a search shows by what it cites: 1,000 x 2.5 + 500 x 10 and 25,000
    "one search, by its citation": Report(
        Prices(input=2.5, output=10, per_search=0.025),
        HELLO * 100,
        {"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500},
        32_500,
        more={
            "message": {
                "annotations": [
                    {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "title": "t", "url": "http://a.example"}}
                ]
            }
        },
    ),
    # 1,000 x 0.3 + 100 x 0.5 and 10 x 25,000
    "sources of a search": Report(
        Prices(input=0.3, output=0.5, per_source=0.025),
        HELLO * 20,
        {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100, "num_sources_used": 10},
        250_350,
        vendor="xai",
    ),
    # the answer names the tier: 100,000 x 3.5 + 5,000 x 14
    "a dearer service tier": Report(
        Prices(input=2, output=8, service_tiers={"priority": VendorTier(input=3.5, output=14)}),
        HELLO * 1_000,
        {"prompt_tokens": 100_000, "completion_tokens": 5_000, "total_tokens": 105_000},
        420_000,
        more={"service_tier": "priority"},
        asked={"service_tier": "priority"},
    ),
    # asked for, and not given: 100,000 x 2 + 5,000 x 8
    "a dearer service tier that the vendor had no room in": Report(
        Prices(input=2, output=8, service_tiers={"priority": VendorTier(input=3.5, output=14)}),
        HELLO * 1_000,
        {"prompt_tokens": 100_000, "completion_tokens": 5_000, "total_tokens": 105_000},
        240_000,
        more={"service_tier": "default"},
        asked={"service_tier": "priority"},
    ),
}


def answer_of(report: Report) -> dict[str, Any]:
    """Return the document that a vendor answers with."""
    answer = json.loads(document(report.said))
    del answer["usage"]
    for name, value in report.more.items():
        if name == "message":
            answer["choices"][0]["message"].update(value)
        else:
            answer[name] = value
    return answer if report.usage is None else {**answer, "usage": dict(report.usage)}


def billed(report: Report, *, stream: bool) -> CallRow:
    """Make one call that is answered so, and return its row."""
    if stream:
        top = {name: value for name, value in report.more.items() if name != "message"}
        said = text(report.said)
        if "message" in report.more:
            said.append(chunk(dict(report.more["message"])))
        counts = [] if report.usage is None else [event({**HEAD, **top, "choices": [], "usage": report.usage})]
        if top and not counts:
            raise ValueError("without a report nothing carries the answer's other members")
        steps = [*said, chunk({}, "stop"), *counts, DONE]
    else:
        steps = [json.dumps(answer_of(report)).encode()]
    rig = Rig(ScriptedUpstream(Script(steps)), each=[report.prices])
    run_virtual(rig.call(MemoryClient(), body(stream=stream, **report.asked)))
    [row] = rig.rows
    return row
