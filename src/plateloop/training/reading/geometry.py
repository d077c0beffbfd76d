"""How a plate comes to lie in the reader's input: where a rectified plate or a plain box crop would put it.

Everything is batched over plates and runs where its tensors are. Points are continuous pixels of the input
(160 × 64), the middle of the first pixel at 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from plateloop.networks.lprnet import HEIGHT, WIDTH


class Spread(BaseModel):
    """How far plates lie from the ideal; every value but ``boxes`` is a standard deviation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    boxes: float = Field(
        description="share of plates seen through an axis-aligned box instead of their corners"
    )
    margin: float = Field(
        default=0.06, description="mean margin on each side, share of the plate's (or box's) size"
    )
    margin_spread: float = Field(default=0.04, description="of the margin; it is kept within -0.05 to 0.2")
    loose: float = Field(
        default=0.0,
        description="share of plates with much around them, up to half of their size at each side",
    )
    cut: float = Field(
        default=0.0,
        description="share of plates of which the box cuts off up to 15 % at the upper or lower edge",
    )
    corner: float = Field(default=0.02, description="of each corner of a rectified plate, share of its size")
    rotation: float = Field(description="of a boxed plate, degrees; at most 2.5 times this")
    shear: float = Field(description="horizontal shear of a boxed plate; the vertical is half of it")
    perspective: float = Field(description="how much shorter one side of a boxed plate is than the other")
    squeeze: float = Field(
        default=0.15, description="of the logarithm of a boxed plate's width (seen from the side)"
    )


@cache
def _constant(values: tuple[Any, ...], device: torch.device) -> Tensor:
    """``values`` on ``device``, sent once: sending waits for the GPU."""
    return torch.tensor(values, dtype=torch.float32, device=device)


_UNIT = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def _normal(*shape: int, like: Tensor) -> Tensor:
    return torch.randn(*shape, device=like.device)


def sample_quads(aspects: Tensor, margins: Tensor, spread: Spread) -> Tensor:
    """Where the corners of plates fall in the input: (N, 4, 2) pixels, clockwise from the plate's top left.

    ``aspects`` (N,) is width over height of the plates, ``margins`` (N,) the mean margin of each.
    """
    n = len(aspects)
    unit = _constant(_UNIT, aspects.device)
    sides = (margins[:, None] + spread.margin_spread * _normal(n, 4, like=aspects)).clamp(-0.05, 0.2)
    loose = torch.rand(n, 1, device=aspects.device) < spread.loose
    sides = torch.where(loose, torch.rand(n, 4, device=aspects.device) * 0.5, sides)
    # At the sides a cut would take whole characters away.
    edge = torch.randint(2, (n, 1), device=aspects.device) * 2 + 1 == torch.arange(4, device=aspects.device)
    cut = edge & (torch.rand(n, 1, device=aspects.device) < spread.cut)
    sides = torch.where(cut, -0.15 * torch.rand(n, 1, device=aspects.device), sides)
    rectified = unit + spread.corner * _normal(n, 4, 2, like=aspects)

    angle = torch.deg2rad(spread.rotation * _normal(n, like=aspects).clamp(-2.5, 2.5))
    shear_x, shear_y = (spread.shear * _normal(n, 2, like=aspects).clamp(-2.5, 2.5)).unbind(1)
    squeeze = torch.exp(spread.squeeze * _normal(n, like=aspects).clamp(-2, 1))
    taper = spread.perspective * _normal(n, 2, like=aspects).clamp(-2.5, 2.5)
    centered = (unit - 0.5).expand(n, 4, 2)
    # The side towards which the taper points is the nearer, and so the larger.
    grow = 1 + (centered * taper[:, None] * 2).sum(-1)
    x = centered[..., 0] * grow * (aspects * squeeze)[:, None]
    y = centered[..., 1] * grow
    x, y = x + shear_x[:, None] * y, y + 0.5 * (shear_y / aspects.clamp(min=1))[:, None] * x
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    tilted = torch.stack([x * cos - y * sin, x * sin + y * cos], -1)
    low, high = tilted.amin(1, keepdim=True), tilted.amax(1, keepdim=True)
    boxed = (tilted - low) / (high - low)

    through_box = torch.rand(n, 1, 1, device=aspects.device) < spread.boxes
    quads = torch.where(through_box, boxed, rectified)
    low, size = sides[:, None, :2], 1 + sides[:, None, :2] + sides[:, None, 2:]
    return (quads + low) / size * _constant((WIDTH, HEIGHT), aspects.device)


def homographies(source: Tensor, target: Tensor) -> Tensor:
    """The projective maps (N, 3, 3) that take ``source`` (N, 4, 2) to ``target`` (N, 4, 2)."""
    x, y = source.double().unbind(-1)
    u, v = target.double().unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = torch.cat(
        [
            torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], -1),
            torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], -1),
        ],
        1,
    )
    # Unlike solve, solve_ex does not wait to see whether a matrix was singular.
    eight = torch.linalg.solve_ex(rows, torch.cat([u, v], 1)).result
    return torch.cat([eight, torch.ones_like(eight[:, :1])], 1).reshape(-1, 3, 3).float()


def project(matrices: Tensor, points: Tensor) -> Tensor:
    """Points (N, ..., 2) mapped by the projective ``matrices`` (N, 3, 3)."""
    flat = F.pad(points.flatten(1, -2), (0, 1), value=1.0) @ matrices.transpose(1, 2)
    return (flat[..., :2] / flat[..., 2:]).reshape(points.shape)


@dataclass(frozen=True, slots=True)
class Warped:
    """Plates in the network's input: ``images`` (N, 3, 64, 160) 0 to 1; ``places`` (N, 64, 160, 2), which
    place of the plate (0 to 1 inside it) each pixel shows."""

    images: Tensor
    places: Tensor


def warp(images: Tensor, regions: Tensor, quads: Tensor) -> Warped:
    """Lay what lies within the rectangle ``regions`` (4, 2; pixels) of ``images`` (N, 3, H, W; uint8) onto
    ``quads`` (N, 4, 2). What lies outside of an image repeats its edge."""
    height, width = images.shape[2:]
    unit = _constant(_UNIT, quads.device).expand(len(quads), 4, 2)
    matrices = homographies(quads, unit)
    x = torch.arange(WIDTH, device=quads.device) + 0.5
    y = torch.arange(HEIGHT, device=quads.device) + 0.5
    pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    places = project(matrices, pixels.expand(len(quads), HEIGHT, WIDTH, 2))
    corner, size = regions[0], regions[2] - regions[0]
    grid = (places * size + corner) / _constant((width, height), quads.device) * 2 - 1
    sampled = F.grid_sample(images.float() / 255, grid, padding_mode="border", align_corners=False)
    return Warped(sampled, places)


def char_places(char_sides: Tensor, quads: Tensor) -> tuple[Tensor, Tensor]:
    """Horizontal middles and widths (N, 12) in the input of characters whose sides are at ``char_sides``
    (N, 12, 2, 2; units of the plate), for plates that lie at ``quads`` (N, 4, 2)."""
    unit = _constant(_UNIT, quads.device).expand(len(quads), 4, 2)
    sides = project(homographies(unit, quads), char_sides)[..., 0]
    return sides.mean(-1), (sides[..., 1] - sides[..., 0]).abs()
