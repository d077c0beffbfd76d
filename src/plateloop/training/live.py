"""A network in torch that answers as the exported one does, to look at it while it learns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from plateloop.runtime.card import Card
from plateloop.types import FloatArray, Image

Predict = Callable[[Image], dict[str, FloatArray]]
"""Pictures (N, H, W, 3), uint8, to the outputs by name: a `Session`, or a `Live` network."""

_AT_ONCE = 64


class Live:
    """``network`` in torch on ``device``; like a `Session` it has a ``card``, and gives outputs by name."""

    def __init__(self, network: nn.Module, card: Card, device: torch.device) -> None:
        self.network, self.card, self.device = network, card, device

    @torch.inference_mode()
    def __call__(self, pictures: Image) -> dict[str, FloatArray]:
        """The outputs for ``pictures`` (N, H, W, 3), RGB uint8 of the card's input size; N may be 0."""
        parts = []
        for start in range(0, max(1, len(pictures)), _AT_ONCE):
            part = torch.from_numpy(pictures[start : start + _AT_ONCE])
            images = part.to(self.device).permute(0, 3, 1, 2).float() / 255
            parts.append(self.network(images.contiguous(memory_format=torch.channels_last)))
        return {name: torch.cat([p[name] for p in parts]).float().cpu().numpy() for name in self.card.outputs}
