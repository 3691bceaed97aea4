"""Bills of real vendors' reports, each with its arithmetic in micro-dollars: what was billed wrong once (faults M4, M9, M10, M16).

As a document and as a stream: the bill is the same.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.ledger.audit import differences_of, exact_cost
from aisa.ledger.row import CallRow
from aisa.testing.clock import run_virtual
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, document, event, text

GPT = Prices(input=2.5, output=10)
CLAUDE = Prices(input=3, cached_input=0.3, cache_write=3.75, output=15)
ROUND = Prices(input=10, cached_input=1, cache_write=12.5, output=20)
HELLO = "Hello there."  # 12 bytes: 3 tokens where nobody counts them

#: name -> prices, the text, usage as the vendor writes it, micro-dollars
BILLS: dict[str, tuple[Prices, str, dict[str, Any] | None, int]] = {
    # 1,000 x 1.35 + 500 x 5.4
    "a deployment of another maker's model, with prices of its own": (
        Prices(input=1.35, output=5.4),
        HELLO * 100,
        {"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500},
        4_050,
    ),
    # the total says that what was cached stands beside the prompt: 3,000 x 3 + 2,000 x 0.3 + 500 x 15
    "cached tokens beside a larger prompt": (
        CLAUDE,
        HELLO * 100,
        {"prompt_tokens": 3_000, "completion_tokens": 500, "total_tokens": 5_500, "prompt_tokens_details": {"cached_tokens": 2_000}},
        17_100,
    ),
    # inside, by the total: 1,000 x 3 + 9,000 x 0.3 + 500 x 15
    "cached tokens under Anthropic's name": (
        CLAUDE,
        HELLO * 100,
        {"prompt_tokens": 10_000, "completion_tokens": 500, "total_tokens": 10_500, "cache_read_input_tokens": 9_000},
        13_200,
    ),
    # said twice, counted once: 1,000 x 3 + 9,000 x 3.75 + 500 x 15
    "tokens written to a cache, under two names": (
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
    "cached tokens at the top": (
        Prices(input=0.6, cached_input=0.15, output=2.5),
        HELLO * 100,
        {"prompt_tokens": 10_000, "completion_tokens": 500, "total_tokens": 10_500, "cached_tokens": 9_000},
        3_200,
    ),
    # the total less the prompt is 2,100: 1,000 x 1.25 + 2,100 x 10
    "thinking that stands in the total alone": (
        Prices(input=1.25, output=10),
        HELLO * 30,
        {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 3_100},
        22_250,
    ),
    # the prompt and what its total leaves: 1,000 x 2.5 + 500 x 10
    "a prompt and a total": (GPT, HELLO * 100, {"prompt_tokens": 1_000, "total_tokens": 1_500}, 7_500),
    "counts as text and as decimals": (
        GPT,
        HELLO * 100,
        {"prompt_tokens": "1000", "completion_tokens": 500.0, "total_tokens": 1500.0},
        7_500,
    ),
    "input and output tokens": (GPT, HELLO * 100, {"input_tokens": 1_000, "output_tokens": 500}, 7_500),
    # 200 x 10 + 800 x 12.5 + 10 x 20
    "written tokens in the details": (
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
    "most of the prompt cached, at the top": (
        ROUND,
        HELLO * 3,
        {"prompt_tokens": 1_000, "completion_tokens": 10, "total_tokens": 1_010, "cached_tokens": 900},
        2_100,
    ),
    # 100 x 10 + 20 x 20 + 30 x 40
    "reasoning at the top, with a price of its own": (
        Prices(input=10, output=20, reasoning=40),
        HELLO * 3,
        {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "reasoning_tokens": 30},
        2_600,
    ),
    # 515 - 10 = 505, of which 500 hidden: 10 x 10 + 505 x 20
    "a little text and much that was not shown": (ROUND, HELLO, {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 515}, 10_200),
    # the text has 3 tokens, and the rest of the total is input: 297 x 10 + 3 x 20
    "a total alone": (ROUND, HELLO, {"total_tokens": 300}, 3_030),
    # the prompt as reported, the text counted: 100 x 10 + 3 x 20
    "a total that leaves nothing for the text": (ROUND, HELLO, {"prompt_tokens": 100, "total_tokens": 100}, 1_060),
    # "Hi." is one token by its size: 1 x 10 + 3 x 20
    "an empty object": (ROUND, HELLO, {}, 70),
    "nothing but nulls": (ROUND, HELLO, {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}, 70),
    "no report": (ROUND, HELLO, None, 70),
    # cut down to their wholes, and none of these kinds has a price of its own: 3 x 2.5 + 3 x 10 = 37.5
    "parts that are larger than their wholes": (
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
}


def billed(prices: Prices, said: str, usage: dict[str, Any] | None, *, stream: bool) -> CallRow:
    """Make one call that is answered so, and return its row, which adds up."""
    if stream:
        report = [] if usage is None else [event({**HEAD, "choices": [], "usage": usage})]
        steps = [*text(said), chunk({}, "stop"), *report, DONE]
    else:
        answer = json.loads(document(said))
        del answer["usage"]
        steps = [json.dumps(answer if usage is None else {**answer, "usage": usage}).encode()]
    rig = Rig(ScriptedUpstream(Script(steps)), each=[prices])
    run_virtual(rig.call(MemoryClient(), body(stream=stream)))
    [row] = rig.rows
    assert list(differences_of(row)) == []
    return row


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", BILLS)
def test_a_vendors_report_costs_what_its_arithmetic_says(name: str, *, stream: bool) -> None:
    """By the server's rule and by that of an auditor who knows the documentation alone."""
    prices, said, usage, micros = BILLS[name]
    row = billed(prices, said, usage, stream=stream)
    assert row.prices is not None
    assert (row.outcome, row.cost // 1_000) == ("completed", micros)
    assert exact_cost(row.billed, row.prices) == row.cost
