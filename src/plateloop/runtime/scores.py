"""What networks' scores have in common: probabilities from logits, candidates from anchors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plateloop.types import FloatArray

CANDIDATES = 1000
"""The best-scored anchors of a picture that are looked at, as usual among one-stage detectors."""


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities over the last axis."""
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(-1, keepdims=True), np.float32)


def candidates(scores: FloatArray, threshold: float, most: int = CANDIDATES) -> NDArray[np.intp]:
    """The indices of ``scores`` (A,) at or above ``threshold``, the best ``most`` of them at most."""
    rows = np.flatnonzero(scores >= threshold)
    if len(rows) > most:
        rows = rows[np.argpartition(-scores[rows], most)[:most]]
    return rows
