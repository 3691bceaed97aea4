"""What people write as amounts, caps, times and names: what can be right nowhere is refused before anything is asked. Asks nobody."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import click

from aisa.errors import ApiError

#: What takes a term of a key away.
NO_TERM = MappingProxyType({"expires": ("never", "none"), "spend_cap": ("none",), "models": ("all", "none")})

Callback = Callable[[click.Context, click.Parameter, str | None], str | None]


class Number(click.IntRange):
    """A whole number between bounds, and called one: by its own name the library says of `abc` that it is no valid integer range."""

    name = "whole number"


def text(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return an argument that can be sent; the system hands over any bytes, which need not be UTF-8. Raises click.BadParameter.

    A name that is empty is nobody's: a variable of the shell was not set. Of a new label the server says what it must be like.
    """
    if isinstance(parameter, click.Argument) and parameter.name != "label" and value is not None and not value.strip():
        raise click.BadParameter("it is empty.")
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8 text.") from None
    return value


def written(judge: Callable[[str], object], *words: str) -> Callback:
    """Return a callback that hands on what is written if `judge` takes it or it is one of the `words`, which take a term away.

    `judge` raises ValueError or ApiError with a sentence for people; the callback raises click.BadParameter with it.
    """

    def heed(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        value = text(context, parameter, value)
        if value is not None and value.strip().lower() not in words:
            try:
                judge(value)
            except ApiError as error:
                raise click.BadParameter(error.message) from None
            except ValueError as error:
                raise click.BadParameter(str(error)) from None
        return value

    return heed


def judge_top_up(value: str) -> None:
    """Judge what is to be put into a wallet. Raises ValueError."""
    from aisa.money import parse_dollars

    if parse_dollars(value) <= 0:
        raise ValueError(f"{value} is not above zero. To take money out: aisa wallet adjust ACCOUNT -AMOUNT --note WHY")


def judge_correction(value: str) -> None:
    """Judge what a wallet is to be corrected by. Raises ValueError."""
    from aisa.money import parse_dollars

    if parse_dollars(value) == 0:
        raise ValueError("A correction is an amount other than zero.")


def judge_reason(value: str) -> None:
    """Judge why a wallet is corrected. Raises ValueError."""
    if not value.strip():
        raise ValueError("A correction has a note that says why.")


def judge_cap(value: str) -> None:
    """Judge a spend cap. Raises ApiError."""
    from aisa.keys.terms import parse_spend_cap

    parse_spend_cap(value)


def judge_expiry(value: str) -> None:
    """Judge when a key is to expire. Raises ApiError."""
    from aisa.clock import wall_clock
    from aisa.keys.terms import parse_expiry

    parse_expiry(value, wall_clock())


def judge_grace(value: str) -> None:
    """Judge how long a former secret is to stay good. Raises ApiError."""
    from aisa.keys.terms import parse_grace

    parse_grace(value)


def judge_label(value: str) -> None:
    """Judge a key's label. Raises ApiError."""
    from aisa.keys.rules import check_label

    check_label(value)


def judge_models(value: str) -> None:
    """Judge an allow-list. Raises ApiError."""
    from aisa.keys.rules import check_models

    check_models(tuple(name.strip() for name in value.split(",")))


def judge_account(value: str) -> None:
    """Judge a new account's name. Raises ApiError."""
    from aisa.keys.rules import check_account

    check_account(value)


def judge_team(value: str) -> None:
    """Judge a new team's name. Raises ApiError."""
    from aisa.keys.teams import check_team

    check_team(value)
