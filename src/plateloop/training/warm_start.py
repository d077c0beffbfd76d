"""Starts a detector from weights that exist: a run's checkpoint or an exported, fused graph."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from plateloop.errors import UserError
from plateloop.networks.blocks import ConvUnit
from plateloop.training.export import parameters_of


@torch.no_grad()
def start_detector_from(network: nn.Module, path: Path, images: Tensor) -> float:
    """Load into ``network`` all weights at ``path`` that fit; returns the share of parameters loaded.

    ``path`` is a run's ``last.pt`` or an exported ONNX. An ONNX has its norms folded into the convolutions:
    each is unfolded again so that it normalises what it sees on ``images`` (B, 3, H, W) in [0, 1] and then
    gives back exactly what the folded convolution gives. Training goes on from there without a jump.

    Raises UserError where the file is missing or nothing in it fits.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights to start from")
    if path.suffix == ".onnx":
        loaded = _from_graph(network, parameters_of(path), images)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)["average"]
        own = network.state_dict()
        fitting = {name: t for name, t in state.items() if name in own and own[name].shape == t.shape}
        network.load_state_dict(fitting, strict=False)
        loaded = {name for name, _ in network.named_parameters()} & set(fitting)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    share = sum(sizes[name] for name in loaded) / sum(sizes.values())
    if not share:
        raise UserError(f"{path}: none of its weights fits this network")
    return share


def _from_graph(network: nn.Module, weights: dict[str, Tensor], images: Tensor) -> set[str]:
    own = dict(network.named_parameters())
    loaded = {name for name, t in weights.items() if name in own and own[name].shape == t.shape}
    for name in loaded:
        own[name].copy_(weights[name])
    units = {name: unit for name, unit in network.named_modules() if isinstance(unit, ConvUnit)}
    handles = []
    for name, unit in units.items():
        bias = weights.get(f"{name}.conv.bias")
        if f"{name}.conv.weight" not in loaded or bias is None or not isinstance(unit.norm, nn.BatchNorm2d):
            continue
        loaded |= {f"{name}.norm.weight", f"{name}.norm.bias"}
        handles.append(unit.norm.register_forward_pre_hook(_unfold(bias)))
    training = network.training
    network.eval()
    network(images)
    network.train(training)
    for handle in handles:
        handle.remove()
    return loaded


def _unfold(bias: Tensor):  # type: ignore[no-untyped-def]
    """A hook that sets a norm to pass on its first input plus ``bias``, normalised by its own statistics."""

    def hook(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None and norm.running_var is not None
        variance, mean = torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(bias.to(mean.device) + mean)

    return hook
