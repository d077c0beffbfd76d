"""A scene as plain data, as ``plateloop read --json`` prints it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from plateloop.frame import Frame
from plateloop.geometry import boxes_to_corners
from plateloop.runtime.cascade import Scene
from plateloop.runtime.lprnet import quadrilaterals
from plateloop.types import Color, Detections, FloatArray, Plates, Reading


def scene_record(source: Path, frame: Frame, scene: Scene, labels: tuple[str, ...]) -> dict[str, Any]:
    """One picture's object: coordinates in pixels to a tenth, confidences to 4 digits.

    Plates by falling confidence of their text; ``vehicle`` is an index into ``vehicles`` or None, ``text``
    None where nothing was read. ``labels`` are tcnet's class names.
    """
    found = scene.plates.detections
    corners = quadrilaterals(found)
    plates = [
        _plate(reading, found.boxes[row], corners[row], int(scene.plates.vehicle[row]))
        for row, reading in enumerate(scene.plates.readings)
    ]
    return {
        "source": str(source),
        "width": frame.width,
        "height": frame.height,
        "vehicles": [
            _vehicle(labels[label], color, score, box)
            for label, color, score, box in zip(
                scene.vehicles.labels, scene.colors, scene.vehicles.scores, scene.vehicles.boxes, strict=True
            )
        ],
        "plates": sorted(plates, key=lambda plate: -float(plate["confidence"])),
    }


def crop_scene(frame: Frame, reading: Reading) -> Scene:
    """The scene of a picture that is wholly one plate."""
    boxes = np.array([[0, 0, frame.width, frame.height]], np.float32)
    plate = Detections(boxes, np.ones(1, np.float32), np.zeros(1, np.int64), boxes_to_corners(boxes))
    return Scene(Detections.empty(), (), Plates(plate, np.full(1, -1, np.int64), (reading,)))


def sure_of(scene: Scene, least: float) -> Scene:
    """``scene`` with the readings that are less sure than ``least`` taken back: those plates are unread."""
    readings = tuple(r if r is None or r.confidence >= least else None for r in scene.plates.readings)
    return replace(scene, plates=replace(scene.plates, readings=readings))


def _vehicle(label: str, color: Color | None, score: float, box: FloatArray) -> dict[str, Any]:
    return {
        "label": label,
        "color": color.label if color else None,
        "confidence": round(float(score), 4),
        "box": _pixels(box),
    }


def _plate(reading: Reading | None, box: FloatArray, corners: FloatArray, vehicle: int) -> dict[str, Any]:
    return {
        "text": (reading and reading.text) or None,
        "confidence": round(reading.confidence, 4) if reading and reading.text else 0.0,
        "char_confidences": [round(value, 4) for value in reading.char_confidences] if reading else [],
        "box": _pixels(box),
        "corners": _pixels(corners),
        "region": reading.region if reading else None,
        "vehicle": vehicle if vehicle >= 0 else None,
    }


def _pixels(values: FloatArray) -> Any:
    return np.round(values.astype(np.float64), 1).tolist()
