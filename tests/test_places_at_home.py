"""A refusal about a place inside a conversation names the one that its client wrote, at every door. Whole calls, vendors in memory."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from aisa.bodies import PARSE_INLINE_BYTES_MAX, body_threads, body_work
from aisa.endings import READ_AT_ONCE_BYTES_MAX
from aisa.errors import ApiError
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses import parse_responses
from aisa.wire.responses_door import RESPONSES_DOOR
from repeats import repeats
from rig import MemoryClient, Rig, Script, ScriptedUpstream, document

Json = dict[str, Any]
DOORS: dict[str, Any] = {
    "responses": RESPONSES_DOOR,
    "anthropic": MESSAGES_DOOR,
    "gemini": GeminiDoor("fast"),
    "completions": COMPLETIONS_DOOR,
    "openai": CHAT_DOOR,
}
PLACE = re.compile(r"(?:messages|input|contents|tools|system|systemInstruction)(?:\[\d+\]|\.\w+)+")
BITMAP = "data:image/bmp;base64,AA=="


def refused(door: str, dialect: str, asked: Json, words: Json | None = None) -> Json:
    """What a client is told of a request that is refused: by us, or by a vendor in these words."""
    script = Script(
        [] if words is None else [json.dumps({"error": words}).encode()], status=400, headers={"content-type": "application/json"}
    )
    rig = Rig(ScriptedUpstream(script), vendor={"dialect": dialect})
    client = MemoryClient()
    try:
        run_virtual(rig.call(client, json.dumps(asked).encode(), door=DOORS[door]))
        body = client.body
    except ApiError as error:
        body = DOORS[door].refused(error, "req_1").body
    told: Json = json.loads(body)["error"]
    return told


def at(tree: Any, place: str) -> Any:
    """What stands at a place of a request."""
    for name, number in re.findall(r"(\w+)|\[(\d+)\]", place):
        tree = tree[name] if name else tree[int(number)]
    return tree


# What clients write, with a picture that no vendor of three dialects takes somewhere in it.


def a_responses_request(chance: random.Random, bad: Json) -> Json:
    """Items of every kind that a client sends back, the picture in a user's or in what a tool gave."""
    items: list[Json] = []
    for turn in range(chance.randint(0, 4)):
        items += [{"role": chance.choice(["developer", "system", "user"]), "content": "Once."} for _ in range(chance.randint(0, 2))]
        calls = [f"call_{turn}_{number}" for number in range(chance.randint(0, 3))]
        items += [{"type": "reasoning", "summary": []}] if chance.random() < 0.5 else []
        items += [{"role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}] if chance.random() < 0.5 else []
        items += [{"type": "function_call", "call_id": name, "name": "look", "arguments": "{}"} for name in calls]
        items += [{"type": "function_call_output", "call_id": name, "output": chance.choice(["Done.", ""])} for name in calls]
    outputs = [item for item in items if item.get("type") == "function_call_output"]
    content = [{"type": "input_text", "text": "See:"}] * chance.randint(0, 2) + [{"type": "input_image", "image_url": BITMAP, **bad}]
    if outputs and chance.random() < 0.5:
        chance.choice(outputs)["output"] = content
    else:
        items.insert(chance.randint(0, len(items)), {"role": "user", "content": content})
    return {"model": "fast", "input": items, **({"instructions": "Be brief."} if chance.random() < 0.5 else {})}


def a_messages_request(chance: random.Random, bad: Json) -> Json:
    """Turns with results of tools, which are messages of their own elsewhere."""
    messages: list[Json] = []
    for turn in range(chance.randint(0, 4)):
        messages.append({"role": "user", "content": chance.choice(["Hi.", [{"type": "text", "text": "Hi."}] * 2])})
        calls = [f"toolu_{turn}_{number}" for number in range(chance.randint(0, 3))]
        uses = [{"type": "tool_use", "id": name, "name": "look", "input": {}} for name in calls]
        messages.append({"role": "assistant", "content": [{"type": "text", "text": "Yes."}, *uses]})
        messages += [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": name, "content": "Done."} for name in calls]}]
    results = [block for message in messages for block in message["content"] if isinstance(block, dict) and block["type"] == "tool_result"]
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "AA=="}, **bad}
    content = [{"type": "text", "text": "See:"}] * chance.randint(0, 2) + [picture]
    if results and chance.random() < 0.5:
        chance.choice(results)["content"] = content
    else:
        messages.append({"role": "user", "content": content})
    return {"model": "fast", "max_tokens": 9, "messages": messages, **({"system": "Be brief."} if chance.random() < 0.5 else {})}


def a_gemini_request(chance: random.Random, bad: Json) -> Json:
    """Contents with calls and their results."""
    contents: list[Json] = []
    for turn in range(chance.randint(0, 4)):
        contents.append({"role": "user", "parts": [{"text": "Hi."}] * chance.randint(0, 2)})
        names = [f"look_{turn}_{number}" for number in range(chance.randint(0, 3))]
        contents.append({"role": "model", "parts": [{"text": "Yes."}, *[{"functionCall": {"name": name, "args": {}}} for name in names]]})
        results = [{"functionResponse": {"name": name, "response": {"output": "Done."}}} for name in names]
        contents += [{"role": "user", "parts": results}] if results else []
    asked = [content for content in contents if content["role"] == "user"] or [{"role": "user", "parts": [{"text": "Hi."}]}]
    contents = contents or asked
    chance.choice(asked)["parts"].append({"inlineData": {"mimeType": "image/bmp", "data": "AA=="}, **bad})
    return {"contents": contents, **({"systemInstruction": {"parts": [{"text": "Be brief."}]}} if chance.random() < 0.5 else {})}


@pytest.mark.parametrize(
    ("door", "write", "dialect"),
    [
        ("responses", a_responses_request, "anthropic"),
        ("responses", a_responses_request, "bedrock"),
        ("anthropic", a_messages_request, "bedrock"),
        ("gemini", a_gemini_request, "anthropic"),
        ("gemini", a_gemini_request, "bedrock"),
    ],
)
def test_a_refusal_of_a_part_names_where_the_client_put_it(door: str, write: Any, dialect: str) -> None:
    """[fault P1] Whatever stands before it: items that are one message, results that are several, what the system says."""
    for seed in range(repeats(40)):
        asked = write(random.Random(seed), {"mark": "here"})
        error = refused(door, dialect, asked)
        found = PLACE.search(error["message"])
        assert found, error
        assert at(asked, found[0]).get("mark") == "here", (seed, asked, error)
        assert error.get("param", found[0]) == found[0]


TEXT = {"type": "input_text", "text": "See:"}
SAID = {"role": "developer", "content": "Be brief."}


def shown(*parts: Json) -> Json:
    """A Responses request, in which the parts are not in the first message of the chat completion."""
    return {"model": "fast", "instructions": "Be kind.", "input": [SAID, {"role": "user", "content": [TEXT, *parts]}]}


def told(*blocks: Json, **members: Any) -> Json:
    """The same as a Messages request."""
    content = [{"type": "text", "text": "See:"}, *blocks]
    return {"model": "fast", "max_tokens": 9, "system": "Be kind.", "messages": [{"role": "user", "content": content}], **members}


def spoken(*parts: Json, **members: Any) -> Json:
    """The same as a Gemini request."""
    system = {"parts": [{"text": "Be kind."}]}
    return {"systemInstruction": system, "contents": [{"role": "user", "parts": [{"text": "See:"}, *parts]}], **members}


FUNCTION = {"input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("door", "dialect", "asked", "place"),
    [
        ("responses", "gemini", shown({"type": "input_image", "image_url": "https://x.example/a.png"}), "input[1].content[1]"),
        ("responses", "gemini", shown({"type": "input_image", "image_url": "data:what"}), "input[1].content[1]"),
        ("responses", "cohere", shown({"type": "input_image", "image_url": ""}), "input[1].content[1]"),
        ("responses", "cohere", shown({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}), "input[1].content[1]"),
        ("responses", "bedrock", shown({"type": "input_audio"}), "input[1].content[1]"),
        ("responses", "gemini", shown({"type": "input_file"}), "input[1].content[1]"),
        ("responses", "bedrock", shown({"type": "input_file", "file_id": "file-1"}), "input[1].content[1]"),
        ("responses", "openai", shown({"type": "input_file", "file_url": "https://x.example/a.pdf"}), "input[1].content[1]"),
        (
            "responses",
            "gemini",
            {**shown(), "input": [SAID, {"type": "function_call_output", "call_id": "c", "output": "a"}]},
            "input[1].call_id",
        ),
        ("anthropic", "gemini", told({"type": "image", "source": {"type": "url", "url": "https://x.example/a"}}), "messages[0].content[1]"),
        ("anthropic", "cohere", told({"type": "image", "source": {"type": "url", "url": ""}}), "messages[0].content[1]"),
        (
            "anthropic",
            "openai",
            told({"type": "document", "source": {"type": "url", "url": "https://x.example/a"}}),
            "messages[0].content[1]",
        ),
        ("anthropic", "gemini", told({"type": "tool_result", "tool_use_id": "t", "content": "a"}), "messages[0].content[1].tool_use_id"),
        ("anthropic", "cohere", told(tools=[{"type": "web_search_1", "name": "w"}, FUNCTION]), "tools[1].name"),
        ("gemini", "bedrock", spoken({"fileData": {"fileUri": "https://x.example/a.png"}}), "contents[0].parts[1]"),
        ("gemini", "cohere", spoken({"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}), "contents[0].parts[1]"),
        ("gemini", "anthropic", spoken({"inlineData": {"mimeType": "font/ttf", "data": "AA=="}}), "contents[0].parts[1]"),
        (
            "gemini",
            "mistral",
            spoken(tools=[{"googleSearch": {}}, {"functionDeclarations": [{"name": "a"}, {}]}]),
            "tools[1].functionDeclarations[1].name",
        ),
        ("gemini", "mistral", spoken(generationConfig={"candidateCount": 0}), "generationConfig.candidateCount"),
        ("gemini", "mistral", spoken(generationConfig={"stopSequences": [1]}), "generationConfig.stopSequences[0]"),
    ],
)
def test_what_can_be_refused_inside_a_conversation_is_named_as_its_client_knows_it(
    door: str, dialect: str, asked: Json, place: str
) -> None:
    """[fault P1] Pictures, sound, files, results without a call, tools without a name; and nothing of the chat completion is named."""
    error = refused(door, dialect, asked)
    assert re.search(rf"(?<![\w.]){re.escape(place)}(?![\w\[])", error["message"]), error
    assert door != "responses" or error["param"] == place


def test_a_vendor_that_counts_messages_as_we_do_is_heard_about_the_clients_own() -> None:
    """[fault P1] In its words and in its member; a refusal of the client's own protocol, or of a chat, stays as it is."""
    words = {"message": "Invalid 'messages[1].content[1].image_url': no image.", "param": "messages[1].content[1].image_url", "code": "bad"}
    error = refused("responses", "openai", shown({"type": "input_image", "image_url": BITMAP}), words)
    assert (error["message"], error["param"]) == ("Invalid 'input[1].content[1]': no image.", "input[1].content[1]")
    words = {"message": "1 error: body.messages.1.content.1.image_url.url: no address; messages.0: x.", "code": "bad"}
    error = refused("responses", "openai", shown({"type": "input_image", "image_url": BITMAP}), words)
    assert error["message"] == "1 error: input[1].content[1]: no address; input: x."
    chat = {"model": "fast", "messages": [{"role": "user", "content": "Hi."}]}
    assert refused("openai", "openai", chat, words)["message"] == words["message"]
    own = {"type": "invalid_request_error", "message": "messages.0.content.1.image: too large"}
    assert refused("anthropic", "anthropic", told(), own)["message"] == own["message"]


CALLED = [
    {"role": "user", "content": "Hi."},
    {"role": "assistant", "content": "Yes."},
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
    {"type": "custom_tool_call", "call_id": "c2", "name": "note", "input": "a"},
    {"role": "assistant", "content": "And more."},
    {"type": "function_call_output", "call_id": "c1", "output": [TEXT, {"type": "input_image", "image_url": "https://x.example/a"}]},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": "b"},
    {"role": "user", "content": [TEXT, TEXT]},
]
LOOK: Json = {"type": "function", "name": "look", "parameters": {"type": "object"}}
OFFERED = [{"type": "web_search"}, {"type": "namespace", "name": "crew", "tools": [{**LOOK, "name": "call"}]}, LOOK]
USES = [{"type": "text", "text": "Yes."}, {"type": "tool_use", "id": "t1", "name": "look", "input": {}}]
PARTS: list[Json] = [
    {"role": "user", "parts": [{"text": "Hi."}]},
    {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
    {"role": "user", "parts": [{"text": "So:"}, {"functionResponse": {"name": "look", "response": {"output": "a"}}}]},
]
RESULTS = [{"type": "text", "text": "So:"}, {"type": "tool_result", "tool_use_id": "t1", "content": "a"}]
TURNS = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": USES}, {"role": "user", "content": RESULTS}]


@pytest.mark.parametrize(
    ("door", "asked", "places"),
    [
        (
            "responses",
            {"model": "fast", "input": CALLED, "tools": OFFERED},
            {
                "messages[0].content": "input[0]",
                "messages[1]": "input[1]",
                "messages[1].tool_calls[0].function.arguments": "input[2]",
                "messages[1].tool_calls[1].custom.input": "input[3]",
                "messages[2].content": "input[5]",
                "messages[2].tool_call_id": "input[5].call_id",
                "messages[3].tool_call_id": "input[6].call_id",
                "messages[4].content[0].image_url.url": "input[5].output[1]",
                "messages[4]": "input",
                "messages[5].content[1]": "input[7].content[1]",
                "messages[9].content[9]": "input",
                "messages[99]": "input",
                "messages[1].tool_calls[0].function.name": "input[2].name",
                "messages[1].tool_calls[9].function.name": "input[1]",
                "messages[1].function.name": "input[1]",
                "messages[0].tool_call_id": "input[0]",
                "messages.[3].role": "input[6]",
                "body.messages.5.content.1.text": "input[7].content[1]",
                "request.body.messages[5].content[1]": "input[7].content[1]",
                "tools[0].function.parameters": "tools[1].tools[0].parameters",
                "tools[0].function.parameters.properties.a-b['c d'].type": "tools[1].tools[0].parameters.properties.a-b['c d'].type",
                "tools[0].function.parameter": "tools[1].tools[0]",
                "tools[1].function.name": "tools[2].name",
                "tools[7].function": "tools",
            },
        ),
        (
            "responses",
            {"model": "fast", "instructions": "Be kind.", "input": "Hi."},
            {"messages[0]": "instructions", "messages[1]": "input"},
        ),
        ("responses", shown(), {"messages[0].content": "input", "messages[1]": "input[1]"}),
        (
            "anthropic",
            {**told(), "messages": TURNS, "tools": [{"type": "web_search_1", "name": "w"}, {**FUNCTION, "name": "look"}]},
            {
                "messages[0]": "system",
                "messages[2].tool_calls[0].id": "messages[1].content[1]",
                "messages[2].tool_calls[0].function.name": "messages[1].content[1].name",
                "messages[2].tool_calls[1].function.name": "messages[1]",
                "messages[0].tool_calls[0].function.name": "system",
                "tools[0].function.parameters.properties[x].items": "tools[1].input_schema.properties[x].items",
                "messages[3].tool_call_id": "messages[2].content[1].tool_use_id",
                "messages[4].content[0].text": "messages[2].content[0]",
                "tools[0].function.name": "tools[1].name",
            },
        ),
        (
            "gemini",
            spoken({"inlineData": {"mimeType": "image/png", "data": "AA=="}}, tools=[{}, {"functionDeclarations": [{"name": "look"}]}]),
            {
                "messages[0]": "systemInstruction",
                "messages[1].content[1].image_url": "contents[0].parts[1]",
                "messages[1].role": "contents[0]",
                "tools[0].function.name": "tools[1].functionDeclarations[0].name",
            },
        ),
        (
            "gemini",
            {"contents": [*PARTS[:1], *PARTS]},
            {
                "messages[2].tool_calls[0].id": "contents[2].parts[0].functionCall",
                "messages[2].tool_calls[0].function.name": "contents[2].parts[0].functionCall.name",
                "messages[2].tool_calls[1].function.name": "contents[2]",
                "messages[3].tool_call_id": "contents[3].parts[1].functionResponse",
            },
        ),
        (
            "responses",
            {
                "model": "fast",
                "input": [{"role": "user", "content": "Hi."}, {"type": "additional_tools", "role": "developer", "tools": [LOOK]}],
            },
            {"tools[0].function.parameters": "input[1].tools[0].parameters"},
        ),
        ("completions", {"model": "fast", "prompt": "Hi."}, {"messages[0].content": "prompt"}),
    ],
)
def test_every_place_of_a_chat_completion_is_one_of_the_clients(door: str, asked: Json, places: dict[str, str]) -> None:
    """[fault P1] Or the whole in which it is, where the client has no such place: pictures that a tool gave, in a message of their own."""
    for place, own in places.items():
        error = refused(door, "openai", asked, {"message": f"Bad '{place}'.", "param": place, "code": "bad"})
        assert (place, error["message"], error.get("param", own)) == (place, f"Bad '{own}'.", own)


@pytest.mark.parametrize(
    ("dialect", "words", "shown"),
    [
        ("anthropic", "messages.1.content.0.image.source.base64: too large", "{}: too large"),
        ("gemini", "* GenerateContentRequest.contents[3].parts[0].data: required", "* {}: required"),
        ("responses", "Invalid value: 'input[2].content[0].type'.", "Invalid value: '{}'."),
    ],
)
def test_a_place_in_what_only_the_vendor_was_sent_is_not_named(dialect: str, words: str, shown: str) -> None:
    """[fault P1] Who sees only his own messages would look there."""
    told_by = {"message": words, "type": "invalid_request_error", "status": "INVALID_ARGUMENT"}
    chat = {"model": "fast", "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi."}]}
    assert refused("openai", dialect, chat, told_by)["message"] == shown.format("messages")
    if dialect != "responses":
        assert refused("responses", dialect, {"model": "fast", "input": "Hi."}, told_by)["message"] == shown.format("input")


WORDS_OF_GOOGLE = "* GenerateContentRequest.tools[0].function_declarations[{}].parameters.properties[x].items: missing field."


@pytest.mark.parametrize(
    ("dialect", "words", "shown", "behind"),
    [
        ("gemini", WORDS_OF_GOOGLE.format(1), "* {}: missing field.", ".parameters.properties[x].items"),
        ("gemini", "At 'tools[0].function_declarations[1].parameters.properties[0].value': no.", "At '{}': no.", ".parameters.properties"),
        ("gemini", "Bad 'tools[0].functionDeclarations[1].name'.", "Bad '{}'.", ".name"),
        ("anthropic", "tools.1.custom.input_schema.properties.a-b.type: bad", "{}: bad", ".parameters.properties.a-b.type"),
        ("anthropic", "tools.1.custom.name: bad", "{}: bad", ".name"),
        ("responses", "Invalid schema: 'tools[1].parameters'.", "Invalid schema: '{}'.", ".parameters"),
        ("cohere", "tools[1].type is unknown", "{} is unknown", ""),
        ("gemini", "tools[0] is unknown", "{} is unknown", None),
        ("gemini", WORDS_OF_GOOGLE.format(7), "* {}: missing field.", None),
        ("bedrock", "The value at toolConfig.tools.1.toolSpec.inputSchema.json.type is bad.", "The value at {} is bad.", None),
        ("bedrock", "Value 'a b' at 'toolConfig.tools.1.member.toolSpec.name' failed", "Value 'a b' at '{}' failed", None),
    ],
)  # fmt: skip
def test_a_tool_that_a_vendor_refuses_is_the_one_that_the_client_offered(dialect: str, words: str, shown: str, behind: str | None) -> None:
    """[fault P1] Google has all functions in its first tool, and each was told as the client's first; where nobody knows, it is `tools`."""
    told_by = {"message": words, "type": "invalid_request_error", "status": "INVALID_ARGUMENT"}
    other: Json = {"type": "function", "name": "other", "parameters": {"type": "object"}}
    asked = {"model": "fast", "input": "Hi.", "tools": [{"type": "web_search"}, other, LOOK]}
    if dialect != "responses":  # which is the client's own protocol
        assert refused("responses", dialect, asked, told_by)["message"] == shown.format("tools" if behind is None else f"tools[2]{behind}")
    both = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("other", "look")]
    chat = {"model": "fast", "messages": [{"role": "user", "content": "Hi."}], "tools": both}
    if "[7]" not in words:
        place = "tools" if behind is None else f"tools[1].function{behind}" if behind else "tools[1]"
        assert refused("openai", dialect, chat, told_by)["message"] == shown.format(place)
    mixed = {**chat, "tools": [*both, {"type": "custom", "custom": {"name": "c"}}]}
    if dialect == "responses":  # which has such tools; others are not asked
        assert refused("openai", dialect, mixed, told_by)["message"] == shown.format("tools")


def test_a_place_in_a_list_of_names_and_numbers_is_the_clients_too() -> None:
    """[fault P1] As vLLM has it in what it says of a body."""
    words = "[{'type': 'string_type', 'loc': ('body', 'messages', 1, 'content', 1, 'text'), 'msg': 'Input should be a valid string'}]"
    error = refused("responses", "openai", shown({"type": "input_text", "text": "a"}), {"message": words, "code": 400})
    assert error["message"] == "[{'type': 'string_type', 'loc': 'input[1].content[1]', 'msg': 'Input should be a valid string'}]"
    error = refused("responses", "openai", shown(), {"message": 'At ["body", "messages", 0]: bad', "code": 400})
    assert error["message"] == "At 'input': bad"
    assert refused("openai", "openai", {"model": "fast", "messages": SAID_OFTEN}, {"message": words, "code": 400})["message"] == words


SAID_OFTEN = [{"role": "user", "content": "Hi."}]


@pytest.mark.parametrize(("statuses", "often"), [((500, 400, 503), 1), ((500, 200), 0)])
def test_places_are_looked_for_once_and_only_if_the_client_is_told(statuses: tuple[int, ...], often: int) -> None:
    """[fault P1] The whole request is read once more for it: 0.2 s of a megabyte on the event loop, at each attempt that failed."""
    words = {"message": "Invalid 'messages[0].content'.", "type": "invalid_request_error", "code": "bad"}
    refusal, answer = json.dumps({"error": words}).encode(), document("Yes.")
    scripts = [
        Script([answer if status == 200 else refusal], status=status, headers={"content-type": "application/json"}) for status in statuses
    ]
    rig, client, told = Rig(*map(ScriptedUpstream, scripts)), MemoryClient(), list[int]()

    async def work(body_bytes: int, task: Callable[[], object]) -> None:
        told.append(body_bytes)
        await asyncio.sleep(1_000)  # however long: no vendor is asked meanwhile
        task()

    rig.dependencies.work = work
    asked = json.dumps({"model": "fast", "input": [{"role": "user", "content": "Hi."}]}).encode()
    run_virtual(rig.call(client, asked, door=RESPONSES_DOOR))
    assert (client.status, told) == (400 if often else 200, [len(asked)] * often)
    assert ("Invalid 'input[0]'." in client.body.decode()) == bool(often)


def test_a_large_body_is_read_once_more_in_a_thread() -> None:
    """[fault P1] As it was parsed; a small one at once."""

    async def main() -> list[bool]:
        work, here = body_work(body_threads()), list[bool]()
        for size in (PARSE_INLINE_BYTES_MAX, PARSE_INLINE_BYTES_MAX + 1):
            await work(size, lambda: here.append(threading.current_thread() is threading.main_thread()))
        return here

    assert asyncio.run(main()) == [True, False]


BROKEN_OFF: dict[str, tuple[str, str, str]] = {
    "anthropic": ("messages.2.content.0: no such picture", "{}: no such picture", "messages"),
    "gemini": ("* GenerateContentRequest.contents[3].parts[0].data: too large", "* {}: too large", "contents"),
    "responses": ("Invalid 'input[2].content[0]'.", "Invalid '{}'.", "input"),
    "mistral": ("Bad 'messages[1].content[1]'.", "Bad '{}'.", ""),
    "openai": ("Bad 'messages[1].content[1]'.", "Bad '{}'.", ""),
}


def broken_off(door: str, dialect: str, asked: Json, words: str) -> str:
    """What a client is told of a failure that comes behind the beginning of an answer, in its stream."""
    error: Json = {"message": words, "type": "invalid_request_error", "code": 400, "status": "INVALID_ARGUMENT"}
    opened: dict[str, list[Json]] = {
        "anthropic": [
            {
                "type": "message_start",
                "message": {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "m", "usage": {}},
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "One"}},
        ],
        "gemini": [{"candidates": [{"content": {"parts": [{"text": "One"}]}, "index": 0}]}],
        "responses": [{"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": "One"}],
    }
    chunk: Json = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = opened.get(dialect, [{**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "One"}}]}])
    failed: Json = {**error, "type": "error", "error": error} if dialect in ("anthropic", "responses") else {"error": error}
    script = Script([b"data: " + json.dumps(each).encode() + b"\n\n" for each in (*said, failed)])
    rig, client = Rig(ScriptedUpstream(script), vendor={"dialect": dialect}), MemoryClient()
    door_at = GeminiDoor("fast", stream=True) if door == "gemini" else DOORS[door]
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=door_at))
    assert (client.status, rig.rows[-1].outcome) == (200, "cut")
    last = [json.loads(line[6:]) for line in client.body.splitlines() if line.startswith(b"data: {")]
    return next(str(event["error"]["message"]) for event in last if event.get("error"))


