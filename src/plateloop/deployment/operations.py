"""How a run is doing: each stream's state, what is owed, and whether it is alive and ready."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal, Protocol

from sqlalchemy.exc import SQLAlchemyError

from plateloop.deployment import outbox
from plateloop.deployment.latency import Latency
from plateloop.deployment.pipeline import Pipeline, StreamReport
from plateloop.deployment.sinks.rtsp import Rtsp
from plateloop.deployment.sinks.worker import Worker
from plateloop.deployment.store import Store
from plateloop.deployment.watch import Watch

State = Literal["starting", "running", "stalled", "ended", "failed"]

# A batch that takes longer than this hangs; a stream without a frame for this long is stalled.
STUCK_S = 30.0
STALLED_S = 10.0
# The store is asked to write at most this often.
PROBE_S = 5.0


@dataclass(frozen=True, slots=True)
class StreamState:
    """One stream as it is now.

    ``pictured``: it has shown a frame; ``rate`` is in frames a second; ``waiting`` frames are decoded.
    """

    number: int
    state: State
    pictured: bool
    rate: float
    waiting: int
    report: StreamReport
    latency: Latency


@dataclass(frozen=True, slots=True)
class Debt:
    """Events that a target has not acknowledged, and the Unix time of the oldest (None: there are none)."""

    target: str
    count: int
    oldest: float | None


class Engine(Protocol):
    """What a run goes on in."""

    def busy_s(self) -> float:
        """Seconds that it has been at its present piece of work."""


def is_alive(pipeline: Engine) -> bool:
    """Whether the engine works or waits for frames: it does not hang."""
    return pipeline.busy_s() < STUCK_S


class Operations:
    """Looks into a running pipeline and its store; changes nothing but the store's mark of a test write."""

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store,
        watch: Watch,
        latencies: Mapping[int, Latency],
        targets: Sequence[str] = (),
        followers: Sequence[Worker] = (),
        control: bool = False,
        rtsp: Rtsp | None = None,
    ) -> None:
        """``latencies`` are those of streams by number; ``targets`` are owed every event, and ``followers``
        hear of events once these are stored; ``control`` allows to change the sources; ``rtsp`` shows
        them."""
        self.pipeline = pipeline
        self.store = store
        self.watch = watch
        self.control = control
        self.rtsp = rtsp
        self._latencies = latencies
        self._targets = tuple(targets)
        self._followers = tuple(followers)
        self.started = time.time()
        self._probing = Lock()
        self._probed: tuple[float, str | None] = (0.0, None)

    def streams(self) -> list[StreamState]:
        """All streams, in order."""
        return [self._stream(number, report) for number, report in enumerate(self.pipeline.reports)]

    def debts(self) -> list[Debt]:
        """What each target is owed."""
        owed = outbox.lag(self.store)
        return [Debt(target, *owed.get(target, (0, None))) for target in sorted({*self._targets, *owed})]

    def workers(self) -> list[Worker]:
        """All sinks: the pipeline's, and those that are told what was stored."""
        return [*self.pipeline.workers, *self._followers]

    def problems(self) -> list[str]:
        """Why the run is not ready to read plates; nothing where it is."""
        found = []
        if not is_alive(self.pipeline):
            found.append(f"the engine hangs since {self.pipeline.busy_s():.0f} s")
        if not any(stream.state == "running" for stream in self.streams()):
            found.append("no source delivers frames")
        failure = self._store_failure()
        if failure is not None:
            found.append(f"the event store cannot be written: {failure}")
        return found

    def _stream(self, number: int, report: StreamReport) -> StreamState:
        age = self.watch.age_s(number)
        state: State = "running"
        if report.error is not None:
            state = "failed"
        elif report.ended:
            state = "ended"
        elif age is None:
            state = "starting"
        elif age > STALLED_S:
            state = "stalled"
        rate = self.watch.rate(number)
        waiting = self.pipeline.waiting(number)
        latency = self._latencies.get(number) or Latency()
        return StreamState(number, state, age is not None, rate, waiting, report, latency)

    def _store_failure(self) -> str | None:
        with self._probing:
            probed_at, failure = self._probed
            if time.monotonic() - probed_at > PROBE_S or not probed_at:
                try:
                    self.store.probe()
                    failure = None
                except SQLAlchemyError as error:
                    failure = str(error).splitlines()[0]
                self._probed = time.monotonic(), failure
            return failure
