"""The front door of chat completions: a client's request in, and everything that it is sent. Knows no vendor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from aisa.answer import OUTPUT, Arguments, Extra, Identity, Part, Piece, Reasoning, Report, Text, ToolCall, together
from aisa.wire.assembly import Assembly
from aisa.wire.chat import ChatRequest, parse_chat
from aisa.wire.chat_parts import usage_of, written
from aisa.wire.choice import numbered
from aisa.wire.content import Content
from aisa.wire.door import Door, Encoder, Request
from aisa.wire.lenient_json import encode
from aisa.wire.openai_failures import OpenAIDocument, OpenAIDoor, OpenAIStream
from aisa.wire.port import HeaderList
from aisa.wire.reasoning_details import MEMBER, detail
from aisa.wire.request_content import content_of
from aisa.wire.sse import DONE, data_event
from aisa.wire.text_runs import by_runs, run_of
from aisa.wire.trees import Tree, as_tree

PROTOCOL = "openai"
STREAM_HEADERS: HeaderList = [("content-type", "text/event-stream; charset=utf-8")]
NO_FRAMES: Mapping[int, tuple[bytes, bytes]] = {}


class Chunks:
    """Writes parts as chunks, each choice behind its opening. `identity` stands in until the vendor's is known.

    `numbers`: entries of lists get the index by which clients put the chunks of a stream together.
    """

    def __init__(self, identity: Identity, *, include_usage: bool, numbers: bool = True) -> None:
        self._identity = identity
        self._include_usage = include_usage
        self._numbers = numbers
        self._entries: dict[int, dict[str, int]] = {}  # of each list so far, by choice
        self._opened: set[int] = set()
        self._custom: set[tuple[int, int]] = set()  # calls of tools that take any text
        self._seals: dict[int, int] = {}  # how many each choice has

    def take(self, part: Part) -> list[Tree]:
        """Return the chunks for a part; the last of them is its own."""
        if isinstance(part, Identity):
            self._identity = part
            return []
        if isinstance(part, ToolCall) and part.custom:
            self._custom.add((part.choice, part.index))
        if self._numbers and isinstance(part, Extra) and not part.beside:
            part = msgspec.structs.replace(part, value=numbered(part.value, part.name, self._entries.setdefault(part.choice, {})))
        custom = bool(self._custom) and isinstance(part, ToolCall | Arguments) and (part.choice, part.index) in self._custom
        choice, members = written(part, custom=custom)
        if isinstance(part, Reasoning) and part.signature:
            sealed: Tree = {"delta": {**as_tree(members["delta"]), MEMBER: [detail(part.signature, self._seals.get(part.choice, 0))]}}
            members = sealed
            self._seals[part.choice] = self._seals.get(part.choice, 0) + 1
        if choice is None:
            return []
        unopened = [earlier for earlier in range(choice + 1) if earlier not in self._opened]  # clients append choices in index order
        self._opened.update(unopened)
        return [*[self._chunk(earlier, {"delta": OPENING}) for earlier in unopened], self._chunk(choice, members)]

    def frame(self, choice: int) -> tuple[bytes, bytes]:
        """Return what stands before and behind a text of a choice, in an event: who answers is known by then, and does not change."""
        before, _, behind = event_of(self._chunk(choice, {"delta": {"content": FRAMED}})).rpartition(encode(FRAMED))
        return before, behind

    def usage(self, report: Report) -> Tree:
        """Return the chunk that carries usage."""
        return self._head({"choices": [], "usage": usage_of(report)})

    def _chunk(self, choice: int, members: Tree) -> Tree:
        usage: Tree = {"usage": None} if self._include_usage else {}
        return self._head({"choices": [{"index": choice, "delta": {}, "logprobs": None, "finish_reason": None, **members}], **usage})

    def _head(self, members: Tree) -> Tree:
        identity = self._identity
        return {"id": identity.id, "object": "chat.completion.chunk", "created": identity.created, "model": identity.model, **members}


#: A text that stands for any, in an event that is taken apart: no id and no name holds a control character.
FRAMED = "\0"
OPENING: Tree = {"role": "assistant", "content": "", "refusal": None}


def stand_in(request: Request, call_id: str, created: int) -> Identity:
    """Return who answers, until the vendor has said it."""
    return Identity(f"chatcmpl-{call_id}", created, request.model)


class StreamEncoder(OpenAIStream):
    """Writes a stream. What came in a vendor's own bytes passes."""

    __slots__ = ("_call_id", "_created", "_frames", "_request", "_written")

    headers = STREAM_HEADERS

    def __init__(self, request: ChatRequest, call_id: str, created: int) -> None:
        self._request = request
        self._written: Chunks | None = None
        self._frames = NO_FRAMES  # what stands around the texts of a choice that has begun
        self._call_id = call_id
        self._created = created

    @property
    def _chunks(self) -> Chunks:
        """What writes the parts that do not pass; most streams have none."""
        if self._written is None:
            identity = stand_in(self._request, self._call_id, self._created)
            self._written = Chunks(identity, include_usage=self._request.include_usage)
        return self._written

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Return the events for these parts as one piece."""
        if len(parts) != 1:
            return by_runs(parts, self._written_out)
        return parts[0] if type(parts[0]) is Piece else self._written_out(parts)

    def _written_out(self, parts: Sequence[Part]) -> Piece | None:
        """Return the same for parts that are all further texts, or for any."""
        frames = self._frames
        if len(parts) > 1 and len(texts := [part for part in parts if type(part) is Text and part.choice in frames]) == len(parts):
            events = [frames[part.choice][0] + encode(part.text) + frames[part.choice][1] for part in texts]
            return run_of(events, [part.tokens for part in texts])
        pieces: list[Piece] = []
        for part in parts:
            if type(part) is Text and part.choice in frames:
                before, behind = frames[part.choice]
                pieces.append(Piece(before + encode(part.text) + behind, part.tokens, carries=True))
                continue
            if isinstance(part, Piece):
                pieces.append(part)
                continue
            if type(part) is Identity:
                frames = self._frames = NO_FRAMES
            elif type(part) is Text:
                frames = self._frames = {**frames, part.choice: self._chunks.frame(part.choice)}
            chunks = self._chunks.take(part)
            carries = isinstance(part, OUTPUT) or part.tokens > 0
            pieces += [Piece(event_of(chunk), part.tokens if chunk is chunks[-1] else 0, carries=carries) for chunk in chunks]
        return together(pieces)[0] if pieces else None

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return the usage chunk, if it was asked for, and `[DONE]`."""
        passed = [part.data for part in parts if isinstance(part, Piece)]
        if passed:
            return b"".join(passed)
        reports = [part for part in parts if isinstance(part, Report) and self._request.include_usage]
        return b"".join([event_of(self._chunks.usage(report)) for report in reports]) + DONE


