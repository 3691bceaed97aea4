"""A row of the ledger as a record of the database's table of calls, and back, with nothing lost. Runs no statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter

import msgspec
from msgspec.structs import astuple

from aisa.ledger.row import CallRow
from aisa.pricing import PRICES_KEPT_MAX, UnitPrices
from aisa.storage.tables import calls
from aisa.usage import Breakdown, Usage

#: The columns, in the order of a record's values.
NAMES = tuple(str(column.name) for column in calls.columns)
BILLED = tuple(f"billed_{field}" for field in Usage.__struct_fields__)
OWN = NAMES[: NAMES.index(BILLED[0])]
assert (*OWN, *BILLED, "generated", "prices") == NAMES, "a record is put together in this order"

# A row's way to the database is counted in microseconds, so its fields are picked without a loop.
_own: Callable[[tuple[object, ...]], tuple[object, ...]] = itemgetter(*(CallRow.__struct_fields__.index(name) for name in OWN))
_encode = msgspec.json.Encoder().encode
_decode_usage = msgspec.json.Decoder(Usage).decode
_decode_breakdown = msgspec.json.Decoder(Breakdown).decode
_decode_prices = msgspec.json.Decoder(UnitPrices).decode


def record_of(row: CallRow) -> tuple[object, ...]:
    """Return a row's values in the order of NAMES."""
    billed = astuple(row.billed)
    if (breakdown := row.billed.breakdown) is not None:
        billed = (*billed[:-1], _encode(breakdown).decode())
    generated = None if row.generated == row.billed else _encode(row.generated).decode()
    return _own(astuple(row)) + billed + (generated, None if row.prices is None else _prices_json(row.prices))


def row_of(record: Sequence[object]) -> CallRow:
    """Return the row that a record keeps, whose values are in the order of NAMES. Raises msgspec.MsgspecError if somebody changed it."""
    values: dict[str, object] = dict(zip(OWN, record, strict=False))
    *billed, parts, generated, prices = record[len(OWN) :]
    breakdown = msgspec.to_builtins(_decode_breakdown(parts)) if isinstance(parts, str) else None
    values["billed"] = dict(zip(Usage.__struct_fields__, (*billed, breakdown), strict=True))
    values["generated"] = msgspec.to_builtins(_decode_usage(generated)) if isinstance(generated, str) else values["billed"]
    values["prices"] = msgspec.to_builtins(_decode_prices(prices)) if isinstance(prices, str) else None
    return msgspec.convert(values, CallRow)


@lru_cache(PRICES_KEPT_MAX)
def _prices_json(prices: UnitPrices) -> str:
    return _encode(prices).decode()
