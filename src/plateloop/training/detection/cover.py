"""Patches that hide parts of the canvases (random erasing; Zhong et al. 2020), so that a detector learns to
find vehicles by any of their parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from plateloop.geometry import area
from plateloop.networks.assigner import IGNORE
from plateloop.training.detection.augment import on_device
from plateloop.training.detection.layout import Placed
from plateloop.types import FloatArray


class CoverConfig(BaseModel):
    """How many patches there are, and how large."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(0.0, description="share of canvases with patches")
    most: int = Field(4, description="patches on a canvas, at most")
    size: tuple[float, float] = Field((0.04, 0.35), description="a patch's sides, shares of the canvas's")
    hidden: float = Field(0.5, description="share of a box under patches from which it is ignored")


def pick_patches(
    rng: np.random.Generator, batch: int, size: tuple[int, int], config: CoverConfig
) -> FloatArray:
    """Patches (B, K, 4) in pixels of canvases of ``size`` (width, height); empty where there is none."""
    low, high = np.log(config.size)
    side = np.exp(rng.uniform(low, high, (batch, config.most, 2))) * size
    corner = rng.random((batch, config.most, 2)) * (np.array(size) - side)
    there = np.arange(config.most) < rng.integers(1, config.most + 1, (batch, 1))
    there &= rng.random((batch, 1)) < config.share
    patches = np.concatenate([corner, corner + side], -1) * there[..., None]
    return patches.astype(np.float32)


def cover_pictures(images: Tensor, patches: FloatArray, rng: np.random.Generator) -> Tensor:
    """``images`` (B, 3, H, W) in [0, 1] under ``patches`` (B, K, 4), each of one random colour, grainy."""
    device, kind = images.device, images.dtype
    x = torch.arange(images.shape[3], device=device).view(1, 1, 1, -1) + 0.5
    y = torch.arange(images.shape[2], device=device).view(1, 1, -1, 1) + 0.5
    edges = on_device(patches.transpose(1, 2, 0).copy(), device)[..., None, None, None]
    colours = on_device(rng.random((patches.shape[1], len(images), 3, 1, 1)), device).to(kind)
    grain = (torch.rand_like(images[:, :1]) - 0.5) * 0.2
    for (x1, y1, x2, y2), colour in zip(edges, colours, strict=True):
        inside = (x >= x1) & (x < x2) & (y >= y1) & (y < y2)
        images = torch.where(inside, (colour + grain).clamp_(0, 1), images)
    return images


def cover_objects(placed: Placed, patches: FloatArray, config: CoverConfig) -> Placed:
    """``placed`` where what lies mostly under ``patches`` (B, K, 4) is ignored."""
    under = _area_under(placed.boxes, patches[placed.picture])
    lost = (placed.labels >= 0) & (under >= config.hidden * np.maximum(area(placed.boxes), 1e-6))
    labels = np.where(lost, IGNORE, placed.labels)
    return replace(placed, labels=labels, has_corners=placed.has_corners & ~lost)


def _area_under(boxes: FloatArray, patches: FloatArray) -> FloatArray:
    """Area (M,) of each of ``boxes`` (M, 4) under any of its ``patches`` (M, K, 4), counted once where these
    overlap: the cells of the grid that all their edges make."""
    low, high = patches[..., :2], patches[..., 2:]
    edges = np.concatenate([low, high], 1).clip(boxes[:, None, :2], boxes[:, None, 2:])
    edges.sort(1)
    middle = (edges[:, None, 1:] + edges[:, None, :-1]) / 2
    inside = (middle > low[:, :, None]) & (middle < high[:, :, None])
    cells = (inside[..., :, None, 0] & inside[..., None, :, 1]).any(1)
    side = np.diff(edges, axis=1)
    return np.asarray((cells * side[:, :, None, 0] * side[:, None, :, 1]).sum((1, 2)))
