"""Gateways and model servers of others, as `make conformance` puts them in front of the played vendor: how each is configured and started.

A gateway is configured as its own documentation says for a vendor of OpenAI's dialect, with what keeps it from asking a vendor that fails
switched off. A model server has a tiny model of its own, and no vendor behind it. Grades nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from model_servers import PLACES, SERVERS, free_port, installed, model_server, tiny_model

from aisa.checks.client import Address
from aisa.checks.subject import Broken, Subject
from aisa.testing.scripted_server import ScriptedServer

INSTALLED = Path(__file__).resolve().parents[1] / "build" / "conformance"
BIN = INSTALLED / "bin"
PORTKEY = INSTALLED / "node_modules" / "@portkey-ai" / "gateway"
KEY = "sk-conformance-4kq8s7Zp2mLx9Rt6Vw3Yb1"  # opens nothing; one gateway refuses keys that are short
START_SECONDS_MAX = 300.0  # one of them takes a minute on two busy cores
LOOK_SECONDS = 0.5
LITELLM = """\
model_list:
  - model_name: check
    litellm_params: {{model: openai/check, api_base: "http://127.0.0.1:{port}/v1", api_key: k}}
router_settings: {{disable_cooldowns: true}}
general_settings: {{master_key: {key}}}
"""
TENSORZERO = """\
[gateway]
observability.enabled = false
[models.check]
routing = ["played"]
[models.check.providers.played]
type = "openai"
model_name = "check"
api_base = "http://127.0.0.1:{port}/v1/"
api_key_location = "none"
"""
TENSORZERO_STARTS = """\
import pathlib, threading, urllib.parse, openai, tensorzero
client = tensorzero.patch_openai_client(openai.OpenAI(api_key="k"), config_file="tensorzero.toml", async_setup=False)
pathlib.Path("port").write_text(str(urllib.parse.urlsplit(str(client.base_url)).port))
threading.Event().wait()
"""
#: What is not graded, and why.
NOT_HERE = {
    "Bifrost": "its npm package fetches the program from its maker's own site, and no version of its Go module is listed",
}


class Gateway(NamedTuple):
    """Somebody else's. `command` writes what it needs into a folder, for the vendor's port and its own, and returns what starts it.

    `prefix` is the path before `/v1`, `model` what requests name, `headers` go with each. `apart` are checks that would be unfair to it and
    why; they count as skipped. `about` are words on the whole row, `notes` on checks whose verdict alone would say too little.
    """

    name: str
    program: Path
    version: Sequence[str]
    command: Callable[[Path, int, int], Sequence[str]]
    key: str | None = KEY
    model: str = "check"
    prefix: str = ""
    headers: Callable[[int], Mapping[str, str]] = lambda _port: MappingProxyType({})
    variables: Mapping[str, str] = MappingProxyType({})
    apart: Mapping[str, str] = MappingProxyType({})
    about: str = ""
    notes: Mapping[str, str] = MappingProxyType({})


def litellm(folder: Path, vendor: int, port: int) -> Sequence[str]:
    """LiteLLM's proxy, without its cooldowns."""
    (folder / "litellm.yaml").write_text(LITELLM.format(port=vendor, key=KEY), encoding="utf-8")
    return (str(BIN / "litellm"), "--config", str(folder / "litellm.yaml"), "--port", str(port), "--host", "127.0.0.1")


def portkey(_folder: Path, _vendor: int, port: int) -> Sequence[str]:
    """Portkey's gateway, which is told the vendor by each request's headers."""
    return ("node", str(PORTKEY / "build" / "start-server.js"), "--headless", f"--port={port}")


def sglang(_folder: Path, vendor: int, port: int) -> Sequence[str]:
    """SGLang's router, with the vendor as its worker."""
    worker = f"http://127.0.0.1:{vendor}"
    launch = ("launch", "--worker-urls", worker, "--port", str(port), "--host", "127.0.0.1", "--disable-circuit-breaker")
    return (str(BIN / "sglang-router"), *launch)


def tensorzero(folder: Path, vendor: int, _port: int) -> Sequence[str]:
    """TensorZero's gateway, which its Python client carries in itself; it takes a port of its own, and tells it."""
    (folder / "tensorzero.toml").write_text(TENSORZERO.format(port=vendor), encoding="utf-8")
    return (str(BIN / "python"), "-c", TENSORZERO_STARTS)


