"""Workers as their office has them, while they are made, stuck or stopped. Processes are real, the office keeps no books."""

from __future__ import annotations

import asyncio
import os
import random
import re
import resource
import signal
import socket
from pathlib import Path

from aisa.config.schema import Config
from aisa.facts import Fact, ServerNotice, ServerWarning
from aisa.process import ignore
from aisa.storage.lock import own_folder
from aisa.storage.shared_memory import LOCK_NAME, WORKER_WORDS, SharedLock, SharedMemory, new_memory
from aisa.workers.crew import BEATS, RESTART_PAUSE_SECONDS, STILL_LOOKS, STILL_LOOKS_MAX, Crew, Descriptors, Worker
from aisa.workers.link import LENGTH_BYTES, decode
from aisa.workers.messages import Begin, FolderGone, KeysDoubted, Message
from server import serving
from test_workers import ask, connection, sample, until, workers_of


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


def test_a_worker_that_stands_still_is_told_and_killed_after_a_minute(tmp_path: Path) -> None:
    """[issue 13] By looks, not by time: who was stopped with its office has a minute from then on. One that goes on is told too."""

    async def main() -> tuple[int, list[str]]:
        told: list[Fact] = []
        memory = SharedMemory(new_memory(tmp_path, random.Random(1)), SharedLock(tmp_path / LOCK_NAME))
        crew = Crew(Config(), Descriptors(0, 0), memory, office=NoBooks(), report=told.append)
        process, (ours, theirs) = await asyncio.create_subprocess_exec("sleep", "600"), socket.socketpair()
        with ours, theirs:
            worker = crew.workers[1] = Worker(1, process, ours)
            worker.ready.set_result(True)
            for turns in (1, STILL_LOOKS, 1, STILL_LOOKS_MAX):
                assert process.returncode is None
                memory.words[WORKER_WORDS + BEATS] += 1
                for _ in range(turns + 1):  # the first sees that it has gone on
                    crew.look()
            return await process.wait(), [fact.message for fact in told if isinstance(fact, ServerNotice | ServerWarning)]

    status, words = asyncio.run(main())
    assert status == -signal.SIGKILL
    assert [re.sub(r"\d+", "N", said).partition(":")[0] for said in words] == [
        f"WORKER N (process N) {what}" for what in ("stands still", "goes on", "stands still")
    ]


def test_a_bug_in_a_look_at_one_worker_ends_no_looking(tmp_path: Path) -> None:
    """[fault S6] The others were not looked at, and nobody ever again: a worker that stood was not replaced."""

    async def main() -> None:
        bugs: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: bugs.append(context["exception"]))

        def report(_fact: Fact) -> None:
            raise KeyError("a bug")

        memory = SharedMemory(new_memory(tmp_path, random.Random(1)), SharedLock(tmp_path / LOCK_NAME))
        crew, ends = Crew(Config(), Descriptors(0, 0), memory, office=NoBooks(), report=report), socket.socketpair()
        for number in (1, 2):
            process = await asyncio.create_subprocess_exec("sleep", "600")
            worker = crew.workers[number] = Worker(number, process, ends[0])
            worker.ready.set_result(True)
        for _ in range(STILL_LOOKS + 1):
            crew.look()
        assert len(bugs) == 2
        assert [worker.still for worker in crew.workers.values()] == [STILL_LOOKS + 1] * 2
        crew.kill()
        for worker in crew.workers.values():
            await worker.process.wait()
        for end in ends:
            end.close()

    asyncio.run(main())


def test_workers_that_all_stand_still_are_replaced_one_after_another(tmp_path: Path) -> None:
    """[issue 13] After a minute in which the disk stood all were killed at once, with every stream. The next one waits for a successor."""

    async def main() -> None:
        memory = SharedMemory(new_memory(tmp_path, random.Random(1)), SharedLock(tmp_path / LOCK_NAME))
        crew, ends = Crew(Config(), Descriptors(0, 0), memory, office=NoBooks(), report=ignore), socket.socketpair()
        crew._count = 3

        async def begun(number: int) -> Worker:
            process = await asyncio.create_subprocess_exec("sleep", "600")
            worker = crew.workers[number] = Worker(number, process, ends[0])
            return worker

        def looks(number: int = 3 * STILL_LOOKS_MAX) -> list[int]:
            """Look so often, and return who is given up."""
            for _ in range(number):
                crew.look()
            return [number for number, worker in crew.workers.items() if worker.given_up]

        for number in (1, 2, 3):
            (await begun(number)).ready.set_result(True)
        assert looks() == [1]
        assert await crew.workers.pop(1).process.wait() == -signal.SIGKILL
        assert looks() == [], "its successor has not begun"
        successor = await begun(4)
        assert looks() == [], "it is not ready: perhaps none can be"
        memory.words[2 * WORKER_WORDS + BEATS] += 1  # one of the others goes on after all
        assert looks(1) == []
        successor.ready.set_result(True)
        assert looks(1) == [3], "which has stood for more than a minute"
        assert await crew.workers.pop(3).process.wait() == -signal.SIGKILL
        assert [worker.process.returncode for worker in crew.workers.values()] == [None, None]
        crew.kill()
        for worker in crew.workers.values():
            await worker.process.wait()
        for end in ends:
            end.close()

    asyncio.run(main())


