"""Commands that ask no vendor need no vendor's key in their shell; a running server's own environment is named where it is the fault."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aisa.cli.commands import aisa
from aisa.cli.stand_ins import STAND_IN
from aisa.config.load import ConfigErrors, load
from aisa.vendors.table import ROWS
from server import serving

CLEAN = {"AISA_CONFIG": None, "AISA_DATA_DIR": None, "NO_COLOR": None, "COLUMNS": "200", "OPENAI_API_KEY": None, "GROQ_API_KEY": None}
CONFIG = """\
vendors:
  openai: {}
  other: {base_url: "https://other.example/v1", api_key: "${MINE}", prices: {y: {input: 1, output: 2}}}
models: {a: [openai/gpt-4.1], b: [groq/openai/gpt-oss-20b], c: [other/y]}
"""


def run(folder: Path, *words: str) -> Result:
    """Run a command on the configuration of a folder."""
    named = ("--config", str(folder / "aisa.yaml"))
    return CliRunner().invoke(aisa, (*words, *named), env={**CLEAN, "AISA_DATA_DIR": str(folder / "data")}, prog_name="aisa")


@pytest.mark.parametrize(
    "words", [("prices",), ("prices", "a"), ("prices", "b"), ("prices", "c"), ("models",), ("models", "c"), ("route", "explain", "c")]
)
def test_a_command_that_asks_no_vendor_works_without_the_keys_and_says_so(words: tuple[str, ...], tmp_path: Path) -> None:
    """An entry without settings, a target of a vendor that has no entry, a variable of one's own: each is read as if it were set."""
    (tmp_path / "aisa.yaml").write_text(CONFIG)
    found = run(tmp_path, *words)
    assert found.exit_code == 0, found.output
    assert found.stderr.startswith("OPENAI_API_KEY, MINE, GROQ_API_KEY are not set in this shell")
    assert STAND_IN not in found.output


def test_what_is_wrong_besides_is_told_as_it_was(tmp_path: Path) -> None:
    """The keys that are missing and the other mistake, not one alone, and none of the values that stood in."""
    (tmp_path / "aisa.yaml").write_text(CONFIG + "servr: {}\n")
    found = run(tmp_path, "prices")
    assert (found.exit_code, "servr" in found.stderr, "MINE" in found.stderr) == (2, True, True)
    assert STAND_IN not in found.output


def test_of_two_variables_that_would_do_one_stands_in(tmp_path: Path) -> None:
    """Both would make two vendors of one."""
    name = next(row.name for row in ROWS.values() if len(row.key_variables) > 1)
    (tmp_path / "aisa.yaml").write_text(f"vendors: {{{name}: {{}}}}\n")
    assert run(tmp_path, "prices").exit_code == 0
    with pytest.raises(ConfigErrors) as errors:
        load(str(tmp_path / "aisa.yaml"), {}, {})
    assert len(errors.value.lacking) == 1
    assert " or " in errors.value.lacking[0]


def test_a_reload_that_lacks_a_variable_says_whose_environment_counts(tmp_path: Path) -> None:
    """Setting it in the shell of `aisa reload` changes nothing, so the remedy is a restart; other refusals do not speak of that."""
    with serving(tmp_path, "server: {}\n") as server:
        for text, told in (("vendors: {groq: {}}\n", True), ("server: {drain_seconds: '${NOT_SET}'}\n", True), ("servr: {}\n", False)):
            (tmp_path / "aisa.yaml").write_text(text)
            with pytest.raises(subprocess.CalledProcessError) as refused:
                server.aisa("reload")
            said = " ".join(refused.value.stderr.split())
            assert ("the server's own" in said and "restart it" in said) is told, said
