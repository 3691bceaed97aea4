"""(fault M12) Tools that vendors run and charge for by the call: priced, left out, or refused, at every door; never for nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.audit import differences_of
from aisa.ledger.row import CallRow
from aisa.prices.catalogue import catalogue_price
from aisa.prices.rules import unlisted
from aisa.providers import responses
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.responses import parse_responses
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import MemoryClient, Rig, Script, ScriptedUpstream, event

Tree = dict[str, Any]
TOKENS = 12_000  # nano-dollars: 9 + 3 at a dollar a million
EVERY = {"per_search": 0.01, "per_file_search": 0.0025, "per_code_run": 0.03, "output_image": 40}
FUNCTION = {"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {}}}
SEARCH = {"type": "web_search", "external_web_access": False}
PREVIEW = {"type": "web_search_preview_2025_03_11"}
HOSTED_SHELL = {"type": "shell", "environment": {"type": "container_auto"}}
KEY = Key("key_1", "test", b"", "…", "active", 0)


def asking(**more: object) -> bytes:
    """A request of the Responses API."""
    return json.dumps({"model": "m", "input": "Hi.", **more}).encode()


def spelled(data: bytes) -> bytes:
    """The same with every letter of a text written as its number."""
    return re.sub(rb'"([^"]*)"', lambda found: b'"%b"' % b"".join([b"\\u%04x" % letter for letter in found[1]]), data)


def routes(prices: Prices, *, url: str = "https://api.example.com/v1", dialect: Any = "responses") -> Routes:
    """The routes to one model at these prices."""
    vendor = Vendor(base_url=url, dialect=dialect, prices={"m": prices})
    return Routes(Config(vendors={"v": vendor}, models={"m": Model(to=("v/m",))}), unlisted)


def sent(data: bytes, **prices: float) -> tuple[Tree, tuple[str, ...]]:
    """What a vendor of the Responses API is sent of a request, and what the client is told was left out. Raises ApiError."""
    request = parse_responses(data)
    [offer] = routes(Prices(input=1, output=1, **prices)).plan(request, KEY, lambda: 0.5).offers
    written = responses.to_upstream(request, offer.target)
    return json.loads(written.body), written.dropped


#: Tools of a request for a vendor of the Responses API -> the price that they need.
NEEDED: list[tuple[Tree, str]] = [
    ({"type": "file_search", "vector_store_ids": ["vs_1"]}, "per_file_search"),
    ({"type": "collections_search", "collection_ids": ["c"]}, "per_file_search"),
    ({"type": "code_interpreter", "container": {"type": "auto"}}, "per_code_run"),
    ({"type": "code_execution"}, "per_code_run"),
    (HOSTED_SHELL, "per_code_run"),
    ({"type": "image_generation"}, "output_image"),
]
#: What costs its tokens alone, or is the client's.
FREE: list[Tree] = [
    FUNCTION,
    {"type": "mcp", "server_label": "a", "server_url": "https://mcp.example.com"},
    {"type": "computer_use_preview", "environment": "browser", "display_width": 1, "display_height": 1},
    {"type": "local_shell"},
    {"type": "shell"},
    {"type": "shell", "environment": {"type": "local"}},
    {"type": "apply_patch"},
    {"type": "tool_search"},
    {"type": "custom", "name": "file_search"},
    {**FUNCTION, "name": "code_interpreter"},
]


#: Tools that any vendor may run, whichever its protocol -> the price that they need.
ANYWHERE: list[tuple[Tree, str]] = [
    *[({"type": name}, "per_search") for name in ("web_search", "x_search", "people_search", "finance_search", "browser_search")],
    *[({"type": name}, "per_search") for name in ("google_search", "enterprise_web_search", "google_maps", "openrouter:web_search")],
    *[({"type": name}, "output_image") for name in ("image_generation", "openrouter:image_generation")],
    *[({"type": name}, "per_file_search") for name in ("file_search", "collections_search", "attachment_search")],
    *[({"type": name}, "per_code_run") for name in ("code_interpreter", "code_execution", "sandbox")],
    (HOSTED_SHELL, "per_code_run"),
    ({"type": "shell", "environment": {"container_id": "cntr_1", "type": "container_reference"}}, "per_code_run"),
]


@pytest.mark.parametrize(("tool", "kind"), ANYWHERE)
def test_chats_and_responses_know_the_same_tools(tool: Tree, kind: str) -> None:
    """[fault M12] Each had a list of its own, and let pass for nothing what the other's had: refused without the price, or left out."""
    others = Prices(input=1, output=1, **{name: price for name, price in EVERY.items() if name != kind})
    chat = CHAT_DOOR.read(json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}], "tools": [tool]}).encode())
    for dialect, request in (("openai", chat), ("responses", parse_responses(asking(tools=[tool], tool_choice="required")))):
        with pytest.raises(ApiError, match=f"`{kind}`"):
            routes(others, dialect=dialect).plan(request, KEY, lambda: 0.5)
        assert routes(Prices(input=1, output=1, **{kind: 1}), dialect=dialect).plan(request, KEY, lambda: 0.5).offers


