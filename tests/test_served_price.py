"""(fault M1) The price of a call is that of the target that serves it, the hold that of the dearest that may, also after our death."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from aisa.call import Call
from aisa.clock import wall_clock
from aisa.config.schema import Config, Model, Prices, Target, Vendor
from aisa.keys.rules import Key
from aisa.ledger.caps import Cap
from aisa.ledger.charge import Charge
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.recovery import recover
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.offer import Offer
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, body, document, events_of, text, whole_stream

CHEAP, DEAR = Prices(input=1, output=2), Prices(input=100, output=200)
WORDS = [f"word{number} " for number in range(10)]
FAILS = Script([b"{}"], status=500)


def made(
    *scripts: Script, each: list[Prices | None], wallet: Wallet | None = None, stream: bool = True, **fields: object
) -> tuple[MemoryClient, Rig]:
    """Make one call whose targets answer with these scripts, in order, at these prices."""
    client = MemoryClient()
    rig = Rig(*map(ScriptedUpstream, scripts), each=each, wallets=[wallet] if wallet else [])
    run_virtual(rig.call(client, body(stream=stream, **fields)))
    return client, rig


@pytest.mark.parametrize(
    ("each", "cost"),
    [
        ([None, CHEAP], 9 * 1_000 + 10 * 2_000),
        ([DEAR, CHEAP], 9 * 1_000 + 10 * 2_000),
        ([CHEAP, DEAR], 9 * 100_000 + 10 * 200_000),
        ([Prices(input=0, output=0), DEAR], 9 * 100_000 + 10 * 200_000),
    ],
)
def test_a_call_costs_what_the_target_charges_that_served_it(each: list[Prices | None], cost: int) -> None:
    """The first one fails: free, dearer or cheaper, its price is not the call's, in the row and in the answer."""
    client, rig = made(FAILS, Script(whole_stream(*WORDS)), each=each, stream_options={"include_usage": True})
    [row] = rig.rows
    assert (row.cost, row.price_source, row.target, row.attempts) == (cost, "vendors.b.prices.some-model", "b/some-model", 2)
    assert events_of(client.body)[-2]["usage"]["cost"] == cost / 1e9


def test_a_free_target_that_serves_is_free_whatever_the_next_would_cost() -> None:
    """And its answer says nothing of a cost."""
    client, rig = made(Script([document()]), FAILS, each=[None, DEAR], stream=False)
    [row] = rig.rows
    assert (row.cost, row.prices, row.price_source, row.target, row.attempts) == (0, None, "", "a/some-model", 1)
    assert b"cost" not in client.body


def test_a_stream_that_is_cut_costs_its_delivered_tokens_at_the_price_of_its_target() -> None:
    """The second one broke off after three."""
    _, rig = made(FAILS, Script([*text("aa", "bb", "cc"), Break()]), each=[None, CHEAP])
    [row] = rig.rows
    assert (row.outcome, row.cost) == ("cut", INPUT_TOKENS * 1_000 + 3 * 2_000)


@pytest.mark.parametrize("each", [[None, DEAR], [CHEAP, DEAR], [DEAR, CHEAP], [DEAR, None]])
@pytest.mark.parametrize("stream", [True, False])
def test_what_the_dearest_target_may_cost_is_held_before_any_is_asked(each: list[Prices | None], *, stream: bool) -> None:
    """A wallet that has enough for the others only asks nobody, wherever the dearest stands."""
    tokens = 256 if stream else 4_096
    needs = INPUT_TOKENS * 100_000 + tokens * 200_000
    client, rig = made(Script(whole_stream(*WORDS)), FAILS, each=each, wallet=Wallet("default", needs - 1), stream=stream)
    assert (client.status, rig.rows) == (402, [])
    client, rig = made(
        Script(whole_stream(*WORDS) if stream else [document()]), FAILS, each=each, wallet=Wallet("default", needs), stream=stream
    )
    assert (client.status, len(rig.rows)) == (200, 1)


def test_a_cap_holds_for_a_fall_back_that_costs() -> None:
    """A local first target is no way past it: the call is refused as one to the dear target itself is."""
    rig = Rig(ScriptedUpstream(FAILS), ScriptedUpstream(Script(whole_stream(*WORDS))), each=[None, DEAR])
    rig.key = Key("key_1", "test", b"", "sk-…", "active", 0, spend_cap=100_000, spend_window="day")
    rig.ledger.caps["key_1"] = Cap(100_000, "day", spent=0, now=wall_clock())
    client = MemoryClient()
    run_virtual(rig.call(client, body(stream=True)))
    assert (client.status, rig.rows) == (429, [])


def test_once_a_target_serves_the_hold_grows_by_its_price() -> None:
    """A long answer of a cheap target is not cut because the dear one, which nobody asked, could not have been paid."""
    needs = INPUT_TOKENS * 100_000 + 256 * 200_000
    words = [f"{number} " for number in range(1_000)]
    wallet = Wallet("default", needs + 3 * 256 * 2_000)
    client, rig = made(Script(whole_stream(*words)), FAILS, each=[CHEAP, DEAR], wallet=wallet)
    assert (client.status, rig.rows[0].outcome, rig.rows[0].cost) == (200, "completed", 9 * 1_000 + 1_000 * 2_000)
    assert wallet.held == 0
    _, rig = made(FAILS, Script(whole_stream(*words)), each=[CHEAP, DEAR], wallet=Wallet("default", needs + 3 * 256 * 2_000))
    assert (rig.rows[0].outcome, rig.rows[0].error_code, rig.rows[0].billed.output_tokens) == ("cut", "insufficient_wallet_balance", 256)


