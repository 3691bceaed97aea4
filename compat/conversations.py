"""The same 25 conversations through every dialect, read by LangChain and by pydantic-ai: what they get is what the script says. See run.py.

Run by a Python apart, which has these two clients: `python compat/run.py ../build/compat-python/bin/python conversations.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from openai import APIError
from pydantic_ai import BinaryContent, ImageUrl, ModelRequest, ModelResponse, TextPart, ThinkingPart, ToolCallPart, ToolDefinition
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ToolReturnPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.providers.openai import OpenAIProvider

BASE_URL, KEY = os.environ["AISA_BASE_URL"], os.environ["AISA_API_KEY"]
DIALECTS = ("openai", "mistral", "anthropic", "bedrock", "gemini", "cohere", "responses")
ASKED, TEXT, DEGREES = "How is Oslo?", "It is cold.", '{"degrees":-5}'
INPUT, CACHED, OUTPUT = 30, 8, 14  # tokens of every script
PNG, SOUND = "data:image/png;base64,iVBORw0KGgo=", "UklGRg=="
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
SCHEMA = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"], "additionalProperties": False}
ROOM = 20_000  # tokens, for thinking and an answer
#: dialect -> conversation -> what its 422 names. Vendors that refuse in words alone stand in WORDS_ALONE.
LACKING = {
    "anthropic": {"audio": "messages[0].content[0]"},
    "cohere": {"audio": "messages[0].content[0]"},
    "responses": {"stop": "stop"},
}
WORDS_ALONE = frozenset({"cohere"})


class Said(NamedTuple):
    """What a client has read of an answer: text, refusal, thinking, calls as (id, name, arguments), reason, and counts."""

    text: str
    refusal: str
    thinking: str
    calls: list[tuple[str, str, Any]]
    reason: str | None
    counts: tuple[int, int, int]
    message: Any  # as the client sends it back


class Reader(Protocol):
    """A client that has one conversation after the other. `history` are earlier answers with a result for each of their calls."""

    shows_thinking: bool

    async def ask(self, model: str, *, stream: bool, history: tuple[Any, ...] = (), **wish: Any) -> Said:
        """Ask a model. Wishes: picture, sound, tools, schema, effort, most (output tokens), stop, marked (for the cache)."""
        ...


class LangChain:
    """LangChain's client for OpenAI."""

    shows_thinking = False  # it drops what is in no member of OpenAI's own

    async def ask(self, model: str, *, stream: bool, history: tuple[Any, ...] = (), **wish: Any) -> Said:
        """Ask a model."""
        chat: Any = ChatOpenAI(
            model=model,
            base_url=BASE_URL,
            api_key=KEY,
            max_retries=0,
            stream_usage=True,
            use_responses_api=False,
            **({"reasoning_effort": wish["effort"]} if "effort" in wish else {}),
            **({"max_tokens": wish["most"]} if "most" in wish else {}),
            **({"stop": wish["stop"]} if "stop" in wish else {}),
        )
        if wish.get("tools"):
            chat = chat.bind_tools([{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}])
        if wish.get("schema"):
            form = {"name": "weather", "strict": True, "schema": SCHEMA}
            chat = chat.bind(response_format={"type": "json_schema", "json_schema": form})
        content: Any = [{"type": "text", "text": ASKED, **({"cache_control": {"type": "ephemeral"}} if wish.get("marked") else {})}]
        content += [{"type": "image_url", "image_url": {"url": PNG}}] if wish.get("picture") else []
        content = [{"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}}] if wish.get("sound") else content
        messages: list[Any] = [HumanMessage(content)]
        for answer in history:
            messages += [answer, *[ToolMessage("-5", tool_call_id=call["id"]) for call in answer.tool_calls]]
        whole: Any = None
        if stream:
            async for part in chat.astream(messages):
                whole = part if whole is None else whole + part
        else:
            whole = await chat.ainvoke(messages)
        return self.said(whole)

    def said(self, answer: Any) -> Said:
        """What was read."""
        used = answer.usage_metadata
        cached = used.get("input_token_details", {}).get("cache_read") or 0
        return Said(
            answer.text if isinstance(answer.text, str) else answer.text(),
            answer.additional_kwargs.get("refusal") or "",
            "",
            [(call["id"], call["name"], call["args"]) for call in answer.tool_calls],
            answer.response_metadata.get("finish_reason"),
            (used["input_tokens"], used["output_tokens"], cached),
            AIMessage(answer.content, tool_calls=answer.tool_calls),
        )


class PydanticAi:
    """The client of pydantic-ai for OpenAI's chat completions."""

    shows_thinking = True

    async def ask(self, model: str, *, stream: bool, history: tuple[Any, ...] = (), **wish: Any) -> Said:
        """Ask a model."""
        asked = OpenAIChatModel(model, provider=OpenAIProvider(base_url=BASE_URL, api_key=KEY))
        settings = OpenAIChatModelSettings()
        if "effort" in wish:
            settings["openai_reasoning_effort"] = wish["effort"]
        if "most" in wish:
            settings["max_tokens"] = wish["most"]
        if "stop" in wish:
            settings["stop_sequences"] = wish["stop"]
        parameters = ModelRequestParameters(
            function_tools=[ToolDefinition(name="weather", parameters_json_schema=PARAMETERS)] if wish.get("tools") else [],
            output_mode="native" if wish.get("schema") else "text",
            output_object=OutputObjectDefinition(json_schema=SCHEMA, name="weather", strict=True) if wish.get("schema") else None,
        )
        content: list[Any] = [ASKED]
        content += [ImageUrl(PNG)] if wish.get("picture") else []
        content = [BinaryContent(b"RIFF", media_type="audio/wav")] if wish.get("sound") else content
        messages: list[Any] = [ModelRequest([UserPromptPart(content)])]
        for answer in history:
            results = [ToolReturnPart(part.tool_name, "-5", part.tool_call_id) for part in answer.parts if isinstance(part, ToolCallPart)]
            messages += [answer, ModelRequest(results)]
        if not stream:
            return self.said(await model_request(asked, messages, model_settings=settings, model_request_parameters=parameters))
        async with model_request_stream(asked, messages, model_settings=settings, model_request_parameters=parameters) as events:
            async for _ in events:
                pass
            return self.said(events.get())

    def said(self, answer: ModelResponse) -> Said:
        """What was read."""
        texts, thoughts, calls = (
            [part for part in answer.parts if isinstance(part, kind)] for kind in (TextPart, ThinkingPart, ToolCallPart)
        )
        reason = {"tool_call": "tool_calls"}.get(answer.finish_reason or "", answer.finish_reason)
        details = answer.provider_details or {}
        return Said(
            "".join(part.content for part in texts),
            str(details.get("refusal") or ""),
            "".join(part.content for part in thoughts),
            [(part.tool_call_id, part.tool_name, part.args_as_dict()) for part in calls],
            reason,
            (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.cache_read_tokens),
            answer,
        )


class Held(NamedTuple):
    """One conversation that is being had: by whom, with which dialect, streamed or not."""

    reader: Reader
    dialect: str
    stream: bool

    async def ask(self, script: str, **wish: Any) -> Said:
        """Ask for a script."""
        named = f"claude-opus-5-5-{script}" if self.dialect in ("anthropic", "bedrock") else script
        return await self.reader.ask(f"{self.dialect}/{named}", stream=self.stream, **wish)


async def says(held: Held, script: str, *, text: str = TEXT, reason: str = "stop", **wish: Any) -> Said:
    """The text, the reason and the counts are those of the script."""
    said = await held.ask(script, **wish)
    assert (said.text, said.reason, said.counts[:2]) == (text, reason, (INPUT, OUTPUT)), said
    return said


async def calls(held: Held, script: str, count: int) -> None:
    """Calls come with their arguments, and the conversation goes on with their results."""
    said = await held.ask(script, tools=True)
    assert (said.reason, len({call for call, _, _ in said.calls})) == ("tool_calls", count), said
    assert said.calls[0][1:] == ("weather", {"city": "Oslo"}), said
    await says(held, "text", tools=True, history=(said.message,))


async def agent(held: Held) -> None:
    """Three turns; the vendor wants the thinking before each call back."""
    history: tuple[Any, ...] = ()
    for turn in (1, 2, 3):
        said = await held.ask("agent", tools=True, effort="high", most=ROOM, history=history)
        history = (*history, said.message)
        assert said.reason == ("stop" if turn == 3 else "tool_calls"), said
    assert said.text == TEXT, said


async def thinks(held: Held) -> None:
    """Thinking stands beside the text, where the client shows it."""
    said = await says(held, "thinking", effort="high", most=ROOM)
    assert said.thinking == ("Oslo is north." if held.reader.shows_thinking else ""), said


async def refuses(held: Held) -> None:
    """A refusal is told as such."""
    said = await held.ask("refusal")
    assert said.reason == ("stop" if held.dialect in WORDS_ALONE else "content_filter"), said


async def caches(held: Held) -> None:
    """What was read from a cache is counted."""
    said = await held.ask("text", marked=True)
    assert (said.counts[0], said.counts[2]) == (INPUT, CACHED), said


async def fails(held: Held, script: str) -> None:
    """A failure is an exception."""
    try:
        said = await held.ask(script)
    except (APIError, ModelAPIError):
        return
    raise AssertionError(said)


Conversation = Callable[[Held], Awaitable[object]]
#: name -> the conversation; those behind BOTH are had streamed and whole.
BOTH: dict[str, Conversation] = {
    "text": lambda held: says(held, "text"),
    "picture": lambda held: says(held, "text", picture=True),
    "tools": lambda held: calls(held, "tools", 1),
    "parallel tools": lambda held: calls(held, "parallel", 2),
    "schema": lambda held: says(held, "schema", text=DEGREES, schema=True),
    "thinking": thinks,
    "thinking with tools": agent,
    "cache": caches,
    "refusal": refuses,
    "length": lambda held: says(held, "length", text="It is", reason="length", most=OUTPUT),
}
STREAMED: dict[str, Conversation] = {
    "audio": lambda held: says(held, "text", sound=True),
    "stop": lambda held: says(held, "text", stop=["."]),
    "error early": lambda held: fails(held, "early"),
    "error late": lambda held: fails(held, "late"),
    "cut": lambda held: fails(held, "cut"),
}
ALL = [(name, had, stream) for name, had in BOTH.items() for stream in (True, False)] + [
    (name, had, True) for name, had in STREAMED.items()
]


async def judged(held: Held, name: str, had: Conversation) -> str:
    """Have a conversation; return what was wrong with it, nothing if nothing was."""
    lacking = LACKING.get(held.dialect, {}).get(name)
    try:
        await had(held)
    except Exception as failure:  # whatever a client raises is what it has to say
        told = str(failure)
        return "" if lacking is not None and lacking in told else "".join(traceback.format_exception(failure)[-3:])
    return "" if lacking is None else f"it was not refused: {lacking}"


async def main() -> int:
    """Have all conversations; return how many went wrong, as an exit status."""
    wrong = 0
    for reader in (LangChain(), PydanticAi()):
        for dialect in DIALECTS:
            for name, had, stream in ALL:
                fault = await judged(Held(reader, dialect, stream), name, had)
                wrong += bool(fault)
                if fault:
                    print(f"not ok: {type(reader).__name__}, {dialect}, {name}{'' if stream else ', whole'}\n{fault}")
    print(json.dumps({"conversations": len(ALL), "dialects": len(DIALECTS), "clients": 2, "wrong": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
