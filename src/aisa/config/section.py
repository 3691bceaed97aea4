"""What every part of the configuration is made of: the type of a part, and of settings that recur. Lists no setting."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Bytes = Annotated[int, Meta(ge=1024, le=1 << 32)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Limit = Annotated[int, Meta(ge=0)]
Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]
Fee = Annotated[float, Meta(ge=0, le=1_000)]
Factor = Annotated[float, Meta(gt=0, le=100)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the configuration: immutable, unknown keys refused.

    Subclasses repeat `frozen` for the type checkers, and `kw_only`, which is not inherited.
    """
