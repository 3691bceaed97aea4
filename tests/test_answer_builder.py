"""The builder that every translated dialect tells: what it counts, when it lets go, what it makes of a call, a finish and a report."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from aisa.answer import OUTPUT, Arguments, Extra, Finish, FunctionCall, Identity, Part, Reasoning, Text, ToolCall
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.measure import Answer, Measure
from aisa.providers.shape import Target
from aisa.usage import COUNTED, IMPLAUSIBLE, REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.vendor_error import Unintelligible, VendorError

TOOLS = [{"type": "function", "function": {"name": "look"}}]
LONG = "word " * 100  # of which a report can be learned from


def builder(*, by_pieces: bool = True, measure: Measure | None = None, **asked: Any) -> AnswerBuilder:
    """Return a builder for a request; `measure` is the target's."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi."}], "stream": True, "tools": TOOLS, **asked}
    target = Target("acme", "m-1", "typed", measure=measure or Measure())
    return AnswerBuilder(parse_chat(json.dumps(body).encode()), target, ("BUILT", 7), by_pieces=by_pieces)


def of_kind(parts: list[Part], *kinds: type) -> list[Any]:
    """Return the parts of these kinds."""
    return [part for part in parts if isinstance(part, kinds)]


def tokens_in(parts: list[Part]) -> list[int]:
    """Return the tokens of the parts that show something."""
    return [part.tokens for part in parts if isinstance(part, OUTPUT)]


def test_a_seal_alone_is_an_opening_and_a_text_is_more() -> None:
    """Another target may still be asked while nothing was shown; what waited leaves in its order."""
    built = builder()
    built.think(0, "", "sealed")
    assert (built.begun, built.take()) == (False, [])
    built.say(0, "Hi")
    assert [type(part) for part in built.take()] == [Identity, Reasoning, Text]
    assert built.take() == []


def test_who_answers_is_told_once_and_the_last_model_is_remembered() -> None:
    """The bill may follow a model that only a later event names; what is no name changes nothing."""
    built = builder()
    built.identify("a-1", "first")
    for model in ("second", None, "", 7):
        built.identify("a-2", model)
    built.say(0, "Hi")
    [identity] = of_kind(built.take(), Identity)
    assert (identity.id, identity.model, built.answered) == ("a-1", "first", "second")


def test_choices_begin_in_order_and_none_beyond_those_asked_for() -> None:
    """A choice that comes first opens those before it, so that none is told as missing that only came later."""
    built = builder(n=2)
    built.say(1, "b")
    assert (built.choices_made, built.complete, built.finished) == (2, False, False)
    built.say(2, "nobody asked")
    built.finish(2, "stop")
    built.finish(1, "stop")
    assert (built.choices_made, built.finished) == (2, False)
    built.finish(0, "stop")
    assert built.finished
    assert {part.choice for part in of_kind(built.take(), Text)} == {1}
    assert [part.choice for part in of_kind(built.close(), Finish)] == [0, 1]


def test_an_answer_is_complete_when_all_that_were_asked_for_have_finished() -> None:
    """One of two that has finished is an answer, and not the whole: more may follow."""
    built = builder(n=2)
    assert (built.finished, built.complete, built.finishing) == (False, False, 0)
    built.say(0, "a")
    built.finish(0, "stop")
    assert (built.finished, built.complete, built.finishing) == (True, False, 0)
    built.say(1, "b")
    built.finish(1, "length")
    assert built.finishing > 0
    assert [part.reason for part in of_kind(built.close(), Finish)] == ["stop", "length"]
    assert built.finishing == 0, "there is nothing to wait for once the finishes have left"


def test_every_event_that_says_something_moves_the_wait_for_the_end() -> None:
    """[fault W1] Text behind a finish, or a reason that counts more; the same reason again is nothing new."""
    built = builder()
    built.say(0, "a")
    built.finish(0, "stop")
    seen = [built.finishing]
    for step in (
        lambda: built.finish(0, "stop"),
        lambda: built.say(0, "b"),
        lambda: built.finish(0, "length"),
        lambda: built.finish(0, "length"),
        lambda: built.hear([b"c", b"d"]),
    ):
        step()
        seen.append(built.finishing)
    assert [later - earlier for earlier, later in pairwise(seen)] == [0, 1, 1, 0, 1]


