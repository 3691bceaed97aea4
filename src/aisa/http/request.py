"""Reading HTTP/1.1 requests, without I/O: bytes in, Requests out. Knows neither sockets nor time nor what a request asks for.

llhttp (httptools) reads the head: characters, line ends, the syntax of the framing headers. What it would still let through is
refused here. A head that it found good is split here, which is faster than a Python callback for every header; bodies are cut out
here, because llhttp does not tell where a message ended. Whether a request is wanted, and with how large a body, somebody else judges
by its head, before a byte of the body is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

from aisa.errors import ApiError
from aisa.http.chunked import ChunkedBody
from aisa.http.unknown_method import behind_method

HEADER_LINES_MAX = 200  # real clients send 10 to 40; bounds the work that many tiny headers would cause within header_bytes_max

# A proxy's form of target: the authority is not ours to check, as we serve every name we are reached by.
_ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class Request(msgspec.Struct):
    """A request. `path` is as sent and has no query; `headers` has lower-case names, repeats joined by a comma and a blank.

    While only its head is there, and when its call has ended, `body` is empty. `memo` is for whoever judges it: what follows from the head
    alone, and not from when it came, is kept there for as long as a connection's heads repeat. `address` is the client's as the connection
    tells it.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    version: str
    memo: object = None
    address: str = ""


#: Judges a request by its head: returns how many bytes its body may have, None for the reader's limit. Raises ApiError.
Judge = Callable[[Request], int | None]

_NO_CALLBACKS = object()
NO_HEADERS: dict[str, str] = {}  # of a request whose answer has begun; never changed
_LENGTH = re.compile(rb"\r\ncontent-length: *", re.IGNORECASE)
#: The names that clients write most, as we read them: one text for all connections.
LOWER = {
    written: name
    for name in (
        "accept accept-encoding accept-language authorization connection content-length content-type host user-agent x-forwarded-for "
        "x-forwarded-proto x-request-id x-stainless-arch x-stainless-async x-stainless-lang x-stainless-os x-stainless-package-version "
        "x-stainless-read-timeout x-stainless-retry-count x-stainless-runtime x-stainless-runtime-version"
    ).split()
    for written in (name, name.title())
}
#: The words of a head's first line that are most often written: likewise. What else comes is nobody's to keep, as no key was looked at.
USUAL = {word: word for word in "GET POST 1.1 /v1/chat/completions /v1/completions /v1/messages /v1/responses".split()}
LENGTH_DIGITS_MAX = 15  # of a body's size, in a head that repeats
TLS_BEGINS = b"\x16\x03"  # a client's first bytes by TLS, which no method of HTTP has
BLANKS = " \t"  # what a header's value may be surrounded by


def _invalid(why: str, head: bytes = b"") -> ApiError:
    if head.startswith(TLS_BEGINS):
        return ApiError("invalid_request", "TLS came where this server speaks plain HTTP: call http://, or set `tls` for https://.")
    return ApiError("invalid_request", f"The request is not valid HTTP/1.1: {why}.")


def _joined(named: list[tuple[str, str, str]]) -> dict[str, str]:
    """Return headers of which some are repeated. Raises ApiError invalid_request if it is the host's name."""
    headers: dict[str, str] = {}
    for written, _, value in named:
        name = written.lower()
        if name in headers and name == "host":
            raise _invalid("the Host header is repeated")
        headers[name] = f"{headers[name]}, {value.strip(BLANKS)}" if name in headers else value.strip(BLANKS)
    return headers


def _nobody(_request: Request) -> int | None:
    raise AssertionError("a reader that was given up was fed")


