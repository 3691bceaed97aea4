"""Durations are written in one way wherever one is asked for."""

from __future__ import annotations

import click
import pytest

from aisa.cli.board import INTERVAL_MS_MAX, INTERVAL_MS_MIN, milliseconds
from aisa.cli.moments import beginning, beginning_or_always, ending
from aisa.cli.problems import Misuse
from aisa.durations import milliseconds as read
from aisa.edge.admin_usage import SPAN_MS_MAX
from aisa.errors import ApiError
from aisa.keys.terms import GRACE_SECONDS_MAX, parse_expiry, parse_grace

NOW = 1_800_000_000.5
DURATIONS = {
    "20s": 20,
    " 30m ": 1_800,
    "12h": 43_200,
    "7d": 604_800,
    "2w": 1_209_600,
    "1h30m": 5_400,
    "1d 12h": 129_600,
    "90 minutes": 5_400,
    "1 hour 1 sec": 3_601,
    "1 Day": 86_400,
    "60000ms": 60,
}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_a_duration_is_the_same_for_every_option(text: str, seconds: int) -> None:
    """Expiries, graces and beginnings take it alike, in seconds too, and the board where it is within its bounds."""
    assert read(text) == seconds * 1000
    assert parse_grace(text) == seconds
    assert parse_expiry(text, NOW) == int(NOW) + seconds
    assert beginning(text, NOW) == beginning_or_always(text, NOW) == (int(NOW) - seconds) * 1000
    if INTERVAL_MS_MIN <= seconds * 1000 <= INTERVAL_MS_MAX:
        assert milliseconds(None, None, text) == seconds * 1000  # type: ignore[arg-type]  # what click gives, it does not look at


@pytest.mark.parametrize(
    "text", ["", " ", "s", "20", "-20s", "1.5h", "1y", "1 month", "30m1h", "1h1h", "1h30", "٣s", "20s,", "1" * 13 + "s"]
)
def test_what_is_no_duration_is_refused_by_every_option(text: str) -> None:
    """No number is taken for seconds or days, and no unit of a calendar for a length."""
    assert read(text) is None
    for take in (parse_grace, lambda given: parse_expiry(given, NOW)):
        with pytest.raises(ApiError):
            take(text)
    with pytest.raises(Misuse):
        beginning(text, NOW)
    with pytest.raises(click.BadParameter):
        milliseconds(None, None, text)  # type: ignore[arg-type]  # as above


def test_a_grace_may_be_none_and_has_a_bound() -> None:
    """No time at all is `0` in any unit, and the longest is a quarter of a year."""
    assert [parse_grace(text) for text in ("0", "0s", "0d", "90d")] == [0, 0, 0, GRACE_SECONDS_MAX]
    with pytest.raises(ApiError, match="90 days"):
        parse_grace("90d1s")


def test_a_beginning_is_also_a_date_and_a_time_or_always() -> None:
    """Midnight of a day, a moment of it with or without its zone, and everything."""
    assert beginning("2027-01-15", NOW) == 1_799_971_200_000
    assert beginning("2027-01-15T01:00", NOW) == beginning("2027-01-15 02:00+01:00", NOW) == 1_799_974_800_000
    assert beginning_or_always(" Always", NOW) == 0


def test_only_what_is_summed_up_has_a_longest_time_ago() -> None:
    """[issue 13] Calls, exports and statements of a year that is long over could be had of all time alone, or not at all."""
    assert beginning("2019-02-28", NOW) == 1_551_312_000_000
    assert ending("2019-03-01", NOW) == 1_551_398_400_000
    with pytest.raises(Misuse, match="cannot be used"):
        beginning("2019-02-28", NOW, ago_ms_max=SPAN_MS_MAX)
    assert ending("2030-01-01", NOW) == 1_893_456_000_000, "an end may be in the future"
    for take, text in ((beginning, "2030-01-01"), (beginning, "1969-12-31"), (ending, "1969-12-31"), (ending, "soon")):
        with pytest.raises(Misuse):
            take(text, NOW)
