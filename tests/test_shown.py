"""What the README shows is what the commands print."""

from __future__ import annotations

import re

import pytest

from shown import BLOCK, README, all_shown, without_secrets

#: What differs from run to run: numbers with their units, words of the model, beginnings of secrets, bars, the room between columns.
VARYING = (
    (r'"content":"[^"]+"', '"content":"…"'),
    (r"(sk-aisa-|chatcmpl-|link=)\w{4}…", r"\1…"),
    (r"(req|key)_\w+", r"\1_…"),
    (r"started .*? ago", "started … ago"),
    (r"\d[\d,.]*( [KMG]i?B| B|[kM]\b)?", "0"),
    (r"[█▏▎▍▌▋▊▉]+", ""),
    (r" +", " "),
)


def form(text: str) -> list[str]:
    """The lines of an output without what differs from run to run."""
    for pattern, same in VARYING:
        text = re.sub(pattern, same, text)
    return [line.rstrip() for line in text.splitlines()]


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """What every block shows now."""
    return {name: without_secrets(text) for name, text in all_shown().items()}


def test_every_block_of_the_readme_is_shown_by_a_command(shown: dict[str, str]) -> None:
    """[fault P17] None is written by hand."""
    assert {found[1] for found in BLOCK.finditer(README.read_text(encoding="utf-8"))} == set(shown)


def test_what_the_readme_shows_is_what_is_printed_now(shown: dict[str, str]) -> None:
    """[fault P8] But for numbers and the beginnings of secrets; `make shown` takes it again."""
    for found in BLOCK.finditer(README.read_text(encoding="utf-8")):
        assert form(found[3]) == form(shown[found[1]]), f"{found[1]}: make shown"
