"""The sink before all others that tell of events: commits them, then hands them on."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from plateloop.deployment.latency import Latencies
from plateloop.deployment.sinks.worker import Result, Worker
from plateloop.deployment.store import Store

log = logging.getLogger(__name__)

# Pause before a database that failed is asked again, and how long a closing sink goes on asking.
RETRY_S = 1.0
LAST_TRIES_S = 5.0


class StoreSink:
    """Commits the events of all streams, in order; ``followers`` get each result after that.

    While the database fails (disk full, server gone) events wait in memory, which is said once, and nobody
    is told of them. ``latencies`` are each stream's, from a frame's decoding to the commit of its events.
    """

    def __init__(self, store: Store, targets: Sequence[str] = (), followers: Sequence[Worker] = ()) -> None:
        """``targets`` are owed every event."""
        self._store = store
        self._targets = tuple(targets)
        self._followers = followers
        self.latencies = Latencies()
        self._waiting: deque[tuple[Result, float, float, int]] = deque()
        self._frames: dict[int, int] = {}
        self._failed_at: float | None = None

    def write(self, result: Result) -> None:
        """Commit the events of a result."""
        arrived = at = time.time()
        if result.shot is not None:
            arrived, at = result.shot.arrived, result.shot.time
            self._frames[result.stream] = result.shot.index
        if result.events:
            # Without its picture: many may have to wait.
            told = Result(result.stream, None, (), result.events, source=result.source)
            self._waiting.append((told, arrived, at, self._frames.get(result.stream, 0)))
        if self._failed_at is None or time.monotonic() > self._failed_at + RETRY_S:
            self._commit()

    def close(self) -> None:
        """Commit what waits; raises the database's error where that fails to the end."""
        deadline = time.monotonic() + LAST_TRIES_S
        try:
            while (error := self._commit()) is not None:
                if time.monotonic() > deadline:
                    lost = sum(len(result.events) for result, *_ in self._waiting)
                    raise OSError(f"{lost} events could not be committed: {_first_line(error)}")
                time.sleep(RETRY_S / 4)
        finally:
            for worker in self._followers:
                worker.close()

    def _commit(self) -> SQLAlchemyError | None:
        while self._waiting:
            result, arrived, at, frame = self._waiting[0]
            try:
                self._store.append(result.events, at, frame, result.stream, self._targets)
            except SQLAlchemyError as error:
                if self._failed_at is None:
                    log.warning("the event store fails, events wait: %s", _first_line(error))
                self._failed_at = time.monotonic()
                return error
            self._failed_at = None
            self._waiting.popleft()
            self.latencies[result.stream].add(time.time() - arrived, len(result.events))
            for worker in self._followers:
                worker.put(result)
        return None


def _first_line(error: SQLAlchemyError) -> str:
    return str(error).splitlines()[0]
