"""From a vendor's settings to what proves requests to it: its key, or several credentials in turn. Asks nobody, and reads only files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from aisa.clock import WallClock
from aisa.config.schema import Vendor
from aisa.credentials.aws import Chain, KeysSource, Signed, keys_source, place_of
from aisa.credentials.aws_clock import VendorClock
from aisa.credentials.azure import azure_source
from aisa.credentials.expiring import Expiring, Token, TokenSource
from aisa.credentials.google import google_source
from aisa.credentials.port import Credential, Send
from aisa.credentials.renewal import CredentialFailed
from aisa.credentials.rotation import Fixed, Rotation
from aisa.credentials.rules import keys_of, proof_of
from aisa.facts import Fact


def credential_of(
    name: str,
    vendor: Vendor,
    environment: Mapping[str, str],
    *,
    send: Send,
    chain: Chain,
    wall_clock: WallClock,
    report: Callable[[Fact], None],
) -> Credential | None:
    """Return what proves requests to a vendor; None where one key, or nothing, always does. `chain` resolves AWS's own credentials."""
    keys, sources = keys_of(vendor), list(_sources(vendor, environment, send, wall_clock=wall_clock))
    if not sources and not vendor.aws_credentials and len(keys) < 2:
        return None
    members: list[Credential] = [Fixed(proof_of(vendor, key)) for key in keys]
    members += [Expiring(name, source) for source in sources]
    members += _signing(name, vendor, environment, chain=chain, clock=VendorClock(name, wall_clock, report))
    return members[0] if len(members) == 1 else Rotation(name, members, wall_clock=wall_clock, report=report)


def flaws_of(
    vendor: Vendor, environment: Mapping[str, str], *, send: Send, chain: Chain, wall_clock: WallClock
) -> Iterator[tuple[str, str]]:
    """Yield each of a vendor's credentials that cannot be used, as its setting and what is wrong with it."""
    for position, place in enumerate(vendor.google_credentials):
        try:
            google_source(place, environment, send, wall_clock=wall_clock)
        except CredentialFailed as failure:
            yield f"google_credentials.{position}", str(failure)
    for position, profile in enumerate(vendor.aws_credentials):
        try:
            place_of(vendor, environment)
            keys_source(profile, environment, chain)
        except CredentialFailed as failure:
            yield f"aws_credentials.{position}", str(failure)


def _sources(vendor: Vendor, environment: Mapping[str, str], send: Send, *, wall_clock: WallClock) -> Iterator[TokenSource]:
    for place in vendor.google_credentials:
        try:
            yield google_source(place, environment, send, wall_clock=wall_clock)
        except CredentialFailed as failure:
            yield _failing(failure)  # the file went after the start had looked at it: calls fail, and the log says why
    for app in vendor.azure_credentials:
        yield azure_source(app, environment, send)


def _signing(name: str, vendor: Vendor, environment: Mapping[str, str], *, chain: Chain, clock: VendorClock) -> Iterator[Credential]:
    for profile in vendor.aws_credentials:
        source: KeysSource
        try:
            source = keys_source(profile, environment, chain)
            place = place_of(vendor, environment)
        except CredentialFailed as failure:
            yield Expiring(name, _failing(failure))
        else:
            yield Signed(name, place, source, clock=clock)


def _failing(failure: CredentialFailed) -> TokenSource:
    async def fail() -> Token:
        raise failure

    return fail
