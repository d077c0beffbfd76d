"""Parts of training pictures that show no object: what a detector must leave alone.

Nearly every training photograph shows a vehicle, so a detector may learn that there always is one, and find
it in a facade or on bare asphalt. Enlarged parts without any teach it otherwise.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plateloop.training.detection.data import Scenes
from plateloop.training.detection.layout import Windows


class EmptyConfig(BaseModel):
    """Which parts are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tries: int = Field(24, description="places looked at in each picture")
    most: int = Field(4, description="parts taken of a picture")
    least: int = Field(
        160, description="pixels of width; the less, the more are enlarged vehicles too small to be listed"
    )
    share: tuple[float, float] = Field((0.3, 1.0), description="of the picture's width")
    gap: float = Field(0.02, description="distance from the next object, share of the part's width")


def empty_windows(
    rng: np.random.Generator, scenes: Scenes, size: tuple[int, int], config: EmptyConfig
) -> Windows:
    """Random parts of all pictures, of the shape of ``size`` (width, height), that touch no object, ignored
    ones included."""
    pictures, boxes = [], []
    aspect = size[1] / size[0]
    for number, (width, height) in enumerate(scenes.sizes.tolist()):
        wide = rng.uniform(*config.share, config.tries) * width
        high = wide * aspect
        low = rng.random((config.tries, 2)) * np.stack([width - wide, height - high], -1)
        parts = np.concatenate([low, low + np.stack([wide, high], -1)], 1)
        objects = scenes.boxes[scenes.starts[number] : scenes.starts[number + 1]]
        gap = (config.gap * wide)[:, None]
        apart = (
            (objects[:, 0] > parts[:, 2:3] + gap)
            | (objects[:, 2] < parts[:, 0:1] - gap)
            | (objects[:, 1] > parts[:, 3:4] + gap)
            | (objects[:, 3] < parts[:, 1:2] - gap)
        )
        free = np.flatnonzero(apart.all(1) & (wide >= config.least) & (high <= height))[: config.most]
        pictures += [number] * len(free)
        boxes.append(parts[free])
    found = np.concatenate([np.zeros((0, 4)), *boxes]).astype(np.float32)
    return Windows(np.array(pictures, np.int64), found)
