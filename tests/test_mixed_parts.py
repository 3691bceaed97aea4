"""Every door has to tell the same answer, in whichever order its parts come: vendors mix text, thinking, seals and calls as they like.

The doors' own clients read what is written, streamed and whole. An answer is made up from a number, which stands in the test's name.
"""

from __future__ import annotations

import json
import random
import sys
from collections import deque
from itertools import repeat
from typing import Any, NamedTuple

import msgspec
import pytest
from anthropic.types import Message
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from aisa.answer import Arguments, Extra, Finish, FunctionCall, Identity, Part, Reasoning, Report, Text, ToolCall
from aisa.errors import ApiError
from aisa.providers import anthropic, bedrock, cohere, gemini, mistral, responses
from aisa.providers.shape import Target
from aisa.usage import Usage
from aisa.wire.door import Door, Encoder
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.gemini_events import PAGES_MAX
from aisa.wire.messages_blocks import WAITING_BYTES_MAX
from aisa.wire.messages_door import PING
from aisa.wire.whole_calls import WholeCallsDoor
from door_readers import SPEAKERS
from sdk_readers import CALLS, READERS, STOP, Read, call_of

ANSWERS = 60
WHO = Identity("chatcmpl-1", 7, "some-model")
REPORT = Report(Usage(7, 11))
TEXTS = ("Hi ", "ü😀", "\n", " ", 'x"\\', "\u2028")
GIVEN = ("{}", '{"a":1}', '{"a":{"b":[1,"x}"]}}', '{"k":"\\"é😀"}')
#: Door -> whose client reads its streams.
READ_BY = {"chat": "openai", "whole": "openai", "responses": "responses", "messages": "anthropic", "gemini": "gemini"}
DOORS = pytest.mark.parametrize("door", READ_BY)


class Mixed(NamedTuple):
    """Parts, and what a client is to have of them."""

    parts: list[Part]
    read: Read


def mixed(number: int) -> Mixed:
    """Return an answer in which calls are given their arguments in turns, with text, thinking and seals between them."""
    chance = random.Random(number)
    parts: list[Part] = [WHO]
    calls: list[tuple[str, str]] = []
    rest: dict[int, str] = {}  # what each call is still to be given
    for _ in range(chance.randint(2, 14)):
        match chance.choice(["text", "thinking", "seal", "call", "give", "give", "give"]):
            case "text":
                parts.append(Text(0, chance.choice(TEXTS), 1))
            case "thinking":
                parts.append(Reasoning(0, chance.choice(TEXTS), 1, f"aisa1.t{len(parts)}" if chance.random() < 0.2 else ""))
            case "seal":
                parts.append(Reasoning(0, "", 0, f"aisa1.s{len(parts)}"))
            case "call":
                index = len(calls)
                calls.append((chance.choice("fg"), chance.choice(GIVEN)))
                rest[index] = calls[-1][1]
                parts.append(ToolCall(0, index, f"c{index}", calls[-1][0], 1))
            case _ if rest:
                index = chance.choice(list(rest))
                size = chance.randint(1, len(rest[index]))
                parts.append(Arguments(0, index, rest[index][:size], 1))
                rest[index] = rest[index][size:]
                if not rest[index]:
                    del rest[index]
            case _:
                pass
    owed = list(rest.items())
    chance.shuffle(owed)
    parts += [Arguments(0, index, text, 1) for index, text in owed]
    parts.append(Finish(0, "tool_calls" if calls else "stop"))
    said = "".join([part.text for part in parts if isinstance(part, Text)])
    thought = "".join([part.text for part in parts if isinstance(part, Reasoning)])
    return Mixed(parts, Read(said, thought, tuple(call_of(*call) for call in calls), CALLS if calls else STOP, (7, 11)))


def encoder(door: str, *, stream: bool) -> Encoder:
    """What writes the answer to a request with tools."""
    speaker = SPEAKERS["chat" if door == "whole" else door]
    asked = {**speaker.ask("tools"), **({"stream": stream} if door != "gemini" else {})}
    if stream and speaker is SPEAKERS["chat"]:
        asked["stream_options"] = {"include_usage": True}
    doors: dict[str, Door] = {"gemini": GeminiDoor("fast", stream=stream), "whole": WholeCallsDoor()}
    opened = doors.get(door, speaker.door)
    return opened.encoder(opened.read(json.dumps(asked).encode()), call_id="req_9", created=1)


