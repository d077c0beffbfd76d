"""What JPEG leaves of pictures, batched on the GPU: ITU-T T.81 without its lossless part."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

# Annex K of ITU-T T.81, luminance; chrominance is coarser, close to this table's floor of 99.
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_TO_YCC = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))


@cache
def cosines(device: torch.device) -> Tensor:
    """The basis (8, 8) of the cosine transform, a wave a row: ``basis @ block @ basis.T`` are its shares."""
    k = torch.arange(8, dtype=torch.float64)
    basis = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) * math.sqrt(2 / 8)
    basis[0] /= math.sqrt(2)
    return basis.float().to(device)


@cache
def quantization(device: torch.device) -> Tensor:
    """The tables (3, 8, 8) of luminance and of the two chrominances at quality 50, for values 0 to 255."""
    luminance = torch.tensor(_LUMINANCE, dtype=torch.float32)
    return torch.stack([luminance, *[(luminance * 1.6).clamp(17, 99)] * 2]).to(device)


@cache
def _conversions(device: torch.device) -> tuple[Tensor, Tensor]:
    """RGB to YCbCr, and back."""
    to_ycc = torch.tensor(_TO_YCC)
    return to_ycc.to(device), torch.linalg.inv(to_ycc).to(device)


def compress(images: Tensor, quality: Tensor) -> Tensor:
    """What JPEG of ``quality`` (N,), 1 to 100, leaves of ``images`` (N, 3, H, W), colour at full resolution.

    The 8 × 8 cosine transform is quantised with the tables of ITU-T T.81, scaled as libjpeg does.
    """
    height, width = images.shape[2:]
    bottom, right = -height % 8, -width % 8
    padded = F.pad(images, (0, right, 0, bottom), mode="replicate")
    to_ycc, to_rgb = _conversions(images.device)
    ycc = torch.einsum("dc,nchw->ndhw", to_ycc, padded * 255 - 128)
    n, _, h, w = ycc.shape
    blocks = ycc.reshape(n, 3, h // 8, 8, w // 8, 8).transpose(3, 4)
    dct = cosines(images.device)
    waves = dct @ blocks @ dct.T
    scale = torch.where(quality < 50, 50 / quality.clamp(min=1), 2 - quality / 50)
    steps = (quantization(images.device) * scale[:, None, None, None]).clamp(1, 255)[:, :, None, None]
    waves = (waves / steps).round() * steps
    blocks = dct.T @ waves @ dct
    ycc = blocks.transpose(3, 4).reshape(n, 3, h, w)[..., :height, :width]
    back = torch.einsum("dc,nchw->ndhw", to_rgb, ycc)
    return ((back + 128) / 255).clamp(0, 1)
