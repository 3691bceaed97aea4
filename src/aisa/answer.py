"""What an answer is made of on its way to a client, whichever protocol it came in or leaves in. Knows no vendor and no connection.

A vendor's decoder yields parts. Where vendor and client speak the same protocol that is a `Piece`, the bytes themselves; for every other
pair the typed parts below it, which the client's door writes in its own words. `choice` says which of several answers a part belongs to,
from 0; `tokens` how many output tokens it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from aisa.money import Nanos
from aisa.usage import Usage


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


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Who answers: the answer's id, its UNIX time in seconds, and the model as the client is to see it. Comes first, and once."""

    id: str
    created: int
    model: str
    tokens: int = 0


class Text(msgspec.Struct, frozen=True, gc=False):
    """What the model says."""

    choice: int
    text: str
    tokens: int = 0


class Reasoning(msgspec.Struct, frozen=True, gc=False):
    """What the model thinks, where it shows that. `signature` is what its vendor wants back, sealed by `Target.state`: opaque here."""

    choice: int
    text: str
    tokens: int = 0
    signature: str = ""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Why the model will not answer, in its words."""

    choice: int
    text: str
    tokens: int = 0


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a tool begins: the how-manieth of its choice, from 0 without gaps, and its id and name, said once.

    `carried` is what else the vendor gave with it and wants back, by name: a seal on the thinking that led to it.
    """

    choice: int
    index: int
    id: str
    name: str
    tokens: int = 0
    custom: bool = False  # its input is a text in any form, not JSON for parameters
    carried: dict[str, object] | None = None


class Arguments(msgspec.Struct, frozen=True, gc=False):
    """A further part of what such a call is given; all parts together are the whole of it."""

    choice: int
    index: int
    text: str
    tokens: int = 0


class FunctionCall(msgspec.Struct, frozen=True, gc=False):
    """A part of a call in the older form, of which a choice has one at most: the name at first, then arguments."""

    choice: int
    name: str
    arguments: str
    tokens: int = 0


class Extra(msgspec.Struct, frozen=True):
    """What is carried along by name, as JSON: audio, annotations. `beside` what is said, not in it: log-probabilities, filter results."""

    choice: int
    name: str
    value: object
    tokens: int = 0
    beside: bool = False


class Vector(msgspec.Struct, frozen=True, gc=False):
    """What a text was made to: the how-manieth of the texts, from 0, and its numbers."""

    place: int
    numbers: Sequence[float]
    tokens: int = 0


class Finish(msgspec.Struct, frozen=True, gc=False):
    """A choice has ended, for one of the reasons `stop`, `length`, `tool_calls`, `content_filter`, `function_call`. Once for each."""

    choice: int
    reason: str
    tokens: int = 0


class Report(msgspec.Struct, frozen=True):
    """The tokens that the answer is billed for, and what they cost in US dollars as a JSON number, None without a price. Comes last."""

    usage: Usage
    cost_usd: str | None = None
    tokens: int = 0


#: What another model made for an answer: advice, or a turn before it gave up, that is within the answer's own tokens or stands beside them.
ADVISED, WITHIN, BESIDE = "advised", "within", "beside"


class Told(msgspec.Struct, frozen=True, gc=False):
    """What an answer says of itself that its bill depends on, beside its tokens, or that the operator should know.

    The service `tier`, empty for the usual one, None if it names none; the `model` that made it, as the vendor calls it, empty if it names
    none; what the vendor charges us for it, in nano-dollars, None if it does not say; how many `searches` of the web, and `code_runs`, it
    shows outside of its report of usage; what other models made for it, by `advice` or before they gave up: the name, the tokens, and which
    of ADVISED, WITHIN and BESIDE it is; `input_changes`, of what it was sent, in the vendor's words, empty if it says of none.
    """

    tier: str | None = None
    model: str = ""
    cost: Nanos | None = None
    searches: int = 0
    code_runs: int = 0
    advice: tuple[tuple[str, Usage, str], ...] = ()
    input_changes: str = ""


#: What a model makes, however few tokens it counts as: a sign that the vendor is at work.
OUTPUT = (Text, Reasoning, Refusal, ToolCall, Arguments, FunctionCall)
Part = Piece | Identity | Text | Reasoning | Refusal | ToolCall | Arguments | FunctionCall | Extra | Vector | Finish | Report


def together(pieces: list[Piece]) -> list[Piece]:
    """Make one piece of what one read of a vendor brought; none of nothing."""
    if len(pieces) <= 1:
        return pieces
    ends, counts = positions(pieces)
    carries = False
    for piece in pieces:
        if piece.carries:
            carries = True
            break
    return [Piece(b"".join([piece.data for piece in pieces]), counts[-1] if counts else 0, ends, counts, carries)]


def positions(pieces: Iterable[Piece]) -> tuple[list[int], list[int]]:
    """Return where events that carry tokens end in these pieces, one behind the other, and the tokens up to each."""
    ends: list[int] = []
    counts: list[int] = []
    begin = tokens = 0
    for piece in pieces:
        if piece.tokens:
            ends += [begin + end for end in piece.ends] if piece.ends else (begin + len(piece.data),)
            counts += [tokens + count for count in piece.counts] if piece.counts else (tokens + piece.tokens,)
        begin += len(piece.data)
        tokens += piece.tokens
    return ends, counts
