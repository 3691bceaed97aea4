"""Proves tokens by the keys of their provider, with PyJWT. Each is proven once and then known until it ends."""

from __future__ import annotations

import jwt

from aisa.clock import WallClock
from aisa.config.identity import IdentitySettings
from aisa.errors import ApiError
from aisa.identity import rules
from aisa.identity.port import Proven
from aisa.identity.rules import Claims
from aisa.identity.signing_keys import ALGORITHMS, SigningKeys
from aisa.keys.rules import digest

LEEWAY_SECONDS = 30  # that the provider's clock may differ from ours
TOKENS_MAX = 20_000  # that are known as proven, some 1 KB each; the one that was proven first goes, and is proven again
TOKEN_CHARACTERS_MAX = 16_384  # more than a request's head may have
NEEDED = ("exp", "iat", "iss", "aud", "sub")
TIMES = ("exp", "iat", "nbf")


class Tokens:
    """Proves tokens of one provider."""

    def __init__(self, settings: IdentitySettings, signing_keys: SigningKeys, wall_clock: WallClock) -> None:
        self._settings = settings
        self._signing_keys = signing_keys
        self._wall_clock = wall_clock
        self._proven: dict[bytes, Proven] = {}

    @property
    def settings(self) -> IdentitySettings:
        """What the claims mean here."""
        return self._settings

    def prove(self, token: str) -> Proven:
        """Return what a token says. Raises ApiError: invalid_api_key, expired_api_key; overloaded without the provider's keys."""
        known = self.known(token)
        if known is None:
            known = self._prove(token)
            self._proven[known.digest] = known
            if len(self._proven) > TOKENS_MAX:
                del self._proven[next(iter(self._proven))]
        now = self._wall_clock()
        if known.expires + LEEWAY_SECONDS <= now:
            raise ApiError("expired_api_key", "The token has expired. Get another one from your identity provider.")
        if known.not_before - LEEWAY_SECONDS > now:
            raise ApiError("invalid_api_key", "The token is not valid yet, or this server's clock is wrong.")
        return known

    def known(self, token: str) -> Proven | None:
        """Return what a token says that was proven before, whether or not it has ended since."""
        return self._proven.get(digest(token))

    def is_good(self, digest: bytes) -> bool:
        """Say whether the token with this SHA-256 was proven and has not ended."""
        known = self._proven.get(digest)
        return known is not None and self._wall_clock() < known.expires + LEEWAY_SECONDS

    def _prove(self, token: str) -> Proven:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise unproven("it is longer than any that is taken")
        try:
            head = jwt.get_unverified_header(token)
            signed_by = head.get("alg")
            if not isinstance(signed_by, str) or signed_by not in ALGORITHMS:
                raise unproven("it is signed in a way that is not taken")
            key = self._signing_keys.find(head.get("kid"), signed_by)
            # Its times are compared by whoever has our clock.
            options = {"require": list(NEEDED), "verify_exp": False, "verify_nbf": False, "verify_iat": False}
            claims: Claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                options=options,  # type: ignore[arg-type]  # a TypedDict that only PyJWT's own modules name
            )
        except jwt.InvalidAudienceError:
            raise unproven(f"it is not for {self._settings.audience!r}") from None
        except jwt.InvalidIssuerError:
            raise unproven(f"it is not of {self._settings.issuer}") from None
        except jwt.MissingRequiredClaimError as error:
            raise unproven(f"it has no claim {error.claim!r}") from None
        except jwt.PyJWTError:
            raise unproven("its signature or its form is not right") from None
        if not claims["sub"]:
            raise unproven("it names nobody: `sub` is empty")
        for name in TIMES:
            if name in claims and not rules.is_second(claims[name]):
                raise unproven(f"its {name!r} is no time")
        return Proven(claims, digest(token), rules.second_of(claims, "nbf"), rules.second_of(claims, "exp"))


def unproven(why: str) -> ApiError:
    """Return the refusal of a token."""
    return ApiError("invalid_api_key", f"The token is not taken: {why}.")