def test_texts_that_say_nothing_are_none_also_among_others() -> None:
    """An empty text is no part, has no token and opens nothing."""
    built = builder()
    built.say(0, "")
    assert (built.choices_made, built.begun) == (0, False)
    built.say_all(["", "a"])
    built.say_all(["b", "", "c"])
    built.say_all([""])
    assert [part.text for part in of_kind(built.take(), Text)] == ["a", "b", "c"]
    built.say_all(["d", "e"])
    assert [part.text for part in of_kind(built.take(), Text)] == ["d", "e"]


def test_an_id_is_given_to_one_call_alone() -> None:
    """[fault W5] A vendor that gives none, or one twice, in one choice or in two."""
    built = builder(n=2)
    for choice, given in ((0, "c"), (0, "c"), (0, ""), (1, "c")):
        built.give(choice, built.call(choice, given, "look"), '{"a":1}')
    ids = [part.id for part in of_kind(built.take(), ToolCall)]
    assert ids[0] == "c"
    assert len(set(ids)) == 4


def test_what_takes_nothing_is_given_an_object_unless_it_was_cut_before_it_was_given() -> None:
    """[fault W9] Only the last call can have been cut; a tool that takes any text is given none."""
    for reason, given in (("stop", [0, 1]), ("length", [0])):
        built = builder()
        built.call(0, "c1", "look")
        built.call(0, "c2", "look")
        built.call(0, "c3", "any", custom=True) if reason == "stop" else None
        built.finish(0, reason)
        parts = [*built.take(), *built.close()]
        assert [part.index for part in of_kind(parts, Arguments) if part.text == "{}"] == given


def test_of_calls_in_the_older_form_there_is_one() -> None:
    """[fault W9] A second call of a model that knows no such bound is not told, nor what it is given."""
    built = builder(tools=None, functions=[{"name": "look"}])
    for name in ("look", "look"):
        built.give(0, built.call(0, "", name), '{"a":1}')
    built.finish(0, "tool_calls")
    parts = built.take()
    assert [(part.name, part.arguments) for part in of_kind(parts, FunctionCall)] == [("look", ""), ("", '{"a":1}')]
    assert [part.reason for part in of_kind(built.close(), Finish)] == ["function_call"]


def test_a_call_without_a_name_and_an_answer_of_nothing_are_not_understood() -> None:
    """Nor is an answer of nothing but a word that nobody knows; behind a text that is a stop, and is told to the operator."""
    with pytest.raises(Unintelligible):
        builder().call(0, "c", "")
    built = builder()
    built.finish(0, "stop")
    assert [type(part) for part in built.close()] == [Finish], "a model may say nothing"
    built = builder()
    built.finish(0, "whatever")
    assert not built.certain
    with pytest.raises(Unintelligible):
        built.close()
    built = builder()
    built.say(0, "Hi")
    built.finish(0, "whatever")
    assert [part.reason for part in of_kind(built.close(), Finish)] == ["stop"]
    assert built.unknown == ["whatever"]


def test_a_finish_that_gives_up_is_a_failure_and_one_without_a_word_tells_nobody_of_a_word() -> None:
    """[fault W3] The table is the same for every dialect."""
    with pytest.raises(VendorError):
        builder().finish(0, "malformed_function_call")
    built = builder()
    built.say(0, "Hi")
    built.finish(0, None)
    assert ([part.reason for part in of_kind(built.close(), Finish)], built.unknown) == (["stop"], [])


def test_running_figures_are_the_tokens_of_the_texts_that_they_come_with() -> None:
    """[fault M7] Of several choices a figure does not say which; one that falls or is none leaves our own count."""
    built = builder(by_pieces=False)
    built.say(0, "one ")
    built.say_as_told(["two three ", "four five "], [4, 9])
    assert (tokens_in(built.take()), built.tokens) == ([1, 3, 5], 9)
    built.say_as_told(["six ", "seven "], [12, 3])
    assert built.tokens == 12
    for none in (0, -5):
        before = built.tokens
        built.say_as_told(["eight "], [none])
        assert built.tokens > before
    two = builder(n=2, by_pieces=False)
    two.say(0, "one two three four ")
    two.say(1, "one two three four ")
    counted = two.tokens
    two.say_as_told(["five ", "six "], [30, 31])
    assert two.tokens <= counted + 4


