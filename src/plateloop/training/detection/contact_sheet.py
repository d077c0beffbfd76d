"""A sheet of sample pictures with what was found and what is true drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from plateloop.data_preparation.manifest import Record
from plateloop.errors import UserError
from plateloop.frame import read_image
from plateloop.geometry import Letterbox
from plateloop.types import Detections, FloatArray, Image

CELL = (320, 240)
_TRUE, _IGNORED = (0, 220, 0), (150, 150, 150)
_FOUND = ((255, 60, 60), (60, 120, 255), (255, 160, 0), (255, 0, 255))


def spread(count: int, wanted: int) -> list[int]:
    """``wanted`` indices (or all) spread evenly over ``count``."""
    return np.linspace(0, count - 1, min(count, wanted)).round().astype(int).tolist() if count else []


def write_contact_sheet(
    path: Path,
    folder: Path,
    records: Sequence[Record],
    found: Sequence[Detections],
    what: Literal["vehicles", "plates"],
    threshold: float,
    pictures: int = 24,
    columns: int = 6,
) -> None:
    """Draw some of ``records`` with their truth (green; ignored: grey) and what was ``found`` at
    ``threshold`` (by label: red, blue, orange, magenta), and write them as PNG to ``path``."""
    cells = [_cell(folder, records[i], found[i], what, threshold) for i in spread(len(records), pictures)]
    if not cells:
        raise UserError(f"{path}: no picture to draw")
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.concatenate(cells[i : i + columns], 1) for i in range(0, len(cells), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1])


def _cell(
    folder: Path, record: Record, seen: Detections, what: Literal["vehicles", "plates"], threshold: float
) -> Image:
    frame = read_image(folder / record.file)
    canvas = np.ascontiguousarray(frame.letterboxed(CELL))
    box = Letterbox((frame.width, frame.height), CELL)
    objects = record.vehicles if what == "vehicles" else record.plates
    ignored = record.ignore_vehicles if what == "vehicles" else record.ignore_plates
    for outline in ignored:
        _rectangle(canvas, box.to_canvas(np.array(outline, np.float32)), _IGNORED)
    for item in objects:
        _rectangle(canvas, box.to_canvas(np.array(item.box, np.float32)), _TRUE)
    for row in np.flatnonzero(seen.scores >= threshold):
        color = _FOUND[int(seen.labels[row]) % len(_FOUND)]
        at = box.to_canvas(seen.boxes[row])
        if seen.corners is None:
            _rectangle(canvas, at, color)
        else:
            quad = box.to_canvas(seen.corners[row]).round().astype(np.int32)
            cv2.polylines(canvas, [quad], True, color, 1, cv2.LINE_AA)
        place = (int(at[0]), max(9, int(at[1]) - 2))
        cv2.putText(canvas, f"{seen.scores[row]:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.3, color, 1)
    return canvas


def _rectangle(canvas: Image, box: FloatArray, color: tuple[int, int, int]) -> None:
    x1, y1, x2, y2 = box.round().astype(int).tolist()
    cv2.rectangle(canvas, (x1, y1), (x2, y2), color, 1)
