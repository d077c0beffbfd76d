"""Every format gives back what it can hold, and the manifest gives back every format."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plateloop.data_preparation.convert import FORMATS, Dataset, convert
from plateloop.data_preparation.formats import ccpd, kitti, manifest
from plateloop.data_preparation.formats.holds import keep
from plateloop.data_preparation.manifest import Plate, Record, Vehicle
from plateloop.data_preparation.report import Report

PICTURES = {
    "a.jpg": (64, 48),
    "images/deep/b.png": (100, 31),
    "some/where/c.jpg": (640, 480),
    "some/c.jpeg": (33, 57),
    "d e.png": (17, 19),
}
CROPS = ("lprnet", "ocrnet", "pairs", "names")

words = st.text("abzAZ09 &<>\"'é京,;", min_size=1, max_size=8).map(lambda w: f"x{w.strip()}")
texts = st.from_regex(r"[A-Z0-9]{1,9}", fullmatch=True)
raw_texts = st.from_regex(r"[A-Z0-9]{2,4}[ -][A-Z0-9]{1,4}|京[A-Z0-9]{5}", fullmatch=True)
attributes = st.dictionaries(st.sampled_from(["make", "note", "age"]), words, max_size=2)


def numbers(limit: int) -> st.SearchStrategy[float]:
    return st.integers(0, limit * 100).map(lambda v: v / 100)


@st.composite
def boxes(draw: st.DrawFn, size: tuple[int, int]) -> tuple[float, float, float, float]:
    x1, x2 = sorted(draw(st.tuples(numbers(size[0]), numbers(size[0]))))
    y1, y2 = sorted(draw(st.tuples(numbers(size[1]), numbers(size[1]))))
    return x1, y1, x2, y2


def kitti_attributes() -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(kitti._EXTRA), st.sampled_from(["0.50", "2", "-1.57"]), max_size=3)


@st.composite
def scenes(draw: st.DrawFn, name: str) -> list[Record]:
    """Records of whole pictures with vehicles and plates; no more than the format can hold."""
    records = []
    said = kitti_attributes() if name == "kitti" else attributes
    for file in draw(
        st.lists(st.sampled_from(list(PICTURES)), min_size=1, max_size=3, unique=True).map(sorted)
    ):
        size = PICTURES[file]
        vehicles = draw(
            st.lists(
                st.builds(
                    Vehicle,
                    box=boxes(size),
                    label=st.sampled_from(["car", "bus", "Pedestrian"]),
                    color=st.sampled_from([None, "red"]),
                    annotation=st.sampled_from([None, "auto"]),
                    score=st.sampled_from([None, 0.25, 0.987]),
                    attributes=said,
                ),
                max_size=3,
            )
        )
        plates = []
        for _ in range(draw(st.integers(0, 2))):
            extra = draw(said)
            text = draw(st.one_of(st.none(), texts))
            if raw := draw(st.one_of(st.none(), raw_texts)):
                text = "".join(c for c in raw if c.isascii() and c.isalnum())
                extra["raw_text"] = raw
            if label := draw(st.sampled_from([None, "LP", "number_plate"])):
                extra["label"] = label
            plates.append(
                Plate(
                    box=draw(boxes(size)),
                    corners=draw(st.one_of(st.none(), st.tuples(*[st.tuples(*map(numbers, size))] * 4))),
                    text=text,
                    region=draw(st.sampled_from([None, "CN"])),
                    vehicle=draw(st.integers(0, len(vehicles) - 1)) if vehicles else None,
                    annotation=draw(st.sampled_from([None, "agreed"])),
                    attributes=extra,
                )
            )
        ignored = draw(st.lists(boxes(size), max_size=2, unique=True))
        records.append(
            Record(
                file=file,
                width=size[0],
                height=size[1],
                vehicles=tuple(vehicles),
                plates=tuple(plates),
                ignore_vehicles=tuple(ignored),
                ignore_plates=tuple(ignored),
                source=draw(st.sampled_from(["", "here & there"])),
                license=draw(st.sampled_from(["", "CC0", "MIT"])),
                region=draw(st.sampled_from([None, "FR"])),
                split=draw(st.sampled_from([None, "train", "val", "test"])),
                texts=tuple(draw(st.lists(texts, max_size=2))),
                sequence=draw(st.sampled_from([None, "drive-1"])),
                tags=tuple(draw(st.lists(st.sampled_from(["night", "rain"]), max_size=2, unique=True))),
                attributes=draw(attributes),
            )
        )
    return [keep(record, FORMATS[name].HOLDS)[0] for record in records]


@st.composite
def crops(draw: st.DrawFn, name: str) -> list[Record]:
    records = []
    for file in draw(st.lists(st.sampled_from(list(PICTURES)), min_size=1, max_size=4, unique=True)):
        width, height = PICTURES[file]
        raw = draw(st.one_of(texts, raw_texts))
        text = "".join(c for c in raw if c.isascii() and c.isalnum())
        plate = Plate(
            box=(0, 0, width, height), text=text, attributes={} if raw == text else {"raw_text": raw}
        )
        split = draw(st.sampled_from([None, "train", "val"]))
        records.append(Record(file=file, width=width, height=height, plates=(plate,), split=split))
    return records


@st.composite
def chinese(draw: st.DrawFn) -> list[Record]:
    records = []
    for file in draw(st.lists(st.sampled_from(list(PICTURES)), min_size=1, max_size=3, unique=True)):
        width, height = PICTURES[file]
        point = st.tuples(st.integers(0, width), st.integers(0, height))
        text = draw(st.from_regex(r"[A-HJ-NP-Z][A-HJ-NP-Z0-9]{5,6}", fullmatch=True))
        province = draw(st.sampled_from(["", *ccpd.PROVINCES[:-1]]))
        a, b = draw(point), draw(point)
        plate = Plate(
            box=(*a, *b),
            corners=(draw(point), draw(point), draw(point), draw(point)),
            text=text,
            region="CN",
            attributes={"area": "025", "tilt": "95_113", "brightness": "37", "blurriness": "15"}
            | ({"raw_text": province + text} if province else {}),
        )
        records.append(Record(file=file, width=width, height=height, plates=(plate,)))
    return records


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name, (width, height) in PICTURES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
    return folder


def plain(records: Iterator[Record]) -> list[dict[str, Any]]:
    """Records without names (formats have their own) and without what depends on the whole folder."""
    rows = []
    for record in records:
        row = record.model_dump(exclude={"file", "vehicles_annotated", "plates_annotated"})
        rows.append(row)
    return sorted(rows, key=repr)


def texts_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", list(FORMATS))
def test_nothing_is_lost(name: str, pictures: Path) -> None:
    if name == "ccpd":
        strategy: st.SearchStrategy[list[Record]] = chinese()
    else:
        strategy = crops(name) if name in CROPS else scenes(name)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(strategy)
    def check(records: list[Record]) -> None:
        module = FORMATS[name]
        if name == "csv":
            records = [record for record in records if record.plates]
            if not records:
                return
        with tempfile.TemporaryDirectory() as place:
            first, middle, second = (Path(place, part) for part in "abc")
            report = Report()
            module.write(records, pictures, first, report)
            assert report.written == len(records), report.skipped
            assert plain(module.read(first, report)) == plain(iter(records))
            assert not report.skipped
            convert(first, middle, name, "manifest")
            back = convert(middle, second, "manifest", name)
            assert not back.skipped
            assert not back.lost
            assert texts_of(second) == texts_of(first)
            # Once more over the same folders changes nothing.
            times = {path: path.stat().st_mtime_ns for path in second.rglob("*.jpg")}
            convert(middle, second, "manifest", name)
            assert texts_of(second) == texts_of(first)
            assert times == {path: path.stat().st_mtime_ns for path in second.rglob("*.jpg")}

    check()


def test_what_a_format_cannot_hold_is_counted(pictures: Path, tmp_path: Path) -> None:
    width, height = PICTURES["a.jpg"]
    record = Record(
        file="a.jpg",
        width=width,
        height=height,
        region="FR",
        vehicles=(Vehicle(box=(1, 2, 30, 40), label="car", color="red"),),
        plates=(Plate(box=(5, 6, 20, 12), text="AB123", vehicle=0),),
    )
    manifest.write([record], pictures, tmp_path / "m", Report())
    report = convert(tmp_path / "m", tmp_path / "k", "manifest", "kitti")
    assert report.lost == {"region": 1, "vehicle.color": 1, "plate.text": 1, "plate.vehicle": 1}
    lines = (tmp_path / "k/labels/a.txt").read_text().splitlines()
    assert lines == [
        "car 0.00 0 0.00 1.00 2.00 30.00 40.00 0.00 0.00 0.00 0.00 0.00 0.00 0.00",
        "lpd 0.00 0 0.00 5.00 6.00 20.00 12.00 0.00 0.00 0.00 0.00 0.00 0.00 0.00",
    ]


def test_a_kind_that_a_folder_never_labels_is_not_annotated(pictures: Path, tmp_path: Path) -> None:
    width, height = PICTURES["a.jpg"]
    car = Record(
        file="a.jpg", width=width, height=height, vehicles=(Vehicle(box=(1, 2, 30, 40), label="Car"),)
    )
    kitti.write([car], pictures, tmp_path / "k", Report())
    (read,) = Dataset(tmp_path / "k", kitti.read)
    assert (read.vehicles_annotated, read.plates_annotated) == (True, False)
    (read,) = Dataset(tmp_path / "k", kitti.read, labels={"Car": "license_plate"})
    assert (len(read.vehicles), len(read.plates)) == (0, 1)
    assert (read.vehicles_annotated, read.plates_annotated) == (False, True)
