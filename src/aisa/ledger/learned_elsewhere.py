"""Follows what other servers on the same database learn of how targets' answers are counted. Writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from aisa.endless import begun_again
from aisa.ledger.learned_table import answers_since
from aisa.providers.measure import Answer
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed

LOOK = timedelta(seconds=5)  # between two looks: what is learned changes slowly


class LearnedElsewhere:
    """Tells `learned` what other servers than `server` have learned, by target, in the loop that it was made in."""

    def __init__(self, database: Database, server: str, learned: Callable[[str, list[Answer]], None]) -> None:
        """Begin with what the database has now, which whoever starts has read. Raises StorageFailed."""
        self._database = database
        self._server = server
        self._learned = learned
        self._place = 0
        self._place, _ = self.look()

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(begun_again(self._follow))

    def look(self) -> tuple[int, dict[str, list[Answer]]]:
        """Return the newest place, and what was learned since the last look. Raises StorageFailed."""
        with self._database.reading() as connection:
            return answers_since(connection, self._place, self._server)

    def take(self, found: tuple[int, dict[str, list[Answer]]]) -> None:
        """Tell what was found."""
        self._place, answers = found
        for target, known in answers.items():
            self._learned(target, known)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK.total_seconds())
            with suppress(StorageFailed):  # it is looked again
                self.take(await asyncio.to_thread(self.look))
