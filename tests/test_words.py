"""The words that everything uses: ids, money, errors, and the life of a call as a table."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.call import ADMITTED, ANSWERING, ASK, END, NEXT, PIECE, Life
from aisa.errors import CODES, MEANING, ApiError
from aisa.ids import CROCKFORD, CallIds
from aisa.money import divide_half_up, dollars_text, nanos_per_million, parse_dollars
from repeats import repeats


def decoded(ulid: str) -> int:
    """The number that a ULID writes."""
    value = 0
    for character in ulid:
        value = value * 32 + CROCKFORD.index(character)
    return value


def test_a_call_id_is_a_ulid_of_its_millisecond() -> None:
    """The first 48 of its 128 bits are the time, so that ids sort as calls came."""
    for seconds in (0.0, 1_700_000_000.123, 4_102_444_800.0):
        given_id = CallIds(lambda now=seconds: now, random.Random(1))()
        assert len(given_id) == 30
        assert decoded(given_id.removeprefix("req_")) >> 80 == int(seconds * 1000)


def test_call_ids_never_repeat_not_even_within_a_millisecond_or_over_a_redraw() -> None:
    """A million and a half in one moment, if all are made: more than share one draw of entropy."""
    ids = CallIds(lambda: 1_700_000_000.0, random.Random(7))
    made = [ids() for _ in range(repeats(1_500_000))]
    assert len(set(made)) == len(made)


def test_two_processes_that_start_together_do_not_make_the_same_ids() -> None:
    """What differs is their entropy."""
    first, second = (CallIds(lambda: 1_700_000_000.0, random.Random(seed)) for seed in (1, 2))
    assert not {first() for _ in range(1000)} & {second() for _ in range(1000)}


@pytest.mark.parametrize(("nanos", "text"), [(0, "0"), (1, "0.000000001"), (1_250, "0.00000125"), (10**9, "1"), (-1_500_000_000, "-1.5")])
def test_an_amount_is_written_exactly(nanos: int, text: str) -> None:
    """As a JSON number, with no digit too many."""
    assert dollars_text(nanos) == text


@given(st.integers(0, 10**18))
def test_no_amount_loses_a_nano_dollar_on_its_way_to_text(nanos: int) -> None:
    """What is shown adds up to what is billed."""
    assert Decimal(dollars_text(nanos)) * 10**9 == nanos


@given(st.integers(0, 10**24), st.integers(1, 10**9))
def test_halves_are_rounded_up(numerator: int, denominator: int) -> None:
    """Never off by more than a half, and a half goes up."""
    rest = numerator - divide_half_up(numerator, denominator) * denominator
    assert -denominator <= 2 * rest < denominator


def test_a_price_that_cannot_be_kept_exactly_is_refused() -> None:
    """A tenth decimal would have to be rounded, again and again."""
    assert nanos_per_million("0.000000001") == 1
    with pytest.raises(ValueError, match="nine decimals"):
        nanos_per_million("0.0000000001")


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("0", 0), ("20", 20 * 10**9), ("2.50", 2_500_000_000), ("-0.000000001", -1), ("+1", 10**9), ("999999999.999999999", 10**18 - 1)],
)
def test_an_amount_is_read_exactly(text: str, nanos: int) -> None:
    """To the ninth decimal, below a billion dollars, with a sign or without."""
    assert parse_dollars(text) == nanos


@pytest.mark.parametrize(
    "text", ["", "-", ".5", "5.", "1e3", "1,000", "1_000", " 1", "1 ", "$1", "0.0000000001", "1000000000", "NaN", "\uff11", "1\n"]
)
def test_what_could_be_meant_otherwise_is_no_amount(text: str) -> None:
    """Nothing is rounded, guessed or left out; the message shows how to write it."""
    with pytest.raises(ValueError, match="write US dollars such as"):
        parse_dollars(text)


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_every_amount_that_is_shown_can_be_read_again(nanos: int) -> None:
    """What one command prints, another takes."""
    assert parse_dollars(dollars_text(nanos)) == nanos


def test_every_error_code_has_a_meaning() -> None:
    """Operators read it in docs/errors.md."""
    assert set(CODES) == set(MEANING)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("asked", [None, 0.0, 0.4, 59.6, 1e9])
def test_what_may_be_tried_again_says_when(code: str, asked: float | None) -> None:
    """429 and 503 always carry a wait of 1 to 60 whole seconds, unless no retry can cure them."""
    error = ApiError(code, "x", retry_after=asked)
    if asked is not None or error.status in (429, 503):
        assert error.retry_after in range(1, 61)
    else:
        assert error.retry_after is None
    assert ApiError("quota_exceeded", "x", should_retry=False).retry_after is None


def test_a_step_that_the_table_does_not_list_is_a_bug() -> None:
    """Falling back is not possible once a piece was sent, settling is done once and before the end, and nothing follows that."""
    life = Life()
    life.ask("a/x", 1.0)
    life.sent(1.0, tokens=0)
    assert (life.state, life.first_token_at) == (ANSWERING, None)
    life.sent(2.0, tokens=1)
    assert life.first_token_at == 2.0
    with pytest.raises(KeyError):
        life.ask("b/y", 2.0)
    with pytest.raises(KeyError):
        life.step(END)  # a call that was answered is settled first
    life.settle("completed")
    with pytest.raises(KeyError):
        life.settle("cut")
    life.finish()
    assert (life.finished, life.settled_as, life.outcome) == (True, "completed", "completed")
    life.step(END)
    assert not [state for state, _ in NEXT if state == life.state]
    assert (ADMITTED, ASK) in NEXT
    assert (ADMITTED, PIECE) not in NEXT
