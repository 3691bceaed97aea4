"""The log: columns and colours for people, exact JSON for machines, levels for both."""

from __future__ import annotations

import errno
import io
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast, get_args

import pytest

from aisa.edge.heads import refused
from aisa.errors import CALLER, OPERATOR, SERVER, VENDOR, ApiError, UpstreamFailed, fault_of
from aisa.facts import (
    BugFound,
    CallEnded,
    CrashSettled,
    Draining,
    Fact,
    Refused,
    Reloaded,
    Replayed,
    ServerNotice,
    ServerWarning,
    Stopped,
    TargetHealth,
    VendorFailed,
)
from aisa.ids import CallIds, short_id
from aisa.observe.columns import COST_WIDTH, LOUD_SECONDS, TextLines, cost_text
from aisa.observe.levels import ERROR, INFO, LEVELS, WARNING, level_of
from aisa.observe.log import JsonLines, LinesOut, json_line
from aisa.observe.words import in_words
from aisa.providers.blame import odd_type
from aisa.usage import Usage
from server import serving

AT = 1_795_878_000.5
ID = "req_01M8J6DZFBH9DDW8ETTMBXCD23"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def call(**more: object) -> CallEnded:
    """A call that went well, but for what is named."""
    known: dict[str, object] = {"request_id": ID, "outcome": "completed", "status": 200, "model": "gpt-4.1", "stream": True}
    known |= {"key_id": "key_1", "key_label": "laptop", "target": "openai/gpt-4.1", "attempts": 1, "usage": Usage(1_234, 340)}
    known |= {"billed_tokens": 340, "cost_nanos": 5_188_000, "first_token_seconds": 0.412, "total_seconds": 2.41, "bytes_sent": 9}
    return CallEnded(**(known | more))  # type: ignore[arg-type]  # its fields have many types


def failed(blame: str, detail: str = "openai: no answer in 60 s") -> VendorFailed:
    """An attempt that failed."""
    return VendorFailed(ID, "openai", "gpt-4.1", "upstream_timeout", detail, loud=blame == OPERATOR, blame=blame)


def bad_call(blame: str) -> CallEnded:
    """A call that failed by somebody's fault."""
    return call(outcome="failed", status=504, error_code="upstream_timeout", blame=blame, cost_nanos=0, billed_tokens=0)


def shown(*facts: Fact, width: int | None, least: str = INFO) -> list[str]:
    """What a terminal shows of facts that come one after the other."""
    lines = TextLines(least, width=lambda: width)
    return b"".join(lines(AT + number, fact) for number, fact in enumerate(facts)).decode().splitlines()


@pytest.mark.parametrize("width", [79, 80, 100, 112, 132, 140, 200])
def test_a_call_is_one_line_with_its_cost_however_wide_the_terminal(width: int) -> None:
    """[fault P13] Never wider than the terminal, with status, key, tokens, cost, time and an id that `aisa explain` takes."""
    [line] = shown(call(), width=width)
    assert len(line) <= width
    for said in (" 200 ", "laptop", "gpt-4.1", "1,234→340", "$0.005188", "2.41s", "01M8J6DZ", "…CD23 "):
        assert said in line
    assert ("0.41s" in line) == (width >= 112)


@pytest.mark.parametrize("width", [80, 139, 140, 200])
def test_the_log_has_the_short_form_of_ids_that_there_is_room_for(width: int) -> None:
    """[fault P13] The console's short form, or, on a narrow terminal, one that begins and ends alike: one is found in the other by eye."""
    kinds: list[Fact] = [call(), Refused(ID, 401, "invalid_api_key", "GET", "/v1/models"), Replayed(ID, ID, "k", "l", 1)]
    for line in shown(*kinds, width=width):
        assert len(line) <= width
        assert f"{short_id(ID) if width >= 140 else '01M8J6DZ…CD23'} " in line


@pytest.mark.parametrize("width", [60, 80, 120, 140])
def test_no_two_calls_of_a_second_have_one_id_in_the_log(width: int) -> None:
    """[fault P13] Of one process, however many: what is copied from the log means one call, as `aisa explain` takes it."""
    new_id = CallIds(iter([AT + number / 2_000 for number in range(1_000)]).__next__, random.Random(1))
    ids = [new_id() for _ in range(1_000)]
    told = [line.split()[4] for line in shown(*(call(request_id=id_) for id_ in ids), width=width)]
    assert len(set(told)) == len(ids)
    ends = [each.split("…") for each in told]
    assert all(id_.startswith(f"req_{beginning}") and id_.endswith(end) for id_, (beginning, end) in zip(ids, ends, strict=True))


