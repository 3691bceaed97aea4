"""Text to tokens and back, and which words of a text carry its topic. Knows nothing of probabilities."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

#: Cuts a text, without loss, into words and numbers with the space before them, single marks and single white space.
SPLIT = re.compile(r" ?[A-Za-z]+(?:'[a-z]+)?| ?[0-9]+| ?[^\sA-Za-z0-9]|\s")
WORD = re.compile(r"[A-Za-z]+")
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

END = 0  # the token that ends an answer; it has no bytes
TOPIC_CHARS_MAX = 4_000  # where a text says what it is about; the rest of a long prompt would only cost time
PIECE_BYTES_MAX = 12  # a word that is not in the vocabulary is cut into pieces of at most this size


def normal(word: str) -> str:
    """Return the form under which spellings of a word are compared: lower case, without a plural s."""
    word = word.strip().lower()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


class Vocabulary:
    """The tokens of a model by id. Id 0 is END; every single byte is a token, so that any text can be written."""

    def __init__(self, tokens: Sequence[bytes], stop_words: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        self._pieces = {token: number for number, token in enumerate(self.tokens) if token}
        self._words = {token.decode(): number for token, number in self._pieces.items() if token.isascii()}
        self._stop_words = frozenset(stop_words)
        self._spellings: dict[str, list[int]] = {}
        for word, number in self._words.items():
            if word.strip().isalpha():
                self._spellings.setdefault(normal(word), []).append(number)

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> Iterator[int]:
        """Yield the token ids of a text; their bytes, joined, are its UTF-8. A lone surrogate becomes `?`."""
        for match in SPLIT.finditer(text):
            word = match[0]
            number = self._words.get(word)
            if number is None:
                yield from self._cut(word.encode("utf-8", "replace"))
            else:
                yield number

    def _cut(self, word: bytes) -> Iterator[int]:
        start = 0
        while start < len(word):
            size = PIECE_BYTES_MAX
            while (number := self._pieces.get(word[start : start + size])) is None:
                size -= 1
            yield number
            start += len(self.tokens[number])

    def spellings(self, word: str) -> list[int]:
        """Return the tokens that spell a word in its normal form."""
        return self._spellings.get(word, [])

    def topic_words(self, text: str) -> list[str]:
        """Return the words in the last TOPIC_CHARS_MAX characters that carry meaning: normal form, each once, in order."""
        words = WORD.findall(CAMEL.sub(" ", text[-TOPIC_CHARS_MAX:]))
        long_enough = (normal(word) for word in words if len(word) > 1 and word.lower() not in self._stop_words)
        return list(dict.fromkeys(long_enough))
