"""The worker processes of one server: starts them, passes connections on to them, starts another for one that died. Keeps no books."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack, suppress
from typing import NamedTuple, Protocol

import msgspec

from aisa.callbacks import call_guarded
from aisa.config.schema import Config
from aisa.errors import ApiError
from aisa.facts import Fact, ServerNotice, ServerWarning
from aisa.http.server import GRACE_SECONDS_MAX
from aisa.storage.shared_memory import WORKER_WORDS, WORKERS_MAX, SharedMemory
from aisa.workers.link import ASK_SECONDS_MAX, Link, tell_bugs
from aisa.workers.messages import CONFIGURE, Begin, Drain, FolderGone, Message, ModelsKnown, Ready, Written

#: The words of a worker in shared memory: calls whose task runs, open connections, connections that it was ever passed; and how often it
#: has said so, twenty times a second for as long as its loop turns.
CALLS, CONNECTIONS, RECEIVED, BEATS = range(4)
LOOK_SECONDS = (
    1.0  # between two looks at whether a worker's loop turns. Looks are counted, as time goes on for whoever is stopped as a whole
)
STILL_LOOKS = 3  # that find it standing, after which new connections go to the others
#: After which it is killed, and another begins: what it had open stands as long. One after another: where all stand it may be the machine
#: or its disk, and the others go on when that does. That workers can be made at all is seen by the next one that is ready.
STILL_LOOKS_MAX = 60
STILL_ANSWER_SECONDS = 0.1  # for an answer of one that stands: it gets the question all the same
START_SECONDS_MAX = 60.0  # for a worker to be ready; a start takes a second, on a busy machine several
RESTART_PAUSE_SECONDS = 1.0  # before another is started for one that lived for less than this
UNREADY_PAUSE_SECONDS = 3.0  # for one that was never ready: a start takes a second of a core, and the database may be away for minutes
END_SECONDS_MAX = 15.0  # beyond the time to drain, for the last rows and the end of a process
SETTLE_SECONDS_MAX = 5.0  # for what those that had no end left in their journals: all others' rows were waited for by themselves
WORKER_MODULE = "aisa.workers.worker"


class Descriptors(NamedTuple):
    """What every worker inherits: shared memory, and what holds the data folder's lock."""

    memory: int
    folder: int


