"""The life of one call as a table, and what was seen of it. Knows no socket, no vendor and no money."""

from __future__ import annotations

from enum import Enum

import msgspec

from aisa.wire.port import HeaderList


class Call(msgspec.Struct):
    """One call as the edge hands it over. `created` is UNIX seconds, `began` the event loop's seconds.

    `headers` go out with the answer whatever it is: the request id, and what browsers need.
    """

    id: str
    bearer: str | None
    body: bytes
    created: int
    began: float
    headers: HeaderList
    client_request_id: str | None = None


class State(Enum):
    """Where a call is."""

    ADMITTED = "admitted"
    ASKED = "asked"
    ANSWERING = "answering"
    ENDED = "ended"


class Step(Enum):
    """What happens to a call."""

    ASK = "ask"
    FAIL = "fail"
    PIECE = "piece"
    END = "end"


#: Every step that a call may take. Falling back is going from ASKED to ADMITTED: only possible before the first piece.
NEXT: dict[tuple[State, Step], State] = {
    (State.ADMITTED, Step.ASK): State.ASKED,
    (State.ADMITTED, Step.END): State.ENDED,
    (State.ASKED, Step.FAIL): State.ADMITTED,
    (State.ASKED, Step.PIECE): State.ANSWERING,
    (State.ASKED, Step.END): State.ENDED,
    (State.ANSWERING, Step.PIECE): State.ANSWERING,
    (State.ANSWERING, Step.END): State.ENDED,
}


class Life:
    """What has happened to a call so far. `target` is `vendor/model`; times are the event loop's seconds."""

    def __init__(self) -> None:
        self.state = State.ADMITTED
        self.attempts = 0
        self.target = ""
        self.answered = False
        self.first_token_at: float | None = None

    def step(self, step: Step) -> None:
        """Take a step. One that the table does not list is a bug of ours and raises KeyError."""
        self.state = NEXT[self.state, step]

    def ask(self, target: str) -> None:
        """A target is being asked."""
        self.step(Step.ASK)
        self.attempts += 1
        self.target = target

    def sent(self, now: float, tokens: int) -> None:
        """Pieces went to the client."""
        if not self.answered:
            self.step(Step.PIECE)
            self.answered = True
        if tokens and self.first_token_at is None:
            self.first_token_at = now
