"""Throughput: how many frames a second this machine takes through the whole pipeline, and where time goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.pipeline import Pipeline
from plateloop.errors import UserError


class Throughput(BaseModel):
    """What a run took, start-up and loading of the networks left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: int
    frames: int
    dropped: int = Field(description="frames of live sources that were left out to keep up")
    seconds: float = Field(description="wall clock, from the first source opened to the last event written")
    frames_per_second: float = Field(description="of all sources together")
    cpu_ms: float = Field(description="processor time of a frame, all threads together, decoding included")
    cores_busy: float = Field(description="processor time / wall clock")
    peak_mb: float = Field(description="peak resident memory of the process, networks included")
    stage_ms: dict[str, float] = Field(description="wall clock of a frame in each stage of the engine")
    vehicles: int = Field(description="events begun")
    plates: int = Field(description="events that ended with a text")


def throughput(
    pipeline: Pipeline,
    limit_s: float | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Throughput:
    """Run ``pipeline`` until its sources end, or for ``limit_s`` seconds, and measure it.

    ``advance`` is told of the frames done. Raises UserError where a source cannot be read or gives no frame.
    """
    begun, busy = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(1, thread_name_prefix="engine") as engine:
        run = engine.submit(pipeline.run)
        told = 0
        while not run.done():
            time.sleep(0.05)
            frames = sum(report.frames for report in pipeline.reports)
            advance(frames - told)
            told = frames
            if limit_s is not None and time.perf_counter() - begun > limit_s:
                pipeline.stop()
    seconds, processor = time.perf_counter() - begun, time.process_time() - busy
    for failure in run.result():
        raise failure
    for report in pipeline.reports:
        if report.error:
            raise UserError(report.error)
    frames = sum(report.frames for report in pipeline.reports)
    if not frames:
        raise UserError(f"no frame came from {', '.join(report.source for report in pipeline.reports)}")
    return Throughput(
        sources=len(pipeline.reports),
        frames=frames,
        dropped=sum(report.dropped for report in pipeline.reports),
        seconds=round(seconds, 3),
        frames_per_second=round(frames / seconds, 2),
        cpu_ms=round(1000 * processor / frames, 2),
        cores_busy=round(processor / seconds, 2),
        peak_mb=round(peak_mb(), 1),
        stage_ms={name: round(1000 * spent / frames, 3) for name, spent in pipeline.seconds.items()},
        vehicles=sum(report.vehicles for report in pipeline.reports),
        plates=sum(report.plates for report in pipeline.reports),
    )


def peak_mb() -> float:
    """The peak resident memory of this process in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike getrusage, not what the parent had when it forked.
        line = next(row for row in status.read_text(encoding="utf-8").splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        raise UserError("peak memory is measured on Linux and macOS only")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
