"""Kills a real server under mixed load, again and again, and holds its ledger against what the clients counted. Run by `make crash`.

    python tests/crash.py --kills 300 --seed 1

Every round, clients of five kinds (paced streams, bursts, bursts read slowly, documents, and what has no output: vectors and rankings),
each through one of the doors that have such, keep a server busy that has a prepaid wallet. It gets SIGKILL at a random instant, in half of
the rounds as soon as a client has read a certain token. The clients read what the kernel still has for them; the server is started again
on the same data, and every call that a client saw begin is looked up in the database. Every tenth round it dies and starts once more,
which must change nothing. The last word has `aisa ledger audit`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from aisa.http.exchange import ARRIVAL_BYTES_MAX, UNREAD_BYTES_MAX
from aisa.process import FIRST_KEY_NAME
from server import BANNER_END, PROCESS_SECONDS_MAX, environment, read_banner

CONFIGURATION = """\
log: {{format: "off"}}
ledger: {{durability: {durability}}}
vendors: {{v: {{base_url: "http://127.0.0.1:{port}/v1", api_key: k, connections_max: 1000, completions: false}}}}
models:
  paced: {{to: [v/paced], prices: {{input: 1, output: 2}}}}
  burst: {{to: [v/burst], prices: {{input: 1, output: 2}}}}
  document: {{to: [v/document], prices: {{input: 1, output: 2}}}}
  mute: {{to: [v/mute], prices: {{input: 1, output: 2}}}}
