"""(fault M5) What was made for a request and nobody sees in its answer is in the bill: rejected predictions, answers left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.testing.clock import run_virtual
from aisa.usage import IMPLAUSIBLE, REPORTED
from aisa.wire.completions_door import COMPLETIONS_DOOR
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, document, event, text

REJECTED = 20_000
FORETOLD = {"prediction": {"type": "content", "content": "x " * REJECTED}}


def billed(details: dict[str, Any], *, stream: bool) -> tuple[int, str]:
    """Return the output tokens that are charged for, of an answer of a few words, and where their count is from."""
    counts = {"prompt_tokens": 9, "completion_tokens": REJECTED + 3, "total_tokens": REJECTED + 12, "completion_tokens_details": details}
    steps = [*text("Hello", " there", "."), chunk({}, "stop"), event({**HEAD, "choices": [], "usage": counts}), DONE]
    if not stream:
        steps = [json.dumps(json.loads(document()) | {"usage": counts}).encode()]
    rig = Rig(ScriptedUpstream(Script(steps)), each=[Prices(input=1, output=1)])
    run_virtual(rig.call(MemoryClient(), body(stream=stream, **FORETOLD)))
    return rig.rows[0].billed.output_tokens, rig.rows[0].generated.source


@pytest.mark.parametrize("stream", [True, False])
def test_what_was_foretold_and_rejected_is_billed_as_reported(*, stream: bool) -> None:
    """[fault M5] 20,000 tokens of a long prediction were taken for a report that cannot be: the few words that were seen were billed."""
    told = {"reasoning_tokens": 0, "accepted_prediction_tokens": 2, "rejected_prediction_tokens": REJECTED}
    assert billed(told, stream=stream) == (REJECTED + 3, REPORTED)
    for wrong in ({"rejected_prediction_tokens": 0}, {"rejected_prediction_tokens": "many"}):
        tokens, source = billed(told | wrong, stream=stream)
        assert (tokens < 10, source) == (True, IMPLAUSIBLE)


@pytest.mark.parametrize(("asked", "billed_as"), [({"best_of": 20}, REPORTED), ({"best_of": 20, "n": 19}, IMPLAUSIBLE), ({}, IMPLAUSIBLE)])
def test_answers_that_are_made_and_not_given_are_billed_as_reported(asked: dict[str, Any], billed_as: str) -> None:
    """[fault M5] Nineteen of twenty answers of a thousand tokens were made for nothing: 20,000 tokens could not be in a word of text."""
    given = [{"index": at, "text": "Hello.", "finish_reason": "stop", "logprobs": None} for at in range(asked.get("n", 1))]
    counts = {"prompt_tokens": 9, "completion_tokens": 20_000, "total_tokens": 20_009}
    told = {"id": "c", "object": "text_completion", "created": 1, "model": "some-model", "choices": given, "usage": counts}
    rig = Rig(ScriptedUpstream(Script([json.dumps(told).encode()])), each=[Prices(input=1, output=1)], vendor={"completions": True})
    request = {"model": "fast", "prompt": "Hi.", "max_tokens": 1_000, **asked}
    run_virtual(rig.call(MemoryClient(), json.dumps(request).encode(), COMPLETIONS_DOOR))
    assert rig.rows[0].generated.source == billed_as
    assert (rig.rows[0].billed.output_tokens == 20_000) is (billed_as == REPORTED)
