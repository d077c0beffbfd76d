"""What runs on a machine of the cluster: a pipeline that is given its sources, and asked for its events."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import plateloop
from plateloop.deployment import logs
from plateloop.deployment.cluster.recordings import event_ids
from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.encoder import check_encoder
from plateloop.deployment.launch import load_networks, video_path
from plateloop.deployment.passages import EventId, random_id
from plateloop.deployment.pipeline import Pipeline, StreamReport
from plateloop.deployment.sinks.mp4 import Mp4
from plateloop.deployment.sinks.pictures import Pictures
from plateloop.deployment.sinks.probe import Probe, load_probes
from plateloop.deployment.sinks.store import Brought, Clerk
from plateloop.deployment.sinks.worker import Result, Sink
from plateloop.deployment.sources import SourceConfig
from plateloop.errors import UserError

# How long a question for news waits for some.
WAIT_S = 0.3
# Log lines that wait to be fetched; older ones are dropped.
LINES = 1000


@dataclass(frozen=True, slots=True)
class News:
    """What a frame of a source brought. ``over``: it was the last; ``whole``: the source came to its end."""

    source: str
    brought: Brought
    over: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log, without passwords."""

    level: int
    message: str
    source: str | None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What an actor tells at once: news, the first of which has the number ``first``, and how all is going.

    ``over``: its pipeline has ended, and this is the last parcel; ``failures`` are those of its sinks.
    """

    first: int
    news: tuple[News, ...]
    reports: tuple[StreamReport, ...]
    lines: tuple[Line, ...]
    failures: tuple[str, ...]
    over: bool


class Actor:
    """One pipeline. Its methods are called by the driver, ``take`` beside the others.

    News are kept until the driver says that it has them, so that none is lost while both live.
    """

    def version(self) -> str:
        """Plateloop's version here."""
        return plateloop.__version__

    def begin(self, page: PipelineConfig, mark: Path | None) -> None:
        """Load the networks and begin to run.

        ``page`` has no sources, its paths are absolute; ``mark`` is a file that shows that the output folder
        is the driver's. Raises UserError where this cannot be.
        """
        if mark is not None and not mark.is_file():
            raise UserError(
                f"{mark.parent} is not the folder that the run writes to; let all machines share it, "
                "or leave out videos and pictures (--no-overlay)"
            )
        output, probes = page.output, load_probes(page.probe)
        cascade = load_networks(page)
        self._files: dict[str, str] = {}
        self._ids: dict[str, EventId] = {}
        self._clerk = Clerk()
        self._news: deque[News] = deque()
        self._first = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._failures: list[str] = []
        sinks: list[Sink] = [self]
        folder = output.folder or Path()
        if output.overlay:
            check_encoder(output.mp4)
            sinks.append(Mp4(lambda number: video_path(folder, self.file(number)), output.mp4))
        if output.pictures:
            sinks.append(Pictures(folder / "pictures", output.picture))
        if probes.frame is not None or probes.track is not None:
            sinks.append(Probe(probes))
        alphabet = cascade.sessions["lprnet"].card.alphabet
        self.pipeline = Pipeline(page, cascade, alphabet, sinks, lambda source: self._ids[source.title])
        self._lines = _Lines()
        logs.configure(self._lines, "text", logging.INFO)
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._thread.start()

    def add(self, source: SourceConfig, file: str, of: UUID | None) -> None:
        """Begin with a source. ``file`` names its video; ``of`` is what a recording's ids go by.

        Raises UserError where it cannot be read here.
        """
        self._files[source.title] = file
        self._ids[source.title] = random_id if of is None else event_ids(of)
        self.pipeline.add(source)

    def take(self, done: int) -> Parcel:
        """The news from number ``done`` on: those before it the driver has."""
        with self._changed:
            while self._news and self._first < done:
                self._news.popleft()
                self._first += 1
            self._changed.wait_for(lambda: bool(self._news) or not self._thread.is_alive(), WAIT_S)
            over = not self._thread.is_alive()
            news = tuple(self._news)
        # Of those that have ended once more, with their last news.
        told = {item.source for item in news}
        reports = tuple(replace(r) for r in list(self.pipeline.reports) if not r.ended or r.source in told)
        return Parcel(self._first, news, reports, self._lines.fetch(), tuple(self._failures), over)

    def stop(self) -> None:
        """Let the pipeline end: what was seen so far of cameras is told."""
        self._stopping = True
        self.pipeline.stop()

    def file(self, number: int) -> str:
        """What the video of a stream is called."""
        return self._files[self.pipeline.sources[number].title]

    def write(self, result: Result) -> None:
        """As the pipeline's first sink: keep a result's events for the driver."""
        over = result.shot is None
        news = News(result.source, self._clerk.note(result), over, over and not self._stopping)
        if result.events or over:
            with self._changed:
                self._news.append(news)
                self._changed.notify_all()

    def close(self) -> None:
        """Nothing is left to write: the driver fetches it."""

    def _run(self) -> None:
        try:
            errors = self.pipeline.run(forever=True)
            self._failures += [str(error) or type(error).__name__ for error in errors]
        except Exception as error:  # told to the driver, which begins elsewhere
            self._failures.append(f"{type(error).__name__}: {error}")


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[Line] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        told = record.msg + (f"\n{record.exc_text}" if record.exc_text else "")
        self._waiting.append(Line(record.levelno, told, record.__dict__["source"]))

    def fetch(self) -> tuple[Line, ...]:
        count = len(self._waiting)
        return tuple(self._waiting.popleft() for _ in range(count))
