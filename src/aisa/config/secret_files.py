"""Reads the files that vendors' settings name in place of a secret, such as `api_key_file`. Looks at no file that none of them names.

A variable of a process never changes, a file does: read at the start and at each reload, it takes another key under open streams.
"""

from __future__ import annotations

import os
import stat

import msgspec

from aisa.config.checks import HEADER_VALUE, is_quoted
from aisa.config.document import Document, Way
from aisa.config.problem import Problem
from aisa.config.schema import AzureApp, Vendor

SECRET_BYTES_MAX = 8_192  # as much as a header's value may have; keys have some two hundred
ALONE = "It is to hold the secret, and nothing else."


def with_secrets(vendors: dict[str, Vendor], document: Document, *, notes: list[Problem]) -> dict[str, Vendor]:
    """Return vendors with the secrets that are in files, beside the files' names. Reports what is wrong; `notes` gets who else may read."""
    reading = _Reading(document, notes)
    return {name: reading.vendor(vendor, ("vendors", name)) for name, vendor in vendors.items()}


class _Reading:
    """One reading of all files. A secret that cannot be had is reported, and stays what it was."""

    def __init__(self, document: Document, notes: list[Problem]) -> None:
        self._document = document
        self._notes = notes

    def vendor(self, vendor: Vendor, way: Way) -> Vendor:
        further = [self._secret(path, (*way, "api_key_files", str(at))) for at, path in enumerate(vendor.api_key_files)]
        return msgspec.structs.replace(
            vendor,
            api_key=self._chosen(vendor.api_key, vendor.api_key_file, (*way, "api_key")),
            api_keys=(*vendor.api_keys, *[secret for secret in further if secret is not None]),
            azure_credentials=tuple(
                [self._app(app, (*way, "azure_credentials", str(at))) for at, app in enumerate(vendor.azure_credentials)]
            ),
        )

    def _app(self, app: AzureApp, way: Way) -> AzureApp:
        secret_way = (*way, "client_secret")
        secret = self._chosen(app.client_secret or None, app.client_secret_file, secret_way)
        if secret is None and not self._reported(secret_way):
            self._document.report(secret_way, "This setting is required.", "Write it, or name a file with it in `client_secret_file`.")
        return msgspec.structs.replace(app, client_secret=secret or "")

    def _reported(self, way: Way) -> bool:
        return any(found in (way, (*way[:-1], f"{way[-1]}_file")) for found, *_ in self._document.found)

    def _chosen(self, written: str | None, path: str | None, way: Way) -> str | None:
        """Return a secret that is written in place or in a file, whose setting's name has `_file` at its end."""
        if path is None:
            return written
        file_way = (*way[:-1], f"{way[-1]}_file")
        if written is not None:
            self._document.report(file_way, f"It stands beside `{way[-1]}`.", "Keep one of the two.")
            return written
        return self._secret(path, file_way)

    def _secret(self, path: str, way: Way) -> str | None:
        try:
            secret, mode = read_secret(path)
        except SecretUnusable as unusable:
            self._document.report(way, unusable.what, unusable.remedy)
            return None
        if mode & stat.S_IROTH:
            what = f"Every user of this machine may read {path} (mode {mode:04o})."
            self._notes.append(Problem(".".join(way), what, f"Close it: chmod o= {path}"))
        return secret


class SecretUnusable(Exception):
    """What is wrong with a file, and what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def read_secret(path: str) -> tuple[str, int]:
    """Return the one line of a file, without its end, and the file's mode. Raises SecretUnusable."""
    try:
        # Not to wait for somebody who writes into a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            data = os.read(descriptor, SECRET_BYTES_MAX + 3) if stat.S_ISREG(mode) else None
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SecretUnusable(f"The file {path} cannot be read: {error.strerror}.", _remedy(path)) from None
    except ValueError:
        raise SecretUnusable("It is no name of a file.", _remedy(path)) from None
    if data is None:
        raise SecretUnusable(f"{path} is no file, but {'a folder' if stat.S_ISDIR(mode) else 'something else'}.", _remedy(path))
    text = data.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise SecretUnusable(f"The file {path} is empty.", ALONE)
    if len(text) > SECRET_BYTES_MAX:
        raise SecretUnusable(f"The file {path} is larger than {SECRET_BYTES_MAX:,} bytes.", ALONE)
    if not HEADER_VALUE.fullmatch(text):
        raise SecretUnusable(f"The file {path} has {'more than one line' if chr(10) in text else 'characters that no key has'}.", ALONE)
    if is_quoted(text):
        raise SecretUnusable(f"In the file {path} the secret stands in quotes, which would be sent with it.", ALONE)
    return text, stat.S_IMODE(mode)


def _remedy(path: str) -> str:
    if path.startswith("~"):
        return f"Only shells fill in a `~`: write {os.path.expanduser(path)}."
    if not os.path.isabs(path):
        return f"Relative names start at the working directory, {os.getcwd()}."
    return "Name a file that the server's user may read, and that holds the secret alone."
