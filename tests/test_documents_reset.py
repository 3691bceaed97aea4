"""Documents whose clients reset the connection (fault M3): free once, and not again for the same key."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest

from aisa.admission.memory import MemoryAdmission
from aisa.config.limits import Limits
from aisa.document import HELD_BACK_BYTES, QUIET_SECONDS_MAX, DocumentDelivery
from aisa.errors import ApiError
from aisa.facts import DocumentLost
from aisa.http.server import tls_context
from aisa.resets import KEYS_MAX, Resets
from aisa.testing.clock import run_virtual
from aisa.wire.port import SERVER_CLOSES
from faults_rig import gateway, on_uvloop, plain, post, says, until
from http_server_rig import pem
from one_call import IN, OUT, PRICES
from rig import MemoryClient, Rig, Script, ScriptedUpstream, body, document, whole_stream

__all__ = ["pem"]

TIMES = 6
COST = 9 * IN + 3 * OUT


def call(rig: Rig, client: MemoryClient) -> MemoryClient:
    """Have a document answered."""

    async def main() -> None:
        await rig.call(client, body())

    run_virtual(main())
    return client


def rig_of(documents: int) -> Rig:
    """A vendor of so many documents."""
    return Rig(ScriptedUpstream(*[Script([document()])] * documents), prices=PRICES)


WHOLE = len(call(rig_of(1), MemoryClient()).body)


@pytest.mark.parametrize(("missing", "cost"), [(0, COST), (1, COST), (HELD_BACK_BYTES, COST), (17, 0), (WHOLE, 0)])
def test_a_document_counts_when_all_but_its_last_sixteen_bytes_are_acknowledged(missing: int, cost: int) -> None:
    """One byte less, and it is free; that is remembered of the key and told."""
    rig = rig_of(1)
    call(rig, MemoryClient(takes_bytes_max=WHOLE - missing))
    [row] = rig.rows
    assert (row.cost, row.outcome) == (cost, "completed" if cost else "client_gone")
    lost = [fact for fact in rig.facts if isinstance(fact, DocumentLost)]
    assert [(fact.key_id, fact.count) for fact in lost] == ([] if cost else [("key_1", 1)])


def test_a_document_to_a_key_that_has_not_reset_is_one_write() -> None:
    """Everybody else sees no delay."""
    client = call(rig_of(1), MemoryClient())
    assert len(client.writes) == 1


def test_a_key_that_has_reset_gets_the_end_when_its_system_has_the_rest() -> None:
    """Byte for byte the same document, in two writes, with its length in the head."""
    rig = rig_of(2)
    call(rig, MemoryClient(takes_bytes_max=10))
    client = call(rig, MemoryClient())
    assert [len(data) for data in client.writes] == [WHOLE - HELD_BACK_BYTES, HELD_BACK_BYTES]
    assert (client.length, json.loads(client.body)["usage"]["completion_tokens"]) == (WHOLE, 3)
    assert [row.cost for row in rig.rows] == [0, COST]


class QuietClient(MemoryClient):
    """A client whose system acknowledges so many bytes each tenth of a second, and tells nobody of the last."""

    def __init__(self, pace: int) -> None:
        super().__init__()
        self.pace = pace

    def bytes_delivered(self) -> int:
        """What it has by now."""
        return min(self.bytes_written, int(asyncio.get_running_loop().time() * 10) * self.pace)

    def tell_delivery(self, tell: Any) -> None:
        """Never."""


@pytest.mark.parametrize(("pace", "seconds"), [(0, QUIET_SECONDS_MAX), (100, 1.0)])
def test_the_end_is_not_held_back_longer_than_a_client_is_quiet(pace: int, seconds: float) -> None:
    """A system that acknowledges nothing for 0.2 s gets it all the same, one that takes its time is waited for."""

    async def main() -> float:
        client = QuietClient(pace)
        client.start(200, [], 516)
        began = asyncio.get_running_loop().time()
        last = await DocumentDelivery(client).all_but_the_end(b"x" * 500 + b"0123456789abcdef")
        assert (client.writes, last) == ([b"x" * 500], b"0123456789abcdef")
        return asyncio.get_running_loop().time() - began

    assert run_virtual(main()) == pytest.approx(seconds, abs=0.25)


class LeavingClient(QuietClient):
    """A client whose system has acknowledged so many bytes when it leaves."""

    def bytes_delivered(self) -> int:
        """What it has."""
        return self.pace

    def tell_delivery(self, tell: Any) -> None:
        """Once it has left."""
        if self.gone:
            tell(False)


@pytest.mark.parametrize(("missing", "cost"), [(HELD_BACK_BYTES, COST), (HELD_BACK_BYTES + 1, 0)])
def test_a_client_that_leaves_while_its_end_is_held_back_pays_if_it_has_the_rest(missing: int, cost: int) -> None:
    """[fault M3] The wait is cancelled as every wait for a client is; what counts is what its system has. Who loses one more is counted."""
    rig = rig_of(1)
    rig.dependencies.resets.note("key_1")
    client = LeavingClient(WHOLE - missing)

    async def main() -> None:
        asyncio.get_running_loop().call_later(QUIET_SECONDS_MAX / 2, client.leave)
        await rig.call(client, body())

    run_virtual(main())
    [row] = rig.rows
    assert (row.cost, len(client.body)) == (cost, WHOLE - HELD_BACK_BYTES)
    assert [fact.count for fact in rig.facts if isinstance(fact, DocumentLost)] == ([] if cost else [2])


def test_a_server_that_stops_sends_the_end_at_once() -> None:
    """Instead of an error in the middle of a document."""
    rig = rig_of(1)
    rig.dependencies.resets.note("key_1")
    client = QuietClient(1)

    def stop() -> None:
        client.interrupt(SERVER_CLOSES)

    async def main() -> None:
        asyncio.get_running_loop().call_later(QUIET_SECONDS_MAX / 2, stop)
        await rig.call(client, body())

    run_virtual(main())
    assert json.loads(client.body)["usage"]["completion_tokens"] == 3


def test_resets_are_counted_per_key_within_a_bound() -> None:
    """The key that was quiet longest is forgotten."""
    resets = Resets()
    assert [resets.count("a"), resets.note("a"), resets.note("a"), resets.count("b")] == [0, 1, 2, 0]
    for number in range(KEYS_MAX - 1):
        resets.note(f"key_{number}")
    assert resets.note("a") == 3
    resets.note("one more")
    assert (resets.count("a"), resets.count("key_0"), len(resets._counts)) == (3, 0, KEYS_MAX)


def test_a_key_may_be_limited_in_the_documents_that_its_clients_lose_in_an_hour() -> None:
    """[fault M3] The third is not sent after two that were lost, a stream is; the refusal says until when, and then it is sent again."""
    documents = [Script([document()])] * 2
    rig = Rig(ScriptedUpstream(*documents, Script(whole_stream("Hello.")), *documents), prices=PRICES)
    rig.dependencies.admission = MemoryAdmission(
        Limits(lost_documents_per_hour=2), {}, wall_clock=lambda: 0.0, resets=rig.dependencies.resets
    )

    async def main() -> None:
        for _ in range(2):
            await rig.call(MemoryClient(takes_bytes_max=10), body())
            await asyncio.sleep(600)
        refused = MemoryClient()
        await rig.call(refused, body())
        error = json.loads(refused.body)["error"]
        assert (refused.status, error["code"]) == (429, "rate_limit_exceeded")
        assert error["message"].startswith("2 documents of this key were sent within an hour whose client closed the connection before")
        await rig.call(MemoryClient(), body(stream=True))
        await asyncio.sleep(2_400)
        client = MemoryClient()
        await rig.call(client, body())
        assert client.status == 200

    run_virtual(main())
    assert [row.cost > 0 for row in rig.rows] == [False, False, True, True]
    assert not rig.ledger.calls or all(charge.row is not None for charge in rig.ledger.calls.values())


def test_resets_within_an_hour_are_kept_up_to_the_limit() -> None:
    """[fault M3] Of a key that is forgotten nothing is kept, a limit that is lowered or taken away holds at once."""
    resets = Resets()
    resets.limit = 2
    for number in range(5):
        resets.note("a", float(number))
    resets.allow("b", 5.0)
    with pytest.raises(ApiError) as refused:
        resets.allow("a", 5.0)
    assert (refused.value.wait, refused.value.retry_after) == (3_598.0, 60)
    resets.allow("a", 3_603.0)
    resets.limit = 1
    with pytest.raises(ApiError, match="1 document of this key was sent"):
        resets.allow("a", 3_603.0)
    resets.limit = 3
    resets.allow("a", 5.0)
    resets.limit = None
    resets.allow("a", 5.0)
    resets.limit = 1
    for number in range(KEYS_MAX):
        resets.note(f"key_{number}", 5.0)
    assert resets.count("a") == 0
    resets.allow("a", 5.0)


def read_and_reset(port: int, request: bytes, *, secure: bool) -> None:
    """Be a client that acknowledges as late as its system lets it, reads a whole document, and resets."""
    with socket.create_connection(("127.0.0.1", port)) as plain_socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(plain_socket) if secure else plain_socket
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        sock.sendall(request)
        data = b""
        while not data.endswith(b"}}"):
            data += sock.recv(1 << 20)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


@pytest.mark.parametrize("size", [10, 2_000, 300_000])
@pytest.mark.parametrize("ending", [b"connection: keep-alive", b"connection: close"])
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
def test_documents_that_are_read_and_reset_are_free_once(pem: Path, size: int, ending: bytes, *, secure: bool) -> None:
    """By a real client that reads all of each document with delayed acknowledgements and resets: all but one are billed."""

    async def main() -> None:
        async with gateway(says(plain(document("x" * size))), prices=PRICES) as home:
            port = home.port
            if secure:
                _, port = await home.server.listen("127.0.0.1", 0, tls_context(str(pem), str(pem)))
            request = post(body()).replace(b"\r\n", b"\r\n" + ending + b"\r\n", 1)
            for number in range(TIMES):
                await asyncio.to_thread(read_and_reset, port, request, secure=secure)
                await until(lambda number=number: len(home.rows) == number + 1)
            costs = [row.cost for row in home.rows]
            assert costs.count(COST) >= TIMES - 1, costs
            assert costs.count(0) == TIMES - costs.count(COST)

    on_uvloop(main())
