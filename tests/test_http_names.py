"""Where vendors' names lead: who waits for a look-up, what is remembered, and what a dead name server may cost. In virtual time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest
import uvloop

from aisa.config.schema import Vendor
from aisa.errors import Unreachable, UpstreamFailed
from aisa.http.names import (
    ADDRESSES_MAX,
    FAILED_SECONDS,
    FRESH_SECONDS,
    LOOK_UPS_MAX,
    REFRESH_WAIT_SECONDS,
    STALE_RETRY_SECONDS,
    STALE_SECONDS_MAX,
    Names,
    system_addresses,
)
from aisa.http.pool import HttpUpstream
from aisa.testing.clock import run_virtual
from http_client_rig import OK, FakeVendor, answering, call, cancelled

AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
NO_SUCH_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class Scripted:
    """A resolver that answers each host as told: addresses or a failure, after some seconds. Keeps the look-ups in order."""

    def __init__(self, **answers: Sequence[str] | Exception) -> None:
        self.answers: dict[str, Sequence[str] | Exception] = dict(answers)
        self.seconds: dict[str, float] = {}
        self.asked: list[str] = []
        self.running = self.most_running = 0

    async def __call__(self, host: str) -> Sequence[str]:
        """Look a host up."""
        self.asked.append(host)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(self.seconds.get(host, 0))
        self.running -= 1
        answer = self.answers[host]
        if isinstance(answer, Exception):
            raise answer
        return answer


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


def test_a_hundred_callers_of_a_name_share_one_look_up() -> None:
    """[fault S4] While a look-up is under way nobody begins another of the same name, and all get its answer."""

    async def scenario() -> None:
        resolve = Scripted(a=["192.0.2.1", "192.0.2.2", "192.0.2.1"])
        resolve.seconds["a"] = 3
        names = Names(resolve)
        found = await asyncio.gather(*[names.addresses("a") for _ in range(100)])
        assert (set(found), resolve.asked, now()) == ({("192.0.2.1", "192.0.2.2")}, ["a"], 3)

    run_virtual(scenario())


def test_a_name_whose_server_is_dead_keeps_no_other_name_waiting() -> None:
    """[fault S4] A thousand callers of names that hang, and another name is answered at once, before and after they have left."""

    async def scenario() -> None:
        hanging = [f"hang{number}" for number in range(LOOK_UPS_MAX - 1)]
        resolve = Scripted(good=["192.0.2.1"], better=["192.0.2.2"], **dict.fromkeys(hanging, AGAIN))
        resolve.seconds = dict.fromkeys(hanging, 1_000)
        names = Names(resolve)
        stuck = [asyncio.create_task(names.addresses(hanging[number % len(hanging)])) for number in range(1_000)]
        await asyncio.sleep(1)
        assert (await names.addresses("good"), now()) == (("192.0.2.1",), 1)
        for task in stuck:
            await cancelled(task)
        assert (await names.addresses("better"), now()) == (("192.0.2.2",), 1)
        assert resolve.most_running == LOOK_UPS_MAX

    run_virtual(scenario())


def test_look_ups_at_once_are_bounded_and_the_next_takes_the_first_free_place() -> None:
    """One name more than there are places waits for one of them, and is then answered."""

    async def scenario() -> None:
        hosts = [f"host{number}" for number in range(LOOK_UPS_MAX + 1)]
        resolve = Scripted(**dict.fromkeys(hosts, ("192.0.2.1",)))
        resolve.seconds = dict.fromkeys(hosts, 7)
        names = Names(resolve)
        await asyncio.gather(*map(names.addresses, hosts))
        assert (resolve.most_running, now()) == (LOOK_UPS_MAX, 14)

    run_virtual(scenario())


def test_a_look_up_outlives_the_call_that_began_it() -> None:
    """A caller who leaves after a second ends nothing: who comes later finds the answer, and the name was asked for once."""

    async def scenario() -> None:
        resolve = Scripted(a=["192.0.2.1"])
        resolve.seconds["a"] = 10
        names = Names(resolve)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await names.addresses("a")
        await asyncio.sleep(9)
        assert (await names.addresses("a"), resolve.asked, now()) == (("192.0.2.1",), ["a"], 10)

    run_virtual(scenario())


def test_an_answer_is_remembered_for_its_time_and_then_asked_for_anew() -> None:
    """Within FRESH_SECONDS nobody asks again; after them the first caller gets the new addresses, and too many are cut."""

    async def scenario() -> None:
        resolve = Scripted(a=["192.0.2.1"])
        names = Names(resolve)
        await names.addresses("a")
        resolve.answers["a"] = [f"198.51.100.{number}" for number in range(200)]
        await asyncio.sleep(FRESH_SECONDS - 1)
        assert (await names.addresses("a"), len(resolve.asked)) == (("192.0.2.1",), 1)
        await asyncio.sleep(1)
        assert (await names.addresses("a"), len(resolve.asked)) == (tuple(resolve.answers["a"][:ADDRESSES_MAX]), 2)

    run_virtual(scenario())


def test_old_addresses_are_served_while_the_name_server_fails() -> None:
    """At once after a failure that comes at once, without another look-up for STALE_RETRY_SECONDS, and for a day at most."""

    async def scenario() -> None:
        resolve = Scripted(a=["192.0.2.1"])
        names = Names(resolve)
        await names.addresses("a")
        resolve.answers["a"] = AGAIN
        await asyncio.sleep(FRESH_SECONDS)
        failed_at = now()
        for seconds in (0, 1, STALE_RETRY_SECONDS - 2):
            await asyncio.sleep(seconds)
            assert (await names.addresses("a"), len(resolve.asked)) == (("192.0.2.1",), 2)
        await asyncio.sleep(1)
        assert (await names.addresses("a"), len(resolve.asked), now()) == (("192.0.2.1",), 3, failed_at + STALE_RETRY_SECONDS)
        await asyncio.sleep(STALE_SECONDS_MAX)
        with pytest.raises(OSError, match="Temporary failure"):
            await names.addresses("a")

    run_virtual(scenario())


def test_a_name_server_that_hangs_delays_one_connection_and_no_further_one() -> None:
    """The first caller waits REFRESH_WAIT_SECONDS for new addresses; all who come while the look-up hangs get the old ones at once."""

    async def scenario() -> None:
        resolve = Scripted(a=["192.0.2.1"])
        names = Names(resolve)
        await names.addresses("a")
        resolve.seconds["a"] = 40
        await asyncio.sleep(FRESH_SECONDS)
        began = now()
        for _ in range(50):
            assert await names.addresses("a") == ("192.0.2.1",)
        assert now() == pytest.approx(began + REFRESH_WAIT_SECONDS)
        resolve.answers["a"] = ["192.0.2.9"]
        await asyncio.sleep(40)
        assert (await names.addresses("a"), len(resolve.asked)) == (("192.0.2.9",), 2)

    run_virtual(scenario())


def test_a_name_that_no_longer_exists_loses_its_old_addresses() -> None:
    """The name server has answered; what it says no longer holds must not get our key."""

    async def scenario() -> None:
        resolve = Scripted(a=["192.0.2.1"])
        names = Names(resolve)
        await names.addresses("a")
        resolve.answers["a"] = NO_SUCH_NAME
        await asyncio.sleep(FRESH_SECONDS)
        with pytest.raises(OSError, match="not known"):
            await names.addresses("a")

    run_virtual(scenario())


@pytest.mark.parametrize("answer", [NO_SUCH_NAME, AGAIN, UnicodeError("label too long"), []])
def test_a_failure_is_told_again_for_a_second_and_then_asked_for_anew(answer: Sequence[str] | Exception) -> None:
    """A thousand calls to a name that is wrong start two look-ups in two seconds, not a thousand."""

    async def scenario() -> None:
        resolve = Scripted(a=answer)
        names = Names(resolve)
        for looked_up in (1, 2):
            for _ in range(500):
                with pytest.raises(OSError, match=r"\w"):
                    await names.addresses("a")
            assert len(resolve.asked) == looked_up
            await asyncio.sleep(FAILED_SECONDS)

    run_virtual(scenario())


def test_addresses_that_nobody_answers_at_are_looked_up_anew_by_the_next_call() -> None:
    """A vendor that has moved is found again before its old addresses have run out."""

    async def scenario() -> None:
        async with FakeVendor(answering(OK)).serving() as fake:
            resolve = Scripted(**{"vendor.test": ["127.0.0.3"]})
            names = Names(resolve)
            upstream = HttpUpstream("local", Vendor(base_url=f"http://vendor.test:{fake.port}"), {}, names=names)
            with pytest.raises(UpstreamFailed, match=r"vendor\.test"):
                await call(upstream)
            resolve.answers["vendor.test"] = ["127.0.0.1"]
            assert await call(upstream) == (200, b"ok")
            assert len(resolve.asked) == 2
            await upstream.close()

    run_virtual(scenario())


def test_calls_to_a_vendor_whose_name_hangs_fail_in_time_and_leave_the_other_vendors_alone() -> None:
    """[fault S4] Eight calls to the one fail at its connect timeout; forty to the other, on new connections, are answered at once."""

    async def scenario() -> None:
        async with FakeVendor(answering(OK)).serving() as fake:
            resolve = Scripted(**{"hang.test": AGAIN, "good.test": ["127.0.0.1"]})
            resolve.seconds["hang.test"] = 30
            names = Names(resolve)
            bad = HttpUpstream("bad", Vendor(base_url="http://hang.test", connect_timeout_seconds=5), {}, names=names)
            good = HttpUpstream("good", Vendor(base_url=f"http://good.test:{fake.port}"), {}, names=names)
            failing = [asyncio.create_task(call(bad)) for _ in range(8)]
            await asyncio.sleep(0)
            assert await asyncio.gather(*[call(good) for _ in range(40)]) == [(200, b"ok")] * 40
            assert now() < 1
            outcomes = await asyncio.gather(*failing, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [Unreachable] * 8
            assert now() == pytest.approx(5, abs=0.1)
            assert resolve.asked.count("hang.test") == 1
            await good.close()

    run_virtual(scenario())


def test_the_system_is_asked_in_a_thread_that_nobody_waits_for() -> None:
    """A real name gives literals, an impossible one a failure, and a loop that ends meanwhile is not disturbed."""

    async def scenario() -> None:
        found = await system_addresses("localhost")
        assert "127.0.0.1" in found or "::1" in found
        with pytest.raises((OSError, UnicodeError)):
            await system_addresses("x" * 64 + ".test")
        left = asyncio.create_task(system_addresses("localhost"))
        await asyncio.sleep(0)
        left.cancel()

    uvloop.run(scenario())
