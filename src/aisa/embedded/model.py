"""The language model: what the next token may be, and how likely. Pure: reads one file once, draws only from the chance it is given.

It is an n-gram model that looks at the last four tokens. The counts of the longest context that was seen in the training text speak
first; a discount is kept back from them for the shorter contexts, down to single tokens, and a last crumb is shared evenly among all, so
that no token is impossible. Words that belong to the topic of the prompt are made likelier wherever the training text allows them. It
writes short, harmless sentences and knows nothing. `training/train.py` makes the file.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate, islice
from pathlib import Path

import msgspec

from aisa.clock import Chance
from aisa.embedded.vocabulary import Vocabulary

VERSION = "1"
#: A context is one number: the ids of the last four tokens, 16 bits each, the last one lowest. Shorter contexts are its low bits.
ID_BITS = 16
CONTEXT_BITS = (64, 48, 32, 16)
CONTEXT_MASK = (1 << 64) - 1
KEYWORDS_MAX = 3  # of the prompt: with the mark that opens an answer they fill the first context
TOPIC_WORDS_MAX = 24  # each one costs time for every token
EVEN_SHARE = 0.001  # of the probability of single tokens: what is shared evenly among all
PROMPT_BOOST = 12.0  # a word of the prompt
RELATED_BOOST = 3.0  # a word that the training text uses together with a word of the prompt


class Level(msgspec.Struct):
    """All contexts of one length: for each, how many tokens were seen after it, which, and how often. Discount is a count."""

    contexts: list[int]
    sizes: list[int]
    tokens: list[int]
    counts: list[int]
    discount: float


class ModelFile(msgspec.Struct):
    """What the training script writes, as MessagePack. `levels` are in the order of their length, longest first."""

    tokens: list[bytes]
    stop_words: list[str]
    keywords: list[str]
    related: dict[str, list[str]]
    unigrams: list[int]
    levels: list[Level]


class Continuations:
    """A level made ready: which tokens follow each context, in flat arrays.

    `heights` is the running sum of the discounted counts over the whole level: a token's count is the step to the next height.
    """

    __slots__ = ("discount", "heights", "mask", "slots", "starts", "tokens")

    def __init__(self, level: Level, mask: int) -> None:
        self.mask = mask
        self.discount = level.discount
        self.slots = {context: slot for slot, context in enumerate(level.contexts)}
        self.starts = array("I", accumulate(level.sizes, initial=0))
        self.tokens = array("H", level.tokens)
        self.heights = array("d", accumulate((count - level.discount for count in level.counts), initial=0.0))

    def find(self, context: int) -> tuple[int, int, float] | None:
        """Return where the tokens after a context begin and end, and its full count, or None if it was never seen."""
        slot = self.slots.get(context & self.mask)
        if slot is None:
            return None
        start, end = self.starts[slot], self.starts[slot + 1]
        return start, end, self.heights[end] - self.heights[start] + self.discount * (end - start)


class Topic(msgspec.Struct, frozen=True):
    """What a prompt does to the model: the context in which the answer begins, and how much likelier some tokens are."""

    opening: int
    boosts: Mapping[int, float]


class Distribution:
    """The probability of every token in one context: `seen` for those that were seen in it, `tail` times the unigram for the rest."""

    __slots__ = ("_ranking", "seen", "tail", "unigrams")

    def __init__(self, seen: dict[int, float], tail: float, *, unigrams: Sequence[float], ranking: Sequence[int]) -> None:
        self.seen = seen
        self.tail = tail
        self.unigrams = unigrams
        self._ranking = ranking

    def probability(self, token: int) -> float:
        """Return the probability of one token."""
        return self.seen[token] if token in self.seen else self.tail * self.unigrams[token]

    def dense(self) -> list[float]:
        """Return the probability of each token, by id; they sum to 1."""
        tail = self.tail
        everything = [tail * share for share in self.unigrams]
        for token, probability in self.seen.items():
            everything[token] = probability
        return everything

    def likeliest(self, count: int) -> list[int]:
        """Return the `count` likeliest tokens, best first; equals in the order of their ids."""
        others = islice((token for token in self._ranking if token not in self.seen), count)
        return sorted([*self.seen, *others], key=lambda token: (-self.probability(token), token))[:count]


def advance(context: int, token: int) -> int:
    """Return the context after one more token."""
    return (context << ID_BITS | token) & CONTEXT_MASK


def opening(start: int, keywords: Sequence[int]) -> int:
    """Return the context in which an answer begins: the keywords' ids, then the mark `start`; what is missing is `start` too."""
    context = 0
    for part in [*[start] * (KEYWORDS_MAX - len(keywords)), *keywords, start]:
        context = advance(context, part)
    return context