@pytest.mark.parametrize("tool", [tool for tool in FREE if tool["type"] not in ("custom", "function")])
def test_what_costs_its_tokens_alone_is_no_kind_of_a_chats_either(tool: Tree) -> None:
    """A shell on the client's machine, say."""
    chat = CHAT_DOOR.read(json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}], "tools": [tool]}).encode())
    assert routes(Prices(input=1, output=1), dialect="openai").plan(chat, KEY, lambda: 0.5).offers


@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize("url", ["https://api.example.com/v1", "https://api.openai.com/v1"])
@pytest.mark.parametrize(("tool", "kind"), NEEDED)
def test_a_tool_that_its_vendor_runs_and_charges_for_is_refused_without_its_price(tool: Tree, kind: str, url: str, *, hide: bool) -> None:
    """[fault M12] Before the vendor is asked, with the key to write, however it is spelled and wherever it is offered; with it, it goes."""
    dialect = "openai" if "openai" in url else "responses"
    later = [{"type": "additional_tools", "tools": [tool]}, {"role": "user", "content": "Hi."}]
    for data in (asking(tools=[FUNCTION, tool]), asking(input=later)):
        request = parse_responses(spelled(data) if hide else data)
        others = {name: price for name, price in EVERY.items() if name != kind}
        with pytest.raises(ApiError) as refused:
            routes(Prices(input=1, output=1, **others), url=url, dialect=dialect).plan(request, KEY, lambda: 0.5)
        assert (refused.value.code, refused.value.param) == ("unknown_model", "tools")
        assert f"`{kind}`" in refused.value.message
        assert routes(Prices(input=1, output=1, **{kind: 1}), url=url, dialect=dialect).plan(request, KEY, lambda: 0.5).offers


@pytest.mark.parametrize("tool", FREE)
def test_what_costs_its_tokens_alone_is_sent_as_it_came(tool: Tree) -> None:
    """Nothing of it is left out either."""
    body, dropped = sent(asking(tools=[tool]))
    assert (body["tools"], dropped) == ([tool], ())


CODEX = [{"type": "namespace", "name": "a", "description": "b", "tools": [FUNCTION]}, SEARCH, FUNCTION]


@pytest.mark.parametrize("hide", [False, True])
def test_a_search_without_a_price_is_left_out_of_a_request_that_can_do_without(*, hide: bool) -> None:
    """[fault M12] Codex offers one with every request: it cost nothing. The client is told which; a price lets it pass."""
    data = asking(tools=CODEX, tool_choice="auto", parallel_tool_calls=True)
    body, dropped = sent(spelled(data) if hide else data, per_file_search=1)
    assert (body["tools"], body["tool_choice"], dropped) == ([CODEX[0], CODEX[2]], "auto", ("tools[1]",))
    body, dropped = sent(data, per_search=0.01)
    assert (body["tools"], dropped) == (CODEX, ())
    assert sent(asking(tools=[{"type": "x_search"}]))[0]["tools"] == []


def test_so_is_one_that_is_offered_on_the_way_or_allowed_beside_others() -> None:
    """Reasoning that cannot be sent back goes as before."""
    items = [
        {"role": "user", "content": "Hi."},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "additional_tools", "tools": [PREVIEW, FUNCTION]},
    ]
    body, dropped = sent(asking(input=items))
    assert body["input"] == [items[0], {"type": "additional_tools", "tools": [FUNCTION]}]
    assert dropped == ("input[2].tools[0]",)
    named = {"type": "function", "name": "shell"}
    body, _ = sent(asking(tools=[FUNCTION, SEARCH], tool_choice={"type": "allowed_tools", "mode": "required", "tools": [SEARCH, named]}))
    assert body["tool_choice"] == {"type": "allowed_tools", "mode": "required", "tools": [named]}
    body, _ = sent(asking(tools=[FUNCTION, SEARCH], tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [SEARCH]}))
    assert body["tool_choice"] == "none"


