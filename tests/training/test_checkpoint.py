"""Checkpoints of lprnet and colornet become ONNX files that give what the network gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from plateloop.errors import UserError
from plateloop.networks.colornet import ColorNet
from plateloop.networks.lprnet import LPRNet
from plateloop.runtime.card import load_card, save_card
from plateloop.runtime.session import Session
from plateloop.training.checkpoint import export_checkpoint
from plateloop.training.color.data import LABELS
from plateloop.training.color.train import ColorConfig
from plateloop.training.export import parameters_of
from plateloop.training.live import Live
from plateloop.training.reading.train import ReaderConfig
from plateloop.training.settings import as_yaml


def stopped_run(network: str, folder: Path) -> nn.Module:
    """A run's ``average.pt`` and ``config.yaml`` in ``folder``; the network whose weights they hold."""
    torch.manual_seed(0)
    module, meaning = (LPRNet(2), ("NL", "UZ")) if network == "lprnet" else (ColorNet(len(LABELS)), LABELS)
    state = {"average": module.state_dict(), "meaning": list(meaning), "elapsed": 90.0, "step": 3}
    torch.save(state, folder / "average.pt")
    config = ReaderConfig() if network == "lprnet" else ColorConfig()
    (folder / "config.yaml").write_text(as_yaml(config), encoding="utf-8")
    return module.eval()


@pytest.mark.parametrize("network", ["lprnet", "colornet"])
def test_a_checkpoint_becomes_what_the_network_gives(network: str, tmp_path: Path) -> None:
    module = stopped_run(network, tmp_path)
    path = export_checkpoint(network, tmp_path / "average.pt", tmp_path / "out")
    session = Session(path)
    size = (session.card.input.height, session.card.input.width, 3)
    picture = np.random.default_rng(0).integers(0, 255, (1, *size), np.uint8)
    with torch.inference_mode():
        expected = module(torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255)["logits"].numpy()
    np.testing.assert_allclose(session(picture)["logits"], expected, atol=1e-4)
    live = Live(module, session.card, torch.device("cpu"))
    np.testing.assert_allclose(live(picture)["logits"], expected, atol=1e-5)
    assert {name: value.shape for name, value in live(picture[:0]).items()} == {
        name: value.shape for name, value in session(picture[:0]).items()
    }
    assert session.card.training.minutes == 1.5
    # A finished run's card, calibrated and measured, is taken over.
    finished = session.card.model_copy(update={"temperature": 0.7})
    save_card(finished, tmp_path / f"{network}.yaml")
    assert load_card(export_checkpoint(network, tmp_path / "average.pt", tmp_path / "out")) == finished


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    stopped_run("colornet", tmp_path)
    with pytest.raises(UserError, match="configuration"):
        export_checkpoint("lprnet", tmp_path / "average.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.onnx").write_text("hello, this is no network")
    with pytest.raises(UserError, match=r"odd\.onnx: not an ONNX file"):
        parameters_of(tmp_path / "odd.onnx")
