"""How many tokens a delta of text is, for vendors that send more than one in a delta. Counts streams that are cut; whole ones are reported.

A tokenizer is an extra, loaded once at the start (`tokenizer.py`) and never on the path of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from aisa.config.schema import Vendor
from aisa.providers.shape import TokenCount
from aisa.usage import BYTES_PER_TOKEN, COUNTED, ESTIMATED

#: Returns what counts in the named encoding. Raises NoTokenizer.
LoadTokenizer = Callable[[str], TokenCount]
#: vendor -> what counts its tokens, and what the count is worth. A vendor that is missing sends a token a delta.
Counts = Mapping[str, tuple[TokenCount, str]]
NO_COUNTS: Counts = MappingProxyType({})


class NoTokenizer(Exception):
    """A tokenizer cannot be had; the message says why and what to do, fit for the operator."""


def estimate(text: str) -> int:
    """Guess the tokens of a text from its size: English and code have four bytes a token, most other writing fewer."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def counts_of(vendors: Mapping[str, Vendor], load: LoadTokenizer) -> Counts:
    """Return how each vendor's deltas are counted. Raises NoTokenizer."""
    counts: dict[str, tuple[TokenCount, str]] = {}
    for name, vendor in vendors.items():
        if vendor.tokenizer is not None:
            counts[name] = load(vendor.tokenizer), COUNTED
        elif vendor.deltas == "text":
            counts[name] = estimate, ESTIMATED
    return counts
