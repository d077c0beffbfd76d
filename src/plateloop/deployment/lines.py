"""Events outside a store: as lines of JSON with their place in it, and made up for tests of consumers."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import numpy as np

from plateloop.deployment.store import Stored
from plateloop.errors import UserError, one_line
from plateloop.types import Box, Event, EventPlate, EventVehicle

log = logging.getLogger(__name__)


def timestamp(time_s: float) -> str:
    """A Unix time as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def as_line(item: Stored) -> str:
    """The event's keys, then ``sequence``, ``time`` and ``frame``, as one line of JSON."""
    place = {"sequence": item.sequence, "time": timestamp(item.time), "frame": item.frame}
    return json.dumps({**item.event.model_dump(mode="json"), **place}, ensure_ascii=False)


class LineReader:
    """Lines as stored events. One that is no event is logged, counted in ``bad``, and passed over.

    A line without ``sequence`` gets the number that it has among those of its source.
    """

    def __init__(self) -> None:
        self.bad = 0
        self._counts: dict[str, int] = {}
        self._positions: dict[str, int] = {}

    def read(self, lines: Iterable[str]) -> Iterator[Stored]:
        """The events of ``lines``."""
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield self._parse(line)
            except (ValueError, TypeError, AttributeError) as error:
                # A last line without its end is what a killed writer leaves, behind events: no mistake.
                self.bad += line.endswith("\n") or not self._counts
                log.warning("line %d is not an event and is passed over: %s", number, one_line(error))

    def _parse(self, line: str) -> Stored:
        data = json.loads(line)
        place = {key: data.pop(key, None) for key in ("sequence", "time", "frame")}
        event = Event.model_validate(data)
        count = self._counts[event.source] = self._counts.get(event.source, 0) + 1
        position = self._positions.setdefault(event.source, len(self._positions))
        said = place["time"]
        time_s = datetime.fromisoformat(said).timestamp() if said else round(time.time(), 3)
        return Stored(0, int(place["sequence"] or count), position, time_s, int(place["frame"] or 0), event)


class LineFile:
    """A file of lines that takes each id and sequence once, over restarts too. Not for two writers."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; a last line that was cut off goes. Raises UserError where that fails."""
        self._known: set[bytes] = set()
        whole = 0
        try:
            with path.open("a+b") as file:
                file.seek(0)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    whole += len(line)
                    data = json.loads(line)
                    self._known.add(digest(data["id"], data["sequence"]))
                file.truncate(whole)
            self._file = path.open("ab")
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{path}: has lines that are not events with a sequence; use another file"
            ) from None

    def load(self, items: Iterable[Stored]) -> int:
        """Write what is new, on disk for good on return; returns how many that were."""
        count = 0
        for item in items:
            key = digest(item.event.id, item.sequence)
            if key not in self._known:
                self._known.add(key)
                self._file.write(as_line(item).encode() + b"\n")
                count += 1
        self._file.flush()
        os.fsync(self._file.fileno())
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def simulate(vehicles_per_s: float, seed: int = 0, cameras: int = 4) -> Iterator[Stored]:
    """Made-up vehicles in front of ``cameras``, for ever, at that pace: each a ``begin`` and an ``end``."""
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(range(cameras), 0)
    started = time.time()
    for number in range(2**62):
        time.sleep(max(0.0, started + number / vehicles_per_s - time.time()))
        camera = int(rng.integers(cameras))
        arrived = round(time.time(), 3)
        for event in _vehicle(rng, f"simulated-{camera}", number, arrived - started):
            counts[camera] += 1
            yield Stored(0, counts[camera], camera, arrived, number, event)


def gathered(items: Iterable[Stored], most: int = 500) -> Iterator[list[Stored]]:
    """Items in lists of up to ``most``, as they come; an empty list each time that none came for a while."""
    waiting: queue.Queue[Stored | None] = queue.Queue(most)

    def fill() -> None:
        try:
            for item in items:
                waiting.put(item)
        finally:
            waiting.put(None)

    threading.Thread(target=fill, name="reader", daemon=True).start()
    while True:
        batch: list[Stored] = []
        try:
            item = waiting.get(timeout=0.2)
            while item is not None:
                batch.append(item)
                if len(batch) == most:
                    break
                item = waiting.get_nowait()
            else:
                yield batch
                return
        except queue.Empty:
            pass
        yield batch


def _vehicle(rng: np.random.Generator, source: str, track: int, time_s: float) -> Iterator[Event]:
    letters, digits = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"
    text = "".join(rng.choice(list(kind)) for kind in (digits, *[letters] * 3, *[digits] * 3))
    x, y, width = (float(value) for value in rng.integers((100, 300, 150), (1500, 700, 400)))
    car: Box = (x, y, x + width, y + width)
    plate: Box = (x + width * 0.4, y + width * 0.8, x + width * 0.6, y + width * 0.88)
    sure = [round(float(value), 4) for value in rng.uniform(0.6, 1, 4)]
    identity = str(UUID(bytes=rng.bytes(16), version=4))
    color = str(rng.choice(["black", "white", "gray", "blue", "red"]))
    seconds = float(rng.uniform(1, 6))
    left, top, right, bottom = plate
    for phase, shown in (("begin", time_s - seconds + 1), ("end", time_s)):
        yield Event(
            id=identity,
            phase=phase,
            source=source,
            track=track,
            text=text,
            confidence=sure[0],
            char_confidences=(sure[0],) * len(text),
            first_s=round(time_s - seconds, 3),
            last_s=round(shown, 3),
            frames=round(25 * (shown - time_s + seconds)),
            readings=5,
            vehicle=EventVehicle(
                label="car", color=color, color_confidence=sure[1], box=car, confidence=sure[2]
            ),
            plate=EventPlate(
                box=plate,
                corners=((left, top), (right, top), (right, bottom), (left, bottom)),
                region="CA",
                confidence=sure[3],
            ),
        )


def digest(identity: Any, sequence: Any) -> bytes:
    """What tells a phase of an event from all others, short."""
    return hashlib.blake2b(f"{identity}/{sequence}".encode(), digest_size=16).digest()
