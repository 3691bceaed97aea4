"""When a request of the Messages API lets its vendor run code that it charges for: unless newer web tools stand beside it. No prices."""

from __future__ import annotations

import re

from aisa.wire.trees import text_or_none, trees_in

CODE = re.compile(r"code_execution_[0-9]{8}")
WEB = re.compile(r"web_(?:search|fetch)_([0-9]{8})")
FREE_SINCE = "20260209"  # of the web tools: with one that is as new, code costs its tokens alone


def runs_code(tools: object) -> bool:
    """Say whether tools let code be run for a charge."""
    types = [text_or_none(tool.get("type")) or "" for tool in trees_in(tools)]
    free = any((web := WEB.fullmatch(kind)) is not None and web[1] >= FREE_SINCE for kind in types)
    return not free and any(map(CODE.fullmatch, types))
