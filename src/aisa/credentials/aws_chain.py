"""AWS's own chain of credentials, as AWS's library resolves it: profiles, single sign-on, roles, containers, machines. Signs nothing.

The library waits for files and networks, and renews what expires a quarter of an hour ahead; it does both in a thread.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from botocore.exceptions import BotoCoreError
from botocore.session import Session

from aisa.credentials.aws import HELD_SECONDS, KeysSource
from aisa.credentials.aws_signature import Keys
from aisa.credentials.renewal import CredentialFailed

SHOWN_CHARACTERS_MAX = 200  # of the library's words in the log
IN_FILES = frozenset(
    ("shared-credentials-file", "config-file", "ec2-credentials-file")
)  # where the library has keys from that do not expire


class _Frozen(Protocol):
    """Keys as the library gives them, which has no types of its own."""

    access_key: str | None
    secret_key: str | None
    token: str | None


class _Credentials(Protocol):
    """What gives keys that are good now; `method` is where it has them from."""

    method: str

    def get_frozen_credentials(self) -> _Frozen:
        """Return them, renewed if need be."""
        ...


def chain_source(profile: str) -> KeysSource:
    """Return what resolves the chain for a profile, nothing for the usual one. Raises CredentialFailed for one that does not exist.

    Keys that stand in a file may have been replaced there, and a profile that gave none may have been mended: the library never looks for
    either, so it is asked anew.
    """
    session, is_old = opened(profile), False

    def resolve() -> Keys:
        nonlocal session, is_old
        if is_old:
            session = opened(profile)
        is_old = True
        keys, method = resolved(session)
        is_old = method in IN_FILES
        return keys

    async def get() -> tuple[Keys, float]:
        return await asyncio.to_thread(resolve), HELD_SECONDS

    return get


def opened(profile: str) -> Session:
    """Return the library's own view of the files of a profile. Raises CredentialFailed."""
    try:
        session = Session(profile=profile or None)
        session.get_scoped_config()
    except BotoCoreError as failure:
        raise CredentialFailed(words_of(failure)) from failure
    return session


def resolved(session: Session) -> tuple[Keys, str]:
    """Return the keys of a chain that are good now, and where the library has them from. Raises CredentialFailed."""
    try:
        credentials = cast("_Credentials | None", session.get_credentials())
        frozen = None if credentials is None else credentials.get_frozen_credentials()
    except Exception as failure:  # a service's refusal is no BotoCoreError, and a process of the operator's may print anything
        raise CredentialFailed(words_of(failure)) from failure
    if credentials is None or frozen is None or not frozen.access_key or not frozen.secret_key:
        raise CredentialFailed("AWS's chain of credentials has none: no keys, profile, role or machine that has any.")
    return Keys(frozen.access_key, frozen.secret_key, frozen.token or ""), credentials.method


def words_of(failure: Exception) -> str:
    """Return what AWS's library says of a failure, for the log; of one that is not its own, also the kind."""
    words = str(failure) if isinstance(failure, BotoCoreError) else f"{type(failure).__name__}: {failure}"
    return "".join([letter if letter.isprintable() else " " for letter in words])[:SHOWN_CHARACTERS_MAX]
