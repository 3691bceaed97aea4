"""Strict JSON objects from callers: what two parsers could read differently is refused. Knows no field names."""

from __future__ import annotations

import re

import msgspec

from aisa.errors import ApiError

#: Deeper nesting is refused (contract, section 1): no chat request needs it and parsers that recurse break on it.
DEPTH_MAX = 64

STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
INNERMOST = re.compile(rb"\{\}|\[\]")
NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{}[]")


def parse_object(body: bytes) -> dict[str, object]:
    """Return the JSON object in `body`.

    Raises ApiError json_parse_error for bad syntax, NaN or infinite numbers, duplicate keys, invalid UTF-8 or lone surrogates,
    nesting deeper than DEPTH_MAX, bytes after the end, or a body that is not an object.
    """
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX and deeper_than(body, DEPTH_MAX):
        raise ApiError("json_parse_error", f"The JSON body is nested deeper than {DEPTH_MAX} levels.")
    try:
        tree: object = msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        raise ApiError("json_parse_error", f"The JSON body is not valid UTF-8 (byte {error.start} of a string).") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError("json_parse_error", f"The body is not valid JSON: {reason(error, body)}.") from None
    if not isinstance(tree, dict):
        raise ApiError("json_parse_error", "The JSON body must be an object, such as {\"model\": ..., \"messages\": [...]}.")
    if count_quotes(body) != count_quotes(msgspec.json.encode(tree)):
        # Decoding keeps one of two equal keys, so a string is missing when the tree is written again. Which one counts differs
        # from parser to parser: we would check one value and the vendor would act on the other.
        raise ApiError("json_parse_error", "The JSON body has the same key twice in one object.")
    return tree


def reason(error: Exception, body: bytes) -> str:
    """Say what the decoder found, without quoting the body."""
    if not body.strip():
        return "it is empty"
    if isinstance(error, msgspec.ValidationError):
        return "a number is out of range"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).removeprefix("JSON is malformed: ").removeprefix("Input data was ").rstrip(".") or "malformed"


def count_quotes(text: bytes) -> int:
    """Count the quotation marks that open or close strings in valid JSON."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return text.count(b'"')


def deeper_than(body: bytes, levels: int) -> bool:
    """Tell whether arrays and objects nest deeper than `levels`, peeling one level a pass at C speed."""
    brackets = STRING.sub(b"", body).translate(None, NOT_BRACKETS)
    for _ in range(levels):
        brackets = INNERMOST.sub(b"", brackets)
        if not brackets:
            return False
    return True