@pytest.mark.parametrize(
    "asked",
    [
        {"tools": [FUNCTION, SEARCH], "tool_choice": {"type": "web_search"}},
        {"tools": [FUNCTION, PREVIEW], "tool_choice": {"type": "web_search_preview"}},
        {"tools": [FUNCTION, SEARCH], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [SEARCH]}},
        {"tools": [SEARCH, {"type": "x_search"}], "tool_choice": "required"},
        {"tools": [SEARCH], "tool_choice": {"type": "required"}},
    ],
)
def test_a_search_that_must_be_made_is_refused_without_its_price(asked: Tree) -> None:
    """[fault M12] What is asked for cannot be left out."""
    with pytest.raises(ApiError) as refused:
        sent(asking(**asked))
    assert (refused.value.code, refused.value.param) == ("unknown_model", "tools")
    assert "`per_search`" in refused.value.message
    assert sent(asking(**asked), per_search=0.01)[1] == ()


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "shell"}])
def test_one_that_need_not_be_made_is_left_out_whatever_else_is_to_be_called(choice: object) -> None:
    """A required call can be another's."""
    assert sent(asking(tools=[FUNCTION, SEARCH], tool_choice=choice))[1] == ("tools[1]",)


def test_a_vendor_that_may_be_used_without_prices_is_offered_every_search() -> None:
    """So is one on this machine."""
    for url, free in (("https://api.example.com/v1", True), ("http://127.0.0.1:9/v1", None)):
        vendor = Vendor(base_url=url, dialect="responses", prices={"m": Prices(input=1, output=1)}, allow_unpriced=free)
        found = Routes(Config(vendors={"v": vendor}, models={"m": Model(to=("v/m",))}), unlisted)
        request = parse_responses(asking(tools=[SEARCH, HOSTED_SHELL]))
        [offer] = found.plan(request, KEY, lambda: 0.5).offers
        assert json.loads(responses.to_upstream(request, offer.target).body)["tools"] == [SEARCH, HOSTED_SHELL]


def test_a_client_is_told_in_a_header_which_tools_were_left_out() -> None:
    """By their places, as it wrote them."""
    whole = answer([])
    rig = Rig(ScriptedUpstream(Script([json.dumps(whole).encode()])), each=[Prices(input=1, output=1)], look_up=unlisted, vendor=OWN)
    client = MemoryClient()
    run_virtual(rig.call(client, asking(model="fast", tools=CODEX), door=RESPONSES_DOOR))
    assert (client.status, client.headers["x-aisa-dropped-params"]) == (200, "tools[1]")


# What an answer shows

OWN: Tree = {"dialect": "responses"}
HEAD = {"id": "resp_1", "object": "response", "created_at": 1, "model": "some-model", "error": None}
SAYS = {
    "type": "message",
    "id": "m_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "a b c", "annotations": []}],
}


def answer(calls: list[Tree], **more: object) -> Tree:
    """A whole response with these calls in it."""
    used = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12, "input_tokens_details": {"cached_tokens": 0}, **more}
    used["output_tokens_details"] = {"reasoning_tokens": 0}
    return {**HEAD, "status": "completed", "output": [*calls, SAYS], "usage": used}


def streamed(whole: Tree, *, repeated: bool = True) -> list[bytes]:
    """The events of a response; the last may not repeat the output."""
    events: list[Tree] = [{"type": "response.created", "response": {**HEAD, "status": "in_progress", "output": [], "usage": None}}]
    for place, item in enumerate(whole["output"]):
        events += [{"type": f"response.output_item.{kind}", "output_index": place, "item": item} for kind in ("added", "done")]
    events.append({"type": "response.completed", "response": whole if repeated else {**whole, "output": []}})
    return [event({**each, "sequence_number": at}) for at, each in enumerate(events)]


def called(steps: list[bytes], door: Door, prices: Prices, *, stream: bool) -> CallRow:
    """Make a call that is answered so, and return its row, which adds up."""
    rig = Rig(ScriptedUpstream(Script(steps)), each=[prices], look_up=unlisted, vendor=OWN)
    asked = {"model": "fast", "stream": stream, "input" if door is RESPONSES_DOOR else "messages": [{"role": "user", "content": "Hi."}]}
    run_virtual(rig.call(MemoryClient(), json.dumps(asked).encode(), door=door))
    [row] = rig.rows
    assert list(differences_of(row)) == []
    return row


