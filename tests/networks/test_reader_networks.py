"""lprnet and colornet: shapes, budgets, what lands in the ONNX, and the reader's losses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from plateloop.errors import UserError
from plateloop.networks.blocks import fuse
from plateloop.networks.colornet import ColorNet
from plateloop.networks.cost import measure
from plateloop.networks.ctc import IGNORED, ctc_loss, encode, step_loss, step_targets
from plateloop.networks.lprnet import ALPHABET, STEPS, LPRNet
from plateloop.training.export import export_onnx
from plateloop.training.warm_start import start_from

# What nvinfer and TensorRT run without a plugin.
ALLOWED = {
    *("Add", "Concat", "Constant", "Conv", "Gemm", "Identity", "LayerNormalization", "MatMul", "Mul"),
    *("ReduceMean", "ReduceSum", "Reshape", "Sigmoid", "Slice", "Softmax", "Split", "Squeeze", "Transpose"),
}
CASES = [
    pytest.param(lambda: LPRNet(90), (3, 64, 160), ("logits", "regions"), 0.35, id="lprnet"),
    pytest.param(lambda: ColorNet(12), (3, 128, 128), ("logits",), 0.15, id="colornet"),
]


def _shaken(network: nn.Module) -> nn.Module:
    """Norms with statistics of their own, so that folding them away is put to the test."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.mark.parametrize(("make", "shape", "outputs", "budget"), CASES)
def test_budget(
    make: Callable[[], nn.Module], shape: tuple[int, ...], outputs: object, budget: float
) -> None:
    cost = measure(fuse(make().eval()), torch.zeros(1, *shape))
    assert cost.gflops <= budget
    assert cost.megabytes < 6


@pytest.mark.parametrize(("make", "shape", "outputs", "budget"), CASES)
def test_onnx_is_the_network(
    make: Callable[[], nn.Module],
    shape: tuple[int, ...],
    outputs: tuple[str, ...],
    budget: float,
    tmp_path: Path,
) -> None:
    network, path = _shaken(make()), tmp_path / "network.onnx"
    export_onnx(network, torch.rand(2, *shape), outputs, path)
    graph = onnx.load(path)
    assert [o.version for o in graph.opset_import] == [17]
    assert {node.op_type for node in graph.graph.node} <= ALLOWED
    for value in (*graph.graph.input, *graph.graph.output):
        batch, *rest = value.type.tensor_type.shape.dim
        assert batch.dim_param and all(size.dim_value > 0 for size in rest)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = torch.rand(3, *shape)
    with torch.inference_mode():
        expected = network(images)
    for name, found in zip(outputs, session.run(list(outputs), {"images": images.numpy()}), strict=True):
        np.testing.assert_allclose(found, expected[name].numpy(), atol=1e-4)


@pytest.mark.parametrize(("make", "shape", "outputs", "budget"), CASES)
def test_training_starts_from_an_onnx(
    make: Callable[[], nn.Module],
    shape: tuple[int, ...],
    outputs: tuple[str, ...],
    budget: float,
    tmp_path: Path,
) -> None:
    network, path, images = _shaken(make()), tmp_path / "network.onnx", torch.rand(8, *shape)
    export_onnx(network, images, outputs, path)
    again = make()
    assert start_from(again, path, images) == 1
    with torch.inference_mode():
        before = network.eval()(images)["logits"]
        np.testing.assert_allclose(again.eval()(images)["logits"], before, atol=2e-3)
    # Norms are there again: a few steps toward what it says already leave it as it is.
    assert any(isinstance(module, nn.BatchNorm2d) for module in again.modules())
    optimizer = torch.optim.AdamW(again.train().parameters(), 1e-4)
    for _ in range(3):
        optimizer.zero_grad()
        (again(images)["logits"] - before).square().mean().backward()
        optimizer.step()
    with torch.inference_mode():
        moved = (again.eval()(images)["logits"] - before).abs().mean()
    assert moved < 0.25 * before.std()


def test_start_from_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, images = tmp_path / "color.onnx", torch.rand(1, 3, 128, 128)
    export_onnx(ColorNet(12), images, ("logits",), path)
    with pytest.raises(UserError, match="none of its weights"):
        start_from(nn.Linear(2, 2), path, images)
    with pytest.raises(UserError, match="no such weights"):
        start_from(LPRNet(5), tmp_path / "nothing.onnx", images)
    assert 0.9 < start_from(ColorNet(13), path, images) < 1


