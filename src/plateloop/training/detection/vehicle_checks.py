"""Measures of tcnet that need no vehicle drawn by people: detectors' lists, empty parts, and plates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from plateloop.data_preparation.manifest import Record
from plateloop.frame import read_image
from plateloop.geometry import box_array, coverage
from plateloop.runtime.session import Session
from plateloop.training.detection.data import scenes
from plateloop.training.detection.empty_windows import EmptyConfig, empty_windows
from plateloop.training.detection.find import find_vehicles
from plateloop.training.detection.vehicle_metrics import vehicle_set
from plateloop.types import Detections, FloatArray, Image

LOW = 0.3
"""A score below any threshold in use, at which both measures are stated as well."""
INSIDE = 0.8
"""Share of a plate's box in a vehicle's from which it lies inside."""


def empty_report(
    session: Session, folder: Path, records: Sequence[Record], seed: int = 0
) -> dict[str, float]:
    """Of random parts of ``records`` that show no vehicle, enlarged: the share in which one is found.

    "found" is at the card's threshold, "found_low" at a score of `LOW`.
    """
    size = (session.card.input.width, session.card.input.height)
    objects = scenes(records, "vehicles", session.card.labels)
    windows = empty_windows(np.random.default_rng(seed), objects, size, EmptyConfig())

    def parts() -> Iterator[tuple[Image, tuple[int, int]]]:
        for number in np.unique(windows.pictures):
            frame = read_image(folder / records[number].file)
            boxes = np.trunc(windows.boxes[windows.pictures == number])
            cut = frame.aligned(boxes)
            sizes = [(x2 - x1, y2 - y1) for x1, y1, x2, y2 in cut.tolist()]
            yield from zip(frame.crops(boxes, size), sizes, strict=True)

    found = find_vehicles(session, session.card, parts())
    scores = np.array([seen.scores.max(initial=0) for seen in found])
    return {"parts": float(len(scores))} | _shares("found", scores, session.card.score_threshold)


def plate_report(
    found: Sequence[Detections], records: Sequence[Record], threshold: float
) -> dict[str, float]:
    """Of all plates that people drew: the share that lies inside one of the vehicles ``found`` in each of
    ``records``. "inside" is at ``threshold``, "inside_low" at a score of `LOW`."""
    best = [np.zeros(0, np.float32)]
    for seen, record in zip(found, records, strict=True):
        if record.plates_annotated:
            plates = box_array([plate.box for plate in record.plates])
            best.append(((coverage(plates, seen.boxes) >= INSIDE) * seen.scores).max(1, initial=0))
    scores = np.concatenate(best)
    return {"plates": float(len(scores))} | _shares("inside", scores, threshold)


def detector_report(
    found: Sequence[Detections], records: Sequence[Record], labels: Sequence[str]
) -> dict[str, float]:
    """`vehicle_set` of the pictures whose vehicles detectors listed, not people.

    Such lists favour what is easy to see, and the detectors' classes; in return, what only one detector saw
    is ignored, no box is drawn around a row of cars, and there are more pictures. Empty where there is none.
    """
    listed = [
        (seen, record)
        for seen, record in zip(found, records, strict=True)
        if not record.vehicles_annotated and record.vehicles
    ]
    return vehicle_set(listed, labels) if listed else {}


def _shares(name: str, scores: FloatArray, threshold: float) -> dict[str, float]:
    """Shares of ``scores`` (N,) from ``threshold`` on and from `LOW` on; none where N is 0."""
    if not len(scores):
        return {}
    return {name: float((scores >= threshold).mean()), f"{name}_low": float((scores >= LOW).mean())}
