"""The OpenAI dialect: chat completions as OpenAI and everyone compatible with it speaks them. Sans-IO, and knows no vendor by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from aisa.errors import UpstreamFailed
from aisa.providers.blame import Report, broken_off, judge, unreadable
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Decoder, Piece, Target
from aisa.usage import COUNTED, ESTIMATED, Usage
from aisa.wire.answer import as_chunk, completed
from aisa.wire.chat import ChatRequest, has_bare_image_url
from aisa.wire.chunks import ChunkStream, VendorError, encode_chunk
from aisa.wire.counts import Tree, from_usage, repaired, to_usage, with_cost
from aisa.wire.sse import DONE, Event, EventTooLarge, SseDecoder, data_event

NAME = "openai"

USAGE_PLEASE = Raw(b'{"include_usage":true}')
USAGE_NULLS = (b',"usage":null', b', "usage": null')
BYTES_PER_TOKEN = 4  # English text and JSON, roughly; used only where a vendor reports nothing


def to_upstream(chat: ChatRequest, target: Target) -> UpstreamRequest:
    """Write the request: the client's own members, with the vendor's model name and, for streams, usage asked for."""
    fields = dict(chat.fields)
    fields["model"] = Raw(msgspec.json.encode(target.model))
    if chat.stream:
        options = chat.fields.get("stream_options")
        if options is None or chat.known.stream_options is None:
            fields["stream_options"] = USAGE_PLEASE
        elif not chat.include_usage:
            fields["stream_options"] = Raw(msgspec.json.encode({**msgspec.json.decode(options), "include_usage": True}))
    if has_bare_image_url(chat.known.messages):
        fields["messages"] = Raw(with_image_objects(fields["messages"]))
    headers = (("content-type", "application/json"), ("accept", "text/event-stream" if chat.stream else "application/json"))
    return UpstreamRequest(path="/chat/completions", headers=headers + target.headers, body=msgspec.json.encode(fields))


def with_image_objects(messages: Raw) -> bytes:
    """Write `image_url` strings, which AIsa's schema allows, as the `{url}` objects that OpenAI's asks for."""
    tree = msgspec.json.decode(messages)
    for message in tree:
        for part in message["content"] if isinstance(message.get("content"), list) else ():
            if isinstance(part.get("image_url"), str):
                part["image_url"] = {"url": part["image_url"]}
    return msgspec.json.encode(tree)


def decoder(chat: ChatRequest, target: Target, *, call_id: str, created: int) -> Decoder:
    """Return what reads the answer: a stream of events, or one document."""
    if chat.stream:
        return StreamDecoder(chat, target, call_id, created)
    return AnswerDecoder(chat, target, call_id, created)


def read_failure(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailed:
    """Say what an HTTP status other than 200 means."""
    if 300 <= status < 400 or status < 200:
        return unreadable(target, f"unexpected status {status}")
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        tree = None
    if isinstance(tree, list) and tree:
        tree = tree[0]  # Gemini's compatible route wraps its errors in an array
    report = tree.get("error", tree) if isinstance(tree, dict) else None
    return judge(read_report(report, status, headers.get("retry-after")), target)


def read_report(report: object, status: int, retry_after: str | None = None) -> Report:
    """Read an error value: an object, a bare string, or nothing of use."""
    wait = float(retry_after) if retry_after is not None and retry_after.strip().isdigit() else None
    if not isinstance(report, dict):
        return Report(status, report if isinstance(report, str) else "", retry_after=wait)
    code, param = report.get("code"), report.get("param")
    if status == 200:  # inside a stream the status is gone; some vendors send it as the code
        number = int(code) if str(code).isdecimal() else 0
        status = number if 400 <= number < 600 else IN_STREAM.get(str(code or report.get("type") or ""), 500)
    message = report.get("message") or report.get("detail") or ""
    return Report(status, str(message), str(code or ""), str(report.get("type") or ""), param if isinstance(param, str) else None, wait)


#: What an error inside a stream would have had as its status.
IN_STREAM = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "content_filter": 400,
    "server_is_overloaded": 503,
    "overloaded_error": 503,
}


class PlainDelta(msgspec.Struct, forbid_unknown_fields=True):
    """A delta of nothing but text."""

    content: str


class PlainChoice(msgspec.Struct, forbid_unknown_fields=True):
    """A choice of nothing but text; logprobs take the long way, because they tell how many tokens there are."""

    delta: PlainDelta
    index: int = -1
    finish_reason: None = None
    logprobs: None = None


class PlainChunk(msgspec.Struct):
    """The chunk that streams are made of. What decodes to it and continues the stream is conformant as it is."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: tuple[PlainChoice]
    usage: None | UnsetType = UNSET
    error: None | UnsetType = UNSET
    x_groq: None | UnsetType = UNSET


