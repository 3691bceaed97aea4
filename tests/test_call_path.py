"""The code that runs for one streamed call does not grow unnoticed: what `make path` counts stays below what ARCHITECTURE.md says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
COUNT = re.compile(r"(?P<way>the bytes|the call): (\d+) files of (\d+) lines, (\d+) functions of (\d+) lines, of which (\d+) run")
STATED = re.compile(r"(?P<way>the bytes|the call) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|")
STALE_SHARE_MIN = 0.8  # a page that states a quarter more than there is has not been looked at for long


def figures(pattern: re.Pattern[str], text: str) -> dict[str, list[int]]:
    """Return the five figures of each way in a text."""
    return {match["way"]: [int(figure.replace(",", "")) for figure in match.groups()[1:]] for match in pattern.finditer(text)}


def test_the_path_of_a_call_is_as_long_as_the_architecture_page_says() -> None:
    """[fault A1] Files, functions and lines of both ways are at most those of the page's table, and not far below."""
    command = [sys.executable, str(ROOT / "tools" / "call_path.py")]
    measured = figures(COUNT, subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    stated = figures(STATED, (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert measured.keys() == stated.keys() == {"the bytes", "the call"}
    for way, counts in measured.items():
        for count, bound in zip(counts, stated[way], strict=True):
            assert STALE_SHARE_MIN * bound <= count <= bound, f"{way}: {counts} measured, {stated[way]} stated"
