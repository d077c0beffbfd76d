"""When to look: for a track's plate, which may have settled or not show, and at its colour."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.passages import Passage
from plateloop.types import FloatArray


class ScheduleConfig(BaseModel):
    """What is done how often. A round is a frame in which vehicles are detected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interval: int = Field(
        3, ge=1, description="vehicles are detected in every n-th frame, tracked in between"
    )
    settled_every: int = Field(8, ge=1, description="rounds between looks at a plate whose text has settled")
    blank_after: int = Field(6, ge=1, description="fruitless looks after which a vehicle is looked at less")
    blank_every: int = Field(3, ge=1, description="rounds between looks at such a vehicle")
    free_every: int = Field(
        3, ge=1, description="rounds between looks for plates without a vehicle, while vehicles show no plate"
    )
    min_plate: float = Field(8.0, ge=1, description="height in pixels below which a plate is not read")
    color_looks: int = Field(4, ge=0, description="times that a vehicle's colour is named, as it grows")


@dataclass(slots=True)
class Attention:
    """What one track was looked at for.

    ``looked`` is the round of the last look for its plate, ``blanks`` how many were fruitless since one was
    found; ``plate`` (4, 2) is where its corners lay in the track's box, in shares of it, at ``plate_s``
    seconds. Its colour was looked at ``colors`` times, last with ``color_area`` pixels. ``trail`` is where it
    was drawn.
    """

    looked: int = -(10**9)
    blanks: int = 0
    plate: FloatArray | None = None
    plate_s: float = 0.0
    colors: int = 0
    color_area: float = 0.0
    trail: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=48))

    def wants_plate(self, passage: Passage | None, now: int, schedule: ScheduleConfig) -> bool:
        """Whether its plate is to be sought in the round ``now``."""
        every = 1
        if passage is not None and passage.fused.settled:
            every = schedule.settled_every
        elif self.blanks >= schedule.blank_after:
            every = schedule.blank_every
        return now - self.looked >= every

    def wants_color(self, passage: Passage | None, box: FloatArray, schedule: ScheduleConfig) -> bool:
        """Whether its colour is to be named at this box; if so, that counts as a look."""
        if passage is None or self.colors >= schedule.color_looks or passage.frames < 3:
            return False
        size = float((box[2] - box[0]) * (box[3] - box[1]))
        if size < 1.5 * self.color_area:
            return False
        self.colors += 1
        self.color_area = size
        return True
