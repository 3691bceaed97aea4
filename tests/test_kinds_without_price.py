"""(fault M12) What has no price of its own is refused where the request shows it, else charged at the dearest price, marked and told."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.errors import ApiError
from aisa.facts import KindUnpriced
from aisa.keys.rules import Key
from aisa.ledger.audit import differences_of
from aisa.ledger.row import CallRow
from aisa.prices.catalogue import catalogue_price
from aisa.prices.lacking import always_searches
from aisa.prices.rules import unlisted
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.wire.chat import parse_chat
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, document, event, text, usage

PLAIN = Prices(input=3, output=15, cache_write=3.75)
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
EVERY = {
    "input_audio": 40,
    "output_audio": 80,
    "output_image": 40,
    "per_search": 0.01,
    "per_source": 0.025,
    "cache_write_30m": 4,
    "cache_write_1h": 6,
    "cache_write_12h": 7,
}


def asking(*content: object) -> dict[str, object]:
    """A request whose message has these parts."""
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi."}, *content]}]}


def cached(ttl: str) -> dict[str, object]:
    """A request that has its message cached for so long."""
    return asking({"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral", "ttl": ttl}})


def marked(ttl: str) -> dict[str, object]:
    """A request with OpenAI's mark for a cache that lasts so long."""
    return asking({"type": "text", "text": "Long.", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": ttl}})


#: what a request has -> the key of the price that it needs, and the member that says so
SHOWS: list[tuple[dict[str, Any], str, str]] = [
    (asking(SOUND), "input_audio", "messages"),
    ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "output_audio", "modalities"),
    ({"audio": {"voice": "alloy", "format": "wav"}}, "output_audio", "audio"),
    ({"modalities": ["text", "image"]}, "output_image", "modalities"),
    ({"web_search_options": {}}, "per_search", "web_search_options"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "per_search", "tools"),
    ({"tools": [{"type": "web_search"}]}, "per_search", "tools"),
    ({"tools": [{"type": "x_search"}]}, "per_search", "tools"),
    ({"tools": [{"type": "openrouter:web_search", "parameters": {"max_results": 3}}]}, "per_search", "tools"),
    ({"tools": [{"type": "builtin_function", "function": {"name": "$web_search"}}]}, "per_search", "tools"),
    ({"tools": [{"type": "browser_search"}]}, "per_search", "tools"),
    ({"tools": [{"type": "google_search"}]}, "per_search", "tools"),
    ({"tools": [{"type": "google_maps"}]}, "per_search", "tools"),
    ({"plugins": [{"id": "file-parser"}, {"id": "web", "max_results": 1}]}, "per_search", "plugins"),
    ({"enable_search": True}, "per_search", "enable_search"),
    (asking({"type": "audio_url", "audio_url": {"url": "http://a/b.mp3"}}), "input_audio", "messages"),
    ({"tools": [{"type": "image_generation", "size": "1024x1024"}]}, "output_image", "tools"),
    ({"search_parameters": {"mode": "auto"}}, "per_source", "search_parameters"),
    ({"search_parameters": {}}, "per_source", "search_parameters"),
    (cached("1h"), "cache_write_1h", "cache_control"),
    (cached("12h"), "cache_write_12h", "cache_control"),
    ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "cache_write_1h", "cache_control"),
    ({"prompt_cache_options": {"mode": "explicit", "ttl": "12h"}}, "cache_write_12h", "prompt_cache_options"),
    (marked("12h"), "cache_write_12h", "prompt_cache_options"),
]
#: What looks like one of them and is none.
HARMLESS: list[dict[str, Any]] = [
    {"modalities": ["text"]},
    {"audio": None},
    {"search_parameters": {"mode": "off"}},
    {"plugins": [{"id": "file-parser"}]},
    {"plugins": None},
    {"enable_search": False},
    asking({"type": "text", "text": 'input_audio "ttl": "1h" "cache_control": {"ttl": "1h"} "type": "web_search"'}),
    {"tools": [{"type": "function", "function": {"name": "web_search", "parameters": {"type": "object"}}}]},
    {"tools": [{"type": "function", "function": {"name": "$web_search", "parameters": {"type": "object"}}}]},
    {"functions": [{"name": "$web_search", "parameters": {"type": "object"}}]},
    cached("5m"),
    cached("30m"),
    marked("30m"),
    {"prompt_cache_options": {"ttl": "30m"}},
    asking({"type": "text", "text": '"prompt_cache_breakpoint": {"ttl": "12h"}'}),
]


