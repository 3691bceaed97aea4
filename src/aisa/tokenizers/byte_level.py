"""Reads a `tokenizer.json` of the commonest kind, pairs of bytes merged within words, as an encoding of tiktoken: many times as quick.

Of any other kind it says so. Loads no library and counts nothing: whoever uses what it reads holds both counts against each other first.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import msgspec

#: Bytes that stand for themselves in a vocabulary; the others are written as characters from 256 on, in order.
PRINTED = (*range(33, 127), *range(161, 173), *range(174, 256))
OTHERS = [byte for byte in range(256) if byte not in PRINTED]
BYTES = {chr(byte): byte for byte in PRINTED} | {chr(256 + place): byte for place, byte in enumerate(OTHERS)}

#: What is counted both ways before one stands in for the other: what tokenizers treat unlike.
WORDS = (
    "Tides follow the moon, and it's 12345 or 3.14; we'LL see.",
    "def f(x):\n    return {'a': [1, 2.5]}\r\n\r\n\t# done\n\n\n",
    "日本語のテキスト mixed 中文abc 123中文",
    "مرحبا بالعالم कैसे हो แมว",
    "😀👩‍👩‍👧 🇩🇪 e\u0301 naïve \u00a0\u2028 \ufeff",
    '{"a": [1, 2, {"b": null}]}  \t\n',
)
MIXED = 200  # more, of characters of all of these
MIXED_CHARACTERS = 60

#: Stands between the parts into which earlier patterns cut a text, for the last one to cut further: a character that nobody uses.
MARK = "\ue000"
IS_END = (r"(?!\S)", rf"(?![^\s{MARK}])")  # what says that nothing or a blank follows, and what says it of a part as well


class Pattern(msgspec.Struct):
    """A regular expression."""

    Regex: str


class Split(msgspec.Struct, tag="Split", tag_field="type"):
    """Cuts a text into words."""

    pattern: Pattern
    behavior: Literal["Isolated"]
    invert: Literal[False]


class ByteLevel(msgspec.Struct, tag="ByteLevel", tag_field="type"):
    """Takes words as bytes, and changes nothing else."""

    add_prefix_space: Literal[False]
    use_regex: Literal[False]


class Steps(msgspec.Struct, tag="Sequence", tag_field="type"):
    """What comes before the model."""

    pretokenizers: list[Split | ByteLevel]


class Composed(msgspec.Struct, tag="NFC", tag_field="type"):
    """Makes one character of those that can be one."""


class Unchanged(msgspec.Struct, tag="Sequence", tag_field="type"):
    """Changes nothing."""

    normalizers: tuple[()]


class Merging(msgspec.Struct, tag="BPE", tag_field="type"):
    """Which pairs become one token, the first before the others."""

    merges: list[tuple[str, str] | str]
    dropout: None = None
    unk_token: str | None = None
    byte_fallback: Literal[False] = False
    continuing_subword_prefix: Literal[""] | None = None
    end_of_word_suffix: Literal[""] | None = None


class TokenizerFile(msgspec.Struct):
    """A file of this kind."""

    pre_tokenizer: Steps
    model: Merging
    normalizer: Composed | Unchanged | None = None


class Patterns(Protocol):
    """A library of regular expressions, `regex` as far as it is used here."""

    def sub(self, pattern: str, repl: str, string: str, /) -> str:
        """Return a text with matches replaced."""
        ...


class ByteLevelBpe(NamedTuple):
    """The same as tiktoken has it: words by a pattern, the rank of each token, and whether texts are to be composed (NFC) before.

    Before that, `cuts` cut the text one after the other, and the last pattern what these leave and what they find: each finds its matches
    within the parts that those before it have made. A MARK on both sides of each match says where, and is a token of its own. What no
    pattern finds is a word too, which tiktoken would drop (findings/tiktoken-loses-what-no-word-is.sh).
    """

    pattern: str
    ranks: dict[bytes, int]
    composed: bool
    cuts: tuple[str, ...]

    def marked(self, text: str, patterns: Patterns) -> str:
        """Return a text with a MARK around each match of the cuts."""
        for cut in self.cuts:
            text = patterns.sub(cut, rf"{MARK}\g<0>{MARK}", text)
        return text


def byte_level_bpe(data: bytes) -> ByteLevelBpe | None:
    """Read a file; None if it is of another kind."""
    try:
        file = msgspec.json.decode(data, type=TokenizerFile)
        *cuts, last = [step.pattern.Regex for step in file.pre_tokenizer.pretokenizers[:-1] if isinstance(step, Split)]
        if len(cuts) + 2 != len(file.pre_tokenizer.pretokenizers) or not isinstance(file.pre_tokenizer.pretokenizers[-1], ByteLevel):
            return None
        ranks = {bytes([byte]): rank for rank, byte in enumerate(BYTES.values())}
        for merge in file.model.merges:
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            ranks.setdefault(bytes([BYTES[character] for character in left + right]), len(ranks))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError):
        return None
    composed = isinstance(file.normalizer, Composed)
    either = "|".join((MARK, last.replace(*IS_END), *cuts))
    ranks[MARK.encode()] = len(ranks)
    return ByteLevelBpe(f"{either}|(?:(?!{either})[^{MARK}])+", ranks, composed, tuple(cuts))


def samples() -> list[str]:
    """Return texts that two ways of counting are held against each other by: the same each time."""
    characters = "".join(WORDS) * MIXED_CHARACTERS
    return [*WORDS, *[characters[place :: 2 + place % 17][:MIXED_CHARACTERS] for place in range(MIXED)]]
