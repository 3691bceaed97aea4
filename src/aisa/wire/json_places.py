"""Where in a body stands what makes it no strict JSON, for refusals alone. Reads each body once more, and quotes nothing of it but names.

Places are bytes of the body, counted from 0, or the names that lead to an object.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

from aisa.errors import ApiError
from aisa.wire.trees import Tree, is_list, is_tree

NAME_CHARACTERS_MAX = 64  # of a key in a message
PATH_CHARACTERS_MAX = 200
LOOKED_AT_BYTES_MAX = 4_194_304  # for a place: some tenths of a second; what stands behind is told without one
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
BRACKET = re.compile(STRING + rb"|([{}\[\]])", re.DOTALL)
NUMBER = re.compile(STRING + rb"|(-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)", re.DOTALL)
ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
ESCAPE_BYTES = 6  # of one with a number
FIRST, SECOND = (b"d8", b"d9", b"da", b"db"), (b"dc", b"dd", b"de", b"df")  # how the numbers of halves begin
#: How a text begins in other encodings than UTF-8, or with a mark that no JSON has; the longer ones first.
BEGINNINGS = (
    (b"\xef\xbb\xbf", "it begins with a byte order mark (bytes 0 to 2). Send UTF-8 without one"),
    (b"\xff\xfe\x00\x00", "it is UTF-32. Send it as UTF-8"),
    (b"\x00\x00", "it is UTF-32. Send it as UTF-8"),
    (b"{\x00\x00\x00", "it is UTF-32. Send it as UTF-8"),
    (b"\xff\xfe", "it is UTF-16. Send it as UTF-8"),
    (b"\xfe\xff", "it is UTF-16. Send it as UTF-8"),
    (b"{\x00", "it is UTF-16. Send it as UTF-8"),
    (b"\x00{", "it is UTF-16. Send it as UTF-8"),
    (b"\x1f\x8b", "it is compressed as gzip. Say so with `Content-Encoding: gzip`"),
    (b"\x28\xb5\x2f\xfd", "it is compressed as zstd. Say so with `Content-Encoding: zstd`"),
)

QUOTED = "JSON has double quotation marks around names and texts"
#: What people write in the place of JSON, by how a body goes on where it goes wrong, and what would be right.
SLIPS = (
    ((b"'",), QUOTED),
    ((b"\xe2\x80\x98", b"\xe2\x80\x99", b"\xe2\x80\x9c", b"\xe2\x80\x9d", b"\xe2\x80\x9e"), f"{QUOTED}, none that are curved"),
    ((b"\\",), f"{QUOTED}, without a backslash in front: look at what the shell makes of yours"),
    ((b"True", b"False", b"None"), "JSON writes true, false and null, in small letters"),
    ((b"NaN", b"Infinity", b"-Infinity"), "JSON has no such number"),
    ((b"//", b"/*", b"#"), "JSON has no comments"),
    ((b"\n", b"\r"), "A line break within a text is written as a backslash and an n"),
    ((b"\t",), "A tab within a text is written as a backslash and a t"),
)
BYTE = re.compile(r"\(byte ([0-9]+)\)")


class Twice(dict[str, object]):
    """An object in which a key is there twice."""

    key = ""


def as_object(members: list[tuple[str, object]]) -> Tree:
    """Return an object, marked if one of its keys is there twice."""
    found: Tree = {}
    for name, value in members:
        if name in found:
            marked = Twice(members)
            marked.key = name
            return marked
        found[name] = value
    return found


def key_twice(body: bytes) -> ApiError:
    """Return the refusal of a body, which decodes, with the same key twice in one object."""
    tree: object = json.loads(body, object_pairs_hook=as_object, parse_int=len, parse_float=len)
    path, found = next(marked(tree, ""), ("", Twice()))
    key, where = shown(found.key), f"the object at '{path}'" if path else "its outermost object"
    message = f"The JSON body has the same key twice in one object: '{key}' in {where}. Send it once."
    return ApiError("json_parse_error", message, param=f"{path}.{key}" if path else key)


def marked(value: object, path: str) -> Iterator[tuple[str, Twice]]:
    """Yield the marked objects in a value, each with the path that leads to it."""
    if isinstance(value, Twice):
        yield path[:PATH_CHARACTERS_MAX], value
    if is_tree(value):
        for name, inner in value.items():
            if is_tree(inner) or is_list(inner):
                yield from marked(inner, f"{path}.{shown(name)}" if path else shown(name))
    elif is_list(value):
        for place, inner in enumerate(value):
            if is_tree(inner) or is_list(inner):
                yield from marked(inner, f"{path}[{place}]")


def shown(name: str) -> str:
    """Return so much of a key as a message may have, without what cannot be printed."""
    return "".join([each if each.isprintable() else "?" for each in name[:NAME_CHARACTERS_MAX]])


def not_utf8(body: bytes) -> ApiError:
    """Return the refusal of a body with a string that is not UTF-8."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        where = f" at byte {error.start}"
    else:
        where = ""
    return ApiError("json_parse_error", f"The JSON body is not valid UTF-8{where}. Send text in UTF-8, or with \\u escapes.")


def beginning(body: bytes) -> str:
    """Return what a body is, by how it begins, and what to do; nothing if that is usual."""
    return next((told for mark, told in BEGINNINGS if body.startswith(mark)), "")


def slip(said: str, body: bytes) -> str:
    """Return what the decoder has said with the place as an editor shows it and, of what is often written so, what would be right."""
    found = BYTE.search(said)
    if found is None:
        return f"truncated: it ends at byte {len(body)}, with something still open" if said == "truncated" else said
    place = int(found[1])
    right = next((right for wrong, right in SLIPS if body.startswith(wrong, place)), QUOTED if "keys must be strings" in said else "")
    before = body[:place]
    if b"\n" in body:
        line, column = before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        said = f"{said[: found.end() - 1]}; line {line}, column {column}{said[found.end() - 1 :]}"
    return f"{said}. {right}" if right else said


def out_of_range(body: bytes) -> str:
    """Return where a number stands that is beyond all doubles; nothing if that is not found."""
    for found in NUMBER.finditer(body, 0, LOOKED_AT_BYTES_MAX):
        if found[1] and math.isinf(float(found[1])):
            return f" (byte {found.start()})"
    return ""


def too_deep(body: bytes, levels: int) -> str:
    """Return where more than so many levels are open; nothing if that is not found."""
    depth = 0
    for found in BRACKET.finditer(body, 0, LOOKED_AT_BYTES_MAX):
        if found[1]:
            depth += 1 if found[1] in b"{[" else -1
            if depth > levels:
                return f" (byte {found.start()})"
    return ""


def half_a_pair(body: bytes) -> str:
    """Return where an escape stands that is half of a surrogate pair; nothing if that is not found."""
    first = -1  # where the first half of a pair stands whose second is due
    for found in ESCAPE.finditer(body, 0, LOOKED_AT_BYTES_MAX):
        half = found[1][:2].lower() if found[1] else b""
        follows = first >= 0 and found.start() == first + ESCAPE_BYTES and half in SECOND
        if first >= 0 and not follows:
            break
        if half in SECOND and not follows:
            return f" (byte {found.start()})"
        first = found.start() if half in FIRST else -1
    return f" (byte {first})" if first >= 0 else ""
