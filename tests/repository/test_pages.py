"""Gates on the pages: what they name exists, what is generated is current, and no page or list ties us to one machine."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aisa
from aisa.errors import CODES, MEANING
from repository.source import ROOT, project_files

ARCHITECTURE_LINES_MAX = 150
PATH = re.compile(r"(?<![\w/.:-])(\.?[\w*-][\w.*-]*(?:/[\w.*{},-]+)*(?:\.(?:py|md|toml|txt|in)\b|/(?![\w/])))")
TOP_FOLDERS = ("src/", "tests/", "docs/", "tools/", "training/", "benchmarks/", "requirements/", ".ci/")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
#: Hosts that hand out packages or images, spelt so that this file does not name them either.
HOSTS = re.compile(
    r"\b(?:py(?:pi)\.org|python(?:hosted)\.org|registry\.(?:npmjs|yarnpkg)\.|(?:crates|docker|ghcr|quay)\.io\b|conda\.anaconda)"
)
LOCAL_PATHS = re.compile(r"(?<![\w./~$}:-])/(?:home|root|Users|work|tmp|mnt)/[\w.-]")
#: `file` -> why it may name a host or a local path.
FREE_TO_NAME: dict[str, str] = {}


def pages() -> list[Path]:
    """Return every page for people, in the root and in docs."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def paths_named(text: str) -> set[str]:
    """Return the paths that a page mentions: those with a known ending, those that end with a slash, those below a top folder."""
    named = set(PATH.findall(text))
    return named | {word.strip("`,.;:()") for word in re.split(r"\s+", text) if word.strip("`(").startswith(TOP_FOLDERS)}


def missing(named: set[str], files: list[str]) -> set[str]:
    """Return the mentioned paths that are not the end of any path in the project. `*` stands for anything within a name."""
    folders = {parent.as_posix() + "/" for file in files for parent in Path(file).parents}
    known = ["/" + path for path in [*files, *folders]]
    return {path for path in named if not any(matches(path, candidate) for candidate in known)}


def matches(path: str, candidate: str) -> bool:
    """Say whether a path of the project ends in a mentioned one."""
    pattern = re.escape("/" + path.removeprefix("./")).replace(r"\*", "[^/]*")
    return re.search(f"{pattern}/?$", candidate) is not None


def text_files() -> Iterator[tuple[str, str]]:
    """Yield every text file of the project."""
    for path in project_files():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_every_path_in_the_architecture_page_exists() -> None:
    """The map of the house shows rooms that are there."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    files = [path.relative_to(ROOT).as_posix() for path in project_files()]
    assert missing(paths_named(page), files) == set()
    assert page.count("\n") <= ARCHITECTURE_LINES_MAX


def test_every_link_on_every_page_leads_to_a_file() -> None:
    """A reader who follows a link between our pages arrives."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages()
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_errors_page_is_current() -> None:
    """What docs/errors.md says is what the code does; `make docs` rewrites it."""
    assert (ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == runpy.run_path(str(ROOT / "tools" / "errors_page.py"))["page"]()


def test_the_page_of_events_is_current() -> None:
    """[fault P13] What docs/events.md says of every event and member is what the code writes; `make docs` rewrites it."""
    assert (ROOT / "docs" / "events.md").read_text(encoding="utf-8") == runpy.run_path(str(ROOT / "tools" / "events_page.py"))["page"]()


def test_the_page_of_vendors_is_current() -> None:
    """What docs/vendors.md says is what the table says; `make docs` rewrites it."""
    assert (ROOT / "docs" / "vendors.md").read_text(encoding="utf-8") == runpy.run_path(str(ROOT / "tools" / "vendors_page.py"))["page"]()


def test_the_page_of_clients_is_current() -> None:
    """What docs/clients.md says is what the console shows; `make docs` rewrites it."""
    command = [sys.executable, str(ROOT / "compat" / "clients" / "page.py")]
    written = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert (ROOT / "docs" / "clients.md").read_text(encoding="utf-8") == written


@pytest.mark.parametrize("rig", ["conformance", "proxies", "servers"])
def test_a_page_of_what_was_measured_is_what_is_kept(rig: str, tmp_path: Path) -> None:
    """No figure of these pages was put in by hand: written anew of the rows in tools/seen they are as they are; `make docs` does it."""
    page = ROOT / "docs" / f"{rig}.md"
    again = tmp_path / page.name
    again.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, str(ROOT / "tools" / f"{rig}.py"), "--kept", "--page", str(again)]
    subprocess.run(command, check=True, timeout=60)
    assert page.read_text(encoding="utf-8") == again.read_text(encoding="utf-8")


