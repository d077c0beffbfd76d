"""colornet's data, batches and figures; and that it learns flat colours."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from plateloop.data_preparation.manifest import Record, Vehicle, write_manifest
from plateloop.errors import UserError
from plateloop.networks.colornet import ColorNet
from plateloop.training.color.data import LABELS, Vehicles, load_colors, load_street
from plateloop.training.color.evaluate import confusion_matrix, evaluate, fit_temperature
from plateloop.training.color.train import STORED, ColorBatches, ColorConfig, believed, cut, describe, losses
from plateloop.training.loop import LoopConfig

CPU = torch.device("cpu")
PAINT = {"black": (20, 20, 20), "white": (235, 235, 235), "red": (200, 20, 20), "blue": (20, 20, 200)}


def _painted(count: int) -> Vehicles:
    labels = np.array([LABELS.index(list(PAINT)[i % len(PAINT)]) for i in range(count)])
    pictures = np.stack([np.full((STORED, STORED, 3), PAINT[LABELS[i]], np.uint8) for i in labels])
    return Vehicles(pictures, labels, ("",) * count)


def _config(**changes: object) -> ColorConfig:
    loop = LoopConfig(steps=10, batch=24, learning_rate=2e-3)
    return ColorConfig(loop=loop, street=0, **changes)  # type: ignore[arg-type]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A silver and a red car, one of no known colour, and a small one."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((100, 200, 3), 150, np.uint8))
    cars = [
        Vehicle(box=(0, 0, 100, 100), label="car", color="silver"),
        Vehicle(box=(100, 0, 200, 100), label="car", color="red"),
        Vehicle(box=(50, 0, 150, 100), label="car"),
        Vehicle(box=(0, 0, 20, 20), label="car"),
    ]
    write_manifest(
        tmp_path,
        [Record(file="a.png", width=200, height=100, source="s", license="x", split="train", vehicles=cars)],
    )
    return tmp_path


def test_silver_is_gray_and_street_vehicles_have_no_colour(dataset: Path) -> None:
    colors = load_colors(dataset, "train", 32)
    assert [LABELS[i] for i in colors.labels] == ["gray", "red"] and colors.pictures.shape == (2, 32, 32, 3)
    street = load_street(dataset, "train", 10, 40, 32, seed=0)
    assert len(street) == 3 and (street.labels == -1).all()
    with pytest.raises(UserError, match="no vehicle with a colour"):
        load_colors(dataset, "test", 32)


def test_an_unknown_colour_is_named(dataset: Path) -> None:
    car = Vehicle(box=(0, 0, 100, 100), label="car", color="mauve")
    write_manifest(dataset, [Record(file="a.png", width=200, height=100, split="train", vehicles=(car,))])
    with pytest.raises(UserError, match="mauve"):
        load_colors(dataset, "train", 32)


def test_batches_keep_colours_and_mix_targets() -> None:
    torch.manual_seed(0)
    batch = next(ColorBatches(_painted(40), None, _config(mixup=0.0, smoothing=0.0), CPU))
    assert batch.images.shape == (24, 3, 128, 128)
    assert (batch.targets.sum(1) == 1).all() and (batch.targets.max(1).values == 1).all()
    red = batch.targets[:, LABELS.index("red")] == 1
    means = batch.images[red].mean((2, 3))
    assert red.any() and (means[:, 0] > 1.5 * means[:, 1:].amax(1)).float().mean() > 0.8
    mixed = next(ColorBatches(_painted(40), None, _config(mixup=1.0), CPU))
    torch.testing.assert_close(mixed.targets.sum(1), torch.ones(24))
    assert (mixed.targets.max(1).values < 0.9).any()


def test_cut_without_spread_is_the_picture_or_its_mirror() -> None:
    torch.manual_seed(0)
    still = _config(zoom=0.0, shift=0.0, rotation=0.0)
    ramp = torch.arange(STORED, dtype=torch.uint8).expand(8, 3, STORED, STORED)
    views = cut(ramp, still)[:, 0, 64] * 255
    for row in views:
        assert (row.diff() > 0).all() or (row.diff() < 0).all()


def test_learns_flat_colours_and_believes_what_it_is_sure_of(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = ColorNet(len(LABELS), dropout=0.0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.3  # so that statistics settle within these few steps
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    batches = ColorBatches(_painted(40), None, _config(mixup=0.0), CPU)
    for _ in range(25):
        terms = losses(network, next(batches))
        optimizer.zero_grad()
        terms["colors"].backward()
        optimizer.step()
    network.eval()

    def predict(pictures: np.ndarray) -> dict[str, np.ndarray]:
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            return {"logits": network(images)["logits"].numpy()}

    painted = _painted(8)
    small = Vehicles(painted.pictures[:, :128, :128], painted.labels, painted.files)
    write_manifest(tmp_path / "colors", [])
    card = describe(tmp_path, _config(), 40, None)
    metrics, found = evaluate(predict, small, card, "val")
    assert metrics["val/common"]["right"] >= 0.75 and metrics["val/red"]["vehicles"] == 2
    assert confusion_matrix(small.labels, found, len(LABELS)).sum() == 8
    assert 0.3 <= fit_temperature(predict, small) <= 3
    sure = believed(network, Vehicles(painted.pictures, np.full(8, -1), ("",) * 8), 0.3, CPU)
    assert len(sure) and (sure.labels == LABELS.index("red")).any()
