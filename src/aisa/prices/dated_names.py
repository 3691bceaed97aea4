"""Dates at the end of models' names: what a name is without its date. Knows no model."""

from __future__ import annotations

import re

#: A date at the end of a model's name, in every order that vendors write: 2024-08-06, 20250929, 250615, 08-2024, 05-20, 0613, 2512.
DATE_AT_END = re.compile(
    r"[-@](?:(?P<y>20\d\d)-?(?P<m>\d\d)-?(?P<d>\d\d)|(?P<y6>\d\d)(?P<m6>\d\d)(?P<d6>\d\d)|(?P<m4>\d\d)-20\d\d|(?P<m2>\d\d)-(?P<d2>\d\d)"
    r"|(?P<a>\d\d)(?P<b>\d\d))$"
)
MODELS_SINCE = 20  # the year, of this century, before which no model was sold by the token; tells 2512 from a day in a month
MONTHS, DAYS = range(1, 13), range(1, 32)


def without_date(name: str) -> str | None:
    """Return a name without the date that ends it, None if it does not end in one."""
    found = DATE_AT_END.search(name)
    if found is None:
        return None
    part = {key: int(value) for key, value in found.groupdict().items() if value is not None}
    if "a" in part:  # 0613 is a day, 2512 a month
        right = (part["a"] in MONTHS and part["b"] in DAYS) or (part["a"] >= MODELS_SINCE and part["b"] in MONTHS)
    elif "y6" in part:
        right = part["y6"] >= MODELS_SINCE and part["m6"] in MONTHS and part["d6"] in DAYS
    else:
        months = [part[key] for key in ("m", "m4", "m2") if key in part]
        right = all(month in MONTHS for month in months) and all(part[key] in DAYS for key in ("d", "d2") if key in part)
    return name[: found.start()] if right else None


def with_dashes(name: str) -> str:
    """Write a date that is in one piece at a name's end as the catalogue does: -20251211 as -2025-12-11."""
    found = DATE_AT_END.search(name)
    if found is None or found["y"] is None or "-" in found[0][1:]:
        return name
    return f"{name[: found.start()]}-{found['y']}-{found['m']}-{found['d']}"
