"""One stream's state: what is tracked, what is still worth looking at, and what has been told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plateloop.deployment.capture import Shot
from plateloop.deployment.fusion import FusionConfig, sharpness, weight
from plateloop.deployment.overlay import Mark, as_box
from plateloop.deployment.passages import EventId, PassageConfig, Passages, random_id
from plateloop.deployment.regions import Polygon, bounds, inside
from plateloop.deployment.schedule import Attention, ScheduleConfig
from plateloop.deployment.tracking import TrackerConfig, Tracks, predict, step
from plateloop.geometry import clip, expand, nms
from plateloop.runtime import lpdnet
from plateloop.runtime.lprnet import heights, quadrilaterals
from plateloop.types import (
    Box,
    Color,
    Corners,
    Detections,
    Event,
    EventVehicle,
    FloatArray,
    IntArray,
    Plates,
    Reading,
    TrackState,
)

NOBODY = -1
# Seconds that a plate is drawn on after it was found: after a fruitless look, and while none was due.
SHOWN_S = 0.5
UNDISTURBED_S = 3.0
SAME_VEHICLE = 0.7


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """All settings of one stream's state."""

    schedule: ScheduleConfig
    tracker: TrackerConfig
    fusion: FusionConfig
    passages: PassageConfig
    regions: tuple[Polygon, ...] = ()


