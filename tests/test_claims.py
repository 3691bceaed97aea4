"""What workers ask of their office and do not wait for any longer: an Idempotency-Key, and what is kept for a client's next try."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import msgspec
import pytest

from aisa.edge.idempotency import Answer, IdempotencyStore
from aisa.edge.retries import Kept
from aisa.errors import ApiError
from aisa.testing.clock import run_virtual
from aisa.workers.claims import Claims
from aisa.workers.crew import Worker
from aisa.workers.desk import RetriesByLink
from aisa.workers.link import Link
from aisa.workers.messages import Claim, Message, RetryKept

MARK = "0123456789abcdef0123456789abcdef:fedcba9876543210"
KEPT = Kept("vendor/model", {"content-type": "application/json"}, b"{}", 60.0)


class Slow(IdempotencyStore):
    """Uses that are decided when `decided` is set, as where a database is asked."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.decided = asyncio.Event()

    async def claim(self, mark: str, call_id: str) -> Answer | None:
        """Decide."""
        await self.decided.wait()
        return self.begin(mark, call_id)


def leave(claims: Claims, worker: Worker) -> None:
    """Have the call's client leave."""
    claims.forget(worker, MARK, "req_1")


@pytest.mark.parametrize("go", [leave, Claims.leave], ids=["its client leaves", "its worker dies"])
def test_who_has_gone_before_his_claim_was_decided_keeps_nobody_from_the_key(go: Callable[[Claims, Worker], None]) -> None:
    """[issue 13] It was forgotten first and claimed then, so every repeat was told that the call ran, until the server was restarted."""

    async def main() -> None:
        uses, (end, other) = Slow(), socket.socketpair()
        claims = Claims(uses)
        worker = Worker(1, cast("asyncio.subprocess.Process", None), end)
        asking = asyncio.ensure_future(claims.decide(worker, Claim(MARK, "req_1")))
        await asyncio.sleep(0)
        go(claims, worker)
        uses.decided.set()
        await asking
        assert await claims.decide(worker, Claim(MARK, "req_2")) is None
        assert worker.claims == {MARK: "req_2"}
        end.close()
        other.close()

    run_virtual(main())


def test_a_repeat_that_is_refused_does_not_take_the_claim_of_the_first() -> None:
    """[issue 13] A worker forgets what was refused, and a first call that had no row yet kept its key when the worker died."""

    async def main() -> None:
        uses, (end, other) = IdempotencyStore(lambda: 0.0), socket.socketpair()
        claims = Claims(uses)
        worker = Worker(1, cast("asyncio.subprocess.Process", None), end)
        assert await claims.decide(worker, Claim(MARK, "req_1")) is None
        with pytest.raises(ApiError, match="is running"):
            await claims.decide(worker, Claim(MARK, "req_2"))
        claims.forget(worker, MARK, "req_2")
        claims.leave(worker)
        assert await claims.decide(worker, Claim(MARK, "req_3")) is None
        end.close()
        other.close()

    run_virtual(main())


def test_a_document_whose_next_try_leaves_before_it_has_it_is_there_for_the_one_after() -> None:
    """[issue 13] The office had given it away, and the client's third try asked the vendor a second time, for money."""

    async def main() -> None:
        heard, asked, told = asyncio.Queue[Message](), asyncio.Event(), asyncio.Event()

        async def answer(_what: str, _body: bytes) -> bytes:
            asked.set()
            await told.wait()
            return msgspec.msgpack.encode(KEPT)

        async def nothing(_what: str, _body: bytes) -> bytes:
            return b""

        here, there = socket.socketpair()
        office = await Link.on(there, heard.put_nowait, answer, ended=lambda: None)
        worker = await Link.on(here, heard.put_nowait, nothing, ended=lambda: None)
        claiming = asyncio.ensure_future(RetriesByLink(worker, on=True).claim(MARK, 0.0))
        await asked.wait()
        claiming.cancel()
        told.set()
        assert await heard.get() == RetryKept(MARK, KEPT)
        assert claiming.cancelled()
        for link in (office, worker):
            link.close()

    run_virtual(main())
