"""Reads a `tokenizer.json` in SentencePiece's manner, as Gemini's and Gemma's: pairs of characters merged, with no words cut beforehand.

A text is taken with `BLANK` for each blank. As no token of such a file has a blank behind another character, a text may be cut before its
blanks, which is what makes it quick, and as any two tokens that make a third are among its pairs, the order of pairs is all that counts. A
character that is no token is one for each of its bytes. Of any other kind it says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aisa.tokenizers.as_encoding import Added, AsEncoding, Merges, any_of

BLANK = "\u2581"
BYTES = 256
PRIVATE = (0xE000, 0xF8FF)  # characters without a meaning: one that is in no token stands for an added token


class Blank(msgspec.Struct):
    """A blank, as a text."""

    String: Literal[" "]


class BlankReplaced(msgspec.Struct, tag="Replace", tag_field="type"):
    """Writes another character for each blank, and changes nothing else."""

    pattern: Blank
    content: Annotated[str, Meta(pattern=f"^{BLANK}$")]


class Merging(Merges, kw_only=True, tag="BPE", tag_field="type"):
    """Every token, and its pairs."""

    vocab: dict[str, int]
    byte_fallback: Literal[True]
    ignore_merges: Literal[False] = False


class TokenizerFile(msgspec.Struct):
    """A file of this kind."""

    normalizer: BlankReplaced
    pre_tokenizer: None
    model: Merging
    added_tokens: list[Added]


def blank_led_bpe(data: bytes) -> AsEncoding | None:
    """Read a file; None if it is of another kind."""
    try:
        file = msgspec.json.decode(data, type=TokenizerFile)
        pairs = file.model.pairs()
        merged = [left + right for left, right in pairs]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
    vocabulary = file.model.vocab
    lacking = {chr(byte) for byte in range(BYTES) if f"<0x{byte:02X}>" not in vocabulary}
    if any(not character.isascii() or character not in vocabulary for character in lacking):
        return None  # some character is no token, and cannot be written in bytes
    if any(BLANK in token.lstrip(BLANK) for token in vocabulary) or not has_every_way(merged, set(pairs), vocabulary):
        return None
    known = {token for token in vocabulary if len(token) == 1}
    mark = next((chr(code) for code in range(*PRIVATE) if chr(code) not in known), None)
    if mark is None:
        return None
    ranks = {bytes([byte]): byte for byte in range(BYTES)}
    begun: dict[bytes, int] = {}  # what characters of more than two bytes begin with: no token of the file, and merged before any is
    for character in known:
        whole = character.encode()
        for end in range(2, len(whole)):
            begun[whole[:end]] = ranks.setdefault(whole[:end], len(ranks))
        ranks.setdefault(whole, len(ranks))
    for token in (*merged, mark):
        ranks.setdefault(token.encode(), len(ranks))
    added = any_of(token.content for token in file.added_tokens if token.content.strip(BLANK))
    plain = known | {" "} | {token.content for token in file.added_tokens if len(token.content) == 1}

    def written(text: str) -> tuple[str, int]:
        more = 0 if plain.issuperset(text) else sum([lost(character, begun) for character in text if character not in plain])
        return added.sub(mark, text).replace(" ", BLANK), more

    return AsEncoding(f"{mark}|{BLANK}*[^{BLANK}{mark}]+|{BLANK}+", ranks, written, any_of((BLANK, mark)))


def has_every_way(merged: Iterable[str], pairs: AbstractSet[tuple[str, str]], vocabulary: Mapping[str, int]) -> bool:
    """Tell whether any two tokens that make a third are a pair of the file: tiktoken merges these, the file's library its pairs."""
    return all(
        (token[:cut], token[cut:]) in pairs
        for token in merged
        for cut in range(1, len(token))
        if token[:cut] in vocabulary and token[cut:] in vocabulary
    )


def lost(character: str, begun: dict[bytes, int]) -> int:
    """Return how many bytes of a character that is no token are no token of their own, as another character begins with them."""
    whole = character.encode()
    return max([end - 1 for end in range(2, len(whole)) if whole[:end] in begun], default=0)
