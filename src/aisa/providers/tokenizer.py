"""Counts tokens with tiktoken, which is an extra. The only module that imports it; imported only where a setting asks for it."""

from __future__ import annotations

import tiktoken

from aisa.providers.counting import NoTokenizer
from aisa.providers.shape import TokenCount


def load(name: str) -> TokenCount:
    """Return what counts in an encoding. Raises NoTokenizer when it is not known, or its tables cannot be fetched."""
    try:
        encoding = tiktoken.get_encoding(name)
    except (ValueError, OSError) as error:
        why = str(error).partition("\n")[0]
        remedy = "It fetches its tables on first use; TIKTOKEN_CACHE_DIR may name a folder that has them."
        raise NoTokenizer(f"The tokenizer {name!r} cannot be loaded: {why} {remedy}") from None
    return lambda text: len(encoding.encode_ordinary(text))
