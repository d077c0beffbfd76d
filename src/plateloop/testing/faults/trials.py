"""The faults, each done to a running deployment, and what became of its events."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag

from plateloop.deployment import outbox
from plateloop.deployment.kafka.config import TOPIC, KafkaConfig
from plateloop.deployment.kafka.consume import consume
from plateloop.deployment.kafka.delivery import Delivery
from plateloop.deployment.store import Store, Stored
from plateloop.errors import UserError
from plateloop.testing.faults.audit import (
    FaultRow,
    disorder,
    last_states,
    missing,
    repeated,
    shown_whole,
    unreceived,
    unstored,
)
from plateloop.testing.faults.broker import Broker, absence
from plateloop.testing.faults.feed import PAUSE_S, Feed
from plateloop.testing.faults.subject import Subject, Told, write_page
from plateloop.testing.street import render_clip

QUIET_S = 5.0
"""Silence after the last play by which a process has dealt with all that it was sent."""
PATIENCE_S = 100.0
"""How long an event may be waited for, on a busy machine."""
ERROR_RATE = 1e-4
"""Share of damaged bytes in a corrupt stream: about one packet of MPEG-TS in fifty."""


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


def unplugged(rig: Rig) -> None:
    """The source is pulled, and put back after some seconds, again and again."""
    subject = rig.start()
    rig.await_event(subject)
    for _ in range(rig.bench.times):
        time.sleep(rig.bench.rng.uniform(0.5, rig.bench.seconds))
        rig.feed.unplug()
        time.sleep(rig.bench.rng.uniform(2, 4))
        rig.feed.plug()
        rig.injected += 1
        rig.recover(subject)
    rig.stop(subject)


def broker_down(rig: Rig) -> None:
    """The broker is stopped for a minute, in which events go on."""
    assert rig.bench.broker is not None
    subject = rig.start()
    rig.await_event(subject)
    rig.bench.broker.stop()
    back = time.monotonic() + rig.bench.pause_s
    rig.await_event(subject)
    time.sleep(max(0.0, back - time.monotonic()))
    rig.bench.broker.start()
    rig.injected += 1
    rig.recoveries.append(_delivered(rig))
    rig.stop(subject)


def broker_killed(rig: Rig) -> None:
    """The broker is killed (-9) with an event on its way, and started again once there is one more."""
    assert rig.bench.broker is not None
    subject = rig.start()
    for _ in range(max(1, rig.bench.times // 6)):
        rig.await_event(subject)
        rig.bench.broker.kill()
        rig.await_event(subject)
        rig.bench.broker.start()
        rig.injected += 1
        rig.recoveries.append(_delivered(rig))
    rig.stop(subject)


def process_killed(rig: Rig) -> None:
    """The process is killed (-9) at random moments, its start included, and started again on its store."""
    for number in range(rig.bench.times):
        subject = rig.start()
        # Every other one has come to work before it dies.
        if number % 2:
            rig.await_event(subject)
        time.sleep(rig.bench.rng.uniform(0, rig.bench.seconds))
        subject.kill()
        rig.injected += 1
        if number and subject.told:
            rig.recoveries.append(subject.told[0].time - subject.started)
        rig.told += subject.told
    # The vehicles that a killed process had in sight were not its own to tell of any more.
    rig.counted_from = time.time()
    subject = rig.start()
    rig.await_event(subject)
    rig.recoveries.append(subject.told[0].time - subject.started)
    rig.stop(subject)


def disk_full(rig: Rig) -> None:
    """No file can grow any more (RLIMIT_FSIZE, as on a full disk but without root), and later it can."""
    import resource

    subject = rig.start()
    for _ in range(max(1, rig.bench.times // 6)):
        rig.await_event(subject)
        hard = resource.prlimit(subject.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(subject.process.pid, resource.RLIMIT_FSIZE, (0, hard))
        # An event has come and found no room.
        rig.await_warning(subject)
        time.sleep(rig.bench.pause_s / 4)
        resource.prlimit(subject.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        rig.injected += 1
        rig.recover(subject)
    rig.stop(subject)


def clock_jump(rig: Rig) -> None:
    """The process's clock jumps an hour forward, then two hours back."""
    subject = rig.start(("-m", "plateloop.testing.faults.clock"))
    rig.await_event(subject)
    for number in range(max(2, rig.bench.times // 5)):
        subject.process.send_signal(signal.SIGUSR2 if number % 2 else signal.SIGUSR1)
        rig.injected += 1
        rig.recover(subject)
        time.sleep(rig.bench.rng.uniform(0, rig.bench.seconds))
    rig.stop(subject)


def corrupt_stream(rig: Rig) -> None:
    """Bits are flipped in the stream for some seconds, again and again."""
    subject = rig.start()
    rig.await_event(subject)
    for _ in range(max(1, rig.bench.times // 4)):
        rig.feed.error_rate = ERROR_RATE
        time.sleep(rig.bench.rng.uniform(2, rig.bench.seconds))
        rig.feed.error_rate = 0.0
        rig.injected += 1
        rig.recover(subject)
        # A whole sound play, of which every vehicle must be told.
        time.sleep(rig.bench.seconds + PAUSE_S)
    rig.stop(subject)


TRIALS: dict[str, Callable[[Rig], None]] = {
    "source unplugged": unplugged,
    "broker down": broker_down,
    "broker killed": broker_killed,
    "process killed": process_killed,
    "disk full": disk_full,
    "clock jump": clock_jump,
    "corrupt stream": corrupt_stream,
}


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


def trial(bench: Bench, fault: str) -> FaultRow:
    """Do one of ``TRIALS`` to a fresh deployment, and audit it."""
    if fault.startswith("broker") and bench.broker is None:
        return FaultRow(fault=fault, skipped=absence() or "no broker")
    if fault == "disk full" and not Path("/proc/self/limits").exists():
        return FaultRow(fault=fault, skipped="limits of a running process can be changed on Linux only")
    name = fault.replace(" ", "-")
    with Feed(bench.clip) as feed:
        rig = Rig(bench, name, feed)
        TRIALS[fault](rig)
    return audit(rig, fault)


def audit(rig: Rig, fault: str) -> FaultRow:
    """Count what the trial left behind. Whatever the store still owes is waited for first."""
    received: list[Stored] | None = None
    if rig.kafka is not None:
        _delivered(rig, alone=True)
        batches = consume(rig.kafka.servers, rig.kafka.topic, None, None, True, Flag())
        records = [record for batch in batches for record in batch]
        received = [record.stored for record in records if record.stored is not None]
    with closing(Store.open(rig.store, create=False)) as store:
        stored = list(store.select())
    plays = [play for play in rig.feed.plays if play.begun >= rig.counted_from]
    shown = shown_whole(plays, rig.bench.known)
    within_s = rig.bench.seconds + 20 + (rig.bench.pause_s if fault == "disk full" else 0)
    lost = unstored(rig.told, stored)
    return FaultRow(
        fault=fault,
        injected=rig.injected,
        shown=len(shown),
        missed=len(missing(shown, rig.told, within_s)),
        told=len(rig.told),
        stored=len(stored),
        received=None if received is None else len(received),
        lost=lost + (0 if received is None else unreceived(stored, received)),
        disordered=disorder(stored, gaps=True) + (0 if received is None else disorder(received)),
        duplicates=0 if received is None else repeated(received),
        strange=0 if received is None else unreceived(received, stored),
        recoveries_s=tuple(round(seconds, 2) for seconds in rig.recoveries),
        exit_code=rig.exit_code,
        said=tuple(rig.said),
    )


def _delivered(rig: Rig, alone: bool = False) -> float:
    """Seconds until Kafka has all that the store owes to it now."""
    assert rig.kafka is not None
    begun = time.monotonic()
    with _delivering(rig, alone) as store:
        newest = max((item.row for item in outbox.owed(store, rig.kafka.target, limit=100_000)), default=0)
        while any(item.row <= newest for item in outbox.owed(store, rig.kafka.target, limit=1)):
            if time.monotonic() > begun + PATIENCE_S:
                raise OSError(f"{rig.name}: Kafka has not got all events after {PATIENCE_S:.0f} s")
            time.sleep(0.05)
    return time.monotonic() - begun


@contextmanager
def _delivering(rig: Rig, alone: bool) -> Iterator[Store]:
    # While the process runs it delivers itself; afterwards this does, as `msg2kafka` would.
    with closing(Store.open(rig.store, create=False)) as store:
        if not alone or rig.kafka is None:
            yield store
            return
        delivery = Delivery(store, rig.kafka)
        delivery.start()
        try:
            yield store
        finally:
            delivery.finish(5)


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
