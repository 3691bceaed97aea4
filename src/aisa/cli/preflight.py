"""Looks for what would keep the server from starting: address, data folder, certificate. Leaves everything as it was."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator

from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config, Server, Tls
from aisa.storage.failure import StorageFailed
from aisa.storage.lock import check_folder, control_path

#: What the system says to a listening socket -> what to do about it.
REMEDIES = {
    errno.EADDRINUSE: "Stop what listens there, or choose another port with --port, PORT or server.port.",
    errno.EACCES: "Ports below 1024 need a privilege; choose another one with --port, PORT or server.port.",
    errno.EADDRNOTAVAIL: "The address is not one of this machine's; choose another one with --host, HOST or server.host.",
}


def start_problems(config: Config, errors: ConfigErrors | None) -> list[Problem]:
    """Return what else is in the way. Settings that `errors` is about are left out: what stands there instead was not meant."""

    def sound(*settings: str) -> bool:
        return errors is None or not any(errors.concern(setting) for setting in settings)

    problems: list[Problem] = []
    if sound("server.host", "server.port"):
        problems += listen_problems(config.server)
    if sound("server.data_dir"):
        problems += folder_problems(config.server.data_dir)
    if config.tls is not None and sound("tls.cert", "tls.key"):
        problems += tls_problems(config.tls)
    return problems


def listen_problems(server: Server) -> Iterator[Problem]:
    """Yield what keeps the address from being listened on."""
    try:
        addresses = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no host name"
        yield Problem("server.host", f"The host {server.host!r} cannot be resolved: {reason}.", "Write an address of this machine.")
        return
    for family, kind, protocol, _, address in dict.fromkeys(addresses):
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a closed one's remains are no problem
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                listener.bind(address)
                listener.listen()
            except OSError as error:
                what = f"Nothing can listen on {address[0]} port {server.port}: {os.strerror(error.errno or 0)}."
                yield Problem("server.port", what, REMEDIES.get(error.errno or 0, "Choose another address with --host and --port."))
                return


def folder_problems(data_dir: str) -> Iterator[Problem]:
    """Yield what keeps the data folder from being used."""
    failure = check_folder(data_dir)
    try:
        control_path(data_dir)
    except StorageFailed as too_long:
        failure = failure or too_long
    if failure is not None:
        yield Problem(failure.where, failure.what, failure.remedy)


def tls_problems(tls: Tls) -> Iterator[Problem]:
    """Yield what keeps the certificate from being used."""
    try:
        # A passphrase that cannot be right: without one, OpenSSL would ask for it on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.cert, tls.key, password=b"\x00")
    except (ssl.SSLError, OSError) as error:
        mismatch = getattr(error, "reason", None) == "KEY_VALUES_MISMATCH"
        reason = "do not belong together" if mismatch else "are not a PEM certificate and a PEM key without a passphrase"
        yield Problem("tls", f"The files {tls.cert} and {tls.key} {reason}.", "Name the certificate, with its chain, and its own key.")
