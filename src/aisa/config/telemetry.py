"""The settings on OpenTelemetry. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from msgspec import Meta

from aisa.config.section import Section


class TelemetrySettings(Section, frozen=True, kw_only=True):
    """Where traces and metrics are sent, and of how many calls."""

    endpoint: str | None = None
    sample: Annotated[float, Meta(ge=0, le=1)] = 1.0
    to_vendors: bool = True


TELEMETRY_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "telemetry.endpoint": "The OpenTelemetry collector that gets traces and metrics, by OTLP over HTTP, such as "
        "`http://127.0.0.1:4318`. Needs the extra `otel`. Headers, certificates and the service's name come from OpenTelemetry's own "
        "variables (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME` and so on). If absent, nothing is sent.",
        "telemetry.sample": "The share of calls that are traced, of those whose `traceparent` does not say whether they are. Metrics "
        "count all.",
        "telemetry.to_vendors": "Whether vendors get `traceparent` and `tracestate` with each request, so that a model server of your own "
        "can go on with the trace.",
    }
)
