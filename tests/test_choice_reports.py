"""What several answers cost at a server that reports each by itself, as llama.cpp's does, and whether all of them arrive."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.ledger.row import CallRow
from aisa.usage import ESTIMATED, REPORTED, Usage
from aisa.wire.choice_reports import added, of_one_choice
from aisa.wire.usage_report import count_of
from one_call import IN, OUT, made, row_of
from rig import DONE, HEAD, MemoryClient, Script, Stall, chunk, event, events_of
from test_completions import asked, called, said, script, whole

Json = dict[str, Any]
FIRST, SECOND = ["on a", "nd a", "gain"], ["down", " and", " up ", "they", " go."]  # a token of four bytes each, by any count


def told(made_of_it: int, taken: int = 9, **beside: object) -> Json:
    """What that server says of one choice."""
    counts = {"prompt_tokens": taken, "completion_tokens": made_of_it, "total_tokens": taken + made_of_it}
    report = {**counts, "prompt_tokens_details": {"cached_tokens": 8}}
    return {"usage": report, "timings": {"prompt_n": 1, "cache_n": 8, "predicted_n": made_of_it, "predicted_ms": 1.5}, **beside}


def says(index: int, words: list[str]) -> list[bytes]:
    """A choice's opening and its words."""
    return [chunk({"role": "assistant", "content": None}, index=index), *[chunk({"content": word}, index=index) for word in words]]


def ends(index: int, words: list[str], **beside: object) -> list[bytes]:
    """A choice's finish, and the report of that choice."""
    return [chunk({}, "length", index), event({**HEAD, "choices": [], **told(len(words), **beside)})]


ONE_BY_ONE = [*says(0, FIRST), *ends(0, FIRST), Stall(20), *says(1, SECOND), *ends(1, SECOND), DONE]
AT_ONCE = [*says(1, SECOND), *says(0, FIRST), *ends(0, FIRST), *ends(1, SECOND), DONE]


def said_by(client: MemoryClient) -> dict[int, tuple[str, str]]:
    """What each choice has said, and why it ended."""
    found: dict[int, tuple[str, str]] = {}
    for answer in events_of(client.body)[:-1]:
        for choice in answer["choices"]:
            words, ended = found.get(choice["index"], ("", ""))
            found[choice["index"]] = words + (choice["delta"].get("content") or ""), choice["finish_reason"] or ended
    return found


@pytest.mark.parametrize("steps", [ONE_BY_ONE, AT_ONCE], ids=["one by one", "at once"])
def test_a_stream_of_several_has_all_of_them_and_costs_all_of_them(steps: list[Any]) -> None:
    """[fault M4] A report of one choice is not the end of those that go on, nor of those that are to come."""
    client, rig = made(steps, n=2, stream_options={"include_usage": True})
    row = row_of(rig)
    assert said_by(client) == {0: ("on and again", "length"), 1: ("down and up they go.", "length")}
    assert (row.outcome, row.billed.input_tokens, row.billed.cached_tokens, row.billed.output_tokens) == ("completed", 9, 8, 8)
    assert (row.billed.source, row.billed.input_source) == (REPORTED, REPORTED)
    [usage] = [answer["usage"] for answer in events_of(client.body)[:-1] if answer.get("usage")]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (9, 8, 17)


def test_who_leaves_between_two_reports_pays_for_what_arrived() -> None:
    """[fault M4] What is reported of the choices that have ended is not all that was made."""
    _, rig = made([*says(0, FIRST), *says(1, SECOND[:4]), *ends(0, FIRST), Stall(20)], n=2, during=lambda _, client: client.leave())
    assert (row_of(rig).outcome, row_of(rig).billed.output_tokens) == ("client_gone", 7)


def answer(*texts: str, **members: Any) -> Json:
    """A document with these choices."""
    choices = [
        {"finish_reason": "stop", "index": place, "message": {"role": "assistant", "content": text}} for place, text in enumerate(texts)
    ]
    return {**HEAD, "object": "chat.completion", "choices": choices, **members}


def test_a_document_of_several_is_not_billed_as_its_first() -> None:
    """[fault M4] The report tells of the first alone: its prompt is that of all, and what they made is counted."""
    texts = ["one two three", "four five six seven", "eight"]
    _, rig = made([json.dumps(answer(*texts, **told(3))).encode()], stream=False, n=3)
    billed = row_of(rig).billed
    assert (billed.input_tokens, billed.cached_tokens, billed.input_source, billed.source) == (9, 8, REPORTED, ESTIMATED)
    assert billed.output_tokens >= 8
    assert row_of(rig).cost >= IN + 8 * OUT


