"""Counts what runs for one streamed call: a real gateway between a real client and a real vendor, on loopback, under a trace.

Two ways are counted. *The call* is everything from the client's first byte to the row in the ledger's hands, of the second call of a
connection, as the first one opens and fills things; its clock stands still, as what is made anew once a second would fall into it by
chance. *The bytes* are what runs between a chunk's arrival from the vendor and its leaving to the client, in the middle of the stream. Of
both: the files that are entered, their functions, the lines of these functions, which is what a reader has to read, and the lines that run.
"""

from __future__ import annotations

import ast
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import uvloop

import aisa
from aisa.clock import Chance, WallClock, system_chance
from aisa.composition import open_dependencies
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.edge.app import Edge
from aisa.edge.cors import CrossOrigin
from aisa.facts import Fact
from aisa.http.pool import HttpUpstream
from aisa.http.server import HttpServer
from aisa.ids import CallIds
from aisa.keys.store import KeyStore
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.routing import Routes
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate

PACKAGE = Path(aisa.__file__).parent
WORDS = 6  # of the stream; its middle ones are the conformant path of the bytes
STANDING: WallClock = partial(float, 1_800_000_000)  # UNIX seconds
PAUSE_SECONDS = 0.03  # between two chunks, so that each has turns of the loop to itself


class Count(NamedTuple):
    """How much code a way takes. `file_lines` are all of the files that it enters, `lines` those of the functions."""

    files: int
    file_lines: int
    functions: int
    lines: int
    lines_run: int


class Trace:
    """Every line of the package that runs while it is on."""

    def __init__(self) -> None:
        self.lines: dict[CodeType, set[int]] = {}

    @contextmanager
    def on(self) -> Generator[None]:
        """Trace while the block runs."""
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _arg: object) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(str(PACKAGE)):
            return None
        lines = self.lines.setdefault(frame.f_code, set())

        def note(frame: FrameType, event: str, _arg: object) -> Callable[..., Any]:
            if event == "line":
                lines.add(frame.f_lineno)
            return note

        return note

    def files(self) -> set[str]:
        """Return the files that were entered, from the package's folder."""
        return {str(Path(code.co_filename).relative_to(PACKAGE)) for code in self.lines}

    def count(self) -> Count:
        """Return what was seen. A comprehension or a lambda belongs to the function that it stands in."""
        spans = {(code.co_filename, *span_of(code.co_filename, code.co_firstlineno)) for code in self.lines}
        return Count(
            files=len(self.files()),
            file_lines=sum(len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) for file in self.files()),
            functions=len(spans),
            lines=sum(end - begin + 1 for _, begin, end in spans),
            lines_run=len({(code.co_filename, line) for code, lines in self.lines.items() for line in lines}),
        )


@cache
def functions_in(path: str) -> list[tuple[int, int]]:
    """Return where the functions of a file begin and end, those within others left out."""
    spans: list[tuple[int, int]] = []

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([child.lineno, *[decorator.lineno for decorator in child.decorator_list]])
                spans.append((first, child.end_lineno or child.lineno))
            else:
                visit(child)

    visit(ast.parse(Path(path).read_text(encoding="utf-8")))
    return spans


def span_of(path: str, line: int) -> tuple[int, int]:
    """Return the first and the last line of the function that a line is in; of none the line itself."""
    return next(((begin, end) for begin, end in functions_in(path) if begin <= line <= end), (line, line))


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    """Write a chunk as OpenAI does."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    document = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], "usage": None}
    event = b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def usage() -> bytes:
    """Write the last chunk and the end."""
    counts = {"prompt_tokens": 3, "completion_tokens": WORDS, "total_tokens": 3 + WORDS}
    document = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": counts}
    event = b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\ndata: [DONE]\n\n"
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event)


async def vendor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request of a connection with a stream."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            for piece in (chunk({"role": "assistant", "content": ""}), *[chunk({"content": f"word{n}"}) for n in range(WORDS)]):
                await asyncio.sleep(PAUSE_SECONDS)
                writer.write(piece)
            writer.write(chunk({}, "stop") + usage())
    except asyncio.IncompleteReadError:
        writer.close()


async def ask(port: int, secret: str, call: Trace, middle: Trace) -> None:
    """Make two calls on one connection, the second one traced. Raises RuntimeError if it is not answered whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi."}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\ncontent-type: application/json\r\n"
    request = head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body
    writer.write(request)
    await reader.readuntil(b"\r\n0\r\n\r\n")
    with call.on():
        writer.write(request)
        await reader.readuntil(b"word0")
    with middle.on():
        await reader.readuntil(b'word%d"' % (WORDS - 2))
    with call.on():
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")
        await asyncio.sleep(0.5)  # until the answer is known to be delivered, and its row has left
    if b"[DONE]" not in answer:
        raise RuntimeError(f"the call failed: {answer!r}")
    writer.close()


async def measure(folder: str) -> tuple[Trace, Trace]:
    """Return the traces of one call and of the bytes in its middle."""
    listening = await asyncio.start_server(vendor, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    config = Config(
        vendors={"local": Vendor(base_url=address, api_key="k")},
        models={"m": Model(to=("local/m",), prices=Prices(input=2.5, output=10))},
    )
    database = open_database(folder, migrate)
    keys = KeyStore(database, STANDING, system_chance())
    _, secret = keys.create("path")
    rows: list[CallRow] = []

    def written(row: CallRow, committed: Callable[[], None]) -> None:
        rows.append(row)
        committed()

    journal = Journal.open(Path(folder) / "board", slots_max=1_024)
    ledger = LiveLedger(journal, written, wallets=[Wallet("default", 10**12)], wall_clock=STANDING)
    pool = HttpUpstream("local", config.vendors["local"], {})
    facts: list[Fact] = []
    dependencies = open_dependencies(
        config, keys, ledger, pools={"local": pool}, routes=Routes(config), chance=Chance(1), report=partial(list.append, facts)
    )
    ids = CallIds(STANDING, Chance(1))
    edge = Edge(dependencies, ids, STANDING, cross_origin=CrossOrigin(config.cors), not_ready=lambda: None)
    server = HttpServer(edge, config.server, now=STANDING)
    _, port = await server.listen("127.0.0.1", 0, None)
    call, middle = Trace(), Trace()
    await ask(port, secret, call, middle)
    await server.drain(1)
    await pool.close()
    listening.close()
    if [row.outcome for row in rows] != ["completed"] * 2:
        raise RuntimeError(f"the ledger has {rows}")
    for code, lines in middle.lines.items():
        call.lines.setdefault(code, set()).update(lines)
    journal.close()
    database.close()
    return call, middle


def main() -> None:
    """Print the figures, and with `--files` the files of both ways."""
    with tempfile.TemporaryDirectory(prefix="aisa-path-") as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        call, middle = runner.run(measure(folder))
    for name, trace in (("the bytes", middle), ("the call", call)):
        count = trace.count()
        print(
            f"{name}: {count.files} files of {count.file_lines} lines, "
            f"{count.functions} functions of {count.lines} lines, of which {count.lines_run} run"
        )
        if "--files" in sys.argv[1:]:
            for file in sorted(trace.files()):
                part = Trace()
                part.lines = {code: lines for code, lines in trace.lines.items() if code.co_filename == str(PACKAGE / file)}
                print(f"  {part.count().lines:5} {part.count().lines_run:5}  {file}")


if __name__ == "__main__":
    main()
