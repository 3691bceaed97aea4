"""Strict JSON objects from callers: what two parsers could read differently is refused. Knows no field names."""

from __future__ import annotations

import re

import msgspec

from aisa.errors import ApiError
from aisa.wire.json_places import beginning, half_a_pair, key_twice, not_utf8, out_of_range, slip, too_deep
from aisa.wire.trees import Tree, is_tree

#: Deeper nesting is refused (contract, section 1): no chat request needs it and parsers that recurse break on it.
DEPTH_MAX = 64

#: Bodies up to this size cannot hold enough values to hurt; larger ones are counted before they are parsed.
COUNTED_BYTES_MIN = 262_144
#: Bounds on what one body may hold, so that parsing it takes tens of milliseconds and not a second of everybody's time. Text inside
#: strings does not count; the largest context windows of 2026 hold no more than this in well-formed requests.
STRINGS_MAX = 200_000
CONTAINERS_MAX = 50_000
SEPARATORS_MAX = 500_000

LONG_BYTES = 256  # between two quotation marks, on average: from there on it is quicker to look for each than to cut at all
STEP_BYTES = 4_096  # that are counted at once: some microseconds, in which no other thread has its turn

#: The first half of a pair that something else follows. At the very end of a body it is not told from a body that was cut there.
HALF_A_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F]|(?:\\(?:u(?:[dD][c-fC-F]?)?)?)?\Z)")

INNERMOST = re.compile(rb"\{\}|\[\]")
PLUNGE = re.compile(rb"[{\[]{%d}" % (DEPTH_MAX + 1))
NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{}[]")


BACKSLASH = ord("\\")  # a number, as `in` of bytes first finds out, by way of an exception, that they are none


def parse_object(body: bytes, such_as: str = '{"model": ..., "messages": [...]}') -> Tree:
    """Return the JSON object in `body`, which is to be `such_as` this.

    Raises ApiError json_parse_error for bad syntax, NaN or infinite numbers, duplicate keys, invalid UTF-8 or lone surrogates,
    nesting deeper than DEPTH_MAX, bytes after the end, or a body that is not an object; request_too_large for too many values.
    """
    large = len(body) > COUNTED_BYTES_MIN
    if large or (len(body) > 2 * DEPTH_MAX and brackets(body) > DEPTH_MAX):
        check_structure(body)
    try:
        tree: object = msgspec.json.decode(body)
    except UnicodeDecodeError:
        raise not_utf8(body) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError("json_parse_error", f"The body is not valid JSON: {reason(error, body)}.") from None
    if not is_tree(tree):
        raise ApiError("json_parse_error", f"The JSON body must be an object, such as {such_as}.")
    again = msgspec.json.encode(tree)
    if again != body and strings(body) != strings(again):  # most clients write as tersely as we do
        # Decoding keeps one of two equal keys, so a string is missing when the tree is written again. Which one counts differs
        # from parser to parser: we would check one value and the vendor would act on the other.
        raise key_twice(body)
    return tree


def reason(error: Exception, body: bytes) -> str:
    """Say what the decoder found, without quoting the body."""
    if not body.strip():
        return "it is empty"
    if told := beginning(body):
        return told
    if isinstance(error, msgspec.ValidationError):
        return f"a number is out of range{out_of_range(body)}: at most 1.79e308 either way"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    said = str(error)
    if "surrogate" in said or ("truncated" in said and HALF_A_PAIR.search(body.replace(rb"\\", b""))):
        place = half_a_pair(body)
        return rf"a string has half of a surrogate pair{place}; \ud83d, for one, needs its other half, such as \ude00, right behind it"
    return slip(said.removeprefix("JSON is malformed: ").removeprefix("Input data was ").rstrip(".") or "malformed", body)


def brackets(body: bytes) -> int:
    """Return how many brackets open in a body, inside strings too. Split, not counted: that skips what lies between at memory's speed."""
    return len(body.split(b"{", DEPTH_MAX + 1)) + len(body.split(b"[", DEPTH_MAX + 1)) - 2


def strings(text: bytes) -> int:
    """Count the quotation marks that open or close strings in valid JSON."""
    return marks(without_escapes(text) if BACKSLASH in text else text)


def marks(text: bytes) -> int:
    """Count the quotation marks in a text. What lies between is skipped at memory's speed, which `count` does not, and in steps."""
    found = end = 0
    while (begin := text.find(b'"', end)) >= 0:
        end = begin + STEP_BYTES
        found += text.count(b'"', begin, end)
    return found


def without_escapes(text: bytes) -> bytes:
    """Return JSON without the escapes that contain a quotation mark or a backslash: the marks left are those around strings."""
    return text.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in text else text


def check_structure(body: bytes) -> None:
    """Raise ApiError if a body nests too deep or holds too many values. Looks at brackets and commas outside strings, at C speed."""
    text = without_escapes(body)
    marked = marks(text)
    if marked > 2 * STRINGS_MAX:
        raise too_many(f"{STRINGS_MAX} strings")
    outside = beside_long(text) if marked * LONG_BYTES < len(text) else b"".join(text.split(b'"')[::2])
    brackets = outside.translate(None, NOT_BRACKETS)
    plunges = PLUNGE.search(brackets) is not None
    if not plunges and len(brackets) > 2 * CONTAINERS_MAX:
        raise too_many(f"{CONTAINERS_MAX} objects and arrays")
    if outside.count(b",") > SEPARATORS_MAX:
        raise too_many(f"{SEPARATORS_MAX} values")
    for _ in range(0 if plunges else DEPTH_MAX):
        brackets = INNERMOST.sub(b"", brackets)
        if not brackets:
            return
    raise ApiError("json_parse_error", f"The JSON body is nested deeper than {DEPTH_MAX} levels{too_deep(body, DEPTH_MAX)}.")


def beside_long(text: bytes) -> bytes:
    """Return what stands outside the strings, which are long: nothing of them is copied, and there is time for others between two."""
    parts: list[bytes] = []
    begin, found = 0, True
    while found:
        mark = text.find(b'"', begin)
        parts.append(text[begin:] if mark < 0 else text[begin:mark])
        begin = text.find(b'"', mark + 1) + 1 if mark >= 0 else 0
        found = begin > 0
    return b"".join(parts)


def too_many(what: str) -> ApiError:
    """The error for a body that would take too long to parse."""
    return ApiError("request_too_large", f"The JSON body holds more than {what}.")
