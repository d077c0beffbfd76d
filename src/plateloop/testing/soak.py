"""Soak: a deployment for a long time under even load; its memory, threads and files must not grow."""

from __future__ import annotations

import os
import re
import subprocess
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.store import Store
from plateloop.errors import UserError
from plateloop.testing.charts import figure, statistics
from plateloop.testing.faults.subject import Subject, Told

END_S = 20.0
"""That a run has to end by itself once its page no longer answers."""

BLOCKS = 30
"""Parts of the run, each with its median, through which the line of memory is laid."""


class Sample(BaseModel):
    """The process at one second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    second: float
    rss_mb: float = Field(description="resident memory")
    threads: int
    files: int = Field(description="open file descriptors")
    frames: int = Field(description="that went through the engine so far, all streams together")
    dropped: int = Field(description="decoded frames dropped so far")
    waiting: int = Field(description="decoded frames that wait for the engine")
    cpu_s: float = Field(description="processor time so far")


class Soak(BaseModel):
    """What a soak found; memory is judged by what came after the warm-up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    streams: int
    seconds: float
    warm_up_s: float
    load: float = Field(description="of the machine at the start (runnable processes over the last minute)")
    slope_mb_min: float = Field(description="growth of memory, by Theil and Sen over block medians")
    low: float = Field(description="95 % interval of the slope")
    high: float
    limit_mb_min: float
    frames_per_second: float
    dropped: int
    events: int = Field(description="lines that it told")
    latency_s: tuple[float, float, float] | None = Field(
        description="from the decoded frame to the line told: median, 95 %, 99 %"
    )
    exit_code: int
    warnings: tuple[str, ...]
    samples: tuple[Sample, ...]

    @property
    def passed(self) -> bool:
        """Whether memory grows no faster than the limit, and the process ended well."""
        return self.slope_mb_min <= self.limit_mb_min and self.exit_code == 0


def soak(
    page: Path,
    folder: Path,
    seconds: float,
    warm_up_s: float,
    limit_mb_min: float = 1.0,
    advance: Callable[[int], None] = lambda count: None,
) -> Soak:
    """Run ``page`` for ``seconds`` as ``plateloop run`` does, and look at the process each second.

    Its output goes to ``folder``. Raises UserError where the run ends before its time.
    """
    statistics()
    load = os.getloadavg()[0]
    if not Path("/proc/self/status").exists():
        raise UserError("the soak looks at the process through /proc, which only Linux has")
    served = ["--http", "127.0.0.1:0", "--log-level", "info"]
    subject = Subject(["--config", str(page), "--out", str(folder), *served])
    try:
        address = _address(subject)
        samples: list[Sample] = []
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < seconds:
            try:
                samples.append(_sample(subject.process.pid, address, now))
            except OSError:  # neither its page answers nor the system knows it
                # A run that comes to its end closes its page first.
                with suppress(subprocess.TimeoutExpired):
                    subject.process.wait(END_S)
                said = "; ".join(subject.warnings[-3:])
                if subject.stop() == 0:
                    said = "its sources have ended; give live ones"
                raise UserError(f"the run ended after {now:.0f} s: {said}") from None
            advance(1)
            time.sleep(max(0.0, len(samples) - (time.monotonic() - begun)))
    finally:
        code = subject.stop()
    after = [s for s in samples if s.second >= warm_up_s]
    slope, low, high = growth([s.second for s in after], [s.rss_mb for s in after])
    first, last = after[0], after[-1]
    return Soak(
        streams=len({told.event.source for told in subject.told}),
        seconds=round(samples[-1].second, 1),
        warm_up_s=warm_up_s,
        load=round(load, 2),
        slope_mb_min=round(slope, 3),
        low=round(low, 3),
        high=round(high, 3),
        limit_mb_min=limit_mb_min,
        frames_per_second=round((last.frames - first.frames) / max(last.second - first.second, 1e-9), 2),
        dropped=last.dropped,
        events=len(subject.told),
        latency_s=latency(subject.told, folder / "plateloop.db"),
        exit_code=code,
        warnings=tuple(subject.warnings[:100]),
        samples=tuple(samples),
    )


