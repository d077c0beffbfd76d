"""What a sink is, and the thread that feeds one."""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass
from typing import Protocol

from plateloop.deployment.capture import Shot
from plateloop.deployment.overlay import Mark
from plateloop.types import Box, Corners, Event, TrackState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """One frame of one stream with what is to be drawn on it, and the events it brought.

    ``shot`` is None with the events that come after a stream's last frame. ``tracks`` are what is followed in
    it, if a probe wants to know; ``source`` is the stream's name. ``best`` are the plates that were
    never read better than in this frame: the event's id, the plate's corners, and the box of its vehicle.
    """

    stream: int
    shot: Shot | None
    marks: tuple[Mark, ...]
    events: tuple[Event, ...]
    tracks: tuple[TrackState, ...] = ()
    source: str = ""
    best: tuple[tuple[str, Corners, Box | None], ...] = ()


class Sink(Protocol):
    """Takes results in order. Called from one thread only."""

    def write(self, result: Result) -> None:
        """Take one result."""

    def close(self) -> None:
        """Write out what is left. Called once, also after ``write`` has failed."""


class Worker:
    """Runs one sink in a thread of its own. ``put`` waits while its queue is full: nothing is dropped.

    A sink that fails is closed and its later results are discarded, so that it holds up nobody; the error is
    logged once and kept in ``error``.
    """

    def __init__(self, sink: Sink, depth: int) -> None:
        self._sink = sink
        self._queue: queue.Queue[Result | None] = queue.Queue(depth)
        self.name = type(sink).__name__
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many results wait for the sink."""
        return self._queue.qsize()

    def put(self, result: Result) -> None:
        """Hand a result over."""
        self._queue.put(result)

    def close(self) -> None:
        """Wait until everything handed over is written, and close the sink."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (result := self._queue.get()) is not None:
            if self.error is None:
                self._attempt(result)
        if self.error is None:
            self._attempt(None)

    def _attempt(self, result: Result | None) -> None:
        try:
            if result is None:
                self._sink.close()
            else:
                self._sink.write(result)
        except Exception as error:  # whatever a sink dies of, the others go on
            self.error = error
            log.error("%s: %s", self.name, error)
            if result is not None:
                self._close_failed()

    def _close_failed(self) -> None:
        try:
            self._sink.close()
        except Exception as error:
            log.error("%s, closing: %s", self.name, error)
