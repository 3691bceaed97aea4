"""Texts that came many at a time are written as each by itself would be, whatever stands between them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.answer import Extra, Finish, Identity, Part, Reasoning, Text, positions
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door, Encoder
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from aisa.wire.text_runs import runs_in
from repeats import repeats

LOGPROBS = {"content": [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}], "refusal": None}
SAID = st.builds(Text, st.just(0), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4), st.integers(0, 3))
THOUGHT = st.builds(Reasoning, st.just(0), st.just("hm"), st.integers(0, 3))
PARTS = st.lists(SAID | SAID | SAID | THOUGHT, min_size=1, max_size=12)
ASKED = {
    CHAT_DOOR: b'{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi."}]}',
    MESSAGES_DOOR: b'{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi."}]}',
    RESPONSES_DOOR: b'{"model":"m","stream":true,"input":"Hi."}',
}


def encoder_of(door: Door) -> Encoder:
    """What writes a stream at a door."""
    return door.encoder(door.read(ASKED[door]), call_id="req_1", created=1)


def written(encoder: Encoder, reads: Sequence[Sequence[Part]]) -> tuple[bytes, list[tuple[int, int]]]:
    """All that a client gets for what these reads brought; where the tokens in it become more, and how many they are then."""
    pieces = [piece for parts in reads if (piece := encoder.write(parts)) is not None]
    ends, counts = positions(pieces)
    grown = [(end, count) for end, count, before in zip(ends, counts, (0, *counts), strict=False) if count > before]
    return b"".join([piece.data for piece in pieces]), grown


@pytest.mark.parametrize("door", [pytest.param(door, id=door.protocol) for door in ASKED])
@settings(deadline=None, max_examples=repeats(100))
@given(parts=PARTS)
def test_texts_of_one_read_are_written_as_each_alone(door: Door, parts: list[Part]) -> None:
    """The same bytes, and the same tokens at the same places, with thinking among the texts and a finish behind them."""
    answer: list[Part] = [Identity("msg_1", 1, "m"), *parts, Finish(0, "stop")]
    assert written(encoder_of(door), [answer]) == written(encoder_of(door), [[part] for part in answer])


def test_a_text_stays_with_its_log_probabilities() -> None:
    """What is told beside a text goes into its event at the Responses door, though texts before it are a run."""
    texts: list[Part] = [Text(0, word, 1) for word in ("a", "b", "c", "d")]
    data, _ = written(encoder_of(RESPONSES_DOOR), [[Identity("i", 1, "m"), *texts, Extra(0, "logprobs", LOGPROBS, 0, beside=True)]])
    events = [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: ")]
    told = [event["logprobs"] for event in events if event["type"] == "response.output_text.delta"]
    assert [len(each) for each in told] == [0, 0, 0, 1]


@given(parts=PARTS)
def test_runs_are_all_the_parts_in_order(parts: list[Part]) -> None:
    """Nothing is lost where parts are cut, and a text that begins something is in no run of further ones."""
    runs = runs_in(parts)
    assert [part for run in runs for part in run] == parts
    assert all(runs)
    for run in runs[1:]:
        assert all(type(part) is Text for part in run) or type(run[0]) is not Text
