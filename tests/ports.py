"""Ports for programs that must be told one, as they cannot say which they took. Not a test."""

from __future__ import annotations

import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 20_000  # below are ports that programs are known by
CHOICE_MIN = 1_000  # fewer are too few to choose from


def free_port() -> int:
    """Return a port that nobody listens on and that the system gives nobody of its own accord, so that it is free still when it is used.

    One that the system had given (port 0) may be given again as soon as it is closed: to another test's server, or to a client as its end.
    """
    given = int(RANGE.read_text(encoding="ascii").split()[0]) if RANGE.exists() else 0
    ports = list(range(LOWEST, given)) if given - LOWEST >= CHOICE_MIN else [0]
    random.SystemRandom().shuffle(ports)
    for port in ports:
        try:
            with socket.create_server(("127.0.0.1", port)) as made:
                return int(made.getsockname()[1])
        except OSError:
            continue
    raise AssertionError("no port is free")
