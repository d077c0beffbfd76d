"""The sink before all others that tell of events: commits them, then hands them on."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from plateloop.deployment.latency import Latencies
from plateloop.deployment.sinks.worker import Result, Worker
from plateloop.deployment.store import Store
from plateloop.types import Event

log = logging.getLogger(__name__)

# Pause before a database that failed is asked again, and how long a closing sink goes on asking.
RETRY_S = 1.0
LAST_TRIES_S = 5.0


@dataclass(frozen=True, slots=True)
class Brought:
    """The events that one frame brought; the Unix times of its decoding and its taking, and its index."""

    events: tuple[Event, ...]
    arrived: float
    time: float
    frame: int


class Clerk:
    """Notes of each result what is to be stored, without its picture: many may have to wait."""

    def __init__(self) -> None:
        self._frames: dict[int, int] = {}

    def note(self, result: Result) -> Brought:
        """The events of a result, the next one of its stream; those after the last frame are of that one."""
        arrived = at = time.time()
        if result.shot is not None:
            arrived, at = result.shot.arrived, result.shot.time
            self._frames[result.stream] = result.shot.index
        return Brought(result.events, arrived, at, self._frames.get(result.stream, 0))


class StoreSink:
    """Commits the events of all streams, in order; ``followers`` get each result after that.

    While the database fails (disk full, server gone) events wait in memory, which is said once, and nobody
    is told of them. ``latencies`` are each stream's, from a frame's decoding to the commit of its events.
    """

    def __init__(
        self,
        store: Store,
        targets: Sequence[str] = (),
        followers: Sequence[Worker] = (),
        claim: Callable[[str], object] = lambda stream: None,
    ) -> None:
        """``targets`` are owed every event. ``claim`` is called before anything of a stream is committed."""
        self._store = store
        self._claim = claim
        self._targets = tuple(targets)
        self._followers = followers
        self.latencies = Latencies()
        self._waiting: deque[tuple[int, str, Sequence[Brought], bool]] = deque()
        self._clerk = Clerk()
        self._failed_at: float | None = None

    def write(self, result: Result) -> None:
        """Commit the events of a result."""
        brought = self._clerk.note(result)
        self.take(result.stream, result.source, (brought,) if brought.events else ())

    def take(self, stream: int, source: str, brought: Sequence[Brought], once: bool = False) -> None:
        """Commit what frames of a stream brought, together; ``once``: not where one of the ids is stored."""
        if brought:
            self._waiting.append((stream, source, brought, once))
        if self._failed_at is None or time.monotonic() > self._failed_at + RETRY_S:
            self._commit()

    def close(self) -> None:
        """Commit what waits; raises the database's error where that fails to the end."""
        deadline = time.monotonic() + LAST_TRIES_S
        try:
            while (error := self._commit()) is not None:
                if time.monotonic() > deadline:
                    lost = sum(len(part.events) for _, _, brought, _ in self._waiting for part in brought)
                    raise OSError(f"{lost} events could not be committed: {_first_line(error)}")
                time.sleep(RETRY_S / 4)
        finally:
            for worker in self._followers:
                worker.close()

    def _commit(self) -> SQLAlchemyError | None:
        while self._waiting:
            stream, source, brought, once = self._waiting[0]
            parts = [(part.events, part.time, part.frame) for part in brought]
            try:
                # What is committed as a whole leaves nothing open.
                for name in () if once else {event.source for part in brought for event in part.events}:
                    self._claim(name)
                stored = self._store.append_all(parts, stream, self._targets, once)
            except SQLAlchemyError as error:
                if self._failed_at is None:
                    log.warning("the event store fails, events wait: %s", _first_line(error))
                self._failed_at = time.monotonic()
                return error
            self._failed_at = None
            self._waiting.popleft()
            if not stored:
                log.info("%s: all that was seen in it is in the store already", source)
                continue
            for part in brought:
                self.latencies[stream].add(time.time() - part.arrived, len(part.events))
            told = Result(stream, None, (), tuple(item.event for item in stored), source=source)
            for worker in self._followers:
                worker.put(told)
        return None


def _first_line(error: SQLAlchemyError) -> str:
    return str(error).splitlines()[0]