def asked(prices: Prices, fields: dict[str, Any], *others: Prices) -> tuple[MemoryClient, Rig]:
    """Make a call to a model whose targets have these prices and need one."""
    rig = Rig(
        *[ScriptedUpstream(Script([document()])) for _ in (prices, *others)],
        each=[prices, *others],
        look_up=lambda _vendor, _url, _model: None,
    )
    client = MemoryClient()
    run_virtual(rig.call(client, body(**fields)))
    return client, rig


@pytest.mark.parametrize(("fields", "kind", "member"), SHOWS)
def test_a_request_that_shows_a_kind_without_price_is_refused_with_the_key_to_write(fields: dict[str, Any], kind: str, member: str) -> None:
    """Before a vendor is asked. With that key alone the call goes ahead."""
    others = {name: price for name, price in EVERY.items() if name != kind}
    with pytest.raises(ApiError) as refused:
        asked(Prices(input=3, output=15, cache_write=3.75, **others), fields)
    assert (refused.value.code, refused.value.param) == ("unknown_model", member)
    assert f"`{kind}`" in refused.value.message
    client, rig = asked(Prices(input=3, output=15, cache_write=3.75, **{kind: 9}), fields)
    assert (client.status, len(rig.rows)) == (200, 1)


@pytest.mark.parametrize(("fields", "kind", "member"), SHOWS)
def test_letters_written_as_their_numbers_hide_no_kind_without_price(fields: dict[str, Any], kind: str, member: str) -> None:
    """[fault M12] A search whose type had a letter of that kind cost its caller nothing: vendors read it all the same."""
    hidden = re.sub(rb'"([^"]*)"', lambda found: b'"%b"' % b"".join([b"\\u%04x" % letter for letter in found[1]]), body(**fields))
    assert json.loads(hidden) == json.loads(body(**fields))
    others = {name: price for name, price in EVERY.items() if name != kind}
    rig = Rig(ScriptedUpstream(Script([document()])), each=[Prices(input=3, output=15, cache_write=3.75, **others)], look_up=unlisted)
    with pytest.raises(ApiError) as refused:
        run_virtual(rig.call(MemoryClient(), hidden))
    assert (refused.value.code, refused.value.param) == ("unknown_model", member)


@pytest.mark.parametrize("fields", HARMLESS)
def test_what_only_looks_like_it_is_not_refused(fields: dict[str, Any]) -> None:
    """A modality of text, a search that is off, words inside a text, a cache of five minutes."""
    assert asked(PLAIN, fields)[0].status == 200


def test_a_target_that_has_the_price_serves_in_place_of_one_that_has_not() -> None:
    """The others are not asked."""
    client, rig = asked(PLAIN, asking(SOUND), Prices(input=5, output=25, input_audio=40))
    assert (client.status, rig.rows[0].target) == (200, "b/some-model")


def test_a_vendor_that_may_be_used_without_prices_is_asked_for_everything() -> None:
    """So is one on this machine, and a long cache where writing to one costs what input does."""
    rig = Rig(ScriptedUpstream(Script([document()])), each=[PLAIN], look_up=lambda *_: None, vendor={"allow_unpriced": True})
    client = MemoryClient()
    run_virtual(rig.call(client, body(**asking(SOUND))))
    assert client.status == 200
    assert asked(Prices(input=3, output=15), cached("1h"))[0].status == 200


@pytest.mark.parametrize(
    ("model", "kind", "price"),
    [
        ("gpt-4o-search-preview", "per_search", {"per_search": 0.025}),
        ("gpt-4o-mini-search-preview-2025-03-11", "per_search", {"per_search": 0.025}),
        ("gpt-5-search-api", "per_search", {"per_search": 0.01}),
        ("perplexity/sonar-pro", "per_search", {"per_request": 0.006}),
        ("gpt-4o-audio-preview", "input_audio", {"input_audio": 40, "output_audio": 80}),
        ("gpt-audio-2025-08-28", "output_audio", {"input_audio": 40, "output_audio": 80}),
    ],
)
def test_a_model_that_always_makes_such_a_cost_needs_its_price(model: str, kind: str, price: dict[str, float]) -> None:
    """By its name, whoever gave the rest of its prices: the catalogue's entry of gpt-4o-audio-preview has no price for audio."""
    lacking = Prices(input=2.5, output=10, **{name: value for name, value in price.items() if name != kind and kind.startswith("out")})
    vendor = Vendor(base_url="https://api.example.com/v1", prices={model: lacking})
    config = Config(vendors={"v": vendor}, models={"m": Model(to=(f"v/{model}",))})
    assert [offer.flaw for offer in Routes(config, unlisted).find("m").unpriced] == [kind]
    priced = Vendor(base_url="https://api.example.com/v1", prices={model: Prices(input=2.5, output=10, **price)})
    assert not Routes(Config(vendors={"v": priced}, models={"m": Model(to=(f"v/{model}",))}), unlisted).find("m").unpriced


