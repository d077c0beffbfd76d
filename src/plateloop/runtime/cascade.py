"""The cascade: frames → vehicles → plates → texts, and colours; every stage in batches over all frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plateloop.errors import UserError
from plateloop.frame import Frame
from plateloop.geometry import boxes_to_corners, clip, expand, expand_corners
from plateloop.runtime import colornet, lpdnet, lprnet, tcnet
from plateloop.runtime.card import Task, card_path
from plateloop.runtime.session import Session
from plateloop.types import Color, Detections, FloatArray, Image, Plates, Reading

TASKS: tuple[Task, ...] = ("tcnet", "lpdnet", "lprnet", "colornet")

AROUND_BOX, AROUND_CROP = (0.0, 0.12), (-0.06, 0.08)
"""Shares of its size by which a plate's box, and a crop that is a plate, grow on each side to be read again.

Of those tried the pairs that read most on validation data."""

T = TypeVar("T")


class CascadeConfig(BaseModel):
    """What the cascade looks for. The networks' own settings are on their cards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vehicle_score: float | None = Field(
        default=None, ge=0, le=1, description="replaces tcnet's score_threshold"
    )
    plate_score: float | None = Field(
        default=None, ge=0, le=1, description="replaces lpdnet's score_threshold"
    )
    direct: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="seek plates in the frame itself too, and in its quarters: auto, in the quarters only "
        "where neither it nor a vehicle shows one; always; or never",
    )
    max_vehicles: int = Field(
        default=100, ge=1, description="the best-scored vehicles of a frame that are kept"
    )
    min_vehicle: float = Field(
        24, ge=1, description="width in pixels below which a vehicle's plate is not sought"
    )
    doubtful_plate: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="score from which a plate below lpdnet's own threshold counts, if it is read surely",
    )
    read_surely: float = Field(
        default=0.8, ge=0, le=1, description="confidence from which such a plate's reading is sure"
    )
    unread_score: float = Field(
        default=0.6, ge=0, le=1, description="plates that are less sure and show no character are dropped"
    )
    reread_below: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="plates read less surely are read again by their box, tight and wide; the surest counts",
    )
    min_plate: float = Field(default=6, ge=1, description="height in pixels below which a plate is not read")
    read: bool = Field(default=True, description="read the plates; else only find them")
    color: bool = Field(default=True, description="name the vehicles' colours")


@dataclass(frozen=True, slots=True)
class Scene:
    """What the cascade saw in one frame. ``colors`` has an item a vehicle, None where it was not asked."""

    vehicles: Detections
    colors: tuple[Color | None, ...]
    plates: Plates


