"""Labels that go along with their picture: into a part of it, or to another size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from plateloop.data_preparation.manifest import Record
from plateloop.types import Box, Corners


def moved(record: Record, left: int, top: int, width: int, height: int) -> Record:
    """The record of the part of its picture that begins at (``left``, ``top``) and has this size, in pixels.

    Boxes are cut to it, corners are not; ignored areas outside of it are gone, vehicles and plates stay.
    """
    size = np.array([width, height])

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return points - (left, top)

    found = _mapped(record, move, lambda points: np.clip(move(points), 0, size))
    ignored = {
        name: tuple(b for b in getattr(found, name) if b[0] < b[2] and b[1] < b[3])
        for name in ("ignore_vehicles", "ignore_plates")
    }
    return found.model_copy(update={"width": width, "height": height, **ignored})


def scaled(record: Record, by: tuple[float, float]) -> Record:
    """The record with boxes and corners scaled by these factors, across and down; its size stays."""
    return _mapped(record, lambda points: points * by, lambda points: points * by)


def corners_of(points: NDArray[np.floating]) -> Corners:
    """An array (4, 2) as a plate's corners, to a millionth of a pixel."""
    a, b, c, d = ((float(x), float(y)) for x, y in points.round(6))
    return a, b, c, d


def _mapped(
    record: Record,
    point: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    end: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Record:
    """The record with ``point`` done to all corners (N, 2) and ``end`` to the ends of all boxes (2, 2)."""

    def box(given: Box) -> Box:
        x1, y1, x2, y2 = end(np.array(given, np.float64).reshape(2, 2)).ravel().round(6).tolist()
        return x1, y1, x2, y2

    def corners(given: Corners | None) -> Corners | None:
        return None if given is None else corners_of(point(np.array(given, np.float64)))

    return record.model_copy(
        update={
            "vehicles": tuple(v.model_copy(update={"box": box(v.box)}) for v in record.vehicles),
            "plates": tuple(
                p.model_copy(update={"box": box(p.box), "corners": corners(p.corners)}) for p in record.plates
            ),
            "ignore_vehicles": tuple(map(box, record.ignore_vehicles)),
            "ignore_plates": tuple(map(box, record.ignore_plates)),
        }
    )
