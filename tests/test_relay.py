"""The path of one call, scenario by scenario, in virtual time. Rows in brackets are those of the fault catalogue."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from aisa.config.schema import Prices, Stream
from aisa.errors import ApiError
from aisa.facts import CallEnded, VendorFailed
from aisa.testing.clock import run_virtual
from aisa.testing.upstream import Break
from aisa.wire.port import SERVER_CLOSES
from rig import (
    DONE,
    MemoryClient,
    Rig,
    Script,
    ScriptedUpstream,
    Stall,
    body,
    chunk,
    content_of,
    document,
    event,
    events_of,
    text,
    whole_stream,
)


def call(
    *scripts: Script, client: MemoryClient | None = None, data: bytes | None = None, **options: Any
) -> tuple[MemoryClient, Rig, list[ScriptedUpstream]]:
    """Make one streamed call to vendors a, b, … with one script each."""
    client = client or MemoryClient()
    upstreams = [ScriptedUpstream(script) for script in scripts]

    async def main() -> Rig:
        rig = Rig(*upstreams, **options)
        await rig.call(client, data or body(stream=True))
        return rig

    return client, run_virtual(main()), upstreams


def ended(rig: Rig) -> CallEnded:
    """The last fact, which must be that the call ended."""
    fact = rig.facts[-1]
    assert isinstance(fact, CallEnded)
    return fact


def the_error(client: MemoryClient) -> Any:
    """The one error event, which must be the last and carry nothing but the error."""
    events = events_of(client.body)
    assert [index for index, item in enumerate(events) if "error" in item] == [len(events) - 1]
    assert set(events[-1]) == {"error"}
    return events[-1]["error"]


def test_a_complete_stream_reaches_the_client_byte_for_byte() -> None:
    """Conformant events are relayed as they came; usage that was not asked for is kept back."""
    script = [*text("Hel", "lo"), chunk({}, "stop"), DONE]
    client, rig, [upstream] = call(Script(whole_stream("Hel", "lo")))
    assert client.body == b"".join(script)
    assert client.ended
    assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert ended(rig).usage.output_tokens == 2
    assert repr(upstream) == "<ScriptedUpstream 1 asked, 0 open, 0 aborted>"


@pytest.mark.parametrize("index", [-1, -5])
def test_a_choice_below_none_is_no_choice_of_ours_and_no_bug(index: int) -> None:
    """[fault W4] It was found from the end of those that had begun, and passed with its number; where none was there it was our bug."""
    lines = [*text("a"), chunk({"content": "b"}, index=index), chunk({}, "stop", index=index), chunk({}, "stop"), DONE]
    client, rig, _ = call(Script(lines))
    assert {choice["index"] for told in events_of(client.body) if told != "[DONE]" for choice in told["choices"]} == {0}
    assert client.body.endswith(DONE)
    assert rig.rows[-1].outcome == "completed"


def test_usage_is_always_asked_of_the_vendor() -> None:
    """The bill needs it, whether or not the client wants to see it."""
    _, _, [upstream] = call(Script(whole_stream("a")))
    assert b'"stream_options":{"include_usage":true}' in upstream.requests[0].body


def test_the_charge_is_settled_before_done_is_written() -> None:
    """Official clients hang up on [DONE]; what is settled after it is lost."""
    rig = Rig(ScriptedUpstream(Script(whole_stream("a"))))
    settled_when: list[str | None] = []

    class Witness(MemoryClient):
        def write(self, data: bytes) -> int:
            row = rig.ledger.calls["req_1"].row
            settled_when.append(row and row.outcome)
            return super().write(data)

    async def main() -> None:
        await rig.call(Witness(), body(stream=True))

    run_virtual(main())
    assert (set(settled_when[:-1]), settled_when[-1]) == ({None}, "completed")
    assert [row.outcome for row in rig.rows] == ["completed"]


def test_what_one_read_brought_leaves_in_one_write_and_is_noted_behind_it() -> None:
    """While it leaves, a death would bill what had left before; [DONE] alone waits for the settlement."""
    reads = [
        b"".join(text("aa", "bb", "cc")),
        b"".join([chunk({"content": word}) for word in ("dd", "ee")]),
        b"".join([chunk({}, "stop"), DONE]),
    ]
    rig = Rig(ScriptedUpstream(Script(reads)))
    noted: list[int] = []

    class Witness(MemoryClient):
        def write(self, data: bytes) -> int:
            noted.append(rig.ledger.calls["req_1"].progress)
            return super().write(data)

    client = Witness()
    run_virtual(rig.call(client, body(stream=True)))
    assert client.writes == [*reads[:2], chunk({}, "stop"), DONE]
    assert noted[:3] == [0, 3, 5]
    assert rig.rows[0].billed.output_tokens == 5


def test_of_a_write_that_the_client_does_not_take_only_whole_events_that_left_are_noted() -> None:
    """A slow client's share of one read is told to the event: what still waits in this process would be lost with it."""
    reads = [*text("aa"), b"".join([chunk({"content": word}) for word in ("bb", "cc", "dd", "ee")])]
    rig = Rig(ScriptedUpstream(Script([*reads, chunk({}, "stop"), DONE])))
    taken = sum(map(len, reads[:2])) + 2 * len(chunk({"content": "bb"})) + 1

    class Slow(MemoryClient):
        def bytes_taken(self) -> int:
            return min(super().bytes_sent, taken) if self.congested else super().bytes_taken()

    client = Slow(stalls_after=2)

    async def main() -> None:
        call = asyncio.ensure_future(rig.call(client, body(stream=True)))
        await asyncio.sleep(1)
        assert rig.ledger.calls["req_1"].progress == 3
        client.resume()
        await call

    run_virtual(main())
    assert rig.rows[0].billed.output_tokens == 5


