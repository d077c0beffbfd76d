"""From a run's checkpoint to an ONNX with its card, for every network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from plateloop.errors import UserError
from plateloop.networks.colornet import SIDE, ColorNet
from plateloop.networks.detector import Detector
from plateloop.networks.lprnet import HEIGHT, WIDTH, LPRNet
from plateloop.runtime.card import Card, load_card, save_card
from plateloop.training.color import train as train_color
from plateloop.training.color.data import LABELS
from plateloop.training.detection import train as train_detector
from plateloop.training.detection.config import default
from plateloop.training.export import export_onnx
from plateloop.training.reading import train as train_reader
from plateloop.training.saved import read_checkpoint
from plateloop.training.settings import settle


def export_checkpoint(network: str, checkpoint: Path, out: Path) -> Path:
    """Export the averaged weights of ``last.pt`` or ``average.pt`` as ``out/NETWORK.onnx``; the card's path.

    ``config.yaml`` must lie beside the checkpoint. A finished run's card is taken over (training,
    calibration, metrics) where it is of these weights. Raises UserError where a file is missing or is of
    another network.
    """
    state = read_checkpoint(checkpoint)
    if "meaning" not in state:
        raise UserError(f"{checkpoint}: does not say what its outputs mean; continue its run for one step")
    module, draft, example = _untrained(network, checkpoint.parent / "config.yaml", tuple(state["meaning"]))
    try:
        module.load_state_dict(state["average"])
    except RuntimeError:
        raise UserError(f"{checkpoint}: not a checkpoint of {network}") from None
    out.mkdir(parents=True, exist_ok=True)
    sha256 = export_onnx(module, example, draft.outputs, out / f"{network}.onnx")
    card, finished = out / f"{network}.yaml", checkpoint.parent / f"{network}.yaml"
    if finished.is_file() and (shipped := load_card(finished)).sha256 == sha256:
        save_card(shipped, card)
        return card
    training = draft.training.model_copy(update={"minutes": round(state["elapsed"] / 60, 1)})
    save_card(draft.model_copy(update={"sha256": sha256, "training": training}), card)
    return card


def _untrained(network: str, config: Path, meaning: tuple[str, ...]) -> tuple[nn.Module, Card, torch.Tensor]:
    """The module of ``network``, its card without weights and data, and an example of its input."""
    if network in ("tcnet", "lpdnet"):
        detector = settle(default(network), config)
        draft = train_detector.describe(network, detector, (), None)
        example = torch.rand(2, 3, detector.network.height, detector.network.width)
        return Detector(detector.network), draft, example
    if network == "lprnet":
        reader = settle(train_reader.ReaderConfig(), config)
        draft = train_reader.describe(meaning, reader, (), 0, None)
        return LPRNet(len(meaning), reader.dropout), draft, torch.rand(2, 3, HEIGHT, WIDTH)
    color = settle(train_color.ColorConfig(), config)
    if meaning != LABELS:
        raise UserError(f"{config.parent}: its colours are {', '.join(meaning)}, not {', '.join(LABELS)}")
    draft = train_color.describe(None, color, 0, None)
    return ColorNet(len(LABELS), color.dropout), draft, torch.rand(2, 3, SIDE, SIDE)
