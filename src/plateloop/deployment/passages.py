"""From tracks to events: a vehicle's passage, from its begin to its end.

An event begins once its plate has been read or the vehicle has been seen for a second. What was not read, and
was seen in fewer frames than ``min_frames`` or never surely, makes none. A vehicle that the tracker lost and
found again, recognised by the same text in the same source, is the same event: so an end waits for
``merge_s``, and an end always comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.fusion import UNREAD, Fused, FusionConfig, Sighting, fuse, keep
from plateloop.geometry import iou
from plateloop.types import Box, Clock, Color, Corners, Event, EventPlate, EventVehicle, Reading

EventId = Callable[[int], str]


def random_id(_: int) -> str:
    """An id that no other event has."""
    return str(uuid4())


class PassageConfig(BaseModel):
    """When events begin, change and end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_frames: int = Field(5, ge=1, description="unread vehicles seen in fewer frames make no event")
    min_score: float = Field(
        0.6, ge=0, le=1, description="unread vehicles never detected so surely make no event and no mark"
    )
    begin_s: float = Field(1.0, ge=0, description="seconds after which an unread vehicle's event begins")
    merge_s: float = Field(3.0, ge=0, description="seconds in which a lost vehicle's text may come back")
    update_gain: float = Field(0.05, gt=0, description="rise of the confidence that is worth an update")
    update_s: float = Field(0.5, ge=0, description="least seconds between updates for a mere rise")


@dataclass(slots=True)
class Passage:
    """What is known of one vehicle so far."""

    id: str
    track: int
    first_s: float
    last_s: float
    frames: int = 0
    readings: int = 0
    sightings: tuple[Sighting, ...] = ()
    fused: Fused = UNREAD
    colors: dict[str, float] = field(default_factory=dict)
    vehicle: EventVehicle | None = None
    best_score: float = 0.0
    plate: EventPlate | None = None
    plate_value: float = -1.0
    begun: bool = False
    lost: bool = False
    said: tuple[str | None, float, float] = (None, 0.0, 0.0)

    @property
    def color(self) -> Color | None:
        """The colour with most votes, and its share of them times their mean confidence."""
        if not self.colors:
            return None
        label = max(sorted(self.colors), key=lambda name: self.colors[name])
        return Color(label, self.colors[label] / max(1.0, sum(self.colors.values())))


