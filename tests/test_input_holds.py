"""What is held for the input of a call that its vendor may write to a cache, which costs more than plain input (fault M17)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from aisa.config.schema import Prices, PriceTier
from aisa.ledger.input_holds import with_writes
from aisa.ledger.wallets import Wallet
from aisa.offer import Offer
from aisa.prices.rules import Price, configured
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import MemoryClient, Rig, Script, ScriptedUpstream, body, document

CLAUDE = Prices(input=3, output=15, cached_input=0.3, cache_write=3.75, cache_write_1h=6)
GPT = Prices(input=5, output=30, cached_input=0.5, cache_write=6.25, cache_write_12h=11)
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


def chat(**part: object) -> dict[str, Any]:
    """A chat whose message has a part with this beside its text."""
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi.", **part}]}]}


def message(**part: object) -> dict[str, Any]:
    """A request of the Messages API with the same."""
    return {"max_tokens": 9, **chat(**part)}


def rated(prices: Prices, dialect: str, fields: dict[str, Any], door: Door = CHAT_DOOR) -> float:
    """Return what a million tokens of a request's input are held for, in dollars."""
    [term] = configured(prices, "prices")
    offer = Offer(Target("v", "m", dialect), "v/m")
    [held] = with_writes([(offer, Price(term.price.prices, "prices"))], door.read(json.dumps({"model": "m", **fields}).encode()), 0.0)
    return held.input / 1e9


#: prices, dialect, request, door -> dollars a million
HELD: list[tuple[Prices, str, dict[str, Any], Door, float]] = [
    (CLAUDE, "anthropic", chat(), CHAT_DOOR, 3),
    (CLAUDE, "anthropic", chat(cache_control=MARK), CHAT_DOOR, 3.75),
    (CLAUDE, "anthropic", chat(cache_control=HOUR), CHAT_DOOR, 6),
    (CLAUDE, "anthropic", {**chat(), "cache_control": MARK}, CHAT_DOOR, 3.75),
    (CLAUDE, "anthropic", chat(prompt_cache_breakpoint={"mode": "explicit"}), CHAT_DOOR, 3.75),
    (CLAUDE, "anthropic", {**chat(prompt_cache_breakpoint={"mode": "explicit"}), "prompt_cache_options": {"ttl": "12h"}}, CHAT_DOOR, 6),
    (CLAUDE, "anthropic", message(), MESSAGES_DOOR, 3),
    (CLAUDE, "anthropic", message(cache_control=MARK), MESSAGES_DOOR, 3.75),
    (CLAUDE, "anthropic", {**message(), "system": [{"type": "text", "text": "S", "cache_control": HOUR}]}, MESSAGES_DOOR, 6),
    (CLAUDE, "anthropic", {**message(), "tools": [{"name": "f", "input_schema": {}, "cache_control": MARK}]}, MESSAGES_DOOR, 3.75),
    (CLAUDE, "bedrock", message(cache_control=HOUR), MESSAGES_DOOR, 6),
    (CLAUDE, "bedrock", chat(), CHAT_DOOR, 3),
    (CLAUDE, "openai", chat(), CHAT_DOOR, 3.75),  # whoever sells Claude through OpenAI's protocol may mark by itself
    (CLAUDE, "openai", chat(cache_control=HOUR), CHAT_DOOR, 6),
    (GPT, "openai", chat(), CHAT_DOOR, 6.25),  # it writes unasked
    (GPT, "responses", {"input": "Hi."}, RESPONSES_DOOR, 6.25),
    (GPT, "responses", {"input": "Hi.", "prompt_cache_options": {"ttl": "12h"}}, RESPONSES_DOOR, 11),
    (GPT, "responses", message(cache_control=HOUR), MESSAGES_DOOR, 11),  # an hour has no price there: the dearest
    (GPT, "openai", {"input": "Hi."}, EMBEDDINGS_DOOR, 5),
]


class Unread(dict[str, Any]):
    """The members of a request, of which nobody is to look at the messages."""

    def get(self, name: str, default: Any = None, /) -> Any:
        """Return a member. Raises AssertionError for the messages."""
        assert name != "messages"
        return super().get(name, default)

    __getitem__ = get


def test_no_message_is_looked_at_where_nothing_of_an_input_is_dear() -> None:
    """Of a model that has a fee for searches alone, as OpenAI's older ones: half a megabyte took three milliseconds, with every call."""
    [term] = configured(Prices(input=5, output=30, cached_input=0.5, per_search=0.01), "prices")
    request = parse_chat(json.dumps({"model": "m", **chat(), "tools": [{"type": "web_search"}]}).encode())
    request.fields = Unread(request.fields)
    offer = Offer(Target("v", "m", "openai"), "v/m")
    [held] = with_writes([(offer, Price(term.price.prices, "prices"))], request, 0.0)
    assert (held.input, held.per_request) == (5 * 10**9, 10**7)


