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
from plateloop.runtime.card import load_card
from plateloop.training.train_detector import export_checkpoint, train_detector

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


def test_tcnet_learns_boxes_ships_them_and_goes_on(tmp_path: Path) -> None:
    data = boxes_dataset(tmp_path / "data", 32)
    report = train_detector(
        "tcnet",
        data,
        tmp_path / "run",
        overrides=[*QUIET, "loop.steps=200", 'network.labels=["car","bus"]', "frames.zoom=[0.8,1.2]"],
    )
    assert report["val/all"]["car_ap50"] > 0.8 and report["val/all"]["bus_ap50"] > 0.8
    first, last = losses(tmp_path / "run")
    assert last < 0.7 * first
    card = load_card(tmp_path / "run" / "best.yaml")
    assert card.labels == ("car", "bus") and card.metrics["val/all"] == report["val/all"]
    assert card.training.sources == {"drawn": "none needed"}
    assert (tmp_path / "run" / "samples.png").stat().st_size > 1000
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == report

    again = export_checkpoint("tcnet", tmp_path / "run" / "last.pt", tmp_path / "again")
    assert again.sha256 == card.sha256

    # From the shipped graph, with its norms folded away, a few steps at a low rate keep what was learnt.
    further = train_detector(
        "tcnet",
        data,
        tmp_path / "further",
        overrides=[*QUIET, "loop.steps=10", "loop.learning_rate=1e-5", 'network.labels=["car","bus"]'],
        start_from=tmp_path / "run" / "best.onnx",
    )
    assert further["val/all"]["ap50"] > report["val/all"]["ap50"] - 0.1


def test_lpdnet_learns_plates(tmp_path: Path) -> None:
    data = boxes_dataset(tmp_path / "data", 32)
    report = train_detector(
        "lpdnet",
        data,
        tmp_path / "run",
        overrides=[*QUIET, "loop.steps=200", "copies=0", "plates.turn=0", "plates.perspective=0"],
    )
    assert report["val/all"]["ap50"] > 0.8
    outputs = load_card(tmp_path / "run" / "best.yaml").outputs
    assert outputs == ("boxes", "scores", "corners")


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"loop\.stepz"):
        train_detector("tcnet", tmp_path, tmp_path / "run", overrides=["loop.stepz=3"])
    with pytest.raises(UserError, match=r"manifest"):
        train_detector("tcnet", tmp_path, tmp_path / "run")
    data = boxes_dataset(tmp_path / "data", 4)
    with pytest.raises(UserError, match=r"nothing\.onnx"):
        train_detector("tcnet", data, tmp_path / "run", overrides=QUIET, start_from=tmp_path / "nothing.onnx")
