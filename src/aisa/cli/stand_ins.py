"""Reads a configuration for commands that ask no vendor: what is a key in the environment need not be set in their shell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aisa.cli.terminal import paint, say
from aisa.config.load import ConfigErrors, Loaded, Problem, load

STAND_IN = "not-set-in-this-shell"
NAMED = re.compile(r"environment variable (\w+) is unset")
KNOWN = re.compile(r"(?<! or )\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")  # of `A or B` the first


def load_without_keys(file: str | None, environment: Mapping[str, str], overrides: Mapping[str, object]) -> Loaded:
    """Return a configuration as it would be if the variables were set that the environment lacks, and say which. Raises ConfigErrors."""
    try:
        return load(file, environment, overrides)
    except ConfigErrors as errors:
        names = lacking_variables(errors.problems)
        try:
            loaded = load(file, {**environment, **dict.fromkeys(names, STAND_IN)}, overrides)
        except ConfigErrors:
            raise errors from None
    verb = "is" if len(names) == 1 else "are"
    say(
        paint(
            f"{', '.join(names)} {verb} not set in this shell, which asks no vendor: read as if {'it' if verb == 'is' else 'they'} were.",
            dim=True,
        ),
        err=True,
    )
    return loaded


def lacking_variables(problems: Sequence[Problem]) -> list[str]:
    """Return the variables that problems are about which the environment lacks."""
    said = [f"{problem.what} {problem.remedy}" for problem in problems if "environment" in f"{problem.what} {problem.remedy}"]
    return list(dict.fromkeys(name for each in said for name in (*NAMED.findall(each), *KNOWN.findall(each))))
