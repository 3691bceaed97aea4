"""The life of one call as a table, and what was seen of it. Knows no socket, no vendor and no money."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from aisa.errors import UpstreamFailed
from aisa.keys.rules import Key
from aisa.trace import Trace
from aisa.wire.door import Door
from aisa.wire.port import HeaderList


class Call(msgspec.Struct):
    """One call as the edge hands it over: of a key that was found good, through the door that its client speaks to.

    `created` is UNIX seconds, `began` the event loop's seconds. `headers` go out with the answer whatever it is: the request id, and what
    browsers need. `address` is the client's, empty if it is not known, `shown_address` what log and ledger may have of it.
    `idempotency` is what the ledger keeps of the caller's Idempotency-Key, `keep` is given a good answer that is no stream, its type and
    its bytes, before it is sent. `asked` is the model's name once the body was read, `opened` that the ledger has the call: a row will
    come of it. `trace` is its place in a trace, where calls are traced.
    """

    id: str
    key: Key
    body: bytes
    created: int
    began: float
    headers: HeaderList
    door: Door
    address: str = ""
    shown_address: str | None = None
    client_request_id: str | None = None
    idempotency: str | None = None
    keep: Callable[[str, bytes], object] | None = None
    asked: str = ""
    opened: bool = False
    trace: Trace | None = None


#: Where a call is, and what happens to it. Texts, because they hash ten times as fast as the members of an enumeration.
ADMITTED, ASKED, ANSWERING, SETTLED, FINISHED, ENDED = "admitted", "asked", "answering", "settled", "finished", "ended"
ASK, FAIL, PIECE, SETTLE, FINISH, END = "ask", "fail", "piece", "settle", "finish", "end"

#: (where, what) -> where. Falling back is going from ASKED to ADMITTED: only possible before the first piece. A call that was opened is
#: settled before it ends, and the end of a complete answer is written behind that.
NEXT: dict[tuple[str, str], str] = {
    (ADMITTED, ASK): ASKED,
    (ADMITTED, SETTLE): SETTLED,
    (ADMITTED, END): ENDED,
    (ASKED, FAIL): ADMITTED,
    (ASKED, PIECE): ANSWERING,
    (ASKED, SETTLE): SETTLED,
    (ANSWERING, SETTLE): SETTLED,
    (SETTLED, FINISH): FINISHED,
    (SETTLED, END): ENDED,
    (FINISHED, END): ENDED,
}


class Life:
    """What has happened to a call so far. `target` is `vendor/model`; times are the event loop's seconds.

    `outcome` is how it ends, as far as is known, `settled_as` what it was settled as: a client may leave behind the settlement. `failed` is
    the last attempt that failed.
    """

    __slots__ = ("answered", "asked_at", "attempts", "failed", "finished", "first_token_at", "outcome", "settled_as", "state", "target")

    def __init__(self, outcome: str = "") -> None:
        self.state = ADMITTED
        self.outcome = outcome
        self.attempts = 0
        self.target = self.settled_as = ""
        self.answered = self.finished = False
        self.failed: UpstreamFailed | None = None
        self.asked_at: float | None = None
        self.first_token_at: float | None = None

    def step(self, step: str) -> None:
        """Take a step. One that the table does not list is a bug of ours and raises KeyError."""
        self.state = NEXT[self.state, step]

    def ask(self, target: str, now: float) -> None:
        """A target is being asked."""
        self.step(ASK)
        if self.asked_at is None:
            self.asked_at = now
        self.attempts += 1
        self.target = target

    def sent(self, now: float, tokens: int) -> None:
        """Pieces went to the client."""
        if not self.answered:
            self.step(PIECE)
            self.answered = True
        if tokens and self.first_token_at is None:
            self.first_token_at = now

    def settle(self, outcome: str) -> None:
        """The charge is closed."""
        self.step(SETTLE)
        self.outcome = self.settled_as = outcome

    def finish(self) -> None:
        """The end of a complete answer was written."""
        self.step(FINISH)
        self.finished = True