def growth(seconds: Sequence[float], mb: Sequence[float]) -> tuple[float, float, float]:
    """Slope of memory in MB a minute, with its 95 % interval.

    The median slope of all pairs of block medians (Sen, J. Am. Stat. Assoc. 63, 1968): neither a burst nor
    the likeness of neighbouring samples moves it. Raises UserError of fewer than 10 samples.
    """
    if len(seconds) < 10:
        raise UserError(f"{len(seconds)} samples after the warm-up are too few for a slope; run longer")
    parts = min(BLOCKS, len(seconds) // 3)
    x = [float(np.median(part)) / 60 for part in np.array_split(np.asarray(seconds), parts)]
    y = [float(np.median(part)) for part in np.array_split(np.asarray(mb), parts)]
    slope, _, low, high = statistics().theilslopes(y, x, 0.95)
    return float(slope), float(low), float(high)


def latency(told: Sequence[Told], store: Path) -> tuple[float, float, float] | None:
    """Median, 95 % and 99 % of the seconds from a frame's decoding to the line that it led to."""
    arrived: dict[str, list[float]] = defaultdict(list)
    with closing(Store.open(store, create=False)) as opened:
        for item in opened.select():
            arrived[item.event.id].append(item.time)
    seen: dict[str, int] = defaultdict(int)
    waits = []
    for line in told:
        number = seen[line.event.id]
        seen[line.event.id] += 1
        waits.append(line.time - arrived[line.event.id][number])
    if not waits:
        return None
    p50, p95, p99 = np.quantile(waits, [0.5, 0.95, 0.99]).round(3).tolist()
    return p50, p95, p99


def plot(result: Soak, path: Path) -> None:
    """Memory, frames/s, threads and files over time, as a PNG."""
    minutes = [sample.second / 60 for sample in result.samples]
    drawn = figure(9, 7)
    memory, rate, counts = drawn.subplots(3, 1, sharex=True)
    memory.plot(minutes, [s.rss_mb for s in result.samples], lw=0.8, color="#1f6feb")
    memory.axvspan(0, result.warm_up_s / 60, color="#888", alpha=0.15, label="warm-up")
    memory.set_ylabel("resident MB")
    memory.set_title(
        f"{result.streams} streams, {result.seconds / 60:.1f} min: {result.slope_mb_min:+.3f} MB/min "
        f"(95 %: {result.low:+.3f} to {result.high:+.3f}), limit {result.limit_mb_min:g}",
        fontsize=11,
    )
    memory.legend(loc="lower right", frameon=False)
    frames = np.array([s.frames for s in result.samples])
    seconds = np.array([s.second for s in result.samples])
    step = max(1, min(10, len(frames) // 10))
    per_second = (frames[step:] - frames[:-step]) / np.maximum(seconds[step:] - seconds[:-step], 1e-9)
    rate.plot(minutes[step:], per_second, lw=0.8, color="#2da44e")
    rate.set_ylabel("frames/s")
    rate.set_ylim(bottom=0)
    counts.plot(minutes, [s.threads for s in result.samples], lw=1, label="threads", color="#8250df")
    counts.plot(minutes, [s.files for s in result.samples], lw=1, label="open files", color="#bc4c00")
    counts.plot(minutes, [s.waiting for s in result.samples], lw=0.6, label="frames waiting", color="#999")
    counts.set_xlabel("minutes")
    # Room for the legend above the lines.
    counts.set_ylim(0, 1.3 * max(max(s.threads, s.files, s.waiting) for s in result.samples))
    counts.legend(loc="upper right", ncols=3, frameon=False)
    for axes in (memory, rate, counts):
        axes.spines[["top", "right"]].set_visible(False)
    drawn.savefig(path, dpi=110)


def _address(subject: Subject, patience_s: float = 60.0) -> str:
    # The port is the system's choice; the run says at level "info" which.
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and subject.process.poll() is None:
        for line in list(subject.warnings):
            if found := re.search(r"health at (http://[\d.:]+)", line):
                return f"{found[1]}/metrics"
        time.sleep(0.1)
    raise UserError(f"the run did not start: {'; '.join(subject.warnings[-3:]) or 'it said nothing'}")


def _sample(pid: int, address: str, second: float) -> Sample:
    with urllib.request.urlopen(address, timeout=30) as answer:
        text = answer.read().decode()
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return Sample(
        second=round(second, 2),
        rss_mb=round(int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024, 2),
        threads=int(re.findall(r"Threads:\s+(\d+)", status)[0]),
        files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        frames=_total(text, "plateloop_frames_total"),
        dropped=_total(text, "plateloop_frames_dropped_total"),
        waiting=_total(text, "plateloop_frames_waiting"),
        cpu_s=float(re.findall(r"^process_cpu_seconds_total (\S+)", text, re.M)[0]),
    )


def _total(text: str, name: str) -> int:
    return round(sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))))
