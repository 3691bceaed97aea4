"""What all answers together may hold of large events and documents of their vendors: beyond it vendors are not read. Reads nothing itself.

A stream holds little of its own, except where one event is large (an image): it cannot be passed on before it is whole, and then waits
until the client has taken it. A document is held whole until it is billed. What is counted are the vendor's bytes; decoding and sending
them takes up to twice as many again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aisa.errors import ApiError
from aisa.facts import Fact, ServerWarning

LARGE_BYTES_MIN = 65_536  # of an unfinished event that counts; less is what every stream may hold
QUIET_SECONDS = 60.0  # between two notices that the budget is full
WAIT_SECONDS_MAX = 30.0  # for room; half of what a stream may be silent by default, so that no vendor is blamed for it


def unheard(_fact: Fact) -> None:
    """Tell nobody."""


class LargeEvents:
    """One budget, in bytes. So that all who hold a part of one do not wait for each other, one of them at a time may go beyond it."""

    def __init__(self, bytes_max: int, report: Callable[[Fact], None] = unheard) -> None:
        """`report` is told when the budget is full, once a minute at most."""
        self.bytes_max = bytes_max
        self._report = report
        self._told_at = -QUIET_SECONDS
        self.held = 0
        self.beyond: EventShare | None = None
        self.waiting: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Tell the operator that vendors wait for room."""
        now = asyncio.get_running_loop().time()
        if now >= self._told_at + QUIET_SECONDS:
            self._told_at = now
            full = f"large events and documents fill the {self.bytes_max} bytes of stream.large_events_bytes_max"
            self._report(ServerWarning(f"{full}: vendors are read one at a time"))

    def wake(self) -> None:
        """Have all who wait look again."""
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)


class EventShare:
    """What one stream holds of the budget; it must be released, however the stream ends."""

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: LargeEvents) -> None:
        self._budget = budget
        self._held = 0

    async def hold(self, held: int) -> None:
        """So many bytes of an unfinished event are held: return when more of it may be read. Raises ApiError overloaded."""
        budget = self._budget
        budget.held += held - self._held
        self._held = held
        if self._may_go_on():
            return
        budget.tell()
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while not self._may_go_on():
                    room = asyncio.get_running_loop().create_future()
                    budget.waiting.append(room)
                    await room
        except TimeoutError:
            message = f"Large events fill the {budget.bytes_max} bytes that this server has for them. Send the request again."
            raise ApiError("overloaded", message) from None

    def release(self) -> None:
        """The client has taken the event, or the stream has ended. May be called at any time."""
        budget = self._budget
        if self._held:
            budget.held -= self._held
            self._held = 0
            if budget.beyond is self:
                budget.beyond = None
            budget.wake()

    def _may_go_on(self) -> bool:
        budget = self._budget
        if budget.held <= budget.bytes_max or budget.beyond is self:
            return True
        if budget.beyond is None:
            budget.beyond = self
            return True
        return False