def streamed(door: str, parts: list[Part], chance: random.Random) -> tuple[bytes, int]:
    """The stream for parts of which several may come at once, and the tokens that its events carry."""
    writer, pieces, place = encoder(door, stream=True), list[bytes](), 0
    tokens = 0
    while place < len(parts):
        size = chance.choice([1, 1, 2, 5])
        piece = writer.write(parts[place : place + size])
        place += size
        if piece is not None:
            pieces.append(piece.data)
            tokens += piece.tokens
    return b"".join(pieces) + writer.closing([REPORT]), tokens


def whole(door: str, parts: list[Part]) -> bytes:
    """The document for them."""
    writer = encoder(door, stream=False)
    assert writer.write(parts) is None
    return writer.closing([REPORT])


def read(door: str, document: bytes) -> Read:
    """What the door's own client has of a document."""
    text, thought, calls = "", "", list[tuple[str, str]]()
    if door in ("chat", "whole"):
        message = ChatCompletion.model_validate_json(document).choices[0].message
        text, thought = message.content or "", str((message.model_extra or {}).get("reasoning_content") or "")
        calls = [call_of(call.function.name, call.function.arguments) for call in message.tool_calls or () if call.type == "function"]
    elif door == "responses":
        for item in Response.model_validate_json(document).output:
            thought += "".join([part.text for part in item.summary]) if item.type == "reasoning" else ""
            calls += [call_of(item.name, item.arguments)] if item.type == "function_call" else []
            text += "".join([part.text for part in item.content if part.type == "output_text"]) if item.type == "message" else ""
    elif door == "messages":
        for block in Message.model_validate_json(document).content:
            text += block.text if block.type == "text" else ""
            thought += block.thinking if block.type == "thinking" else ""
            calls += [call_of(block.name, block.input)] if block.type == "tool_use" else []
    else:
        [candidate] = GenerateContentResponse.model_validate_json(document).candidates or ()
        for part in (candidate.content and candidate.content.parts) or ():
            text += (part.text or "") if not part.thought else ""
            thought += (part.text or "") if part.thought else ""
            calls += [call_of(part.function_call.name, part.function_call.args)] if part.function_call else []
    return Read(text, thought, tuple(calls))


@DOORS
@pytest.mark.parametrize("number", range(ANSWERS))
def test_a_client_has_the_same_of_an_answer_however_its_parts_are_mixed(door: str, number: int) -> None:
    """Text, thinking and whole arguments, and tokens for all that was told: a text inside a call costs it nothing."""
    answer = mixed(number)
    told, tokens = streamed(door, answer.parts, random.Random(number))
    assert READERS[READ_BY[door]](told) == answer.read
    assert tokens == sum([part.tokens for part in answer.parts])
    assert read(door, whole(door, answer.parts)) == answer.read._replace(end="", tokens=(0, 0))


@pytest.mark.parametrize("given", [["null"], [" null\n"], [], [" "], ["{", "}"]], ids=repr)
@pytest.mark.parametrize("door", ["messages", "gemini"])
def test_a_call_that_is_given_null_is_given_nothing(door: str, given: list[str]) -> None:
    """As models behind Ollama write a call of a tool without parameters: it is made, and what stands behind it is told."""
    call = [ToolCall(0, 0, "c0", "f", 1), *[Arguments(0, 0, text, 1) for text in given]]
    parts: list[Part] = [WHO, *call, Text(0, "Hi", 1), ToolCall(0, 1, "c1", "g", 1), Arguments(0, 1, '{"a":1}', 1), Finish(0, "tool_calls")]
    calls = (call_of("f", "{}"), call_of("g", '{"a":1}'))
    told, tokens = streamed(door, parts, random.Random(1))
    assert READERS[READ_BY[door]](told) == Read("Hi", "", calls, CALLS, (7, 11))
    assert tokens == 4 + len(given)
    assert read(door, whole(door, parts)) == Read("Hi", "", calls)


