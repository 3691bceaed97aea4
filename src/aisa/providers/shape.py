"""The names that every dialect file defines, as types. A vendor is a row of configuration; a dialect is a module of this shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from aisa.answer import Part, Told
from aisa.errors import UpstreamFailed
from aisa.providers.continuation import Continuation
from aisa.providers.measure import Measure
from aisa.providers.model_facts import ModelFacts
from aisa.providers.port import Answer, UpstreamRequest
from aisa.providers.vendor_state import VendorState
from aisa.usage import Usage
from aisa.wire.door import Request
from aisa.wire.vendor_tier import tier_named


class Target(msgspec.Struct, frozen=True):
    """One place that can serve a call: which vendor, which of its models, and what must not be leaked about it."""

    vendor: str
    model: str
    dialect: str
    headers: tuple[tuple[str, str], ...] = ()
    answer_bytes_max: int = 67_108_864  # of a document or one event of a stream, which are held whole
    context_window: int | None = None  # in tokens, input and output together, where it is known of this target
    host: str = ""  # where it is, to tell vendors apart whose codes mean different things
    named_by_caller: bool = False  # the configuration does not name this model: a vendor that does not know it is the caller's to mend
    omit: tuple[str, ...] = ()  # members that we would add to a request and that this vendor refuses
    secrets: tuple[str, ...] = ()  # what must never appear in a message to a caller: keys, addresses
    measure: Measure = msgspec.field(default_factory=Measure)  # how its text is counted
    running_usage: bool = False  # it is asked to say with each chunk how many tokens it has made
    cut_stop: bool = False  # it leaves stop sequences in its texts
    assemble: bool = False  # a document is asked for as a stream and put together here
    output_tokens_max: int | None = None  # the most that it writes, where the operator says it
    deployments: bool = False  # the model stands in the path, as in the dated versions of Azure's API
    completions: bool = False  # it goes on from a text as it is, at `/completions`
    fetches: bool = False  # pictures are read from their addresses for it, where it takes bytes only
    file_addresses: bool = False  # it reads files at their addresses in chat completions
    public: str = ""  # what answers call the model; nothing: what the vendor calls it, unless that is a path on its machine
    unsupported: str = "refuse"  # what becomes of what the dialect cannot express: `concessions.py`
    facts: ModelFacts | None = None  # what is known of its model
    lacking: frozenset[str] = frozenset()  # kinds of cost that a request may show and that have no price of their own
    state: VendorState | None = None  # what this vendor wants back from the account that calls; the path of a call puts it here


class Asked(msgspec.Struct, frozen=True):
    """What a refusal is judged by beside its own words: when it came, in UNIX seconds, and the request's members that we had added."""

    now: float
    added: tuple[str, ...] = ()


class Decoder(Protocol):
    """Turns one vendor answer into its parts. Sans-IO: bytes in, parts out, whatever the split.

    Where the client's door speaks the dialect's own protocol these are pieces, of conformant events; else typed parts alone. Never raises:
    parts that came before a failure are still owed to the client, so the failure waits in `failure`.
    """

    done: bool  # the vendor has said all it will; reading on is pointless
    failure: UpstreamFailed | None  # the vendor failed, after the parts returned so far
    finishing: int  # 0 while the vendor may have more to say; then how many events said something, the last finish included

    @property
    def held_bytes(self) -> int:
        """How much is held of an event that is not whole yet; of a document all of it, which waits for its bill."""
        ...

    @property
    def certain(self) -> bool:
        """True when every finish so far has a reason that is known: nothing is lost if the vendor breaks off while `finishing`."""
        ...

    @property
    def finished(self) -> bool:
        """True when no token can follow, only a stream's report of usage and its end. Never of a document: that is whole or nothing."""
        ...

    def usage_fault(self, usage: Usage) -> str:
        """Say what is wrong with the vendor's report of which `usage` was made, to the operator; nothing if it is good or there is none."""
        ...

    @property
    def choices_made(self) -> int:
        """How many choices the vendor has begun; of a document, once it is there."""
        ...

    @property
    def tier(self) -> str | None:
        """The service tier that the answer has named so far, as `wire.vendor_tier.tier_named` has it; None if it has named none.

        A decoder may have besides: a method `told`, which returns this and what else the answer has said of itself, a `tier_header`, which
        names the tier where the body does not, and `unheeded`, the members of the request that were asked for in vain.
        """
        ...

    @property
    def unknown(self) -> Sequence[str]:
        """Finish reasons in nobody's table that were taken for `stop`: the operator is told."""
        ...

    @property
    def tokens(self) -> int:
        """Tokens in the parts so far, by our own count."""
        ...

    @property
    def reasoning_shown(self) -> int:
        """Those of them that showed the model's thinking."""
        ...

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        ...

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body. Sets `failure` if the answer is not complete.

        If there is neither an end nor a failure then, the vendor gives its answer in several, and `continued` says what is to be asked.
        """
        ...

    def usage(self) -> Usage:
        """Return the tokens so far: reported if the vendor has reported, else counted."""
        ...

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return what comes after the bill is settled: the report of usage, or the end in the vendor's own form. Cost is a JSON number."""
        ...


def told(decoder: Decoder | None, answer: Answer | None = None) -> Told:
    """Return what an answer has said of itself so far. A decoder whose vendors say nothing but the tier need not have a method for it."""
    if decoder is None:
        return NOTHING_TOLD
    tell: Callable[[], Told] | None = getattr(decoder, "told", None)
    said = Told(decoder.tier) if tell is None else tell()
    if said.tier is None and answer is not None and (header := getattr(decoder, "tier_header", "")):
        return replace(said, tier=tier_named(answer.headers.get(header)))
    return said


NOTHING_TOLD = Told()


def continued(decoder: Decoder | None, first: UpstreamRequest) -> UpstreamRequest:
    """Return what asks for the rest of an answer that goes on, as `Decoder.end` has it. Most dialects have no such answers."""
    continuation: Continuation | None = getattr(decoder, "continuation", None)
    assert continuation is not None, "else it has ended or failed"
    assert continuation.wanted, "else it has ended or failed: nobody is asked again without end"
    return continuation.request(first)


def path_to(path: str, target: Target) -> str:
    """Return where a route of OpenAI's API is at a target, below its base URL."""
    return f"/deployments/{quote(target.model, safe='')}{path}" if target.deployments else path


class Dialect(Protocol):
    """How a family of vendors speaks. A module with these names."""

    NAME: str

    def to_upstream(self, request: Request, target: Target) -> UpstreamRequest:
        """Write the request in this dialect. Raises UpstreamFailed for what it cannot express: another target may be able to."""
        ...

    def decoder(self, request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
        """Return what reads the answer to such a request, for a door that speaks this protocol.

        The call's id and UNIX time stand in where the vendor gives none.
        """
        ...

    def read_failure(self, status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
        """Say what an HTTP status other than 200 means."""
        ...
