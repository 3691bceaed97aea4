"""How long a finish is held back, on the path of a call, in virtual time: a vendor that parks, breaks off or says more after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from aisa.facts import CallEnded
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_stream
from aisa.timeouts import FINISH_HOLD_SECONDS
from rig import (
    DONE,
    Break,
    MemoryClient,
    Rig,
    Script,
    ScriptedUpstream,
    Stall,
    body,
    chunk,
    content_of,
    event,
    events_of,
    text,
    usage,
)

Steps = Sequence[bytes | Stall | Break]
FINISHED = [*text("Hel", "lo"), chunk({}, "stop")]
SLACK_SECONDS = 0.11  # two looks of the watch


def called(steps: Steps, *, n: int = 1, **options: Any) -> tuple[MemoryClient, CallEnded]:
    """Make one streamed call that asks for usage; return what the client got, in conformant order, and how the call ended."""
    client, upstream = MemoryClient(), ScriptedUpstream(Script(steps), Script([event({"error": {"message": "the second target"}})]))

    async def main() -> Rig:
        rig = Rig(upstream, **options)
        await rig.call(client, body(stream=True, stream_options={"include_usage": True}, **({"n": n} if n > 1 else {})))
        return rig

    rig = run_virtual(main())
    (ended,) = [fact for fact in rig.facts if isinstance(fact, CallEnded)]
    assert upstream.open == 0
    if client.status == 200:
        assert check_stream(client.body, include_usage=True, choices=n) == []
    return client, ended


def pinging(seconds: float, data: bytes = b": ping\n\n") -> list[bytes | Stall]:
    """A vendor that says something every so many seconds, a hundred times, and then nothing for ever."""
    return [*[step for _ in range(100) for step in (Stall(seconds), data)], Stall()]


PARKED: dict[str, Steps] = {
    "silent": [Stall()],
    "comments": pinging(0.3),
    "comments at the very second": pinging(1.0),
    "empty deltas": pinging(0.4, chunk({})),
    "events without choices": pinging(0.4, b'data: {"type":"ping"}\n\n'),
    "half an event": [b'data: {"id":', Stall()],
    "a reset": [Break()],
    "a reset later": [Stall(0.5), Break()],
    "an end": [],
    "an end later": [Stall(0.5)],
}


@pytest.mark.parametrize("parked", PARKED.values(), ids=PARKED)
@pytest.mark.parametrize("reported", [[], [usage(9, 2)]], ids=["no usage", "usage"])
def test_a_vendor_that_parks_after_its_finish_ends_the_stream_in_order_within_a_second(parked: Steps, reported: list[bytes]) -> None:
    """[fault W2] One finish, usage, `[DONE]`, a complete call; never an error event after a finish, and nothing after that second."""
    client, ended = called([*FINISHED, *reported, *parked])
    assert (ended.outcome, ended.error_code) == ("completed", None)
    assert ended.usage.output_tokens == 2
    assert [item["choices"][0]["finish_reason"] for item in events_of(client.body)[:-2]][-1] == "stop"
    assert client.body.endswith(DONE)
    assert client.times[-1] <= 1 + SLACK_SECONDS


def test_a_finish_with_its_usage_in_one_chunk_parks_well_too() -> None:
    """[fault W2] llama.cpp reports on the finish chunk itself."""
    last = chunk({}, "stop")[:-3] + b',"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\n'
    client, ended = called([*text("Hel", "lo"), last, Stall()])
    assert (ended.outcome, ended.usage.input_tokens, ended.usage.source) == ("completed", 9, "reported")
    assert client.times[-1] <= FINISH_HOLD_SECONDS + SLACK_SECONDS


def test_usage_without_choices_lets_the_finish_go_at_once() -> None:
    """The contract, 2.4: a report is the vendor's last word, only `[DONE]` waits for the second."""
    client, _ = called([*FINISHED, usage(9, 2), Stall()])
    at = next(place for place, written in enumerate(client.writes) if b'"finish_reason":"stop"' in written)
    assert client.times[at] == 0


