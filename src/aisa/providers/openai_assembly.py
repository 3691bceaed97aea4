"""Reads a stream of the OpenAI dialect where the client wants a document, and assembles that. Repairs no chunk.

A vendor notices that somebody has left a stream at once, and of a document often not before it is made.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from aisa.answer import Part, Piece, Report, Told
from aisa.errors import UpstreamFailed
from aisa.providers.blame import unreadable
from aisa.providers.event_objects import tree_in
from aisa.providers.openai_answer import Identity, given
from aisa.providers.openai_stream import StreamDecoder
from aisa.providers.output import ends_of
from aisa.providers.shape import Target
from aisa.usage import Usage
from aisa.wire.assembly import Assembly
from aisa.wire.chat import ChatRequest
from aisa.wire.ends import Ends
from aisa.wire.lenient_json import encode

TRUE = Raw(b"true")
DATA = b"data: "
FIELDS = msgspec.json.Decoder(dict[str, Raw])


def is_assembled(chat: ChatRequest, target: Target) -> bool:
    """Tell whether a target is asked for a stream of which a document is made.

    Not for audio: vendors stream other formats of it than they send whole.
    """
    return target.assemble and not chat.stream and "audio" not in (chat.known.modalities or ())


def as_stream(chat: ChatRequest) -> ChatRequest:
    """Return the same request as one for a stream with its usage."""
    return msgspec.structs.replace(chat, fields={**chat.fields, "stream": TRUE}, stream=True, include_usage=True)


class AssemblyDecoder:
    """Reads a stream that the client does not know of, and gives it back as one document once the bill is settled.

    The client has nothing before that, so a failure at any place has its true status, and another target may still be asked.
    """

    def __init__(self, chat: ChatRequest, target: Target, identity: Identity, *, passes: bool = True) -> None:
        self._passes = passes  # the client's door speaks this protocol
        self.done = False
        self.failure: UpstreamFailed | None = None
        self.finishing = 0
        self.tokens = self.reasoning_shown = 0  # a document is delivered whole or not at all
        self.finished, self.held_bytes = False, 0
        self._stream = StreamDecoder(as_stream(chat), target, identity)
        self._target = target
        self._assembly = Assembly()

    @property
    def certain(self) -> bool:
        """As the stream's."""
        return self._stream.certain

    @property
    def choices_made(self) -> int:
        """As the stream's."""
        return self._stream.choices_made

    @property
    def tier(self) -> str | None:
        """As the stream's."""
        return self._stream.tier

    def told(self) -> Told:
        """As the stream's."""
        return self._stream.told()

    def ends(self) -> Ends:
        """As the stream's."""
        return ends_of(self._stream)

    @property
    def unknown(self) -> list[str]:
        """As the stream's."""
        return self._stream.unknown

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        self.held_bytes += len(data)
        if self.held_bytes > self._target.answer_bytes_max:
            self.failure = unreadable(self._target, "a document over the size limit")
            return []
        return self._take(self._stream.feed(data))

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        return self._take(self._stream.end())

    def usage(self) -> Usage:
        """Return the tokens so far: those that the vendor made, though the client has none of them."""
        return self._stream.usage()

    def usage_fault(self, usage: Usage) -> str:
        """Say what is wrong with the vendor's report."""
        return self._stream.usage_fault(usage)

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the whole body, or what it says."""
        return given(self._whole(cost_usd), Report(self.usage(), cost_usd), passes=self._passes)

    def _whole(self, cost_usd: str | None) -> bytes:
        [events] = [part.data for part in self._stream.closing(cost_usd) if isinstance(part, Piece)]
        told = events[len(DATA) : events.index(b"\n\n")]  # the chunk with the usage; its numbers stay as they are written
        last, beside = FIELDS.decode(told), {name: value for name, value in tree_in(told).items() if name != "usage"}
        self._assembly.take(beside)
        return encode({**self._assembly.document(), "usage": last["usage"]})

    def _take(self, pieces: Sequence[Part]) -> Sequence[Part]:
        """Put what a client of the stream would get into the document."""
        stream = self._stream
        for event in b"".join([piece.data for piece in pieces if isinstance(piece, Piece)]).split(b"\n\n"):
            if event:
                self._assembly.take(tree_in(event[len(DATA) :]))
        self.done, self.failure, self.finishing = stream.done, stream.failure, stream.finishing
        return []
