"""lprnet: reads a plate of one or two rows without cutting it into characters first.

A small convolutional trunk brings the plate to 4 × 40 places, self-attention over all of them lets the
network see whether there is one row or two and what is an emblem, and 2 × 40 places remain: each is a step of
a CTC sequence (Graves et al. 2006), the upper row's 40 steps first, then the lower row's. A plate of one row
is written on the upper row's steps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plateloop.networks.blocks import ConvUnit, depthwise

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WIDTH, HEIGHT = 160, 64
ROWS, COLUMNS = 2, 40
STEPS = ROWS * COLUMNS


class MixBlock(nn.Module):
    """Depthwise convolution, then a residual pair of pointwise ones (after ConvNeXt, Liu et al. 2022).

    Takes and returns (B, channels, H, W). Batch normalisation instead of layer normalisation, since it is
    folded into the convolutions at export.
    """

    def __init__(self, channels: int, expansion: int = 2) -> None:
        super().__init__()
        self.look = depthwise(channels, act=False)
        self.widen = ConvUnit(channels, channels * expansion)
        self.narrow = ConvUnit(channels * expansion, channels, act=False)
        # The branch starts silent, so that the trunk starts as its plain convolutions.
        nn.init.zeros_(self.narrow.norm.weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.narrow(self.widen(self.look(x)))
        return out


class Halve(nn.Module):
    """Halves the height: a convolution over three rows, normalisation, SiLU where ``act``."""

    def __init__(self, inputs: int, outputs: int, act: bool = True) -> None:
        super().__init__()
        self.conv = ConvUnit(inputs, outputs, act=act)
        self.conv.conv = nn.Conv2d(inputs, outputs, (3, 1), (2, 1), (1, 0), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class AttentionBlock(nn.Module):
    """Pre-norm self-attention over all places, then a two-layer perceptron (Vaswani et al. 2017).

    Takes and returns (B, places, channels). Written with plain matrix products and a softmax, which every
    ONNX runtime knows.
    """

    def __init__(
        self, channels: int, places: int, heads: int, expansion: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.shape = (-1, places, 3, heads, channels // heads)
        self.first = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, 3 * channels)
        self.merge = nn.Linear(channels, channels)
        self.second = nn.LayerNorm(channels)
        self.perceptron = nn.Sequential(
            nn.Linear(channels, channels * expansion),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(channels * expansion, channels),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        _, places, _, heads, size = self.shape
        query, key, value = self.project(self.first(x)).reshape(self.shape).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query * size**-0.5 @ key.transpose(-2, -1)).softmax(-1)
        seen = (weights @ value).transpose(1, 2).reshape(-1, places, heads * size)
        x = x + self.dropout(self.merge(seen))
        out: Tensor = x + self.dropout(self.perceptron(self.second(x)))
        return out


class LPRNet(nn.Module):
    """The plate reader.

    Takes plates (B, 3, 64, 160), RGB in [0, 1]; returns ``logits`` (B, 80, 37), class 0 the CTC blank and the
    others ``ALPHABET``, and ``regions`` (B, ``regions``) logits.
    """

    def __init__(self, regions: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvUnit(3, 24, 3, 2), ConvUnit(24, 56, 3, 2))
        self.fine = nn.Sequential(MixBlock(56), MixBlock(56))
        self.halve_fine = Halve(56, 112)
        self.middle = nn.Sequential(MixBlock(112), MixBlock(112))
        self.halve_middle = Halve(112, 160, act=False)
        self.places = nn.Parameter(torch.zeros(1, 160, 4, COLUMNS))
        self.coarse = AttentionBlock(160, 4 * COLUMNS, heads=5, dropout=dropout)
        self.halve_coarse = nn.Conv2d(160, 192, (2, 1), (2, 1))
        self.steps = nn.Parameter(torch.zeros(1, STEPS, 192))
        self.reader = nn.Sequential(
            AttentionBlock(192, STEPS, heads=6, dropout=dropout),
            AttentionBlock(192, STEPS, heads=6, dropout=dropout),
        )
        self.norm = nn.LayerNorm(192)
        self.classify = nn.Linear(192, 1 + len(ALPHABET))
        self.locate = nn.Linear(192, regions)
        nn.init.trunc_normal_(self.places, std=0.02)
        nn.init.trunc_normal_(self.steps, std=0.02)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        x = self.middle(self.halve_fine(self.fine(self.stem(images))))
        x = self.halve_middle(x) + self.places
        x = self.coarse(x.reshape(-1, 160, 4 * COLUMNS).transpose(1, 2))
        x = self.halve_coarse(x.transpose(1, 2).reshape(-1, 160, 4, COLUMNS))
        x = self.reader(x.reshape(-1, 192, STEPS).transpose(1, 2) + self.steps)
        x = self.norm(x)
        return {"logits": self.classify(x), "regions": self.locate(x.mean(1))}
