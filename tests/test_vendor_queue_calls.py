"""Whole calls to vendors with limits: what is asked of whom, what a wait costs, and how long a place at a vendor is held."""

from __future__ import annotations

import asyncio
from typing import Any

from aisa.admission.memory import MemoryAdmission
from aisa.background_reads import BackgroundReads
from aisa.config.limits import Limits, VendorRates
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.facts import CallEnded, CallQueued, VendorFailed
from aisa.ledger.wallets import Wallet
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from rig import MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, content_of, document, events_of, whole_stream

PRICES = Prices(input=1, output=2)
ONE = VendorRates(concurrency=1, queue_seconds=30)


def rig_with(limits: dict[str, VendorRates], *upstreams: ScriptedUpstream, **model: Any) -> Rig:
    """The path before vendors `a`, `b`, … with these limits; the wallet has a dollar."""
    rig = Rig(*upstreams, wallets=[Wallet("default", 10**9)], prices=PRICES)
    names = list(rig.dependencies.upstreams)
    vendors = {name: Vendor(base_url=f"http://{name}.example:9/v1") for name in names}
    settings = Model(to=tuple(f"{name}/some-model" for name in names), prices=PRICES, name_in_answers="vendor", **model)
    config = Config(vendors=vendors, models={"fast": settings}, limits=Limits(vendors=limits))
    rig.dependencies.routes = Routes(config)
    rig.dependencies.admission = MemoryAdmission(config.limits, {}, wall_clock=lambda: 1_800_000_000.0, report=rig.facts.append)
    return rig


def slow(seconds: float, *words: str) -> ScriptedUpstream:
    """A vendor whose every stream takes so long."""
    return ScriptedUpstream(Script([Stall(seconds), *whole_stream(*words)]))


async def later(seconds: float, rig: Rig, client: MemoryClient, **fields: object) -> None:
    """Make a call in so many seconds."""
    await asyncio.sleep(seconds)
    await rig.call(client, body(stream=True, **fields))


def test_a_call_waits_for_its_vendor_and_is_then_answered() -> None:
    """The vendor never has more than it allows; the log says how long who waited, and the bill is that of any call."""
    upstream = slow(5, "a", "b")
    rig, clients = rig_with({"a": ONE}, upstream), [MemoryClient() for _ in range(3)]

    async def scene() -> None:
        await asyncio.gather(*(later(number, rig, client) for number, client in enumerate(clients)))

    run_virtual(scene())
    assert [content_of(client.body) for client in clients] == ["ab"] * 3
    assert [(fact.seconds, fact.ended) for fact in rig.facts if isinstance(fact, CallQueued)] == [(4.0, "served"), (8.0, "served")]
    assert [row.outcome for row in rig.rows] == ["completed"] * 3
    assert [fact.attempts for fact in rig.facts if isinstance(fact, CallEnded)] == [1, 1, 1]


def test_a_waiting_call_holds_its_money_and_is_billed_nothing_if_it_ends_there() -> None:
    """Refused after the wait it has a row that says why, at no cost, and what it held is back."""
    rig, first, second = rig_with({"a": VendorRates(concurrency=1, queue_seconds=4)}, slow(50, "a")), MemoryClient(), MemoryClient()
    wallet = rig.ledger.wallets["default"]

    async def scene() -> None:
        one = asyncio.create_task(rig.call(first, body(stream=True)))
        await asyncio.sleep(1)
        alone = wallet.held
        two = asyncio.create_task(rig.call(second, body(stream=True)))
        await asyncio.sleep(1)
        assert wallet.held == 2 * alone > 0
        await two
        assert wallet.held == alone
        first.leave()
        await one

    run_virtual(scene())
    assert (second.status, second.headers["x-should-retry"]) == (429, "true")
    assert int(second.headers["retry-after"]) >= 1
    row = next(row for row in rig.rows if row.id == "req_2")
    assert (row.outcome, row.error_code, row.cost) == ("failed", "upstream_rate_limit", 0)
    ended = next(fact for fact in rig.facts if isinstance(fact, CallEnded) and fact.request_id == "req_2")
    assert (ended.attempts, ended.target, ended.blame) == (0, "", "vendor")


