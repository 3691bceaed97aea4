"""What is held for a call before anybody is asked (faults M17, M19): as much as its model makes, and a refusal says of what it is made."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from aisa.clock import wall_clock
from aisa.config.schema import Model, Prices
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.calls_seen import CALLS_KEPT
from aisa.ledger.caps import Cap
from aisa.ledger.holds import CALLS_MIN, TARGETS_MAX, Learned, first_hold, output_held
from aisa.ledger.rules import CLIENT_GONE
from aisa.ledger.wallets import Wallet
from aisa.pricing import unit_prices
from aisa.testing.clock import run_virtual
from aisa.usage import COUNTED, REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from one_call import PRICES, made
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, document, event, events_of, text, whole_stream
from rows import priced

OUT = 2_000  # nano-dollars a token, at PRICES
HIDDEN = 10_000


def held(learned: int | None = None, *, most: int | None = None, setting: int | None = None, **fields: object) -> int:
    """Return for how many output tokens is held."""
    settings = Model(to=("v/m",), max_output_tokens=most, hold_output_tokens=setting)
    return output_held(parse_chat(body(**fields)), settings, learned)[0]


@pytest.mark.parametrize(
    ("tokens", "given"),
    [
        (256, {"stream": True}),
        (100, {"stream": True, "max_tokens": 100}),
        (100, {"stream": True, "most": 100}),
        (256, {"stream": True, "max_tokens": 5_000}),
        (5_000, {"stream": True, "max_completion_tokens": 5_000}),
        (15_000, {"stream": True, "max_completion_tokens": 5_000, "n": 3}),
        (4_096, {}),
        (8_192, {"n": 2}),
        (100, {"max_tokens": 100}),
        (300, {"max_completion_tokens": 100, "n": 3}),
        (50_000, {"most": 50_000}),
        (900, {"setting": 900}),
        (900, {"setting": 900, "stream": True}),
        (1_800, {"setting": 900, "stream": True, "n": 2}),
        (100, {"setting": 900, "stream": True, "max_tokens": 100}),
        (900, {"setting": 900, "learned": 50_000}),
        (7_000, {"learned": 7_000}),
        (7_000, {"learned": 7_000, "stream": True}),
        (100_000, {"learned": 7_000, "stream": True, "max_completion_tokens": 100_000}),
        (4_000, {"learned": 2, "max_tokens": 4_000}),
        (4_000, {"learned": 2, "max_completion_tokens": 4_000}),
        (8_000, {"learned": 2, "max_tokens": 4_000, "n": 2}),
        (256, {"learned": 2, "stream": True, "max_tokens": 4_000}),
        (900, {"setting": 900, "learned": 2, "max_tokens": 4_000}),
        (50, {"learned": 50}),
        (256, {"learned": 50, "stream": True}),
        (100, {"learned": 7_000, "max_tokens": 100}),
        (14_000, {"learned": 7_000, "n": 2}),
    ],
)
def test_output_is_held_for_as_the_operator_the_models_calls_or_the_request_say(tokens: int, given: dict[str, Any]) -> None:
    """[fault M17] Never for more than request and model allow. What calls make counts where the request does not say.

    What a stream shows is held for as it is made, and hidden reasoning is bounded by `max_completion_tokens` alone.
    """
    assert held(**given) == tokens


@pytest.mark.parametrize("kind", ["output", "reasoning", "output_audio", "output_image"])
def test_output_is_held_for_at_the_dearest_that_it_may_be(kind: str) -> None:
    """[fault M17] A picture costs ten times what as much text does, and was held for as text."""
    prices = unit_prices({"input": 1_000_000, "output": 2_000_000, kind: 30_000_000})
    request = parse_chat(body(max_tokens=1_000))
    assert first_hold([prices], request, Model(to=("v/m",)), held_input=0).amount == 30_000


def reasoned(*, stream: bool = True) -> list[bytes]:
    """An answer of ten words behind ten thousand hidden tokens."""
    counts = {
        "prompt_tokens": 9,
        "completion_tokens": HIDDEN + 10,
        "total_tokens": HIDDEN + 19,
        "completion_tokens_details": {"reasoning_tokens": HIDDEN},
    }
    if not stream:
        return [
            document().replace(
                b'"completion_tokens": 3, "total_tokens": 12',
                b'"completion_tokens": 10010, "total_tokens": 10019, "completion_tokens_details": {"reasoning_tokens": 10000}',
            )
        ]
    return [*text(*"0123456789"), chunk({}, "stop"), event({"object": "chat.completion.chunk", "choices": [], "usage": counts}), DONE]


def six_at_once(rig: Rig, *, calls_before: int, **fields: object) -> list[int]:
    """Make some calls one after the other, then six at once, and return the statuses of these."""

    async def main() -> list[int]:
        for _ in range(calls_before):
            await rig.call(MemoryClient(), body(**fields))
        clients = [MemoryClient() for _ in range(6)]
        await asyncio.gather(*[rig.call(client, body(**fields)) for client in clients])
        return [client.status or 0 for client in clients]

    return run_virtual(main())


@pytest.mark.parametrize("stream", [True, False])
def test_hidden_reasoning_is_held_for_once_a_models_calls_have_shown_it(*, stream: bool) -> None:
    """(fault M17) Six calls at once do not think for more money than is there: those that it is not enough for are refused."""
    wallet = Wallet("default", 0)
    needs = 9_000 + (HIDDEN + 10) * OUT
    script = Script([Stall(1), *reasoned(stream=stream)])
    rig = Rig(ScriptedUpstream(*[script] * (CALLS_MIN + 6)), prices=PRICES, wallets=[wallet])
    wallet.balance = (CALLS_MIN + 1) * needs + needs // 2
    statuses = six_at_once(rig, calls_before=CALLS_MIN, stream=stream)
    assert sorted(statuses) == [200, 402, 402, 402, 402, 402]
    assert wallet.balance >= 0
    assert wallet.held == 0


def test_what_the_request_allows_is_held_for_before_anything_is_known() -> None:
    """(fault M17) `max_completion_tokens` is there for models that think: the first six calls at once are held for as well."""
    for limit, settings in (({"max_completion_tokens": HIDDEN + 10}, {}), ({}, {"hold_output_tokens": HIDDEN + 10})):
        wallet = Wallet("default", 3 * (9_000 + (HIDDEN + 10) * OUT) // 2)
        rig = Rig(ScriptedUpstream(*[Script([Stall(1), *reasoned()])] * 6), prices=PRICES, wallets=[wallet], **settings)
        assert sorted(six_at_once(rig, calls_before=0, stream=True, **limit)) == [200, 402, 402, 402, 402, 402]
        assert (wallet.balance or 0) >= 0


@pytest.mark.parametrize("bound", ["max_tokens", "max_completion_tokens"])
def test_who_made_short_calls_gets_no_long_documents_for_nothing(bound: str) -> None:
    """[fault M17] After twenty answers of ten tokens 200 documents of 4,000 at once were held for ten each: a wallet of 1 paid 8."""
    short, long = Script([document()]), Script([Stall(1), *reasoned(stream=False)])
    wallet = Wallet("default", 0)
    rig = Rig(ScriptedUpstream(*[short] * CALLS_MIN, *[long] * 6), prices=PRICES, wallets=[wallet])
    wallet.balance = CALLS_MIN * (9_000 + 3 * OUT) + 2 * (9_000 + (HIDDEN + 10) * OUT)

    async def main() -> list[int]:
        for _ in range(CALLS_MIN):
            await rig.call(MemoryClient(), body())
        clients = [MemoryClient() for _ in range(6)]
        await asyncio.gather(*[rig.call(client, body(**{bound: HIDDEN + 10})) for client in clients])
        return sorted(client.status or 0 for client in clients)

    assert run_virtual(main()) == [200, 200, 402, 402, 402, 402]
    assert wallet.balance >= 0


def learned_from(*tokens: int, target: str = "openai/gpt-5", **fields: Any) -> Learned:
    """What is known after calls that made so many tokens."""
    learned = Learned()
    for number, count in enumerate(tokens):
        learned.note(priced(number, target=target, usage=Usage(1, count, source=REPORTED, input_source=REPORTED), **fields), 1, 1)
    return learned


def test_all_but_one_call_in_twenty_are_held_for_in_full() -> None:
    """Of the last 64; one that thought for ever does not raise the hold of all others, a model that has changed is followed."""
    assert learned_from(*[100] * (CALLS_MIN - 1)).most(["openai/gpt-5"]) is None
    assert learned_from(*range(1, CALLS_MIN + 1)).most(["openai/gpt-5"]) == CALLS_MIN - 1
    assert learned_from(*[100] * 39, 1_000_000).most(["openai/gpt-5"]) == 100
    assert learned_from(*[100] * 200, *[9_000] * CALLS_KEPT).most(["openai/gpt-5"]) == 9_000
    assert learned_from(*[100] * 200).most(["another/one"]) is None


def of_choices(number: int, *, stream: bool) -> Script:
    """The same answer in so many choices, each with all of the words."""
    answer = reasoned(stream=stream)
    if stream:
        more = [chunk({"content": "0"}, "stop", index) for index in range(1, number)]
        return Script([*more, *answer])
    whole = json.loads(answer[0])
    whole["choices"] = [{**whole["choices"][0], "index": index} for index in range(number)]
    return Script([json.dumps(whole).encode()])


@pytest.mark.parametrize("made", [1, 2, 3])
@pytest.mark.parametrize("stream", [True, False])
def test_what_several_choices_made_is_held_for_each_of_them_once(*, stream: bool, made: int) -> None:
    """[point 10] Calls for three choices have shown what one has: the next is held for three times that, and one choice for a third.

    A vendor that makes fewer than are asked for has shown more of each; by the number asked for, too little was held.
    """
    scripts = [of_choices(made, stream=stream)] * (CALLS_MIN + 1)
    rig = Rig(ScriptedUpstream(*scripts), prices=PRICES, wallets=[Wallet("default", None)])

    async def main() -> None:
        for _ in range(CALLS_MIN):
            await rig.call(MemoryClient(), body(stream=stream, n=3))

    run_virtual(main())
    learned = rig.ledger.learned.most([rig.rows[0].target])
    assert learned == -(-(HIDDEN + 10) // made)
    for choices in (1, 3):
        tokens, why = output_held(parse_chat(body(stream=stream, n=choices)), Model(to=("a/m",)), learned)
        assert tokens == max(learned, 256 if stream else 0) * choices, why


def test_the_target_that_makes_most_of_those_that_may_serve_is_held_for() -> None:
    """(fault M17) Whatever the name by which it was asked before; one that nobody knows yet changes nothing."""
    learned = learned_from(*[100] * CALLS_MIN)
    for number in range(CALLS_MIN):
        usage = Usage(1, 9_000, source=REPORTED, input_source=REPORTED)
        learned.note(priced(number, model="another name", target="b/thinks", usage=usage), 1, 1)
    assert learned.most(["openai/gpt-5", "c/new"]) == 100
    assert learned.most(["openai/gpt-5", "c/new", "b/thinks"]) == 9_000


SAID = [{"role": "user", "content": "Hi."}]
#: How a call of the same target may be made -> its door, its request, the status of a refusal for want of money.
NAMED: dict[str, tuple[Door, dict[str, Any], int]] = {
    "chat": (CHAT_DOOR, {"model": "fast", "messages": SAID}, 402),
    "an alias": (CHAT_DOOR, {"model": "quick", "messages": SAID}, 402),
    "the vendor's own name": (CHAT_DOOR, {"model": "a/some-model", "messages": SAID}, 402),
    "responses": (RESPONSES_DOOR, {"model": "fast", "input": "Hi."}, 429),
    "messages": (MESSAGES_DOOR, {"model": "fast", "max_tokens": HIDDEN + 10, "messages": SAID}, 402),
    "gemini": (GeminiDoor("fast", stream=False), {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}, 402),
    "completions": (COMPLETIONS_DOOR, {"model": "fast", "prompt": "Hi."}, 402),
}


@pytest.mark.parametrize("limit", ["wallet", "cap"])
@pytest.mark.parametrize("name", NAMED)
def test_what_a_target_made_at_one_door_is_held_for_at_all_and_by_all_its_names(name: str, limit: str) -> None:
    """(fault M17) Twenty chats showed that it thinks; of six at once, at any door and by any name, there is money for one."""
    door, fields, refused = NAMED[name]
    needs = 9_000 + (HIDDEN + 10) * OUT
    money = (CALLS_MIN + 1) * needs + needs // 2
    wallet = Wallet("default", money if limit == "wallet" else None)
    scripts = [Script([Stall(1), *reasoned(stream=False)])] * (CALLS_MIN + 6)
    rig = Rig(ScriptedUpstream(*scripts), each=[PRICES], wallets=[wallet], aliases=("quick",))
    if limit == "cap":
        rig.key = Key("key_1", "test", b"", "sk-…", "active", 0, spend_cap=money, spend_window="month")
        rig.ledger.caps["key_1"] = Cap(money, "month", spent=0, now=wall_clock())
        refused = 429

    async def main() -> list[int | None]:
        for _ in range(CALLS_MIN):
            await rig.call(MemoryClient(), body())
        clients = [MemoryClient() for _ in range(6)]
        await asyncio.gather(*[rig.call(client, json.dumps(fields).encode(), door) for client in clients])
        return [client.status for client in clients]

    assert run_virtual(main()) == [200, *[refused] * 5]
    assert sum(row.cost for row in rig.rows) == (CALLS_MIN + 1) * needs <= money


def test_nothing_is_learned_from_what_a_vendor_did_not_report_or_a_client_cut() -> None:
    """A cut stream says what its client took, not what the model makes."""
    assert learned_from(*[9] * 40, outcome=CLIENT_GONE).most(["openai/gpt-5"]) is None
    learned = Learned()
    for number in range(40):
        learned.note(priced(number, usage=Usage(1, 9, source=COUNTED)), 1, 1)
        learned.note(priced(number, usage=Usage(1, 0, source=REPORTED)), 0, 1)
    assert learned.most(["openai/gpt-5"]) is None


def test_names_that_callers_make_up_do_not_fill_the_memory() -> None:
    """The oldest goes."""
    learned = Learned(calls_min=1)
    for number in range(TARGETS_MAX + 5):
        learned.note(priced(number, target=f"v/{number}", usage=Usage(2, 1, source=REPORTED, input_source=REPORTED)), 1, 1)
    assert (len(learned._seen), len(learned._most), len(learned.times)) == (TARGETS_MAX, TARGETS_MAX, TARGETS_MAX)
    assert learned.most(["v/0"]) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {},
            [
                "for 4096 output tokens, because neither the request nor the model has a limit.",
                "`max_tokens` lowers it",
                "asking for a stream",
            ],
        ),
        ({"max_tokens": 1_000}, ["for 1000 output tokens, the most that the request allows.", "A smaller `max_tokens` lowers it"]),
        ({"n": 2}, ["for 8192 output tokens, 4096 for each of 2 choices,"]),
        ({"stream": True}, ["for 256 output tokens, with which a stream begins. `max_tokens` lowers it."]),
        ({"stream": True, "max_completion_tokens": 9_000}, ["for 9000 output tokens", "A smaller `max_completion_tokens` lowers it."]),
    ],
)
@pytest.mark.parametrize("limit", ["wallet", "cap"])
def test_a_refused_hold_says_of_what_it_is_made_and_how_it_becomes_less(fields: dict[str, Any], words: list[str], limit: str) -> None:
    """(fault M19) The first document under a cap is not refused for a number that nobody sent without a word on where it comes from."""
    rig = Rig(ScriptedUpstream(), prices=PRICES, wallets=[Wallet("default", 1 if limit == "wallet" else None)])
    if limit == "cap":
        rig.key = msgspec.structs.replace(rig.key, spend_cap=1, spend_window="week")
        rig.ledger.caps["key_1"] = Cap(1, "week", spent=0, now=rig.ledger.wall_clock())
    client = MemoryClient()
    run_virtual(rig.call(client, body(**fields)))
    assert client.status == (402 if limit == "wallet" else 429)
    message = json.loads(client.body)["error"]["message"]
    assert [word for word in words if word not in message] == []
    hold = first_hold([unit_prices({"input": 10**9, "output": 2 * 10**9})], parse_chat(body(**fields)), Model(to=("v/m",)), held_input=1)
    assert f"{hold.for_output / 1e9:.9f}".rstrip("0").rstrip(".") in message
    assert ("asking for a stream" in message) == ("stream" not in fields)


def test_a_document_with_a_limit_passes_where_one_without_is_refused() -> None:
    """(fault M19) The remedy that the message names is one."""
    wallet = Wallet("default", 100 * OUT + 60 * 1_000)
    client, _ = made([document()], stream=False, wallet=wallet)
    assert client.status == 402
    client, _ = made([document()], stream=False, wallet=wallet, max_tokens=100)
    assert client.status == 200


@pytest.mark.parametrize("limit", ["wallet", "cap"])
def test_a_stream_that_ends_for_want_of_money_is_told_what_was_held_and_what_needs_less(limit: str) -> None:
    """(fault M19) 256 tokens at 2,000 nano-dollars and the input at 1,000 are held; for the next 256 there is nothing left."""
    first = 1_000 + 256 * 2_000
    rig = Rig(
        ScriptedUpstream(Script(whole_stream(*[f"{number} " for number in range(400)]))),
        prices=Prices(input=1, output=2),
        wallets=[Wallet("default", first)] if limit == "wallet" else [],
    )
    if limit == "cap":
        rig.key = Key("key_1", "test", b"", "sk-…", "active", 0, spend_cap=first, spend_window="day")
        rig.ledger.caps["key_1"] = Cap(first, "day", spent=0, now=wall_clock())
    client = MemoryClient()
    run_virtual(rig.call(client, body(stream=True)))
    error = events_of(client.body)[-1]["error"]
    assert error["code"] == ("insufficient_wallet_balance" if limit == "wallet" else "quota_exceeded")
    assert "0.000513 US dollars are held for this call already, for its input and 256 output tokens" in error["message"]
    assert "`max_tokens`" in error["message"]
    assert rig.rows[0].billed.output_tokens == 256


ASKED = {
    "max_output_tokens": (RESPONSES_DOOR, {"model": "fast", "input": "Hi.", "stream": True}),
    "max_tokens": (MESSAGES_DOOR, {"model": "fast", "max_tokens": 9_000, "messages": [{"role": "user", "content": "Hi."}], "stream": True}),
    "generationConfig.maxOutputTokens": (GeminiDoor("fast", stream=True), {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}),
}


def bounded(name: str, bound: int | None, *, stream: bool) -> int:
    """For how many output tokens is held at a door, with a bound of the client's or without, at a model that may make 64,000."""
    door, fields, _ = NAMED["chat" if name == "newer" else name]
    member = {"responses": "max_output_tokens", "gemini": "maxOutputTokens", "newer": "max_completion_tokens"}.get(name, "max_tokens")
    given: dict[str, Any] = {} if bound is None else {member: bound}
    asked = {each: value for each, value in fields.items() if each != "max_tokens"}
    if name == "gemini":
        door, asked = GeminiDoor("fast", stream=stream), asked | {"generationConfig": given}
    else:
        asked |= given | ({"stream": True} if stream else {})
    return output_held(door.read(json.dumps(asked).encode()), Model(to=("v/m",), max_output_tokens=64_000), None)[0]


