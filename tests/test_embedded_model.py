"""The language model itself: its training, its tokens, its probabilities. Not how it is asked."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.embedded.model import Model, ModelFile, advance, read_model, shipped_model
from aisa.embedded.vocabulary import END

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "src" / "aisa" / "embedded" / "tiny.model"
PROMPTS = ["Write a haiku about APIs.", "What is the weather like in Paris?", "Zanzibar", "", "How do I bake bread for a cat?"]


@cache
def training() -> ModuleType:
    """Return the training script as a module."""
    spec = importlib.util.spec_from_file_location("train", ROOT / "training" / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def small_model(text: str) -> Model:
    """Train a model on a few words."""
    return read_model(training().train(text))


def say(prompt: str, seed: int) -> str:
    """Return what the shipped model says, at most 120 tokens."""
    model, chance = shipped_model(), random.Random(seed)
    topic = model.topic(prompt)
    context, tokens = topic.opening, list[int]()
    while len(tokens) < 120:
        token = model.draw(context, topic.boosts, chance)
        if token == END:
            break
        tokens.append(token)
        context = advance(context, token)
    return b"".join(model.vocabulary.tokens[token] for token in tokens).decode("utf-8", "replace")


def contexts(model: Model, prompt: str, count: int) -> list[int]:
    """Return contexts as they occur in answers to a prompt."""
    chance, topic = random.Random(1), model.topic(prompt)
    found = [topic.opening]
    while len(found) < count:
        token = model.draw(found[-1], topic.boosts, chance)
        found.append(topic.opening if token == END else advance(found[-1], token))
    return found


def test_training_reproduces_the_shipped_file_byte_for_byte() -> None:
    """Whoever runs the script on the text in the repository gets the file that is in the package."""
    assert training().train(training().training_text()) == SHIPPED.read_bytes()


def test_the_shipped_file_is_smaller_than_a_megabyte() -> None:
    """The model adds less than a megabyte to the package."""
    assert SHIPPED.stat().st_size < 1_000_000


def test_importing_reads_no_model_and_reading_it_takes_less_than_15_megabytes() -> None:
    """Whoever never asks the embedded model pays nothing for it, and whoever does, little."""
    script = """
import resource, sys
import aisa.embedded.upstream
from aisa.embedded.model import shipped_model
assert shipped_model.cache_info().currsize == 0
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = shipped_model()
unit = 1 if sys.platform == "darwin" else 1024
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT / "src")})
    assert int(done.stdout) < 15_000_000


@given(st.text())
def test_any_text_is_the_join_of_its_tokens(text: str) -> None:
    """No character is lost or changed by cutting a text into tokens, whatever language it is in."""
    vocabulary = shipped_model().vocabulary
    assert b"".join(vocabulary.tokens[token] for token in vocabulary.encode(text)) == text.encode("utf-8", "replace")


def test_common_words_are_one_token_and_the_vocabulary_has_some_thousand() -> None:
    """English is counted in words, not in bytes, and there are enough tokens for 123 top_logprobs."""
    vocabulary = shipped_model().vocabulary
    assert [vocabulary.tokens[token] for token in vocabulary.encode("The weather in Paris is good.")] == [
        b"The", b" weather", b" in", b" Paris", b" is", b" good", b".",
    ]  # fmt: skip
    assert 2_000 < len(vocabulary) < 5_000


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_probabilities_of_the_whole_vocabulary_sum_to_one(prompt: str) -> None:
    """In every context, with and without a topic, all tokens together have probability 1 and none has 0."""
    model = shipped_model()
    for context in [*contexts(model, prompt, 60), 0, 1 << 60]:
        for boosts in (model.topic(prompt).boosts, {}):
            dense = model.distribution(context, boosts).dense()
            assert sum(dense) == pytest.approx(1, abs=1e-9)
            assert min(dense) > 0


