"""What counts the output of an answer by our own measure, and how it ended, whichever decoder reads it. Counts nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from aisa.providers.port import Answer
from aisa.providers.shape import Decoder, told
from aisa.trace import Answered, Trace
from aisa.wire.chunks import ChunkStream
from aisa.wire.ends import NO_ENDS, Ends
from aisa.wire.shown import Shown
from aisa.wire.token_meter import TokenMeter


class Output(Protocol):
    """The output of one answer."""

    @property
    def meters(self) -> Collection[TokenMeter]:
        """What counts each choice that has begun."""
        ...

    def shown(self, *, exact: bool = False) -> Shown:
        """Return the output so far; `exact` has a tokenizer count what still waits for it, and says how it was counted."""
        ...


def output_of(decoder: Decoder) -> Output | None:
    """Return the output of an answer; None of some documents, which arrive whole or not at all and need not say."""
    output: Output | None = getattr(decoder, "output", None)
    return output


def ends_of(decoder: Decoder) -> Ends:
    """Return how an answer ended so far: as the chunks of a stream say that passes, or a method `ends` of the decoder. Not all have one."""
    chunks = output_of(decoder)
    if isinstance(chunks, ChunkStream):
        return "" if chunks.identity is None else chunks.identity[0], tuple([choice.verdict for choice in chunks.choices])
    tell: Callable[[], Ends] | None = getattr(decoder, "ends", None)
    return NO_ENDS if tell is None else tell()


def note_answer(trace: Trace, decoder: Decoder | None, answer: Answer | None) -> Trace:
    """Note on the trace of a call that has ended who answered it, if it is sampled and somebody did. Returns the trace."""
    if trace.sampled and decoder is not None:
        answer_id, reasons = ends_of(decoder)
        trace.answered = Answered(answer_id, told(decoder, answer).model, reasons)
    return trace
