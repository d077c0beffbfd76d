"""tcnet's output → vehicles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from plateloop.geometry import Letterbox, clip, nms
from plateloop.runtime.card import Card
from plateloop.runtime.scores import candidates
from plateloop.types import Detections, FloatArray

SAME_VEHICLE = 0.85
"""IoU above which boxes of two labels are one vehicle, seen as (say) a car and a truck."""


def decode(
    outputs: Mapping[str, FloatArray],
    card: Card,
    sizes: Sequence[tuple[int, int]],
    score_threshold: float | None = None,
) -> list[Detections]:
    """The vehicles of B letterboxed pictures, by falling score, with class scores, boxes cut to the picture.

    ``outputs``: ``boxes`` (B, A, 4) in input pixels, ``scores`` (B, A, C) in [0, 1]. ``sizes`` are the
    pictures' (width, height). ``score_threshold`` replaces the card's.
    """
    threshold = card.score_threshold if score_threshold is None else score_threshold
    canvas = (card.input.width, card.input.height)
    found = []
    for boxes, scores, size in zip(outputs["boxes"], outputs["scores"], sizes, strict=True):
        labels = scores.argmax(1)
        best = np.take_along_axis(scores, labels[:, None], 1)[:, 0]
        rows = candidates(best, threshold)
        boxes, best, labels = boxes[rows], best[rows], labels[rows]
        kept = nms(boxes, best, labels, card.nms_threshold)
        kept = kept[nms(boxes[kept], best[kept], None, SAME_VEHICLE)]
        source = clip(Letterbox(size, canvas).to_source(boxes[kept]), *size)
        labels = labels[kept].astype(np.int64)
        found.append(Detections(source, best[kept], labels, class_scores=scores[rows[kept]]))
    return found