PLAIN = msgspec.json.Decoder(PlainChunk)
ANY = msgspec.json.Decoder()
FIELDS = msgspec.json.Decoder(dict[str, Raw])


class StreamDecoder:
    """Reads a stream: conformant events pass byte for byte, all others are made conformant."""

    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, chat: ChatRequest, target: Target, call_id: str, created: int) -> None:
        self.done = False
        self.failure: UpstreamFailed | None = None
        self._target = target
        self._include_usage = chat.include_usage
        self._chat = chat
        self._identity = (call_id, created)
        self._events = SseDecoder()
        self._chunks = ChunkStream(f"chatcmpl-{call_id}", created, chat.model, include_usage=chat.include_usage, n=chat.known.n or 1)
        self._ended = False
        self._whole: bytearray | None = None  # a document where a stream was asked
        self._begun = False

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes of the vendor's body."""
        if not self._begun and data.strip():
            self._begun = True
            if data.lstrip()[:1] in (b"{", b"["):
                self._whole = bytearray()
        if self._whole is not None:
            self._whole += data
            return []
        try:
            return self._relay(self._events.feed(data))
        except EventTooLarge:
            self.failure = unreadable(self._target, "an event over the size limit")
            return []

    def end(self) -> list[Piece]:
        """Take the end of the vendor's body. A stream that ends with neither a finish reason nor `[DONE]` has failed."""
        self._ended = True
        pieces = self._relay_document() if self._whole is not None else self._relay(self._events.end())
        if not self.done and self.failure is None:
            if self._chunks.finished:
                self.done = True
            else:
                self.failure = broken_off(self._target)
        return pieces

    def usage(self) -> Usage:
        """Return the tokens so far."""
        if self._chunks.report is not None:
            told = to_usage(repaired(self._chunks.report))
            if self.done or told.output_tokens >= self._chunks.tokens:
                return told
            return msgspec.structs.replace(told, output_tokens=self._chunks.tokens, source=COUNTED)
        prompt = -(-self._chat.body_bytes // BYTES_PER_TOKEN)
        return Usage(input_tokens=prompt, output_tokens=self._chunks.tokens, source=COUNTED if self._chunks.tokens else ESTIMATED)

    def closing(self, cost_usd: str | None) -> bytes:
        """Return the usage chunk, if it was asked for, and `[DONE]`."""
        if not self._include_usage:
            return DONE
        report = self._chunks.report
        counted = repaired(report) if report is not None else from_usage(self.usage())
        return data_event(encode_chunk(self._chunks.usage_chunk(with_cost(counted, cost_usd)))) + DONE

    def _relay(self, events: list[Event]) -> list[Piece]:
        pieces: list[Piece] = []
        for name, data in events:
            if self.done or self.failure is not None:
                break
            plain = self._plain(data)
            if plain is not None:
                self._chunks.tokens += 1
                pieces.append(Piece(b"data: " + plain + b"\n\n", 1))
            else:
                self._relay_slowly(name, data, pieces)
        return pieces

    def _plain(self, data: bytes) -> bytes | None:
        """Return the event to emit for a conformant chunk of text that continues the stream; None for anything else."""
        try:
            chunk = PLAIN.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        choice = chunk.choices[0]
        identity = self._chunks.identity
        continues = (
            bool(identity)
            and chunk.id == identity["id"]
            and chunk.created == identity["created"]
            and chunk.model == identity["model"]
            and chunk.error is UNSET
            and self._chunks.is_open(choice.index)
        )
        if not continues or not choice.delta.content or b"\n" in data:
            return None
        return fit_usage(data, present=chunk.usage is None, wanted=self._include_usage)

    def _relay_slowly(self, name: bytes, data: bytes, pieces: list[Piece]) -> None:
        if data.startswith(b"[DONE]"):
            self._emit(self._chunks.finish(), None, b"", 0, pieces)
            self.done = True
            return
        try:
            tree = ANY.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if b"\n" in data:  # events that a sloppy vendor ended with a single newline
                pieces += self._relay([(name, line) for line in data.split(b"\n") if line])
            elif not self._ended:
                self.failure = unreadable(self._target, "an event that is not JSON")
            return
        self._accept(tree, name, data, pieces)

    def _accept(self, tree: object, name: bytes, data: bytes, pieces: list[Piece]) -> None:
        counted = self._chunks.tokens
        try:
            if not isinstance(tree, dict) or (name == b"error" and "error" not in tree):
                raise VendorError(tree)
            chunks = self._chunks.accept(tree)
        except VendorError as error:
            self.failure = judge(read_report(error.report, 200), self._target)
        else:
            self._emit(chunks, tree, data, self._chunks.tokens - counted, pieces)

    def _emit(self, chunks: list[Tree], source: Tree | None, data: bytes, tokens: int, pieces: list[Piece]) -> None:
        """Write chunks as pieces, in the vendor's own bytes where nothing had to change. Tokens ride on the last piece."""
        if len(chunks) == 1 and source is not None and b"\n" not in data and same(chunks[0], source):
            fitted = fit_usage(data, present="usage" in source, wanted=self._include_usage)
            if fitted is not None:
                pieces.append(Piece(b"data: " + fitted + b"\n\n", tokens))
                return
        last = len(chunks) - 1
        pieces += [Piece(data_event(encode_chunk(chunk)), tokens if place == last else 0) for place, chunk in enumerate(chunks)]

    def _relay_document(self) -> list[Piece]:
        """Relay one document as a stream."""
        answer = read_document(bytes(self._whole or b""), self._target, *self._identity, self._chat.model)
        if isinstance(answer, UpstreamFailed):
            self.failure = answer
            return []
        pieces: list[Piece] = []
        self._accept(as_chunk(answer), b"", b"", pieces)
        return pieces


def fit_usage(data: bytes, *, present: bool, wanted: bool) -> bytes | None:
    """Return an event with a null `usage` member cut out or put in; None when that cannot be done on the bytes.

    Cutting is safe on valid JSON: inside a string the quotation marks would be escaped.
    """
    if present is wanted:
        return data
    if wanted:
        return data.rstrip()[:-1] + USAGE_NULLS[0] + b"}"
    for null in USAGE_NULLS:
        if data.count(null) == 1 and data.count(b'"usage"') == 1:
            return data.replace(null, b"", 1)
    return None


def same(chunk: Tree, source: Tree) -> bool:
    """Tell whether a vendor's chunk already is what we would emit, a null or absent `usage` and absent `logprobs` aside."""
    if source.get("usage") is not None or not isinstance(source["choices"], list):
        return False
    ours = {name: value for name, value in chunk.items() if name != "usage"}
    theirs = {name: value for name, value in source.items() if name != "usage"}
    theirs["choices"] = [{"logprobs": None, **choice} for choice in source["choices"]]
    return ours == theirs


def read_document(body: bytes, target: Target, call_id: str, created: int, model: str) -> Tree | UpstreamFailed:
    """Return the conformant answer in a body, or how the vendor failed."""
    try:
        tree = ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return unreadable(target, "a body that is not JSON")
    if isinstance(tree, list) and tree:
        tree = tree[0]
    if not isinstance(tree, dict):
        return unreadable(target, "a body that is not a JSON object")
    try:
        return completed(tree, f"chatcmpl-{call_id}", created, model)
    except VendorError as error:
        return judge(read_report(error.report, 200), target)


class AnswerDecoder:
    """Reads one document, and gives it back whole once the bill is settled."""

    content_type = "application/json"

    def __init__(self, chat: ChatRequest, target: Target, call_id: str, created: int) -> None:
        self.done = False
        self.failure: UpstreamFailed | None = None
        self._target = target
        self._chat = chat
        self._identity = (call_id, created)
        self._body = bytearray()
        self._answer: Tree = {}

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes of the vendor's body."""
        self._body += data
        return []

    def end(self) -> list[Piece]:
        """Take the end of the vendor's body."""
        call_id, created = self._identity
        answer = read_document(bytes(self._body), self._target, call_id, created, self._chat.model)
        if isinstance(answer, UpstreamFailed):
            self.failure = answer
        else:
            self._answer = answer
            self.done = True
        return []

    def usage(self) -> Usage:
        """Return the tokens reported, or an estimate from the sizes of prompt and answer."""
        report = self._answer.get("usage")
        if isinstance(report, dict):
            return to_usage(repaired(report))
        sizes = (self._chat.body_bytes, len(msgspec.json.encode(self._answer.get("choices"))) if self._answer else 0)
        prompt, output = (-(-size // BYTES_PER_TOKEN) for size in sizes)
        return Usage(input_tokens=prompt, output_tokens=output, source=ESTIMATED)

    def closing(self, cost_usd: str | None) -> bytes:
        """Return the whole body: the vendor's own members wherever nothing had to change."""
        report = self._answer.get("usage")
        usage = with_cost(repaired(report) if isinstance(report, dict) else from_usage(self.usage()), cost_usd)
        body = bytes(self._body)
        source = ANY.decode(body)
        if self._answer == source:
            if usage == report:
                return body
            fields: dict[str, object] = dict(FIELDS.decode(body))
            return msgspec.json.encode({**fields, "usage": usage})
        return msgspec.json.encode({**self._answer, "usage": usage})
