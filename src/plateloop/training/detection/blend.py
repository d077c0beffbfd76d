"""Canvases seen through each other (mixup), with the objects of both.

Zhang et al. 2018, "mixup"; for detectors, both pictures' objects counting in full: Zhang et al. 2019, "Bag of
freebies for training object detection neural networks".
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from plateloop.networks.assigner import NOTHING
from plateloop.training.detection.augment import on_device
from plateloop.training.detection.layout import Placed, padded
from plateloop.types import IntArray


class BlendConfig(BaseModel):
    """Which canvases are blended, and how evenly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(0.0, description="share of canvases through which another shines")
    until: float = Field(0.85, description="progress of the training from which none are blended")
    other: tuple[float, float] = Field((0.35, 0.5), description="how much of the light is the other's")


def pick_pairs(rng: np.random.Generator, batch: int, share: float) -> IntArray:
    """Canvases (n,), and for each another one that shines through it: (2, n)."""
    rows = rng.permutation(batch)[: int(batch * share + rng.random())]
    others = (rows + rng.integers(1, max(batch, 2), len(rows))) % batch
    return np.stack([rows, others])


def blend_pictures(
    images: Tensor, cover: Tensor, pairs: IntArray, rng: np.random.Generator, config: BlendConfig
) -> tuple[Tensor, Tensor]:
    """``images`` and ``cover`` (B, ·, H, W) with the canvases of ``pairs`` (2, n) blended, new tensors."""
    share = on_device(rng.uniform(*config.other, (pairs.shape[1], 1, 1, 1)), images.device).to(images.dtype)
    rows, others = (on_device(row, images.device) for row in pairs)
    blended = torch.lerp(images[rows], images[others], share)
    either = torch.maximum(cover[rows], cover[others])
    return images.index_copy(0, rows, blended), cover.index_copy(0, rows, either)


def blend_objects(placed: Placed, pairs: IntArray) -> Placed:
    """``placed`` with each canvas of ``pairs`` (2, n) showing the other's objects too."""
    real = np.flatnonzero(placed.labels != NOTHING)
    taken = [real[placed.picture[real] == other] for other in pairs[1]]
    rows = np.concatenate([real, *taken])
    owner = np.repeat(pairs[0], [len(found) for found in taken])
    complete = placed.complete.copy()
    complete[pairs[0]] &= placed.complete[pairs[1]]
    return padded(
        Placed(
            np.concatenate([placed.picture[real], owner]),
            placed.boxes[rows],
            placed.labels[rows],
            placed.corners[rows],
            placed.has_corners[rows],
            complete,
        )
    )
