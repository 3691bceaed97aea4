"""Every fact that the server reports. Logs, metrics and traces are made from these and from nothing else."""

from __future__ import annotations

import msgspec

from aisa.usage import Usage


class CallEnded(msgspec.Struct, frozen=True, tag="call"):
    """One call came to its end, however it ended. Times are seconds since the call was read; None when it did not happen."""

    request_id: str
    outcome: str
    status: int
    model: str
    stream: bool
    key_id: str
    key_label: str
    target: str
    attempts: int
    usage: Usage
    first_token_seconds: float | None
    total_seconds: float
    bytes_sent: int
    client_request_id: str | None = None
    error_code: str | None = None


class VendorFailed(msgspec.Struct, frozen=True, tag="vendor_failed"):
    """An attempt at a vendor failed. `loud` asks for an operator: our credential or our quota with the vendor."""

    request_id: str
    vendor: str
    model: str
    code: str
    detail: str
    loud: bool


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A request ended before it became a call: bad key, bad body, unknown route."""

    request_id: str
    status: int
    code: str
    method: str
    path: str
    client_request_id: str | None = None


class BugFound(msgspec.Struct, frozen=True, tag="bug"):
    """An exception that should not exist reached the edge; `trace` goes to the log only."""

    request_id: str
    trace: str


class KeysChanged(msgspec.Struct, frozen=True, tag="keys_changed"):
    """A key was created, imported or revoked."""

    action: str
    key_id: str
    label: str


class ServerNotice(msgspec.Struct, frozen=True, tag="server"):
    """Something about the server as a whole: ready, draining, stopped."""

    message: str


Fact = CallEnded | VendorFailed | Refused | BugFound | KeysChanged | ServerNotice
