"""What the way to a vendor asks of a credential: what proves the next request ours. Knows no vendor, and nothing of how one is kept."""

from __future__ import annotations

from typing import Protocol

from aisa.credentials.rules import Proof
from aisa.providers.port import UpstreamRequest


class Credential(Protocol):
    """One vendor's, or one of several: an implementation may choose among them. The request is given, as a signature depends on it."""

    def proof(self, request: UpstreamRequest, now: float) -> Proof | None:
        """Return what proves this request at a time in the event loop's seconds, None if that has to be fetched first.

        Every call asks, so this waits for nothing; it may begin to fetch what will be needed soon.
        """
        ...

    async def fetch(self, request: UpstreamRequest) -> Proof:
        """Wait for what proves this request. Raises UpstreamFailed, with the operator to blame, if it cannot be had."""
        ...
