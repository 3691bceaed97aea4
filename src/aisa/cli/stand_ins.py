"""Reads a configuration for commands that ask no vendor: what is a key in the environment need not be set in their shell."""

from __future__ import annotations

from collections.abc import Mapping

from aisa.cli.terminal import paint, say
from aisa.config.load import ConfigErrors, Loaded, load

STAND_IN = "not-set-in-this-shell"


def load_without_keys(file: str | None, environment: Mapping[str, str], overrides: Mapping[str, object]) -> Loaded:
    """Return a configuration as it would be if the variables were set that the environment lacks, and say which. Raises ConfigErrors."""
    try:
        return load(file, environment, overrides)
    except ConfigErrors as errors:
        names = list(dict.fromkeys(each.split()[0] for each in errors.lacking))  # of `A or B` the first: both would make two vendors of one
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
