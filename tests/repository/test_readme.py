"""Gates on the README and the pages: the commands that they give exist, and their examples are well formed. Runs none of them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from aisa.cli.commands import aisa
from aisa.cli.price_check import price_problems
from aisa.cli.usage_table import COLUMNS
from aisa.config.load import load
from aisa.vendors.table import ROWS
from repository.source import ROOT
from repository.test_packaging import targets

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = {path.name: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]}
PAGES = GUIDES | {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
COMMAND = re.compile(r"(?:^|\$\()(?:\w+=\S+ )?(?:\.venv/bin/)?aisa( [^#\n)]+)", re.MULTILINE)
LISTED = re.compile(r"^    (?=(?:\w+=\S+ )?aisa )(.*?)(?: {3,}.*)?$", re.MULTILINE)  # indented, with what is said of it beside it
INLINE = re.compile(r"`((?:\.venv/bin/)?aisa [a-z][^`\n]*)`")  # in a sentence
every_guide = pytest.mark.parametrize("name", GUIDES)
every_page = pytest.mark.parametrize("name", PAGES)
#: Whose YAML is not ours: clients' own files, and scenarios.
OTHERS = {"clients.md", "simulate.md"}
#: An environment in which every vendor is whole, as a page may name one without saying more.
WHOLE = {name: "x-1" for row in ROWS.values() if row.sign is None for name in row.key_variables}
WHOLE |= {"AZURE_OPENAI_ENDPOINT": "https://r-1.openai.azure.com", "AWS_REGION": "eu-west-1", "GOOGLE_CLOUD_PROJECT": "p"}


def blocks(language: str, text: str = README) -> list[str]:
    """Return the fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_readme_opens_with_what_this_is_and_the_two_commands() -> None:
    """A reader knows after one screen what it is, how to start it and how to test it."""
    first_screen = "\n".join(README.splitlines()[:30])
    assert first_screen.index("make serve") < first_screen.index("make test")


@every_page
def test_every_make_command_is_a_target(name: str) -> None:
    """A command that is copied from the page works."""
    text = PAGES[name]
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", "\n".join(blocks("sh", text) + re.findall(r"`([^`\n]+)`", text))))
    assert named <= targets()
    assert named or name != "README.md"


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_ours_is_understood(name: str) -> None:
    """Its name, its arguments and its options are there: in blocks, where commands are listed, and in sentences."""
    places = [*blocks("sh", PAGES[name]), *LISTED.findall(PAGES[name]), *INLINE.findall(PAGES[name])]
    commands = [found for place in places for found in COMMAND.findall(place)]
    for command in commands:
        context = aisa.make_context("aisa", words := shlex.split(command), resilient_parsing=True)
        group: click.Command = aisa
        while isinstance(group, click.Group) and words:  # a sentence may mean a whole group
            _, words, _ = group.make_parser(context).parse_args([*words])  # `aisa calls` has options of its own
            if not words:
                break
            found, group_, rest = group.resolve_command(context, words)
            assert found is not None, command
            assert group_ is not None, command
            group, words = group_, rest
        if not isinstance(group, click.Group):
            group.make_parser(context).parse_args([*words])


@every_page
def test_every_python_block_compiles(name: str) -> None:
    """An example that is copied into a file is Python."""
    for number, block in enumerate(blocks("python", PAGES[name])):
        compile(block, f"{name} python block {number}", "exec")


@every_guide
def test_every_curl_command_sends_a_whole_json_document(name: str) -> None:
    """The body between the quotes reaches the server as the JSON that it looks like."""
    lines = [line for block in blocks("sh", GUIDES[name]) for line in block.replace("\\\n", " ").splitlines()]
    commands = [line for line in lines if line.startswith("curl")]
    assert commands or name != "README.md"
    for command in commands:
        words = shlex.split(command)
        bodies = [words[place + 1] for place, word in enumerate(words) if word in {"-d", "--data", "--json"}]
        assert all(isinstance(json.loads(body), dict) for body in bodies), command


@pytest.mark.parametrize("name", sorted(PAGES.keys() - OTHERS))
def test_every_configuration_is_accepted(name: str, tmp_path: Path) -> None:
    """[fault P8] A configuration that is copied from the page starts a server, given the variables that it and the known vendors name."""
    text = PAGES[name]
    environment = {**dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "x"), **WHOLE}
    for block in blocks("yaml", text):
        (tmp_path / "aisa.yaml").write_text(block, encoding="utf-8")
        config = load(str(tmp_path / "aisa.yaml"), environment, {}).config
        assert config.models or name not in GUIDES


@pytest.mark.parametrize("name", GUIDES)
def test_every_configuration_of_a_guide_is_whole(name: str, tmp_path: Path) -> None:
    """[fault P8] It names each vendor and price that it needs itself, so `config check` has nothing to say given the variables in it."""
    for block in blocks("yaml", GUIDES[name]):
        (tmp_path / "aisa.yaml").write_text(block, encoding="utf-8")
        loaded = load(str(tmp_path / "aisa.yaml"), dict.fromkeys(re.findall(r"\$\{(\w+)\}", block), "x"), {})
        assert list(price_problems(loaded.config, loaded.origins)) == []


def test_the_command_is_explained_before_it_is_used() -> None:
    """In commands to paste and in sentences; what the server itself has printed shows the path that works."""
    text = re.sub(r"^```text\n.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    first = re.search(r"(?<![\w/])aisa (?:{})\b".format("|".join(aisa.commands)), text)
    assert first is not None
    assert text.index("which here is `.venv/bin/aisa`") < first.start()


def test_every_proxy_s_file_says_how_clients_addresses_come_through() -> None:
    """Without `trusted_proxies` every client has the proxy's address, and whoever copies the file reads it there."""
    files = sorted((ROOT / "deploy" / "proxies").iterdir())
    assert files
    for path in (*files, ROOT / "docs" / "proxies.md"):
        assert "trusted_proxies" in path.read_text(encoding="utf-8"), path.name


def test_the_readme_shows_what_the_product_tells() -> None:
    """[fault P17] A bill with its arithmetic, sums and what is left of a cap, a wallet's statement, how the server is."""
    shown = "\n".join(blocks("text"))
    for heads in (
        ("TOKENS", "GENERATED", "DELIVERED", "BILLED", "SOURCE"),
        ("KEY", *COLUMNS),
        ("WHEN", "KIND", "AMOUNT", "REFERENCE", "NOTE"),
    ):
        assert re.search(r"^" + r" +".join(heads) + "$", shown, re.MULTILINE), heads
    for command in ("usage", "explain", "wallet", "status"):
        assert f"$ aisa {command}" in shown
        assert command in aisa.commands
    assert "`make test` takes" in README


def test_what_is_captured_stands_between_markers() -> None:
    """Output shown in the page can be taken again and put back in the same place."""
    begun = re.findall(r"<!-- captured:([a-z-]+):begin -->", README)
    ended = re.findall(r"<!-- captured:([a-z-]+):end -->", README)
    assert begun == ended
    assert len(begun) >= 2
