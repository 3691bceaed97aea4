"""How the sides of a report, its parts and its total fit together: at every bound, and which of several readings wins."""

from __future__ import annotations

import pytest

from aisa.wire.report_sums import fitted, with_part

MOST = (1_000, 2_000)


@pytest.mark.parametrize(
    ("whole", "part", "side"),
    [
        (100, 100, 100),  # inside it
        (100, 101, 201),  # beside it
        (100, 900, 1_000),  # as many as can be
        (100, 901, 100),  # more than can be: it is no part
        (0, 1_000, 1_000),
        (1_000, 1_001, 1_000),
    ],
)
def test_a_part_that_is_larger_than_its_side_stands_beside_it_if_so_many_can_be(whole: int, part: int, side: int) -> None:
    """[fault M10] Of that no total says anything."""
    assert with_part(whole, part, 1_000) == side


@pytest.mark.parametrize(
    ("total", "side"),
    [
        (0, 300),  # nothing is said of it
        (99, 300),  # that is none
        (100, 100),  # all of it is inside
        (299, 100),
        (300, 300),
        (310, 300),  # the rest is the other side
        (5_000, 300),
    ],
)
def test_of_one_side_and_a_total_the_total_decides_what_stands_beside(total: int, side: int) -> None:
    """[fault M5] A cache of any size was added to the input of vectors, of which the total said that it was all."""
    assert with_part(100, 200, 1_000, total=total) == side


@pytest.mark.parametrize(
    ("told", "beside", "thought", "found"),
    [
        ((100, 10, 110), (50, 0), 5, (100, 10, 5)),  # all inside
        ((100, 10, 160), (50, 0), 5, (150, 10, 5)),  # cached beside
        ((100, 10, 160), (0, 50), 5, (150, 10, 5)),  # written beside
        ((100, 10, 160), (20, 30), 5, (150, 10, 5)),  # both
        ((100, 10, 140), (20, 30), 5, (130, 10, 5)),  # one of them
        ((100, 10, 165), (20, 30), 5, (150, 15, 5)),  # and the thinking that was reported
        ((100, 10, 160), (50, 0), 50, (150, 10, 50)),  # what was cached before what was thought
        ((100, 10, 117), (50, 0), 5, (100, 17, 7)),  # thinking that was not reported
        ((100, 10, 90), (50, 0), 5, (100, 10, 5)),  # a slip
        ((100, 10, 0), (200, 0), 15, (300, 25, 15)),  # no total: parts that are larger than their sides
        ((900, 10, 1_010), (100, 0), 0, (1_000, 10, 0)),  # as much as can be
        ((900, 10, 1_011), (101, 0), 0, (900, 10, 0)),  # more
        ((100, 1_900, 2_100), (0, 0), 100, (100, 2_000, 100)),
        ((100, 1_900, 2_101), (0, 0), 100, (100, 1_900, 100)),
    ],
    ids=str,
)
def test_the_total_decides_what_stands_beside_if_it_can_be_true(
    told: tuple[int, int, int], beside: tuple[int, int], thought: int, found: tuple[int, int, int]
) -> None:
    """[fault M5, M9, M10] What goes beyond both sides was not made, whatever a total says."""
    assert fitted(told, beside=beside, thought=thought, most=MOST) == found
