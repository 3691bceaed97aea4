"""How the sides of a report of usage, their parts and its total fit together. Knows no names of counts."""

from __future__ import annotations


def with_part(whole: int, part: int, most: int, *, total: int = 0) -> int:
    """Return a side with a part that is larger, which stands beside it if so many tokens can be: by what is possible, and by a total."""
    most = min(most, total) if total >= max(whole, 1) else most
    return whole + part if whole < part <= most - whole else whole


def fitted(told: tuple[int, int, int], *, beside: tuple[int, int], thought: int, most: tuple[int, int]) -> tuple[int, int, int]:
    """Return input, output and thinking so that input and output are the whole. Of what goes beyond their sum, the total decides.

    It is cached and written tokens that stand beside the prompt if these fill the gap exactly; or the thinking that was reported; else
    thinking that was not. Without a total that can be true, a part that is larger than its whole stands beside it.
    """
    taken, made, total = told
    cached, written = beside
    gap = total - taken - made
    ways = [(more, more_made) for more_made in (0, thought) for more in (0, cached + written, cached, written)]
    more, more_made = next((way for way in ways if sum(way) == gap), (0, gap))
    if gap >= 0 and taken + more <= most[0] and made + more_made <= most[1]:
        return taken + more, made + more_made, max(thought, more_made)
    return with_part(taken, cached + written, most[0]), with_part(made, thought, most[1]), thought


def heard_beside(told: tuple[int, int, int], *, heard: int, thought: int, seconds: bool) -> int:
    """Return how many tokens of sound stand in a total alone: those that were `heard`, if they fill what goes beyond the sum, or fit there.

    Mistral tells `seconds` of sound, whose tokens it has in no side; `heard` is 0 where it does not say how many they are. As many that
    were `thought` are more likely what others leave out of the sum.
    """
    taken, made, total = told
    gap = max(0, total - taken - made)
    if not seconds:
        return heard if heard == gap != thought else 0
    return heard if 0 < heard <= gap else gap
