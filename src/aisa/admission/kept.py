"""Things by name that are forgotten once nobody needs them, a few at a time: so that nobody waits while thousands are looked at."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

LOOKED_AT = 2  # of the oldest, whenever one is added: more than come, so what is idle goes


class Idle(Protocol):
    """What may be forgotten at times."""

    def is_idle(self, now: int) -> bool:
        """Say whether nothing is lost with it."""
        ...


Item = TypeVar("Item", bound=Idle)


class Kept(Generic[Item]):
    """Items by name."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._names: deque[str] = deque()
        self.get = self._items.get

    def __len__(self) -> int:
        return len(self._items)

    def add(self, name: str, item: Item, now: int) -> None:
        """Keep an item, instead of another of this name, and forget idle ones."""
        for _ in range(min(LOOKED_AT, len(self._names))):
            oldest = self._names.popleft()
            if oldest != name and self._items[oldest].is_idle(now):
                del self._items[oldest]
            else:
                self._names.append(oldest)
        if name not in self._items:
            self._names.append(name)
        self._items[name] = item
