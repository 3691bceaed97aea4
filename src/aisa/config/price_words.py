"""What the settings about prices mean, in words: a part of `schema.FIELDS`. Prices nothing."""

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
#: The kinds whose price stands in for one of them; for the others it is the dearest of their side.
STAND_INS = {"input_image": "as `input`", "cache_write_30m": "as `cache_write`"}
#: What is charged by number.
FEES_IN_WORDS = {
    "per_request": "each call of which anything is billed",
    "per_search": "each search of the web that is reported",
    "per_source": "each source that is reported as used",
    "per_file_search": "each search in files that the vendor keeps",
    "per_code_run": "each container, or run, in which the vendor ran code",
}

#: dotted path of a setting about prices -> what it means; a part of `schema.FIELDS`.
PRICE_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "models.<name>.prices": "What the model's tokens cost wherever it is served: one set of prices, or a list of them with the day on "
        "which each begins; if absent, each target has its own: as `vendors.<name>.prices` says, else as the price catalogue lists.",
        "models.<name>.price_by": "As the vendor's `price_by`, for this model; before it.",
        "models.<name>.prices.input": "Price of input tokens.",
        "models.<name>.prices.output": "Price of output tokens.",
        "models.<name>.prices.cached_input": "Price of input tokens that the vendor had cached; as `input` if absent.",
        "models.<name>.prices.cache_write": "Price of input tokens that the vendor writes to its cache; as `input` if absent.",
        "models.<name>.prices.reasoning": "Price of reasoning tokens; as `output` if absent.",
        "models.<name>.prices.input_audio": "Price of audio in the input; if absent, calls with audio are refused, and what an "
        "answer reports of it costs the dearest price of its side.",
        "models.<name>.prices.output_audio": "Price of audio in the output; the same if absent.",
        **{
            f"models.<name>.prices.{kind}": f"Price of {what}; if absent, {STAND_INS.get(kind, 'the dearest price of its side')}."
            for kind, what in RARER_KINDS.items()
        },
        **{f"models.<name>.prices.{kind}": f"Price of {what}; free if absent." for kind, what in FEES_IN_WORDS.items()},
        "models.<name>.prices.tiers": "Other prices for calls with a large input.",
        "models.<name>.prices.from": "Day on which these prices begin to count, at midnight UTC (or in `time_zone`), such as 2026-12-01; "
        "before the earliest of a list the catalogue counts or, if the model is not in it, that earliest one.",
        "models.<name>.prices.tiers[].over_input_tokens": "The tier holds for calls with more input tokens than this, cached ones "
        "included, and then for all of their tokens; of several the highest.",
        "models.<name>.prices.tiers[].input": "Price of input tokens in the tier.",
        "models.<name>.prices.tiers[].output": "Price of output tokens in the tier.",
        "models.<name>.prices.tiers[].cached_input": "Price of cached input tokens in the tier; as its `input` if absent.",
        "models.<name>.prices.tiers[].cache_write": "Price of cache-write tokens in the tier; as its `input` if absent.",
        "models.<name>.prices.tiers[].reasoning": "Price of reasoning tokens in the tier; as its `output` if absent.",
        "models.<name>.prices.tiers[].input_audio": "Price of audio input in the tier; if absent, the dearest price of its side there.",
        "models.<name>.prices.tiers[].output_audio": "Price of audio output in the tier; if absent, the dearest price of its side there.",
        **{
            f"models.<name>.prices.tiers[].{kind}": f"Price of {what} in the tier; if absent, "
            f"{STAND_INS.get(kind, 'the dearest price of its side').replace('as `', 'as its `').replace('side', 'side there')}."
            for kind, what in RARER_KINDS.items()
        },
        "models.<name>.prices.factor": "What all of these prices are multiplied by, those of tiers included, such as 1.1 for a region that "
        "the vendor charges more for.",
        "models.<name>.prices.time_zone": "Whose clock says when `from` and `hours` are: a name of the IANA database, such as "
        "`Asia/Shanghai`. Where clocks are put back, an hour that comes twice counts twice; one that is left out holds at no moment.",
        "models.<name>.prices.hours": "What differs at certain hours, or on certain days of the week, in UTC (or in `time_zone`): the "
        "first entry that holds counts, and the prices above where none does. The moment at which a call begins decides.",
        "models.<name>.prices.hours[].days": "The days on which it holds, such as `[mon, tue, wed, thu, fri]`; all if absent.",
        "models.<name>.prices.hours[].from": 'When it begins on each of them, such as `"16:30"`, in quotes.',
        "models.<name>.prices.hours[].to": "When it ends; before `from` it is on the next day.",
        "models.<name>.prices.hours[].factor": "What the prices outside these hours are multiplied by, where the hours have none.",
        **{
            f"models.<name>.prices.hours[].{kind}": f"Price of {what} at these hours; if absent, as outside them, times `factor`."
            for kind, what in TIERED_KINDS.items()
        },
        **{
            f"models.<name>.prices.hours[].{kind}": f"Price of {what} at these hours; if absent, as outside them."
            for kind, what in FEES_IN_WORDS.items()
        },
        "models.<name>.prices.service_tiers": "What calls cost at other service tiers of the vendor, name to what differs there: the tier "
        "that the answer names counts, else the one that `service_tier` (or `speed`) in the request asks for. One without a price is "
        "refused before the vendor is asked; prices from the catalogue bring their tiers along.",
        "models.<name>.prices.service_tiers.<name>.factor": "What the prices outside the tier are multiplied by, where the tier has none.",
        **{
            f"models.<name>.prices.service_tiers.<name>.{kind}": f"Price of {what} in the service tier; if absent, as outside it, times "
            "`factor`."
            for kind, what in TIERED_KINDS.items()
        },
        **{
            f"models.<name>.prices.service_tiers.<name>.{kind}": f"Price of {what} in the service tier; if absent, as outside it."
            for kind, what in FEES_IN_WORDS.items()
        },
        "models.<name>.prices.service_tiers.<name>.tiers": "Other prices of the service tier for calls with a large input; if absent, "
        "those outside it, times `factor`, but for kinds that the service tier prices itself.",
        "vendors.<name>.allow_unpriced": "Whether models without any price may be used, free of charge; if absent, only where the vendor "
        "is on this machine. A listed model with a target that may not keeps the server from starting.",
        "vendors.<name>.prices": "What its models cost where no entry under `models` says it: the model's name there to prices as in "
        "`models.<name>.prices`.",
        "vendors.<name>.price_as": "Under which name the price catalogue has its models, where that is another: the vendor's name of "
        "a model to the catalogue's, as `vendor/model`, such as `{my-deployment: openai/gpt-4o}`. What the catalogue "
        "says there is then its price.",
        "vendors.<name>.price_factor": "What the catalogue's prices of tokens are multiplied by, such as 1.1 for a region. At a public "
        "address that the catalogue does not know nothing has a price without it, whatever the vendor is called: 1.0 says that it charges "
        "what the catalogue lists under the vendor's name.",
        "vendors.<name>.price_by": "Whose price from the catalogue counts where the answer names another model than was asked for: that "
        "of the one that made the `answer`, where the catalogue lists that very name for this vendor, or of the one `asked`. Prices that "
        "are set, and names under `price_as`, hold whoever answers. The row is marked either way, and `aisa usage` counts such calls.",
        "price_catalogues": "Files with further price lists, in the format of LiteLLM's `model_prices_and_context_window.json`: the first "
        "that has a model's price counts, after the catalogue that comes with the server, unless `built-in` in this list says where that "
        "stands. They are read at the start and at a reload.",
    }
)
