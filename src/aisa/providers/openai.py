"""The OpenAI dialect: chat completions as OpenAI and everyone compatible with it speaks them. Sans-IO, and knows no vendor by name."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from aisa.errors import UpstreamFailed
from aisa.providers.blame import judge, unreadable
from aisa.providers.openai_answer import AnswerDecoder
from aisa.providers.openai_stream import StreamDecoder
from aisa.providers.port import UpstreamRequest
from aisa.providers.report import read_refusal
from aisa.providers.shape import Asked, Decoder, Target
from aisa.wire.chat import ChatRequest, has_bare_image_url
from aisa.wire.trees import is_list, is_tree

NAME: str = "openai"

STREAM_OPTIONS = "stream_options"
ADDED = (STREAM_OPTIONS,)  # to a stream, for the bill; some vendors refuse it
USAGE_PLEASE = Raw(b'{"include_usage":true}')


def to_upstream(chat: ChatRequest, target: Target) -> UpstreamRequest:
    """Write the request: the client's own members, with the vendor's model name and, for streams, usage asked for."""
    fields = dict(chat.fields)
    fields["model"] = Raw(msgspec.json.encode(target.model))
    added: tuple[str, ...] = ()
    if chat.stream:
        options = chat.fields.get("stream_options")
        if STREAM_OPTIONS in target.omit:
            leave_out_usage(fields)
        elif options is None or chat.known.stream_options is None:
            fields[STREAM_OPTIONS] = USAGE_PLEASE
        elif not chat.include_usage:
            fields[STREAM_OPTIONS] = Raw(msgspec.json.encode({**msgspec.json.decode(options), "include_usage": True}))
        added = () if STREAM_OPTIONS in target.omit else ADDED
    if has_bare_image_url(chat.known.messages):
        fields["messages"] = Raw(with_image_objects(fields["messages"]))
    headers = (("content-type", "application/json"), ("accept", "text/event-stream" if chat.stream else "application/json"))
    return UpstreamRequest(path="/chat/completions", headers=headers + target.headers, body=msgspec.json.encode(fields), added=added)


def leave_out_usage(fields: dict[str, Raw]) -> None:
    """Take the wish for usage out of a request: we answer it ourselves, so the caller loses nothing. What else he asks there stays."""
    options: object = msgspec.json.decode(fields.pop(STREAM_OPTIONS, Raw(b"null")))
    rest = {name: value for name, value in options.items() if name != "include_usage"} if is_tree(options) else {}
    if rest:
        fields[STREAM_OPTIONS] = Raw(msgspec.json.encode(rest))


def with_image_objects(messages: Raw) -> bytes:
    """Write `image_url` strings, which AIsa's schema allows, as the `{url}` objects that OpenAI's asks for."""
    tree = msgspec.json.decode(messages)
    for message in tree:
        for part in message["content"] if is_list(message.get("content")) else ():
            if part.get("type") == "image_url" and isinstance(part.get("image_url"), str):
                part["image_url"] = {"url": part["image_url"]}
    return msgspec.json.encode(tree)


def decoder(chat: ChatRequest, target: Target, *, call_id: str, created: int) -> Decoder:
    """Return what reads the answer: a stream of events, or one document."""
    if chat.stream:
        return StreamDecoder(chat, target, (call_id, created))
    return AnswerDecoder(chat, target, (call_id, created))


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
    """Say what an HTTP status other than 200 means."""
    if 300 <= status < 400 or status < 200:
        return unreadable(target, f"unexpected status {status}")
    return judge(read_refusal(status, headers, body, now=asked.now), target, asked.added)
