"""Sends calls to an OpenTelemetry collector, as traces and metrics, from a thread of its own. Needs the `otel` extra; no call waits for it.

The SDK's processors and instruments are not used: they take longer than a call may, and hold a shutdown for half a minute where the
collector is dead. Its types and its exporters are.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from aisa import __version__
from aisa.clock import Micros, WallClock
from aisa.errors import CALLER
from aisa.facts import CallEnded, Fact, ServerWarning, VendorFailed
from aisa.observe.collector import Way
from aisa.observe.gen_ai import (
    CHAT,
    INSTRUMENTS,
    OPERATIONS,
    Readings,
    Server,
    answer_attributes,
    asking_attributes,
    call_attributes,
    since_asked,
)
from aisa.trace import Trace, Try

TRACES, METRICS = "TRACES", "METRICS"  # what is sent, as OpenTelemetry's own variables call it
INSTANCE = "service.instance.id"
WAITING_FACTS_MAX = 10_000  # of calls and failures that the thread has not taken; beyond, they are dropped and counted. About 5 MB
FAILURES_HELD_MAX = 1_000  # tries in vain, of calls that have not ended
SPANS_MAX = 512  # that are sent at once
SPANS_SECONDS = 2.0  # how long one waits for others
METRICS_SECONDS = 30.0
SEND_SECONDS_MAX = 1.0  # until a collector is given up, all its repeats included: a dead one delays a shutdown by two of these
QUIET_SECONDS = 60.0  # between two words to the operator about a collector that takes nothing

NANOS, MICROS = 1_000_000_000, 1_000_000  # of a second


class Identity(NamedTuple):
    """Which process sends, and over what it is asked. It is `one_of` several that are one server.

    `environment` has OpenTelemetry's own variables.
    """

    instance: str
    scheme: str = "http"
    one_of: bool = False
    environment: Mapping[str, str] = MappingProxyType({})

    def sends(self, signal: str) -> bool:
        """Say whether OpenTelemetry's own variables let something be sent."""
        is_off = self.environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        return not is_off and self.environment.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() != "none"

    @property
    def resource(self) -> Resource:
        """What is said of the process: what OpenTelemetry's own variables say counts, as for every program.

        Processes that are one server are still told apart, as each counts from zero.
        """
        ours = Resource.create({"service.name": "aisa", "service.version": __version__, INSTANCE: self.instance})
        named = OTELResourceDetector().detect()
        if self.one_of and INSTANCE in named.attributes:
            named = named.merge(Resource({INSTANCE: f"{named.attributes[INSTANCE]!s}:{self.instance.rpartition(':')[2]}"}))
        return ours.merge(named)


