"""Gates on conduct: no hidden state, no swallowed failures, no leftovers, no silenced checker without a reason, no inexact money."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from repository.source import AISA, SCRIPTS, TESTS, Definition, Function, Module, faults_of, lines, snippet, statements

#: `path::function` -> why any exception may end here. At most BOUNDARIES_MAX, because each hides what nobody has foreseen.
BOUNDARIES: dict[str, str] = {
    "src/aisa/edge/app.py::Edge.answer": "the outermost frame of a request: it answers internal_error and reports the bug",
    "src/aisa/ledger/writer.py::Writer._write": "the ledger's thread: a row that cannot be written is reported, and the others go on",
    "src/aisa/http/connection.py::Connection._run": "the last guard of a connection: it tells the loop, and the client is not left waiting",
    "src/aisa/callbacks.py::call_guarded": "one callback's bug is told to the loop, and must not keep others from being called",
}
BOUNDARIES_MAX = 4

LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK|WIP)\b")
IGNORE = re.compile(r"type:\s*ignore(\[[\w, -]+\])?|pyright:\s*ignore(\[\w[\w, ]*\])?|noqa(:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?")
REASON_WORDS_MIN = 2
CODE = (
    Function | ast.Assign | ast.AugAssign | ast.Import | ast.ImportFrom | ast.Return | ast.Raise | ast.If | ast.For | ast.While | ast.With
)

#: What every statement of those kinds has; most prose has none of it, and parsing each comment took longer than all other gates.
CODE_SIGN = re.compile(r"[=(]|^\s*(def|class|import|from|return|raise|if|for|while|with|await|async)\b")


def global_statements(module: Module) -> list[str]:
    """Return where a function assigns to its module's names."""
    return [f"{module.at(node)} global {', '.join(node.names)}" for node in module.nodes(ast.Global)]


def silent_handlers(module: Module) -> list[str]:
    """Return the handlers that catch everything and do not raise it again."""
    return [
        f"{module.at(handler)} in {where}: catches everything and goes on"
        for where, handler in handlers(module.tree, "")
        if is_broad(handler) and not raises(handler) and f"{module.path}::{where}" not in BOUNDARIES
    ]


def handlers(node: ast.AST, where: str) -> Iterator[tuple[str, ast.ExceptHandler]]:
    """Yield every handler and the function that it stands in."""
    for child in statements(node):
        inside = f"{where}.{child.name}".lstrip(".") if isinstance(child, Definition) else where
        if isinstance(child, ast.ExceptHandler):
            yield inside, child
        yield from handlers(child, inside)


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Say whether a handler catches every exception, or every one that is not an exit."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in kinds)


