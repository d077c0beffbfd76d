"""lprnet's output → readings: CTC over the steps of the upper and the lower row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plateloop.geometry import area, boxes_to_corners, corners_to_boxes, iou
from plateloop.runtime.card import Card
from plateloop.runtime.scores import softmax
from plateloop.types import Detections, FloatArray, IntArray, Reading

BLANK = 0

REGION_FROM = 0.5
"""Probability below which no region is named."""

SAME_PLACE = 0.4
"""IoU of a plate's box with the box around its corners, below which the corners are not believed."""


def quadrilaterals(plates: Detections) -> FloatArray:
    """The corners (N, 4, 2) by which plates are rectified: their own, or their box's where those are not
    convex, not clockwise or elsewhere than the box."""
    boxes = boxes_to_corners(plates.boxes)
    if plates.corners is None or not len(plates):
        return boxes
    edges = np.roll(plates.corners, -1, 1) - plates.corners
    following = np.roll(edges, -1, 1)
    turns = edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0]
    alike = np.diagonal(iou(corners_to_boxes(plates.corners), plates.boxes)) >= SAME_PLACE
    # Each corner must turn right, by more than a sliver of the box.
    sound = alike & (turns > 0.02 * area(plates.boxes)[:, None]).all(1)
    return np.where(sound[:, None, None], plates.corners, boxes)


def heights(plates: Detections) -> FloatArray:
    """The height of each of N plates in pixels, along its own sides: (N,)."""
    corners = quadrilaterals(plates)
    return np.asarray(np.linalg.norm(corners[:, [3, 2]] - corners[:, [0, 1]], axis=-1).mean(1), np.float32)


def decode(outputs: Mapping[str, FloatArray], card: Card) -> list[Reading]:
    """A reading for each of N plates.

    ``outputs``: ``logits`` (N, T, 1 + alphabet), class 0 the CTC blank, upper row's steps before the lower's;
    ``regions`` (N, R) logits, where the card has regions. Best path decoding; the confidence is the
    probability of the text under the network, summed over all alignments (Graves et al. 2006, section 4.1),
    with the logits divided by the card's temperature.
    """
    probabilities = softmax(outputs["logits"] / np.float32(card.temperature))
    regions = softmax(outputs["regions"]) if card.regions else None
    peaks = [_peaks(steps) for steps in probabilities]
    confidences = text_probabilities(probabilities, [symbols for symbols, _ in peaks])
    readings = []
    for row, (symbols, steps) in enumerate(peaks):
        at_peak = probabilities[row, steps]
        characters = at_peak[:, 1:]
        best = None if regions is None else int(regions[row].argmax())
        readings.append(
            Reading(
                text="".join(card.alphabet[symbol - 1] for symbol in symbols),
                confidence=float(confidences[row]),
                char_confidences=tuple(at_peak[np.arange(len(steps)), symbols].tolist()),
                distributions=characters / np.maximum(characters.sum(1, keepdims=True), 1e-12),
                region=card.regions[best]
                if best is not None and regions is not None and regions[row, best] >= REGION_FROM
                else None,
            )
        )
    return readings


def _peaks(probabilities: FloatArray) -> tuple[IntArray, IntArray]:
    """The symbols of the best path through (T, C), each with the step where it is surest."""
    path = probabilities.argmax(1)
    begins = np.flatnonzero(np.diff(path, prepend=-1))
    ends = np.append(begins[1:], len(path))
    runs = [
        (path[begin], begin, end) for begin, end in zip(begins, ends, strict=True) if path[begin] != BLANK
    ]
    steps = [begin + probabilities[begin:end, symbol].argmax() for symbol, begin, end in runs]
    return np.array([symbol for symbol, _, _ in runs], np.int64), np.array(steps, np.int64)


def text_probabilities(probabilities: FloatArray, texts: list[IntArray]) -> FloatArray:
    """The probability of each of N symbol sequences under the CTC steps (N, T, C): (N,) in [0, 1].

    The forward variable of Graves et al. 2006, equations 5 to 7, for all N at once, scaled now and then.
    """
    count, total, _ = probabilities.shape
    if not count:
        return np.zeros(0, np.float32)
    longest = max(len(text) for text in texts)
    extended = np.full((count, 2 * longest + 1), BLANK, np.int64)
    for row, text in enumerate(texts):
        extended[row, 1 : 2 * len(text) : 2] = text
    # A symbol may follow the one before its blank directly, unless both are the same.
    skips = np.zeros(extended.shape)
    skips[:, 3::2] = extended[:, 3::2] != extended[:, 1:-2:2]
    emitted = np.take_along_axis(probabilities, extended[:, None, :].repeat(total, 1), 2).astype(np.float64)
    # Two columns of zeros at the left stand for what comes before the text.
    forward = np.zeros((count, extended.shape[1] + 2))
    forward[:, 2:4] = emitted[:, 0, :2]
    logarithm = np.zeros(count)
    for step in range(1, total):
        forward[:, 2:] = (forward[:, 2:] + forward[:, 1:-1] + skips * forward[:, :-2]) * emitted[:, step]
        if step % 16 == 0:
            scale = np.maximum(forward.max(1), 1e-300)
            logarithm += np.log(scale)
            forward /= scale[:, None]
    last = np.array([2 * len(text) for text in texts])
    rows = np.arange(count)
    ending = forward[rows, 2 + last] + forward[rows, 1 + last]
    return np.asarray(np.minimum(np.exp(logarithm) * ending, 1), np.float32)
