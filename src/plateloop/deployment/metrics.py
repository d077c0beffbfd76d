"""Prometheus metrics of a run: read from what it counts anyway, when someone asks for them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from plateloop.deployment.latency import Latency
from plateloop.deployment.operations import Operations, StreamState

# Of the histogram's twenty bounds a decade every fourth: enough for quantiles, bearable for fifty streams.
EVERY = 4
# Two sources may have one name; their numbers tell them apart.
STREAM = ["stream", "source"]

COUNTERS = {
    "frames": "Frames that went through the engine",
    "frames_dropped": "Decoded frames that were dropped since the engine was behind",
    "vehicles": "Events that began",
    "plates_read": "Events that ended with a reading",
    "source_reconnects": "Times that a live source had to be opened again",
}


class RunCollector(Collector):
    """Everything that ``Operations`` sees, as metric families."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def collect(self) -> Iterator[Metric]:
        """The metrics of now; what the event store would say is missing while it fails."""
        yield InfoMetricFamily("plateloop", "The running version", {"version": version("plateloop")})
        yield from _of_streams(self._operations.streams())
        yield from self._of_engine()
        try:
            yield from self._of_delivery()
        except SQLAlchemyError:
            return

    def _of_engine(self) -> Iterator[Metric]:
        pipeline = self._operations.pipeline
        stages = CounterMetricFamily(
            "plateloop_stage_seconds", "Time of the engine's thread by stage", labels=["stage"]
        )
        for stage, seconds in dict(pipeline.seconds).items():
            stages.add_metric([stage], seconds)
        yield stages
        yield GaugeMetricFamily(
            "plateloop_engine_busy_seconds", "Age of the batch that the engine works on", pipeline.busy_s()
        )
        waiting = GaugeMetricFamily(
            "plateloop_sink_waiting", "Results that wait for a sink", labels=["number", "sink"]
        )
        failed = GaugeMetricFamily(
            "plateloop_sink_failed", "1 where a sink has failed for good", labels=["number", "sink"]
        )
        for number, worker in enumerate(self._operations.workers()):
            waiting.add_metric([str(number), worker.name], worker.waiting)
            failed.add_metric([str(number), worker.name], float(worker.error is not None))
        yield from (waiting, failed)
        if (rtsp := self._operations.rtsp) is not None:
            yield CounterMetricFamily(
                "plateloop_rtsp_dropped", "Pictures that could be given to nobody by RTSP", rtsp.dropped
            )

    def _of_delivery(self) -> Iterator[Metric]:
        owed = GaugeMetricFamily(
            "plateloop_delivery_owed", "Stored events that a target has not acknowledged", labels=["target"]
        )
        age = GaugeMetricFamily(
            "plateloop_delivery_lag_seconds", "Age of the oldest of these", labels=["target"]
        )
        for debt in self._operations.debts():
            owed.add_metric([debt.target], debt.count)
            age.add_metric([debt.target], max(0.0, time.time() - debt.oldest) if debt.oldest else 0.0)
        yield from (owed, age)


def exposition(operations: Operations) -> bytes:
    """All metrics of a run and its process in Prometheus' text format."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(RunCollector(operations))
    return generate_latest(registry)


def _of_streams(streams: list[StreamState]) -> Iterator[Metric]:
    counters = {
        name: CounterMetricFamily(f"plateloop_{name}", text, labels=STREAM) for name, text in COUNTERS.items()
    }
    readings = CounterMetricFamily(
        "plateloop_readings", "Looks at plates: characters seen (accepted) or none (rejected)",
        labels=[*STREAM, "outcome"],
    )  # fmt: skip
    up = GaugeMetricFamily("plateloop_source_up", "1 while a source delivers frames", labels=STREAM)
    waiting = GaugeMetricFamily(
        "plateloop_frames_waiting", "Decoded frames that wait for the engine", labels=STREAM
    )
    latency = HistogramMetricFamily(
        "plateloop_event_latency_seconds", "From the decoding of a frame to its events' commit", labels=STREAM
    )
    for stream in streams:
        report = stream.report
        source = [str(stream.number), report.source]
        values = (report.frames, report.dropped, report.vehicles, report.plates, report.reconnects)
        for counter, value in zip(counters.values(), values, strict=True):
            counter.add_metric(source, value)
        readings.add_metric([*source, "accepted"], report.readings)
        readings.add_metric([*source, "rejected"], report.blanks)
        up.add_metric(source, float(stream.state == "running"))
        waiting.add_metric(source, stream.waiting)
        latency.add_metric(source, _buckets(stream.latency), stream.latency.total_s)
    yield from (*counters.values(), readings, up, waiting, latency)


def _buckets(latency: Latency) -> Sequence[tuple[str, float]]:
    *bounds, (_, count) = latency.cumulative()
    return [(f"{bound:.3g}", below) for bound, below in bounds[::EVERY]] + [("+Inf", count)]
