"""The settings of a request: what they do to the choice of tokens, and what is told about probabilities."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.embedded.model import Distribution, shipped_model
from aisa.embedded.sampling import Sampler, Settings, Weights, chosen_logprob, leading
from aisa.embedded.text import Cutter

PROMPT = "Write a haiku about APIs."
DRAWS = 3_000


def sampler(settings: Settings, seed: int = 1, prompt: str = PROMPT) -> Sampler:
    """Return a sampler of the shipped model."""
    model = shipped_model()
    return Sampler(model, settings, topic=model.topic(prompt), chance=random.Random(seed))


def written(settings: Settings, seed: int = 1, length: int = 40) -> list[int]:
    """Return the first tokens of an answer, END taken like any other."""
    source = sampler(settings, seed)
    tokens = list[int]()
    for _ in range(length):
        tokens.append(source.choose())
        source.take(tokens[-1])
    return tokens


def counted(settings: Settings) -> Counter[int]:
    """Return how often each token was chosen as the first one."""
    source = sampler(settings, 3)
    return Counter(source.choose() for _ in range(DRAWS))


def expect(counts: Counter[int], weights: list[float]) -> None:
    """Assert that tokens were chosen in proportion to the weights."""
    total = sum(weights)
    for token, weight in enumerate(weights):
        share = weight / total
        assert abs(counts[token] - DRAWS * share) < 5 * (DRAWS * share * (1 - share)) ** 0.5 + 3


def first_weights() -> list[float]:
    """Return the model's own probabilities of the first token."""
    return sampler(Settings()).distribution().dense()


def test_at_temperature_zero_the_likeliest_token_is_always_chosen() -> None:
    """Chance has no say at temperature 0: every seed gives the same answer, and each token is the likeliest."""
    assert written(Settings(temperature=0), 1) == written(Settings(temperature=0), 2)
    source = sampler(Settings(temperature=0))
    for _ in range(20):
        dense = source.distribution().dense()
        token = source.choose()
        assert dense[token] == max(dense)
        source.take(token)


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others() -> None:
    """What is chosen depends on the given chance and on nothing else."""
    for settings in (Settings(), Settings(temperature=0.7), Settings(top_p=0.9)):
        assert written(settings, 1) == written(settings, 1)
        assert len({tuple(written(settings, seed)) for seed in range(8)}) > 2


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.5, 2.0])
def test_temperature_raises_probabilities_to_its_inverse(temperature: float) -> None:
    """Tokens are drawn by their probability to the power of 1/temperature, the whole vocabulary included."""
    expect(counted(Settings(temperature=temperature)), [weight ** (1 / temperature) for weight in first_weights()])


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_all_ways_to_choose_draw_alike(temperature: float) -> None:
    """Settings that change nothing, but take the longer way through the whole vocabulary, change nothing."""
    weights = [weight ** (1 / temperature) for weight in first_weights()]
    expect(counted(Settings(temperature=temperature, logit_bias={5: 0})), weights)


def test_top_p_leaves_only_the_smallest_set_of_likeliest_tokens() -> None:
    """With top_p 0.5 a token outside of the likeliest half is never chosen, and 0 leaves only the first."""
    weights = first_weights()
    ranked = sorted(range(len(weights)), key=lambda token: -weights[token])
    height, kept = 0.0, list[int]()
    while height < 0.5:
        kept.append(ranked[len(kept)])
        height += weights[kept[-1]]
    assert 1 < len(kept) < 50
    expect(counted(Settings(top_p=0.5)), [weight if token in kept else 0.0 for token, weight in enumerate(weights)])
    assert set(counted(Settings(top_p=0))) == {ranked[0]}


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=30), st.floats(0.01, 1))
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(weights: list[float], top_p: float) -> None:
    """What is kept reaches top_p of the sum, would not without its smallest member, and nothing left out is larger."""
    needed = top_p * sum(weights) * (1 - 1e-9)
    tokens, heights = leading(dict(enumerate(weights)), needed)
    kept = [weights[token] for token in tokens]
    assert heights[-1] >= needed
    assert sum(kept) - min(kept) < needed * (1 + 1e-9)
    assert len(kept) == len(weights) or min(kept) >= sorted(weights, reverse=True)[len(kept)]


