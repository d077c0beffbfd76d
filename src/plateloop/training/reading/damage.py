"""What light, lens, sensor and codec do to a picture, batched on the GPU.

All take and return pictures (N, 3, H, W) in [0, 1]. What differs from picture to picture is drawn for each;
what needs its own picture size or kernel is drawn for a handful of pictures at a time.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from plateloop.training.jpeg import compress


class Damage(BaseModel):
    """How badly things are seen. Shares are of all pictures, strengths are standard deviations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contrast: float = Field(0.35, description="of the logarithm of contrast")
    brightness: float = Field(0.15, description="added to all pixels, of full scale")
    gamma: float = Field(0.3, description="of the logarithm of gamma")
    cast: float = Field(0.1, description="of the logarithm of each channel's gain")
    grey: float = Field(0.15, description="share seen without colour, as by an infrared camera")
    invert: float = Field(0.02, description="share with light and dark exchanged")
    shading: float = Field(0.35, description="share with a shadow's edge or a slope of light")
    glare: float = Field(0.12, description="share with a bright spot")
    dirt: float = Field(0.2, description="share with patches that cover a part")
    smallest: int = Field(13, description="least height of the crop as the camera saw it, pixels")
    sharp: float = Field(0.3, description="share that is not made smaller")
    blur: float = Field(0.6, description="share blurred by focus or motion, before it is made smaller")
    noise: float = Field(0.04, description="of the sensor noise's strength")
    sharpened: float = Field(0.2, description="share that the camera sharpened, so that edges have rims")
    jpeg: float = Field(0.6, description="share compressed")
    group: int = Field(32, description="pictures that share a size, a kernel and a JPEG quality")


def _uniform(n: int, low: float, high: float, like: Tensor) -> Tensor:
    return torch.rand(n, 1, 1, 1, device=like.device) * (high - low) + low


def _normal(n: int, like: Tensor, channels: int = 1) -> Tensor:
    return torch.randn(n, channels, 1, 1, device=like.device)


def _some(n: int, share: float, like: Tensor) -> Tensor:
    return torch.rand(n, 1, 1, 1, device=like.device) < share


