"""What all doors do with a document: it is kept until it is whole, and a vendor's own passes. Knows no protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from aisa.answer import Part, Piece, Report
from aisa.errors import ApiError, UpstreamFailed
from aisa.wire.lenient_json import encode
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE
from aisa.wire.trees import Tree

DOCUMENT_HEADERS: HeaderList = [("content-type", JSON_TYPE)]


def passed_in(parts: Sequence[Part]) -> bytes:
    """Return what came in a vendor's own bytes; nothing if these are typed parts."""
    if len(parts) == 1 and type(parts[0]) is Piece:
        return parts[0].data
    return b"".join([part.data for part in parts if isinstance(part, Piece)])


def report_in(parts: Sequence[Part]) -> Report | None:
    """Return the report among parts."""
    for part in parts:
        if isinstance(part, Report):
            return part
    return None


class WholeDocument(ABC):
    """Writes one document; implements `wire.door.Encoder`. A vendor's own passes; of typed parts it is put together."""

    headers: HeaderList = DOCUMENT_HEADERS
    cut: UpstreamFailed | None = None

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Keep the parts: a document is sent when it is whole."""
        for part in parts:
            self.keep(part)
        return None

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return the document."""
        if passed := passed_in(parts):
            return passed
        self.write(parts)
        return encode(self.document(report_in(parts)))

    @abstractmethod
    def keep(self, part: Part) -> None:
        """Take note of a part."""

    @abstractmethod
    def document(self, report: Report | None) -> Tree:
        """Return the document of all parts."""

    @abstractmethod
    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the error in place of the document."""
