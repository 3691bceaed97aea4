"""A machine whose clock is wrong, and AWS, which takes no signature that is more than five minutes away from its own time."""

from __future__ import annotations

import asyncio
import re
from calendar import timegm
from email.utils import formatdate
from time import strptime

import pytest

from aisa.config.schema import Vendor
from aisa.credentials.aws import HELD_SECONDS, Signed, place_of
from aisa.credentials.aws_clock import APART_SECONDS, VendorClock
from aisa.credentials.aws_signature import Keys, Scope, Unsigned, signature
from aisa.credentials.rules import Proof
from aisa.facts import Fact, ServerNotice, ServerWarning
from aisa.http.pool import HttpUpstream
from aisa.testing.clock import run_virtual
from http_client_rig import Connection, FakeVendor, call

AT = 1_785_000_000.0


def dated(seconds: float) -> bytes:
    """A time as HTTP has it."""
    return formatdate(seconds, usegmt=True).encode()


#: How far this machine's clock is behind AWS's, in seconds -> what the operator is told.
WRONG = [(3_600.0, "s behind that of the vendor 'b'"), (-APART_SECONDS - 100, "s ahead of that of"), (86_400.0 * 400, "345"), (0.0, "")]


@pytest.mark.parametrize(("behind", "words"), WRONG)
@pytest.mark.parametrize("kind", ["InvalidSignatureException:", "SignatureDoesNotMatch", "RequestTimeTooSkewed"])
def test_a_machine_whose_clock_is_wrong_signs_with_awss_time(kind: str, behind: float, words: str) -> None:
    """As AWS's own clients do: the refused request goes out again, calls side by side too, and the keys are not to blame.

    The operator is told once. When the clock is set, requests follow it in the same way.
    """
    asked: list[float] = []
    facts: list[Fact] = []
    right: list[float] = [0.0]  # how far AWS's clock is ahead of the one that is ours

    async def judging(connection: Connection) -> None:
        now = asyncio.get_running_loop().time
        while True:
            head, _ = await connection.request()
            sent = re.search(rb"x-amz-date: (\w+)", head.lower())
            assert sent is not None
            theirs = AT + now() + right[0]
            if abs(timegm(strptime(sent[1].decode().upper(), "%Y%m%dT%H%M%SZ")) - theirs) > 300:
                start = b"HTTP/1.1 403 F\r\ndate: %b\r\nx-amzn-ErrorType: %b" % (dated(theirs), kind.encode())
            else:
                start = b"HTTP/1.1 200 OK\r\ndate: %b" % dated(theirs)
            await asyncio.sleep(1)
            connection.send(start + b"\r\ncontent-length: 2\r\n\r\n{}")

    async def source() -> tuple[Keys, float]:
        asked.append(asyncio.get_running_loop().time())
        return Keys("AKID", "s"), HELD_SECONDS

    async def scenario() -> None:
        now = asyncio.get_running_loop().time
        async with FakeVendor(judging).serving() as fake:
            settings_ = Vendor(base_url=f"http://127.0.0.1:{fake.port}", dialect="bedrock")
            place = place_of(settings_, {"AWS_REGION": "eu-west-1"})
            signing = Signed("b", place, source, clock=VendorClock("b", lambda: AT + now(), facts.append))
            upstream = HttpUpstream("b", settings_, {}, credential=signing)
            for ahead in (behind, 0.0):
                right[0] = ahead
                answers = await asyncio.gather(*[call(upstream) for _ in range(3)])
                assert [status for status, *_ in answers] == [200, 200, 200]
            await upstream.close()

    run_virtual(scenario())
    assert len(asked) == 1
    assert [type(fact) for fact in facts] == ([ServerWarning, ServerNotice] if words else [])
    assert not facts or (isinstance(facts[0], ServerWarning) and words in facts[0].message)


def test_a_refusal_without_a_date_or_of_the_requests_own_is_of_the_keys() -> None:
    """And a request that waited long before it was sent is signed anew, without a word on the clock."""
    facts: list[Fact] = []
    clock = VendorClock("b", lambda: AT, facts.append)
    proof = Proof(headers=signature(Keys("A", "s"), Scope("r", "bedrock"), Unsigned("POST", "h", "/", "", b""), at=AT))
    assert not any(
        clock.corrected(proof, {"date": date})
        for date in ("", "yesterday", "Mon, 99 Foo", "Fri, 31 Dec 9999 23:59:59 GMT", dated(AT + 200).decode())
    )
    assert not clock.corrected(proof, {})
    waited = VendorClock("b", lambda: AT + 400, facts.append)
    assert waited.corrected(proof, {"date": dated(AT + 400).decode()})
    assert facts == []
