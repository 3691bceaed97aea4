"""Small worlds of calls that are asked again: by an Idempotency-Key, and by clients that count their tries, kept answers and all.

What each try is to cost is computed by docs/billing.md alone, "Asking again".
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aisa.background_reads import REPORT_SECONDS_MAX
from aisa.call import Call
from aisa.config.schema import Prices
from aisa.edge.idempotency import IdempotencyStore, relay_idempotent
from aisa.edge.retries import Retries, relay_retried
from aisa.errors import ApiError
from aisa.health import Health
from aisa.ledger.audit import differences_of
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from bill_truth import price_lists, rounded
from repeats import repeats
from rig import MemoryClient, Script, ScriptedUpstream, body
from test_bill_worlds import MOMENT, Planned, expected, plans, steps_of, world_of

TYPES = {False: {"content-type": "application/json"}, True: {"content-type": "text/event-stream"}}
BALANCE = 10**15  # nano-dollars: nothing is refused for want of money
ONCE, COUNTED = "Idempotency-Key", "x-stainless-retry-count"
ORDERS_MAX, TRIES_MAX = 4, 4


@dataclass
class Order:
    """A request that is sent several times, and in which way its client says so; each try has a client of its own."""

    way: str
    plan: Planned
    tries: list[MemoryClient]


@st.composite
def orders(draw: st.DrawFn, targets: int) -> Order:
    """An order whose clients mostly lose their answers."""
    plan = draw(plans(targets))
    tries: list[MemoryClient] = []
    for _ in range(draw(st.integers(2, TRIES_MAX))):
        leaves = draw(st.one_of(st.none(), st.integers(1, plan.words + 3)))
        tries.append(leaving(leaves, stream=plan.stream))
    return Order(draw(st.sampled_from([ONCE, COUNTED])), plan, tries)


def leaving(leaves: int | None, *, stream: bool) -> MemoryClient:
    """A client that stays, or leaves after so much."""
    if leaves is None:
        return MemoryClient()
    return MemoryClient(leaves_after=leaves) if stream else MemoryClient(takes_bytes_max=10 * leaves)


def in_every_world(targets: int) -> list[Order]:
    """Orders that chance need not draw: a document that is lost and had again in both ways, a stream that is asked for twice."""
    lost = [[leaving(1, stream=False), MemoryClient(), MemoryClient()] for _ in range(2)]
    plan = Planned(False, targets - 1, 9, None, None, MemoryClient())
    streams = [Order(way, replace(plan, stream=True), [leaving(3, stream=True), MemoryClient()]) for way in (ONCE, COUNTED)]
    return [Order(way, plan, tries) for way, tries in zip((ONCE, COUNTED), lost, strict=True)] + streams


class Shop:
    """A rig that takes orders, and what is seen of each try: its rows, how often vendors were asked, the error if it was refused."""

    def __init__(self, each: list[Prices], wallet: Wallet) -> None:
        self.rig = world_of(each, wallet, 1)
        self.rig.ledger.wall_clock = lambda: MOMENT
        self.retries, self.idempotency = Retries(), IdempotencyStore(lambda: MOMENT)
        self._calls = 0

    async def make(self, order: Order, number: int, key: str) -> tuple[list[CallRow], int, str]:
        """Make one try of an order."""
        rig, plan, client = self.rig, order.plan, order.tries[number]
        targets = len(rig.dependencies.routes.find("fast").offers)
        scripts = [*[Script(refuses=True)] * plan.fails, Script(steps_of(plan), headers=TYPES[plan.stream])]
        vendors = {name: ScriptedUpstream(*scripts[at : at + 1]) for at, name in enumerate("abc"[:targets])}
        rig.dependencies.upstreams, rig.dependencies.health = dict(vendors), Health()
        before, self._calls = len(rig.rows), self._calls + 1
        call = self._call(f"req_{self._calls}", body(stream=plan.stream, user=key))
        code = ""
        try:
            await asyncio.gather(self._carried(order.way, number, key, call=call, client=client))
        except ApiError as refusal:
            code = refusal.code
        await asyncio.sleep(2 * REPORT_SECONDS_MAX)  # what may still be read of the vendor
        rows = rig.rows[before:]
        for row in rows:
            self.idempotency.final(row)
        return rows, sum(len(vendor.requests) for vendor in vendors.values()), code

    def _call(self, name: str, asked: bytes) -> Call:
        began = asyncio.get_running_loop().time()
        return Call(id=name, key=self.rig.key, body=asked, created=1, began=began, headers=[("x-request-id", name)], door=CHAT_DOOR)

    async def _carried(self, way: str, number: int, key: str, *, call: Call, client: MemoryClient) -> None:
        client.task = asyncio.current_task()
        if way == ONCE:
            await relay_idempotent(call, key, client, dependencies=self.rig.dependencies, idempotency=self.idempotency)
        else:
            await relay_retried(call, str(number), client, dependencies=self.rig.dependencies, retries=self.retries)


def test_in_every_world_what_is_asked_again_costs_what_the_documentation_says() -> None:
    """[fault M3] Once by an Idempotency-Key, but for what cost nothing; each try of a client that counts them, a lost document once.

    A kept document is asked of no vendor, and costs what it would have cost its first client. The wallet has what it had but for the bills.
    """
    seen: Counter[str] = Counter()

    @settings(max_examples=repeats(40), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(st.data())
    def world(data: st.DataObject) -> None:
        each = data.draw(st.lists(price_lists(), min_size=1, max_size=2), label="prices")
        drawn = data.draw(st.lists(orders(len(each)), min_size=1, max_size=ORDERS_MAX), label="orders")
        wallet = Wallet("default", BALANCE)
        spent = run_virtual(served(Shop(each, wallet), each, [*drawn, *in_every_world(len(each))], seen))
        assert (wallet.balance, wallet.held) == (BALANCE - spent, 0)

    world()
    assert {"had again", "asked again", "replayed", "told that it is done", "free, and asked again"} <= set(seen), seen


async def served(shop: Shop, each: list[Prices], placed: list[Order], seen: Counter[str]) -> int:
    """Make all tries of all orders, one after the other, hold each against the documentation, and return what they cost in all."""
    spent = 0
    for place, order in enumerate(placed):
        paid = kept = False  # there is a bill for the order; its document is kept for the next try
        for number, client in enumerate(order.tries):
            rows, asked, code = await shop.make(order, number, f"order-{place}")
            if order.way == ONCE and paid:
                assert (rows, asked) == ([], 0)
                assert (code == "request_already_completed") is order.plan.stream
                assert order.plan.stream or client.headers["idempotent-replayed"] == "true"
                seen["told that it is done" if order.plan.stream else "replayed"] += 1
                continue
            [row] = rows
            assert list(differences_of(row)) == []
            assert row.cost == rounded(expected(replace(order.plan, client=client), each)), (order, number, row)
            assert asked == (0 if kept else min(order.plan.fails + 1, len(each)))
            seen["had again" if kept else "asked again" if number else "first"] += 1
            seen["free, and asked again"] += order.way == ONCE and number > 0
            lost = not order.plan.stream and order.plan.fails < len(each) and row.outcome == "client_gone"
            paid = row.outcome == "completed" or row.billed.input_tokens > 0  # at a price of nothing too
            kept = order.way == COUNTED and lost
            spent += row.cost
    return spent
