"""Gates on the dialects: each vendor language is one module of one shape, and the configuration offers exactly those there are."""

from __future__ import annotations

import ast

from aisa.providers.tasks import DIALECTS
from repository.source import AISA, Function, Module


def module_named(name: str) -> Module:
    """Return one of our modules."""
    return next(module for module in AISA if module.name == name)


def class_named(module: Module, name: str) -> ast.ClassDef:
    """Return a top-level class."""
    return next(node for node in module.tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def offered() -> set[str]:
    """Return the dialects that the configuration accepts, read from the type of `Vendor.dialect`."""
    vendor = class_named(module_named("aisa.config.schema"), "Vendor")
    field = next(node for node in vendor.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "dialect")
    return {node.value for node in ast.walk(field.annotation) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def assigned(body: list[ast.stmt]) -> dict[str, str]:
    """Return the values that a module or class binds to names at its top, as text."""
    bound = {ast.unparse(target): ast.unparse(node.value) for node in body if isinstance(node, ast.Assign) for target in node.targets}
    declared = [node for node in body if isinstance(node, ast.AnnAssign)]
    return bound | {ast.unparse(node.target): ast.unparse(node.value) if node.value is not None else "" for node in declared}


def signatures(body: list[ast.stmt]) -> dict[str, list[str]]:
    """Return the functions at the top of a module or class with the names of their parameters, `self` left out."""
    return {node.name: names(node) for node in body if isinstance(node, Function)}


def names(function: Function) -> list[str]:
    """Return a function's parameter names in order."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [argument.arg for argument in every if argument.arg != "self"]


SHAPE = class_named(module_named("aisa.providers.shape"), "Dialect").body


def test_every_dialect_that_the_configuration_offers_is_a_module() -> None:
    """An operator cannot choose a dialect that does not exist."""
    assert {f"aisa.providers.{name}" for name in offered()} <= {module.name for module in AISA}


def test_every_module_that_calls_itself_a_dialect_can_be_chosen() -> None:
    """A dialect that the configuration does not offer would be dead code. What a dialect says of one task is named after both."""
    found = {module.name: assigned(module.tree.body).get("NAME") for module in AISA if module.name.startswith("aisa.providers.")}
    assert {name: value for name, value in found.items() if value} == {f"aisa.providers.{name}": repr(name) for name in offered()} | {
        f"aisa.providers.{name.replace('/', '_')}": repr(name) for name, module in DIALECTS.items() if "/" in name and name == module.NAME
    }


def test_every_dialect_defines_each_name_of_the_shape_with_the_same_parameters() -> None:
    """The path of a call can use any dialect without asking which one it is."""
    for dialect in offered():
        body = module_named(f"aisa.providers.{dialect}").tree.body
        assert set(assigned(SHAPE)) <= set(assigned(body)), dialect
        assert signatures(SHAPE).items() <= signatures(body).items(), dialect


def test_every_dialect_that_the_configuration_offers_says_what_it_does_with_each_task() -> None:
    """Whatever a model is asked for, its target's dialect has an answer, if only that it cannot."""
    tasks = {name.rpartition("/")[0] for name in DIALECTS}
    assert set(DIALECTS) == {f"{task}/{dialect}".removeprefix("/") for task in tasks for dialect in offered()}


def test_the_shape_itself_was_found() -> None:
    """The gate above compares with something: the shape has a name, a writer, a reader of answers and one of failures."""
    assert set(assigned(SHAPE)) | set(signatures(SHAPE)) >= {"NAME", "to_upstream", "decoder", "read_failure"}
