"""colornet: a small classifier of the colour of a vehicle."""

from __future__ import annotations

from torch import Tensor, nn

from plateloop.networks.blocks import ConvUnit
from plateloop.networks.lprnet import MixBlock

SIDE = 128
PLACES = (SIDE // 16) ** 2


class ColorNet(nn.Module):
    """The colour classifier.

    Takes vehicles (B, 3, 128, 128), RGB in [0, 1], squashed to the square; returns ``logits`` (B, labels).

    Colour needs little depth but must find the paint among glass, road and sky: each place of the last map
    votes for a colour, and is weighed by how much it looks like paint.
    """

    def __init__(self, labels: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            ConvUnit(3, 24, 3, 2),
            ConvUnit(24, 40, 3, 2),
            MixBlock(40),
            ConvUnit(40, 96, 3, 2),
            MixBlock(96),
            MixBlock(96),
            ConvUnit(96, 160, 3, 2),
            MixBlock(160),
            MixBlock(160),
        )
        self.attend = nn.Conv2d(160, 1, 1)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(160, labels)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        x = self.trunk(images)
        weights = self.attend(x).reshape(-1, 1, PLACES).softmax(-1)
        return {"logits": self.classify(self.dropout((x.reshape(-1, 160, PLACES) * weights).sum(-1)))}
