"""The one time that a secret is shown: whoever asked for it has it then, or is told that he has not."""

from __future__ import annotations

from aisa.cli.problems import Stop
from aisa.cli.terminal import heard


def say_secret(text: str, remedy: str) -> None:
    """Write the first text of a command, with a secret that nobody can get again. Raises Stop, with what to do, if nobody reads it."""
    if not heard(text, literal=True):
        raise Stop("nobody has read the secret", [("standard output", "Its reader has gone, and the secret with it.", remedy)])