@pytest.mark.parametrize(("prices", "dialect", "fields", "door", "dollars"), HELD)
def test_input_is_held_for_as_if_all_of_it_were_written_where_it_may_be(
    prices: Prices, dialect: str, fields: dict[str, Any], door: Door, dollars: float
) -> None:
    """[fault M17] By the request's marks where nothing else is written, unasked elsewhere, for as long as it asks."""
    assert rated(prices, dialect, fields, door) == dollars


def test_a_mark_whose_letters_are_written_as_their_numbers_is_held_for() -> None:
    """[fault M17] Its vendor reads it all the same."""
    [term] = configured(CLAUDE, "prices")
    plain = json.dumps({"model": "m", **message(cache_control=HOUR)})
    hidden = plain.replace("cache_control", r"cache\u005fcontrol").replace("ttl", r"t\u0074l").replace("1h", r"\u0031\u0068")
    assert json.loads(hidden) == json.loads(plain)
    offer = (Offer(Target("v", "m", "anthropic"), "v/m"), Price(term.price.prices, "prices"))
    [held] = with_writes([offer], MESSAGES_DOOR.read(hidden.encode()), 0.0)
    assert held.input == 6_000_000_000


def test_a_tier_by_length_is_held_for_in_the_same_way() -> None:
    """[fault M17] The tier that the input is in decides, and its own price of a write."""
    prices = Prices(input=5, output=30, cache_write=6.25, tiers=(PriceTier(over_input_tokens=10, input=10, output=45, cache_write=12.5),))
    [term] = configured(prices, "prices")
    [held] = with_writes([(Offer(Target("v", "m", "openai"), "v/m"), Price(term.price.prices, "prices"))], CHAT_DOOR.read(body()), 0.0)
    assert (held.for_input(10).input, held.for_input(11).input) == (6_250_000_000, 12_500_000_000)


def written_by_the_vendor(
    balance: int, prices: Prices = GPT, lasting: str | None = None, asked: Mapping[str, object] = {}
) -> tuple[MemoryClient, Wallet]:
    """A call of 1,000 tokens of input, all of which its vendor writes to its cache unasked, from a wallet with so many nano-dollars."""
    wallet = Wallet("default", balance)
    answer = json.loads(document("Hi."))
    told = {} if lasting is None else {"cache_write_tokens_details": {lasting: 1_000}}
    answer["usage"] = {
        "prompt_tokens": 1_000,
        "completion_tokens": 1,
        "total_tokens": 1_001,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 1_000, **told},
    }
    rig = Rig(ScriptedUpstream(Script([json.dumps(answer).encode()])), each=[prices], wallets=[wallet])
    client = MemoryClient()
    run_virtual(rig.call(client, body(messages=[{"role": "user", "content": "text" * 1_000}], max_tokens=1, **asked)))
    return client, wallet


def test_no_wallet_goes_below_zero_by_what_a_vendor_writes_to_its_cache() -> None:
    """[fault M17] 1,000 x 6.25 and a token of output at 30 micro-dollars; with one nano-dollar less the vendor is not asked."""
    needed = 1_000 * 6_250 + 30_000
    client, wallet = written_by_the_vendor(needed)
    assert (client.status, wallet.balance) == (200, 0)
    client, wallet = written_by_the_vendor(needed - 1)
    assert (client.status, wallet.balance) == (402, needed - 1)


@pytest.mark.parametrize(
    ("prices", "lasting", "asked", "dollars"),
    [
        (Prices(input=5, output=30, cache_write_30m=6.25), "ttl_30m_tokens", {}, 6.25),
        (Prices(input=5, output=30, cache_write=5.5, cache_write_30m=6.25), "ttl_30m_tokens", {}, 6.25),
        (Prices(input=5, output=30, cache_write_12h=11), "ttl_12h_tokens", {"prompt_cache_options": {"ttl": "12h"}}, 11),
        (Prices(input=5, output=30, tiers=(PriceTier(over_input_tokens=10, input=5, output=30, cache_write=10),)), None, {}, 10),
    ],
)
def test_no_price_of_a_write_is_looked_over(prices: Prices, lasting: str | None, asked: Mapping[str, object], dollars: float) -> None:
    """[fault M17] A set of prices whose writes usually cost what plain input does may have a dearer one: by how long, or by size."""
    needed = round(dollars * 1_000_000) + 30_000
    client, wallet = written_by_the_vendor(needed, prices, lasting, asked)
    assert (client.status, wallet.balance) == (200, 0)
    client, wallet = written_by_the_vendor(needed - 1, prices, lasting, asked)
    assert (client.status, wallet.balance) == (402, needed - 1)
