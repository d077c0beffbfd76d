"""lpdnet's output → plates with corners, in the pixels of the picture that the crops were cut from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plateloop.geometry import Letterbox, nms
from plateloop.runtime.card import Card
from plateloop.runtime.scores import candidates
from plateloop.types import Detections, FloatArray, IntArray


def decode(
    outputs: Mapping[str, FloatArray],
    card: Card,
    crops: FloatArray | IntArray,
    score_threshold: float | None = None,
) -> list[Detections]:
    """The plates of each of N letterboxed crops, by falling score, label 0.

    ``outputs``: ``boxes`` (N, A, 4), ``scores`` (N, A, 1) in [0, 1], ``corners`` (N, A, 8), in input pixels.
    ``crops`` (N, 4) are the boxes that were cut (`Frame.aligned`). Corners may lie outside of the crop, where
    a plate is cut off. ``score_threshold`` replaces the card's.
    """
    threshold = card.score_threshold if score_threshold is None else score_threshold
    canvas = (card.input.width, card.input.height)
    found = []
    for boxes, scores, corners, crop in zip(
        outputs["boxes"], outputs["scores"][..., 0], outputs["corners"], crops, strict=True
    ):
        rows = candidates(scores, threshold)
        rows = rows[nms(boxes[rows], scores[rows], None, card.nms_threshold)]
        x1, y1, x2, y2 = (float(value) for value in crop)
        letterbox = Letterbox((round(x2 - x1), round(y2 - y1)), canvas)
        origin = np.array([x1, y1], np.float32)
        found.append(
            Detections(
                letterbox.to_source(boxes[rows]) + np.tile(origin, 2),
                scores[rows],
                np.zeros(len(rows), np.int64),
                letterbox.to_source(corners[rows].reshape(-1, 4, 2)) + origin,
            )
        )
    return found