@pytest.mark.parametrize(("asked", "expected"), [(True, True), (False, False)])
def test_a_priced_model_says_what_the_call_cost(asked: bool, expected: bool) -> None:
    """The usage chunk carries `cost` in dollars, and is sent only if it was asked for."""
    options = {"stream_options": {"include_usage": True}} if asked else {}
    client, _, _ = call(Script(whole_stream("a", "b")), data=body(stream=True, **options), prices=Prices(input=1.25, output=10))
    costs = [item["usage"]["cost"] for item in events_of(client.body) if isinstance(item, dict) and item.get("usage")]
    assert costs == ([9 * 0.00000125 + 2 * 0.00001] if expected else [])


def test_an_answer_that_is_not_streamed_is_sent_whole_with_its_length() -> None:
    """A document is one piece: head, length and body together."""
    client, rig, _ = call(Script([document()[:50], document()[50:]], headers={}), data=body())
    assert client.status == 200
    assert client.length == len(client.body)
    assert client.body == document()
    assert ended(rig).outcome == "completed"


def test_a_vendor_that_never_answers_ends_in_an_error_event_after_the_idle_time() -> None:
    """[U2] The head is sent after 15 s, keep-alives every 15 s, and after 60 s without a token the error."""
    client, rig, [upstream] = call(Script([Stall()]))
    assert client.times == [15, 30, 45, 60]
    assert the_error(client)["code"] == "upstream_timeout"
    assert ended(rig).outcome == "failed"
    assert repr(upstream) == "<ScriptedUpstream 1 asked, 0 open, 1 aborted>"


def test_a_vendor_that_is_silent_before_the_head_is_due_ends_in_a_true_504() -> None:
    """[U2] With an idle time under 15 s nothing was sent yet, so the status can tell."""
    client, _, _ = call(Script([Stall()]), idle_timeout_seconds=5)
    assert client.status == 504
    assert client.times == [5]


def test_an_unstreamed_answer_may_take_longer_than_a_token_but_not_for_ever() -> None:
    """A document shows no tokens while it is made: its bound is ten idle times, here 600 s."""
    client, _, _ = call(Script([Stall()], headers={}), data=body())
    assert (client.status, client.times) == (504, [600])


