"""The way to a collector of traces and metrics: keeps what it did not take of the last sending, and why. Sends nothing by itself."""

from __future__ import annotations

from typing import Any

import requests
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from urllib3.exceptions import HTTPError

from aisa.clock import Micros, monotonic_micros

SAID_CHARACTERS_MAX = 200
ANSWER_BYTES_MAX = 65_536  # of one that is looked at; nothing is read beyond
ANSWER_SECONDS_MAX = 1.0  # from its head to its end


class Way(requests.Session):
    """One exporter's connections. Whoever redirects us is no collector, though the exporter takes it for one that has taken everything."""

    def __init__(self, micros: Micros = monotonic_micros) -> None:
        super().__init__()
        self.headers["accept-encoding"] = "identity"  # what is small may be large in full
        self._micros = micros
        self.said = ""  # why the last sending was not taken, or not all of it
        self.rejected = 0  # spans or readings of a sending that was taken in part

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request. Raises requests.RequestException."""
        self.said, self.rejected = "", 0
        options["allow_redirects"], options["stream"] = False, True
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
