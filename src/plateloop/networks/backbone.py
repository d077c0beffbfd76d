"""The detectors' backbone: five halvings, of which the last three maps are handed on."""

from __future__ import annotations

from torch import Tensor, nn

from plateloop.networks.blocks import ConvUnit, Csp, PyramidPool, depthwise


class Backbone(nn.Module):
    """Maps at strides 8, 16, 32 of pictures (B, 3, H, W), with ``widths[2:]`` channels.

    ``widths`` are the channels at strides 2, 4, 8, 16, 32, ``depths`` the blocks at strides 4 to 32. The
    large maps get dense convolutions (few channels, little memory traffic), the small ones inverted blocks.
    """

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        super().__init__()
        w2, w4, w8, w16, w32 = widths
        self.stem = ConvUnit(3, w2, 3, 2)
        self.stage4 = nn.Sequential(ConvUnit(w2, w4, 3, 2), Csp(w4, w4, depths[0], dense=True))
        self.stage8 = nn.Sequential(ConvUnit(w4, w8, 3, 2), Csp(w8, w8, depths[1], dense=True))
        self.stage16 = nn.Sequential(depthwise(w8, 5, 2), Csp(w8, w16, depths[2]))
        self.stage32 = nn.Sequential(depthwise(w16, 5, 2), Csp(w16, w32, depths[3]), PyramidPool(w32))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c8 = self.stage8(self.stage4(self.stem(images)))
        c16 = self.stage16(c8)
        return c8, c16, self.stage32(c16)
