"""[fault M12] An answer that took several steps with tools between costs what all of them took, as Groq's systems report it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.ledger.audit import differences_of
from aisa.ledger.row import CallRow
from aisa.testing.clock import run_virtual
from aisa.usage import ESTIMATED, REPORTED
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, document, event, text

PRICES = Prices(input=1, output=10, per_search=0.005)
SEARCH = 5_000_000  # nano-dollars
RAN = {"executed_tools": [{"index": 0, "type": "search", "arguments": "{}", "output": "Title: Weather"}]}
Report = dict[str, Any]


def told(taken: int, made: int, total: int | None = None, **more: Any) -> Report:
    """A report of usage."""
    return {"prompt_tokens": taken, "completion_tokens": made, "total_tokens": taken + made if total is None else total, **more}


def models(*sides: tuple[int, int]) -> Report:
    """What each step took, as Groq writes it beside usage."""
    return {"models": [{"model": "openai/gpt-oss-120b", "usage": {**told(*each), "queue_time": 0.1}} for each in sides]}


#: usage, its breakdown, whether the answer shows a tool that ran -> input and output in the row, and where the input is from
CASES: list[tuple[Report, Report | None, bool, tuple[int, int, str]]] = [
    (told(116, 571, 7340), None, True, (6769, 571, ESTIMATED)),  # Groq's own example: of 6,653 tokens nobody knows more than the total
    (told(116, 571, 7340), models((600, 53), (6000, 571)), True, (6716, 624, ESTIMATED)),
    (told(116, 571, 7340), models((716, 53), (6000, 571)), True, (6716, 624, REPORTED)),
    (told(116, 571, 7340), models((716, 53), (6000, 571)), False, (6716, 624, REPORTED)),
    (told(116, 571), models((716, 53), (6000, 571)), True, (6716, 624, REPORTED)),
    (told(6716, 624), models((716, 53), (6000, 571)), True, (6716, 624, REPORTED)),
    (told(6716, 624), models((1, 1)), True, (6716, 624, REPORTED)),
    (told(116, 571), None, True, (116, 571, REPORTED)),
    (told(116, 571), {"models": None}, False, (116, 571, REPORTED)),
    (told(116, 571), {"models": [5, {"usage": {"prompt_tokens": "x", "completion_tokens": -4}}]}, False, (116, 571, REPORTED)),
    (told(116, 571, 7340), None, False, (116, 7224, REPORTED)),  # thinking that is in no side, as ever
    (told(116, 571, 787, completion_tokens_details={"reasoning_tokens": 100}), None, True, (116, 671, REPORTED)),
    (told(116, 571, 787, completion_tokens_details={"reasoning_tokens": 100}), models((116, 571)), True, (116, 671, REPORTED)),
    (told(300, 20, 400, completion_tokens_details={"reasoning_tokens": 80}), models((300, 20)), False, (300, 100, REPORTED)),
    (told(300, 20, 1320, reasoning_tokens=80), models((600, 320), (300, 20)), True, (900, 420, REPORTED)),  # the thinking is in no side
    (told(116, 571), models((716, 53), (6000, 571)), False, (6716, 624, REPORTED)),  # a document that could pass as it is
    (told(116, 571, 3_000_000), None, True, (116, 571, REPORTED)),  # beyond what can be
    (told(300_000, 571, 300_571), models((300_000, 9), (400_000, 571)), True, (700_000, 580, REPORTED)),
]


def row_of(steps: Sequence[bytes], *, stream: bool) -> tuple[CallRow, MemoryClient]:
    """Make a call to a vendor that answers so; return its row, which adds up, and what its client got."""
    rig = Rig(ScriptedUpstream(Script(steps)), each=[PRICES], look_up=lambda *_: None)
    client = MemoryClient()
    run_virtual(rig.call(client, body(stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}))))
    [row] = rig.rows
    assert list(differences_of(row)) == []
    return row, client


@pytest.mark.parametrize("inside", [True, False], ids=["x_groq", "top"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("usage", "breakdown", "ran", "expected"), CASES, ids=range(len(CASES)))
def test_an_answer_of_several_steps_costs_what_they_took(
    usage: Report, breakdown: Report | None, ran: bool, expected: tuple[int, int, str], *, stream: bool, inside: bool
) -> None:
    """What the total alone has was most likely read: it costs what input does, and the row says that the input is an estimate.

    Wherever the breakdown stands, a stream costs what the document does.
    """
    message, beside = RAN if ran else {}, {"usage_breakdown": breakdown}
    groq: Report = {"x_groq": {"id": "req_1", **(beside if inside else {})}, **({} if inside else beside)}
    if stream:
        last = event({**HEAD, "choices": [], "usage": usage, **groq})
        row, client = row_of([*text("Hello" * 400), chunk(message), chunk({}, "stop"), last, DONE], stream=True)
        trees = [json.loads(line[6:]) for line in client.body.splitlines() if line.startswith(b"data: {")]
        [shown] = [tree["usage"] for tree in trees if tree.get("usage")]
    else:
        tree = json.loads(document())
        tree["choices"][0]["message"] |= {"content": "Hello" * 400, **message}
        row, client = row_of([json.dumps({**tree, "usage": usage, **groq}).encode()], stream=False)
        shown = json.loads(client.body)["usage"]
    taken, made, _ = expected
    assert (row.billed.input_tokens, row.billed.output_tokens, row.billed.input_source) == expected
    assert row.cost == taken * 1_000 + made * 10_000 + ran * SEARCH
    assert (shown["prompt_tokens"], shown["completion_tokens"], shown["total_tokens"]) == (taken, made, taken + made)


def test_a_plain_report_behind_a_breakdown_does_not_hide_it() -> None:
    """The breakdown in one chunk, usage as OpenAI writes it in the next."""
    groq = event(
        {**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "x_groq": {"usage_breakdown": models((50, 5), (60, 6))}}
    )
    row, _ = row_of([*text("Hello", " there"), groq, event({**HEAD, "choices": [], "usage": told(60, 6)}), DONE], stream=True)
    assert (row.billed.input_tokens, row.billed.output_tokens) == (110, 11)
