"""Checks of a streamed chat: heads, events, roles, finishes, usage, calls of tools. Most look at an answer that is asked for once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from aisa.checks.client import WHOLE, Response
from aisa.checks.events import DONE, choices_of, chunks_of, deltas_of, errors_of, events_of, finishes_of, is_done, text_of
from aisa.checks.members import at, objects
from aisa.checks.subject import Broken, Skipped, Subject, good

Json = dict[str, Any]
REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
TOOLS = [{"type": "function", "function": WEATHER}]
SAYS = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls")  # members of a delta that are part of an answer
FORCED = {"type": "function", "function": {"name": "weather"}}


async def stream(subject: Subject, *, usage: bool = False) -> Response:
    """Return the stream that most checks look at."""
    return good(await (subject.streamed(stream_options={"include_usage": True}) if usage else subject.streamed()))


async def calls(subject: Subject, scenario: str = "tool-call") -> Response:
    """Return a stream with a call of a tool. Raises Skipped where the model makes none."""
    response = good(await subject.streamed(scenario, tools=TOOLS, tool_choice=FORCED))
    if not fragments(response):
        raise Skipped("the model called no tool")
    return response


def fragments(response: Response) -> list[Json]:
    """Return the fragments of calls of choice 0, in order."""
    return [fragment for delta in deltas_of(response) for fragment in objects(delta.get("tool_calls"))]


def first_of(broken: Iterable[str]) -> str:
    """Return "" where nothing is broken. Raises Broken with the first that is."""
    for what in broken:
        raise Broken(what)
    return ""


async def media_type(subject: Subject) -> str:
    """The stream says that it is one."""
    response = await stream(subject)
    return "" if response.kind == "text/event-stream" else first_of([f"content-type is {response.headers.get('content-type')!r}"])


async def not_cached(subject: Subject) -> str:
    """Nothing on the way may keep it."""
    told = (await stream(subject)).headers.get("cache-control", "")
    return "" if "no-cache" in told or "no-store" in told else first_of([f"cache-control is {told!r}"])


async def not_packed(subject: Subject) -> str:
    """Events are not compressed, which would hold them back."""
    body = subject.request(subject.chat(), headers={"accept-encoding": "gzip, deflate, br, zstd"})
    response = good(await subject.ask(body))
    coding = response.headers.get("content-encoding", "")
    return first_of([f"content-encoding is {coding}"] if coding not in ("", "identity") else [])


async def framed(subject: Subject) -> str:
    """The body ends as its framing says."""
    response = await stream(subject)
    return first_of([f"the body ended {response.ended}"] if response.ended != WHOLE else [])


async def lines(subject: Subject) -> str:
    """Every event is one line of JSON, or `[DONE]`, or a comment."""
    events = events_of(await stream(subject))
    bad = [event for event in events if event.value is None and event.data not in ("", DONE)]
    bad += [event for event in events if "\n" in event.data]
    return first_of(f"an event that is no JSON object: {event.data[:80]!r}" for event in bad)


async def unnamed(subject: Subject) -> str:
    """No event has a name."""
    return first_of(f"an event is named {event.name!r}" for event in events_of(await stream(subject)) if event.name)


async def role_once(subject: Subject) -> str:
    """The first delta carries the role, and no other."""
    deltas = deltas_of(await stream(subject))
    roles = [number for number, delta in enumerate(deltas) if delta.get("role")]
    if roles != [0]:
        raise Broken(f"a role in {len(roles)} of {len(deltas)} chunks" if roles else "no role at all")
    return first_of([f"the role is {deltas[0]['role']!r}"] if deltas[0]["role"] != "assistant" else [])


async def one_finish(subject: Subject) -> str:
    """One chunk has a finish reason."""
    reasons = finishes_of(await stream(subject))
    return first_of([f"finish reasons: {', '.join(reasons) or 'none'}"] if len(reasons) != 1 else [])


async def finish_known(subject: Subject) -> str:
    """The finish reason is a word that clients know."""
    return first_of(f"finish_reason is {reason!r}" for reason in finishes_of(await stream(subject)) if reason not in REASONS)


async def nothing_after_finish(subject: Subject) -> str:
    """Nothing of an answer follows its finish: no text, no thought, no call of a tool."""
    choices = choices_of(await stream(subject))
    ends = [number for number, choice in enumerate(choices) if choice.get("finish_reason")]
    late = [at(choice, "delta", name) for choice in choices[ends[0] + 1 :] for name in SAYS] if ends else []
    return first_of(f"after the finish comes {short_json(said)}" for said in late if said)


async def done_last(subject: Subject) -> str:
    """`[DONE]` is the last event."""
    said = [event.data for event in events_of(await stream(subject)) if event.data]
    if DONE not in said:
        raise Broken("there is no [DONE]")
    return first_of([f"more events after [DONE]: {len(said) - said.index(DONE) - 1}"] if said[-1] != DONE else [])


async def same_identity(subject: Subject) -> str:
    """`id`, `created` and `model` are the same in all chunks."""
    chunks = chunks_of(await stream(subject))
    told = {name: {str(chunk.get(name) or "") for chunk in chunks} for name in ("id", "created", "model")}
    absent = [f"a chunk without `{name}`" for name, values in told.items() if "" in values]
    return first_of([*absent, *(f"`{name}` has {len(values)} values in one stream" for name, values in told.items() if len(values) != 1)])


async def object_named(subject: Subject) -> str:
    """Chunks say that they are chunks."""
    kinds = {chunk.get("object") for chunk in chunks_of(await stream(subject))}
    return first_of(f"`object` is {kind!r}" for kind in kinds if kind != "chat.completion.chunk")


async def usage_asked(subject: Subject) -> str:
    """Usage that was asked for comes once, in a last chunk without choices."""
    chunks = chunks_of(await stream(subject, usage=True))
    used = [number for number, chunk in enumerate(chunks) if chunk.get("usage")]
    if len(used) != 1 or used[0] != len(chunks) - 1:
        raise Broken(f"usage in {len(used)} chunks" + (", and not in the last" if used and used[-1] != len(chunks) - 1 else ""))
    return first_of(["the chunk with usage has choices"] if chunks[-1].get("choices") != [] else [])


async def usage_adds_up(subject: Subject) -> str:
    """Usage counts whole tokens, and the total is their sum."""
    used = [chunk["usage"] for chunk in chunks_of(await stream(subject, usage=True)) if chunk.get("usage")]
    return first_of(problems_of(used[-1])) if used else first_of(["no usage"])


def problems_of(usage: Json) -> list[str]:
    """Return what is wrong with the report of an answer that has text: each side of it is a token at least."""
    counts: dict[str, int] = {}
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        count: object = usage.get(name)
        if type(count) is not int or count < 1:
            return [f"{name} is {count!r}"]
        counts[name] = count
    before, after, total = counts.values()
    return [] if before + after == total else [f"{before} and {after} are {total}"]


async def usage_unasked(subject: Subject) -> str:
    """Nobody gets a chunk of usage who has not asked for it."""
    bare = [chunk for chunk in chunks_of(await stream(subject)) if chunk.get("choices") == []]
    return first_of(["a chunk without choices"] if bare else [])


async def tool_indexes(subject: Subject) -> str:
    """Calls of tools are numbered from 0 without gaps, whatever their vendor made of it."""
    indexes: list[object] = []
    for fragment in fragments(await calls(subject, "gap-in-tool-indexes")):
        if fragment.get("index") not in indexes:
            indexes.append(fragment.get("index"))
    return first_of([f"indexes are {indexes}"] if indexes != list(range(len(indexes))) else [])


async def tool_opening(subject: Subject) -> str:
    """A call's first fragment has its id, type and name, and no later one repeats them."""
    seen: set[object] = set()
    for fragment in fragments(await calls(subject)):
        name = at(fragment, "function", "name")
        named = bool(fragment.get("id") or name)
        whole = bool(fragment.get("id") and fragment.get("type") == "function" and name)
        if fragment.get("index") not in seen and not whole:
            raise Broken(f"a call opens with {short_json(fragment)}")
        if fragment.get("index") in seen and named:
            raise Broken(f"a later fragment repeats id or name: {short_json(fragment)}")
        seen.add(fragment.get("index"))
    return ""


