"""Streams through the cascade: decode threads → batches → networks → tracks and events → sinks."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from plateloop.deployment import logs
from plateloop.deployment.batching import Intake
from plateloop.deployment.capture import Shot, frames
from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.passages import EventId, random_id
from plateloop.deployment.sinks.pictures import addressed
from plateloop.deployment.sinks.worker import Result, Sink, Worker
from plateloop.deployment.sources import SourceConfig, check, is_live
from plateloop.deployment.stream import Stream, StreamConfig
from plateloop.errors import UserError
from plateloop.frame import Frame
from plateloop.passwords import redact
from plateloop.types import Color, Detections, Plates, Reading

log = logging.getLogger(__name__)

# The stream that stays open, and brings nothing, where a run is to go on without sources.
NOBODY = -1


class Networks(Protocol):
    """The stages of the cascade, each on many frames at once (``runtime.cascade.Cascade``)."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the vehicles' labels."""

    def detect_vehicles(self, frames: Sequence[Frame]) -> list[Detections]:
        """The vehicles of each frame."""

    def find_plates(self, frames: Sequence[Frame], vehicles: Sequence[Detections]) -> list[Plates]:
        """The plates in the given boxes of each frame."""

    def read_plates(self, frames: Sequence[Frame], plates: Sequence[Detections]) -> list[tuple[Reading, ...]]:
        """A reading for every plate of each frame."""

    def name_colors(self, frames: Sequence[Frame], vehicles: Sequence[Detections]) -> list[tuple[Color, ...]]:
        """A colour for every box of each frame."""


@dataclass(slots=True)
class StreamReport:
    """What became of one source so far: counts, wall-clock seconds, and why it ended if it failed.

    ``readings`` counts looks at plates that saw characters, ``blanks`` those that saw none, ``reconnects``
    the times that a live source had to be opened again.
    """

    source: str
    frames: int = 0
    dropped: int = 0
    vehicles: int = 0
    plates: int = 0
    readings: int = 0
    blanks: int = 0
    reconnects: int = 0
    seconds: float = 0.0
    error: str | None = None
    ended: bool = False

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds if self.seconds else 0.0


