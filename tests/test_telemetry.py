"""Traces and metrics as a collector gets them: what their bytes say, read by OpenTelemetry's own types, on a real socket."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from aisa.clock import monotonic_micros
from aisa.facts import Fact, ServerWarning, VendorFailed
from aisa.observe.collector import Adapter, Way
from aisa.observe.gen_ai import INSTRUMENTS, OTHER, SERIES_MAX, Readings, Server
from aisa.observe.log import json_line
from aisa.observe.telemetry import SEND_SECONDS_MAX, WAITING_FACTS_MAX, Identity, Spans, Telemetry
from aisa.trace import Answered, Trace, Traces
from aisa.usage import Usage
from server import serving
from test_metrics import ended
from vendor import ScriptedVendor

UNKNOWN, AUDIO = ({"gen_ai.token.modality": modality} for modality in ("unknown", "audio"))
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SERVERS = {"v": Server("openai", "api.example", 443)}
HERE = Identity("here:1")


class Collector:
    """A collector that takes everything over HTTP, as protobuf."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.points: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        self.monotonic: set[str] = set()
        self.authorizations: list[str | None] = []

    def take(self, path: str, body: bytes) -> None:
        """Read a request."""
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(attributes_of(resource.resource))
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for told in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in [metric for scope in told.scope_metrics for metric in scope.metrics]:
                    points = metric.sum.data_points or metric.histogram.data_points
                    self.points[metric.name] = [(attributes_of(point), point) for point in points]
                    self.monotonic |= {metric.name} if metric.sum.is_monotonic else set()

    def counted(self, name: str) -> list[tuple[dict[str, Any], int]]:
        """Return what a counter says, by what it says that of."""
        return [(said, point.as_int) for said, point in self.points.get(name, ())]

    def named(self, beginning: str) -> list[Span]:
        """Return the spans whose names begin so, the earliest first."""
        return sorted([span for span in self.spans if span.name.startswith(beginning)], key=lambda span: span.start_time_unix_nano)


class Quiet(BaseHTTPRequestHandler):
    """A collector that is in no test's output."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def run_by(handler: type[Quiet]) -> Generator[str]:
    """Run a collector, and return its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def collecting() -> Generator[Collector]:
    """Run a collector."""

    class Taking(Quiet):
        def do_POST(self) -> None:
            collector.authorizations.append(self.headers["x-team"])
            collector.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

    with run_by(Taking) as url:
        collector = Collector(url)
        yield collector


def attributes_of(owner: Any) -> dict[str, Any]:
    """Return the attributes of a span, a point or a resource."""
    found = {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in owner.attributes}
    return {key: [each.string_value for each in said.values] if hasattr(said, "values") else said for key, said in found.items()}


def traced(headers: dict[str, str], protocol: str = "openai") -> Trace:
    """Begin a call's trace at UNIX second 1,000, which is the loop's second 5."""
    traces = Traces(random.Random(3), lambda: 1_000.0, share=1.0, passes_on=True)
    return traces.begin(headers, 5.0, route="/v1/chat/completions", protocol=protocol)


def told(url: str, *facts: Fact, **more: Any) -> list[Fact]:
    """Send facts to a collector, and return what was said of trouble."""
    troubles: list[Fact] = []
    options = {"identity": HERE} | more
    telemetry = Telemetry(url, SERVERS, clocks=(lambda: 1_010.0, monotonic_micros), report=troubles.append, **options)
    for fact in facts:
        telemetry.note(fact)
    telemetry.close()
    return troubles


