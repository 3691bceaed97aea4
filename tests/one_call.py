"""One priced call through the path with a scripted vendor, and the row it leaves. Not a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aisa.background_reads import REPORT_SECONDS_MAX
from aisa.config.schema import Prices
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body

Steps = Sequence[bytes | Stall | Break]
During = Callable[[Rig, MemoryClient], object]

#: A dollar per million tokens of input, two per million of output: 1,000 and 2,000 nano-dollars a token.
PRICES = Prices(input=1, output=2)
IN, OUT = 1_000, 2_000
INPUT = 1  # token that the request is taken for where no vendor says it: four bytes of "Hi.", rounded up
WORDS = [f"word{number} " for number in range(10)]
FOR_EVER = Stall(float("inf"))


def made(
    steps: Steps,
    client: MemoryClient | None = None,
    *,
    stream: bool = True,
    wallet: Wallet | None = None,
    during: During | None = None,
    prices: Prices = PRICES,
    **fields: object,
) -> tuple[MemoryClient, Rig]:
    """Make one priced call; `during` is done to it after a second. Returns its client and the rig."""
    client = client or MemoryClient()
    rig = Rig(ScriptedUpstream(Script(steps)), prices=prices, wallets=[wallet] if wallet else [])

    async def main() -> None:
        if during is not None:
            asyncio.get_running_loop().call_later(1, during, rig, client)
        await rig.call(client, body(stream=stream, **fields))
        await asyncio.sleep(2 * REPORT_SECONDS_MAX)  # what may still be read of the vendor

    run_virtual(main())
    assert not rig.ledger.calls, "a call stays in the ledger only until its row is written"
    return client, rig


def row_of(rig: Rig) -> CallRow:
    """Return the one row that the call left."""
    [row] = rig.rows
    return row


def leaves(_rig: Rig, client: MemoryClient) -> None:
    """Have the client leave."""
    client.leave()


def bytes_of(events: Sequence[bytes]) -> int:
    """Return how many bytes events have."""
    return sum(map(len, events))