def test_a_token_that_was_not_seen_goes_before_a_seen_one_that_is_rarer() -> None:
    """The nucleus is made by weight alone, also where a token that was never seen in this context weighs more than one that was."""
    model = shipped_model()
    seen = {70: 0.949, 71: 0.0015}
    tail = (1 - sum(seen.values())) / (1 - sum(model.unigrams[token] for token in seen))
    ranking = sorted(range(len(model.unigrams)), key=lambda token: -model.unigrams[token])
    distribution = Distribution(seen, tail, unigrams=model.unigrams, ranking=ranking)
    tokens, _ = Weights(model, distribution, 1).nucleus(0.95)
    assert tokens == distribution.likeliest(2)
    assert 71 not in tokens


@pytest.mark.parametrize(
    "settings", [Settings(top_p=0.9999999), Settings(top_p=0.97, temperature=2), Settings(top_p=0.8, logit_bias={66: -100})]
)
def test_a_nucleus_may_reach_beyond_the_tokens_that_were_seen(settings: Settings) -> None:
    """When top_p takes in words that never followed here, they are drawn as often as their probability says."""
    model = shipped_model()
    weights = sampler(settings, prompt="Write a haiku about APIs.").distribution().dense()
    for token, bias in settings.logit_bias.items():
        weights[token] *= math.exp(bias)
    powered = [weight ** (1 / settings.temperature) for weight in weights]
    tokens, _ = leading(dict(enumerate(powered)), settings.top_p * sum(powered))
    assert len(model.vocabulary) > len(tokens)
    expect(counted(settings), [weight if token in set(tokens) else 0.0 for token, weight in enumerate(powered)])


def test_a_bias_of_minus_100_bans_and_100_forces() -> None:
    """A banned token never appears and a forced one always does, at any temperature."""
    likeliest = sampler(Settings()).distribution().likeliest(5)
    for temperature in (0, 0.5, 1, 2):
        banned = Settings(temperature=temperature, logit_bias=dict.fromkeys(likeliest, -100))
        assert not set(written(banned)) & set(likeliest)
        assert set(written(Settings(temperature=temperature, logit_bias={77: 100}))) == {77}


@pytest.mark.parametrize("temperature", [0, 0.02, 0.1, 1, 2])
@pytest.mark.parametrize("top_p", [0.0, 0.5, 1.0])
def test_when_everything_is_banned_the_likeliest_is_still_chosen_by_its_probability(temperature: float, top_p: float) -> None:
    """A bias that all tokens share changes nothing; nor does one that bans all but the rarest break anything."""
    every = range(len(shipped_model().vocabulary))
    banned = Settings(temperature=temperature, top_p=top_p, logit_bias=dict.fromkeys(every, -100))
    assert {sampler(banned).choose()} <= set(sampler(Settings()).distribution().likeliest(20))
    most = Settings(temperature=temperature, top_p=top_p, logit_bias=dict.fromkeys(list(every)[:-30], -100))
    assert sampler(most).choose() in list(every)[-30:]


def test_a_bias_is_added_to_the_logit_and_unknown_ids_are_ignored() -> None:
    """A bias of ln 3 makes a token three times likelier beside the others; an id outside the vocabulary does nothing."""
    weights = first_weights()
    second = sampler(Settings()).distribution().likeliest(2)[1]
    expect(
        counted(Settings(logit_bias={second: math.log(3), 9_999_999: 50, -1: 50})),
        [3 * weight if token == second else weight for token, weight in enumerate(weights)],
    )


def test_penalties_make_what_was_written_rarer_and_negative_ones_more_frequent() -> None:
    """Presence counts once, frequency each time; the sum is taken off the logit."""
    source = sampler(Settings(presence_penalty=1.5, frequency_penalty=0.5))
    model, language = (next(shipped_model().vocabulary.encode(word)) for word in (" model", " language"))
    for token in (model, model, model, language):
        source.take(token)
    weights = source.distribution().dense()
    assert weights[model] > 0.3
    weights[model] *= math.exp(-1.5 - 0.5 * 3)
    weights[language] *= math.exp(-1.5 - 0.5)
    expect(Counter(source.choose() for _ in range(DRAWS)), weights)
    often, rare = (
        max(Counter(written(Settings(frequency_penalty=penalty, logit_bias={0: -100}), length=300)).values()) for penalty in (-2, 2)
    )
    assert often > rare