def test_figures_beside_thinking_that_was_shown_are_of_the_text_alone() -> None:
    """[fault M7] Gemini's running count leaves thinking out."""
    built = builder(by_pieces=False)
    built.think(0, "Let me see what that may be. ")
    thought = built.tokens
    built.say(0, "a")
    for figures in ([3, 6], [12, 15]):
        built.say_as_told(["bcdefgh ", "ijklmnop "], figures)
        assert (built.tokens, built.reasoning_shown) == (thought + figures[1], thought)
    built.say(0, "abcd")
    before = built.tokens
    built.catch_up(0)
    assert built.tokens == before, "no figure is none of the text"


def test_a_figure_corrects_the_parts_that_wait_and_none_that_have_left() -> None:
    """[fault M7] Backwards over what waits, as far as each goes; who has a token keeps it."""
    built = builder(by_pieces=False)
    built.say(0, "abcdefgh" * 4)
    left = built.tokens
    built.take()
    built.say(0, "ijkl" * 4)
    built.catch_up(left + 1)
    assert (tokens_in(built.take()), built.tokens) == ([1], left + 1)
    built.say(0, "mnop" * 4)
    built.say(0, "qrst" * 4)
    built.think(0, "", "sealed")
    built.catch_up(left + 2)
    assert (tokens_in(built.take()), built.tokens) == ([1, 0, 0], left + 2)
    built.say(0, "uvwx")
    built.catch_up(1)
    assert built.tokens >= left + 2, "what was said before holds"
    built.take()
    built.say(0, "abcd")
    built.think(0, "", "sealed")
    built.catch_up(left + 9)
    assert [part.tokens > 0 for part in built.take()] == [True, False], "a seal shows nothing"


def test_a_figure_of_thinking_that_waits_is_thinking() -> None:
    """What is corrected of it counts on its side."""
    built = builder(by_pieces=False)
    built.say(0, "a")
    built.take()
    built.think(0, "bcdefgh " * 4)
    before = built.reasoning_shown
    built.catch_up(5)
    assert (built.tokens, built.reasoning_shown) == (5 + before, 4 + before), "all but the one token of the text"


def test_a_figure_beyond_the_text_and_one_of_the_whole_are_no_parts() -> None:
    """[fault M5] More than four tokens a byte and a spare cannot have been shown; a report at the end is no part's."""
    built = builder(by_pieces=False)
    built.say(0, "abcd")
    built.catch_up(10_000)
    assert built.tokens == 1
    built.catch_up(9, ended=True)
    assert built.tokens == 1
    built.catch_up(9)
    assert built.tokens == 9


def test_what_is_shown_beside_text_has_no_size() -> None:
    """[fault M5] A picture or a sound: a report of many tokens is believed then, and not behind a text alone."""
    for made, source in ((True, REPORTED), (False, IMPLAUSIBLE)):
        built = builder()
        built.say(0, "Hi")
        built.carry(0, "images", [{"type": "image_url"}], made=made)
        built.reported({"prompt_tokens": 3, "completion_tokens": 90_000})
        built.finish(0, "stop")
        built.close()
        assert (built.usage().source, built.shown().text_bytes is None) == (source, made)
        assert of_kind(built.take(), Extra) == []


def reported(built: AnswerBuilder, made: int, **beside: int) -> None:
    """Report usage."""
    built.reported({"prompt_tokens": 3, "completion_tokens": made, **beside})


def test_a_report_before_the_end_is_of_what_was_shown_by_then() -> None:
    """[fault M7] What came behind it is counted, and of an answer that was cut never less than was shown."""
    built = builder()
    built.say(0, "one")
    reported(built, 1)
    assert (built.usage().output_tokens, built.usage().source) == (1, REPORTED)
    for text in (" two", " three"):
        built.say(0, text)
    assert (built.usage().output_tokens, built.usage().source) == (3, COUNTED)
    reported(built, 9)
    assert (built.usage().output_tokens, built.usage().source) == (9, REPORTED)
    built.finish(0, "stop")
    built.close()
    assert built.usage().output_tokens == 9


def test_a_report_with_every_event_is_of_the_texts_that_were_told_with_it() -> None:
    """[fault M7] Who leaves then has what it says, and no count of ours."""
    built = builder(by_pieces=False)
    built.say(0, "one ")
    built.say_as_told(["two ", "three "], [4, 7])
    built.reported_anew({"prompt_tokens": 3, "completion_tokens": 7}, lambda report: report)
    assert (built.usage().output_tokens, built.usage().source) == (7, REPORTED)
    built.say(0, "four ")
    assert built.usage().source != REPORTED