@pytest.mark.parametrize(
    ("nanos", "said"),
    [
        *((1, "<$.000001"), (499, "<$.000001"), (500, "$0.000001"), (170_499, "$0.000170"), (170_500, "$0.000171")),
        *((9_999_999_999, "$10.00000"), (12_345_678_000, "$12.34568"), (99_999_999_999, "$100.0000"), (1_234_567_890_000, "$1234.568")),
    ],
)
def test_a_cost_has_as_many_decimals_as_there_is_room_for(nanos: int, said: str) -> None:
    """[fault P13] Rounded as on every other page, halves up; what is too little for six decimals is not nothing."""
    assert cost_text(nanos) == said
    assert len(said) <= COST_WIDTH


@pytest.mark.parametrize("width", [80, 140])
def test_calls_stand_in_columns(width: int) -> None:
    """[fault P13] Whatever their names and figures, the same thing stands under the same."""
    others = [call(), call(model="m" * 90, key_label="k" * 60), call(usage=Usage(9_999_999, 1), cost_nanos=None), call(cost_nanos=0)]
    lines = shown(*others, width=width)
    assert len({line.index("01M8J6DZ") for line in lines}) == 1
    assert len({line.index("2.41s") for line in lines}) == 1
    assert [re.findall(r"\$[\d.]+|no price", line) for line in lines] == [["$0.005188"], ["$0.005188"], ["no price"], ["$0"]]


@pytest.mark.parametrize("width", [80, 140, None])
@pytest.mark.parametrize("blame", [CALLER, VENDOR])
def test_a_vendors_failure_is_told_in_the_line_of_its_call(width: int | None, blame: str) -> None:
    """[fault P13] By whose fault, the code, and, whole, what the vendor said: in a line below where it has no room."""
    line, *below = shown(failed(blame), bad_call(blame), width=width)
    assert blame in line
    assert "upstream_timeout" in line
    assert ("openai: no answer in 60 s" in line) == (width != 80)
    assert below == ([] if width != 80 else ["             openai: no answer in 60 s"])


@pytest.mark.parametrize("width", [60, 80, 100, 120, 140, 160])
@pytest.mark.parametrize("ended", [bad_call(OPERATOR), call(attempts=2, target="azure/gpt-4.1")], ids=["failed", "saved"])
def test_why_a_vendor_failed_is_never_cut_off(width: int, ended: CallEnded) -> None:
    """[fault P13] A page of HTML, an empty credit and a refused connection have one code: what tells them apart is read to its end."""
    cause = "fake answered with status 500 and what is no document of its API, with content type text/html; charset=utf-8"
    lines = shown(failed(VENDOR, cause), ended, width=width)
    assert max(map(len, lines)) <= width
    assert cause in " ".join(map(str.strip, lines))
    assert [line[:2].isdigit() for line in lines] == [True] + [False] * (len(lines) - 1)


@pytest.mark.parametrize("width", [60, 120, None])
def test_a_head_that_cannot_be_read_is_told_with_what_is_wrong_with_it(width: int | None) -> None:
    """[fault P13] Its method and path are not known, so the reason is all there is to say; JSON has it too."""
    broken = refused(
        ApiError("invalid_request", "The request is not valid HTTP/1.1: its Host is missing."), ID, None, key=None, address=None
    )
    lines = shown(broken, width=width)
    assert "The request is not valid HTTP/1.1: its Host is missing." in " ".join(map(str.strip, lines))
    assert "- -" not in in_words(broken)
    assert json.loads(json_line(AT, broken))["message"] == "The request is not valid HTTP/1.1: its Host is missing."


def test_an_operators_fault_is_told_at_once_but_once_a_minute() -> None:
    """A line that says to act comes before its call has ended, and a thousand calls do not make a thousand of them."""
    lines = shown(failed(OPERATOR), bad_call(OPERATOR), failed(OPERATOR), bad_call(OPERATOR), width=140)
    assert [("ACT NOW" in line, "504" in line) for line in lines] == [(True, False), (False, True), (False, True)]
    text = TextLines(width=lambda: 140)
    assert [b"ACT NOW" in text(AT + after, failed(OPERATOR)) for after in (0, LOUD_SECONDS - 1, LOUD_SECONDS)] == [True, False, True]


