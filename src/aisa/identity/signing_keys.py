"""The keys that an identity provider signs with: fetched at the start, every ten minutes, and when a token is of one that is not known.

They are fetched beside calls and never for one to wait on. Keys that were fetched count until the provider answers with others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

import jwt
import msgspec

from aisa.config.identity import IdentitySettings, is_safe_way
from aisa.credentials.port import Question, Send
from aisa.errors import ApiError, UpstreamFailed
from aisa.facts import Fact, ServerNotice, ServerWarning
from aisa.outages import Outage
from aisa.wire.trees import as_list

RENEW_SECONDS = 600.0  # so long at most counts a key that its provider has withdrawn, and whatever it has signed
RETRY_SECONDS = 60.0  # after a failure
#: Fetches for keys that are not known, beside the others: who invents names must not set the pace, and one that was published a moment
#: after the last fetch must be found. So there are two at once, and one more each ten seconds: eight in any minute at most.
LOOKS_AT_ONCE = 2
LOOK_SECONDS = 10.0
FIRST_SECONDS = 5.0  # after a failure while there are none: nobody is let in, and a provider that starts beside us is soon there
FETCH_SECONDS_MAX = 20.0
KEYS_MAX = 100  # of one provider; usual are two to four
TRIES_MAX = 8  # of keys for one token whose name tells no single one of them: each costs some 50 µs, and anybody may send tokens
RSA_BITS_MIN = 2_048  # RFC 7518, 3.3: a key that is shorter can be found by others
DISCOVERY = "/.well-known/openid-configuration"
OF_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
#: What a provider may sign with: never by a secret that verifiers share, and never not at all (RFC 8725).
ALGORITHMS = frozenset({*OF_RSA, "ES256", "ES384", "ES512", "EdDSA"})
#: What a key may sign with that does not say it, by its kind; of an elliptic curve the one that its curve says.
UNSAID: Mapping[str, tuple[str, ...]] = MappingProxyType({"RSA": OF_RSA, "OKP": ("EdDSA",)})
#: What makes a key that key, whatever else is said of it (RFC 7638).
OF_A_KEY = ("kty", "crv", "n", "e", "x", "y")


class SigningKey(NamedTuple):
    """A key for one way to sign, with its name if it has one. `mark` tells it from all others, and from itself for another way."""

    name: str | None
    mark: bytes
    made: jwt.PyJWK

    @property
    def algorithm(self) -> str:
        """What it is for."""
        return self.made.algorithm_name


class _Discovered(msgspec.Struct):
    """What of a discovery document is used."""

    issuer: str
    jwks_uri: str


class _Set(msgspec.Struct):
    """A set of keys (RFC 7517). Each is read by itself, as one of a kind that is new must not take the others with it."""

    keys: list[dict[str, object]]


class SigningKeys:
    """A provider's keys. Belongs to the event loop; `now` is its time in seconds."""

    def __init__(self, settings: IdentitySettings, send: Send, report: Callable[[Fact], None], *, loop: asyncio.AbstractEventLoop) -> None:
        self._settings = settings
        self._send = send
        self._report = report
        self._loop = loop
        self._keys: tuple[SigningKey, ...] = ()
        self._marks: frozenset[bytes] = frozenset()
        self._looked_until = 0.0  # when, with one look each LOOK_SECONDS, the last one so far would have been due again
        self._sought: dict[str | None, float] = {}  # names that were lately fetched for, and when
        self._failed_at: float | None = None
        self._outage = Outage()
        self._fetching: asyncio.Task[None] | None = None
        self._renewal: asyncio.TimerHandle | None = None

    def find(self, name: str | None, signed_by: str) -> tuple[SigningKey, ...]:
        """Return the keys that may have signed a token that says by which algorithm, and which key's name it gives if any.

        Those of that name; if there are none, those without one (RFC 7517 asks for no names); of a token without a name all.
        Raises ApiError: invalid_api_key if the provider has none, overloaded while that is not known.
        """
        named = [key for key in self._keys if name is None or key.name == name] or [key for key in self._keys if key.name is None]
        found = tuple(key for key in named if key.algorithm == signed_by)[:TRIES_MAX]
        if found:
            return found
        if name is not None and any(key.name == name for key in named):
            raise ApiError("invalid_api_key", "The token is signed in another way than its key is for.")
        self.look(name)
        raise ApiError("invalid_api_key", "The token is signed by no key of the identity provider of this server.")

    def has(self, mark: bytes) -> bool:
        """Say whether the provider has a key still, as it was when it was fetched last."""
        return mark in self._marks

    def look(self, name: str | None) -> None:
        """Fetch for a token of a key that is not here, unless that was done lately.

        Raises ApiError overloaded while nobody knows whether there is such a key: that is under way, or was in vain.
        """
        if self._fetching is None and self._may_look(name):
            self.fetch()
        if self._fetching is not None:
            raise ApiError("overloaded", "The identity provider's signing keys are not here yet. Try again soon.", retry_after=1)
        if self._failed_at is not None or not self._keys:
            what = "The identity provider does not answer, and this token is signed by none of the keys that it had before. Try again soon."
            raise ApiError("overloaded", what, retry_after=FIRST_SECONDS)

    def fetch(self) -> None:
        """Begin to fetch, unless that is under way."""
        if self._fetching is None:
            self._fetching = self._loop.create_task(self._fetched())

    def _may_look(self, name: str | None) -> bool:
        """Say whether to fetch for a key that is not known, and count that. One that a fetch did not find is not there for a while."""
        now = self._loop.time()
        self._sought = {each: at for each, at in self._sought.items() if now < at + LOOK_SECONDS}
        due = max(self._looked_until, now) + LOOK_SECONDS
        failed = self._failed_at is not None and now < self._failed_at + RETRY_SECONDS  # then it is asked again by itself
        if failed or name in self._sought or due > now + LOOKS_AT_ONCE * LOOK_SECONDS:
            return False
        self._looked_until = due
        self._sought[name] = now
        return True

    async def _fetched(self) -> None:
        wait = RENEW_SECONDS
        try:
            async with asyncio.timeout(FETCH_SECONDS_MAX):
                self._keys = await self._ask()
            self._marks = frozenset(key.mark for key in self._keys)
            if self._outage.end():
                self._report(ServerNotice("the identity provider's signing keys are here again"))
            self._failed_at = None
        except (UpstreamFailed, OSError, TimeoutError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            wait = RETRY_SECONDS if self._keys else FIRST_SECONDS
            why = error.detail or error.error.message if isinstance(error, UpstreamFailed) else str(error) or "it did not answer in time"
            if self._outage.is_news(why):
                kept = "those of before count" if self._keys else "no token is taken until then"
                self._report(ServerWarning(f"the signing keys of {self._settings.issuer} cannot be fetched: {why}; {kept}"))
            self._failed_at = self._loop.time()
        finally:
            self._fetching = None
        if self._renewal is not None:
            self._renewal.cancel()
        self._renewal = self._loop.call_later(wait, self.fetch)

    async def _ask(self) -> tuple[SigningKey, ...]:
        url, issuer = self._settings.keys_url, self._settings.issuer
        if url is None:
            found = msgspec.json.decode(await self._get(issuer.rstrip("/") + DISCOVERY), type=_Discovered)
            if found.issuer != issuer:
                raise ValueError(
                    f"its discovery document is that of {found.issuer[:200]!r}; `identity.issuer` must be the same to the letter"
                )
            url = found.jwks_uri
            if not is_safe_way(url, local=not issuer.startswith("https:")):
                said = f"its discovery document says that they are at {url[:200]!r}, which is no https:// address"
                raise ValueError(f"{said}, so others could put theirs in their place; have that corrected, or write `identity.keys_url`")
        keys = read_set(msgspec.json.decode(await self._get(url), type=_Set).keys)
        if not keys:
            raise ValueError(f"there is no key for signatures at {url[:200]}")
        return keys

    async def _get(self, url: str) -> bytes:
        reply = await self._send(Question(url))
        if reply.status != 200:
            moved = ", and nothing is followed to where it would lead" if 300 <= reply.status < 400 else ""
            raise ValueError(f"{url[:200]} answered {reply.status}{moved}")
        return reply.body


def read_set(keys: list[dict[str, object]]) -> tuple[SigningKey, ...]:
    """Return the keys of a set that signatures are checked with. Keys of kinds that nobody here knows, or too weak, are left out."""
    found: dict[tuple[str | None, bytes], SigningKey] = {}
    for each in keys[:KEYS_MAX]:
        name = each.get("kid")
        if not for_signatures(each) or not (name is None or isinstance(name, str)):
            continue
        try:
            public = {member: each[member] for member in (*OF_A_KEY, "alg") if member in each}
            made = [jwt.PyJWK(public, algorithm) for algorithm in algorithms_of(each)]
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        for key in made:  # one name may be that of several (RFC 7517, 4.5)
            if key.algorithm_name in ALGORITHMS and not (key.algorithm_name in OF_RSA and key.key.key_size < RSA_BITS_MIN):
                mark = sha256(msgspec.json.encode([key.algorithm_name, *(each.get(member) for member in OF_A_KEY)])).digest()
                found[name, mark] = SigningKey(name, mark, key)
    return tuple(found.values())


def for_signatures(key: Mapping[str, object]) -> bool:
    """Say whether a key is there to check such signatures, and nobody who reads it can sign: no secret, no private half."""
    operations, said = key.get("key_ops"), key.get("alg")
    meant = key.get("use", "sig") == "sig" and (operations is None or "verify" in as_list(operations))
    taken = said is None or (isinstance(said, str) and said in ALGORITHMS)
    return meant and taken and key.get("kty") != "oct" and "d" not in key


def algorithms_of(key: Mapping[str, object]) -> tuple[str | None, ...]:
    """Return what a key may sign with; None for what it says itself."""
    kind = key.get("kty")
    return UNSAID.get(kind, (None,)) if isinstance(kind, str) and key.get("alg") is None else (None,)
