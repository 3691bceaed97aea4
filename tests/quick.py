"""The inner loop of `make quick`: leaves out what could open a socket or start a process, and what is heavy; lets the rest do neither.

A plugin for pytest, loaded by name, and the program that starts it in several processes. They share nothing: what xdist sends of each test
costs half as much as the tests. What a module could do is read off its imports, those of the modules beside it included.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
GATES = TESTS / "repository"
#: Whoever imports one of these talks to the world, or runs something that does.
REACHING = (
    *("aisa.cli", "aisa.composition", "aisa.edge", "aisa.http", "aisa.serve", "fastest_python"),
    *("asyncio.subprocess", "benchmarks", "click.testing", "multiprocessing", "socket", "subprocess"),
    *("anthropic", "google", "httpx", "openai"),  # of the clients' own, which take seconds to import
)
#: What needs many worlds, draws or streams to say anything: a tenth of them still takes longer than a thousand other tests.
MANY = frozenset({"test_route_worlds.py", "test_worlds.py", "test_bill_worlds.py", "test_embedded_sampling.py", "test_tokenized_text.py"})
IMPORT = re.compile(r"^ *(?:from ([\w.]+) import (\([^)]*\)|[^\n#]+)|import ([\w., ]+))", re.MULTILINE)
GATES_LIKE = 1_600  # tests that take as long as all gates
PART = "AISA_QUICK_PART"  # "1/2": the second of two
GARBAGE = (50_000, 50, 50)  # what has to come together before it is looked for: by default a third of this run's time goes into it
FORBIDDEN = frozenset({"os.fork", "os.exec", "os.posix_spawn", "socket.bind", "socket.connect", "subprocess.Popen"})


def pytest_configure() -> None:
    """Look for garbage seldom: syntax trees, made inputs and rows are many objects that all live on."""
    gc.set_threshold(*GARBAGE)


def pytest_collection_finish() -> None:
    """Never look again at what was imported."""
    gc.freeze()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what reaches the world without even importing it: clients and servers take seconds to import, in each process."""
    return True if collection_path.suffix == ".py" and (collection_path.name in MANY or reaches(collection_path)) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what wants a server or is heavy, and what another process does."""
    left_out = [item for item in items if {"server", "front"} & set(getattr(item, "fixturenames", ())) or item.get_closest_marker("heavy")]
    gone = set(map(id, left_out))
    mine = set(map(id, part([item for item in items if id(item) not in gone], *map(int, os.environ.get(PART, "0/1").split("/")))))
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if id(item) in mine]


def part(items: list[pytest.Item], number: int, parts: int) -> list[pytest.Item]:
    """Return what one of several processes does: whole files, as many tests as any. The first has all gates: they share what is parsed."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(GATES if item.path.parent == GATES else item.path, []).append(item)
    dealt: list[list[pytest.Item]] = [[*files.pop(GATES, [])], *[[] for _ in range(parts - 1)]]
    load = [GATES_LIKE if dealt[0] else 0, *[0] * (parts - 1)]
    for tests in sorted(files.values(), key=len, reverse=True):
        least = load.index(min(load))
        dealt[least].extend(tests)
        load[least] += len(tests)
    return dealt[number]


@cache
def reaches(path: Path) -> bool:
    """Say whether a file of the tests may open a socket or start a process."""
    names = imported(path)
    if any(name == reaching or name.startswith(f"{reaching}.") for name in names for reaching in REACHING):
        return True
    beside = [TESTS / f"{name.split('.')[0]}.py" for name in names]
    return any(reaches(other) for other in beside if other.is_file() and other != path)


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, and for `from a import b` also `a.b`. By its lines: a syntax tree takes far longer."""
    names: set[str] = set()
    for module, several, plain in IMPORT.findall(path.read_text(encoding="utf-8")):
        if plain:
            names |= {name.split(" as ")[0].strip() for name in plain.split(",")}
        else:
            names |= {module, *[f"{module}.{name.split(' as ')[0].strip()}" for name in several.strip("()").split(",") if name.strip()]}
    return names


def forbid(event: str, _arguments: tuple[object, ...]) -> None:
    """Stop a test that does what this run promises not to do."""
    if event in FORBIDDEN and armed:
        raise PermissionError(f"{event}: a test of `make quick` opens no socket and starts no process")


armed: list[bool] = []
sys.addaudithook(forbid)


def pytest_runtest_call() -> None:
    """From the first test on; what pytest itself starts comes before."""
    armed.append(True)


def pytest_runtest_teardown() -> None:
    """Until its end."""
    armed.clear()


def main(parts: int, arguments: list[str]) -> int:
    """Run the tests in so many processes, show the first's output as it comes and the others' behind it, and return 0 where none failed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "quick",
        "-p",
        "no:schemathesis",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        "-q",
        *arguments,
    ]
    started = [
        subprocess.Popen(command, env=os.environ | {PART: f"{number}/{parts}"}, stdout=subprocess.PIPE if number else None, text=True)
        for number in range(parts)
    ]
    for process in started:
        print(process.communicate()[0] or "", end="", flush=True)
    codes = {process.returncode for process in started} - {pytest.ExitCode.NO_TESTS_COLLECTED}  # where there are fewer files than processes
    return max(codes, default=int(pytest.ExitCode.NO_TESTS_COLLECTED))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
