"""When a certificate ends, read from its file. Judges nothing else of it: TLS does."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

SEQUENCE, UTC_TIME, GENERALIZED_TIME, EXPLICIT_VERSION = 0x30, 0x17, 0x18, 0xA0
MARK = "-----END CERTIFICATE-----"


def end_of(pem: bytes) -> int:
    """Return the UNIX second at which the first certificate of a PEM file ends. Raises ValueError or IndexError if there is none."""
    text = pem.decode("latin-1")
    text = text[text.index("-----BEGIN CERTIFICATE-----") : text.index(MARK) + len(MARK)]
    certificate, _ = inside(ssl.PEM_cert_to_DER_cert(text), 0, SEQUENCE)
    fields, at = inside(certificate, 0, SEQUENCE)[0], 0
    if fields[0] == EXPLICIT_VERSION:
        at = after(fields, at)
    for _field in ("serial number", "signature algorithm", "issuer"):
        at = after(fields, at)
    validity, _ = inside(fields, at, SEQUENCE)
    return moment(validity, after(validity, 0))


def length_at(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the value at a place begins, and how long it is."""
    first = der[at + 1]
    if first < 0x80:
        return at + 2, first
    count = first & 0x7F
    return at + 2 + count, int.from_bytes(der[at + 2 : at + 2 + count])


def inside(der: bytes, at: int, tag: int) -> tuple[bytes, int]:
    """Return the content of the value at a place, which must have a tag, and where the next one begins. Raises ValueError."""
    if der[at] != tag:
        raise ValueError(f"tag {der[at]:#x} in the place of {tag:#x}")
    begin, length = length_at(der, at)
    return der[begin : begin + length], begin + length


def after(der: bytes, at: int) -> int:
    """Return where the value behind the one at a place begins."""
    begin, length = length_at(der, at)
    return begin + length


def moment(der: bytes, at: int) -> int:
    """Return the UNIX second that stands at a place, in one of the two forms that certificates have. Raises ValueError."""
    form = "%y%m%d%H%M%SZ" if der[at] == UTC_TIME else "%Y%m%d%H%M%SZ"
    text, _ = inside(der, at, UTC_TIME if der[at] == UTC_TIME else GENERALIZED_TIME)
    return int(datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC).timestamp())
