"""Token counts of one call and where they came from. Knows no prices and no vendor."""

from __future__ import annotations

import msgspec

REPORTED = "reported"  # the vendor said so
COUNTED = "counted"  # we counted what passed
ESTIMATED = "estimated"  # neither was possible

BYTES_PER_TOKEN = 4  # of English text and JSON, roughly: the measure of estimates, where a vendor says nothing


class Usage(msgspec.Struct, frozen=True):
    """Tokens of a call. Cached and cache-write tokens are part of `input_tokens`, reasoning of `output_tokens`, audio of either.

    `source` says where the count of the output came from, `input_source` that of the input.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    source: str = ESTIMATED
    input_source: str = ESTIMATED
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