GATEWAYS = (
    Gateway(
        "LiteLLM proxy",
        BIN / "litellm",
        (str(BIN / "pip"), "show", "litellm"),
        litellm,
        variables=MappingProxyType({"LITELLM_LOCAL_MODEL_COST_MAP": "True"}),
        apart=MappingProxyType({"rerank": "it wants a provider of its own for rankings"}),
        notes=MappingProxyType(
            {
                "wrong-key": "it was configured with a master key and no database.",
                "health": "its own is `/health/liveliness`; `/health` asks its models, and wants a key.",
                "asked-once": "it repeats by default; which setting turns that off was not looked into.",
            }
        ),
    ),
    Gateway(
        "Portkey gateway",
        PORTKEY / "build" / "start-server.js",
        ("sh", "-c", f"grep '\"version\"' {PORTKEY}/package.json"),
        portkey,
        key=None,
        headers=lambda port: {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{port}/v1"},
        about="As npm installs it, on Node 20, it answers every stream with 500: it adds to the headers of the vendor's own response, "
        "which cannot be changed (`findings/portkey-streams-immutable.sh`). Most of what fails here fails for that one reason.",
    ),
    Gateway(
        "SGLang router",
        BIN / "sglang-router",
        (str(BIN / "pip"), "show", "sglang-router"),
        sglang,
        key=None,
        apart=MappingProxyType({"rerank": "its workers rank in a form of their own, which the played vendor does not speak"}),
        notes=MappingProxyType({"asked-once": "`--disable-retries` turns that off; it is on by default."}),
    ),
    Gateway(
        "TensorZero",
        BIN / "python",
        (str(BIN / "pip"), "show", "tensorzero"),
        tensorzero,
        key=None,
        model="tensorzero::model_name::check",
        prefix="/openai",
    ),
)


@asynccontextmanager
async def running(gateway: Gateway, place: Path, vendor: ScriptedServer) -> AsyncIterator[Subject]:
    """Run a gateway, and yield what checks are run on. Raises RuntimeError where it does not answer."""
    folder, port = place / gateway.name.replace(" ", "-"), free_port()
    folder.mkdir()
    async with AsyncExitStack() as stack:
        said = stack.enter_context((folder / "said").open("wb"))
        variables = {**os.environ, **gateway.variables}
        command = gateway.command(folder, vendor.port, port)
        process = await asyncio.create_subprocess_exec(*command, stdout=said, stderr=said, env=variables, cwd=folder)
        try:
            subject = Subject(Address("127.0.0.1", port), gateway.prefix, key=gateway.key, model=gateway.model, vendor=vendor)
            subject.headers = gateway.headers(vendor.port)
            await answers(subject, gateway.name, folder / "port")
            yield subject
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def serving_a_model(name: str, place: Path) -> AsyncIterator[tuple[Subject, str]]:
    """Install a model server if it is not there, run it with the tiny model, and yield what checks are run on, and its version."""
    python = installed(name)
    folder = place / name
    folder.mkdir()
    model = tiny_model(python, PLACES / f"{name}-model")
    [version] = [package.partition("==")[2] for package in SERVERS[name].packages if re.match(rf"{name}\W", package)]
    with model_server(name, python, model, folder) as (port, called):
        subject = Subject(Address("127.0.0.1", port), "", key=None, model=called)
        await answers(subject, name)
        yield subject, version


async def answers(subject: Subject, name: str, told: Path | None = None) -> None:
    """Wait until something answers; `told` is a file in which it may tell another port than it was given. Raises RuntimeError."""
    for _ in range(int(START_SECONDS_MAX / LOOK_SECONDS)):
        subject.address = subject.address if told is None else told_address(subject.address, told)
        try:
            response = await subject.ask(subject.request(method="GET", path="/v1/models"))
        except Broken:
            response = None
        if response is not None and response.status != 503:  # a router that looks for its workers
            return
        await asyncio.sleep(LOOK_SECONDS)
    raise RuntimeError(f"{name} does not answer within {START_SECONDS_MAX:.0f} s")


def told_address(address: Address, told: Path) -> Address:
    """Return an address with the port that a file tells, if it does yet."""
    port = told.read_text(encoding="utf-8") if told.exists() else ""
    return address._replace(port=int(port)) if port else address


def version_of(gateway: Gateway) -> str:
    """Return a gateway's version."""
    told = subprocess.run([*gateway.version], capture_output=True, text=True, check=False)  # noqa: S603 - a command of the table above
    found = re.search(r"\d+\.\d+\.\d+\S*", told.stdout)
    return found[0].strip('",') if found else "?"
