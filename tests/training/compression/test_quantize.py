"""Quantizing the packaged colornet: it still names colours, its card says so, too much loss is refused."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from plateloop.cli.main import main
from plateloop.data_preparation.manifest import Record, Vehicle, write_manifest
from plateloop.errors import UserError
from plateloop.runtime.card import load_card, package_card
from plateloop.runtime.session import Session
from plateloop.training.compression.quantize import (
    QuantizeConfig,
    _builder,
    _by_sensitivity,
    _session,
    disturbance,
    quantize,
    weighted_layers,
)

PAINT = {"black": (20, 20, 20), "white": (235, 235, 235), "red": (200, 20, 20), "blue": (20, 20, 200)}


def painted(folder: Path, train: tuple[str, ...]) -> Path:
    """``folder/colors``: flat, noisy vehicles; train in the paints ``train``, val in all four."""
    rng, records = np.random.default_rng(0), []
    colors = [train[number % len(train)] for number in range(16)] + list(PAINT) * 4
    (folder / "colors").mkdir(parents=True)
    for number, color in enumerate(colors):
        picture = np.clip(rng.normal(PAINT[color], 12, (96, 96, 3)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "colors" / f"{number}.png"), picture[..., ::-1])
        car = Vehicle(box=(0, 0, 96, 96), label="car", color=color)
        split = "train" if number < 16 else "val"
        records.append(Record(file=f"{number}.png", width=96, height=96, split=split, vehicles=(car,)))
    write_manifest(folder / "colors", records)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted(tmp_path_factory.mktemp("paints"), tuple(PAINT))


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_the_runtime_runs_what_comes_out(
    package_weights: Path, data: Path, tmp_path: Path, precision: str
) -> None:
    config = QuantizeConfig(precision=precision, pictures=16)  # type: ignore[arg-type]
    done = quantize(package_card("colornet"), data, tmp_path, config)
    card = load_card(tmp_path / "colornet.yaml")
    assert card == done.card and card.precision == precision
    assert card.made_from == load_card(package_card("colornet")).sha256
    figures = card.metrics[f"{precision}/val"]
    assert figures["before"] - figures["after"] <= 0.01 and figures["speed"] > 0
    small, large = tmp_path / "colornet.onnx", package_weights / "colornet.onnx"
    assert small.stat().st_size < 0.6 * large.stat().st_size
    pictures = np.full((2, 128, 128, 3), PAINT["red"], np.uint8)
    before, after = Session(package_card("colornet")), Session(tmp_path / "colornet.yaml")
    assert before(pictures)["logits"].argmax(1).tolist() == after(pictures)["logits"].argmax(1).tolist()
    with pytest.raises(UserError, match=f"is {precision} already"):
        quantize(tmp_path / "colornet.yaml", data, tmp_path, config)


def test_sensitive_layers_come_first_and_the_ending_stays(
    package_weights: Path, data: Path, tmp_path: Path
) -> None:
    session = Session(package_card("colornet"))
    # The ranges that are measured lie beside the graph.
    source = Path(shutil.copy(package_weights / "colornet.onnx", tmp_path / "whole.onnx"))
    layers, ending = weighted_layers(onnx.load(source))
    pictures = np.random.default_rng(0).integers(0, 255, (8, 128, 128, 3), np.uint8)
    config = QuantizeConfig(probes=2)
    build = _builder(source, ending, pictures, session, config)
    order = _by_sensitivity(session.card, layers[:4], build, session, pictures[:2], config, tmp_path)
    assert sorted(order) == sorted(layers[:4])
    errors = []
    truth = session(pictures[:2])
    for layer in order:
        build(tmp_path / "one.onnx", (), [layer])
        found = _session(session.card, tmp_path / "one.onnx", config)(pictures[:2])
        errors.append(disturbance(truth, found))
    assert errors == sorted(errors, reverse=True)


def test_too_much_loss_is_refused_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    package_weights: Path,
    tmp_path: Path,
) -> None:
    # Ranges measured on black vehicles alone do not hold what other paints need.
    data, out = painted(tmp_path / "black", ("black",)), tmp_path / "out"
    arguments = ["--data", str(data), "--out", str(out), "--minutes", "0.001", "--max-loss", "0"]
    monkeypatch.setattr(sys, "argv", ["plateloop", "quantize", "colornet", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1 and not out.exists()
    error = capsys.readouterr().err
    assert "more than --max-loss 0;" in error and len(error.splitlines()) == 1
