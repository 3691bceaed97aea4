"""Calls in the words of OpenTelemetry's conventions for generative AI: operations, providers, attributes, histograms. Sends nothing.

The conventions are still in development; these are those of opentelemetry-semantic-conventions 0.66b2 of November 2026.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from aisa.facts import CallEnded
from aisa.ledger.rules import COMPLETED
from aisa.money import dollars_text

CHAT = "chat"
#: What a call does, by the protocol of its door; all others are conversations.
OPERATIONS: Mapping[str, str] = MappingProxyType(
    {"gemini": "generate_content", "completions": "text_completion", "embeddings": "embeddings", "rerank": "rerank"}
)
#: Our name of a kind of vendor -> the conventions', where these have one of their own.
PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "azure": "azure.ai.openai",
        "gemini": "gcp.gemini",
        "vertex": "gcp.vertex_ai",
        "bedrock": "aws.bedrock",
        "mistral": "mistral_ai",
        "xai": "x_ai",
        "moonshot": "moonshot_ai",
    }
)
#: Bounds that the conventions ask for.
TOKENS = tuple(4**power for power in range(14))
SECONDS = tuple(0.01 * 2**power for power in range(14))
FIRST_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)

TOKEN_USAGE, DURATION = "gen_ai.client.token.usage", "gen_ai.client.operation.duration"
FIRST_TOKEN, EACH_TOKEN = "gen_ai.server.time_to_first_token", "gen_ai.server.time_per_output_token"


class Instrument(NamedTuple):
    """A histogram's unit, what it counts, and its bounds."""

    unit: str
    about: str
    bounds: tuple[float, ...]


INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType(
    {
        TOKEN_USAGE: Instrument("{token}", "Input and output tokens that are billed.", TOKENS),
        DURATION: Instrument("s", "How long calls took.", SECONDS),
        FIRST_TOKEN: Instrument("s", "The time to a stream's first token.", FIRST_SECONDS),
        EACH_TOKEN: Instrument("s", "The time of each further token of a stream.", TOKEN_SECONDS),
    }
)
SERIES_MAX = 2_000  # of all histograms together: callers make names of models up; beyond, the model is `other`
OTHER = "other"

Value = str | int | float | bool
Attributes = dict[str, Value]
Labels = tuple[tuple[str, str], ...]


class Server(NamedTuple):
    """Where a vendor is, and what the conventions call it."""

    provider: str
    address: str
    port: int


def call_attributes(fact: CallEnded, route: str) -> Attributes:
    """Return what is said of a call as a request to us."""
    given: dict[str, Value | None] = {
        "http.request.method": "POST",
        "http.route": route,
        "http.response.status_code": fact.status,
        "client.address": fact.address,
        "error.type": fact.error_code,
        "aisa.request_id": fact.request_id,
        "aisa.key.id": fact.key_id,
        "aisa.key.label": fact.key_label,
        "aisa.model": fact.model,
        "aisa.outcome": fact.outcome,
        "aisa.blame": fact.blame,
        "aisa.attempts": fact.attempts,
        "aisa.billed_output_tokens": fact.billed_tokens,
        "aisa.cost_usd": None if fact.cost_nanos is None else float(dollars_text(fact.cost_nanos)),
    }
    return {name: value for name, value in given.items() if value is not None}


def asking_attributes(operation: str, target: str, server: Server) -> Attributes:
    """Return what is said of one try at a target, `vendor/model`."""
    address: Attributes = {"server.address": server.address, "server.port": server.port} if server.address else {}
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": server.provider,
        "gen_ai.request.model": target.partition("/")[2],
        **address,
    }


def answer_attributes(fact: CallEnded) -> Attributes:
    """Return what is said of the try that answered: what the vendor made."""
    usage = fact.usage
    given: Attributes = {
        "gen_ai.request.stream": fact.stream,
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
    }
    further = {
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }
    given.update({name: value for name, value in further.items() if value})
    return given


class Histogram:
    """How many values there were up to each bound, their sum, and the least and the greatest."""

    __slots__ = ("_bounds", "count", "counts", "greatest", "least", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.count = 0
        self.sum: float = 0
        self.least, self.greatest = float("inf"), float("-inf")

    def record(self, value: float) -> None:
        """Take a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.count += 1
        self.sum += value
        self.least, self.greatest = min(self.least, value), max(self.greatest, value)


class Histograms:
    """What all calls of a process came to. Two microseconds a value, where the SDK's own instruments take fourteen."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, Labels], Histogram] = {}

    def note(self, fact: CallEnded, operation: str, server: Server) -> None:
        """Count a call that a vendor was asked for."""
        model = fact.target.partition("/")[2]
        labels: Labels = (
            ("gen_ai.operation.name", operation),
            ("gen_ai.provider.name", server.provider),
            ("gen_ai.request.model", model),
        )
        failed = () if fact.error_code is None else (("error.type", fact.error_code),)
        self._record(DURATION, (*labels, *failed), fact.total_seconds)
        if fact.outcome == COMPLETED or fact.billed_tokens:
            self._record(TOKEN_USAGE, (*labels, ("gen_ai.token.type", "input")), fact.usage.input_tokens)
            self._record(TOKEN_USAGE, (*labels, ("gen_ai.token.type", "output")), fact.billed_tokens)
        first = fact.first_token_seconds
        if fact.stream and first is not None:
            self._record(FIRST_TOKEN, labels, first)
            if fact.billed_tokens > 1:
                self._record(EACH_TOKEN, labels, (fact.total_seconds - first) / (fact.billed_tokens - 1))

    def all(self) -> Iterator[tuple[str, Labels, Histogram]]:
        """Yield each series: its instrument's name, its attributes, its values."""
        for (name, labels), histogram in self._series.items():
            yield name, labels, histogram

    def _record(self, name: str, labels: Labels, value: float) -> None:
        series = self._series.get((name, labels))
        if series is None:
            if len(self._series) >= SERIES_MAX:
                labels = tuple([(key, OTHER if key == "gen_ai.request.model" else said) for key, said in labels])
            series = self._series.setdefault((name, labels), Histogram(INSTRUMENTS[name].bounds))
        series.record(value)
