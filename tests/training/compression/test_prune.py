"""Pruned networks: as narrow as they say, alike after a round through a file, trained on and run."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from plateloop.errors import UserError
from plateloop.networks.blocks import fuse
from plateloop.networks.cost import measure
from plateloop.runtime.card import Task, load_card, package_card
from plateloop.runtime.session import Session
from plateloop.training.compression.prune import cut, prune, untrained
from plateloop.training.compression.shapes import take_shapes


@pytest.mark.parametrize("task", ["tcnet", "lpdnet", "lprnet", "colornet"])
def test_a_narrow_network_is_built_again_from_its_weights(task: Task, package_weights: Path) -> None:
    torch.set_num_threads(1)
    card = load_card(package_card(task))
    module, again = untrained(card), untrained(card)
    image = torch.rand(1, 3, card.input.height, card.input.width)
    whole = measure(fuse(deepcopy(module).eval()), image)
    cut(module, task, 0.3, image)
    narrow = measure(fuse(deepcopy(module).eval()), image)
    assert narrow.gflops < 0.75 * whole.gflops and narrow.parameters < 0.85 * whole.parameters
    take_shapes(again, module.state_dict())
    again.load_state_dict(module.state_dict())
    with torch.inference_mode():
        expected, found = module.eval()(image), again.eval()(image)
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values)


def test_what_was_cut_is_trained_on_and_runs(package_weights: Path, painted: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    out = tmp_path / "out"
    quick = ["loop.steps=3", "loop.batch=4", "loop.learning_rate=1e-5"]
    done = prune("colornet", painted, out, 0.2, 1.0, assignments=quick)
    assert done.card.parameters == done.cost[1].parameters < done.cost[0].parameters
    assert done.card.training.started_from == load_card(package_card("colornet")).sha256
    assert (out / "colornet.onnx").stat().st_size < 0.9 * (package_weights / "colornet.onnx").stat().st_size
    assert Session(out / "colornet.yaml")(np.zeros((2, 128, 128, 3), np.uint8))["logits"].shape == (2, 12)
    with pytest.raises(UserError, match="not empty"):
        prune("colornet", painted, out, 0.2, 1.0)
