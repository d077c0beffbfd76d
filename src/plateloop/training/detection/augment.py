"""Renders layouts on the device, and changes light, sharpness and noise of whole batches there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from plateloop.training.detection.data import PictureStore
from plateloop.training.detection.layout import NO_PICTURE, Layout
from plateloop.training.jpeg import cosines, quantization


class LookConfig(BaseModel):
    """How pictures are made to look; shares are of the batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    light: float = Field(0.25, description="deviation of the log of brightness")
    contrast: float = Field(0.25, description="largest change of contrast")
    saturation: float = Field(0.5, description="largest change of saturation")
    tint: float = Field(0.08, description="deviation of the log of each channel's gain")
    gamma: float = Field(0.3, description="largest log of gamma")
    grey: float = Field(0.1, description="share without colour")
    night: float = Field(0.08, description="share darkened to night")
    fog: float = Field(0.06, description="share in fog")
    blur: float = Field(0.12, description="share out of focus or in motion")
    coarse: float = Field(0.15, description="share seen at a lower resolution")
    noise: float = Field(0.25, description="share with sensor noise")
    jpeg: float = Field(0.2, description="share with blocks of compression")


def render(store: PictureStore, layout: Layout, samples: int = 1) -> tuple[Tensor, Tensor]:
    """The canvases (B, 3, H, W) in [0, 1] and where pictures cover them (B, 1, H, W), 1 or 0.

    Bilinear; with ``samples`` n each canvas pixel is the mean of n × n, so that strong reductions do not
    alias.
    """
    device = store.pixels.device
    kind = torch.float16 if device.type == "cuda" else torch.float32
    width, height = layout.size
    batch = len(layout.pictures)
    inverse = on_device(np.linalg.inv(layout.matrices).reshape(-1, 9).T.astype(np.float32), device)
    pictures = on_device(layout.pictures.reshape(-1), device)
    split = on_device(layout.split.astype(np.float32).T.reshape(2, -1, 1, 1), device)
    x = ((torch.arange(width * samples, device=device) + 0.5) / samples).view(1, 1, -1)
    y = ((torch.arange(height * samples, device=device) + 0.5) / samples).view(1, -1, 1)
    if (layout.pictures[:, 1:] == NO_PICTURE).all():
        inside = (x < split[0]) & (y < split[1])
        quarter = torch.arange(0, 4 * batch, 4, device=device).view(-1, 1, 1)
    else:
        quarter = (x >= split[0]).long() + 2 * (y >= split[1]).long()
        quarter += 4 * torch.arange(batch, device=device).view(-1, 1, 1)
        inside = torch.ones_like(quarter, dtype=torch.bool)
    m = [row[quarter] for row in inverse.contiguous()]
    depth = m[6] * x + m[7] * y + m[8]
    u, v = (m[0] * x + m[1] * y + m[2]) / depth, (m[3] * x + m[4] * y + m[5]) / depth
    # NO_PICTURE reads picture -1, the last one: it is masked here.
    w, h = (side.int()[quarter] for side in store.sizes[pictures].unbind(1))
    start = store.starts[pictures][quarter]
    inside = inside & (u >= 0) & (v >= 0) & (u <= w) & (v <= h) & (pictures >= 0)[quarter] & (depth > 0)
    u, v = (u - 0.5).clamp_(-1, 1e5), (v - 0.5).clamp_(-1, 1e5)
    column, line = u.floor(), v.floor()
    right, down = (u - column).to(kind), (v - line).to(kind)
    column, line = column.int(), line.int()
    total = torch.zeros(3, *u.shape, dtype=kind, device=device)
    for dy, share_y in ((0, 1 - down), (1, down)):
        base = start + torch.minimum((line + dy).clamp_(min=0), h - 1) * w
        for dx, share_x in ((0, 1 - right), (1, right)):
            pixel = store.pixels[base + torch.minimum((column + dx).clamp_(min=0), w - 1)]
            share = share_x * share_y
            for channel in range(3):
                total[channel] += share * ((pixel >> (8 * channel)) & 255)
    canvas = (total * (inside / 255).to(kind)).transpose(0, 1)
    cover = inside[:, None].to(kind)
    if samples > 1:
        canvas, cover = F.avg_pool2d(canvas, samples), F.avg_pool2d(cover, samples)
    return canvas, cover


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """``array`` as a tensor on ``device``, sent without waiting for what the device is doing."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _some(rng: np.random.Generator, batch: int, share: float, device: torch.device) -> Tensor:
    """A random choice of rows, its size known without asking the device."""
    count = int(batch * share + rng.random())
    return on_device(rng.permutation(batch)[:count], device)


def _uniform(count: int, low: float, high: float, like: Tensor) -> Tensor:
    return torch.rand(count, 1, 1, 1, device=like.device).mul_(high - low).add_(low).to(like.dtype)


def alter(images: Tensor, cover: Tensor, rng: np.random.Generator, config: LookConfig) -> Tensor:
    """Random light, colour, sharpness, noise and compression on ``images`` (B, 3, H, W) in [0, 1].

    Where ``cover`` (B, 1, H, W) is 0 the canvas stays black.
    """
    batch, device = len(images), images.device
    images = _colour(images, rng, config)
    for share, change in (
        (config.fog, _fog),
        (config.blur, _blur),
        (config.coarse, _coarse),
        (config.noise, _noise),
        (config.jpeg, _jpeg),
    ):
        rows = _some(rng, batch, share, device)
        if len(rows):
            images[rows] = change(images[rows]).clamp_(0, 1)
    return images * cover


def _colour(images: Tensor, rng: np.random.Generator, config: LookConfig) -> Tensor:
    """Light, contrast, saturation and tint as one 3×3 map a picture, then gamma."""
    batch = len(images)
    grey = np.array([0.299, 0.587, 0.114])
    keep = 1 + rng.uniform(-config.saturation, config.saturation, batch)
    keep[rng.random(batch) < config.grey] = 0
    gain = np.exp(rng.normal(0, config.light, (batch, 1)) + rng.normal(0, config.tint, (batch, 3)))
    night = rng.random(batch) < config.night
    gain[night] *= rng.uniform(0.15, 0.5, (night.sum(), 1))
    contrast = 1 + rng.uniform(-config.contrast, config.contrast, (batch, 1, 1))
    mix = keep[:, None, None] * np.eye(3) + (1 - keep[:, None, None]) * grey
    matrix = on_device(gain[:, :, None] * mix * contrast, images.device).to(images.dtype)
    offset = on_device(gain[:, :, None] * 0.4 * (1 - contrast), images.device).to(images.dtype)
    flat = torch.baddbmm(offset, matrix, images.flatten(2))
    gamma = on_device(np.exp(rng.uniform(-config.gamma, config.gamma, (batch, 1, 1))), images.device)
    return flat.clamp_(1e-3, 1).pow_(gamma.to(images.dtype)).view_as(images)


def _fog(images: Tensor) -> Tensor:
    """Mist that thickens upwards (towards the horizon), uneven."""
    count, _, height, width = images.shape
    patches = torch.rand(count, 1, 4, 6, device=images.device)
    rise = torch.linspace(0.4, -0.3, 4, device=images.device).view(1, 1, 4, 1)
    thickness = F.interpolate(patches * 0.5 + rise, (height, width), mode="bilinear").to(images.dtype)
    thickness = (thickness + _uniform(count, 0.1, 0.45, images)).clamp_(0, 0.85)
    return images * (1 - thickness) + thickness * _uniform(count, 0.6, 0.9, images)


def _blur(images: Tensor) -> Tensor:
    """A Gaussian, longer in one direction: each picture its own, as a depthwise 9×9 convolution."""
    count, channels, height, width = images.shape
    like = images.new_zeros(1, dtype=torch.float32)
    angle = _uniform(count, 0, math.pi, like)
    long, thin = _uniform(count, 0.5, 2.5, like), _uniform(count, 0.4, 0.9, like)
    reach = torch.arange(-4, 5, device=images.device, dtype=torch.float32)
    y, x = reach.view(1, 1, -1, 1), reach.view(1, 1, 1, -1)
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    kernel = torch.exp(-0.5 * ((along / long) ** 2 + (across / thin) ** 2))
    kernel = (kernel / kernel.sum((2, 3), keepdim=True)).to(images.dtype).repeat_interleave(channels, 0)
    grouped = F.conv2d(images.reshape(1, -1, height, width), kernel, padding=4, groups=count * channels)
    return grouped.view_as(images)


def _coarse(images: Tensor) -> Tensor:
    """Reduced to half or a third and enlarged again; one factor for all rows of a call."""
    factor = float(torch.empty(()).uniform_(0.3, 0.75))
    small = F.interpolate(images.float(), scale_factor=factor, mode="bilinear", antialias=True)
    return F.interpolate(small, images.shape[2:], mode="bilinear").to(images.dtype)


def _noise(images: Tensor) -> Tensor:
    """Sensor noise, stronger in some pictures, in part the same for all channels."""
    strength = _uniform(len(images), 0.005, 0.06, images)
    grain = torch.randn_like(images) * 0.7 + torch.randn_like(images[:, :1]) * 0.7
    return images + strength * grain


def _jpeg(images: Tensor) -> Tensor:
    """Rounds 8×8 cosine coefficients by the JPEG table at a random quality, on each channel."""
    count, channels, height, width = images.shape
    basis = cosines(images.device)
    blocks = images.float().view(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    coarseness = torch.exp(_uniform(count, -1.0, 1.4, basis))[..., None, None]
    step = quantization(images.device)[0] / 255 * coarseness
    coefficients = (basis @ blocks @ basis.T / step).round_() * step
    return (basis.T @ coefficients @ basis).transpose(3, 4).reshape(images.shape).to(images.dtype)
