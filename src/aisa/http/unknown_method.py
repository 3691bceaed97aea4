"""Reads a head whose method the parser has never heard of: which methods there are is the routes' to say, and how to refuse the others."""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpRequestParser

# A method's name, without small letters: some servers would read `get` as GET. One that is not all there yet is read anew with the rest.
METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Z-]+(?= |\Z)")


def behind_method(head: bytes, error: HttpParserError) -> HttpRequestParser:
    """Return a parser that has read a head as if its method were GET, and so judges all that follows.

    Raises HttpParserUpgrade where an upgrade is asked for, HttpParserError where what follows is no head; `error` if it begins with no
    method's name.
    """
    method = METHOD.match(head)
    if method is None:
        raise error
    parser = HttpRequestParser(object())
    parser.feed_data(b"GET" + head[method.end() :])
    return parser
