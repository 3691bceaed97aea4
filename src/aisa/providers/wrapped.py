"""A decoder around another: what those share that change or watch an answer which somebody else reads. Changes nothing itself."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.answer import Part, Told
from aisa.errors import UpstreamFailed
from aisa.providers.output import Output, ends_of, output_of
from aisa.providers.shape import Decoder, told
from aisa.usage import Usage
from aisa.wire.ends import Ends


class Wrapped:
    """Gives the parts of an answer as another decoder does; implements `shape.Decoder`. What differs, a class of it says."""

    def __init__(self, inner: Decoder) -> None:
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

    @property
    def asked(self) -> object:
        """As of the answer."""
        return getattr(self._inner, "asked", None)

    @property
    def output(self) -> Output | None:
        """As of the answer."""
        return output_of(self._inner)

    def ends(self) -> Ends:
        """As of the answer."""
        return ends_of(self._inner)

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
        return self._inner.closing(cost_usd)

    def _given(self, parts: Sequence[Part]) -> Sequence[Part]:
        inner = self._inner
        self.done, self.failure, self.finishing = inner.done, inner.failure, inner.finishing
        return parts
