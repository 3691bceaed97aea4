"""Gates on sentences and on how tests behave: every module, public name and test says what it is, and no test waits or patches."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable

import pytest

from repository.source import AISA, ROOT, SCRIPTS, TESTS, Definition, Function, Module, faults_of, lines, snippet

#: A sentence has two words at least and ends with a full stop, a colon or a question mark; it may open with a name in lower case.
SENTENCE = re.compile(r"\S+\s.*?[.:?](\s|$)", re.DOTALL)
REPLACING = frozenset({"setattr", "delattr"})
RERUNS = frozenset({"flaky", "rerun", "reruns"})


def opens_with_a_sentence(text: str | None) -> bool:
    """Say whether a docstring begins with a whole sentence."""
    return text is not None and SENTENCE.match(text.strip()) is not None


def unexplained_modules(module: Module) -> list[str]:
    """Return the module if it does not open with a sentence. An empty `__init__` has nothing to say."""
    return [] if not module.text.strip() or opens_with_a_sentence(ast.get_docstring(module.tree)) else [module.path]


def unexplained_names(module: Module) -> list[str]:
    """Return the public classes, functions and methods without a sentence."""
    return [f"{module.at(node)} {node.name}" for node in public(module.tree) if not opens_with_a_sentence(ast.get_docstring(node))]


def public(parent: ast.Module | ast.ClassDef) -> list[Definition]:
    """Return what others may use of a module or class. Setters and overloads share the sentence of the name that they belong to."""
    found: list[Definition] = []
    for node in parent.body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        marks = {ast.unparse(mark).rpartition(".")[2] for mark in node.decorator_list}
        found += [] if marks & {"setter", "overload", "override"} else [node]
        found += public(node) if isinstance(node, ast.ClassDef) else []
    return found


def cases_of(module: Module) -> list[Function]:
    """Return the test functions of a module."""
    return [node for name, node, _ in module.functions if node.name.startswith("test_") and "." not in name]


def unexplained_tests(module: Module) -> list[str]:
    """Return the tests without a sentence that says what would be false if they failed."""
    return [f"{module.at(node)} {node.name}" for node in cases_of(module) if not opens_with_a_sentence(ast.get_docstring(node))]


def classes_of_tests(module: Module) -> list[str]:
    """Return the tests in classes: ours are plain functions."""
    classes = [node for node in module.tree.body if isinstance(node, ast.ClassDef)]
    return [f"{module.at(node)} {node.name}" for node in classes if node.name.startswith("Test")]


def sleeps(module: Module) -> list[str]:
    """Return where a test spends real time doing nothing."""
    named = [f"{module.at(edge.line)} imports {edge.imported}" for edge in module.imports if edge.imported == "time.sleep"]
    return named + [f"{module.at(call)} sleeps" for name, call in module.calls if name == "time.sleep"]


def patches(module: Module) -> list[str]:
    """Return where a test replaces part of the program instead of passing something else in."""
    faults = [f"{module.at(edge.line)} imports {edge.imported}" for edge in module.imports if is_mock(edge.imported)]
    for called, call in module.calls:
        owner, _, name = called.rpartition(".")
        if owner.rpartition(".")[2] in {"monkeypatch", "mocker"} and (name in REPLACING or "mocker" in owner):
            faults.append(f"{module.at(call)} {owner}.{name}")
    return faults


def is_mock(imported: str) -> bool:
    """Say whether an import is of a library of mocks."""
    return imported.startswith(("unittest.mock", "mock.", "pytest_mock")) or imported in {"mock", "unittest.mock"}


def reruns(module: Module) -> list[str]:
    """Return the tests that may fail and be tried again."""
    marks = [node for node in module.nodes(ast.Attribute) if node.attr in RERUNS]
    return [f"{module.at(node)} {ast.unparse(node)}" for node in marks if ast.unparse(node).startswith("pytest.mark.")]


def test_every_module_opens_with_a_sentence_that_draws_its_boundary() -> None:
    """Whoever opens a file knows after one line what it does and what it leaves to others."""
    faults = faults_of(unexplained_modules, AISA + TESTS + SCRIPTS)
    assert not faults, lines(faults)


def test_every_public_name_has_a_sentence() -> None:
    """What others may call says in words what its signature cannot."""
    faults = faults_of(unexplained_names, AISA)
    assert not faults, lines(faults)


def test_every_test_has_a_sentence() -> None:
    """A failing test says what is no longer true."""
    faults = faults_of(unexplained_tests, TESTS)
    assert not faults, lines(faults)


def test_tests_are_plain_functions() -> None:
    """A test shows everything that it depends on, rather than inheriting some of it."""
    faults = faults_of(classes_of_tests, TESTS)
    assert not faults, lines(faults)


def test_no_test_sleeps() -> None:
    """Time is virtual or an event is awaited; a sleep is either too short on a busy machine or too long on every other."""
    faults = faults_of(sleeps, TESTS)
    assert not faults, lines(faults)


def test_no_test_replaces_part_of_the_program() -> None:
    """A double implements the port and is passed in, so it cannot agree with code that no longer exists."""
    faults = faults_of(patches, TESTS)
    assert not faults, lines(faults)


def test_no_test_is_tried_twice() -> None:
    """A flake in a billing system is a race until proven otherwise."""
    faults = faults_of(reruns, TESTS)
    options = " ".join(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"])
    assert not faults, lines(faults)
    assert "reruns" not in options
    assert "rerun" not in (ROOT / "requirements" / "dev.txt").read_text()


BAD = [
    (unexplained_modules, snippet("x = 1\n")),
    (unexplained_modules, snippet('"""no end"""\n')),
    (unexplained_names, snippet("def f(): ...\n")),
    (unexplained_names, snippet('class C:\n    """A thing."""\n    def f(self): ...\n')),
    (unexplained_tests, snippet("async def test_x(): ...\n")),
    (classes_of_tests, snippet("class TestX: ...\n")),
    (sleeps, snippet("import time\ntime.sleep(1)\n")),
    (sleeps, snippet("from time import sleep\n")),
    (patches, snippet("from unittest import mock\n")),
    (patches, snippet("from unittest.mock import patch\n")),
    (patches, snippet("def test_x(monkeypatch):\n    monkeypatch.setattr(a, 'b', 1)\n")),
    (patches, snippet("def test_x(mocker):\n    mocker.patch('a.b')\n")),
    (reruns, snippet("@pytest.mark.flaky(reruns=3)\ndef test_x(): ...\n")),
]
GOOD = [
    (unexplained_modules, snippet("")),
    (unexplained_names, snippet("class _C:\n    def f(self): ...\n\n\ndef _g(): ...\n")),
    (patches, snippet("def test_x(monkeypatch):\n    monkeypatch.setenv('A', '1')\n    monkeypatch.chdir(tmp)\n")),
    (sleeps, snippet("import asyncio\nasyncio.sleep(1)\n")),
]


@pytest.mark.parametrize(("check", "module"), BAD)
def test_each_gate_on_sentences_sees_what_it_forbids(check: Callable[[Module], list[str]], module: Module) -> None:
    """A gate that lets its own counter-example pass guards nothing."""
    assert check(module) != []


@pytest.mark.parametrize(("check", "module"), GOOD)
def test_each_gate_on_sentences_lets_what_is_allowed_pass(check: Callable[[Module], list[str]], module: Module) -> None:
    """A gate that cries at honest code is soon switched off."""
    assert check(module) == []
