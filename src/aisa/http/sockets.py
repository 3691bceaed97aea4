"""Sockets before they are used, and the state of accepted ones. Does not accept, connect, read or write."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import stat
import struct
import sys
import termios
from collections.abc import Mapping, MutableMapping
from functools import cache

BACKLOG_CONNECTIONS_MAX = 4_096  # a burst of reconnecting clients; the kernel caps it by its own setting
# Throttling must reach the upstream quickly and little may be lost with a client that leaves: the kernel's defaults swallow
# megabytes of a stream that nobody reads.
SEND_BUFFER_BYTES = 32_768
UNSENT_BYTES_MAX = 16_384
# On loopback a segment has 64 KB, more than the buffer holds: the reader would get half a segment at a time, and acknowledge each only
# after its delay of 40 ms. Elsewhere segments are smaller than this anyway.
SEGMENT_BYTES_MAX = 8_192

FIRST_HANDED = 3  # the number of the first descriptor that is handed over
HANDED_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
TCP_CLOSE = 7  # the kernel's number for a connection that the peer has reset
_PROGRESS = struct.Struct("=B119xQQ")  # of the kernel's tcp_info: state, bytes acknowledged, bytes received
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", None)


def cut_off(descriptor: int) -> None:
    """Shut down the connection behind a descriptor, which stays somebody else's to close. Raises OSError."""
    with socket.socket(fileno=os.dup(descriptor)) as end:
        end.shutdown(socket.SHUT_RDWR)


def reached_at(host: str) -> str:
    """Return the address by which other machines reach what listens on `host`: itself, or for one that means all of them this machine's.

    That is the one from which packets would leave towards the internet. None is sent; without a way there it is the machine's name.
    """
    outside = {"0.0.0.0": (socket.AF_INET, "192.0.2.1"), "::": (socket.AF_INET6, "2001:db8::1")}.get(host)  # noqa: S104 - only compared
    if outside is None:
        return host
    family, address = outside  # of documentation, so nobody has it
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


def tcp_listener(host: str, port: int) -> socket.socket:
    """Bind a TCP socket to the first address of `host` that can be bound. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            set_options(listener)
            listener.bind(address)
        except OSError as error:
            listener.close()
            failure = error
            continue
        listener.setblocking(False)
        return listener
    raise failure or OSError(f"{host} has no address to listen on")


def set_options(listener: socket.socket) -> None:
    """Set what accepted connections are to have: Linux hands it down to them, which saves system calls there. Raises OSError."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":  # others take no segment's size for a socket that is not connected
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES_MAX)
    if _NOTSENT_LOWAT is not None:
        listener.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT_BYTES_MAX)


def is_handed(environment: Mapping[str, str]) -> bool:
    """Say whether whoever started this process has a listening socket for it (systemd's socket activation)."""
    return environment.get("LISTEN_PID") == str(os.getpid()) and environment.get("LISTEN_FDS", "0") != "0"


def handed_listener(environment: MutableMapping[str, str]) -> socket.socket | None:
    """Return the listening socket that this process was started with, None if it was started with none. Raises OSError if it is unfit.

    The variables that told of it are taken away, as they are not meant for processes that this one starts.
    """
    handed, number = is_handed(environment), environment.get("LISTEN_FDS")
    for name in HANDED_VARIABLES:
        environment.pop(name, None)
    if not handed:
        return None
    if number != "1":
        raise OSError(f"{number} sockets were handed over; one is needed, for the API")
    listener = socket.socket(fileno=FIRST_HANDED)
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise OSError("the socket that was handed over is none of TCP that listens")
    listener.setblocking(False)
    listener.set_inheritable(False)
    set_options(listener)
    return listener


def vendor_socket(address: str, receive_buffer_bytes: int) -> socket.socket:
    """Return a TCP socket that is not connected yet, for the family of an address literal. Raises OSError.

    The buffer is set here because the window that a connection can ever offer is fixed when it opens.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named: else asyncio would not set TCP_NODELAY
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    return opened


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


def tcp_descriptor(transport: asyncio.BaseTransport) -> int | None:
    """Return the file descriptor of a TCP connection that the kernel tells about; None of others, and where it tells nothing.

    Raises OSError.
    """
    accepted = transport.get_extra_info("socket")
    if sys.platform != "linux" or accepted is None or accepted.family == socket.AF_UNIX or not kernel_counts():
        return None
    descriptor: int = accepted.fileno()
    return descriptor


@cache
def kernel_counts() -> bool:
    """Say whether the kernel counts what `tcp_progress` returns: some sandboxes that imitate Linux do not. Raises OSError."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        far, _ = listener.accept()
        with far:
            near.send(b"x")
            far.recv(1)
            return tcp_progress(far.fileno())[2] == 1


def tcp_progress(descriptor: int) -> tuple[int, int, int]:
    """Return the kernel's state number of a TCP connection, and the bytes that the peer has acknowledged and that it has sent.

    Of an accepted connection the opening counts for none, an end (FIN) for one byte. Raises OSError.
    """
    borrowed = _borrowed(descriptor)
    try:
        told = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _PROGRESS.size)
    finally:
        borrowed.detach()
    state, acknowledged, received = _PROGRESS.unpack(told.ljust(_PROGRESS.size, b"\0"))
    return state, acknowledged, received


def peer_address(transport: asyncio.BaseTransport) -> str:
    """Return the address of a connection's other end, nothing of a unix socket or one that is gone already."""
    name: object = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else ""  # pyright: ignore[reportUnknownArgumentType] - of an address any system has


def unacknowledged_bytes(descriptor: int) -> int:
    """Return how much of what the kernel has taken the peer has not acknowledged. Raises OSError."""
    told = bytearray(4)
    fcntl.ioctl(descriptor, termios.TIOCOUTQ, told)
    return int.from_bytes(told, sys.byteorder)


def throw_away_at_close(descriptor: int) -> None:
    """Make the close of a TCP connection a reset, at which the kernel forgets what it has not sent. Raises OSError."""
    borrowed = _borrowed(descriptor)
    try:
        borrowed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    finally:
        borrowed.detach()


def _borrowed(descriptor: int) -> socket.SocketType:
    """Return the interpreter's bare socket on a descriptor that somebody else owns: a third of the cost of what uvloop offers."""
    return socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
