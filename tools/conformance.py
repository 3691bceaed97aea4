"""Grades ourselves, directly and behind proxies, and other gateways that are installed, by `aisa check`; writes docs/conformance.md.

`python tools/conformance.py [--quick] [--only NAME]... [--write FILE]`. Every gateway stands between the same played vendor and the same
client, configured as its own documentation says, with what keeps it from asking a vendor that fails switched off.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple

import click

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the rig is that of the tests

from aisa import __version__  # noqa: E402 - the line above says where the rig is
from aisa.checks.check import FAILED, PASSED, SKIPPED, Verdict  # noqa: E402 - as above
from aisa.checks.client import Address  # noqa: E402 - as above
from aisa.checks.registry import CHECKS  # noqa: E402 - as above
from aisa.checks.running import judge, run  # noqa: E402 - as above
from aisa.checks.subject import Broken, Subject  # noqa: E402 - as above
from aisa.testing.scenario import built_in  # noqa: E402 - as above
from aisa.testing.scripted_server import ScriptedServer  # noqa: E402 - as above
from proxy_rig import DEPLOYED_FILE, PRODUCTS, free_port, standing  # noqa: E402 - as above
from server import serving  # noqa: E402 - as above

INSTALLED = HERE.parent / "build" / "conformance"
KEY = "sk-conformance-4kq8s7Zp2mLx9Rt6Vw3Yb1"  # opens nothing; one gateway refuses keys that are short
START_SECONDS_MAX = 300.0  # one of them takes a minute on two busy cores
LOOK_SECONDS = 0.5
PROXIES = ("nginx", "HAProxy", "Caddy", "Envoy", "Traefik")
PLAYED = """\
vendors:
  played: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: k, allow_unpriced: true}}
models:
  check: {{to: [played/check], prices: {{input: 1.0, output: 2.0}}}}
"""
LITELLM = """\
model_list:
  - model_name: check
    litellm_params: {{model: openai/check, api_base: "http://127.0.0.1:{port}/v1", api_key: k}}
router_settings: {{disable_cooldowns: true}}
general_settings: {{master_key: {key}}}
"""
NOT_HERE = {
    "TensorZero": "its gateway comes as a container image or is compiled; its PyPI package is a client",
    "Bifrost": "its npm package fetches the program from its maker's own site",
}

INTRODUCTION = """\
# Who keeps the contract

Written by `make conformance`{how}, which runs every check of `aisa check` ([check.md](check.md)) on this server, directly and behind
proxies with their files in `deploy/proxies`, and on other gateways. Each stands in front of the same played vendor, as its documentation
configures it for a vendor of OpenAI's dialect, with what keeps it from asking a vendor that has failed switched off. A check is skipped
where a door is not there, or where it is about this project's receipts; one that failed was made once more. Who finds a row unfair finds
the configuration in `tools/conformance.py`.

| subject | passed | failed | skipped |
|---|---|---|---|
{rows}

{failed} of {checks} checks failed somewhere. Not graded, as they do not install here:

{absent}

{sections}"""


class Gateway(NamedTuple):
    """Somebody else's. `command` writes what it needs into a folder, for the vendor's port and its own, and returns what starts it."""

    name: str
    program: Path
    version: Sequence[str]
    command: Callable[[Path, int, int], Sequence[str]]
    key: str | None = KEY
    headers: Callable[[int], Mapping[str, str]] = lambda _port: MappingProxyType({})
    variables: Mapping[str, str] = MappingProxyType({})


def litellm(folder: Path, vendor: int, port: int) -> Sequence[str]:
    """LiteLLM's proxy, without its cooldowns."""
    (folder / "litellm.yaml").write_text(LITELLM.format(port=vendor, key=KEY), encoding="utf-8")
    return ("--config", str(folder / "litellm.yaml"), "--port", str(port), "--host", "127.0.0.1")


def portkey(_folder: Path, _vendor: int, port: int) -> Sequence[str]:
    """Portkey's gateway, which is told the vendor by each request's headers."""
    return (str(PORTKEY / "build" / "start-server.js"), "--headless", f"--port={port}")


def sglang(_folder: Path, vendor: int, port: int) -> Sequence[str]:
    """SGLang's router, with the vendor as its worker."""
    return (
        "launch",
        "--worker-urls",
        f"http://127.0.0.1:{vendor}",
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
        "--disable-circuit-breaker",
    )


