"""What is counted where vendors do not report: which of them have a tokenizer, and the tokens of a request.

A tokenizer is an extra, loaded once at the start (`tokenizer.py`) and never on the path of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from aisa.config.schema import Vendor
from aisa.providers.shape import Target, TokenCount
from aisa.usage import COUNTED, ESTIMATED
from aisa.wire.chat import ChatRequest
from aisa.wire.content import Content, input_tokens
from aisa.wire.door import Request
from aisa.wire.request_content import beginning, cache_lifetime, content_of, text_bytes
from aisa.wire.usage_report import LIFETIMES

#: Returns what counts in the named encoding. Raises NoTokenizer.
LoadTokenizer = Callable[[str], TokenCount]
#: vendor -> the tokenizer that its operator gave it. The tokens of others are counted by pieces and by size.
Counts = Mapping[str, TokenCount]
NO_COUNTS: Counts = MappingProxyType({})
OUTPUT_TOKENS_MAX = 1_000_000  # of a choice, where neither request nor model says it: beyond what any model writes
INPUT_TOKENS_MAX = 2_000_000  # where the model's window is not known: no window is larger
TRIED_CHARACTERS_MAX = 16_384  # of a request's text that a tokenizer is given: some 4,000 tokens, a few milliseconds


class NoTokenizer(Exception):
    """A tokenizer cannot be had; the message says why and what to do, fit for the operator."""


class AskedOf:
    """What the bill of a call to a target needs to know of its request; implements `wire.usage_report.Asked`."""

    __slots__ = ("_input", "_request", "_target", "input_tokens_max", "output_tokens_max")

    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._input: tuple[int, str] | None = None
        self.input_tokens_max = target.context_window or INPUT_TOKENS_MAX
        most = max(request.max_tokens or 0, target.output_tokens_max or 0) or OUTPUT_TOKENS_MAX
        self.output_tokens_max = most * request.choices

    def input(self) -> tuple[int, str]:
        """Return the tokens of the request, counted once, and what the count is worth."""
        if self._input is None:
            self._input = input_of(self._request.as_chat(), self._target)
        return self._input

    def lifetime(self) -> str:
        """Return how long cache writes were asked to last."""
        return cache_lifetime(self._request.as_chat().fields, LIFETIMES)


def input_of(chat: ChatRequest, target: Target) -> tuple[int, str]:
    """Return the tokens of a request that no vendor has counted, and what the count is worth.

    A tokenizer is given the beginning of a long text, and the rest is taken to be like it: it must not keep other calls waiting.
    """
    content = content_of(chat)
    if target.count is None or not content.text_bytes:
        return input_tokens(content, target.model, target.context_window), ESTIMATED
    tried = beginning(chat, TRIED_CHARACTERS_MAX)
    size = text_bytes(tried)
    whole = size == content.text_bytes
    text_tokens = target.count(tried) if whole else -(-target.count(tried) * content.text_bytes // max(1, size))
    exact = whole and content == Content(size)
    return input_tokens(content, target.model, target.context_window, text_tokens=text_tokens), COUNTED if exact else ESTIMATED


def counts_of(vendors: Mapping[str, Vendor], load: LoadTokenizer) -> Counts:
    """Return the tokenizers of those vendors that have one. Raises NoTokenizer."""
    return {name: load(vendor.tokenizer) for name, vendor in vendors.items() if vendor.tokenizer is not None}
