"""Cuts streams of a real model server and holds what is billed against the server's own count. A rig, run by `make count-server`.

    python tools/count_server.py PYTHON --cuts 100 --seed 1

PYTHON is an interpreter with mlx-lm. A model is made on the spot and served by `mlx_lm.server`, behind our server. Each client reads some
deltas of a stream, takes what its system has of it by then, and leaves. The model's answers are the same each time, so what its server
counts for a beginning of one can be asked of it: an answer of so many tokens at most, which it reports. Output is counted in three ways:
by pieces (nothing is known), by the model's tokenizer, and as learned from complete answers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from running_aisa import aisa, receipt_of
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [str(path) for path in sorted((ROOT / "docs").glob("*.md"))]
STARTS_SECONDS_MAX = 300.0  # of the model server, on a machine that does other things
ANSWER_SECONDS_MAX = 120.0
RECEIPT_SECONDS_MAX = 10.0  # a receipt is final a tenth of a second after the reset
TOKENS_MAX = 160  # of an answer, a second or two on two cores
TAUGHT = 16  # complete answers before the streams of the learned way; eight are needed
READ_BYTES = 65_536
PROMPTS = ("Name a tide.", "Was kostet das?", "List the moons.", "def f(x):", "Write to the sea.", "{}", "How far?", "An owl, please.")
WAYS = ("pieces", "tokenizer", "learned")
CONFIGURATION = """\
log: {{format: "off"}}
vendors:
  plain: {{base_url: "{vendor}", api_key: k}}
  exact: {{base_url: "{vendor}", api_key: k, tokenizer: "{model}/tokenizer.json"}}
  learned: {{base_url: "{vendor}", api_key: k}}
models:
  pieces: {{to: ["plain/{model}"], prices: {{input: 1, output: 2}}}}
  tokenizer: {{to: ["exact/{model}"], prices: {{input: 1, output: 2}}}}
  learned: {{to: ["learned/{model}"], prices: {{input: 1, output: 2}}}}