def test_a_worker_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    """[issue 13] One moment without a descriptor, and there was one worker less for good; nobody was told, and none given up any more."""

    async def main() -> tuple[list[Fact], list[bool], int]:
        descriptor = new_memory(tmp_path, random.Random(1))
        memory = SharedMemory(descriptor, SharedLock(tmp_path / LOCK_NAME))
        told, clean, bounds = list[Fact](), list[bool](), resource.getrlimit(resource.RLIMIT_NOFILE)

        def report(fact: Fact) -> None:
            """Take note, and make room for the next time."""
            resource.setrlimit(resource.RLIMIT_NOFILE, bounds)
            told.append(fact)
            clean.append((crew._free, open_descriptors()) == (free, before))

        crew = Crew(Config(), Descriptors(descriptor, descriptor), memory, office=NoBooks(), report=report)
        former = Worker(1, await asyncio.create_subprocess_exec("true"), socket.socket())
        former.ready.set_result(True)
        former.began -= RESTART_PAUSE_SECONDS
        former.channel.close()
        await former.process.wait()
        ends, top = [descriptor], max(open_descriptors())
        while ends[-1] < top:  # so that none is free below
            ends.append(os.dup(descriptor))
        free, before = set(crew._free), open_descriptors()
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(before) + 1 + 4, bounds[1]))  # for its sockets
        try:
            await crew._replace(former)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, bounds)
        begun = len(crew.workers)
        await crew.stop(0)
        for end in ends[1:]:
            os.close(end)
        return told, clean, begun

    again = ServerWarning("No WORKER can be started in place of 1: Too many open files; it is tried again in 3 s")
    assert asyncio.run(main()) == ([again], [True], 1)


def open_descriptors() -> set[int]:
    """Return the descriptors of this process that are open, but for that by which they are seen."""
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")}


def test_no_new_connection_waits_for_a_worker_that_stands_still(tmp_path: Path) -> None:
    """[issue 13] Half of them did, for as long as it stood, and whoever looked at the server waited five seconds for its answer."""
    with serving(tmp_path, "metrics: {listen: '127.0.0.1:0'}\n", workers=2) as server:
        victim = workers_of(server)[0]
        os.kill(victim, signal.SIGSTOP)
        try:
            until(lambda: "stands still: new connections go to the others" in server.log, "nobody notices")
            clients = [connection(server) for _ in range(6)]
            assert [ask(client, server.key, "embedded/tiny", max_tokens=2)[0] for client in clients] == [200] * 6
            assert (sample(server, "aisa_workers"), sample(server, "aisa_workers_standing")) == (1, 1)
        finally:
            os.kill(victim, signal.SIGCONT)
        until(lambda: f"(process {victim}) goes on" in server.log, "nobody sees that it goes on")
        for client in clients:
            client.close()


def test_a_worker_that_begins_during_a_reload_serves_what_was_reloaded(tmp_path: Path) -> None:
    """[issue 13] It had begun with the file of before, was not asked to take the new one, and served the old until the next reload."""
    model = "  {name}: {{to: [embedded/tiny], prices: {{input: 1.0, output: 1.0}}}}\n"
    local = 'local: {dialect: openai, base_url: "http://127.0.0.1:9", api_key: secret}'  # else any name is served
    written = f"metrics: {{listen: '127.0.0.1:0'}}\nvendors: {{{local}}}\nmodels:\n" + model.format(name="before")
    with serving(tmp_path, written, workers=2) as server:
        others = workers_of(server)
        os.kill(others[0], signal.SIGKILL)
        until(lambda: bool(set(workers_of(server)) - set(others)), "no other begins")
        fresh = next(iter(set(workers_of(server)) - set(others)))
        os.kill(fresh, signal.SIGSTOP)  # within the second that a start takes
        try:
            (server.folder / "aisa.yaml").write_text(written + model.format(name="reloaded"))
            assert "models.reloaded" in server.aisa("reload")
        finally:
            os.kill(fresh, signal.SIGCONT)
        until(lambda: sample(server, "aisa_workers") == 2, "it is not ready")
        clients = [connection(server) for _ in range(4)]
        for client in clients:
            client.connect()
        assert [ask(client, server.key, "reloaded", max_tokens=2)[0] for client in clients] == [200] * 4
        for client in clients:
            client.close()


class Overheard(Crew):
    """Workers whose link ends at a test: `far` is the end that the process would have had."""

    far: socket.socket

    async def _link(self, worker: Worker, ours: socket.socket) -> None:
        """Link with the test."""
        ours.close()
        near, self.far = socket.socketpair()
        await super()._link(worker, near)


def test_a_worker_is_told_what_has_changed_while_it_was_made(tmp_path: Path) -> None:
    """[issue 13] It was in no list yet when the data folder went, or when keys were doubted, and took calls for as long as that was so."""

    async def main() -> list[Message]:
        descriptor = new_memory(tmp_path, random.Random(1))
        memory = SharedMemory(descriptor, SharedLock(tmp_path / LOCK_NAME))
        crew = Overheard(Config(), Descriptors(descriptor, descriptor), memory, office=NoBooks(), report=ignore)
        making = asyncio.ensure_future(crew._hire())
        await asyncio.sleep(0)
        assert not making.done()
        crew.lose_folder(True)
        crew.hold(KeysDoubted(True))
        worker = await making
        worker.link.close()
        data, said = b"", list[Message]()
        with crew.far as far:
            while more := await asyncio.to_thread(far.recv, 65_536):
                data += more
        while data:
            end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "big")
            said += decode(data[LENGTH_BYTES:end])
            data = data[end:]
        await crew.stop(0)
        return said

    assert [type(message) for message in asyncio.run(main())] == [Begin, FolderGone, KeysDoubted]