@DOORS
def test_a_text_inside_a_call_waits_for_it_or_does_not_but_is_not_billed_before_it_is_told(door: str) -> None:
    """What is held counts when it leaves, and while it is held something says that the model is at work."""
    writer = encoder(door, stream=True)
    begun = [writer.write([part]) for part in (WHO, ToolCall(0, 0, "c1", "f", 1), Arguments(0, 0, '{"a":', 1))]
    inside = writer.write([Text(0, "\n", 1)])
    assert inside is not None
    assert inside.carries or inside.tokens
    ended = [writer.write([part]) for part in (Arguments(0, 0, "1}", 1), Finish(0, "tool_calls"))]
    pieces = [piece for piece in (*begun, inside, *ended) if piece is not None]
    assert sum([piece.tokens for piece in pieces]) == 4
    if door == "messages":
        assert (inside.data, inside.tokens) == (PING, 0)


@pytest.mark.parametrize(
    "beside", [Text(0, "x" * 1000), Text(0, "x"), Reasoning(0, "", 0, "s" * 1000), ToolCall(0, 1, "c", "f")], ids=range(4)
)
def test_what_waits_for_a_call_at_the_messages_door_is_bounded(beside: Part) -> None:
    """A vendor whose call never ends does not fill the memory, by much text or by many parts with hardly any."""
    writer = encoder("messages", stream=True)
    for part in (WHO, ToolCall(0, 0, "c1", "f"), Arguments(0, 0, "{")):
        writer.write([part])
    size = sys.getsizeof(beside) + sum([len(value) for value in msgspec.structs.astuple(beside) if isinstance(value, str)])
    beginning = [beside] * (WAITING_BYTES_MAX // (2 * size))
    with pytest.raises(ApiError, match="too long to wait"):
        deque(map(writer.write, repeat(beginning, 4)), maxlen=0)


def steps_taken(calls: int) -> int:
    """How many functions are called to write so many calls that come side by side, a piece of each at a time."""
    writer, steps = encoder("messages", stream=True), 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal steps
        steps += event == "call"

    parts: list[Part] = [WHO, *[ToolCall(0, place, f"c{place}", "f", 1) for place in range(calls)]]
    parts += [Arguments(0, place, text, 1) for text in ('{"a":"', *"x" * 20, '"}') for place in range(calls)]
    sys.setprofile(count)
    try:
        told = [piece for part in [*parts, Finish(0, "tool_calls")] if (piece := writer.write([part])) is not None]
    finally:
        sys.setprofile(None)
    assert sum([piece.tokens for piece in told]) == sum([part.tokens for part in parts])
    return steps


def test_many_calls_side_by_side_at_the_messages_door_cost_as_much_as_they_say() -> None:
    """All that waited was looked at once more for each call in it: 128 calls of 200 pieces held every other call for 5 s."""
    assert steps_taken(64) < 5 * steps_taken(16)


NOTE = {"type": "url_citation", "url_citation": {"url": "https://page.example", "title": "T", "start_index": 0, "end_index": 2}}
CHANCE = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}


@pytest.mark.parametrize("behind", [False, True], ids=["before the call", "behind the call"])
@pytest.mark.parametrize("stream", [False, True], ids=["document", "stream"])
def test_notes_on_a_text_are_in_a_response_wherever_a_call_stands(behind: bool, stream: bool) -> None:
    """Citations and log-probabilities of an answer that also calls a tool: they belong to the text before it."""
    notes: list[Part] = [Extra(0, "annotations", [NOTE]), Extra(0, "logprobs", {"content": [CHANCE]}, beside=True)]
    call: list[Part] = [ToolCall(0, 0, "c1", "f"), Arguments(0, 0, "{}")]
    parts = [WHO, Text(0, "Hi"), *(call + notes if behind else notes + call), Finish(0, "tool_calls")]
    if stream:
        told = streamed("responses", parts, random.Random(1))[0].decode()
        document = json.loads(told.split("data: ")[-1])["response"]
    else:
        document = json.loads(whole("responses", parts))
    [text] = document["output"][0]["content"]
    assert (text["annotations"], text["logprobs"]) == ([{"type": "url_citation", **NOTE["url_citation"]}], [CHANCE])


