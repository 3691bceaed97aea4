"""Accepts connections for others to serve, and does nothing else with them: no connection waits for a process that is busy or has died."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from aisa.http.sockets import BACKLOG_CONNECTIONS_MAX

ACCEPT_PAUSE_SECONDS = 1.0  # without file descriptors, as asyncio waits
ACCEPTS_PER_TURN_MAX = 16  # so that a burst of them does not keep others waiting
NOBODY_PAUSE_SECONDS = 0.02  # while nobody takes any: they wait in the kernel's queue


class Acceptor:
    """Accepts on a listening socket until it is closed. `take` gets each connection and owns it; `wanted` says whether anybody would."""

    def __init__(self, listener: socket.socket, take: Callable[[socket.socket], None], wanted: Callable[[], bool] = lambda: True) -> None:
        self._listener = listener
        self._take = take
        self._wanted = wanted
        self._loop = asyncio.get_running_loop()
        listener.listen(BACKLOG_CONNECTIONS_MAX)
        self._loop.add_reader(listener, self._accept)

    def close(self, *, leave: bool = False) -> None:
        """Accept what waits already, and no more: what is left in a queue that is closed would be reset.

        With `leave` it stays there, for whoever has the socket too.
        """
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            with suppress(OSError):
                while self._wanted() and not leave:
                    self._take(self._listener.accept()[0])
            self._listener.close()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN_MAX):
            if not self._wanted():
                self._pause(NOBODY_PAUSE_SECONDS)
                return
            try:
                accepted, _address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                context = {"message": f"no connection can be accepted for {ACCEPT_PAUSE_SECONDS:g} s", "exception": error}
                self._loop.call_exception_handler(context)
                self._pause(ACCEPT_PAUSE_SECONDS)
                return
            self._take(accepted)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)