class RequestReader:
    """Reads the requests of one connection, each of bounded size, one at a time."""

    __slots__ = (
        "_body", "_body_bytes_max", "_chunked", "_header_bytes_max", "_judge", "_length", "_parser", "address", "body_bytes",
        "head", "in_body", "keep_alive", "refusal", "repeated", "request", "rest",
    )  # fmt: skip

    _length: int
    #: What followed a request in the bytes that completed it.
    rest: bytes
    #: Whether another request may follow on the connection.
    keep_alive: bool

    def __init__(self, header_bytes_max: int, body_bytes_max: int, judge: Judge) -> None:
        self._header_bytes_max, self._body_bytes_max, self._judge = header_bytes_max, body_bytes_max, judge
        #: The address of the connection's client.
        self.address = ""
        #: The request whose head was read last, for whoever tells why it was refused; None before the first and while one is read.
        self.request: Request | None = None
        #: Why the request that `feed` has returned was refused by its head.
        self.refusal: ApiError | None = None
        self._parser: HttpRequestParser | None = None
        self.head = b""  # as far as it has come, until it is whole
        #: Of the last head: what stood before and behind the body's length, and the request that it made. A client's next head is most
        #: often the same. Kept from a connection's second request on, as most that are made for one request have no other.
        self.repeated: tuple[bytes, bytes, Request] | None = None
        self._body: bytearray | None = None
        self._chunked: ChunkedBody | None = None
        #: The head is complete, the body is not; so many bytes of it, framing included, have arrived.
        self.in_body = False
        self.body_bytes = 0

    def feed(self, data: bytes) -> Request | None:
        """Take bytes, at least one, the first of a request not being a line end.

        Return the request if they complete it; what then is in `rest` belongs to the next one. One that was refused by its head and came
        whole in these bytes is returned as well, with the `refusal`: the connection can go on after it. Raises what the judge raises, and
        ApiError `invalid_request`, `method_not_allowed` (CONNECT), `headers_too_large` or `request_too_large`; the connection cannot be
        read any further then.
        """
        if self.in_body:
            return self._feed_sized(data) if self._chunked is None else self._feed_chunked(self._chunked, data)
        if self.repeated is not None and not self.head and (request := self._once_more(data, self.repeated)) is not None:
            return request
        again = self.request is not None
        end = self._feed_head(data)
        if not end:
            return None
        head, data = data[:end], data[end:]
        if self._chunked is None and len(data) == self._length:
            self.rest = b""
            request = self._whole(data)
            self.repeated = around_length(head, request) if again else None
            return request
        if self.refusal is not None and (self._chunked is not None or len(data) < self._length):
            raise self.refusal
        self.in_body = True
        return self._feed_sized(data) if self._chunked is None else self._feed_chunked(self._chunked, data)

    def give_up(self) -> None:
        """Read nothing any more, and keep nothing of a request that is not whole."""
        self._body = self._chunked = None
        self.head, self.refusal = b"", None
        self._judge = _nobody  # it knows the connection, which knows us: what both hold would be there until garbage is looked for

    @property
    def is_idle(self) -> bool:
        """Whether no part of a request has arrived."""
        return not (self.head or self.in_body)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for a sign before it sends the body."""
        request = self.request
        told = "" if request is None or request.version != "1.1" else request.headers.get("expect", "").lower()
        return "100-continue" in [expected.strip(BLANKS) for expected in told.split(",")]

    @property
    def held_bytes(self) -> int:
        """How much of an unfinished body is held."""
        held = self._body if self._chunked is None else self._chunked.body
        return 0 if held is None else len(held)

    def _feed_head(self, data: bytes) -> int:
        """Return the offset in `data` just behind the head, 0 while it is incomplete."""
        seen = len(self.head)
        self.request = None
        head = self.head + data if seen else data
        found = head.find(b"\r\n\r\n", seen - 3 if seen > 3 else 0)
        if found >= 0:
            head = head[: found + 4]
        if len(head) > self._header_bytes_max:
            limit = self._header_bytes_max
            raise ApiError("headers_too_large", f"The request line and headers are larger than this server's limit of {limit} bytes.")
        if self._parser is None:
            self._parser = HttpRequestParser(_NO_CALLBACKS)
        try:
            try:
                self._parser.feed_data(head[seen:])
            except HttpParserInvalidMethodError as error:
                self._parser = behind_method(head, error)
        except HttpParserUpgrade:
            pass  # an upgrade that is not offered is ignored, and the request is answered as if it had not asked for one
        except HttpParserError as error:
            raise _invalid(str(error), head) from None
        if found < 0:
            self.head = head
            return 0
        self._parser = None  # it is not told of the body, so it cannot read the next head
        self.head = b""
        self._take_head(head)
        return len(head) - seen

    def _once_more(self, data: bytes, repeated: tuple[bytes, bytes, Request]) -> Request | None:
        """Return the request in these bytes, if it has the last one's head but for the length, and came whole and alone; else None."""
        before, behind, last = repeated
        begin = len(before)
        end = data.find(b"\r", begin, begin + LENGTH_DIGITS_MAX + 1)
        if end <= begin or not (data.startswith(before) and data.startswith(behind, end)):
            return None
        length, body = data[begin:end], data[end + len(behind) :]
        if not length.isdigit() or len(body) != int(length):
            return None
        told, headers = length.decode(), last.headers
        if headers["content-length"] != told:
            headers = {**headers, "content-length": told}
        request = self.request = Request(last.method, last.path, last.query, headers, b"", last.version, last.memo, self.address)
        self._length = len(body)
        self._ask_judge(request, chunked=False)
        self.rest = b""
        request.body = body
        return request

    def _take_head(self, head: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        version = words[-1]
        if len(words) != 3 or version not in ("HTTP/1.1", "HTTP/1.0"):
            raise _invalid("the first line must be a method, a target and HTTP/1.1 or HTTP/1.0, with one blank between them")
        if len(lines) > HEADER_LINES_MAX + 3:  # the first and the two empty ones at the end are not headers
            raise ApiError("headers_too_large", f"The request has more than {HEADER_LINES_MAX} header lines.")
        named = [line.partition(":") for line in lines[1:-2]]
        headers = {LOWER.get(name) or name.lower(): value.strip(BLANKS) for name, _, value in named}
        if len(headers) != len(named):
            headers = _joined(named)
        if "host" not in headers and version == "HTTP/1.1":
            raise _invalid("the Host header is missing")
        if words[0] == "CONNECT":
            raise ApiError("method_not_allowed", "CONNECT is not supported: this server is not a proxy.")
        self.keep_alive = version == "HTTP/1.1" and not ("connection" in headers and "close" in headers["connection"].lower())
        self._length = 0
        chunked = False
        if "content-length" in headers:
            self._length = int(headers["content-length"])  # llhttp has seen that it is one number, within 64 bits
        elif "transfer-encoding" in headers:
            chunked = True
            if version == "HTTP/1.0" or headers["transfer-encoding"].lower() != "chunked":
                raise _invalid("the only Transfer-Encoding understood is chunked, in HTTP/1.1")
        target = words[1]
        if target[0] != "/" and target != "*":
            target = _ABSOLUTE_FORM.sub("", target, count=1)
            if target[:1] != "/":
                target = "/" + target
        path, _, query = target.partition("?")
        method, path, version = (USUAL.get(word, word) for word in (words[0], path, version[5:]))
        request = self.request = Request(method, path, query, headers, b"", version, address=self.address)
        self._ask_judge(request, chunked=chunked)

    def _ask_judge(self, request: Request, *, chunked: bool) -> None:
        limit = self._body_bytes_max
        try:
            allowed = self._judge(request)
            if allowed is not None and allowed < limit:
                limit = allowed
            self.refusal = None
        except ApiError as error:
            self.refusal = error.with_traceback(None)  # whose frames have what was read
        self._chunked = ChunkedBody(limit) if chunked else None
        if self._length > limit and self.refusal is None:
            raise ApiError("request_too_large", f"The request's body has {self._length} bytes; the limit is {limit} bytes.")

    def _feed_sized(self, data: bytes) -> Request | None:
        wanted = self._length - self.body_bytes
        piece = data[:wanted]
        self.body_bytes += len(piece)
        if self._body is None:
            # One growing array and not a list of pieces: a client that sends single bytes would make us hold forty times as much.
            self._body = bytearray()
        self._body += piece
        if len(piece) < wanted:
            return None
        self.rest = data[wanted:]
        return self._whole(bytes(self._body))

    def _feed_chunked(self, chunked: ChunkedBody, data: bytes) -> Request | None:
        self.body_bytes += len(data)
        end = chunked.feed(data)
        if end is None:
            return None
        self.rest = data[end:]
        return self._whole(bytes(chunked.body))

    def _whole(self, body: bytes) -> Request:
        request = self.request
        assert request is not None, "its head was read before its body"
        request.body = body
        if self.in_body:
            self.in_body = False
            self.body_bytes = 0
            self._body = self._chunked = None
        return request


def around_length(head: bytes, request: Request) -> tuple[bytes, bytes, Request] | None:
    """Return what stands before and behind a body's length in a head, None if it does not stand there once."""
    found = _LENGTH.search(head) if request.headers.get("content-length", "").isdigit() else None
    return None if found is None else (head[: found.end()], head[head.index(b"\r\n", found.end()) :], request)
