"""The deployment that is tried, and the bench that it stands on: its clip, its broker, its vehicles."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from plateloop.deployment import outbox
from plateloop.deployment.kafka.config import TOPIC, KafkaConfig
from plateloop.deployment.kafka.delivery import Delivery
from plateloop.deployment.store import Store
from plateloop.errors import UserError
from plateloop.testing.faults.audit import last_states
from plateloop.testing.faults.broker import Broker, absence
from plateloop.testing.faults.feed import Feed
from plateloop.testing.faults.subject import Subject, Told, write_page
from plateloop.testing.street import render_clip

QUIET_S = 5.0
"""Silence after the last play by which a process has dealt with all that it was sent."""
PATIENCE_S = 100.0
"""How long an event may be waited for, on a busy machine."""


@dataclass(slots=True)
class Bench:
    """What all trials use: the clip, its vehicles (text → the second at which it is gone), and a broker."""

    folder: Path
    clip: Path
    seconds: float
    known: dict[str, float]
    weights: Path | None
    broker: Broker | None
    times: int
    pause_s: float
    rng: random.Random = field(default_factory=lambda: random.Random(0))


@dataclass(slots=True)
class Rig:
    """A deployment under trial: the feed into a store, and into Kafka where there is a broker.

    The vehicles of plays before ``counted_from`` (a Unix time) need not all be told.
    """

    bench: Bench
    name: str
    feed: Feed
    injected: int = 0
    told: list[Told] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    exit_code: int | None = None
    said: list[str] = field(default_factory=list)
    counted_from: float = 0.0
    _runs: int = 0

    @property
    def store(self) -> Path:
        """The event store that all processes of the trial use."""
        return self.bench.folder / self.name / "plateloop.db"

    @property
    def kafka(self) -> KafkaConfig | None:
        """The topic of this trial."""
        broker = self.bench.broker
        return KafkaConfig(servers=broker.address, topic=f"{TOPIC}-{self.name}") if broker else None

    def start(self, program: Sequence[str] = ("-m", "plateloop")) -> Subject:
        """Start a process of the deployment."""
        folder = self.bench.folder / self.name
        self._runs += 1
        page = write_page(folder / "page.yaml", [self.feed.url()], self.bench.weights)
        arguments = ["--config", str(page), "--out", str(folder / f"run-{self._runs}")]
        arguments += ["--store", str(self.store)]
        if self.kafka is not None:
            arguments += ["--kafka", f"{self.kafka.servers}/{self.kafka.topic}"]
        return Subject(arguments, program)

    def stop(self, subject: Subject) -> None:
        """Let a process deal with all that it was shown, end it in order, and take in what it told."""
        self.feed.held = True
        time.sleep(self.bench.seconds)
        told, quiet = len(subject.told), time.monotonic()
        deadline = quiet + PATIENCE_S
        while time.monotonic() < min(quiet + QUIET_S, deadline):
            if len(subject.told) > told:
                told, quiet = len(subject.told), time.monotonic()
            time.sleep(0.05)
        self.exit_code = subject.stop()
        self.said = subject.warnings[-5:] if self.exit_code else []
        self.told += subject.told

    def recover(self, subject: Subject) -> None:
        """The fault is over: note how long it takes until an event is told."""
        self.recoveries.append(self.await_event(subject))

    def await_event(self, subject: Subject) -> float:
        """Seconds until ``subject`` tells its next event. Raises OSError where it tells none."""
        return self._wait(subject, "event", lambda: len(subject.told))

    def await_warning(self, subject: Subject) -> None:
        """Wait until ``subject`` complains. Raises OSError where it does not."""
        self._wait(subject, "warning", lambda: len(subject.warnings))

    def _wait(self, subject: Subject, what: str, count: Callable[[], int]) -> float:
        before, begun = count(), time.monotonic()
        while count() == before:
            ended = subject.process.poll()
            if time.monotonic() > begun + PATIENCE_S or ended is not None:
                why = f"within {PATIENCE_S:.0f} s" if ended is None else f"before its end (exit {ended})"
                said = "; ".join(subject.warnings[-5:])
                raise OSError(f"{self.name}: no {what} {why}; the process said: {said}")
            time.sleep(0.05)
        return time.monotonic() - begun

    def deliver(self, alone: bool = False) -> float:
        """Seconds until Kafka has all that the store owes to it now; ``alone``: no process delivers it."""
        assert self.kafka is not None
        begun = time.monotonic()
        with self._delivering(self.kafka, alone) as store:
            newest = max(
                (item.row for item in outbox.owed(store, self.kafka.target, limit=100_000)), default=0
            )
            while any(item.row <= newest for item in outbox.owed(store, self.kafka.target, limit=1)):
                if time.monotonic() > begun + PATIENCE_S:
                    raise OSError(f"{self.name}: Kafka has not got all events after {PATIENCE_S:.0f} s")
                time.sleep(0.05)
        return time.monotonic() - begun

    @contextmanager
    def _delivering(self, kafka: KafkaConfig, alone: bool) -> Iterator[Store]:
        # While the process runs it delivers itself; afterwards this does, as `msg2kafka` would.
        with closing(Store.open(self.store, create=False)) as store:
            if not alone:
                yield store
                return
            delivery = Delivery(store, kafka)
            delivery.start()
            try:
                yield store
            finally:
                delivery.finish(5)


def reference(clip: Path, folder: Path, weights: Path | None, texts: Sequence[str]) -> dict[str, float]:
    """The vehicles that are read exactly with no fault: text → the second of the clip at which it is gone.

    Raises UserError where there is none, for then nothing could be counted.
    """
    page = write_page(folder / "reference.yaml", [str(clip)], weights)
    subject = Subject(["--config", str(page), "--out", str(folder / "reference")])
    subject.process.wait()
    subject.stop()
    last = last_states(line.event for line in subject.told)
    known = {event.text: event.last_s for event in last if event.text in texts and event.text}
    if not known:
        raise UserError(f"no vehicle of {clip} is read even without a fault; nothing could be counted")
    return known


def prepare(folder: Path, weights: Path | None, quick: bool) -> Bench:
    """Render the clip, see what is read of it, and start a broker where there is one.

    ``quick`` does each fault a few times only. The broker is the caller's to kill.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seconds = 6.0 if quick else 8.0
    clip = render_clip(folder / "street.mp4", seconds=seconds)
    known = reference(clip.video, folder, weights, list(clip.texts.values()))
    broker = Broker(folder / "kafka") if absence() is None else None
    times, pause_s = (2, 8.0) if quick else (20, 60.0)
    return Bench(folder, clip.video, seconds, known, weights, broker, times, pause_s)