@pytest.mark.parametrize("stream", [True, False])
def test_whichever_of_weighted_targets_is_drawn_first_the_dearest_is_held_for(*, stream: bool) -> None:
    """A free one among them is no way past the wallet, however the dice fall; who serves is what it costs."""
    prices = {"a": None, "b": CHEAP, "c": DEAR}
    vendors = {
        name: Vendor(base_url=f"http://{name}.example:9/v1", prices={} if each is None else {"some-model": each})
        for name, each in prices.items()
    }
    model = Model(to=tuple([Target(target=f"{name}/some-model", weight=1) for name in prices]))
    needs = INPUT_TOKENS * 100_000 + (256 if stream else 4_096) * 200_000
    served: set[str] = set()
    for seed in range(20):
        for balance in (needs - 1, needs):
            answers = [ScriptedUpstream(Script(whole_stream(*WORDS) if stream else [document()])) for _ in prices]
            client, rig = MemoryClient(), Rig(*answers, wallets=[Wallet("default", balance)])
            rig.dependencies.routes = Routes(Config(vendors=vendors, models={"fast": model}))
            rig.dependencies.chance = random.Random(seed)
            run_virtual(rig.call(client, body(stream=stream)))
            if balance < needs:
                assert (client.status, rig.rows) == (402, [])
                continue
            [row] = rig.rows
            price = prices[row.target[0]]
            made = 10 if stream else 3
            assert row.cost == (0 if price is None else 9 * int(price.input * 1_000) + made * int(price.output * 1_000))
            served.add(row.target)
    assert len(served) == len(prices)


#: A model whose first target is free, whose second is cheap and whose third is dear.
CHAIN = Config(
    vendors={
        "free": Vendor(base_url="http://127.0.0.1:9/v1"),
        "cheap": Vendor(base_url="http://a.example/v1", prices={"m": CHEAP}),
        "dear": Vendor(base_url="http://b.example/v1", prices={"m": DEAR}),
    },
    models={"fast": Model(to=("free/m", "cheap/m", "dear/m"))},
)
INPUT_TOKENS = 1  # four bytes of "Hi.", rounded up


def left_by_a_death(folder: Path, act: Callable[[Charge, tuple[Offer, ...]], object]) -> CallRow:
    """Open a call in CHAIN, do something to it, die, and return the row that the next start makes of it."""
    chat = parse_chat(body(stream=True))
    key = Key("key_1", "test", b"", "sk-…", "active", 0)
    plan = Routes(CHAIN).plan(chat, key, random.Random(1))
    journal = Journal.open(folder / "board", slots_max=10)
    ledger = LiveLedger(journal, lambda row, done: None, wallets=[Wallet("default", 10**12)], wall_clock=wall_clock)
    charge = asyncio.run(ledger.open(Call("req_1", None, b"", 1, 0.0, [], CHAT_DOOR), key, chat, plan=plan))
    act(charge, plan.offers)
    journal.close()
    journal = Journal.open(folder / "board", slots_max=10)
    [row] = recover(journal, lambda _: None, int(wall_clock() * 1000))
    journal.close()
    return row


def asked(*positions: int, tokens: int = 0) -> Callable[[Charge, tuple[Offer, ...]], None]:
    """Have targets asked, one after the other, and the last one send so many tokens."""

    def act(charge: Charge, offers: tuple[Offer, ...]) -> None:
        for attempts, position in enumerate(positions, 1):
            charge.serve(offers[position], attempts)
        if tokens:
            charge.cover(tokens)
            charge.note(tokens)

    return act


@pytest.mark.parametrize(
    ("act", "target", "attempts", "cost"),
    [
        (asked(), "", 0, 0),
        (asked(0), "free/m", 1, 0),
        (asked(0, 1), "cheap/m", 2, 0),
        (asked(0, tokens=7), "free/m", 1, 0),
        (asked(0, 1, tokens=7), "cheap/m", 2, INPUT_TOKENS * 1_000 + 7 * 2_000),
        (asked(0, 1, 1, 2, tokens=7), "dear/m", 4, INPUT_TOKENS * 100_000 + 7 * 200_000),
        (asked(2, 0, tokens=7), "free/m", 2, 0),
        (asked(0, 0, tokens=300), "free/m", 2, 0),
    ],
)
def test_after_a_death_what_left_is_billed_at_the_price_of_the_target_that_served(
    act: Callable[[Charge, tuple[Offer, ...]], None], target: str, attempts: int, cost: int, tmp_path: Path
) -> None:
    """(fault M20) And the row says which one was asked last, and how often a vendor was: its own bill has the call."""
    row = left_by_a_death(tmp_path, act)
    assert (row.outcome, row.target, row.attempts, row.cost) == ("crashed", target, attempts, cost)
    assert row.price_source == {"cheap/m": "vendors.cheap.prices.m", "dear/m": "vendors.dear.prices.m"}.get(target, "")


def test_a_name_as_long_as_names_may_be_stands_in_the_row() -> None:
    """Callers choose the names at a vendor."""
    client = MemoryClient()
    rig = Rig(ScriptedUpstream(Script(whole_stream(*WORDS))))
    name = "a/" + "x" * (MODEL_NAME_CHARACTERS_MAX - 2)
    run_virtual(rig.call(client, body(stream=True, model=name)))
    [row] = rig.rows
    assert (client.status, row.outcome, row.target) == (200, "completed", name)
