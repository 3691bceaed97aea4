"""The fixtures that every test may ask for: running servers, started when the first test wants them; and how many examples there are."""

from __future__ import annotations

import os
import tempfile

from hypothesis import HealthCheck, settings

from postgres_rig import opened, postgres
from repeats import FACTOR, repeats
from server import front, server

# How long an example takes says something of the machine, and not of the code. A test has the same examples wherever it runs, as Hypothesis
# does by itself where CI is set: what was green here is not red there for an input that nobody tried. `make nightly` draws others.
settings.register_profile(
    "aisa", max_examples=repeats(100), deadline=None, derandomize=FACTOR <= 1, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("aisa")

#: No command that a test runs in its own process finds a server that happens to run on this machine.
NOBODY = tempfile.TemporaryDirectory(prefix="aisa-nobody-")
os.environ["XDG_RUNTIME_DIR"] = NOBODY.name
#: The hundreds of processes that tests start compile the package once, and not each anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

__all__ = ["front", "opened", "postgres", "server"]
