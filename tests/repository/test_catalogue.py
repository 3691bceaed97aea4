"""Gates on the fault catalogue: every row that can happen here is named by a test, and secrets are compared in constant time."""

from __future__ import annotations

import ast
import re

import pytest

from repository.source import AISA, TESTS, Module, faults_of, lines, snippet

#: The rows of the catalogue that a test must name: clients (C), requests (J, S), keys (A), vendors before an answer (U) and in it (M), our
#: own process, host and stores (P). P11 to P13 are of databases and caches on other machines, which there are none of yet.
ROWS = (
    *(f"C{number}" for number in range(1, 23)),
    *(f"J{number}" for number in range(1, 13)),
    *("S1", "S2", "A1", "A2", "A3", "A4", "A5", "A6", "A7"),
    *(f"U{number}" for number in range(1, 10)),
    *(f"M{number}" for number in range(1, 19)),
    *(f"P{number}" for number in (*range(1, 11), *range(14, 21))),
)
ROW = re.compile(r"\[([A-Z]\d{1,2})\]")

#: Words in a name that say that its value is a credential, or what one is found by.
SECRET = re.compile(r"(^|_)(secret|password|credential|bearer|digest|api_key|authorization)(_|$)")
#: `path::expression` -> why this comparison tells nobody anything about a secret that he has not got.
COMPARISONS: dict[str, str] = {
    "src/aisa/keys/rules.py::secret != secret.strip()": "of a new key with itself, while an administrator imports it",
}


def rows_named(modules: list[Module]) -> set[str]:
    """Return the rows that stand in brackets in the docstring of a test."""
    tests = [node for module in modules for name, node, _ in module.functions if name.startswith("test_")]
    return {row for node in tests for row in ROW.findall(ast.get_docstring(node) or "")}


def open_comparisons(module: Module) -> list[str]:
    """Return where a secret is compared by an operator, which takes longer the more of it is right."""
    faults = []
    for node in module.nodes(ast.Compare):
        if any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops):
            told = [name for operand in (node.left, *node.comparators) for name in names_in(operand)]
            if any(SECRET.search(name) for name in told) and f"{module.path}::{ast.unparse(node)}" not in COMPARISONS:
                faults.append(f"{module.at(node)} {ast.unparse(node)}")
    return faults


def names_in(node: ast.expr) -> list[str]:
    """Return the name of a value and of what it is part of; what a function makes of it is another value, but for these methods."""
    if isinstance(node, ast.Call):
        return names_in(node.func.value) if isinstance(node.func, ast.Attribute) and node.func.attr in SAME else []
    if isinstance(node, ast.Attribute):
        return [node.attr, *names_in(node.value)]
    if isinstance(node, ast.Subscript):
        return names_in(node.value)
    return [node.id] if isinstance(node, ast.Name) else []


SAME = frozenset({"encode", "decode", "strip", "lower", "upper", "casefold", "hex"})


def test_every_row_of_the_catalogue_is_named_by_a_test() -> None:
    """A fault that somebody thought of is not forgotten again."""
    named = rows_named(TESTS)
    missing = [row for row in ROWS if row not in named]
    assert not missing, ", ".join(missing)


def test_a_row_counts_only_where_a_test_names_it() -> None:
    """A mention in a function that is no test, or outside brackets, is no test of it."""
    assert rows_named([snippet('def test_x():\n    """[C4][J1] It holds, unlike C5."""\n')]) == {"C4", "J1"}
    assert rows_named([snippet('def make():\n    """[C4] A rig."""\n')]) == set()


def test_no_secret_is_compared_with_an_operator() -> None:
    """[A2] Only compare_digest takes equally long whatever is right about a guess."""
    faults = faults_of(open_comparisons, AISA)
    assert not faults, lines(faults)


def test_keys_are_found_by_their_digest_and_compared_in_constant_time() -> None:
    """[A2] The store's look-up takes no secret, so how long it takes tells only about a digest that nobody can choose."""
    [store] = [module for module in AISA if module.name == "aisa.keys.store"]
    [verify] = [node for name, node, _ in store.functions if name == "KeyStore.known"]
    called = {ast.unparse(node.func): node for node in ast.walk(verify) if isinstance(node, ast.Call)}
    assert "compare_digest" in called
    [found_by] = called["self._by_digest.get"].args
    made = {
        ast.unparse(target): ast.unparse(node.value) for node in ast.walk(verify) if isinstance(node, ast.Assign) for target in node.targets
    }
    assert made[ast.unparse(found_by)].startswith("sha256(")
    assert [node for node in ast.walk(verify) if isinstance(node, ast.Subscript)] == []


def test_every_allowed_comparison_still_exists() -> None:
    """An exception ends with the code that it was made for."""
    excepted = [module for module in AISA if any(where.startswith(f"{module.path}::") for where in COMPARISONS)]
    there = {f"{module.path}::{ast.unparse(node)}" for module in excepted for node in module.nodes(ast.Compare)}
    assert set(COMPARISONS) <= there


@pytest.mark.parametrize(
    "code",
    [
        "secret == given",
        "x = key.digest != digest",
        "if a.api_key == b: pass",
        "y = given == the_bearer.encode()",
        "assert secret[:5] == z",
    ],
)
def test_the_gate_on_secrets_sees_what_it_forbids(code: str) -> None:
    """A comparison is found whatever it is part of and whichever side the secret stands on."""
    assert open_comparisons(snippet(code + "\n"))


@pytest.mark.parametrize(
    "code", ["len(secret) == 8", "state == REVOKED", "compare_digest(digest, other)", "token == END", "secret in known"]
)
def test_the_gate_on_secrets_lets_what_is_harmless_pass(code: str) -> None:
    """Lengths, states and the tokens of a model are no secrets, and a look-up by hash compares no prefixes."""
    assert open_comparisons(snippet(code + "\n")) == []
