"""A gate on money: nothing on the way from a price to a bill can make an amount inexact."""

from __future__ import annotations

import ast

import pytest

from repository.source import AISA, Module, faults_of, lines, snippet

MONEY = ("aisa.money", "aisa.pricing", "aisa.prices", "aisa.ledger")
INEXACT = frozenset({"float", "round"})
SUSPECTS: tuple[type[ast.AST], ...] = (ast.Constant, ast.BinOp, ast.AugAssign, ast.Call)

#: `path::line of code` -> why it is not about an amount.
ALLOWED: dict[str, str] = {}


def inexact(module: Module) -> list[str]:
    """Return the float literals, the true divisions, and the calls that make floats or round, in the modules that count money."""
    if not any(module.name == name or module.name.startswith(f"{name}.") for name in MONEY):
        return []
    found = [node for node in module.nodes(*SUSPECTS) if is_inexact(node)]
    return [f"{module.at(node)} {ast.unparse(node)}" for node in found if f"{module.path}::{ast.unparse(node)}" not in ALLOWED]


def is_inexact(node: ast.AST) -> bool:
    """Say whether a node makes a float out of something exact, or rounds to even."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, float)
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator):
            return isinstance(operator, ast.Div)
        case ast.Call(func=ast.Name(id=name)):
            return name in INEXACT
        case _:
            return False


def test_no_amount_can_become_inexact() -> None:
    """Amounts are whole nano-dollars from the price to the bill: no float, no true division, no rounding but the one in `money`."""
    faults = faults_of(inexact, AISA)
    assert not faults, lines(faults)


def test_the_gate_looks_at_every_module_that_counts_money() -> None:
    """A folder that was renamed would otherwise drop out unseen."""
    assert {name for name in MONEY if any(module.name == name or module.name.startswith(f"{name}.") for module in AISA)} == set(MONEY)


def test_every_exception_to_the_gate_on_money_is_still_needed() -> None:
    """An exception ends with the code that it was made for."""
    code = {f"{module.path}::{ast.unparse(node)}" for module in AISA for node in module.nodes(*SUSPECTS) if is_inexact(node)}
    assert set(ALLOWED) <= code


@pytest.mark.parametrize("text", ["x = 0.5", "x = 1e9", "def f(x): return x / 2", "x = 1\nx /= 2", "x = float('1')", "x = round(y, 2)"])
@pytest.mark.parametrize("name", ["aisa.money", "aisa.pricing", "aisa.prices.catalogue", "aisa.ledger.rules"])
def test_the_gate_on_money_sees_what_makes_amounts_inexact(name: str, text: str) -> None:
    """A gate that lets its own counter-example pass guards nothing."""
    assert inexact(snippet(text, name)) != []


@pytest.mark.parametrize(
    ("name", "text"),
    [("aisa.pricing", "x = y // 2 * 3 + int('1')"), ("aisa.pricing", "def f(unix_seconds: float): ..."), ("aisa.timeouts", "x = 1 / 2")],
)
def test_the_gate_on_money_lets_whole_numbers_and_times_pass(name: str, text: str) -> None:
    """A gate that cries at honest code is soon switched off."""
    assert inexact(snippet(text, name)) == []
