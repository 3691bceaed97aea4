"""Calls in the older form of chat completions, of vendors that know the newer one alone. Knows no dialect, and reads no bytes.

`functions` are given as tools, and calls of tools come back as `function_call`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aisa.answer import Arguments, Finish, FunctionCall, Part, Told, ToolCall
from aisa.errors import UpstreamFailed
from aisa.providers.shape import Decoder, text_arrived, told
from aisa.usage import Usage
from aisa.wire.chat import ChatRequest
from aisa.wire.finish import FUNCTION_CALL, TOOL_CALLS
from aisa.wire.trees import Tree, is_tree


def is_legacy(chat: ChatRequest) -> bool:
    """Tell whether tools are given, and calls wanted, in the older form."""
    return chat.known.functions is not None and not chat.known.tools


def tools_of(functions: Iterable[Tree]) -> list[Tree]:
    """Return functions as tools."""
    return [{"type": "function", "function": function} for function in functions]


def choice_of(choice: object) -> object:
    """Return how functions are to be called as a choice among tools."""
    return {"type": "function", "function": {"name": choice.get("name")}} if is_tree(choice) else choice


class LegacyCalls:
    """Gives the parts of an answer with calls in the older form, of which a choice has one at most; implements `shape.Decoder`."""

    def __init__(self, inner: Decoder) -> None:
        """`inner` gives typed parts, and no pieces."""
        self._inner = inner
        self.done = False
        self.failure: UpstreamFailed | None = None
        self.finishing = 0

    @property
    def held_bytes(self) -> int:
        """As of the answer."""
        return self._inner.held_bytes

    @property
    def certain(self) -> bool:
        """As of the answer."""
        return self._inner.certain

    @property
    def finished(self) -> bool:
        """As of the answer."""
        return self._inner.finished

    @property
    def choices_made(self) -> int:
        """As of the answer."""
        return self._inner.choices_made

    @property
    def tier(self) -> str | None:
        """As of the answer."""
        return self._inner.tier

    @property
    def unknown(self) -> Sequence[str]:
        """As of the answer."""
        return self._inner.unknown

    @property
    def tokens(self) -> int:
        """As of the answer."""
        return self._inner.tokens

    @property
    def reasoning_shown(self) -> int:
        """As of the answer."""
        return self._inner.reasoning_shown

    def told(self) -> Told:
        """Return what the answer has said of itself so far."""
        return told(self._inner)

    def text_arrived(self, tokens: int, *, everything: bool) -> tuple[int, int] | None:
        """As of the answer."""
        return text_arrived(self._inner, tokens, everything=everything)

    def usage_fault(self, usage: Usage) -> str:
        """As of the answer."""
        return self._inner.usage_fault(usage)

    def usage(self) -> Usage:
        """As of the answer."""
        return self._inner.usage()

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        return self._given(self._inner.feed(data))

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        return self._given(self._inner.end())

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return what comes after the bill is settled."""
        return in_older_form(self._inner.closing(cost_usd))

    def _given(self, parts: Sequence[Part]) -> list[Part]:
        inner = self._inner
        self.done, self.failure, self.finishing = inner.done, inner.failure, inner.finishing
        return in_older_form(parts)


def in_older_form(parts: Sequence[Part]) -> list[Part]:
    """Return parts with the first call of a choice in the older form, and without the others."""
    written: list[Part] = []
    for part in parts:
        match part:
            case ToolCall(choice, index, _, name, tokens):
                written += [FunctionCall(choice, name, "", tokens)] if index == 0 else []
            case Arguments(choice, index, text, tokens):
                written += [FunctionCall(choice, "", text, tokens)] if index == 0 else []
            case Finish(choice, reason, tokens) if reason == TOOL_CALLS:
                written.append(Finish(choice, FUNCTION_CALL, tokens))
            case _:
                written.append(part)
    return written