async def tool_arguments(subject: Subject) -> str:
    """The fragments of a call's arguments are one JSON object."""
    texts: dict[object, str] = {}
    for fragment in fragments(await calls(subject)):
        texts[fragment.get("index")] = texts.get(fragment.get("index"), "") + str(at(fragment, "function", "arguments") or "")
    return first_of(f"arguments are {text[:60]!r}" for text in texts.values() if not is_object(text))


async def tool_finish(subject: Subject) -> str:
    """A stream with calls of tools ends with `tool_calls`."""
    reasons = finishes_of(await calls(subject))
    return first_of([f"finish_reason is {', '.join(reasons) or 'missing'}"] if reasons not in (["tool_calls"], ["stop"]) else []) or (
        "`stop`: forced by name" if reasons == ["stop"] else ""
    )


async def characters(subject: Subject) -> str:
    """Signs of several bytes come through whole."""
    text = text_of(good(await subject.streamed("emoji")))
    return first_of([f"the text is {text!r}"] if text != "Blåbær 寿司 👩‍👩‍👧 🇳🇴" else [])


async def large_event(subject: Subject) -> str:
    """An event of a mebibyte comes through whole."""
    text = text_of(good(await subject.streamed("large-event")))
    return first_of([f"{len(text):,} of 1,048,581 characters came"] if len(text) != 1_048_581 else [])


