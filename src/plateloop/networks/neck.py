"""The detectors' neck: a path aggregation network (Liu et al. 2018) of one width."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plateloop.networks.blocks import ConvUnit, Csp, depthwise


class Neck(nn.Module):
    """Mixes maps of strides 8, 16, 32 (``inputs`` channels) downwards and upwards into ``width`` channels."""

    def __init__(self, inputs: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral8, self.lateral16, self.lateral32 = (ConvUnit(c, width) for c in inputs)
        self.up = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.down16 = Csp(2 * width, width, 1)
        self.down8 = Csp(2 * width, width, 1)
        self.halve8 = depthwise(width, 5, 2)
        self.up16 = Csp(2 * width, width, 1)
        self.halve16 = depthwise(width, 5, 2)
        self.up32 = Csp(2 * width, width, 1)

    def forward(self, maps: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        p8, p16, p32 = self.lateral8(maps[0]), self.lateral16(maps[1]), self.lateral32(maps[2])
        p16 = self.down16(torch.cat([p16, self.up(p32)], 1))
        p8 = self.down8(torch.cat([p8, self.up(p16)], 1))
        p16 = self.up16(torch.cat([p16, self.halve8(p8)], 1))
        p32 = self.up32(torch.cat([p32, self.halve16(p16)], 1))
        return p8, p16, p32