def test_a_report_that_comes_after_the_finish_is_the_bill_and_then_holds() -> None:
    """[fault M4] Whatever is asked before, and none after it."""
    built = builder()
    built.say(0, "one")
    built.finish(0, "stop")
    assert built.usage().source != REPORTED
    reported(built, 4)
    assert (built.usage().output_tokens, built.usage_fault(built.usage())) == (4, "")
    reported(built, 5)
    assert built.usage().output_tokens == 5
    built.close()
    first = built.usage()
    assert built.usage() is first, "it is not worked out again for everybody who asks"


def test_a_plain_report_that_cannot_be_is_looked_at_again() -> None:
    """[fault M5] It is believed without a second look only where it can be."""
    built = builder()
    built.say(0, "one")
    built.finish(0, "stop")
    built.reported({"prompt_tokens": 3, "completion_tokens": 90_000}, Usage(3, 90_000, source=REPORTED, input_source=REPORTED))
    assert (built.usage().output_tokens, built.usage().source) == (1, IMPLAUSIBLE)
    assert "impossible" in built.usage_fault(built.usage())


def test_a_report_is_at_fault_before_the_end_only_if_it_cannot_be() -> None:
    """[fault M4] Before it a vendor may leave a side out, which it tells later."""
    built = builder()
    built.say(0, "one")
    built.reported({"prompt_tokens": 3})
    assert built.usage_fault(built.usage()) == ""
    built.finish(0, "stop")
    assert "no count of the output" in built.usage_fault(built.usage())
    cut = builder()
    cut.say(0, "one")
    reported(cut, 900_000)
    assert "impossible" in cut.usage_fault(cut.usage())


def learned(*, streamed: bool = True, by_pieces: bool = True, **asked: Any) -> tuple[AnswerBuilder, Measure]:
    """Return a builder of an answer and what its target has learned from."""
    measure = Measure()
    return builder(by_pieces=by_pieces, measure=measure, **asked), measure


def test_a_complete_answer_teaches_the_pieces_and_bytes_that_it_came_in() -> None:
    """[fault M7] A document, and texts that are no pieces, have none; the token that ends each choice has no text."""
    for streamed, by_pieces, pieces in ((True, True, 100), (False, True, 0), (True, False, 0)):
        built, measure = learned(by_pieces=by_pieces)
        built.say_all(["word "] * 100)
        reported(built, 120)
        built.finish(0, "stop")
        built.close()
        built.learn(streamed=streamed)
        assert list(measure.answers) == [Answer(119, pieces, 500)]
    two, measure = learned(n=2)
    for choice in (0, 1):
        two.say(choice, LONG)
        two.finish(choice, "stop")
    reported(two, 240)
    two.close()
    two.learn(streamed=True)
    assert [answer.tokens for answer in measure.answers] == [238]


def test_thinking_teaches_nothing_of_the_text() -> None:
    """Shown, it is mostly a summary; sealed, it is in the report unless that names it apart."""
    for text, seal, told, known in (("Hm.", "", {}, 0), ("", "sealed", {}, 0), ("", "sealed", {"reasoning_tokens": 40}, 1)):
        built, measure = learned()
        built.say(0, LONG)
        built.think(0, text, seal)
        reported(built, 160, **told)
        built.finish(0, "stop")
        built.close()
        built.learn(streamed=True)
        assert len(measure.answers) == known, (text, seal, told)


def test_a_whole_answer_is_taken_at_once_where_its_report_can_be() -> None:
    """And teaches; of what cannot be nothing is done, and it is told as any other."""
    measure = Measure()
    built = builder(measure=measure)
    assert not built.take_whole(["Hi"], Usage(3, 90_000, source=REPORTED, input_source=REPORTED))
    assert (built.choices_made, built.begun, built.closed) == (0, False, False)
    assert built.take_whole(["word "] * 100, Usage(3, 120, source=REPORTED, input_source=REPORTED))
    assert (built.choices_made, built.finished, built.closed, built.usage().output_tokens) == (1, True, True, 120)
    assert [answer.text_bytes for answer in measure.answers] == [500]
