"""AWS's credentials: keys from the environment or from AWS's own chain, and a signature with them on each request. Resolves no chain."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from aisa.config.schema import Vendor
from aisa.credentials.aws_clock import VendorClock
from aisa.credentials.aws_signature import Keys, Scope, Unsigned, signature
from aisa.credentials.expiring import REFUSED_AGAIN_SECONDS
from aisa.credentials.port import FORBIDDEN
from aisa.credentials.renewal import CredentialFailed, Renewal
from aisa.credentials.rules import Proof
from aisa.providers.port import UpstreamRequest

DEFAULT = "default"  # what AWS's own clients would take; any other name is a profile's
ACCESS_KEY, SECRET_KEY, SESSION_TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
SERVICE = "bedrock"
PORTS = {"https": ":443", "http": ":80"}  # that no host's header names
HELD_SECONDS = 300.0  # that keys are held: those of a chain are good for ten minutes more whenever it gives them
#: AWS's addresses of a service, which name the region.
OF_AWS = re.compile(r"[\w-]+\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.(?:amazonaws\.com(?:\.cn)?|api\.aws|vpce\.amazonaws\.com)", re.ASCII)

#: Gets keys, and for how many seconds they hold. Raises CredentialFailed or OSError.
KeysSource = Callable[[], Awaitable[tuple[Keys, float]]]
#: Returns what resolves AWS's own chain for a profile, nothing for the usual one. Raises CredentialFailed where that cannot be had.
Chain = Callable[[str], KeysSource]


class Place(NamedTuple):
    """Where signed requests go: the host as in its header, what its path begins with, what its query always has, and the scope."""

    host: str
    prefix: str
    query: str
    scope: Scope


class Signed:
    """Signs each request with the keys at hand; implements `credentials.port.Credential`."""

    def __init__(self, vendor: str, place: Place, source: KeysSource, *, clock: VendorClock) -> None:
        self._place = place
        self._keys: Renewal[Keys] = Renewal(vendor, source)
        self._clock = clock
        self._refused_at = -REFUSED_AGAIN_SECONDS

    def proof(self, request: UpstreamRequest, now: float) -> Proof | None:
        """Sign a request; None if there are no keys yet."""
        keys = self._keys.held(now)
        return None if keys is None else self._signed(request, keys)

    async def fetch(self, request: UpstreamRequest) -> Proof:
        """Wait for keys, and sign. Raises UpstreamFailed."""
        return self._signed(request, await self._keys.wait())

    def refused(self, proof: Proof, status: int, headers: Mapping[str, str]) -> bool:
        """Give up keys that AWS does not take any more, as when they were replaced where they come from: those are fetched at once.

        They are not to blame where AWS has another time than the request: it is signed anew with that.
        """
        now = asyncio.get_running_loop().time()
        if status != FORBIDDEN:
            return False
        if self._clock.corrected(proof, headers):
            return True
        keys = self._keys.held(now)
        if keys is None or not signed_by(keys, proof):
            return True  # others have been fetched meanwhile, or are
        if now < self._refused_at + REFUSED_AGAIN_SECONDS:
            return False
        self._refused_at = now
        self._keys.give_up()
        return True

    def _signed(self, request: UpstreamRequest, keys: Keys) -> Proof:
        place = self._place
        path, _, query = request.path.partition("?")
        pairs = "&".join(filter(None, (query, place.query)))
        unsigned = Unsigned(request.method, place.host, place.prefix + path, pairs, request.body)
        return Proof(headers=signature(keys, place.scope, unsigned, at=self._clock.now()))


def signed_by(keys: Keys, proof: Proof) -> bool:
    """Say whether a request was signed with these keys."""
    headers = dict(proof.headers)
    named = headers["authorization"].partition("Credential=")[2].partition("/")[0]
    return (named, headers.get("x-amz-security-token", "")) == (keys.access_key, keys.session_token)


def place_of(vendor: Vendor, environment: Mapping[str, str]) -> Place:
    """Return where a vendor's signed requests go. Raises CredentialFailed if nothing says in which region that is."""
    address = urlsplit(vendor.base_url)
    host = address.netloc.lower().removesuffix(PORTS.get(address.scheme, ":"))
    found = OF_AWS.fullmatch(address.hostname or "")
    region = found["region"] if found else next((value for name in REGIONS if (value := environment.get(name, "").strip())), "")
    if not region:
        raise CredentialFailed(f"Nothing says which region {host} is in: it is no address of AWS, and AWS_REGION is not set.")
    return Place(host, address.path.rstrip("/"), urlencode(vendor.query, quote_via=quote), Scope(region, SERVICE))


def keys_source(name: str, environment: Mapping[str, str], chain: Chain) -> KeysSource:
    """Return where keys come from: for `default` the environment, if they are there, else AWS's own chain. Raises CredentialFailed."""
    access, secret, token = (environment.get(variable, "").strip() for variable in (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN))
    if name != DEFAULT or not (access and secret):
        return chain("" if name == DEFAULT else name)

    async def given() -> tuple[Keys, float]:
        return Keys(access, secret, token), HELD_SECONDS

    return given
