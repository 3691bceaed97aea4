"""The front door of Gemini's API: a client's request in, and everything that it is sent. Knows no vendor.

Its clients read lines `data: {json}` and nothing else: no comment, no event's name, no `[DONE]`. What came from Gemini itself passes.
"""

from __future__ import annotations

from collections.abc import Sequence

from aisa.answer import OUTPUT, Identity, Part, Piece, Report, together
from aisa.errors import ApiError, UpstreamFailed
from aisa.wire.content import Content
from aisa.wire.documents import WholeDocument, passed_in, report_in
from aisa.wire.door import Door, Encoder, Refused, Request
from aisa.wire.gemini import GeminiRequest, parse_gemini
from aisa.wire.gemini_events import Candidates, error_tree
from aisa.wire.gemini_logprobs import RESULT
from aisa.wire.lenient_json import encode
from aisa.wire.own_names import GEMINI, in_own_names
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE, error_headers
from aisa.wire.request_content import content_of
from aisa.wire.sse import data_event
from aisa.wire.trees import Tree, is_tree, trees_in

PROTOCOL = "gemini"
#: An empty text is all that its clients bear while there is nothing to say.
SILENCE = data_event(b'{"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"index":0}]}')


class StreamEncoder:
    """Writes a stream. The end, and what vendors call the end, comes only once the bill is settled."""

    cut: UpstreamFailed | None = None

    def __init__(self, identity: Identity) -> None:
        self.headers: HeaderList = [("content-type", "text/event-stream; charset=utf-8")]
        self._candidates = Candidates(identity)
        self._owed = 0  # tokens of what no event has told

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Return the events for these parts as one piece; an empty text where all of them are held, as the model is at work."""
        pieces: list[Piece] = []
        for part in parts:
            if isinstance(part, Piece):
                pieces.append(part)
                continue
            events = self._candidates.take(part)
            self._owed += part.tokens
            if events:
                held = self._candidates.calls.tokens + self._candidates.untold
                told, self._owed = self._owed - held, held
                pieces += [Piece(event_of(event), 0) for event in events[:-1]]
                pieces.append(Piece(event_of(events[-1]), told, carries=isinstance(part, OUTPUT) or told > 0))
        if not pieces and self._candidates.calls and any(isinstance(part, OUTPUT) for part in parts):
            return Piece(SILENCE, 0, carries=True)
        return together(pieces)[0] if pieces else None

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the event that ends a stream which failed."""
        return event_of(error_tree(error, request_id))

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return the event with finishes and usage."""
        if passed := passed_in(parts):
            return passed
        return event_of(self._candidates.last(report_in(parts)))


class DocumentEncoder(WholeDocument):
    """Writes one document."""

    def __init__(self, identity: Identity) -> None:
        self._candidates = Candidates(identity)
        self._content: dict[int, list[Tree]] = {}
        self._logprobs: dict[int, list[Tree]] = {}

    def keep(self, part: Part) -> None:
        """Take note of a part."""
        for event in self._candidates.take(part):
            for candidate in trees_in(event["candidates"]):
                self._add(candidate)

    def document(self, report: Report | None) -> Tree:
        """Return the document of all parts."""
        return self._candidates.last(report, self._content, self._logprobs)

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the error in place of the document."""
        return encode(error_tree(error, request_id))

    def _add(self, candidate: Tree) -> None:
        content, index, told = candidate.get("content"), candidate.get("index"), candidate.get(RESULT)
        choice = index if isinstance(index, int) else 0
        if is_tree(told):
            self._logprobs.setdefault(choice, []).append(told)
            return
        known = self._content.setdefault(choice, [])
        for part in trees_in(content.get("parts")) if is_tree(content) else ():
            known.append(part)


def event_of(event: Tree) -> bytes:
    """Write an event."""
    return data_event(encode(event))


class GeminiDoor:
    """The door to one model: name and manner stand in the address, and not in the body."""

    protocol = PROTOCOL
    keep_alive = SILENCE

    def __init__(self, model: str = "", *, stream: bool = False) -> None:
        self._model = model
        self._stream = stream
        self.outside_body = f"{PROTOCOL} {model} {stream}"

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        return parse_gemini(body, self._model, stream=self._stream)

    def content(self, request: Request) -> Content:
        """Return what a request holds."""
        return content_of(request.chat if isinstance(request, GeminiRequest) else request.as_chat())

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer."""
        identity = Identity(call_id, created, request.model)
        return StreamEncoder(identity) if request.stream else DocumentEncoder(identity)

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the event that ends a stream which failed."""
        return event_of(error_tree(error, request_id))

    def refused(self, error: ApiError, request_id: str) -> Refused:
        """Return an error as a whole answer."""
        error = in_own_names(error, GEMINI)
        return Refused(error.status, [("content-type", JSON_TYPE), *error_headers(error)], encode(error_tree(error, request_id)))


GEMINI_DOOR: Door = GeminiDoor()
