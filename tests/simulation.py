"""A simulated street for the tests of streams: pictures that know their number, networks that know both."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from plateloop.frame import Frame
from plateloop.geometry import boxes_to_corners, coverage
from plateloop.types import Color, Detections, Plates, Reading


@pytest.fixture(scope="session")
def numbered() -> Callable[..., list[np.ndarray]]:
    """Pictures whose brightness in one corner says their number, with a red block at the top left."""

    def make(count: int, width: int = 160, height: int = 96) -> list[np.ndarray]:
        pictures = []
        for number in range(count):
            picture = np.full((height, width, 3), 60, np.uint8)
            picture[: height // 3, : width // 3] = (200, 30, 30)
            picture[height // 2 :, width // 2 :] = 40 + 3 * number
            pictures.append(picture)
        return pictures

    return make


ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Car:
    """A vehicle of a simulated scene: its path, plate and when it is there (frame numbers)."""

    text: str | None
    start: float = 10.0
    speed: float = 2.0
    first: int = 0
    last: int = 10**6
    y: float = 20.0
    label: int = 0
    width: float = 60.0

    def box(self, number: int) -> np.ndarray:
        """Its box in frame ``number``."""
        x = self.start + self.speed * (number - self.first)
        return np.array([x, self.y, x + self.width, self.y + 40], np.float32)

    def plate(self, number: int) -> np.ndarray:
        """Its plate's box."""
        x1, _, x2, y2 = self.box(number)
        middle = (x1 + x2) / 2
        return np.array([middle - 12, y2 - 14, middle + 12, y2 - 4], np.float32)


class SimulatedNetworks:
    """In place of the cascade: knows a frame by its brightness (``numbered``) and what drives through it.

    ``noise`` is the share of characters read wrong. ``calls`` counts vehicles frames, plate regions, readings
    and colours asked for.
    """

    labels = ("car", "bus", "truck", "motorcycle")

    def __init__(self, cars: Sequence[Car], noise: float = 0.0) -> None:
        self.cars = cars
        self.noise = noise
        self.calls: Counter[str] = Counter()
        self._rng = np.random.default_rng(0)

    @staticmethod
    def number(frame: Frame) -> int:
        """The number of a frame made by ``numbered``."""
        picture = frame.rgb()
        height, width = picture.shape[:2]
        return round((float(picture[-height // 4 :, -width // 4 :].mean()) - 40) / 3)

    def _there(self, frame: Frame) -> list[Car]:
        number = self.number(frame)
        return [car for car in self.cars if car.first <= number <= car.last]

    def detect_vehicles(self, frames: Sequence[Frame]) -> list[Detections]:
        """Vehicles by the script."""
        self.calls["vehicles"] += len(frames)
        result = []
        for frame in frames:
            cars = [car for car in self._there(frame) if car.label >= 0]
            boxes = np.array([car.box(self.number(frame)) for car in cars], np.float32).reshape(-1, 4)
            labels = np.array([car.label for car in cars], np.int64)
            result.append(Detections(boxes, np.full(len(cars), 0.9, np.float32), labels))
        return result

    def find_plates(self, frames: Sequence[Frame], vehicles: Sequence[Detections]) -> list[Plates]:
        """The plates that lie in the regions."""
        result = []
        for frame, regions in zip(frames, vehicles, strict=True):
            self.calls["regions"] += len(regions)
            number = self.number(frame)
            boxes = np.array(
                [c.plate(number) for c in self._there(frame) if c.text is not None], np.float32
            ).reshape(-1, 4)
            inside = coverage(boxes, regions.boxes).max(1, initial=0) > 0.9
            boxes = boxes[inside]
            found = Detections(
                boxes,
                np.full(len(boxes), 0.8, np.float32),
                np.zeros(len(boxes), np.int64),
                boxes_to_corners(boxes),
            )
            owners = coverage(boxes, regions.boxes).argmax(1) if len(boxes) else np.zeros(0, np.int64)
            result.append(Plates(found, owners, (None,) * len(boxes)))
        return result

    def read_plates(self, frames: Sequence[Frame], plates: Sequence[Detections]) -> list[tuple[Reading, ...]]:
        """What stands on the plates, with mistakes."""
        result = []
        for frame, found in zip(frames, plates, strict=True):
            number = self.number(frame)
            readings = []
            for box in found.boxes:
                self.calls["readings"] += 1
                car = min(self._there(frame), key=lambda c: float(np.abs(c.plate(number) - box).sum()))
                readings.append(self._reading(car.text or ""))
            result.append(tuple(readings))
        return result

    def _reading(self, text: str) -> Reading:
        rows = np.full((len(text), 36), 0.02 / 35, np.float32)
        shown = ""
        for place, character in enumerate(text):
            wrong = self._rng.random() < self.noise
            shown += ALPHABET[self._rng.integers(36)] if wrong else character
            rows[place, ALPHABET.index(shown[-1])] = 0.98
        return Reading(shown, 0.98 ** len(text), (0.98,) * len(text), rows)

    def name_colors(self, frames: Sequence[Frame], vehicles: Sequence[Detections]) -> list[tuple[Color, ...]]:
        """All cars are red."""
        self.calls["colors"] += sum(map(len, vehicles))
        return [(Color("red", 0.9),) * len(found) for found in vehicles]


@pytest.fixture
def simulated() -> tuple[type[Car], type[SimulatedNetworks]]:
    """The classes ``Car`` and ``SimulatedNetworks``."""
    return Car, SimulatedNetworks
