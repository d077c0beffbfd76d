"""Starts a network from weights that exist: a run's checkpoint or an exported, fused graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from plateloop.errors import UserError
from plateloop.networks.blocks import ConvUnit
from plateloop.runtime.card import load_card
from plateloop.training.compression.shapes import take_shapes
from plateloop.training.export import parameters_of
from plateloop.training.saved import read_checkpoint


@torch.no_grad()
def start_from(
    network: nn.Module, path: Path, images: Tensor, meaning: Sequence[str] = (), last: Sequence[str] = ()
) -> float:
    """Load into ``network`` all weights at ``path`` that fit; returns the share of parameters loaded.

    ``path`` is a run's ``last.pt`` or ``average.pt`` (its averaged weights are taken), or an exported ONNX.
    An ONNX has its norms folded into the convolutions: each is unfolded again so that it normalises what it
    sees on ``images`` (B, 3, H, W) in [0, 1] and then gives back exactly what the folded convolution gives.
    Training goes on from there without a jump.

    Outputs trained for another ``meaning`` (the regions or labels, in order) are of no use: then the layers
    whose names start with one of ``last`` keep their fresh weights, which is said on stdout.

    Raises UserError where the file is missing or nothing in it fits.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights to start from")
    weights, meant = _graph(path) if path.suffix == ".onnx" else _checkpoint(path, network)
    if meant is not None and tuple(meant) != tuple(meaning):
        print(f"{path.name}: trained for other outputs, {', '.join(last)} starts afresh", flush=True)
        weights = {name: t for name, t in weights.items() if not name.startswith(tuple(last))}
    own = network.state_dict()
    fitting = {name: t for name, t in weights.items() if name in own and own[name].shape == t.shape}
    network.load_state_dict(fitting, strict=False)
    loaded = set(fitting) | _unfold_norms(network, weights, images)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    share = sum(size for name, size in sizes.items() if name in loaded) / sum(sizes.values())
    if not share:
        raise UserError(f"{path}: none of its weights fits this network")
    print(f"{share:.1%} of the weights come from {path.name}", flush=True)
    return share


def _graph(path: Path) -> tuple[dict[str, Tensor], Sequence[str] | None]:
    """The weights in an ONNX and, where its card lies beside it, what its outputs mean."""
    beside = path.with_suffix(".yaml")
    if not beside.is_file():
        return parameters_of(path), None
    card = load_card(beside)
    return parameters_of(path), card.regions or card.labels


def _checkpoint(path: Path, network: nn.Module) -> tuple[dict[str, Tensor], Sequence[str] | None]:
    """The averaged weights and what the outputs mean; ``network`` takes the widths of pruned ones."""
    state = read_checkpoint(path)
    if state.get("pruned"):
        take_shapes(network, state["average"])
    return state["average"], state.get("meaning")


def _unfold_norms(network: nn.Module, weights: dict[str, Tensor], images: Tensor) -> set[str]:
    """Give each norm whose convolution came with a bias its place back; the names of what was set."""
    handles, done = [], set()
    for name, unit in network.named_modules():
        bias = weights.get(f"{name}.conv.bias")
        if not isinstance(unit, ConvUnit) or bias is None or not isinstance(unit.norm, nn.BatchNorm2d):
            continue
        if unit.conv.weight.shape == weights[f"{name}.conv.weight"].shape:
            done |= {f"{name}.norm.weight", f"{name}.norm.bias"}
            handles.append(unit.norm.register_forward_pre_hook(_unfolding(bias)))
    if handles:
        training = network.training
        network.eval()
        network(images)
        network.train(training)
    for handle in handles:
        handle.remove()
    return done


def _unfolding(bias: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
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
