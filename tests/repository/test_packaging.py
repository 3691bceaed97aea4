"""Gates on what we depend on and how the project is built and run: few dependencies, each justified, all locked by hash."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from repository.source import AISA, ROOT

BASE_DEPENDENCIES_MAX = 12
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LOCKS = ["base", "build", "dev", "bench"]
#: Import name -> distribution name, where they differ.
IMPORTED_AS = {"yaml": "pyyaml", "backports": "backports.zstd"}


def normal(name: str) -> str:
    """Return the bare name of a requirement, as the index compares names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", name.strip())[0]).lower()


def wanted(name: str) -> set[str]:
    """Return the names in one list of wishes."""
    text = (ROOT / "requirements" / f"{name}.in").read_text(encoding="utf-8")
    return {normal(line) for line in text.splitlines() if line and not line.startswith(("#", "-"))}


def locked(name: str) -> dict[str, str]:
    """Return what one lock pins: name -> the whole entry with its hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[\w-]+(?:\[[\w,-]+\])?==)", text)
    return {normal(entry): entry for entry in entries if "==" in entry}


def targets() -> set[str]:
    """Return the targets that the Makefile declares."""
    return {name for line in re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE) for name in line.split()}


def test_base_dependencies_are_at_most_twelve_and_each_has_its_paragraph() -> None:
    """Whoever installs the server can read why each package comes with it."""
    declared = {normal(name) for name in PROJECT["project"]["dependencies"]}
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text(encoding="utf-8")
    assert len(declared) <= BASE_DEPENDENCIES_MAX
    assert {normal(name) for name in re.findall(r"^## (.+)$", page, re.MULTILINE)} == declared
    assert wanted("base") == declared


def test_every_base_dependency_is_imported() -> None:
    """A package that no line of ours needs is not installed."""
    roots = {edge.imported.partition(".")[0] for module in AISA for edge in module.imports}
    assert {normal(name) for name in PROJECT["project"]["dependencies"]} <= {normal(IMPORTED_AS.get(root, root)) for root in roots}


@pytest.mark.parametrize("name", LOCKS)
def test_every_lock_pins_what_is_wanted_by_version_and_hash_and_names_no_index(name: str) -> None:
    """An install takes exactly the files that we tested, from whichever index the machine is configured for."""
    entries = locked(name)
    assert wanted(name) <= set(entries)
    assert [entry for entry, text in entries.items() if text.count("--hash=sha256:") < 1] == []
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("-") or "://" in line] == []


def test_the_locks_agree_on_every_version_that_they_share() -> None:
    """The tests run what the server runs."""
    versions: dict[str, set[str]] = {}
    for name in LOCKS:
        for package, entry in locked(name).items():
            versions.setdefault(package, set()).add(entry.split()[0])
    assert {package: sorted(found) for package, found in versions.items() if len(found) > 1} == {}


def test_make_help_lists_every_target() -> None:
    """Whoever types `make` sees everything that can be done."""
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
    assert set(re.findall(r"^ +make ([\w-]+) +\S", shown, re.MULTILINE)) == targets()


def test_every_target_has_a_rule() -> None:
    """A target that is declared can be made."""
    assert {name for name in targets() if not re.search(rf"^{name}:.*## \S", MAKEFILE, re.MULTILINE)} == set()


def test_ci_runs_the_command_that_the_readme_gives() -> None:
    """What passes in CI is what a reader is told to run."""
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text(encoding="utf-8")
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_check_runs_every_gate() -> None:
    """One command tells whether a change may go in."""
    assert re.search(r"^check: lint test ##", MAKEFILE, re.MULTILINE)
    recipes = "".join(re.findall(r"^(?:lint|test):.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE))
    tools = ["ruff check", "ruff format --check", "mypy", "pyright", "lint-imports", "pytest"]
    assert [tool for tool in tools if tool not in recipes] == []
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "make lint" in ci
    assert "make test" in ci


def test_two_type_checkers_run_in_their_strictest_mode() -> None:
    """Neither checker is loosened for the whole project to get one change through."""
    assert PROJECT["tool"]["mypy"]["strict"] is True
    assert PROJECT["tool"]["pyright"]["typeCheckingMode"] == "strict"
    assert PROJECT["tool"]["ruff"]["lint"]["select"] == ["ALL"]
