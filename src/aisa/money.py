"""Money: whole nano-dollars (10^-9 US dollar). The one place where a price in dollars becomes an integer, and back for display."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

NANOS_PER_DOLLAR = 1_000_000_000
TOKENS_PER_PRICE = 1_000_000  # prices are quoted in US dollars per million tokens

AMOUNT = re.compile(r"([+-]?)([0-9]{1,9})(?:\.([0-9]{1,9}))?")  # below a billion dollars; nine such amounts still fit 64 bits

#: An amount of money in nano-dollars.
Nanos = int


def nanos_per_million(dollars: str | float | Decimal) -> Nanos:
    """Turn a price in US dollars per million tokens into nano-dollars per million tokens, exactly.

    Raises ValueError when the price has more than nine decimals: it could not be kept exactly.
    """
    amount = Decimal(str(dollars)) * NANOS_PER_DOLLAR
    if amount != amount.to_integral_value():
        raise ValueError(f"{dollars} has more than nine decimals")
    return int(amount)


def scaled(price: Nanos, factor: float | Decimal) -> Nanos:
    """Return a price that a factor is on, halves up: 1.1 is taken for what it is written as."""
    return price if factor == 1 else int((price * Decimal(str(factor))).to_integral_value(ROUND_HALF_UP))


def parse_dollars(text: str) -> Nanos:
    """Turn an amount in US dollars, as people write it, into nano-dollars, exactly: `2.50`, `-0.000000001`.

    Raises ValueError with a sentence for people.
    """
    found = AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no amount: write US dollars such as 20 or 2.50, below a billion, with nine decimals at most.")
    sign, whole, decimals = found.groups("")
    nanos = int(whole) * NANOS_PER_DOLLAR + int(decimals.ljust(9, "0"))
    return -nanos if sign == "-" else nanos


def divide_half_up(numerator: int, denominator: int) -> int:
    """Divide non-negative integers, halves rounded up: the only rounding in the product."""
    return (2 * numerator + denominator) // (2 * denominator)


def rounded_dollars(nanos: Nanos, places: int, mark: str = "$") -> str:
    """Write the size of an amount for people, with so many decimals, halves up: `$1,234.50`.

    What would round to nothing and is something is less than the last decimal: `<$0.01`.
    """
    unit = 10**places
    parts = divide_half_up(abs(nanos) * unit, NANOS_PER_DOLLAR)
    less = "<" if nanos and not parts else ""
    whole, rest = divmod(parts or len(less), unit)
    return f"{less}{mark}{whole:,}.{rest:0{places}d}"


def dollars_text(nanos: Nanos) -> str:
    """Write an amount as a JSON number in US dollars with no superfluous digits: 1250 -> `0.00000125`."""
    if 0 < nanos < NANOS_PER_DOLLAR:  # as what a call costs
        return "0." + str(nanos).zfill(9).rstrip("0")
    if nanos < 0:
        return f"-{dollars_text(-nanos)}"
    digits = f"{nanos:010d}"
    return f"{digits[:-9]}.{digits[-9:]}".rstrip("0").rstrip(".")
