"""One permit a call: money first, then rate. It may have to ask a slow store inside a stream, and ends once, however the call does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aisa.call import Call
from aisa.config.schema import Prices, Stream
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.wallets import Wallet
from aisa.offer import Plan
from aisa.permit import EXTEND_SECONDS_MAX
from aisa.testing.clock import run_virtual
from aisa.usage import Usage
from aisa.wire.door import Request
from aisa.wire.port import HeaderList
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, content_of, document, events_of, outcome, text, usage

STEP = 2  # tokens that the store gives at a time
WORDS = ["one ", "two ", "three ", "four ", "five "]


class Store:
    """Tokens that several servers share, some seconds away; is the admission and the lease of the one call that is made."""

    def __init__(self, *, tokens: int = 100, seconds: float = 0.0, refuses: bool = False) -> None:
        self.tokens = tokens
        self.seconds = self.slower = seconds
        self.covered = 0
        self.asked: list[int] = []
        self.released: list[Usage] = []
        self._refuses = refuses

    async def admit(self, call: Call, request: Request, plan: Plan, *, input_tokens: int) -> Store:
        """Give the first tokens."""
        self.asked.append(0)
        await asyncio.sleep(self.seconds)
        if self._refuses:
            raise ApiError("rate_limit_exceeded", "Too many calls.", retry_after=7)
        self.covered = STEP
        return self

    async def cover(self, tokens: int) -> None:
        """Give more of them, if there are."""
        self.asked.append(tokens)
        await asyncio.sleep(self.slower)
        if tokens > self.tokens:
            raise ApiError("rate_limit_exceeded", "Too many tokens.", retry_after=7)
        self.covered = tokens + STEP - 1

    def headers(self, key: Key) -> HeaderList:
        """Say what is left."""
        return [("x-ratelimit-remaining-tokens", str(self.tokens - self.covered))]

    def correct(self, usage: Usage) -> None:
        """Nothing is told of it here."""

    def release(self, usage: Usage) -> None:
        """Take the lease back."""
        self.released.append(usage)


def rig_with(store: Store, *steps: Any, **model: Any) -> Rig:
    """A rig whose limits are in a store."""
    rig = Rig(
        ScriptedUpstream(Script(steps or [*text(*WORDS), chunk({}, "stop"), usage(9, 5), DONE])), prices=Prices(input=1, output=2), **model
    )
    rig.dependencies.admission = store
    return rig


def ended_once(rig: Rig, store: Store) -> None:
    """The lease was given back once, with what the call used, and nothing is held."""
    assert len(store.released) == 1
    assert store.released[0].output_tokens == rig.rows[0].generated.output_tokens
    assert {wallet.held for wallet in rig.ledger.wallets.values()} <= {0}
    assert rig.ledger.calls == {}


def test_a_stream_goes_on_when_the_store_has_given_more() -> None:
    """It waits there as often as its tokens run out, for nobody's clock, and everything arrives in order."""
    client, store = MemoryClient(), Store(seconds=4.0)
    rig = rig_with(store, idle_timeout_seconds=3)
    run_virtual(rig.call(client, body(stream=True)))
    assert (content_of(client.body), outcome(rig.facts).outcome) == ("".join(WORDS), "completed")
    assert store.asked == [0, 3, 5]
    assert client.times[-1] == 3 * store.seconds
    assert client.headers["x-ratelimit-remaining-tokens"] == "98"
    ended_once(rig, store)


def test_a_stream_that_the_store_does_not_let_go_on_ends_with_an_error_event() -> None:
    """[contract 5] What was sent is billed; nothing that pretends success follows."""
    client, store = MemoryClient(), Store(tokens=4, seconds=1.0)
    rig = rig_with(store)
    run_virtual(rig.call(client, body(stream=True)))
    assert (content_of(client.body), rig.rows[0].outcome, rig.rows[0].billed.output_tokens) == ("one two three four ", "cut", 4)
    assert events_of(client.body)[-1]["error"]["code"] == "rate_limit_exceeded"
    ended_once(rig, store)


