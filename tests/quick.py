"""The inner loop of `make quick`: leaves out what could open a socket or start a process, and what is heavy; lets the rest do neither.

A plugin for pytest, loaded by name. What a module could do is read off its imports, those of the modules beside it included.
"""

from __future__ import annotations

import gc
import re
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
    """Leave out what wants a server or is heavy, and have one process do all gates, which parse each file of the project once then."""
    left_out = [item for item in items if {"server", "front"} & set(getattr(item, "fixturenames", ())) or item.get_closest_marker("heavy")]
    config.hook.pytest_deselected(items=left_out)
    gone = set(map(id, left_out))
    items[:] = sorted([item for item in items if id(item) not in gone], key=lambda item: item.path.parent != GATES)
    for item in items if config.pluginmanager.hasplugin("xdist") else ():
        item.add_marker(pytest.mark.xdist_group("gates" if item.path.parent == GATES else item.path.name))


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
