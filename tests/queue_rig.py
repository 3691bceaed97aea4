"""What the tests of vendors' limits share: an admission with limits of vendors, and calls of keys that take places there. Not a test."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from aisa.admission.memory import MemoryAdmission
from aisa.admission.port import Places
from aisa.call import Call
from aisa.config.limits import Limits, ModelRates, VendorRates
from aisa.config.schema import Config, Model, Vendor
from aisa.errors import ApiError
from aisa.facts import CallQueued, Fact
from aisa.keys.rules import Key
from aisa.routing import Routes
from aisa.usage import Usage
from aisa.wire.chat_door import CHAT_DOOR
from rig import body

__all__ = ["Limits", "ModelRates", "VendorRates"]

MODELS = {"one": ("a/m",), "other": ("a/n",), "both": ("a/m", "b/m"), "free": ("a/m", "c/m")}


def config_with(limits: Limits) -> Config:
    """Vendors `a`, `b` and `c`, of which the limits may name some."""
    vendors = {name: Vendor(base_url=f"http://{name}.example:9/v1") for name in "abc"}
    return Config(vendors=vendors, models={name: Model(to=to) for name, to in MODELS.items()}, limits=limits)


class Begun:
    """A call that has its place at a target since a time of the loop, for so many tokens as it was counted with."""

    def __init__(self, places: Places, target: str, at: float) -> None:
        self.places, self.target, self.at = places, target, at

    def end(self, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """End it, with what was used."""
        self.places.end(Usage(input_tokens, output_tokens))


class Desk:
    """One process with limits of vendors, at which keys make calls. Of several that share memory each is given its own admission."""

    def __init__(self, limits: Limits, admission: MemoryAdmission | None = None) -> None:
        self.facts: list[Fact] = []
        self.admission = admission or MemoryAdmission(limits, {}, wall_clock=lambda: 0.0, report=self.facts.append)
        self.routes = Routes(config_with(limits))
        self._number = 0

    async def begin(self, key: str = "key", model: str = "one", *, input_tokens: int = 10, **fields: object) -> Begun:
        """Make a call that waits for its turn. Raises ApiError."""
        self._number += 1
        request = CHAT_DOOR.read(body(model=model, **fields))
        owner = Key(key, key, b"", "sk-…", "active", 0)
        plan = self.routes.plan(request, owner, random.Random(1))
        call = Call(f"req_{self._number}", owner, b"", 1, 0.0, [], CHAT_DOOR)
        places = self.admission.places(call, request, plan, input_tokens=input_tokens)
        offer = await places.first()
        return Begun(places, offer.name, asyncio.get_running_loop().time())

    async def refused(self, key: str = "key", model: str = "one", **fields: Any) -> ApiError:
        """Make a call that is refused, and return why."""
        try:
            await self.begin(key, model, **fields)
        except ApiError as error:
            return error
        raise AssertionError("it was not refused")

    @property
    def waits(self) -> list[CallQueued]:
        """What was told of waits."""
        return [fact for fact in self.facts if isinstance(fact, CallQueued)]


def limits_of(a: VendorRates, b: VendorRates | None = None, **more: Any) -> Limits:
    """Limits of the vendors `a` and `b`."""
    return Limits(vendors={"a": a} if b is None else {"a": a, "b": b}, **more)


def most_in_any_window(times: Sequence[tuple[float, int]], seconds: float) -> int:
    """Return the most that falls into any window of so many seconds: half open, of amounts at times."""
    ordered, first, total, most = sorted(times), 0, 0, 0
    for at, amount in ordered:
        total += amount
        while ordered[first][0] <= at - seconds:
            total -= ordered[first][1]
            first += 1
        most = max(most, total)
    return most
