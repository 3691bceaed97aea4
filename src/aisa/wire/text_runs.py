"""Further texts among the parts of an answer, which doors write many at a time. Knows no door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from aisa.answer import Extra, Part, Piece, Text, together


def by_runs(parts: Sequence[Part], write: Callable[[Sequence[Part]], Piece | None]) -> Piece | None:
    """Return what `write` makes of parts as one piece. It gets further texts by themselves, each run of them behind its first."""
    pieces = [piece for run in runs_in(parts) if (piece := write(run)) is not None]
    return together(pieces)[0] if pieces else None


def runs_in(parts: Sequence[Part]) -> list[Sequence[Part]]:
    """Return parts in pieces of which each is all further texts, or none. A text stays with what is told beside it, which comes next."""
    texts = [type(part) is Text for part in parts]
    if all(texts):
        return [parts]
    alone = [type(part) is not Extra for part in parts[1:]] + [True]
    further = [False, *[texts[at] and texts[at - 1] and alone[at] for at in range(1, len(parts))]]
    cuts = [at for at in range(1, len(parts)) if further[at] != further[at - 1]]
    return [parts[begin:end] for begin, end in pairwise((0, *cuts, len(parts)))]


def run_of(events: list[bytes], tokens: list[int]) -> Piece:
    """Return events of output, which show so many tokens each, as one piece."""
    if len(events) == 1:
        return Piece(events[0], tokens[0], carries=True)
    counts = list(accumulate(tokens))
    return Piece(b"".join(events), counts[-1], list(accumulate(map(len, events))), counts, carries=True)
