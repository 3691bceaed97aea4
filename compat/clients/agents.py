"""`make agents`: Codex, Claude Code and openai-agents do a coding task with their own tools, to its end, whoever speaks behind the server.

The vendors are scripted, in five dialects, and want their thinking back; the way to the server is open, or through nginx, or HAProxy.
A run is good if the task's files are there, the vendor was asked once for each turn and once for the last words, and the bill is the
price of what the vendor reported. Writes `compat/clients/agents.md`, which is a part of `docs/clients.md`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests")]

from coding import FILES, LAST, script_of  # noqa: E402 - the line above says where it is
from install import install  # noqa: E402 - as above
from proxies import HAPROXY, NGINX, proxied  # noqa: E402 - as above
from run import AT_ONCE, ENVIRONMENTS, end_all_of, slug  # noqa: E402 - as above

from polyglot import Polyglot, configuration  # noqa: E402 - as above
from polyglot_words import INPUT, OUTPUT, Script  # noqa: E402 - as above
from rows import CLIENTS  # noqa: E402 - as above
from server import Server, environment, serving  # noqa: E402 - as above

DIALECTS = ("openai", "anthropic", "bedrock", "gemini", "responses")
WAYS = ("open", "nginx", "haproxy")
#: Agents whose tools are no functions, which a vendor of their own protocol calls by items of its own: -> the client whose program each is.
NO_FUNCTIONS = {
    "codex-patch": "codex",
    "codex-code": "codex",
    "openai-agents": "openai-agents-python",
    "openai-agents-stream": "openai-agents-python",
}
OF_FUNCTIONS = ("openai", "mistral", "anthropic", "bedrock", "gemini", "cohere")
#: What Codex's list of models says of one that patches by a custom tool, or runs code that calls its tools.
KNOWN = {
    "codex-patch": {"apply_patch_tool_type": "freeform", "supports_parallel_tool_calls": True},
    "codex-code": {"apply_patch_tool_type": "freeform", "tool_mode": "code_mode_only", "use_responses_lite": True},
}
KNOWN_OF_ALL = {
    "display_name": "A model",
    "base_instructions": "Do it.",
    "shell_type": "shell_command",
    "visibility": "list",
    "supported_in_api": True,
    "priority": 1,
    "supported_reasoning_levels": [],
    "supports_reasoning_summaries": True,
    "support_verbosity": False,
    "truncation_policy": {"mode": "tokens", "limit": 10_000},
    "experimental_supported_tools": [],
    "availability_nux": None,
    "upgrade": None,
}
RUN_SECONDS_MAX = 300
#: From an agent's end until its last call is in the log.
BILL_SECONDS_MAX = 5.0
INPUT_PRICE, OUTPUT_PRICE = 3, 15  # US dollars per million tokens, thousands of nano-dollars per token
TASK = "Write add.py with a test, make the test pass, and say when you are done."
INTRODUCTION = """\
`make agents`: a coding task of ten turns (eleven calls of tools, two of them at once, a test that fails and is mended) by Codex {codex},
Claude Code {claude} and openai-agents {agents}. codex-patch is Codex with its custom `apply_patch`, codex-code with the code mode of
OpenAI's newest models, whose tool is a custom one in a namespace and which asks for one call at a time (which some
vendors cannot be asked for, and then are not). openai-agents has a `shell`, a `local_shell`, an `apply_patch` and a custom tool, which are
no functions either, and asks for documents or for streams. The vendors are scripted; they think before each turn and, where their dialect
has a place for it, want it back.
The bill is the price of what the vendor reported, to the nano-dollar."""


class Run(NamedTuple):
    """One task: who does it, who speaks behind the server, and what stands before it."""

    agent: str
    dialect: str
    way: str

    @property
    def name(self) -> str:
        """Its name: that of its model, its script and its key."""
        return f"{self.agent}-{self.dialect}-{self.way}"

    @property
    def client(self) -> str:
        """Whose program it is."""
        return NO_FUNCTIONS.get(self.agent, self.agent)


RUNS = [Run(agent, dialect, way) for agent in ("codex", "claude-code") for way in WAYS for dialect in DIALECTS]
RUNS += [Run(agent, dialect, "open") for agent in NO_FUNCTIONS for dialect in OF_FUNCTIONS]


class CodingVendor(Polyglot):
    """A vendor that has a script for each run."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._scripts = {run.name: script_of(run.agent, str(folder / run.name / "work")) for run in RUNS}

    def turns_of(self, script: str) -> list[Script]:
        """The script of a run."""
        return self._scripts.get(script, [])

    def calls_of(self, run: Run) -> int:
        """How often it was asked for a run."""
        return sum(script == run.name for _, script, _ in self.asked)


def settings(url: str) -> str:
    """A model for each run, with a price."""
    priced = f"prices: {{input: {INPUT_PRICE}, cached_input: {INPUT_PRICE}, cache_write: {INPUT_PRICE}, output: {OUTPUT_PRICE}}}"
    models = "".join([f"  {run.name}: {{to: [{run.dialect}/{run.name}], {priced}}}\n" for run in RUNS])
    return f"{configuration(url)}models:\n{models}"


