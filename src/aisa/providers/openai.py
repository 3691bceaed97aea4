"""The OpenAI dialect: chat completions as OpenAI and everyone compatible with it speaks them. Sans-IO, and knows no vendor by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from aisa.errors import UpstreamFailed
from aisa.providers import responses
from aisa.providers.blame import judge, unreadable
from aisa.providers.conceded import conceded
from aisa.providers.concessions import Concessions
from aisa.providers.fetched import FETCHES_MAX, Fetches
from aisa.providers.legacy_calls import LegacyCalls, is_legacy
from aisa.providers.openai_answer import AnswerDecoder
from aisa.providers.openai_aside import put_aside
from aisa.providers.openai_assembly import AssemblyDecoder, as_stream, is_assembled
from aisa.providers.openai_stream import StreamDecoder
from aisa.providers.port import UpstreamRequest
from aisa.providers.report import read_refusal
from aisa.providers.responses_models import is_asked_there
from aisa.providers.shape import Asked, Decoder, Target, path_to
from aisa.wire.chat import IMAGE, ChatRequest, Message
from aisa.wire.door import Request
from aisa.wire.reasoning_details import SEALED_BEGIN, without_seals
from aisa.wire.trees import is_list, is_tree

NAME: str = "openai"

TYPED = "typed parts"  # as for a client of any other protocol
PATH = "/chat/completions"
STREAM_OPTIONS = "stream_options"
INCLUDE_USAGE = "include_usage"
RUNNING_USAGE = "continuous_usage_stats"
ADDED = (STREAM_OPTIONS, INCLUDE_USAGE)  # to a stream, for the bill; some vendors refuse one or the other
USAGE_WISH = b'{"include_usage":true}'
USAGE_PLEASE = Raw(USAGE_WISH)
DOCUMENT_HEADERS = (("content-type", "application/json"), ("accept", "application/json"))
STREAM_HEADERS = (("content-type", "application/json"), ("accept", "text/event-stream"))
RUNNING_PLEASE = Raw(b'{"include_usage":true,"continuous_usage_stats":true}')


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request: the client's own members, with the vendor's model name and, for streams, usage asked for."""
    if is_asked_there(request, target):
        return responses.to_upstream(request, target)
    chat, facts = request.as_chat(), target.facts
    translated, concessions = chat is not request, None
    if facts is not None and not facts.touched.isdisjoint(chat.fields):
        concessions = Concessions(target, translated=translated)
        chat = conceded(chat, facts, concessions)
    if target.assemble and is_assembled(chat, target):
        chat, translated = as_stream(chat), True
    fields = dict(chat.fields)
    fields["model"] = Raw(msgspec.json.encode(target.model))
    added = ask_for_usage(fields, chat, target) if chat.stream else ()
    if not chat.body or chat.body.find(SEALED_BEGIN) >= 0:  # the messages of a large body are not copied for nothing
        fields["messages"] = Raw(without_seals(bytes(fields["messages"])))
    if translated:
        added += put_aside(fields, target, marked=isinstance(request, ChatRequest))
    fetches = Fetches(wanted=True) if target.fetches and has_picture_address(chat.known.messages) else None
    if fetches is not None:
        fields["messages"] = Raw(with_pictures(fields["messages"], fetches))
    urls = () if fetches is None else fetches.urls
    headers = STREAM_HEADERS if chat.stream else DOCUMENT_HEADERS
    body, path = msgspec.json.encode(fields), path_to(PATH, target)
    if concessions is None:
        return UpstreamRequest(path, headers + target.headers, body, added=added, fetches=urls)
    dropped, changed = concessions.dropped, concessions.changed
    return UpstreamRequest(path, headers + target.headers, body, dropped=dropped, changed=changed, added=added, fetches=urls)


def ask_for_usage(fields: dict[str, Raw], chat: ChatRequest, target: Target) -> tuple[str, ...]:
    """Write a stream's wish for usage into a request, and return what of that is ours: a vendor that refuses it is asked without.

    Usage is our wish even where the caller has it too, because we answer his. Where he asks for more there, it is he who is refused. From
    a target that does not take the wish it is left out, and nothing else of the caller's.
    """
    given = fields.get(STREAM_OPTIONS)
    options: object = None if given is None or bytes(given) == USAGE_WISH else msgspec.json.decode(given)
    rest = {name: value for name, value in options.items() if name != INCLUDE_USAGE} if is_tree(options) else {}
    if target.omit and any(name in target.omit for name in ADDED):
        fields.pop(STREAM_OPTIONS, None)
        if rest:
            fields[STREAM_OPTIONS] = Raw(msgspec.json.encode(rest))
        return ()
    if target.running_usage and RUNNING_USAGE not in rest and RUNNING_USAGE not in target.omit:
        fields[STREAM_OPTIONS] = Raw(msgspec.json.encode({**rest, INCLUDE_USAGE: True, RUNNING_USAGE: True})) if rest else RUNNING_PLEASE
        return (RUNNING_USAGE, *ADDED) if not rest else (RUNNING_USAGE,)
    if not rest:
        fields[STREAM_OPTIONS] = USAGE_PLEASE
        return ADDED
    if not chat.include_usage:
        fields[STREAM_OPTIONS] = Raw(msgspec.json.encode({**rest, INCLUDE_USAGE: True}))
    return ()


def with_pictures(messages: Raw, fetches: Fetches) -> bytes:
    """Write places for what stands at the addresses of pictures, as data URLs; FETCHES_MAX at most, others stay as they are."""
    tree = msgspec.json.decode(messages)
    for message in tree:
        for part in message["content"] if is_list(message.get("content")) else ():
            picture = part.get("image_url")
            if part.get("type") == IMAGE and is_tree(picture):
                url = picture.get("url")
                if isinstance(url, str) and is_picture_address(url) and (url in fetches.urls or len(fetches.urls) < FETCHES_MAX):
                    part["image_url"] = {**picture, "url": fetches.add_data_url(url)}
    return msgspec.json.encode(tree)


def has_picture_address(messages: Sequence[Message]) -> bool:
    """Say whether a picture is given by an address that this server could read."""
    parts = [part for message in messages if isinstance(message.content, list) for part in message.content if part.type == IMAGE]
    return any(is_picture_address(part.image_url.get("url") if is_tree(part.image_url) else part.image_url) for part in parts)


def is_picture_address(url: object) -> bool:
    """Say whether this is an address and not the data itself."""
    return isinstance(url, str) and url.lower().startswith(("http://", "https://"))


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str = NAME) -> Decoder:
    """Return what reads the answer: a stream of events, or one document, or a stream that becomes one."""
    if is_asked_there(request, target):
        return responses.decoder(request, target, call_id=call_id, created=created, protocol=protocol)
    if target.facts is not None and target.facts.tools_only and protocol != TYPED and is_legacy(request.as_chat()):
        return LegacyCalls(decoder(request, target, call_id=call_id, created=created, protocol=TYPED))
    chat, identity, passes = request.as_chat(), (call_id, created), protocol == NAME
    if chat.stream:
        read = StreamDecoder(chat, target, identity, passes=passes)
        chat.fold()
        return read
    if target.assemble and is_assembled(chat, target):
        return AssemblyDecoder(chat, target, identity, passes=passes)
    return AnswerDecoder(chat, target, identity, passes=passes)


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
    """Say what an HTTP status other than 200 means."""
    if 300 <= status < 400 or status < 200:
        return unreadable(target, f"unexpected status {status}")
    return judge(read_refusal(status, headers, body, now=asked.now), target, asked.added)
