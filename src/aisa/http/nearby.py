"""Looks for servers of models on this machine, at their usual ports. Asks only its own address, and only to tell who it is."""

from __future__ import annotations

import re
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from socket import SHUT_RDWR, socket
from threading import Timer

from aisa.vendors.row import Row, Sign
from aisa.vendors.table import ROWS

LOOPBACK = "127.0.0.1"
ANSWER_SECONDS_MAX = 0.5  # a server on this machine answers within milliseconds, a closed port at once; it delays the start
OUR_PATH, OUR_ANSWER = "/health", r'^\s*\{"status":"live"\}\s*$'  # vLLM has the path as well, and says nothing there
BODY_BYTES_MAX = 65_536  # of an answer that are looked at: lists of a server of one's own are short


def look_around(ports_not: Collection[int] = (), rows: Collection[Row] = tuple(ROWS.values())) -> Collection[Row]:
    """Return the rows whose servers answer here, all looked for at once. `ports_not` are not asked: we listen there ourselves."""
    signs = {row.name: row.sign for row in rows if row.sign is not None and row.sign.port not in ports_not}
    with ThreadPoolExecutor(max(1, len(signs)), thread_name_prefix="nearby") as threads:
        there = dict(zip(signs, threads.map(is_there, signs.values()), strict=True))
    return [row for row in rows if there.get(row.name)]


def is_there(sign: Sign) -> bool:
    """Tell whether the server that is looked for answers at its port. One of us is asked no more than how it is, which it logs nowhere."""
    if sign.may_be_ours and answers(sign.port, OUR_PATH, OUR_ANSWER):
        return False
    return answers(sign.port, sign.path, sign.answer)


def answers(port: int, path: str, expected: str) -> bool:
    """Ask for one path at a port, and tell whether a pattern is in the answer.

    A time-out of a socket is one between bytes: who never ends, as a stream of events does, is hung up on.
    """
    connection = HTTPConnection(LOOPBACK, port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.connect()
        hanging_up = Timer(ANSWER_SECONDS_MAX, hang_up, (connection.sock,))
        hanging_up.daemon = True
        hanging_up.start()
        try:
            connection.request("GET", path)
            body = connection.getresponse().read(BODY_BYTES_MAX)
        finally:
            hanging_up.cancel()
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return re.search(expected, body.decode("utf-8", "replace")) is not None


def hang_up(connection: socket) -> None:
    """End what is read from a connection, which may have been closed already."""
    with suppress(OSError):
        connection.shutdown(SHUT_RDWR)
