"""What was seen as text was no hidden thinking, whatever a report says: a client that leaves pays for the text that it has."""

from __future__ import annotations

import json

import pytest

from aisa.config.schema import Prices
from aisa.providers.anthropic_usage import MessageUsage
from aisa.providers.counting import AskedOf
from aisa.providers.gemini_usage import report_of as gemini_report
from aisa.providers.shape import Target
from aisa.usage import ESTIMATED, REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.shown import Shown
from aisa.wire.trees import Tree
from aisa.wire.usage_report import UsageReport
from one_call import FOR_EVER, made, row_of
from rig import DONE, HEAD, Break, MemoryClient, body, chunk, document, event, text

WORDS = [f" wo{number}" for number in range(10)]  # ten tokens, by pieces and by size
DETAILS = ("completion_tokens_details", "output_tokens_details")
#: Reports of thinking that leave too little for ten words of text, and what the thinking can have been.
THOUGHTS = [(10, 10, 0), (10, 9, 0), (10, 10**6, 0), (10, 6, 0), (500, 500, 490), (500, 499, 490), (500, 496, 490)]
#: ... and such as leave enough, or may: our own count can be twice too high.
BELIEVED = [(10, 0, 0), (10, 5, 5), (500, 490, 490), (500, 495, 495), (500, 300, 300)]


def openai_report(output: int, thought: int, *, place: str) -> Tree:
    """A report with thinking under a name that vendors use."""
    inner = {"reasoning_tokens": thought}
    return {"prompt_tokens": 5, "completion_tokens": output, "total_tokens": 5 + output, **({place: inner} if place in DETAILS else inner)}


def billed_of(report: Tree, *, by: str) -> Usage:
    """What is billed of a stream with a report, which its client left at the end of its text or which broke off there."""
    told = event({**HEAD, "choices": [], "usage": report})
    if by == "client":
        events = [*text(*WORDS), told]
        return row_of(made([*events, FOR_EVER], MemoryClient(leaves_after=len(events) - 1))[1]).billed
    return row_of(made([*text(*WORDS), told, Break()])[1]).billed


@pytest.mark.parametrize("by", ["client", "break"])
@pytest.mark.parametrize("place", [*DETAILS, "top"])
@pytest.mark.parametrize(("output", "thought", "hidden"), [*THOUGHTS, *BELIEVED])
def test_a_cut_stream_costs_the_words_that_arrived(output: int, thought: int, hidden: int, place: str, by: str) -> None:
    """[fault M5] [fault M9] Not nothing, where a report takes all for thinking; else the share of what it says was shown."""
    found = billed_of(openai_report(output, thought, place=place), by=by)
    assert found.output_tokens == output - hidden
    assert found.input_tokens == 5


@pytest.mark.parametrize("place", [*DETAILS, "top"])
@pytest.mark.parametrize(("output", "thought", "hidden"), [*THOUGHTS, *BELIEVED])
def test_a_complete_answer_costs_what_was_reported_and_thinking_its_own_price_for_what_it_can_have_been(
    output: int, thought: int, hidden: int, place: str
) -> None:
    """[fault M5] A stream and a document alike."""
    report, prices = openai_report(output, thought, place=place), Prices(input=1, output=2, reasoning=4)
    whole = json.dumps({**json.loads(document("".join(WORDS))), "usage": report}).encode()
    stream = [*text(*WORDS), chunk({}, "stop"), event({**HEAD, "choices": [], "usage": report}), DONE]
    for row in (row_of(made([whole], stream=False, prices=prices)[1]), row_of(made(stream, prices=prices)[1])):
        assert (row.billed.output_tokens, row.billed.source) == (output, REPORTED)
        assert row.billed.reasoning_tokens == hidden
        assert row.cost == 1_000 * (5 + 4 * hidden + 2 * (output - hidden))


def read(report: Tree) -> Usage:
    """What a report in the common shape says of an answer of which ten tokens of text were seen."""
    told = UsageReport()
    told.take(report)
    return told.usage(Shown(10, 0, text_bytes=40), AskedOf(parse_chat(body()), Target("acme", "m", "openai")))


@pytest.mark.parametrize(
    ("metadata", "output", "hidden"),
    [
        ({"promptTokenCount": 5, "thoughtsTokenCount": 50, "totalTokenCount": 55}, 50, 40),
        ({"promptTokenCount": 5, "candidatesTokenCount": 0, "thoughtsTokenCount": 50}, 50, 40),
        ({"promptTokenCount": 5, "candidatesTokenCount": 50, "thoughtsTokenCount": 50, "totalTokenCount": 55}, 50, 40),
        ({"promptTokenCount": 5, "candidatesTokenCount": 1, "thoughtsTokenCount": 50, "totalTokenCount": 56}, 51, 41),
        ({"promptTokenCount": 5, "candidatesTokenCount": 10, "thoughtsTokenCount": 50, "totalTokenCount": 65}, 60, 50),
    ],
)
def test_geminis_thoughts_leave_what_was_seen(metadata: Tree, output: int, hidden: int) -> None:
    """[fault M5] Beside its candidates, in the place of them, and inside."""
    found = read(gemini_report(metadata))
    assert (found.output_tokens, found.reasoning_tokens) == (output, hidden)


@pytest.mark.parametrize(("output", "thought", "hidden"), [*THOUGHTS, *BELIEVED])
def test_claudes_thinking_leaves_what_was_seen(output: int, thought: int, hidden: int) -> None:
    """[fault M5] In its own words, in a stream's last report."""
    told = MessageUsage()
    told.take({"input_tokens": 5, "output_tokens": 1})
    told.take({"output_tokens": output, "output_tokens_details": {"thinking_tokens": thought}})
    found = told.usage(Shown(10, 0, text_bytes=40), AskedOf(parse_chat(body()), Target("acme", "m", "anthropic")))
    assert (found.output_tokens, found.reasoning_tokens) == (max(output, found.output_tokens), found.output_tokens - output + hidden)


def test_shown_thinking_is_no_text() -> None:
    """Ten tokens of text and thirty of thinking were seen, and a report takes all for thinking: thirty are."""
    told = UsageReport()
    told.take(openai_report(40, 40, place=DETAILS[0]))
    found = told.usage(Shown(40, 30, text_bytes=160), AskedOf(parse_chat(body()), Target("acme", "m", "openai")))
    assert (found.output_tokens, found.reasoning_tokens) == (40, 30)


def test_a_documents_thinking_is_no_text_of_its_answer() -> None:
    """It is told apart as a stream's is: an honest report beside thinking that is shown stays, and without one both count the same."""
    message = {"role": "assistant", "content": "".join(WORDS), "reasoning_content": "".join(WORDS * 3)}
    for report, source in ((openai_report(40, 30, place=DETAILS[0]), REPORTED), (None, ESTIMATED)):
        tree = {**json.loads(document("")), "usage": report}
        tree["choices"][0]["message"] = message
        found = row_of(made([json.dumps(tree).encode()], stream=False)[1]).billed
        assert (found.output_tokens, found.reasoning_tokens, found.source) == (40, 30, source)
