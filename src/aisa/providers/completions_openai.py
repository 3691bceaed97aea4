"""Text completions as OpenAI and everyone compatible with it makes them, at vendors that have them; elsewhere as conversations. Sans-IO."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from aisa.errors import UpstreamFailed
from aisa.providers import openai
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.completions_reader import CompletionsDocument, CompletionsReader, CompletionsStream
from aisa.providers.openai import ask_for_usage
from aisa.providers.port import UpstreamRequest
from aisa.providers.responses_models import HOST
from aisa.providers.shape import Asked, Decoder, Target, path_to
from aisa.providers.through_chat import ThroughChat
from aisa.providers.through_chat import asked as asked_for
from aisa.providers.whole_document import AskedOfTexts
from aisa.wire.door import Request

NAME: str = "completions/openai"
#: OpenAI's own models that have completions, and nothing else.
ONLY_THERE = re.compile(r"(?:ft:)?(?:gpt-3\.5-turbo-instruct|davinci-002|babbage-002)").match
THROUGH_CHAT = ThroughChat(openai)


def goes_on(target: Target) -> bool:
    """Say whether a target goes on from a text as it is."""
    return target.completions or (target.host == HOST and ONLY_THERE(target.model) is not None)


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request: the client's own members, with the vendor's model name and, for streams, usage asked for."""
    given = asked_for(request)
    if not goes_on(target):
        return THROUGH_CHAT.to_upstream(given, target)
    fields = {**given.fields, "model": Raw(msgspec.json.encode(target.model))}
    added = ask_for_usage(fields, given.as_chat(), target) if given.stream else ()
    headers = (("content-type", "application/json"), ("accept", "text/event-stream" if given.stream else "application/json"))
    return UpstreamRequest(
        path=path_to("/completions", target), headers=headers + target.headers, body=msgspec.json.encode(fields), added=added
    )


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
    """Return what reads the answer: a stream of events, or one document."""
    given = asked_for(request)
    if not goes_on(target):
        return THROUGH_CHAT.decoder(given, target, call_id=call_id, created=created, protocol=protocol)
    builder = AnswerBuilder(given, target, (call_id, created), by_pieces=given.stream, asked=AskedOfTexts(given, target))
    reader = CompletionsReader(builder, given)
    return CompletionsStream(builder, reader, target) if given.stream else CompletionsDocument(builder, reader, target, request=given)


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
    """Say what an HTTP status other than 200 means."""
    return openai.read_failure(status, headers, body, target=target, asked=asked)
