"""Restarts under load: behind real nginx and HAProxy one replica after the other, and on a handed socket. `make restarts` does more of it.

Skipped by name where a proxy is not installed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy_rig import PRODUCTS
from restart_rig import handed_over, rolling

CLIENTS = 12


@pytest.mark.parametrize("name", ["nginx", "HAProxy"])
def test_a_rolling_restart_loses_no_stream(name: str, tmp_path: Path) -> None:
    """[issue 13] Two replicas, each restarted once behind its proxy's file: nothing refused, broken, or without its end."""
    if PRODUCTS[name].program() is None:
        pytest.skip(f"{name} is not installed")
    outcome = rolling(name, tmp_path, restarts=2, clients=CLIENTS)
    assert not outcome.lost, outcome
    assert outcome.whole > 3 * CLIENTS


def test_an_upgrade_on_a_handed_socket_loses_no_stream(tmp_path: Path) -> None:
    """[issue 13] Clients that come while nobody accepts wait for the next server; those in a stream get its end."""
    outcome = handed_over(tmp_path, restarts=2, clients=CLIENTS)
    assert not outcome.lost, outcome
    assert outcome.whole > 3 * CLIENTS