def ran(container: str | None, number: int = 0, kind: str = "code_interpreter_call") -> Tree:
    """Code that ran in a container, or a shell in one of the vendor's or the client's."""
    where = {"container_id": container} if kind == "code_interpreter_call" else {"environment": {"type": "x", "container_id": container}}
    return {"type": kind, "id": f"ci_{number}", "call_id": f"c_{number}", "status": "completed", **where}


LOOKED = {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["a", "b"], "results": None}
LOCAL = {
    "type": "shell_call",
    "id": "sh_1",
    "call_id": "c",
    "status": "completed",
    "environment": {"type": "local"},
    "action": {"commands": ["a"]},
}
COUNTS = "server_side_tool_usage_details"
#: Calls in an answer, what its usage has besides -> searches in files and runs of code.
SHOWN: list[tuple[list[Tree], Tree, int, int]] = [
    ([LOOKED, {**LOOKED, "id": "fs_2"}], {}, 2, 0),
    ([ran("cntr_1"), ran("cntr_1", 1)], {}, 0, 1),
    ([ran("cntr_1"), ran("cntr_2", 1), LOOKED], {}, 1, 2),
    ([ran(None), ran(None, 1)], {}, 0, 2),
    ([ran("cntr_1"), ran("cntr_1", 1, "shell_call"), ran("cntr_2", 2, "shell_call")], {}, 0, 2),
    ([LOCAL], {}, 0, 0),
    ([ran("c"), LOOKED], {COUNTS: {"code_interpreter_calls": 3, "file_search_calls": 2, "web_search_calls": 0}}, 2, 3),
    ([ran("c"), LOOKED], {COUNTS: {"code_interpreter_calls": 0, "file_search_calls": 0}}, 0, 0),
]


@pytest.mark.parametrize("door", [CHAT_DOOR, RESPONSES_DOOR], ids=["chat", "responses"])
@pytest.mark.parametrize(("calls", "more", "looked", "ran_in"), SHOWN)
def test_calls_of_such_tools_are_charged_as_the_answer_shows_them(
    calls: list[Tree], more: Tree, looked: int, ran_in: int, door: Door
) -> None:
    """[fault M12] Streamed or not, where the end repeats them and where it does not; without a price they cost nothing and are marked."""
    whole = answer(calls, **more)
    prices = Prices(input=1, output=1, per_file_search=0.0025, per_code_run=0.03)
    cost = TOKENS + looked * 2_500_000 + ran_in * 30_000_000
    assert called([json.dumps(whole).encode()], door, prices, stream=False).cost == cost
    assert called(streamed(whole), door, prices, stream=True).cost == cost
    assert called(streamed(whole, repeated=False), door, prices, stream=True).cost == cost
    row = called(streamed(whole), door, Prices(input=1, output=1), stream=True)
    lacking = ["per_file_search"] * bool(looked) + ["per_code_run"] * bool(ran_in)
    assert (row.cost, row.marks) == (TOKENS, f"no_own_price:{','.join(lacking)}" if lacking else None)


@pytest.mark.parametrize("door", [CHAT_DOOR, RESPONSES_DOOR], ids=["chat", "responses"])
def test_searches_count_where_the_end_of_a_stream_does_not_repeat_them(door: Door) -> None:
    """[fault M12] They were taken from the last event alone."""
    searched = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "a"}}
    opened = {"type": "web_search_call", "id": "ws_2", "status": "completed", "action": {"type": "open_page", "url": "http://a"}}
    row = called(streamed(answer([searched, opened]), repeated=False), door, Prices(input=1, output=1, per_search=0.01), stream=True)
    assert row.cost == TOKENS + 10_000_000


