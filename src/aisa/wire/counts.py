"""The `usage` object as vendors write it and as we write it. Repairs the sums; prices nothing."""

from __future__ import annotations

from msgspec import Raw

from aisa.usage import REPORTED, Usage
from aisa.wire.trees import Tree, is_tree

COUNT_MAX = 1_000_000_000  # tokens of one call: no model comes near it, and a row and its cost must fit 64 bits


def whole(value: object) -> int:
    """Return a count, 0 for what is not one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= COUNT_MAX else 0


def member(tree: Tree, name: str) -> Tree:
    """Return the counts in an object member; what is no count there is left out."""
    value = tree.get(name)
    return {key: count for key, count in value.items() if type(count) is int and 0 <= count <= COUNT_MAX} if is_tree(value) else {}


def merge_reports(earlier: Tree | None, later: object) -> Tree | None:
    """Take a later report over an earlier one, field by field: vendors repeat cumulative counts and may leave some out."""
    if not is_tree(later):
        return earlier
    return {**(earlier or {}), **{name: value for name, value in later.items() if value is not None}}


def repaired(report: Tree) -> Tree:
    """Return a report that keeps OpenAI's sums: cached inside prompt, reasoning inside completion, total the sum of both."""
    prompt = whole(report.get("prompt_tokens"))
    completion = whole(report.get("completion_tokens"))
    said_total = whole(report.get("total_tokens"))
    prompt_details = member(report, "prompt_tokens_details")
    completion_details = member(report, "completion_tokens_details")
    if "cached_tokens" not in prompt_details and "prompt_cache_hit_tokens" in report:
        prompt_details["cached_tokens"] = whole(report["prompt_cache_hit_tokens"])  # DeepSeek's older models
    cached = whole(prompt_details.get("cached_tokens")) + whole(prompt_details.get("cache_write_tokens"))
    if cached > prompt:
        prompt += cached  # this vendor counts cached tokens beside the prompt
    reasoning = whole(completion_details.get("reasoning_tokens"))
    if reasoning and said_total == prompt + completion + reasoning:
        completion += reasoning  # xAI counts reasoning beside the completion, but inside the total
    completion = max(completion, reasoning)
    fixed: Tree = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if prompt_details:
        fixed["prompt_tokens_details"] = prompt_details
    if completion_details:
        fixed["completion_tokens_details"] = completion_details
    return fixed | {name: value for name, value in report.items() if name not in fixed and name not in OURS}


#: Written by us, or for us alone: `cost` is what we charge, and what a vendor charges us is nobody else's business.
OURS = frozenset(
    {"cost", "cost_details", "cost_in_usd_ticks", "is_byok", "estimated_cost", "prompt_tokens_details", "completion_tokens_details"}
)


def to_usage(report: Tree, source: str = REPORTED) -> Usage:
    """Read the counts of a repaired report."""
    prompt_details = member(report, "prompt_tokens_details")
    completion_details = member(report, "completion_tokens_details")
    return Usage(
        input_tokens=whole(report.get("prompt_tokens")),
        output_tokens=whole(report.get("completion_tokens")),
        cached_tokens=whole(prompt_details.get("cached_tokens")),
        cache_write_tokens=whole(prompt_details.get("cache_write_tokens")),
        reasoning_tokens=whole(completion_details.get("reasoning_tokens")),
        source=source,
        input_source=source,
        input_audio_tokens=whole(prompt_details.get("audio_tokens")),
        output_audio_tokens=whole(completion_details.get("audio_tokens")),
    )


def from_usage(usage: Usage) -> Tree:
    """Write a usage object from counts of our own, for vendors that report none."""
    total = usage.input_tokens + usage.output_tokens
    return {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens, "total_tokens": total}


def with_cost(report: Tree, cost_usd: str | None) -> Tree:
    """Add what the call costs the caller, in US dollars as an exact JSON number."""
    return report if cost_usd is None else {**report, "cost": Raw(cost_usd.encode())}
