"""A network in torch that is asked as the exported one is, to look at it while it learns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from plateloop.types import FloatArray, Image

Predict = Callable[[Image], dict[str, FloatArray]]
"""Pictures (N, H, W, 3), uint8, to the outputs by name: a `Session`, or a network in torch."""


def predictor(model: nn.Module, device: torch.device) -> Predict:
    """``model`` as evaluation wants it."""

    def predict(pictures: Image) -> dict[str, FloatArray]:
        images = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            outputs = model(images)
        return {name: value.float().cpu().numpy() for name, value in outputs.items()}

    return predict
