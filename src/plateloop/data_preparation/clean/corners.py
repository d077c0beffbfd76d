"""Corners: not clockwise from the plate's own top left, crossed, or elsewhere than the box."""

from __future__ import annotations

from collections.abc import Iterator
from math import atan2, hypot

from plateloop.data_preparation.clean.finding import Finding
from plateloop.data_preparation.manifest import Plate, Record
from plateloop.types import Box, Corners

# IoU of the box around the corners with the plate's box below which one of the two is wrong.
_SAME_PLACE = 0.4


def check(record: Record) -> Iterator[Finding]:
    """The faults of the plates' corners."""
    for index, plate in enumerate(record.plates):
        if plate.corners is None:
            continue
        new = ordered(plate.corners)
        if new is None:
            yield Finding("corners-shape", record.file, f"plate {index}: not convex", 1.0, plate.box)
            continue
        if new != plate.corners:
            reason = f"plate {index}: {_fault(plate.corners)}"
            yield Finding("corners-order", record.file, reason, place=plate.box)
        overlap = _iou(_around(new), plate.box)
        if overlap < _SAME_PLACE:
            reason = f"plate {index}: the box around the corners overlaps its box by {overlap:.2f}"
            yield Finding("corners-shape", record.file, reason, 1 - overlap, plate.box, _around(new))


def mend(record: Record) -> Record:
    """The record with all corners in order that can be put in order."""
    if all(plate.corners is None for plate in record.plates):
        return record
    return record.model_copy(update={"plates": tuple(map(_mended, record.plates))})


def _mended(plate: Plate) -> Plate:
    new = ordered(plate.corners) if plate.corners is not None else None
    return plate if new is None or new == plate.corners else plate.model_copy(update={"corners": new})


def ordered(corners: Corners) -> Corners | None:
    """The corners clockwise from the plate's own top left; None where they are no convex shape.

    Corners that go round clockwise and begin with one of the long sides that looks to the right are taken at
    their word, so that a plate may lean. Others begin with the long side (the plate's top or bottom) whose
    direction looks most to the right.
    """
    if _turns(corners) and _leans(corners):
        return corners
    x, y = sum(p[0] for p in corners) / 4, sum(p[1] for p in corners) / 4
    # Image rows go down, so that a growing angle is clockwise.
    ring = sorted(corners, key=lambda p: atan2(p[1] - y, p[0] - x))
    turned = [(*ring[k:], *ring[:k]) for k in range(4)]
    if not _turns(turned[0]):
        return None
    long = (
        turned[0::2] if _side(ring, 0) + _side(ring, 2) >= _side(ring, 1) + _side(ring, 3) else turned[1::2]
    )
    first, second = long
    best = first if first[1][0] - first[0][0] >= second[1][0] - second[0][0] else second
    a, b, c, d = best
    return a, b, c, d


def _leans(corners: Corners) -> bool:
    """Whether the first side looks to the right, by less than 60° up or down."""
    (ax, ay), (bx, by) = corners[0], corners[1]
    return bx - ax > 0.5 * hypot(bx - ax, by - ay)


def _turns(corners: tuple[tuple[float, float], ...]) -> bool:
    """Whether each corner turns right: convex and clockwise."""
    for k in range(4):
        (ax, ay), (bx, by), (cx, cy) = corners[k], corners[(k + 1) % 4], corners[(k + 2) % 4]
        if (bx - ax) * (cy - by) - (by - ay) * (cx - bx) <= 0:
            return False
    return True


def _side(ring: list[tuple[float, float]], k: int) -> float:
    (ax, ay), (bx, by) = ring[k], ring[(k + 1) % 4]
    return hypot(bx - ax, by - ay)


def _fault(corners: Corners) -> str:
    a, b, c, d = corners
    if _turns(corners):
        return "they begin elsewhere"
    return "anticlockwise" if _turns((d, c, b, a)) else "crossed"


def _around(corners: Corners) -> Box:
    xs, ys = [p[0] for p in corners], [p[1] for p in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _iou(a: Box, b: Box) -> float:
    common = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union > 0 else 0.0