class Worker:
    """One worker process. `passed` counts the connections that it was ever passed; `unwritten` are ids of its rows that wait here.

    `config` is what it was told last to serve with. `claims` are its calls with an Idempotency-Key by their marks, `asking` are ids of
    those whose claim is not decided. `still` is how many looks have found that it stands, at the same `beats`; `given_up` says that it was
    killed for that.
    """

    link: Link
    config: Config

    def __init__(self, number: int, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.process = process
        self.channel = channel
        self.passed = 0
        self.beats = self.still = 0
        self.given_up = False
        self.ready: asyncio.Future[bool] = loop.create_future()
        self.silent: asyncio.Future[None] = loop.create_future()  # done when nothing more comes from it
        self.began = loop.time()
        self.unwritten: set[str] = set()
        self._emptied: asyncio.Future[None] | None = None
        self.claims: dict[str, str] = {}
        self.asking: set[str] = set()
        self.written: Written | None = None

    def note_written(self, call_id: str) -> None:
        """Note that the database has one of its rows."""
        self.unwritten.discard(call_id)
        if self._emptied is not None and not self.unwritten and not self._emptied.done():
            self._emptied.set_result(None)

    async def all_written(self) -> None:
        """Wait until the database has all its rows that have arrived. One at a time waits."""
        if self.unwritten:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied

    @property
    def stands(self) -> bool:
        """Whether its loop does not turn: it was stopped, or does something without end."""
        return self.still >= STILL_LOOKS

    @property
    def takes_connections(self) -> bool:
        """Whether connections may be passed to it."""
        return self.ready.done() and self.ready.result() and not self.silent.done()


class Listener(Protocol):
    """Who hears the workers."""

    def hear(self, worker: Worker, message: Message) -> None:
        """Take a message."""
        ...

    async def answer(self, worker: Worker, what: str, body: bytes) -> bytes:
        """Answer a question. Raises ApiError."""
        ...

    async def settle(self, worker: Worker) -> None:
        """Settle what a process that is gone left, and free what it held."""
        ...


class Crew:
    """The workers. Belongs to the event loop that makes it; `office` hears them, `report` is told of deaths."""

    def __init__(
        self, config: Config, descriptors: Descriptors, memory: SharedMemory, *, office: Listener, report: Callable[[Fact], None]
    ) -> None:
        self.config = config  # that workers begin with, and what they know of vendors' models
        self.models = ModelsKnown()
        self.workers: dict[int, Worker] = {}
        self._descriptors = descriptors
        self._memory = memory
        self._office = office
        self._report = report
        self._count = 0  # of workers that there are to be
        self._free = set(range(1, WORKERS_MAX))  # 0 is the office's own
        self.gone = False  # the data folder: none begins while it is, as it would begin in another
        self._held: dict[type[Message], Message] = {}  # what is so, by its kind, and that whoever begins later is told too
        #: Finds out whether it is at this moment, and tells `lose_folder` then.
        self.look_at_folder: Callable[[], Awaitable[None]] = not_looked
        self._stopping = False
        self._watches: set[asyncio.Task[None]] = set()

    async def start(self, count: int) -> bool:
        """Start so many, and return whether all of them are ready."""
        self._count = count
        workers = [await self._hire() for _ in range(count)]
        self.look()
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS_MAX):
                return all([await worker.ready for worker in workers])
        return False

    def wanted(self) -> bool:
        """Say whether any takes connections."""
        return any(worker.takes_connections for worker in self.workers.values())

    def pass_on(self, accepted: socket.socket) -> None:
        """Pass a connection to the worker with the fewest streams; an open connection counts as much, as it may ask for one.

        To one that stands only if all do.
        """
        with accepted:
            for worker in sorted([worker for worker in self.workers.values() if worker.takes_connections], key=self._load):
                try:
                    socket.send_fds(worker.channel, [b"\0"], [accepted.fileno()])
                except OSError:  # it has as many waiting as fit, or has just died
                    continue
                worker.passed += 1
                return

    def send(self, message: Message, *, but: Worker | None = None) -> None:
        """Tell all of them, or all but one."""
        for worker in self.workers.values():
            if worker is not but:
                worker.link.send(message)

    def hold(self, message: Message) -> None:
        """Tell all of them how something is, and those that begin later, or are being made while it changes."""
        self._held[type(message)] = message
        self.send(message)

    async def ask(self, what: str, body: bytes = b"", *, but: Worker | None = None) -> list[bytes]:
        """Ask all of them at once, or all but one, and return the answers of those that answer."""
        workers = [worker for worker in self.workers.values() if worker is not but and worker.ready.done()]
        asked = [worker.link.ask(what, body, STILL_ANSWER_SECONDS if worker.stands else ASK_SECONDS_MAX) for worker in workers]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, ApiError):
                raise answer
        return [answer for answer in answers if isinstance(answer, bytes)]

    def lose_folder(self, gone: bool) -> None:
        """Tell all of them that the data folder is gone, or back."""
        self.gone = gone
        self.hold(FolderGone(gone))

    def drain(self) -> None:
        """Have them make each answer the last on its connection, and start no other for one that ends."""
        self._stopping = True
        self.send(Drain())

    async def stop(self, seconds: float) -> bool:
        """Pass on no more, and wait until all are gone, for so long besides what an end takes; what is left then is killed.

        What they left is settled meanwhile, for SETTLE_SECONDS_MAX more: False where the database did not take it, the next start does it.
        """
        self._stopping = True
        for worker in self.workers.values():
            worker.channel.close()
        ends = [asyncio.ensure_future(worker.process.wait()) for worker in self.workers.values()]
        if ends:
            await asyncio.wait(ends, timeout=seconds + GRACE_SECONDS_MAX + END_SECONDS_MAX)
        self.kill()
        give_up = asyncio.get_running_loop().time() + SETTLE_SECONDS_MAX
        while watches := [watch for watch in self._watches if not watch.done()]:  # one that was just being made has its own a moment later
            left = give_up - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            await asyncio.wait(watches, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        return True

    def kill(self) -> None:
        """Kill those that are left. Any thread may do it, while others come and go."""
        for worker in tuple(self.workers.values()):
            kill(worker.process)

    def look(self) -> None:
        """See whose loop turns, from now on: who stands is told, and killed if it stands for long."""
        for worker in self.workers.values():
            if worker.ready.done():
                call_guarded(self._look_at, worker)
        asyncio.get_running_loop().call_later(LOOK_SECONDS, self.look)

    def _look_at(self, worker: Worker) -> None:
        who, stood = f"WORKER {worker.number} (process {worker.process.pid})", worker.stands
        beats = self._memory.words[worker.number * WORKER_WORDS + BEATS]
        worker.still = worker.still + 1 if beats == worker.beats else 0
        worker.beats = beats
        if worker.still >= STILL_LOOKS_MAX and (self._stopping or self._is_whole()):
            worker.given_up = True
            kill(worker.process)
        elif self._stopping or worker.stands == stood:
            pass  # who leaves may wait for its last words with a loop that has ended
        elif stood:
            self._report(ServerNotice(f"{who} goes on"))
        else:
            ends = f"is killed if it does not go on within {STILL_LOOKS_MAX * LOOK_SECONDS:g} s"
            self._report(ServerWarning(f"{who} stands still: new connections go to the others, what it has open waits, and it {ends}"))

    def _is_whole(self) -> bool:
        """Say whether all workers are there and ready, so that one may be given up: the others may come back before its successor does."""
        there = self.workers.values()
        return len(there) >= self._count and all(worker.ready.done() and not worker.given_up for worker in there)

    def _load(self, worker: Worker) -> tuple[bool, int]:
        words, at = self._memory.words, worker.number * WORKER_WORDS
        return worker.stands, int(words[at + CALLS] + words[at + CONNECTIONS] + worker.passed - words[at + RECEIVED])

    async def _hire(self) -> Worker:
        """Start a worker. Raises OSError if none can be started now; nothing is left of it then."""
        (ours, theirs), (channel, far_channel) = socket.socketpair(), socket.socketpair()
        with ExitStack() as undone:
            number = min(self._free)
            self._free.discard(number)
            undone.callback(self._free.add, number)
            undone.enter_context(ours)
            undone.enter_context(channel)
            at = number * WORKER_WORDS
            for word in range(at, at + WORKER_WORDS):
                self._memory.words[word] = 0
            inherited = (theirs.fileno(), far_channel.fileno(), *self._descriptors)
            with theirs, far_channel:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", WORKER_MODULE, str(number), *map(str, inherited)),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=inherited,
                    start_new_session=True,  # Ctrl-C is for the office alone
                )
            undone.callback(kill, process)
            channel.setblocking(False)
            worker = Worker(number, process, channel)
            await self._link(worker, ours)
            undone.pop_all()
        self.workers[number] = worker  # from here on it is told what all are; what was before it reads when it begins, or hears now
        for held in self._held.values():
            worker.link.send(held)
        if self._stopping:
            kill(process)  # it has served nobody, and would take a second to begin before it left
        self._keep(self._watch(worker))
        return worker

    async def _link(self, worker: Worker, ours: socket.socket) -> None:
        """Talk with a worker through our end of its link, and have it begin."""

        def heard(message: Message) -> None:
            if isinstance(message, Ready):
                self._keep(self._let_in(worker))
            else:
                self._office.hear(worker, message)

        def answer(what: str, body: bytes) -> Awaitable[bytes]:
            return self._office.answer(worker, what, body)

        worker.link = await Link.on(ours, heard, answer, ended=lambda: done(worker.silent))
        worker.link.unsent = tell_bugs(self._report)
        worker.config = self.config
        worker.link.send(Begin(self.config, self.models))

    async def _let_in(self, worker: Worker) -> None:
        """Let a worker that has begun take connections, once it has the configuration that counts now: it was not asked while it began."""
        while worker.config is not self.config:
            worker.config = self.config
            with suppress(ApiError):  # it has it all the same when its loop turns again
                await worker.link.ask(CONFIGURE, msgspec.msgpack.encode(worker.config))
        if not worker.ready.done():
            worker.ready.set_result(True)

    async def _watch(self, worker: Worker) -> None:
        """Wait for the end of a worker, start another, and have settled what it left."""
        status = await worker.process.wait()
        await worker.silent  # what it said before it died counts
        worker.channel.close()
        del self.workers[worker.number]
        if not worker.ready.done():
            worker.ready.set_result(False)
        if not self._stopping:
            self._report(
                ServerWarning(f"WORKER {worker.number} (process {worker.process.pid}) has ended with status {status}; another begins")
            )
            self._keep(self._replace(worker))
        await self._folder_in_place()
        await self._office.settle(worker)
        self._free.add(worker.number)

    async def _replace(self, worker: Worker) -> None:
        if not worker.ready.result():
            await asyncio.sleep(UNREADY_PAUSE_SECONDS)
        elif asyncio.get_running_loop().time() - worker.began < RESTART_PAUSE_SECONDS:
            await asyncio.sleep(RESTART_PAUSE_SECONDS)
        while not self._stopping:
            await self._folder_in_place()
            try:
                await self._hire()
            except OSError as error:  # no process, no descriptor, no memory: for now
                again = f"it is tried again in {UNREADY_PAUSE_SECONDS:g} s"
                self._report(ServerWarning(f"No WORKER can be started in place of {worker.number}: {error.strerror}; {again}"))
                await asyncio.sleep(UNREADY_PAUSE_SECONDS)
            else:
                return

    async def _folder_in_place(self) -> None:
        """Wait until the data folder is where it was, or all are to end: in it are the journals, and nobody may begin in another one."""
        await self.look_at_folder()
        while True:
            if not self.gone or self._stopping:
                return
            await asyncio.sleep(UNREADY_PAUSE_SECONDS)

    def _keep(self, watch: Awaitable[None]) -> None:
        task = asyncio.ensure_future(watch)
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)


async def not_looked() -> None:
    """Find nothing out."""


def done(future: asyncio.Future[None]) -> None:
    """Let something have happened."""
    if not future.done():
        future.set_result(None)


def kill(process: asyncio.subprocess.Process) -> None:
    """Kill a process that may have ended."""
    with suppress(ProcessLookupError):
        process.kill()


def inherited_sockets(numbers: Iterable[str]) -> list[socket.socket]:
    """Return the sockets that a process inherited under these numbers; what it starts does not inherit them."""
    found = [socket.socket(fileno=int(number)) for number in numbers]
    for each in found:
        os.set_inheritable(each.fileno(), False)
    return found