def test_a_client_that_leaves_the_line_is_billed_nothing_and_no_vendor_hears_of_it() -> None:
    """Its place goes to the next at once."""
    upstream = slow(5, "a")
    rig, first, second, third = rig_with({"a": ONE}, upstream), MemoryClient(), MemoryClient(), MemoryClient()

    async def scene() -> None:
        calls = [asyncio.create_task(rig.call(client, body(stream=True))) for client in (first, second, third)]
        await asyncio.sleep(2)
        second.leave()
        await asyncio.gather(*calls)
        assert asyncio.get_running_loop().time() == 10.0

    run_virtual(scene())
    assert len(upstream.requests) == 2
    row = next(row for row in rig.rows if row.id == "req_2")
    assert (row.outcome, row.cost) == ("client_gone", 0)
    assert rig.ledger.wallets["default"].held == 0


def test_a_long_wait_keeps_the_client_s_connection_alive() -> None:
    """The head leaves after its usual time, with comments; in vain ends the stream with an error event that says what to do."""
    rig = rig_with({"a": VendorRates(concurrency=1, queue_seconds=40)}, slow(50, "a"))
    client = MemoryClient()

    async def scene() -> None:
        one = asyncio.create_task(rig.call(MemoryClient(), body(stream=True)))
        await asyncio.sleep(1)
        await rig.call(client, body(stream=True))
        await one

    run_virtual(scene())
    assert client.status == 200
    assert client.body.startswith(b":")
    assert events_of(client.body)[-1]["error"]["code"] == "upstream_rate_limit"
    assert b"[DONE]" not in client.body


def test_a_fall_back_goes_to_a_target_with_room_and_frees_the_place_of_the_one_that_failed() -> None:
    """What has failed is not at its vendor any more, and full targets come after those with room."""
    failing, full, free = ScriptedUpstream(Script(refuses=True)), slow(20, "full"), slow(0, "free")
    rig = rig_with({"a": ONE, "b": ONE}, failing, full, free)

    async def scene() -> MemoryClient:
        first, second = MemoryClient(), MemoryClient()
        busy = asyncio.create_task(rig.call(first, body(stream=True)))
        await asyncio.sleep(1)
        await rig.call(second, body(stream=True))
        assert asyncio.get_running_loop().time() == 1.0
        await busy
        return second

    second = run_virtual(scene())
    assert content_of(second.body) == "free"
    assert [fact.vendor for fact in rig.facts if isinstance(fact, VendorFailed)] == ["a", "a"]
    admission = rig.dependencies.admission
    assert isinstance(admission, MemoryAdmission)
    assert all(cap.in_flight == 0 for _, cap in admission.queue.caps.named())


def test_a_fall_back_to_a_full_target_waits_for_it() -> None:
    """The call has had no answer yet, so it may wait as any other."""
    failing, full = ScriptedUpstream(Script(refuses=True)), slow(20, "full")
    rig = rig_with({"b": ONE}, failing, full)

    async def scene() -> str:
        first, second = MemoryClient(), MemoryClient()
        await asyncio.gather(rig.call(first, body(stream=True)), later(1, rig, second))
        return content_of(second.body)

    assert run_virtual(scene()) == "full"
    assert [(fact.seconds, fact.ended) for fact in rig.facts if isinstance(fact, CallQueued)] == [(19.0, "served")]


def test_a_place_is_held_for_as_long_as_the_vendor_is_at_work_for_us() -> None:
    """An answer that is read on behind a client that has left still is in flight there."""
    upstream = ScriptedUpstream(Script([*whole_stream("a", "b", "c")[:3], Stall(10), *whole_stream("a", "b", "c")[3:]]))
    rig, first, second = rig_with({"a": ONE}, upstream), MemoryClient(), MemoryClient()
    rig.dependencies.background_reads = BackgroundReads(["a"], reads_max=5, seconds_max=60.0)

    async def scene() -> float:
        one = asyncio.create_task(rig.call(first, body(stream=True)))
        await asyncio.sleep(1)
        first.leave()
        await one
        assert upstream.open == 1
        await rig.call(second, body(stream=True))
        return asyncio.get_running_loop().time()

    assert run_virtual(scene()) == 21.0, "the first pause begins anew when its reader changes, at 1 s; then come the 10 s of the second"


def test_a_document_waits_too_and_gives_its_place_back() -> None:
    """It has no stream that could keep it alive, and needs none."""
    upstream = ScriptedUpstream(Script([Stall(3), document()]))
    rig, clients = rig_with({"a": ONE}, upstream), [MemoryClient(), MemoryClient()]

    async def scene() -> float:
        await asyncio.gather(*(rig.call(client, body()) for client in clients))
        return asyncio.get_running_loop().time()

    assert run_virtual(scene()) == 6.0
    assert [client.status for client in clients] == [200, 200]
