"""The project's own files, read as text and as syntax trees, for the gates beside it. Judges nothing."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "aisa"
GENERATED = "aisa.storage.migrations.versions."  # written once by a tool, applied in order, never edited

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef
Node = TypeVar("Node", bound=ast.AST)


class Import(NamedTuple):
    """One module needs another. `inside` says whether the statement is in a function."""

    importer: str
    imported: str
    line: int
    inside: bool


@dataclass(frozen=True)
class Module:
    """One Python file: dotted name, path from the root, text."""

    name: str
    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    @cached_property
    def _by_kind(self) -> dict[type[ast.AST], list[ast.AST]]:
        """Every node of the tree by its class, walked once for all gates."""
        found: dict[type[ast.AST], list[ast.AST]] = {}
        waiting: list[ast.AST] = [self.tree]
        for node in waiting:  # which grows; `ast.walk` says the same and takes three times as long
            found.setdefault(type(node), []).append(node)
            for below in vars(node).values():
                if isinstance(below, ast.AST):
                    if not isinstance(below, ast.expr_context):
                        waiting.append(below)
                elif isinstance(below, list):
                    waiting += [each for each in below if isinstance(each, ast.AST)]
        return found

    def nodes(self, *kinds: type[Node]) -> list[Node]:
        """Return every node of these classes, which have none below them."""
        return [cast("Node", node) for kind in kinds for node in self._by_kind.get(kind, ())]

    @cached_property
    def calls(self) -> list[tuple[str, ast.Call]]:
        """Every call, with what is called: `open`, `time.sleep`, and of what is called on a value that has no name `.read`."""
        return [(dotted(node.func), node) for node in self.nodes(ast.Call)]

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """Every comment: its line number and its text without the leading `#`."""
        return list(_comments(self))

    @cached_property
    def functions(self) -> list[tuple[str, Function, bool]]:
        """Every function, nested ones too: its name with its classes', its node, and whether it is a method."""
        return list(_functions(self.tree, "", in_class=False))

    @cached_property
    def imports(self) -> list[Import]:
        """Every import as written, whether it is at the top, for typing only, or inside a function."""
        return list(_imports(self, self.tree, inside=False))

    def at(self, node: ast.AST | int) -> str:
        """Return `path:line` of a node or of a line number, for messages."""
        return f"{self.path}:{node if isinstance(node, int) else getattr(node, 'lineno', 0)}"


def dotted(node: ast.expr) -> str:
    """Return the name of what is called, from the first name that it has; unparsing says the same and takes ten times as long."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _comments(module: Module) -> Iterator[tuple[int, str]]:
    """Yield what stands behind a `#` that is in no text. The tokenizer says the same and takes ten times as long."""
    texts: dict[int, list[tuple[int, int]]] = {}  # by line: from where to where, in bytes, there is text
    for node in (*module.nodes(ast.JoinedStr), *(each for each in module.nodes(ast.Constant) if isinstance(each.value, str | bytes))):
        last = node.end_lineno or node.lineno
        for line in range(node.lineno, last + 1):
            start, end = node.col_offset if line == node.lineno else 0, node.end_col_offset if line == last else None
            texts.setdefault(line, []).append((start, sys.maxsize if end is None else end))
    for number, text in enumerate(module.text.split("\n"), 1):
        if "#" in text:
            encoded = text.encode()
            found = (place.start() for place in re.finditer(b"#", encoded))
            hash_at = next((at for at in found if not any(begin <= at < end for begin, end in texts.get(number, ()))), None)
            if hash_at is not None:
                yield number, encoded[hash_at:].decode().lstrip("#").strip()


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements right below one, those of its branches too, and none of its expressions, which are most of a tree."""
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        below = getattr(node, name, ())
        yield from below if isinstance(below, list) else ()


def _functions(node: ast.AST, prefix: str, *, in_class: bool) -> Iterator[tuple[str, Function, bool]]:
    for child in statements(node):
        if isinstance(child, Function):
            yield prefix + child.name, child, in_class
            yield from _functions(child, f"{prefix}{child.name}.", in_class=False)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.", in_class=True)
        else:
            yield from _functions(child, prefix, in_class=in_class)


def _imports(module: Module, node: ast.AST, *, inside: bool) -> Iterator[Import]:
    for child in statements(node):
        if isinstance(child, ast.Import):
            yield from (Import(module.name, alias.name, child.lineno, inside) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            source = _absolute(module, child)
            # `from aisa.wire import sse` needs the module aisa.wire.sse; whether it is one is known only to who has the whole tree.
            yield from (Import(module.name, f"{source}.{alias.name}", child.lineno, inside) for alias in child.names)
        else:
            yield from _imports(module, child, inside=inside or isinstance(child, Function))


def _absolute(module: Module, statement: ast.ImportFrom) -> str:
    if not statement.level:
        return statement.module or ""
    package = module.name if module.path.endswith("__init__.py") else module.name.rpartition(".")[0]
    parents = package.split(".")[: len(package.split(".")) - statement.level + 1]
    return ".".join([*parents, *([statement.module] if statement.module else [])])


def read(path: Path) -> Module:
    """Read one file of the project."""
    relative = path.relative_to(ROOT)
    parts = relative.with_suffix("").parts
    parts = parts[1:] if parts[0] == "src" else parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return Module(".".join(parts), relative.as_posix(), path.read_text(encoding="utf-8"))


def snippet(text: str, name: str = "aisa.sample") -> Module:
    """Make a module of a piece of text, to show that a gate sees what it forbids."""
    return Module(name, f"src/{name.replace('.', '/')}.py", text)


def folder(*names: str) -> list[Module]:
    """Read every Python file below these folders of the project, in a stable order."""
    return [read(path) for name in names for path in sorted((ROOT / name).rglob("*.py"))]


def faults_of(check: Callable[[Module], list[str]], modules: list[Module]) -> list[str]:
    """Return everything that a check finds."""
    return [fault for module in modules for fault in check(module)]


def lines(faults: list[str]) -> str:
    """Write what was found one to a line, which pytest otherwise cuts short."""
    return "\n".join(["", *faults])


def aisa_imports(modules: list[Module]) -> list[Import]:
    """Return the imports of our own modules by each other, each resolved to a module that exists."""
    names = {module.name for module in modules}
    edges = []
    for module in modules:
        for edge in module.imports:
            target = edge.imported if edge.imported in names else edge.imported.rpartition(".")[0]
            if target in names:
                edges.append(edge._replace(imported=target))
    return edges


def project_files() -> Iterator[Path]:
    """Walk the files that a clone would have: no environments, caches or data. Needs no git, because a user may have none."""
    skipped = {"__pycache__", "aisa-data", "build", "dist", "htmlcov", "node_modules"}
    for path in sorted(ROOT.iterdir()):
        if path.name == ".ci" or not (path.name.startswith(".") or path.name in skipped):
            found = [path] if path.is_file() else sorted(path.rglob("*"))
            yield from (file for file in found if file.is_file() and not skipped & set(file.relative_to(ROOT).parts))


AISA = [module for module in folder("src") if not module.name.startswith(GENERATED)]
TESTS = folder("tests")
SCRIPTS = folder("tools", "training", "benchmarks", "compat")
