"""Inputs and outputs above 16 KiB that nobody reports: counted whole in threads, before their bill is final; else the row says so."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.long_counts import LongCounts, LongOutputs
from aisa.providers import anthropic, bedrock, cohere, gemini, mistral, openai, responses
from aisa.providers.counting import AskedOf, Counting
from aisa.providers.measure import Measure
from aisa.providers.own_input import TRIED_CHARACTERS_MAX
from aisa.providers.shape import Decoder, Target
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.usage import COUNTED, ESTIMATED, REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.token_meter import PIECES as RATE
from aisa.wire.token_meter import TokenMeter
from aisa.wire.tokenized_text import TRIED_AT_ONCE_BYTES_MAX, TRIED_BYTES, Tokenizer
from one_call import FOR_EVER
from rig import DONE, Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, document, events_of, text, usage, whole_stream

IN, OUT = 1_000, 2_000  # nano-dollars a token
PRICES = Prices(input=1, output=2)
#: Short words at first, then long ones: the beginning is unlike the rest.
LONG = "word " * 4_000 + "considerably " * 10_000
BEGINNING = TRIED_CHARACTERS_MAX // 5 + 1  # words
WORDS = len(LONG.split())
MESSAGES = [{"role": "user", "content": LONG}]


class Unreported:
    """An answer of which its vendor says nothing."""

    def __init__(self, asked: AskedOf) -> None:
        self.asked = asked

    def usage(self) -> Usage:
        """What is known."""
        return Usage(self.asked.input()[0])


class Words:
    """Counts words, and keeps in which threads it was asked for how much."""

    def __init__(self) -> None:
        self.asked: list[tuple[bool, int]] = []
        self.during: Callable[[], object] | None = None
        self.rig: Rig | None = None

    def count(self, given: str) -> int:
        """Count them."""
        beside = threading.current_thread() is not threading.main_thread()
        self.asked.append((beside, len(given)))
        if beside and self.during is not None:
            self.during()
        return len(given.split())

    @property
    def in_thread(self) -> int:
        """How many characters were counted beside the event loop."""
        return sum(size for beside, size in self.asked if beside)


def called(words: Words, steps: list[Any], client: MemoryClient | None = None, **fields: Any) -> tuple[Rig, MemoryClient]:
    """Make a call to a model whose tokenizer counts words."""
    client = client or MemoryClient()
    rig = words.rig = Rig(ScriptedUpstream(Script(steps)), prices=PRICES, wallets=[fields.pop("wallet", Wallet("default", None))])
    config = Config(
        vendors={"a": Vendor(base_url="http://127.0.0.1:9/v1", tokenizer="t")}, models={"fast": Model(to=("a/m",), prices=PRICES)}
    )
    outputs = fields.pop("outputs", LongOutputs())
    rig.dependencies.routes = Routes(config, counting=Counting({"t": outputs.with_thread(Tokenizer("t", words.count))}))
    rig.dependencies.long_counts = fields.pop("counts", rig.dependencies.long_counts)

    async def main() -> None:
        await rig.call(client, body(**{"stream": True, "messages": MESSAGES, **fields}))
        await asyncio.sleep(5)

    run_virtual(main())
    assert not rig.ledger.calls, "the row was written"
    return rig, client


def row_of(rig: Rig) -> CallRow:
    """The row of the one call."""
    [row] = rig.rows
    return row


CUTS = {
    "client_gone": ([*text("one ", "two "), FOR_EVER], 2),
    "cut": ([*text("one ", "two "), Break()], None),
    "client_gone, and the vendor has finished": ([*text("one ", "two "), Stall(0.2), chunk({}, "stop"), Stall(0.4), DONE], 2),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_stream_costs_all_of_a_long_input(name: str) -> None:
    """[the budget, point 5] By its beginning it would cost four times as much: the count of the whole replaces that, off the loop."""
    steps, leaves = CUTS[name]
    words = Words()
    rig, _ = called(words, steps, None if leaves is None else MemoryClient(leaves_after=leaves))
    row = row_of(rig)
    assert row.outcome == name.partition(",")[0]
    assert (row.billed.input_tokens, row.billed.input_source, row.billed.output_tokens) == (WORDS, COUNTED, 2)
    assert row.cost == WORDS * IN + 2 * OUT
    assert words.in_thread == len(LONG)
    assert max(size for _, size in words.asked) <= TRIED_CHARACTERS_MAX


def test_who_is_shown_a_bill_is_shown_that_of_the_whole_input() -> None:
    """[the budget] A complete answer without a report: its usage and its cost are those of the row, as a stream and as a document."""
    for stream in (True, False):
        words = Words()
        unreported = json.dumps({**json.loads(document("one two")), "usage": None}).encode()
        steps = [*text("one ", "two "), chunk({}, "stop"), DONE] if stream else [unreported]
        more = {"stream_options": {"include_usage": True}} if stream else {"stream": False}
        rig, client = called(words, steps, **more)
        row = row_of(rig)
        [seen] = (
            [each["usage"] for each in events_of(client.body) if isinstance(each, dict) and each.get("usage")]
            if stream
            else [json.loads(client.body)["usage"]]
        )
        assert (row.outcome, row.billed.input_tokens, row.billed.input_source) == ("completed", WORDS, COUNTED)
        assert seen["prompt_tokens"] == WORDS
        assert round(seen["cost"] * 10**9) == row.cost == WORDS * IN + seen["completion_tokens"] * OUT
        assert words.in_thread == len(LONG)


@pytest.mark.parametrize(
    ("steps", "leaves"), [(whole_stream("one ", "two "), None), ([*text("one "), usage(77, 1), text("two ")[-1], FOR_EVER], 4)]
)
def test_an_input_that_was_reported_is_counted_by_nobody(steps: list[Any], leaves: int | None) -> None:
    """[point 5] Neither on the loop nor beside it, whether the stream was cut or not."""
    words = Words()
    rig, _ = called(words, steps, None if leaves is None else MemoryClient(leaves_after=leaves))
    assert row_of(rig).billed.input_source == REPORTED
    assert not [size for _, size in words.asked if size > 100]


def test_an_input_of_16_kib_is_counted_at_once() -> None:
    """[the budget] Not a character beside the loop, and its count is as good."""
    words = Words()
    short = LONG[:TRIED_CHARACTERS_MAX]
    rig, _ = called(words, CUTS["client_gone"][0], MemoryClient(leaves_after=2), messages=[{"role": "user", "content": short}])
    billed = row_of(rig).billed
    assert (billed.input_tokens, billed.input_source, words.in_thread) == (len(short.split()), COUNTED, 0)


def test_tools_are_taken_to_be_like_the_text() -> None:
    """[point 5] What a tokenizer is not given is text of the size that it has, and the row says that it is an estimate."""
    tool = {"type": "function", "function": {"name": "f", "description": "x" * len(LONG), "parameters": {}}}
    rig, _ = called(Words(), CUTS["client_gone"][0], MemoryClient(leaves_after=2), tools=[tool])
    billed = row_of(rig).billed
    assert billed.input_source == ESTIMATED
    assert 2 * WORDS <= billed.input_tokens <= 2 * WORDS + 20


def test_more_counts_than_there_is_room_for_are_left_as_they_are() -> None:
    """[a named limit] The beginning's count is billed, and the row says so: complete or cut."""
    for steps, leaves in (CUTS["client_gone"], ([*text("one ", "two "), chunk({}, "stop"), DONE], None)):
        words = Words()
        client = None if leaves is None else MemoryClient(leaves_after=leaves)
        rig, _ = called(words, steps, client, counts=LongCounts(waiting_max=0))
        billed = row_of(rig).billed
        assert (billed.input_source, words.in_thread) == (ESTIMATED, 0)
        assert billed.input_tokens == -(-BEGINNING * len(LONG) // TRIED_CHARACTERS_MAX)


def test_a_count_that_takes_too_long_is_given_up_and_its_result_is_not_taken() -> None:
    """[a named limit] It stops at its next 16 KiB; the count of the beginning stands."""
    words, told = Words(), threading.Event()
    words.during = told.wait

    async def main() -> None:
        request = parse_chat(body(messages=MESSAGES))
        asked = AskedOf(request, Target("acme", "m", "openai", measure=Measure(tokenizer=Tokenizer("t", words.count))))
        before = asked.input()
        await LongCounts(seconds_max=0.01).count(cast("Decoder", Unreported(asked)))
        told.set()
        assert asked.input() == before
        assert before[1] == ESTIMATED

    asyncio.run(main())
    assert words.in_thread <= TRIED_CHARACTERS_MAX


def test_a_count_is_behind_the_settlement_and_moves_the_wallet_once() -> None:
    """[the journal] While it is made the call is settled by its beginning, which a killed server leaves; then comes the difference."""
    words, seen, wallet = Words(), set(), Wallet("default", 10**12)

    def note() -> None:
        assert words.rig is not None
        row = words.rig.ledger.calls["req_1"].row
        seen.add(None if row is None else row.billed.input_tokens)

    words.during = note
    rig, _ = called(words, CUTS["client_gone"][0], MemoryClient(leaves_after=2), wallet=wallet)
    assert seen == {-(-BEGINNING * len(LONG) // TRIED_CHARACTERS_MAX)}
    assert row_of(rig).cost == WORDS * IN + 2 * OUT
    assert wallet.balance == 10**12 - row_of(rig).cost


#: A file that is written in one piece: short words at first, then long ones.
WRITTEN = "word " * 3_200 + "considerably " * 3_000
SHORT = [{"role": "user", "content": "Hi"}]
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "write", "arguments": WRITTEN}}
PIECES = {
    "text": [*text("one "), chunk({"content": WRITTEN}), FOR_EVER],
    "a call": [*text("one "), chunk({"tool_calls": [CALL]}), FOR_EVER],
    "thinking": [*text("one "), chunk({"reasoning_content": WRITTEN}), FOR_EVER],
}


@pytest.mark.parametrize("name", PIECES)
def test_a_piece_above_16_kib_is_counted_in_a_thread_and_its_leaver_pays_for_all_of_it(name: str) -> None:
    """[the budget] 16 KiB are all that the loop counts of it; the rest is handed on at once, and the row has the whole."""
    words = Words()
    rig, _ = called(words, PIECES[name], MemoryClient(leaves_after=2), messages=SHORT)
    billed, made = row_of(rig).billed, len(WRITTEN.split()) + 1
    assert (billed.source, billed.counted_by) == (COUNTED, "tokenizer t")
    assert abs(billed.output_tokens - made) <= 2 + len(WRITTEN) // TRIED_BYTES // 2
    assert words.in_thread > len(WRITTEN) - TRIED_AT_ONCE_BYTES_MAX - 2 * TRIED_BYTES
    assert sum(size for beside, size in words.asked if not beside) < TRIED_AT_ONCE_BYTES_MAX + 2 * TRIED_BYTES


def test_a_stream_that_ends_well_waits_for_the_count_of_a_long_piece() -> None:
    """[the budget] What its client is shown is what its row has."""
    words = Words()
    steps = [*text("one "), chunk({"content": WRITTEN}), *text("two"), chunk({}, "stop"), DONE]
    rig, client = called(words, steps, messages=SHORT, stream_options={"include_usage": True})
    row = row_of(rig)
    [seen] = [each["usage"] for each in events_of(client.body) if isinstance(each, dict) and each.get("usage")]
    assert (row.outcome, row.billed.source, seen["completion_tokens"]) == ("completed", COUNTED, row.billed.output_tokens)
    assert abs(row.billed.output_tokens - len(WRITTEN.split()) - 2) <= 3 + len(WRITTEN) // TRIED_BYTES // 2


def test_a_long_piece_that_there_is_no_room_for_is_taken_to_be_like_its_beginning() -> None:
    """[a named limit] The row says that it is an estimate; nothing is counted beside the loop."""
    words = Words()
    outputs = LongOutputs(characters_max=len(WRITTEN) // 2)
    rig, _ = called(words, PIECES["text"], MemoryClient(leaves_after=2), messages=SHORT, outputs=outputs)
    billed = row_of(rig).billed
    assert (billed.source, words.in_thread) == (ESTIMATED, 0)
    assert 9_000 < billed.output_tokens < len(WRITTEN) / 5


def test_the_room_for_long_pieces_is_there_again_when_they_are_counted() -> None:
    """[a named limit] It is of all calls together, and of what is counted at this moment."""
    begun, told = threading.Event(), threading.Event()

    def count(given: str) -> int:
        begun.set()
        told.wait()
        return len(given)

    later = LongOutputs(characters_max=10).with_thread(Tokenizer("t", count)).later
    first = later("123456")
    assert first is not None
    begun.wait()
    assert later("12345") is None
    second = later("1234")
    assert second is not None
    told.set()
    assert (first.result(), second.result()) == (6, 4)
    third = later("1234567890")
    assert third is not None
    assert third.result() == 10


def test_a_document_above_16_kib_is_counted_whole_before_its_end() -> None:
    """[the budget] Nobody reported it: its client is shown what its row has."""
    words = Words()
    unreported = json.dumps({**json.loads(document(WRITTEN)), "usage": None}).encode()
    rig, client = called(words, [unreported], stream=False, messages=[{"role": "user", "content": "Hi"}])
    row, made = row_of(rig), len(WRITTEN.split())
    assert abs(row.billed.output_tokens - made) <= 2
    assert (row.outcome, row.billed.source) == ("completed", COUNTED)
    assert json.loads(client.body)["usage"]["completion_tokens"] == row.billed.output_tokens


def whole(**message: object) -> dict[str, object]:
    """A document of a chat completion, in which nothing is reported."""
    return {"id": "a", "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


#: by dialect: its module, and a document that says so much and reports nothing
DOCUMENTS: dict[str, tuple[Any, dict[str, object]]] = {
    "openai": (openai, whole(content=WRITTEN)),
    "mistral": (mistral, whole(content=WRITTEN)),
    "anthropic": (
        anthropic,
        {"type": "message", "role": "assistant", "content": [{"type": "text", "text": WRITTEN}], "stop_reason": "end_turn"},
    ),
    "gemini": (gemini, {"candidates": [{"index": 0, "content": {"parts": [{"text": WRITTEN}]}, "finishReason": "STOP"}]}),
    "cohere": (cohere, {"message": {"role": "assistant", "content": [{"type": "text", "text": WRITTEN}]}, "finish_reason": "COMPLETE"}),
    "responses": (
        responses,
        {
            "object": "response",
            "status": "completed",
            "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": WRITTEN}]}],
        },
    ),
    "bedrock": (bedrock, {"output": {"message": {"role": "assistant", "content": [{"text": WRITTEN}]}}, "stopReason": "end_turn"}),
}


