"""Which vendors' reports of usage the operator has been told not to trust: once an hour each, however many calls there are."""

from __future__ import annotations

QUIET_SECONDS = 3_600.0  # a line an hour is seen, and does not fill a disk


class Misreports:
    """When each vendor was last complained of, in the event loop's seconds. As many as there are vendors in the configuration."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def is_news(self, vendor: str, now: float) -> bool:
        """Tell whether the operator is to hear of a vendor now; who asks, tells."""
        told = self._told.get(vendor)
        if told is not None and now < told + QUIET_SECONDS:
            return False
        self._told[vendor] = now
        return True
