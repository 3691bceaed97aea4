"""How many connections fit the file descriptors that this process may have. Raises the soft limit to the hard one; opens nothing."""

from __future__ import annotations

import resource
from collections.abc import Iterable

from aisa.http.connection import CONNECTIONS_OVER_MAX

#: For database, journal, log, listeners, the control socket and its clients, and connections that are told that they are too many.
OWN_DESCRIPTORS = 64 + CONNECTIONS_OVER_MAX
DESCRIPTORS_WANTED_MAX = 1 << 20  # systems without a limit name one of a milliard; nothing here grows so far
DESCRIPTORS_MIN = 48  # with which a server that serves CONNECTIONS_MIN clients can begin: its files and sockets, and a database's
CONNECTIONS_MIN = 8  # of clients, however few descriptors there are: the operator can look and stop
TLS_DESCRIPTORS = 2  # of a client's connection over TLS: its own, and the one that its delivery is measured by


def raise_limit() -> int:
    """Have as many descriptors as the system allows this process, and return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED_MAX)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def clients_that_fit(descriptors: int, vendor_connections: Iterable[int], *, tls: bool) -> int:
    """Return how many clients can be connected at once, with a reserve for connections to vendors, of which each call needs one.

    `vendor_connections` are the most of each vendor. The reserve is what these come to, but not more than one for each client.
    """
    each = TLS_DESCRIPTORS if tls else 1
    room = descriptors - OWN_DESCRIPTORS
    vendors = sum(vendor_connections)
    return max(CONNECTIONS_MIN, (room - vendors) // each, room // (each + 1) if vendors else room // each)
