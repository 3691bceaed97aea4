"""The one line that every call leaves in the ledger, as a type: who, what, how much of it arrived, what it cost and why. Stores nothing."""

from __future__ import annotations

import msgspec

from aisa.money import Nanos
from aisa.names import REASON_CHARACTERS_MAX, stored
from aisa.pricing import UnitPrices
from aisa.usage import Usage

#: What is noted in a row that somebody should look at. The answer came from a model that the catalogue prices otherwise than the one asked.
OTHER_PRICE = "answered_otherwise"
#: Something that has no price of its own was charged at the dearest one of its side.
NO_OWN_PRICE = "no_own_price"
MARKS = (OTHER_PRICE, NO_OWN_PRICE)


class Opening(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is known of a call before its vendor is asked. Times are UNIX milliseconds.

    `prices` and their source are those of `target`, which is asked next or serves. `prepaid` says that the cost is taken from the
    account's wallet. A target without a price (`prices` None) costs nothing. `address` is what is kept of the client's. `operator_cost` is
    what tries that failed so far may have cost.
    """

    id: str
    account: str
    key_id: str
    model: str
    stream: bool
    began_ms: int
    input_tokens: int
    prices: UnitPrices | None = None
    price_source: str = ""
    prepaid: bool = False
    client_request_id: str | None = None
    idempotency: str | None = None
    target: str = ""
    address: str | None = None
    operator_cost: Nanos = 0


class CallRow(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One ended call. `began_ms` and `ended_ms` are UNIX milliseconds, the other `_ms` durations from the first; money is nano-dollars.

    `generated` is what the vendor made, as far as we know; `delivered` how many output tokens of it arrived; `billed` what is charged for.
    `cost` is `pricing.cost_of(billed, prices)`; `vendor_cost` what the vendor may charge us for `generated`, None where unknown;
    `reported_cost` what it says itself that it charges. `answered_model` is the model that the answer names, in the vendor's words. `marks`
    are words of MARKS with spaces between, None in most rows; behind the second stand a colon and the kinds, with commas between.
    `operator_cost` is what tries that failed may have cost us with their vendors, None if none has: never the caller's.
    `error_message` is what the caller was told of a call that failed or was cut, `error_detail` what the log has of it where that is more:
    for operators, as it may name addresses.
    """

    id: str
    account: str
    key_id: str
    model: str
    stream: bool
    outcome: str
    began_ms: int
    ended_ms: int
    generated: Usage
    delivered: int
    billed: Usage
    cost: Nanos
    prices: UnitPrices | None = None
    price_source: str = ""
    prepaid: bool = False
    vendor_cost: Nanos | None = None
    target: str = ""
    attempts: int = 0
    queue_ms: int | None = None
    first_token_ms: int | None = None
    total_ms: int = 0
    bytes_sent: int = 0
    error_code: str | None = None
    client_request_id: str | None = None
    idempotency: str | None = None
    address: str | None = None
    answered_model: str | None = None
    reported_cost: Nanos | None = None
    marks: str | None = None
    operator_cost: Nanos | None = None
    error_message: str | None = None
    error_detail: str | None = None


def with_reasons(row: CallRow, message: str, detail: str | None) -> CallRow:
    """Return the row of a call that failed with why, as its caller was told and as the log has it."""
    shown, kept = stored(message, REASON_CHARACTERS_MAX), detail and stored(detail, REASON_CHARACTERS_MAX)
    return msgspec.structs.replace(row, error_message=shown, error_detail=kept)