def test_a_long_answer_with_the_strongest_penalties_stays_within_numbers() -> None:
    """Thousands of repetitions at a penalty of -2 neither overflow nor end the answer."""
    source = sampler(Settings(frequency_penalty=-2, presence_penalty=-2, logit_bias={0: -100}, temperature=2))
    for _ in range(400):
        source.take(70)
    assert len([source.choose() for _ in range(5)]) == 5


@pytest.mark.parametrize("top", [0, 1, 20, 123, 100_000])
def test_logprobs_are_those_of_the_model_and_list_the_likeliest_first(top: int) -> None:
    """As many alternatives as asked for, up to the vocabulary, in falling order, with the bytes of each, whatever the settings."""
    model = shipped_model()
    distribution = sampler(Settings(temperature=0, presence_penalty=2, logit_bias={3: 100})).distribution()
    token = distribution.likeliest(1)[0]
    entry = chosen_logprob(model, distribution, token, top=top)
    others = entry["top_logprobs"]
    assert len(others) == min(top, len(model.vocabulary))
    assert [other["logprob"] for other in others] == sorted((other["logprob"] for other in others), reverse=True)
    assert math.exp(entry["logprob"]) == pytest.approx(first_weights()[token])
    assert bytes(entry["bytes"]) == model.vocabulary.tokens[token]
    assert not others or others[0]["token"] == entry["token"]
    if top > len(model.vocabulary):
        assert sum(math.exp(other["logprob"]) for other in others) == pytest.approx(1)


def shown(tokens: list[bytes], stops: list[str]) -> tuple[str, bool, int]:
    """Return the text that a cutter lets through, whether it stopped, and for how many tokens."""
    cutter = Cutter[int](stops)
    parts = [part for token in tokens if not cutter.stopped for part in cutter.feed(token, 1)]
    parts += [] if cutter.stopped else cutter.end()
    assert all(part.text for part in parts)
    return "".join(part.text for part in parts), cutter.stopped, sum(len(part.notes) for part in parts)


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "ba", "aab"]), max_size=12), st.lists(st.sampled_from(["ab", "bba", "aaa", "b"]), max_size=4)
)
def test_shown_text_ends_before_the_first_stop_sequence(tokens: list[str], stops: list[str]) -> None:
    """However tokens and stop sequences overlap, the text is cut where the first stop sequence begins, or is whole."""
    text = "".join(tokens)
    places = [text.find(stop) for stop in stops if stop in text]
    # Of two stop sequences, the one that is complete first decides.
    complete = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    shown_text, stopped, _ = shown([token.encode() for token in tokens], stops)
    assert stopped == bool(places)
    assert not any(stop in shown_text for stop in stops)
    assert text.startswith(shown_text)
    assert shown_text == text if not places else len(shown_text) <= min(complete)[1]


def test_text_that_cannot_begin_a_stop_sequence_is_shown_at_once() -> None:
    """Only the possible beginning of a stop sequence is held back, and it is shown as soon as it turns out to be none."""
    cutter = Cutter[int](["END"])
    assert [part.text for part in cutter.feed(b"the ", 1)] == ["the "]
    assert cutter.feed(b"E", 1) == []
    assert cutter.feed(b"N", 1) == []
    assert [part.text for part in cutter.feed(b"O", 1)] == ["E", "N", "O"]


def test_a_character_of_several_tokens_is_shown_as_one_part() -> None:
    """Bytes that are no character yet wait for the rest, and the part then stands for all of its tokens."""
    assert shown([b"\xe2", b"\x82", b"\xac", b"5"], []) == ("\u20ac5", False, 4)
    assert shown([b"a", b"\xe2"], []) == ("a\ufffd", False, 2)
    assert shown([b"a", b"\xe2", b"\x82", b"\xac!"], ["\u20ac"]) == ("a", True, 1)
