"""A sink that remembers: how fast each stream's frames come, and the newest one to be looked at."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from plateloop.deployment.overlay import Mark, as_box, draw
from plateloop.deployment.sinks.worker import Result

# Seconds over which frames a second are counted, and for which a picture that was made is good.
SPAN_S = 5.0
FRESH_S = 0.5
QUALITY = 80


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

    def write(self, result: Result) -> None:
        """Remember one result."""
        if result.shot is not None:
            seen = self._streams.setdefault(result.stream, _Seen())
            seen.newest = result
            seen.times.append(time.monotonic())

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


def _jpeg(result: Result, width: int) -> bytes:
    assert result.shot is not None
    picture = result.shot.frame.rgb()
    scale = min(1.0, width / picture.shape[1])
    size = round(picture.shape[1] * scale), max(1, round(picture.shape[0] * scale))
    # A copy in any case: an RGB frame's picture is its own. Drawn last, so that texts stay legible.
    small = np.array(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    draw(small, [_scaled(mark, scale) for mark in result.marks])
    _, data = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()


def _scaled(mark: Mark, scale: float) -> Mark:
    return replace(
        mark,
        box=None if mark.box is None else as_box(np.float32(scale) * np.asarray(mark.box, np.float32)),
        corners=None if mark.corners is None else mark.corners * np.float32(scale),
        trail=None if mark.trail is None else mark.trail * np.float32(scale),
    )
