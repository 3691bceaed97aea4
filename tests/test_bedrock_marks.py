"""Marks for the prompt cache that a client of the Messages API sends reach Claude on Bedrock as points, and nobody else."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.errors import ApiError
from aisa.ledger.row import CallRow
from aisa.prices.rules import unlisted
from aisa.providers import bedrock, cohere, gemini, mistral, openai, responses
from aisa.providers.shape import Target
from aisa.routing import Routes
from aisa.testing.aws_frames import event
from aisa.testing.clock import run_virtual
from aisa.wire.messages import MessagesRequest
from aisa.wire.messages_door import MESSAGES_DOOR
from rig import MemoryClient, Rig, Script, ScriptedUpstream, document
from test_bedrock import CLAUDE, FRAMES, FUNCTION, NEWEST, NOVA, PNG, START, USAGE, USER, asked, call, result, said, says
from test_prefixes import prefix_of, without_marks

Json = dict[str, Any]
MARK: Json = {"cache_control": {"type": "ephemeral"}}
HOUR: Json = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
POINT, LONG = {"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default", "ttl": "1h"}}
BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=1"}
LOOK: Json = {"name": "look", "input_schema": {"type": "object"}}
PICTURE: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG.partition(",")[2]}}
PDF: Json = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}
CSV: Json = {"type": "document", "source": {"type": "base64", "media_type": "text/csv", "data": "YSxi"}}


def text(words: str, mark: Json = {}) -> Json:  # noqa: B006 - nobody changes it
    """A block of text."""
    return {"type": "text", "text": words, **mark}


def calls(*blocks: Json) -> Json:
    """A turn of the model's."""
    return {"role": "assistant", "content": list(blocks)}


def use(call_id: str, mark: Json = {}) -> Json:  # noqa: B006 - nobody changes it
    """A call."""
    return {"type": "tool_use", "id": call_id, "name": "look", "input": {"a": 1}, **mark}


def gave(call_id: str, content: Any, mark: Json = {}) -> Json:  # noqa: B006 - nobody changes it
    """What a tool gave back."""
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **mark}


def user(*blocks: Json) -> Json:
    """A turn of the user's."""
    return {"role": "user", "content": list(blocks)}


def request(*messages: Json, **members: Any) -> MessagesRequest:
    """A request of the Messages API."""
    return MessagesRequest(json.dumps({"model": "m", "max_tokens": 99, "messages": messages or [user(text("Hi."))], **members}).encode())


def written(*messages: Json, model: str = NEWEST, **members: Any) -> Json:
    """What Bedrock gets for it."""
    body: Json = json.loads(bedrock.to_upstream(request(*messages, **members), Target("aws", model, "bedrock")).body)
    return body


def points_in(body: Json) -> int:
    """How many points there are."""
    return json.dumps(body).count('"cachePoint"')


AGENT: list[Json] = [
    user(text("Do.")),
    calls(text("I look."), use("t1"), use("t2", MARK)),
    user(gave("t1", "rain"), gave("t2", [text("sun", HOUR)]), text("And?")),
]


def test_marks_on_system_tools_calls_and_results_are_points_for_claude() -> None:
    """Each behind what it marks; the texts are those of today, without the line of accounting."""
    system = [BILLING, text("Be good.", HOUR), text("Be brief.")]
    body = written(*AGENT, system=system, tools=[LOOK, {"type": "web_search_20250305", "name": "web_search", **HOUR}])
    assert body["system"] == [{"text": "Be good."}, LONG, {"text": "\n\nBe brief."}]
    assert body["toolConfig"]["tools"] == [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}, LONG]
    [_, model, results] = [message["content"] for message in body["messages"]]
    assert [next(iter(block)) for block in model] == ["text", "toolUse", "toolUse", "cachePoint"]
    assert [next(iter(block)) for block in results] == ["toolResult", "toolResult", "cachePoint", "text"]
    assert results[2] == LONG


