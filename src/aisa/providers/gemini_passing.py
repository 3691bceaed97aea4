"""Reads Gemini's answers for Gemini's own clients: the vendor's bytes pass, but the end, which waits until the bill is settled. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.answer import Part, Piece
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.event_objects import document_in
from aisa.providers.outlet import Outlet
from aisa.providers.shape import Target
from aisa.providers.typed_stream import Reader, TypedDocument, TypedStream
from aisa.wire.lenient_json import encode
from aisa.wire.sse import data_event
from aisa.wire.trees import Tree, is_tree, trees_in

MODEL = "modelVersion"


class PassingStream(TypedStream):
    """Reads a stream. An event that says something and ends it, or one of its candidates, is sent as two."""

    def __init__(self, builder: AnswerBuilder, reader: Reader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._pieces: list[Piece] = []
        self._held: list[bytes] = []  # the end
        self._outlet = Outlet(passes=True)
        self._counted = 0

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the end."""
        return [Piece(b"".join(self._held), 0)]

    def _tell(self, event: Tree) -> None:
        super()._tell(event)
        self._builder.take()
        tokens, self._counted = self._builder.tokens - self._counted, self._builder.tokens
        if self.failure is not None:
            return
        if MODEL in event:
            event[MODEL] = self._builder.name_shown(event[MODEL])
        candidates = trees_in(event.get("candidates"))
        finished = [candidate for candidate in candidates if candidate.get("finishReason")]
        if not finished and (says(candidates) or not self._held):  # behind one that has finished others go on
            self._pieces.append(Piece(data_event(encode(event)), tokens, carries=tokens > 0 or says(candidates)))
            return
        if says(candidates):
            said = [{name: value for name, value in candidate.items() if name != "finishReason"} for candidate in candidates]
            first = {name: value for name, value in event.items() if name != "usageMetadata"}
            self._pieces.append(Piece(data_event(encode({**first, "candidates": said})), tokens, carries=True))
            event["candidates"] = [without_parts(candidate) for candidate in finished]
        self._held.append(data_event(encode(event)))

    def _taken(self) -> list[Part]:
        pieces, self._pieces = self._pieces, []
        return list(self._outlet.take(pieces, begun=self._builder.begun))

    def _closed(self) -> list[Part]:
        self._builder.close()
        return self._taken()


class PassingDocument(TypedDocument):
    """Reads one document."""

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return it, as it came but for the model's name."""
        body = b"".join(self._body)
        document = document_in(body)
        if document is None:
            return [Piece(body, 0)]
        tree, whole = document
        shown = self._builder.name_shown(tree[MODEL]) if MODEL in tree else None
        return [Piece(whole if shown == tree.get(MODEL) else msgspec.json.encode({**tree, MODEL: shown}), 0)]


def says(candidates: list[Tree]) -> bool:
    """Tell whether there is something in what candidates say."""
    return any(trees_in(content.get("parts")) for candidate in candidates if is_tree(content := candidate.get("content")))


def without_parts(candidate: Tree) -> Tree:
    """Return a candidate with nothing said: clients want a part, though an empty one."""
    return {**candidate, "content": {"role": "model", "parts": [{"text": ""}]}}
