"""The same 25 conversations through every dialect, read by OpenAI's own client from a running server: what it gets is the same everywhere.

What a dialect has no words for is refused by name: `LACKING` is the list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai import APIError, APIStatusError, ContentFilterFinishReasonError, LengthFinishReasonError, OpenAI

from polyglot import TEXT, TONGUES, Polyglot, configuration
from polyglot_words import CACHED, INPUT, OUTPUT
from server import serving

PNG = "data:image/png;base64,iVBORw0KGgo="
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}
SCHEMA = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"], "additionalProperties": False}
FORM = {"type": "json_schema", "json_schema": {"name": "weather", "strict": True, "schema": SCHEMA}}
ASKED = [{"role": "user", "content": "How is Oslo?"}]
MARKED = [{"role": "user", "content": [{"type": "text", "text": "How is Oslo?", "cache_control": {"type": "ephemeral"}}]}]
PICTURE = [{"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": PNG}}]}]
SOUND = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]}]
#: dialect -> conversation -> the parameter that its 422 names.
LACKING = {
    "anthropic": {"audio": "messages[0].content[0]"},
    "cohere": {"audio": "messages[0].content[0]"},
    "responses": {"stop": "stop"},
}
#: Vendors that refuse in words alone.
NO_REFUSALS = frozenset({"cohere"})


class Caller:
    """Calls one dialect's vendor, streamed or not, and reads the answer as the client gives it."""

    def __init__(self, client: OpenAI, dialect: str, *, stream: bool) -> None:
        self._client = client
        self.dialect = dialect
        self.stream = stream

    def __call__(self, script: str, messages: Any = ASKED, **fields: Any) -> Any:
        """The choice and the usage of an answer."""
        model = f"{self.dialect}/claude-opus-5-5-{script}" if self.dialect in ("anthropic", "bedrock") else f"{self.dialect}/{script}"
        asked: Any = {"model": model, "messages": messages, **fields}
        if not self.stream:
            answer = self._client.chat.completions.create(**asked)
            return answer.choices[0], answer.usage
        with self._client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
            final = events.get_final_completion()
        return final.choices[0], final.usage


def says(caller: Caller, script: str, *, reason: str = "stop", text: str = TEXT, **fields: Any) -> Any:
    """Check the text, the reason and the usage of an answer; return its message."""
    choice, usage = caller(script, **fields)
    assert (choice.message.content, choice.finish_reason) == (text, reason)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (INPUT, OUTPUT, INPUT + OUTPUT)
    return choice.message


def calls(caller: Caller, script: str, *, count: int) -> None:
    """Check calls of tools, and that the conversation goes on with their results."""
    choice, _ = caller(script, tools=[TOOL])
    made = choice.message.tool_calls
    assert (choice.finish_reason, len(made), len({call.id for call in made})) == ("tool_calls", count, count)
    assert (made[0].function.name, json.loads(made[0].function.arguments)) == ("weather", {"city": "Oslo"})
    results = [{"role": "tool", "tool_call_id": call.id, "content": "-5"} for call in made]
    history = [*ASKED, choice.message.model_dump(exclude_none=True), *results]
    says(caller, "text", messages=history, tools=[TOOL])


def agent(caller: Caller) -> None:
    """Three turns, with thinking before each call; the vendor wants the thinking of the earlier ones back."""
    messages: list[Any] = list(ASKED)
    for turn in (1, 2, 3):
        choice, _ = caller("agent", messages=messages, tools=[TOOL], reasoning_effort="high", max_tokens=20_000)
        message = choice.message
        if turn == 3:
            assert (message.content, choice.finish_reason) == (TEXT, "stop")
            return
        assert choice.finish_reason == "tool_calls"
        messages += [message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "-5"}]


def thinks(caller: Caller) -> None:
    """Thinking stands beside the text."""
    assert says(caller, "thinking", reasoning_effort="high", max_tokens=20_000).reasoning_content == "Oslo is north."