@pytest.mark.parametrize("several", [True, False])
def test_a_report_of_all_stands(several: bool) -> None:
    """[fault M4] Of one choice, or with another number than that of the first, as when the server will have learned to add."""
    tree = answer("one two three", *["four five"] * several, **told(3))
    tree["usage"]["completion_tokens"] += 2 * several
    tree["usage"]["total_tokens"] += 2 * several
    _, rig = made([json.dumps(tree).encode()], stream=False, n=1 + several)
    assert (row_of(rig).billed.output_tokens, row_of(rig).billed.source) == (3 + 2 * several, REPORTED)


# Completions, whose requests may have several prompts


def finished(place: int, words: int, taken: int) -> bytes:
    """A choice's finish, with its report."""
    choice = {"index": place, "text": "", "logprobs": None, "finish_reason": "length"}
    return event({**HEAD, "object": "text_completion", "choices": [choice], **told(words, taken)})


def billed_of(row: CallRow) -> Usage:
    """What a completed call costs."""
    assert row.outcome == "completed"
    return row.billed


def test_completions_of_several_prompts_cost_every_prompt_once() -> None:
    """[fault M4] Two answers to each of two prompts, each reported with its finish."""
    places = [(2, 4, 1), (0, 3, 5), (1, 2, 5), (3, 1, 1)]  # which, what it made, and of how long a prompt
    steps: list[Any] = [b"data: null\n\n"]
    for place, words, taken in places:
        steps += [said("x ", None, place)] * words + [finished(place, words, taken)]
    _, client, row = called(asked(["Hello there", "b"], n=2, stream=True), Script([*steps, DONE]))
    billed = billed_of(row)
    assert (billed.input_tokens, billed.output_tokens, billed.source, billed.input_source) == (6, 10, REPORTED, REPORTED)
    assert sum(len(each["choices"]) and each["choices"][0]["text"] == "x " for each in events_of(client.body)[:-1]) == 10


@pytest.mark.parametrize(("prompt", "members"), [(["Hello there", "b"], {}), ("Hello there", {"n": 2})], ids=["prompts", "n"])
def test_a_document_of_completions_is_not_billed_as_its_first(prompt: object, members: Json) -> None:
    """[fault M4] What was asked is as reported only where there is one prompt."""
    tree = {**whole("one two three", "four five six seven"), **told(3, 5)}
    billed = billed_of(called(asked(prompt, **members), script(tree))[2])
    assert (billed.source, billed.input_source) == (ESTIMATED, ESTIMATED if isinstance(prompt, list) else REPORTED)
    assert billed.output_tokens >= 7


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 3}, {"prompt_tokens": 9, "completion_tokens": 5}, (9, 8, 17)),
        ({"completion_tokens": 3}, {"completion_tokens": 5}, (None, 8, 8)),  # the prompt is told by neither
        ({"prompt_tokens": 9}, {"completion_tokens": 5}, (9, 5, 14)),
        ({"prompt_tokens": "9", "completion_tokens": "3"}, {"prompt_tokens": 9.0, "completion_tokens": 5}, (9, 8, 17)),
        ({"prompt_tokens": 9, "completion_tokens": 3}, {"prompt_tokens": None, "completion_tokens": 5}, (9, 8, 17)),
        ({"prompt_tokens": 9, "completion_tokens": 3}, {"prompt_tokens": 0, "completion_tokens": 5, "x": {"y": 1}}, (9, 8, 17)),
    ],
)
def test_reports_are_put_together_whatever_one_of_them_lacks(first: Json, second: Json, both: tuple[int | None, int, int]) -> None:
    """[fault M4] What one report says and the other does not, or in no number, holds; the total is made anew."""
    found = added(added(None, first, same_prompt=False), second, same_prompt=True)
    assert (count_of(found.get("prompt_tokens")), count_of(found["completion_tokens"]), found["total_tokens"]) == both
    assert found.get("x") == second.get("x")
    parts = added({**first, "completion_tokens_details": None}, {**second, "completion_tokens_details": {"y": 1}}, same_prompt=True)
    assert parts["completion_tokens_details"] == {"y": 1}
    assert added(parts, {"completion_tokens_details": None}, same_prompt=True)["completion_tokens_details"] == {"y": 1}


@pytest.mark.parametrize(
    ("answer", "one"),
    [
        ({"timings": {"predicted_n": 3}, "usage": {"completion_tokens": 3}}, True),
        ({"timings": {"predicted_n": 3}, "usage": {"completion_tokens": 8}}, False),  # they are counted together
        ({"timings": {"predicted_n": 3}, "usage": {}}, False),
        ({"timings": {}, "usage": {}}, False),
        ({"usage": {"prompt_tokens": 9}}, False),
        ({"timings": None, "usage": None}, False),
    ],
)
def test_a_report_is_of_one_choice_only_if_its_server_says_how_long_that_took(answer: Json, *, one: bool) -> None:
    """A report without a count of the output is of nobody in particular."""
    assert of_one_choice(answer) is one
