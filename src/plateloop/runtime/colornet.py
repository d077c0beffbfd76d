"""colornet's output → colours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plateloop.runtime.card import Card
from plateloop.runtime.scores import softmax
from plateloop.types import Color, FloatArray


def decode(outputs: Mapping[str, FloatArray], card: Card) -> list[Color]:
    """The likeliest colour of each of N vehicles. ``outputs``: ``logits`` (N, C)."""
    probabilities = softmax(outputs["logits"] / np.float32(card.temperature))
    best = probabilities.argmax(1)
    confidences = probabilities[np.arange(len(best)), best]
    return [
        Color(card.labels[label], confidence)
        for label, confidence in zip(best.tolist(), confidences.tolist(), strict=True)
    ]
