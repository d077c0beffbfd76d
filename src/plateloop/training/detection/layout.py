"""Where training pictures and their objects come to lie: random layouts of a batch, in NumPy.

A layout puts up to four pictures on each canvas (a mosaic), each by its own projective map. Quarter 0 is
left of and above the split, 1 right, 2 below, 3 right and below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from plateloop.networks.assigner import IGNORE, NOTHING
from plateloop.training.detection.data import Scenes
from plateloop.types import FloatArray, IntArray

Floats = NDArray[np.floating[Any]]

NO_PICTURE = -1


@dataclass(frozen=True, slots=True)
class Layout:
    """B canvases of ``size`` (width, height).

    ``pictures`` (B, 4) index the scenes, NO_PICTURE leaves a quarter black; ``split`` (B, 2) is where the
    quarters meet; ``matrices`` (B, 4, 3, 3) map picture to canvas pixels.
    """

    size: tuple[int, int]
    pictures: IntArray
    split: Floats
    matrices: Floats

    def rectangles(self) -> Floats:
        """The quarters (B, 4, 4) as boxes."""
        width, height = self.size
        x, y = self.split[:, 0], self.split[:, 1]
        zero, right, bottom = np.zeros_like(x), np.full_like(x, width), np.full_like(y, height)
        quarters = [(zero, zero, x, y), (x, zero, right, y), (zero, y, x, bottom), (x, y, right, bottom)]
        return np.stack([np.stack(quarter, -1) for quarter in quarters], 1)


@dataclass(frozen=True, slots=True)
class Windows:
    """Parts of pictures: ``boxes`` (N, 4) in pixels of ``pictures`` (N,)."""

    pictures: IntArray
    boxes: FloatArray

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True)
class Placed:
    """The objects of a layout, as in `networks.assigner.Truth` but in NumPy."""

    picture: IntArray
    boxes: FloatArray
    labels: IntArray
    corners: FloatArray
    has_corners: NDArray[np.bool_]
    complete: NDArray[np.bool_]


class PlacingConfig(BaseModel):
    """When an object that a layout has cut or shrunk still counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    visible: float = Field(0.3, description="share of its box that must be left; below it is ignored")
    smallest: float = Field(4.0, description="shorter side, canvas pixels, below which it is ignored")


def place(layout: Layout, scenes: Scenes, config: PlacingConfig) -> Placed:
    """The objects of the laid out pictures, cut to their quarters; with fillers up to a multiple of 4 rows a
    canvas (at least 64)."""
    canvas, quarter = np.nonzero(layout.pictures != NO_PICTURE)
    picture = layout.pictures[canvas, quarter]
    counts = scenes.counts()[picture]
    first = np.repeat(scenes.starts[picture] - (np.cumsum(counts) - counts), counts)
    row = first + np.arange(counts.sum())
    canvas, quarter = np.repeat(canvas, counts), np.repeat(quarter, counts)
    known = scenes.has_corners[row]
    x1, y1, x2, y2 = scenes.boxes[row].T
    box = np.stack([x1, y1, x2, y1, x2, y2, x1, y2], -1).reshape(-1, 4, 2)
    corners = np.where(known[:, None, None], scenes.corners[row], box)
    corners = project_each(layout.matrices[canvas, quarter], corners)
    # A mirrored plate's own top left is what was its top right: corners stay clockwise as seen.
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    mirrored = (b - a)[:, 0] * (c - b)[:, 1] < (b - a)[:, 1] * (c - b)[:, 0]
    corners[mirrored] = corners[mirrored][:, [1, 0, 3, 2]]
    boxes = np.concatenate([corners.min(1), corners.max(1)], -1)
    rectangle = layout.rectangles()[canvas, quarter]
    cut = np.concatenate(
        [np.maximum(boxes[:, :2], rectangle[:, :2]), np.minimum(boxes[:, 2:], rectangle[:, 2:])], -1
    )
    side = np.maximum(cut[:, 2:] - cut[:, :2], 0)
    full = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(-1), 1e-6)
    whole = (side.prod(-1) >= config.visible * full) & (side.min(-1) >= config.smallest)
    labels = np.where(whole, scenes.labels[row], IGNORE)
    labels[side.prod(-1) <= 0] = NOTHING
    return padded(
        Placed(
            canvas,
            cut.astype(np.float32),
            labels,
            corners.reshape(-1, 8).astype(np.float32),
            known & (labels >= 0),
            ((layout.pictures == NO_PICTURE) | scenes.complete[layout.pictures]).all(1),
        )
    )


def padded(placed: Placed) -> Placed:
    """``placed`` with at least one filler, so that sizes are few: each costs the GPU a graph of its own."""
    rows = max(64, 4 * len(placed.complete))
    more = rows - len(placed.labels) % rows
    return Placed(
        np.pad(placed.picture, (0, more)),
        np.pad(placed.boxes, ((0, more), (0, 0))),
        np.pad(placed.labels, (0, more), constant_values=NOTHING),
        np.pad(placed.corners, ((0, more), (0, 0))),
        np.pad(placed.has_corners, (0, more)),
        placed.complete,
    )


def project_each(matrices: Floats, points: Floats) -> Floats:
    """Points (M, K, 2) mapped each by its own 3×3 matrix of ``matrices`` (M, 3, 3)."""
    mapped = points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]
    return np.asarray(mapped[..., :2] / mapped[..., 2:])


def affine(scale: Floats, angle: Floats, shear: Floats) -> Floats:
    """Linear maps (..., 2, 2): stretch by ``scale`` (..., 2), then shear, then turn by ``angle``."""
    zero, one = np.zeros_like(angle), np.ones_like(angle)
    turn = _matrix(np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle))
    return turn @ _matrix(one, shear, zero, one) @ _matrix(scale[..., 0], zero, zero, scale[..., 1])


def _matrix(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    return np.stack([np.stack([a, b], -1), np.stack([c, d], -1)], -2)


def shifted(linear: Floats, shift: Floats) -> Floats:
    """3×3 maps (..., 3, 3) of linear maps (..., 2, 2) followed by shifts (..., 2)."""
    matrices = np.zeros((*linear.shape[:-2], 3, 3))
    matrices[..., :2, :2] = linear
    matrices[..., :2, 2] = shift
    matrices[..., 2, 2] = 1
    return matrices
