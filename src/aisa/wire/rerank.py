"""A request to rank documents by a query, as Cohere's and Jina's clients write it: what we act on, checked. Knows no vendor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from aisa.errors import ApiError
from aisa.wire.bad_values import explain
from aisa.wire.chat import FIELDS_DECODER, ChatRequest
from aisa.wire.content import Content
from aisa.wire.generated import text_bytes
from aisa.wire.members import Shape
from aisa.wire.model_name import ModelName, check_name
from aisa.wire.strict_json import parse_object
from aisa.wire.texts import beginning_of, no_conversation
from aisa.wire.trees import is_tree
from aisa.wire.wish import Wish

TASK = "rerank/"
SHAPE = Shape(
    "model query top_n top_k return_documents max_tokens_per_doc max_chunks_per_doc rank_fields priority", documents=Shape("text")
)
DOCUMENT = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}]}


class KnownRerank(msgspec.Struct):
    """The fields that we act on."""

    model: ModelName
    query: str
    documents: Annotated[list[Annotated[Any, Meta(extra_json_schema=DOCUMENT)]], Meta(min_length=1)]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    top_k: Annotated[int, Meta(ge=1)] | None = None  # the same in the words of Voyage's clients
    return_documents: bool | None = None

    @property
    def most(self) -> int | None:
        """How many documents are wanted, None for all."""
        return self.top_n if self.top_k is None else self.top_k


class RerankRequest:
    """A valid request; implements `wire.door.Request`. `texts` are those of the documents."""

    task, stream, choices, max_tokens, bound_name, chat = TASK, False, 0, None, "documents", None
    bounds_reasoning = bound_tells_length = False

    def __init__(self, body: bytes) -> None:
        """Raises ApiError json_parse_error, missing_parameter, invalid_parameter_type, invalid_request."""
        tree = parse_object(body, '{"model": ..., "query": ..., "documents": [...]}')
        SHAPE.check(tree)
        try:
            self.known = msgspec.convert(tree, KnownRerank)
        except msgspec.ValidationError as error:
            raise explain(str(error)) from None
        check_name(self.known.model)
        if None not in (self.known.top_n, self.known.top_k) and self.known.top_n != self.known.top_k:
            raise ApiError("invalid_request", "'top_n' and 'top_k' differ: give one of them.", param="top_k")
        self.texts = [text_of(document, place) for place, document in enumerate(self.known.documents)]
        self.fields: dict[str, Raw] = FIELDS_DECODER.decode(body)
        self.body_bytes = len(body)
        self.model = self.known.model

    def content(self) -> Content:
        """Return what there is to read: each document by itself, with the query."""
        count = len(self.texts)
        return Content(sum(map(text_bytes, self.texts)) + count * text_bytes(self.known.query), windows=count)

    def largest(self) -> Content:
        """Return what there is to read in the largest document, with the query."""
        return Content(max(map(text_bytes, self.texts)) + text_bytes(self.known.query))

    def beginning(self, characters_max: int) -> str:
        """Return the beginning of query and documents."""
        return beginning_of([self.known.query, *self.texts], characters_max)

    def wishes(self) -> Iterator[Wish]:
        """Yield nothing: a model's entry limits what is written."""
        return iter(())

    def tier(self) -> tuple[str, str]:
        """Return the usual one."""
        return "", ""

    def as_chat(self) -> ChatRequest:
        """Raises UpstreamFailed: it is no conversation."""
        raise no_conversation("A ranking")


def text_of(document: object, place: int) -> str:
    """Return the text of a document: it is one, or has it as `text`. Raises ApiError invalid_parameter_type."""
    text = document.get("text") if is_tree(document) else document
    if not isinstance(text, str):
        where = f"documents[{place}]"
        raise ApiError("invalid_parameter_type", f"Invalid type for '{where}': send a text, or an object with `text`.", param=where)
    return text