def test_the_site_builds_without_a_warning_and_leads_to_every_page(tmp_path: Path) -> None:
    """Every page of docs is in its navigation, every link between them arrives, and nothing on it comes from another server."""
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False, timeout=300)
    assert (built.returncode, built.stderr) == (0, "")
    named = set(re.findall(r":\s+(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert named == {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    loaded = re.compile(r'<(?:script|img|iframe)[^>]*\ssrc="?(https?:[^">\s]+)|<link[^>]*rel="?stylesheet"?[^>]*href="?(https?:[^">\s]+)')
    assert [found for page in tmp_path.rglob("*.html") for found in loaded.findall(page.read_text(encoding="utf-8"))] == []


def test_the_page_of_models_is_current() -> None:
    """What docs/models.md says is what the catalogue says; `make docs` rewrites it."""
    assert (ROOT / "docs" / "models.md").read_text(encoding="utf-8") == runpy.run_path(str(ROOT / "tools" / "models_page.py"))["page"]()


def test_every_error_code_has_a_meaning_and_a_row() -> None:
    """There is no code that a caller can get and not look up."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert set(CODES) == set(MEANING)
    assert [code for code in CODES if f"| `{code}` |" not in page] == []


def test_the_changelog_opens_with_the_version_of_the_code() -> None:
    """Nobody releases a version that the changelog does not describe."""
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == aisa.__version__


def test_decisions_are_numbered_without_a_gap_and_have_the_same_four_parts() -> None:
    """A decision can be cited by number, and says what was given up and what would change our mind."""
    numbered = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [path.name[:4] for path in numbered] == [f"{number:04}" for number in range(1, len(numbered) + 1)]
    for path in numbered:
        headings = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Choice", "What we give up", "What would change our mind"], path.name


def test_no_file_names_a_package_host_or_a_path_of_one_machine() -> None:
    """The project builds wherever a package index is configured, whichever it is."""
    found = [
        f"{name}: {match[0]}"
        for name, text in text_files()
        for match in [*HOSTS.finditer(text), *LOCAL_PATHS.finditer(text)]
        if name not in FREE_TO_NAME
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["see `relay.py`", "in `keys/`", "in src/aisa/nowhere", "`docs/gone.md`", "`*/absent.py`", "  gone.py 300"]
)
def test_the_gate_on_paths_sees_one_that_does_not_exist(text: str) -> None:
    """Every way in which a page can mention a path is read."""
    assert missing(paths_named(text), ["src/aisa/money.py", "docs/errors.md"]) != set()


@pytest.mark.parametrize("text", ["`text/event-stream`", "and/or", "`POST /v1/x`", "https://example.com/a.md/", "`money.py`", "`a*/m*.py`"])
def test_the_gate_on_paths_lets_other_words_pass(text: str) -> None:
    """A media type, a route or an address is not a path of ours, and one that exists is no fault."""
    assert missing(paths_named(text), ["src/aisa/money.py", "docs/errors.md"]) == set()


@pytest.mark.parametrize("text", ["https://py" + "pi.org/simple", "FROM docker" + ".io/x", "cd /ho" + "me/me/x", "(/tm" + "p/x)"])
def test_the_gate_on_machines_sees_a_host_and_a_local_path(text: str) -> None:
    """A gate that lets its own counter-example pass guards nothing."""
    assert HOSTS.search(text) or LOCAL_PATHS.search(text)