def test_a_call_is_a_span_of_ours_below_the_callers_and_each_try_one_below_it() -> None:
    """With times that fit into each other, what the vendor made, and what went wrong at the first."""
    trace = traced({"traceparent": PARENT})
    trace.ask("v/first", 5.1)
    trace.ask("v/second", 5.4)
    failed = VendorFailed("req_1", "v", "first", "upstream_unavailable", "status 503", loud=False, blame="vendor")
    usage = Usage(input_tokens=10, output_tokens=21, cached_tokens=4, cache_write_tokens=3, reasoning_tokens=6)
    with collecting() as collector:
        told(collector.url, failed, ended(target="v/second", attempts=2, usage=usage, traceparent=trace))
    [call], [first], [second] = collector.named("POST"), collector.named("chat first"), collector.named("chat second")
    assert {span.trace_id.hex() for span in (call, first, second)} == {PARENT[3:35]}
    assert (call.parent_span_id.hex(), first.parent_span_id, second.parent_span_id) == (PARENT[36:52], call.span_id, call.span_id)
    assert [span.span_id.hex() for span in (call, first, second)] == [trace.span_id, *(each.span_id for each in trace.tries)]
    assert (call.kind, first.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    times = [round(at / 1e9 - 1_000, 3) for span in (call, first, second) for at in (span.start_time_unix_nano, span.end_time_unix_nano)]
    assert times == [0, 1.2, 0.1, 0.4, 0.4, 1.2]
    assert (call.name, call.status.code, first.status.code, second.status.code) == ("POST /v1/chat/completions", 0, 2, 0)
    assert attributes_of(first)["error.type"] == "upstream_unavailable"
    assert [(event.name, attributes_of(event)) for event in first.events] == [
        ("aisa.vendor_failed", {"aisa.blame": "vendor", "aisa.detail": "status 503"})
    ]
    said = attributes_of(second)
    assert (said["gen_ai.operation.name"], said["gen_ai.provider.name"], said["gen_ai.request.model"]) == ("chat", "openai", "second")
    kinds = ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_write.input_tokens")
    assert [said[f"gen_ai.usage.{kind}"] for kind in kinds] == [10, 21, 4, 3]
    assert (said["server.address"], said["server.port"], "gen_ai.usage.input_tokens" in attributes_of(first)) == ("api.example", 443, False)
    assert collector.resources[0]["service.name"] == "aisa"


def test_what_was_never_asked_is_no_try_and_what_broke_off_says_what_came() -> None:
    """[issue 13] A target whose dialect cannot write a request fails before it is asked: its failure stood at the one that answered."""
    trace = traced({})
    trace.ask("v/second", 5.4)
    refused = VendorFailed("req_1", "w", "first", "unsupported_parameter", "no top_k there", loud=False, blame="caller")
    cut = traced({})
    cut.ask("v/m", 5.1)
    cut.answered = Answered("chatcmpl-9", "m", ("",))
    broke = VendorFailed("req_2", "v", "m", "upstream_unavailable", "it hung up", loud=False, blame="vendor")
    with collecting() as collector:
        told(collector.url, refused, ended(target="v/second", attempts=2, traceparent=trace))
        told(
            collector.url, broke, ended(request_id="req_2", outcome="cut", error_code="upstream_unavailable", target="v/m", traceparent=cut)
        )
    [second], [broken] = collector.named("chat second"), collector.named("chat m")
    assert (second.status.code, list(second.events), attributes_of(second)["gen_ai.usage.input_tokens"]) == (0, [], 10)
    said = attributes_of(broken)
    assert (broken.status.code, [event.name for event in broken.events]) == (2, ["aisa.vendor_failed"])
    assert (said["gen_ai.response.id"], said["gen_ai.response.finish_reasons"], said["gen_ai.usage.output_tokens"]) == (
        "chatcmpl-9",
        ["error"],
        21,
    )


def test_spans_are_where_their_callers_are_and_say_by_which_address_they_came() -> None:
    """[issue 13] A collector that samples goes by the state; a path may be another than the route that it is of."""
    traces = Traces(random.Random(3), lambda: 1_000.0, share=1.0, passes_on=True)
    headers = {"traceparent": PARENT, "tracestate": "ot=th:8,other=2"}
    trace = traces.begin(headers, 5.0, route="/v1beta/models/{call}", path="/v1beta/models/m:generateContent", protocol="gemini")
    trace.ask("v/m", 5.1)
    with collecting() as collector:
        told(collector.url, ended(target="v/m", traceparent=trace))
    assert [span.trace_state for span in collector.spans] == ["ot=th:8,other=2"] * 2
    [call] = collector.named("POST")
    said = attributes_of(call)
    assert (said["http.route"], said["url.path"], said["url.scheme"]) == (
        "/v1beta/models/{call}",
        "/v1beta/models/m:generateContent",
        "http",
    )


VARIABLES = {"OTEL_SERVICE_NAME": "front", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.instance.id=pod-1"}


@pytest.mark.parametrize(("one_of", "instance"), [(False, "pod-1"), (True, "pod-1:7")])
def test_what_opentelemetrys_own_variables_say_of_the_process_counts(
    monkeypatch: pytest.MonkeyPatch, instance: str, *, one_of: bool
) -> None:
    """[issue 13] The page promises the service's name; ours was told all the same. Workers, which each count from zero, stay apart."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    said = Identity("here:7", one_of=one_of).resource.attributes
    assert (said["service.name"], said["deployment.environment.name"], said["service.instance.id"]) == ("front", "test", instance)
    assert said["service.version"]


@pytest.mark.parametrize(
    ("variables", "paths"),
    [
        ({}, {"/v1/traces", "/v1/metrics"}),
        ({"OTEL_METRICS_EXPORTER": "none"}, {"/v1/traces"}),
        ({"OTEL_TRACES_EXPORTER": "None"}, {"/v1/metrics"}),
        ({"OTEL_SDK_DISABLED": "TRUE"}, set()),
    ],
)
def test_what_opentelemetrys_own_variables_turn_off_is_not_sent(variables: dict[str, str], paths: set[str]) -> None:
    """[issue 13] Many take one of the two alone, and refused the other for ever, which the log said each minute."""
    seen: list[tuple[str, float]] = []
    with collecting() as collector:
        told(
            collector.url, ended(traceparent=traced({})), identity=Identity("here:1", environment=variables), way=lambda: counted_way(seen)
        )
    assert {path for path, _ in seen} == paths


def test_who_refuses_metrics_still_gets_the_last_spans() -> None:
    """[issue 13] It was taken for dead then, and what came behind its last refusal was lost at the end; which it refuses is said."""
    spans: list[bytes] = []

    class Handler(Quiet):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            spans.extend([body] if self.path == "/v1/traces" else [])
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

    refused, heard = threading.Event(), list[str]()

    def hear(fact: Fact) -> None:
        assert isinstance(fact, ServerWarning)
        heard.append(fact.message)
        refused.set()

    moments = iter(range(0, 10**9, 40_000_000))  # each look is forty seconds behind the last, so that metrics are sent at each
    with run_by(Handler) as url:
        telemetry = Telemetry(url, SERVERS, clocks=(lambda: 0.0, lambda: next(moments)), report=hear, identity=HERE)
        telemetry.note(ended(traceparent=None))
        assert refused.wait(30)
        telemetry.note(ended(traceparent=traced({})))
        telemetry.close()
    assert len(spans) == 1
    assert "it answered 404 at /v1/metrics;" in heard[0]


@pytest.mark.parametrize(("blame", "status"), [("caller", 0), ("vendor", 2), ("operator", 2), ("server", 2)])
def test_what_a_caller_did_wrong_is_no_error_of_a_servers_span(blame: str, status: int) -> None:
    """As the conventions want it: whoever is woken by errors is not woken by it."""
    with collecting() as collector:
        told(collector.url, ended(outcome="failed", status=400, error_code="invalid_request", blame=blame, traceparent=traced({})))
    [call] = collector.named("POST")
    assert (call.status.code, attributes_of(call)["error.type"]) == (status, "invalid_request")


def test_calls_that_are_not_sampled_send_no_span_and_count_in_the_metrics() -> None:
    """Tokens as they are billed, and the times of streams."""
    silent = traced({"traceparent": PARENT[:-1] + "0"}, "responses")
    with collecting() as collector:
        told(collector.url, ended(traceparent=silent), ended(traceparent=None, billed_tokens=9), ended(target="", outcome="failed"))
    labels = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m-1"}
    [(said, point)] = collector.points["gen_ai.client.inference.operation.output_tokens"]
    assert (collector.spans, said, point.count, point.sum) == ([], labels, 2, 30)
    assert collector.counted("gen_ai.client.inference.usage.input_tokens") == [(labels | UNKNOWN, 20)]
    [(said, point)] = collector.points["gen_ai.server.time_to_first_token"]
    assert (said, point.count, round(point.sum, 6), sum(point.bucket_counts)) == (labels, 2, 0.4, 2)
    [(_, point)] = collector.points["gen_ai.client.inference.duration"]
    assert (point.count, round(point.max, 6), point.start_time_unix_nano, point.time_unix_nano) == (2, 1.2, 1_010 * 10**9, 1_010 * 10**9)


def test_instruments_are_those_of_todays_conventions() -> None:
    """[issue 13] Tokens are counters by what they stand for, and their parts; embeddings have instruments of their own, rankings a time."""
    usage = Usage(input_tokens=90, output_tokens=21, cached_tokens=40, cache_write_tokens=8, reasoning_tokens=6, input_audio_tokens=30)
    facts = [
        ended(usage=usage, billed_tokens=20, stream=False),
        ended(usage=usage, billed_tokens=0, outcome="failed", error_code="upstream_timeout", stream=False),
        *(
            ended(usage=Usage(input_tokens=7), billed_tokens=0, traceparent=traced({}, task), stream=False)
            for task in ("embeddings", "rerank")
        ),
    ]
    with collecting() as collector:
        told(collector.url, *facts)
    at = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "m-1"}
    chat, failed = at | {"gen_ai.operation.name": "chat"}, {"error.type": "upstream_timeout"}
    used = {name.removeprefix("gen_ai.client.inference.usage."): collector.counted(name) for name in collector.monotonic}
    assert used == {
        "input_tokens": [(chat | AUDIO, 30), (chat | UNKNOWN, 60)],
        "output_tokens": [(chat | UNKNOWN, 20)],
        "cache_read.input_tokens": [(chat | UNKNOWN, 40)],
        "cache_write.input_tokens": [(chat | UNKNOWN, 8)],
        "reasoning.output_tokens": [(chat | UNKNOWN, 6)],
    }
    histograms = {name.removeprefix("gen_ai.client."): found for name, found in collector.points.items() if name not in collector.monotonic}
    assert {name: [(said, point.sum) for said, point in found] for name, found in histograms.items() if "tokens" in name} == {
        "inference.operation.input_tokens": [(chat, 90), (chat | failed, 0)],
        "inference.operation.output_tokens": [(chat, 20), (chat | failed, 0)],
        "embeddings.operation.input_tokens": [(at | {"gen_ai.operation.name": "embeddings"}, 7)],
    }
    assert {name: [said for said, _ in found] for name, found in histograms.items() if name.endswith("duration")} == {
        "inference.duration": [chat, chat | failed],
        "embeddings.duration": [at | {"gen_ai.operation.name": "embeddings"}],
        "operation.duration": [at | {"gen_ai.operation.name": "rerank"}],
    }
    assert set(collector.points) <= set(INSTRUMENTS)


@pytest.mark.parametrize(
    ("protocol", "operation"),
    [
        ("openai", "chat"),
        ("anthropic", "chat"),
        ("gemini", "generate_content"),
        ("embeddings", "embeddings"),
        ("completions", "text_completion"),
    ],
)
def test_what_a_call_does_is_named_as_the_conventions_do(protocol: str, operation: str) -> None:
    """By the door that it came through."""
    trace = traced({}, protocol)
    trace.ask("v/m", 5.1)
    with collecting() as collector:
        told(collector.url, ended(target="v/m", traceparent=trace))
    assert collector.named(operation)[0].name == f"{operation} m"


def test_names_that_callers_make_up_do_not_fill_the_memory() -> None:
    """Beyond a bound, their calls count together."""
    readings = Readings()
    for number in range(SERIES_MAX):
        readings.note(ended(target=f"v/m-{number}"), "chat", SERVERS["v"])
    series = list(readings.all())
    others = [values for name, labels, values in series if ("gen_ai.request.model", OTHER) in labels and "duration" in name]
    assert (len(series) < SERIES_MAX + 10, sum(each.count for each in others) > SERIES_MAX / 2) == (True, True)


@contextmanager
def answering(status: int, body: bytes) -> Generator[str]:
    """A collector that answers all the same, whatever it is sent, and its address."""

    class Handler(Quiet):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("location", "http://127.0.0.1:9/")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with run_by(Handler) as url:
        yield url


@contextmanager
def endless(piece: bytes, pause: float, *, framed: bool) -> Generator[tuple[str, list[int]]]:
    """A collector whose answer has no end, a piece after each pause, in seconds; its address, and how many bytes of it could be sent."""
    sent, ended = [0], threading.Event()

    class Handler(Quiet):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header(*(("transfer-encoding", "chunked") if framed else ("connection", "close")))
            self.end_headers()
            try:
                while sent[0] < 64_000_000 and not ended.wait(pause):
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if framed else piece)
                    sent[0] += len(piece)
            except OSError:
                self.close_connection = True
            ended.set()

    with run_by(Handler) as url:
        try:
            yield url, sent
            ended.wait(30)
        finally:
            ended.set()


@pytest.mark.parametrize("framed", [True, False], ids=["in chunks", "to its end"])
@pytest.mark.parametrize(("piece", "pause", "most"), [(b"y" * 65_536, 0.0, 32_000_000), (b"y", 0.01, 1_000)], ids=["fast", "slowly"])
def test_an_answer_without_an_end_is_not_read_to_it(piece: bytes, pause: float, most: int, *, framed: bool) -> None:
    """[fault S7] It was kept whole, 1.3 GB in ten seconds; nor does one that comes byte by byte keep the spans behind it waiting."""
    moments = iter(range(0, 10**9, 400_000))
    with endless(piece, pause, framed=framed) as (url, sent):
        way = Way(lambda: next(moments))
        answer = way.post(url, b"spans", timeout=5)
        assert (answer.status_code, way.said, way.rejected) == (200, "", 0)
    assert sent[0] < most  # what the system's buffers hold is sent in any case


@contextmanager
def dripping(pause: float) -> Generator[str]:
    """A collector that sends its head byte by byte, one after each pause, in seconds; its address."""
    ended = threading.Event()

    class Handler(Quiet):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            for byte in b"HTTP/1.1 200 OK\r\nx-filled: " + b"x" * 5_000:
                if ended.wait(pause):
                    return
                try:
                    self.wfile.write(bytes([byte]))
                except OSError:
                    return

    with run_by(Handler) as url:
        try:
            yield url
        finally:
            ended.set()


@contextmanager
def mute() -> Generator[str]:
    """A collector that takes connections and never answers; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class Counted(Adapter):
    """Notes which path is asked, and how long that may take, in seconds."""

    def __init__(self, seen: list[tuple[str, float]]) -> None:
        super().__init__()
        self._seen = seen

    def send(self, request: requests.PreparedRequest, *options: Any, **more: Any) -> requests.Response:
        """Note a request, and send it."""
        self._seen.append((request.path_url, more["timeout"]))
        return super().send(request, *options, **more)


def counted_way(seen: list[tuple[str, float]]) -> Way:
    """A way whose requests are noted."""
    way = Way()
    way.mount("http://", Counted(seen))
    return way


DEAD = {
    "refuses": lambda: nullcontext("http://127.0.0.1:9"),
    "is mute": mute,
    "drips": lambda: dripping(0.05),
    "is overloaded": lambda: answering(503, b"later"),
}


@pytest.mark.parametrize("dead", DEAD)
def test_a_dead_collector_holds_neither_calls_nor_the_end(dead: str) -> None:
    """[issue 13] By counting: no request may take over a second, nor its repeats together, and nothing follows the first sending in vain.

    The SDK's own processors hold the end for half a minute.
    """
    seen: list[tuple[str, float]] = []
    with DEAD[dead]() as url:
        telemetry = Telemetry(
            url,
            SERVERS,
            clocks=(lambda: 0.0, lambda: 0),
            report=lambda fact: None,
            identity=HERE,
            way=lambda: counted_way(seen),
        )
        telemetry.note(ended(traceparent=traced({})))
        telemetry.close()
        telemetry._thread.join(60)  # beyond what a close waits for, so that all is counted on a busy machine too
        assert not telemetry._thread.is_alive()
    assert {path for path, _ in seen} == {"/v1/traces"}  # its metrics are not even tried
    assert max(seconds for _, seconds in seen) <= SEND_SECONDS_MAX
    assert len(seen) <= 4  # within a second: at once, and after a pause of most of it; each begun anew once


def test_facts_beyond_a_bound_are_dropped_while_a_collector_is_waited_for() -> None:
    """Nobody waits to hand one over."""
    with mute() as url:
        telemetry = Telemetry(url, SERVERS, clocks=(lambda: 0.0, lambda: 0), report=lambda fact: None, identity=HERE)
        for _ in range(WAITING_FACTS_MAX * 2):
            telemetry.note(ended(traceparent=traced({})))
        assert telemetry._dropped > 0
        telemetry.close()


def test_a_wall_clock_that_is_set_back_gives_a_collector_no_more_time() -> None:
    """The exporter asks with what its own deadline leaves, by the wall clock: an hour, if that was set back by one meanwhile."""
    seen: list[tuple[str, float]] = []
    with answering(200, b"") as url:
        counted_way(seen).post(f"{url}/v1/traces", b"spans", timeout=3_601)
    assert seen == [("/v1/traces", SEND_SECONDS_MAX)]


def test_a_head_that_comes_byte_by_byte_holds_nobody_beyond_the_time_out() -> None:
    """[fault S7] Each byte began the time-out anew: a minute for a hundred of them, in which no span was sent and nothing was told."""
    way = Way()
    with dripping(0.05) as url:
        began = monotonic_micros()
        with pytest.raises(requests.Timeout):
            way.post(url, b"spans", timeout=0.5)
        assert (monotonic_micros() - began) / 1e6 < 5
    assert way.said == "it does not answer in time"


SOME = ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="quota")).SerializeToString()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (None, b"", "did not take them: it cannot be reached;"),
        (401, b"no", "did not take them: it answered 401;"),
        (302, b"", "did not take them: it sends elsewhere;"),
        (200, SOME, ": 1 spans or readings were lost,"),
        (200, SOME, "did not take them: quota;"),
    ],
)
def test_the_operator_hears_once_a_minute_what_a_collector_does_not_take_and_why(status: int | None, body: bytes, said: str) -> None:
    """With how much was lost, of a sending that was taken in part too; the library's own complaints are not heard."""
    heard: list[Fact] = []
    again = threading.Event()

    def hear(fact: Fact) -> None:
        heard.append(fact)
        again.set()

    minutes = iter(range(10**6))
    with nullcontext("http://127.0.0.1:9") if status is None else answering(status, body) as url:
        telemetry = Telemetry(url, SERVERS, clocks=(lambda: 0.0, lambda: next(minutes) * 3_000_000), report=hear, identity=HERE)
        telemetry.note(ended(traceparent=traced({})))
        assert again.wait(30)
        telemetry.close()
    assert isinstance(heard[0], ServerWarning)
    assert said in heard[0].message


