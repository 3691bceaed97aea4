"""(fault M12) Searches that stand outside of usage are charged where they have a price, and marked where they have none.

As Moonshot, Groq and Zhipu show them: a call of `$web_search`, `executed_tools`, and a list `web_search` beside the choices.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.ledger.audit import differences_of
from aisa.ledger.row import CallRow
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.chunks import SEARCHES_MAX
from aisa.wire.door import Door
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, document, event, text, usage

TOKENS = 12_000  # nano-dollars: 9 in and 3 out at a dollar a million
PRICES = Prices(input=1, output=1, per_search=0.005)
SEARCH = 5_000_000  # nano-dollars
Message = dict[str, Any]


def call(name: str, number: int, kind: str = "builtin_function") -> Message:
    """A call of a function."""
    return {"index": number, "id": f"call_{number}", "type": kind, "function": {"name": name, "arguments": '{"query": "news"}'}}


def ran(*kinds: str) -> Message:
    """A message of Groq's with tools of these types."""
    return {"executed_tools": [{"index": at, "type": kind, "arguments": "{}", "output": ""} for at, kind in enumerate(kinds)]}


CITED = {"annotations": [{"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "title": "t", "url": "http://a"}}]}
#: What a message has beside its text -> the searches that this shows.
SHOWN: list[tuple[Message, int]] = [
    ({"tool_calls": [call("$web_search", 0)]}, 1),
    ({"tool_calls": [call("$web_search", 0, "function")]}, 1),
    ({"tool_calls": [call("$web_search", 0), call("$web_search", 1), call("look_up", 2, "function")]}, 2),
    ({"tool_calls": [call("web_search", 0, "function")]}, 0),
    (ran("search"), 1),
    (ran("search", "visit", "search", "python"), 2),
    (ran("browser_search", "browser.search", "browser.open"), 2),
    (ran("visit", "code_interpreter"), 0),
    ({**ran("search", "search"), **CITED}, 2),
    (CITED, 1),
    ({"executed_tools": None, "annotations": [], "tool_calls": None}, 0),
    ({"executed_tools": [5, {"type": None}, {"type": ["search"]}]}, 0),
    (ran(*["search"] * (SEARCHES_MAX + 5)), SEARCHES_MAX),
]


def row_of(
    steps: Sequence[bytes | Stall], *, stream: bool, prices: Prices = PRICES, client: MemoryClient | None = None, **asked: object
) -> CallRow:
    """Make a call to a vendor that answers so, and return its row, which adds up."""
    rig = Rig(ScriptedUpstream(Script(steps)), each=[prices], look_up=lambda *_: None)
    run_virtual(rig.call(client or MemoryClient(), body(stream=stream, **asked)))
    [row] = rig.rows
    assert list(differences_of(row)) == []
    return row


def answer(message: Message, **more: Any) -> bytes:
    """A document with this in its message, and more beside its choices."""
    tree = json.loads(document())
    tree["choices"][0]["message"] |= {name: value for name, value in message.items() if value is not None}
    return json.dumps({**tree, **more}).encode()


@pytest.mark.parametrize(("message", "searches"), SHOWN, ids=range(len(SHOWN)))
def test_each_search_that_a_message_shows_is_charged_once_in_a_document_and_a_stream(message: Message, searches: int) -> None:
    """By its own number, so that a tool that is told again, with what came of it, is not another one."""
    again = {name: value for name, value in message.items() if name == "executed_tools"}
    streams = [
        [*text("Hello", " there", "."), chunk(message), chunk({}, "stop"), usage(9, 3), DONE],
        [*text("Hello", " there", "."), chunk(message), *([chunk(again)] if again else []), chunk({}, "stop"), usage(9, 3), DONE],
    ]
    for steps in streams:
        assert row_of(steps, stream=True).cost == TOKENS + searches * SEARCH
    assert row_of([answer(message)], stream=False).cost == TOKENS + searches * SEARCH
    assert row_of([answer({**message, "images": []})], stream=False).cost == TOKENS + searches * SEARCH


@pytest.mark.parametrize(("listed", "searches"), [([{"title": "t", "link": "http://a"}] * 3, 1), ([], 0), (None, 0), ("no", 0)])
def test_pages_beside_the_choices_are_of_one_search(listed: object, searches: int) -> None:
    """In a document, in a chunk of text, in the finish and in the chunk of usage."""
    assert row_of([answer({}, web_search=listed)], stream=False).cost == TOKENS + searches * SEARCH
    whole = [*text("Hello", " there", "."), chunk({}, "stop"), usage(9, 3)]
    for position in range(len(whole)):
        steps = [event({**json.loads(step[6:]), "web_search": listed}) if at == position else step for at, step in enumerate(whole)]
        assert row_of([*steps, DONE], stream=True).cost == TOKENS + searches * SEARCH


def test_what_usage_counts_holds_over_what_the_answer_shows() -> None:
    """Two by usage, one call of a tool: two."""
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "server_tool_use": {"web_search_requests": 2}}
    assert row_of([answer(ran("search"), usage=counts)], stream=False).cost == TOKENS + 2 * SEARCH
    steps = [*text("Hello", " there", "."), chunk(ran("search")), chunk({}, "stop"), event({**HEAD, "choices": [], "usage": counts}), DONE]
    assert row_of(steps, stream=True).cost == TOKENS + 2 * SEARCH


def test_searches_of_several_choices_are_told_apart() -> None:
    """The first call of each of two choices is not the same call."""
    tree = json.loads(answer(ran("search")))
    tree["choices"].append({**tree["choices"][0], "index": 1})
    assert row_of([json.dumps(tree).encode()], stream=False).cost == TOKENS + 2 * SEARCH


@pytest.mark.parametrize("stream", [True, False])
def test_a_search_without_a_price_is_free_and_marked(*, stream: bool) -> None:
    """The answer alone shows it."""
    steps = (
        [*text("Hello", " there", "."), chunk(ran("search")), chunk({}, "stop"), usage(9, 3), DONE] if stream else [answer(ran("search"))]
    )
    row = row_of(steps, stream=stream, prices=Prices(input=1, output=1))
    assert (row.cost, row.marks) == (TOKENS, "no_own_price:per_search")


OFFERED: Message = {"name": "$web_search", "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    ("offered", "searches"),
    [
        ({"tools": [{"type": "function", "function": OFFERED}]}, 0),
        ({"functions": [OFFERED]}, 0),
        ({"tools": [{"type": "builtin_function", "function": {"name": "$web_search"}}]}, 1),
        ({"tools": [{"type": "builtin_function", "function": {"name": "$web_search"}}, {"type": "function", "function": OFFERED}]}, 1),
        ({"tools": [{"type": "function", "function": {"name": "look_up"}}]}, 1),
    ],
)
def test_a_function_of_the_callers_own_is_no_search_whatever_its_name(offered: Message, searches: int) -> None:
    """(fault M12) The caller runs it; Moonshot's has another type, and one that was offered by nobody was the vendor's."""
    message = {"tool_calls": [call("$web_search", 0, "function")]}
    steps = [*text("Hello", " there", "."), chunk(message), chunk({}, "tool_calls"), usage(9, 3), DONE]
    assert row_of(steps, stream=True, **offered).cost == TOKENS + searches * SEARCH
    assert row_of([answer(message)], stream=False, **offered).cost == TOKENS + searches * SEARCH


@pytest.mark.parametrize(
    ("asked", "searches"),
    [
        ({"enable_search": True, "search_options": {"forced_search": True}}, 1),
        ({"enable_search": True, "search_options": {"forced_search": False}}, 0),
        ({"enable_search": True, "search_options": {}}, 0),
        ({"enable_search": True, "search_options": None}, 0),
        ({"enable_search": True}, 0),
        ({"enable_search": False, "search_options": {"forced_search": True}}, 0),
        ({"search_options": {"forced_search": True}}, 0),
    ],
)
def test_who_makes_a_vendor_search_pays_for_one_whatever_its_answer_shows(asked: Message, searches: int) -> None:
    """(fault M12) DashScope tells of none where it speaks as OpenAI does; where usage counts them, or the answer shows more, these hold."""
    steps = [*text("Hello", " there", "."), chunk({}, "stop"), usage(9, 3), DONE]
    assert row_of(steps, stream=True, **asked).cost == TOKENS + searches * SEARCH
    assert row_of([answer({})], stream=False, **asked).cost == TOKENS + searches * SEARCH
    assert row_of([answer(ran("search", "search"))], stream=False, **asked).cost == TOKENS + 2 * SEARCH
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "plugins": {"search": {"count": 3}}}
    assert row_of([answer({}, usage=counts)], stream=False, **asked).cost == TOKENS + 3 * SEARCH


def looked(kind: str | None, number: int = 0) -> Message:
    """A call of OpenAI's own tool in an answer of its Responses API, which did this."""
    action = {} if kind is None else {"action": {"type": kind, "query": "news", "url": "http://a"}}
    return {"type": "web_search_call", "id": f"ws_{number}", "status": "completed", **action}


#: What a response of the Responses API shows, what stands beside it, what its usage has besides tokens -> the searches.
RESPONSES: list[tuple[list[Message], Message, Message, int]] = [
    ([looked("search")], {}, {}, 1),
    ([looked("search"), looked("open_page", 1), looked("find_in_page", 2), looked("search", 3)], {}, {}, 2),
    ([looked(None)], {}, {}, 1),  # as older answers have it
    ([looked("open_page")], {}, {}, 0),
    ([looked("search"), looked("search", 1)], {"tool_usage": {"web_search": {"num_requests": 5}}}, {}, 5),
    ([looked("search")], {"tool_usage": {"web_search": {"num_requests": 0}}}, {}, 0),  # it was not billed
    ([looked("search")], {"tool_usage": {"image_gen": {"input_tokens": 0, "output_tokens": 0}}}, {}, 1),
    ([looked("search"), looked("search", 1)], {}, {"server_side_tool_usage_details": {"web_search_calls": 1}}, 1),
    ([{"type": "file_search_call", "id": "fs_1", "status": "completed"}], {}, {}, 0),
]


@pytest.mark.parametrize(("calls", "beside", "more", "searches"), RESPONSES)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("door", [CHAT_DOOR, RESPONSES_DOOR], ids=["chat", "responses"])
def test_a_call_of_a_responses_api_s_own_tool_is_a_search_where_nothing_counts_them(
    door: Door, calls: list[Message], beside: Message, more: Message, searches: int, *, stream: bool
) -> None:
    """[fault M12] OpenAI counts them beside usage now; whoever else speaks its protocol, and it itself before, shows calls alone."""
    says = {"type": "message", "id": "m_1", "role": "assistant", "status": "completed"}
    says["content"] = [{"type": "output_text", "text": "a b c", "annotations": []}]
    used = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12, "input_tokens_details": {"cached_tokens": 0}, **more}
    used["output_tokens_details"] = {"reasoning_tokens": 0}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "some-model", "error": None}
    whole = {**head, "status": "completed", "output": [*calls, says], "usage": used, **beside}
    events: list[Message] = [{"type": "response.created", "response": {**head, "status": "in_progress", "output": [], "usage": None}}]
    for place, item in enumerate(whole["output"]):
        events += [{"type": f"response.output_item.{kind}", "output_index": place, "item": item} for kind in ("added", "done")]
    events.append({"type": "response.completed", "response": whole})
    steps = [event({**each, "sequence_number": at}) for at, each in enumerate(events)] if stream else [json.dumps(whole).encode()]
    rig = Rig(ScriptedUpstream(Script(steps)), each=[PRICES], look_up=lambda *_: None, vendor={"dialect": "responses"})
    asked = {"model": "fast", "stream": stream, "input" if door is RESPONSES_DOOR else "messages": [{"role": "user", "content": "Hi."}]}
    run_virtual(rig.call(MemoryClient(), json.dumps(asked).encode(), door=door))
    [row] = rig.rows
    assert (row.outcome, row.cost) == ("completed", TOKENS + searches * SEARCH)