def test_a_store_that_does_not_answer_is_our_fault_and_not_the_vendors() -> None:
    """The client waits for it a named time, and is told to come again; the target keeps its good name."""
    client, store = MemoryClient(), Store()
    rig = rig_with(store)

    store.slower = 1_000.0
    run_virtual(rig.call(client, body(stream=True)))
    assert (events_of(client.body)[-1]["error"]["code"], rig.rows[0].outcome) == ("overloaded", "cut")
    assert client.times[-1] == EXTEND_SECONDS_MAX
    assert not any(type(fact).__name__ in ("VendorFailed", "TargetHealth") for fact in rig.facts)
    ended_once(rig, store)


def test_while_the_store_is_asked_a_quiet_client_gets_its_keep_alive() -> None:
    """Proxies on the way do not know what is waited for."""
    client, store = MemoryClient(), Store(seconds=4.0)
    rig = rig_with(store)
    rig.dependencies.stream = Stream(keep_alive_seconds=2)
    run_virtual(rig.call(client, body(stream=True)))
    assert client.body.count(b": keep-alive\n\n") >= 2
    assert content_of(client.body) == "".join(WORDS)


def test_who_leaves_while_the_store_is_asked_ends_the_call_and_its_lease() -> None:
    """At once, and billed for what arrived before."""
    client, store = MemoryClient(), Store(seconds=4.0)
    rig = rig_with(store)

    async def main() -> None:
        call = asyncio.ensure_future(rig.call(client, body(stream=True)))
        await asyncio.sleep(6)  # the store was asked for more at 4 s
        client.leave()
        await call

    run_virtual(main())
    assert (rig.rows[0].outcome, rig.rows[0].billed.output_tokens) == ("client_gone", 2)
    ended_once(rig, store)


@pytest.mark.parametrize("streamed", [True, False])
def test_what_the_rates_refuse_is_as_if_the_money_had_not_been_asked(streamed: bool) -> None:
    """No row, nothing held, nothing asked of a vendor, and the refusal is told with what it says of a retry."""
    client, store = MemoryClient(), Store(refuses=True)
    rig = rig_with(store)
    wallet = rig.ledger.wallets["default"] = Wallet("default", 10**9)
    run_virtual(rig.call(client, body(stream=streamed)))
    assert (client.status, client.headers["retry-after"]) == (429, "7")
    assert (rig.rows, rig.ledger.calls, wallet.held, wallet.balance, store.released) == ([], {}, 0, 10**9, [])
    assert rig.dependencies.live == set()


def test_who_leaves_while_the_rates_are_asked_leaves_nothing_open() -> None:
    """The money that was held for the call is free again."""
    client, store = MemoryClient(), Store(seconds=4.0)
    rig = rig_with(store)
    wallet = rig.ledger.wallets["default"] = Wallet("default", 10**9)

    async def main() -> None:
        call = asyncio.ensure_future(rig.call(client, body(stream=True)))
        await asyncio.sleep(1)
        assert wallet.held > 0
        client.leave()
        await asyncio.gather(call, return_exceptions=True)

    run_virtual(main())
    assert (rig.rows, rig.ledger.calls, wallet.held, store.released) == ([], {}, 0, [])


def test_money_comes_before_rate() -> None:
    """[contract 3] An empty wallet is told before a limit is asked, which then counts no call."""
    client, store = MemoryClient(), Store(refuses=True)
    rig = rig_with(store)
    rig.ledger.wallets["default"] = Wallet("default", 0)
    run_virtual(rig.call(client, body(stream=True)))
    assert (client.status, store.asked, store.released) == (402, [], [])


def test_a_document_asks_the_store_once() -> None:
    """It shows no tokens while it is made; what it used is told at its end."""
    client, store = MemoryClient(), Store(seconds=1.0)
    rig = rig_with(store, document())
    run_virtual(rig.call(client, body()))
    assert (client.status, store.asked, client.headers["x-ratelimit-remaining-tokens"]) == (200, [0], "98")
    ended_once(rig, store)


def test_a_vendor_that_is_silent_is_still_silent_after_the_store_has_answered() -> None:
    """Only the time at the store is forgiven."""
    client, store = MemoryClient(), Store(seconds=4.0)
    rig = rig_with(store, *text(*WORDS[:3]), Stall(), idle_timeout_seconds=3)
    run_virtual(rig.call(client, body(stream=True)))
    assert (events_of(client.body)[-1]["error"]["code"], client.times[-1]) == ("upstream_timeout", 2 * store.seconds + 3)
    ended_once(rig, store)
