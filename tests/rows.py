"""Rows of the ledger for tests: one that is as usual, and any that there can be. Not a test."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from aisa.ledger.row import CallRow
from aisa.ledger.rules import CLIENT_GONE, COMPLETED, CUT, FAILED
from aisa.pricing import FEES, KINDS, RARER, Tier, UnitPrices, cost_of, unit_prices
from aisa.usage import COUNTED, ESTIMATED, REPORTED, Breakdown, Usage

NOON = 1_767_182_400_000  # 2025-12-31T12:00:00Z, in UNIX milliseconds
PRICES = unit_prices({"input": 1_250_000_000, "output": 10_000_000_000, "cached_input": 125_000_000})


def priced(number: int, **fields: Any) -> CallRow:
    """Return the row of a complete call whose cost is that of its tokens, whatever else is said of it."""
    usage = fields.pop("usage", Usage(100 + number % 7, 20, cached_tokens=3, source=REPORTED, input_source=REPORTED))
    prices = fields.get("prices", PRICES)
    made: dict[str, Any] = {
        "id": f"req_{number:026d}",
        "account": "default",
        "key_id": "key_1",
        "model": "gpt-5",
        "stream": True,
        "outcome": COMPLETED,
        "began_ms": NOON + number,
        "ended_ms": NOON + number + 900,
        "generated": usage,
        "delivered": usage.output_tokens,
        "billed": usage,
        "cost": 0 if prices is None else cost_of(usage, prices),
        "prices": PRICES,
        "price_source": "models.gpt-5.prices",
        "target": "openai/gpt-5",
        "attempts": 1,
        "total_ms": 900,
        **fields,
    }
    return CallRow(**made)


def renumbered(row: CallRow, number: int) -> CallRow:
    """Return a row with another id."""
    return msgspec.structs.replace(row, id=f"req_{number:026d}")


counts = st.integers(0, 2_000_000)
sources = st.sampled_from([REPORTED, COUNTED, ESTIMATED])
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)  # `names.stored` leaves none in a row
maybe_ms = st.none() | st.integers(0, 10**7)
usages = st.builds(
    Usage,
    counts,
    counts,
    counts,
    counts,
    counts,
    source=sources,
    input_source=sources,
    input_audio_tokens=counts,
    output_audio_tokens=counts,
    counted_by=words,
    counted_answers=st.integers(0, 64),
    breakdown=st.none() | st.builds(Breakdown, *[counts] * len(Breakdown.__struct_fields__)),
)
nanos = st.integers(0, 10**12)
own = st.none() | nanos
flat_prices = st.builds(UnitPrices, *[nanos] * len(KINDS), **dict.fromkeys((*RARER, *FEES), own))
tiers = st.dictionaries(counts, flat_prices, max_size=3).map(lambda found: tuple(Tier(over, found[over]) for over in sorted(found)))
prices = st.builds(lambda flat, with_tiers: msgspec.structs.replace(flat, tiers=with_tiers), flat_prices, tiers)
rows = st.builds(
    CallRow,
    id=st.integers(0, 10**9).map(lambda number: f"req_{number:026d}"),
    account=st.sampled_from(["default", "acme"]),
    key_id=st.sampled_from(["key_1", "key_2"]),
    model=words,
    stream=st.booleans(),
    outcome=st.sampled_from([COMPLETED, FAILED, CUT, CLIENT_GONE]),
    began_ms=st.integers(0, 2**45),
    ended_ms=st.integers(0, 2**45),
    generated=usages,
    delivered=counts,
    billed=usages,
    cost=st.integers(0, 10**15),
    prices=st.none() | prices,
    price_source=words,
    prepaid=st.booleans(),
    vendor_cost=st.none() | st.integers(0, 10**15),
    target=words,
    attempts=st.integers(0, 9),
    queue_ms=maybe_ms,
    first_token_ms=maybe_ms,
    total_ms=st.integers(0, 10**7),
    bytes_sent=st.integers(0, 2**40),
    error_code=st.none() | words,
    client_request_id=st.none() | words,
    idempotency=st.none() | words,
)
