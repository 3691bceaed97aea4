"""Time zones by their names in the IANA database, as this machine has it. Reads no clock."""

from __future__ import annotations

import difflib
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, available_timezones

OWN = ("localtime", "posixrules", "Factory")  # of this machine; the last until somebody sets its zone
OTHERS = ("right/", "posix/")  # folders of the same zones by another count of seconds, or once more


def time_zone(name: str) -> tzinfo:
    """Return a zone such as `Asia/Shanghai`. `UTC` is always there. Raises ValueError for one that this machine does not know.

    Nor is one taken that is not the same everywhere: this machine's own (`localtime`), and those that count leap seconds (`right/...`).
    """
    if name == "UTC":
        return UTC
    if name in OWN or name.startswith(OTHERS):
        raise ValueError(f"{name} is of this machine, and no zone of the IANA database")
    try:
        return ZoneInfo(name)
    except (KeyError, OSError) as error:  # OSError: it is a folder of zones
        raise ValueError(str(error)) from None


def remedy_for(name: str) -> str:
    """Say what to do about a name that is of no zone: install the database, or write another."""
    names = available_timezones()
    if not names:
        return "This machine has no time zones: install the system's `tzdata` package, or Python's (pip install tzdata)."
    places = [each for each in sorted(names) if "/" in each]
    known = {each.rpartition("/")[2].lower(): each for each in places} | {each.lower(): each for each in places}
    near = () if name in OWN else difflib.get_close_matches(name.lower(), known, 1)
    return f"Did you mean {known[near[0]]}?" if near else "Write its name in the IANA database, such as Asia/Shanghai."
