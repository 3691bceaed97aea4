"""What an answer is made of on its way to a client, whichever protocol it came in. Knows no protocol, no vendor and no connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec


class Piece(msgspec.Struct, frozen=True, gc=False):
    """What goes to the client in one write: whole events, and by how many output tokens the count grows with them.

    `ends` are the offsets in `data` at which events that carry tokens end, `counts` the tokens up to there; none if it is one event.
    `carries` says that there is output in it, however small: the idle clock begins anew.
    """

    data: bytes
    tokens: int
    ends: Sequence[int] = ()
    counts: Sequence[int] = ()
    carries: bool = False


def together(pieces: list[Piece]) -> list[Piece]:
    """Make one piece of what one read of a vendor brought; none of nothing."""
    if len(pieces) <= 1:
        return pieces
    ends, counts = positions(pieces)
    carries = any(piece.carries for piece in pieces)
    return [Piece(b"".join([piece.data for piece in pieces]), counts[-1] if counts else 0, ends, counts, carries)]


def positions(pieces: Iterable[Piece]) -> tuple[list[int], list[int]]:
    """Return where events that carry tokens end in these pieces, one behind the other, and the tokens up to each."""
    ends: list[int] = []
    counts: list[int] = []
    begin = tokens = 0
    for piece in pieces:
        if piece.ends:
            ends += [begin + end for end in piece.ends]
            counts += [tokens + count for count in piece.counts]
        elif piece.tokens:
            ends.append(begin + len(piece.data))
            counts.append(tokens + piece.tokens)
        begin += len(piece.data)
        tokens += piece.tokens
    return ends, counts
