"""What is asked of whatever proves tokens. Knows no library."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from aisa.config.identity import IdentitySettings
from aisa.identity.rules import Claims


class Proven(NamedTuple):
    """What a token says that was proven, by the key with a mark. `not_before` and `expires` are UNIX seconds.

    Of its `claims` there are `sub`, its times and those that the settings name, each of these as the list of its texts.
    """

    claims: Claims
    digest: bytes
    signed_by: bytes
    not_before: int
    expires: int


class Prover(Protocol):
    """Proves tokens of one provider. Nothing is waited for."""

    @property
    def settings(self) -> IdentitySettings:
        """What its claims mean here."""
        ...

    def prove(self, token: str) -> Proven:
        """Return what a token says. Raises ApiError: invalid_api_key, expired_api_key; overloaded while that cannot be known."""
        ...

    def known(self, token: str) -> Proven | None:
        """Return what a token says that was proven before by a key that its provider has still, whether or not it has ended since."""
        ...

    def is_good(self, digest: bytes) -> bool:
        """Say whether the token with this SHA-256 was proven by a key that its provider has still, and has not ended."""
        ...