class Model:
    """A trained model. Immutable; shared by all requests."""

    def __init__(self, file: ModelFile) -> None:
        self.vocabulary = Vocabulary(file.tokens, file.stop_words)
        self.levels = [Continuations(level, (1 << bits) - 1) for level, bits in zip(file.levels, CONTEXT_BITS, strict=True)]
        #: Marks and keywords have ids above the vocabulary: they occur in contexts and are never written.
        self.start = len(file.tokens)
        self._keywords = {word: self.start + 1 + number for number, word in enumerate(file.keywords)}
        self._related = file.related
        even = EVEN_SHARE / len(file.tokens)
        total = sum(file.unigrams)
        self.unigrams = array("d", [even + (1 - EVEN_SHARE) * count / total for count in file.unigrams])
        self._unigram_heights = array("d", accumulate(self.unigrams))
        self._ranking = array("H", sorted(range(len(self.unigrams)), key=lambda token: -self.unigrams[token]))
        self.commonest = self._ranking[0]

    def topic(self, text: str) -> Topic:
        """Read a prompt: its keywords open the answer, the commonest one last, so that it is the last to be forgotten."""
        words = self.vocabulary.topic_words(text)
        keywords = sorted(self._keywords[word] for word in words if word in self._keywords)[:KEYWORDS_MAX]
        boosts: dict[int, float] = {}
        for word in words[-TOPIC_WORDS_MAX:]:
            for related in self._related.get(word, ()):
                boosts.update((token, max(RELATED_BOOST, boosts.get(token, 0))) for token in self.vocabulary.spellings(related))
            boosts.update(dict.fromkeys(self.vocabulary.spellings(word), PROMPT_BOOST))
        return Topic(opening(self.start, keywords[::-1]), boosts)

    def draw(self, context: int, boosts: Mapping[int, float], chance: Chance) -> int:
        """Draw the next token by its probability, without looking at the whole vocabulary."""
        point = chance.random()
        if boosts and (extra := self._boosted(context, boosts)):
            point *= 1 + sum(extra.values())
            for token, weight in extra.items():
                if point < weight:
                    return token
                point -= weight
        for level in self.levels:
            found = level.find(context)
            if found:
                start, end, total = found
                heights = level.heights
                height = heights[start] + point * total
                if height < heights[end]:
                    return level.tokens[bisect_right(heights, height, start, end) - 1]
                point = (height - heights[end]) / (level.discount * (end - start))
        return min(bisect_right(self._unigram_heights, point), len(self.unigrams) - 1)

    def distribution(self, context: int, boosts: Mapping[int, float]) -> Distribution:
        """Return the probability of every token after a context."""
        seen: dict[int, float] = {}
        rest = 1.0
        for level in self.levels:
            found = level.find(context)
            if found:
                start, end, total = found
                heights, scale = level.heights, rest / total
                for token, low, high in zip(level.tokens[start:end], heights[start:end], heights[start + 1 : end + 1], strict=True):
                    seen[token] = seen.get(token, 0.0) + (high - low) * scale
                rest = level.discount * (end - start) * scale
        extra = self._boosted(context, boosts)
        scale = 1 / (1 + sum(extra.values()))
        unigrams = self.unigrams
        seen = {token: (share + rest * unigrams[token] + extra.get(token, 0.0)) * scale for token, share in seen.items()}
        return Distribution(seen, rest * scale, unigrams=unigrams, ranking=self._ranking)

    def _boosted(self, context: int, boosts: Mapping[int, float]) -> dict[int, float]:
        """Return what the topic adds to the probability of those tokens that were seen after the last one."""
        pairs = self.levels[-1]
        found = pairs.find(context)
        if not found or context & pairs.mask == self.start:  # the opening holds the topic already
            return {}
        followers = pairs.tokens[found[0] : found[1]]
        return {token: (boosts[token] - 1) * self._plain(context, token) for token in followers if token in boosts}

    def _plain(self, context: int, token: int) -> float:
        """Return the probability of one token, as it is without a topic."""
        probability, rest = 0.0, 1.0
        for level in self.levels:
            found = level.find(context)
            if found:
                start, end, total = found
                place = bisect_left(level.tokens, token, start, end)
                if place < end and level.tokens[place] == token:
                    probability += rest * (level.heights[place + 1] - level.heights[place]) / total
                rest *= level.discount * (end - start) / total
        return probability + rest * self.unigrams[token]


def read_model(data: bytes) -> Model:
    """Make a model from the bytes of its file. Raises msgspec.DecodeError when they are not such a file."""
    return Model(msgspec.msgpack.decode(data, type=ModelFile))


@cache
def shipped_model() -> Model:
    """Return the model that is part of this package; the first call reads it, some 20 ms."""
    return read_model(Path(__file__).with_name("tiny.model").read_bytes())
