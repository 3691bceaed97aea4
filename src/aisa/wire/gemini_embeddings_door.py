"""The front door of Gemini's embeddings: `embedContent` and `batchEmbedContents` in, and the vectors in Google's form. Knows no vendor."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.answer import Part, Piece, Report, Vector
from aisa.errors import ApiError, UpstreamFailed
from aisa.wire.content import Content
from aisa.wire.documents import DOCUMENT_HEADERS
from aisa.wire.door import Encoder, Request
from aisa.wire.embeddings import FLOAT, EmbeddingsRequest
from aisa.wire.embeddings_door import own
from aisa.wire.gemini import CONTENT
from aisa.wire.gemini_chat import parts_in
from aisa.wire.gemini_config import taken
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.gemini_events import error_tree
from aisa.wire.gemini_names import check_names, member, tree_in, trees_at
from aisa.wire.gemini_types import OBJECT, OBJECTS, Typed, check_types, texts
from aisa.wire.lenient_json import encode
from aisa.wire.members import Shape
from aisa.wire.strict_json import parse_object
from aisa.wire.trees import Tree

SETTINGS = "taskType task_type title outputDimensionality output_dimensionality autoTruncate auto_truncate"
CONFIG = Shape(SETTINGS)
REQUEST = Shape(f"model {SETTINGS}", content=CONTENT, embedContentConfig=CONFIG, embed_content_config=CONFIG)
ASKED = {"content": Typed(OBJECT), "embedContentConfig": Typed(OBJECT, texts("taskType title")), **texts("taskType title")}
BATCH = Shape("model", requests=REQUEST)


class VectorsOfDocument(msgspec.Struct):
    """What is read of a vendor's document in OpenAI's form: its vectors stand in the order of the texts."""

    class Item(msgspec.Struct):
        """One of them."""

        embedding: list[float]

    class Usage(msgspec.Struct):
        """What it cost."""

        prompt_tokens: int | None = None

    data: list[Item]
    usage: Usage | None = None


DOCUMENT = msgspec.json.Decoder(VectorsOfDocument)


class VectorsEncoder:
    """Writes the document: one vector, or those of a batch."""

    headers = DOCUMENT_HEADERS
    cut: UpstreamFailed | None = None

    def __init__(self, *, batch: bool) -> None:
        self._batch = batch
        self._vectors: list[Sequence[float]] = []
        self._tokens: int | None = None

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Keep the parts: a document is sent when it is whole."""
        for part in parts:
            if isinstance(part, Vector):
                self._vectors.append(part.numbers)
            elif isinstance(part, Report):
                self._tokens = part.usage.input_tokens
            elif isinstance(part, Piece):
                document = DOCUMENT.decode(part.data)
                self._vectors += [item.embedding for item in document.data]
                self._tokens = document.usage.prompt_tokens if document.usage else None
        return None

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the error in place of the document."""
        return encode(error_tree(error, request_id))

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return the document."""
        self.write(parts)
        vectors: list[Tree] = [{"values": list(numbers)} for numbers in self._vectors]
        answer: Tree = {"embeddings": vectors} if self._batch else {"embedding": vectors[0]}
        return encode(answer if self._tokens is None else {**answer, "usageMetadata": {"promptTokenCount": self._tokens}})


class GeminiEmbeddingsDoor(GeminiDoor):
    """The door to one model, whose name stands in the address."""

    def __init__(self, model: str, *, batch: bool) -> None:
        super().__init__(model)
        self._batch = batch
        self.outside_body += f" {batch}"

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        tree = parse_object(body, '{"requests": [...]}' if self._batch else '{"content": ...}')
        check_names(tree, BATCH if self._batch else REQUEST)
        check_types(tree, {"requests": Typed(OBJECTS, ASKED)} if self._batch else ASKED)
        asked = trees_at(tree, "requests") if self._batch else [tree]
        if not asked:
            raise ApiError("missing_parameter", "'requests' needs at least one request.", param="requests")
        settings, *others = [settings_of(each, f"requests[{place}]." if self._batch else "") for place, each in enumerate(asked)]
        if any(each != settings for each in others):
            words = "All requests of a batch are made with one 'taskType' and one 'outputDimensionality'. Send those that differ apart."
            raise ApiError("invalid_request", words, param="requests")
        texts = [text_of(each, f"requests[{place}].content" if self._batch else "content") for place, each in enumerate(asked)]
        fields: Tree = {"model": self._model, "input": texts, "encoding_format": FLOAT, **settings}
        request = EmbeddingsRequest(msgspec.json.encode(fields))
        request.dimensions_name = "outputDimensionality"
        request.fields.pop("input_type", None)  # OpenAI's API has no such member, and refuses what it does not know
        return request

    def content(self, request: Request) -> Content:
        """Return what a request holds."""
        return own(request).content()

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer."""
        return VectorsEncoder(batch=self._batch)


def settings_of(asked: Tree, path: str) -> Tree:
    """Return what one request says of its vector, in the words of our own embeddings. Newer clients say it in a member of its own.

    `path` leads to the request. Raises ApiError invalid_parameter_type.
    """
    found: Tree = {}
    for said, at in ((asked, path), (tree_in(asked, "embedContentConfig"), f"{path}embedContentConfig.")):
        named = {"dimensions": taken(said, "outputDimensionality", int, path=at), "input_type": member(said, "taskType")}
        found |= {name: value for name, value in named.items() if value is not None}
    return found


def text_of(asked: Tree, param: str) -> str:
    """Return the text of one request. Raises ApiError for what holds something else, or nothing."""
    parts = parts_in(tree_in(asked, "content"), f"{param}.parts")
    texts = [text for part in parts if isinstance(text := part.get("text"), str)]
    if not texts or len(texts) != len(parts):
        raise ApiError(
            "invalid_request", f"'{param}' needs parts with text, and has only such: nothing else is embedded here.", param=param
        )
    return "".join(texts)
