"""Looks for what would keep the server from starting: address, data folder, certificate, proxies. Leaves everything as it was."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from aisa.clock import wall_clock
from aisa.composition import SEAL_KEY_NAME
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config, Server, Tls, Vendor
from aisa.credentials.of_vendor import flaws_of
from aisa.http.address import proxy_for, read_origin
from aisa.http.sockets import is_handed
from aisa.http.token_requests import token_sender
from aisa.keys.first_key import UNTOLD_NAME
from aisa.ledger.left_behind import JOURNAL_NAME
from aisa.process import FIRST_KEY_NAME
from aisa.storage.engine import DATABASE_NAME
from aisa.storage.failure import StorageFailed
from aisa.storage.lock import CONTROL_NAME, SERVER_ID_NAME, check_folder, control_path
from aisa.storage.lost import lost_database
from aisa.vendor_pool import aws_chain

PEM_BYTES_MAX = 65_536  # of a certificate file that are looked at; a long chain has 10,000

#: What the system says to a listening socket -> what to do about it.
REMEDIES = {
    errno.EADDRINUSE: "Stop what listens there, or choose another port with --port, PORT or server.port.",
    errno.EACCES: "Ports below 1024 need a privilege; choose another one with --port, PORT or server.port.",
    errno.EADDRNOTAVAIL: "The address is not one of this machine's; choose another one with --host, HOST or server.host.",
}


def start_problems(config: Config, errors: ConfigErrors | None, environment: Mapping[str, str]) -> list[Problem]:
    """Return what else is in the way. Settings that `errors` is about are left out: what stands there instead was not meant."""
    problems: list[Problem] = []
    if _sound(errors, "server.host", "server.port") and not is_handed(environment):
        problems += listen_problems(config.server, environment)
    if _sound(errors, "server.data_dir"):
        problems += folder_problems(config.server.data_dir, shared=config.stores.database is not None)
    return problems + file_problems(config, errors, environment)


def standing_problems(config: Config, errors: ConfigErrors | None, environment: Mapping[str, str]) -> list[Problem]:
    """Return what would be in the way at any time: all but what depends on what else runs on this machine now."""
    problems = list(host_problems(config.server, environment)) if _sound(errors, "server.host") else []
    return problems + file_problems(config, errors, environment)


def file_problems(config: Config, errors: ConfigErrors | None, environment: Mapping[str, str]) -> list[Problem]:
    """Return what is wrong with the certificate and with the proxies on the way to vendors."""
    problems: list[Problem] = []
    if config.tls is not None and _sound(errors, "tls.cert", "tls.key"):
        problems += tls_problems(config.tls)
    sound = {name: vendor for name, vendor in config.vendors.items() if errors is None or not errors.concern_within(f"vendors.{name}")}
    problems += proxy_problems(sound, environment)
    problems += credential_problems(sound, environment)
    return problems


def _sound(errors: ConfigErrors | None, *settings: str) -> bool:
    return errors is None or not any(errors.concern(setting) for setting in settings)


def host_problems(server: Server, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Yield that the host has no address."""
    try:
        socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no host name"
        remedy = "Write an address of this machine."
        if environment.get("HOST") == server.host:
            remedy = "It is what HOST in the environment says, which conda sets for itself: unset HOST, or say --host 127.0.0.1."
        yield Problem("server.host", f"The host {server.host!r} cannot be resolved: {reason}.", remedy)


def listen_problems(server: Server, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what keeps the address from being listened on."""
    unresolved = list(host_problems(server, environment))
    yield from unresolved
    if unresolved:
        return
    addresses = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
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


def folder_problems(data_dir: str, *, shared: bool) -> Iterator[Problem]:
    """Yield what keeps the data folder from being used. Where the database is `shared` by servers it is not in the folder."""
    failure = check_folder(data_dir)
    try:
        control_path(data_dir)
    except StorageFailed as too_long:
        failure = failure or too_long
    if failure is None:
        failure = next(misplaced(Path(data_dir)), None)
    if failure is None and not shared:
        failure = lost_database(Path(data_dir) / DATABASE_NAME)
    if failure is not None:
        yield Problem(failure.where, failure.what, failure.remedy)


#: What a server has in its folder under which name. What it cannot replace or write there would end it once it has begun to serve.
KINDS = {
    CONTROL_NAME: ("socket", stat.S_ISSOCK),
    **dict.fromkeys(
        (DATABASE_NAME, JOURNAL_NAME, SEAL_KEY_NAME, SERVER_ID_NAME, FIRST_KEY_NAME, UNTOLD_NAME), ("regular file", stat.S_ISREG)
    ),
}


def misplaced(folder: Path) -> Iterator[StorageFailed]:
    """Yield what lies in a data folder under a name of ours and is of another kind, as a folder where a file has to be."""
    for name, (kind, is_of_kind) in KINDS.items():
        path = folder / name
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if not is_of_kind(mode):
            yield StorageFailed(
                str(path), f"What is there is no {kind}, which aisa has under this name.", "Move it away, or choose another folder."
            )


def tls_problems(tls: Tls) -> Iterator[Problem]:
    """Yield what keeps the certificate from being used."""
    try:
        # A passphrase that cannot be right: without one, OpenSSL would ask for it on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.cert, tls.key, password=b"\x00")
    except (ssl.SSLError, OSError) as error:
        if b"PRIVATE KEY-----" in _text(tls.cert) and b"-----BEGIN CERTIFICATE" in _text(tls.key):
            yield Problem("tls", "The certificate and the key are swapped.", f"Write cert: {tls.key} and key: {tls.cert}.")
            return
        mismatch = getattr(error, "reason", None) == "KEY_VALUES_MISMATCH"
        reason = "do not belong together" if mismatch else "are not a PEM certificate and a PEM key without a passphrase"
        yield Problem("tls", f"The files {tls.cert} and {tls.key} {reason}.", "Name the certificate, with its chain, and its own key.")


def _text(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(PEM_BYTES_MAX)
    except OSError:
        return b""


CREDENTIAL_REMEDIES = {
    "google_credentials": "Name the file of a service account, or write `metadata` or `default`.",
    "aws_credentials": "Name a profile of ~/.aws/config, or write `default`, and say the region: AWS_REGION, or in the vendor's base_url.",
}


def credential_problems(vendors: Mapping[str, Vendor], environment: Mapping[str, str]) -> Iterator[Problem]:
    """Yield which credentials cannot be used. No token is fetched."""
    for name, vendor in vendors.items():
        for setting, what in flaws_of(vendor, environment, send=token_sender(environment), chain=aws_chain, wall_clock=wall_clock):
            remedy = CREDENTIAL_REMEDIES[setting.partition(".")[0]]
            yield Problem(f"vendors.{name}.{setting}", f"{what[:1].upper()}{what[1:]}.", remedy)


def proxy_problems(vendors: Mapping[str, Vendor], environment: Mapping[str, str]) -> Iterator[Problem]:
    """Yield which vendors cannot be reached because the proxy on the way to them is of a kind that we do not speak to."""
    for name, vendor in vendors.items():
        try:
            proxy_for(read_origin(vendor.base_url), vendor.proxy, environment)
        except ValueError as error:
            remedy = f"Correct it, name the vendor's host in NO_PROXY, or set vendors.{name}.proxy."
            yield Problem(f"vendors.{name}", f"{str(error)[:1].upper()}{str(error)[1:]}.", remedy)