TURNS: dict[str, Json] = {
    "openai": {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        ]
    },
    "anthropic": {
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        ],
    },
    "gemini": {"contents": [{"parts": [{"text": "a"}]}, {"parts": [{"text": "b"}, {"text": "c"}]}]},
    "responses": {
        "input": [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "input_text", "text": text} for text in "bc"]}]
    },
}
OWN_PLACES = {"anthropic": "messages[1].content[1]", "gemini": "contents[1].parts[1]", "responses": "input[1].content[1]"}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("dialect", BROKEN_OFF)
@pytest.mark.parametrize("door", TURNS)
def test_a_failure_inside_an_answer_names_the_clients_own_places_too(door: str, dialect: str, large: bool) -> None:
    """[fault P1] Behind the opening it was told in the vendor's. In a large request nobody looks for them then, and none is named."""
    words, shown, own = BROKEN_OFF[dialect]
    asked = {"model": "fast", "stream": True, **TURNS[door], "metadata": {"padding": "x" * READ_AT_ONCE_BYTES_MAX} if large else {}}
    whole = {"openai": "messages", "anthropic": "messages", "gemini": "contents", "responses": "input"}[door]
    if door == dialect or (door, dialect) == ("openai", "mistral"):
        assert broken_off(door, dialect, asked, words) == words
        return
    place = OWN_PLACES[door] if not own and not large else whole
    assert broken_off(door, dialect, asked, words) == shown.format(place)


