"""Answers that a vendor gives in several parts: one for the client and one for the bill, however the parts come and whatever fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.ledger.row import CallRow
from aisa.providers import gemini
from aisa.providers.continuation import CONTINUATIONS_MAX
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_stream
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, content_of, events_of


def part(text: str, finish: str = "STOP", token: str = "", made: int = 1) -> bytes:
    """An event that says a text and ends a part of an answer; it has used ten tokens of input."""
    candidate: dict[str, Any] = {
        "content": {"role": "model", "parts": [{"text": text}] if text else []},
        "finishReason": finish,
        "index": 0,
    }
    usage = {"promptTokenCount": 10, "candidatesTokenCount": made, "totalTokenCount": 10 + made}
    event = {"candidates": [candidate | ({"continuationToken": token} if token else {})], "usageMetadata": usage}
    return b"data: " + json.dumps(event).encode() + b"\r\n\r\n"


def script(*steps: Any, status: int = 200) -> Script:
    """What a vendor sends for one request."""
    return Script(list(steps), status=status)


def made(
    *upstreams: ScriptedUpstream, client: MemoryClient | None = None, data: bytes = b"", door: Door | None = None
) -> tuple[MemoryClient, CallRow]:
    """Make one call, of a stream unless told otherwise, to vendors that speak Gemini; input costs 1 and output 2 dollars a million."""
    rig = Rig(*upstreams, prices=Prices(input=1, output=2))
    rig.dependencies.dialects = {"openai": gemini}  # the rig's configuration knows one name; the module under it is what counts
    client = client or MemoryClient()
    asked = data or body(stream=True, stream_options={"include_usage": True})
    run_virtual(rig.call(client, asked, door) if door else rig.call(client, asked))
    return client, rig.rows[-1]


def test_a_stream_in_two_parts_is_one_answer_at_the_cost_of_both() -> None:
    """The second request is the first with the token; each part has cost its input."""
    vendor = ScriptedUpstream(script(part("one ", "CONTINUATION", "t1")), script(part("two", made=3)))
    client, row = made(vendor)
    first, second = (json.loads(request.body) for request in vendor.requests)
    assert second == {**first, "continuationToken": "t1"}
    assert vendor.requests[0].path == vendor.requests[1].path
    assert (content_of(client.body), row.outcome, row.attempts) == ("one two", "completed", 1)
    assert (row.billed.input_tokens, row.billed.output_tokens, row.cost) == (20, 4, 20 * 1_000 + 4 * 2_000)
    assert check_stream(client.body, include_usage=True) == []
    assert vendor.open == 0


def test_a_document_in_two_parts_costs_the_same() -> None:
    """As a stream of them."""
    parts = [part("one ", "CONTINUATION", "t1"), part("two", made=3)]
    vendor = ScriptedUpstream(*[Script([each.removeprefix(b"data: ")], headers={}) for each in parts])
    client, row = made(vendor, data=body())
    document = json.loads(client.body)
    assert (document["choices"][0]["message"]["content"], document["usage"]["total_tokens"], row.cost) == ("one two", 24, 28_000)


def with_usage(event: bytes, usage: dict[str, Any] | None) -> bytes:
    """An event with another report, or none."""
    tree = json.loads(event.removeprefix(b"data: ")) | {"usageMetadata": usage}
    return b"data: " + json.dumps({name: value for name, value in tree.items() if value is not None}).encode() + b"\r\n\r\n"


@pytest.mark.parametrize("write", [str, float], ids=["text", "decimals"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
def test_counts_that_are_no_integers_add_up_as_well(write: type[str | float], *, stream: bool) -> None:
    """[fault M4] Written as text or as decimals, those of the last part alone were billed."""
    usages = [{"promptTokenCount": 10, "candidatesTokenCount": made, "totalTokenCount": 10 + made} for made in (1, 3)]
    events = [part("one ", "CONTINUATION", "t1"), part("two")]
    told = [with_usage(event, {name: write(count) for name, count in usage.items()}) for event, usage in zip(events, usages, strict=True)]
    scripts = [script(each) if stream else Script([each.removeprefix(b"data: ")], headers={}) for each in told]
    _, row = made(ScriptedUpstream(*scripts), data=b"" if stream else body())
    assert (row.billed.input_tokens, row.billed.output_tokens, row.cost) == (20, 4, 28_000)


@pytest.mark.parametrize(
    "last",
    [
        {},
        {"promptTokenCount": 10},
        {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0},
        {"promptTokenCount": None, "candidatesTokenCount": "many", "totalTokenCount": -1},
    ],
    ids=["empty", "half", "zeros", "no counts"],
)
@pytest.mark.parametrize("member", [{}, {"odd": 1}], ids=["usual", "with a member more"])
def test_a_part_has_used_what_it_reported_last_that_can_be_read(member: dict[str, Any], last: dict[str, Any]) -> None:
    """[fault M4] Zeros behind real counts, or nothing, took the whole part off the bill."""
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    says = {"candidates": [{"content": {"role": "model", "parts": [{"text": "one two three "}]}, "index": 0}], "usageMetadata": usage}
    named = {"modelVersion": "m", "responseId": "r", **member}
    first = [b"data: " + json.dumps(says | named).encode() + b"\r\n\r\n", with_usage(part("", "CONTINUATION", "t1"), last)]
    _, row = made(ScriptedUpstream(script(*first), script(part("four", made=3))))
    assert (row.billed.input_tokens, row.billed.output_tokens, row.cost) == (20, 8, 36_000)


@pytest.mark.parametrize("usage", [None, {"promptTokenCount": 0, "candidatesTokenCount": 0}], ids=["none", "zeros"])
def test_a_part_that_reports_nothing_is_counted(usage: dict[str, Any] | None) -> None:
    """[fault M4] Its text was free, that of the next part too as far as the two reports were the same, and its input was not charged."""
    unreported = with_usage(part("one two three four ", "CONTINUATION", "t1"), usage)
    _, row = made(ScriptedUpstream(script(unreported), script(part("five", made=3))))
    assert (row.billed.input_tokens, row.billed.output_tokens) == (1 + 10, 5 + 3)  # by their bytes: "Hi.", and nineteen of them
    _, row = made(ScriptedUpstream(script(unreported), script(part("five", made=3), Stall())), client=MemoryClient(leaves_after=2))
    assert (row.outcome, row.billed.output_tokens) == ("client_gone", 5 + 3)


def test_a_part_whose_count_falls_behind_is_counted_where_it_is_cut() -> None:
    """[fault M4] What the parts before it had said stood for it, so that its text was free to who left."""
    event = with_usage(part("two three four five ", ""), {"promptTokenCount": 10})
    vendor = ScriptedUpstream(script(part("one ", "CONTINUATION", "t1")), script(event, Stall()))
    _, row = made(vendor, client=MemoryClient(leaves_after=2))
    assert (row.outcome, row.billed.output_tokens) == ("client_gone", 1 + 5)


UNTOLD: dict[str, dict[str, Any] | None] = {
    "none": None,
    "zeros": {"promptTokenCount": 0, "candidatesTokenCount": 0},
    "no counts": {"promptTokenCount": None, "candidatesTokenCount": "many", "totalTokenCount": -1},
}


@pytest.mark.parametrize("usage", UNTOLD.values(), ids=UNTOLD)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
def test_a_last_part_that_reports_nothing_is_counted_beside_what_the_others_told(usage: dict[str, Any] | None, *, stream: bool) -> None:
    """[fault M4] The parts before it stood for the whole: its input and its text were free."""
    last = with_usage(part("one two three four "), usage)
    events = [part("one ", "CONTINUATION", "t1"), part("two ", "CONTINUATION", "t2", made=2), last]
    scripts = [script(each) if stream else Script([each.removeprefix(b"data: ")], headers={}) for each in events]
    client, row = made(ScriptedUpstream(*scripts), data=b"" if stream else body())
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens) == ("completed", 10 + 10 + 1, 1 + 2 + 5)
    told = events_of(client.body)[-2]["usage"] if stream else json.loads(client.body)["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]) == (21, 8, 29)


@pytest.mark.parametrize("order", [1, -1], ids=["behind the finish", "before it"])
def test_what_a_last_part_reports_holds_and_our_count_does_not(order: int) -> None:
    """Wherever in the part it comes: less than we had counted by then, too."""
    report = b'data: {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 3, "totalTokenCount": 4}}\r\n\r\n'
    said = with_usage(part("one two three four five six "), None)
    words = said.replace(b'"finishReason": "STOP", ', b"")
    steps = [words, *[report, with_usage(part(""), None)][::order]]
    _, row = made(ScriptedUpstream(script(part("one ", "CONTINUATION", "t1")), script(*steps)))
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens) == ("completed", 10 + 1, 1 + 3)


def test_who_leaves_in_a_part_that_has_not_reported_yet_pays_its_input() -> None:
    """A stream that was cut costs its input in full: that of the part that was being read, too."""
    words = with_usage(part("one two three four "), None).replace(b'"finishReason": "STOP", ', b"")
    vendor = ScriptedUpstream(script(part("one ", "CONTINUATION", "t1")), script(words, Stall()))
    _, row = made(vendor, client=MemoryClient(leaves_after=2))
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens) == ("client_gone", 10 + 1, 1 + 5)


def test_a_part_that_says_nothing_falls_back_as_a_whole_answer_would() -> None:
    """The rest was refused before the first word: the next target is asked, and the caller pays for that alone."""
    broken = ScriptedUpstream(script(part("", "CONTINUATION", "t1")), script(b'{"error":{"code":503,"message":"busy"}}', status=503))
    client, row = made(broken, ScriptedUpstream(script(part("one"))))
    assert (content_of(client.body), row.outcome, row.attempts, row.billed.input_tokens) == ("one", "completed", 2, 10)


@pytest.mark.parametrize(
    "rest",
    [
        script(b'{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}', status=503),
        script(Break()),
        script(),
        Script(refuses=True),
        script(Stall()),
        script(part("", "CONTINUATION", "t1", made=0)),
    ],
    ids=["refused", "broken", "empty", "unreachable", "silent", "the same token"],
)
def test_a_rest_that_does_not_come_is_a_failure_behind_what_came(rest: Script) -> None:
    """No finish, no `[DONE]`, nobody else is asked; the bill is of what arrived."""
    vendor, other = ScriptedUpstream(script(part("one ", "CONTINUATION", "t1")), rest), ScriptedUpstream(script(part("two")))
    client, row = made(vendor, other)
    assert (row.outcome, row.attempts, other.requests, row.billed.output_tokens) == ("cut", 1, [], 1)
    assert "error" in events_of(client.body)[-1]
    assert vendor.open == 0


def test_the_same_token_is_not_asked_with_twice() -> None:
    """It would be the same part again, and billed with its input each time."""
    vendor = ScriptedUpstream(*[script(part("x", "CONTINUATION", "t1")) for _ in range(5)])
    _, row = made(vendor)
    assert (len(vendor.requests), row.outcome) == (2, "cut")


@pytest.mark.parametrize("told", [(True, True), (True, False), (False, True)], ids=str)
def test_what_parts_have_used_of_a_kind_adds_up_where_either_says_so(told: tuple[bool, bool]) -> None:
    """[fault M12] Sound among the input, which stands in lists that not every part has."""
    events = [part("one ", "CONTINUATION", "t1"), part("two", made=3)]
    sound = {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}, {"modality": "TEXT", "tokenCount": 4}]}
    given = [
        with_usage(event, json.loads(event.removeprefix(b"data: "))["usageMetadata"] | (sound if says else {}))
        for event, says in zip(events, told, strict=True)
    ]
    _, row = made(ScriptedUpstream(*map(script, given)))
    assert (row.billed.input_tokens, row.billed.input_audio_tokens) == (20, 6 * sum(told))


def test_what_a_later_part_rests_on_stands_in_the_whole_text() -> None:
    """Offsets begin anew in each part, and Google leaves one out that is zero: it was the beginning of the whole answer then."""
    cited = json.loads(part("two").removeprefix(b"data: "))
    cited["candidates"][0]["citationMetadata"] = {"citations": [{"endIndex": 3, "uri": "https://a.example"}]}
    client, _ = made(ScriptedUpstream(script(part("one ", "CONTINUATION", "t1")), script(b"data: " + json.dumps(cited).encode() + b"\n\n")))
    deltas = [choice["delta"] for told in events_of(client.body) if isinstance(told, dict) for choice in told["choices"]]
    [note] = [note for delta in deltas for note in delta.get("annotations", [])]
    assert (note["url_citation"]["start_index"], note["url_citation"]["end_index"]) == (4, 7)


def test_a_vendor_is_not_asked_for_ever() -> None:
    """An answer has so many parts at most, whatever the vendor says."""
    vendor = ScriptedUpstream(*[script(part("x", "CONTINUATION", f"t{number}")) for number in range(CONTINUATIONS_MAX + 5)])
    _, row = made(vendor)
    assert (len(vendor.requests), row.outcome) == (CONTINUATIONS_MAX + 1, "cut")


def test_who_leaves_between_two_parts_pays_for_what_arrived_and_the_rest_is_not_asked_for() -> None:
    """A client that is gone needs no more of an answer."""
    vendor = ScriptedUpstream(script(part("one ", "CONTINUATION", "t1"), Stall(5)), script(part("two")))
    _, row = made(vendor, client=MemoryClient(leaves_after=1))
    assert (row.outcome, row.billed.input_tokens, row.billed.output_tokens, len(vendor.requests)) == ("client_gone", 10, 1, 1)


def test_googles_own_clients_ask_for_the_rest_themselves() -> None:
    """They get the finish and the token, and what they send with it goes as it is; each is a call of its own."""
    asked = json.dumps({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "continuationToken": "t0"}).encode()
    door = GeminiDoor("fast", stream=True)
    vendor = ScriptedUpstream(script(part("one ", "CONTINUATION", "t1")))
    client, row = made(vendor, data=asked, door=door)
    last = json.loads(client.body.split(b"data: ")[-1])["candidates"][0]
    assert (vendor.requests[0].body, len(vendor.requests)) == (asked, 1)
    assert (last["finishReason"], last["continuationToken"], row.outcome, row.billed.input_tokens) == (
        "CONTINUATION",
        "t1",
        "completed",
        10,
    )
