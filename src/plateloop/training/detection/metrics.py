"""Measures of detectors: pure functions over arrays, with ignored regions counted neither way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plateloop.geometry import coverage, iou
from plateloop.types import FloatArray, IntArray

FALSE = -1
IGNORED = -2
OVERLAP = 0.5


def matches(boxes: FloatArray, truth: FloatArray, ignored: FloatArray, overlap: float = OVERLAP) -> IntArray:
    """What each of ``boxes`` (N, 4), by falling score, finds: a row of ``truth`` (M, 4), FALSE or IGNORED.

    As COCO matches: each box takes the free object that it overlaps most, by an IoU of ``overlap`` at least;
    one that takes none is ignored if that share of itself lies in one of ``ignored`` (K, 4).
    """
    found = np.full(len(boxes), FALSE, np.int64)
    if len(ignored):
        found[coverage(boxes, ignored).max(1, initial=0) >= overlap] = IGNORED
    table = iou(boxes, truth)
    if not len(truth):
        return found
    for row in range(len(boxes)):
        best = int(table[row].argmax())
        if table[row, best] >= overlap:
            found[row] = best
            table[:, best] = -1
    return found


@dataclass(frozen=True, slots=True)
class Findings:
    """All detections on a set of pictures, by falling score.

    ``scores`` (N,), ``hits`` (N,) index the set's objects (or FALSE, IGNORED); ``objects`` is their number,
    ``pictures`` the set's size.
    """

    scores: FloatArray
    hits: IntArray
    objects: int
    pictures: int


def gather(parts: Sequence[tuple[FloatArray, IntArray, int]]) -> Findings:
    """Findings of a set, from each picture's scores, matches and number of objects."""
    starts = np.cumsum([0, *(count for *_, count in parts)])
    scores = np.concatenate([np.zeros(0, np.float32), *(scores for scores, *_ in parts)])
    shifted = [
        np.where(hits >= 0, hits + start, hits) for (_, hits, _), start in zip(parts, starts, strict=False)
    ]
    hits = np.concatenate([np.zeros(0, np.int64), *shifted])
    order = np.argsort(-scores, kind="stable")
    return Findings(scores[order], hits[order], int(starts[-1]), len(parts))


def average_precision(findings: Findings) -> float:
    """Area under precision over recall, at COCO's 101 recalls; nan where there is no object."""
    if not findings.objects:
        return float("nan")
    counted = findings.hits != IGNORED
    true = np.cumsum(findings.hits[counted] >= 0)
    false = np.cumsum(findings.hits[counted] == FALSE)
    recall = true / findings.objects
    precision = true / np.maximum(true + false, 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, np.linspace(0, 1, 101), "left")
    return float(np.append(precision, 0)[np.minimum(at, len(precision))].mean())


def threshold_at(findings: Findings, false_per_100: float) -> float:
    """The lowest score at which there are at most ``false_per_100`` false finds per 100 pictures."""
    false = np.cumsum(findings.hits == FALSE)
    allowed = false <= false_per_100 * findings.pictures / 100
    if allowed.all():
        return float(findings.scores[-1]) if len(findings.scores) else 0.0
    # The first find over the limit must stay out, and all that score the same.
    return float(np.nextafter(findings.scores[int(np.argmin(allowed))], np.float32(2)))


def recall(findings: Findings, threshold: float, wanted: NDArray[np.bool_] | None = None) -> float:
    """Share of the objects (those ``wanted`` (objects,)) found at ``threshold``; nan where there is none."""
    found = np.zeros(findings.objects, bool)
    found[findings.hits[(findings.hits >= 0) & (findings.scores >= threshold)]] = True
    chosen = found if wanted is None else found[wanted]
    return float(chosen.mean()) if len(chosen) else float("nan")


def false_per_100(findings: Findings, threshold: float) -> float:
    """False finds per 100 pictures at ``threshold``."""
    return float(((findings.hits == FALSE) & (findings.scores >= threshold)).sum() * 100 / findings.pictures)


def best_threshold(findings: Findings) -> float:
    """The score at which the harmonic mean of precision and recall is highest; 0.5 without a find."""
    true = np.cumsum(findings.hits >= 0)
    false = np.cumsum(findings.hits == FALSE)
    if not len(true):
        return 0.5
    return float(findings.scores[int(np.argmax(2 * true / np.maximum(true + false + findings.objects, 1)))])


def corner_errors(found: FloatArray, truth: FloatArray) -> FloatArray:
    """Mean distance of 4 corners as a share of the plate's width: (N, 4, 2) against (N, 4, 2) → (N,)."""
    distance = np.linalg.norm(found - truth, axis=-1).mean(-1)
    sides = np.linalg.norm(truth[:, [1, 2]] - truth[:, [0, 3]], axis=-1).mean(-1)
    return np.asarray(distance / sides, np.float32)
