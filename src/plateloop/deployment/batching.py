"""Batches across streams: a bounded queue for each, emptied together.

A batch goes when it is full or when its oldest picture has waited for the latency bound, whichever comes
first. Streams take turns, so that a fast one cannot crowd out a slow one, and an empty, slow or dead one is
never waited for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Intake(Generic[Item]):
    """Bounded queues of many streams with one reader. Streams are known by number; all methods lock."""

    def __init__(self, depth: int) -> None:
        """``depth`` items are held for each stream."""
        self._depth = depth
        self._queues: dict[int, deque[tuple[float, Item]]] = {}
        self._dropped: dict[int, int] = {}
        self._open: set[int] = set()
        self._turn = 0
        self._stopped = self._closed = False
        self._changed = threading.Condition()

    def open(self, stream: int) -> None:
        """Announce ``stream``; ``take`` waits for items as long as one stream is open."""
        with self._changed:
            self._queues.setdefault(stream, deque())
            self._dropped.setdefault(stream, 0)
            self._open.add(stream)

    def close(self, stream: int) -> None:
        """No more items will come from ``stream``; those in its queue are still taken."""
        with self._changed:
            self._open.discard(stream)
            self._closed = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Refuse items from now on, and wake whoever waits to put one."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def put(self, stream: int, item: Item, wait: bool) -> bool:
        """Add an item; where the queue is full wait for room, or else drop the oldest and count it.

        Returns False, without adding, once ``stop`` was called or the stream closed.
        """
        with self._changed:
            queue = self._queues[stream]
            while wait and len(queue) >= self._depth and stream in self._open and not self._stopped:
                self._changed.wait()
            if self._stopped or stream not in self._open:
                return False
            if len(queue) >= self._depth:
                queue.popleft()
                self._dropped[stream] += 1
            queue.append((time.monotonic(), item))
            self._changed.notify_all()
            return True

    def take(self, most: int, latency_s: float, until_close: bool = False) -> list[tuple[int, Item]]:
        """Up to ``most`` items, each with its stream, in order within a stream.

        Waits until so many are there, the oldest has waited ``latency_s``, or nobody can add more. Returns
        an empty list when all streams are closed and empty, on ``stop``, or (``until_close``) when a stream
        has been closed since the last call and nothing waits.
        """
        with self._changed:
            while not self._stopped:
                count = sum(map(len, self._queues.values()))
                if count >= most or (count and not self._can_grow()):
                    break
                if not count and (not self._open or (until_close and self._closed)):
                    self._closed = False
                    return []
                patience = None
                if count:
                    oldest = min(queue[0][0] for queue in self._queues.values() if queue)
                    patience = oldest + latency_s - time.monotonic()
                    if patience <= 0:
                        break
                self._changed.wait(patience)
            if self._stopped:
                return []
            batch = self._round_robin(most)
            self._changed.notify_all()
            return batch

    def is_stopped(self) -> bool:
        """Whether ``stop`` was called."""
        with self._changed:
            return self._stopped

    def is_open(self) -> bool:
        """Whether a stream may still add items, or some wait."""
        with self._changed:
            return bool(self._open) or any(self._queues.values())

    def dropped(self, stream: int) -> int:
        """How many items of ``stream`` were dropped so far."""
        with self._changed:
            return self._dropped[stream]

    def drained(self, stream: int) -> bool:
        """Whether ``stream`` is closed and all its items were taken."""
        with self._changed:
            return stream not in self._open and not self._queues[stream]

    def waiting(self, stream: int) -> int:
        """How many items of ``stream`` wait now."""
        with self._changed:
            return len(self._queues.get(stream, ()))

    def _can_grow(self) -> bool:
        return any(len(self._queues[stream]) < self._depth for stream in self._open)

    def _round_robin(self, most: int) -> list[tuple[int, Item]]:
        streams = sorted(self._queues)
        batch: list[tuple[int, Item]] = []
        while len(batch) < most and any(self._queues.values()):
            stream = streams[self._turn % len(streams)]
            self._turn += 1
            if self._queues[stream]:
                batch.append((stream, self._queues[stream].popleft()[1]))
        return batch