@pytest.mark.parametrize(
    ("message", "kinds"),
    [
        (user(text("a", MARK), text("b")), ["text", "cachePoint", "text"]),
        (user(PICTURE | MARK, text("b")), ["image", "cachePoint", "text"]),
        (user(PDF | MARK, text("b")), ["document", "cachePoint", "text"]),
        (user(text("a"), CSV, CSV | MARK, text("b")), ["text", "cachePoint", "document", "document", "text"]),
        (user(CSV | MARK, text("b")), ["document", "text"]),
        (user(text("a", MARK), CSV | MARK), ["text", "cachePoint", "document"]),
        (
            user({"type": "document", "source": {"type": "content", "content": [text("a", MARK), text("b")]}}),
            ["text", "text", "cachePoint"],
        ),
        (user({"type": "search_result", "title": "T", "source": "s", "content": [text("found")], **MARK}), ["text", "text", "cachePoint"]),
        (user(text("a"), {"type": "web_search_tool_result", "tool_use_id": "x", "content": [], **MARK}), ["text", "cachePoint"]),
        (user(text("a"), gave("t0", [text("see"), PICTURE], MARK)), ["toolResult", "text", "image", "cachePoint"]),
        (user(gave("t0", "r", MARK), text("b")), ["toolResult", "cachePoint", "text"]),
        (user(text("a", {"cache_control": None})), ["text"]),
    ],
)
def test_a_point_stands_behind_what_is_marked_where_bedrock_takes_one(message: Json, kinds: list[str]) -> None:
    """Behind documents but PDF it is refused (`type: Field required`), so there it stands before them, or is left out."""
    history = [user(text("Do.")), calls(use("t0"))] if "tool_result" in json.dumps([message["content"][-1], message["content"][0]]) else []
    told = written(*history, message, tools=[LOOK])["messages"][-1]["content"]
    assert [next(iter(block)) for block in told] == kinds


def test_a_marked_text_of_the_models_and_a_later_instruction_have_points_too() -> None:
    """As Claude Code sets them; a text alone is one too."""
    later = {"role": "system", "content": [text("Note.", MARK)]}
    told = written(user(text("Do.")), calls(text("One. "), text("Two.", MARK)), user(text("Go.")), later, system="Be good.")
    assert told["system"] == [{"text": "Be good."}]
    assert told["messages"][1]["content"] == [{"text": "One. Two."}, POINT]
    assert told["messages"][-1] == {"role": "system", "content": [{"text": "Note."}, POINT]}


@pytest.mark.parametrize("mark", [MARK, HOUR])
def test_the_mark_of_a_whole_request_is_a_point_behind_its_last_block(mark: Json) -> None:
    """Unless one stands there; of chat completions too."""
    point = POINT if mark is MARK else LONG
    assert written(user(text("a"), text("b")), **mark)["messages"][-1]["content"] == [{"text": "a"}, {"text": "b"}, point]
    assert written(user(text("a"), text("b", MARK)), **mark)["messages"][-1]["content"] == [{"text": "a"}, {"text": "b"}, POINT]
    chat = json.loads(asked(USER, model=NEWEST, **mark).body)
    assert chat["messages"] == [{"role": "user", "content": [{"text": "Hi"}, point]}]
    assert points_in(json.loads(asked(USER, model=NOVA, **mark).body)) == 0


def test_of_more_than_four_marks_the_last_are_points() -> None:
    """Each holds everything before it. Anthropic and Bedrock refuse a fifth."""
    blocks = [text(f"q{number}", MARK) for number in range(4)]
    body = written(user(*blocks), system=[text("S", MARK)], tools=[LOOK | MARK], **MARK)
    assert points_in(body) == 4
    assert body["system"] == [{"text": "S"}]
    assert [next(iter(block)) for block in body["messages"][0]["content"]] == ["text", "cachePoint"] * 4
    chat = json.loads(asked({"role": "user", "content": [*blocks, text("end", MARK)]}, said(call("c1", "f")), tools=[FUNCTION]).body)
    assert points_in(chat) == 4
    assert points_in(json.loads(asked({"role": "user", "content": [*blocks, text("end", MARK)]}, model=NOVA).body)) == 5
    for model in (NOVA, NEWEST):
        marked = asked(USER, said(call("c1", "f") | MARK), result("c1", "1"), model=model, tools=[FUNCTION])
        assert points_in(json.loads(marked.body)) == (1 if model is NEWEST else 0)