def test_outputs_of_another_meaning_start_afresh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained, path = ColorNet(2), tmp_path / "average.pt"
    torch.save({"average": trained.state_dict(), "meaning": ["red", "blue"]}, path)
    network = ColorNet(2)
    fresh = network.classify.weight.clone()
    start_from(network, path, torch.rand(1, 3, 128, 128), ("blue", "red"), ("classify",))
    assert "classify starts afresh" in capsys.readouterr().out
    assert torch.equal(network.classify.weight, fresh)
    assert torch.equal(network.attend.weight, trained.attend.weight)


def _certain(classes: list[int]) -> torch.Tensor:
    """Logits that are all but sure of the given class at each of the 80 steps."""
    steps = torch.tensor(classes + [0] * (80 - len(classes)))
    return 20 * torch.nn.functional.one_hot(steps, 37).float()[None]


def test_ctc_reads_upper_row_then_lower() -> None:
    classes, lengths = encode(["AB12"])
    a, b, one, two = classes[0, :4].tolist()
    sure = _certain([0, a, a, 0, b] + [0] * 35 + [one, 0, two])
    wrong = _certain([0, one, two, 0] + [0] * 36 + [a, b])
    no = torch.tensor([False])
    assert ctc_loss(sure, classes, lengths, no) < 1e-3
    assert ctc_loss(wrong, classes, lengths, no) > 5


def test_letter_o_and_zero_are_alike_only_where_told() -> None:
    classes, lengths = encode(["O1", "O1"])
    zero, one = encode(["01"])[0][0, :2].tolist()
    read_as_zero = _certain([zero, 0, one]).repeat(2, 1, 1)
    told, untold = ctc_loss(read_as_zero, classes, lengths, torch.tensor([True, False]))
    assert told < 1e-3 < 5 < untold


def test_ctc_of_half_precision_is_finite() -> None:
    classes, lengths = encode(["ABCDEFGH1234", "7"])
    logits = (30 * torch.randn(2, 80, 37)).bfloat16()
    assert torch.isfinite(ctc_loss(logits, classes, lengths, torch.tensor([False, True]))).all()


def test_step_targets_of_one_and_two_rows() -> None:
    classes, _ = encode(["AB", "AB"])
    a, b = classes[0, :2].tolist()
    centers = torch.zeros(2, 12)
    centers[:, 0], centers[:, 1] = 40, 120
    widths = torch.full((2, 12), 20.0)
    rows = torch.zeros(2, 12, dtype=torch.int64)
    rows[1, 1] = 1
    one, two = step_targets(centers, widths, rows, classes).reshape(2, 2, 40)
    # Steps are 4 px apart: those at 38 and 42 px lie inside A, the one at 50 at its edge, at 60 clear of it.
    assert one[0, [9, 10]].tolist() == [a, a] and one[0, 30] == b
    assert one[0, 12] == IGNORED and one[0, 15] == 0
    assert (one[1] == 0).all()
    assert two[0, 10] == a and (two[0, 20:] == 0).all()
    assert two[1, 30] == b and (two[1, :20] == 0).all()


def test_a_narrow_character_still_has_a_step() -> None:
    classes, _ = encode(["1"])
    centers, widths = torch.full((1, 12), 40.0), torch.full((1, 12), 0.5)
    targets = step_targets(centers, widths, torch.zeros(1, 12, dtype=torch.int64), classes)
    assert (targets == classes[0, 0]).sum() >= 1


def test_step_loss_ignores_free_steps() -> None:
    targets = torch.full((1, 80), IGNORED)
    targets[0, 3], targets[0, 4] = 5, 0
    logits = torch.zeros(1, 80, 37)
    logits[0, 3, 5] = logits[0, 4, 0] = 30
    logits[0, 10, 7] = 30
    assert step_loss(logits, targets) < 1e-4
    assert ALPHABET[5 - 1] == "4"


def test_ctc_is_what_torch_computes() -> None:
    torch.manual_seed(0)
    n = 24
    logits = (3 * torch.randn(n, STEPS, 37)).requires_grad_()
    lengths = torch.randint(1, 13, (n,))
    classes = torch.randint(1, 37, (n, 12))
    # Equal neighbours need a blank between them.
    classes[::3, 1] = classes[::3, 0]
    classes *= torch.arange(12) < lengths[:, None]
    mine = ctc_loss(logits, classes, lengths, torch.zeros(n, dtype=torch.bool))
    steps = torch.full((n,), STEPS)
    log = logits.log_softmax(-1).transpose(0, 1)
    theirs = torch.nn.functional.ctc_loss(log, classes, steps, lengths, reduction="none") / lengths
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-3)
    weights = torch.rand(n)
    found, expected = (
        torch.autograd.grad(loss, logits, weights, retain_graph=True)[0] for loss in (mine, theirs)
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
