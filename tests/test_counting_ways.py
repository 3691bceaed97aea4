"""Which of the ways a cut stream's tokens are counted: what its vendor said, a tokenizer, what was learned, pieces, size."""

from __future__ import annotations

import base64
import json
import random
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.providers.counting import Counting, NoTokenizer, tokenizers_of
from aisa.providers.measure import ANSWERS_KEPT, ANSWERS_MIN, LEARN_EVERY, SPREAD_MAX, TOKENS_MIN, Answer, Measure
from aisa.providers.shape import Target
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.tokenizers.on_demand import CARRIED, load_tokenizer
from aisa.usage import COUNTED, ESTIMATED, REPORTED, Usage, Way
from aisa.vendor_targets import asks_for_running_usage
from aisa.wire.learned_meter import LearnedMeter, LearnedRate
from aisa.wire.token_meter import (
    BY_LEARNED_PIECES,
    BY_LEARNED_SIZE,
    BY_LOGPROBS,
    BY_PIECES,
    BY_SIZE,
    BY_TOKEN_IDS,
    BY_VENDOR,
    PIECES,
    SIZE,
    UNIT,
    Rate,
    TokenMeter,
)
from aisa.wire.tokenized_text import TRIED_AT_ONCE_BYTES_MAX, TRIED_BYTES, Tokenizer
from one_call import FOR_EVER, made, row_of
from rig import DONE, HEAD, OPENING, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, document, event, text, usage, whole_stream

URL = "http://127.0.0.1:9/v1"
FAST = {"fast": Model(to=("a/m",), prices=Prices(input=1, output=2))}
LETTERS = "x" * 94  # about 24 tokens by its size


def said(words: str, **more: Any) -> bytes:
    """A chunk of text with more in its choice, or with `usage` in the chunk."""
    beside = {"usage": more.pop("usage")} if "usage" in more else {}
    return event(
        {**HEAD, "choices": [{"index": 0, "delta": {"content": words}, "logprobs": None, "finish_reason": None, **more}], **beside}
    )


