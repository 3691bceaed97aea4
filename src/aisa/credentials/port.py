"""What the way to a vendor asks of a credential, and a credential of the way to its token service. Knows no vendor, nor how one is kept."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlencode

from aisa.credentials.rules import Proof
from aisa.providers.port import UpstreamRequest

REFUSALS = frozenset({401, 402, 429})  # what a vendor says of who asks and not of what is asked
BAD_REQUEST = 400  # as which Gemini and xAI say it; what a caller wrote and a vendor repeats stands in no such place
BAD_KEY = re.compile(rb'"reason"\s*:\s*"API_KEY_INVALID"|"error"\s*:\s*"Incorrect API key provided')
FORBIDDEN, AWS_KIND = 403, "x-amzn-errortype"  # as which AWS says it, as it does much else, and where it says which it is
AWS_REFUSALS = frozenset(
    "UnrecognizedClientException ExpiredTokenException InvalidSignatureException IncompleteSignatureException "
    "MissingAuthenticationTokenException InvalidClientTokenId ExpiredToken SignatureDoesNotMatch RequestExpired "
    "RequestTimeTooSkewed RequestInTheFuture".split()
)


def refuses_who_asks(status: int, headers: Mapping[str, str], beginning: bytes = b"") -> bool:
    """Say whether a vendor's answer refuses who asks, and not what is asked. `beginning` is that of a bad request's body."""
    if status == BAD_REQUEST:
        return BAD_KEY.search(beginning) is not None
    return status in REFUSALS or (status == FORBIDDEN and headers.get(AWS_KIND, "").partition(":")[0] in AWS_REFUSALS)


class Credential(Protocol):
    """One vendor's, or one of several: an implementation may choose among them. The request is given, as a signature depends on it."""

    def proof(self, request: UpstreamRequest, now: float) -> Proof | None:
        """Return what proves this request at a time in the event loop's seconds, None if that has to be fetched first.

        Every call asks, so this waits for nothing; it may begin to fetch what will be needed soon.
        """
        ...

    async def fetch(self, request: UpstreamRequest) -> Proof:
        """Wait for what proves this request. Raises UpstreamFailed, with the operator to blame, if it cannot be had."""
        ...

    def refused(self, proof: Proof, status: int, headers: Mapping[str, str]) -> bool:
        """Note that the vendor refused what proved a request, as `refuses_who_asks` says. Returns whether another may be tried."""
        ...


class Question(NamedTuple):
    """One request to a token service: a form to post, or, without one, a document to get. All of it may be secret but the address."""

    url: str
    form: Mapping[str, str] | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        """The form as it is sent."""
        return b"" if self.form is None else urlencode(self.form).encode()


class Reply(NamedTuple):
    """What a token service answered."""

    status: int
    body: bytes


#: Sends a question. Raises UpstreamFailed or OSError.
Send = Callable[[Question], Awaitable[Reply]]
