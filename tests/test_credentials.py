"""What proves our requests: where a key goes, and how a token that expires is renewed under load. In virtual time, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from aisa.config.schema import Config, Vendor
from aisa.credentials.expiring import Expiring, Token
from aisa.credentials.renewal import AHEAD_SECONDS_MAX, AHEAD_SHARE, FETCH_SECONDS_MAX, RETRY_SECONDS, CredentialFailed
from aisa.credentials.rules import Proof
from aisa.errors import UpstreamFailed
from aisa.http.pool import HttpUpstream
from aisa.testing.clock import run_virtual
from aisa.vendor_targets import vendor_target
from http_client_rig import OK, Connection, FakeVendor, call, cancelled, post

ASKED = post()


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


class Issuer:
    """A token service that gives `t1`, `t2`, … that hold `life` seconds, each after `seconds`; what stands in `failure` fails instead."""

    def __init__(self, life: float = 100.0, seconds: float = 0.0) -> None:
        self.life = life
        self.seconds = seconds
        self.failure: Exception | None = None
        self.fetches: list[float] = []
        self.expires: dict[str, float] = {}

    async def __call__(self) -> Token:
        """Issue the next token."""
        began = now()
        self.fetches.append(began)
        await asyncio.sleep(self.seconds)
        if self.failure is not None:
            raise self.failure
        name = f"t{len(self.fetches)}"
        self.expires[name] = began + self.life
        return Token(Proof(headers=(("authorization", f"Bearer {name}"),)), self.life)


def name_of(proof: Proof | None) -> str | None:
    """Return the token in a proof."""
    return None if proof is None else proof.headers[0][1].removeprefix("Bearer ")


def test_a_token_that_expires_in_mid_load_is_renewed_without_a_failed_call() -> None:
    """A vendor that answers 401 to an expired token answers 1,000 calls with 200; after the first none waits for a token."""

    async def scenario() -> None:
        issuer = Issuer(life=60, seconds=5)

        async def script(connection: Connection) -> None:
            while True:
                head, _ = await connection.request()
                token = head.partition(b"authorization: Bearer ")[2].partition(b"\r\n")[0].decode()
                connection.send(OK if now() < issuer.expires[token] else b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n")

        async with FakeVendor(script).serving() as fake:
            settings = Vendor(base_url=f"http://127.0.0.1:{fake.port}/v1")
            upstream = HttpUpstream("local", settings, {}, credential=Expiring("local", issuer))
            waits = []
            for _ in range(1_000):
                began = now()
                assert await call(upstream) == (200, b"ok")
                waits.append(now() - began)
                await asyncio.sleep(0.5)
            assert waits[0] == pytest.approx(5)
            assert max(waits[1:]) < 0.1
            assert len(issuer.fetches) == pytest.approx(500 / (60 * (1 - AHEAD_SHARE)), abs=1.5)
            await upstream.close()

    run_virtual(scenario())


def test_all_who_need_a_token_wait_for_one_fetch() -> None:
    """A hundred calls at once, before there is any token and after the last has expired, are two fetches; one who leaves ends neither."""

    async def scenario() -> None:
        issuer = Issuer(life=10, seconds=2)
        credential = Expiring("v", issuer)
        for name in ("t1", "t2"):
            first = asyncio.create_task(credential.fetch(ASKED))
            await asyncio.sleep(0)
            others = [asyncio.create_task(credential.fetch(ASKED)) for _ in range(100)]
            await asyncio.sleep(1)
            await cancelled(first)
            assert {name_of(proof) for proof in await asyncio.gather(*others)} == {name}
            await asyncio.sleep(20)
        assert len(issuer.fetches) == 2

    run_virtual(scenario())


@pytest.mark.parametrize(("life", "ahead"), [(100, 20), (86_400, AHEAD_SECONDS_MAX)])
def test_the_next_token_is_fetched_ahead_and_the_old_one_serves_meanwhile(life: float, ahead: float) -> None:
    """In the last fifth of its life, five minutes at most; until the new one is there the old one is used."""

    async def scenario() -> None:
        issuer = Issuer(life=life, seconds=5)
        credential = Expiring("v", issuer)
        await credential.fetch(ASKED)
        await asyncio.sleep(life - ahead - 5 - 1)
        assert (name_of(credential.proof(ASKED, now())), len(issuer.fetches)) == ("t1", 1)
        await asyncio.sleep(1)
        for _ in range(50):
            assert name_of(credential.proof(ASKED, now())) == "t1"
            await asyncio.sleep(0.09)
        await asyncio.sleep(1)
        assert (name_of(credential.proof(ASKED, now())), len(issuer.fetches)) == ("t2", 2)

    run_virtual(scenario())


@pytest.mark.parametrize("failure", [CredentialFailed("the service said 500"), ConnectionRefusedError("refused"), None])
def test_a_failure_to_renew_costs_nothing_until_the_token_truly_expires(failure: Exception | None) -> None:
    """Refused, failed or silent: the old token is used to its last second, then calls fail as the operator's fault, then all is well."""

    async def scenario() -> None:
        issuer = Issuer(life=100)
        credential = Expiring("v", issuer)
        await credential.fetch(ASKED)
        issuer.failure, issuer.seconds = failure, 0 if failure else 1_000
        await asyncio.sleep(80)
        while now() < 100:
            assert name_of(credential.proof(ASKED, now())) == "t1"
            await asyncio.sleep(0.25)
        attempts = len(issuer.fetches) - 1
        assert 1 <= attempts <= 20 / RETRY_SECONDS + 1
        assert credential.proof(ASKED, now()) is None
        with pytest.raises(UpstreamFailed) as failed:
            await credential.fetch(ASKED)
        assert (failed.value.error.code, failed.value.loud, failed.value.may_fall_back) == ("upstream_unavailable", True, True)
        assert str(failure or f"within {FETCH_SECONDS_MAX:g} s") in failed.value.detail
        issuer.failure, issuer.seconds = None, 0
        await asyncio.sleep(FETCH_SECONDS_MAX + RETRY_SECONDS)
        assert name_of(await credential.fetch(ASKED)) == f"t{len(issuer.fetches)}"

    run_virtual(scenario())