def test_a_reason_is_told_of_what_it_was_the_reason_of() -> None:
    """[fault P13] A collector that was away once was away whenever facts came too fast later: the last reason was kept for ever."""
    heard: list[str] = []
    twice = threading.Event()

    def hear(fact: Fact) -> None:
        assert isinstance(fact, ServerWarning)
        heard.append(fact.message)
        for _ in range(WAITING_FACTS_MAX + 1 if len(heard) == 1 else 0):
            telemetry.note(VendorFailed("req_1", "a", "m", "overloaded", "", loud=False, blame="vendor"))  # more than fit, and no span yet
        if len(heard) == 2:
            twice.set()

    minutes, clocked = iter(range(10**9)), (lambda: 0.0, lambda: next(minutes) * 3_000_000)
    telemetry = Telemetry("http://127.0.0.1:9", SERVERS, clocks=clocked, report=hear, identity=HERE)
    telemetry.note(ended(traceparent=traced({}), target=""))
    assert twice.wait(30)
    telemetry.close()
    assert ["cannot be reached" in message for message in heard[:2]] == [True, False]
    assert "it is too slow" in heard[1]


def test_a_line_of_the_log_says_where_its_call_stands_in_a_trace() -> None:
    """As `traceparent` writes it; where calls are not traced, it is null."""
    trace = traced({"traceparent": PARENT})
    assert f'"traceparent":"{trace}"'.encode() in json_line(0.0, ended(traceparent=trace))
    assert b'"traceparent":null' in json_line(0.0, ended())


