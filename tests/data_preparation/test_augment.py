"""Augmented copies: labels go with pictures, other splits stay as they are, a seed gives the same again."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.augment import augment
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, read_manifest, write_manifest
from plateloop.errors import UserError
from plateloop.frame import read_image


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Grey pictures with one white plate on a black vehicle each; the last is damaged."""
    folder = tmp_path / "source"
    folder.mkdir()
    records = []
    for index, split in enumerate(("train", "train", "train", "val", "train")):
        picture = np.full((120, 200, 3), 120, np.uint8)
        x, y = 40 + 10 * index, 30 + 4 * index
        picture[y : y + 60, x : x + 80] = 0
        picture[y + 30 : y + 50, x + 20 : x + 60] = 255
        assert cv2.imwrite(str(folder / f"{index}.png"), picture)
        plate = (x + 20, y + 30, x + 60, y + 50)
        corners = ((plate[0], plate[1]), (plate[2], plate[1]), (plate[2], plate[3]), (plate[0], plate[3]))
        records.append(
            Record(
                file=f"{index}.png",
                width=200,
                height=120,
                split=split,
                vehicles=(Vehicle(box=(x, y, x + 80, y + 60), label="car", color="black"),),
                plates=(Plate(box=plate, corners=corners, text="AB12", vehicle=0),),
                ignore_vehicles=((0, 0, 15, 15),),
            )
        )
    (folder / "4.png").write_bytes(b"no picture")
    write_manifest(folder, records)
    return folder


def test_labels_go_with_the_pictures(dataset: Path, tmp_path: Path) -> None:
    report = augment(dataset, tmp_path / "out", copies=3, seed=1)
    assert list(report.skipped) == ["4.png"]
    found = {record.file: record for record in read_manifest(tmp_path / "out")}
    assert len(found) == report.written == 5 + 3 * 3
    copies = [record for record in found.values() if "augmented" in record.tags]
    assert {record.sequence for record in copies} == {"0.png", "1.png", "2.png"}
    assert {found[record.sequence or ""].sequence for record in copies} == {"0.png", "1.png", "2.png"}
    sizes = set()
    for record in copies:
        picture = read_image(tmp_path / "out" / record.file).rgb().astype(float).mean(2)
        assert picture.shape == (record.height, record.width)
        sizes.add(picture.shape)
        x1, y1, x2, y2 = (round(v) for v in record.plates[0].box)
        a, b, c, d = (round(v) for v in record.vehicles[0].box)
        assert 0 <= a < x1 < x2 < c <= record.width and 0 <= b < y1 < y2 < d <= record.height
        plate = picture[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].mean()
        assert plate > picture[b + 4 : y1 - 4, a + 4 : c - 4].mean() + 10
        assert record.plates[0].corners is not None and record.plates[0].corners[0] == (x1, y1)
        assert record.vehicles[0].color is None
    assert len(sizes) > 3


def test_the_same_again(dataset: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        augment(dataset, tmp_path / name, copies=1, seed=5)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    augment(dataset, tmp_path / "c", copies=1, seed=6)
    name = "0_augmented1.jpg"
    assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes()


def test_a_split_that_nothing_is_in(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no record of split test"):
        augment(dataset, tmp_path / "out", split="test")
