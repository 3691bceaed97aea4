"""What is wrong with a configuration, as values to collect. Does not look for problems and does not print them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import NamedTuple

from aisa.config.schema import Config

SHOWN_CHARACTERS_MAX = 60  # of a value in a message


class Problem(NamedTuple):
    """One thing that stands in the way: where (a setting with its file and line, or a thing), what is wrong, what to do about it."""

    where: str
    what: str
    remedy: str


class Flaw(NamedTuple):
    """What is wrong with a value, and what to do about it; `lacking` are variables that would mend it."""

    what: str
    remedy: str
    lacking: tuple[str, ...] = ()


def installing(extra: str) -> str:
    """Return the command that installs an extra of this program, as it has to be typed: by its own Python, not the first on the path."""
    return f"{shlex.quote(sys.executable)} -m pip install 'aisa-gateway[{extra}]'"


class ConfigErrors(Exception):
    """Everything that is wrong, at once. `partial` is what could be read, with defaults for the rest; None if nothing could.

    `lacking` are the variables that would mend some of it, if the environment had them; of `A or B` each would do.
    """

    def __init__(self, problems: Sequence[Problem], partial: Config | None = None, *, lacking: Sequence[str] = ()) -> None:
        super().__init__("; ".join(f"{problem.where}: {problem.what}" for problem in problems))
        self.problems = tuple(problems)
        self.partial = partial
        self.lacking = tuple(lacking)

    def concern(self, setting: str) -> bool:
        """Say whether a setting, or the section that it is in, is among the problems, so that `partial` has only its default."""
        named = {problem.where.partition(" ")[0] for problem in self.problems}
        return setting in named or setting.partition(".")[0] in named

    def concern_within(self, section: str) -> bool:
        """Say whether the section, one that it is in, or a setting within it is among the problems."""
        return self.concern(section) or any(problem.where.startswith(f"{section}.") for problem in self.problems)