def test_an_answer_of_a_second_target_says_what_the_first_did() -> None:
    """A call that went well in the end is one line too, and says how."""
    [line] = shown(failed(VENDOR), call(attempts=2, target="azure/gpt-4.1"), width=200)
    assert "via azure/gpt-4.1 2 attempts; upstream_timeout (openai: no answer in 60 s)" in line


def test_a_cut_call_says_what_it_costs_all_the_same() -> None:
    """[fault P13] The cost stands before the reason."""
    cut = call(outcome="cut", error_code="upstream_unavailable", blame=VENDOR)
    assert "$0.005188 cut; vendor: upstre" in shown(cut, width=80)[0]
    assert "$0.005188 client gone" in shown(call(outcome="client_gone"), width=80)[0]


def test_what_is_no_call_is_broken_between_words_and_set_in() -> None:
    """[fault P13] No wall: each line fits, and the time stands before the first alone."""
    lines = shown(ServerWarning("the disk of the data folder is nearly full " * 4), width=60)
    assert len(lines) > 2
    assert max(map(len, lines)) <= 60
    assert [line[:9].strip() != "" for line in lines] == [True] + [False] * (len(lines) - 1)


def test_a_trace_is_many_lines_and_none_of_them_looks_like_the_logs() -> None:
    """[fault P13] What a caller wrote into an exception cannot forge a line, nor steer the terminal."""
    lines = shown(BugFound(ID, "Traceback\n  File\n12:00:00 200 forged\x1b[2J"), width=80)
    assert "BUG" in lines[0]
    assert [line.startswith("         | ") for line in lines[1:]] == [True] * 3
    assert "\x1b" not in "".join(lines)


def test_a_refusal_shows_the_model_that_was_asked_for() -> None:
    """[fault P3] In the model's column, and in the line without columns."""
    refused = Refused(ID, 404, "unknown_model", "POST", "/v1/chat/completions", key_label="ci", key_id="key_1", model="gpt-9")
    assert [re.search(r"404 +(ci|POST).* gpt-9 ", shown(refused, width=width)[0]) is not None for width in (100, None)] == [True, True]
    assert " gpt-9 " in in_words(refused)


@pytest.mark.parametrize(
    "kind", [Refused(ID, 401, "invalid_api_key", "GET", "/v1/models", address="192.0.2.0/24"), Replayed(ID, ID, "k", "l", 1)]
)
@pytest.mark.parametrize("width", [80, 140])
def test_refusals_and_repeats_are_one_line(kind: Fact, width: int) -> None:
    """They stand in the columns of calls."""
    [line] = shown(kind, width=width)
    assert len(line) <= width
    assert "01M8J6DZ" in line


def test_colours_are_there_only_if_they_may_be_and_change_nothing_else() -> None:
    """[fault P13] Painted and unpainted lines are the same text."""
    facts: list[Fact] = [call(), bad_call(VENDOR), ServerWarning("look"), ServerNotice("well")]
    written = [b"".join(TextLines(width=lambda: 100, colours=used)(AT, fact) for fact in facts).decode() for used in (False, True)]
    plain, painted = written
    assert "\x1b" not in plain
    assert COLOUR.sub("", painted) == plain
    assert "\x1b[32m200" in painted
    assert "\x1b[31m504" in painted


def test_a_terminal_without_our_characters_gets_others() -> None:
    """A C locale shows `>` and `~`, and no byte that it cannot."""
    line = TextLines(width=lambda: 80, plain=True)(AT, call(model="m" * 90))
    assert line.isascii()
    assert b"1,234>340" in line


def test_off_a_terminal_a_line_has_day_whole_id_and_address() -> None:
    """Somebody reads it days later."""
    [line] = shown(call(address="192.0.2.0/24"), width=None)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line)
    assert ID in line
    assert line.endswith("from 192.0.2.0/24")


def levels() -> Iterator[tuple[Fact, str]]:
    """Facts, and how much each matters."""
    yield call(), INFO
    yield from ((bad_call(blame), level) for blame, level in ((CALLER, INFO), (VENDOR, WARNING), (OPERATOR, ERROR), (SERVER, ERROR)))
    yield TargetHealth("a/b", 5.0), WARNING
    yield TargetHealth("a/b"), INFO
    yield Refused(ID, 401, "invalid_api_key", "GET", "/"), INFO
    yield Refused(ID, 503, "overloaded", "GET", "/"), WARNING
    yield BugFound(ID, ""), ERROR


