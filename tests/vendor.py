"""A vendor that speaks OpenAI's dialect from a script, on a real loopback socket in a thread of its own. Judges nothing it receives.

The model's name chooses the script. Every request is kept, with what came of it, so that a test can look at it afterwards.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aisa.testing.clock import THREADS_APART

Json = dict[str, Any]
WAIT_SECONDS_MAX = 30.0  # for something that takes milliseconds
PACE_SECONDS = 0.01  # between the chunks of an endless stream
#: A stream that nobody stops ends by itself after ten minutes.
ENDLESS_CHUNKS_MAX = 60_000
PACED_WORDS = 40
RESET = struct.pack("ii", 1, 0)  # linger for no time at all: closing sends a RST


class HungUp(Exception):
    """The server closed its end while the vendor was at work."""


@dataclass
class Connection:
    """One connection of the server's, by the vendor's clock in seconds."""

    opened_at: float
    closed_at: float | None = None


class Asked:
    """One request that the vendor got, and its end of the connection. Times are the vendor's clock (`ScriptedVendor.now`), in seconds."""

    def __init__(self, headers: dict[str, str], body: Json, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.headers = headers
        self.body = body
        self.times = 1
        self.gone = threading.Event()
        self.gone_at = 0.0
        self._reader = reader
        self._writer = writer
        self._started = False

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.body["model"])

    def document(self, status: int, document: object, headers: Json | None = None) -> None:
        """Answer with one JSON document."""
        body = json.dumps(document).encode()
        self._head(status, {"content-type": "application/json", "content-length": len(body), **(headers or {})})
        self._writer.write(body)

    def error(self, status: int, **members: object) -> None:
        """Answer with an error in OpenAI's shape."""
        error = {"message": "no", "type": "vendor", "code": None, "param": None} | members
        self.document(status, {"error": error}, {"retry-after": 1} if status in {429, 503} else {})

    def event(self, data: Json | str) -> None:
        """Send one event of a stream, after its head."""
        if not self._started:
            self._started = True
            self._head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        self._chunk(f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode())

    def raw(self, body: bytes, kind: str) -> None:
        """Answer with a body as it is, whatever is wrong with it."""
        self._head(200, {"content-type": kind, "content-length": len(body)})
        self._writer.write(body)

    def says(self, *words: str, **members: object) -> None:
        """Send a chunk for each word."""
        for word in words:
            self.event(chunk(self.model, {"content": word} | members))

    def finish(self, *, reason: str | None = "stop", done: bool = True) -> None:
        """End a stream properly: the reason, usage if it was asked for, `[DONE]`."""
        if reason is not None:
            self.event(chunk(self.model, {}, reason))
        if done and (self.body.get("stream_options") or {}).get("include_usage"):
            self.event(chunk(self.model, None) | {"usage": USAGE})
        if done:
            self.event("[DONE]")
        self._chunk(b"")

    def cut(self) -> None:
        """Close the connection in the middle of the answer."""
        self._writer.close()

    def reset(self) -> None:
        """End the connection with a RST."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._writer.transport.abort()

    async def pause(self, seconds: float) -> None:
        """Do nothing for a while. Raises HungUp as soon as the server closes its end."""
        try:
            await asyncio.wait_for(self._reader.read(1), seconds)
        except TimeoutError:
            return
        except ConnectionError:
            pass
        raise HungUp

    def note_gone(self) -> None:
        """Keep the moment at which the server closed its end."""
        self.gone_at = asyncio.get_running_loop().time()
        self.gone.set()

    def _head(self, status: int, headers: Json) -> None:
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())

    def _chunk(self, data: bytes) -> None:
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))


def chunk(model: str, delta: Json | None, finish: str | None = None) -> Json:
    """Return a chunk of a stream; without a delta it has no choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    return {"id": "chatcmpl-v", "object": "chat.completion.chunk", "created": 1_750_000_000, "model": model, "choices": choices}


def completion(model: str, content: str) -> Json:
    """Return a whole answer."""
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-v", "object": "chat.completion", "created": 1_750_000_000, "model": model}
    return {**head, "choices": [choice], "usage": USAGE}


USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
HELLO = ("Hello", " from", " the", " vendor", ".")


async def hello(asked: Asked) -> None:
    """Answer in five words."""
    if not asked.body.get("stream"):
        asked.document(200, completion(asked.model, "".join(HELLO)))
        return
    asked.says("", role="assistant")
    asked.says(*HELLO)
    asked.finish()


async def sloppy(asked: Asked) -> None:
    """Answer in five words, and leave out everything else that the protocol asks for."""
    if not asked.body.get("stream"):
        asked.document(200, {"choices": [{"message": {"content": "".join(HELLO)}}]})
        return
    for word in HELLO:
        asked.event({"choices": [{"delta": {"content": word}}], "usage": None})
    asked.event("[DONE]")
    asked.cut()


async def once_503(asked: Asked) -> None:
    """Be overloaded the first time, and well from then on."""
    if asked.times == 1:
        asked.error(503)
    else:
        await hello(asked)


async def error_mid_stream(asked: Asked) -> None:
    """Report an error after two words."""
    asked.says(*HELLO[:2])
    asked.event({"error": {"message": "The engine is overloaded", "type": "overloaded_error", "code": "overloaded"}})
    asked.finish(reason=None, done=False)


async def cut_mid_stream(asked: Asked) -> None:
    """Close the connection after two words."""
    asked.says(*HELLO[:2])
    asked.cut()


async def reset_mid_stream(asked: Asked) -> None:
    """Reset the connection after two words."""
    asked.says(*HELLO[:2])
    await asked.pause(0.1)  # a RST at once would overtake what was sent
    asked.reset()


