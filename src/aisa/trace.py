"""Where a call stands in a trace that goes through several programs: the W3C's trace context, read and written. Makes no span.

Whether a call is traced is decided here, before anything is made for it: its parent's word counts, else a share of the trace ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aisa.clock import Chance, WallClock

PARENT, STATE = "traceparent", "tracestate"
#: `version-trace-parent-flags`; a later version may have more behind that (w3.org/TR/trace-context, 3.2 and 4).
CONTEXT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<parent>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(-.*)?"
)
FIRST_VERSION = "00"  # which has nothing behind the flags
SAMPLED, RANDOM = 1, 2  # flags; the second says that the trace's id was drawn by chance, and stays with it (level 2 of the same, 3.2.2.5)
STATE_CHARACTERS_MAX = 512  # the least that everybody has to pass on (3.3.1.5); what is longer is left out
STATE_FIT = re.compile(r"[\x20-\x7e]*")
TRIES_MAX = 64  # of a call at vendors, that get spans; more than any route has targets
SHARE_BITS = 64  # of a trace id, by which the sampled share is taken: the same in every program that decides so


class Try(NamedTuple):
    """One try at a target. `began` is in seconds of the event loop."""

    span_id: str
    target: str
    began: float


class Answered(NamedTuple):
    """Who answered: the answer's id, and the model as its vendor calls it, each empty if it said none; why each choice ended, if it did."""

    id: str = ""
    model: str = ""
    reasons: tuple[str, ...] = ()


NOBODY = Answered()
#: What of a request is told of its tries, by attribute. It keeps nothing of the request.
Look = Callable[[Any], Mapping[str, Any]]


def nothing_of(_request: object) -> Mapping[str, Any]:
    """Tell nothing of a request."""
    return {}


class Trace:
    """One call's place in its trace. Ids are lower-case hexadecimal: 32 characters of the trace, 16 of a span.

    `began` is UNIX seconds, `loop_began` the same moment in those of the event loop. `protocol` is that of the call's door.
    `asked_at`, in seconds of the loop, is when a vendor was asked last. If the call is sampled, `tries` are those at vendors, `asked` is
    what its request said, by `look`, and `answered` who answered.
    """

    __slots__ = (
        "_chance",
        "_passes_on",
        "_random",
        "answered",
        "asked",
        "asked_at",
        "began",
        "look",
        "loop_began",
        "parent_id",
        "path",
        "protocol",
        "route",
        "sampled",
        "span_id",
        "state",
        "trace_id",
        "tries",
    )

    def __init__(self, trace_id: str, parent_id: str, state: str, *, sampled: bool, passes_on: bool, chance: Chance, random: int) -> None:
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.state = state
        self.sampled = sampled
        self.span_id = span_id(chance)
        self.route = self.path = self.protocol = ""
        self.began = self.loop_began = 0.0
        self.asked_at: float | None = None
        self.asked: Mapping[str, Any] = {}
        self.answered = NOBODY
        self.tries: list[Try] = []
        self._passes_on, self._random = passes_on, random
        self._chance = chance
        self.look: Look = nothing_of

    def __str__(self) -> str:
        """Write the call's own place, as `traceparent` has it."""
        return self._place(self.span_id)

    def ask(self, target: str, now: float, request: object = None) -> tuple[tuple[str, str], ...]:
        """Note that a target is asked now, for a request; return the headers that say so to it."""
        within, self.asked_at = self.span_id, now
        if self.sampled and len(self.tries) < TRIES_MAX:
            if request is not None and not self.tries:
                self.asked = self.look(request)
            within = span_id(self._chance)
            self.tries.append(Try(within, target, now))
        if not self._passes_on:
            return ()
        place = (PARENT, self._place(within))
        return (place, (STATE, self.state)) if self.state else (place,)

    def _place(self, span: str) -> str:
        return f"{FIRST_VERSION}-{self.trace_id}-{span}-{self._random | self.sampled:02x}"


class Traces:
    """Begins traces. `share` of those that no caller has decided on are sampled; `passes_on`: vendors are told too.

    `look` says what is told of the requests of those that are sampled.
    """

    def __init__(self, chance: Chance, wall_clock: WallClock, *, share: float, passes_on: bool, look: Look = nothing_of) -> None:
        self._chance = chance
        self._wall_clock = wall_clock
        self._sampled_below = int(share * (1 << SHARE_BITS))
        self._passes_on = passes_on
        self._look = look

    def begin(self, headers: Mapping[str, str], now: float, *, route: str, protocol: str, path: str = "") -> Trace:
        """Return the place of a call with these request headers, and a path if it is another than its route. `now` is the event loop's."""
        context = CONTEXT.fullmatch(headers.get(PARENT, "").strip())
        if context is None or (context["version"] == FIRST_VERSION and context.end("flags") != len(context[0])):
            trace_id, parent_id, state, flags = f"{self._chance.getrandbits(128) or 1:032x}", "", "", 0
            sampled = int(trace_id[-SHARE_BITS // 4 :], 16) < self._sampled_below
        else:
            trace_id, parent_id, state = context["trace"], context["parent"], fitting(headers.get(STATE, ""))
            flags = int(context["flags"], 16)
            sampled = bool(flags & SAMPLED)
        trace = Trace(trace_id, parent_id, state, sampled=sampled, passes_on=self._passes_on, chance=self._chance, random=flags & RANDOM)
        trace.look = self._look
        trace.route, trace.path, trace.protocol, trace.began = route, path or route, protocol, self._wall_clock()
        trace.loop_began = now
        return trace


def span_id(chance: Chance) -> str:
    """Return an id for a span."""
    return f"{chance.getrandbits(64) or 1:016x}"


def fitting(state: str) -> str:
    """Return a `tracestate` that may be passed on, or nothing."""
    return state if len(state) <= STATE_CHARACTERS_MAX and STATE_FIT.fullmatch(state) else ""