def counted(completion: int, prompt: int = 9) -> dict[str, int]:
    """A report of usage."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def billed(events: list[bytes], **options: Any) -> Usage:
    """Have a client leave when it has these events; return what it is billed for."""
    return row_of(made([*events, FOR_EVER], MemoryClient(leaves_after=len(events)), **options)[1]).billed


# What the vendor said


@pytest.mark.parametrize("tokens", [1, 6, 25, 40])
def test_a_running_count_is_exact_however_many_tokens_a_delta_has(tokens: int) -> None:
    """[fault M7] What the vendor says with each chunk is the bill, above what text and pieces would make of it and below."""
    events = [chunk(OPENING), *[said(LETTERS, usage=counted(tokens * number)) for number in range(1, 6)]]
    found = billed(events)
    assert (found.output_tokens, found.source, found.counted_by) == (5 * tokens, REPORTED, "")
    assert (found.input_tokens, found.input_source) == (9, REPORTED)


def test_a_running_count_may_stand_in_the_choice() -> None:
    """As Moonshot has it."""
    events = [chunk(OPENING), *[said(LETTERS, usage=None) for _ in range(0)]]
    events += [
        event({**HEAD, "choices": [{"index": 0, "delta": {"content": LETTERS}, "finish_reason": None, "usage": counted(7 * n)}]})
        for n in (1, 2, 3)
    ]
    assert billed(events).output_tokens == 21


def test_a_count_that_stands_still_is_no_running_count() -> None:
    """A vendor that repeats one figure is counted by its text from the second chunk on; one that goes on is believed again."""
    still = [chunk(OPENING), *[said(LETTERS, usage=counted(3)) for _ in range(5)]]
    found = billed(still)
    assert (found.output_tokens, found.counted_by) == (3 + -(-4 * 94 // 4), BY_SIZE)
    assert billed([*still, said(LETTERS, usage=counted(500))]).output_tokens == 500


def test_a_running_count_beyond_the_text_is_not_believed() -> None:
    """[fault M5] Four tokens a byte and 5,000 are the most."""
    events = [chunk(OPENING), said("Hi", usage=counted(4 * 2 + 5_001)), said(" there", usage=counted(10**9))]
    assert billed(events).output_tokens <= 2


def test_the_input_of_an_early_report_wins() -> None:
    """Point 5. However long the text of the request is, and whatever the picture would cost."""
    parts = [{"type": "text", "text": "x" * 4_000}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    found = billed([chunk(OPENING), said("one ", usage=counted(1, 77)), said("two ")], messages=[{"role": "user", "content": parts}])
    assert (found.input_tokens, found.input_source) == (77, REPORTED)


@pytest.mark.parametrize("tokens", [1, 6, 25])
@pytest.mark.parametrize(("way", "member"), [(BY_TOKEN_IDS, "token_ids"), (BY_LOGPROBS, "logprobs")])
def test_token_ids_and_log_probabilities_are_counted(tokens: int, way: str, member: str) -> None:
    """[fault M7] As many as the chunk lists, in the stream and in a document that nobody reports; what comes without is counted on top."""
    entries = [{"token": "x", "logprob": -1.0, "bytes": [120], "top_logprobs": []}] * tokens
    listed: Any = list(range(tokens)) if member == "token_ids" else {"content": entries, "refusal": None}
    events = [chunk(OPENING), *[said(LETTERS, **{member: listed})] * 4]
    found = billed(events)
    assert (found.output_tokens, found.source, found.counted_by) == (4 * tokens, COUNTED, way)
    assert billed([*events, said("y" * 40)]).output_tokens == 4 * tokens + 10
    whole = json.loads(document(LETTERS * 4))
    whole["choices"][0][member] = list(range(4 * tokens)) if member == "token_ids" else {"content": entries * 4, "refusal": None}
    row = row_of(made([json.dumps({**whole, "usage": None}).encode()], stream=False)[1])
    assert (row.billed.output_tokens, row.billed.source, row.billed.counted_by) == (4 * tokens, COUNTED, way)


@pytest.mark.parametrize("member", ["token_ids", "logprobs"])
def test_more_tokens_than_a_text_can_be_are_not_counted_because_they_are_listed(member: str) -> None:
    """[fault M5] 5,000 for two letters: by its pieces, in a stream, and by its size in a document. What can be is believed again."""
    entries = [{"token": "x", "logprob": -1.0, "bytes": None, "top_logprobs": []}] * 5_000
    listed: Any = list(range(5_000)) if member == "token_ids" else {"content": entries, "refusal": None}
    three: Any = [1, 2, 3] if member == "token_ids" else {"content": entries[:3], "refusal": None}
    assert billed([chunk(OPENING), said("We ", **{member: listed})]).output_tokens == 1
    assert billed([chunk(OPENING), said("We ", **{member: listed}), said("see", **{member: three})]).output_tokens == 4
    whole = json.loads(document("We see"))
    whole["choices"][0][member] = listed
    assert row_of(made([json.dumps({**whole, "usage": None}).encode()], stream=False)[1]).billed.output_tokens == 2


def test_holds_follow_what_the_vendor_says() -> None:
    """[fault M7] Twelve deltas of 25 tokens are held for as 300, not as 12."""
    events = [chunk(OPENING), *[said("word ", usage=counted(25 * number)) for number in range(1, 13)]]
    seen: list[int] = []
    _, rig = made(
        [*events, FOR_EVER], MemoryClient(), during=lambda rig, client: (seen.append(rig.ledger.calls["req_1"].progress), client.leave())
    )
    assert seen == [300]
    assert row_of(rig).billed.output_tokens == 300


@pytest.mark.parametrize(
    ("name", "url", "setting", "asked"),
    [
        ("vllm", URL, None, True),
        ("local", "http://vllm.internal:8000/v1", None, True),
        ("my-vLLM-2", URL, None, True),
        ("openai", "https://api.openai.com/v1", None, False),
        ("vllm", URL, False, False),
        ("openai", "https://api.openai.com/v1", True, True),
        ("local", "http://127.0.0.1:8000/v1/vllm", None, False),
    ],
)
def test_running_usage_is_asked_of_vllm_and_where_it_is_set(name: str, url: str, setting: bool | None, asked: bool) -> None:
    """Other servers may refuse what they do not know, so nobody else is asked by default."""
    assert asks_for_running_usage(name, Vendor(base_url=url, running_usage=setting)) is asked


def asked_of(*scripts: Script, **fields: Any) -> list[Any]:
    """Have a vLLM answer calls, one for each of the scripts but refusals; return the `stream_options` that it was sent."""
    upstream = ScriptedUpstream(*scripts)
    rig = Rig(upstream)
    rig.dependencies.routes = Routes(Config(vendors={"a": Vendor(base_url=URL, running_usage=True)}, models={"fast": Model(to=("a/m",))}))

    async def main() -> None:
        for _ in [script for script in scripts if script.status == 200]:
            await rig.call(MemoryClient(), body(stream=True, **fields))

    run_virtual(main())
    return [json.loads(request.body).get("stream_options") for request in upstream.requests]


BOTH = {"include_usage": True, "continuous_usage_stats": True}


def test_a_vendor_is_asked_for_its_running_count_beside_its_usage() -> None:
    """What the caller wrote there stays, and has the last word on it."""
    good = Script(whole_stream("a", "b"))
    assert asked_of(good) == [BOTH]
    assert asked_of(good, stream_options={"include_usage": True}) == [BOTH]
    assert asked_of(good, stream_options={"include_obfuscation": False}) == [{**BOTH, "include_obfuscation": False}]
    assert asked_of(good, stream_options={"continuous_usage_stats": False}) == [{"continuous_usage_stats": False, "include_usage": True}]


def test_a_vendor_that_refuses_the_running_count_is_asked_without_it_alone() -> None:
    """[fault W7] Its usage at the end is still asked for, and the next call knows."""
    words = {"error": {"message": "Unknown field: stream_options.continuous_usage_stats", "type": "invalid_request_error"}}
    refusal = Script([json.dumps(words).encode()], status=400, headers={"content-type": "application/json"})
    good = Script(whole_stream("a", "b"))
    assert asked_of(refusal, good, good) == [BOTH, {"include_usage": True}, {"include_usage": True}]


# The tokenizer


@pytest.mark.heavy
def test_the_carried_encodings_count_as_openais_do() -> None:
    """[fault M8] Offline: from the package that has the tables. The figures are tiktoken's own."""
    words = "The quick brown fox, 12345 naïve 日本語 🙂 x = {'a': [1, 2]}"
    assert {name: load_tokenizer(name).count(words) for name in CARRIED} == {"cl100k_base": 26, "o200k_base": 24}


