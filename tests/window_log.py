"""What several processes saw of one limit, as a log of intervals, and whether it held and was reached. Not a test.

Only order in time is judged, never how long anything took: a call was let in, or refused, at some moment between the two at which its
process looked at the clock. On a slow machine that says less, and is never wrong.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from aisa.admission.window import BUCKETS

Use = tuple[int, int, int]  # between which moments so much was let in
Refused = tuple[int, int, int]  # between which moments it was refused that so much more was used


def most_in_a_window(uses: Sequence[Use], span: int) -> int:
    """Return the most that was let in for certain within a window of this length, wherever it begins."""
    ends = sorted((end, amount) for _, end, amount in uses)
    sums = [0, *accumulate(amount for _, amount in ends)]
    times = [end for end, _ in ends]
    begins = sorted((begin, amount) for begin, _, amount in uses)
    before, most = 0, 0
    for begin, amount in begins:  # all that had ended within the window, less what had begun before it
        most = max(most, sums[bisect_left(times, begin + span)] - before)
        before += amount
    return most


def least_at_a_refusal(uses: Sequence[Use], refused: Sequence[Refused], span: int) -> int:
    """Return the least that may have counted at any refusal together with what was asked for: above the limit, or there was room for it.

    What is used within a bucket counts until the last of it is a window old.
    """
    kept = span + -(-span // BUCKETS)
    begins, ends = sorted((begin, amount) for begin, _, amount in uses), sorted((end, amount) for _, end, amount in uses)
    begun, ended = [0, *accumulate(amount for _, amount in begins)], [0, *accumulate(amount for _, amount in ends)]
    begin_times, end_times = [begin for begin, _ in begins], [end for end, _ in ends]
    return min(
        begun[bisect_left(begin_times, end + 1)] - ended[bisect_left(end_times, begin - kept)] + amount for begin, end, amount in refused
    )
