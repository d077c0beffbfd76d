"""The convolutional pieces that the networks are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvUnit(nn.Module):
    """Convolution, batch normalisation and SiLU (or nothing), keeping the size at stride 1.

    ``fuse`` folds the normalisation into the convolution for inference; parameter names stay what they were,
    so that weights find their way back from an exported graph.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.act: nn.Module = nn.SiLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out

    @torch.no_grad()
    def fuse(self) -> None:
        """Fold the running statistics and the scale into the convolution; does nothing the second time."""
        norm = self.norm
        if not isinstance(norm, nn.BatchNorm2d):
            return
        assert norm.running_mean is not None and norm.running_var is not None
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self.conv.weight.mul_(gain[:, None, None, None])
        self.conv.bias = nn.Parameter(norm.bias - norm.running_mean * gain)
        self.norm = nn.Identity()


def depthwise(channels: int, kernel: int = 5, stride: int = 1, act: bool = True) -> ConvUnit:
    """A ConvUnit that filters each channel by itself."""
    return ConvUnit(channels, channels, kernel, stride, groups=channels, act=act)


def separable(channels: int, kernel: int = 5) -> nn.Sequential:
    """Depthwise, then pointwise convolution: a wide look at a small price."""
    return nn.Sequential(depthwise(channels, kernel), ConvUnit(channels, channels))


class Dense(nn.Module):
    """Residual block of two dense 3×3 convolutions through half the channels: cheap where maps are large."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(ConvUnit(channels, half, 3), ConvUnit(half, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class Inverted(nn.Module):
    """Inverted residual (Sandler et al. 2018): widen, look around with a depthwise 5×5, narrow."""

    def __init__(self, channels: int, expansion: int = 2, kernel: int = 5) -> None:
        super().__init__()
        wide = channels * expansion
        self.body = nn.Sequential(
            ConvUnit(channels, wide), depthwise(wide, kernel), ConvUnit(wide, channels, act=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class Csp(nn.Module):
    """Cross-stage partial stage (Wang et al. 2020) whose every block's output reaches the end.

    Half the channels pass ``depth`` blocks, ``dense`` or inverted ones.
    """

    def __init__(self, inputs: int, outputs: int, depth: int, dense: bool = False) -> None:
        super().__init__()
        half = outputs // 2
        self.skip, self.enter = ConvUnit(inputs, half), ConvUnit(inputs, half)
        self.blocks = nn.ModuleList(Dense(half) if dense else Inverted(half) for _ in range(depth))
        self.merge = ConvUnit((2 + depth) * half, outputs)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.skip(x), self.enter(x)]
        for block in self.blocks:
            parts.append(block(parts[-1]))
        out: Tensor = self.merge(torch.cat(parts, 1))
        return out


class PyramidPool(nn.Module):
    """Spatial pyramid of three chained 5×5 maxima: the whole picture's context at the deepest map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.narrow = ConvUnit(channels, half)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.merge = ConvUnit(4 * half, channels)

    def forward(self, x: Tensor) -> Tensor:
        a = self.narrow(x)
        b = self.pool(a)
        c = self.pool(b)
        out: Tensor = self.merge(torch.cat([a, b, c, self.pool(c)], 1))
        return out


def fuse(network: nn.Module) -> nn.Module:
    """Fold every normalisation of ``network`` into its convolution, in place, and return it."""
    for module in network.modules():
        if isinstance(module, ConvUnit):
            module.fuse()
    return network
