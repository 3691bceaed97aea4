"""Which model a refused request asked for, where the refusal came before anybody had read it. Judges nothing."""

from __future__ import annotations

import msgspec

READ_BYTES_MAX = 1_048_576  # of a body, a millisecond; of a larger one the refusal names no model


class Named(msgspec.Struct):
    """What is looked at of a body."""

    model: str = ""


NAMED = msgspec.json.Decoder(Named)


def asked_model(body: bytes, address: str) -> str:
    """Return the model that a body names, else the one in an address such as `NAME:generateContent`; empty if neither does."""
    model, colon, _method = address.rpartition(":")
    if colon or len(body) > READ_BYTES_MAX:
        return model
    try:
        return NAMED.decode(body).model
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the last of arrays within arrays
        return ""
