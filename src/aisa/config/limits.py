"""The settings on how much may be asked: by keys, accounts and addresses, and of vendors; how long a minute is. Counts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from msgspec import Meta

from aisa.config.section import Bytes, Count, Section

#: The most of anything in a minute.
Rate = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Rates(Section, frozen=True, kw_only=True):
    """How much may be asked; None for no limit."""

    rpm: Rate | None = None
    tpm: Rate | None = None
    concurrency: Rate | None = None


class AccountRates(Rates, frozen=True, kw_only=True):
    """How much all keys of an account in the tier may ask together, besides what each of them may."""


class AddressRates(Rates, frozen=True, kw_only=True):
    """How much may be asked from one client address, with whatever keys. Of IPv6 addresses, each /64 counts as one."""


class Tier(Rates, frozen=True, kw_only=True):
    """How much each key of an account in this tier may ask. There are `free`, `starter`, `growth` and `unlimited` already."""

    account: AccountRates = AccountRates()


class ModelRates(Rates, frozen=True, kw_only=True):
    """How much the vendor lets this server ask of one of its models, by the model's name there."""


class VendorRates(Rates, frozen=True, kw_only=True):
    """How much the vendor lets this server ask, of all its models together: calls wait here, instead of being refused there."""

    models: dict[str, ModelRates] = {}
    queue_seconds: Annotated[float, Meta(ge=0, le=600)] = 10.0


class Limits(Section, frozen=True, kw_only=True):
    """The limits on rates."""

    default_tier: str = "unlimited"
    tiers: dict[str, Tier] = {}
    address: AddressRates = AddressRates()
    vendors: dict[str, VendorRates] = {}
    queue_calls_max: Count = 1_000
    queue_bytes_max: Bytes = 67_108_864
    lost_documents_per_hour: Annotated[int, Meta(ge=1, le=100)] | None = None
    window_seconds: Annotated[float, Meta(gt=0, le=60)] = 60.0  # a wait of more than a minute cannot be told to clients


NO_TIER = "default"  # as people write that an account was given none
#: The tiers that are there without being written down; one that is written under the same name counts instead.
TIERS: Mapping[str, Tier] = MappingProxyType(
    {
        "free": Tier(rpm=60, tpm=60_000, concurrency=5),
        "starter": Tier(rpm=600, tpm=600_000, concurrency=20),
        "growth": Tier(rpm=3_000, tpm=3_000_000, concurrency=50),
        "unlimited": Tier(),
    }
)

RATES_IN_WORDS = {
    "rpm": "Calls that may begin in any minute; no limit if absent.",
    "tpm": "Tokens, of input and output together, that may be used in any minute; no limit if absent.",
    "concurrency": "Calls that may be in flight at the same time; no limit if absent.",
}

LIMITED = ("tiers.<name>", "tiers.<name>.account", "address", "vendors.<name>", "vendors.<name>.models.<name>")

LIMITS_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "limits.default_tier": "The tier of accounts that were not given one: a name under `tiers`, or `free` (60 calls and 60,000 tokens "
        "a minute, 5 calls in flight), `starter` (600, 600,000, 20), `growth` (3,000, 3,000,000, 50), `unlimited`.",
        "limits.lost_documents_per_hour": "How many whole documents each key may be sent in an hour whose clients close the connection "
        "before their system has acknowledged them: such documents are free. Beyond it the key gets `429 rate_limit_exceeded` for "
        "documents until the hour is over; streams go on. If absent, they are only told in the log (`document_lost`).",
        "limits.vendors.<name>.queue_seconds": "How long a call waits at most for its turn where no target of its model has room; 0 for "
        "not at all. Then it is `429 upstream_rate_limit`.",
        "limits.queue_calls_max": "Calls that wait for a vendor's limit in one process, all together; of more, the newest of the key that "
        "has the most there is refused.",
        "limits.queue_bytes_max": "What the bodies of the calls that wait may take together; beyond it as beyond `queue_calls_max`.",
        "limits.window_seconds": "How long the minute of all limits is; another length is for tests.",
        **{f"limits.{of}.{kind}": said for of in LIMITED for kind, said in RATES_IN_WORDS.items()},
    }
)


def known_tiers(limits: Limits) -> Mapping[str, Tier]:
    """Return every tier, by name."""
    return {**TIERS, **limits.tiers}