def test_a_stall_in_mid_stream_is_cut_60_seconds_after_the_last_token() -> None:
    """[M1] Keep-alive comments of ours flow meanwhile, and do not reset the idle clock."""
    client, rig, _ = call(Script([*text("a"), Stall()]))
    assert client.times[-1] == 60
    assert client.body.count(b": keep-alive\n\n") == 3
    assert the_error(client)["code"] == "upstream_timeout"
    assert ended(rig).outcome == "cut"


def test_comments_and_empty_deltas_of_the_vendor_are_not_tokens() -> None:
    """[M1] A vendor that only sends comments is as silent as one that sends nothing."""
    noise = [Stall(20), b": still thinking\n\n", Stall(20), chunk({"content": ""}), Stall(19), b": thinking\n\n", Stall()]
    client, _, _ = call(Script([*text("a"), *noise]))
    assert client.times[-1] == 60


def test_a_slow_byte_at_a_time_inside_an_event_does_not_reset_the_clock() -> None:
    """[M13] Bytes that complete no event are no token."""
    piece = chunk({"content": "late"})
    drip: list[bytes | Stall | Break] = []
    for byte in piece[:10]:
        drip += [bytes([byte]), Stall(30)]
    client, _, _ = call(Script([*text("a"), *drip]))
    assert client.times[-1] == 60


def test_a_steady_trickle_of_tokens_is_never_cut() -> None:
    """Every token resets the idle clock: 59 s apart is slow, not silent."""
    steps: list[bytes | Stall | Break] = [chunk({"role": "assistant", "content": "", "refusal": None})]
    for word in "abcde":
        steps += [Stall(59), chunk({"content": word})]
    client, rig, _ = call(Script([*steps, chunk({}, "stop"), DONE]))
    assert content_of(client.body) == "abcde"
    assert ended(rig).outcome == "completed"


def test_an_upstream_that_breaks_off_is_never_a_success() -> None:
    """[M2] A lost connection in mid-stream becomes an error event, with neither finish nor [DONE]."""
    client, rig, _ = call(Script([*text("Hel"), Break()]))
    assert the_error(client)["code"] == "upstream_unavailable"
    assert b"[DONE]" not in client.body
    assert b'"finish_reason":"stop"' not in client.body
    assert ended(rig).outcome == "cut"


def test_an_end_without_finish_reason_or_done_is_an_error() -> None:
    """[M3] A clean end of the body proves nothing."""
    client, _, _ = call(Script(text("Hel", "lo")))
    assert the_error(client)["code"] == "upstream_unavailable"


def test_a_finish_reason_without_done_is_complete() -> None:
    """[M4] [DONE] is supplied by us."""
    client, rig, _ = call(Script([*text("a"), chunk({}, "length")]))
    assert client.body.endswith(DONE)
    assert ended(rig).outcome == "completed"


def test_done_without_a_finish_reason_gets_one() -> None:
    """[M5] The vendor says that it has finished, so the missing chunk is supplied."""
    client, _, _ = call(Script([*text("a"), DONE]))
    assert events_of(client.body)[-2]["choices"][0]["finish_reason"] == "stop"
    assert client.body.endswith(DONE)


def test_an_error_event_of_the_vendor_ends_the_stream_in_our_shape() -> None:
    """[M6] Exactly one error event, whatever came after it."""
    broken = event({"error": {"message": "Overloaded", "type": "server_error", "code": 503}})
    client, _, _ = call(Script([*text("a"), broken, chunk({"content": "b"}), DONE]))
    error = the_error(client)
    assert error["code"] == "overloaded"
    assert error["request_id"] == "req_1"
    assert content_of(client.body) == "a"


def test_an_error_as_the_very_first_event_has_its_true_status() -> None:
    """[U9] Nothing was sent yet, so the client gets a status and JSON, not a stream."""
    client, _, _ = call(Script([event({"error": {"message": "slow down", "code": 429}})]))
    assert client.status == 429
    assert client.headers["content-type"] == "application/json"
    assert 1 <= int(client.headers["retry-after"]) <= 60


