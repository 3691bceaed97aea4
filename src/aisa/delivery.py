"""Which of a stream's tokens the client has received: keeps where each event ended on the connection. Reads no socket itself.

A token counts as delivered when the client's system has acknowledged the last byte of the event that carried it.
"""

from __future__ import annotations

from bisect import bisect_right

from aisa.answer import Piece
from aisa.wire.port import Client

ENDS_MAX = 64  # kept before asking the kernel which of them the client has; a living client is never far behind


class StreamDelivery:
    """The tokens of one stream on their way. `tokens` have been handed to the client's connection so far."""

    __slots__ = ("_client", "_counts", "_delivered", "_end", "_ends", "_look_at", "tokens")

    def __init__(self, client: Client) -> None:
        self.tokens = 0
        self._client = client
        self._ends: list[int] = []  # where events that carry tokens end, on the scale of `Client.bytes_written`
        self._counts: list[int] = []  # ... and the tokens up to there
        self._end = 0  # where the last event without a token ends
        self._delivered = 0  # the tokens of events that are no longer kept
        self._look_at = ENDS_MAX

    def write(self, piece: Piece) -> int:
        """Hand a piece to the client and note where its events end; return the tokens that have left this process then."""
        client = self._client
        self._end = end = client.write(piece.data)
        if piece.ends:
            begin = end - len(piece.data)
            self._ends += [begin + offset for offset in piece.ends]
            self._counts += [self.tokens + count for count in piece.counts]
        elif piece.tokens:
            self._ends.append(end)
            self._counts.append(self.tokens + piece.tokens)
        self.tokens += piece.tokens
        if len(self._ends) >= self._look_at:
            self._forget()
        return self.tokens if client.bytes_taken() >= end else self.taken()

    def opened(self) -> bool:
        """Tell whether the client has all that was handed to it, and that is something: asked only of an answer without a token."""
        return 0 < self._end <= self._client.bytes_delivered()

    def taken(self) -> int:
        """Return the tokens that have left this process: these the client gets even if we die."""
        return self._up_to(self._client.bytes_taken())

    def delivered(self) -> int:
        """Return the tokens that the client has."""
        return self._up_to(self._client.bytes_delivered())

    def _up_to(self, offset: int) -> int:
        known = bisect_right(self._ends, offset)
        return self._counts[known - 1] if known else self._delivered

    def _forget(self) -> None:
        known = bisect_right(self._ends, self._client.bytes_delivered())
        if known:
            self._delivered = self._counts[known - 1]
            del self._ends[:known], self._counts[:known]
        self._look_at = len(self._ends) + ENDS_MAX
