"""What right means: pure functions over texts, boxes and confidences. No network runs here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plateloop.geometry import iou
from plateloop.text import edit_distance
from plateloop.types import FloatArray, IntArray


def character_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Edit distance summed over ``(truth, found)`` pairs, divided by the truth's characters.

    0 is perfect; above 1 where more was invented than there was to read; nan without truth.
    """
    errors = characters = 0
    for truth, found in pairs:
        errors += edit_distance(truth, found)
        characters += len(truth)
    return errors / characters if characters else float("nan")


def match(truth: FloatArray, found: FloatArray, threshold: float = 0.3) -> IntArray:
    """Pair boxes ``truth`` (N, 4) with ``found`` (M, 4) one to one, the highest IoU first.

    Returns (N,) the index of each truth's partner, -1 where none overlaps it by at least ``threshold``.
    """
    partner = np.full(len(truth), -1, np.int64)
    overlap = iou(truth, found)
    for flat in np.argsort(-overlap, axis=None, kind="stable"):
        row, column = divmod(int(flat), len(found))
        if overlap[row, column] < threshold:
            break
        if partner[row] < 0 and column not in partner:
            partner[row] = column
    return partner


@dataclass(frozen=True, slots=True)
class TextMatch:
    """Texts of a picture or a clip against its truth, places unknown.

    ``right`` truths were read exactly; ``wrong`` are pairs ``(truth, nearest reading)`` at most half of the
    truth's characters apart; ``missing`` truths have neither; ``extra`` readings have no truth, or one that
    was read already.
    """

    right: tuple[str, ...]
    wrong: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def match_texts(truth: Sequence[str], found: Sequence[str]) -> TextMatch:
    """Pair the texts of ``truth`` and ``found``, both as multisets: equal ones first, then the nearest."""
    common = Counter(truth) & Counter(found)
    missing = list((Counter(truth) - common).elements())
    extra = list((Counter(found) - common).elements())
    wrong = []
    distances = sorted((edit_distance(t, f), t, f) for t in missing for f in extra)
    for distance, expected, reading in distances:
        if 2 * distance <= len(expected) and expected in missing and reading in extra:
            missing.remove(expected)
            extra.remove(reading)
            wrong.append((expected, reading))
    return TextMatch(tuple(common.elements()), tuple(wrong), tuple(missing), tuple(extra))


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far confidences tell the truth.

    For each of B equal bins of [0, 1]: ``count``, mean ``confidence`` and ``accuracy`` (nan in empty bins);
    ``ece`` is the expected calibration error: the distance between the two, averaged by count (Naeini et al.,
    AAAI 2015).
    """

    count: IntArray
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    ece: float


def reliability(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> Reliability:
    """Compare ``confidence`` (N,) in [0, 1] with whether each was ``right`` (N,); ``ece`` is nan of none."""
    values, hits = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    index = np.clip((values * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(index, values, bins) / count
        accuracy = np.bincount(index, hits, bins) / count
    gap = np.nansum(np.abs(accuracy - mean) * count)
    return Reliability(count, mean, accuracy, float(gap / len(values)) if len(values) else float("nan"))


def bootstrap(
    right: Sequence[float], total: Sequence[float], level: float = 0.95, rounds: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Confidence interval of ``sum(right) / sum(total)`` when the pictures are drawn anew.

    ``right`` and ``total`` (N,) count the objects of each picture: pictures, not objects, are resampled,
    because plates of one picture fail together (cluster bootstrap, percentile method; Efron and Tibshirani
    1993). Returns (low, high), nan without objects.
    """
    hits, sizes = np.asarray(right, np.float64), np.asarray(total, np.float64)
    if not sizes.sum():
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(0, len(sizes), (rounds, len(sizes)))
    weight = sizes[drawn].sum(1)
    share = hits[drawn].sum(1)[weight > 0] / weight[weight > 0]
    low, high = np.quantile(share, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
