"""What the limits on a key are, and what a call takes of them. Pure: counts nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import AddressValueError, IPv6Address

import msgspec

from aisa.config.limits import Limits, Rates, Tier, known_tiers
from aisa.config.schema import Model
from aisa.keys.rules import Key
from aisa.offer import Offer, Plan
from aisa.wire.door import Request

MICROS = 1_000_000  # in a second
STEP_TOKENS = 256  # of output, that a stream's use grows by, as its hold does
STEPS_MIN = 100  # in a limit: a small one is used in smaller steps, so that no stream ends for the rest of a step
DOCUMENT_OUTPUT_TOKENS = 4_096  # of a document whose length nobody limits, until it is known
DOCUMENT_SHARE = 4  # of a limit, that such a guess takes at most: one call does not use up a small one
#: Returns how many output tokens a choice of an answer by these targets has, but for rare ones; None while too few answers are known.
Usual = Callable[[Sequence[Offer]], int | None]
ADDRESS_BITS = 64  # of IPv6 that one client has at least; it can choose the rest at will


def key_rates(tier: Tier, key: Key) -> Rates:
    """Return the limits of a key: its own where they are lower than its tier's."""
    rpm, tpm, concurrency = lower(key.rpm, tier.rpm), lower(key.tpm, tier.tpm), lower(key.concurrency, tier.concurrency)
    return Rates(rpm=rpm, tpm=tpm, concurrency=concurrency)


def lower(one: int | None, other: int | None) -> int | None:
    """Return the lower of two limits; None is none."""
    return other if one is None else one if other is None else min(one, other)


def share_of(rates: Rates, servers: int) -> Rates:
    """Return what each of so many servers has of limits that they share out: of each at least 1."""
    if servers == 1:
        return rates
    shares = [None if limit is None else max(1, limit // servers) for limit in (rates.rpm, rates.tpm, rates.concurrency)]
    return Rates(rpm=shares[0], tpm=shares[1], concurrency=shares[2])


def tier_of(limits: Limits, tiers: Mapping[str, str], account: str) -> Tier:
    """Return an account's tier, where `tiers` has the names of those that were given one.

    One whose tier the configuration does not know any more gets the lowest limits that it knows: nobody becomes unlimited by a mistake.
    """
    known = known_tiers(limits)
    name = tiers.get(account, limits.default_tier)
    return known[name] if name in known else min(known.values(), key=lambda tier: tier.rpm or RATE_MAX)


RATE_MAX = 1 << 62  # stands for no limit where numbers are compared


def is_none(rates: Rates) -> bool:
    """Say whether nothing is limited."""
    return rates.rpm is None and rates.tpm is None and rates.concurrency is None


def step_of(tokens_max: int) -> int:
    """Return the output tokens that a stream takes at a time of such a limit."""
    return max(1, min(STEP_TOKENS, tokens_max // STEPS_MIN))


def nothing_is_usual(_offers: Sequence[Offer]) -> None:
    """Know no answer."""


def output_at_first(request: Request, plan: Plan, *, step: int, tokens_max: int, usual: Usual) -> int:
    """Return the output tokens that a call takes of a limit before it is asked, of which `tokens_max` are not for its input.

    A stream takes the step that it begins with, as it is watched while it runs; a document the most that it may have, or what a usual one
    has: but no guess of ours makes it larger than the limit.
    """
    asked = request.max_tokens
    if request.stream:
        return step if asked is None else min(step, asked * request.choices)
    if asked is not None:
        return asked * request.choices
    return output_guessed(request, plan.entry.settings, tokens_max, usual=usual(plan.offers))


def output_guessed(request: Request, settings: Model, tokens_max: int, *, usual: int | None) -> int:
    """Return the output tokens of a call without a bound, `tokens_max` at most; `usual` is what its targets' answers have, if known."""
    each = settings.hold_output_tokens or usual
    if each is None:
        each, tokens_max = DOCUMENT_OUTPUT_TOKENS, tokens_max // DOCUMENT_SHARE
    if settings.max_output_tokens is not None:
        each = min(each, settings.max_output_tokens)
    expected = each * request.choices
    return expected if expected <= tokens_max else max(1, tokens_max)


def address_group(address: str) -> str:
    """Return what of a client's address one client has: an IPv6 network, or a whole IPv4 address."""
    if ":" not in address:
        return address
    try:
        whole = IPv6Address(address.partition("%")[0])
    except AddressValueError:
        return address
    if whole.ipv4_mapped is not None:
        return str(whole.ipv4_mapped)
    return f"{IPv6Address(int(whole) >> 128 - ADDRESS_BITS << 128 - ADDRESS_BITS)}/{ADDRESS_BITS}"


class VendorLimit(msgspec.Struct, frozen=True):
    """How full a limit of a vendor is, or of a `target` of it, `vendor/model`; None for what is not limited.

    So many calls are `waiting` for it, the first of them for `waited_seconds`. `shared` says that all processes of the server use one.
    """

    target: str
    rpm: int | None
    rpm_left: int | None
    tpm: int | None
    tpm_left: int | None
    concurrency: int | None
    in_flight: int | None
    waiting: int
    waited_seconds: float
    shared: bool
