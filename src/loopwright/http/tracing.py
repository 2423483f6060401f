"""Traces by OpenTelemetry: a span for each request, made by FastAPI, with one for each stage in it.

Spans of stages are made here, in the server, of what the runner reports: so traces have one sender,
which outlives the runner. Each names its request's span by the fields that lines in the log have.
The SDK is imported only where traces are asked for. Its variables (``OTEL_SERVICE_NAME``,
``OTEL_TRACES_SAMPLER``, ``OTEL_EXPORTER_OTLP_HEADERS``, …) are its own to read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from urllib.parse import urlsplit

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from starlette.types import Scope

from loopwright import __version__
from loopwright.errors import InvalidInput, shown
from loopwright.system.measurements import Measurement, StageEnded

NO_TRACES: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
"""FastAPI's configuration where no traces are asked for."""

TRACE_ID, SPAN_ID = "trace_id", "span_id"
"""Fields of lines in the log."""

CLOSE_SECONDS = 2.0
"""How long the server's end waits for traces to be sent."""


class Tracing:
    """Sends a trace of each request to a collector.

    Args:
        endpoint: The collector's address; traces go to its ``/v1/traces``, by OTLP over HTTP.
        untraced: Paths that are left out, whatever prefix they have.

    Raises:
        InvalidInput: The address is not one, or the extra ``otel`` is not installed.
    """

    def __init__(self, endpoint: str, untraced: Iterable[str] = ()) -> None:
        if urlsplit(endpoint).scheme not in {"http", "https"} or not urlsplit(endpoint).hostname:
            raise InvalidInput(
                "otel_endpoint must be an address such as http://localhost:4318, "
                f"got {shown(endpoint)}",
                field="otel_endpoint",
            )
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise InvalidInput(
                "otel_endpoint needs OpenTelemetry, which is not installed; "
                "pip install 'loopwright[otel]'",
                field="otel_endpoint",
            ) from None
        resource = Resource.create({SERVICE_VERSION: __version__})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):  # none was set
            resource = resource.merge(Resource({SERVICE_NAME: "loopwright"}))
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("loopwright", __version__)
        self._untraced = tuple(untraced)

    @property
    def config(self) -> TelemetryConfig:
        """FastAPI's configuration: spans of requests, and nothing else."""
        return {
            **NO_TRACES,
            "tracing": True,
            "tracer_provider": self._provider,
            "operation_spans": False,
            "exclude": self._is_untraced,
        }

    def take(self, measurement: Measurement) -> None:
        """Make a span of a stage; a listener of ``system/measurements``."""
        if not isinstance(measurement, StageEnded) or SPAN_ID not in measurement.log_fields:
            return
        request = trace.SpanContext(
            trace_id=int(measurement.log_fields[TRACE_ID], 16),
            span_id=int(measurement.log_fields[SPAN_ID], 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
        )
        span = self._tracer.start_span(
            measurement.stage,
            context=trace.set_span_in_context(trace.NonRecordingSpan(request)),
            start_time=_nanoseconds(measurement.began),
            attributes={"loopwright.worked_seconds": measurement.seconds},
        )
        # the clock may have been set back meanwhile
        span.end(_nanoseconds(max(measurement.began, measurement.ended)))

    def close(self) -> None:
        """Send what is left, for a short while, and end."""
        # in a thread, since a collector that does not answer would hold it up for half a minute
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)

    def _is_untraced(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return path.endswith(self._untraced)


def trace_fields(request_id: str) -> dict[str, str]:
    """Return the ids of the request's span, for its lines in the log, and name it in the span.

    Args:
        request_id: The request's id.

    Returns:
        Empty where it is not traced.
    """
    span = trace.get_current_span()
    context = span.get_span_context()
    if not (context.is_valid and context.trace_flags.sampled):
        return {}
    span.set_attribute("loopwright.request_id", request_id)
    return {
        TRACE_ID: trace.format_trace_id(context.trace_id),
        SPAN_ID: trace.format_span_id(context.span_id),
    }


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