@pytest.mark.parametrize("name", ["chat", "newer", "messages", "responses", "gemini", "completions"])
def test_a_bound_is_held_for_whole_where_it_is_of_hidden_reasoning_too(name: str) -> None:
    """(fault M17) What is shown is seen as it is made. A message without a bound was held for all that a model makes."""
    shown_alone = name in ("chat", "completions")
    assert bounded(name, 9_000, stream=True) == (256 if shown_alone else 9_000)
    assert bounded(name, 100, stream=True) == 100
    assert bounded(name, None, stream=True) == 256
    assert (bounded(name, 9_000, stream=False), bounded(name, None, stream=False)) == (9_000, 64_000)


@pytest.mark.parametrize("word", ASKED)
def test_each_door_is_told_its_own_word_for_the_limit_that_needs_less(word: str) -> None:
    """[fault M19] In the middle of a stream too."""
    door, fields = ASKED[word]
    script = Script(whole_stream(*[f"{number} " for number in range(9_400)]))
    first = 1_000 + (256 if word != "max_tokens" else 9_000) * 2_000
    rig = Rig(ScriptedUpstream(script), prices=Prices(input=1, output=2), wallets=[Wallet("default", first)])
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps(fields).encode(), door))
    said = client.body.decode()
    assert "The answer ends here" in said
    assert f"A limit on the output, such as `{word}`, bounds what a call needs." in said


def test_a_wallets_refusal_says_what_is_held_for_others() -> None:
    """It comes back: whoever reads that nearly nothing is left looks in vain for what has cost so much."""
    wallet = Wallet("acme", 100)
    with pytest.raises(ApiError) as alone:
        wallet.take(101, 0.0)
    wallet.take(60, 0.0)
    with pytest.raises(ApiError) as beside:
        wallet.take(60, 0.0)
    assert "held" not in alone.value.message
    assert beside.value.message.endswith("0.00000006 more are held for calls in flight: what they do not use comes back as they end.")
