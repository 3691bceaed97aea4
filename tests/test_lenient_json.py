"""The second reading of what vendors send: what it lets in, what it never lets out, and what it costs."""

from __future__ import annotations

import json
import time

import pytest

from aisa.wire.completeness import CHARACTERS_MAX, Completeness
from aisa.wire.halves import Seam, whole
from aisa.wire.lenient_json import LENIENT_BYTES_MAX, LOGPROB_MIN, NotEvenLenient, encode, read_leniently

EMOJI = "\U0001f600"
HIGH, LOW = "\ud83d", "\ude00"


@pytest.mark.parametrize(
    ("pieces", "sent"),
    [
        ([f"a{HIGH}", f"{LOW}b"], ["a", f"{EMOJI}b"]),
        ([HIGH, "", LOW], ["", "", EMOJI]),
        ([HIGH, "b"], ["", "\ufffdb"]),
        ([LOW, "b"], ["\ufffd", "b"]),
        ([f"{HIGH}{HIGH}", LOW], ["\ufffd", EMOJI]),
        ([f"{LOW}{HIGH}", f"{LOW}{HIGH}", LOW], ["\ufffd", EMOJI, EMOJI]),
        (["ä", EMOJI], ["ä", EMOJI]),
    ],
)
def test_halves_of_a_character_in_neighbouring_pieces_are_joined(pieces: list[str], sent: list[str]) -> None:
    """[fault W4] And a half that stays alone is U+FFFD."""
    seam = Seam()
    assert [seam.take(piece) for piece in pieces] == sent
    assert seam.end() == ""


def test_a_half_that_is_still_waited_for_at_the_end_is_replaced() -> None:
    """[fault W4] It was there; a client sees that something was."""
    seam = Seam()
    assert seam.take(HIGH) == ""
    assert seam.open
    assert seam.end() == "\ufffd"
    assert (seam.open, seam.end()) == (False, "")


def test_what_was_read_leniently_is_written_strictly() -> None:
    """[fault W4] Numbers that are none, halves in names and values, deep and in arrays: the result is JSON for the strictest reader."""
    data = b'{"logprob":-Infinity,"a":NaN,"b":[Infinity,{"logprob":1e400,"c":-1e400}],"\\ud83d":["\\ude00",1,true,null,"x"],"n":1%s}'
    value = read_leniently(b"\xef\xbb\xbf" + data % (b"0" * 40))
    written = json.loads(encode(value), parse_constant=pytest.fail)
    assert written == {
        "logprob": LOGPROB_MIN,
        "a": None,
        "b": [None, {"logprob": LOGPROB_MIN, "c": None}],
        "\ufffd": ["\ufffd", 1, True, None, "x"],
        "n": 10**40,
    }


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"{'a':1}", b'{"a":1}x', b'{"a":"\xff"}', b'{"a":"\n"}', b"[" * 100 + b"]" * 100, b"1" * 5000, b"{,}", b"undefined"],
)
def test_what_no_client_could_read_is_refused(data: bytes) -> None:
    """Lenient is not careless: the failure stays a failure."""
    with pytest.raises(NotEvenLenient):
        read_leniently(data)


def test_a_second_reading_is_bounded_in_size() -> None:
    """Python's reader is slow, and one vendor's nonsense must not stop everybody's streams."""
    with pytest.raises(NotEvenLenient):
        read_leniently(b'"' + b"a" * LENIENT_BYTES_MAX + b'"')


@pytest.mark.parametrize("text", ["", "plain", "ä", EMOJI])
def test_text_without_halves_is_left_alone(text: str) -> None:
    """Whatever its alphabet."""
    assert whole(text) is text


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("{}", True),
        ('{"a":"}"}', True),
        ('{"a":"\\"}"}', True),
        ('{"a":"\\\\"}', True),
        ("[{},[]]", True),
        ('"{}"', True),
        ("{}  \n", True),
        ("", False),
        ("{", False),
        ('{"a":"}', False),
        ('{"a":"\\"}', False),
        ('{"a":[}', False),
        ("12", False),
    ],
)
def test_whole_json_is_told_from_a_part_of_it_however_it_is_cut(text: str, complete: bool) -> None:
    """[fault W5] Brackets inside strings and escaped quotation marks end nothing; a number may always go on."""
    for split in range(len(text) + 1):
        progress = Completeness()
        progress.feed(text[:split])
        progress.feed(text[split:])
        assert progress.complete is complete, split


@pytest.mark.heavy
def test_a_text_beyond_the_bound_is_never_complete_and_costs_nothing_more() -> None:
    """A megabyte of brackets is looked at once; what follows is not looked at."""
    progress = Completeness()
    progress.feed("[" * CHARACTERS_MAX)
    began = time.process_time()
    for _ in range(1000):
        progress.feed("]" * CHARACTERS_MAX)
    assert time.process_time() - began < 1
    assert not progress.complete
