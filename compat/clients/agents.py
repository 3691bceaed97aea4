"""`make agents`: Codex and Claude Code do a coding task of ten turns with their own tools, to its end, whatever speaks behind the server.

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

from install import install  # noqa: E402 - the line above says where it is
from proxies import HAPROXY, NGINX, proxied  # noqa: E402 - as above
from run import AT_ONCE, ENVIRONMENTS, end_all_of, slug  # noqa: E402 - as above

from polyglot import Polyglot, configuration  # noqa: E402 - as above
from polyglot_words import INPUT, OUTPUT, Line, Script  # noqa: E402 - as above
from rows import CLIENTS  # noqa: E402 - as above
from server import Server, environment, serving  # noqa: E402 - as above

DIALECTS = ("openai", "anthropic", "bedrock", "gemini", "responses")
WAYS = ("open", "nginx", "haproxy")
RUN_SECONDS_MAX = 300
#: From an agent's end until its last call is in the log.
BILL_SECONDS_MAX = 5.0
INPUT_PRICE, OUTPUT_PRICE = 3, 15  # US dollars per million tokens, thousands of nano-dollars per token
TASK = "Write add.py with a test, make the test pass, and say when you are done."
WRONG, RIGHT = "def add(a, b):\n    return a - b\n", "def add(a, b):\n    return a + b\n"
TEST = "python3 -c 'from add import add; assert add(2, 3) == 5' && echo passed"
LAST = "It is done."
INTRODUCTION = """\
`make agents`: a coding task of ten turns (eleven calls of tools, two of them at once, a test that fails and is mended) by Codex {codex}
and Claude Code {claude}. The vendors are scripted; they think before each turn and, where their dialect has a place for it, want it back.
The bill is the price of what the vendor reported, to the nano-dollar."""


def shell(command: str, number: int) -> Line:
    """A call of Codex's tool."""
    return Line("call", f"call_{number}", "exec_command", json.dumps({"cmd": command}))


def codex_turns() -> list[list[Line]]:
    """Ten turns with nine calls one by one, and two at once."""
    commands = [
        "pwd",
        f"printf {json.dumps(WRONG).replace('%', '%%')} > add.py",
        "cat add.py",
        TEST,  # it fails
        "sed -i 's/a - b/a + b/' add.py",
        TEST,
        "echo '# Add' > README.md",
        "cat README.md",
    ]
    turns = [[shell(command, number)] for number, command in enumerate(commands)]
    return [*turns, [shell("ls", 8), shell("wc -l add.py", 9)], [shell("echo passed > result.txt", 10)]]


def claude(name: str, number: int, **given: str) -> Line:
    """A call of one of Claude Code's tools."""
    return Line("call", f"toolu_{number}", name, json.dumps(given))


def claude_turns(folder: str) -> list[list[Line]]:
    """The same with tools for files, which take whole paths."""
    add, readme = f"{folder}/add.py", f"{folder}/README.md"
    return [
        [claude("Bash", 0, command="pwd", description="Where am I")],
        [claude("Write", 1, file_path=add, content=WRONG)],
        [claude("Read", 2, file_path=add)],
        [claude("Bash", 3, command=TEST, description="Test")],  # it fails
        [claude("Edit", 4, file_path=add, old_string="a - b", new_string="a + b")],
        [claude("Bash", 5, command=TEST, description="Test again")],
        [claude("Write", 6, file_path=readme, content="# Add\n")],
        [claude("Read", 7, file_path=readme)],
        [claude("Bash", 8, command="ls", description="List"), claude("Read", 9, file_path=add)],
        [claude("Bash", 10, command="echo passed > result.txt", description="Keep the result")],
    ]


def script_of(turns: list[list[Line]]) -> list[Script]:
    """Turns as a vendor says them: it thinks before each, and ends without a call."""
    thought = [[Line("think", f"Step {number}."), *calls, Line("end", "tool_calls")] for number, calls in enumerate(turns)]
    return [*thought, [Line("think", "Done."), Line("say", LAST), Line("end", "stop")]]


class Run(NamedTuple):
    """One task: who does it, who speaks behind the server, and what stands before it."""

    agent: str
    dialect: str
    way: str

    @property
    def name(self) -> str:
        """Its name: that of its model, its script and its key."""
        return f"{self.agent}-{self.dialect}-{self.way}"


RUNS = [Run(agent, dialect, way) for agent in ("codex", "claude-code") for way in WAYS for dialect in DIALECTS]


class CodingVendor(Polyglot):
    """A vendor that has a script for each run."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._scripts = {
            run.name: script_of(codex_turns() if run.agent == "codex" else claude_turns(str(folder / run.name / "work"))) for run in RUNS
        }

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
    if run.agent == "codex":
        vendor = f'{{name="aisa", base_url="{url}/v1", env_key="AISA_API_KEY", wire_api="responses"}}'
        options = ["-c", 'model_provider="aisa"', "-c", f"model_providers.aisa={vendor}", "-m", run.name]
        trusted = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        (home / ".codex").mkdir(exist_ok=True)
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
    programs = os.pathsep.join([str(ENVIRONMENTS / run.agent / "node_modules" / ".bin"), os.environ["PATH"]])
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
    made = {
        name: (work / name).read_text(encoding="utf-8") if (work / name).exists() else "" for name in ("add.py", "README.md", "result.txt")
    }
    right = {"add.py": RIGHT, "README.md": "# Add\n", "result.txt": "passed\n"}
    wrong = [name for name in right if made[name] != right[name]]
    fault = f"it left with {told.returncode}; " * bool(told.returncode) + f"not as it should be: {', '.join(wrong)}; " * bool(wrong)
    return told.stdout[-700:], fault + "the last words are missing" * (LAST not in told.stdout)


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
        slug(client): install(client, ENVIRONMENTS / slug(client)) for client in CLIENTS if slug(client) in {run.agent for run in chosen}
    }
    rows = [
        "## Codex and Claude Code at work",
        "",
        INTRODUCTION.format(codex=versions.get("codex", "-"), claude=versions.get("claude-code", "-")),
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