@pytest.mark.parametrize(
    ("plugins", "searches"),
    [
        ([{"id": "web"}], 1),
        ([{"id": "web", "max_results": 5}], 1),
        ([{"id": "web", "max_results": 6}], 2),
        ([{"id": "web", "max_results": 50}], 10),
        ([{"id": "web", "max_results": 50.0}], 10),
        ([{"id": "web", "max_results": 10**18}], 200),
        ([{"id": "web", "max_results": True}], 1),
        ([{"id": "web", "max_results": -9}], 1),
        ([{"id": "web", "max_results": "many"}], 1),
        ([{"id": "response-healing"}], 0),
        ([{"id": "web", "enabled": False}], 0),
        ([{"id": "web", "enabled": True}], 1),
        (None, 0),
    ],
)
def test_a_plugin_that_always_searches_is_charged_whatever_the_answer_cites(plugins: object, searches: int) -> None:
    """[fault M12] OpenRouter's searches once a request, and is charged for by the page: an answer that cited none was free of it."""
    steps = [*text("Hello", " there", "."), chunk({}, "stop"), usage(9, 3), DONE]
    assert row_of(steps, stream=True, plugins=plugins).cost == TOKENS + searches * SEARCH
    assert row_of([document()], stream=False, plugins=plugins).cost == TOKENS + searches * SEARCH
    cited = answer(CITED)
    assert row_of([cited], stream=False, plugins=plugins).cost == TOKENS + max(searches, 1) * SEARCH
