"""What a key, and all keys of a team together, may spend in a day, week or month. In memory; whoever makes a cap knows the past.

Holds count in it as in `wallets`.
"""

from __future__ import annotations

from collections.abc import Sequence

from aisa.errors import ApiError
from aisa.keys.rules import Capped, Key, window_start
from aisa.money import Nanos, dollars_text

THIS_KEY = "This key"  # as refusals call whose cap it is
WINDOWS_MAX = 64  # of a cap whose sums are kept: two months of days, and a clock that is set takes one more each time


class Cap:
    """The most that a key or team may spend in a day, week or month (UTC). What a call costs counts in the window in which it ends.

    The wall clock may be wrong and be set right, so a sum is kept for each window by itself. Of a window that begins after the newest one
    which the ledger had calls in, or which a sum was given up for, the sum is 0; any other that has no sum must be read from the ledger:
    `spent_at` is None until `learn` was told.
    """

    __slots__ = ("_empty_after", "_late", "_sums", "cap", "held", "proven", "whose", "window")

    def __init__(self, cap: Nanos, window: str, *, spent: Nanos, now: float, newest: float = 0, whose: str = THIS_KEY) -> None:
        """`spent` is the sum of the window that `now` is in, `newest` when the last call ended that the ledger has of `whose` it is."""
        self.whose = whose
        self.proven = True  # whether who made it knew the past
        self.cap = cap
        self.window = window
        self.held: Nanos = 0
        self._sums = {window_start(window, now): spent}
        self._late: dict[int, dict[str, Nanos]] = {}  # what calls spend in windows that are being read, by their ids
        self._empty_after = window_start(window, max(now, newest))

    @property
    def empty_after(self) -> int:
        """When the newest window begins that something may have been spent in: of all behind it the sum is 0."""
        return max(self._empty_after, *self._sums, 0)

    def change(self, cap: Nanos, window: str, now: float) -> bool:
        """Bound spending by this from now on; say whether what was spent must be read first, as the window is another."""
        self.cap = cap
        if window == self.window:
            return False
        self.window, self._sums, self._late = window, {}, {}
        self._empty_after = window_start(window, now)
        return True

    def spent_at(self, now: float) -> Nanos | None:
        """Return what was spent in the window that a moment is in, None if that must be read first."""
        began = window_start(self.window, now)
        spent = self._sums.get(began)
        return 0 if spent is None and began > self._empty_after else spent

    def check(self, amount: Nanos, now: float) -> None:
        """Raise ApiError quota_exceeded when this much more would go over the cap. A window that must be read first is taken for empty."""
        check_cap(self.cap, self.window, amount, spent=self.spent_at(now) or 0, held=self.held, whose=self.whose)

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount if the cap leaves it. Raises ApiError quota_exceeded."""
        self.check(amount, now)
        self.held += amount

    def hold(self, amount: Nanos) -> None:
        """Hold an amount."""
        self.held += amount

    def spend(self, amount: Nanos, at: int, call_id: str = "") -> None:
        """Count an amount in its window. In one that must be read, the ledger has it."""
        began = window_start(self.window, at)
        if began in self._sums:
            self._sums[began] += amount
        elif began > self._empty_after:
            self._keep(began, amount)
        elif began in self._late:
            late = self._late[began]
            late[call_id] = late.get(call_id, 0) + amount

    def written(self, amount: Nanos) -> None:
        """It is counted already."""

    def reading(self, began: int) -> bool:
        """Say whether the window that began then is being read; if not, from now on it is."""
        known = began in self._late
        self._late.setdefault(began, {})
        return known

    def late(self, began: int) -> Sequence[str]:
        """Return the calls that were told since the window that began then is being read."""
        return list(self._late.get(began, ()))

    def learn(self, began: int, spent: Nanos | None) -> None:
        """Take what was spent in a window, the late calls left out, None if it could not be read."""
        late = self._late.pop(began, None)
        if late is None:
            return  # the window was changed meanwhile
        if spent is not None:
            self._keep(began, spent + sum(late.values()))

    def _keep(self, began: int, spent: Nanos) -> None:
        """Keep the sum of one window more, and give up the oldest if they are too many."""
        self._sums[began] = spent
        if len(self._sums) > WINDOWS_MAX:
            oldest = min(window for window in self._sums if window != began)
            del self._sums[oldest]
            self._empty_after = max(self._empty_after, oldest)


def capped(key: Key) -> list[Capped]:
    """Return what bounds a key's spending beside its account's wallet: itself and its team, where they have a cap."""
    return [each for each in (key, key.team) if each is not None and each.spend_cap is not None]


def spender(whose: Capped) -> str:
    """Return how a refusal names whose cap it is."""
    return THIS_KEY if isinstance(whose, Key) else f"The team '{whose.name}'"


def check_cap(cap: Nanos, window: str, amount: Nanos, *, spent: Nanos, held: Nanos, whose: str = THIS_KEY) -> None:
    """Raise ApiError quota_exceeded when an amount more would go over a cap."""
    if spent + held + amount > cap:
        message = (
            f"{whose} may spend {dollars_text(cap)} US dollars a {window} (UTC); {dollars_text(spent)} are spent, "
            f"{dollars_text(held)} held for calls in flight, and this call needs {dollars_text(amount)}."
        )
        raise ApiError("quota_exceeded", message, should_retry=False)
