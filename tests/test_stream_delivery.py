"""Which tokens a client has of a stream, whatever part of its bytes it has: to the event, however many events left in one write."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.answer import Piece
from aisa.delivery import ENDS_MAX, StreamDelivery
from aisa.testing.client import MemoryClient
from repeats import repeats

#: Events as their size in bytes and their tokens; what is in one list leaves in one write.
EVENTS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), min_size=1, max_size=2 * ENDS_MAX)


class HalfGoneClient(MemoryClient):
    """A client that has so many bytes of what was written, and no more."""

    written = 0
    known = 0

    def write(self, data: bytes) -> int:
        """Take them."""
        self.written += len(data)
        return self.written

    def bytes_taken(self) -> int:
        """What has left."""
        return min(self.known, self.written)

    def bytes_delivered(self) -> int:
        """The same."""
        return min(self.known, self.written)


def piece_of(events: list[tuple[int, int]]) -> Piece:
    """Several events as one piece, as a decoder makes it: its ends are those of events that carry tokens."""
    ends = list(accumulate(size for size, _ in events))
    counts = list(accumulate(tokens for _, tokens in events))
    carrying = [(end, count) for end, count, (_, tokens) in zip(ends, counts, events, strict=True) if tokens]
    if len(events) == 1:
        return Piece(b"x" * ends[-1], counts[-1])
    return Piece(b"x" * ends[-1], counts[-1], [end for end, _ in carrying], [count for _, count in carrying])


@settings(max_examples=repeats(200), deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=5), st.data())
def test_a_token_counts_when_the_last_byte_of_its_event_is_there(writes: list[list[tuple[int, int]]], data: st.DataObject) -> None:
    """At any byte, asked after each write: the tokens of the events that end there or before, also of those that are not kept any more."""
    client = HalfGoneClient()
    delivery = StreamDelivery(client)
    ends: list[int] = []
    tokens: list[int] = []
    for events in writes:
        for size, count in events:
            ends.append((ends[-1] if ends else 0) + size)
            tokens.append(count)
        client.known = data.draw(st.integers(client.known, ends[-1]))
        left = delivery.write(piece_of(events))
        there = sum(count for end, count in zip(ends, tokens, strict=True) if end <= client.known)
        assert (left, delivery.taken(), delivery.delivered(), delivery.tokens) == (there, there, there, sum(tokens))