def test_a_model_whose_cache_lasts_five_minutes_is_not_asked_for_an_hour() -> None:
    """Those before Claude 4.5."""
    body = written(user(text("a", HOUR)), model="us.anthropic.claude-sonnet-4-20250514-v1:0")
    assert body["messages"][0]["content"] == [{"text": "a"}, POINT]
    assert written(user(text("a", HOUR)), model=CLAUDE)["messages"][0]["content"] == [{"text": "a"}, LONG]


def test_no_point_of_a_turn_lasts_longer_than_one_before_it() -> None:
    """That is refused. What a tool shows stands behind all results, and its mark with it."""
    results = user(gave("t1", [text("see"), PICTURE], HOUR), gave("t2", "r", MARK))
    body = written(user(text("Do.", HOUR)), calls(use("t1"), use("t2")), results, tools=[LOOK])
    assert body["messages"][0]["content"] == [{"text": "Do."}, LONG]
    assert [block for block in body["messages"][-1]["content"] if "cachePoint" in block] == [POINT, POINT]


OTHERS: list[tuple[ModuleType, str]] = [
    (openai, "some-model"),
    (openai, "anthropic/claude-opus-5.5"),
    (responses, "gpt-5.4"),
    (gemini, "gemini-3.5-flash"),
    (cohere, "command-a-plus-05-2026"),
    (mistral, "mistral-large-4"),
    (bedrock, NOVA),
]


@pytest.mark.parametrize(("dialect", "model"), OTHERS, ids=lambda value: value if isinstance(value, str) else "")
def test_everybody_else_gets_the_bytes_of_a_request_without_marks(dialect: ModuleType, model: str) -> None:
    """Vendors refuse members that they do not know."""
    members: Json = {"system": [text("Be good.", HOUR), text("Be brief.", MARK)], "tools": [LOOK | MARK], **HOUR}
    target = Target("v", model, dialect.NAME, unsupported="drop")
    marked, bare = request(*AGENT, **members), request(*without_marks(AGENT), **without_marks(members))
    assert dialect.to_upstream(marked, target).body == dialect.to_upstream(bare, target).body


@pytest.mark.parametrize("model", [CLAUDE, NEWEST])
def test_marks_that_move_on_change_nothing_else_of_an_agents_history(model: str) -> None:
    """On the last block of each turn, which is a text, a result or a later instruction; the marks of the turn before are gone."""
    history: list[Json] = []
    before = b""
    for number in range(6):
        turn: list[Json] = [user(text("q"), text(f"q{number}", MARK))]
        if number % 2:
            turn = [user(gave(f"t{number - 1}", [text(f"r{number}")], MARK))]
        if number == 4:
            turn = [user(text("go")), {"role": "system", "content": [text("Note."), text("Mind.", MARK)]}]
        body = written(*history, *turn, model=model, system=[BILLING, text("A", MARK if number % 2 else {}), text("B", MARK)], tools=[LOOK])
        assert 0 < points_in(body) <= 4
        told = prefix_of(json.dumps(without_marks(body)).encode())
        assert told.startswith(before)
        before = told
        answer = calls(text(f"a{number}"), use(f"t{number}")) if number % 2 == 0 and number != 4 else calls(text(f"a{number}"))
        history += [*without_marks(turn), answer]


# Money

LONG_PRICES = Prices(input=1, output=2, cached_input=0.1, cache_write=1.25, cache_write_1h=2)


def made(asks: MessagesRequest, usage: Json, *, model: str = NEWEST, prices: Prices = LONG_PRICES) -> tuple[list[Any], CallRow]:
    """Make a call through the Messages door to a model on Bedrock, streamed: its events and its row."""
    end = event("messageStop", {"stopReason": "end_turn"}) + event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})
    rig = Rig(ScriptedUpstream(Script([START, says("One two three four five six seven."), end], headers=FRAMES)))
    rig.dependencies.routes = routes_of({"a": "bedrock"}, model, prices)
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps({**asks.tree, "model": "fast", "stream": True}).encode(), MESSAGES_DOOR))
    events = [json.loads(block.split("data: ", 1)[1]) for block in client.body.decode().split("\n\n") if "data: " in block]
    return events, rig.rows[-1]


