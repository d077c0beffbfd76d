"""The mean of two trainings: parameters in between, a card that says so, other networks refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from plateloop.cli.main import main
from plateloop.errors import UserError
from plateloop.runtime.card import load_card, package_card, save_card
from plateloop.training.average import average, mean_graph
from plateloop.training.export import parameters_of


@pytest.fixture
def further(package_weights: Path, tmp_path: Path) -> Path:
    """The card of a colornet whose parameters are a little off the packaged one's."""
    model = onnx.load(package_weights / "colornet.onnx")
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            moved = (array * rng.uniform(0.98, 1.02, array.shape)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
    folder = tmp_path / "further"
    folder.mkdir()
    onnx.save(model, folder / "colornet.onnx")
    sha256 = hashlib.sha256((folder / "colornet.onnx").read_bytes()).hexdigest()
    card = load_card(package_card("colornet")).model_copy(update={"sha256": sha256})
    save_card(card, folder / "colornet.yaml")
    return folder / "colornet.yaml"


def test_the_mean_lies_between_and_runs(
    further: Path,
    painted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, out = package_card("colornet"), tmp_path / "mean"
    words = ["plateloop", "average", before, further, "--data", painted, "--out", out, "--share", "0.25"]
    monkeypatch.setattr("sys.argv", [str(word) for word in words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, capsys.readouterr().err
    assert "mean" in capsys.readouterr().out
    first, second = (parameters_of(path.with_suffix(".onnx")) for path in (before, further))
    for name, found in parameters_of(out / "colornet.onnx").items():
        if found.is_floating_point():
            wanted = 0.75 * first[name].numpy() + 0.25 * second[name].numpy()
            assert found.numpy() == pytest.approx(wanted, rel=1e-5, abs=1e-7)
    card = load_card(out / "colornet.yaml")
    assert card.training.recipe["average"] == {"before": load_card(before).sha256, "share": 0.25}
    assert card.metrics["val/all"]["vehicles"] == 8


def test_other_networks_are_refused(further: Path, painted: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="differ in task"):
        average(package_card("tcnet"), further, 0.5, painted, tmp_path / "mean")
    model = onnx.load(further.with_suffix(".onnx"))
    del model.graph.initializer[0]
    onnx.save(model, further.with_suffix(".onnx"))
    with pytest.raises(UserError, match="the same network"):
        mean_graph(package_card("colornet").with_suffix(".onnx"), further.with_suffix(".onnx"), 0.5)
    assert not (tmp_path / "mean").exists()
