"""Loads tokenizers, which are an extra: tiktoken's encodings by name, and files. The only module that imports these two libraries.

Imported only where a setting asks for it.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from pathlib import Path

import msgspec
import tiktoken
import tokenizers

from aisa.providers.counting import NoTokenizer
from aisa.tokenizers.as_encoding import samples
from aisa.tokenizers.blank_led import blank_led_bpe
from aisa.tokenizers.byte_level import byte_level_bpe
from aisa.wire.tokenized_text import Tokenizer

FILE_BYTES_MAX = 128 << 20  # the largest known, Gemma's, has 32 MiB
NAME_CHARACTERS_MAX = 40  # of a tokenizer in a row of the ledger
REMEDY = "A tokenizer is the name of an encoding of tiktoken, such as o200k_base, or a `tokenizer.json` or Tekken file."


class TekkenConfig(msgspec.Struct):
    """What a Tekken file says of itself: of the whole vocabulary, special tokens included, only so many tokens are meant."""

    pattern: str
    default_vocab_size: int
    default_num_special_tokens: int


class TekkenToken(msgspec.Struct):
    """A token of a Tekken file, in base64."""

    rank: int
    token_bytes: str


class TekkenFile(msgspec.Struct):
    """A vocabulary as Mistral publishes it."""

    config: TekkenConfig
    vocab: list[TekkenToken]


def load(name: str) -> Tokenizer:
    """Return the tokenizer that a setting names: a file, else an encoding. Raises NoTokenizer."""
    if name.endswith(".json") or "/" in name:
        return from_file(Path(name))
    try:
        return from_encoding(name, tiktoken.get_encoding(name))
    except (ValueError, OSError) as error:
        why = str(error).partition("\n")[0]
        remedy = "It fetches its tables on first use; TIKTOKEN_CACHE_DIR may name a folder that has them."
        raise NoTokenizer(f"The tokenizer {name!r} cannot be loaded: {why} {remedy} {REMEDY}") from None


def from_encoding(name: str, encoding: tiktoken.Encoding) -> Tokenizer:
    """Return an encoding of tiktoken as a tokenizer."""
    return Tokenizer(name[:NAME_CHARACTERS_MAX], lambda text: len(encoding.encode_ordinary(text)))


def from_file(path: Path) -> Tokenizer:
    """Return the tokenizer in a file of either form. Raises NoTokenizer."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= FILE_BYTES_MAX else b""
    except OSError as error:
        raise NoTokenizer(f"The tokenizer {str(path)!r} cannot be read: {error.strerror}. {REMEDY}") from None
    if not data:
        raise NoTokenizer(f"The tokenizer {str(path)!r} has {size:,} bytes; 1 to {FILE_BYTES_MAX:,} are possible. {REMEDY}")
    name = path.name if path.name != "tokenizer.json" else f"{path.parent.name}/{path.name}"
    try:
        return from_encoding(name, tekken_encoding(name, msgspec.json.decode(data, type=TekkenFile)))
    except (msgspec.DecodeError, UnicodeDecodeError, NotBase64):
        pass  # then it is of the other form
    try:
        whole = tokenizers.Tokenizer.from_str(data.decode())
    except Exception as error:
        why = str(error).partition("\n")[0]
        raise NoTokenizer(f"The tokenizer {str(path)!r} cannot be loaded: {why}. {REMEDY}") from error
    whole.no_truncation()
    whole.no_padding()
    slow = Tokenizer(name[:NAME_CHARACTERS_MAX], lambda text: len(whole.encode(text, add_special_tokens=False)))
    return quicker(slow, data) or slow


def quicker(slow: Tokenizer, data: bytes) -> Tokenizer | None:
    """Return what counts as the tokenizer of a file does, in a part of the time; None where the file or a count is otherwise."""
    read = byte_level_bpe(data) or blank_led_bpe(data)
    if read is None:
        return None
    try:
        encoding = tiktoken.Encoding(slow.name, pat_str=read.pattern, mergeable_ranks=dict(read.ranks), special_tokens={})
    except ValueError:  # a pattern that only the other library can read
        return None

    def count(text: str) -> int:
        if read.beyond.search(text):
            return slow.count(text)
        written, more = read.written(text)
        return len(encoding.encode_ordinary(written)) + more

    return Tokenizer(slow.name, count) if all(count(text) == slow.count(text) for text in samples()) else None


def tekken_encoding(name: str, tekken: TekkenFile) -> tiktoken.Encoding:
    """Return the encoding of a Tekken file. Raises what decoding of base64 does."""
    config = tekken.config
    meant = tekken.vocab[: max(0, config.default_vocab_size - config.default_num_special_tokens)]
    ranks = {b64decode(token.token_bytes, validate=True): token.rank for token in meant}
    return tiktoken.Encoding(name, pat_str=config.pattern, mergeable_ranks=ranks, special_tokens={})