def raises(handler: ast.ExceptHandler) -> bool:
    """Say whether a handler raises, the same exception or another."""
    return any(isinstance(node, ast.Raise) for node in own_nodes(handler))


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the statements below one without those of the functions defined there: what they raise, they raise later."""
    for child in statements(node):
        if not isinstance(child, Function):
            yield child
            yield from own_nodes(child)


def swallowing_suppressions(module: Module) -> list[str]:
    """Return each `contextlib.suppress` of everything: a broad handler in other words."""
    return [
        f"{module.at(call)} suppresses everything"
        for name, call in module.calls
        if name.endswith("suppress") and {"Exception", "BaseException"} & {ast.unparse(kind) for kind in call.args}
    ]


def leftovers(module: Module) -> list[str]:
    """Return notes to ourselves, code that was commented out, and functions that only promise."""
    faults = [f"{module.at(line)} {text}" for line, text in module.comments if LEFTOVER.search(text) or was_code(text)]
    raised = [node for node in module.nodes(ast.Name) if node.id == "NotImplementedError"]
    return faults + [f"{module.at(node)} NotImplementedError" for node in raised]


def was_code(comment: str) -> bool:
    """Say whether a comment is a statement of Python. Prose with a colon parses as an annotation, which does not count."""
    if not CODE_SIGN.search(comment):
        return False
    try:
        body = ast.parse(comment.rstrip(":") + (": pass" if comment.endswith(":") else "")).body
    except SyntaxError:
        return False
    return any(isinstance(node, CODE) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)) for node in body)


def prints(module: Module) -> list[str]:
    """Return where something other than a command prints."""
    if module.name.startswith("aisa.cli"):
        return []
    return [f"{module.at(call)} prints" for name, call in module.calls if name in {"print", "pprint"}]


def bare_ignores(module: Module) -> list[str]:
    """Return the comments that silence a checker without saying which rule and why."""
    faults = []
    for line, text in module.comments:
        found = list(IGNORE.finditer(text))
        reason = IGNORE.sub("", text).replace("#", " ").replace("-", " ").split()
        if found and (len(reason) < REASON_WORDS_MIN or any(match.lastindex is None for match in found)):
            faults.append(f"{module.at(line)} {text}")
    return faults


def test_no_function_changes_a_global() -> None:
    """State belongs to an object that somebody made and passes on."""
    faults = faults_of(global_statements, AISA)
    assert not faults, lines(faults)


def test_whoever_catches_everything_raises_it_again_or_is_a_named_boundary() -> None:
    """A failure that nobody foresaw is heard of at one of four places and nowhere vanishes."""
    faults = faults_of(silent_handlers, AISA) + faults_of(swallowing_suppressions, AISA)
    assert not faults, lines(faults)


def test_the_named_boundaries_are_few_and_exist() -> None:
    """An exception to the rule ends with the code that it was made for."""
    existing = {f"{module.path}::{where}" for module in AISA for where, _ in handlers(module.tree, "")}
    assert len(BOUNDARIES) <= BOUNDARIES_MAX
    assert set(BOUNDARIES) <= existing


def test_nothing_is_left_over() -> None:
    """What is not done is an issue, what is not used is deleted, and neither is a comment."""
    faults = faults_of(leftovers, AISA + TESTS + SCRIPTS)
    assert not faults, lines(faults)


def test_only_commands_print() -> None:
    """The server speaks through facts, so that a log line always has the shape the operator chose."""
    faults = faults_of(prints, AISA)
    assert not faults, lines(faults)


def test_every_silenced_checker_is_told_which_rule_and_why() -> None:
    """An ignore without a code hides the next fault on the same line; one without a reason is never removed."""
    faults = faults_of(bare_ignores, AISA + TESTS + SCRIPTS)
    assert not faults, lines(faults)


def in_function(body: str) -> Module:
    """Make a sample whose function has this body."""
    return snippet("def f():\n" + "\n".join(f"    {line}" for line in body.split("\n")) + "\n")


BAD = [
    (global_statements, in_function("global x\nx = 1")),
    (silent_handlers, in_function("try:\n    g()\nexcept Exception:\n    pass")),
    (silent_handlers, in_function("try:\n    g()\nexcept (ValueError, BaseException) as error:\n    log(error)")),
    (silent_handlers, in_function("try:\n    g()\nexcept:\n    def later():\n        raise")),
    (swallowing_suppressions, in_function("with contextlib.suppress(Exception):\n    g()")),
    (leftovers, snippet("x = 1  # " + "TO" + "DO: more\n")),
    (leftovers, snippet("# " + "x = f(1)\n")),
    (leftovers, snippet("# " + "if x:\n")),
    (leftovers, in_function("raise NotImplementedError")),
    (prints, in_function("print(1)")),
    (bare_ignores, snippet("x = f()  # type: " + "ignore\n")),
    (bare_ignores, snippet("x = f()  # type: " + "ignore[arg-type]\n")),
    (bare_ignores, snippet("x = f()  # no" + "qa because it is fine\n")),
    (bare_ignores, snippet("x = f()  # type: " + "ignore[arg-type] # pyright: " + "ignore  because it is fine\n")),
]
GOOD = [
    (silent_handlers, in_function("try:\n    g()\nexcept Exception:\n    clean()\n    raise")),
    (silent_handlers, in_function("try:\n    g()\nexcept ValueError:\n    pass")),
    (leftovers, snippet("# why: because the kernel says so\n# a lone word\n# (see above)\n")),
    (prints, snippet("print(1)\n", "aisa.cli.keys")),
    (bare_ignores, snippet("x = f()  # type: " + "ignore[arg-type]  # the stub lacks bytes\n")),
    (bare_ignores, snippet("x = f()  # type: " + "ignore[a-b] # pyright: " + "ignore[reportX]  # the stub lacks bytes\n")),
]


@pytest.mark.parametrize(("check", "module"), BAD)
def test_each_gate_on_conduct_sees_what_it_forbids(check: Callable[[Module], list[str]], module: Module) -> None:
    """A gate that lets its own counter-example pass guards nothing."""
    assert check(module) != []


@pytest.mark.parametrize(("check", "module"), GOOD)
def test_each_gate_on_conduct_lets_what_is_allowed_pass(check: Callable[[Module], list[str]], module: Module) -> None:
    """A gate that cries at honest code is soon switched off."""
    assert check(module) == []
