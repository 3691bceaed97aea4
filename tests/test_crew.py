"""Workers as their office has them, while they are made, stuck or stopped. Processes are real, the office keeps no books."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

from aisa.config.schema import Config
from aisa.process import ignore
from aisa.storage.lock import own_folder
from aisa.storage.shared_memory import LOCK_NAME, SharedLock, SharedMemory, new_memory
from aisa.workers.crew import Crew, Descriptors, Worker


class NoBooks:
    """An office that keeps nothing; implements `crew.Listener`."""

    def hear(self, _worker: Worker, _message: object) -> None:
        """Take a message."""

    async def answer(self, _worker: Worker, _what: str, _body: bytes) -> bytes:
        """Answer a question."""
        return b""

    async def settle(self, _worker: Worker) -> None:
        """Settle nothing."""


def test_a_worker_that_is_just_being_made_does_not_outlive_a_stop(tmp_path: Path) -> None:
    """[issue 13] It held the data folder's lock for the second that it took to begin, and the next start on the folder was refused."""

    async def main() -> list[int | None]:
        descriptor = new_memory(tmp_path, random.Random(1))
        memory = SharedMemory(descriptor, SharedLock(tmp_path / LOCK_NAME))
        with own_folder(str(tmp_path)) as folder:
            crew = Crew(Config(), Descriptors(descriptor, folder.descriptor), memory, office=NoBooks(), report=ignore)
            made: list[Worker] = []

            async def hire() -> None:
                made.append(await crew._hire())

            crew._keep(hire())  # as for one that has died
            await asyncio.sleep(0)
            assert not made
            await crew.stop(0)
            return [worker.process.returncode for worker in made]

    assert asyncio.run(main()) == [-signal.SIGKILL]
    own_folder(str(tmp_path)).release()