def counted_whole(dialect: Any, document_: dict[str, object]) -> tuple[Usage, Usage]:
    """What is known of a document before it was counted in a thread, and then."""
    tokenizer = LongOutputs().with_thread(Tokenizer("t", lambda given: len(given.split())))
    target = Target("v", "m", "any", measure=Measure(tokenizer=tokenizer))
    decoder = dialect.decoder(parse_chat(body(stream=False)), target, call_id="1", created=1, protocol="openai")

    async def main() -> tuple[Usage, Usage]:
        decoder.feed(json.dumps(document_).encode())
        decoder.end()
        assert decoder.failure is None
        before = decoder.usage()
        await LongCounts().count(decoder)
        return before, decoder.usage()

    return asyncio.run(main())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_long_document_is_counted_whole_in_every_dialect(name: str) -> None:
    """[the budget] By its beginning it would be half as much again; the row says which of both it is."""
    before, after = counted_whole(*DOCUMENTS[name])
    assert (before.source, after.source) == (ESTIMATED, COUNTED)
    assert before.output_tokens > 9_000
    assert abs(after.output_tokens - len(WRITTEN.split())) <= 3


def test_of_a_long_document_the_thinking_is_counted_whole_too() -> None:
    """[the budget] It may have a price of its own."""
    _, after = counted_whole(openai, whole(content="word", reasoning_content=WRITTEN))
    assert abs(after.reasoning_tokens - len(WRITTEN.split())) <= 3
    assert after.output_tokens - after.reasoning_tokens <= 3


@given(st.lists(st.sampled_from([("a ", 1), ("word ", 10), ("considerably ", 2_000), ("b ", 9_000)]), min_size=1, max_size=8))
@settings(deadline=None, max_examples=40)
def test_what_was_counted_later_is_part_of_the_whole_count(words: list[tuple[str, int]]) -> None:
    """[the budget] Wherever in the text it stands: within a token a block of what the tokenizer makes of all of it at once."""
    meter = TokenMeter(RATE, LongOutputs().with_thread(Tokenizer("t", lambda given: len(given.split()))))
    for word, times in words:
        meter.add_text(word * times)
    known = meter.text
    assert known is not None
    counted = known.count_all(lambda: False)
    assert counted is not None
    known.take(counted)
    size = sum(len(word) * times for word, times in words)
    for found in (meter.exact(), meter.exact_at(meter.tokens)):
        assert abs(found - sum(times for _, times in words)) <= 2 + size // TRIED_BYTES
    assert meter.way.source == COUNTED
