"""What the kinds of cost are called in the descriptions of settings. Prices nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Kinds of token that a service tier may price otherwise.
TIERED_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "input": "input tokens",
        "output": "output tokens",
        "cached_input": "cached input tokens",
        "cache_write": "cache-write tokens",
        "reasoning": "reasoning tokens",
        "input_audio": "audio input",
        "output_audio": "audio output",
        "cached_input_audio": "audio in the input that the vendor had cached",
        "cache_write_30m": "input tokens written to a cache for 30 minutes",
        "cache_write_1h": "input tokens written to a cache for an hour",
        "cache_write_12h": "input tokens written to a cache for 12 hours",
        "input_image": "images in the input, where they are reported in tokens",
        "output_image": "images in the output, where they are reported in tokens",
    }
)

#: Those of them that most models do not have.
RARER_KINDS = {kind: what for kind, what in TIERED_KINDS.items() if "image" in kind or "write_" in kind or "cached_input_" in kind}
#: What is charged by number.
FEES_IN_WORDS = {
    "per_request": "each call of which anything is billed",
    "per_search": "each search of the web that is reported",
    "per_source": "each source that is reported as used",
}