def routes_of(dialects: dict[str, Any], model: str, prices: Prices) -> Routes:
    """The model `fast`, which these vendors serve."""
    vendors = {
        name: Vendor(base_url=f"http://{name}.example:9/v1", api_key="k", dialect=dialect, prices={model: prices}, allow_unpriced=False)
        for name, dialect in dialects.items()
    }
    return Routes(Config(vendors=vendors, models={"fast": Model(to=tuple(f"{name}/{model}" for name in dialects))}), unlisted)


@pytest.mark.parametrize(
    ("mark", "told", "model", "micros"),
    [  # 100 x 1 + 800 x 0.1 + 10 x 2 are 200
        (MARK, {}, NEWEST, 450),
        (HOUR, {}, NEWEST, 600),  # asked for, and no class is told
        (HOUR, {"cacheDetails": [{"ttl": "1h", "inputTokens": 50}, {"ttl": "5m", "inputTokens": 150}]}, NEWEST, 487.5),
        (HOUR, {}, "anthropic.claude-opus-4-1-20250805-v1:0", 450),  # which keeps it five minutes
        (HOUR, {}, NOVA, 450),  # which got no mark
    ],
)
def test_what_was_read_and_written_is_told_to_the_client_and_billed_by_lifetime(mark: Json, told: Json, model: str, micros: float) -> None:
    """In `message_delta`, beside the input, in the Messages API's words."""
    events, row = made(request(user(text("Hi.", mark))), {**USAGE, **told}, model=model)
    usage = next(event["usage"] for event in events if event["type"] == "message_delta")
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (100, 800, 200)
    assert usage["output_tokens"] == 10
    assert row.cost == int(micros * 1_000)


UNPRICED = Prices(input=1, output=2, cached_input=0.1, cache_write=1.25)


def status_of(dialects: dict[str, Any], mark: Json, model: str = NEWEST, **members: Any) -> tuple[int | None, str | None]:
    """Ask for a document, through the Messages door, of a model that has no price for writes of an hour."""
    rig = Rig(*[ScriptedUpstream(Script([document()])) for _ in dialects])
    rig.dependencies.routes = routes_of(dialects, model, UNPRICED)
    client = MemoryClient()
    asks = request(user(text("Hi.", mark)), **members)
    run_virtual(rig.call(client, json.dumps({**asks.tree, "model": "fast"}).encode(), MESSAGES_DOOR))
    return client.status, rig.rows[-1].target


@pytest.mark.parametrize("place", ["block", "request"])
def test_a_write_of_an_hour_without_a_price_is_refused_beforehand(place: str) -> None:
    """[fault M12] Where the mark would reach the model, by name of the price to write."""
    with pytest.raises(ApiError, match="`cache_write_1h`") as refused:
        status_of({"a": "bedrock"}, HOUR if place == "block" else {}, **(HOUR if place == "request" else {}))
    assert (refused.value.code, refused.value.param) == ("unknown_model", "cache_control.ttl")


def test_who_does_not_get_the_mark_is_asked_all_the_same() -> None:
    """Another vendor, and in the place of one that lacks the price."""
    for dialects in ({"a": "openai"}, {"a": "bedrock", "b": "openai"}):
        status, target = status_of(dialects, HOUR)
        assert (status, target) == (200, f"{list(dialects)[-1]}/{NEWEST}")


def test_marks_of_five_minutes_and_models_that_keep_no_longer_need_no_such_price() -> None:
    """They reach the vendor, whose document here is none of Bedrock's."""
    for mark, model in ((MARK, NEWEST), (HOUR, "anthropic.claude-opus-4-1-20250805-v1:0"), (HOUR, NOVA)):
        assert status_of({"a": "bedrock"}, mark, model) == (502, f"a/{model}")