"""


class Asking(NamedTuple):
    """What is asked of the model, and its chance."""

    prompt: str
    seed: int


class Cut(NamedTuple):
    """One stream that was left: in how many deltas the client had its text, what it is by three counts, and by which way was billed.

    `made` is the model server's count, `again` that of its tokenizer for the text alone.
    """

    way: str
    deltas: int
    made: int
    again: int
    billed: int
    counted_by: str


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def model_server(python: str, model: Path, folder: Path) -> Generator[int]:
    """Serve a model, with its log and its list of models in a folder, and yield the port."""
    port = free_port()
    command = [python, "-m", "mlx_lm", "server", "--model", str(model), "--host", "127.0.0.1", "--port", str(port)]
    (folder / "hub").mkdir()  # the list of models is made from it
    offline = {
        "HF_HUB_CACHE": str(folder / "hub"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
    }
    log = folder / "model-server.log"
    with log.open("wb") as written:
        process = subprocess.Popen(command, env={**os.environ, **offline}, stdout=written, stderr=written)  # noqa: S603 - the model server
        try:
            until = time.monotonic() + STARTS_SECONDS_MAX
            while not listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(log.read_text(encoding="utf-8")[-2_000:])
                time.sleep(0.5)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def listens(port: int) -> bool:
    """Say whether a server listens on a port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class ModelCount:
    """The model server's own count of the beginnings of its answers."""

    def __init__(self, port: int, model: Path) -> None:
        self._port, self._model = port, model
        self._known: dict[tuple[Asking, int], tuple[str, int]] = {}

    def answer(self, asking: Asking, tokens: int) -> tuple[str, int]:
        """Return the answer of so many tokens at most, and how many the server says it has."""
        if (asking, tokens) not in self._known:
            answer = post(self._port, {**request(str(self._model), asking), "max_tokens": tokens})
            self._known[asking, tokens] = (answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"])
        return self._known[asking, tokens]

    def of(self, asking: Asking, said: Sequence[str]) -> int:
        """Return how many tokens the server makes for an answer that begins with these deltas: the fewest that hold all of them."""
        text, tokens = "".join(said), len(said)  # nearly always a delta is a token
        while tokens > 1 and self.answer(asking, tokens - 1)[0].startswith(text):
            tokens -= 1
        while tokens < TOKENS_MAX and not self.answer(asking, tokens)[0].startswith(text):
            tokens += 1
        whole, counted = self.answer(asking, tokens)
        if not whole.startswith(text):
            raise SystemExit(f"the model server does not answer the same each time: {whole!r} and {text!r}")
        return counted


def request(model: str, asking: Asking) -> dict[str, Any]:
    """Return a request whose answer is the same each time, and goes in no circles."""
    told = [{"role": "user", "content": asking.prompt}]
    return {"model": model, "messages": told, "temperature": 0.8, "seed": asking.seed, "max_tokens": TOKENS_MAX}


def post(port: int, asked: dict[str, Any]) -> Any:
    """Ask the model server for a document."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX)
    connection.request("POST", "/v1/chat/completions", json.dumps(asked), {"content-type": "application/json"})
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise SystemExit(f"{answer.status}: {found}")
    return found


def cut(port: int, key: str, asked: dict[str, Any], deltas: int) -> tuple[str, list[str]]:
    """Read so many deltas of a stream, then what has arrived besides, and leave; return the call's id and the deltas.

    What the client's system has taken was acknowledged, and is billed; so all of it is read.
    """
    body = json.dumps({**asked, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS_MAX) as sock:
        sock.sendall(head.encode() + body)
        received = b""
        while len(deltas_in(received)) < deltas and b"data: [DONE]" not in received and (data := sock.recv(READ_BYTES)):
            received += data
        sock.setblocking(False)
        with suppress(BlockingIOError):
            while data := sock.recv(READ_BYTES):
                received += data
    call = received.partition(b"x-request-id: ")[2].split(b"\r\n")[0].decode()
    if not call:
        raise SystemExit(received.decode())
    return call, deltas_in(received)


def deltas_in(received: bytes) -> list[str]:
    """Return the deltas in what was received of an answer whose body is chunked."""
    body, rest = b"", received.partition(b"\r\n\r\n")[2]
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    events = [json.loads(event[6:]) for event in body.split(b"\n\n")[:-1] if event.startswith(b"data: {")]
    said = [choice["delta"].get("content") for event in events for choice in event.get("choices", ())]
    return [text for text in said if text]


def receipt(port: int, key: str, call: str) -> Any:
    """Return a call's receipt, once it is final."""
    until = time.monotonic() + RECEIPT_SECONDS_MAX
    while not (found := receipt_of(port, key, call))["final"]:
        if time.monotonic() > until:
            raise SystemExit(f"no final receipt of {call}")
        time.sleep(0.1)
    return found


def cuts(front: tuple[int, str], count: ModelCount, tokenizer: Tokenizer, options: argparse.Namespace) -> Iterator[Cut]:
    """Teach the learned way, then cut so many streams, a third in each way."""
    chance = random.Random(options.seed)  # noqa: S311 - chooses where clients leave
    for position in range(TAUGHT):
        call, _ = cut(*front, request("learned", Asking(PROMPTS[position % len(PROMPTS)], position)), sys.maxsize)
        if receipt(*front, call)["outcome"] != "completed":
            raise SystemExit("an answer that was to be learned from is not complete")
    for position in range(options.cuts):
        way, asking = WAYS[position % len(WAYS)], Asking(chance.choice(PROMPTS), chance.randrange(1 << 16))
        call, said = cut(*front, request(way, asking), chance.randrange(5, TOKENS_MAX * 3 // 4))
        text = "".join(said)
        billed = receipt(*front, call)["billed"]
        again = len(tokenizer.encode(text, add_special_tokens=False).ids)
        yield Cut(way, len(said), count.of(asking, said), again, billed["output_tokens"], billed["counted_by"])


def table(found: Sequence[Cut]) -> str:
    """Return what came of it, as Markdown."""
    lines = [
        "| way | streams | deltas | the server's count | its tokenizer's, of the text | billed | median off | worst off | exact |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for way in WAYS:
        these = [each for each in found if each.way == way]
        off = [100 * (each.billed - each.made) / each.made for each in these]
        sums = [sum(column) for column in zip(*[(each.deltas, each.made, each.again, each.billed) for each in these], strict=True)]
        named = ", ".join(sorted({each.counted_by for each in these}))
        figures = f"{statistics.median(off):+.1f} % | {max(off, key=abs):+.1f} % | {sum(not each for each in off)}"
        lines.append(f"| {way} ({named}) | {len(these)} | {' | '.join(f'{each:,}' for each in sums)} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    """Make the model, serve it, cut streams, and print the table."""
    parser = argparse.ArgumentParser(description="Cut streams of a real model server.")
    parser.add_argument("python", help="an interpreter with mlx-lm")
    parser.add_argument("--cuts", type=int, default=100, help="streams in all")
    parser.add_argument("--seed", type=int, default=1, help="of where clients leave")
    parser.add_argument("--model", help="a folder that has a model which `tiny_model.py` made, or gets it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aisa-count-server-") as name:
        model = Path(options.model or Path(name) / "tiny").resolve()
        if not model.exists():
            making = [options.python, str(ROOT / "tools" / "tiny_model.py"), str(model), *TEXTS]
            subprocess.run(making, check=True)  # noqa: S603 - our own program
        with model_server(options.python, model, Path(name)) as port:
            configuration = CONFIGURATION.format(vendor=f"http://127.0.0.1:{port}/v1", model=model)
            with aisa(configuration) as front:
                tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
                found: list[Cut] = []
                for each in cuts(front, ModelCount(port, model), tokenizer, options):
                    found.append(each)
                    print(f"{len(found):4} {each}", file=sys.stderr)
                print(table(found))


if __name__ == "__main__":
    main()
