"""A sink that remembers: how fast each stream's frames come, the newest one, and the last events' plates."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from plateloop.deployment.overlay import Mark, draw, scaled
from plateloop.deployment.sinks.worker import Result
from plateloop.frame import Frame
from plateloop.types import Event, Image

# Seconds over which frames a second are counted, and for which a picture that was made is good.
SPAN_S = 5.0
FRESH_S = 0.5
QUALITY = 80
# Pictures of plates that are kept, and their height in pixels.
PLATES, PLATE_HEIGHT = 500, 56


@dataclass(slots=True)
class _Seen:
    times: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    newest: Result | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: dict[int, tuple[float, bytes]] = field(default_factory=dict)


class Watch:
    """Keeps the last frame of each stream; a picture is drawn and encoded only when one is asked for."""

    def __init__(self) -> None:
        self._streams: dict[int, _Seen] = {}
        self._plates: dict[str, bytes] = {}

    def write(self, result: Result) -> None:
        """Remember one result."""
        if result.shot is not None:
            seen = self._streams.setdefault(result.stream, _Seen())
            seen.newest = result
            seen.times.append(time.monotonic())
            for event in result.events:
                self._keep_plate(event, result.marks, result.shot.frame)

    def close(self) -> None:
        """Nothing is to be closed; the last pictures may be looked at for as long as this lives."""

    def rate(self, stream: int) -> float:
        """Frames a second of late."""
        times = self._streams[stream].times.copy() if stream in self._streams else ()
        now = time.monotonic()
        late = [at for at in times if at > now - SPAN_S]
        # A full memory of times spans less than the whole time.
        return len(late) / (now - late[0]) if len(late) == 1000 else len(late) / SPAN_S

    def age_s(self, stream: int) -> float | None:
        """Seconds since the stream's last frame came out of the networks; None before the first."""
        seen = self._streams.get(stream)
        return time.monotonic() - seen.times[-1] if seen is not None and seen.times else None

    def picture(self, stream: int, width: int) -> bytes | None:
        """The newest frame with its marks as JPEG, at most ``width`` wide; None before the first frame.

        However many ask, it is made at most twice a second.
        """
        seen = self._streams.get(stream)
        if seen is None or seen.newest is None:
            return None
        with seen.lock:
            made_at, data = seen.made.get(width, (0.0, b""))
            if time.monotonic() - made_at > FRESH_S or not data:
                data = _jpeg(seen.newest, width)
                seen.made[width] = time.monotonic(), data
        return data

    def plate(self, event: str) -> bytes | None:
        """The plate of one of the last events as JPEG, seen from straight ahead; None where there is none."""
        return self._plates.get(event)

    def _keep_plate(self, event: Event, marks: Sequence[Mark], frame: Frame) -> None:
        if event.plate is None:
            return
        corners = np.array(event.plate.corners, np.float32)
        across, down = (np.linalg.norm(corners[1:3] - corners[0:2], axis=1)).tolist()
        # Where it was read best, which may be long ago, unless it is (almost) still there.
        there = (mark.corners for mark in marks if mark.number == event.track and mark.corners is not None)
        if event.readings > 1 and not any(np.abs(now - corners).max() < down / 2 for now in there):
            return
        width = round(PLATE_HEIGHT * min(5.0, max(1.0, across / max(down, 1.0))))
        self._plates.pop(event.id, None)
        self._plates[event.id] = _encoded(frame.rectified(corners[None], (width, PLATE_HEIGHT))[0])
        if len(self._plates) > PLATES:
            del self._plates[next(iter(self._plates))]


def _jpeg(result: Result, width: int) -> bytes:
    assert result.shot is not None
    frame = result.shot.frame
    scale = min(1.0, width / frame.width)
    # Made small before it gets its colours, and drawn upon last, so that texts stay legible.
    picture = frame.letterboxed((max(1, round(frame.width * scale)), max(1, round(frame.height * scale))))
    return _encoded(draw(picture, [scaled(mark, scale) for mark in result.marks]))


def _encoded(rgb: Image) -> bytes:
    _, data = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()
