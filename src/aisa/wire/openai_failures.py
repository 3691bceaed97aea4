"""How doors whose failures have OpenAI's shape tell of one: as a document, an event, a whole answer. Does not decide what failed."""

from __future__ import annotations

from aisa.errors import ApiError, UpstreamFailed
from aisa.wire.documents import WholeDocument
from aisa.wire.door import Refused
from aisa.wire.reply import JSON_TYPE, error_event, error_headers, error_json
from aisa.wire.sse import KEEP_ALIVE


class OpenAIStream:
    """A stream whose failures have that shape."""

    __slots__ = ()

    cut: UpstreamFailed | None = None

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the event that ends a stream which failed."""
        return error_event(error, request_id)


class OpenAIDoor(OpenAIStream):
    """A door whose failures have that shape. Comments keep its streams alive."""

    outside_body, keep_alive = "", KEEP_ALIVE

    def refused(self, error: ApiError, request_id: str) -> Refused:
        """Return an error as a whole answer."""
        return Refused(error.status, [("content-type", JSON_TYPE), *error_headers(error)], error_json(error, request_id))


class OpenAIDocument(WholeDocument):
    """A document whose failures have that shape."""

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the error in place of the document."""
        return error_json(error, request_id)