def test_no_try_is_told_to_begin_after_its_call_has_ended() -> None:
    """Whatever the floats of the two clocks: on a machine that is fast, all of a call is within a few of their steps."""
    chance = random.Random(11)
    spans = Spans(SERVERS, HERE)
    for _ in range(2_000):
        unix, now = 1_796_002_780 + chance.random(), chance.uniform(0, 10**6)
        trace = Traces(chance, lambda unix=unix: unix, share=1.0, passes_on=True).begin({}, now, route="/v1/x", protocol="openai")
        moments = sorted(now + chance.uniform(0, 3e-6) for _ in range(3))
        for moment in moments[:2]:
            trace.ask("v/m", moment)
        first, second, call = spans.take(ended(traceparent=trace, total_seconds=moments[2] - now))
        stamps = [call.start_time, first.start_time, first.end_time, second.start_time, second.end_time, call.end_time]
        assert stamps == sorted(stamps, key=lambda stamp: stamp or 0)


CONFIGURATION = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
models:
  fallen: [local/garbage, local/hello]
telemetry: {{endpoint: "{collector}"}}
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_goes_on_with_a_callers_trace_at_the_vendor_and_tells_its_collector(tmp_path: Path, workers: int) -> None:
    """By a real call that falls back; headers for the collector come from OpenTelemetry's own variable."""
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": "x-team=aisa"}
    with collecting() as collector, ScriptedVendor() as vendor:
        configuration = CONFIGURATION.format(vendor=vendor.url, collector=collector.url)
        with serving(tmp_path, configuration, variables=variables, workers=workers) as server:
            asked = {"model": "fallen", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
            headers = {"authorization": f"Bearer {server.key}", "traceparent": PARENT, "tracestate": "a=1"}
            answer = httpx2.post(f"{server.api}/chat/completions", json=asked, headers=headers, trust_env=False)
            assert answer.status_code == 200
    assert PARENT[3:35] in server.log
    [call], tries = collector.named("POST"), collector.named("chat")
    assert [span.name for span in tries] == ["chat garbage", "chat hello"]
    heard = [(asked.headers["traceparent"], asked.headers["tracestate"]) for asked in vendor.requests]
    assert heard == [(f"00-{PARENT[3:35]}-{span.span_id.hex()}-01", "a=1") for span in tries]
    said = attributes_of(call)
    assert (said["aisa.request_id"], said["aisa.attempts"], said["aisa.key.label"]) == (answer.headers["x-request-id"], 2, "t")
    assert set(collector.authorizations) == {"aisa"}
    # the loop's clock has milliseconds: all of a call on a fast machine may be within one
    assert call.start_time_unix_nano <= tries[0].start_time_unix_nano <= tries[1].start_time_unix_nano <= call.end_time_unix_nano
