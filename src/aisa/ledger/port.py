"""What the path of a call asks of the ledger: open before the vendor is asked, close exactly once. Never waits for a database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from aisa.answer import Told
from aisa.call import Call
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.row import CallRow
from aisa.ledger.rules import Delivered
from aisa.money import Nanos
from aisa.offer import Offer, Plan
from aisa.usage import Usage
from aisa.wire.door import Request


class Bill(msgspec.Struct, frozen=True, gc=False):
    """What a call cost, for which tokens. `cost` is None for a model without a price; `marks` are those of its row."""

    cost: Nanos | None
    billed: Usage
    marks: str | None = None


class Ending(msgspec.Struct, frozen=True):
    """How a call ended, as the path saw it. Durations are milliseconds since the call was received; None for what never happened.

    `delivered` is what the client has if it was lost, else what was handed to its connection; `told` what the answer says of itself, and
    `choices` how many its vendor made: the next call's hold is learned of those. The errors are as in a row, at any length.
    """

    outcome: str
    generated: Usage
    delivered: Delivered
    attempts: int
    queue_ms: int | None
    first_token_ms: int | None
    total_ms: int
    bytes_sent: int
    error_code: str | None
    told: Told = Told()
    choices: int = 1
    error_message: str | None = None
    error_detail: str | None = None


class Short(ApiError):
    """What is held for a call needs more than this server was allotted: `more` waits for that, and raises ApiError if there is none."""

    def __init__(self, more: Callable[[], Awaitable[None]]) -> None:
        super().__init__("overloaded", "This server must look up what is left to spend. Try again soon.", retry_after=1)
        self.more = more


class Charge(Protocol):
    """One open call in the ledger."""

    @property
    def input_tokens(self) -> int:
        """What the call's input was taken for when it was opened."""
        ...

    @property
    def row(self) -> CallRow | None:
        """What it came to, None until it is closed."""
        ...

    @property
    def bill(self) -> Bill | None:
        """What it costs, None until it is closed."""
        ...

    @property
    def covered(self) -> int:
        """How many output tokens in all can be paid for from what is held already."""
        ...

    def cover(self, tokens: int) -> Awaitable[None] | None:
        """Make sure that so many output tokens in all can be paid for; what is returned, if anything, is to be awaited.

        Raises ApiError insufficient_wallet_balance or quota_exceeded when they cannot: then they must not be sent.
        """
        ...

    def void(self) -> None:
        """Undo the opening, as if it had not been: no vendor was asked, and nobody was told."""
        ...

    def serve(self, offer: Offer, attempts: int) -> None:
        """Note that a target is about to be asked, the how-manieth attempt it is: from now on the call costs what its tokens do there.

        One of the offers of the plan that the call was opened with, and before anything of its answer is sent.
        """
        ...

    def waste(self, made: Usage) -> None:
        """Note that the target which is being asked failed and may charge for the request, and for what it `made`: never the caller's."""
        ...

    def note(self, tokens: int) -> None:
        """Note that so many output tokens in all have left this process; if we die now, they are billed."""
        ...

    def note_whole(self, tokens: int) -> None:
        """Note that all of the answer has left this process, and that so many tokens are in it, which may be none."""
        ...

    def close(self, ending: Ending) -> Bill:
        """Settle. The first closing counts; a later one returns the same bill."""
        ...

    @property
    def settles_at_once(self) -> bool:
        """Whether `settled` waits for nothing: then nobody waits for the settlement of an answer that is all there."""
        ...

    async def settled(self) -> None:
        """Return once the settlement is as durable as the operator wants it: at once, or when the disk has it."""
        ...

    def confirm(self, delivered: Delivered, *, whole: bool) -> bool:
        """Say what the client really has, once that is known for good: `whole` if it has all that was sent. After the closing, once.

        Returns whether row and bill are final now: no report is awaited.
        """
        ...

    def await_report(self) -> None:
        """Keep the row open for what the vendor will still report: `report` follows."""
        ...

    def report(self, generated: Usage, delivered: Delivered, told: Told) -> bool:
        """Say what the vendor made in the end, what of it had arrived when the client left, and what it told of it.

        Once, after `await_report`. Returns whether row and bill are final now: the delivery is known.
        """
        ...


class Ledger(Protocol):
    """The ledger."""

    async def open(self, call: Call, key: Key, request: Request, *, plan: Plan) -> Charge:
        """Open a call before the vendor is asked, holding what it may cost at first at the dearest target that may serve it.

        Raises ApiError insufficient_wallet_balance, quota_exceeded or overloaded (no room to keep books).
        """
        ...

    def usual(self, offers: Sequence[Offer]) -> int | None:
        """Return how many output tokens a choice of an answer by these targets has, but for rare ones; None while too few are known."""
        ...