@pytest.mark.parametrize("stream", [False, True], ids=["document", "stream"])
def test_googles_client_has_the_pages_that_an_answer_cites(stream: bool) -> None:
    """Each once, though a vendor names it again; other notes are none of Google's."""
    others = [{"type": "file_citation", "file_citation": {"file_id": "f"}}, {"type": "url_citation", "url": "https://flat.example"}]
    parts = [WHO, Text(0, "Hi"), Extra(0, "annotations", [NOTE, *others]), Extra(0, "annotations", [NOTE]), Finish(0, "stop")]
    told = streamed("gemini", parts, random.Random(1))[0].decode() if stream else "data: " + whole("gemini", parts).decode()
    last = GenerateContentResponse.model_validate_json(told.split("data: ")[-1])
    assert last.candidates
    grounding = last.candidates[0].grounding_metadata
    assert grounding
    pages = [(chunk.web.uri, chunk.web.title) for chunk in grounding.grounding_chunks or () if chunk.web]
    assert pages == [("https://page.example", "T"), ("https://flat.example", "")]


@pytest.mark.parametrize("door", ["responses", "messages", "gemini"])
def test_a_call_in_the_older_form_has_an_id_of_its_own_in_each_answer(door: str) -> None:
    """Some vendors answer so though tools were offered; two of them in one conversation must not be taken for one."""
    ids = set()
    for call_id in ("req_1", "req_2"):
        speaker = SPEAKERS[door]
        opened: Door = GeminiDoor("fast") if door == "gemini" else speaker.door
        asked = {name: value for name, value in speaker.ask("tools").items() if name != "stream"}
        writer = opened.encoder(opened.read(json.dumps(asked).encode()), call_id=call_id, created=1)
        writer.write([Identity("same", 7, "m"), FunctionCall(0, "f", '{"a":1}'), Finish(0, "function_call")])
        document = json.loads(writer.closing([REPORT]))
        if door == "responses":
            ids.add(document["output"][0]["call_id"])
        elif door == "messages":
            ids.add(document["content"][0]["id"])
        else:
            ids.add(document["candidates"][0]["content"]["parts"][0]["functionCall"]["id"])
    assert len(ids) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["document", "stream"])
def test_the_pages_that_googles_clients_are_told_of_are_bounded(stream: bool) -> None:
    """A vendor that cites without end does not fill the memory."""
    notes = [
        {"type": "url_citation", "url_citation": {"url": f"https://page.example/{number}", "title": ""}} for number in range(PAGES_MAX + 7)
    ]
    writer = encoder("gemini", stream=stream)
    for part in (WHO, Text(0, "Hi"), *[Extra(0, "annotations", [note]) for note in notes], Finish(0, "stop")):
        writer.write([part])
    last = json.loads(writer.closing([REPORT]).decode().removeprefix("data: "))
    assert len(last["candidates"][0]["groundingMetadata"]["groundingChunks"]) == PAGES_MAX


@pytest.mark.parametrize("dialect", [anthropic, bedrock, cohere, gemini, mistral, responses])
@pytest.mark.parametrize("content", ["I", [{"type": "text", "text": "I"}], None], ids=["text", "parts", "nothing"])
def test_a_refusal_beside_what_was_said_is_told_behind_it_in_the_next_turn(dialect: Any, content: object) -> None:
    """As an answer of ours has it where a model begins and then will not go on: Cohere and Mistral were not told of it."""
    said = {"role": "assistant", "content": content, "refusal": "Not this."}
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi."}, said, {"role": "user", "content": "So?"}]}
    request = SPEAKERS["chat"].door.read(json.dumps(asked).encode())
    told = dialect.to_upstream(request, Target("a", "some-model", dialect.NAME)).body.decode()
    assert "Not this." in told
    assert content is None or told.index('"I') < told.index("Not this.")