def ends_short(caller: Caller) -> None:
    """An answer that was cut by its bound says so. The client's helper raises that, with the completion."""
    if not caller.stream:
        says(caller, "length", reason="length", text="It is", max_tokens=OUTPUT)
        return
    with pytest.raises(LengthFinishReasonError) as failed:
        caller("length", max_tokens=OUTPUT)
    assert failed.value.completion.choices[0].message.content == "It is"


def refuses(caller: Caller) -> None:
    """A refusal is a finish of its own, whatever is said with it. The client's helper raises for it what says so."""
    reason = "stop" if caller.dialect in NO_REFUSALS else "content_filter"
    if caller.stream and reason == "content_filter":
        with pytest.raises(ContentFilterFinishReasonError):
            caller("refusal")
        return
    choice, _ = caller("refusal")
    told = choice.message.refusal or choice.message.content
    assert (told, choice.finish_reason) == ("I will not.", reason)


def caches(caller: Caller) -> None:
    """What was read from a cache is told."""
    _, usage = caller("text", messages=MARKED)
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (INPUT, CACHED)


def fails(caller: Caller, script: str) -> None:
    """A failure is one for the client: a status before the answer, an error inside it, and never an end."""
    with pytest.raises(APIError) as failed:
        caller(script)
    early = isinstance(failed.value, APIStatusError)
    assert early == (script == "early")


Conversation = Callable[[Caller], object]
#: name -> what is asked and checked, and whether streamed.
CONVERSATIONS: dict[str, tuple[Conversation, bool]] = {
    "text": (lambda caller: says(caller, "text"), True),
    "text, whole": (lambda caller: says(caller, "text"), False),
    "picture": (lambda caller: says(caller, "text", messages=PICTURE), True),
    "picture, whole": (lambda caller: says(caller, "text", messages=PICTURE), False),
    "audio": (lambda caller: says(caller, "text", messages=SOUND), True),
    "tools": (lambda caller: calls(caller, "tools", count=1), True),
    "tools, whole": (lambda caller: calls(caller, "tools", count=1), False),
    "parallel tools": (lambda caller: calls(caller, "parallel", count=2), True),
    "parallel tools, whole": (lambda caller: calls(caller, "parallel", count=2), False),
    "schema": (lambda caller: says(caller, "schema", text='{"degrees":-5}', response_format=FORM), True),
    "schema, whole": (lambda caller: says(caller, "schema", text='{"degrees":-5}', response_format=FORM), False),
    "thinking": (thinks, True),
    "thinking, whole": (thinks, False),
    "thinking with tools": (agent, True),
    "thinking with tools, whole": (agent, False),
    "cache": (caches, True),
    "cache, whole": (caches, False),
    "refusal": (refuses, True),
    "refusal, whole": (refuses, False),
    "length": (ends_short, True),
    "length, whole": (ends_short, False),
    "stop": (lambda caller: says(caller, "text", stop=["."]), True),
    "error early": (lambda caller: fails(caller, "early"), True),
    "error late": (lambda caller: fails(caller, "late"), True),
    "cut": (lambda caller: fails(caller, "cut"), True),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """OpenAI's client of a server with a vendor for every dialect."""
    with Polyglot() as vendor, serving(tmp_path_factory.mktemp("polyglot"), configuration(vendor.url)) as server:
        yield OpenAI(api_key=server.key, base_url=server.api, max_retries=0)


def test_there_are_25_conversations_through_seven_dialects() -> None:
    """None is left out without being told."""
    assert (len(CONVERSATIONS), len(TONGUES)) == (25, 7)
    assert all(set(lacking) <= CONVERSATIONS.keys() for lacking in LACKING.values())


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("dialect", TONGUES)
def test_openais_client_reads_a_conversation_right_whatever_the_dialect(client: OpenAI, dialect: str, conversation: str) -> None:
    """Texts, calls, reasons and counts are those of the script; what the dialect lacks is refused by the name of the parameter."""
    held, stream = CONVERSATIONS[conversation]
    lacking = LACKING.get(dialect, {}).get(conversation)
    if lacking is None:
        held(Caller(client, dialect, stream=stream))
        return
    with pytest.raises(APIStatusError) as refused:
        held(Caller(client, dialect, stream=stream))
    assert (refused.value.status_code, refused.value.param) == (422, lacking)
