"""The way to a vendor, put together from its settings: the pool of connections, and what proves our requests. Opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aisa.clock import wall_clock
from aisa.config.problem import installing
from aisa.config.schema import Vendor
from aisa.credentials.aws import KeysSource
from aisa.credentials.of_vendor import credential_of
from aisa.credentials.renewal import CredentialFailed
from aisa.facts import Fact
from aisa.http.names import Names
from aisa.http.pictures import PictureReader
from aisa.http.pool import HttpUpstream
from aisa.http.token_requests import token_sender
from aisa.timers import Timers


def open_pool(
    name: str, vendor: Vendor, *, names: Names, timers: Timers | None = None, report: Callable[[Fact], None], environment: Mapping[str, str]
) -> HttpUpstream:
    """Return the way to a vendor, with what proves our requests to it."""
    send = token_sender(environment, names=names, timers=timers)
    credential = credential_of(name, vendor, environment, send=send, chain=aws_chain, wall_clock=wall_clock, report=report)
    pictures = PictureReader(timers) if vendor.fetch_pictures else None
    return HttpUpstream(name, vendor, environment, names=names, timers=timers, credential=credential, pictures=pictures)


def aws_chain(profile: str) -> KeysSource:
    """Return what resolves AWS's own chain of credentials. Raises CredentialFailed; AWS's library is an extra, and imported only here."""
    try:
        from aisa.credentials.aws_chain import chain_source
    except ImportError:
        raise CredentialFailed(f"The `aws` extra is not installed: {installing('aws')}") from None
    return chain_source(profile)