def test_each_event_gives_the_vendor_another_second() -> None:
    """[fault W1] Text every 0.9 s after a first finish still passes before it, and so does the report after them."""
    late: list[bytes | Stall | Break] = []
    for word in "abc":
        late += [Stall(0.9), chunk({"content": word}, "stop")]
    client, ended = called([*FINISHED, *late, Stall(0.9), usage(9, 5), Stall()])
    assert (content_of(client.body), ended.outcome, ended.usage.output_tokens) == ("Helloabc", "completed", 5)


def test_a_finish_just_before_the_idle_time_is_over_is_a_finish() -> None:
    """[fault W2] The idle clock must not turn a complete answer into a failure while its finish is held."""
    client, ended = called([*text("a"), Stall(59.9), chunk({}, "stop"), Stall()])
    assert (ended.outcome, client.body.endswith(DONE)) == ("completed", True)


def test_events_without_end_after_the_finish_end_with_the_idle_time() -> None:
    """[fault W2] A vendor may not keep a stream open for ever by saying nothing of weight; the answer was complete."""
    moderation = event({"id": "chatcmpl-1", "choices": [], "moderation": {"flagged": False}})
    _, ended = called([*FINISHED, *pinging(0.9, moderation)])
    assert (ended.outcome, ended.total_seconds <= 61) == ("completed", True)


def test_with_one_choice_open_the_idle_rule_holds() -> None:
    """[fault W2] A choice that was asked for and has not finished is still being made: 60 s, and then an error without a finish."""
    opened = [chunk({"role": "assistant", "content": "", "refusal": None}, index=index) for index in (0, 1)]
    said = [*opened, chunk({"content": "a"}), chunk({}, "stop"), chunk({"content": "b"}, index=1)]
    for steps in ([*said, Stall()], [*said[:1], *said[2:4], Stall()]):  # the second choice never began in the last
        client, ended = called(steps, n=2)
        assert (ended.outcome, ended.error_code, client.times[-1]) == ("cut", "upstream_timeout", 60)
        assert b'"finish_reason":"' not in client.body


def test_a_second_choice_that_comes_late_is_waited_for() -> None:
    """[fault W2] Servers that make their choices one after the other pause for more than a second between them."""
    steps = [*FINISHED, Stall(5), chunk({"content": "b"}, index=1), chunk({}, "length", index=1), Stall()]
    client, ended = called(steps, n=2)
    assert ended.outcome == "completed"
    assert [item["choices"][0]["finish_reason"] for item in events_of(client.body)[:-2]][-2:] == ["stop", "length"]


@pytest.mark.parametrize("after", [[], [Stall(0.5)]], ids=["at once", "later"])
def test_a_reset_after_an_unknown_reason_is_a_failure(after: Steps) -> None:
    """[fault W3] Nobody knows that the answer was complete, and the stream did not end in order."""
    client, ended = called([*text("a"), chunk({}, "odd"), *after, Break()])
    assert (ended.outcome, ended.error_code) == ("cut", "upstream_unavailable")
    assert b"[DONE]" not in client.body


def test_silence_after_an_unknown_reason_is_a_stop() -> None:
    """[fault W3] The vendor said that it had ended, and parks like any other."""
    client, ended = called([*text("a"), chunk({}, "odd"), Stall()])
    assert (ended.outcome, client.times[-1] <= FINISH_HOLD_SECONDS + SLACK_SECONDS) == ("completed", True)


def test_an_error_while_the_finish_is_held_is_told_and_the_next_target_has_its_own_time() -> None:
    """[fault W2] No finish was shown, so the failure can be; the second that the first vendor had left is not the second one's."""
    client, upstream = MemoryClient(), ScriptedUpstream(Script([chunk({}, "stop"), event({"error": {"message": "no"}})]))
    second = ScriptedUpstream(Script([Stall(5), *text("b"), chunk({}, "stop"), DONE]))

    async def main() -> None:
        await Rig(upstream, second).call(client, body(stream=True))

    run_virtual(main())
    assert content_of(client.body) == "b"
