"""Token counts of one call and where they came from. Knows no prices and no vendor."""

from __future__ import annotations

import msgspec

REPORTED = "reported"  # the vendor said so
COUNTED = "counted"  # we counted what passed
ESTIMATED = "estimated"  # neither was possible
IMPLAUSIBLE = "implausible"  # we counted or estimated, because what the vendor said cannot be

#: How output was counted, beside the ways of `wire.token_meter`: of a cut stream whose vendor reported; of one during which we died.
BY_SHARE, BY_PROGRESS = "share of the report", "count on the way"

BYTES_PER_TOKEN = 4  # of English text and JSON, roughly: the measure of estimates, where a vendor says nothing


class Breakdown(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rarer kinds that a call's tokens are of, and what was counted beside tokens.

    Cache writes that last longer than five minutes are parts of `cache_write_tokens`; cached audio of `cached_tokens` and of
    `input_audio_tokens`. Searches, sources, searches in files and runs of code are numbers of them. Uncharged tokens are those that the
    vendor processed and does not charge for. What other models advised the one that answered is in no other count; it costs `advice_cost`
    nano-dollars, and some of it, `advice_unpriced_tokens`, at a price that stands in for one that nobody knows. So do the turns of models
    that gave up, and `given_up` tokens say what of it these are, as of an answer that was cut they are charged for: their input and what
    it costs, their output, a million of which costs `given_up_output_price` or more, whether that is dearer than the answer's own output,
    what of them has no price of its own, and the thinking that was reported beyond the answer's own output.
    """

    cache_write_30m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_write_12h_tokens: int = 0
    cached_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    searches: int = 0
    sources: int = 0
    uncharged_input_tokens: int = 0
    uncharged_output_tokens: int = 0
    advice_tokens: int = 0
    advice_cost: int = 0
    advice_unpriced_tokens: int = 0
    given_up_input_tokens: int = 0
    given_up_input_cost: int = 0
    given_up_output_tokens: int = 0
    given_up_output_price: int = 0
    given_up_dearer: int = 0
    given_up_unpriced_tokens: int = 0
    given_up_reasoning_tokens: int = 0
    file_searches: int = 0
    code_runs: int = 0


class Way(msgspec.Struct, frozen=True):
    """How tokens were counted that nobody reported: by which means, what that is worth, of how many answers it was learned if of any."""

    name: str = ""
    source: str = COUNTED
    answers: int = 0


class Usage(msgspec.Struct, frozen=True):
    """Tokens of a call. Cached and cache-write tokens are part of `input_tokens`, reasoning of `output_tokens`, audio of either.

    `source` says where the count of the output came from, `input_source` that of the input. Of output that was not reported, `counted_by`
    says how it was counted and `counted_answers` of how many answers that was learned. Most calls have no `breakdown`.
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
    counted_by: str = ""
    counted_answers: int = 0
    breakdown: Breakdown | None = None

    def with_output(self, tokens: int, reasoning: int, way: Way) -> Usage:
        """Return the same with output that was counted."""
        counted = {"source": way.source, "counted_by": way.name, "counted_answers": way.answers}
        return msgspec.structs.replace(self, output_tokens=tokens, reasoning_tokens=reasoning, **counted)
