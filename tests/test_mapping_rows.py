"""The table of what maps between vendors, clients and us: every row of it is proven by a case or a test that is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mapping_rows
import mapping_rows_doors
import mapping_rows_more
from mapping_rows import Rows
from test_dialect_corpus import CORPUS

HERE = Path(__file__).parent
TABLES: tuple[Rows, ...] = tuple(
    table
    for module in (mapping_rows, mapping_rows_more, mapping_rows_doors)
    for name, table in vars(module).items()
    if name.isupper() and isinstance(table, dict)
)
SECTIONS = {title: rows for table in TABLES for title, rows in table.items()}


def is_there(proof: str, tests: dict[str, set[str]]) -> bool:
    """Tell whether a case is a folder, or a test a function of its file."""
    if "/" in proof:
        return (CORPUS / proof).is_dir()
    name, _, function = proof.partition(":")
    path = HERE / f"test_{name}.py"
    if name not in tests:
        tests[name] = (
            {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)} if path.exists() else set()
        )
    return f"test_{function}" in tests[name]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_of_the_mapping_has_its_proof(section: str) -> None:
    """A row without one is red, and so is a proof that is gone or has another name."""
    tests: dict[str, set[str]] = {}
    lacking = {
        row: missing or "no proof"
        for row, proofs in SECTIONS[section].items()
        if not proofs.split() or (missing := [proof for proof in proofs.split() if not is_there(proof, tests)])
    }
    assert lacking == {}


def test_the_table_has_every_dialect_and_every_door() -> None:
    """None of them is left out whole, and there are as many rows as were counted."""
    words = " ".join(SECTIONS).lower()
    for name in (
        "anthropic",
        "gemini",
        "responses",
        "bedrock",
        "cohere",
        "mistral",
        "openai",
        "messages",
        "embeddings",
        "chat completions",
    ):
        assert name in words
    assert sum(len(rows) for rows in SECTIONS.values()) > 230


def test_a_proof_that_is_not_there_is_seen() -> None:
    """Else the table would prove nothing."""
    assert not is_there("anthropic/no-such-case", {})
    assert not is_there("anthropic_request:no_such_test", {})
    assert not is_there("no_such_file:x", {})
