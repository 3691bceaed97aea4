"""What the generations of Anthropic's models take, by their names. Facts only; `anthropic_request.py` acts on them.

As documented in November 2026. A name that is none of Anthropic's, as of other vendors that speak its language, may take everything.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MODEL_NAME = re.compile(
    r"claude-(?P<family>fable|mythos|opus|sonnet|haiku)-(?:(?P<major>\d{1,2})(?:-(?P<minor>\d{1,2})(?!\d))?(?!\d)|preview)"
)
LEGENDS = frozenset({"fable", "mythos"})  # the families above the three that everybody knows
EFFORTS = ("low", "medium", "high", "xhigh", "max")
OUTPUT_TOKENS_UNKNOWN = 32_000  # asked of a model that is not known here, where the client sets no bound: below what any serious one writes
FAST_BETA = "fast-mode-2026-02-01"


class Traits(NamedTuple):
    """A generation: its family and version, both empty of a model that is none of Anthropic's."""

    family: str = ""
    version: tuple[int, int] = (0, 0)

    @property
    def known(self) -> bool:
        """True of a model of Anthropic's."""
        return bool(self.family)

    @property
    def title(self) -> str:
        """What models of its kind are called in an error."""
        major, minor = self.version
        return f"Claude {self.family.title()} {major}.{minor}" if self.known else "models that speak Anthropic's language"

    @property
    def output_tokens_max(self) -> int:
        """The most that it writes, thinking included."""
        if not self.known:
            return OUTPUT_TOKENS_UNKNOWN
        if self.version >= (4, 6):
            return 128_000
        return 32_000 if self.family == "opus" and self.version < (4, 5) else 64_000

    @property
    def takes_sampling(self) -> bool:
        """Whether temperature and the like may be other than the default."""
        return not self.known or self.version < (4, 7)

    @property
    def takes_system_in_place(self) -> bool:
        """Whether a system message may stand among the messages."""
        return self.known and self.version >= (4, 8)

    @property
    def thinks_by_budget(self) -> bool:
        """Whether thinking is turned on with a budget of tokens; else it adapts, and is turned by effort."""
        return self.known and self.version < (4, 6)

    @property
    def takes_budgets(self) -> bool:
        """Whether thinking may have a budget, though it need not."""
        return self.known and self.version < (4, 7)

    @property
    def thinks_unasked(self) -> bool:
        """Whether it thinks where nothing is said of thinking."""
        return self.version >= (5, 0)

    @property
    def off(self) -> str:
        """How its thinking is turned off, or as far down as it goes; nothing if it cannot be."""
        if self.family == "sonnet" and self.version >= (5, 5):
            return "between_tools"
        always = (self.family in LEGENDS and self.version >= (5, 0)) or (self.family == "opus" and self.version >= (5, 5))
        return "" if always else "disabled"

    @property
    def efforts(self) -> tuple[str, ...]:
        """The words for effort that it takes, none if it has no such thing."""
        if self.known and self.version < (4, 6):
            return ()
        return EFFORTS if not self.known or self.version >= (4, 7) else ("low", "medium", "high", "max")

    @property
    def takes_forced_tools(self) -> bool:
        """Whether it can be made to call a tool."""
        return not (self.version >= (5, 5) or (self.family in LEGENDS and self.version >= (5, 1)))

    @property
    def fast(self) -> str | None:
        """The beta under which it may be asked to be fast, nothing if without one; None if it cannot."""
        if self.family != "opus" or self.version < (4, 8):
            return None
        return "" if self.version >= (5, 5) else FAST_BETA


def traits_of(model: str) -> Traits:
    """Return what a model takes, whatever stands before and behind its name: a region, a router's prefix, a date."""
    found = MODEL_NAME.search(model.lower())
    if found is None:
        return Traits()
    return Traits(found["family"], (int(found["major"]), int(found["minor"] or 0)) if found["major"] else (4, 8))
