"""What a network costs: measured on the module, not estimated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, slots=True)
class Cost:
    """``gflops`` of one input (a multiply-add is 2 FLOPs), ``parameters`` once norms are folded away, and
    ``megabytes`` of them in FP32."""

    gflops: float
    parameters: int
    megabytes: float


def measure(network: nn.Module, image: Tensor) -> Cost:
    """The cost of ``network``, in evaluation mode and fused, on one ``image`` (1, 3, H, W)."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    parameters = sum(p.numel() for p in network.parameters())
    return Cost(counter.get_total_flops() / 1e9, parameters, parameters * 4 / 1e6)
