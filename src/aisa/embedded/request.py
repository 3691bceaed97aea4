"""A chat request as the embedded model reads it: what it honours, and the refusal of what it cannot do. Generates nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from aisa.embedded.sampling import Settings
from aisa.wire.bad_values import in_json_words, lower_first

OUTPUT_TOKENS_USUAL = 200  # of a text when the request sets no limit; the model rarely says more
OUTPUT_TOKENS_MAX = 32_768  # of one choice, whatever the request says
CHOICES_MAX = 128  # as OpenAI
TOOLS_MAX = 128  # likewise
STOP_SEQUENCES_MAX = 16  # more than most vendors take


PLACE = re.compile(r"`\$\.([^`]+)`$")  # how msgspec says where in a document something is wrong


class Refusal(Exception):
    """The request cannot be answered: HTTP status 400. `code` and `param` as OpenAI gives them."""

    def __init__(self, message: str, param: str | None, code: str | None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class Part(msgspec.Struct):
    """One part of a message's content; only its text counts."""

    type: str = "text"
    text: str | None = None
    refusal: str | None = None


class Message(msgspec.Struct):
    """One message of the conversation."""

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: object = None  # any JSON: earlier calls are counted as text, nothing more
    function_call: object = None  # likewise

    def text(self) -> str:
        """Return the text of all parts."""
        if not isinstance(self.content, list):
            return self.content or ""
        return "\n".join(text for part in self.content if (text := part.text or part.refusal))


class Function(msgspec.Struct, omit_defaults=True):
    """A function on offer; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: object = None  # any JSON: a schema has no fixed shape


class Custom(msgspec.Struct, omit_defaults=True):
    """A tool whose input is free text, or follows a grammar."""

    name: str
    description: str | None = None
    format: dict[str, object] | None = None  # any JSON: read where it is used


class Tool(msgspec.Struct, omit_defaults=True):
    """A tool on offer."""

    type: str = "function"
    function: Function | None = None
    custom: Custom | None = None


class StreamOptions(msgspec.Struct):
    """What a stream also carries."""

    include_usage: bool | None = None


class JsonSchema(msgspec.Struct, omit_defaults=True):
    """The schema that the answer must follow."""

    name: str = ""
    schema: object = None  # any JSON: a schema has no fixed shape


class ResponseFormat(msgspec.Struct, omit_defaults=True):
    """Whether the answer is text or JSON."""

    type: str = "text"
    json_schema: JsonSchema | None = None


Fraction = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


class Ask(msgspec.Struct, kw_only=True):
    """The fields of a chat request that the model acts on. Others are ignored."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Fraction | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[int, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    seed: int | float | None = None
    stop: str | Annotated[list[str], Meta(max_length=STOP_SEQUENCES_MAX)] | None = None
    max_tokens: int | None = None  # below 1: no limit
    max_completion_tokens: int | None = None  # likewise
    n: Annotated[int, Meta(ge=1, le=CHOICES_MAX)] | None = None
    logprobs: bool | int | None = None
    top_logprobs: Annotated[int, Meta(ge=0)] | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: str | dict[str, object] | None = None  # any JSON: read where it is used
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[Function], Meta(max_length=TOOLS_MAX)] | None = None
    function_call: str | dict[str, object] | None = None  # likewise
    modalities: list[str] | None = None
    audio: object = None  # any JSON: refused unless null
    web_search_options: object = None  # likewise
    moderation: object = None  # likewise
    metadata: object = None  # any JSON: given back

    def settings(self) -> Settings:
        """Return how tokens are to be chosen; what is null or absent has OpenAI's default."""
        return Settings(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            frequency_penalty=self.frequency_penalty or 0.0,
            presence_penalty=self.presence_penalty or 0.0,
            logit_bias=self.logit_bias or {},
        )

    def stops(self) -> list[str]:
        """Return the stop sequences."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    def token_limit(self) -> int | None:
        """Return the limit of output tokens that the request sets, or None."""
        limits = (self.max_completion_tokens or 0, self.max_tokens or 0)
        return next((min(limit, OUTPUT_TOKENS_MAX) for limit in limits if limit > 0), None)

    def instructions(self) -> Iterator[str]:
        """Yield the text of the last user message, then those of the system's, the last first."""
        yield self.prompt()
        yield from (message.text() for message in reversed(self.messages) if message.role in ("system", "developer"))

    def last_said(self) -> str:
        """Return the last text of the last user message: clients of agents put their own texts before it."""
        users = [message for message in self.messages if message.role == "user"]
        content = (users or self.messages)[-1].content
        texts = [part.text for part in content if part.text] if isinstance(content, list) else [content or ""]
        return texts[-1] if texts else ""

    def prompt(self) -> str:
        """Return the text of the last user message; without one, of the last message."""
        users = [message for message in self.messages if message.role == "user"]
        return (users or self.messages)[-1].text()


def read_request(body: object) -> Ask:
    """Read a chat request from parsed JSON. Raises Refusal."""
    try:
        ask = msgspec.convert(body, Ask, str_keys=True)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at ")
        found = PLACE.search(place)
        param = found[1] if found else None
        raise Refusal(
            f"This model cannot take '{param or 'body'}': {lower_first(in_json_words(reason))}.", param, "unsupported_value"
        ) from error
    wanted = {"audio": ask.audio, "web_search_options": ask.web_search_options, "moderation": ask.moderation}
    if "audio" in (ask.modalities or ()):
        wanted["modalities"] = ask.modalities
    for name, value in wanted.items():
        if value is not None:
            message = f"Unsupported parameter: '{name}' is not supported with this model, which only reads and writes text."
            raise Refusal(message, name, "unsupported_parameter")
    if ask.stream_options and not ask.stream:
        raise Refusal("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", None)
    if ask.top_logprobs and not ask.logprobs:
        raise Refusal("The 'top_logprobs' parameter is only allowed when 'logprobs' is true.", "top_logprobs", None)
    return ask