PORTKEY = INSTALLED / "node_modules" / "@portkey-ai" / "gateway"
BIN = INSTALLED / "bin"
GATEWAYS = (
    Gateway(
        "LiteLLM proxy",
        BIN / "litellm",
        (str(BIN / "pip"), "show", "litellm"),
        litellm,
        variables={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    ),
    Gateway(
        "Portkey gateway",
        PORTKEY / "build" / "start-server.js",
        ("sh", "-c", f"grep '\"version\"' {PORTKEY}/package.json"),
        portkey,
        headers=lambda port: {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{port}/v1"},
    ),
    Gateway("SGLang router", BIN / "sglang-router", (str(BIN / "pip"), "show", "sglang-router"), sglang, key=None),
)


@click.command()
@click.option("--quick", is_flag=True, help="Only checks of less than 5 seconds.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this one; can be said several times.")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Write the page into this file.")
def main(*, quick: bool, only: tuple[str, ...], write: Path | None) -> None:
    """Grade everything that is here."""
    with TemporaryDirectory() as place:
        graded = asyncio.run(grade(Path(place), only, quick=quick))
    text = page(graded, quick=quick)
    if write is None:
        print(text)
    else:
        write.write_text(text, encoding="utf-8")


async def grade(place: Path, only: tuple[str, ...], *, quick: bool) -> dict[str, list[Verdict]]:
    """Return the verdicts of each subject, by what it is."""
    graded: dict[str, list[Verdict]] = {}

    async def one(name: str, subject: Subject) -> None:
        vendor.played.clear()  # marks of requests begin anew with each subject
        verdicts = await run(subject, [check for check in CHECKS if check.quick or not quick])
        # On a busy machine a moment passes for a fault: what failed is made once more, and the second verdict stands.
        graded[name] = [await judge(subject, each.check) if each.state == FAILED else each for each in verdicts]
        count = Counter(verdict.state for verdict in graded[name])
        print(name, dict(count), file=sys.stderr, flush=True)

    vendor = ScriptedServer(built_in(), "hello")
    port = await vendor.listen("127.0.0.1", 0)
    with serving(place, PLAYED.format(port=port)) as server:
        behind = int(server.url.rpartition(":")[2])
        if not only or "aisa" in only:
            await one(f"aisa {__version__}", Subject(Address("127.0.0.1", behind), "", key=server.key, model="check", vendor=vendor))
        for product in (PRODUCTS[name] for name in PROXIES if not only or name in only):
            if product.program() is None:
                print(f"{product.name} is not here", file=sys.stderr)
                continue
            with standing(product, product.configurations()[DEPLOYED_FILE], place / product.name, behind=behind) as url:
                address = Address("127.0.0.1", int(url.rpartition(":")[2]))
                name = f"aisa {__version__} behind {product.name} {product.version_of()}"
                await one(name, Subject(address, "", key=server.key, model="check", vendor=vendor))
    for gateway in GATEWAYS:
        if only and gateway.name not in only:
            continue
        if not gateway.program.exists():
            print(f"{gateway.name} is not installed: make conformance", file=sys.stderr)
            continue
        try:
            async with running(gateway, place, port) as address:
                subject = Subject(address, "", key=gateway.key, model="check", vendor=vendor)
                subject.headers = gateway.headers(port)
                await one(f"{gateway.name} {version_of(gateway)}", subject)
        except RuntimeError as failure:
            print(failure, file=sys.stderr, flush=True)
    await vendor.close()
    return graded


@asynccontextmanager
async def running(gateway: Gateway, place: Path, vendor: int) -> AsyncIterator[Address]:
    """Run a gateway, and yield where it answers. Raises RuntimeError where it does not."""
    folder, port = place / gateway.name.replace(" ", "-"), free_port()
    folder.mkdir()
    program = ["node"] if gateway.program.suffix == ".js" else [str(gateway.program)]
    async with AsyncExitStack() as stack:
        said = stack.enter_context((folder / "said").open("wb"))
        variables = {**os.environ, **gateway.variables}
        command = [*program, *gateway.command(folder, vendor, port)]
        process = await asyncio.create_subprocess_exec(*command, stdout=said, stderr=said, env=variables, cwd=folder)
        try:
            address = Address("127.0.0.1", port)
            await answers(Subject(address, "", key=gateway.key, model="check"), gateway.name)
            yield address
        finally:
            process.terminate()
            await process.wait()


async def answers(subject: Subject, name: str) -> None:
    """Wait until something answers. Raises RuntimeError."""
    for _ in range(int(START_SECONDS_MAX / LOOK_SECONDS)):
        try:
            response = await subject.ask(subject.request(method="GET", path="/v1/models"))
        except Broken:
            response = None
        if response is not None and response.status != 503:  # a router that looks for its workers
            return
        await asyncio.sleep(LOOK_SECONDS)
    raise RuntimeError(f"{name} does not answer within {START_SECONDS_MAX:.0f} s")


def version_of(gateway: Gateway) -> str:
    """Return a gateway's version."""
    told = subprocess.run([*gateway.version], capture_output=True, text=True, check=False)  # noqa: S603 - a command of the table above
    found = re.search(r"\d+\.\d+\.\d+\S*", told.stdout)
    return found[0].strip('",') if found else "?"


def page(graded: Mapping[str, Sequence[Verdict]], *, quick: bool) -> str:
    """Return the page."""
    rows = []
    for name, verdicts in graded.items():
        count = Counter(verdict.state for verdict in verdicts)
        rows.append(f"| {name} | {count[PASSED]} | {count[FAILED]} | {count[SKIPPED]} |")
    failed = {check.name for verdicts in graded.values() for verdict in verdicts if verdict.state == FAILED for check in [verdict.check]}
    sections = [section(name, verdicts) for name, verdicts in graded.items()]
    absent = "\n".join(f"- **{name}**: {why}." for name, why in NOT_HERE.items())
    return INTRODUCTION.format(
        how=" (quick)" if quick else "",
        rows="\n".join(rows),
        failed=len(failed),
        checks=len(CHECKS),
        absent=absent,
        sections="\n".join(sections),
    )


def section(name: str, verdicts: Sequence[Verdict]) -> str:
    """Return what failed at one subject."""
    failed = [verdict for verdict in verdicts if verdict.state == FAILED]
    if not failed:
        return f"## {name}\n\nEverything passes.\n"
    lines = [(f"`{each.check.name}`", each.check.rule, cell(each.seen), cell(each.check.breaks)) for each in failed]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {name}\n\n| check | rule | seen | what it breaks |\n|---|---|---|---|\n{rows}\n"


def cell(text: str) -> str:
    """Return a text that fits into a cell."""
    line = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", " ".join(text.split())).replace("|", "\\|").replace("<", "&lt;")
    return line if len(line) <= 120 else f"{line[:119]}…"


if __name__ == "__main__":
    main()
