"""Checks of a chat that is not streamed, and of large requests."""

from __future__ import annotations

from typing import Any

from aisa.checks.chat_stream import FORCED, TOOLS, first_of, is_object, problems_of
from aisa.checks.client import WHOLE
from aisa.checks.members import at, objects
from aisa.checks.subject import Skipped, Subject, good, short, value_of

Json = dict[str, Any]
LARGE_BYTES = 2_097_152  # above nginx's default of a mebibyte, below every server's limit: a screenshot or two


async def answer(subject: Subject) -> Json:
    """Return the document that most checks look at."""
    return value_of(good(await subject.document()))


async def shape(subject: Subject) -> str:
    """A document has its members."""
    value = await answer(subject)
    kinds = {"id": str, "object": str, "created": int, "model": str, "choices": list}
    broken = [
        f"`{name}` is {value.get(name)!r}" for name, kind in kinds.items() if not value.get(name) or not isinstance(value[name], kind)
    ]
    return first_of([*broken, *([f"`object` is {value['object']!r}"] if value.get("object") != "chat.completion" else [])])


async def message(subject: Subject) -> str:
    """The answer is the assistant's, with a text."""
    said = at(await answer(subject), "choices", 0, "message")
    broken = [f"role is {at(said, 'role')!r}"] if at(said, "role") != "assistant" else []
    return first_of([*broken, *([] if at(said, "content") else ["no text"])])


async def finish(subject: Subject) -> str:
    """The choice says why it ended."""
    reason = at(await answer(subject), "choices", 0, "finish_reason")
    return first_of([] if reason else [f"finish_reason is {reason!r}"])


async def usage(subject: Subject) -> str:
    """Usage is there and adds up."""
    used = objects([at(await answer(subject), "usage")])
    return first_of(problems_of(used[0]) if used else ["no usage"])


async def framing(subject: Subject) -> str:
    """It is JSON by its type, and whole by its framing."""
    response = good(await subject.document())
    broken = [f"content-type is {response.kind!r}"] if response.kind != "application/json" else []
    return first_of([*broken, *([f"the body ended {response.ended}"] if response.ended != WHOLE else [])])


async def tools(subject: Subject) -> str:
    """Calls of tools have ids, names and arguments that are JSON."""
    value = value_of(good(await subject.document("tool-call", tools=TOOLS, tool_choice=FORCED)))
    calls = objects(at(value, "choices", 0, "message", "tool_calls"))
    if not calls:
        raise Skipped("the model called no tool")
    whole = all(call.get("id") and call.get("type") == "function" and at(call, "function", "name") for call in calls)
    whole = whole and all(is_object(str(at(call, "function", "arguments"))) for call in calls)
    return first_of([f"a call is {calls[0]}"] if not whole else [])


async def large_request(subject: Subject) -> str:
    """A request of two mebibytes is read: it is answered, or refused in JSON by whoever knows the model."""
    asked = subject.chat(stream=False)
    asked["messages"].insert(0, {"role": "user", "content": "word " * (LARGE_BYTES // 5)})
    response = await subject.ask(subject.request(asked))
    if response.status != 200 and (response.status in (408, 413, 499) or response.kind != "application/json"):
        return first_of([f"status {response.status}, {response.kind}: {short(response.body)}"])
    return f"{LARGE_BYTES // 1_048_576} MiB"


async def expectation(subject: Subject) -> str:
    """A client that waits for `100 Continue` before it sends a body gets it, or its answer."""
    whole = subject.request(subject.chat(stream=False), headers={"expect": "100-continue"})
    head, _, body = whole.partition(b"\r\n\r\n")
    async with subject.line(head + b"\r\n\r\n") as line:
        first = await line.interim()
        if first != 100:
            return first_of([f"status {first} before the body was sent"])
        await line.send(body)
        response = await line.rest(await line.head())
    return first_of([f"status {response.status}"] if response.status != 200 else [])


async def json_mode(subject: Subject) -> str:
    """A document that was asked for in one read is as long as it says."""
    response = good(await subject.document())
    length = response.headers.get("content-length")
    return first_of([f"content-length {length}, and {len(response.body)} came"] if length and int(length) != len(response.body) else [])
