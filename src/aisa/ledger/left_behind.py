"""How many calls a server that died left in its journals, for whoever looks before the next start. Settles none, and changes no journal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from aisa.ledger.journal import CLOSED, FIRST_BYTES, FREE, SEGMENT_BYTES, SEGMENT_SLOTS
from aisa.ledger.journal_file import FORMAT, HEADER_BYTES, header_of

JOURNAL_NAME = "board"
JOURNAL_PREFIX = "board-"  # of the workers' journals, which their numbers follow
STATE_BYTES = 8  # a slot's first word


def left_behind(folder: Path) -> int:
    """Return how many calls are in the journals of a data folder: nobody settles them until a server starts, if none runs in it.

    A journal that cannot be read, or is of another version, counts for nothing here: the next start tells of it.
    """
    return sum(state != FREE for state in states_in(folder))


def ended_behind(folder: Path) -> int:
    """Return how many of these calls had ended: the server had settled them, and no database had their rows yet."""
    return sum(state in CLOSED for state in states_in(folder))


def states_in(folder: Path) -> list[int]:
    """Return the states of all slots in the journals of a data folder."""
    paths = (folder.joinpath(JOURNAL_NAME), *sorted(folder.glob(f"{JOURNAL_PREFIX}*")))
    return [state for path in paths for state in states_of(path)]


def states_of(path: Path) -> list[int]:
    """Return the states of a journal's slots; none of a journal that cannot be read, or is of another version."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return []
    try:
        header = header_of(FORMAT)
        if os.pread(descriptor, len(header), 0) != header:
            return []
        begins = range(HEADER_BYTES, os.fstat(descriptor).st_size - SEGMENT_BYTES + 1, SEGMENT_BYTES)
        places = [begin + FIRST_BYTES * slot for begin in begins for slot in range(SEGMENT_SLOTS)]
        return [int.from_bytes(os.pread(descriptor, STATE_BYTES, place), sys.byteorder) for place in places]
    except OSError:
        return []
    finally:
        os.close(descriptor)