def test_of_the_catalogue_a_search_or_audio_model_without_that_price_is_refused() -> None:
    """404, and the message says what has no price; one that has it is not refused."""
    config = Config(vendors={"openai": Vendor(base_url="https://api.openai.com/v1")})
    routes = Routes(config, catalogue_price)
    for model, kind in (("gpt-4o-audio-preview", "input_audio"), ("gpt-4o-search-preview", "per_search")):
        assert [offer.flaw for offer in routes.find(model).unpriced] == [kind]
    assert not routes.find("gpt-audio").unpriced
    assert not routes.find("gpt-4o").unpriced


def test_models_that_always_search_are_known_by_whole_words() -> None:
    """`research` is no search."""
    assert all(map(always_searches, ["gpt-4o-search-preview", "openai/gpt-5-search-api", "sonar", "perplexity/sonar-reasoning-pro"]))
    assert not any(map(always_searches, ["gpt-rosalind-research", "hermes", "o3-deep-research", "sonarqube", "search-something"]))


def test_openais_lifetimes_are_no_matter_of_a_target_that_is_told_another() -> None:
    """Anthropic's and Bedrock's are an hour at most, whatever OpenAI's members ask for: a price for 12 hours is not wanted there."""
    config = Config(
        vendors={
            "v": Vendor(
                base_url="https://api.example.com",
                dialect="anthropic",
                prices={"m": Prices(input=3, output=15, cache_write=3.75, cache_write_1h=6)},
            )
        },
        models={"m": Model(to=("v/m",))},
    )
    asks = parse_chat(body(model="m", **marked("12h")))
    plan = Routes(config, unlisted).plan(asks, Key("key_1", "test", b"", "…", "active", 0), random.Random(1))
    assert [offer.name for offer in plan.offers] == ["v/m"]


# What only the answer shows


def answered(prices: Prices, usage_fields: dict[str, Any], message: dict[str, Any] | None = None, number: int = 1) -> tuple[CallRow, Rig]:
    """Make calls whose documents report this, and return the last row, which adds up."""
    whole = json.loads(document("Hello. " * 500))
    whole["choices"][0]["message"] |= message or {}
    answer = json.dumps({**whole, "usage": usage_fields}).encode()
    rig = Rig(ScriptedUpstream(*[Script([answer]) for _ in range(number)]), each=[prices], look_up=lambda *_: None)
    for _ in range(number):
        run_virtual(rig.call(MemoryClient(), body()))
    row = rig.rows[-1]
    assert list(differences_of(row)) == []
    return row, rig


def report(taken: int, made: int, **more: Any) -> dict[str, Any]:
    """A vendor's report of usage."""
    return {"prompt_tokens": taken, "completion_tokens": made, "total_tokens": taken + made, **more}


#: what is reported -> micro-dollars at PLAIN, and the kinds that have no price
REPORTED: list[tuple[dict[str, Any], int, str]] = [
    # the dearest of the input is 3.75: 200 x 3 + 800 x 3.75 + 500 x 15
    (report(1_000, 500, prompt_tokens_details={"audio_tokens": 800}), 11_100, "input_audio"),
    # the dearest of the output is 15 in any case: 1,000 x 3 + 500 x 15
    (report(1_000, 500, completion_tokens_details={"audio_tokens": 400}), 10_500, "output_audio"),
    (report(1_000, 500, completion_tokens_details={"image_tokens": 400}), 10_500, "output_image"),
    (report(1_000, 500, completion_tokens_details={"video_tokens": 400}), 10_500, "output_image"),
    # 1,000 x 3 + 9,000 x 3.75 + 500 x 15
    (report(10_000, 500, cache_creation={"ephemeral_1h_input_tokens": 9_000}), 44_250, "cache_write_1h"),
    # 1,000 x 3 + 9,000 x 3.75 + 500 x 15
    (report(10_000, 500, cache_creation={"ephemeral_12h_input_tokens": 9_000}), 44_250, "cache_write_12h"),
    # nothing stands in for a search: 1,000 x 3 + 500 x 15
    (report(1_000, 500, server_tool_use={"web_search_requests": 2}), 10_500, "per_search"),
    (report(1_000, 500, num_sources_used=3), 10_500, "per_source"),
    (
        report(1_000, 500, prompt_tokens_details={"audio_tokens": 800}, completion_tokens_details={"audio_tokens": 400}),
        11_100,
        "input_audio,output_audio",
    ),
]


