"""Which of a stream's tokens the client has received: keeps where each event ended on the connection. Reads no socket itself.

A token counts as delivered when the client's system has acknowledged the last byte of the event that carried it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from msgspec.structs import replace

from aisa.answer import Piece
from aisa.ledger.rules import Delivered
from aisa.providers.output import output_of
from aisa.providers.shape import Decoder
from aisa.wire.port import Client
from aisa.wire.token_meter import arrived

NO_ENDS: list[int] = []  # of a stream without a token; never changed
ENDS_MAX = 64  # kept before asking the kernel which of them the client has; a living client is never far behind


class StreamDelivery:
    """The tokens of one stream on their way. `tokens` have been handed to the client's connection so far."""

    __slots__ = ("_client", "_counts", "_delivered", "_end", "_ends", "_inside", "_kept", "_look_at", "tokens")

    def __init__(self, client: Client) -> None:
        self.tokens = 0
        self._client = client
        #: Where what was written with tokens ends, on the scale of `Client.bytes_written`, and the tokens up to there.
        self._ends = self._counts = NO_ENDS
        #: Of what was written as several events, by where it ends: where it begins, the tokens before, and those up to each event's end.
        self._inside: dict[int, tuple[int, int, Sequence[int], Sequence[int]]] | None = None
        self._kept = 0  # events in these
        self._end = 0  # where the last event without a token ends
        self._delivered = 0  # the tokens of events that are no longer kept
        self._look_at = ENDS_MAX

    def write(self, piece: Piece) -> int:
        """Hand a piece to the client and note where its events end; return the tokens that have left this process then."""
        client, tokens = self._client, piece.tokens
        self._end = end = client.write(piece.data)
        if not tokens:
            return self.tokens if client.bytes_taken() >= end else self.taken()
        if not self.tokens:
            self._ends, self._counts = [], []
        written = end
        if piece.ends:
            begin = end - len(piece.data)
            end = begin + piece.ends[-1]
            inside = self._inside = self._inside or {}
            inside[end] = begin, self.tokens, piece.ends, piece.counts
            self._kept += len(piece.ends)
        self.tokens = tokens = self.tokens + tokens
        self._ends.append(end)
        self._counts.append(tokens)
        if self._kept + len(self._ends) >= self._look_at:
            self._forget()
        return tokens if client.bytes_taken() >= written else self.taken()

    def sent(self, decoder: Decoder | None) -> Delivered:
        """Return what was handed to the client's connection of what a decoder has read."""
        if decoder is None:
            return Delivered(self.tokens)
        return Delivered(self.tokens, decoder.tokens, decoder.reasoning_shown, decoder.finished)

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
        count = self._counts[known - 1] if known else self._delivered
        inside = self._inside.get(self._ends[known]) if self._inside and known < len(self._ends) else None
        if inside is not None:
            begin, before, ends, counts = inside
            if within := bisect_right(ends, offset - begin):
                return before + counts[within - 1]
        return count

    def _forget(self) -> None:
        known = bisect_right(self._ends, self._client.bytes_delivered())
        if known:
            self._delivered = self._counts[known - 1]
            if self._inside:
                last = self._ends[known - 1]
                inside = self._inside = {end: several for end, several in self._inside.items() if end > last}
                self._kept = sum([len(ends) for _, _, ends, _ in inside.values()])
            del self._ends[:known], self._counts[:known]
        self._look_at = self._kept + len(self._ends) + ENDS_MAX


def with_text(delivered: Delivered, decoder: Decoder | None, *, everything: bool) -> Delivered:
    """Return the same with what is known of the text itself; `everything` says that nothing handed over is missing.

    That is how much it can be, and what a tokenizer makes of the text that arrived.
    """
    output = None if decoder is None else output_of(decoder)
    if decoder is None or output is None or not delivered.tokens:
        return delivered
    text = arrived(output.meters, delivered.tokens, everything=everything and delivered.tokens == decoder.tokens)
    shown = output.shown(exact=True)
    return replace(delivered, text=text, most=shown.most_shown(), way=shown.way)