class Telemetry:
    """Takes facts in the event loop, and sends what they say. `servers` are the vendors that are known; `report` hears of troubles."""

    def __init__(
        self,
        endpoint: str,
        servers: Mapping[str, Server],
        *,
        clocks: tuple[WallClock, Micros],
        report: Callable[[Fact], None],
        identity: Identity,
        way: Callable[[], Way] = Way,
    ) -> None:
        base = endpoint.rstrip("/")
        self._identity = identity
        self._endpoint = endpoint
        self._spans_way, self._metrics_way = way(), way()
        self._spans_out = OTLPSpanExporter(f"{base}/v1/traces", timeout=SEND_SECONDS_MAX, session=self._spans_way)
        self._metrics_out = OTLPMetricExporter(f"{base}/v1/metrics", timeout=SEND_SECONDS_MAX, session=self._metrics_way)
        self._made = Spans(servers, identity)
        self._wall_clock, self._micros = clocks
        self._report = report
        self._facts: queue.SimpleQueue[CallEnded | VendorFailed | None] = queue.SimpleQueue()
        self._dropped = self._lost = 0
        self._closing = self._dead = False
        self._told_at, self._said = float("-inf"), ""
        silence = logging.getLogger("opentelemetry")
        silence.addHandler(logging.NullHandler())  # what it has to say of a dead collector, the operator hears from us
        silence.propagate = False
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def note(self, fact: Fact) -> None:
        """Take a fact. Returns at once."""
        if isinstance(fact, CallEnded | VendorFailed):
            if self._facts.qsize() < WAITING_FACTS_MAX:
                self._facts.put(fact)
            else:
                self._dropped += 1

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._closing = True
        self._facts.put(None)
        self._thread.join(4 * SEND_SECONDS_MAX)

    def _run(self) -> None:
        spans: list[ReadableSpan] = []
        began, now = self._wall_clock(), self._seconds()
        spans_due, metrics_due = now + SPANS_SECONDS, now + METRICS_SECONDS
        ended = False
        while not ended:
            try:
                fact = self._facts.get(timeout=max(0.0, min(spans_due, metrics_due) - now))
                ended = fact is None
                if fact is not None:
                    spans += self._made.take(fact)
            except queue.Empty:
                pass
            now = self._seconds()
            if ended or now >= spans_due or len(spans) >= SPANS_MAX:
                self._send_spans(spans)
                spans, spans_due = [], now + SPANS_SECONDS
            if ended or now >= metrics_due:
                self._send_metrics(self._made.metrics(began, self._wall_clock()))
                metrics_due = now + METRICS_SECONDS
            if not ended:
                self._complain(now)

    def _seconds(self) -> float:
        return self._micros() / 1e6

    def _send_spans(self, spans: list[ReadableSpan]) -> None:
        if spans and not (self._closing and self._dead):
            failed = self._spans_out.export(spans) is not SpanExportResult.SUCCESS
            self._note_lost(len(spans) if failed else self._spans_way.rejected, self._spans_way, failed=failed)

    def _send_metrics(self, metrics: MetricsData | None) -> None:
        if metrics is not None and self._identity.sends(METRICS) and not (self._closing and self._dead):
            sent = self._metrics_out.export(metrics)  # pyright: ignore[reportUnknownMemberType] - its further options have no types
            failed = sent is not MetricExportResult.SUCCESS
            self._note_lost(1 if failed else self._metrics_way.rejected, self._metrics_way, failed=failed)

    def _note_lost(self, count: int, way: Way, *, failed: bool) -> None:
        self._dead = failed and not way.refused  # one that refuses metrics takes spans, as many do
        self._lost += count
        self._said = way.said if count else self._said

    def _complain(self, now: float) -> None:
        """Tell the operator of what did not arrive, now and then."""
        if (self._lost or self._dropped) and now >= self._told_at + QUIET_SECONDS:
            lost, self._lost = self._lost + self._dropped, 0
            self._dropped, self._told_at = 0, now
            said, self._said = self._said or "it is too slow", ""
            what = f"telemetry: {lost} spans or readings were lost, as {self._endpoint} did not take them: {said}; calls go on"
            self._report(ServerWarning(what))


