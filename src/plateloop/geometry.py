"""Boxes, corners and the maps between pictures: pure functions over NumPy arrays.

Boxes are (..., 4) as ``x1, y1, x2, y2``; points are (..., 2) as ``x, y``; both in pixels, continuous (the
pixel in the top left corner covers 0 to 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from plateloop.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a picture of ``source`` (width, height) lies in a canvas of ``target`` (width, height).

    The picture is scaled by one factor so that it just fits, and lies at the canvas's top left: padding is at
    the right and at the bottom, as NVIDIA's nvinfer pads.
    """

    source: tuple[int, int]
    target: tuple[int, int]

    @property
    def scale(self) -> float:
        """Canvas pixels per source pixel."""
        return min(self.target[0] / self.source[0], self.target[1] / self.source[1])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the scaled picture inside the canvas, at least one pixel each."""
        width = min(self.target[0], max(1, round(self.source[0] * self.scale)))
        height = min(self.target[1], max(1, round(self.source[1] * self.scale)))
        return width, height

    @property
    def _factors(self) -> FloatArray:
        # Rounding the scaled size to whole pixels makes the two axes differ by a hair: map with the true.
        width, height = self.size
        return np.array([width / self.source[0], height / self.source[1]], np.float32)

    def to_canvas(self, points: FloatArray) -> FloatArray:
        """Map points (..., 2) or boxes (..., 4) from the source picture to the canvas."""
        return np.asarray(points * np.tile(self._factors, points.shape[-1] // 2), np.float32)

    def to_source(self, points: FloatArray) -> FloatArray:
        """Map points (..., 2) or boxes (..., 4) from the canvas to the source picture (not clipped)."""
        return np.asarray(points / np.tile(self._factors, points.shape[-1] // 2), np.float32)


def box_array(boxes: Sequence[tuple[float, float, float, float]]) -> FloatArray:
    """Boxes as records have them, as an array (N, 4), also where there is none."""
    return np.array(boxes, np.float32).reshape(-1, 4)


def area(boxes: FloatArray) -> FloatArray:
    """Area of boxes (..., 4); degenerate boxes have none."""
    size = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(size[..., 0] * size[..., 1], np.float32)


def intersection(a: FloatArray, b: FloatArray) -> FloatArray:
    """Area common to each of boxes ``a`` (N, 4) and each of ``b`` (M, 4): (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    size = np.maximum(high - low, 0)
    return np.asarray(size[..., 0] * size[..., 1], np.float32)


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of boxes ``a`` (N, 4) and ``b`` (M, 4): (N, M) in [0, 1]."""
    common = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0), np.float32)


def coverage(inner: FloatArray, outer: FloatArray) -> FloatArray:
    """Share of each box ``inner`` (N, 4) that lies within each of ``outer`` (M, 4): (N, M) in [0, 1]."""
    size = area(inner)[:, None]
    common = intersection(inner, outer)
    return np.asarray(np.divide(common, size, out=np.zeros_like(common), where=size > 0), np.float32)


def nms(boxes: FloatArray, scores: FloatArray, labels: IntArray | None, threshold: float) -> IntArray:
    """Greedy non-maximum suppression.

    Keeps the best-scored box and drops others that overlap it by an IoU above ``threshold``, within a label
    if ``labels`` is given. Returns the kept indices by falling score.
    """
    order = np.argsort(-scores, kind="stable")
    overlap = iou(boxes, boxes) > threshold
    if labels is not None:
        overlap &= labels[:, None] == labels[None, :]
    alive = np.ones(len(boxes), bool)
    kept = []
    for index in order:
        if alive[index]:
            kept.append(index)
            alive &= ~overlap[index]
            alive[index] = False
    return np.array(kept, np.int64)


def clip(boxes: FloatArray, width: float, height: float) -> FloatArray:
    """Boxes (..., 4) cut to a picture of ``width`` × ``height``."""
    limit = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, 0, limit)


def expand(boxes: FloatArray, share: float) -> FloatArray:
    """Boxes (..., 4) grown on each side by ``share`` of their own width or height."""
    size = boxes[..., 2:] - boxes[..., :2]
    return np.concatenate([boxes[..., :2] - share * size, boxes[..., 2:] + share * size], -1)


def corners_to_boxes(corners: FloatArray) -> FloatArray:
    """The axis-aligned boxes (..., 4) around corners (..., 4, 2)."""
    return np.concatenate([corners.min(-2), corners.max(-2)], -1)


def boxes_to_corners(boxes: FloatArray) -> FloatArray:
    """The corners (..., 4, 2) of boxes (..., 4), clockwise from the top left."""
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
    return np.stack([np.stack(p, -1) for p in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))], -2)


def expand_corners(corners: FloatArray, share: float) -> FloatArray:
    """Corners (N, 4, 2) moved outwards in the plate's own plane, by ``share`` of its width and height."""
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    grown = (unit - 0.5) * (1 + 2 * share) + 0.5
    return np.stack([project(homography(unit, quad), grown) for quad in corners]) if len(corners) else corners


def homography(source: FloatArray, target: FloatArray) -> FloatArray:
    """The 3×3 projective map that takes 4 points ``source`` (4, 2) to ``target`` (4, 2)."""
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    return np.asarray(matrix, np.float32)


def project(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Points (..., 2) mapped by a 3×3 projective ``matrix``."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(mapped[..., :2] / mapped[..., 2:], np.float32)