def command_of(run: Run, url: str, key: str, home: Path) -> tuple[list[str], dict[str, str]]:
    """Return how an agent is started, and its variables: an address and a key."""
    if run.client == "openai-agents-python":
        script = str(HERE / "python" / "openai_agents_coding.py")
        known = {"AISA_BASE_URL": url, "AISA_API_KEY": key, "AISA_MODEL": run.name}
        return [str(ENVIRONMENTS / run.client / "bin" / "python"), script, TASK, run.agent.rpartition("-")[2]], known
    if run.client == "codex":
        vendor = f'{{name="aisa", base_url="{url}/v1", env_key="AISA_API_KEY", wire_api="responses"}}'
        options = ["-c", 'model_provider="aisa"', "-c", f"model_providers.aisa={vendor}", "-m", run.name]
        trusted = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        (home / ".codex").mkdir(exist_ok=True)
        if run.agent in KNOWN:
            models = home / "models.json"
            models.write_text(json.dumps({"models": [{**KNOWN_OF_ALL, **KNOWN[run.agent], "slug": run.name}]}), encoding="utf-8")
            options += ["-c", f'model_catalog_json="{models}"']
        return ["codex", "exec", *trusted, *options, TASK], {"AISA_API_KEY": key}
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    models = {"ANTHROPIC_MODEL": run.name, "ANTHROPIC_DEFAULT_HAIKU_MODEL": run.name, "ANTHROPIC_SMALL_FAST_MODEL": run.name}
    known = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": key}
    return ["claude", "-p", "--allowedTools", "Bash,Read,Write,Edit", "--", TASK], {**known, **models, **quiet}


def done(run: Run, url: str, server: Server, folder: Path) -> tuple[str, str]:
    """Let an agent do its task; return the last it said and what is wrong with its files."""
    home = folder / run.name
    work = home / "work"
    work.mkdir(parents=True)
    key = server.aisa("keys", "create", run.name, "--quiet").strip()
    command, variables = command_of(run, url, key, home)
    programs = os.pathsep.join([str(ENVIRONMENTS / run.client / "node_modules" / ".bin"), os.environ["PATH"]])
    kept = {name: value for name, value in environment().items() if not name.startswith(("XDG_", "PYTHON"))}
    told = subprocess.run(
        ["timeout", str(RUN_SECONDS_MAX), *command],
        cwd=work,
        env={**kept, **variables, "HOME": str(home), "PATH": programs, "CI": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    end_all_of(str(home))
    wrong = [name for name, right in FILES.items() if written(work / name) != right.rstrip()]
    fault = f"it left with {told.returncode}; " * bool(told.returncode) + f"not as it should be: {', '.join(wrong)}; " * bool(wrong)
    return told.stdout[-700:], fault + "the last words are missing" * (LAST not in told.stdout)


def written(file: Path) -> str:
    """What an agent has left in a file, but for blanks at its end, of which each tool has its own idea; nothing if there is none."""
    return file.read_text(encoding="utf-8").rstrip() if file.exists() else ""


def billed(server: Server, run: Run, *, asked: int) -> tuple[int, int]:
    """Return how many calls a run has in the log, and what they cost in nano-dollars, once its vendor's calls are there.

    A call has its line when its delivery is known, which is after its client has read it.
    """
    end = time.monotonic() + BILL_SECONDS_MAX
    while True:
        rows = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
        mine = [row for row in rows if row.get("type") == "call" and row.get("key_label") == run.name]
        if len(mine) >= asked or time.monotonic() > end:
            return len(mine), sum(row["cost_nanos"] for row in mine)
        time.sleep(0.1)


@contextlib.contextmanager
def ways_to(url: str, folder: Path) -> Iterator[dict[str, str]]:
    """The address of each way to a server; none for a proxy that is not installed."""
    with contextlib.ExitStack() as stack:
        ways = {"open": url}
        for name, proxy in (("nginx", NGINX), ("haproxy", HAPROXY)):
            if shutil.which(proxy.program):
                ways[name] = stack.enter_context(proxied(proxy, url, folder))
        yield ways


def main(words: list[str]) -> int:
    """Do all tasks, or those whose name has one of the words in it; 1 if one went wrong."""
    chosen = [run for run in RUNS if not words or any(word in run.name for word in words)]
    versions = {
        slug(client): install(client, ENVIRONMENTS / slug(client)) for client in CLIENTS if slug(client) in {run.client for run in chosen}
    }
    rows = [
        "## Codex, Claude Code and openai-agents at work",
        "",
        INTRODUCTION.format(
            codex=versions.get("codex", "-"), claude=versions.get("claude-code", "-"), agents=versions.get("openai-agents-python", "-")
        ),
        "",
        "| agent | way | vendor's dialect | vendor asked | bill in nano-dollars | |",
        "|---|---|---|---|---|---|",
    ]
    each = INPUT * INPUT_PRICE * 1000 + OUTPUT * OUTPUT_PRICE * 1000
    expected = 11, 11 * each
    failed = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as given:
        folder = Path(given)
        (folder / "server").mkdir()
        with (
            CodingVendor(folder) as vendor,
            serving(folder / "server", settings(vendor.url)) as server,
            ways_to(server.url, folder) as ways,
        ):
            possible = [run for run in chosen if run.way in ways]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                outcomes = pool.map(lambda run: done(run, ways[run.way], server, folder), possible)
                for run, (said, fault) in zip(possible, outcomes, strict=True):
                    asked = vendor.calls_of(run)
                    calls, cost = billed(server, run, asked=asked)
                    good = not fault and (asked, cost) == expected and calls == asked
                    failed += not good
                    end = "to the end" if good else f"**no**: {fault or 'another number than 11 x ' + str(each)}"
                    rows.append(f"| {run.agent} | {run.way} | {run.dialect} | {asked} | {cost:,} | {end} |")
                    print(rows[-1], flush=True)
                    if not good:
                        print(f"    {said}", flush=True)
    rows += [
        f"| {run.agent} | {run.way} | {run.dialect} | | | not run: {run.way} is not installed |" for run in chosen if run.way not in ways
    ]
    if not words:
        (HERE / "agents.md").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"{len(possible) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
