"""When a picture was taken: by the camera's own clock where the stream tells it, else when it arrived."""

from __future__ import annotations

import logging
import struct
import time
from typing import Any

from av.packet import Packet

log = logging.getLogger(__name__)

# Arrival and the stream's own times may differ so much, as where a server sends seconds of it in one go.
BURST_S = 15.0


class Timeline:
    """The times of one live source over all its connections.

    A picture's time in seconds goes by the stream's own time stamps, which do not shake as arrival does; it
    starts at 0 and never falls, whatever these or the system's clock do. The time of day is the camera's
    where the stream tells it (RTCP sender reports, producer reference times).
    """

    def __init__(self, name: str, tolerance_s: float) -> None:
        """A camera's clock that is further than ``tolerance_s`` from ours is not believed."""
        self._name = name
        self._tolerance_s = tolerance_s
        self._begun = time.monotonic()
        self._last = 0.0
        self._shift: float | None = None
        self._camera: float | None = None
        self._told = False

    def connect(self) -> None:
        """A connection begins: its time stamps have nothing to do with the last one's."""
        self._shift = self._camera = None

    def refer(self, packet: Packet[Any]) -> None:
        """Take in what a packet tells of the camera's clock, as FFmpeg passes it on."""
        if packet.pts is None or packet.time_base is None or not packet.has_sidedata("prft"):
            return
        # AVProducerReferenceTime: microseconds since 1970 as a 64-bit integer, then flags.
        (wall,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
        self._camera = wall / 1e6 - float(packet.pts * packet.time_base)

    def place(self, stamp: float | None, arrived: float) -> tuple[float, float | None]:
        """A picture with time ``stamp`` (seconds) that has just arrived (Unix time).

        Returns the seconds since the source's start, and the camera's Unix time or None.
        """
        elapsed = time.monotonic() - self._begun
        if stamp is None:
            self._last = max(self._last, elapsed)
            return self._last, None
        if self._shift is None or abs(stamp + self._shift - elapsed) > BURST_S:
            self._shift = elapsed - stamp
        self._last = max(self._last, stamp + self._shift)
        return self._last, self._of_camera(stamp, arrived)

    def expects(self, stamp: float) -> float | None:
        """The seconds since the source's start at which ``place`` will put ``stamp``, while nothing jumps."""
        return None if self._shift is None else stamp + self._shift

    def _of_camera(self, stamp: float, arrived: float) -> float | None:
        if self._camera is None or not self._tolerance_s:
            return None
        taken = stamp + self._camera
        if abs(taken - arrived) <= self._tolerance_s:
            return taken
        if not self._told:
            self._told = True
            log.warning(
                "%s: the camera's clock is %.0f s off; times of arrival are used", self._name, taken - arrived
            )
        return None


class Pace:
    """Lets ``max_fps`` pictures a second pass, evenly, whatever the rate of the source."""

    def __init__(self, max_fps: float | None) -> None:
        """None: all pass."""
        self._step = 1 / max_fps if max_fps else 0.0
        self._due: float | None = None

    def wants(self, time_s: float) -> bool:
        """Whether the picture at this time passes; times do not fall."""
        if not self._step or self._due is None:
            self._due = time_s + self._step
            return True
        if self.passes_over(time_s):
            return False
        self._due = max(self._due, time_s - self._step) + self._step
        return True

    def passes_over(self, time_s: float) -> bool:
        """Whether it is certain by now that the picture at this time does not pass."""
        # Time stamps are rounded, some to milliseconds.
        return self._due is not None and bool(self._step) and time_s < self._due - 0.002