async def unfinished(asked: Asked) -> None:
    """End the body properly after two words, without a finish reason and without `[DONE]`."""
    asked.says(*HELLO[:2])
    asked.finish(reason=None, done=False)


async def endless(asked: Asked) -> None:
    """Go on until the server hangs up."""
    for _ in range(ENDLESS_CHUNKS_MAX):
        asked.says("more ")
        await asked.pause(PACE_SECONDS)


async def paced(asked: Asked) -> None:
    """Answer in forty words, one after the other."""
    for _ in range(PACED_WORDS):
        asked.says("word ")
        await asked.pause(PACE_SECONDS)
    asked.finish()


async def stall(asked: Asked) -> None:
    """Fall silent after two words, until the server hangs up."""
    asked.says(*HELLO[:2])
    await asked.pause(ENDLESS_CHUNKS_MAX * PACE_SECONDS)


async def silent(asked: Asked) -> None:
    """Never answer."""
    await asked.pause(ENDLESS_CHUNKS_MAX * PACE_SECONDS)


async def searched(asked: Asked) -> None:
    """Answer with what was searched for, and say how often that was."""
    asked.document(200, completion(asked.model, "Found.") | {"usage": USAGE | {"num_search_queries": 2}})


async def garbage(asked: Asked) -> None:
    """Answer with something that is no completion."""
    asked.document(200, "hello")


async def echo(asked: Asked) -> None:
    """Answer with the request itself: its headers and its body, as JSON."""
    asked.document(200, completion(asked.model, json.dumps({"headers": asked.headers, "body": asked.body})))


async def quoting(asked: Asked) -> None:
    """Refuse the request with the prompt in the refusal, as servers do that check requests by their types."""
    wrong = {"type": "string_type", "loc": ["body", "messages", 0], "input": asked.body["messages"][-1]["content"]}
    asked.document(422, {"error": {"message": f"Input should be a valid string: {json.dumps(wrong)}", "type": "invalid_request_error"}})


async def quoting_as_key(asked: Asked) -> None:
    """Refuse our key, with the prompt in the words and in what is no code."""
    prompt = asked.body["messages"][-1]["content"]
    asked.error(401, message=f"Incorrect API key provided, asked was: {prompt}", code=prompt)


async def quoting_as_param(asked: Asked) -> None:
    """Refuse the request with the prompt where the name of its member belongs."""
    asked.error(400, message="That is not valid.", param=asked.body["messages"][-1]["content"])


async def corpus_case(asked: Asked) -> None:
    """Answer as the vendor of a case of the corpus does."""
    asked.raw((CORPUS / asked.model.removeprefix(CASE) / "upstream.sse").read_bytes(), "text/event-stream")


CASE = "case-"
CORPUS = Path(__file__).resolve().parent / "corpus" / "openai"
Script = Callable[[Asked], Awaitable[None]]
#: model -> what it does. A model `status-NNN` answers with that status, `case-NAME` as in that case of the corpus.
SCRIPTS: dict[str, Script] = {
    "hello": hello,
    "sloppy": sloppy,
    "once-503": once_503,
    "error-mid-stream": error_mid_stream,
    "cut-mid-stream": cut_mid_stream,
    "reset-mid-stream": reset_mid_stream,
    "unfinished": unfinished,
    "endless": endless,
    "paced": paced,
    "stall": stall,
    "silent": silent,
    "garbage": garbage,
    "searched": searched,
    "echo": echo,
    "quoting": quoting,
    "quoting-as-key": quoting_as_key,
    "quoting-as-param": quoting_as_param,
}


class ScriptedVendor:
    """The vendor, running while the context is open. Keeps every request and every connection, in the order in which they came.

    `models` is what it lists, None if it has no list; `listed` how often it was asked for that.
    """

    def __init__(self, models: tuple[str, ...] | None = None) -> None:
        self.models = models
        self.listed = 0
        self.requests: list[Asked] = []
        self.connections: list[Connection] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._arrived = threading.Condition()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="vendor")
        THREADS_APART.add(self._thread)

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        assert self._ready.wait(WAIT_SECONDS_MAX)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_SECONDS_MAX)

    def now(self) -> float:
        """Return the time on the clock that everything here is timed by, in seconds."""
        return self._loop.time()

    def asked(self, model: str) -> list[Asked]:
        """Return the requests for one model so far."""
        return [asked for asked in self.requests if asked.model == model]

    def wait_for(self, model: str, number: int) -> Asked:
        """Wait until a model was asked for this many times, and return the last of them."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.asked(model)) >= number, WAIT_SECONDS_MAX)
        return self.asked(model)[number - 1]

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        await self._stop.wait()
        listener.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self.now())
        self.connections.append(connection)
        try:
            while True:
                await self._answer(reader, writer)
        except (HungUp, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            connection.closed_at = self.now()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = (line.partition(": ") for line in head.split("\r\n")[1:-2])
        headers = {name.lower(): value for name, _, value in lines}
        if head.startswith("GET "):
            self.listed += 1
            listing = Asked(headers, {}, reader, writer)
            listing.document(404 if self.models is None else 200, {"data": [{"id": name} for name in self.models or ()]})
            return
        asked = Asked(headers, json.loads(await reader.readexactly(int(headers["content-length"]))), reader, writer)
        asked.times += len(self.asked(asked.model))
        with self._arrived:
            self.requests.append(asked)
            self._arrived.notify_all()
        number = asked.model.removeprefix("status-")
        try:
            if number.isdecimal():
                asked.error(int(number))
            elif asked.model.startswith(CASE):
                await corpus_case(asked)
            else:
                await SCRIPTS[asked.model](asked)
            await writer.drain()
        except (HungUp, ConnectionError):
            asked.note_gone()
            raise
