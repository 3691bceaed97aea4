"""Reads a `tokenizer.json` of the commonest kind: pairs of bytes merged within words. Of any other kind it says so."""

from __future__ import annotations

from typing import Literal
from unicodedata import normalize

import msgspec
import regex

from aisa.tokenizers.as_encoding import Added, AsEncoding, Merges, any_of

#: Bytes that stand for themselves in a vocabulary; the others are written as characters from 256 on, in order.
PRINTED = (*range(33, 127), *range(161, 173), *range(174, 256))
OTHERS = [byte for byte in range(256) if byte not in PRINTED]
BYTES = {chr(byte): byte for byte in PRINTED} | {chr(256 + place): byte for place, byte in enumerate(OTHERS)}

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


class Merging(Merges, kw_only=True, tag="BPE", tag_field="type"):
    """Its pairs, of bytes."""

    unk_token: str | None = None
    byte_fallback: Literal[False] = False


class TokenizerFile(msgspec.Struct):
    """A file of this kind."""

    pre_tokenizer: Steps
    model: Merging
    normalizer: Composed | Unchanged | None = None
    added_tokens: list[Added] = []


def byte_level_bpe(data: bytes) -> AsEncoding | None:
    """Read a file; None if it is of another kind.

    All patterns but the last cut a text one after the other, and the last what these leave and what they find: each finds its matches
    within the parts that those before it have made. A MARK on both sides of each match says where, and is a token of its own. What no
    pattern finds is a word too, which tiktoken would drop (findings/tiktoken-loses-what-no-word-is.sh).
    """
    try:
        file = msgspec.json.decode(data, type=TokenizerFile)
        *steps, end = file.pre_tokenizer.pretokenizers
        *cuts, last = [step.pattern.Regex for step in steps if isinstance(step, Split)]
        if len(cuts) + 1 != len(steps) or not isinstance(end, ByteLevel):
            return None
        ranks = {bytes([byte]): rank for rank, byte in enumerate(BYTES.values())}
        for left, right in file.model.pairs():
            ranks.setdefault(bytes([BYTES[character] for character in left + right]), len(ranks))
        compiled = [regex.compile(cut) for cut in cuts]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError, regex.error):
        return None
    ranks[MARK.encode()] = len(ranks)
    composed = isinstance(file.normalizer, Composed)

    def written(text: str) -> tuple[str, int]:
        text = normalize("NFC", text) if composed else text
        for cut in compiled:
            text = cut.sub(rf"{MARK}\g<0>{MARK}", text)
        return text, -text.count(MARK)

    either = "|".join((MARK, last.replace(*IS_END), *cuts))
    beyond = any_of((MARK, *[token.content for token in file.added_tokens]))
    return AsEncoding(f"{either}|(?:(?!{either})[^{MARK}])+", ranks, written, beyond)
