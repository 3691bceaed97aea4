"""Usage as the Responses API writes it: always with its total and its details, which clients take for granted. Counts nothing."""

from __future__ import annotations

from msgspec import Raw

from aisa.usage import Usage
from aisa.wire.trees import Tree


def usage_of(usage: Usage, cost_usd: str | None) -> Tree:
    """Write usage. `cost_usd` is what the call costs the caller in US dollars, as a JSON number; None without a price."""
    inner: Tree = {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens}
    rarer = usage.breakdown
    if rarer is not None and (rarer.cache_write_30m_tokens or rarer.cache_write_12h_tokens):
        inner["cache_write_tokens_details"] = {
            "ttl_30m_tokens": rarer.cache_write_30m_tokens,
            "ttl_12h_tokens": rarer.cache_write_12h_tokens,
        }
    tree: Tree = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": inner,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    return tree if cost_usd is None else {**tree, "cost": Raw(cost_usd.encode())}