def test_the_level_decides_what_is_written() -> None:
    """[fault P13] From it on everything, below it nothing, as JSON and as text; a line says its level."""
    for least in LEVELS:
        for fact, level in levels():
            wanted = LEVELS.index(level) >= LEVELS.index(least)
            assert level_of(fact) == level
            assert bool(JsonLines(least)(AT, fact)) == bool(shown(fact, width=None, least=least)) == wanted
            assert json.loads(json_line(AT, fact))["level"] == level


def test_a_call_that_a_second_target_saved_is_to_be_looked_at() -> None:
    """The failure that it tells of is a warning, so its line is one."""
    assert [line[:8].isspace() for line in shown(failed(VENDOR), call(attempts=2), width=80, least=WARNING)] == [False, True, True]
    assert shown(call(), width=80, least=WARNING) == []


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (Draining(30.0, 0), "draining: 0 calls in flight, 30 s at most"),
        (Draining(30.0, 1), "draining: 1 call in flight, 30 s at most; a second Ctrl-C or SIGTERM leaves at once, as a crash does"),
        (Draining(30.0, 2), "draining: 2 calls in flight, 30 s at most; a second Ctrl-C or SIGTERM leaves at once, as a crash does"),
        (Draining(30.0), "draining: no new calls, 30 s at most; a second Ctrl-C or SIGTERM leaves at once, as a crash does"),
        (CrashSettled(1, 1, 0), "1 call that a crash had cut is settled: 1 output token, 0 US dollars"),
        (CrashSettled(2, 3, 0), "2 calls that a crash had cut are settled: 3 output tokens, 0 US dollars"),
        (
            CrashSettled(1, 1, 0, 1),
            "1 call that the process before had left in the journal is booked, which had ended: 1 output token, 0 US dollars",
        ),
        (
            CrashSettled(1_024, 3, 0, 1_024),
            "1024 calls that the process before had left in the journal are booked, all of which had ended: 3 output tokens, 0 US dollars",
        ),
        (
            CrashSettled(9, 3, 0, 7),
            "9 calls that the process before had left in the journal are booked, 2 of which its end had cut: 3 output tokens, 0 US dollars",
        ),
        (Stopped(1), "stopped; 1 call stays in the journal until the database takes it"),
        (Stopped(2), "stopped; 2 calls stay in the journal until the database takes them"),
        (TargetHealth("a", 5.0, "unreachable"), "a cannot be reached, so it is asked last for 5 s"),
        (TargetHealth("a", 5.0, "key_refused"), "a refuses our key, so it is asked last for 5 s"),
    ],
    ids=str,
)
def test_one_is_told_as_one_and_what_can_be_done_is_told(fact: Fact, said: str) -> None:
    """A reader who waits for the end of a stream knows how to end it."""
    assert in_words(fact) == said


@pytest.mark.parametrize("seconds", [0.06899999999950523, 0.0029999999999990594, 5.000000000000001])
def test_measured_times_have_the_digits_that_mean_something(seconds: float) -> None:
    """[fault P13] No difference of two floats is told with a dozen digits of nothing."""
    line = json_line(AT, TargetHealth("a/b", seconds)).decode()
    assert not re.search(r"\d\.\d{7,}", line)
    assert json.loads(line)["last_for_seconds"] == round(seconds, 6)


def test_whose_fault_a_failed_call_is() -> None:
    """The last attempt's, if it ended the call; else by the status of what the caller was told."""
    timeout = ApiError("upstream_timeout", "x")
    assert fault_of(timeout, UpstreamFailed(timeout, blame=OPERATOR)) == OPERATOR
    assert fault_of(ApiError("insufficient_wallet_balance", "x"), UpstreamFailed(timeout)) == CALLER
    assert fault_of(ApiError("internal_error", "x"), None) == SERVER


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text/html; charset=utf-8", ", with content type text/html; charset=utf-8"),
        ("text/event-stream", ""),
        ("application/json", ""),
        ("", ""),
    ],
)
def test_a_page_in_place_of_an_answer_is_told_by_its_type(kind: str, said: str) -> None:
    """[fault P13] A login page or a proxy's has another cause than a vendor that broke off."""
    assert odd_type({"content-type": kind}) == said


