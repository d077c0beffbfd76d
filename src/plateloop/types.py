"""The data that passes between stages: structs of arrays, and frozen records for events.

Boxes are ``[x1, y1, x2, y2]`` in pixels of the source picture, corners are 4 points ``(x, y)`` clockwise from
the plate's own top left, scores and confidences lie in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Clock = Literal["camera", "arrival", "file"]
Corners = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Detections:
    """N objects found in one picture.

    ``boxes`` (N, 4) float32, ``scores`` (N,) float32, ``labels`` (N,) int64, for plates ``corners``
    (N, 4, 2) float32, and of tcnet's vehicles ``class_scores`` (N, C) float32, which ``scores`` are the best
    of. Rows are kept by falling score by everything that makes detections.
    """

    boxes: FloatArray
    scores: FloatArray
    labels: IntArray
    corners: FloatArray | None = None
    class_scores: FloatArray | None = None

    @classmethod
    def empty(cls, corners: bool = False) -> Detections:
        """No objects; with ``corners`` the empty corner array is there too."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            np.zeros((0, 4, 2), np.float32) if corners else None,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        """All rows of ``parts``, in order. Corners and class scores are kept if the parts have them."""
        if not parts:
            return cls.empty()
        corners = [p.corners for p in parts if p.corners is not None]
        class_scores = [p.class_scores for p in parts if p.class_scores is not None]
        return cls(
            np.concatenate([p.boxes for p in parts]),
            np.concatenate([p.scores for p in parts]),
            np.concatenate([p.labels for p in parts]),
            np.concatenate(corners) if corners else None,
            np.concatenate(class_scores) if class_scores else None,
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp] | IntArray | slice) -> Detections:
        """The rows selected by a mask, an index array or a slice."""
        return Detections(
            self.boxes[rows],
            self.scores[rows],
            self.labels[rows],
            None if self.corners is None else self.corners[rows],
            None if self.class_scores is None else self.class_scores[rows],
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """What lprnet read on one plate.

    ``text`` is A-Z and 0-9 without separators, empty when nothing was seen; ``confidence`` is the calibrated
    probability that the whole text is right; ``char_confidences`` has one value a character;
    ``distributions`` (len(text), alphabet) holds each character's probability over the card's alphabet, for
    fusion.
    """

    text: str
    confidence: float
    char_confidences: tuple[float, ...]
    distributions: FloatArray
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Color:
    """A vehicle's colour by colornet, with its probability."""

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Plates:
    """The plates of one picture.

    ``detections`` has corners, ``vehicle`` (N,) the index of each plate's vehicle (-1: none), ``readings``
    one item a plate, None where lprnet was not asked.
    """

    detections: Detections
    vehicle: IntArray
    readings: tuple[Reading | None, ...]

    @classmethod
    def empty(cls) -> Plates:
        """No plates."""
        return cls(Detections.empty(corners=True), np.zeros(0, np.int64), ())

    def __len__(self) -> int:
        return len(self.detections)


@dataclass(frozen=True, slots=True)
class TrackState:
    """A vehicle, or a plate without one, as it is followed through a frame, with what is known of it so far.

    ``id`` is its event's, ``track`` its number within the source; ``box`` where it is in this frame;
    ``label`` None of a plate without a vehicle; ``text`` None while not readable.
    """

    id: str
    track: int
    label: str | None
    box: Box
    text: str | None
    confidence: float
    color: Color | None


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventVehicle(_Record):
    """The vehicle of an event, as last seen: label, colour, box in source pixels, tcnet's confidence."""

    label: str
    color: str | None = None
    color_confidence: float | None = None
    box: Box
    confidence: float


class EventPlate(_Record):
    """The plate of an event where it was read best: box, corners, region, lpdnet's confidence."""

    box: Box
    corners: Corners
    region: str | None = None
    confidence: float


class EventPictures(_Record):
    """Where the pictures of an event are, from the run's folder; a file is not there where it could not be
    written or is kept no longer."""

    plate: str | None = None
    vehicle: str | None = None


class Event(_Record):
    """A vehicle's passage through a stream, with its fused reading.

    ``id`` is stable over the passage; the last line of an id is its final reading. ``text`` is None when no
    reading was good enough. Times are seconds since the start of the source; ``frames`` counts the frames in
    which the vehicle was seen, ``readings`` the plate readings that were fused. ``clock`` says what the time
    of day that is stored with the event goes by: the camera's own clock, the arrival of the frame, or, of a
    recording, when it was processed. ``pictures`` stand in an ``end`` whose plate was read, where such are
    written.
    """

    id: str
    phase: Literal["begin", "update", "end"]
    source: str
    track: int
    text: str | None
    confidence: float
    char_confidences: tuple[float, ...] = ()
    first_s: float
    last_s: float
    frames: int
    readings: int
    vehicle: EventVehicle | None
    plate: EventPlate | None
    clock: Clock | None = None
    pictures: EventPictures | None = None
