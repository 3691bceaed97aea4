"""Which requests OpenAI itself is asked through Responses and not through chat completions. Pure; of other vendors their entry says it."""

from __future__ import annotations

import re

from aisa.providers.shape import Target
from aisa.wire.door import Request
from aisa.wire.responses import ResponsesRequest

HOST = "api.openai.com"
#: Models that have no chat completions.
ONLY_THERE = re.compile(r"gpt-5(\.\d+)?-pro|o[13]-pro|gpt-5(\.\d+)?-codex|codex-|computer-use|o\d(-mini)?-deep-research").match
#: Models that refuse tools together with an effort in chat completions.
THINKS_THERE = re.compile(r"gpt-5\.(?:[4-9]|\d\d)|gpt-[6-9]").match


def is_asked_there(request: Request, target: Target) -> bool:
    """Tell whether a request goes to Responses: it came in that protocol, or chat completions would refuse it."""
    if target.host != HOST:
        return False
    if isinstance(request, ResponsesRequest) or ONLY_THERE(target.model):
        return True
    known = request.as_chat().known
    return bool(THINKS_THERE(target.model) and (known.tools or known.functions) and known.reasoning_effort not in (None, "none"))
