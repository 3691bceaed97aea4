"""Cuts streams of a real model server and holds what is billed against the server's own count. A rig, run by `make count-server`.

    python tools/count_server.py vllm --cuts 100 --seed 1

The server (`model_servers.py` has those that there are) is installed apart, and serves a model that is made on the spot, behind ours.
Each client reads some deltas of a stream, takes what its system has of it by then, and leaves. The model's answers are the same each
time, so what its server counts for a beginning of one can be asked of it: an answer of so many tokens at most, which it reports. Output
is counted in three ways: by pieces (nothing is known), by the model's tokenizer, and as learned from complete answers; of a vLLM in a
fourth, by its running count.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from model_servers import SERVERS, installed, model_server, tiny_model
from running_aisa import aisa, receipt_of
from tokenizers import Tokenizer

ANSWER_SECONDS_MAX = 120.0
RECEIPT_SECONDS_MAX = 10.0  # a receipt is final a tenth of a second after the reset
TOKENS_MAX = 160  # of an answer, a second or two on two cores
TAUGHT = 16  # complete answers before the streams of the learned way; eight are needed
READ_BYTES = 65_536
PROMPTS = ("Name a tide.", "Was kostet das?", "List the moons.", "def f(x):", "Write to the sea.", "{}", "How far?", "An owl, please.")
WAYS = ("pieces", "tokenizer", "learned")
REPORTED = "the report"  # of a receipt that names no way of counting
RUNNING = "running"  # a fourth, of servers that say with each chunk how many tokens they have made
CONFIGURATION = """\
log: {{format: "off"}}
vendors:
  plain: {{base_url: "{vendor}", api_key: k}}
  exact: {{base_url: "{vendor}", api_key: k, tokenizer: "{folder}/tokenizer.json"}}
  learned: {{base_url: "{vendor}", api_key: k}}
  counting: {{base_url: "{vendor}", api_key: k, running_usage: {running}}}
models:
  pieces: {{to: ["plain/{model}"], prices: {{input: 1, output: 2}}}}
  tokenizer: {{to: ["exact/{model}"], prices: {{input: 1, output: 2}}}}
  learned: {{to: ["learned/{model}"], prices: {{input: 1, output: 2}}}}
  running: {{to: ["counting/{model}"], prices: {{input: 1, output: 2}}}}
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


class ModelCount:
    """The model server's own count of the beginnings of its answers."""

    def __init__(self, port: int, model: str) -> None:
        self._port, self._model = port, model
        self._known: dict[tuple[Asking, int], tuple[str, int]] = {}

    def answer(self, asking: Asking, tokens: int) -> tuple[str, int]:
        """Return the answer of so many tokens at most, and how many the server says it has."""
        if (asking, tokens) not in self._known:
            answer = post(self._port, {**request(self._model, asking), "max_tokens": tokens})
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
    """Teach the learned way, then cut so many streams, as many in each way."""
    ways = WAYS if options.server != "vllm" else (*WAYS, RUNNING)
    chance = random.Random(options.seed)  # noqa: S311 - chooses where clients leave
    for position in range(TAUGHT):
        call, _ = cut(*front, request("learned", Asking(PROMPTS[position % len(PROMPTS)], position)), sys.maxsize)
        if receipt(*front, call)["outcome"] != "completed":
            raise SystemExit("an answer that was to be learned from is not complete")
    for position in range(options.cuts):
        way, asking = ways[position % len(ways)], Asking(chance.choice(PROMPTS), chance.randrange(1 << 16))
        call, said = cut(*front, request(way, asking), chance.randrange(5, TOKENS_MAX * 3 // 4))
        text = "".join(said)
        billed = receipt(*front, call)["billed"]
        again = len(tokenizer.encode(text, add_special_tokens=False).ids)
        yield Cut(way, len(said), count.of(asking, said), again, billed["output_tokens"], billed.get("counted_by", REPORTED))


def table(found: Sequence[Cut]) -> str:
    """Return what came of it, as Markdown."""
    lines = [
        "| way | streams | deltas | the server's count | its tokenizer's of the text | billed | median | worst | tokens off | exact |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for way in dict.fromkeys(each.way for each in found):
        these = [each for each in found if each.way == way]
        off = [100 * (each.billed - each.made) / each.made for each in these]
        sums = [sum(column) for column in zip(*[(each.deltas, each.made, each.again, each.billed) for each in these], strict=True)]
        named = ", ".join(sorted({each.counted_by for each in these}))
        tokens = [each.billed - each.made for each in these]
        range_of = f"{min(tokens):+} to {max(tokens):+}"
        figures = f"{statistics.median(off):+.1f} % | {max(off, key=abs):+.1f} % | {range_of} | {sum(not each for each in off)}"
        lines.append(f"| {way} ({named}) | {len(these)} | {' | '.join(f'{each:,}' for each in sums)} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    """Make the model, serve it, cut streams, and print the table."""
    parser = argparse.ArgumentParser(description="Cut streams of a real model server.")
    parser.add_argument("server", choices=SERVERS)
    parser.add_argument("--cuts", type=int, default=100, help="streams in all")
    parser.add_argument("--seed", type=int, default=1, help="of where clients leave")
    parser.add_argument("--python", type=Path, help="an interpreter that has the server; else it is installed")
    parser.add_argument("--model", type=Path, help="a folder that has a model which `tiny_model.py` made, or gets it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aisa-count-server-") as name:
        python = options.python or installed(options.server)
        folder = tiny_model(python, (options.model or Path(name) / "tiny").resolve())
        with model_server(options.server, python, folder, Path(name)) as (port, model):
            vendor = f"http://127.0.0.1:{port}/v1"
            running = "true" if options.server == "vllm" else "false"
            with aisa(CONFIGURATION.format(vendor=vendor, model=model, folder=folder, running=running)) as front:
                tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
                found: list[Cut] = []
                for each in cuts(front, ModelCount(port, model), tokenizer, options):
                    found.append(each)
                    print(f"{len(found):4} {each}", file=sys.stderr)
                print(table(found))


if __name__ == "__main__":
    main()