"""
AISA = ("-m", "aisa")
INPUT_NANOS = 1_000  # a token, as configured
KINDS = ("paced", "burst", "slow", "document", "mute")
SAID, GEMINI = "Go.", "/v1beta/models/{model}"
#: door -> where it is asked for a stream or a document, and what a request has beside the model and the wish for a stream.
DOORS: dict[str, tuple[str, str, dict[str, object]]] = {
    "chat": ("/v1/chat/completions", "/v1/chat/completions", {"messages": [{"role": "user", "content": SAID}]}),
    "responses": ("/v1/responses", "/v1/responses", {"input": SAID}),
    "messages": ("/v1/messages", "/v1/messages", {"max_tokens": 9_999, "messages": [{"role": "user", "content": SAID}]}),
    "completions": ("/v1/completions", "/v1/completions", {"prompt": SAID}),
    "gemini": (f"{GEMINI}:streamGenerateContent?alt=sse", f"{GEMINI}:generateContent", {"contents": [{"parts": [{"text": SAID}]}]}),
}
#: The same of those whose answers have no output, which are documents.
MUTE_DOORS: dict[str, tuple[str, str, dict[str, object]]] = {
    "embeddings": ("", "/v1/embeddings", {"input": SAID}),
    "rerank": ("", "/v1/rerank", {"query": SAID, "documents": [SAID]}),
}
CLIENTS = 24
BURST_CHUNKS = 3_000
PACED_CHUNKS = 60
PACE_SECONDS = 0.002
DOCUMENT_TOKENS = 5
MUTE_TOKENS = 4  # of input
WHOLE = {"document": DOCUMENT_TOKENS, "mute": MUTE_TOKENS}  # what comes in one piece
SLOW_BYTES = 2_048
READ_BYTES_MAX = ARRIVAL_BYTES_MAX + UNREAD_BYTES_MAX  # that the server has of a vendor at a time
LIFE_SECONDS = (0.02, 0.5)  # of a server under load, before it is killed
TOKEN_MAX = 2_000  # that a client may read before the server is killed for it
FATAL_SECONDS_MAX = 2.0  # a busy machine may not come so far
GIVE_UP_SECONDS_MAX = 60.0  # for what is left after a death; it takes a second
PROGRESS_KILLS = 10
SHOWN_MAX = 20


@dataclass
class Seen:
    """What a client has of one call. `tokens` counts whole events with text, or is that of a whole document, of a mute one its input."""

    kind: str
    id: str = ""
    tokens: int = 0
    complete: bool = False


@dataclass
class Row:
    """What the ledger has of one call: billed output tokens, of a mute one the input tokens that its cost is for, and nano-dollars."""

    tokens: int
    cost: int
    outcome: str
    stream: bool


Rows = dict[str, list[Row]]
Audit = subprocess.CompletedProcess[str]


@dataclass
class Tally:
    """What came of all rounds: the calls that clients saw begin, by kind, and how many had come to their end before the server died.

    `equal` were billed as the clients counted. `less` describes those billed at most one read of the vendor less, `wrong` what must not be.
    """

    calls: Counter[str] = field(default_factory=Counter[str])
    ended: int = 0
    equal: int = 0
    less: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        calls = sum(self.calls.values())
        judged = f"{self.equal} billed as their clients counted, {len(self.less)} a read less, {len(self.wrong)} wrong"
        return f"{calls} calls, {calls - self.ended} of them cut: {judged}"

    def compare(self, seen: list[Seen], rows: Rows, known: Rows, where: str) -> None:
        """Hold what clients saw in a round against the rows; `known` are those from before it."""
        for call in seen:
            self.calls[call.kind] += 1
            self.ended += call.complete
            self._judge(call, rows.get(call.id, []), where)
        unseen = rows.keys() - known.keys() - {call.id for call in seen}
        for id_ in unseen:  # of these no client has a whole head
            if any(row.tokens or row.cost for row in rows[id_]):
                self._judge(Seen("paced" if rows[id_][0].stream else "document", id_), rows[id_], where)
        if changed := [id_ for id_ in known if rows.get(id_) != known[id_]]:
            self.wrong.append(f"{where}: {len(changed)} earlier rows have changed")

    def _judge(self, call: Seen, rows: list[Row], where: str) -> None:
        told = f"{where} {call}: {rows}"
        if len(rows) != 1 or not call.tokens - READ_TOKENS_MAX[call.kind] <= rows[0].tokens <= call.tokens:
            self.wrong.append(told)
        elif rows[0].tokens != call.tokens:
            self.less.append(told)
        else:
            self.equal += 1


def chunk(text: str, finish: str | None = None, **delta: object) -> bytes:
    """Return one event of the vendor, chunk framing included."""
    choice = {"index": 0, "delta": {"content": text, **delta} if text or delta else {}, "logprobs": None, "finish_reason": finish}
    data = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    event = b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ROLE = chunk("", role="assistant", refusal=None)
END = chunk("", "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
PACED = [chunk(f"t{number} ") for number in range(PACED_CHUNKS)]
BURST = [b"".join([chunk(f"t{number} ") for number in range(start, start + 50)]) for start in range(0, BURST_CHUNKS, 50)]

#: The tokens that one read of the vendor may bring: those that a death between a write and the note behind it leaves out of a bill.
READ_TOKENS_MAX = {
    "paced": PACED_CHUNKS,  # a busy server finds several that came one by one
    "burst": 1 + READ_BYTES_MAX // len(PACED[0]),
    "slow": 1 + READ_BYTES_MAX // len(PACED[0]),
    **WHOLE,
}


def document() -> dict[str, object]:
    """Return an answer of the vendor that is not streamed."""
    message = {"role": "assistant", "content": "five tokens of some text", "refusal": None}
    usage = {"prompt_tokens": 9, "completion_tokens": DOCUMENT_TOKENS, "total_tokens": 9 + DOCUMENT_TOKENS}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def answer(tree: dict[str, object]) -> bytes:
    """Return a whole answer."""
    body = json.dumps(tree).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


#: A vector and a ranking at once.
MUTE = {
    "data": [{"index": 0, "embedding": [0.5]}],
    "results": [{"index": 0, "relevance_score": 0.5}],
    "usage": {"prompt_tokens": MUTE_TOKENS, "total_tokens": MUTE_TOKENS},
}


async def vendor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whatever a connection asks; the model's name says how."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]  # the server sends it
            if head.startswith(b"GET "):  # for the list of its models, of which it has none
                writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                continue
            model = json.loads(await reader.readexactly(length))["model"]
            if model in WHOLE:
                writer.write(answer(MUTE if model == "mute" else document()))
                continue
            writer.write(HEAD + ROLE)
            for part in PACED if model == "paced" else BURST:
                writer.write(part)
                await (asyncio.sleep(PACE_SECONDS) if model == "paced" else writer.drain())
            writer.write(END)
    except (asyncio.IncompleteReadError, ConnectionError, RuntimeError):
        pass  # the server is dead; uvloop says so with a RuntimeError
    finally:
        writer.close()


#: An event with a token, in the words of every door; what repeats a whole text has more than one in it.
TOKEN = re.compile(rb'"(?:content|delta|text)":"t\d+ "[^\n]*\n\n')
LAST = b"0\r\n\r\n"


def doors_of(kind: str) -> dict[str, tuple[str, str, dict[str, object]]]:
    """Return the doors that have calls of a kind."""
    return MUTE_DOORS if kind == "mute" else DOORS


def request_of(door: str, kind: str, key: str) -> bytes:
    """Return what a client of a door sends."""
    (streamed, whole, members), model = doors_of(kind)[door], "burst" if kind == "slow" else kind
    path = (whole if kind in WHOLE else streamed).format(model=model)
    body = json.dumps(members if door == "gemini" else {"model": model, "stream": kind not in WHOLE, **members})
    return f"POST {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


class Load:
    """Clients that keep a server busy until it is dead, and what they saw. `fatal` is set by the first that has read so many tokens."""

    def __init__(self, server: Server, chance: random.Random) -> None:
        self.seen: list[Seen] = []
        self.fatal = asyncio.Event()
        self.fatal_token = sys.maxsize
        self._server = server
        self._calls = [(kind, chance.choice(list(doors_of(kind)))) for kind in chance.choices(KINDS, k=CLIENTS)]

    async def run(self) -> None:
        """Call until the server is dead, and read on to the end."""
        async with asyncio.timeout(GIVE_UP_SECONDS_MAX):
            await asyncio.gather(*[self._client(kind, door) for kind, door in self._calls])

    async def _client(self, kind: str, door: str) -> None:
        loop = asyncio.get_running_loop()
        request = request_of(door, kind, self._server.key)
        with socket.socket() as sock:
            if kind == "slow":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            sock.setblocking(False)
            try:
                await loop.sock_connect(sock, ("127.0.0.1", self._server.port))
                whole = True
                while whole:
                    await loop.sock_sendall(sock, request)
                    whole = await self._read_answer(sock, kind)
            except OSError:
                return

    async def _read_answer(self, sock: socket.socket, kind: str) -> bool:
        """Count what arrives of one answer; False when the connection ends in it. Raises OSError."""
        loop = asyncio.get_running_loop()
        call = Seen(kind)
        data = b""
        length = 0
        while not call.complete:
            if kind == "slow":
                await asyncio.sleep(PACE_SECONDS / 4)
            part = await loop.sock_recv(sock, SLOW_BYTES if kind == "slow" else 65_536)
            data += part
            if not call.id and b"\r\n\r\n" in data:
                top, _, data = data.partition(b"\r\n\r\n")
                call.id = top.partition(b"x-request-id: ")[2].split(b"\r\n", 1)[0].decode()
                length = int(top.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0] or 0)
                assert top.startswith(b"HTTP/1.1 200"), top + data
                self.seen.append(call)
            if call.id and kind in WHOLE:
                call.complete = len(data) == length
                call.tokens = WHOLE[kind] if call.complete else 0
            elif call.id:
                events = TOKEN.findall(data)
                call.tokens += len(events)
                call.complete = data.endswith(LAST)
                if events:
                    data = data[data.rindex(events[-1]) + len(events[-1]) :]
            if call.tokens >= self.fatal_token:
                self.fatal.set()
            if not part:
                return False
        return True


class Server:
    """A server that is started again after each death."""

    def __init__(self, folder: Path, configuration: str) -> None:
        self.folder = folder
        (folder / "aisa.yaml").write_text(configuration)
        self.key = ""
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    def start(self, *program: str) -> bool:
        """Start it, as `program` if that is another; wait until it serves, or return False if it dies before."""
        command = [sys.executable, *(program or AISA), "serve", "--port", "0", "--data-dir", "data", "--config", "aisa.yaml"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True)
        banner = read_banner(self.process)
        if BANNER_END not in banner:
            self.ended()
            return False
        self.port = int(re.findall(r"http://127\.0\.0\.1:(\d+)", banner)[0])
        if not self.key:
            self.key = (self.folder / "data" / FIRST_KEY_NAME).read_text().strip()
        return True

    def restart(self) -> None:
        """Start it, which must work."""
        assert self.start(), self.log

    @property
    def log(self) -> str:
        """What its processes wrote to standard error."""
        return (self.folder / "log").read_text()

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send it a signal, if it still runs, and return its status once it has ended."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Return its status once it has ended by itself."""
        self.process.wait(PROCESS_SECONDS_MAX)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.returncode

    def aisa(self, *words: str) -> Audit:
        """Run a command of the command line on its data."""
        command = [sys.executable, *AISA, *words, "--data-dir", "data"]
        return subprocess.run(
            command, cwd=self.folder, env=environment(), capture_output=True, text=True, check=False, timeout=PROCESS_SECONDS_MAX
        )

    def rows(self) -> Rows:
        """Return every row, by call."""
        found: Rows = {}
        with closing(sqlite3.connect(f"file:{self.folder / 'data' / 'aisa.db'}?mode=ro", uri=True)) as database:
            for id_, model, tokens, cost, *rest in database.execute(
                "select id, model, billed_output_tokens, cost, outcome, stream from calls"
            ):
                found.setdefault(id_, []).append(Row(cost // INPUT_NANOS if model == "mute" else tokens, cost, *rest))
        return found


async def killed_under_load(server: Server, chance: random.Random) -> list[Seen]:
    """Keep a server busy, kill it, and return what the clients have once they have read all that is left."""
    load = Load(server, chance)
    clients = asyncio.create_task(load.run())
    life_seconds = chance.uniform(*LIFE_SECONDS)
    if chance.random() < 0.5:
        load.fatal_token, life_seconds = chance.randrange(1, TOKEN_MAX), FATAL_SECONDS_MAX
    with suppress(TimeoutError):
        await asyncio.wait_for(load.fatal.wait(), life_seconds)
    server.end()
    await clients
    return load.seen


@asynccontextmanager
async def serving(folder: Path, durability: str = "process") -> AsyncIterator[Server]:
    """Run a server in an empty folder in front of the vendor, and end whatever is left of it."""
    listener = await asyncio.start_server(vendor, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server = Server(folder, CONFIGURATION.format(port=port, durability=durability))
    try:
        server.restart()
        server.aisa("wallet", "top-up", "default", "1000")
        yield server
    finally:
        server.end()
        listener.close()


async def rounds(kills: int, seed: int, folder: Path) -> tuple[Tally, Audit]:
    """Run so many rounds in an empty folder; return what came of them, and what the server's own audit says."""
    tally = Tally()
    async with serving(folder) as server:
        known = server.rows()
        for number in range(1, kills + 1):
            where = f"seed {seed} round {number}"
            seen = await killed_under_load(server, random.Random(f"{seed}-{number}"))
            server.restart()
            rows = server.rows()
            tally.compare(seen, rows, known, where)
            known = rows
            if number % PROGRESS_KILLS == 0 or number == kills:
                server.end()
                server.restart()
                tally.compare([], server.rows(), known, f"{where}, started again")
                print(f"{number} kills, {tally}", flush=True)
    return tally, server.aisa("ledger", "audit")


def main() -> int:
    """Run, say what came of it, and return 0 if the ledger is right."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=300, help="how often the server is killed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="of who calls what, and when it dies")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="aisa-crash-") as folder:
        tally, audit = uvloop.run(rounds(options.kills, options.seed, Path(folder)))
    for line in tally.less[:SHOWN_MAX] + tally.wrong[:SHOWN_MAX]:
        print(line)
    print(f"{options.kills} kills with seed {options.seed}, {tally} ({dict(tally.calls)})")
    print((audit.stdout + audit.stderr).strip())
    few = len(tally.less) <= options.kills  # a kill finds one call at most between a write and its note
    return 0 if few and not tally.wrong and audit.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