def tekken(path: Path) -> Path:
    """Write a small Tekken file: single bytes, and `ab`. Two of its tokens are more than its configuration means."""
    ranks = [bytes([value]) for value in range(256)] + [b"ab", b"abab", b"zz"]
    vocab = [{"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": None} for rank, token in enumerate(ranks)]
    config = {"pattern": r"\S+|\s+", "num_vocab_tokens": 259, "default_vocab_size": 267, "default_num_special_tokens": 10, "version": "v3"}
    path.write_text(json.dumps({"config": config, "vocab": vocab}))
    return path


def word_level(path: Path) -> Path:
    """Write a small `tokenizer.json`: words are tokens."""
    whole = tokenizers.Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    whole.pre_tokenizer = pre_tokenizers.Whitespace()
    whole.enable_truncation(2)
    whole.save(str(path))
    return path


def test_a_tokenizer_is_a_file_of_either_form(tmp_path: Path) -> None:
    """Point 4. Tekken with as many tokens as it means, and `tokenizer.json` without the cutting and padding that it may ask for."""
    found = load_tokenizer(str(tekken(tmp_path / "tekken.json")))
    assert (found.name, found.count("abab zz")) == ("tekken.json", 2 + 1 + 2)
    (tmp_path / "qwen").mkdir()
    found = load_tokenizer(str(word_level(tmp_path / "qwen" / "tokenizer.json")))
    assert (found.name, found.count("a b a b c")) == ("qwen/tokenizer.json", 5)


