"""Trains the embedded language model: reads `training/text`, writes `src/aisa/embedded/tiny.model`. The same text gives the same bytes.

A text file holds pieces, divided by empty lines. Lines that begin with `> ` are questions; what follows is the answer to each of them. A
piece without a question is what the model says when it recognises no word of the prompt. Run it with the package on the path:
`python training/train.py`.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import msgspec

from aisa.embedded.model import CONTEXT_BITS, KEYWORDS_MAX, Level, ModelFile, advance, opening
from aisa.embedded.vocabulary import END, SPLIT, Vocabulary

TEXT = Path(__file__).parent / "text"
MODEL = Path(__file__).parents[1] / "src" / "aisa" / "embedded" / "tiny.model"

#: What is taken from each count for the shorter contexts, longest first. Small at the top, so that sentences hold together.
DISCOUNTS = (0.3, 0.04, 0.01, 0.003)
PIECES_MAX = 700  # parts of words, for words that are not in the vocabulary
BARE_WORD_MIN = 4  # words this frequent are tokens without the space before them, too
WHOLE_QUESTION_WEIGHT = 10  # of an answer to the question itself, beside those to questions that only share a word with it
RELATED_MAX = 6  # words that belong to a word
RELATED_TOGETHER_MIN = 2  # seen together in fewer answers than this is chance

#: Words that say nothing about a topic. Not among them: greetings, which are all that some prompts say.
STOP_WORDS: list[str] = sorted(
    """
