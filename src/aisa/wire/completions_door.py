"""The front door of text completions: a client's request in, and everything that it is sent. Knows no vendor.

Calls of tools are not part of such an answer, and thinking is not shown; where nothing else comes, an empty text says that the model is at
work.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.answer import (
    OUTPUT,
    Arguments,
    Extra,
    Finish,
    FunctionCall,
    Identity,
    Part,
    Piece,
    Reasoning,
    Refusal,
    Report,
    Text,
    ToolCall,
    together,
)
from aisa.wire.chat_parts import usage_of
from aisa.wire.completions import CompletionsRequest
from aisa.wire.content import Content
from aisa.wire.door import Door, Encoder, Request
from aisa.wire.lenient_json import encode
from aisa.wire.openai_failures import OpenAIDocument, OpenAIDoor, OpenAIStream
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE
from aisa.wire.sse import DONE, data_event
from aisa.wire.trees import Tree, as_list, is_list, is_tree, trees_in

PROTOCOL = "completions"
STREAM_HEADERS: HeaderList = [("content-type", "text/event-stream; charset=utf-8")]
DOCUMENT_HEADERS: HeaderList = [("content-type", JSON_TYPE)]
CHAT_ID = "chatcmpl-"
LISTS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")  # of log-probabilities, one entry a token
#: Reasons that completions have a word for; what is none of them has come to its end.
REASONS = ("stop", "length", "content_filter")


class Fragments:
    """Writes parts as what a chunk or a document says of a choice. `identity` stands in until the vendor's is known."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._said: dict[int, int] = {}  # characters of each choice's log-probabilities so far

    def take(self, part: Part) -> tuple[int, Tree] | None:
        """Return which choice a part belongs to and what it says of it; None if that is nothing."""
        match part:
            case Identity(answer_id):
                named = f"cmpl-{answer_id.removeprefix(CHAT_ID)}" if answer_id.startswith(CHAT_ID) else answer_id
                self.identity = msgspec.structs.replace(part, id=named)
                return None
            case Text(choice, text) | Refusal(choice, text):
                return choice, {"text": text}
            case Extra(choice, name, value, _, beside):
                if not beside:
                    return choice, {}
                return choice, {name: self._logprobs(choice, value) if name == "logprobs" else value}
            case Finish(choice, reason):
                return choice, {"finish_reason": reason if reason in REASONS else "stop"}
            case Reasoning(choice) | ToolCall(choice) | Arguments(choice) | FunctionCall(choice):
                return choice, {}
            case _:
                return None

    def head(self, members: Tree) -> Tree:
        """Return an object of this protocol."""
        identity = self.identity
        return {"id": identity.id, "object": "text_completion", "created": identity.created, "model": identity.model, **members}

    def _logprobs(self, choice: int, value: object) -> object:
        """Return log-probabilities in this protocol's form, from that of chat completions if need be."""
        content = value.get("content") if is_tree(value) else None
        if not is_list(content):
            return value
        entries, at = trees_in(content), self._said.get(choice, 0)
        tokens = [str(entry.get("token", "")) for entry in entries]
        offsets: list[int] = []
        for token in tokens:
            offsets.append(at)
            at += len(token)
        self._said[choice] = at
        likely = [{str(other.get("token", "")): other.get("logprob") for other in trees_in(entry.get("top_logprobs"))} for entry in entries]
        return dict(zip(LISTS, (tokens, [entry.get("logprob") for entry in entries], likely, offsets), strict=True))


class StreamEncoder(OpenAIStream):
    """Writes a stream."""

    headers = STREAM_HEADERS

    def __init__(self, request: CompletionsRequest, identity: Identity) -> None:
        self._include_usage = request.include_usage
        self._fragments = Fragments(identity)

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Return the events for these parts as one piece; what is said of a choice beside its text goes with it."""
        pieces: list[Piece] = []
        waiting: tuple[int, Tree, Part] | None = None
        for part in parts:
            taken = self._fragments.take(part)
            if taken is None:
                continue
            choice, said = taken
            if waiting is not None and waiting[0] == choice and isinstance(part, Extra) and not waiting[1].keys() & said.keys():
                waiting[1].update(said)
                continue
            pieces += self._written(waiting)
            waiting = choice, said, part
        pieces += self._written(waiting)
        return together(pieces)[0] if pieces else None

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return the usage chunk, if it was asked for, and `[DONE]`."""
        reports = [part for part in parts if isinstance(part, Report) and self._include_usage]
        return b"".join([event_of(self._fragments.head({"choices": (), "usage": usage_of(report)})) for report in reports]) + DONE

    def _written(self, waiting: tuple[int, Tree, Part] | None) -> list[Piece]:
        if waiting is None:
            return []
        choice, said, part = waiting
        whole: Tree = {"index": choice, "text": "", "logprobs": None, "finish_reason": None, **said}
        shown = part.tokens if said else 0
        data = event_of(self._fragments.head({"choices": [whole]}))
        return [Piece(data, shown, carries=isinstance(part, OUTPUT) or shown > 0)]


class DocumentEncoder(OpenAIDocument):
    """Writes one document."""

    def __init__(self, identity: Identity) -> None:
        self._fragments = Fragments(identity)
        self._choices: dict[int, Tree] = {}

    def keep(self, part: Part) -> None:
        """Take note of a part."""
        taken = self._fragments.take(part)
        if taken is not None:
            choice, said = taken
            known = self._choices.setdefault(choice, {"index": choice, "text": "", "logprobs": None, "finish_reason": None})
            for name, value in said.items():
                known[name] = joined(known.get(name), value)

    def document(self, report: Report | None) -> Tree:
        """Return the document of all parts."""
        choices = [self._choices[place] for place in sorted(self._choices)]
        return self._fragments.head({"choices": choices, "usage": None if report is None else usage_of(report)})


def joined(known: object, more: object) -> object:
    """Return what two pieces of a member come to: texts one behind the other, log-probabilities likewise, of all else the later."""
    if isinstance(known, str) and isinstance(more, str):
        return known + more
    if is_tree(known) and is_tree(more):
        return {**known, **more} | {
            name: [*as_list(known.get(name)), *as_list(more.get(name))] for name in LISTS if name in {*known, *more}
        }
    return more


def event_of(chunk: Tree) -> bytes:
    """Write a chunk as an event."""
    return data_event(encode(chunk))


class CompletionsDoor(OpenAIDoor):
    """The door."""

    protocol = outside_body = PROTOCOL

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        return CompletionsRequest(body)

    def content(self, request: Request) -> Content:
        """Return what a request holds."""
        return own(request).content()

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer."""
        identity = Identity(f"cmpl-{call_id}", created, request.model)
        return StreamEncoder(own(request), identity) if request.stream else DocumentEncoder(identity)


def own(request: Request) -> CompletionsRequest:
    """Return a request that this door has read."""
    assert isinstance(request, CompletionsRequest), "the path gives a door back what it has read"
    return request


COMPLETIONS_DOOR: Door = CompletionsDoor()
