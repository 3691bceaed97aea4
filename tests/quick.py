"""The inner loop of `make quick`: leaves out every test whose module could open a socket or start a process, and lets the rest do neither.

A plugin for pytest, loaded by name. What a module could do is read off its imports, those of the modules beside it included.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
#: Whoever imports one of these talks to the world, or runs something that does.
REACHING = (
    *("aisa.cli", "aisa.edge", "aisa.http", "aisa.serve"),
    *("asyncio.subprocess", "benchmarks", "click.testing", "httpx", "multiprocessing", "openai", "socket", "subprocess"),
)
FORBIDDEN = frozenset({"os.fork", "os.exec", "os.posix_spawn", "socket.bind", "socket.connect", "subprocess.Popen"})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what reaches the world."""
    left_out = [item for item in items if reaches(item.path) or {"server", "front"} & set(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=left_out)
    gone = set(map(id, left_out))
    items[:] = [item for item in items if id(item) not in gone]


@cache
def reaches(path: Path) -> bool:
    """Say whether a file of the tests may open a socket or start a process."""
    names = imported(path)
    if any(name == reaching or name.startswith(f"{reaching}.") for name in names for reaching in REACHING):
        return True
    beside = [TESTS / f"{name.split('.')[0]}.py" for name in names]
    return any(reaches(other) for other in beside if other.is_file() and other != path)


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, and for `from a import b` also `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *[f"{node.module}.{alias.name}" for alias in node.names]}
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
