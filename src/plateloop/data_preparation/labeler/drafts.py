"""What the networks see, as a first draft for people: computed by one worker thread when asked, and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from plateloop.data_preparation.labeler.store import Store
from plateloop.data_preparation.labeler.views import Cache, Pictures, detections
from plateloop.data_preparation.manifest import Plate
from plateloop.errors import UserError
from plateloop.runtime.cascade import Cascade, CascadeConfig, Scene
from plateloop.runtime.lprnet import heights, quadrilaterals
from plateloop.types import FloatArray, Reading

T = TypeVar("T")

CHUNK = 16
"""Plates that are read at once in the background; whoever wants a draft waits for these at most."""


class Drafts:
    """Predictions for the pictures and plates of ``store``. The networks are loaded at the first question."""

    def __init__(
        self,
        store: Store,
        pictures: Pictures,
        weights: Path | None = None,
        device: str = "cpu",
        threads: int = 0,
    ) -> None:
        self._store, self._pictures = store, pictures
        self._load: Callable[[], Cascade] = lambda: Cascade.load(device, threads, weights)
        self._cascade: Cascade | None = None
        self._worker = ThreadPoolExecutor(1, "drafts")
        self._scenes: Cache[dict[str, Any]] = Cache(2_000, lambda _: 1)
        self._readings: Cache[Reading | None] = Cache(50_000, lambda _: 1)
        self._reading_all = False
        self._closed = False

    def scene(self, file: str) -> dict[str, Any]:
        """All that the cascade finds in a picture; waits for it.

        ``vehicles`` (box, label, color, confidence) and ``plates`` (box, corners, text, region, vehicle,
        confidence; text_confidence and char_confidences). Raises UserError where there are no networks or no
        picture.
        """
        return self._scenes.get(file, lambda: self._wait(lambda: self._scene(file)))

    def readings(self, plates: Sequence[int]) -> list[Reading | None]:
        """What lprnet reads on plates (indices of the store's index), None where it cannot be known."""
        return self._wait(lambda: self._read(plates))

    def read_all(self) -> None:
        """Begin to read all plates that no person has read, in the background."""
        if not self._reading_all:
            self._reading_all = True
            self._worker.submit(self._read_on)

    def close(self) -> None:
        """Stop; what is being computed is finished first."""
        self._closed = True
        self._worker.shutdown(cancel_futures=True)

    def _wait(self, work: Callable[[], T]) -> T:
        future: Future[T] = self._worker.submit(work)
        return future.result()

    def _networks(self) -> Cascade:
        if self._cascade is None:
            self._cascade = self._load()
        return self._cascade

    def _scene(self, file: str) -> dict[str, Any]:
        cascade = self._networks()
        frame = self._pictures.frame(file)
        return scene_draft(cascade([frame])[0], cascade.labels)

    def _read(self, plates: Iterable[int]) -> list[Reading | None]:
        index = self._store.index
        places = [(plate, index.plate_row[plate], index.plate_number[plate]) for plate in plates]
        return [self._read_one(*place) for place in places]

    def _read_one(self, at: int, row: int, number: int) -> Reading | None:
        record = self._store.record(row)
        if number >= len(record.plates):
            return None
        plate = record.plates[number]
        key = (record.file, plate.box, plate.corners)
        reading = self._readings.get(key, lambda: self._reading(record.file, plate))
        self._store.index.certainty[at] = certainty(plate, reading)
        return reading

    def _reading(self, file: str, plate: Plate) -> Reading | None:
        try:
            frame = self._pictures.frame(file)
        except UserError:
            return None
        return self._networks().read_plates([frame], [detections([plate])])[0][0]

    def _read_on(self) -> None:
        if self._closed:
            return
        todo = self._store.index.plates_in("todo")
        known = np.array(self._store.index.certainty)[todo]
        following = todo[np.isnan(known)][:CHUNK]
        if not len(following):
            self._reading_all = False
            return
        try:
            self._read(following.tolist())
        except UserError:
            return  # no networks: whoever asks for a draft is told
        self._worker.submit(self._read_on)


def certainty(plate: Plate, reading: Reading | None) -> float:
    """Orders plates for people, those most in need of them first: see `Index.certainty`. Plates that are too
    small for anybody to read come last."""
    if heights(detections([plate]))[0] < CascadeConfig().min_plate:
        return 2.0
    if reading is None:
        return 0.0
    if plate.text is not None and plate.text != reading.text:
        return -reading.confidence - 1e-6
    return reading.confidence if reading.text else 0.0


def scene_draft(scene: Scene, labels: tuple[str, ...]) -> dict[str, Any]:
    """A scene as the page takes it; see `Drafts.scene`."""
    found = scene.plates.detections
    corners = quadrilaterals(found)
    vehicles = scene.vehicles
    return {
        "vehicles": [
            {
                "box": _pixels(vehicles.boxes[row]),
                "label": labels[int(vehicles.labels[row])],
                "color": color.label if color else None,
                "confidence": round(float(vehicles.scores[row]), 3),
            }
            for row, color in enumerate(scene.colors)
        ],
        "plates": [
            {
                "box": _pixels(found.boxes[row]),
                "corners": _pixels(corners[row]),
                "vehicle": int(scene.plates.vehicle[row]) if scene.plates.vehicle[row] >= 0 else None,
                "confidence": round(float(found.scores[row]), 3),
                **reading_draft(reading),
            }
            for row, reading in enumerate(scene.plates.readings)
        ],
    }


def reading_draft(reading: Reading | None) -> dict[str, Any]:
    """A reading as the page takes it; ``text`` None where nothing was read."""
    if reading is None or not reading.text:
        return {"text": None, "region": None, "text_confidence": 0.0, "char_confidences": []}
    return {
        "text": reading.text,
        "region": reading.region,
        "text_confidence": round(reading.confidence, 3),
        "char_confidences": [round(value, 3) for value in reading.char_confidences],
    }


def _pixels(values: FloatArray) -> Any:
    return np.round(values.astype(np.float64), 1).tolist()