@pytest.mark.parametrize(("said", "micros", "kinds"), REPORTED)
def test_what_only_the_answer_shows_costs_the_dearest_of_its_side_and_is_marked(said: dict[str, Any], micros: int, kinds: str) -> None:
    """The row says which kinds, and the log once a vendor and hour."""
    row, rig = answered(PLAIN, said, number=3)
    assert (row.cost, row.marks) == (micros * 1_000, f"no_own_price:{kinds}")
    [told] = [fact for fact in rig.facts if isinstance(fact, KindUnpriced)]
    assert (told.vendor, told.model, told.kinds) == ("a", "some-model", kinds)
    row, _ = answered(Prices(input=3, output=15, cache_write=3.75, **EVERY), said)
    assert row.marks is None


def test_searches_of_a_model_whose_requests_have_a_price_are_part_of_that() -> None:
    """Perplexity reports them and charges for the request."""
    row, _ = answered(Prices(input=1, output=1, per_request=0.005), report(1_000, 500, num_search_queries=2))
    assert (row.cost, row.marks) == (6_500_000, None)


CITED = {"annotations": [{"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "title": "t", "url": "http://a"}}]}
SEARCHED = Prices(input=2.5, output=10, per_search=0.025)


def test_a_search_is_counted_from_citations_where_usage_lacks_it_and_it_has_a_price() -> None:
    """1,000 x 2.5 + 500 x 10 micro-dollars and 25,000 for one search; other notes on a text are none, and a count that is there counts."""
    assert answered(SEARCHED, report(1_000, 500), CITED)[0].cost == 32_500_000
    assert answered(SEARCHED, report(1_000, 500), {"annotations": [{"type": "file_citation"}]})[0].cost == 7_500_000
    assert answered(SEARCHED, report(1_000, 500, server_tool_use={"web_search_requests": 2}), CITED)[0].cost == 57_500_000
    row, _ = answered(Prices(input=2.5, output=10), report(1_000, 500), CITED)
    assert (row.cost, row.marks) == (7_500_000, "no_own_price:per_search")
    odd = {**CITED, "images": []}  # a member that has the answer written anew
    assert answered(SEARCHED, report(1_000, 500), odd)[0].cost == 32_500_000


def test_a_stream_that_cites_costs_what_the_document_does() -> None:
    """In a chunk of its own, or beside a text; also where the vendor answers with one document."""
    for cites in (chunk(CITED), chunk({"content": "word ", **CITED})):
        events = [*text("Hello. " * 500), cites, chunk({}, "stop"), usage(1_000, 500), DONE]
        rig = Rig(ScriptedUpstream(Script(events)), each=[SEARCHED], look_up=lambda *_: None)
        run_virtual(rig.call(MemoryClient(), body(stream=True)))
        assert rig.rows[0].cost == 32_500_000


def test_a_model_that_always_searches_has_made_one_search_where_nobody_counts_them() -> None:
    """gpt-4o-search-preview is charged by the call."""
    vendor = Vendor(base_url="http://a.example:9/v1", prices={"gpt-4o-search-preview": SEARCHED})
    rig = Rig(ScriptedUpstream(Script([json.dumps({**json.loads(document("Hello. " * 500)), "usage": report(1_000, 500)}).encode()])))
    rig.dependencies.routes = Routes(Config(vendors={"a": vendor}, models={"fast": Model(to=("a/gpt-4o-search-preview",))}), unlisted)
    run_virtual(rig.call(MemoryClient(), body()))
    assert rig.rows[0].cost == 32_500_000


def test_who_leaves_before_anything_came_pays_for_no_search() -> None:
    """Nothing of a failed call is billed."""
    failed = Script([event({**HEAD, "error": {"message": "no"}})], status=500)
    rig = Rig(ScriptedUpstream(failed, failed), each=[SEARCHED], look_up=lambda *_: None)
    run_virtual(rig.call(MemoryClient(), body(stream=True)))
    assert rig.rows[0].cost == 0
