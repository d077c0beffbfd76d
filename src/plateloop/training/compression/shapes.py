"""Gives a network the widths of weights that were pruned."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def take_shapes(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Resize convolutions, linear layers and batch norms of ``network`` to ``weights``, in place.

    Their values are undefined then: load the weights next.
    """
    for name, module in network.named_modules():
        weight = weights.get(f"{name}.weight")
        if weight is None or not isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            continue
        if weight.shape == module.weight.shape:
            continue
        if isinstance(module, nn.Conv2d):
            if module.groups > 1:  # depthwise: one filter a channel
                module.groups = module.in_channels = len(weight)
            else:
                module.in_channels = weight.shape[1]
            module.out_channels = len(weight)
        elif isinstance(module, nn.Linear):
            module.out_features, module.in_features = weight.shape
        else:
            module.num_features = len(weight)
        for part, old in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            new = torch.empty_like(weights[f"{name}.{part}"], device=old.device)
            setattr(module, part, nn.Parameter(new) if isinstance(old, nn.Parameter) else new)
