"""The networks' budgets beside what they cost, measured on the modules."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from plateloop.networks import colornet, lprnet
from plateloop.networks.blocks import fuse
from plateloop.networks.colornet import ColorNet
from plateloop.networks.cost import Cost, measure
from plateloop.networks.lpdnet import lpdnet
from plateloop.networks.lprnet import LPRNet
from plateloop.networks.tcnet import tcnet

GFLOPS = {"tcnet": 2.0, "lpdnet": 0.6, "lprnet": 0.35, "colornet": 0.15}
"""Most that one input may cost, a multiply-add counted as 2."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A network, its input in pixels, its budget in GFLOPs and its cost."""

    network: str
    width: int
    height: int
    budget: float
    cost: Cost


def _row(network: str, module: nn.Module, width: int, height: int) -> Budget:
    cost = measure(fuse(module.eval()), torch.zeros(1, 3, height, width))
    return Budget(network, width, height, GFLOPS[network], cost)


def budgets() -> list[Budget]:
    """One row a network."""
    vehicles, plates = tcnet(), lpdnet()
    return [
        _row("tcnet", vehicles, vehicles.config.width, vehicles.config.height),
        _row("lpdnet", plates, plates.config.width, plates.config.height),
        _row("lprnet", LPRNet(regions=100), lprnet.WIDTH, lprnet.HEIGHT),
        _row("colornet", ColorNet(labels=12), colornet.SIDE, colornet.SIDE),
    ]
