"""How large the containers are that tools let a vendor make for code that it runs. Prices nothing."""

from __future__ import annotations

import re

from aisa.wire.trees import as_tree, text_or_none, trees_in

MEMORY = re.compile(r"([1-9]\d{0,2})g", re.IGNORECASE)  # OpenAI's are 1g, 4g, 16g and 64g, each as many times as dear


def gigabytes_in(tools: object) -> int:
    """Return the gigabytes of the largest container that these tools let be made; 1 unless they say more."""
    made = [as_tree(tool.get(where)) for tool in trees_in(tools) for where in ("container", "environment")]
    return max([1, *[int(found[1]) for each in made if (found := MEMORY.fullmatch(text_or_none(each.get("memory_limit")) or ""))]])
