"""Real plates on canvases, and how often each is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.manifest import Plate, Record, Vehicle, read_manifest, write_manifest
from plateloop.errors import UserError
from plateloop.training.reading.data import (
    Balance,
    RealPlates,
    draw_weights,
    load_backgrounds,
    load_real,
)
from plateloop.training.reading.evaluate import input_pictures


def _save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1])


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """One photograph with a red plate of 80 × 32 at (100, 60), and one blue crop."""
    frame = np.full((200, 300, 3), 90, np.uint8)
    frame[60:92, 100:180] = (250, 0, 0)
    _save(tmp_path / "frame.png", frame)
    _save(tmp_path / "crop.png", np.full((32, 80, 3), (0, 0, 250), np.uint8))
    plate = Plate(box=(100, 60, 180, 92), text="AB12", annotation="annotated")
    unread = Plate(box=(10, 10, 40, 20))
    car = Vehicle(box=(80, 20, 220, 150), label="car")
    whole = Plate(box=(0, 0, 80, 32), text="XYZ", region="NL", annotation="agreed")
    records = [
        Record(
            file="frame.png",
            width=300,
            height=200,
            source="f",
            region="US",
            split="train",
            plates=(unread, plate),
            vehicles=(car,),
        ),
        Record(file="crop.png", width=80, height=32, source="c", split="train", plates=(whole,)),
        Record(file="crop.png", width=80, height=32, source="c", split="test", plates=(whole,)),
    ]
    write_manifest(tmp_path, records)
    return tmp_path


def test_plates_are_cut_with_their_surroundings_and_crops_taken_as_they_are(dataset: Path) -> None:
    plates = load_real([dataset], "train")
    assert plates.texts == ("AB12", "XYZ") and plates.regions == ("US", "NL")
    assert plates.boxed.tolist() == [True, False] and plates.aspects.tolist() == [2.5, 2.5]
    frame, crop = plates.canvases
    assert frame[20, 40].tolist() == [250, 0, 0] and frame[2, 2].tolist() == [90, 90, 90]
    assert (crop == (0, 0, 250)).all()
    boxed, whole = input_pictures(plates, margin=0.06)
    # The margin of 6 % a side is about 8.6 of 160 px.
    assert boxed[32, 4].tolist() == [90, 90, 90] and boxed[32, 12].tolist() == [250, 0, 0]
    assert (whole == (0, 0, 250)).all()
    with pytest.raises(UserError, match="val"):
        load_real([dataset], "val")


def test_backgrounds_show_no_plate(dataset: Path) -> None:
    pieces = load_backgrounds(dataset, 12, seed=0)
    assert pieces.shape == (12, 64, 160, 3)
    red = (pieces[..., 0] > 200) & (pieces[..., 1] < 50)
    assert red.mean() < 0.05


def _plates(sources: list[str], texts: list[str]) -> RealPlates:
    n = len(texts)
    return RealPlates(
        np.zeros((n, 80, 200, 3), np.uint8),
        np.ones(n, np.float32),
        np.zeros(n, bool),
        tuple(texts),
        (None,) * n,
        tuple(sources),
        ("annotated",) * n,
        ("f",) * n,
    )


def test_sources_and_repeated_texts_are_balanced() -> None:
    plates = _plates(
        ["a"] * 100 + ["b"] * 4 + ["c"], [f"A{i}" for i in range(100)] + ["B", "B", "B", "B2"] + ["C"]
    )
    weights = draw_weights(plates, Balance(power=0.5, boosts={}, hold_out=("c",)))
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    a, b, c = weights[:100].sum(), weights[100:104].sum(), weights[104]
    assert a / b == pytest.approx((100 / 2) ** 0.5, rel=1e-4)
    assert c == 0
    assert weights[103] / weights[100] == pytest.approx(3**0.5, rel=1e-4)


def test_a_records_own_weight_counts_within_its_source() -> None:
    plates = replace(_plates(["a", "a", "b"], ["A1", "A2", "B"]), weights=np.array([3, 1, 5], np.float32))
    weights = draw_weights(plates, Balance(boosts={}))
    assert weights[0] / weights[1] == pytest.approx(3)
    assert weights[:2].sum() / weights[2] == pytest.approx(2**0.5)
    assert plates.select([2]).weights == pytest.approx([5])


def test_labels_of_nobody_in_particular_are_used_and_weights_read(dataset: Path) -> None:
    records = list(read_manifest(dataset))
    plain = [
        record.model_copy(
            update={
                "plates": tuple(p.model_copy(update={"annotation": None}) for p in record.plates),
                "attributes": {"weight": "2.5"} if number == 0 else {},
            }
        )
        for number, record in enumerate(records)
    ]
    before = load_real([dataset], "train")
    write_manifest(dataset, plain)
    after = load_real([dataset], "train")
    assert after.texts == before.texts and before.weights is None
    assert after.weights is not None and after.weights.tolist() == [2.5, 1]


def test_backgrounds_without_vehicles_come_from_anywhere(dataset: Path) -> None:
    plain = [record.model_copy(update={"vehicles": ()}) for record in read_manifest(dataset)]
    write_manifest(dataset, plain)
    assert load_backgrounds(dataset, 12, seed=0).shape == (12, 64, 160, 3)


def test_backgrounds_of_pictures_that_are_low_and_wide(tmp_path: Path) -> None:
    _save(tmp_path / "strip.png", np.full((12, 300, 3), 90, np.uint8))
    write_manifest(tmp_path, [Record(file="strip.png", width=300, height=12, split="train")])
    assert load_backgrounds(tmp_path, 40, seed=0).shape == (40, 64, 160, 3)


def test_square_plates_are_drawn_more() -> None:
    plates = replace(_plates(["a", "b"], ["A1", "B"]), aspects=np.array([1.4, 4.5], np.float32))
    weights = draw_weights(plates, Balance(boosts={}, square=3.0))
    assert weights[0] / weights[1] == pytest.approx(3)
