"""Numbers, moments and words as the console's pages write them. Exact amounts are `money.dollars_text`'s; knows no page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from aisa.edge.bill_view import iso
from aisa.errors import OF_VENDORS
from aisa.ids import short_id
from aisa.ledger.pieces import moment_in
from aisa.money import NANOS_PER_DOLLAR, Nanos, dollars_text, rounded_dollars
from aisa.wire.trees import is_list, is_tree

AMOUNTS = frozenset({"spend_cap", "amount", "balance"})  # members that are amounts, in nano-dollars
TIMES = ((86_400 * 365, "y"), (86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def dollars(amount: Nanos | None) -> str:
    """Write an amount with two to six decimals, as few as show three digits of it."""
    if amount is None:
        return "–"
    size = abs(amount) / NANOS_PER_DOLLAR
    return fixed(amount, 2 if size >= 1 or amount == 0 else 4 if size >= 0.01 else 6)


def cost(amount: Nanos | None) -> str:
    """Write what a call costs, or calls do, with six decimals, so that a column of them is aligned, and has what calls cost in it."""
    return fixed(amount, 6)


def exact(amount: Nanos | None) -> str:
    """Write an amount to the billionth of a dollar, so that a column of them can be added up."""
    return fixed(amount, 9)


def fixed(amount: Nanos | None, places: int) -> str:
    """Write an amount with so many decimals, as `money.rounded_dollars`."""
    return "–" if amount is None else f"{'−' if amount < 0 else ''}{rounded_dollars(amount, places)}"


def price(amount: Nanos | None) -> str:
    """Write nano-dollars for a million tokens as US dollars for them, with all the decimals that they have, two at least."""
    if amount is None:
        return "–"
    whole, _, decimals = exact(amount).partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def plain_dollars(amount: Nanos | None) -> str:
    """Write an exact amount as a field of a form takes it, nothing for none."""
    return "" if amount is None else dollars_text(amount)


def count(number: int | None) -> str:
    """Write a count."""
    return "–" if number is None else f"{number:,}"


def several(number: int, what: str) -> str:
    """Write a count of things, of which one is no more than one."""
    return f"{count(number)} {what}{'' if number == 1 else 's'}"


def short_count(number: int) -> str:
    """Write a count in few characters: `12.3k`, `4.56M`."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= 10 * unit or (unit > 1_000 and number >= unit):
            return f"{number / unit:.3g}{name}" if number < 1_000 * unit else f"{number / unit:,.0f}{name}"
    return f"{number:,}"


def share(part: float, whole: float) -> str:
    """Write a share in per cent, `–` of nothing."""
    return "–" if not whole else f"{100 * part / whole:.{0 if part in (0, whole) else 2 if part / whole < 0.01 else 1}f} %"


def plotted(value: float | None, unit: str) -> str:
    """Write a value of a plot, in the unit that it has there, as the tables of the other pages do."""
    if value is None:
        return "–"
    if unit == "$":
        return cost(round(value * NANOS_PER_DOLLAR))
    return duration(value) if unit == "ms" else share(value, 100) if unit == "%" else count(round(value))


def duration(milliseconds: float | None) -> str:
    """Write a duration."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1_000:
        return f"{milliseconds:,.0f} ms"
    return f"{milliseconds / 1_000:,.2f} s" if milliseconds < 100_000 else f"{milliseconds / 60_000:,.1f} min"


def clock(unix_ms: float | None) -> str:
    """Write a moment of today or another day, in UTC."""
    return "–" if unix_ms is None else datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%b %d %H:%M:%S")


def began(call_id: str) -> str:
    """Write the moment in a call's id, in UTC: calls are listed in that order."""
    return clock(moment_in(call_id))


def day(unix_seconds: float | None) -> str:
    """Write the day of a moment, in UTC."""
    return "–" if unix_seconds is None else datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d")


def changed_value(value: object, name: str) -> str:
    """Write what a member of a key, an account or a wallet was or is: amounts in dollars, moments as such, lists as they are read."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if number is not None and name in AMOUNTS:
        return dollars(int(number))
    if number is not None and name.endswith("_at"):
        return clock(int(number * 1000))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_tree(value):  # a key's team, or what was booked in a wallet
        return str(value["name"]) if "name" in value else changed_value(value.get("amount"), "amount")
    return (", ".join(map(str, value)) or "nothing") if is_list(value) else str(value)


def near(unix_seconds: float | None, now: float) -> str:
    """Say how long ago a moment was, or how soon it comes."""
    if unix_seconds is None:
        return "never"
    size = abs(int(now - unix_seconds))
    for length, name in TIMES:
        if size >= length:
            words = f"{(2 * size + length) // (2 * length)} {name}"
            return f"in {words}" if unix_seconds > now else f"{words} ago"
    return "just now"


FILTERS: dict[str, Callable[..., str]] = {
    "dollars": dollars,
    "plain_dollars": plain_dollars,
    "short_id": short_id,
    "cost": cost,
    "exact": exact,
    "price": price,
    "plotted": plotted,
    "count": count,
    "several": several,
    "began": began,
    "short_count": short_count,
    "duration": duration,
    "clock": clock,
    "day": day,
    "changed": changed_value,
    "iso": iso,
    "trouble": OF_VENDORS.__getitem__,
}
