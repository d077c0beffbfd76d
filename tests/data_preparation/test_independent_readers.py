"""What we write, another library reads as we meant it; what it writes, we read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.convert import FORMATS
from plateloop.data_preparation.manifest import Plate, Record, Vehicle
from plateloop.data_preparation.report import Report


def supervision() -> Any:
    return pytest.importorskip("supervision", reason="supervision is not installed")


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, list[Record]]:
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(3)
    records = []
    for index in range(6):
        width, height = 100 + 30 * index, 80 + 11 * index
        assert cv2.imwrite(str(folder / f"{index}.jpg"), np.full((height, width, 3), 9, np.uint8))
        boxes = np.sort(rng.integers(0, 80, (4, 2, 2)), 1).reshape(4, 4).astype(float)
        boxes[:, 2:] += 1
        car, bus, plate, other = (tuple(map(float, box)) for box in boxes)
        records.append(
            Record(
                file=f"{index}.jpg",
                width=width,
                height=height,
                vehicles=(Vehicle(box=car, label="car"), Vehicle(box=bus, label="bus")),
                plates=(Plate(box=plate), Plate(box=other))[: index % 3],
            )
        )
    return folder, records


def rows(record: Record) -> list[tuple[str, tuple[float, ...]]]:
    found = [(v.label, v.box) for v in record.vehicles] + [("license_plate", p.box) for p in record.plates]
    return sorted((label, tuple(round(float(v), 2) for v in box)) for label, box in found)


def theirs(data: Any) -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    return {
        Path(path).name: sorted(
            (data.classes[number], tuple(round(float(v), 2) for v in box))
            for number, box in zip(found.class_id, found.xyxy, strict=True)
        )
        for path, found in data.annotations.items()
    }


@pytest.mark.parametrize("name", ["yolo", "voc", "coco"])
def test_supervision_reads_what_we_write(
    name: str, dataset: tuple[Path, list[Record]], tmp_path: Path
) -> None:
    sv = supervision()
    source, records = dataset
    out = tmp_path / "out"
    FORMATS[name].write(records, source, out, Report())
    if name == "yolo":
        data = sv.DetectionDataset.from_yolo(str(out / "images"), str(out / "labels"), str(out / "data.yaml"))
    elif name == "voc":
        data = sv.DetectionDataset.from_pascal_voc(str(out / "JPEGImages"), str(out / "Annotations"))
        # It counts a VOC file's first pixel as 1, as the original sets do; we take it as it is written.
        for found in data.annotations.values():
            found.xyxy = found.xyxy + np.array([1, 1, 0, 0])
    else:
        data = sv.DetectionDataset.from_coco(
            str(out / "images"), str(out / "annotations/instances_default.json")
        )
    assert theirs(data) == {record.file: rows(record) for record in records}


@pytest.mark.parametrize("name", ["yolo", "voc", "coco"])
def test_we_read_what_supervision_writes(
    name: str, dataset: tuple[Path, list[Record]], tmp_path: Path
) -> None:
    sv = supervision()
    source, records = dataset
    FORMATS["coco"].write(records, source, tmp_path / "mid", Report())
    data = sv.DetectionDataset.from_coco(
        str(tmp_path / "mid/images"), str(tmp_path / "mid/annotations/instances_default.json")
    )
    out = tmp_path / "out"
    if name == "yolo":
        data.as_yolo(str(out / "images"), str(out / "labels"), str(out / "data.yaml"))
    elif name == "voc":
        for found in data.annotations.values():
            found.xyxy = found.xyxy - np.array([1, 1, 0, 0])
        data.as_pascal_voc(str(out / "JPEGImages"), str(out / "Annotations"))
    else:
        data.as_coco(str(out / "images"), str(out / "annotations/instances_default.json"))
    report = Report()
    read = {Path(r.file).name: rows(r) for r in FORMATS[name].read(out, report)}
    assert not report.skipped
    tolerance = 0.02 if name == "yolo" else 0
    for record in records:
        for ours, given in zip(read[record.file], rows(record), strict=True):
            assert ours[0] == given[0]
            assert np.allclose(ours[1], given[1], atol=tolerance)


def test_the_coco_evaluator_reads_what_we_write(dataset: tuple[Path, list[Record]], tmp_path: Path) -> None:
    library = pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    source, records = dataset
    FORMATS["coco"].write(records, source, tmp_path / "out", Report())
    coco = library.COCO(str(tmp_path / "out/annotations/instances_default.json"))
    names = {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())}
    for image, record in zip(coco.loadImgs(sorted(coco.getImgIds())), records, strict=True):
        assert (image["file_name"], image["width"], image["height"]) == (
            record.file,
            record.width,
            record.height,
        )
        found = []
        for row in coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]])):
            x, y, w, h = row["bbox"]
            found.append((names[row["category_id"]], (x, y, x + w, y + h)))
        assert sorted(found) == rows(record)