@pytest.mark.parametrize(
    ("written", "said"),
    [(None, "cannot be read: No such file"), ("", "has 0 bytes"), ("{}", "cannot be loaded"), ("\xff", "cannot be loaded")],
)
def test_a_file_that_is_no_tokenizer_is_an_error_with_its_remedy(tmp_path: Path, written: str | None, said: str) -> None:
    """Where the setting stands, what is wrong with the file, and what it may be."""
    path = tmp_path / "bad.json"
    if written is not None:
        path.write_bytes(written.encode("latin-1"))
    config = Config(vendors={"a": Vendor(base_url=URL)}, models={"fast": Model(to=("a/m",), tokenizer=str(path))})
    with pytest.raises(NoTokenizer, match=said) as caught:
        tokenizers_of(config, load_tokenizer)
    assert caught.value.where == "models.fast.tokenizer"
    assert "Tekken" in str(caught.value)


def test_each_model_has_its_own_tokenizer(tmp_path: Path) -> None:
    """Point 4. By model and not by vendor: the model's, else the vendor's; each is loaded once."""
    loaded: list[str] = []

    def load_one(name: str) -> Tokenizer:
        loaded.append(name)
        return Tokenizer(name, len)

    vendors = {"a": Vendor(base_url=URL, tokenizer="theirs"), "b": Vendor(base_url=URL)}
    models = {"one": Model(to=("a/m",), tokenizer="own"), "two": Model(to=("a/m", "b/m")), "three": Model(to=("b/m",), tokenizer="theirs")}
    config = Config(vendors=vendors, models=models)
    routes = Routes(config, counting=Counting(tokenizers_of(config, load_one)))
    assert sorted(loaded) == ["own", "theirs"]

    def names(model: str) -> list[str]:
        found = [offer.target.measure.tokenizer for offer in routes.find(model).offers]
        return ["" if each is None else each.name for each in found]

    assert [names(name) for name in ("one", "two", "three", "a/pass-through", "b/pass-through")] == [
        ["own"],
        ["theirs", ""],
        ["theirs"],
        ["theirs"],
        [""],
    ]


def test_the_row_names_the_tokenizer() -> None:
    """Which way was used stands in the row."""
    config = Config(
        vendors={"a": Vendor(base_url=URL)}, models={"fast": Model(to=("a/m",), tokenizer="pairs", prices=Prices(input=1, output=2))}
    )
    rig = Rig(ScriptedUpstream())
    rig.dependencies.routes = Routes(config, counting=Counting(tokenizers_of(config, load_tokenizer)))
    rig.dependencies.upstreams = {"a": ScriptedUpstream(Script([*text("abab", "ab x"), FOR_EVER]))}
    run_virtual(rig.call(MemoryClient(leaves_after=3), body(stream=True)))
    found = rig.rows[0].billed
    assert (found.output_tokens, found.source, found.counted_by) == (5, COUNTED, "tokenizer pairs")


def test_an_answer_that_is_reported_costs_no_work_of_the_tokenizer() -> None:
    """The tail that waits is counted only where the bill needs it, and once."""
    seen: list[str] = []
    tokenizer = Tokenizer("t", lambda words: seen.append(words) or len(words))
    for steps, leaves, times in ((whole_stream("a ", "b "), None, 0), ([*text("a ", "b "), FOR_EVER], 3, 1)):
        seen.clear()
        rig = Rig(ScriptedUpstream(Script(steps)), prices=Prices(input=1, output=2))
        config = Config(
            vendors={"a": Vendor(base_url=URL, tokenizer="t")}, models={"fast": Model(to=("a/m",), prices=Prices(input=1, output=2))}
        )
        rig.dependencies.routes = Routes(config, counting=Counting({"t": tokenizer}))
        run_virtual(rig.call(MemoryClient() if leaves is None else MemoryClient(leaves_after=leaves), body(stream=True)))
        assert len([words for words in seen if words.startswith("a ")]) == times


