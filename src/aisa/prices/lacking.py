"""What has no price although calls may make it, and how such calls are refused. Looks nothing up and charges nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from aisa.errors import ApiError
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.prices.rules import PriceList
from aisa.pricing import AUDIO, UnitPrices
from aisa.redaction import without_secrets
from aisa.wire.vendor_tier import TIER_CHARACTERS_MAX

TIERS_SHOWN_MAX = 20  # in an error
NOTHING_LACKING: frozenset[str] = frozenset()
#: What a vendor may do by itself that is charged at no price of its own: further models that it asks, tools for which there is no key.
BESIDE = "beside"
#: Kinds that a request shows; without a price of their own, it is refused.
SHOWN = (*AUDIO, "output_image", "per_search", "per_source", "per_file_search", "per_code_run")
WRITES = ("cache_write_1h", "cache_write_12h")  # half an hour costs what a write does
#: Models that make such costs in every call: by their names, one of the kinds that must have a price.
ALWAYS = (
    (re.compile(r"(?:^|[/.-])search-(?:preview|api)(?:$|[@-])"), ("per_search", "per_request")),
    (re.compile(r"(?:^|[/-])sonar(?:$|[@-])"), ("per_search", "per_request")),
    (re.compile(r"(?:^|[/.-])(?:audio-preview|gpt-audio)(?:$|[@-])"), ("input_audio",)),
    (re.compile(r"(?:^|[/.-])(?:audio-preview|gpt-audio)(?:$|[@-])"), ("output_audio",)),
)
#: The same of models that make such costs as they see fit, in any call: Groq's systems search and run code.
MAY = (
    (re.compile(r"(?:^|/)compound(?:-beta)?(?:-mini)?$"), ("per_search",)),
    (re.compile(r"(?:^|/)compound(?:-beta)?(?:-mini)?$"), ("per_code_run",)),
)
#: What the kinds are called in messages.
IN_WORDS = {
    "input_audio": "audio in the input",
    "output_audio": "audio in the output",
    "output_image": "images in the output",
    "cache_write_1h": "input that is cached for an hour",
    "cache_write_12h": "input that is cached for 12 hours",
    "per_search": "searches",
    "per_source": "sources of a search",
    "per_file_search": "searches in files that the vendor keeps",
    "per_code_run": "code that the vendor runs",
}


def lacking(price_list: PriceList | None) -> frozenset[str]:
    """Return the kinds that a request may show and that have no price of their own at some time, BESIDE always; none where nothing has one.

    Caches are among them only where writing to one has a price of its own: elsewhere it costs what input does, however long it lasts.
    """
    if price_list is None:
        return frozenset()
    return frozenset([BESIDE, *[kind for term in price_list.terms for kind in lacking_in(term.price.prices)]])


def lacking_in(prices: UnitPrices) -> Iterator[str]:
    """Yield the kinds that have no price of their own."""
    for kind in (*SHOWN, *(WRITES if prices.cache_write != prices.input else ())):
        if getattr(prices, kind) is None:
            yield kind


def always_lacking(model: str, price_list: PriceList | None) -> str:
    """Return a kind that every call to a model makes or may make, by its name, and that has no price; empty for most models."""
    if price_list is None:
        return ""
    for name, kinds in (*ALWAYS, *MAY):
        if name.search(model.lower()):
            for term in price_list.terms:
                if all(getattr(term.price.prices, kind) is None for kind in kinds):
                    return kinds[0]
    return ""


def always_searches(model: str) -> bool:
    """Say whether every call to a model of this name searches."""
    return any(name.search(model.lower()) for name, kinds in ALWAYS if "per_search" in kinds)


def _told(name: str) -> str:
    return without_secrets(name[:MODEL_NAME_CHARACTERS_MAX])


def unpriced(name: str, vendor: str, flaw: str, *, near: Sequence[str] = ()) -> ApiError:
    """Return the error for a model that nobody may use because nobody knows what it costs, or what the kind `flaw` of it does.

    `near` are the names most like one that may be mistyped.
    """
    what = f"The model {_told(name)!r} has no price here"
    why = f" for {IN_WORDS[flaw]} (`{flaw}`), which any call to it may make" if flaw else ""
    meant = f"Did you mean {', '.join(map(repr, near))}? If not, the" if near else "The"
    remedy = (
        f"{meant} operator can give it `prices`, under `models` or `vendors.{vendor}.prices`, or set `vendors.{vendor}.allow_unpriced`."
    )
    return ApiError("unknown_model", f"{what}{why}, so it cannot be used. {remedy}", param="model")


def unpriced_kind(name: str, vendor: str, *, kind: str, member: str) -> ApiError:
    """Return the error for a request that asks for what nobody knows the cost of; `member` is where it does."""
    what = f"The model {_told(name)!r} has no price here for {IN_WORDS[kind]}, which `{member}` asks for."
    remedy = f"The operator can give it one: `{kind}` in its `prices`, under `models` or `vendors.{vendor}.prices`."
    return ApiError("unknown_model", f"{what} {remedy}", param=str(member))


def unpriced_beside(name: str, vendor: str, *, what: str, member: str) -> ApiError:
    """Return the error for a request that lets a vendor do `what`, a further model or a tool, at a price that no bill would have."""
    shown = without_secrets(what[:MODEL_NAME_CHARACTERS_MAX])
    said = f"`{member}` lets the vendor of {name[:MODEL_NAME_CHARACTERS_MAX]!r} use {shown!r}, at a price that no bill would have."
    remedy = f"Leave it out. The operator can let it: `vendors.{vendor}.allow_unpriced`."
    return ApiError("unknown_model", f"{said} {remedy}", param=str(member))


def unpriced_tier(name: str, lists: Iterable[PriceList | None], *, tier: str, member: str) -> ApiError:
    """Return the error for a service tier that nobody may ask for because nobody knows what it costs."""
    known = sorted({name for price_list in lists if price_list for name in price_list.terms[0].tiers})
    what = f"The model {_told(name)!r} has no price here for the tier '{tier[:TIER_CHARACTERS_MAX]}'"
    others = f"; it has one for {', '.join(known[:TIERS_SHOWN_MAX])}" if known else ""
    remedy = "The operator can give it one: `service_tiers` in its `prices`."
    return ApiError("unsupported_parameter", f"{what}{others}. Leave `{member}` out, or ask for `auto`. {remedy}", param=member)
