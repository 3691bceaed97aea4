"""Gemini's `usageMetadata` as a report that `wire.usage_report` reads: sums on both sides, and what they are made of. Counts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aisa.wire.trees import Tree, trees_in
from aisa.wire.usage_report import count_of
from aisa.wire.vendor_tier import tier_named

ON_DEMAND = "ON_DEMAND_"
#: Kinds of token with a price of their own; documents cost what text does.
MODALITIES = {"AUDIO": "audio_tokens", "IMAGE": "image_tokens", "VIDEO": "video_tokens"}


def report_of(metadata: Tree) -> Tree:
    """Return a report. Thinking stands beside the candidates, unless the total says that it is inside."""
    told = counts_in(metadata)
    report: Tree = {}
    if "promptTokenCount" in told:
        report["prompt_tokens"] = told["promptTokenCount"] + told.get("toolUsePromptTokenCount", 0)
    thought, made, total = told.get("thoughtsTokenCount", 0), told.get("candidatesTokenCount", 0), told.get("totalTokenCount", 0)
    if "thoughtsTokenCount" in told or "candidatesTokenCount" in told:
        report["completion_tokens"] = made if thinks_inside(told) else made + thought
    if total:
        report["total_tokens"] = total
    taken = by_modality(metadata, ("promptTokensDetails", "toolUsePromptTokensDetails"))
    given = by_modality(metadata, ("candidatesTokensDetails",))
    if "cachedContentTokenCount" in told:
        taken |= {"cached_tokens": told["cachedContentTokenCount"]}
        if heard := by_modality(metadata, ("cacheTokensDetails",)):
            taken["cached_tokens_details"] = heard
    if thought:
        given["reasoning_tokens"] = thought
    return report | ({"prompt_tokens_details": taken} if taken else {}) | ({"completion_tokens_details": given} if given else {})


def counts_in(metadata: Tree) -> dict[str, int]:
    """Return what is a count in a report."""
    return {name: count for name, value in metadata.items() if (count := count_of(value)) is not None}


def thinks_inside(told: Mapping[str, int]) -> bool:
    """Tell whether the total of these counts says that thinking is inside the candidates, as some who speak Gemini's protocol have it."""
    thought, made = told.get("thoughtsTokenCount", 0), told.get("candidatesTokenCount", 0)
    rest = told.get("promptTokenCount", 0) + told.get("toolUsePromptTokenCount", 0)
    return 0 < thought <= made and told.get("totalTokenCount", 0) == rest + made


def by_modality(metadata: Tree, names: Iterable[str]) -> Tree:
    """Return the tokens of kinds with a price of their own in these lists."""
    found: Tree = {}
    for name in names:
        for each in trees_in(metadata.get(name)):
            kind, count = MODALITIES.get(str(each.get("modality"))), count_of(each.get("tokenCount"))
            if kind is not None and count:
                found[kind] = (count_of(found.get(kind)) or 0) + count
    return found


def visible_in(metadata: Tree) -> int:
    """Return how many tokens of a running report have been shown. Thinking is not: what is shown of it is a summary."""
    return count_of(metadata.get("candidatesTokenCount")) or 0


def tier_in(metadata: Tree) -> str | None:
    """Return the service tier that the traffic was of, None if that is not said."""
    traffic = metadata.get("trafficType")
    return tier_named(traffic.removeprefix(ON_DEMAND)) if isinstance(traffic, str) and "UNSPECIFIED" not in traffic else None
