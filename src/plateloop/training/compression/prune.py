"""Narrower networks: channels that matter least are cut away, then the rest is trained on.

Which channels hang together (residuals, concatenations, depthwise filters) is traced by Torch-Pruning (Fang
et al. 2023); what matters is the size of the weights of each such group.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from plateloop.errors import UserError
from plateloop.networks.blocks import fuse
from plateloop.networks.colornet import ColorNet
from plateloop.networks.cost import Cost, measure
from plateloop.networks.detector import Detector
from plateloop.networks.lprnet import LPRNet
from plateloop.runtime.card import Card, Task, load_card, onnx_path, package_card, save_card
from plateloop.runtime.session import Session
from plateloop.training.compression.calibration import calibration_pictures
from plateloop.training.detection.config import default
from plateloop.training.tuning.objective import val_judge
from plateloop.training.warm_start import start_from

KEPT = {
    "tcnet": ("classes", "box"),
    "lpdnet": ("classes", "box", "corners"),
    "lprnet": ("halve_middle", "project", "merge", "halve_coarse", "classify", "locate"),
    "colornet": ("classify", "attend", "trunk.8"),
}
"""Parts whose widths stay: outputs, and those that the networks' code counts on."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """The finished ``card``, costs and figures on val before and after."""

    card: Card
    cost: tuple[Cost, Cost]
    figure: tuple[float, float]


def untrained(card: Card) -> nn.Module:
    """The module of the network of ``card``, in its whole width."""
    if card.task == "lprnet":
        return LPRNet(len(card.regions))
    return ColorNet(len(card.labels)) if card.task == "colornet" else Detector(default(card.task).network)


def cut(network: nn.Module, task: Task, share: float, image: torch.Tensor) -> None:
    """Cut ``share`` of the channels of each group away, in place, to multiples of 8.

    Raises UserError where Torch-Pruning is missing.
    """
    try:
        import torch_pruning
    except ImportError:
        raise UserError("prune needs Torch-Pruning: pip install 'plateloop[prune]'") from None
    kept = [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear | nn.LayerNorm)
        and (isinstance(module, nn.LayerNorm) or any(part in f"{name}." for part in KEPT[task]))
    ]
    with warnings.catch_warnings():
        # Of parameters outside of layers, whose groups stay whole here.
        warnings.simplefilter("ignore")
        torch_pruning.pruner.BasePruner(
            network.eval(),
            image,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=share,
            ignored_layers=kept,
            round_to=8,
        ).step()


def prune(
    network: Task,
    data: Path,
    out: Path,
    share: float,
    minutes: float,
    device: str = "cpu",
    card_path: Path | None = None,
    assignments: Sequence[str] = (),
    limit: int | None = None,
) -> Pruned:
    """Cut ``share`` of the channels, train on for ``minutes``, and leave ``out/NETWORK.onnx`` with its card.

    The training run lies in ``out/run``. Raises UserError where ``out`` holds something already.
    """
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: exists and is not empty; give another --out")
    path = card_path or package_card(network)
    card = load_card(path)
    source = onnx_path(path, card)
    judge = val_judge(network, data, limit)
    before = judge(Session(path)).figure
    pictures = torch.from_numpy(calibration_pictures(data, card, 32)).permute(0, 3, 1, 2).float() / 255
    module, meaning = untrained(card), card.regions or card.labels
    start_from(module, source, pictures, meaning)
    image = torch.zeros(1, 3, card.input.height, card.input.width)
    whole = measure(fuse(deepcopy(module).eval()), image)
    cut(module, network, share, image)
    narrow = measure(fuse(deepcopy(module).eval()), image)
    print(f"{network}: {whole.gflops:.3f} → {narrow.gflops:.3f} GFLOPs", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    weights = out / "pruned.pt"
    torch.save({"average": module.state_dict(), "meaning": list(meaning), "pruned": True}, weights)
    _train(network, data, out / "run", device, [f"loop.minutes={minutes}", *assignments], weights)
    trained = out / "run" / f"{network}.yaml"
    finished = load_card(trained)
    (out / f"{network}.onnx").write_bytes(onnx_path(trained, finished).read_bytes())
    changes: dict[str, Any] = {
        "onnx": f"{network}.onnx",
        "gflops": round(narrow.gflops, 4),
        "parameters": narrow.parameters,
        "training": finished.training.model_copy(update={"started_from": card.sha256}),
    }
    final = out / f"{network}.yaml"
    save_card(finished.model_copy(update=changes), final)
    return Pruned(load_card(final), (whole, narrow), (before, judge(Session(final)).figure))


def _train(
    network: Task, data: Path, out: Path, device: str, assignments: Sequence[str], weights: Path
) -> None:
    """The network's own training, from ``weights``."""
    if network == "lprnet":
        from plateloop.training.reading.train import train_reader

        train_reader(data, out, device, None, assignments, weights)
    elif network == "colornet":
        from plateloop.training.color.train import train_color

        train_color(data, out, device, None, ["street=0", *assignments], weights)
    else:
        from plateloop.training.detection.train import train_detector

        train_detector(cast(str, network), data, out, device, None, assignments, weights)