def test_a_token_has_the_same_probability_however_it_is_looked_up() -> None:
    """One token's probability, the list of all, and the ranking agree."""
    model = shipped_model()
    topic = model.topic("Tell me about tokens in a stream")
    for context in contexts(model, "Tell me about tokens in a stream", 40):
        distribution = model.distribution(context, topic.boosts)
        dense = distribution.dense()
        assert [distribution.probability(token) for token in range(len(dense))] == dense
        assert distribution.likeliest(200) == sorted(range(len(dense)), key=lambda token: (-dense[token], token))[:200]


@pytest.mark.parametrize("discount", [0.01, 0.5, 0.99])
def test_tokens_are_drawn_as_often_as_their_probability_says(discount: float) -> None:
    """The quick draw, which never looks at the whole vocabulary, follows the distribution that logprobs report, whatever is held back."""
    text = (
        "> what is a cat?\nthe cat saw the dog and the cat saw the bird\n\n> what is a dog?\nthe dog saw the cat and the fish and the cat"
    )
    file = msgspec.msgpack.decode(training().train(text), type=ModelFile)
    for level in file.levels:
        level.discount = discount
    model, chance, draws = Model(file), random.Random(7), 5_000
    topic = model.topic("cat")
    the = next(model.vocabulary.encode(" the"))
    for context in [*contexts(model, "cat", 6), advance(0, the)]:
        counts = Counter(model.draw(context, topic.boosts, chance) for _ in range(draws))
        dense = model.distribution(context, topic.boosts).dense()
        for token, probability in enumerate(dense):
            sigma = (draws * probability * (1 - probability)) ** 0.5
            assert abs(counts[token] - draws * probability) < 4.5 * sigma + 3


def test_what_was_counted_decides_what_is_likely() -> None:
    """After a word that was followed twice by one word and once by another, the first is the likelier one, and both beat the rest."""
    model = small_model("red fish red fish red bird")
    red, fish, bird = (next(model.vocabulary.encode(word)) for word in (" red", " fish", " bird"))
    distribution = model.distribution(advance(0, red), {})
    assert distribution.likeliest(2) == [fish, bird]
    assert distribution.probability(bird) > 0.05 > distribution.probability(red)


def test_a_word_of_the_prompt_becomes_likelier_where_it_was_seen_and_nowhere_else() -> None:
    """A topic changes the odds among words that can follow, but does not put words where the training text never had them."""
    model = shipped_model()
    weather = next(model.vocabulary.encode(" weather"))
    topic = model.topic("weather")
    after_the, after_cat = (advance(0, next(model.vocabulary.encode(word))) for word in (" the", " cat"))
    plain, boosted = (model.distribution(after_the, boosts).probability(weather) for boosts in ({}, topic.boosts))
    assert boosted > 3 * plain
    plain, boosted = (model.distribution(after_cat, boosts).probability(weather) for boosts in ({}, topic.boosts))
    assert boosted <= plain


def test_the_order_and_the_small_words_of_a_prompt_do_not_matter_for_where_the_answer_begins() -> None:
    """Prompts with the same words of meaning open the answer alike; others do not."""
    model = shipped_model()
    assert model.topic("Write a haiku about APIs.").opening == model.topic("API haiku, please!").opening
    assert model.topic("Write a haiku about APIs.").opening != model.topic("Write a haiku about rain.").opening


def test_a_haiku_has_three_short_lines() -> None:
    """The form of a haiku is learned: nearly every answer to such a prompt has it, and they are not all the same."""
    said = [say("Write a haiku about APIs.", seed) for seed in range(200)]
    haikus = [text for text in said if text.count("\n") == 2 and all(len(line) < 45 for line in text.split("\n"))]
    assert len(haikus) > 185
    assert len(set(haikus)) > 20


def test_an_answer_speaks_of_what_was_asked() -> None:
    """Most answers contain the word that the question was about."""
    for prompt, word in [("What is a token?", "token"), ("How is the weather?", "sky"), ("How do I cook rice?", "rice")]:
        assert sum(word in say(prompt, seed) for seed in range(50)) > 25


def test_the_model_writes_plain_text() -> None:
    """Answers are printable English: no stray bytes, and they end by themselves."""
    for prompt in PROMPTS:
        for seed in range(20):
            text = say(prompt, seed)
            assert text.replace("\n", "").isprintable()
            assert text
