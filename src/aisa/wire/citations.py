"""Whether an answer cites pages of the web, which is the one sign of a search that vendors give who do not report any."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Raw

from aisa.wire.trees import trees_in

CITATION = "url_citation"  # a type of annotation


def is_cited(annotations: object) -> bool:
    """Say whether one of these annotations, which may be anything, is a page."""
    return any(annotation.get("type") == CITATION for annotation in trees_in(annotations))


def is_cited_raw(annotations: Iterable[Raw]) -> bool:
    """Say the same of annotations that were not decoded. A quotation mark inside a text would be escaped."""
    return any(b'"url_citation"' in bytes(annotation) for annotation in annotations)
