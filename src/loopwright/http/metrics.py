"""The metrics that ``GET /metrics`` shows, for Prometheus.

Knows: names, labels, buckets. Does not know: where measurements come from
(``system/measurements``).
Labels have few values each: routes are templates, and no label names a client or a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from loopwright import __version__
from loopwright.generation.loop_service import ServiceStatus
from loopwright.http.draining import Draining
from loopwright.system.measurements import (
    Cache,
    CacheAsked,
    Evaluated,
    Measurement,
    RunnerEnded,
    RunnerMemory,
    Stage,
    StageEnded,
)
from loopwright.system.memory import resident_bytes

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""Others have the label ``other``, since clients may send any word."""

REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120)
WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 25, 30, 60, 120)
STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ROWS_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of Prometheus's text format."""

# when a series began is not worth a series of its own beside it; there is no other way to say so
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """All metrics of a server, in a registry of their own.

    Args:
        status: Returns the state of the side that generates; called for each ``render``.
        draining: Whether the server is stopping.
    """

    def __init__(self, status: Callable[[], ServiceStatus], draining: Draining) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "loopwright_http_requests",
            "Requests that were answered. `other` is a route or method that the API does not have.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "loopwright_http_request_duration_seconds",
            "Seconds from a request to the end of its reply, by route.",
            ["method", "route"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._wait_seconds = Histogram(
            "loopwright_queue_wait_seconds",
            "Seconds that runs waited for their first step.",
            buckets=WAIT_BUCKETS,
            registry=self.registry,
        )
        self._stage_seconds = Histogram(
            "loopwright_stage_duration_seconds",
            "Seconds that each stage of a run took, the forwards that it shared included.",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self._forward_rows = Histogram(
            "loopwright_forward_rows",
            "Rows that were evaluated in one forward of the denoiser.",
            buckets=ROWS_BUCKETS,
            registry=self.registry,
        )
        self._cache_lookups = Counter(
            "loopwright_cache_lookups",
            "Lookups of loaded models, stretched riffs and encoded texts, by result.",
            ["cache", "result"],
            registry=self.registry,
        )
        self._runner_restarts = Counter(
            "loopwright_runner_restarts",
            "How often the process that generates ended and was started again.",
            registry=self.registry,
        )
        # series that exist from the start: a first event is seen as a rise only from zero
        for stage in get_args(Stage):
            if stage != "queued":
                self._stage_seconds.labels(stage)
        for cache in get_args(Cache):
            for result in ("hit", "miss"):
                self._cache_lookups.labels(cache, result)
        self._memory = _Memory()
        self.registry.register(self._memory)
        self.registry.register(_Status(status, draining))
        ProcessCollector(registry=self.registry)

    def render(self) -> bytes:
        """Return the values of all metrics in Prometheus's text format. Any thread may ask."""
        return generate_latest(self.registry)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            method: The method, as it was sent.
            route: The template of its route; "": none of the API's.
            status: The status of the reply.
            seconds: From the request to the end of the reply.
        """
        known_method = method if method in METHODS else "other"
        known_route = route or "other"
        self._requests.labels(known_method, known_route, str(status)).inc()
        self._request_seconds.labels(known_method, known_route).observe(seconds)

    def take(self, measurement: Measurement) -> None:
        """Take a measurement in; a listener of ``system/measurements``."""
        match measurement:
            case StageEnded(stage="queued"):
                self._wait_seconds.observe(measurement.seconds)
            case StageEnded():
                self._stage_seconds.labels(measurement.stage).observe(measurement.seconds)
            case Evaluated():
                self._forward_rows.observe(measurement.rows)
            case CacheAsked():
                result = "hit" if measurement.is_hit else "miss"
                self._cache_lookups.labels(measurement.cache, result).inc()
            case RunnerMemory():
                self._memory.of_runner = measurement
            case RunnerEnded():
                self._memory.of_runner = RunnerMemory(None)
                self._runner_restarts.inc()


class _Memory(Collector):
    """The memory of the server, measured when it is asked for, and that of the runner."""

    def __init__(self) -> None:
        self.of_runner = RunnerMemory(None)

    def collect(self) -> Iterator[Metric]:
        resident = GaugeMetricFamily(
            "loopwright_resident_memory_bytes",
            "Memory that a process has: the server, or the runner, which generates. Linux only.",
            labels=["process"],
        )
        of_runner = self.of_runner
        of_processes = {"server": resident_bytes(), "runner": of_runner.resident}
        for process, size in of_processes.items():
            if size is not None:
                resident.add_metric([process], size)
        yield resident
        for name, size, meaning in (
            ("allocated", of_runner.gpu_allocated, "that the runner's tensors have"),
            ("reserved", of_runner.gpu_reserved, "that the runner holds, for tensors and more"),
            ("peak", of_runner.gpu_peak, "that the runner's tensors have had at most"),
        ):
            family = GaugeMetricFamily(
                f"loopwright_gpu_memory_{name}_bytes", f"Memory of the GPU {meaning}. CUDA only."
            )
            if size is not None:
                family.add_metric([], size)
            yield family


class _Status(Collector):
    """The queue and the models, as they are when they are asked for."""

    def __init__(self, status: Callable[[], ServiceStatus], draining: Draining) -> None:
        self._status = status
        self._draining = draining

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        yield GaugeMetricFamily(
            "loopwright_queue_depth",
            "Requests that wait or are being made.",
            value=status.queue_depth,
        )
        yield GaugeMetricFamily(
            "loopwright_ready",
            "1 while /health/ready answers 200, else 0.",
            value=status.is_ready and not self._draining.has_begun,
        )
        models = GaugeMetricFamily(
            "loopwright_model_memory_bytes",
            "Memory that the weights of a loaded model take, by model and what computes it.",
            labels=["model", "device", "engine", "precision"],
        )
        for info in status.loaded:
            labels = [str(info.key), info.device, info.engine, info.precision]
            models.add_metric(labels, info.memory_bytes)
        yield models
        version = GaugeMetricFamily(
            "loopwright_build_info", "Always 1; the version is its label.", labels=["version"]
        )
        version.add_metric([__version__], 1)
        yield version


def metrics_table(metrics: Metrics) -> str:
    """Return Loopwright's own metrics as a Markdown table, a row each: name, type, labels, meaning.

    Args:
        metrics: The metrics; labels are known of those that have a series.
    """
    lines = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for family in metrics.registry.collect():
        if not family.name.startswith("loopwright_"):
            continue
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels)
        shown = ", ".join(f"`{label}`" for label in labels if label != "le")
        name = f"{family.name}_total" if family.type == "counter" else family.name
        lines.append(f"| `{name}` | {family.type} | {shown} | {family.documentation} |")
    return "\n".join(lines)
