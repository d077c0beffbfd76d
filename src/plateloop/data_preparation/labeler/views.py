"""What the page shows of pictures: thumbnails, plates seen from straight ahead, and their surroundings."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path, PurePosixPath
from threading import Lock, Semaphore
from typing import Generic, TypeVar

import cv2
import numpy as np

from plateloop.data_preparation.manifest import Plate
from plateloop.errors import UserError
from plateloop.frame import Frame, read_image
from plateloop.geometry import Letterbox, box_array, expand, expand_corners
from plateloop.runtime.lprnet import quadrilaterals
from plateloop.types import Detections, FloatArray, Image

THUMBNAIL = (208, 117)
PLATE_HEIGHT, PLATE_WIDTH = 112, 448
MARGIN = 0.06
CONTEXT = (640, 360)
_KEPT_PIXELS = 12_000_000

V = TypeVar("V")


class Cache(Generic[V]):
    """The last used values whose sizes add up to at most ``limit``; what is missing is made, for each key
    once at a time."""

    def __init__(self, limit: int, size: Callable[[V], int]) -> None:
        self._limit, self._size, self._total = limit, size, 0
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of ``key``; what ``make`` raises passes through."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._total += self._size(value)
            while self._total > self._limit and self._values:
                self._total -= self._size(self._values.popitem(last=False)[1])
        return value


class Pictures:
    """The pictures of a dataset's folder, decoded when needed; nothing outside the folder is ever read."""

    def __init__(self, folder: Path, follow_links: bool = False) -> None:
        self.folder = folder.resolve()
        self._follow_links = follow_links
        self._frames: Cache[Frame] = Cache(4 * _KEPT_PIXELS, lambda frame: frame.width * frame.height)
        self._made: Cache[bytes] = Cache(64_000_000, len)
        self._decoding = Semaphore(2)

    def path(self, file: str) -> Path:
        """Where the manifest's ``file`` lies. Raises UserError where that is outside or nowhere."""
        parts = PurePosixPath(file).parts
        path = self.folder / file
        inside = not PurePosixPath(file).is_absolute() and ".." not in parts and "\0" not in file
        if inside and not self._follow_links:
            inside = path.resolve().is_relative_to(self.folder)
        if not inside:
            raise UserError(f"{file}: lies outside the dataset's folder and is not shown")
        if not path.is_file():
            raise UserError(f"{file}: no such picture in the dataset's folder")
        return path

    def frame(self, file: str) -> Frame:
        """The decoded picture. Raises UserError where there is none that can be read."""

        def decode() -> Frame:
            with self._decoding:
                return read_image(path)

        path = self.path(file)
        return self._frames.get(file, decode)

    def thumbnail(self, file: str) -> bytes:
        """The picture as a small JPEG."""
        return self._made.get(("thumbnail", file), lambda: _small(self.frame(file)))

    def whole(self, file: str) -> bytes:
        """The picture as a JPEG, for files that browsers cannot show."""
        return encoded(self.frame(file).rgb(), 92)

    def plate(self, file: str, plate: Plate) -> bytes:
        """A plate as a JPEG: rectified where it has corners, else its box."""
        key = ("plate", file, plate.box, plate.corners)
        return self._made.get(key, lambda: encoded(plate_view(self.frame(file), plate), 92))

    def context(self, file: str, plate: Plate) -> bytes:
        """A plate's surroundings as a JPEG."""
        key = ("context", file, plate.box)
        return self._made.get(key, lambda: encoded(context_view(self.frame(file), plate), 88))


def quadrilateral(plate: Plate) -> FloatArray:
    """The corners (1, 4, 2) by which a plate is rectified; its box's where it has no sound ones."""
    return quadrilaterals(detections([plate]))


def detections(plates: list[Plate]) -> Detections:
    """Plates as the cascade takes them. Those without corners get their box's."""
    boxes = box_array([plate.box for plate in plates])
    found = Detections(boxes, np.ones(len(plates), np.float32), np.zeros(len(plates), np.int64))
    corners = quadrilaterals(found)
    for row, plate in enumerate(plates):
        if plate.corners is not None:
            corners[row] = plate.corners
    return Detections(found.boxes, found.scores, found.labels, corners)


def plate_view(frame: Frame, plate: Plate) -> Image:
    """A plate in its own proportions (h, w, 3), at most 448 × 112, never less than its pixels need."""
    quad = expand_corners(quadrilateral(plate), MARGIN)
    sides = np.linalg.norm(quad[0] - np.roll(quad[0], -1, 0), axis=1).reshape(2, 2).mean(0)
    scale = min(PLATE_WIDTH / max(sides[0], 1), PLATE_HEIGHT / max(sides[1], 1))
    width, height = (max(8, round(float(side * scale))) for side in sides)
    return np.asarray(frame.rectified(quad, (width, height))[0])


def context_view(frame: Frame, plate: Plate) -> Image:
    """What surrounds a plate: 5 times its width."""
    x1, y1, x2, y2 = plate.box
    center = np.array([(x1 + x2) / 2, (y1 + y2) / 2] * 2, np.float32)
    half = max(40.0, x2 - x1, (y2 - y1) * 1.5) / 2
    box = center + np.array([-half, -half * 9 / 16, half, half * 9 / 16], np.float32)
    return np.asarray(frame.crops(expand(box[None], 2.0), CONTEXT, "stretch")[0])


def encoded(picture: Image, quality: int) -> bytes:
    """An RGB picture as a JPEG."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _small(frame: Frame) -> bytes:
    width, height = Letterbox((frame.width, frame.height), THUMBNAIL).size
    return encoded(frame.letterboxed((width, height)), 80)