def test_a_server_tells_its_life(tmp_path: Path) -> None:
    """[fault P13] That it listens, what it reloads, how it drains, that it has stopped: events of their own, with what they are about."""
    with serving(tmp_path, "models: {fast: [embedded/tiny]}\n") as server:
        server.aisa("reload")
    told = [json.loads(line) for line in server.log.splitlines()]
    life = [event for event in told if event["type"] in {"started", "reloaded", "draining", "stopped"}]
    assert [event["type"] for event in life] == ["started", "reloaded", "draining", "stopped"]
    assert (life[0]["url"], life[0]["process"], life[0]["workers"]) == (server.url, server.process.pid, 1)
    assert all({"time", "level", "type"} <= event.keys() for event in told)


def test_every_kind_of_event_can_be_told() -> None:
    """[fault P13] None is left out of the words: what stands in JSON has a sentence too."""
    kinds = {kind.__struct_config__.tag for kind in get_args(Fact)}
    assert {"started", "crash_settled", "reloaded", "reload_refused", "not_ready", "draining", "stopped"} <= kinds
    assert (
        "2 calls that a crash had cut are settled: 7 output tokens, 0.000001 US dollars" in shown(CrashSettled(2, 7, 1_000), width=None)[0]
    )
    assert shown(Reloaded(("a",), ("b",), 1), width=None)[0].endswith("reloaded: a; only after a restart: b; 1 worker has not answered yet")


class Tight(io.RawIOBase):
    """A file on a disk with so much room."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.content = b""

    def writable(self) -> bool:
        """It is, as long as there is room."""
        return True

    def write(self, given: Any) -> int:
        """Take what there is room for. Raises OSError if there is none."""
        taken = bytes(given)[: self.room]
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(taken)
        self.content += taken
        return len(taken)


@pytest.mark.parametrize("room", range(40))
@pytest.mark.parametrize("buffered", [False, True])
def test_lines_that_a_full_disk_does_not_take_are_counted_and_told_once_it_does(room: int, buffered: bool) -> None:
    """[issue 13] They were gone without a word, or came later and in part; whole lines are taken, and what is left of one stands apart."""
    disk = Tight(room)
    out = LinesOut(cast("BinaryIO", io.BufferedWriter(disk) if buffered else disk), lambda said: f"! {said}\n".encode())
    lines = [f"line {number}\n".encode() for number in range(6)]
    for line in lines[:5]:
        out.write(line)
    whole = (room + 1) // len(lines[0])  # one may lack its end alone, which comes with the next
    assert (out.lost, out.why) == (max(0, 5 - whole), "" if room >= 5 * len(lines[0]) else "No space left on device")
    disk.room = 1_000
    out.write(lines[5])
    told = disk.content.decode().splitlines()
    assert [line for line in told if line.startswith("line") and len(line) == 6] == [
        *(line.decode().strip() for line in lines[: min(5, whole)]),
        "line 5",
    ]
    assert [line for line in told if line.startswith("!")] == (
        [] if whole >= 5 else [f"! {5 - whole} log line{' was' if whole == 4 else 's were'} lost: No space left on device"]
    )
    assert (out.lost, told[-1]) == (0, "line 5")


def test_a_disk_that_is_full_again_while_it_is_told_loses_count_of_nothing() -> None:
    """Neither of what was lost before nor of what is lost then."""
    disk = Tight(0)
    out = LinesOut(cast("BinaryIO", disk), lambda said: f"! {said}\n".encode())
    out.write(b"a\nb\n")
    disk.room = 5
    out.write(b"c\n")
    assert out.lost == 3
    disk.room = 1_000
    out.write(b"d\n")
    assert disk.content.endswith(b"\n! 3 log lines were lost: No space left on device\nd\n")


@pytest.mark.parametrize("room", range(120))
def test_lines_told_as_lost_and_lines_that_are_there_are_all_lines(room: int) -> None:
    """A line that was torn right before its end was there, and counted as lost; a notice torn there was told twice."""
    disk = Tight(0)
    out = LinesOut(cast("BinaryIO", disk), lambda said: f"! {said}\n".encode())
    out.write(b"a1\na2\n")
    disk.room = room
    out.write(b"b1\nb2\n")
    out.write(b"b3\n")
    disk.room = 1_000
    out.write(b"c1\n")
    told = disk.content.decode().splitlines()
    there = [line for line in told if re.fullmatch("[abc][1-3]", line)]
    lost = [int(found[1]) for line in told if (found := re.fullmatch(r"! (\d) log lines? w\w+ lost: No space left on device", line))]
    assert len(there) + sum(lost) == 6
    assert (out.lost, told[-1]) == (0, "c1")
