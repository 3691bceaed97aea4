"""What vendors let this server ask, as limits of targets: which of them a try at a target takes of, and how much. Knows no line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from aisa.admission.allowance import Limited
from aisa.admission.rules import MICROS, Usual, is_none, nothing_is_usual, output_guessed, share_of
from aisa.config.limits import Limits, Rates, VendorRates
from aisa.config.schema import Model
from aisa.offer import Offer
from aisa.usage import Usage
from aisa.wire.door import Request


class CapLease(Protocol):
    """What one try has taken of a target's limits."""

    def take_tokens(self, tokens: int, input_tokens: int, step: int) -> None:
        """Note how many tokens were taken; a `step` of 0 says that no more will be."""
        ...

    def release(self, usage: Usage) -> None:
        """End it with the tokens that were really used. May be called once."""
        ...


class Keeping(NamedTuple):
    """Where the use of caps is kept: in this process, or in memory that several share.

    `keep` makes what keeps the use of limits, by a name and whose they are; everything on them is done with `lock` held, which raises
    ApiError when it is not to be had. `lease` opens a try, by what it has taken of and when. `look_seconds` is how soon to look again for
    room that other processes make; None where they make none.
    """

    keep: Callable[[str, str], Limited]
    lock: Callable[[], AbstractContextManager[None]]
    lease: Callable[[tuple[Limited, ...], int], CapLease]
    micros: Callable[[], int]
    look_seconds: float | None


class Want(NamedTuple):
    """A target that a call may go to, what limits it, and how many tokens the call takes of those limits."""

    offer: Offer
    caps: tuple[Limited, ...]
    tokens: int

    @property
    def fits(self) -> bool:
        """Whether the limits are as large as the call."""
        return all(cap.tokens is None or cap.tokens.limit >= self.tokens for cap in self.caps)

    def has_room(self, now: int) -> bool:
        """Say whether the call may begin there now."""
        return all(cap.has_room(now, self.tokens) and cap.comes_first(now) for cap in self.caps)

    def room_at(self, now: int) -> int:
        """Return when the rates have room for it, if nobody else takes it."""
        return max((cap.room_at(now, self.tokens) for cap in self.caps), default=now)


class VendorCaps:
    """The limits of vendors and of their models: this server's share of what the configuration has."""

    def __init__(self, keep: Callable[[str, str], Limited]) -> None:
        self.usual: Usual = nothing_is_usual
        self._keep = keep
        self._caps: dict[str, Limited] = {}  # by `vendor` or `vendor/model`: no more than the configuration has ever named
        self._of_target: dict[str, tuple[Limited, ...]] = {}
        self._limits = Limits()
        self._servers = 1

    def share(self, servers: int) -> None:
        """Go by the share of one of so many servers from now on."""
        if servers != self._servers:
            self._servers = servers
            self.configure(self._limits)

    def configure(self, limits: Limits) -> None:
        """Let other limits hold; what was used stays used, and what has no limit any more has room for all who wait."""
        self._limits = limits
        self._of_target.clear()
        for name, cap in self._caps.items():
            cap.limit(self._rates(name), self._span)

    def of(self, target: str) -> tuple[Limited, ...]:
        """Return what limits a target, `vendor/model`: its vendor's limits and its own, as far as there are any."""
        vendor = self._limits.vendors.get(target.partition("/")[0])
        if vendor is None:
            return ()
        found = self._of_target.get(target)
        if found is None:
            names = (target.partition("/")[0], target)
            found = tuple(self._cap(name) for name in names if not is_none(self._rates(name)))
            if len(found) > 1 or not target.partition("/")[2] or target.partition("/")[2] in vendor.models:
                self._of_target[target] = found  # others are as many as callers make up
        return found

    def settings(self, target: str) -> VendorRates | None:
        """Return what the configuration says of a target's vendor."""
        return self._limits.vendors.get(target.partition("/")[0])

    def want(self, offer: Offer, request: Request, settings: Model, *, input_tokens: int) -> Want:
        """Return what a call takes at a target: its input, and the most output that it asks for or usually has."""
        caps = self.of(offer.name)
        bounds = [cap.rates.tpm for cap in caps if cap.rates.tpm is not None]
        if not bounds:
            return Want(offer, caps, 0)
        asked, tokens_max = request.max_tokens, max(1, min(bounds) - input_tokens)
        if asked is None:
            output = output_guessed(request, settings, tokens_max, usual=self.usual((offer,)))
        else:
            output = min(asked * request.choices, tokens_max)
        return Want(offer, caps, input_tokens + output)

    def named(self) -> list[tuple[str, Limited]]:
        """Return every limit, by its vendor or its target."""
        vendors = self._limits.vendors.items()
        names = [name for vendor, rates in vendors for name in (vendor, *(f"{vendor}/{model}" for model in rates.models))]
        return [(name, self._cap(name)) for name in names if not is_none(self._rates(name))]

    def _cap(self, name: str) -> Limited:
        cap = self._caps.get(name)
        if cap is None:
            vendor, _, model = name.partition("/")
            whose = f"This server, of the model '{model}' at the vendor '{vendor}'," if model else f"This server, at the vendor '{vendor}',"
            cap = self._caps[name] = self._keep(f"{'target' if model else 'vendor'} {name}", whose)
            cap.limit(self._rates(name), self._span)
        return cap

    def _rates(self, name: str) -> Rates:
        vendor, _, model = name.partition("/")
        known = self._limits.vendors.get(vendor)
        if known is None:
            return Rates()
        return share_of(known.models.get(model, Rates()) if model else known, self._servers)

    @property
    def _span(self) -> int:
        return round(self._limits.window_seconds * MICROS)
