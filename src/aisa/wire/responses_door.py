"""The front door of the Responses API: a client's request in, and everything that it is sent. Knows no vendor.

What came from a vendor of the same protocol passes in its own bytes; all else is written here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aisa.answer import OUTPUT, Extra, Identity, Part, Piece, Report, Text, together
from aisa.errors import ApiError, UpstreamFailed
from aisa.usage import Usage
from aisa.wire.content import Content
from aisa.wire.documents import WholeDocument, passed_in, report_in
from aisa.wire.door import Door, Encoder, Refused, Request
from aisa.wire.lenient_json import encode
from aisa.wire.own_names import RESPONSES, in_own_names
from aisa.wire.port import HeaderList
from aisa.wire.responses import ResponsesRequest, TextForm, parse_responses
from aisa.wire.responses_errors import event_bytes, failure_events, refusal, refusal_body
from aisa.wire.responses_items import Output
from aisa.wire.responses_usage import usage_of
from aisa.wire.sse import KEEP_ALIVE
from aisa.wire.text_runs import by_runs, run_of
from aisa.wire.trees import Tree, as_list, is_tree

PROTOCOL = "responses"
NUMBER = re.compile(rb'"sequence_number" ?: ?(\d{1,15})')
NOTHING = Piece(b"", 0)
RESPONSE_ID = re.compile(rb'"response" ?: ?\{"id" ?: ?"([\w-]{1,200})"')


class Answer:
    """The response object of one answer, and its items."""

    def __init__(self, request: ResponsesRequest, call_id: str, created: int) -> None:
        seed = call_id.removeprefix("req_")
        self.id = f"resp_{seed}"
        self.output = Output(seed, request.names)
        self._identity = Identity(self.id, created, request.model)
        self._request = request
        self._asked: Tree = {}  # once it is to be told: most streams pass

    def identify(self, identity: Identity) -> None:
        """Take note of who answers. The id stays ours."""
        self._identity = identity

    def tree(self, status: str, usage: Tree | None = None) -> Tree:
        """Return the response as it is. Its items are in it once it is complete."""
        why = self.output.incomplete
        head = {"id": self.id, "object": "response", "created_at": self._identity.created, "status": status, "model": self._identity.model}
        self._asked = self._asked or asked_for(self._request)
        state = {"error": None, "incomplete_details": None if why is None else {"reason": why}}
        return {**head, "output": [] if usage is None else self.output.items(), **state, **self._asked, "usage": usage}

    def whole(self, report: Report | None) -> Tree:
        """Return the response at its end."""
        used = usage_of(Usage(), None) if report is None else usage_of(report.usage, report.cost_usd)
        return self.tree("completed" if self.output.incomplete is None else "incomplete", used)


def asked_for(request: ResponsesRequest) -> Tree:
    """Return what a response repeats of its request, with the API's own defaults: the types of Open Responses want each member there.

    Instructions and tools are left out: they are long, and the client has them.
    """
    known, thinking = request.known, request.known.reasoning
    return {
        "background": False,
        "completed_at": None,
        "frequency_penalty": request.sent("frequency_penalty") or 0.0,
        "instructions": None,
        "max_output_tokens": request.max_tokens,
        "max_tool_calls": request.sent("max_tool_calls"),
        "metadata": known.metadata if is_tree(known.metadata) else {},
        "parallel_tool_calls": known.parallel_tool_calls is not False,
        "presence_penalty": request.sent("presence_penalty") or 0.0,
        "previous_response_id": known.previous_response_id,
        "prompt_cache_key": known.prompt_cache_key,
        "reasoning": {"effort": None if thinking is None else thinking.effort, "summary": None if thinking is None else thinking.summary},
        "safety_identifier": known.safety_identifier,
        "service_tier": known.service_tier or "default",
        "store": request.store,
        "temperature": 1.0 if known.temperature is None else known.temperature,
        "text": {"format": format_of(known.text)},
        "tool_choice": known.tool_choice or "auto",
        "tools": [],
        "top_logprobs": known.top_logprobs or 0,
        "top_p": 1.0 if known.top_p is None else known.top_p,
        "truncation": known.truncation or "disabled",
    }


def format_of(text: TextForm | None) -> Tree:
    """Return the form that the text was asked in."""
    if text is None or text.format is None:
        return {"type": "text"}
    schema: Tree = {"description": None, "strict": False} if text.format.get("type") == "json_schema" else {}
    return {**schema, **text.format}


class StreamEncoder:
    """Writes a stream: every event has a number, and every item that was begun is ended before the answer is."""

    cut: UpstreamFailed | None = None

    def __init__(self, answer: Answer) -> None:
        self.headers: HeaderList = [("content-type", "text/event-stream; charset=utf-8")]
        self._answer = answer
        self._number = 0  # of the next event
        self._begun = False
        self._owed = 0  # tokens of parts that show nothing by themselves, for the next event
        self._first_passed = self._last_passed = NOTHING  # of what came in a vendor's own bytes

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Return the events for these parts as one piece."""
        if type(piece := parts[0]) is Piece:
            if len(parts) > 1:
                [piece] = together([part for part in parts if isinstance(part, Piece)])
            self._last_passed = piece
            if self._first_passed is NOTHING:
                self._first_passed = piece
            return piece
        return by_runs(parts, self._written) if len(parts) > 1 else self._written(parts)

    def _written(self, parts: Sequence[Part]) -> Piece | None:
        """Return the same for parts that are all further texts, or for any."""
        if not self._owed and (further := self._further(parts)) is not None:
            return further
        events: list[tuple[Tree, int]] = []
        carries = False
        for part in parts:
            if isinstance(part, Identity):
                self._answer.identify(part)
                continue
            opening, shown = self._opening(), self._events(part, events)
            self._owed += part.tokens
            events += [(tree, 0) for tree in (*opening, *shown[:-1])]
            if shown:
                carries, held = True, self._answer.output.held.tokens
                events.append((shown[-1], self._owed - held))
                self._owed = held
        pieces = [Piece(self._numbered(tree), tokens, carries=carries) for tree, tokens in events]
        if not pieces and any(isinstance(part, OUTPUT) for part in parts):
            return Piece(KEEP_ALIVE, 0, carries=True)  # a call is held: the model is at work
        return together(pieces)[0] if pieces else None

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the two events that end a stream which failed."""
        response = self._answer.tree("failed")
        if self._first_passed is not NOTHING:
            numbers, said = NUMBER.findall(self._last_passed.data), RESPONSE_ID.search(self._first_passed.data)
            self._number = int(numbers[-1]) + 1 if numbers else self._number
            response["id"] = said[1].decode() if said else response["id"]
        return b"".join([self._numbered(event) for event in failure_events(error, response)])

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return the event that ends the answer, with its items and its usage."""
        if passed := passed_in(parts):
            return passed
        whole = self._answer.whole(report_in(parts))
        events: list[Tree] = [*self._opening(), {"type": f"response.{whole['status']}", "response": whole}]
        return b"".join([self._numbered(event) for event in events])

    def _further(self, parts: Sequence[Part]) -> Piece | None:
        """Return the events for parts that are all further text, as nearly all are; None if they are not."""
        texts = [part.text for part in parts if type(part) is Text]
        if len(texts) < len(parts):
            return None
        beginning = self._answer.output.further(texts)
        if not beginning:
            return None
        first = self._number
        self._number += len(texts)
        events = [b'%b%b,"logprobs":[],"sequence_number":%d}\n\n' % (beginning, encode(text), at) for at, text in enumerate(texts, first)]
        return run_of(events, [part.tokens for part in parts])

    def _opening(self) -> list[Tree]:
        if self._begun:
            return []
        self._begun = True
        response = self._answer.tree("in_progress")
        return [{"type": kind, "response": response} for kind in ("response.created", "response.in_progress")]

    def _events(self, part: Part, before: list[tuple[Tree, int]]) -> list[Tree]:
        """Return the events for a part. Log-probabilities go into the event of their text, which is the last."""
        if isinstance(part, Extra) and part.name == "logprobs" and is_tree(part.value):
            tokens = self._answer.output.weigh(as_list(part.value.get("content")))
            if before and "logprobs" in before[-1][0]:
                before[-1][0]["logprobs"] = tokens
            return []
        return self._answer.output.take(part)

    def _numbered(self, tree: Tree) -> bytes:
        data = event_bytes(tree, self._number)
        self._number += 1
        return data