class Spans:
    """Makes spans of facts, and readings of all calls. Used by one thread."""

    def __init__(self, servers: Mapping[str, Server], identity: Identity) -> None:
        self._servers = servers
        self._resource = identity.resource
        self._sends = identity.sends(TRACES)
        self._scheme = identity.scheme
        self._scope = InstrumentationScope("aisa", __version__)
        self._failures: dict[str, list[VendorFailed]] = {}
        self._readings = Readings()

    def take(self, fact: CallEnded | VendorFailed) -> list[ReadableSpan]:
        """Return the spans of a call that has ended and is sampled; of a try in vain they come with its call."""
        if isinstance(fact, VendorFailed):
            if len(self._failures) < FAILURES_HELD_MAX:
                self._failures.setdefault(fact.request_id, []).append(fact)
            return []
        failures = self._failures.pop(fact.request_id, [])
        trace = fact.traceparent
        operation = CHAT if trace is None else operation_of(trace)
        if fact.target:
            self._readings.note(fact, operation, self._server(fact.target))
        if trace is None or not trace.sampled or not self._sends:
            return []
        return [*self._tries(fact, trace, failures), self._call(fact, trace)]

    def metrics(self, began: float, now: float) -> MetricsData | None:
        """Return what all calls came to since the beginning, None if there were none."""
        points: dict[str, list[HistogramDataPoint]] = {}
        sums: dict[str, list[NumberDataPoint]] = {}
        for name, labels, told in self._readings.all():
            bounds = INSTRUMENTS[name].bounds
            if bounds is None:
                sums.setdefault(name, []).append(NumberDataPoint(dict(labels), nanos(began), nanos(now), int(told.sum)))
                continue
            points.setdefault(name, []).append(
                HistogramDataPoint(
                    dict(labels), nanos(began), nanos(now), told.count, told.sum, list(told.counts), bounds, told.least, told.greatest
                )
            )
        if not points:
            return None
        metrics = [
            *(metric_of(name, HistogramData(each, AggregationTemporality.CUMULATIVE)) for name, each in points.items()),
            *(metric_of(name, Sum(each, AggregationTemporality.CUMULATIVE, is_monotonic=True)) for name, each in sums.items()),
        ]
        return MetricsData([ResourceMetrics(self._resource, [ScopeMetrics(self._scope, metrics, "")], "")])

    def _call(self, fact: CallEnded, trace: Trace) -> ReadableSpan:
        """The call as a request to us. What its caller did wrong is no error of a server's span."""
        return ReadableSpan(
            f"POST {trace.route}",
            context_of(trace, trace.span_id),
            context_of(trace, trace.parent_id, remote=True) if trace.parent_id else None,
            self._resource,
            call_attributes(fact, trace, self._scheme),
            kind=SpanKind.SERVER,
            status=Status() if fact.blame in (None, CALLER) else Status(StatusCode.ERROR, fact.error_code),
            start_time=nanos(trace.began),
            end_time=nanos(trace.began, fact.total_seconds),
            instrumentation_scope=self._scope,
        )

    def _tries(self, fact: CallEnded, trace: Trace, failures: list[VendorFailed]) -> list[ReadableSpan]:
        """Each try at a vendor. A try ends when the next begins; the last, with the call."""
        operation = operation_of(trace)
        begins = [nanos(trace.began, each.began - trace.loop_began) for each in trace.tries]
        ends = [*begins[1:], nanos(trace.began, fact.total_seconds)]
        spans: list[ReadableSpan] = []
        first = fact.first_token_seconds
        for place, (each, failure) in enumerate(zip(trace.tries, failures_of(trace.tries, failures), strict=True), 1):
            attributes = asking_attributes(operation, each.target, self._server(each.target), asked=dict(trace.asked))
            broke_off = first is not None and place == len(trace.tries)
            if failure is None or broke_off:
                attributes.update(answer_attributes(fact, trace.answered, None if first is None else since_asked(first, trace)))
            error = fact.error_code if failure is None else failure.code
            if error is not None:
                attributes["error.type"] = error
            spans.append(
                ReadableSpan(
                    f"{operation} {each.target.partition('/')[2]}",
                    context_of(trace, each.span_id),
                    context_of(trace, trace.span_id),
                    self._resource,
                    attributes,
                    [] if failure is None else [event_of(failure, ends[place - 1])],
                    kind=SpanKind.CLIENT,
                    status=Status() if error is None else Status(StatusCode.ERROR, error),
                    start_time=begins[place - 1],
                    end_time=ends[place - 1],
                    instrumentation_scope=self._scope,
                )
            )
        return spans

    def _server(self, target: str) -> Server:
        """Return which server a target is at. A vendor that came with a reload is known by its name alone."""
        vendor = target.partition("/")[0]
        return self._servers.get(vendor) or Server(vendor, "", 0)


def metric_of(name: str, data: HistogramData | Sum) -> Metric:
    """Return an instrument's values as they are sent."""
    instrument = INSTRUMENTS[name]
    return Metric(name, instrument.about, instrument.unit, data)


def operation_of(trace: Trace) -> str:
    """Return what a call does."""
    return OPERATIONS.get(trace.protocol, CHAT)


def failures_of(tries: Sequence[Try], failures: Sequence[VendorFailed]) -> Iterator[VendorFailed | None]:
    """Yield how each try failed, None of one that did not. What its dialect could not write was never asked, and is none of them."""
    left = list(failures)
    for each in tries:
        ours = next((at for at, failure in enumerate(left) if f"{failure.vendor}/{failure.model}" == each.target), None)
        yield None if ours is None else left[ours]
        del left[: 0 if ours is None else ours + 1]


def event_of(failure: VendorFailed, at: int) -> Event:
    """Return what a vendor did wrong, at a UNIX nanosecond."""
    return Event("aisa.vendor_failed", {"aisa.blame": failure.blame, "aisa.detail": failure.detail}, at)


def context_of(trace: Trace, span_id: str, *, remote: bool = False) -> SpanContext:
    """Return the place of a span in a trace."""
    state = TraceState.from_header([trace.state]) if trace.state else None
    return SpanContext(int(trace.trace_id, 16), int(span_id, 16), remote, TraceFlags(TraceFlags.SAMPLED), state)


def nanos(seconds: float, later: float = 0.0) -> int:
    """Return the UNIX nanosecond of a second, or of one so many seconds later.

    Those are added as whole microseconds: a float of UNIX seconds has steps of a quarter, by which a try could end before it began.
    """
    return int(seconds * NANOS) + round(later * MICROS) * (NANOS // MICROS)
