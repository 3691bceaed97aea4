"""Fewer choices than were asked for: what was made reaches the client, and nobody is left to find out by himself what was not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.facts import CallEnded, ChoicesMissing
from aisa.observe.words import in_words
from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_stream
from aisa.wire.chat import parse_chat
from rig import MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, document, whole_stream


def called(
    n: int | None, *, script: Script, times: int = 1, vendor: dict[str, Any] | None = None, **fields: Any
) -> tuple[MemoryClient, Rig]:
    """Ask for `n` choices so many times; return the last client, and the rig."""
    rig = Rig(ScriptedUpstream(script), vendor=vendor or {})
    clients = [MemoryClient() for _ in range(times)]

    async def main() -> None:
        for client in clients:
            await rig.call(client, body(**({} if n is None else {"n": n}), **fields))

    run_virtual(main())
    return clients[-1], rig


def told_of(rig: Rig) -> list[ChoicesMissing]:
    """Return what the operator is told."""
    return [fact for fact in rig.facts if isinstance(fact, ChoicesMissing)]


SLOPPY = json.dumps({"choices": [{"message": {"content": "Hello."}}]}).encode()


@pytest.mark.parametrize(
    ("answer", "vendor"),
    [(document(), {}), (SLOPPY, {}), (b"".join(whole_stream("Hello.")), {"assemble": True})],
    ids=["as it is", "mended", "assembled"],
)
def test_a_document_of_too_few_choices_says_how_many_are_missing(answer: bytes, vendor: dict[str, Any]) -> None:
    """[fault F8] The choice that was made and paid for is there, and the head says what is not."""
    client, rig = called(3, script=Script([answer]), vendor=vendor)
    assert (client.status, client.headers["x-aisa-missing-choices"]) == (200, "2")
    assert [choice["index"] for choice in json.loads(client.body)["choices"]] == [0]
    [fact] = told_of(rig)
    assert (fact.asked, fact.made) == (3, 1)
    assert "made 1 of the 3 choices" in in_words(fact)


@pytest.mark.parametrize("n", [None, 1])
def test_one_choice_where_one_was_asked_for_misses_nothing(n: int | None) -> None:
    """No header, no warning."""
    client, rig = called(n, script=Script([document()]))
    assert "x-aisa-missing-choices" not in client.headers
    assert told_of(rig) == []


def test_all_choices_where_several_were_asked_for_miss_nothing() -> None:
    """[fault F8] The header is about what is missing, not about `n`."""
    choices = [{"index": index, "message": {"content": "a"}, "finish_reason": "stop"} for index in range(2)]
    client, rig = called(2, script=Script([json.dumps({"choices": choices}).encode()]))
    assert "x-aisa-missing-choices" not in client.headers
    assert told_of(rig) == []


def test_a_stream_of_too_few_choices_ends_in_order_and_the_operator_is_told_once() -> None:
    """[fault F8] Its head left before anybody could know; what came is whole, no chunk pretends a second choice, and the log has it."""
    client, rig = called(2, script=Script(whole_stream("a", "b")), times=3, stream=True)
    assert check_stream(client.body, include_usage=False, choices=1) == []
    assert "x-aisa-missing-choices" not in client.headers
    assert len(told_of(rig)) == 1
    assert [fact.outcome for fact in rig.facts if isinstance(fact, CallEnded)] == ["completed"] * 3


def test_a_call_that_fails_misses_no_choices() -> None:
    """A failure is told as that."""
    _, rig = called(2, script=Script([chunk({"content": "a"})]), stream=True)
    assert told_of(rig) == []


SENTENCES = ("This model's maximum context length is 2048 tokens.", "max_new_tokens must be greater than 0", "Rate limit reached", "oops")


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
def test_an_error_that_is_a_bare_text_is_judged_and_shown_as_one_with_a_message(sentence: str, stream: bool) -> None:
    """[fault F8] Code, status, words for the caller and words for the log are the same: a text in the place of an object loses nothing."""
    chat = parse_chat(body(stream=stream))
    failures = []
    for error in (sentence, {"message": sentence}):
        decoder = openai.decoder(chat, Target(vendor="acme", model="m", dialect=openai.NAME), call_id="1", created=1)
        data = json.dumps({"error": error}).encode()
        decoder.feed(b"data: " + data + b"\n\n" if stream else data)
        decoder.end()
        assert decoder.failure is not None
        failures.append((decoder.failure.error.code, decoder.failure.error.message, decoder.failure.detail, decoder.failure.blame))
    assert failures[0] == failures[1]
    if failures[0][3] == "caller":
        assert sentence in failures[0][1]
