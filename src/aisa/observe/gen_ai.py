"""Calls in the words of OpenTelemetry's conventions for generative AI: operations, providers, attributes, instruments. Sends nothing.

The conventions are still in development, in a repository of their own; these are those of its first release, semantic-conventions-genai
0.1.0 of autumn 2026.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from aisa.facts import CallEnded
from aisa.ledger.rules import COMPLETED
from aisa.money import dollars_text
from aisa.trace import NOBODY, Answered, Trace
from aisa.usage import Usage

CHAT, EMBEDDINGS, RERANK = "chat", "embeddings", "rerank"
#: What a call does, by the protocol of its door; all others are conversations.
OPERATIONS: Mapping[str, str] = MappingProxyType(
    {"gemini": "generate_content", "completions": "text_completion", "embeddings": EMBEDDINGS, "rerank": RERANK}
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

#: What is measured of a conversation or a text, which the conventions call inference; of embeddings; and of what they have no name for.
INFERENCE_SECONDS, EMBEDDINGS_SECONDS = "gen_ai.client.inference.duration", "gen_ai.client.embeddings.duration"
OTHER_SECONDS = "gen_ai.client.operation.duration"
EACH_INPUT, EACH_OUTPUT = "gen_ai.client.inference.operation.input_tokens", "gen_ai.client.inference.operation.output_tokens"
EACH_EMBEDDED = "gen_ai.client.embeddings.operation.input_tokens"
USED = "gen_ai.client.inference.usage."
INPUT, OUTPUT = f"{USED}input_tokens", f"{USED}output_tokens"
CACHE_READ, CACHE_WRITE, REASONING = f"{USED}cache_read.input_tokens", f"{USED}cache_write.input_tokens", f"{USED}reasoning.output_tokens"
#: Of streams: as our caller sees it, who waits from the call's beginning on, and as we see the vendor, from when it was asked on.
FIRST_TOKEN, EACH_TOKEN = "gen_ai.server.time_to_first_token", "gen_ai.server.time_per_output_token"
FIRST_CHUNK, EACH_CHUNK = "gen_ai.client.inference.time_to_first_chunk", "gen_ai.client.inference.time_per_output_chunk"
MODALITY, UNKNOWN = "gen_ai.token.modality", "unknown"


class Instrument(NamedTuple):
    """An instrument's unit, what it counts, and the bounds of a histogram; None of a counter."""

    unit: str
    about: str
    bounds: tuple[float, ...] | None = None


INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType(
    {
        INFERENCE_SECONDS: Instrument("s", "How long calls took.", SECONDS),
        EMBEDDINGS_SECONDS: Instrument("s", "How long embeddings took.", SECONDS),
        OTHER_SECONDS: Instrument("s", "How long other calls took.", SECONDS),
        EACH_INPUT: Instrument("{token}", "Input tokens of a call that are billed.", TOKENS),
        EACH_OUTPUT: Instrument("{token}", "Output tokens of a call that are billed.", TOKENS),
        EACH_EMBEDDED: Instrument("{token}", "Tokens of a call for embeddings that are billed.", TOKENS),
        INPUT: Instrument("{token}", "Input tokens that are billed."),
        OUTPUT: Instrument("{token}", "Output tokens that are billed."),
        CACHE_READ: Instrument("{token}", "Of the input, what a vendor's cache had."),
        CACHE_WRITE: Instrument("{token}", "Of the input, what a vendor's cache took."),
        REASONING: Instrument("{token}", "Of the output, reasoning."),
        FIRST_TOKEN: Instrument("s", "The time to a stream's first token.", FIRST_SECONDS),
        EACH_TOKEN: Instrument("s", "The time of each further token of a stream.", TOKEN_SECONDS),
        FIRST_CHUNK: Instrument("s", "The time from asking a vendor to the first token of its stream.", SECONDS),
        EACH_CHUNK: Instrument("s", "The time of each further token of a vendor's stream, each as long as the others of it.", SECONDS),
    }
)
SERIES_MAX = 2_000  # of all instruments together: callers make names of models up; beyond, the model is `other`
OTHER = "other"
NOTHING = Usage()

Value = str | int | float | bool | tuple[str, ...]
UNFINISHED = "error"  # in place of the reason of a choice that has none
Attributes = dict[str, Value]
NOT_ASKED: Attributes = {}
Labels = tuple[tuple[str, str], ...]


class Server(NamedTuple):
    """Where a vendor is, and what the conventions call it."""

    provider: str
    address: str
    port: int


def call_attributes(fact: CallEnded, trace: Trace, scheme: str) -> Attributes:
    """Return what is said of a call as a request to us, which came over `scheme`."""
    given: dict[str, Value | None] = {
        "http.request.method": "POST",
        "http.route": trace.route,
        "url.path": trace.path,
        "url.scheme": scheme,
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


def asking_attributes(operation: str, target: str, server: Server, *, asked: Attributes = NOT_ASKED) -> Attributes:
    """Return what is said of one try at a target, `vendor/model`; `asked` is what the request says of how it is to be answered."""
    address: Attributes = {"server.address": server.address, "server.port": server.port} if server.address else {}
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": server.provider,
        "gen_ai.request.model": target.partition("/")[2],
        **asked,
        **address,
    }