async def bounded(subject: Subject) -> str:
    """A bound on the answer is passed on, and the finish says that it was reached."""
    reasons = finishes_of(good(await subject.streamed("words", max_tokens=3)))
    return first_of([f"finish_reason is {', '.join(reasons) or 'missing'}"] if reasons != ["length"] else [])


async def several_choices(subject: Subject) -> str:
    """Two choices come under two indexes, each with its text and its finish."""
    response = good(await subject.streamed(n=2))
    found = sorted([choice.get("index", -1) for choice in choices_of(response) if choice.get("finish_reason")])
    empty = [f"choice {index} has no text" for index in (0, 1) if not any(delta.get("content") for delta in deltas_of(response, index))]
    return first_of([*([f"finishes of the choices {found}"] if found != [0, 1] else []), *empty])


async def no_error(subject: Subject) -> str:
    """A stream that succeeds has no `error` member, null neither."""
    response = await stream(subject)
    with_null = [event for event in events_of(response) if event.value is not None and "error" in event.value]
    return first_of(["a chunk has an `error` member"] if with_null or errors_of(response) else [])


async def role_supplied(subject: Subject) -> str:
    """Where a vendor sends no role, the client still gets one."""
    deltas = deltas_of(good(await subject.streamed("no-role")))
    return first_of(["the vendor's stream without a role was passed on"] if not deltas or not deltas[0].get("role") else [])


async def ends_once(subject: Subject) -> str:
    """The connection is good for another call after a stream."""
    async with subject.line(subject.request(subject.chat())) as line:
        first = await line.rest(await line.head())
        if "close" in first.headers.get("connection", "").lower():
            raise Skipped("the server closes after a stream, and says so")
        await line.send(subject.request(subject.chat()))
        second = await line.rest(await line.head())
    return first_of([f"the second call on the connection: {second.status}, {second.ended}"] if not is_done(second) else [])


def is_object(text: str) -> bool:
    """Say whether a text is a JSON object."""
    try:
        return isinstance(msgspec.json.decode(text.encode()), dict)
    except msgspec.DecodeError:
        return False


def short_json(value: object) -> str:
    """Return a value as JSON, cut."""
    return msgspec.json.encode(value)[:100].decode("utf-8", "replace")
