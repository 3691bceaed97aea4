"""The front door of the Messages API: a client's request in, and everything that it is sent. Knows no vendor.

What came from a vendor of the same protocol passes in its own bytes; all else is written here. The message opens with the first piece of
its answer, so that until then every failure has its true status: clients repeat a message that broke off, and pay for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Raw

from aisa.answer import OUTPUT, Finish, Identity, Part, Piece, Report, Text, together
from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.wire.completeness import whole_members
from aisa.wire.content import Content
from aisa.wire.documents import WholeDocument, passed_in, report_in
from aisa.wire.door import Door, Encoder, Refused, Request
from aisa.wire.finish import CONTENT_FILTER, LENGTH
from aisa.wire.lenient_json import encode
from aisa.wire.messages import MessagesRequest
from aisa.wire.messages_blocks import Blocks
from aisa.wire.messages_errors import error_event, error_json, refusal
from aisa.wire.own_names import MESSAGES, in_own_names
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE
from aisa.wire.said import value_in
from aisa.wire.text_runs import by_runs, run_of
from aisa.wire.trees import Tree, is_tree

PROTOCOL = "anthropic"
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
#: More of a text, as `event_of` would write it: nearly every event of a stream.
FURTHER = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}\n\n'
BETAS_MAX = 64  # of one request; real clients send eight
BETA_CHARACTERS_MAX = 100


def event_of(tree: Tree) -> bytes:
    """Write an event."""
    return b"event: %b\ndata: %b\n\n" % (str(tree["type"]).encode(), encode(tree))


def counts_of(report: Report | None) -> Tree:
    """Write a report as this protocol does: what was cached beside the rest of the input."""
    if report is None:
        return {"input_tokens": 0, "output_tokens": 0}
    usage = report.usage
    counts: Tree = {"input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens}
    if usage.cached_tokens:
        counts["cache_read_input_tokens"] = usage.cached_tokens
    if usage.cache_write_tokens:
        counts["cache_creation_input_tokens"] = usage.cache_write_tokens
    counts["output_tokens"] = usage.output_tokens
    if usage.reasoning_tokens:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return counts if report.cost_usd is None else {**counts, "cost": Raw(report.cost_usd.encode())}


class MessageEncoder:
    """What streams and documents have in common."""

    def __init__(self, identity: Identity, call_id: str, kind: str) -> None:
        self.headers: HeaderList = [("content-type", kind), ("request-id", call_id)]
        self._blocks = Blocks(identity, call_id.removeprefix("req_"))
        self._call_id = call_id

    def _message(self) -> Tree:
        identity = self._blocks.identity
        name = identity.id if identity.id.startswith("msg_") else f"msg_{self._call_id.removeprefix('req_')}"
        return {"id": name, "type": "message", "role": "assistant", "model": identity.model}

    def _ending(self) -> Tree:
        blocks = self._blocks
        ending: Tree = {"stop_reason": blocks.reason, "stop_sequence": None}
        if blocks.reason == "refusal":
            ending["stop_details"] = {"type": "refusal", "category": None, "explanation": "".join(blocks.refusal) or None}
        return ending


class StreamEncoder(MessageEncoder):
    """Writes a stream."""

    def __init__(self, identity: Identity, call_id: str) -> None:
        super().__init__(identity, call_id, "text/event-stream; charset=utf-8")
        self.cut: UpstreamFailed | None = None
        self._opened = self._begun = self._told = False  # before, and in, what is written now
        self._owed = 0  # tokens of what no event has told

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Return the events for these parts as one piece.

        Raises UpstreamFailed for an answer that ends inside a call, if it says nothing else here or nothing was sent before: another
        target may be asked then.
        """
        self._begun, self._told = self._opened, False
        if len(parts) != 1:
            return by_runs(parts, self._written)
        return parts[0] if type(parts[0]) is Piece else self._written(parts)

    def _written(self, parts: Sequence[Part]) -> Piece | None:
        """Return the same for parts that are all further texts, or for any."""
        texts = [part.text for part in parts if type(part) is Text and part.choice == 0 and part.text]
        if len(texts) == len(parts) and (place := self._blocks.further(texts)) is not None:
            self._told = True
            return run_of([FURTHER % (place, encode(text)) for text in texts], [part.tokens for part in parts])
        pieces: list[Piece] = []
        for part in parts:
            if isinstance(part, Piece):
                pieces.append(part)
                continue
            data = b"".join([event_of(event) for event in self._blocks.take(part)])
            self._owed += part.tokens
            if isinstance(part, Finish) and (name := self._blocks.cut_call):
                self.cut = cut_inside(name, part.reason)
                if not (self._begun and (self._told or pieces)):
                    raise self.cut
                break  # what came before it in the same read is told first, and paid for
            if not self._opened and not isinstance(part, Identity):
                data = self._opening() + data
            if data:
                waiting = self._blocks.waiting_tokens
                told, self._owed = self._owed - waiting, waiting
                pieces.append(Piece(data, told, carries=isinstance(part, OUTPUT) or told > 0))
        if not pieces and self._blocks.waiting and any(isinstance(part, OUTPUT) for part in parts):
            return Piece(PING, 0, carries=True)  # it waits for a call to be whole: the model is at work
        self._told = self._told or bool(pieces)
        return together(pieces)[0] if pieces else None

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the event that ends a stream which failed."""
        return error_event(error, request_id)

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return the end of the message, which carries its usage."""
        if passed := passed_in(parts):
            return passed
        opening = b"" if self._opened else self._opening()
        rest = b"".join([event_of(event) for event in self._blocks.end()])
        ending: Tree = {"type": "message_delta", "delta": self._ending(), "usage": counts_of(report_in(parts))}
        return opening + rest + event_of(ending) + event_of({"type": "message_stop"})

    def _opening(self) -> bytes:
        self._opened = True
        head: Tree = {**self._message(), "content": list[object](), "stop_reason": None, "stop_sequence": None, "usage": counts_of(None)}
        return event_of({"type": "message_start", "message": head})


