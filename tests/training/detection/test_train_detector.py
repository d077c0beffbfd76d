"""The whole training of a detector, small: it must learn what it is shown, ship it and go on from it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from plateloop.data_preparation.manifest import Plate, Record, Vehicle, write_manifest
from plateloop.errors import UserError
from plateloop.runtime.card import load_card, onnx_path
from plateloop.training.checkpoint import export_checkpoint
from plateloop.training.detection.evaluate import Metrics, evaluate_detector
from plateloop.training.detection.train import train_detector

COLORS = {"car": (210, 60, 60), "bus": (60, 90, 220)}
QUIET = [
    "network.width=128",
    "network.height=96",
    "network.widths=[8,16,24,32,48]",
    "network.depths=[1,1,1,1]",
    "network.neck=24",
    "loop.batch=8",
    "loop.learning_rate=4e-3",
    "loop.ema_decay=0.97",
    "workers=1",
]
LABELS = ['network.labels=["car","bus"]']


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def boxes_dataset(folder: Path, pictures: int) -> Path:
    """Coloured boxes ("vehicles", each with a white "plate") on noise; the same pictures train and val."""
    rng = np.random.default_rng(5)
    (folder / "images").mkdir(parents=True)
    records = []
    for number in range(pictures):
        image = rng.integers(60, 120, (96, 128, 3), dtype=np.uint8)
        label = list(COLORS)[number % 2]
        w, h = int(rng.integers(30, 70)), int(rng.integers(32, 60))
        x, y = int(rng.integers(0, 128 - w)), int(rng.integers(0, 96 - h))
        image[y : y + h, x : x + w] = COLORS[label]
        x1, y1, x2, y2 = x + w // 4, y + h // 2, x + w - w // 4, y + h // 2 + 14
        image[y1:y2, x1:x2] = 245
        file = f"images/{number}.png"
        cv2.imwrite(str(folder / file), image[..., ::-1])
        record = Record(
            file=file,
            width=128,
            height=96,
            source="drawn",
            license="none needed",
            vehicles=(Vehicle(box=(x, y, x + w, y + h), label=label),),
            plates=(Plate(box=(x1, y1, x2, y2)),),
        )
        records += [record.model_copy(update={"split": split}) for split in ("train", "val")]
    write_manifest(folder, records)
    return folder


def losses(run: Path) -> list[float]:
    with (run / "curve.csv").open(newline="") as file:
        return [float(row["classes"]) + float(row["boxes"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return boxes_dataset(tmp_path_factory.mktemp("detector") / "data", 32)


@pytest.fixture(scope="module")
def vehicles(data: Path) -> tuple[Path, Metrics]:
    """A run of tcnet, and what it reported."""
    run = data.parent / "vehicles"
    overrides = [*QUIET, *LABELS, "loop.steps=200", "frames.zoom=[0.8,1.2]"]
    return run, train_detector("tcnet", data, run, overrides=overrides)


def test_tcnet_learns_boxes_and_ships_them(vehicles: tuple[Path, Metrics]) -> None:
    run, report = vehicles
    assert report["val/all"]["car_ap50"] > 0.8 and report["val/all"]["bus_ap50"] > 0.8
    first, last = losses(run)
    assert last < 0.7 * first
    card = load_card(run / "tcnet.yaml")
    assert card.labels == ("car", "bus") and card.metrics["val/all"] == report["val/all"]
    assert card.training.sources == {"drawn": "none needed"}
    assert (run / "samples.png").stat().st_size > 1000
    assert json.loads((run / "metrics.json").read_text()) == report


def test_a_checkpoint_exports_to_what_was_shipped(vehicles: tuple[Path, Metrics], tmp_path: Path) -> None:
    run, _ = vehicles
    path = export_checkpoint("tcnet", run / "last.pt", tmp_path)
    again = load_card(path)
    assert again == load_card(run / "tcnet.yaml") and onnx_path(path, again).is_file()
    with pytest.raises(UserError, match=r"none\.pt"):
        export_checkpoint("tcnet", run / "none.pt", tmp_path)


def test_training_goes_on_from_a_shipped_graph(
    vehicles: tuple[Path, Metrics], data: Path, tmp_path: Path
) -> None:
    # Its norms were folded away: a few steps at a low rate must keep what was learnt.
    run, report = vehicles
    overrides = [*QUIET, *LABELS, "loop.steps=10", "loop.learning_rate=1e-5"]
    further = train_detector("tcnet", data, tmp_path, overrides=overrides, start_from=run / "tcnet.onnx")
    assert further["val/all"]["ap50"] > report["val/all"]["ap50"] - 0.1
    assert load_card(tmp_path / "tcnet.yaml").training.started_from == load_card(run / "tcnet.yaml").sha256


def test_lpdnet_learns_plates_and_is_measured_in_the_cascade(
    vehicles: tuple[Path, Metrics], data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    overrides = [*QUIET, "loop.steps=140", "copies=0", "plates.turn=0", "plates.perspective=0"]
    report = train_detector("lpdnet", data, run, overrides=overrides)
    assert report["val/all"]["ap50"] > 0.8
    assert load_card(run / "lpdnet.yaml").outputs == ("boxes", "scores", "corners")
    export_checkpoint("tcnet", vehicles[0] / "last.pt", tmp_path)
    export_checkpoint("lpdnet", run / "last.pt", tmp_path)
    measured = evaluate_detector("lpdnet", data, tmp_path / "lpdnet.yaml", "val", "cpu", tmp_path / "out")
    assert measured["val/cascade/all"]["recall"] > 0.7
    assert measured["val/listed/all"] == report["val/all"]
    assert 0 < measured["val/corners/pasted"]["corner_error_median"] < 0.5
    assert (tmp_path / "out" / "val.png").is_file()


def test_what_does_not_fit_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"loop\.stepz"):
        train_detector("tcnet", tmp_path, tmp_path / "run", overrides=["loop.stepz=3"])
    with pytest.raises(UserError, match=r"manifest"):
        train_detector("tcnet", tmp_path, tmp_path / "run")
    with pytest.raises(UserError, match=r"nothing\.onnx"):
        train_detector("tcnet", data, tmp_path / "run", overrides=QUIET, start_from=tmp_path / "nothing.onnx")
