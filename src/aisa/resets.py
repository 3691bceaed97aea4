"""Which keys' clients lose documents that were sent whole, and how many more they may. Sends nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from aisa.errors import ApiError

HOUR_SECONDS = 3_600.0  # within which a limit counts
KEYS_MAX = 10_000  # whose resets are known; the one that was quiet longest is forgotten, and has one document free


def unheard(_key_id: str) -> None:
    """Tell nobody: there is one process."""


class Resets:
    """How often the clients of each key have lost their connection before a whole document was acknowledged. In memory only.

    With `limit`, a key that has lost so many documents within an hour gets no further ones for as long. `tell` is told of the key of each,
    so that other processes of the server `hear` of it.
    """

    def __init__(self, tell: Callable[[str], None] = unheard) -> None:
        self.limit: int | None = None
        self.tell = tell
        self._counts: dict[str, int] = {}
        self._times: dict[str, deque[float]] = {}  # of the last ones, as many as the limit, of keys that have a count

    def count(self, key_id: str) -> int:
        """Return how often the clients of a key have."""
        return self._counts.get(key_id, 0)

    def note(self, key_id: str, now: float = 0.0) -> int:
        """Count once more, at a time in the event loop's seconds, tell of it, and return how often it is now."""
        self.tell(key_id)
        return self.hear(key_id, now)

    def hear(self, key_id: str, now: float) -> int:
        """Count one that another process of the server had, as `note` does."""
        count = self._counts.pop(key_id, 0) + 1
        if len(self._counts) >= KEYS_MAX:
            quiet = next(iter(self._counts))
            del self._counts[quiet]
            self._times.pop(quiet, None)
        self._counts[key_id] = count
        if self.limit is not None:
            self._times[key_id] = deque([*self._times.get(key_id, ()), now], self.limit)
        return count

    def allow(self, key_id: str, now: float) -> None:
        """Raise ApiError rate_limit_exceeded if a key may get no document at a time in the event loop's seconds."""
        times = self._times.get(key_id)
        if self.limit is None or times is None or len(times) < self.limit or times[-self.limit] + HOUR_SECONDS <= now:
            return
        lost = "document of this key was" if self.limit == 1 else "documents of this key were"
        what = f"{self.limit:,} {lost} sent within an hour whose client closed the connection before its system had acknowledged it"
        remedy = "Read answers to their end, or ask for a stream."
        wait = times[-self.limit] + HOUR_SECONDS - now
        raise ApiError("rate_limit_exceeded", f"{what}, which is as many as may be. {remedy}", retry_after=wait, should_retry=True)
