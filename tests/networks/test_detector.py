"""The detectors: budgets, shapes, decoding, fusing, and the graph that leaves them."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from plateloop.networks.blocks import ConvUnit, fuse
from plateloop.networks.detector import Detector
from plateloop.networks.lpdnet import lpdnet
from plateloop.networks.tcnet import tcnet
from plateloop.training.budgets import GFLOPS, budgets
from plateloop.training.export import export_onnx
from plateloop.training.warm_start import start_from

# What TensorRT and every ONNX Runtime provider know, without control flow, NMS or data-dependent shapes.
ALLOWED = {
    "Add",
    "Cast",
    "Concat",
    "Constant",
    "Conv",
    "Identity",
    "MaxPool",
    "Mul",
    "Reshape",
    "Resize",
    "Sigmoid",
    "Slice",
    "Softplus",
    "Sub",
    "Transpose",
    "Unsqueeze",
}


def shaken(detector: Detector) -> Detector:
    """With norms and corner weights as after some training, where a fresh network has ones and zeros."""
    torch.manual_seed(1)
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    for head in detector.heads:
        if head.corners is not None:
            nn.init.normal_(head.corners.weight, 0, 0.05)
    return detector


def test_budgets_hold() -> None:
    rows = budgets()
    assert {row.network for row in rows} >= {"tcnet", "lpdnet"}
    for row in rows:
        assert row.cost.gflops <= GFLOPS[row.network] == row.budget
    assert sum(row.cost.megabytes for row in rows) < 20


@pytest.mark.parametrize("make", [tcnet, lpdnet])
def test_export_is_faithful_and_plain(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    detector = shaken(make()).eval()
    size = detector.config.height, detector.config.width
    path = tmp_path / "x.onnx"
    export_onnx(detector, torch.rand(1, 3, *size), detector.outputs, path)
    graph = onnx.load(str(path)).graph
    assert {node.op_type for node in graph.node} <= ALLOWED
    assert sum(isinstance(m, nn.BatchNorm2d) for m in detector.modules()) > 0  # the original is as it was
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = torch.rand(2, 3, *size)
    with torch.inference_mode():
        expected = detector(images)
    for name, array in zip(detector.outputs, session.run(None, {"images": images.numpy()}), strict=True):
        want = expected[name].numpy()
        assert array.dtype == np.float32 and array.shape == want.shape
        assert np.abs(array - want).max() < 1e-4 * max(1, np.abs(want).max())
    shape = graph.output[0].type.tensor_type.shape.dim
    assert shape[0].dim_param and shape[1].dim_value == len(detector.centres)


def test_a_detector_goes_on_from_its_exported_graph_as_it_was(tmp_path: Path) -> None:
    first = shaken(lpdnet()).eval()
    path = tmp_path / "x.onnx"
    export_onnx(first, torch.rand(1, 3, 256, 288), first.outputs, path)
    second = lpdnet()
    images = torch.rand(2, 3, 256, 288)
    assert start_from(second, path, images) == pytest.approx(1)
    with torch.inference_mode():
        before, after = first(images), second.eval()(images)
        # In training the norms use the batch's statistics, which are the ones they were set to.
        learning = second.train().decode(second(images))
    for name in first.outputs:
        assert torch.allclose(before[name], after[name], atol=1e-2, rtol=1e-3)
    assert torch.allclose(learning.boxes, before["boxes"], atol=0.2, rtol=1e-2)


def test_fusing_changes_nothing_but_the_number_of_layers() -> None:
    detector = shaken(tcnet()).eval()
    fused = fuse(deepcopy(detector))
    images = torch.rand(1, 3, 384, 640)
    with torch.inference_mode():
        a, b = detector(images), fused(images)
    assert torch.allclose(a["boxes"], b["boxes"], atol=1e-2)
    assert all(unit.conv.bias is not None for unit in fused.modules() if isinstance(unit, ConvUnit))


def test_fresh_boxes_surround_their_cells_and_corners_are_theirs() -> None:
    detector = lpdnet().eval()
    with torch.inference_mode():
        found = detector(torch.rand(1, 3, 256, 288))
    boxes, corners = found["boxes"][0], found["corners"][0].view(-1, 4, 2)
    assert (boxes[:, :2] < detector.centres).all() and (boxes[:, 2:] > detector.centres).all()
    assert torch.allclose(corners[:, 0], boxes[:, :2], atol=1e-3)
    assert torch.allclose(corners[:, 2], boxes[:, 2:], atol=1e-3)
