"""Loads the tokenizer that a setting names. Imports what counts only then: each library of the extra takes a while and some memory."""

from __future__ import annotations

from aisa.config.problem import installing
from aisa.providers.counting import NoTokenizer
from aisa.wire.tokenized_text import Tokenizer

CARRIED = ("cl100k_base", "o200k_base")  # encodings whose tables a package of the extra brings along


def load_tokenizer(name: str) -> Tokenizer:
    """Return a tokenizer of the `tokenizers` extra. Raises NoTokenizer."""
    try:
        if name in CARRIED:
            from aisa.tokenizers.carried import load_carried

            return load_carried(name)
        from aisa.tokenizers.loading import load
    except ImportError:
        raise NoTokenizer(f"The `tokenizers` extra is not installed: {installing('tokenizers')}") from None
    return load(name)