class Cascade:
    """The networks one after the other; each stage can be called by itself.

    ``seconds`` adds up where the time went, by ``NETWORK.pixels`` (cutting and converting), ``.network`` and
    ``.decode``. Not to be called by two threads at once.
    """

    def __init__(self, sessions: Mapping[Task, Session], config: CascadeConfig | None = None) -> None:
        self.sessions = dict(sessions)
        self.config = config or CascadeConfig()
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @classmethod
    def load(
        cls,
        device: str = "cpu",
        threads: int = 0,
        weights: Path | None = None,
        config: CascadeConfig | None = None,
        tasks: Sequence[Task] | None = None,
    ) -> Cascade:
        """Load the networks that ``config`` (or ``tasks``) needs.

        ``weights`` is a folder of cards named by task; a network that it lacks comes from the package.
        ``device`` and ``threads`` as for `Session`. Raises UserError where a network cannot be had.
        """
        config = config or CascadeConfig()
        if tasks is None:
            wanted = {"tcnet": True, "lpdnet": True, "lprnet": config.read, "colornet": config.color}
            tasks = [task for task in TASKS if wanted[task]]
        if weights is not None and not any((weights / f"{task}.yaml").is_file() for task in tasks):
            names = ", ".join(f"{task}.yaml" for task in tasks)
            raise UserError(f"{weights}: none of {names} there; export a network into it")
        return cls({task: Session(card_path(task, weights), device, threads) for task in tasks}, config)

    @property
    def labels(self) -> tuple[str, ...]:
        """tcnet's class names, in the order of `Detections.labels`."""
        return self.sessions["tcnet"].card.labels

    def __call__(self, frames: Sequence[Frame]) -> list[Scene]:
        """All stages on ``frames``: a scene each."""
        vehicles = self.detect_vehicles(frames)
        ask = self.config.read and self.config.plate_score is None
        lowest = min(self.config.doubtful_plate, self._plate_score) if ask else self._plate_score
        plates = self.find_plates(frames, vehicles, lowest)
        if self.config.read:
            plates = self._read_large(frames, plates)
        colors: Sequence[tuple[Color | None, ...]] = (
            self.name_colors(frames, vehicles) if self.config.color else [(None,) * len(v) for v in vehicles]
        )
        return [Scene(v, c, p) for v, c, p in zip(vehicles, colors, plates, strict=True)]

    def detect_vehicles(self, frames: Sequence[Frame]) -> list[Detections]:
        """tcnet: the vehicles of each frame."""
        size = self._size("tcnet")
        with self._timed("tcnet.pixels"):
            pictures = _stacked([frame.letterboxed(size)[None] for frame in frames], size)
        outputs = self._run("tcnet", pictures)
        with self._timed("tcnet.decode"):
            sizes = [(frame.width, frame.height) for frame in frames]
            found = tcnet.decode(outputs, self.sessions["tcnet"].card, sizes, self.config.vehicle_score)
        return [vehicles[: self.config.max_vehicles] for vehicles in found]

    def find_plates(
        self, frames: Sequence[Frame], vehicles: Sequence[Detections], score: float | None = None
    ) -> list[Plates]:
        """lpdnet: the plates of each frame, in its vehicles' crops and, as ``config.direct`` says, in itself.

        A plate that shows in two crops is found once. None is read yet. ``score`` replaces the threshold.
        """
        lowest = self._plate_score if score is None else score
        margin = self.sessions["lpdnet"].card.input.margin
        regions = []
        for frame, seen in zip(frames, vehicles, strict=True):
            large = seen.boxes[seen.boxes[:, 2] - seen.boxes[:, 0] >= self.config.min_vehicle]
            boxes = clip(expand(large, margin), frame.width, frame.height)
            whole = boxes[:0] if self.config.direct == "never" else _whole(frame)
            tiles = self._quarters(frame) if self.config.direct == "always" else boxes[:0]
            regions.append(np.concatenate([boxes, whole, tiles]))
        found = self._find_in(frames, regions, lowest)
        if self.config.direct == "auto":
            empty = [i for i, plates in enumerate(found) if not (plates.scores >= self._plate_score).any()]
            again = [frames[index] for index in empty]
            tiled = self._find_in(again, [self._quarters(frame) for frame in again], lowest)
            for index, plates in zip(empty, tiled, strict=True):
                found[index] = lpdnet.merge([found[index], plates])
        return [
            Plates(plates, lpdnet.owners(plates.boxes, seen.boxes), (None,) * len(plates))
            for plates, seen in zip(found, vehicles, strict=True)
        ]

    def read_plates(self, frames: Sequence[Frame], plates: Sequence[Detections]) -> list[tuple[Reading, ...]]:
        """lprnet: a reading for every plate of each frame, however small, rectified by its corners.

        What was read less surely than ``config.reread_below`` is read from the plate's box as well.
        """
        margin = self.sessions["lprnet"].card.input.margin
        quads = [expand_corners(lprnet.quadrilaterals(found), margin) for found in plates]
        readings = self._read_rectified(frames, quads)
        return _split(self._surest(readings, frames, [found.boxes for found in plates], AROUND_BOX), plates)

    def read_crops(self, frames: Sequence[Frame]) -> list[Reading]:
        """lprnet alone, on pictures that are one plate each.

        What was read less surely than ``config.reread_below`` is read with less and with more around it too.
        """
        size = self._size("lprnet")
        with self._timed("lprnet.pixels"):
            pictures = _stacked([frame.crops(_whole(frame), size, "stretch") for frame in frames], size)
        return self._surest(self._read(pictures), frames, [_whole(frame) for frame in frames], AROUND_CROP)

    def name_colors(self, frames: Sequence[Frame], vehicles: Sequence[Detections]) -> list[tuple[Color, ...]]:
        """colornet: a colour for every vehicle of each frame."""
        size, spec = self._size("colornet"), self.sessions["colornet"].card.input
        with self._timed("colornet.pixels"):
            pictures = [
                frame.crops(
                    clip(expand(seen.boxes, spec.margin), frame.width, frame.height), size, spec.resize
                )
                for frame, seen in zip(frames, vehicles, strict=True)
            ]
            stacked = _stacked(pictures, size)
        outputs = self._run("colornet", stacked)
        with self._timed("colornet.decode"):
            return _split(colornet.decode(outputs, self.sessions["colornet"].card), vehicles)

    def _read_large(self, frames: Sequence[Frame], plates: Sequence[Plates]) -> list[Plates]:
        large = [lprnet.heights(found.detections) >= self.config.min_plate for found in plates]
        asked = [found.detections[rows] for found, rows in zip(plates, large, strict=True)]
        read = []
        for found, rows, texts in zip(plates, large, self.read_plates(frames, asked), strict=True):
            remaining = iter(texts)
            readings = [next(remaining) if row else None for row in rows]
            sure = found.detections.scores >= self.config.unread_score
            says = np.array([reading is None or bool(reading.text) for reading in readings], bool)
            surely = [
                r is not None and bool(r.text) and r.confidence >= self.config.read_surely for r in readings
            ]
            doubtful = found.detections.scores < self._plate_score
            kept = np.flatnonzero(np.where(doubtful, surely, says | sure))
            texts_kept = tuple(readings[row] for row in kept)
            read.append(Plates(found.detections[kept], found.vehicle[kept], texts_kept))
        return read

    def _surest(
        self,
        readings: list[Reading],
        frames: Sequence[Frame],
        boxes: Sequence[FloatArray],
        around: Sequence[float],
    ) -> list[Reading]:
        """The ``readings`` of all ``boxes`` (N, 4) of each frame, the unsure ones read again by their boxes
        grown by each share of ``around``; of these and the first the surest."""
        unsure = [not r.text or r.confidence < self.config.reread_below for r in readings]
        if not any(unsure):
            return readings
        groups = _split(unsure, boxes)
        chosen = [found[np.array(rows, bool)] for found, rows in zip(boxes, groups, strict=True)]
        best = list(readings)
        for share in around:
            others = self._read_rectified(frames, [boxes_to_corners(expand(b, share)) for b in chosen])
            for row, other in zip(np.flatnonzero(unsure).tolist(), others, strict=True):
                best[row] = max(best[row], other, key=_certainty)
        return best

    def _read_rectified(self, frames: Sequence[Frame], quads: Sequence[FloatArray]) -> list[Reading]:
        """A reading for each of the quadrilaterals (N, 4, 2) of each frame, in one list."""
        size = self._size("lprnet")
        with self._timed("lprnet.pixels"):
            pictures = [frame.rectified(quad, size) for frame, quad in zip(frames, quads, strict=True)]
            stacked = _stacked(pictures, size)
        return self._read(stacked)

    def _read(self, pictures: Image) -> list[Reading]:
        outputs = self._run("lprnet", pictures)
        with self._timed("lprnet.decode"):
            return lprnet.decode(outputs, self.sessions["lprnet"].card)

    def _find_in(
        self, frames: Sequence[Frame], regions: Sequence[FloatArray], lowest: float
    ) -> list[Detections]:
        """The plates of each frame, sought in its ``regions`` (N, 4), down to the score ``lowest``."""
        size = self._size("lpdnet")
        with self._timed("lpdnet.pixels"):
            pictures = [frame.crops(boxes, size) for frame, boxes in zip(frames, regions, strict=True)]
            stacked = _stacked(pictures, size)
        outputs = self._run("lpdnet", stacked)
        with self._timed("lpdnet.decode"):
            cut = [frame.aligned(boxes) for frame, boxes in zip(frames, regions, strict=True)]
            crops = np.concatenate([np.zeros((0, 4), np.int64), *cut])
            sizes = [(frame.width, frame.height) for frame in frames]
            pictures_of = np.repeat(np.array(sizes, np.int64).reshape(-1, 2), [len(r) for r in regions], 0)
            found = lpdnet.decode(outputs, self.sessions["lpdnet"].card, crops, lowest, pictures_of)
            return [lpdnet.merge(parts) for parts in _split(found, regions)]

    def _quarters(self, frame: Frame) -> FloatArray:
        """The frame's quarters, if they show more than it does in lpdnet's input."""
        width, height = self._size("lpdnet")
        if frame.width <= width and frame.height <= height:
            return np.zeros((0, 4), np.float32)
        return lpdnet.quarters(frame.width, frame.height)

    @property
    def _plate_score(self) -> float:
        given = self.config.plate_score
        return self.sessions["lpdnet"].card.score_threshold if given is None else given

    def _size(self, task: Task) -> tuple[int, int]:
        card = self.sessions[task].card.input
        return card.width, card.height

    def _run(self, task: Task, pictures: Image) -> dict[str, FloatArray]:
        with self._timed(f"{task}.network"):
            return self.sessions[task](pictures)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.seconds[stage] += perf_counter() - start


def _certainty(reading: Reading) -> tuple[bool, float]:
    return bool(reading.text), reading.confidence


def _whole(frame: Frame) -> FloatArray:
    return np.array([[0, 0, frame.width, frame.height]], np.float32)


def _stacked(pictures: Sequence[Image], size: tuple[int, int]) -> Image:
    return np.concatenate([np.zeros((0, size[1], size[0], 3), np.uint8), *pictures])


def _split(items: Sequence[T], groups: Sequence[Sized]) -> list[tuple[T, ...]]:
    """``items`` shared out again to the groups that they came from, by their lengths."""
    ends = np.cumsum([len(group) for group in groups]).tolist()
    return [tuple(items[end - len(group) : end]) for end, group in zip(ends, groups, strict=True)]
