"""Reads Gemini's answers for Gemini's own clients: the vendor's bytes pass, but the end, which waits until the bill is settled. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.answer import Part, Piece, Report
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.gemini_reader import says
from aisa.providers.gemini_usage import report_of
from aisa.providers.outlet import Outlet
from aisa.providers.shape import Target
from aisa.providers.typed_stream import ReportedStream, ReportingReader, TypedDocument
from aisa.usage import Usage
from aisa.wire.gemini_events import metadata_of
from aisa.wire.lenient_json import encode
from aisa.wire.sse import data_event
from aisa.wire.trees import Tree, as_tree, is_tree, trees_in
from aisa.wire.usage_report import count_of

MODEL, USED = "modelVersion", "usageMetadata"
COUNTS = (
    *("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"),
    *("totalTokenCount", "cachedContentTokenCount", "toolUsePromptTokenCount"),
)


class PassingStream(ReportedStream):
    """Reads a stream. An event that says something and ends it, or one of its candidates, is sent as two."""

    def __init__(self, builder: AnswerBuilder, reader: ReportingReader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._pieces: list[Piece] = []
        self._held: list[Tree] = []  # the end
        self._outlet = Outlet(passes=True)
        self._counted = 0

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the end, with a report that clients read and that says what was billed."""
        if self._held and (metadata := as_billed(self._held[-1].get(USED), self._builder.usage())) is not None:
            self._held[-1][USED] = metadata
        return [Piece(b"".join([data_event(encode(event)) for event in self._held]), 0)]

    def _tell(self, event: Tree) -> Tree | None:
        told = super()._tell(event)
        self._builder.take()
        tokens, self._counted = self._builder.tokens - self._counted, self._builder.tokens
        if told is not None and not self._reader.ended:
            self._pass(told, tokens)
        return told

    def _pass(self, event: Tree, tokens: int) -> None:
        """Let an event pass that shows so many tokens."""
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
        self._held.append(event)

    def _taken(self) -> list[Part]:
        pieces, self._pieces = self._pieces, []
        return list(self._outlet.take(pieces, begun=self._builder.begun))

    def _closed(self) -> list[Part]:
        self._builder.close()
        return self._taken()


class PassingDocument(TypedDocument):
    """Reads one document."""

    _document: Tree
    _in_shape = True  # as Gemini itself would send it

    def _tell(self, event: Tree) -> Tree | None:
        told = super()._tell(event)
        if told is not None:
            self._document, self._in_shape = told, told is event
        return told

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return it, as it came but for the model's name."""
        [whole], tree = self._body, self._document
        del self._document  # which is not kept until the client has it
        shown: Tree = {MODEL: self._builder.name_shown(tree[MODEL])} if MODEL in tree else {}
        if (metadata := as_billed(tree.get(USED), self._builder.usage())) is not None:
            shown[USED] = metadata
        same = USED not in shown and shown.get(MODEL) == tree.get(MODEL) and self._in_shape
        return [Piece(whole if same else msgspec.json.encode(tree | shown), 0)]


def as_billed(metadata: object, usage: Usage) -> Tree | None:
    """Return what stands in place of a vendor's last report: None if there is none, or it is as clients read it and says what is billed."""
    if not is_tree(metadata):
        return None
    told = report_of(metadata)
    parts = {side: as_tree(told.get(f"{side}_tokens_details")) for side in ("prompt", "completion")}
    seen = [told.get("prompt_tokens", 0), parts["prompt"].get("cached_tokens", 0)]
    seen += [told.get("completion_tokens", 0), parts["completion"].get("reasoning_tokens", 0)]
    same = seen == [usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens]
    if same and all(type(metadata[name]) is int and count_of(metadata[name]) is not None for name in COUNTS if name in metadata):
        return None
    return {name: value for name, value in metadata.items() if name not in COUNTS} | metadata_of(Report(usage, None))


def without_parts(candidate: Tree) -> Tree:
    """Return a candidate with nothing said: clients want a part, though an empty one."""
    return {**candidate, "content": {"role": "model", "parts": [{"text": ""}]}}