class Passages:
    """The passages of one source, by track number. Times are seconds of the source and must not fall."""

    def __init__(
        self,
        source: str,
        alphabet: str,
        config: PassageConfig,
        fusion: FusionConfig,
        event_id: EventId = random_id,
    ) -> None:
        """``event_id`` names a passage by the track that it begins with."""
        self._source = source
        self._alphabet = alphabet
        self._config = config
        self._fusion = fusion
        self._event_id = event_id
        self._of_track: dict[int, Passage] = {}
        self._open: dict[str, Passage] = {}
        self._events: list[Event] = []
        self._clock: Clock = "file"

    def of(self, track: int) -> Passage | None:
        """The passage that ``track`` belongs to."""
        return self._of_track.get(track)

    def is_sure(self, passage: Passage) -> bool:
        """Whether this is a vehicle beyond doubt: one that was read, or once detected surely."""
        return passage.fused.text is not None or passage.best_score >= self._config.min_score

    def see(self, track: int, time_s: float, vehicle: EventVehicle | None, frames: int = 1) -> None:
        """A track was seen, as a vehicle or (None) only as a plate, at the end of ``frames`` frames."""
        passage = self._of_track.get(track)
        if passage is None:
            passage = Passage(self._event_id(track), track, time_s, time_s)
            self._of_track[track] = self._open[passage.id] = passage
        passage.lost = False
        if time_s > passage.last_s or not passage.frames:
            passage.frames += frames
        passage.last_s = time_s
        if vehicle is not None:
            passage.vehicle = vehicle
            passage.best_score = max(passage.best_score, vehicle.confidence)

    def read(
        self, track: int, reading: Reading, weight: float, box: Box, corners: Corners, score: float
    ) -> bool:
        """The plate of a track that ``see`` knows was found and read; whether that was never done better."""
        passage = self._of_track[track]
        value = weight * reading.confidence
        best = value > passage.plate_value
        if best:
            passage.plate_value = value
            passage.plate = EventPlate(box=box, corners=corners, confidence=round(score, 4))
        if not reading.text:
            return best
        passage.readings += 1
        passage.sightings = keep(passage.sightings, Sighting(reading, weight), self._fusion.keep)
        self._fuse(passage)
        return best

    def name(self, track: int, color: Color) -> None:
        """The colour of a track that ``see`` knows was named."""
        colors = self._of_track[track].colors
        colors[color.label] = colors.get(color.label, 0.0) + color.confidence

    def lose(self, track: int) -> None:
        """The tracker gave a track up; its passage ends unless its text comes back in time."""
        passage = self._of_track.pop(track, None)
        if passage is not None and passage not in self._of_track.values():
            passage.lost = True

    def advance(self, time_s: float, clock: Clock | None = None) -> list[Event]:
        """The events that are due at ``time_s``, in the order in which they happened.

        ``clock`` is what the time of day goes by from now on.
        """
        self._clock = clock or self._clock
        for passage in list(self._open.values()):
            if passage.id not in self._open:
                continue
            if not passage.begun:
                self._merge(passage)
            if passage.id in self._open:
                self._report(passage, time_s)
        events, self._events = self._events, []
        return events

    def finish(self) -> list[Event]:
        """The source has ended: all passages do."""
        for passage in self._open.values():
            passage.lost = True
        self._of_track.clear()
        return self.advance(float("inf"))

    def _fuse(self, passage: Passage) -> None:
        passage.fused = fuse(passage.sightings, self._alphabet, self._fusion)

    def _merge(self, passage: Passage) -> None:
        others = (other for other in self._open.values() if other is not passage)
        other = next((other for other in others if _is_same(passage, other)), None)
        if other is None:
            return
        del self._open[passage.id]
        for track, owner in self._of_track.items():
            if owner is passage:
                self._of_track[track] = other
        together = passage.sightings + other.sightings
        other.sightings = ()
        for sighting in together:
            other.sightings = keep(other.sightings, sighting, self._fusion.keep)
        self._fuse(other)
        other.lost = other.lost and passage.lost
        other.first_s, other.last_s = min(other.first_s, passage.first_s), max(other.last_s, passage.last_s)
        other.frames += passage.frames
        other.readings += passage.readings
        for label, votes in passage.colors.items():
            other.colors[label] = other.colors.get(label, 0.0) + votes
        other.vehicle = passage.vehicle or other.vehicle
        other.best_score = max(other.best_score, passage.best_score)
        if passage.plate_value > other.plate_value:
            other.plate, other.plate_value = passage.plate, passage.plate_value

    def _report(self, passage: Passage, time_s: float) -> None:
        config, fused = self._config, passage.fused
        over = passage.lost and time_s - passage.last_s > config.merge_s
        if not passage.begun:
            # While a lost vehicle may still come back, a new one without a text may be it.
            waits = any(other.lost and other.begun for other in self._open.values())
            patience = max(config.begin_s, config.merge_s) if waits else config.begin_s
            unread = fused.text is None and passage.last_s - passage.first_s < patience
            long = fused.text is not None or passage.frames >= config.min_frames
            if long and self.is_sure(passage) and (over or not unread):
                passage.begun = True
                self._say(passage, "begin")
        elif not over:
            text, confidence, said_s = passage.said
            better = fused.confidence >= confidence + config.update_gain
            if fused.text != text or (
                fused.text is not None and better and passage.last_s >= said_s + config.update_s
            ):
                self._say(passage, "update")
        if over:
            del self._open[passage.id]
            if passage.begun:
                self._say(passage, "end")

    def _say(self, passage: Passage, phase: str) -> None:
        fused, color = passage.fused, passage.color
        vehicle, plate = passage.vehicle, passage.plate
        if vehicle is not None and color is not None:
            named = {"color": color.label, "color_confidence": round(color.confidence, 4)}
            vehicle = vehicle.model_copy(update=named)
        if plate is not None:
            plate = plate.model_copy(update={"region": fused.region})
        passage.said = (fused.text, fused.confidence, passage.last_s)
        self._events.append(
            Event(
                id=passage.id,
                phase=phase,
                source=self._source,
                clock=self._clock,
                track=passage.track,
                text=fused.text,
                confidence=round(fused.confidence, 4) if fused.text is not None else 0.0,
                char_confidences=tuple(round(value, 4) for value in fused.char_confidences)
                if fused.text is not None
                else (),
                first_s=round(passage.first_s, 3),
                last_s=round(passage.last_s, 3),
                frames=passage.frames,
                readings=passage.readings,
                vehicle=vehicle,
                plate=plate,
            )
        )


def _is_same(new: Passage, old: Passage) -> bool:
    # The same text; or nearly, where the old vehicle was lost and the new one stands in its place.
    mine, theirs = new.fused.text, old.fused.text
    if mine is None or theirs is None or mine == theirs:
        return mine is not None and mine == theirs
    if not old.lost or new.vehicle is None or old.vehicle is None or not within_one_edit(mine, theirs):
        return False
    boxes = np.array([new.vehicle.box, old.vehicle.box], np.float32)
    return bool(iou(boxes[:1], boxes[1:])[0, 0] > 0.3)


def within_one_edit(a: str, b: str) -> bool:
    """Whether one character changed, missed or added makes ``a`` out of ``b``, or none at all."""
    short, long = sorted((a, b), key=len)
    same = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    if len(short) == len(long):
        return short[same + 1 :] == long[same + 1 :]
    return len(long) == len(short) + 1 and short[same:] == long[same + 1 :]