class DocumentEncoder(OpenAIDocument):
    """Writes one document."""

    _assembly: Assembly | None = None

    def __init__(self, request: Request, call_id: str, created: int) -> None:
        self._request = request
        self._call_id = call_id
        self._created = created

    def keep(self, part: Part) -> None:
        """Take note of a part."""
        if self._assembly is None:
            identity = stand_in(self._request, self._call_id, self._created)
            self._chunks, self._assembly = Chunks(identity, include_usage=False, numbers=False), Assembly()
        for chunk in self._chunks.take(part):
            self._assembly.take(chunk)

    def document(self, report: Report | None) -> Tree:
        """Return the document of all parts."""
        assert self._assembly is not None, "a report was a part"
        answer = self._assembly.document()
        return answer if report is None else {**answer, "usage": usage_of(report)}


def event_of(chunk: Tree) -> bytes:
    """Write a chunk as an event."""
    return data_event(encode(chunk))


class ChatDoor(OpenAIDoor):
    """The door."""

    protocol = PROTOCOL

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        return parse_chat(body)

    def content(self, request: Request) -> Content:
        """Return what a request holds."""
        return content_of(request.as_chat())

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer."""
        if request.stream:
            return StreamEncoder(request.chat or request.as_chat(), call_id, created)
        return DocumentEncoder(request, call_id, created)


CHAT_DOOR: Door = ChatDoor()
