"""What was seen of a video: each detection round with its tracks, and what became known of each track."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise

import numpy as np

from plateloop.deployment.fusion import Fused
from plateloop.deployment.sources import SourceConfig
from plateloop.geometry import box_array, coverage, iou
from plateloop.types import Box, Color, Corners, EventVehicle, FloatArray

GAP_S = 1.5
"""Seconds between two sightings up to which the vehicle is taken to have been there in between."""

NEAR_S = 0.5
"""Seconds from a plate's sighting within which the vehicle is taken to have shown it still."""

COVERED = 0.4
"""Share of a missed vehicle that another covers, above which it was hidden, or found under another number."""


@dataclass(frozen=True, slots=True)
class PlateSight:
    """A plate in one frame. ``text`` is None where it was not read; ``height`` in pixels."""

    box: Box
    corners: Corners
    score: float
    height: float
    text: str | None = None
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Sight:
    """A track in one frame: its vehicle (None of a plate by itself), its plate, and whether it was sought."""

    track: int
    vehicle: EventVehicle | None
    plate: PlateSight | None
    looked: bool


@dataclass(frozen=True, slots=True)
class Round:
    """A frame in which vehicles were sought.

    ``unsure`` are vehicles that no track took, ``loose`` plates beyond the sights'.
    """

    index: int
    time_s: float
    arrived: float
    width: int
    height: int
    sights: tuple[Sight, ...]
    unsure: tuple[Box, ...] = ()
    loose: tuple[PlateSight, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What became known of a track: its passage's id, its fused text and its colour."""

    passage: str
    fused: Fused
    color: Color | None


@dataclass(frozen=True, slots=True)
class Gap:
    """A round in which a track's vehicle was not found, though it was before and after.

    All ``length`` rounds of one gap have the round before it as their ``run``.
    """

    round: int
    track: int
    box: Box
    score: float
    length: int
    run: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A vehicle without a plate whose track shows one close by: where it should be, and how sure that is.

    ``between``: it was seen before and after. ``score`` is the lesser of these plates' scores. ``run`` is the
    same for all rounds between two sightings of the plate.
    """

    round: int
    sight: Sight
    corners: Corners
    score: float
    between: bool
    run: int


@dataclass
class History:
    """One source as it was seen. ``name`` is unique among the sources and safe in file names.

    ``start`` is the time of its first frame; None of a source that cannot be read twice, whose frames were
    when they arrived.
    """

    source: SourceConfig
    name: str
    start: datetime | None = None
    rounds: list[Round] = field(default_factory=list)
    known: dict[int, Known] = field(default_factory=dict)
    frames: int = 0
    error: str | None = None

    def time(self, seen: Round) -> datetime:
        """When a round was, in UTC."""
        if self.start is None:
            return datetime.fromtimestamp(seen.arrived, UTC)
        return self.start + timedelta(seconds=seen.time_s)

    @cached_property
    def tracks(self) -> dict[int, list[tuple[int, Sight]]]:
        """Of each track its sightings, with the number of their round; once all rounds are there."""
        found: defaultdict[int, list[tuple[int, Sight]]] = defaultdict(list)
        for number, seen in enumerate(self.rounds):
            for sight in seen.sights:
                found[sight.track].append((number, sight))
        return dict(found)

    @cached_property
    def labels(self) -> dict[int, str]:
        """The label that each track's vehicle bore most surely, by summed scores."""
        votes: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for track, sights in self.tracks.items():
            for _, sight in sights:
                if sight.vehicle is not None:
                    votes[track][sight.vehicle.label] += sight.vehicle.confidence  # type: ignore[assignment]
        return {track: count.most_common(1)[0][0] for track, count in votes.items()}

    @cached_property
    def gaps(self) -> list[Gap]:
        """Where a vehicle must have been though it was not found."""
        return [gap for sights in self.tracks.values() for gap in self._gaps(sights)]

    @cached_property
    def missing(self) -> list[Missing]:
        """Where a vehicle must have shown its plate though none was found."""
        return [found for sights in self.tracks.values() for found in self._missing(sights)]

    def covered(self, gap: Gap) -> float:
        """The share of a gap's box that lies within a vehicle found in its round."""
        boxes = [sight.vehicle.box for sight in self.rounds[gap.round].sights if sight.vehicle is not None]
        others = box_array(boxes)
        return float(coverage(np.array([gap.box], np.float32), others).max(initial=0))

    def _gaps(self, sights: list[tuple[int, Sight]]) -> Iterator[Gap]:
        for (before, first), (after, last) in pairwise(sights):
            if first.vehicle is None or last.vehicle is None:
                continue
            start, end = self.rounds[before].time_s, self.rounds[after].time_s
            if after - before < 2 or end - start > GAP_S:
                continue
            for number in range(before + 1, after):
                share = (self.rounds[number].time_s - start) / (end - start)
                box = _between(np.array(first.vehicle.box), np.array(last.vehicle.box), share)
                score = min(first.vehicle.confidence, last.vehicle.confidence)
                yield Gap(number, first.track, _box(box), score, after - before - 1, before)

    def _missing(self, sights: list[tuple[int, Sight]]) -> Iterator[Missing]:
        shown = [(number, sight) for number, sight in sights if sight.vehicle and sight.plate]
        for number, sight in sights:
            if sight.vehicle is None or sight.plate is not None:
                continue
            frame = self.rounds[number]
            run = bisect_left(shown, number, key=lambda item: item[0])
            near = [
                other
                for at, other in shown[max(0, run - 1) : run + 1]
                if abs(self.rounds[at].time_s - frame.time_s) <= NEAR_S
            ]
            shares = np.array([_share(other) for other in near], np.float32)
            if not near or _moved(shares):
                continue
            x1, y1, x2, y2 = sight.vehicle.box
            quad = shares.mean(0) * (x2 - x1, y2 - y1) + (x1, y1)
            corners = as_corners(quad)
            outside = (quad < 0).any() or (quad > (frame.width, frame.height)).any()
            if outside or _shows(frame, around(corners)):
                continue
            score = min(other.plate.score for other in near if other.plate)
            yield Missing(number, sight, corners, score, len(near) == 2, run)


def as_corners(quad: FloatArray) -> Corners:
    """Points (4, 2) as plain floats, to a hundredth of a pixel."""
    a, b, c, d = ((round(float(x), 2), round(float(y), 2)) for x, y in quad)
    return a, b, c, d


def around(corners: Corners) -> Box:
    """The box around corners."""
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _shows(seen: Round, box: Box) -> bool:
    # Whether some plate was found about there, if for another vehicle.
    plates = [sight.plate for sight in seen.sights if sight.plate is not None]
    boxes = box_array([plate.box for plate in (*plates, *seen.loose)])
    return bool(iou(np.array([box], np.float32), boxes).max(initial=0) > 0.1)


def _share(sight: Sight) -> FloatArray:
    # Where the plate lies in its vehicle's box, (4, 2) in shares of it.
    assert sight.vehicle is not None and sight.plate is not None
    x1, y1, x2, y2 = sight.vehicle.box
    return np.asarray((np.array(sight.plate.corners) - (x1, y1)) / (x2 - x1, y2 - y1), np.float32)


def _moved(shares: FloatArray) -> bool:
    # Whether plates (N, 4, 2), in shares of a vehicle, lie apart by more than half their size: two plates.
    size = np.ptp(shares, 1).mean(0)
    return bool((np.ptp(shares.mean(1), 0) > size / 2).any())


def _between(first: FloatArray, last: FloatArray, share: float) -> FloatArray:
    return np.asarray(first + share * (last - first))


def _box(values: FloatArray) -> Box:
    x1, y1, x2, y2 = (round(float(value), 2) for value in values)
    return x1, y1, x2, y2
