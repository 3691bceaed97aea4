"""How long the names may be that operators and callers choose, and how a text is cut where it is kept. Knows no place that keeps one.

What is accepted fits everything that it later goes into: the bounds stand here once, for parser, configuration, keys, rows and log alike.
"""

from __future__ import annotations

from functools import lru_cache

MODEL_NAME_CHARACTERS_MAX = 256  # vendors' longest, such as ARNs, have some 110
VENDOR_NAME_CHARACTERS_MAX = 64
LABEL_CHARACTERS_MAX = 100  # fits a line of a table
ACCOUNT_CHARACTERS_MAX = 64  # as the database's column
TIER_NAME_CHARACTERS_MAX = 32  # as the database's column
UNREAD = "-"  # the method and the path of a head that cannot be read, in the log
CLIENT_ID_CHARACTERS_MAX = 128  # of a caller's own id for a request (contract, section 3)

KEPT_NAMES_MAX = 4_096  # of models, targets and prices, whose kept form is known: each call has one of each

#: Of any name in a row: the longest name in it, `vendors.VENDOR.prices.MODEL`, is kept whole.
STORED_CHARACTERS_MAX = len("vendors..prices.") + VENDOR_NAME_CHARACTERS_MAX + MODEL_NAME_CHARACTERS_MAX


#: Of why a call failed: our own words have some 100, of a vendor's the first sentences are enough, and a row must fit into the journal.
REASON_CHARACTERS_MAX = 500


def stored(text: str, characters_max: int = STORED_CHARACTERS_MAX) -> str:
    """Return a text as it is kept: cut to so many characters, with `?` for whatever a terminal or a database could stumble over."""
    if len(text) <= characters_max and text.isprintable():
        return text
    return "".join([character if character.isprintable() else "?" for character in text[:characters_max]])


#: The same for names that many calls have in common, and that are short.
kept_name = lru_cache(KEPT_NAMES_MAX)(stored)
