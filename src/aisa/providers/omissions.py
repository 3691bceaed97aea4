"""What vendors refused of the members that we add to requests, remembered while the process lives. Does not read refusals."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from aisa.providers.shape import Target

TARGETS_KEPT_MAX = 1_000  # callers can name models, so the memory has a bound; a target pushed out costs one more refused request


class Omissions:
    """Members that the targets refused, by vendor and model: the latest TARGETS_KEPT_MAX of them."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str], tuple[str, ...]] = {}

    def applied(self, target: Target) -> Target:
        """Return a target as it is to be asked now."""
        refused = self._refused.get((target.vendor, target.model))
        return target if refused is None else msgspec.structs.replace(target, omit=(*target.omit, *refused))

    def learn(self, target: Target, refused: Collection[str]) -> bool:
        """Remember what a target refused as it was asked, and tell whether it can be asked anew without that."""
        new = tuple(name for name in refused if name not in target.omit)
        if not new:
            return False
        key = target.vendor, target.model
        known = self._refused.pop(key, ())
        if len(self._refused) >= TARGETS_KEPT_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[key] = (*known, *(name for name in new if name not in known))
        return True