a about above again all almost also always am an and another any anyone anything are as ask at away back be because been before behave
best better both but by can cannot come could day did do does doing done down each else enough even ever every everyone everything
explain few find first for from get give go going good had happen has have he her here him his how if in into is it its just
keep kind know last let like little long look made make makes many may me mean means might more most much must my need never new next
no not nothing now of off often old on once one only open or other our out over own please put rather really right said same say see
shall she short should show so some someone something soon still such take tell than that the their them then there these they thing this
those thought through to today too two under until up upon us use used using very want was way we well went were what when where which
while who why will with without word work works would write writing yes yet you your
""".split()
)

#: Words of prompts and schemas that the text does not use, so that their tokens are counted as other models count them.
SCHEMA_WORDS = """
array assistant boolean city content description enum function integer items json location name number object parameters
properties query required role schema string strict system title tool type unit user value
""".split()


def read_pieces(text: str) -> list[tuple[list[str], str]]:
    """Return (questions, answer) of each piece."""
    pieces: list[tuple[list[str], str]] = []
    for block in re.split(r"\n{2,}", text.strip()):
        lines = block.split("\n")
        questions = [line[2:] for line in lines if line.startswith("> ")]
        pieces.append((questions, "\n".join(line for line in lines if not line.startswith("> "))))
    return pieces


def vocabulary_of(pieces: list[tuple[list[str], str]]) -> list[bytes]:
    """Return END, the 256 bytes, the words of the text, and the commonest parts of words."""
    words = Counter(word for questions, answer in pieces for text in (*questions, answer) for word in SPLIT.findall(text))
    parts: Counter[str] = Counter()
    for word, count in words.items():
        bare = word.strip()
        if bare.isalpha():
            for size in range(2, 6):
                for start in range(len(bare) - size + 1):
                    parts[bare[start : start + size].lower()] += count * (size - 1)
    common = [part for part, _ in sorted(parts.items(), key=lambda item: (-item[1], item[0]))[:PIECES_MAX]]
    bare = sorted({word.strip() for word, count in words.items() if count >= BARE_WORD_MIN} | set(SCHEMA_WORDS))
    starts = [" " + letter for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    every = dict.fromkeys([*sorted(words), *bare, *common, *starts])
    return [b"", *(bytes([byte]) for byte in range(256)), *(word.encode() for word in every if len(word) > 1)]


def keywords_of(pieces: list[tuple[list[str], str]], vocabulary: Vocabulary) -> list[str]:
    """Return the topic words of all questions, the commonest first."""
    counts = Counter(word for questions, _ in pieces for question in questions for word in vocabulary.topic_words(question))
    return [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def related_words(pieces: list[tuple[list[str], str]], vocabulary: Vocabulary) -> dict[str, list[str]]:
    """Return, for each topic word, the words that are used together with it more often than chance has it."""
    together: defaultdict[str, Counter[str]] = defaultdict(Counter)
    alone: Counter[str] = Counter()
    for questions, answer in pieces:
        words = vocabulary.topic_words(" ".join([*questions, answer]))
        alone.update(words)
        for word in words:
            together[word].update(other for other in words if other != word)
    related: dict[str, list[str]] = {}
    for word in sorted(together):
        scores = [(-count * count / alone[other], other) for other, count in together[word].items() if count >= RELATED_TOGETHER_MIN]
        if scores:
            related[word] = [other for _, other in sorted(scores)[:RELATED_MAX]]
    return related


def count_contexts(pieces: list[tuple[list[str], str]], vocabulary: Vocabulary, keywords: list[str]) -> dict[int, Counter[int]]:
    """Return how often each token follows each longest context.

    An answer is opened by every set of up to KEYWORDS_MAX keywords of its questions, for prompts that have only some of them.
    """
    start = len(vocabulary)
    numbers = {word: start + 1 + number for number, word in enumerate(keywords)}
    counts: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for questions, answer in pieces:
        openings = {} if questions else {opening(start, []): 1}
        for question in questions:
            words = sorted((numbers[word] for word in vocabulary.topic_words(question)), reverse=True)
            for size in range(1, KEYWORDS_MAX + 1):
                openings.update(dict.fromkeys((opening(start, chosen) for chosen in combinations(words, size)), 1))
        for question in questions:
            words = sorted((numbers[word] for word in vocabulary.topic_words(question)), reverse=True)
            openings[opening(start, words[-KEYWORDS_MAX:])] = WHOLE_QUESTION_WEIGHT if words else 1
        tokens = [*vocabulary.encode(answer), END]
        for beginning, weight in openings.items():
            context = beginning
            for token in tokens[:KEYWORDS_MAX]:
                counts[context][token] += weight
                context = advance(context, token)
        context = start  # after that no context holds a keyword, so all openings go on alike
        for place, token in enumerate(tokens):
            if place >= KEYWORDS_MAX:
                counts[context][token] += 1
            context = advance(context, token)
    return counts


def shorten(counts: dict[int, Counter[int]], bits: int) -> dict[int, Counter[int]]:
    """Return the counts for contexts of `bits` bits: in how many longer contexts a token was seen, not how often."""
    shorter: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for context, tokens in counts.items():
        shorter[context & ((1 << bits) - 1)].update(dict.fromkeys(tokens, 1))
    return shorter


def level_of(counts: dict[int, Counter[int]], discount: float) -> Level:
    """Write the counts of one level as flat lists, sorted."""
    contexts = sorted(counts)
    rows = [sorted(counts[context].items()) for context in contexts]
    return Level(
        contexts=contexts,
        sizes=[len(row) for row in rows],
        tokens=[token for row in rows for token, _ in row],
        counts=[count for row in rows for _, count in row],
        discount=discount,
    )


def train(text: str) -> bytes:
    """Return the model file for a training text."""
    pieces = read_pieces(text)
    tokens = vocabulary_of(pieces)
    vocabulary = Vocabulary(tokens, STOP_WORDS)
    keywords = keywords_of(pieces, vocabulary)
    counts = count_contexts(pieces, vocabulary, keywords)
    levels = [level_of(counts, DISCOUNTS[0])]
    for bits, discount in zip(CONTEXT_BITS[1:], DISCOUNTS[1:], strict=True):
        counts = shorten(counts, bits)
        levels.append(level_of(counts, discount))
    unigrams = shorten(counts, 0)[0]
    return msgspec.msgpack.encode(
        ModelFile(
            tokens=tokens,
            stop_words=STOP_WORDS,
            keywords=keywords,
            related=related_words(pieces, vocabulary),
            unigrams=[unigrams[token] for token in range(len(tokens))],
            levels=levels,
        )
    )


def training_text() -> str:
    """Return all text files in the order of their names."""
    return "\n\n".join(path.read_text("utf-8").strip() for path in sorted(TEXT.glob("*.txt")))


if __name__ == "__main__":
    data = train(training_text())
    MODEL.write_bytes(data)
    sys.stdout.write(f"{MODEL.name}: {len(data)} bytes\n")