def answer_attributes(fact: CallEnded, answered: Answered = NOBODY, first_chunk_seconds: float | None = None) -> Attributes:
    """Return what is said of the try that answered: what the vendor made, and how long after it was asked a stream's first token came."""
    usage = fact.usage
    reasons = tuple([reason or UNFINISHED for reason in answered.reasons]) or ((UNFINISHED,) if fact.error_code and fact.stream else ())
    given: Attributes = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
    }
    further: Attributes = {
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.cache_write.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        "gen_ai.response.id": answered.id,
        "gen_ai.response.model": answered.model,
        "gen_ai.response.finish_reasons": reasons,
    }
    if fact.stream and first_chunk_seconds is not None:
        given["gen_ai.response.time_to_first_chunk"] = first_chunk_seconds
    given.update({name: value for name, value in further.items() if value})
    return given


class Values:
    """How many values there were up to each bound, their sum, and the least and the greatest; of a counter, the sum."""

    __slots__ = ("_bounds", "count", "counts", "greatest", "least", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.count = 0
        self.sum: float = 0
        self.least, self.greatest = float("inf"), float("-inf")

    def record(self, value: float, times: int = 1) -> None:
        """Take a value, as often as it was there."""
        self.counts[bisect_left(self._bounds, value)] += times
        self.count += times
        self.sum += value * times
        self.least, self.greatest = min(self.least, value), max(self.greatest, value)


class Readings:
    """What all calls of a process came to. Two microseconds a value, where the SDK's own instruments take fourteen."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, Labels], Values] = {}

    def note(self, fact: CallEnded, operation: str, server: Server) -> None:
        """Count a call that a vendor was asked for."""
        model = fact.target.partition("/")[2]
        labels: Labels = (
            ("gen_ai.operation.name", operation),
            ("gen_ai.provider.name", server.provider),
            ("gen_ai.request.model", model),
        )
        failed: Labels = () if fact.error_code is None else (("error.type", fact.error_code),)
        asked_for = since_asked(fact.total_seconds, fact.traceparent)  # as long as its span
        if operation == EMBEDDINGS:
            self._record(EMBEDDINGS_SECONDS, (*labels, *failed), asked_for)
            if is_billed(fact):
                self._record(EACH_EMBEDDED, labels, fact.usage.input_tokens)
        elif operation == RERANK:
            self._record(OTHER_SECONDS, (*labels, *failed), asked_for)
        else:
            self._record(INFERENCE_SECONDS, (*labels, *failed), asked_for)
            self._note_tokens(fact, labels, failed)
        first = fact.first_token_seconds
        if fact.stream and first is not None:
            self._record(FIRST_TOKEN, labels, first)
            self._record(FIRST_CHUNK, labels, since_asked(first, fact.traceparent))
            if fact.billed_tokens > 1:
                each, further = (fact.total_seconds - first) / (fact.billed_tokens - 1), fact.billed_tokens - 1
                self._record(EACH_TOKEN, labels, each)
                self._record(EACH_CHUNK, labels, each, times=further)

    def _note_tokens(self, fact: CallEnded, labels: Labels, failed: Labels) -> None:
        """Count what is billed of each kind; of a call that costs nothing, that it had none, as the conventions want it."""
        usage, output = fact.usage, fact.billed_tokens
        billed = usage if is_billed(fact) else NOTHING
        self._record(EACH_INPUT, (*labels, *failed), billed.input_tokens)
        self._record(EACH_OUTPUT, (*labels, *failed), output)
        self._count(INPUT, labels, billed.input_tokens, audio=billed.input_audio_tokens)
        self._count(OUTPUT, labels, output, audio=billed.output_audio_tokens)
        for name, tokens in (
            (CACHE_READ, billed.cached_tokens),
            (CACHE_WRITE, billed.cache_write_tokens),
            (REASONING, min(billed.reasoning_tokens, output)),
        ):
            if tokens:
                self._record(name, (*labels, (MODALITY, UNKNOWN)), tokens)

    def _count(self, name: str, labels: Labels, tokens: int, *, audio: int = 0) -> None:
        """Count tokens by what they stand for: audio where the vendor said so; whether others are text or pictures is not known."""
        audio = min(audio, tokens)
        if audio:
            self._record(name, (*labels, (MODALITY, "audio")), audio)
        if tokens > audio or not tokens:
            self._record(name, (*labels, (MODALITY, UNKNOWN)), tokens - audio)

    def all(self) -> Iterator[tuple[str, Labels, Values]]:
        """Yield each series: its instrument's name, its attributes, its values."""
        for (name, labels), values in self._series.items():
            yield name, labels, values

    def _record(self, name: str, labels: Labels, value: float, *, times: int = 1) -> None:
        series = self._series.get((name, labels))
        if series is None:
            if len(self._series) >= SERIES_MAX:
                labels = tuple([(key, OTHER if key == "gen_ai.request.model" else said) for key, said in labels])
            series = self._series.setdefault((name, labels), Values(INSTRUMENTS[name].bounds or ()))
        series.record(value, times)


def since_asked(seconds: float, trace: Trace | None) -> float:
    """Return how long after its vendor was asked a moment was, in seconds, for one so long after a call's beginning."""
    waited = 0.0 if trace is None or trace.asked_at is None else trace.asked_at - trace.loop_began
    return max(0.0, seconds - waited)


def is_billed(fact: CallEnded) -> bool:
    """Say whether a call's input is billed."""
    return fact.outcome == COMPLETED or fact.billed_tokens > 0
