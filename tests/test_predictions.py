"""(fault M5) What a request foretold and its model did not write was made, and is in the bill: nothing of it is seen in the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.testing.clock import run_virtual
from aisa.usage import IMPLAUSIBLE, REPORTED
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
