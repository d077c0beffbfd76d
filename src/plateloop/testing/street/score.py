"""How much of a rendered clip's truth a run has read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plateloop.geometry import iou
from plateloop.testing.street.camera import floats
from plateloop.testing.street.truth import FrameTruth, VehicleTruth
from plateloop.types import Event

_SAME = 0.3  # IoU from which an event's box is taken to be that vehicle's


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one vehicle of the truth.

    ``plate_px`` is the greatest width in pixels at which its plate was whole in the picture. ``read`` and
    ``confidence`` are the final reading of the surest event about it, None and 0 where there is none.
    """

    vehicle: VehicleTruth
    plate_px: float
    read: str | None
    confidence: float

    @property
    def right(self) -> bool:
        """Whether the text is exactly the truth's."""
        return self.read == self.vehicle.text


@dataclass(frozen=True, slots=True)
class Score:
    """All vehicles' outcomes, by their id, and the texts of events that belong to no vehicle."""

    outcomes: tuple[Outcome, ...]
    strays: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of vehicles whose plate was read exactly."""
        return sum(o.right for o in self.outcomes) / max(len(self.outcomes), 1)


def score(frames: Sequence[FrameTruth], events: Sequence[Event], smallest: float = 24.0) -> Score:
    """Compare the ``events`` of a run with the truth of its clip.

    An event belongs to the vehicle whose box it overlaps most at the times of its lines. Vehicles whose plate
    never is ``smallest`` pixels wide and whole in the picture do not count.
    """
    owners = _owners(frames, events)
    final = {event.id: event for event in events}
    outcomes = []
    for number, (vehicle, width) in sorted(_vehicles(frames).items()):
        if width < smallest:
            continue
        own = [e for key, e in final.items() if owners.get(key) == number and e.text is not None]
        best = max(own, key=lambda event: event.confidence, default=None)
        outcomes.append(
            Outcome(vehicle, width, best.text if best else None, best.confidence if best else 0.0)
        )
    strays = tuple(e.text for key, e in final.items() if e.text is not None and key not in owners)
    return Score(tuple(outcomes), strays)


def _vehicles(frames: Sequence[FrameTruth]) -> dict[int, tuple[VehicleTruth, float]]:
    """Each vehicle where its plate is widest, and that width."""
    found: dict[int, tuple[VehicleTruth, float]] = {}
    for frame in frames:
        for vehicle in frame.vehicles:
            corners = vehicle.corners
            width = float(np.hypot(*np.subtract(corners[1], corners[0]))) if corners else 0.0
            if vehicle.id not in found or width > found[vehicle.id][1]:
                found[vehicle.id] = vehicle, width
    return found


def _owners(frames: Sequence[FrameTruth], events: Sequence[Event]) -> dict[str, int]:
    """Event id → the id of the vehicle that most of its lines overlap."""
    times = np.array([frame.time_s for frame in frames])
    votes: dict[str, Counter[int]] = {}
    for event in events:
        present = frames[int(np.abs(times - event.last_s).argmin())].vehicles
        if event.vehicle is None or not present:
            continue
        overlap = iou(floats([event.vehicle.box]), floats([v.box for v in present]))[0]
        if overlap.max() >= _SAME:
            votes.setdefault(event.id, Counter())[present[int(overlap.argmax())].id] += 1
    return {key: count.most_common(1)[0][0] for key, count in votes.items()}
