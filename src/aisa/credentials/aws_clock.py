"""What time AWS has, by which requests are signed where this machine's clock is wrong. Signs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from aisa.clock import WallClock
from aisa.credentials.aws_signature import MOMENT
from aisa.credentials.rules import Proof
from aisa.facts import Fact, ServerNotice, ServerWarning

APART_SECONDS = 240.0  # of the five minutes that AWS lets a request's date differ from its own clock
MOMENT_MAX = 32_503_680_000.0  # the year 3000: whoever names a later one has no clock, and some times no date can be written for


class VendorClock:
    """The time at one vendor: this machine's, and how far that is behind, in seconds, as a refusal's own date showed.

    AWS's own clients learn it in the same way. Who tells us is who would have to take the signature.
    """

    def __init__(self, vendor: str, wall_clock: WallClock, report: Callable[[Fact], None]) -> None:
        self._vendor = vendor
        self._wall_clock = wall_clock
        self._report = report
        self._behind = 0.0

    def now(self) -> float:
        """Return the UNIX time at the vendor, in seconds."""
        return self._wall_clock() + self._behind

    def corrected(self, proof: Proof, headers: Mapping[str, str]) -> bool:
        """Say whether a refused request was dated otherwise than its refusal, whose time counts then. The operator is told once."""
        dated = seconds_of(headers.get("date", ""))
        if dated is None or dated > MOMENT_MAX or abs(dated - signed_at(proof)) < APART_SECONDS:
            return False
        if abs(dated - self.now()) >= APART_SECONDS:  # else another call has learned it meanwhile
            self._behind = dated - self._wall_clock()
            self._report(told(self._vendor, self._behind))
        return True


def told(vendor: str, behind: float) -> Fact:
    """Return what the operator is told of a clock that is so many seconds behind a vendor's."""
    if abs(behind) < APART_SECONDS:
        return ServerNotice(f"This machine's clock agrees with that of the vendor '{vendor}' again.")
    how = f"{abs(behind):.0f} s {'behind' if behind > 0 else 'ahead of'}"
    what = f"This machine's clock is {how} that of the vendor '{vendor}', which refused a signature for it and gets its own time now."
    return ServerWarning(f"{what} The times in this server's bills, limits and logs are wrong until the clock is set.")


def signed_at(proof: Proof) -> float:
    """Return the UNIX time at which a request was signed, in seconds."""
    return datetime.strptime(dict(proof.headers)["x-amz-date"], MOMENT).replace(tzinfo=UTC).timestamp()


def seconds_of(date: str) -> float | None:
    """Return the UNIX time of a `Date` header, None if it has none that can be read."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):  # what the parser raises for what is no date
        return None
