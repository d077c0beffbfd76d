"""Crops and resized pictures show what their labels say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.crop import crop_plates, crop_vehicles, resize
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, read_manifest, write_manifest

# A white plate with a red upper left quarter, as a parallelogram in a green vehicle on grey.
QUAD = ((60.0, 40.0), (120.0, 48.0), (118.0, 72.0), (58.0, 64.0))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    picture = np.full((150, 200, 3), 90, np.uint8)
    picture[20:100, 30:160] = (0, 160, 0)
    scale = 8
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    quad = np.array(QUAD)
    cv2.fillPoly(large, [(quad * scale).astype(np.int32)], (255, 255, 255))
    middle = [quad[0], (quad[0] + quad[1]) / 2, quad.mean(0), (quad[0] + quad[3]) / 2]
    cv2.fillPoly(large, [(np.array(middle) * scale).astype(np.int32)], (0, 0, 255))
    cv2.imwrite(str(folder / "deep/a.png"), cv2.resize(large, (200, 150), interpolation=cv2.INTER_AREA))
    record = Record(
        file="deep/a.png",
        width=200,
        height=150,
        source="made",
        split="val",
        region="FR",
        vehicles=(
            Vehicle(box=(30, 20, 160, 100), label="car", color="green"),
            Vehicle(box=(0, 0, 9, 9), label="bus"),
        ),
        plates=(
            Plate(box=(58, 40, 120, 72), corners=QUAD, text="AB12", vehicle=0),
            Plate(box=(180, 130, 199, 136), text="TINY"),
        ),
        ignore_plates=((40, 90, 50, 95), (170, 0, 190, 9)),
    )
    write_manifest(folder, [record])
    return folder


def picture_of(folder: Path, record: Record) -> np.ndarray:
    picture = cv2.imread(str(folder / record.file))
    assert picture is not None
    assert picture.shape[:2] == (record.height, record.width)
    return picture


def assert_plate_is_where_it_says(folder: Path, record: Record) -> None:
    """The red quarter lies inside the corners where it should, white elsewhere, by bilinear coordinates."""
    picture = picture_of(folder, record)
    (plate,) = record.plates
    assert plate.corners is not None
    a, b, c, d = np.array(plate.corners)
    for u, v, color in (
        (0.25, 0.25, "red"),
        (0.75, 0.25, "white"),
        (0.25, 0.75, "white"),
        (0.8, 0.8, "white"),
    ):
        x, y = (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * d + u * c)
        blue, green, red = (int(value) for value in picture[int(y), int(x)])
        assert red > 200
        assert (min(green, blue) > 200) == (color == "white")


def test_plates_by_box(dataset: Path, tmp_path: Path) -> None:
    report = crop_plates(dataset, tmp_path / "out", margin=0.1)
    (record,) = read_manifest(tmp_path / "out")
    assert report.written == 1
    assert (record.file, record.source, record.split) == ("deep/a_0.png", "made", "val")
    assert (record.plates[0].text, record.region, record.sequence) == ("AB12", "FR", "deep/a.png")
    assert not record.vehicles_annotated
    # 62 × 32 grown by a tenth on each side, to whole pixels.
    assert (record.width, record.height) == (76, 40)
    assert record.plates[0].box == pytest.approx((7, 4, 69, 36))
    assert_plate_is_where_it_says(tmp_path / "out", record)


@pytest.mark.parametrize("margin", [0.0, 0.06, 0.2])
def test_plates_rectified(margin: float, dataset: Path, tmp_path: Path) -> None:
    crop_plates(dataset, tmp_path / "out", margin=margin, rectify=True)
    (record,) = read_manifest(tmp_path / "out")
    x1, y1, x2, y2 = record.plates[0].box
    length, height = np.hypot(60, 8), np.hypot(2, 24)
    assert x2 - x1 == pytest.approx(length, abs=1)
    assert y2 - y1 == pytest.approx(height, abs=1)
    assert record.width == pytest.approx(length * (1 + 2 * margin), abs=1)
    assert_plate_is_where_it_says(tmp_path / "out", record)


def test_vehicles_keep_their_own_plates(dataset: Path, tmp_path: Path) -> None:
    crop_vehicles(dataset, tmp_path / "out")
    (record,) = read_manifest(tmp_path / "out")
    assert (record.width, record.height) == (130, 80)
    (vehicle,) = record.vehicles
    assert (vehicle.box, vehicle.color) == ((0, 0, 130, 80), "green")
    assert record.plates[0].vehicle == 0
    assert record.ignore_plates == ((10, 70, 20, 75),)
    assert_plate_is_where_it_says(tmp_path / "out", record)


def test_resize_moves_labels_along(dataset: Path, tmp_path: Path) -> None:
    resize(dataset, tmp_path / "half", longest=100)
    (record,) = read_manifest(tmp_path / "half")
    assert (record.file, record.width, record.height) == ("deep/a.png", 100, 75)
    assert record.vehicles[0].box == (15, 10, 80, 50)
    assert record.ignore_plates[0] == (20, 45, 25, 47.5)
    assert_plate_is_where_it_says(tmp_path / "half", record.model_copy(update={"plates": record.plates[:1]}))
    resize(dataset, tmp_path / "same", longest=400)
    assert (tmp_path / "same/deep/a.png").read_bytes() == (dataset / "deep/a.png").read_bytes()
    resize(dataset, tmp_path / "more", longest=400, enlarge=True)
    (record,) = read_manifest(tmp_path / "more")
    assert (record.width, record.height) == (400, 300)
    assert_plate_is_where_it_says(tmp_path / "more", record.model_copy(update={"plates": record.plates[:1]}))


def test_a_damaged_picture_is_told_and_the_rest_goes_on(dataset: Path, tmp_path: Path) -> None:
    records = list(read_manifest(dataset))
    (dataset / "b.png").write_bytes((dataset / "deep/a.png").read_bytes()[:200])
    write_manifest(dataset, [records[0].model_copy(update={"file": "b.png"}), *records])
    report = crop_plates(dataset, tmp_path / "out")
    assert report.skipped.keys() == {"b.png"}
    assert report.written == 1
