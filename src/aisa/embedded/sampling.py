"""Which token comes next, by the settings of a request, and what is told about its probability. Pure; chance is given."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import accumulate
from math import exp, log
from typing import TypedDict

import msgspec

from aisa.clock import Chance
from aisa.embedded.model import Distribution, Model, Topic, advance

LOGIT_SHIFT_MAX = 300.0  # by penalties: with a bias of 100 on top, all sums stay within the range of floats
COLD = 0.02  # below this temperature the likeliest token is taken; powers above 50 would leave the range of floats


class Settings(msgspec.Struct, frozen=True):
    """How to choose tokens, as OpenAI defines it. `logit_bias` is by token id; ids outside the vocabulary are ignored."""

    temperature: float = 1.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = {}


class TokenLogprob(TypedDict):
    """A token with its natural log-probability and its bytes."""

    token: str
    logprob: float
    bytes: list[int]


class ChosenLogprob(TokenLogprob):
    """The token that was written, with the likeliest ones in its place."""

    top_logprobs: list[TokenLogprob]


class Sampler:
    """Writes one answer token by token. What it has written is its context."""

    def __init__(self, model: Model, settings: Settings, *, topic: Topic, chance: Chance) -> None:
        self._model = model
        self._settings = settings
        self._boosts = topic.boosts
        self._context = topic.opening
        self._chance = chance
        self._written: Counter[int] = Counter()
        self._penalised = bool(settings.frequency_penalty or settings.presence_penalty)
        self._bias = {token: bias for token, bias in settings.logit_bias.items() if 0 <= token < len(model.vocabulary)}
        self._plain = not self._bias and not self._penalised and settings.top_p == 1 and settings.temperature == 1

    def choose(self) -> int:
        """Return the next token; it is not yet taken. Penalties and bias change the logits, temperature divides them, top_p cuts."""
        if self._plain:
            return self._model.draw(self._context, self._boosts, self._chance)
        settings, distribution = self._settings, self.distribution()
        shifts = dict(self._bias)
        for token, count in self._written.items():
            penalty = settings.presence_penalty + settings.frequency_penalty * count
            shifts[token] = shifts.get(token, 0.0) + min(LOGIT_SHIFT_MAX, -penalty)
        for token, shift in shifts.items():
            distribution.seen[token] = distribution.probability(token) * exp(shift)
        if settings.temperature < COLD or settings.top_p == 0:
            return distribution.likeliest(1)[0]
        return self._draw(Weights(self._model, distribution, 1 / settings.temperature))

    def take(self, token: int) -> None:
        """Go on from a token, chosen here or elsewhere."""
        self._context = advance(self._context, token)
        if self._penalised:
            self._written[token] += 1

    def distribution(self) -> Distribution:
        """Return the model's own distribution for the next token: temperature 1, no penalty, no bias."""
        return self._model.distribution(self._context, self._boosts)

    def _draw(self, weights: Weights) -> int:
        """Draw a token. The whole vocabulary is looked at only when the dice point beyond the tokens that were seen."""
        point = self._chance.random()
        if self._settings.top_p < 1:
            return pick(*weights.nucleus(self._settings.top_p), point)
        seen = sum(weights.seen.values())
        point *= seen + weights.unseen
        if point < seen or not weights.unseen:
            return pick(list(weights.seen), list(accumulate(weights.seen.values())), point / seen)
        others = {token: weight for token, weight in weights.every().items() if token not in weights.seen}
        return pick(list(others), list(accumulate(others.values())), (point - seen) / weights.unseen)


class Weights:
    """Probabilities raised to a power and scaled: `seen` of those tokens that were seen or changed, `unseen` of all others in sum.

    The others are a multiple of the unigrams, so that their sum is known without adding them up.
    """

    def __init__(self, model: Model, distribution: Distribution, power: float) -> None:
        self._unigrams, total = powered_unigrams(model, power)
        seen, highest = distribution.seen, distribution.tail * model.unigrams[model.commonest]
        best = max(seen.values(), default=0.0)
        if highest > best and model.commonest in seen:  # all that is likely was banned, and the rest must be looked at one by one
            seen, highest = dict(enumerate(distribution.dense())), 0.0
            best = max(seen.values())
        best = max(best, highest)
        self.seen = {token: (probability / best) ** power for token, probability in seen.items()}
        self._tail = (highest / best) ** power
        self.unseen = self._tail * max(0.0, total - sum(self._unigrams[token] for token in self.seen)) if highest else 0.0

    def every(self) -> dict[int, float]:
        """Return the weight of every token."""
        return {**{token: self._tail * weight for token, weight in enumerate(self._unigrams)}, **self.seen}

    def nucleus(self, top_p: float) -> tuple[list[int], list[float]]:
        """Return the smallest set of the likeliest tokens that has the share `top_p` of all, and the running sum of their weights."""
        needed = top_p * (sum(self.seen.values()) + self.unseen)
        weights: Mapping[int, float] = self.seen
        tokens, heights = leading(weights, needed)
        if not tokens or heights[-1] < needed or weights[tokens[-1]] < self._tail:  # a token that was not seen may belong to them
            tokens, heights = leading(self.every(), needed)
        return tokens, heights


def leading(weights: Mapping[int, float], needed: float) -> tuple[list[int], list[float]]:
    """Return the heaviest tokens that together weigh at least `needed`, or all, and the running sum of their weights."""
    tokens = sorted(weights, key=lambda token: (-weights[token], token))
    heights = list(accumulate(weights[token] for token in tokens))
    count = bisect_left(heights, needed) + 1
    return tokens[:count], heights[:count]


def pick(tokens: list[int], heights: list[float], point: float) -> int:
    """Return the token at a point from 0 to 1 of the running sum of weights."""
    return tokens[min(bisect_right(heights, point * heights[-1]), len(tokens) - 1)]


@lru_cache(maxsize=32)
def powered_unigrams(model: Model, power: float) -> tuple[list[float], float]:
    """Return each unigram, as a share of the highest one, raised to a power, and their sum."""
    highest = model.unigrams[model.commonest]
    powered = [(share / highest) ** power for share in model.unigrams]
    return powered, sum(powered)


def token_logprob(model: Model, token: int, probability: float) -> TokenLogprob:
    """Describe a token. Bytes that are not text are shown as their escapes; the end of the answer as `<|end|>`, without bytes."""
    written = model.vocabulary.tokens[token]
    text = written.decode("utf-8", "backslashreplace") if written else "<|end|>"
    return {"token": text, "logprob": log(probability), "bytes": list(written)}


def chosen_logprob(model: Model, distribution: Distribution, token: int, *, top: int) -> ChosenLogprob:
    """Describe a token that was written, beside the `top` likeliest ones, best first."""
    others = [token_logprob(model, other, distribution.probability(other)) for other in distribution.likeliest(top)]
    return {**token_logprob(model, token, distribution.probability(token)), "top_logprobs": others}
