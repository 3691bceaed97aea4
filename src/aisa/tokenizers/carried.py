"""Loads the encodings whose tables a package of the `tokenizers` extra brings along: nothing is fetched. Imported on demand only."""

from __future__ import annotations

import bpe_openai

from aisa.wire.tokenized_text import Tokenizer


def load_carried(name: str) -> Tokenizer:
    """Return an encoding that `on_demand.CARRIED` names. It takes linear time, even for a word of some thousand letters."""
    encoding = bpe_openai.get_encoding(name)
    return Tokenizer(name, lambda text: len(encoding.encode_ordinary(text)))
