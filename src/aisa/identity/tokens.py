"""Proves tokens by the keys of their provider, with PyJWT. Each is proven once and then known until it ends."""

from __future__ import annotations

import re

import jwt

from aisa.clock import WallClock
from aisa.config.identity import IdentitySettings
from aisa.errors import ApiError
from aisa.identity import rules
from aisa.identity.port import Proven
from aisa.identity.rules import Claims
from aisa.identity.signing_keys import ALGORITHMS, SigningKey, SigningKeys
from aisa.keys.rules import digest

LEEWAY_SECONDS = 30  # that the provider's clock may differ from ours
TOKENS_MAX = 20_000  # that are known as proven, some 1 KB each; the one that was proven first goes, and is proven again
TOKEN_CHARACTERS_MAX = 16_384  # more than a request's head may have
NEEDED = ("exp", "iat", "iss", "aud", "sub")
TIMES = ("exp", "iat", "nbf")
#: The kinds (`typ`) of token that say who somebody is. Others have the same signature, issuer and audience, and are about something else
#: (RFC 8725, 2.8): a sign-out is told by a claim of its own, where it says no kind (RFC 8417).
OF_PERSONS = re.compile(r"(?:application/)?(?:[\w.-]{0,60}at\+)?jwt", re.IGNORECASE)
OF_EVENTS = "events"


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
        """Return what a token says that was proven before by a key that counts still, whether or not it has ended since."""
        return self._known(digest(token))

    def is_good(self, digest: bytes) -> bool:
        """Say whether the token with this SHA-256 was proven by a key that counts still, and has not ended."""
        known = self._known(digest)
        return known is not None and self._wall_clock() < known.expires + LEEWAY_SECONDS

    def _known(self, digest: bytes) -> Proven | None:
        """Return what was proven. What its provider's keys of today would not prove is as unknown as what never was."""
        found = self._proven.get(digest)
        return found if found is not None and self._signing_keys.has(found.signed_by) else None

    def _prove(self, token: str) -> Proven:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise unproven("it is longer than any that is taken")
        try:
            key, claims = self._signed(token)
        except jwt.InvalidAudienceError:
            raise unproven(f"it is not for {self._settings.audience!r}") from None
        except jwt.InvalidIssuerError:
            raise unproven(f"it is not of {self._settings.issuer}") from None
        except jwt.MissingRequiredClaimError as error:
            raise unproven(f"it has no claim {error.claim!r}") from None
        except jwt.PyJWTError:
            raise unproven("its signature or its form is not right") from None
        if OF_EVENTS in claims:
            raise unproven("it tells of an event")
        if not claims["sub"]:
            raise unproven("it names nobody: `sub` is empty")
        for time in TIMES:
            if time in claims and not rules.is_second(claims[time]):
                raise unproven(f"its {time!r} is no time")
        begins = max(rules.second_of(claims, "nbf"), rules.second_of(claims, "iat"))
        return Proven(rules.counting(self._settings, claims), digest(token), key.mark, begins, rules.second_of(claims, "exp"))

    def _signed(self, token: str) -> tuple[SigningKey, Claims]:
        """Return by which key a token is signed, and what it says. Raises ApiError, and jwt.PyJWTError."""
        head = jwt.get_unverified_header(token)
        name, signed_by = head.get("kid"), head.get("alg")
        if not isinstance(signed_by, str) or signed_by not in ALGORITHMS:
            raise unproven("it is signed in a way that is not taken")
        kind = head.get("typ")
        if kind and not OF_PERSONS.fullmatch(str(kind)):
            raise unproven("it is of a kind (`typ`) that says of nobody who he is")
        keys = self._signing_keys.find(name, signed_by)
        for key in keys:
            claims = self._claims_by(key, token)
            if claims is not None:
                return key, claims
        if name is None or keys[0].name is None:  # none of these was said to be its key, which may have come since
            self._signing_keys.look(name)
        raise unproven("its signature or its form is not right")

    def _claims_by(self, key: SigningKey, token: str) -> Claims | None:
        """Return what a token says if a key has signed it, else None. Raises jwt.PyJWTError for what is wrong with it besides."""
        # Its times are compared by whoever has our clock.
        options = {"require": list(NEEDED), "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        try:
            claims: Claims = jwt.decode(
                token,
                key.made,
                algorithms=[key.algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                options=options,  # type: ignore[arg-type]  # a TypedDict that only PyJWT's own modules name
            )
        except jwt.InvalidSignatureError:
            return None
        return claims


def unproven(why: str) -> ApiError:
    """Return the refusal of a token."""
    return ApiError("invalid_api_key", f"The token is not taken: {why}.")