@dataclass(slots=True)
class Work:
    """One frame on its way through the cascade.

    ``regions`` are where plates are sought, ``owners`` (N,) the track of each, -1 for none; ``painted`` and
    ``painters`` the same for colours; ``plates`` and ``bearers`` for plates to be read. ``seen`` and ``lost``
    are what the trackers have to say of this frame, ``vehicles`` and ``free`` their tracks at its time.
    ``best`` are the plates that were never read better, as in `Result`.
    ``outside`` (N, 4) are vehicles outside the regions of interest.
    """

    shot: Shot
    vehicles: Tracks
    free: Tracks
    regions: Detections = field(default_factory=Detections.empty)
    owners: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    painted: Detections = field(default_factory=Detections.empty)
    painters: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    plates: Detections = field(default_factory=lambda: Detections.empty(corners=True))
    bearers: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    seen: list[tuple[int, EventVehicle | None, int]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    best: list[tuple[str, Corners, Box | None]] = field(default_factory=list)
    outside: FloatArray = field(default_factory=lambda: np.zeros((0, 4), np.float32))


class Stream:
    """Tracks, attention and passages of one source.

    A batch of its frames goes through ``wants_vehicles`` → tcnet → ``follow`` → lpdnet → ``choose`` → lprnet,
    colornet → ``absorb``: each step is called for all frames of the batch, in order, before the next one.
    """

    def __init__(
        self,
        source: str,
        labels: Sequence[str],
        alphabet: str,
        config: StreamConfig,
        event_id: EventId = random_id,
    ) -> None:
        """``labels`` are tcnet's classes, ``alphabet`` lprnet's."""
        self.config = config
        self.passages = Passages(source, alphabet, config.passages, config.fusion, event_id)
        self._labels = tuple(labels)
        self._vehicles = Tracks.empty(len(labels))
        # Plates without a vehicle; their boxes are grown, since small things leave their own box in no time.
        self._free = Tracks.empty(1)
        self._next_id = 1
        self._round = 0
        self._last: Shot | None = None
        self._free_last: Shot | None = None
        self._detected: int | None = None
        self._planned: int | None = None
        self._attention: dict[int, Attention] = {}

    def wants_vehicles(self, shot: Shot) -> bool:
        """Whether vehicles are to be detected in this frame, the next one of the stream."""
        due = self._planned is None or shot.index - self._planned >= self.config.schedule.interval
        if due:
            self._planned = shot.index
        return due

    def follow(self, shot: Shot, found: Detections | None) -> Work:
        """Move the tracks on to this frame, with the vehicles found in it (None: not looked for)."""
        self._vehicles = _moved(self._vehicles, self._last, shot)
        self._last = shot
        work = Work(shot, self._vehicles, self._free)
        if found is None:
            return work
        self._round += 1
        # One vehicle with two labels, or boxed twice, would be two tracks that take turns with its plate.
        found = found[nms(found.boxes, found.scores, None, SAME_VEHICLE)]
        inside = self._are_inside((found.boxes[:, [0, 3]] + found.boxes[:, 2:]) / 2, shot)
        found, work.outside = found[inside], found.boxes[~inside]
        spent = 1 if self._detected is None else shot.index - self._detected
        self._detected = shot.index
        before = self._vehicles
        self._vehicles, rows, self._next_id = step(before, found, self.config.tracker, self._next_id)
        work.vehicles = self._vehicles
        work.lost += np.setdiff1d(before.ids, self._vehicles.ids).tolist()
        followed = np.isin(self._vehicles.ids, before.ids[before.missed == 0])
        for index in np.flatnonzero(rows >= 0):
            row = rows[index]
            vehicle = EventVehicle(
                label=self._labels[self._vehicles.labels[row]],
                box=as_box(found.boxes[index]),
                confidence=round(float(found.scores[index]), 4),
            )
            work.seen.append((int(self._vehicles.ids[row]), vehicle, spent if followed[row] else 1))
        self._plan(work, found[rows >= 0], self._vehicles.ids[rows[rows >= 0]])
        return work

    def choose(self, work: Work, plates: Plates) -> None:
        """Of the plates found in ``work.regions`` choose those to be read, and follow those of no vehicle."""
        found = plates.detections
        # A plate of a vehicle outside, or one of no vehicle that lies outside itself, is of no interest.
        strays = lpdnet.owners(found.boxes, np.concatenate([work.vehicles.boxes, work.outside]))
        middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        owned = (strays >= 0) & (strays < len(work.vehicles))
        found = found[owned | ((strays < 0) & self._are_inside(middles, work.shot))]
        # Of all vehicles, not only of those looked at: a plate found in the whole frame may be of one.
        vehicle = lpdnet.owners(found.boxes, work.vehicles.boxes)
        bearers = np.append(work.vehicles.ids, NOBODY)[vehicle]
        bearers[bearers == NOBODY] = self._follow_free(work, found[bearers == NOBODY])
        # Rows fall by score: of two plates on one vehicle the first is taken.
        _, first = np.unique(bearers, return_index=True)
        first = np.sort(first[bearers[first] != NOBODY])
        for track in set(work.owners.tolist()) - {NOBODY} - set(bearers.tolist()):
            self._attend(track).blanks += 1
        for row in first:
            self._place_plate(work, int(bearers[row]), quadrilaterals(found[row : row + 1])[0])
        large = heights(found[first]) >= self.config.schedule.min_plate
        work.plates, work.bearers = found[first[large]], bearers[first[large]]

    def absorb(self, work: Work, readings: Sequence[Reading], colors: Sequence[Color]) -> list[Event]:
        """Take in what was seen, read and named in this frame; returns the events that are due."""
        for track, vehicle, count in work.seen:
            self.passages.see(track, work.shot.time_s, vehicle, count)
        quads = quadrilaterals(work.plates)
        tall = heights(work.plates)
        for row, (track, reading) in enumerate(zip(work.bearers.tolist(), readings, strict=True)):
            box = work.plates.boxes[row]
            corners = _as_corners(quads[row])
            best = self.passages.read(
                track,
                reading,
                weight(float(tall[row]), sharpness(work.shot.frame.luma(box))),
                as_box(box),
                corners,
                float(work.plates.scores[row]),
            )
            passage = self.passages.of(track)
            if best and passage is not None:
                here = work.vehicles.boxes[work.vehicles.ids == track]
                work.best.append((passage.id, corners, as_box(here[0]) if len(here) else None))
        for track, color in zip(work.painters.tolist(), colors, strict=True):
            self.passages.name(track, color)
        for track in work.lost:
            self._attention.pop(track, None)
            self.passages.lose(track)
        return self.passages.advance(work.shot.time_s, work.shot.clock)

    def finish(self) -> list[Event]:
        """The stream has ended."""
        return self.passages.finish()

    def states(self, work: Work) -> list[TrackState]:
        """What is followed in an absorbed frame, doubtful things left out."""
        result = []
        for tracks in (work.vehicles, work.free):
            shown = tracks[(tracks.unseen < SHOWN_S) & (tracks.hits >= self.config.tracker.confirm)]
            for track, box, label in zip(shown.ids.tolist(), shown.boxes, shown.labels, strict=True):
                passage = self.passages.of(track)
                if passage is not None and self.passages.is_sure(passage):
                    name = self._labels[label] if tracks is work.vehicles else None
                    text, confidence = passage.fused.text, passage.fused.confidence
                    said = (text, confidence if text is not None else 0.0, passage.color)
                    result.append(TrackState(passage.id, passage.track, name, as_box(box), *said))
        return result

    def marks(self, work: Work, trails: bool) -> list[Mark]:
        """What to draw onto an absorbed frame."""
        result = []
        for tracks in (work.vehicles, work.free):
            is_vehicle = tracks is work.vehicles
            shown = tracks[(tracks.unseen < SHOWN_S) & (tracks.hits >= self.config.tracker.confirm)]
            for track, box, label in zip(shown.ids.tolist(), shown.boxes, shown.labels, strict=True):
                passage = self.passages.of(track)
                if passage is None or not self.passages.is_sure(passage):
                    continue
                attention = self._attend(track)
                color = passage.color
                name = f"{color.label} {self._labels[label]}" if color else self._labels[label]
                attention.trail.append((float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2))
                corners = None
                shown_s = SHOWN_S if attention.blanks else UNDISTURBED_S
                if attention.plate is not None and abs(work.shot.time_s - attention.plate_s) < shown_s:
                    corners = box[:2] + attention.plate * (box[2:] - box[:2])
                result.append(
                    Mark(
                        passage.track,
                        as_box(box) if is_vehicle else None,
                        corners,
                        f"{name} #{passage.track}" if is_vehicle else "",
                        passage.fused.text or "",
                        passage.fused.confidence,
                        np.array(attention.trail, np.float32) if is_vehicle and trails else None,
                    )
                )
        return result

    def _plan(self, work: Work, found: Detections, tracks: IntArray) -> None:
        schedule, frame = self.config.schedule, work.shot.frame
        known = [(self._attend(track), self.passages.of(track)) for track in tracks.tolist()]
        due = np.array([track.wants_plate(passage, self._round, schedule) for track, passage in known], bool)
        for track in tracks[due].tolist():
            self._attend(track).looked = self._round
        regions, owners = [found.boxes[due]], [tracks[due]]
        if len(self._free):
            regions.append(clip(self._free.boxes, frame.width, frame.height))
            owners.append(self._free.ids)
        bare = all(track.plate is None for track, _ in known)
        if bare and self._round % schedule.free_every == 1 % schedule.free_every:
            regions.append(bounds(self.config.regions, frame.width, frame.height))
            owners.append(np.array([NOBODY]))
        boxes = np.concatenate(regions)
        work.regions = Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int64))
        work.owners = np.concatenate(owners)
        paint = np.array(
            [
                track.wants_color(passage, box, schedule)
                for (track, passage), box in zip(known, found.boxes, strict=True)
            ],
            bool,
        )
        work.painted, work.painters = found[paint], tracks[paint]

    def _are_inside(self, points: NDArray[np.floating], shot: Shot) -> NDArray[np.bool_]:
        return inside(points, self.config.regions, shot.frame.width, shot.frame.height)

    def _follow_free(self, work: Work, found: Detections) -> IntArray:
        self._free = _moved(self._free, self._free_last, work.shot)
        self._free_last = work.shot
        work.free = self._free
        if not len(work.regions):
            return np.zeros(0, np.int64)
        before = self._free
        grown = Detections(expand(found.boxes, 1.0), found.scores, found.labels)
        self._free, rows, self._next_id = step(before, grown, self.config.tracker, self._next_id)
        work.free = self._free
        work.lost += np.setdiff1d(before.ids, self._free.ids).tolist()
        ids = np.append(self._free.ids, NOBODY)[rows]
        work.seen += [(track, None, 1) for track in ids.tolist() if track != NOBODY]
        return ids

    def _place_plate(self, work: Work, track: int, quad: FloatArray) -> None:
        attention = self._attend(track)
        attention.blanks = 0
        for tracks in (work.vehicles, work.free):
            for row in np.flatnonzero(tracks.ids == track):
                box = tracks.boxes[row]
                attention.plate = (quad - box[:2]) / (box[2:] - box[:2])
                attention.plate_s = work.shot.time_s

    def _attend(self, track: int) -> Attention:
        return self._attention.setdefault(track, Attention())


def _moved(tracks: Tracks, last: Shot | None, now: Shot) -> Tracks:
    if last is None:
        return tracks
    return predict(tracks, now.index - last.index, now.time_s - last.time_s)


def _as_corners(quad: FloatArray) -> Corners:
    a, b, c, d = ((round(float(x), 2), round(float(y), 2)) for x, y in quad)
    return a, b, c, d
