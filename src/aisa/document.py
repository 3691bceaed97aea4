"""A whole document on its way to its client: what of it must be acknowledged to count, and what is held back from whom. Reads no socket.

A client that has read a document can reset the connection before its system has acknowledged it, and cannot be told from one that never
got it. So all but the last bytes count as all; and to keys whose clients have done so before, these bytes are sent only when the rest has
been acknowledged: who wants the end of a document then acknowledges what came before it.
"""

from __future__ import annotations

import asyncio

from aisa.wire.port import SERVER_CLOSES, Client

HELD_BACK_BYTES = 16  # of a document's end: too few to leave out anything that was asked for, and the JSON is not whole without them
QUIET_SECONDS_MAX = 0.2  # without an acknowledgement, after which the end is sent all the same: delayed ones take 0.04 to 0.2 s


class DocumentDelivery:
    """One document, behind everything that was written to the client's connection before."""

    __slots__ = ("_client", "_end", "_has_rest")

    def __init__(self, client: Client) -> None:
        self._client = client
        self._end: int | None = None  # on the scale of `Client.bytes_written`
        self._has_rest = False  # was seen: behind TLS, what is on its way makes the count of what has arrived a little smaller

    async def all_but_the_end(self, document: bytes) -> bytes:
        """Send a document whose head was given, and return its end, which is to be sent now: the client's system has the rest, or is quiet.

        Cancelled when the client leaves meanwhile, as any wait for it. A server that stops sends the end at once.
        """
        client = self._client
        client.write(document[:-HELD_BACK_BYTES])
        self._end = client.bytes_written + HELD_BACK_BYTES
        acknowledged = asyncio.Event()

        def tell(whole: bool) -> None:
            self._has_rest = whole
            acknowledged.set()

        client.tell_delivery(tell)
        before, now = -1, client.bytes_delivered()
        while now > before and not acknowledged.is_set():
            before = now
            try:
                async with asyncio.timeout(QUIET_SECONDS_MAX):
                    await acknowledged.wait()
            except TimeoutError:
                now = client.bytes_delivered()
            except asyncio.CancelledError as ending:
                if client.gone or ending.args != (SERVER_CLOSES,):
                    raise
                break
        return document[-HELD_BACK_BYTES:]

    def ended(self) -> None:
        """Note that all of it was handed over."""
        self._end = self._client.bytes_written

    @property
    def is_out(self) -> bool:
        """Whether it was handed over, if perhaps without its end: whoever reads so much of it has what was asked for."""
        return self._end is not None

    def arrived(self) -> bool:
        """Say whether it counts as delivered."""
        return self._has_rest or (self._end is not None and self._client.bytes_delivered() >= self._end - HELD_BACK_BYTES)