OPENINGS = {
    "a role": [chunk({"role": "assistant", "content": "", "refusal": None})],
    "a role alone, then an empty delta": [chunk({"role": "assistant"}), chunk({"content": ""}), chunk({})],
    "null logprobs and filter results": [
        event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
        chunk({"role": "assistant", "content": None, "tool_calls": None}),
    ],
}


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
@pytest.mark.parametrize("ending", [[event({"error": "bad"})], [Break()], [DONE], [], [chunk({}, "abort")]], ids=repr)
def test_a_bare_opening_is_not_a_first_piece(opening: list[bytes], ending: list[bytes | Break]) -> None:
    """[fault F4; contract 2.11] What fails after no more than that is asked of the next target, and the client sees one opening."""
    client, rig, [_, second] = call(Script([*opening, *ending]), Script(whole_stream("b")))
    assert (client.status, content_of(client.body), client.body.count(b'"role"')) == (200, "b", 1)
    assert (ended(rig).outcome, len(second.requests)) == ("completed", 1)


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
def test_a_failure_after_a_bare_opening_has_its_true_status(opening: list[bytes]) -> None:
    """[fault F4] The head waits for more than an opening."""
    client, _, _ = call(Script([*opening, event({"error": {"message": "slow down", "code": 429}})]))
    assert (client.status, client.headers["content-type"]) == (429, "application/json")


def test_a_stream_whose_head_was_sent_behind_an_opening_can_still_fall_back() -> None:
    """[fault F4] After 15 s the head goes out with a keep-alive; nothing of the first vendor's has been shown."""
    client, rig, _ = call(Script([*OPENINGS["a role"], Stall(20), Break()]), Script(whole_stream("b")))
    assert client.body.startswith(b": keep-alive\n\n")
    assert (content_of(client.body), client.body.count(b'"role"'), ended(rig).outcome) == ("b", 1, "completed")