class DocumentEncoder(WholeDocument):
    """Writes one document."""

    _answer: Answer | None = None

    def __init__(self, request: ResponsesRequest, call_id: str, created: int) -> None:
        self._asked = (request, call_id, created)

    def keep(self, part: Part) -> None:
        """Take note of a part."""
        if self._answer is None:
            self._answer = Answer(*self._asked)
        if isinstance(part, Identity):
            self._answer.identify(part)
        elif isinstance(part, Extra) and part.name == "logprobs" and is_tree(part.value):
            self._answer.output.weigh(as_list(part.value.get("content")))
        elif type(part) is not Report:  # which `document` is given
            self._answer.output.take(part)

    def document(self, report: Report | None) -> Tree:
        """Return the document of all parts."""
        assert self._answer is not None, "a report was a part"
        return self._answer.whole(report)

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the failure of a document whose head was sent."""
        return refusal_body(error, request_id)


class ResponsesDoor:
    """The door."""

    protocol = PROTOCOL
    outside_body, keep_alive = PROTOCOL, KEEP_ALIVE

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        return parse_responses(body)

    def content(self, request: Request) -> Content:
        """Return what a request holds."""
        return own(request).content()

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer."""
        asked = own(request)
        return StreamEncoder(Answer(asked, call_id, created)) if request.stream else DocumentEncoder(asked, call_id, created)

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the events that end a stream of which nobody knows how far it came."""
        response: Tree = {"id": f"resp_{request_id.removeprefix('req_')}", "object": "response"}
        return b"".join([event_bytes(event, number) for number, event in enumerate(failure_events(error, response))])

    def refused(self, error: ApiError, request_id: str) -> Refused:
        """Return an error as a whole answer."""
        return Refused(*refusal(in_own_names(error, RESPONSES), request_id))


def own(request: Request) -> ResponsesRequest:
    """Return a request that this door has read."""
    assert isinstance(request, ResponsesRequest), "the path gives a door back what it has read"
    return request


RESPONSES_DOOR: Door = ResponsesDoor()
