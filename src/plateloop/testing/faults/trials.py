"""The faults, each done to a running deployment, and what became of its events."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event as Flag

from plateloop.deployment.kafka.consume import consume
from plateloop.deployment.store import Store, Stored
from plateloop.testing.faults.audit import (
    FaultRow,
    disorder,
    missing,
    repeated,
    shown_whole,
    unreceived,
    unstored,
)
from plateloop.testing.faults.broker import absence
from plateloop.testing.faults.feed import PAUSE_S, Feed
from plateloop.testing.faults.rig import Bench, Rig

ERROR_RATE = 1e-4
"""Share of damaged bytes in a corrupt stream: about one packet of MPEG-TS in fifty."""


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
    rig.recoveries.append(rig.deliver())
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
        rig.recoveries.append(rig.deliver())
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
        rig.deliver(alone=True)
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
