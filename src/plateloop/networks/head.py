"""The detectors' decoupled head: class scores, distances to the box's sides and, for plates, corners."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plateloop.networks.blocks import separable

BOX_CORNERS = (-0.5, -0.5, 0.5, -0.5, 0.5, 0.5, -0.5, 0.5)
"""A box's own corners about its centre, clockwise from the top left, in units of its size."""


class Head(nn.Module):
    """Raw predictions of one map: (B, ``classes`` + 4 [+ 8], H, W)."""

    def __init__(self, width: int, classes: int, corners: bool, stride: int) -> None:
        super().__init__()
        self.outputs = classes + (12 if corners else 4)
        self.look_class = nn.Sequential(separable(width), separable(width))
        self.look_box = nn.Sequential(separable(width), separable(width))
        self.classes = nn.Conv2d(width, classes, 1)
        self.box = nn.Conv2d(width, 4, 1)
        self.corners = nn.Conv2d(width, 8, 1) if corners else None
        # Few cells hold an object: start near that share, or the first steps only unlearn.
        nn.init.constant_(self.classes.bias, math.log(5 / classes / (640 / stride) ** 2))  # type: ignore[arg-type]
        nn.init.constant_(self.box.bias, 2.0)  # type: ignore[arg-type]
        if self.corners is not None:
            nn.init.zeros_(self.corners.weight)
            nn.init.zeros_(self.corners.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        seen, place = self.look_class(x), self.look_box(x)
        # bfloat16 has 8 bits: too few for places, so the last layer is computed in full precision.
        with torch.autocast(x.device.type, enabled=False):
            place = place.float()
            parts = [self.classes(seen.float()), self.box(place)]
            if self.corners is not None:
                parts.append(self.corners(place))
            return torch.cat(parts, 1)


def decode_boxes(raw: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Boxes xyxy in input pixels from raw distances (B, A, 4), cell centres (A, 2) and strides (A, 1)."""
    sides = F.softplus(raw) * strides
    return torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)


def decode_corners(raw: Tensor, boxes: Tensor, start: Tensor) -> Tensor:
    """Corners (B, A, 8) in input pixels: those of the boxes (B, A, 4), shifted by half of ``raw`` (B, A, 8)
    times the box's size. ``start`` (8,) is BOX_CORNERS."""
    centre = (boxes[..., :2] + boxes[..., 2:]) * 0.5
    size = boxes[..., 2:] - boxes[..., :2]
    return torch.cat([centre] * 4, -1) + (raw * 0.5 + start) * torch.cat([size] * 4, -1)