def test_a_service_that_is_down_is_not_asked_by_every_call() -> None:
    """A thousand calls in ten seconds make two attempts."""

    async def scenario() -> None:
        issuer = Issuer()
        issuer.failure = CredentialFailed("down")
        credential = Expiring("v", issuer)
        for _ in range(1_000):
            with pytest.raises(UpstreamFailed):
                await credential.fetch(ASKED)
            await asyncio.sleep(0.01)
        assert len(issuer.fetches) == 2

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("settings", "line", "header"),
    [
        ({}, b"POST /v1/chat/completions HTTP/1.1", b""),
        ({"api_key": "k y"}, b"POST /v1/chat/completions HTTP/1.1", b"authorization: Bearer k y\r\n"),
        ({"api_key": "k", "api_key_as": "header:X-Api-Key"}, b"POST /v1/chat/completions HTTP/1.1", b"x-api-key: k\r\n"),
        ({"api_key": "k&y", "api_key_as": "query:key"}, b"POST /v1/chat/completions?key=k%26y HTTP/1.1", b""),
        ({"api_key": "k", "api_key_as": "query:key", "query": {"v": "1"}}, b"POST /v1/chat/completions?v=1&key=k HTTP/1.1", b""),
        ({"api_key": "k", "headers": {"Authorization": "Other"}}, b"POST /v1/chat/completions HTTP/1.1", b"authorization: Other\r\n"),
    ],
)
def test_a_key_goes_where_the_vendor_looks_for_it_and_routing_knows_nothing_of_it(
    settings: dict[str, str], line: bytes, header: bytes
) -> None:
    """Once, in a header or in the query; what the operator says in `headers` of the same one counts instead."""

    async def scenario() -> None:
        heads: list[bytes] = []

        async def script(connection: Connection) -> None:
            head, _ = await connection.request()
            heads.append(head)
            connection.send(OK)

        async with FakeVendor(script).serving() as fake:
            vendor = Vendor(base_url=f"http://127.0.0.1:{fake.port}/v1", **settings)
            upstream = HttpUpstream("v", vendor, {})
            target = vendor_target("v", Config(vendors={"v": vendor}))
            (await upstream.ask(post(headers=target.headers))).close()
            first, _, rest = heads[0].partition(b"\r\n")
            assert first == line
            assert header in rest
            assert rest.count(b"authorization: ") + rest.count(b"x-api-key: ") == (header != b"")
            assert not {"k", "k y", "Bearer k"} & {value for _, value in target.headers}
            await upstream.close()

    run_virtual(scenario())
