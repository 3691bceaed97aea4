"""Writes AWS's binary event stream, for scripts of what Bedrock sends. AWS's own reader judges it in a test."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

JSON = {":content-type": "application/json"}


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One frame, with headers that are texts."""
    written = b"".join(
        len(name.encode()).to_bytes(1, "big") + name.encode() + b"\x07" + len(value.encode()).to_bytes(2, "big") + value.encode()
        for name, value in headers.items()
    )
    prelude = (16 + len(written) + len(payload)).to_bytes(4, "big") + len(written).to_bytes(4, "big")
    whole = prelude + crc32(prelude).to_bytes(4, "big") + written + payload
    return whole + crc32(whole).to_bytes(4, "big")


def event(name: str, payload: Any) -> bytes:
    """An event of this name."""
    return frame({":message-type": "event", ":event-type": name, **JSON}, json.dumps(payload, ensure_ascii=False).encode())


def exception(name: str, payload: Any) -> bytes:
    """A failure inside the stream."""
    return frame({":message-type": "exception", ":exception-type": name, **JSON}, json.dumps(payload).encode())


def error(code: str, message: str) -> bytes:
    """A failure that nobody has a shape for."""
    return frame({":message-type": "error", ":error-code": code, ":error-message": message}, b"")


def frames_of(entries: list[list[Any]]) -> bytes:
    """The stream of a case: entries of a name and a payload; a name with `!` is an exception's, one with `!!` an error's."""
    written = b""
    for name, payload in entries:
        if name.startswith("!!"):
            written += error(name[2:], payload)
        else:
            written += exception(name[1:], payload) if name.startswith("!") else event(name, payload)
    return written