class Pipeline:
    """Runs the sources of a page until they end or ``stop`` is called; may be run once.

    ``add`` and ``remove`` change the sources, from any thread, before it runs and while it does. ``sources``
    and ``reports`` (one a source, in order, removed ones too) grow while it runs; ``seconds`` says where the
    engine's time went; ``workers`` feed the sinks while it runs.
    """

    def __init__(
        self,
        config: PipelineConfig,
        networks: Networks,
        alphabet: str,
        sinks: Sequence[Sink] = (),
        event_ids: Callable[[SourceConfig], EventId] = lambda _: random_id,
    ) -> None:
        """``alphabet`` names the columns of the readings' distributions; ``event_ids`` the events of each
        source."""
        self.config = config
        self.sources: list[SourceConfig] = []
        self.reports: list[StreamReport] = []
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.workers: tuple[Worker, ...] = ()
        self._networks = networks
        self._alphabet = alphabet
        self._sinks = sinks
        self._event_ids = event_ids
        self._busy_since: float | None = None
        self._intake: Intake[Shot] = Intake(config.queue)
        self._state: Literal["new", "running", "over"] = "new"
        self._lock = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._stops: list[threading.Event] = []
        self._threads: list[threading.Thread] = []
        self._begun = 0.0
        for source in config.sources:
            self._register(source)

    def add(self, source: SourceConfig) -> int:
        """Run one more source; returns its number, its place in ``sources`` and ``reports``.

        Raises UserError where the source names nothing to be read or its name is taken, and RuntimeError once
        the run has ended.
        """
        check(source.url)
        with self._lock:
            if self._state == "over":
                raise RuntimeError("the run has ended: no source can be added to it")
            if self._number(source.title) is not None:
                raise UserError(f"{source.title}: a source of this name runs already; give it another name")
            number = self._register(source)
            if self._state == "running":
                self._threads[number].start()
        return number

    def remove(self, name: str) -> None:
        """Let a source end, by its name (``title``); what was seen of it so far is told.

        Raises UserError where none of this name runs.
        """
        with self._lock:
            number = self._number(name)
            if number is None:
                raise UserError(f"{redact(name)}: no source of this name runs")
            self._stops[number].set()
            self._intake.close(number)

    def stop(self) -> None:
        """Let ``run`` come to its end: no new frames; what was seen so far is told and written out."""
        for stop in list(self._stops):
            stop.set()
        self._intake.stop()

    def busy_s(self) -> float:
        """Seconds that the engine has been at its present batch; 0 while it waits for frames."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def waiting(self, number: int) -> int:
        """How many decoded frames of a source wait for the engine."""
        return self._intake.waiting(number)

    def run(self, forever: bool = False) -> list[Exception]:
        """Process all sources; returns the errors of sinks that failed. A bad source is in its report.

        ``forever`` goes on without a source as well, until ``stop`` is called: more may be added.
        """
        workers = self.workers = tuple(Worker(sink, self.config.queue) for sink in self._sinks)
        with self._lock:
            self._begun = time.perf_counter()
            self._state = "running"
            if forever:
                self._intake.open(NOBODY)
            for thread in self._threads:
                thread.start()
        try:
            while True:
                with self._timed("waiting for frames"):
                    batch = self._intake.take(
                        self.config.networks.batch, self.config.networks.latency_s, until_close=True
                    )
                self._busy_since = time.monotonic()
                if batch:
                    self._process(batch, workers)
                elif self._is_over():
                    break
                for number in list(self._streams):
                    if self._intake.drained(number):
                        self._finish(number, workers)
                self._busy_since = None
        finally:
            with self._lock:
                self._state = "over"
            self.stop()
            for number in list(self._streams):
                self._finish(number, workers)
            for worker in workers:
                worker.close()
            # A thread that waits for a dead camera's answer cannot be hurried; it ends with the process.
            deadline = time.monotonic() + 2
            for thread in self._threads:
                thread.join(timeout=max(0.0, deadline - time.monotonic()))
        return [worker.error for worker in workers if worker.error is not None]

    def _is_over(self) -> bool:
        # Under the lock: a source that is added now either keeps the run alive or is refused.
        with self._lock:
            if self._intake.is_stopped() or not self._intake.is_open():
                self._state = "over"
            return self._state == "over"

    def _register(self, source: SourceConfig) -> int:
        number = len(self.sources)
        config = self.config
        schedule = config.schedule
        if source.interval is not None:
            schedule = schedule.model_copy(update={"interval": source.interval})
        settings = StreamConfig(schedule, config.tracker, config.fusion, config.events, source.regions)
        self._streams[number] = Stream(
            source.title, self._networks.labels, self._alphabet, settings, self._event_ids(source)
        )
        self._stops.append(threading.Event())
        self._threads.append(
            threading.Thread(target=self._decode, args=(number, source), daemon=True, name=f"decode {number}")
        )
        self.sources.append(source)
        self.reports.append(StreamReport(source.title))
        self._intake.open(number)
        return number

    def _number(self, name: str) -> int | None:
        # Of a source that runs, or waits to.
        running = (
            number
            for number, source in enumerate(self.sources)
            if source.title == name and not self.reports[number].ended and not self._stops[number].is_set()
        )
        return next(running, None)

    def _decode(self, number: int, source: SourceConfig) -> None:
        report = self.reports[number]
        logs.source.set(report.source)
        wait = not is_live(source.url)

        def again() -> None:
            report.reconnects += 1

        try:
            for shot in frames(source, self._stops[number], again):
                if not self._intake.put(number, shot, wait):
                    break
        except UserError as error:
            report.error = str(error)
        except Exception as error:  # one source's trouble is not the others'
            report.error = f"{source.title}: {type(error).__name__}: {error}"
            log.exception("%s failed", source.title)
        finally:
            self._intake.close(number)

    def _process(self, batch: Sequence[tuple[int, Shot]], workers: Sequence[Worker]) -> None:
        streams = [self._streams[number] for number, _ in batch]
        shots = [shot for _, shot in batch]
        asked = [row for row, shot in enumerate(shots) if streams[row].wants_vehicles(shot)]
        with self._timed("tcnet"):
            seen = self._networks.detect_vehicles([shots[row].frame for row in asked]) if asked else []
        found = dict(zip(asked, seen, strict=True))
        with self._timed("tracking"):
            works = [
                stream.follow(shot, found.get(row))
                for row, (stream, shot) in enumerate(zip(streams, shots, strict=True))
            ]
        pictures = [shot.frame for shot in shots]
        with self._timed("lpdnet"):
            plates = self._networks.find_plates(pictures, [work.regions for work in works])
        with self._timed("tracking"):
            for stream, work, seen_plates in zip(streams, works, plates, strict=True):
                stream.choose(work, seen_plates)
        with self._timed("lprnet"):
            readings = self._networks.read_plates(pictures, [work.plates for work in works])
        with self._timed("colornet"):
            colors = self._networks.name_colors(pictures, [work.painted for work in works])
        for (number, _), work, texts, named in zip(batch, works, readings, colors, strict=True):
            with self._timed("fusion and events"):
                stream = self._streams[number]
                events = stream.absorb(work, texts, named)
                output = self.config.output
                drawn = output.overlay or output.tiles or self.config.http is not None
                marks = stream.marks(work, output.trails) if drawn else []
            self._count(number, texts)
            with self._timed("waiting for sinks"):
                states = tuple(stream.states(work)) if self._wants_states() else ()
                source = self.reports[number].source
                told = (tuple(marks), tuple(events), states, source, tuple(work.best))
                self._tell(Result(number, work.shot, *told), workers)

    def _wants_states(self) -> bool:
        probe = self.config.probe
        return probe is not None and (probe.frame is not None or probe.track is not None)

    def _count(self, number: int, readings: Sequence[Reading]) -> None:
        report = self.reports[number]
        report.frames += 1
        seen = sum(bool(reading.text) for reading in readings)
        report.readings += seen
        report.blanks += len(readings) - seen
        report.dropped = self._intake.dropped(number)
        report.seconds = time.perf_counter() - self._begun

    def _finish(self, number: int, workers: Sequence[Worker]) -> None:
        stream = self._streams.pop(number)
        source = self.reports[number].source
        self._tell(Result(number, None, (), tuple(stream.finish()), source=source), workers)

    def _tell(self, result: Result, workers: Sequence[Worker]) -> None:
        if self.config.output.pictures and result.events:
            result = replace(result, events=tuple(map(addressed, result.events)))
        report = self.reports[result.stream]
        report.vehicles += sum(event.phase == "begin" for event in result.events)
        report.plates += sum(event.phase == "end" and event.text is not None for event in result.events)
        report.ended = result.shot is None
        for worker in workers:
            worker.put(result)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - start
