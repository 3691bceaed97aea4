"""A request for embeddings as the client wrote it: the fields we act on, checked; all others carried as they came. Knows no vendor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from aisa.errors import ApiError
from aisa.wire.bad_values import explain
from aisa.wire.chat import FIELDS_DECODER, ChatRequest, Text
from aisa.wire.content import Content
from aisa.wire.members import Shape
from aisa.wire.model_name import ModelName, check_name
from aisa.wire.strict_json import parse_object
from aisa.wire.texts import INPUT, beginning_of, content_of_texts, largest_of, no_conversation, texts_of
from aisa.wire.wish import Wish

TASK = "embeddings/"
FLOAT, BASE64 = "float", "base64"
#: What clients of vLLM and Jina say of how numbers are to be packed, beside Mistral's and Voyage's `output_dtype`.
PACKED = frozenset(("embed_dtype", "endianness", "embedding_type"))
SHAPE = Shape("model input encoding_format dimensions output_dimension output_dtype user input_type fallbacks models")


class KnownEmbeddings(msgspec.Struct):
    """The fields that we act on."""

    model: ModelName
    input: Annotated[Any, Meta(extra_json_schema=INPUT)]
    encoding_format: Annotated[Text, Meta(extra_json_schema={"enum": [FLOAT, BASE64, None]})] = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    output_dimension: Annotated[int, Meta(ge=1)] | None = None  # the same in the words of Mistral's clients, and of theirs what follows
    output_dtype: Text = None
    user: Text = None
    input_type: Text = None


class EmbeddingsRequest:
    """A valid request; implements `wire.door.Request`. `texts` are what to embed, each a text or the ids of its tokens."""

    task, stream, choices, max_tokens, bound_name, chat = TASK, False, 0, None, "input", None
    bounds_reasoning = bound_tells_length = False

    def __init__(self, body: bytes) -> None:
        """Raises ApiError json_parse_error, missing_parameter, invalid_parameter_type, invalid_request."""
        tree = parse_object(body, '{"model": ..., "input": ...}')
        SHAPE.check(tree)
        try:
            self.known = msgspec.convert(tree, KnownEmbeddings)
        except msgspec.ValidationError as error:
            raise explain(str(error)) from None
        known = self.known
        check_name(known.model)
        if known.encoding_format not in (None, FLOAT, BASE64):
            message = f"'encoding_format' is '{FLOAT}' or '{BASE64}'."
            raise ApiError("invalid_request", message, param="encoding_format")
        if None not in (known.dimensions, known.output_dimension) and known.dimensions != known.output_dimension:
            raise ApiError("invalid_request", "'dimensions' and 'output_dimension' differ: give one of them.", param="output_dimension")
        self.dimensions_name = "dimensions" if known.output_dimension is None else "output_dimension"  # as its client calls them
        self.texts = texts_of(known.input, "input")
        self.fields: dict[str, Raw] = FIELDS_DECODER.decode(body)
        self.body_bytes = len(body)
        self.model = known.model

    @property
    def encoding(self) -> str:
        """How vectors are to be written."""
        return self.known.encoding_format or FLOAT

    @property
    def packed(self) -> bool:
        """Whether the client says in a vendor's own words how numbers are to be packed: no one else can tell what their bytes mean."""
        return self.known.output_dtype not in (None, FLOAT) or not PACKED.isdisjoint(self.fields)

    @property
    def dimensions(self) -> int | None:
        """How many numbers a vector is to have, None for as many as the model gives."""
        return self.known.output_dimension if self.known.dimensions is None else self.known.dimensions

    def content(self) -> Content:
        """Return what there is to read: each text has a context window to itself."""
        return content_of_texts(self.texts)

    def largest(self) -> Content:
        """Return what there is to read in the largest text."""
        return largest_of(self.texts)

    def beginning(self, characters_max: int) -> str:
        """Return the beginning of the texts that are given as text."""
        return beginning_of(self.texts, characters_max)

    def wishes(self) -> Iterator[Wish]:
        """Yield nothing: a model's entry limits what is written."""
        return iter(())

    def tier(self) -> tuple[str, str]:
        """Return the usual one."""
        return "", ""

    def as_chat(self) -> ChatRequest:
        """Raises UpstreamFailed: it is no conversation."""
        raise no_conversation("An embedding")
