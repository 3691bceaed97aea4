"""The connection between the office and one worker: messages in order, and questions with answers. Knows not what they are about."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

import msgspec

from aisa.errors import ApiError
from aisa.facts import BugFound, Fact
from aisa.workers.messages import Ask, Ended, Message, Refusal, RefusedOnes, Reply

LENGTH_BYTES = 4  # of the messages that leave together, ahead of them
ASK_SECONDS_MAX = 5.0  # for an answer; the other process is stuck then
GATHER_SECONDS = 0.02  # between two sendings of what can wait: each wakes the other process, which takes some 40 us
encode = msgspec.msgpack.Encoder().encode
decode: Callable[[bytes | memoryview], list[Message]] = msgspec.msgpack.Decoder(list[Message]).decode

#: What is raised for values that no message may have: numbers of more than 64 bits, halves of characters, trees that have no end.
UNFIT = (msgspec.MsgspecError, OverflowError, ValueError, TypeError, RecursionError)
#: Is told of a message that could not be sent, and why.
Unsent = Callable[[Message, Exception], None]
#: Answers a question: what, and its body. Raises ApiError.
Answering = Callable[[str, bytes], Awaitable[bytes]]


class Link(asyncio.Protocol):
    """One end of a link. `hear` is told of each message that is no question and no answer; `ended` when the other process is gone.

    What is sent waits here while the other process is busy: a worker's rows are bounded by its journal, what the office sends by what
    administrators do. What is sent `soon` waits here for others of its kind, and is lost with this process until then. `unsent` is told of
    what can never be sent.
    """

    _transport: asyncio.Transport

    def __init__(self, hear: Callable[[Message], None], answer: Answering, ended: Callable[[], None]) -> None:
        self._hear = hear
        self._answer = answer
        self._told_of_end = ended
        self._received = bytearray()
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._number = 0
        self._loop = asyncio.get_running_loop()
        self._gathered: list[Message] = []
        self._gathering: asyncio.Handle | None = None
        self._soon_at = -GATHER_SECONDS  # when something was sent soon last, in seconds of the loop
        self._tasks: set[asyncio.Task[None]] = set()
        self.unsent: Unsent = unheard
        self.closed = False

    @classmethod
    async def on(cls, end: socket.socket, hear: Callable[[Message], None], answer: Answering, *, ended: Callable[[], None]) -> Link:
        """Return the link on one of two connected sockets."""
        link = cls(hear, answer, ended)
        end.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: link, sock=end)
        return link

    def send(self, message: Message) -> None:
        """Send a message, behind all that were to be sent soon; to a process that is gone, nothing."""
        self._gathered.append(message)
        self._send_gathered()

    def send_soon(self, message: Message) -> None:
        """Send a message within GATHER_SECONDS, with all that come meanwhile: if nothing was sent so for as long as that, once we are done.

        Not before: what we say next may be what the other process needs to know with it, as the document that a row was not paid for.
        """
        self._gathered.append(message)
        if self._gathering is None:
            loop = self._loop
            wait = self._soon_at + GATHER_SECONDS - loop.time()
            self._gathering = loop.call_soon(self._send_soon) if wait <= 0 else loop.call_later(wait, self._send_soon)

    async def ask(self, what: str, body: bytes = b"", seconds: float = ASK_SECONDS_MAX) -> bytes:
        """Return the other process's answer. Raises ApiError: what it raised, or overloaded when it is gone or stuck."""
        self._number += 1
        number = self._number
        asked = self._asked[number] = self._loop.create_future()
        self.send(Ask(number, what, body))
        if self.closed and not asked.done():
            asked.set_exception(gone())
        try:
            async with asyncio.timeout(seconds):
                answer: bytes = await asked
                return answer
        except TimeoutError:
            raise gone() from None
        finally:
            self._asked.pop(number, None)

    def close(self) -> None:
        """End the link once what was sent is on its way."""
        if not self.closed:
            self._send_gathered()
            self._transport.close()

    # What the loop tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to be a link."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, in order."""
        received = self._received
        received += data
        start = 0
        while len(received) - start >= LENGTH_BYTES:
            end = start + LENGTH_BYTES + int.from_bytes(received[start : start + LENGTH_BYTES], "big")
            if len(received) < end:
                break
            messages = decode(bytes(received[start + LENGTH_BYTES : end]))
            start = end
            for message in messages:
                self._take(message)
        del received[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """End: nobody will answer any more."""
        self.closed = True
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(gone())
        self._told_of_end()

    def _send_soon(self) -> None:
        self._soon_at = self._loop.time()
        self._send_gathered()

    def _send_gathered(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        gathered, self._gathered = self._gathered, []
        if not self.closed and gathered:
            try:
                data = encode(gathered)
            except UNFIT:
                data = b"".join(self._fitting(gathered))
                self._transport.write(data)
            else:
                self._transport.write(framed(data))

    def _fitting(self, messages: list[Message]) -> Iterator[bytes]:
        """Yield all messages that can be written, each by itself: one of them cannot, by a fault of ours, and takes no other with it."""
        for message in messages:
            try:
                yield framed(encode([message]))
            except UNFIT as error:
                self.unsent(message, error)
                if isinstance(message, Reply):  # whoever asked must not wait
                    yield framed(encode([Reply(message.number, refusal=Refusal("internal_error", "The answer could not be told."))]))

    def _take(self, message: Message) -> None:
        if isinstance(message, Ask):
            task = self._loop.create_task(self._reply(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif isinstance(message, Reply):
            asked = self._asked.get(message.number)
            if asked is not None and not asked.done():
                if message.refusal is None:
                    asked.set_result(message.body)
                else:
                    asked.set_exception(message.refusal.error())
        else:
            self._hear(message)

    async def _reply(self, question: Ask) -> None:
        try:
            reply = Reply(question.number, await self._answer(question.what, question.body))
        except ApiError as error:
            reply = Reply(
                question.number, refusal=Refusal(error.code, error.message, error.wait, error.should_retry, error.param, error.allow)
            )
        self.send(reply)


def framed(data: bytes) -> bytes:
    """Return messages that leave together, their length ahead of them."""
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def tell_bugs(report: Callable[[Fact], None]) -> Unsent:
    """Return what reports a message that could not be sent as a bug, with the id of the call that it is about."""

    def unsent(message: Message, error: Exception) -> None:
        about = message.row.id if isinstance(message, Ended) else message.record.id if isinstance(message, RefusedOnes) else ""
        where = "".join(traceback.format_exception(error))
        report(BugFound(about, f"A message between processes, {type(message).__name__}, could not be written: {where}"))

    return unsent


def unheard(_message: Message, error: Exception) -> None:
    """Raise what was wrong: there is nobody to be told."""
    raise error


def gone() -> ApiError:
    """Return the error for a process that does not answer."""
    return ApiError("overloaded", "A process of this server does not answer at the moment. Try again soon.")
