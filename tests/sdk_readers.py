"""What each vendor's own client for Python has of a stream: the judges of what we send and of what our scripts say. Not a test.

No line of a stream is read here: the clients take the bytes, and what they make of them is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import cohere
import httpx
import httpx2
from anthropic import Anthropic, AnthropicError
from botocore import eventstream, parsers, session
from google import genai
from google.genai import errors, types
from mistralai.client import Mistral
from openai import ContentFilterFinishReasonError, LengthFinishReasonError, OpenAI, OpenAIError

Json = dict[str, Any]
KEY: Json = {"api_key": "k"}
ASKED: Json = {"model": "m", "messages": [{"role": "user", "content": "Hello."}]}
OPERATION = session.Session().get_service_model("bedrock-runtime").operation_model("ConverseStream")
SSE, FRAMES = "text/event-stream", "application/vnd.amazon.eventstream"
#: Google's client makes one of its own where none is given, with everything that TLS needs.
UNUSED = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
#: The words in which the protocols say why an answer ended.
STOP, CALLS, LENGTH, REFUSED = "stop", "calls", "length", "refused"
ENDS = {
    STOP: ("stop", "end_turn", "completed", "STOP", "COMPLETE"),
    CALLS: ("tool_calls", "tool_use", "TOOL_CALL"),
    LENGTH: ("length", "max_tokens", "max_output_tokens", "MAX_TOKENS"),
    REFUSED: ("content_filter", "refusal", "SAFETY"),
}


class Read(NamedTuple):
    """What a client has: `end` is one of the words above, nothing if it was told of a failure, which is `failed` then."""

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, str], ...] = ()  # name, and arguments as compact JSON
    end: str = ""
    tokens: tuple[int, int] = (0, 0)  # all of the input, all of the output
    failed: str = ""


def end_of(word: str | None) -> str:
    """Return why an answer ended."""
    [end] = [end for end, words in ENDS.items() if word in words]
    return end


def call_of(name: str | None, given: object) -> tuple[str, str]:
    """Return a call; its arguments come as an object or as its text."""
    value = json.loads(given or "{}") if isinstance(given, str) else given or {}
    return name or "", json.dumps(value, separators=(",", ":"))


def newer(stream: bytes) -> httpx2.Client:
    """What answers each request with a stream."""
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=stream, headers={"content-type": SSE})))


def older(stream: bytes) -> httpx.Client:
    """The same for clients on the library of before."""
    return httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=stream, headers={"content-type": SSE})))


def openai_of(stream: bytes) -> OpenAI:
    """OpenAI's client, of a server that answers with this stream."""
    return OpenAI(**KEY, max_retries=0, http_client=newer(stream))


