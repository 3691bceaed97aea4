"""Listening sockets and the state of accepted ones. Does not accept, read or write."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys

BACKLOG_CONNECTIONS_MAX = 4_096  # a burst of reconnecting clients; the kernel caps it by its own setting
# Throttling must reach the upstream quickly and little may be lost with a client that leaves: the kernel's defaults swallow
# megabytes of a stream that nobody reads.
SEND_BUFFER_BYTES = 32_768
UNSENT_BYTES_MAX = 16_384

TCP_CLOSE = 7  # the kernel's number for a connection that the peer has reset
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", None)


def tcp_listener(host: str, port: int) -> socket.socket:
    """Bind a TCP socket to the first address of `host` that can be bound. Raises OSError.

    Options are set here because Linux hands them down to every accepted connection, which saves system calls there.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _NOTSENT_LOWAT is not None:
                listener.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT_BYTES_MAX)
            listener.bind(address)
        except OSError as error:
            listener.close()
            failure = error
            continue
        listener.setblocking(False)
        return listener
    raise failure or OSError(f"{host} has no address to listen on")


def unix_listener(path: str) -> socket.socket:
    """Bind a unix socket that only this user can reach, replacing the file of a server that is no more. Raises OSError."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)  # nobody can have connected before: it does not listen yet
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _remove_stale(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(f"{path} exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # a full backlog also means that somebody listens
    raise OSError(f"another server listens on {path}")


def tcp_state(transport: asyncio.BaseTransport) -> int | None:
    """Return the kernel's state number of a plain TCP connection; None where it cannot be told (TLS, unix sockets, other systems)."""
    if sys.platform != "linux" or transport.get_extra_info("sslcontext") is not None:
        return None
    accepted = transport.get_extra_info("socket")
    if accepted is None or accepted.family == socket.AF_UNIX:
        return None
    state: int = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state