@pytest.mark.parametrize(
    "said",
    [
        {"content": "a"},
        {"reasoning": "a"},
        {"refusal": "a"},
        {"tool_calls": [{"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"images": [{"type": "image_url"}]},
    ],
    ids=lambda said: next(iter(said)),
)
def test_an_opening_that_says_something_is_a_first_piece(said: dict[str, Any]) -> None:
    """[contract 2.11] Nothing is asked of another target once the model has spoken, even if only in its opening."""
    _, rig, [_, second] = call(Script([chunk({"role": "assistant", **said}), Break()]), Script(whole_stream("b")))
    assert (ended(rig).outcome, len(second.requests)) == ("cut", 0)


def test_the_next_target_answers_when_the_first_fails() -> None:
    """[U8] The client sees one good stream; the operator sees the failure."""
    client, rig, [first, second] = call(Script(refuses=True), Script(whole_stream("b")))
    assert content_of(client.body) == "b"
    assert isinstance(rig.facts[0], VendorFailed)
    assert ended(rig).attempts == 2
    assert len(first.requests) == len(second.requests) == 1


def test_no_fall_back_after_the_first_piece() -> None:
    """[U8] What the client has begun to read is never begun again."""
    client, _, [_, second] = call(Script([*text("a"), Break()]), Script(whole_stream("b")))
    assert the_error(client)["code"] == "upstream_unavailable"
    assert second.requests == []


def test_a_fault_of_the_request_is_not_tried_elsewhere() -> None:
    """A vendor's 400 is the caller's to mend, in the vendor's words."""
    refusal = Script([b'{"error":{"message":"Bad tool schema.","param":"tools[0]"}}'], status=400)
    client, _, [_, second] = call(refusal, Script(whole_stream("b")))
    assert client.status == 400
    assert b"Bad tool schema." in client.body
    assert second.requests == []


def test_a_stale_connection_is_asked_once_more_and_only_once() -> None:
    """The vendor did no work, so a repeat is safe; a second such failure is final."""
    healthy, dead = ScriptedUpstream(Script(stale=True), Script(whole_stream("a"))), ScriptedUpstream(Script(stale=True))

    async def main() -> tuple[MemoryClient, MemoryClient]:
        good, bad = MemoryClient(), MemoryClient()
        await Rig(healthy).call(good, body(stream=True))
        await Rig(dead).call(bad, body(stream=True))
        return good, bad

    good, bad = run_virtual(main())
    assert content_of(good.body) == "a"
    assert (bad.status, len(dead.requests)) == (502, 2)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_credential_of_ours_is_a_502_and_loud(status: int) -> None:
    """[U4][A6] Never the caller's 401, and neither our key nor the vendor's address is shown."""
    words = b'{"error":{"message":"Incorrect API key secret-of-a for http://a.example:9/v1"}}'
    client, rig, _ = call(Script([words], status=status))
    assert client.status == 502
    assert client.headers["x-should-retry"] == "false"
    assert isinstance(rig.facts[0], VendorFailed)
    assert rig.facts[0].loud
    assert b"secret-of-a" not in client.body + rig.facts[0].detail.encode()
    assert b"a.example" not in client.body


@pytest.mark.parametrize(
    ("said", "sent"), [("7", "7"), ("100000", "60"), ("0", "1"), ("Thu, 01 Jan 1970 00:00:31 GMT", "30"), ("7.66", "8"), (None, "1")]
)
def test_retry_after_is_always_a_sane_number(said: str | None, sent: str) -> None:
    """[U3] Seconds, a date, something absurd or nothing: the client gets 1 to 60."""
    headers = {} if said is None else {"retry-after": said}
    client, _, _ = call(Script([b"{}"], status=429, headers=headers))
    assert (client.status, client.headers["retry-after"]) == (429, sent)
    assert b"upstream_rate_limit" in client.body


@pytest.mark.parametrize(
    "answer",
    [Script([b"<html>oops</html>"], status=500), Script([b"<html>hi</html>"], headers={}), Script([], status=204), Script([], status=302)],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_is_no_answer_is_a_502(answer: Script, streamed: bool) -> None:
    """[U5] HTML, nothing, or a redirect, which is never followed."""
    client, _, _ = call(answer, data=body(stream=streamed))
    assert client.status == 502


def test_a_document_where_a_stream_was_asked_is_streamed() -> None:
    """[U6] A client that waits for events would see an empty stream otherwise."""
    client, _, _ = call(Script([document("Hello.")], headers={}))
    assert content_of(client.body) == "Hello."
    assert client.body.endswith(DONE)


def test_a_stream_where_a_document_was_asked_is_a_502() -> None:
    """[U6] It is not understood, and says so."""
    client, _, _ = call(Script(whole_stream("a")), data=body())
    assert client.status == 502


def test_a_client_that_leaves_cancels_the_vendor_at_once() -> None:
    """[C4] The vendor's answer is aborted in the same turn of the loop, and the call is reported as left."""
    _, rig, [upstream] = call(Script([*text("a", "b"), Stall()]), client=MemoryClient(leaves_after=2))
    assert ended(rig).outcome == "client_gone"
    assert ended(rig).total_seconds == 0
    assert repr(upstream) == "<ScriptedUpstream 1 asked, 0 open, 1 aborted>"


def test_a_client_that_leaves_before_the_vendor_answers_leaves_nothing_behind() -> None:
    """[C2] Nothing was sent, nothing is owed, nothing stays open."""

    async def main() -> tuple[Rig, ScriptedUpstream]:
        upstream = ScriptedUpstream(Script([Stall()]))
        rig, client = Rig(upstream), MemoryClient()
        task = asyncio.create_task(rig.call(client, body(stream=True)))
        await asyncio.sleep(1)
        client.leave()
        await task
        return rig, upstream

    rig, upstream = run_virtual(main())
    assert ended(rig).outcome == "client_gone"
    assert ended(rig).bytes_sent == 0
    assert repr(upstream) == "<ScriptedUpstream 1 asked, 0 open, 1 aborted>"


def test_while_the_client_does_not_read_nothing_is_read_from_the_vendor() -> None:
    """[M18][C8] The vendor is throttled; afterwards every token arrives, in order."""

    async def main() -> tuple[int, MemoryClient]:
        words = [str(number) for number in range(50)]
        upstream = ScriptedUpstream(Script(whole_stream(*words)))
        client = MemoryClient(stalls_after=4)
        task = asyncio.create_task(Rig(upstream).call(client, body(stream=True)))
        await asyncio.sleep(100)
        read_while_stalled = upstream.reads
        client.resume()
        await task
        return read_while_stalled, client

    read_while_stalled, client = run_virtual(main())
    assert read_while_stalled == 5
    assert content_of(client.body) == "".join(str(number) for number in range(50))


def test_the_idle_clock_stands_still_while_the_client_is_the_slow_one() -> None:
    """[C8] 200 s without a token because the client would not take one is not the vendor's silence."""

    async def main() -> tuple[Rig, MemoryClient]:
        rig = Rig(ScriptedUpstream(Script([*text("a"), Stall(50), chunk({"content": "b"}), chunk({}, "stop"), DONE])))
        client = MemoryClient(stalls_after=1)
        task = asyncio.create_task(rig.call(client, body(stream=True)))
        await asyncio.sleep(200)
        client.resume()
        await task
        return rig, client

    rig, client = run_virtual(main())
    assert ended(rig).outcome == "completed"
    assert content_of(client.body) == "ab"


def test_the_seconds_for_which_a_client_is_the_slow_one_are_counted_when_it_takes_more_or_leaves() -> None:
    """[issue 13] To the second, however seldom somebody asks."""

    async def main(*, leaves: bool) -> list[float]:
        rig, seconds = Rig(ScriptedUpstream(Script(whole_stream("a", "b")))), list[float]()
        rig.dependencies.note_throttled = seconds.append
        client = MemoryClient(stalls_after=1)
        task = asyncio.create_task(rig.call(client, body(stream=True)))
        await asyncio.sleep(20)
        client.leave() if leaves else client.resume()
        await task
        return seconds

    assert [run_virtual(main(leaves=leaves)) for leaves in (False, True)] == [[20.0], [20.0]]


@pytest.mark.parametrize(
    ("script", "silences"),
    [
        ([*text("a"), Stall(14), chunk({"content": "b"})], []),
        ([*text("a"), Stall(20), chunk({"content": "b"})], ["a"]),
        ([*text("a"), Stall(50), chunk({"content": "b"}), Stall(16)], ["a"] * 4),
        ([Stall(40), *text("a")], []),
    ],
    ids=["short", "once", "long", "before the first token"],
)
def test_a_vendors_silences_inside_a_stream_are_counted(script: list[Any], silences: list[str]) -> None:
    """[issue 13] Each `keep_alive_seconds` of it, behind its first token; the wait for that has a histogram of its own."""

    async def main() -> list[str]:
        rig, heard = Rig(ScriptedUpstream(Script([*script, chunk({}, "stop"), DONE]))), list[str]()
        rig.dependencies.note_silence = heard.append
        await rig.call(MemoryClient(), body(stream=True))
        return heard

    assert run_virtual(main()) == silences


def test_a_client_that_takes_nothing_for_300_seconds_is_cut() -> None:
    """[C9] It is alive and not reading; its connection is broken off and the vendor's too."""
    client, rig, [upstream] = call(Script([*text("a", "b"), Stall()]), client=MemoryClient(stalls_after=2))
    assert client.aborted
    assert ended(rig).outcome == "client_stalled"
    assert ended(rig).total_seconds == 300
    assert upstream.open == 0


def test_no_keep_alive_is_sent_to_a_client_that_is_not_reading() -> None:
    """Comments would pile up in our memory behind what it has not taken."""
    client, _, _ = call(Script([*text("a"), Stall()]), client=MemoryClient(stalls_after=1))
    assert b"keep-alive" not in client.body


def test_who_left_in_the_same_moment_as_the_vendors_time_was_over_has_left() -> None:
    """[fault A2] One reason a cancellation, and nobody is told of anything who is not there."""
    client = MemoryClient()
    rig = Rig(ScriptedUpstream(Script([*text("a"), Stall()])))

    async def main() -> None:
        asyncio.get_running_loop().call_at(60, client.leave)
        await rig.call(client, body(stream=True))

    run_virtual(main())
    assert ended(rig).outcome == "client_gone"
    assert b"error" not in client.body


def test_a_cancellation_that_says_nothing_is_somebody_elses() -> None:
    """[fault A2] It is passed on, the call is settled as what it was, and everything is let go."""
    client = MemoryClient()
    rig = Rig(ScriptedUpstream(Script([*text("a"), Stall()])))

    async def main() -> None:
        call = asyncio.ensure_future(rig.call(client, body(stream=True)))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    run_virtual(main())
    assert (rig.rows[0].outcome, rig.rows[0].billed.output_tokens) == ("cut", 1)
    assert (rig.dependencies.live, rig.ledger.calls) == (set(), {})


def test_a_shutdown_ends_the_stream_with_an_error_event() -> None:
    """[P3] The client is told to send the request again."""

    async def main() -> tuple[Rig, MemoryClient]:
        rig, client = Rig(ScriptedUpstream(Script([*text("a"), Stall()]))), MemoryClient()
        task = asyncio.create_task(rig.call(client, body(stream=True)))
        await asyncio.sleep(1)
        task.cancel(SERVER_CLOSES)
        await task
        return rig, client

    rig, client = run_virtual(main())
    assert the_error(client)["code"] == "overloaded"
    assert ended(rig).outcome == "shut_down"


def test_a_cancellation_by_somebody_else_is_not_swallowed() -> None:
    """Only the reasons that the path knows are its to handle; the call is closed all the same."""

    async def main() -> tuple[bool, Rig, ScriptedUpstream]:
        upstream = ScriptedUpstream(Script([*text("a"), Stall()]))
        rig = Rig(upstream)
        task = asyncio.create_task(rig.call(MemoryClient(), body(stream=True)))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), rig, upstream

    cancelled, rig, upstream = run_virtual(main())
    assert cancelled
    assert ended(rig).outcome == "cut"
    assert upstream.open == 0


def test_a_refusal_before_admission_opens_nothing() -> None:
    """A bad body raises to the edge, and no vendor hears of it."""

    async def main() -> list[Any]:
        upstream = ScriptedUpstream(Script([]))
        rig = Rig(upstream)
        with pytest.raises(ApiError) as refusal:
            await rig.call(MemoryClient(), b"{}")
        return [refusal.value.code, upstream.requests, rig.facts]

    assert run_virtual(main()) == ["missing_parameter", [], []]


def test_a_bug_in_the_middle_still_closes_the_call() -> None:
    """An exception that nobody foresaw is raised to the edge, after everything was let go."""

    class Broken(ScriptedUpstream):
        async def ask(self, request: Any) -> Any:
            raise ZeroDivisionError

    async def main() -> Rig:
        rig = Rig(Broken(Script([])))
        with pytest.raises(ZeroDivisionError):
            await rig.call(MemoryClient(), body(stream=True))
        return rig

    assert ended(run_virtual(main())).outcome == "failed"


def test_the_clocks_are_settable() -> None:
    """An operator can shorten every one of them."""
    stream = Stream(head_hold_seconds=1, keep_alive_seconds=2, client_stall_seconds=3)
    client, _, _ = call(Script([Stall()]), stream=stream, idle_timeout_seconds=6)
    assert client.times == [1, 3, 5, 6]


@pytest.mark.parametrize("begins", [0.0, 6.0, 20.25])
@pytest.mark.parametrize("silence", [0.5, 4.0, 15.0, 40.0])
def test_a_comment_follows_every_silence_from_the_first_piece_on(begins: float, silence: float) -> None:
    """Also a silence that is shorter than the time for which a head waits: behind some proxies nothing else finds a client that left."""
    script = Script([*([Stall(begins)] if begins else []), *text("a"), Stall()])
    client, _, _ = call(script, stream=Stream(keep_alive_seconds=silence), idle_timeout_seconds=60)
    times = [at for at in client.times if at >= begins]
    quiet = [later - sooner for sooner, later in pairwise(times[:-1])]
    assert times[0] == begins
    assert quiet == [silence] * len(quiet)
    assert times[-1] == begins + 60
    assert len(times) == 1 + len(quiet) + 1
    assert len(quiet) >= 60 // silence - 1