def cut_inside(name: str, reason: str) -> UpstreamFailed:
    """Return the failure for an answer with a call whose arguments are not whole: clients of a stream would make it without any."""
    error = ApiError("upstream_unavailable", f"The answer ended inside a call of the tool '{name[:100]}'.")
    if reason == LENGTH:
        return UpstreamFailed(error, blame=CALLER, may_fall_back=False, detail="max_tokens ended the answer inside a call")
    return UpstreamFailed(error, detail="the model called a tool with what is no JSON object")


class DocumentEncoder(MessageEncoder, WholeDocument):
    """Writes one document. A call that `max_tokens` has cut, or its vendor, has what there is of its input, as at Anthropic."""

    def __init__(self, identity: Identity, call_id: str) -> None:
        super().__init__(identity, call_id, JSON_TYPE)

    def keep(self, part: Part) -> None:
        """Take note of a part. Raises UpstreamFailed for a call with what is no input though nothing has cut it."""
        if type(part) is not Report:  # which `document` is given
            self._blocks.take(part)
        if isinstance(part, Finish) and part.reason not in (LENGTH, CONTENT_FILTER) and (name := self._blocks.cut_call):
            raise cut_inside(name, part.reason)

    def document(self, report: Report | None) -> Tree:
        """Return the document of all parts."""
        self._blocks.end()
        for block in self._blocks.content:
            if isinstance(given := block.get("input"), str):
                block["input"] = next(filter(is_tree, map(value_in, whole_members(given))), dict[str, object]())
        return {**self._message(), "content": self._blocks.content, **self._ending(), "usage": counts_of(report)}

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the error in place of the document."""
        return error_json(error, request_id)


class MessagesDoor:
    """The door. `betas` and `version` are what the headers of the request said that it was opened for."""

    protocol = PROTOCOL
    keep_alive = PING

    def __init__(self, betas: tuple[str, ...] = (), version: str = "") -> None:
        self._betas = betas
        self._version = version
        self.outside_body = " ".join((PROTOCOL, version, *betas))

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        return MessagesRequest(body, self._betas, self._version)

    def content(self, request: Request) -> Content:
        """Return what a request holds."""
        return own(request).content()

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer."""
        identity = Identity("", created, request.model)
        return StreamEncoder(identity, call_id) if request.stream else DocumentEncoder(identity, call_id)

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the event that ends a stream which failed."""
        return error_event(error, request_id)

    def refused(self, error: ApiError, request_id: str) -> Refused:
        """Return an error as a whole answer."""
        return refusal(in_own_names(error, MESSAGES), request_id)


def own(request: Request) -> MessagesRequest:
    """Return a request that this door has read."""
    assert isinstance(request, MessagesRequest), "the path gives a door back what it has read"
    return request


MESSAGES_DOOR: Door = MessagesDoor()


def heard(headers: Mapping[str, str]) -> Door:
    """Return the door for a request with these headers: what its vendor is to know of them goes along with it."""
    asked, version = headers.get("anthropic-beta"), headers.get("anthropic-version", "")
    given = [] if asked is None else [beta.strip() for beta in asked.split(",")][:BETAS_MAX]
    betas = tuple([beta for beta in given if beta and len(beta) <= BETA_CHARACTERS_MAX and beta.isascii() and beta.isprintable()])
    return MessagesDoor(betas, version) if betas or version else MESSAGES_DOOR