def test_what_would_be_lost_keeps_its_place() -> None:
    """It is told in the client's words already, in which the same place is another one of the chat completion."""
    kept_elsewhere = told({"type": "image", "source": {"type": "file", "file_id": "f"}})
    assert "'messages[0].content[1]'" in refused("anthropic", "openai", kept_elsewhere)["message"]


def test_a_prompt_that_says_nothing_is_no_message() -> None:
    """[fault P1] Nor does who sends a text know messages."""
    error = refused("completions", "anthropic", {"model": "fast", "prompt": " "})
    assert (error["param"], "messages" in error["message"]) == ("prompt", False)


class Kept:
    """Two items of an earlier response."""

    def items_of(self, name: str) -> list[Json]:
        """Return them."""
        return [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Yes."}]

    def item(self, name: str) -> Json | None:
        """There are no others."""
        return None


def test_items_of_an_earlier_response_are_not_counted() -> None:
    """[fault P1] Neither when the input is read, nor in what is refused later."""
    body = {"model": "fast", "previous_response_id": "resp_1", "input": [{"role": "user", "content": [{"type": "input_image"}]}]}
    request = parse_responses(json.dumps(body).encode(), Kept())
    error = request.as_sent(ApiError("unsupported_parameter", "'input[2].content[0]' and 'input[1].content'", param="input[2].content[0]"))
    assert (error.message, error.param) == ("'input[0].content[0]' and 'previous_response_id'", "input[0].content[0]")
    with pytest.raises(ApiError) as refused_at_once:
        parse_responses(json.dumps({**body, "input": [{"role": "user"}]}).encode(), Kept())
    assert refused_at_once.value.param == "input[0].content"
