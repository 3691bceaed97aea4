"""Gates on size: how long, how deep and how wide code may grow. Averages say nothing; only the largest counts."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from repository.source import AISA, Function, Module, faults_of, lines, snippet

FILE_LINES_MAX = 400
RELAY_LINES_MAX = 300  # the path of a call is to be read in one sitting
FUNCTION_LINES_MAX = 70
NESTING_MAX = 4
PARAMETERS_MAX = 7
POSITIONAL_MAX = 3
BANNED_WORDS = frozenset(
    "base common core handler handlers helper helpers manager managers misc new old processor processors"
    " service services util utils".split()
)

#: Names of our own making that docs/decisions/0010-names.md has replaced by the field's: no class has one again.
ABOLISHED = frozenset(
    "Alarm Books BookRoutes BooksShown Conveyance Courier Drains Gate House Keeper Line Mould Once Open Owner Patience Pulse Run"
    " Watch".split()
)

#: path or `path::name` -> why it may break the bound. Each line is a debt; the count may only fall.
EXCEPTIONS: dict[str, str] = {}

BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def long_files(module: Module) -> list[str]:
    """Return the file if it is too long."""
    bound = RELAY_LINES_MAX if module.name == "aisa.relay" else FILE_LINES_MAX
    lines = module.text.count("\n")
    return [f"{module.path}: {lines} lines, {bound} at most"] if lines > bound and module.path not in EXCEPTIONS else []


def long_functions(module: Module) -> list[str]:
    """Return the functions that are too long, docstring included."""
    return [
        f"{module.at(node)} {name}: {length} lines"
        for name, node, _ in module.functions
        if (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX and f"{module.path}::{name}" not in EXCEPTIONS
    ]


def deep_functions(module: Module) -> list[str]:
    """Return the functions whose blocks are nested too deeply. A function within a function starts again at zero."""
    return [
        f"{module.at(node)} {name}: nested {depth} deep"
        for name, node, _ in module.functions
        if (depth := max(depths(node.body, 0), default=0)) > NESTING_MAX and f"{module.path}::{name}" not in EXCEPTIONS
    ]


def depths(body: list[ast.stmt], depth: int) -> Iterator[int]:
    """Yield the depth of every statement. An `elif` is as deep as its `if`."""
    for statement in body:
        yield depth
        if isinstance(statement, ast.If) and len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
            yield from depths(statement.body, depth + 1)
            yield from depths(statement.orelse, depth)
        elif isinstance(statement, BLOCKS):
            for block in blocks_of(statement):
                yield from depths(block, depth + 1)


def blocks_of(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the lists of statements directly inside a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for branch in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]:
        yield branch.body


def wide_functions(module: Module) -> list[str]:
    """Return the functions with too many parameters, or with too many that can be passed by position. `self` does not count."""
    return [
        f"{module.at(node)} {name}: {total} parameters, {positional} by position"
        for name, node, method in module.functions
        for total, positional in [parameters(node, method=method)]
        if (total > PARAMETERS_MAX or positional > POSITIONAL_MAX) and f"{module.path}::{name}" not in EXCEPTIONS
    ]


def parameters(node: Function, *, method: bool) -> tuple[int, int]:
    """Return how many parameters there are, and how many of them go by position."""
    arguments = node.args
    static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in node.decorator_list)
    positional = len(arguments.posonlyargs) + len(arguments.args) - (method and not static)
    starred = (arguments.vararg is not None) + (arguments.kwarg is not None)
    return positional + len(arguments.kwonlyargs) + starred, positional


def vague_names(module: Module) -> list[str]:
    """Return file and class names that contain a word which says nothing, or a version."""
    named = [(module.path, name) for name in module.name.split(".")[1:]]
    named += [(module.at(node), node.name) for node in module.nodes(ast.ClassDef)]
    vague = [(where, name) for where, name in named if BANNED_WORDS & set(words(name)) or re.search(r"(?i)_?v\d+$", name)]
    return [f"{where}: `{name}`" for where, name in [*vague, *((where, name) for where, name in named if name in ABOLISHED)]]


def words(name: str) -> list[str]:
    """Split a name in snake or camel case into lower-case words."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def test_no_file_is_longer_than_400_lines_and_the_relay_not_longer_than_300() -> None:
    """A file that grows past the bound holds a second thing, which wants a file of its own."""
    faults = faults_of(long_files, AISA)
    assert not faults, lines(faults)


def test_no_function_is_longer_than_70_lines() -> None:
    """A function fits on one screen."""
    faults = faults_of(long_functions, AISA)
    assert not faults, lines(faults)


def test_no_block_is_nested_deeper_than_4() -> None:
    """Whoever reads a line has at most four conditions to remember."""
    faults = faults_of(deep_functions, AISA)
    assert not faults, lines(faults)


def test_no_function_takes_more_than_7_parameters_or_more_than_3_by_position() -> None:
    """A call with more arguments than that says what each of them is."""
    faults = faults_of(wide_functions, AISA)
    assert not faults, lines(faults)


def test_no_file_or_class_has_a_name_that_says_nothing() -> None:
    """[fault A4] A stranger guesses from the name what is inside, and what is not; coined names that were given up stay so."""
    faults = faults_of(vague_names, AISA)
    assert not faults, lines(faults)


def test_every_exception_still_names_something_that_exists() -> None:
    """An exception ends with the code that it was made for."""
    known = {module.path for module in AISA} | {f"{module.path}::{name}" for module in AISA for name, _, _ in module.functions}
    assert set(EXCEPTIONS) <= known


DEEP = "def f():\n" + "".join(f"{'    ' * depth}if x:\n" for depth in range(1, 6)) + "    " * 6 + "pass\n"
BAD = [
    (long_files, snippet("x = 1\n" * 401)),
    (long_files, snippet("x = 1\n" * 301, "aisa.relay")),
    (long_functions, snippet("def f():\n" + "    x = 1\n" * 70)),
    (deep_functions, snippet(DEEP)),
    (deep_functions, snippet(DEEP.replace("def f", "async def f").replace("if x", "async with x"))),
    (wide_functions, snippet("def f(a, b, c, d): ...")),
    (wide_functions, snippet("def f(a, *, b, c, d, e, f, g, h): ...")),
    (wide_functions, snippet("class C:\n    def f(self, a, b, c, d): ...")),
    (vague_names, snippet("", "aisa.keys.store_utils")),
    (vague_names, snippet("class KeyManager: ...")),
    (vague_names, snippet("class LimiterV3: ...")),
    (vague_names, snippet("class Books: ...")),
]
GOOD = [
    (long_functions, snippet("def f():\n" + "    x = 1\n" * 69)),
    (deep_functions, snippet("def f():\n    if a: pass\n" + "".join(f"    elif {name}: pass\n" for name in "bcdefgh"))),
    (wide_functions, snippet("class C:\n    def f(self, a, b, c, *, d): ...")),
    (vague_names, snippet("class Database: ...", "aisa.newest")),
]


@pytest.mark.parametrize(("check", "module"), BAD)
def test_each_gate_on_size_sees_what_it_forbids(check: Callable[[Module], list[str]], module: Module) -> None:
    """A gate that lets its own counter-example pass guards nothing."""
    assert check(module) != []


@pytest.mark.parametrize(("check", "module"), GOOD)
def test_each_gate_on_size_lets_what_is_allowed_pass(check: Callable[[Module], list[str]], module: Module) -> None:
    """What lies exactly on the bound is within it."""
    assert check(module) == []
