"""lpdnet's output → plates with corners, in the pixels of the picture that the crops were cut from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from plateloop.geometry import Letterbox, area, coverage, nms
from plateloop.runtime.card import Card
from plateloop.runtime.scores import candidates
from plateloop.types import Detections, FloatArray, IntArray

SAME_PLATE = 0.4
"""IoU above which finds in two crops are one plate; plates do not overlap each other."""

PART_OF = 0.7
"""Share of a find that lies within a surer one, above which it is a part of the same plate."""

BELONGS = 0.5
"""Share of a plate that must lie within its vehicle."""

CUT = 0.8
"""What is left of a find's score where its crop's edge cuts it: another crop may show the plate whole."""

MOST = 20
"""The best finds of a crop that are kept, however low the threshold."""

TILE = 0.6
"""Width and height of a quarter as shares of the picture's: neighbours overlap by a third of them."""


def decode(
    outputs: Mapping[str, FloatArray],
    card: Card,
    crops: FloatArray | IntArray,
    score_threshold: float | None = None,
    pictures: FloatArray | IntArray | None = None,
) -> list[Detections]:
    """The plates of each of N letterboxed crops, by falling score, label 0.

    ``outputs``: ``boxes`` (N, A, 4), ``scores`` (N, A, 1) in [0, 1], ``corners`` (N, A, 8), in input pixels.
    ``crops`` (N, 4) are the boxes that were cut (`Frame.aligned`), each from a picture of width and height
    ``pictures`` (N, 2); without these no find counts as cut off. Corners may lie outside of the crop, where a
    plate is cut off. ``score_threshold`` replaces the card's.
    """
    if pictures is None:
        pictures = crops[:, 2:]
    threshold = card.score_threshold if score_threshold is None else score_threshold
    canvas = (card.input.width, card.input.height)
    found = []
    for boxes, scores, corners, crop, picture in zip(
        outputs["boxes"], outputs["scores"][..., 0], outputs["corners"], crops, pictures, strict=True
    ):
        rows = candidates(scores, threshold, 10 * MOST)
        rows = rows[nms(boxes[rows], scores[rows], None, card.nms_threshold)][:MOST]
        x1, y1, x2, y2 = (float(value) for value in crop)
        letterbox = Letterbox((round(x2 - x1), round(y2 - y1)), canvas)
        origin = np.array([x1, y1], np.float32)
        places = letterbox.to_source(boxes[rows]) + np.tile(origin, 2)
        lowered = scores[rows] * np.where(_are_cut(places, crop, picture), np.float32(CUT), np.float32(1))
        order = np.argsort(-lowered, kind="stable")
        order = order[lowered[order] >= threshold]
        found.append(
            Detections(
                places[order],
                lowered[order],
                np.zeros(len(order), np.int64),
                letterbox.to_source(corners[rows[order]].reshape(-1, 4, 2)) + origin,
            )
        )
    return found


def _are_cut(
    boxes: FloatArray, crop: FloatArray | IntArray, picture: FloatArray | IntArray
) -> NDArray[np.bool_]:
    """Whether each of N boxes touches an edge of its ``crop`` (4,) that is none of the ``picture``: (N,)."""
    near = 2 + 0.02 * (boxes[:, 2:3] - boxes[:, :1])
    low = (boxes[:, :2] < crop[:2] + near) & (crop[:2] > 1)
    high = (boxes[:, 2:] > crop[2:] - near) & (crop[2:] < picture - 1)
    return np.asarray((low | high).any(1))


def merge(parts: Sequence[Detections]) -> Detections:
    """The plates found in overlapping crops of one picture, each once, by falling score."""
    plates = Detections.concatenate([Detections.empty(corners=True), *parts])
    plates = plates[nms(plates.boxes, plates.scores, None, SAME_PLATE)]
    within_surer = np.tril(coverage(plates.boxes, plates.boxes), -1) > PART_OF
    return plates[np.flatnonzero(~within_surer.any(1))]


def owners(plates: FloatArray, vehicles: FloatArray) -> IntArray:
    """For each of N plate boxes the index of its vehicle among M boxes, -1 where none holds it: (N,).

    Where one vehicle stands before another, the plate lies in both boxes: the smaller one has it.
    """
    if not len(vehicles):
        return np.full(len(plates), -1, np.int64)
    sizes = np.where(coverage(plates, vehicles) >= BELONGS, area(vehicles)[None], np.inf)
    return np.where(np.isfinite(sizes).any(1), sizes.argmin(1), -1)


def quarters(width: int, height: int) -> FloatArray:
    """The four overlapping quarters of a picture: (4, 4)."""
    w, h = width * TILE, height * TILE
    places = [(x, y) for y in (0, height - h) for x in (0, width - w)]
    return np.array([[x, y, x + w, y + h] for x, y in places], np.float32)