@pytest.mark.parametrize("kind", ["code_interpreter", "code_execution", "file_search", "openrouter:image_generation"])
def test_a_chat_that_offers_such_a_tool_is_refused_without_its_price(kind: str) -> None:
    """[fault M12] At vendors of chat completions, which may run it; Gemini's code costs its tokens alone."""
    request = CHAT_DOOR.read(
        json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}], "tools": [{"type": kind}]}).encode()
    )
    with pytest.raises(ApiError) as refused:
        routes(Prices(input=1, output=1), dialect="openai").plan(request, KEY, lambda: 0.5)
    assert (refused.value.code, refused.value.param) == ("unknown_model", "tools")
    assert routes(Prices(input=1, output=1, **EVERY), dialect="openai").plan(request, KEY, lambda: 0.5).offers
    if kind == "code_execution":
        assert routes(Prices(input=1, output=1), dialect="gemini").plan(request, KEY, lambda: 0.5).offers


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        ({"retrieval": {"vertexAiSearch": {"datastore": "d"}}}, "per_file_search"),
        ({"parallelAiSearch": {}}, "per_search"),
        ({"exa_ai_search": {}}, "per_search"),
        ({"fileSearch": {"fileSearchStoreNames": ["a"]}}, ""),
        ({"urlContext": {}}, ""),
        ({"codeExecution": {}}, ""),
    ],
)
def test_what_vertex_looks_up_for_geminis_clients_is_refused_without_its_price(tool: Tree, kind: str) -> None:
    """[fault M12] Files, pages and code of Google's own cost their tokens alone."""
    request = GeminiDoor("m", stream=False).read(
        json.dumps({"contents": [{"role": "user", "parts": [{"text": "Hi."}]}], "tools": [tool]}).encode()
    )
    if kind:
        with pytest.raises(ApiError, match=kind):
            routes(Prices(input=1, output=1), dialect="gemini").plan(request, KEY, lambda: 0.5)
    assert routes(Prices(input=1, output=1, **({kind: 0.01} if kind else {})), dialect="gemini").plan(request, KEY, lambda: 0.5).offers


@pytest.mark.parametrize(("host", "looked"), [("us-central1-aiplatform.googleapis.com", 2), ("generativelanguage.googleapis.com", 0)])
@pytest.mark.parametrize("stream", [True, False])
def test_what_vertex_looked_up_is_charged_by_the_query(host: str, looked: int, *, stream: bool) -> None:
    """[fault M12] Gemini's own API looks files up for their tokens alone."""
    grounding = {"retrievalQueries": ["a", "b"], "groundingChunks": [{"retrievedContext": {"uri": "gs://a", "title": "t"}}]}
    candidate = {"content": {"parts": [{"text": "a b c"}], "role": "model"}, "finishReason": "STOP", "groundingMetadata": grounding}
    used = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}
    told = {"candidates": [candidate], "usageMetadata": used, "modelVersion": "g", "responseId": "r"}
    vendor = Vendor(base_url=f"https://{host}/v1", dialect="gemini", prices={"g": Prices(input=1, output=1, per_file_search=0.0025)})
    rig = Rig(ScriptedUpstream(Script([event(told) if stream else json.dumps(told).encode()])))
    rig.dependencies.routes = Routes(Config(vendors={"a": vendor}, models={"fast": Model(to=("a/g",))}), unlisted)
    asked = json.dumps({"model": "fast", "stream": stream, "messages": [{"role": "user", "content": "Hi."}]}).encode()
    run_virtual(rig.call(MemoryClient(), asked, door=CHAT_DOOR))
    assert rig.rows[0].cost == TOKENS + looked * 2_500_000


@pytest.mark.parametrize(
    ("vendor", "url", "model", "fees"),
    [
        ("openai", "https://api.openai.com/v1", "gpt-4.1", (10_000_000, 2_500_000, 30_000_000)),
        ("openai", "https://api.openai.com/v1", "gpt-5.3-codex", (10_000_000, 2_500_000, 30_000_000)),
        ("openai", "https://api.openai.com/v1", "gpt-4o-audio-preview", (None, None, None)),
        ("xai", "https://api.x.ai/v1", "grok-4.3", (5_000_000, 2_500_000, 5_000_000)),
    ],
)
def test_the_catalogue_has_what_the_tools_of_openai_and_xai_cost(vendor: str, url: str, model: str, fees: tuple[int | None, ...]) -> None:
    """[fault M12] Of models that have them; each tier of the input and of the service, too."""
    listed = catalogue_price(vendor, url, model)
    assert listed is not None
    for term in listed.terms:
        for price in (term.price, *term.tiers.values()):
            for each in (price.prices, *[tier.prices for tier in price.prices.tiers]):
                assert (each.per_search, each.per_file_search, each.per_code_run) == fees