def _plane(like: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates from -1 to 1, (1, 1, 1, W) and (1, 1, H, 1)."""
    height, width = like.shape[2:]
    x = torch.linspace(-1, 1, width, device=like.device).view(1, 1, 1, -1)
    return x, torch.linspace(-1, 1, height, device=like.device).view(1, 1, -1, 1)


def surround(images: Tensor, places: Tensor, backgrounds: Tensor) -> Tensor:
    """Put ``backgrounds`` (N, 3, H, W) around plates; some plates get a holder's frame first.

    ``places`` (N, H, W, 2) tells where on its plate each pixel lies.
    """
    n = len(images)
    beyond = (places - 0.5).abs().amax(-1)[:, None] - 0.5
    frame_width = _uniform(n, 0.01, 0.08, images) * _some(n, 0.35, images)
    frame = (_uniform(n, 0, 1, images) ** 2 + 0.03 * _normal(n, images, 3)).clamp(0, 1)
    outside = torch.where(beyond < frame_width, frame, backgrounds)
    # A soft rim of about a pixel.
    alpha = (beyond * images.shape[2] + 0.5).clamp(0, 1)
    return images * (1 - alpha) + outside * alpha


def dirty(images: Tensor, damage: Damage) -> Tensor:
    """Cover parts with one to two flat or see-through patches, small against a character or thin."""
    n = len(images)
    x, y = _plane(images)
    for share in (damage.dirt, damage.dirt / 2):
        width, height = _uniform(n, 0.01, 0.12, images), _uniform(n, 0.03, 0.3, images)
        x0, y0 = _uniform(n, -1, 1, images), _uniform(n, -1, 1, images)
        tilt = _uniform(n, -0.5, 0.5, images)
        patch = ((x - x0 + tilt * (y - y0)).abs() < width) & ((y - y0).abs() < height)
        strength = patch * _uniform(n, 0.3, 1, images) * _some(n, share, images)
        images = torch.lerp(images, _uniform(n, 0, 1, images).expand(n, 3, 1, 1), strength)
    return images


def lit(images: Tensor, damage: Damage) -> Tensor:
    """Light: shadows and slopes, glare, contrast, brightness, gamma, colour cast, grey, inversion."""
    n = len(images)
    x, y = _plane(images)
    angle = _uniform(n, 0, 2 * math.pi, images)
    along = x * angle.cos() + y * angle.sin() - _uniform(n, -0.8, 0.8, images)
    edge = torch.sigmoid(along * torch.exp(_uniform(n, 0, 4, images)))
    images = images * (1 - edge * _uniform(n, 0.1, 0.7, images) * _some(n, damage.shading, images))
    radius = _uniform(n, 0.1, 0.6, images)
    spot = torch.exp(
        -((x - _uniform(n, -1, 1, images)) ** 2 * 4 + (y - _uniform(n, -1, 1, images)) ** 2) / radius**2
    )
    images = images + spot * _uniform(n, 0.1, 0.7, images) * _some(n, damage.glare, images)

    middle = images.mean((1, 2, 3), keepdim=True)
    contrast = torch.exp(damage.contrast * (_normal(n, images) - 0.7).clamp(-2.5, 1.2))
    images = (images - middle) * contrast + middle + damage.brightness * _normal(n, images).clamp(-2.5, 2.5)
    images = images.clamp(0, 1) ** torch.exp(damage.gamma * _normal(n, images).clamp(-2, 2))
    images = images * torch.exp(damage.cast * _normal(n, images, 3).clamp(-2.5, 2.5))
    grey = (images * _grey(images.device)).sum(1, keepdim=True)
    images = torch.where(_some(n, damage.grey, images), grey, images)
    return torch.where(_some(n, damage.invert, images), 1 - images, images).clamp(0, 1)


def _blur_kernel(reach: int, device: torch.device) -> Tensor:
    """A random kernel (2 · ``reach`` + 1 squared) of sum 1: a Gaussian, or a line's motion."""
    # Made where it is used: a copy from here would wait for the GPU, once a group.
    axis = torch.arange(-reach, reach + 1, dtype=torch.float32, device=device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    draw = torch.rand(3).tolist()
    if draw[0] < 0.5:
        sigma = 0.4 + 2.2 * draw[1] ** 1.5
        kernel = torch.exp(-(x**2 + y**2) / (2 * sigma**2))
    else:
        angle, half = math.pi * draw[2], 0.5 + (reach - 0.5) * draw[1] ** 1.5
        along = x * math.cos(angle) + y * math.sin(angle)
        across = -x * math.sin(angle) + y * math.cos(angle)
        kernel = (half + 0.5 - along.abs()).clamp(0, 1) * (1 - across.abs()).clamp(0, 1)
    return kernel / kernel.sum()


@cache
def _grey(device: torch.device) -> Tensor:
    return torch.tensor((0.299, 0.587, 0.114), device=device).view(1, 3, 1, 1)


def crop_shapes(two_rows: int, count: int, damage: Damage) -> tuple[Tensor, Tensor]:
    """Least heights in pixels, and widths over heights, of crops as a camera sees them: (``count``,) each,
    the first ``two_rows`` of plates with two rows.

    Two rows share the height, so that their characters are half as high, and their crops are about half as
    wide: a camera's pixels are square, those of the network's input are not.
    """
    two = torch.arange(count) < two_rows
    return damage.smallest * (1 + 0.8 * two.float()), torch.where(two, 1.4, 2.5)


def recorded(images: Tensor, damage: Damage, smallest: Tensor, aspects: Tensor) -> Tensor:
    """Blur, fewer pixels, sharpening, noise and compression, then enlarged again as the runtime does.

    ``smallest`` (N,) is the least height in pixels for each picture, ``aspects`` (N,) about how much wider
    than high the camera saw it; neither is on the GPU. Pictures that lie beside each other share size, kernel
    and quality, so shuffle them first; put those with like ``smallest`` and ``aspects`` together.
    """
    full_height, full_width = images.shape[2:]
    done = []
    shapes = zip(smallest[:: damage.group].tolist(), aspects[:: damage.group].tolist(), strict=True)
    for number, (low, aspect) in enumerate(shapes):
        part = images[number * damage.group : (number + 1) * damage.group]
        n = len(part)
        chance = torch.rand(8).tolist()
        if chance[0] < damage.blur:
            reach = 2 + int(5 * chance[1])
            kernel = _blur_kernel(reach, part.device).expand(3, 1, -1, -1)
            part = F.conv2d(F.pad(part, (reach,) * 4, mode="replicate"), kernel, groups=3)
        if chance[2] >= damage.sharp:
            height = round(low * (full_height / low) ** chance[3])
            wide = max(low, height * (0.7 + 0.9 * chance[4])) * aspect
            width = min(full_width, round(wide))
            part = F.interpolate(part, (height, width), mode="area")
        if chance[6] < damage.sharpened:
            soft = F.avg_pool2d(F.pad(part, (1,) * 4, mode="replicate"), 3, 1)
            part = part + (0.5 + 2 * chance[7]) * (part - soft)
        strength = damage.noise * _normal(n, part).abs()
        colored = torch.randn_like(part) * 0.6 + torch.randn_like(part[:, :1])
        part = (part + strength * colored).clamp(0, 1)
        if chance[5] < damage.jpeg:
            part = compress(part, 15 + 80 * torch.rand(n, device=part.device))
        done.append(F.interpolate(part, (full_height, full_width), mode="bilinear", align_corners=False))
    return torch.cat(done)