@pytest.mark.parametrize("blank", [" ", ""])
@pytest.mark.parametrize("size", [1, 7, 300, 5_000, 30_000])
def test_a_tokenizer_sees_blocks_and_never_much_at_once(size: int, blank: str) -> None:
    """Budget: blocks of 4 KiB, 16 KiB of one piece; beyond, the rest is taken to be like the beginning, and the way says so."""
    seen: list[int] = []

    def count(words: str) -> int:
        seen.append(len(words.encode()))
        return len(words.encode()) // 3

    meter = TokenMeter(PIECES, Tokenizer("t", count))
    whole = (f"日本語{blank}" * 30_000).encode()[:60_000].decode("utf-8", "ignore")
    for start in range(0, len(whole), size):
        before = len(seen)
        meter.add_text(whole[start : start + size])
        assert sum(seen[before:]) <= TRIED_AT_ONCE_BYTES_MAX + TRIED_BYTES
    exact = meter.exact()
    assert max(seen) <= TRIED_BYTES
    assert abs(exact - len(whole.encode()) / 3) < 40
    assert meter.way.source == (ESTIMATED if 3 * size > TRIED_AT_ONCE_BYTES_MAX else COUNTED)


@pytest.mark.heavy
def test_no_stream_keeps_more_than_8_kib_for_counting() -> None:
    """Budget. However small the pieces are in which 32 KiB come, with a tokenizer and without."""
    for tokenizer in (None, Tokenizer("t", lambda words: len(words) // 4)):
        meter = TokenMeter(PIECES, tokenizer)
        tracemalloc.start()
        try:
            for number in range(1 << 14):
                meter.add_bytes(b"%02x" % (number & 255))
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept < 8_192


def test_what_one_read_brings_is_counted_as_if_it_came_alone() -> None:
    """The loop over many chunks gives the figures of one chunk after the other."""
    chance = random.Random(9)
    thirds, learned = Tokenizer("t", lambda words: len(words) // 3), LearnedRate(UNIT * 25, UNIT // 9, UNIT // 3, 8)
    kinds = [partial(TokenMeter, rate, counts) for rate in (PIECES, SIZE, Rate(3, 9, UNIT * 25, UNIT // 3)) for counts in (None, thirds)]
    for made_meter in (*kinds, partial(LearnedMeter, learned)):
        for _ in range(2):
            alone, together = made_meter(), made_meter()
            for _ in range(50):
                texts = [b"x" * chance.choice([1, 3, 5, 8, 94, 900]) for _ in range(chance.randrange(1, 30))]
                begin, counts = alone.tokens, together.add_all(texts)
                assert counts == [alone.tokens - begin for text in texts if alone.add_bytes(text) >= 0]
            assert (alone.tokens, alone.total, alone.way) == (together.tokens, together.total, together.way)


# What was learned


def learned(answers: list[tuple[int, int, int]], rule: Rate = PIECES) -> Measure:
    """A target that has given these answers: tokens, pieces, bytes."""
    measure = Measure(rule)
    for answer in answers:
        measure.learn(*answer)
    return measure


def answers_of(measure: Measure) -> int:
    """Of how many answers it was learned how the target's streams are counted."""
    return measure.rate.answers if isinstance(measure.rate, LearnedRate) else 0


def rate_of(measure: Measure) -> LearnedRate:
    """How a target's streams are counted, which was learned."""
    assert isinstance(measure.rate, LearnedRate)
    return measure.rate


def text_rate_of(measure: Measure) -> LearnedRate:
    """The same of its whole texts."""
    assert isinstance(measure.text_rate, LearnedRate)
    return measure.text_rate


def test_nothing_is_learned_of_a_few_answers() -> None:
    """Until there are eight, the rule of thumb holds."""
    answers = [(250, 10, 1_000)] * (ANSWERS_MIN - 1)
    assert learned(answers).rate == PIECES
    assert answers_of(learned([*answers, answers[0]])) == ANSWERS_MIN


def test_what_answers_agree_on_more_is_the_measure() -> None:
    """Pieces of a steady number of tokens, or text of a steady number of bytes; what neither says is not learned."""
    chance = random.Random(3)
    steady_pieces = [(25 * pieces, pieces, pieces * chance.randrange(60, 140)) for pieces in range(10, 30)]
    steady_bytes = [(size // 3, chance.randrange(3, 90), size) for size in range(600, 1_600, 50)]
    neither = [(100, chance.randrange(3, 400), chance.randrange(200, 9_000)) for _ in range(20)]
    assert 24.9 * UNIT < rate_of(learned(steady_pieces)).per_piece < 25 * UNIT  # one token less an answer, which may have no text
    by_piece, by_size = learned(steady_pieces).meter(), learned(steady_bytes).meter()
    for size in (100, 90, 110, 60, 140):
        by_piece.add_bytes(b"x" * size)
        by_size.add_bytes(b"x" * size)
    assert (by_piece.tokens, by_piece.way.name) == (125, BY_LEARNED_PIECES)
    assert (500 // 3 - 2 <= by_size.tokens <= 500 // 3, by_size.way.name) == (True, BY_LEARNED_SIZE)
    assert learned(neither).rate == PIECES


def test_the_lower_quartile_errs_to_the_callers_advantage() -> None:
    """A quarter of the answers made less of a byte than what is charged, three quarters more."""
    answers = [(tokens, 0, 1_000) for tokens in range(240, 340, 5)]
    rate = text_rate_of(learned(answers[:16]))
    made_less = [tokens for tokens, _, _ in answers[:16] if (tokens - 1) * UNIT // 1_000 < rate.most_per_byte]
    assert len(made_less) == 4


def test_short_answers_and_such_as_hide_something_teach_nothing() -> None:
    """Of a few tokens what vendors count beside the text weighs too much; of more tokens than bytes not all was shown."""
    assert learned([(TOKENS_MIN - 1, 0, 400)] * 20).text_rate == SIZE
    assert learned([(1_001, 10, 1_000)] * 20).rate == PIECES


def test_a_vendor_that_thinks_in_secret_is_not_learned_from() -> None:
    """Its answers differ in what they make of a byte by more than text does."""
    chance = random.Random(5)
    answers = [(size // 4 + chance.randrange(100, 900), 0, size) for size in range(1_000, 3_000, 100)]
    ordered = sorted(tokens / size for tokens, _, size in answers)
    assert (ordered[15] - ordered[5]) / ordered[10] * 100 > SPREAD_MAX
    assert learned(answers).text_rate == SIZE


def test_deltas_of_any_length_are_learned_by_their_bytes_alone() -> None:
    """Where the operator says `deltas: text`, a piece is nothing, however steady it looks."""
    meter = learned([(25 * pieces, pieces, pieces * 100) for pieces in range(10, 30)], SIZE).meter()
    for size in (1, 1, 1, 397):
        meter.add_bytes(b"x" * size)
    assert (98 <= meter.tokens <= 100, meter.way.name) == (True, BY_LEARNED_SIZE)


def test_of_what_was_learned_the_lower_count_is_billed() -> None:
    """[fault M7] 25 tokens a piece of 60 to 140 bytes: a piece is 25 tokens, but no more than the answers with the most made of its bytes.

    Of pieces that are far longer than in any answer, more than one piece's tokens are certain: half of what the least made of their bytes.
    """
    measure = learned([(25 * pieces, pieces, pieces * (60 + 4 * (pieces - 10))) for pieces in range(10, 34)])
    for size, least, most, way in (
        (100, 250, 250, BY_LEARNED_PIECES),
        (65, 250, 250, BY_LEARNED_PIECES),
        (200, 250, 250, BY_LEARNED_PIECES),
        (30, 122, 125, BY_LEARNED_SIZE),
        (1, 4, 5, BY_LEARNED_SIZE),
        (1_000, 750, 25 * 10_000 // 152 // 2, BY_LEARNED_SIZE),
    ):
        meter = measure.meter()
        for _ in range(10):
            meter.add_bytes(b"x" * size)
        assert least <= meter.tokens <= most, size
        assert meter.way.name == way, size


@pytest.mark.parametrize("ends", [0, 1], ids=["its-end-is-not-counted", "its-end-is-counted"])
def test_a_vendor_that_sends_token_by_token_is_never_billed_above_its_pieces(ends: int) -> None:
    """[point 4] Whatever the text is, wherever it is left: long tokens first and short ones then, as from a real transformers server.

    That server's streams began with words and went on with blank lines; and many servers count the token that ends an answer, without text.
    """
    chance = random.Random(11)
    answers = [(pieces + ends, pieces, pieces * 2 + chance.randrange(pieces)) for pieces in chance.sample(range(60, 160), 30)]
    measure = learned(answers)
    for _ in range(200):
        meter, pieces = measure.meter(), 0
        for size in (chance.choice([1, 2, 12, 15]), chance.choice([1, 3, 9]), chance.choice([1, 2, 4])):
            for _ in range(chance.randrange(20)):
                meter.add_bytes(b"x" * size)
                pieces += 1
                assert meter.tokens <= pieces
        assert meter.tokens >= min(pieces, meter.total[1] // 3)


def test_several_choices_have_as_many_ends() -> None:
    """[point 4] Four choices of 30 tokens that are reported as 124 are worth a token a piece."""
    measure = Measure()
    for _ in range(LEARN_EVERY):
        measure.learn(124, 120, 480, choices=4)
    assert rate_of(measure).per_piece == UNIT


def test_what_was_learned_only_grows_with_the_text() -> None:
    """Point 4: a figure never falls; and a text has one token at least."""
    chance = random.Random(13)
    for _ in range(100):
        least = chance.randrange(UNIT // 4)
        meter = LearnedMeter(LearnedRate(chance.randrange(1, 30 * UNIT), least, least + chance.randrange(1, UNIT), 8))
        for _ in range(30):
            assert meter.add_bytes(b"x" * chance.choice([1, 4, 30, 900])) >= 0
            assert meter.tokens >= 1


def test_memory_of_answers_is_bounded() -> None:
    """The last 64 of each target, and of a thousand targets."""
    measure = learned([(100, 0, 400)] * 500)
    assert text_rate_of(measure).answers == ANSWERS_KEPT
    counting = Counting()
    vendor = Vendor(base_url=URL)
    first = counting.measure("a/0", vendor, Model(to=()))
    assert counting.measure("a/0", vendor, Model(to=())) is first
    for number in range(1, 1_001):
        counting.measure(f"a/{number}", vendor, Model(to=()))
    assert counting.measure("a/0", vendor, Model(to=())) is not first


def target_with(counting: Counting) -> tuple[Rig, Target]:
    """A rig whose one model is counted so."""
    rig = Rig(ScriptedUpstream(), prices=Prices(input=1, output=2))
    rig.dependencies.routes = Routes(Config(vendors={"a": Vendor(base_url=URL)}, models=FAST), counting=counting)
    return rig, rig.dependencies.routes.find("fast").offers[0].target


def learn_and_cut(rig: Rig, steps: list[Any], cut: list[bytes] | None = None, **fields: Any) -> Usage | None:
    """Have a vendor give the same answer until something is learned of it; then have a client leave a stream. Returns that one's bill."""
    rig.dependencies.upstreams = {"a": ScriptedUpstream(*[Script(steps)] * LEARN_EVERY, Script([*(cut or []), FOR_EVER]))}

    async def main() -> None:
        for _ in range(LEARN_EVERY):
            await rig.call(MemoryClient(), body(**fields))
        if cut is not None:
            await rig.call(MemoryClient(leaves_after=len(cut)), body(stream=True))

    run_virtual(main())
    return rig.rows[-1].billed if cut is not None else None


BATCHED = [*text(*[LETTERS] * 6), chunk({}, "stop"), usage(9, 120), DONE]  # 20 tokens a delta


def test_cut_streams_are_counted_as_complete_ones_were_reported() -> None:
    """[fault M7] Eight answers teach what a delta is worth; the row of the cut stream says so, and of how many answers."""
    kept: list[tuple[str, list[Answer]]] = []
    counting = Counting(learned=lambda target, answers: kept.append((target, answers)))
    rig, _ = target_with(counting)
    found = learn_and_cut(rig, BATCHED, text(*[LETTERS] * 3), stream=True)
    assert kept == [("a/m", [Answer(120 - 1, 6, 6 * 94)] * LEARN_EVERY)]  # the last token may be one without a text
    assert found is not None
    assert (found.output_tokens, found.source, found.counted_by, found.counted_answers) == (60, COUNTED, BY_LEARNED_PIECES, LEARN_EVERY)
    reloaded = counting.renewed({}).renewed({})  # twice, and the second time without a call in between
    for counts in (Counting(known=dict(kept)), reloaded):  # after a restart, which has asked the database, and after reloads
        again, _ = target_with(counts)
        again.dependencies.upstreams = {"a": ScriptedUpstream(Script([*text(*[LETTERS] * 3), FOR_EVER]))}
        run_virtual(again.call(MemoryClient(leaves_after=4), body(stream=True)))
        assert again.rows[-1].billed == found


def test_documents_teach_what_a_byte_is_worth() -> None:
    """A vendor that reports in documents alone is counted by them in its streams, and by bytes, not characters."""
    words = "日本語" * 30  # 270 bytes
    whole = json.dumps({**json.loads(document(words)), "usage": counted(90)}).encode()
    rig, target = target_with(Counting())
    found = learn_and_cut(rig, [whole], text(words))
    assert rate_of(target.measure).most_per_byte == 89 * UNIT // 270
    assert found is not None
    assert (found.output_tokens, found.counted_by) == (89, BY_LEARNED_SIZE)


THINKING = {"completion_tokens_details": {"reasoning_tokens": 90}}


def test_only_what_was_shown_is_learned() -> None:
    """Hidden thinking is left out of what a byte is worth; a summary of thinking, sound and a report that is none teach nothing."""
    report = event({**HEAD, "choices": [], "usage": {**counted(210), **THINKING}})
    for begin, learns in (([], (119, 6, 564)), ([chunk({"reasoning_content": "hm"})], None)):
        seen: list[Answer] = []
        rig, target = target_with(Counting(learned=lambda _target, answers, seen=seen: seen.extend(answers)))
        learn_and_cut(rig, [chunk(OPENING), *begin, *text(*[LETTERS] * 6)[1:], chunk({}, "stop"), report, DONE], stream=True)
        assert set(seen) == ({learns} if learns else set())
    rig, target = target_with(Counting())
    learn_and_cut(rig, [*text(*[LETTERS] * 6), chunk({}, "stop"), event({**HEAD, "choices": [], "usage": {}}), DONE], stream=True)
    assert target.measure.rate == PIECES


def test_the_ways_are_tried_in_their_order() -> None:
    """Point 4: what the vendor said, the tokenizer, what was learned, pieces, size."""
    answers = [Answer(100, 100, 400)] * 64
    for meter, way in (
        (Measure(tokenizer=Tokenizer("t", lambda words: 7), known=answers).meter(), Way("tokenizer t")),
        (Measure(known=answers).meter(), Way(BY_LEARNED_PIECES, COUNTED, 64)),
        (TokenMeter(), Way(BY_PIECES)),
        (TokenMeter(SIZE), Way(BY_SIZE, ESTIMATED)),
    ):
        meter.add_bytes(b"word")
        assert meter.way == way
        meter.tell(3, BY_VENDOR, [4])
        assert (meter.way, meter.exact()) == (Way(BY_VENDOR), 3) if meter.tokens <= 3 else meter.way == Way(BY_VENDOR)


def test_a_cut_stream_never_bills_more_than_a_later_report() -> None:
    """Point 4. A vendor that is read on after its client left says what was made: a count above that falls, whichever way it was made."""
    rig, _ = target_with(Counting(known={"a/m": [Answer(250, 10, 1_000)] * 64}))
    rig.dependencies.upstreams = {"a": ScriptedUpstream(Script([*text(*["x" * 100] * 4), chunk({}, "stop"), usage(9, 40), DONE]))}
    run_virtual(rig.call(MemoryClient(leaves_after=4), body(stream=True)))
    assert rig.rows[-1].billed.output_tokens <= 40