def chat(stream: bytes) -> Read:
    """OpenAI's, of a chat completion."""
    text = ""
    with openai_of(stream).chat.completions.stream(**ASKED, stream_options={"include_usage": True}) as events:
        try:
            for event in events:
                text += event.delta if event.type == "content.delta" else ""
        except (ContentFilterFinishReasonError, LengthFinishReasonError):
            pass  # raised at the end, whatever came before: what it has is in its snapshot
        except OpenAIError as error:
            return Read(text, failed=str(error))
        whole = events.current_completion_snapshot
    choice, usage = whole.choices[0], whole.usage
    made = [call_of(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
    thinking = str((choice.message.model_extra or {}).get("reasoning_content") or "")
    said = (choice.message.content or "") + (choice.message.refusal or "")
    tokens = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
    return Read(said, thinking, tuple(made), end_of(choice.finish_reason), tokens)


def completions(stream: bytes) -> Read:
    """OpenAI's, of a text completion."""
    read = Read()
    try:
        for chunk in openai_of(stream).completions.create(model="m", prompt="Hello.", stream=True, stream_options={"include_usage": True}):
            for choice in chunk.choices:
                read = read._replace(text=read.text + choice.text, end=end_of(choice.finish_reason) if choice.finish_reason else read.end)
            if chunk.usage:
                read = read._replace(tokens=(chunk.usage.prompt_tokens, chunk.usage.completion_tokens))
    except OpenAIError as error:
        return Read(read.text, failed=str(error))
    return read


def responses(stream: bytes) -> Read:
    """OpenAI's, of a response."""
    text, whole = "", None
    try:
        with openai_of(stream).responses.stream(model="m", input="Hello.") as events:
            for event in events:
                text += event.delta if event.type in ("response.output_text.delta", "response.refusal.delta") else ""
                if event.type in ("response.completed", "response.incomplete"):
                    whole = event.response
    except OpenAIError as error:
        return Read(text, failed=str(error))
    assert whole is not None
    assert whole.usage is not None
    made, thought = [], ""
    for item in whole.output:
        if item.type == "function_call":
            made.append(call_of("/".join(filter(None, (item.namespace, item.name))), item.arguments))
        elif item.type == "reasoning":
            thought += "".join([part.text for part in item.summary])
    why = whole.incomplete_details.reason if whole.incomplete_details else "completed"
    end = CALLS if made and why == "completed" else end_of(why)
    return Read(text, thought, tuple(made), end, (whole.usage.input_tokens, whole.usage.output_tokens))


def messages(stream: bytes) -> Read:
    """Anthropic's."""
    text = ""
    try:
        with Anthropic(**KEY, max_retries=0, http_client=newer(stream)).messages.stream(**ASKED, max_tokens=9) as events:
            for event in events:
                text += event.text if event.type == "text" else ""
            whole = events.get_final_message()
    except AnthropicError as error:
        return Read(text, failed=str(error))
    thought = "".join([block.thinking for block in whole.content if block.type == "thinking"])
    made = [call_of(block.name, block.input) for block in whole.content if block.type == "tool_use"]
    used = whole.usage
    tokens = used.input_tokens + (used.cache_read_input_tokens or 0) + (used.cache_creation_input_tokens or 0)
    return Read(text, thought, tuple(made), end_of(whole.stop_reason), (tokens, used.output_tokens))


def gemini(stream: bytes) -> Read:
    """Google's."""
    options = types.HttpOptions(httpx_client=older(stream), httpx_async_client=UNUSED)
    read, client = Read(), genai.Client(**KEY, http_options=options)
    try:
        for chunk in client.models.generate_content_stream(model="m", contents="Hello."):
            for candidate in chunk.candidates or ():
                for part in (candidate.content.parts if candidate.content else None) or ():
                    if part.function_call:
                        read = read._replace(calls=(*read.calls, call_of(part.function_call.name, part.function_call.args)))
                    elif part.thought:
                        read = read._replace(thinking=read.thinking + (part.text or ""))
                    else:
                        read = read._replace(text=read.text + (part.text or ""))
                if candidate.finish_reason:
                    read = read._replace(end=end_of(candidate.finish_reason.value))
            if used := chunk.usage_metadata:
                made = (used.candidates_token_count or 0) + (used.thoughts_token_count or 0)
                read = read._replace(tokens=(used.prompt_token_count or 0, made))
    except errors.APIError as error:
        return read._replace(end="", failed=str(error))
    return read._replace(end=CALLS) if read.calls and read.end == STOP else read


def cohere_chat(stream: bytes) -> Read:
    """Cohere's."""
    read, named, given = Read(), [], []
    client = cohere.ClientV2(**KEY, base_url="http://vendor", httpx_client=older(stream))
    for event in client.chat_stream(model="m", messages=[{"role": "user", "content": "Hello."}]):
        match event.type:
            case "content-delta":
                content = event.delta.message.content
                read = read._replace(text=read.text + (content.text or ""), thinking=read.thinking + (content.thinking or ""))
            case "tool-plan-delta":
                read = read._replace(thinking=read.thinking + event.delta.message.tool_plan)
            case "tool-call-start":
                named.append(event.delta.message.tool_calls.function.name)
                given.append(event.delta.message.tool_calls.function.arguments)
            case "tool-call-delta":
                given[-1] += event.delta.message.tool_calls.function.arguments
            case "message-end":
                used = event.delta.usage.tokens
                tokens = int(used.input_tokens or 0), int(used.output_tokens or 0)
                read = read._replace(end=end_of(event.delta.finish_reason), tokens=tokens)
    return read._replace(calls=tuple([call_of(*call) for call in zip(named, given, strict=True)]))


def mistral(stream: bytes) -> Read:
    """Mistral's."""
    read = Read()
    for event in Mistral(**KEY, client=older(stream)).chat.stream(**ASKED):
        for choice in event.data.choices:
            content = choice.delta.content or ""
            for part in [content] if isinstance(content, str) else content:
                if isinstance(part, str):
                    read = read._replace(text=read.text + part)
                elif part.type == "thinking":
                    read = read._replace(thinking=read.thinking + "".join([inner.text for inner in part.thinking]))
                else:
                    read = read._replace(text=read.text + part.text)
            for call in choice.delta.tool_calls or ():
                read = read._replace(calls=(*read.calls, call_of(call.function.name, call.function.arguments)))
            if isinstance(choice.finish_reason, str):
                read = read._replace(end=end_of(choice.finish_reason))
        if event.data.usage:
            read = read._replace(tokens=(event.data.usage.prompt_tokens, event.data.usage.completion_tokens))
    return read


def bedrock(stream: bytes) -> Read:
    """AWS's."""
    buffer, parser, shape = eventstream.EventStreamBuffer(), parsers.EventStreamJSONParser(), OPERATION.get_event_stream_output()
    buffer.add_data(stream)
    read, named, given = Read(), [], []
    for message in buffer:
        for kind, said in parser.parse(message.to_response_dict(), shape).items():
            delta = said.get("delta", {})
            read = read._replace(text=read.text + delta.get("text", ""))
            read = read._replace(thinking=read.thinking + delta.get("reasoningContent", {}).get("text", ""))
            if "toolUse" in said.get("start", {}):
                named.append(said["start"]["toolUse"]["name"])
                given.append("")
            if "toolUse" in delta:
                given[-1] += delta["toolUse"]["input"]
            if kind == "messageStop":
                read = read._replace(end=end_of(said["stopReason"]))
            if kind == "metadata":
                used = said["usage"]
                cached = used.get("cacheReadInputTokens", 0) + used.get("cacheWriteInputTokens", 0)
                read = read._replace(tokens=(used["inputTokens"] + cached, used["outputTokens"]))
    return read._replace(calls=tuple([call_of(*call) for call in zip(named, given, strict=True)]))


#: By protocol.
READERS: dict[str, Callable[[bytes], Read]] = {
    "openai": chat,
    "completions": completions,
    "responses": responses,
    "anthropic": messages,
    "gemini": gemini,
    "cohere": cohere_chat,
    "mistral": mistral,
    "bedrock": bedrock,
}
