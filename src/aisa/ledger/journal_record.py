"""A call's opening and its row as records that fit their place in the journal, whatever names they hold. Stores nothing.

A name may be 256 characters of four bytes each, and a model's prices may fill half a record. So where a record would be too long, its texts
are cut until it fits; the database still gets them as the row has them, unless this process dies before. What bills depend on is never cut.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from aisa.ledger.journal import CLOSING_BYTES_MAX, OPENING_BYTES_MAX
from aisa.ledger.row import CallRow, Opening
from aisa.names import STORED_CHARACTERS_MAX

#: Texts by which a row is found and charged to somebody, each with a bound of its own; and those that are words of ours.
KEPT = frozenset({"id", "account", "key_id", "idempotency", "outcome"})

#: What is no name, and how much of it there is in a record that would be too long: where the prices come from, enough to know that by,
#: and why the call failed, of which the journal is no place to look it up.
WORDS = {"price_source": 64, "error_message": 60, "error_detail": 60}

Recorded = TypeVar("Recorded", Opening, CallRow)
encode = msgspec.json.Encoder().encode


def opening_record(opening: Opening) -> bytes:
    """Return what the journal keeps of a call that begins, OPENING_BYTES_MAX at most."""
    record = encode(opening)
    return record if len(record) <= OPENING_BYTES_MAX else shortened(opening, OPENING_BYTES_MAX)


def closing_record(row: CallRow) -> bytes:
    """Return what the journal keeps of a call that ended, CLOSING_BYTES_MAX at most."""
    record = encode(row)
    return record if len(record) <= CLOSING_BYTES_MAX else shortened(row, CLOSING_BYTES_MAX)


def shortened(given: Recorded, bytes_max: int) -> bytes:
    """Return a record whose texts are cut as little as its bound allows, and those first that are no names.

    Without any text a record fits; a test makes the longest.
    """
    texts = {name: text for name in given.__struct_fields__ if name not in KEPT and isinstance(text := getattr(given, name), str)}
    texts |= {name: texts[name][:characters] for name, characters in WORDS.items() if name in texts}
    given = msgspec.structs.replace(given, **texts)
    if len(record := encode(given)) <= bytes_max:
        return record
    characters = STORED_CHARACTERS_MAX
    while True:
        record = encode(msgspec.structs.replace(given, **{name: text[:characters] for name, text in texts.items()}))
        if len(record) <= bytes_max or characters == 0:
            return record
        characters //= 2
