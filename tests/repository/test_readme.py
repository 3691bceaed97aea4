"""Gates on the README: the commands that it gives exist, and its examples are well formed. Does not run the examples."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from aisa.config.load import load
from repository.source import ROOT
from repository.test_packaging import targets

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the fenced blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_readme_opens_with_what_this_is_and_the_two_commands() -> None:
    """A reader knows after one screen what it is, how to start it and how to test it."""
    first_screen = "\n".join(README.splitlines()[:30])
    assert first_screen.index("make serve") < first_screen.index("make test")


def test_every_make_command_in_the_readme_is_a_target() -> None:
    """A command that is copied from the page works."""
    named = set(re.findall(r"\bmake ([a-z]+)", "\n".join(blocks("sh") + re.findall(r"`([^`\n]+)`", README))))
    assert named
    assert named <= targets()


def test_every_python_block_compiles() -> None:
    """An example that is copied into a file is Python."""
    assert blocks("python")
    for number, block in enumerate(blocks("python")):
        compile(block, f"README python block {number}", "exec")


def test_every_curl_command_sends_a_whole_json_document() -> None:
    """The body between the quotes reaches the server as the JSON that it looks like."""
    commands = [command for block in blocks("sh") for command in block.replace("\\\n", " ").splitlines() if command.startswith("curl")]
    assert commands
    for command in commands:
        words = shlex.split(command)
        bodies = [words[place + 1] for place, word in enumerate(words) if word in {"-d", "--data", "--json"}]
        assert all(isinstance(json.loads(body), dict) for body in bodies), command


def test_every_configuration_is_accepted(tmp_path: Path) -> None:
    """A configuration that is copied from the page starts a server, given the variables that it names."""
    assert blocks("yaml")
    environment = {"OPENAI_API_KEY": "sk-x", **dict.fromkeys(re.findall(r"\$\{(\w+)\}", README), "x")}
    for block in blocks("yaml"):
        (tmp_path / "aisa.yaml").write_text(block, encoding="utf-8")
        assert load(str(tmp_path / "aisa.yaml"), environment, {}).config.models


def test_what_is_captured_stands_between_markers() -> None:
    """Output shown in the page can be taken again and put back in the same place."""
    begun = re.findall(r"<!-- captured:([a-z-]+):begin -->", README)
    ended = re.findall(r"<!-- captured:([a-z-]+):end -->", README)
    assert begun == ended
    assert len(begun) >= 2
