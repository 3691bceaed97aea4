"""The way to a collector of traces and metrics: keeps what it did not take of the last sending, and why. Sends nothing by itself."""

from __future__ import annotations

import http.client
import io
from http.client import NOT_FOUND, REQUEST_TIMEOUT, TOO_MANY_REQUESTS
from typing import Any

import requests
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from aisa.clock import Micros, monotonic_micros

SAID_CHARACTERS_MAX = 200
ANSWER_BYTES_MAX = 65_536  # of one that is looked at; nothing is read beyond
ANSWER_SECONDS_MAX = 1.0  # from its head to its end


class InTime(io.RawIOBase):
    """What comes on a socket from now on, within its time-out in all. The library's own is for each read, and each byte begins it anew."""

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self._file: io.RawIOBase = sock.makefile("rb", buffering=0)
        self._seconds: float | None = sock.gettimeout()
        self._until = monotonic_micros() + int((self._seconds or ANSWER_SECONDS_MAX) * 1e6)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what a response reads."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Say that it can be read from."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there, or wait for it. Raises TimeoutError."""
        left = self._until - monotonic_micros()
        if left <= 0:
            raise TimeoutError("it took too long in all")
        self._socket.settimeout(left / 1e6)
        try:
            return self._file.readinto(buffer)
        finally:
            self._socket.settimeout(self._seconds)

    def close(self) -> None:
        """Let go of the socket, which its connection may go on with."""
        super().close()
        self._file.close()


class Answer(http.client.HTTPResponse):
    """An answer whose head comes in time, or not at all."""

    def __init__(self, sock: Any, *options: Any, **more: Any) -> None:
        bounded: Any = InTime(sock)  # as much of a socket as it uses
        super().__init__(bounded, *options, **more)


class Plain(HTTPConnection):
    """A connection whose answers are such."""

    response_class = Answer


class Secured(HTTPSConnection):
    """The same with TLS."""

    response_class = Answer


class Adapter(HTTPAdapter):
    """Makes such connections, through a proxy too."""

    def get_connection_with_tls_context(self, *request: Any, **options: Any) -> Any:
        """Return the pool for a request."""
        pool: Any = super().get_connection_with_tls_context(*request, **options)
        pool.ConnectionCls = Secured if pool.scheme == "https" else Plain
        return pool


class Way(requests.Session):
    """One exporter's connections. Whoever redirects us is no collector, though the exporter takes it for one that has taken everything.

    No request takes longer than `seconds_max`: the exporter reckons with the wall clock, which may be set back by an hour.
    """

    def __init__(self, micros: Micros = monotonic_micros, seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        super().__init__()
        self._seconds_max = seconds_max
        self.mount("http://", Adapter())
        self.mount("https://", Adapter())
        self.headers["accept-encoding"] = "identity"  # what is small may be large in full
        self._micros = micros
        self.said = ""  # why the last sending was not taken, or not all of it
        self.refused = False  # it is there, and does not take that
        self.rejected = 0  # spans or readings of a sending that was taken in part

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request. Raises requests.RequestException."""
        self.said, self.refused, self.rejected = "", False, 0
        options["allow_redirects"], options["stream"] = False, True
        options["timeout"] = min(options.get("timeout") or self._seconds_max, self._seconds_max)
        try:
            answer = super().send(request, **options)
        except requests.Timeout:
            self.said = "it does not answer in time"
            raise
        except requests.RequestException:
            self.said = "it cannot be reached"
            raise
        if 300 <= answer.status_code < 400:
            self.said = "it sends elsewhere"
            answer.close()
            raise requests.TooManyRedirects
        if not answer.ok:
            self.said = f"it answered {answer.status_code}"
            if answer.status_code == NOT_FOUND:
                self.said += f" at {request.path_url}"  # which of the two it does not take
            self.refused = 400 <= answer.status_code < 500 and answer.status_code not in (REQUEST_TIMEOUT, TOO_MANY_REQUESTS)
        elif body := self._body(answer):
            self._hear(body)
        answer.close()
        return answer

    def _body(self, answer: requests.Response) -> bytes:
        """Return an answer's body; nothing of one that is too large, too slow, or broken off: what was sent, was taken."""
        body, until = b"", self._micros() + int(ANSWER_SECONDS_MAX * 1e6)
        try:
            while data := answer.raw.read1(ANSWER_BYTES_MAX, decode_content=False):
                body += data
                if len(body) > ANSWER_BYTES_MAX or self._micros() > until:
                    return b""
        except (HTTPError, OSError):
            return b""
        return body

    def _hear(self, body: bytes) -> None:
        """Read an answer to spans, which one to metrics is alike."""
        try:
            part = ExportTraceServiceResponse.FromString(body).partial_success
        except DecodeError:
            return
        self.rejected = max(0, part.rejected_spans)
        self.said = part.error_message[:SAID_CHARACTERS_MAX] or "it took a part of them" if self.rejected else ""
