"""Google's credentials: service accounts, a user's own, and the metadata server of a machine of Google's. Signs, and sends nothing itself.

A service account's key signs a statement of who asks for what, which its token service takes for a token (RFC 7523).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from aisa.clock import WallClock
from aisa.credentials.expiring import Token, TokenSource
from aisa.credentials.port import Question, Send
from aisa.credentials.renewal import CredentialFailed
from aisa.credentials.tokens import ask_for_token

METADATA, DEFAULT = "metadata", "default"  # in place of a file: this machine's account; whatever Google's own clients would take
FILE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
METADATA_VARIABLE = "GCE_METADATA_HOST"
METADATA_HOST = "metadata.google.internal"
METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
GCLOUD_FILE = (
    ".config/gcloud/application_default_credentials.json"  # below the home folder: what `gcloud auth application-default login` leaves
)
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
STATEMENT_SECONDS = 3_600  # for which a signed statement may ask: the most that the service takes
READ_SECONDS_MAX = 2.0  # for a file that is read anew: a network's disk may hang, and what was read last does as well
FILE_BYTES_MAX = 65_536  # of a credentials file; one with a key has 2,400


class _File(msgspec.Struct):
    """The files of all kinds. What a kind needs is checked when it is used."""

    type: str
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    token_uri: str = TOKEN_URL
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""


def google_source(place: str, environment: Mapping[str, str], send: Send, *, wall_clock: WallClock) -> TokenSource:
    """Return what fetches tokens with a credential: a file's path, `metadata` or `default`. Raises CredentialFailed if it is unusable."""
    if place == DEFAULT:
        place = default_place(environment)
    if place == METADATA:
        host = environment.get(METADATA_VARIABLE) or METADATA_HOST
        question = Question(f"http://{host}{METADATA_PATH}", headers=(("metadata-flavor", "Google"),))

        async def from_metadata() -> Token:
            return await ask_for_token(send, question, "Google's metadata server")

        return from_metadata
    return _from_file(place, send, wall_clock=wall_clock)


def default_place(environment: Mapping[str, str]) -> str:
    """Return what Google's own clients would take: the file that the environment names, gcloud's own, or this machine's account."""
    named = environment.get(FILE_VARIABLE, "").strip()
    if named:
        return named
    left = Path(environment.get("HOME") or "/nonexistent") / GCLOUD_FILE
    return str(left) if left.is_file() else METADATA


def _read(path: str) -> _File:
    try:
        with Path(path).open("rb") as file:
            return msgspec.json.decode(file.read(FILE_BYTES_MAX), type=_File)
    except OSError as error:
        raise CredentialFailed(f"the file {path} cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError):  # which a path with a NUL is, too
        raise CredentialFailed(f"the file {path} is no credentials file of Google's") from None


def _from_file(path: str, send: Send, *, wall_clock: WallClock) -> TokenSource:
    """Return what fetches tokens with a file, read anew for each: its key may have been replaced. The last that was usable counts."""
    file = _read(path)
    source = _of_file(file, path, send, wall_clock=wall_clock)

    async def from_newest() -> Token:
        nonlocal file, source
        with suppress(CredentialFailed, TimeoutError):
            async with asyncio.timeout(READ_SECONDS_MAX):
                newest = await asyncio.to_thread(_read, path)
            if newest != file:
                source, file = _of_file(newest, path, send, wall_clock=wall_clock), newest
        return await source()

    return from_newest


def _of_file(file: _File, path: str, send: Send, *, wall_clock: WallClock) -> TokenSource:
    if file.type == "authorized_user":
        form = {"grant_type": "refresh_token", "client_id": file.client_id, "client_secret": file.client_secret}
        question = Question(file.token_uri, {**form, "refresh_token": file.refresh_token})

        async def from_user() -> Token:
            return await ask_for_token(send, question, "Google's token service")

        return from_user
    if file.type != "service_account":
        raise CredentialFailed(f"the file {path} is a credential of the kind '{file.type[:40]}', not of a service account or a user")
    key = _private_key(file.private_key, path)

    async def from_account() -> Token:
        form = {"grant_type": GRANT, "assertion": statement(file, key, int(wall_clock()))}
        return await ask_for_token(send, Question(file.token_uri, form), "Google's token service")

    return from_account


def _private_key(pem: str, path: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CredentialFailed(f"the `private_key` in the file {path} is no private key") from None
    if not isinstance(key, RSAPrivateKey):
        raise CredentialFailed(f"the `private_key` in the file {path} is no RSA key")
    return key


def statement(file: _File, key: RSAPrivateKey, now: int) -> str:
    """Return the signed statement (JWT, RS256) by which an account asks for a token at a UNIX second."""
    head = {"alg": "RS256", "typ": "JWT", **({"kid": file.private_key_id} if file.private_key_id else {})}
    claims = {"iss": file.client_email, "scope": SCOPE, "aud": file.token_uri, "iat": now, "exp": now + STATEMENT_SECONDS}
    signed = b".".join([_unpadded(msgspec.json.encode(part)) for part in (head, claims)])
    return b".".join([signed, _unpadded(key.sign(signed, PKCS1v15(), SHA256()))]).decode()


def _unpadded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
