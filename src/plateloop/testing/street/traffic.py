"""Who drives through the clip, and where everybody is at a given time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plateloop.testing.street.bodies import SHAPES
from plateloop.testing.street.ground import LANES
from plateloop.testing.street.raster import Pose

GATE = 12.0  # metres before the camera: where a plate is large and whole in the picture
AWAY = 2  # the lane whose traffic drives away from the camera

PAINTS: dict[str, tuple[int, int, int]] = {
    "red": (150, 22, 26),
    "white": (214, 215, 215),
    "blue": (26, 58, 122),
    "black": (13, 13, 15),
    "silver": (134, 138, 142),
    "gray": (84, 87, 91),
    "green": (28, 84, 56),
    "yellow": (222, 172, 24),
    "orange": (206, 92, 22),
}


@dataclass(frozen=True, slots=True)
class Passage:
    """A vehicle of ``kind`` in ``color`` that drives in ``lane`` at ``speed`` m/s.

    Its plate, of the synthetic style ``plate``, passes the gate at ``time`` seconds; ``face`` picks its face.
    """

    kind: str
    color: str
    lane: int
    speed: float
    time: float
    plate: str
    face: int

    def pose(self, time: float) -> Pose:
        """Where it is at ``time`` seconds."""
        shape = SHAPES[self.kind]
        wander = 0.9 * self.speed * (time - self.time) / 10 + self.face
        x = LANES[self.lane] + 0.12 * np.sin(wander)
        turn = 0.012 * np.cos(wander)
        if self.lane == AWAY:
            y = GATE - shape.tail + self.speed * (time - self.time)
            return Pose(float(x), float(y), float(np.pi / 2 - turn))
        y = GATE + shape.nose - self.speed * (time - self.time)
        return Pose(float(x), float(y), float(-np.pi / 2 + turn))

    def in_view(self, time: float) -> bool:
        """Whether it is near enough to be drawn, and not yet behind the camera."""
        y = self.pose(time).y
        return y + SHAPES[self.kind].nose > 1.0 and y < 140.0


PASSAGES = (
    Passage("sedan", "blue", 1, 9.0, 1.1, "de", 0),
    Passage("hatchback", "red", 0, 9.6, 2.2, "gb", 1),
    Passage("sedan", "gray", 2, 8.0, 1.6, "nl", 2),
    Passage("suv", "black", 1, 8.6, 3.6, "fr", 3),
    Passage("van", "white", 0, 9.2, 4.7, "es", 1),
    Passage("hatchback", "orange", 2, 8.8, 4.2, "it", 0),
    Passage("sedan", "silver", 1, 9.4, 6.2, "be", 5),
    Passage("bus", "yellow", 0, 8.4, 8.0, "pl", 2),
    Passage("truck", "white", 2, 8.4, 7.0, "cz", 3),
    Passage("hatchback", "white", 1, 9.0, 9.4, "pt", 4),
)
